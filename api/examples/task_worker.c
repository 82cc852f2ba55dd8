/* SPDX-License-Identifier: MIT */
/*
 * Does the tasks of the ventilator and tells the sink of each: run several.
 *
 * Run:     task_worker [NAME=worker] [VENTILATOR=tcp://localhost:5557] [SINK=tcp://localhost:5558]
 * Expect:  nothing but a line at the end, which comes with Ctrl-C; kill_worker is one that can be told to go home.
 */
#include "zhelpers.h"

int main(int argc, char **argv)
{
    const char *name = s_arg(argc, argv, 1, "worker");
    void *context = zmq_ctx_new();
    s_shutdown_on_signals(context);
    void *receiver = zmq_socket(context, ZMQ_PULL);
    void *sender = zmq_socket(context, ZMQ_PUSH);
    s_check(receiver && sender, "zmq_socket");
    s_connect(receiver, s_arg(argc, argv, 2, "tcp://localhost:5557"));
    s_connect(sender, s_arg(argc, argv, 3, "tcp://localhost:5558"));
    long done = 0;
    for (char *task; (task = s_recv(receiver)); free(task)) {
        s_sleep(atoi(task)); /* the work */
        done += s_sendf(sender, "done %s", name) >= 0;
    }
    printf("%s: %ld tasks\n", name, done);
    zmq_close(receiver);
    zmq_close(sender);
    zmq_ctx_term(context);
    return 0;
}
