/* SPDX-License-Identifier: MIT */
/*
 * Publishes messages in envelopes: the first frame is the key that subscribers choose by, the second one the content, so
 * that no content is ever taken for a key (XPUB).
 *
 * Run:     envelope_pub [ENDPOINT=tcp://127.0.0.1:5563] [SUBSCRIBERS=1] [ROUNDS=10]
 *          An ENDPOINT that begins with '>' is connected to, for multipart_forward. SUBSCRIBERS are counted by key: several
 *          that want the same one through a multipart_forward count as one.
 * Expect:  two messages a round, one for "news" and one for "gossip"; then "END".
 */
#include "zhelpers.h"

int main(int argc, char **argv)
{
    long subscribers = s_number(argc, argv, 2, 1), rounds = s_number(argc, argv, 3, 10);
    void *context = zmq_ctx_new();
    s_shutdown_on_signals(context);
    void *publisher = zmq_socket(context, ZMQ_XPUB);
    s_check(publisher != NULL, "zmq_socket");
    s_set(publisher, ZMQ_XPUB_VERBOSE, 1);
    s_attach(publisher, s_arg(argc, argv, 1, "tcp://127.0.0.1:5563"));
    /* Each subscribes to two things, and to END first. */
    int rc = s_await_subscribers(publisher, -1, "", 2 * subscribers);
    for (long n = 1; n <= rounds && rc >= 0; n++) {
        s_sendmore(publisher, "gossip");
        rc = s_sendf(publisher, "news of the neighbours, part %ld", n);
        if (rc < 0)
            break;
        s_sendmore(publisher, "news");
        rc = s_sendf(publisher, "gossip of the world, part %ld", n);
    }
    s_send(publisher, "END");
    printf("%ld messages in envelopes\n", 2 * rounds);
    zmq_close(publisher);
    zmq_ctx_term(context);
    return 0;
}
