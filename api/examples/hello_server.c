/* SPDX-License-Identifier: MIT */
/*
 * A server that answers "World" to every "Hello" (REP).
 *
 * Run:     hello_server [ENDPOINT=tcp://127.0.0.1:5555] [REQUESTS=0: until Ctrl-C]
 * Expect:  a line for each request, and at the end how many there were. Start hello_client before it or after it: who
 *          connects waits for who binds.
 */
#include "zhelpers.h"

int main(int argc, char **argv)
{
    const char *endpoint = s_arg(argc, argv, 1, "tcp://127.0.0.1:5555");
    long requests = s_number(argc, argv, 2, 0), answered = 0;
    int signal_fd = s_catch_signals();
    void *context = zmq_ctx_new();
    void *responder = zmq_socket(context, ZMQ_REP);
    s_check(responder != NULL, "zmq_socket");
    s_bind(responder, endpoint);
    while ((!requests || answered < requests) && s_await(responder, signal_fd)) {
        char *request = s_recv(responder);
        if (!request)
            break;
        s_send(responder, "World");
        printf("Received %s, said World\n", request);
        free(request);
        answered++;
    }
    printf("%ld requests answered\n", answered);
    zmq_close(responder);
    zmq_ctx_term(context);
    return 0;
}
