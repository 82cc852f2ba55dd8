/* SPDX-License-Identifier: MIT */
/*
 * Answers what a broker passes to it (REP): it connects, so workers can come and go.
 *
 * Run:     broker_worker [NAME=worker] [BROKER=tcp://localhost:5560]
 * Expect:  at Ctrl-C, how many questions it has answered: all workers about as many.
 */
#include "zhelpers.h"

int main(int argc, char **argv)
{
    const char *name = s_arg(argc, argv, 1, "worker");
    long answered = 0;
    void *context = zmq_ctx_new();
    s_shutdown_on_signals(context);
    void *responder = zmq_socket(context, ZMQ_REP);
    s_check(responder != NULL, "zmq_socket");
    s_connect(responder, s_arg(argc, argv, 2, "tcp://localhost:5560"));
    for (char *question; (question = s_recv(responder)); free(question))
        answered += s_sendf(responder, "%s, answered by %s", question, name) >= 0;
    printf("%s: %ld answered\n", name, answered);
    zmq_close(responder);
    zmq_ctx_term(context);
    return 0;
}
