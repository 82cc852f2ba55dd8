/* SPDX-License-Identifier: MIT */
/*
 * Reads the messages in envelopes with one key (SUB).
 *
 * Run:     envelope_sub [ENDPOINT=tcp://localhost:5563] [KEY=news]
 *          with envelope_pub or announcer, directly or through multipart_forward
 * Expect:  "[news] gossip of the world, part 1" and so on, and how many there were when "END" comes.
 */
#include "zhelpers.h"

int main(int argc, char **argv)
{
    const char *key = s_arg(argc, argv, 2, "news");
    long count = 0;
    void *context = zmq_ctx_new();
    s_shutdown_on_signals(context);
    void *subscriber = zmq_socket(context, ZMQ_SUB);
    s_check(subscriber != NULL, "zmq_socket");
    s_subscribe(subscriber, "END");
    s_subscribe(subscriber, key);
    s_connect(subscriber, s_arg(argc, argv, 1, "tcp://localhost:5563"));
    for (char *envelope; (envelope = s_recv(subscriber)); free(envelope)) {
        if (!s_more(subscriber)) { /* END */
            free(envelope);
            break;
        }
        char *content = s_recv(subscriber);
        printf("[%s] %s\n", envelope, content ? content : "");
        free(content);
        count++;
    }
    printf("%ld messages with the key %s\n", count, key);
    zmq_close(subscriber);
    zmq_ctx_term(context);
    return 0;
}
