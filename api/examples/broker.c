/* SPDX-License-Identifier: MIT */
/*
 * Stands between clients and workers, by hand: passes requests on from a ROUTER to a DEALER, and replies back.
 *
 * Run:     broker [CLIENTS=tcp://127.0.0.1:5559] [WORKERS=tcp://127.0.0.1:5560]
 *          with any number of broker_client and broker_worker, which come and go.
 * Expect:  at Ctrl-C, how many requests and replies have passed. broker_proxy does the same in one call.
 *
 * ROUTER puts before each request who asked, DEALER hands out in turn, and the reply carries back who asked. All frames
 * of a message are passed on, with the flag that says whether more of them follow.
 */
#include "zhelpers.h"

/* Passes one message on, frame by frame. 0, or -1 if the program is to end. */
static int pass(void *from, void *to)
{
    int more = 1;
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
    }
    return 0;
}

int main(int argc, char **argv)
{
    long requests = 0, replies = 0;
    void *context = zmq_ctx_new();
    s_shutdown_on_signals(context);
    void *frontend = zmq_socket(context, ZMQ_ROUTER);
    void *backend = zmq_socket(context, ZMQ_DEALER);
    s_check(frontend && backend, "zmq_socket");
    s_bind(frontend, s_arg(argc, argv, 1, "tcp://127.0.0.1:5559"));
    s_bind(backend, s_arg(argc, argv, 2, "tcp://127.0.0.1:5560"));
    zmq_pollitem_t items[] = {{.socket = frontend, .events = ZMQ_POLLIN}, {.socket = backend, .events = ZMQ_POLLIN}};
    while (s_poll(items, 2, -1) > 0) {
        if (items[0].revents & ZMQ_POLLIN)
            requests += pass(frontend, backend) == 0;
        if (items[1].revents & ZMQ_POLLIN)
            replies += pass(backend, frontend) == 0;
    }
    printf("%ld requests and %ld replies passed\n", requests, replies);
    zmq_close(frontend);
    zmq_close(backend);
    zmq_ctx_term(context);
    return 0;
}
