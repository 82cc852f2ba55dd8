/* SPDX-License-Identifier: MIT */
/*
 * Forwards published messages whole, frame by frame, by hand (XSUB and XPUB): what is one message here is one message
 * there, however many frames it has.
 *
 * Run:     multipart_forward [PUBLISHERS=tcp://127.0.0.1:5564] [SUBSCRIBERS=tcp://127.0.0.1:5565]
 *          then envelope_sub tcp://localhost:5565, and envelope_pub '>tcp://localhost:5564'
 * Expect:  at Ctrl-C, how many messages, of how many frames, and how many subscriptions have passed.
 */
#include "zhelpers.h"

/* Passes one message on; the number of its frames, or -1 if the program is to end. */
static int pass(void *from, void *to)
{
    int frames = 0, more = 1;
    while (more) {
        zmq_msg_t frame;
        zmq_msg_init(&frame);
        if (zmq_msg_recv(&frame, from, 0) < 0)
            return -1;
        more = zmq_msg_more(&frame);
        if (zmq_msg_send(&frame, to, more ? ZMQ_SNDMORE : 0) < 0) {
            zmq_msg_close(&frame);
            return -1;
        }
        frames++;
    }
    return frames;
}

int main(int argc, char **argv)
{
    long messages = 0, frames = 0, subscriptions = 0;
    void *context = zmq_ctx_new();
    s_shutdown_on_signals(context);
    void *publishers = zmq_socket(context, ZMQ_XSUB);
    void *subscribers = zmq_socket(context, ZMQ_XPUB);
    s_check(publishers && subscribers, "zmq_socket");
    s_bind(publishers, s_arg(argc, argv, 1, "tcp://127.0.0.1:5564"));
    s_bind(subscribers, s_arg(argc, argv, 2, "tcp://127.0.0.1:5565"));
    zmq_pollitem_t items[] = {{.socket = publishers, .events = ZMQ_POLLIN},
                              {.socket = subscribers, .events = ZMQ_POLLIN}};
    while (s_poll(items, 2, -1) > 0) {
        if (items[0].revents & ZMQ_POLLIN) {
            int passed = pass(publishers, subscribers);
            messages += passed > 0;
            frames += passed > 0 ? passed : 0;
        }
        if (items[1].revents & ZMQ_POLLIN)
            subscriptions += pass(subscribers, publishers) > 0;
    }
    printf("%ld messages of %ld frames, %ld subscriptions passed\n", messages, frames, subscriptions);
    zmq_close(publishers);
    zmq_close(subscribers);
    zmq_ctx_term(context);
    return 0;
}
