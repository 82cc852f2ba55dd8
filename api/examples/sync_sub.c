/* SPDX-License-Identifier: MIT */
/*
 * Counts what sync_pub publishes and reports it there (SUB and REQ).
 *
 * Run:     sync_sub [ENDPOINT=tcp://localhost:5561] [REPORTS=tcp://localhost:5562]
 * Expect:  "1000000 updates".
 */
#include "zhelpers.h"

int main(int argc, char **argv)
{
    long updates = 0;
    bool ended = false;
    void *context = zmq_ctx_new();
    s_shutdown_on_signals(context);
    void *subscriber = zmq_socket(context, ZMQ_SUB);
    void *reporter = zmq_socket(context, ZMQ_REQ);
    s_check(subscriber && reporter, "zmq_socket");
    s_subscribe(subscriber, "");
    s_connect(subscriber, s_arg(argc, argv, 1, "tcp://localhost:5561"));
    s_connect(reporter, s_arg(argc, argv, 2, "tcp://localhost:5562"));
    while (!ended) {
        char update[32];
        int size = zmq_recv(subscriber, update, sizeof update, 0);
        if (size < 0 && !s_again(size))
            break;
        ended = size == 3 && memcmp(update, "END", 3) == 0;
        updates += size >= 0 && !ended;
    }
    if (ended && s_sendf(reporter, "%ld", updates) >= 0)
        free(s_recv(reporter));
    printf("%ld updates\n", updates);
    zmq_close(subscriber);
    zmq_close(reporter);
    zmq_ctx_term(context);
    return 0;
}
