/* SPDX-License-Identifier: MIT */
/*
 * From REP to PUB: whoever asks has his words published to all who listen, and is told how many times that was done.
 *
 * Run:     announcer [ASK=tcp://127.0.0.1:5555] [PUBLISH=tcp://127.0.0.1:5556] [LISTENERS=0]
 *          then envelope_sub with the key "news", then hello_client.
 * Expect:  it serves nobody before it has LISTENERS; each request comes out at every envelope_sub; at Ctrl-C "END" is
 *          published and the listeners go home.
 */
#include "zhelpers.h"

int main(int argc, char **argv)
{
    int signal_fd = s_catch_signals();
    void *context = zmq_ctx_new();
    void *responder = zmq_socket(context, ZMQ_REP);
    void *publisher = zmq_socket(context, ZMQ_XPUB);
    s_check(responder && publisher, "zmq_socket");
    s_set(publisher, ZMQ_XPUB_VERBOSE, 1);
    s_bind(publisher, s_arg(argc, argv, 2, "tcp://127.0.0.1:5556"));
    bool open = s_await_subscribers(publisher, signal_fd, "news", s_number(argc, argv, 3, 0)) == 0;
    s_bind(responder, s_arg(argc, argv, 1, "tcp://127.0.0.1:5555"));
    long announced = 0;
    while (open && s_await(responder, signal_fd)) {
        char *request = s_recv(responder);
        if (!request)
            break;
        s_sendmore(publisher, "news");
        s_send(publisher, request);
        s_sendf(responder, "announced as number %ld", ++announced);
        free(request);
    }
    printf("%ld announcements\n", announced);
    s_send(publisher, "END");
    zmq_close(responder);
    zmq_close(publisher);
    zmq_ctx_term(context);
    return 0;
}
