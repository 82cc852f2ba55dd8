/* SPDX-License-Identifier: MIT */
/*
 * Asks through a broker and learns who has answered (REQ): run several, with broker or broker_proxy and broker_worker.
 *
 * Run:     broker_client [BROKER=tcp://localhost:5559] [REQUESTS=10]
 * Expect:  how many answers it has got, and how many of them were wrong: the answer to another one's question. None are.
 */
#include "zhelpers.h"

int main(int argc, char **argv)
{
    long requests = s_number(argc, argv, 2, 10), answers = 0, wrong = 0;
    void *context = zmq_ctx_new();
    s_shutdown_on_signals(context);
    void *requester = zmq_socket(context, ZMQ_REQ);
    s_check(requester != NULL, "zmq_socket");
    s_set(requester, ZMQ_LINGER, 0); /* a question that nobody took holds nobody up at the end */
    s_connect(requester, s_arg(argc, argv, 1, "tcp://localhost:5559"));
    for (char *reply; answers < requests; free(reply)) {
        char question[64];
        snprintf(question, sizeof question, "question %ld of process %d", answers, getpid());
        s_send(requester, question);
        reply = s_recv(requester);
        if (!reply)
            break;
        answers++;
        wrong += strncmp(reply, question, strlen(question)) != 0; /* "question 1 of process 2, answered by anna" */
    }
    printf("%ld answers, %ld of them wrong\n", answers, wrong);
    zmq_close(requester);
    zmq_ctx_term(context);
    return 0;
}
