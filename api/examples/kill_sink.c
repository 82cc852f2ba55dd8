/* SPDX-License-Identifier: MIT */
/*
 * task_sink that sends its workers home when the batch is done (PULL and XPUB).
 *
 * Run:     kill_sink [WORKERS=1] [ENDPOINT=tcp://127.0.0.1:5558] [CONTROL=tcp://127.0.0.1:5559]
 * Expect:  what task_sink prints; then all workers end. It waits until all of them listen: one that came to the control
 *          socket after the signal would never go home.
 */
#include "tally.h"

int main(int argc, char **argv)
{
    struct tally tally = {0};
    void *context = zmq_ctx_new();
    s_shutdown_on_signals(context);
    void *receiver = zmq_socket(context, ZMQ_PULL);
    void *control = zmq_socket(context, ZMQ_XPUB);
    s_check(receiver && control, "zmq_socket");
    s_set(control, ZMQ_XPUB_VERBOSE, 1);
    s_bind(receiver, s_arg(argc, argv, 2, "tcp://127.0.0.1:5558"));
    s_bind(control, s_arg(argc, argv, 3, "tcp://127.0.0.1:5559"));
    int rc = s_await_subscribers(control, -1, "KILL", s_number(argc, argv, 1, 1));
    while (rc == 0 && !tally_is_whole(&tally)) {
        char *text = s_recv(receiver);
        if (text)
            tally_add(&tally, text);
        else
            rc = -1;
        free(text);
    }
    if (rc == 0) {
        tally_print(&tally);
        s_send(control, "KILL");
    }
    zmq_close(receiver);
    zmq_close(control);
    zmq_ctx_term(context);
    return 0;
}
