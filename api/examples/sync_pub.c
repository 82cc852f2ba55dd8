/* SPDX-License-Identifier: MIT */
/*
 * A publisher that begins when all its subscribers are there, and of whom none misses anything (XPUB, and REP for their
 * reports).
 *
 * Run:     sync_pub [SUBSCRIBERS=10] [UPDATES=1000000] [ENDPOINT=tcp://127.0.0.1:5561] [REPORTS=tcp://127.0.0.1:5562]
 *          and as many times sync_sub, before it or after it
 * Expect:  a line for each subscriber, with exactly UPDATES.
 *
 * Two things lose messages on the way from PUB to SUB. Who subscribes late misses the beginning: so the subscriptions are
 * counted first. Who reads slowly overflows its queue, and a PUB drops then: XPUB_NODROP makes it wait instead.
 */
#include "zhelpers.h"

int main(int argc, char **argv)
{
    long subscribers = s_number(argc, argv, 1, 10), updates = s_number(argc, argv, 2, 1000000), complete = 0;
    void *context = zmq_ctx_new();
    s_shutdown_on_signals(context);
    void *publisher = zmq_socket(context, ZMQ_XPUB);
    void *reports = zmq_socket(context, ZMQ_REP);
    s_check(publisher && reports, "zmq_socket");
    s_set(publisher, ZMQ_XPUB_VERBOSE, 1);
    s_set(publisher, ZMQ_XPUB_NODROP, 1);
    s_bind(publisher, s_arg(argc, argv, 3, "tcp://127.0.0.1:5561"));
    s_bind(reports, s_arg(argc, argv, 4, "tcp://127.0.0.1:5562"));
    int rc = s_await_subscribers(publisher, -1, "", subscribers);
    int64_t start = s_clock();
    for (long n = 0; n < updates && rc >= 0; n++)
        rc = s_send(publisher, "Rhubarb");
    if (rc >= 0)
        rc = s_send(publisher, "END");
    for (long n = 0; n < subscribers && rc >= 0; n++) {
        char *report = s_recv(reports);
        rc = report ? s_send(reports, "thanks") : -1;
        if (!report)
            break;
        printf("subscriber %ld: %s updates\n", n + 1, report);
        complete += atol(report) == updates;
        free(report);
    }
    printf("%ld of %ld subscribers have all %ld updates, in %ld ms\n", complete, subscribers, updates,
           (long)(s_clock() - start));
    zmq_close(publisher);
    zmq_close(reports);
    zmq_ctx_term(context);
    return 0;
}
