/* SPDX-License-Identifier: MIT */
/*
 * Collects the results of all workers and takes the time (PULL).
 *
 * Run:     task_sink [ENDPOINT=tcp://127.0.0.1:5558] [BATCHES=1]
 * Expect:  how long the batch took, and how many tasks each worker did: all about as many.
 */
#include "tally.h"

int main(int argc, char **argv)
{
    void *context = zmq_ctx_new();
    s_shutdown_on_signals(context);
    void *receiver = zmq_socket(context, ZMQ_PULL);
    s_check(receiver != NULL, "zmq_socket");
    s_bind(receiver, s_arg(argc, argv, 1, "tcp://127.0.0.1:5558"));
    int rc = 0;
    for (long batches = s_number(argc, argv, 2, 1); batches > 0 && rc == 0; batches--) {
        struct tally tally = {0};
        while (rc == 0 && !tally_is_whole(&tally)) {
            char *text = s_recv(receiver);
            if (text)
                tally_add(&tally, text);
            else
                rc = -1;
            free(text);
        }
        if (rc == 0)
            tally_print(&tally);
    }
    zmq_close(receiver);
    zmq_ctx_term(context);
    return 0;
}
