/* SPDX-License-Identifier: MIT */
/*
 * Says "Hello" to a server and waits for the answer, several times (REQ).
 *
 * Run:     hello_client [ENDPOINT=tcp://localhost:5555] [REQUESTS=10]
 * Expect:  a line for each answer. The server may come later, and it may be restarted meanwhile: what a server took with
 *          it into its grave is asked again. Three things make that work: a limit for the wait (RCVTIMEO), the leave to
 *          ask again before the answer (REQ_RELAXED), and a number on each request, so that the answer to one that was
 *          given up is not taken for the answer to the next (REQ_CORRELATE).
 */
#include "zhelpers.h"

enum { PATIENCE_MS = 500 };

/* Asks until there is an answer, which the caller frees; NULL if interrupted. */
static char *ask(void *requester, long *repeated)
{
    for (;; ++*repeated) {
        char *reply = s_send(requester, "Hello") >= 0 ? s_recv(requester) : NULL;
        if (reply || zmq_errno() != EAGAIN)
            return reply;
    }
}

int main(int argc, char **argv)
{
    const char *endpoint = s_arg(argc, argv, 1, "tcp://localhost:5555");
    long requests = s_number(argc, argv, 2, 10), answers = 0, repeated = 0;
    void *context = zmq_ctx_new();
    s_shutdown_on_signals(context);
    void *requester = zmq_socket(context, ZMQ_REQ);
    s_check(requester != NULL, "zmq_socket");
    s_set(requester, ZMQ_RCVTIMEO, PATIENCE_MS);
    s_set(requester, ZMQ_REQ_RELAXED, 1);
    s_set(requester, ZMQ_REQ_CORRELATE, 1);
    s_set(requester, ZMQ_LINGER, 0); /* a request that was given up holds nobody up at the end */
    s_connect(requester, endpoint);
    for (char *reply; answers < requests && (reply = ask(requester, &repeated)); free(reply)) {
        printf("Hello %ld: %s\n", ++answers, reply);
        fflush(stdout);
    }
    printf("%ld answers, %ld questions asked again\n", answers, repeated);
    zmq_close(requester);
    zmq_ctx_term(context);
    return 0;
}
