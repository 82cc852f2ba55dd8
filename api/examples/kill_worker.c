/* SPDX-License-Identifier: MIT */
/*
 * task_worker that can be told to go home: it polls its work and a control socket (PULL and SUB).
 *
 * Run:     kill_worker [NAME=worker] [VENTILATOR=tcp://localhost:5557] [SINK=tcp://localhost:5558]
 *                      [CONTROL=tcp://localhost:5559]
 *          with ventilator and kill_sink
 * Expect:  a line with how many tasks it did, when all are done.
 */
#include "zhelpers.h"

int main(int argc, char **argv)
{
    const char *name = s_arg(argc, argv, 1, "worker");
    void *context = zmq_ctx_new();
    s_shutdown_on_signals(context);
    void *receiver = zmq_socket(context, ZMQ_PULL);
    void *sender = zmq_socket(context, ZMQ_PUSH);
    void *control = zmq_socket(context, ZMQ_SUB);
    s_check(receiver && sender && control, "zmq_socket");
    s_connect(receiver, s_arg(argc, argv, 2, "tcp://localhost:5557"));
    s_connect(sender, s_arg(argc, argv, 3, "tcp://localhost:5558"));
    s_subscribe(control, "KILL");
    s_connect(control, s_arg(argc, argv, 4, "tcp://localhost:5559"));
    zmq_pollitem_t items[] = {{.socket = receiver, .events = ZMQ_POLLIN}, {.socket = control, .events = ZMQ_POLLIN}};
    long done = 0;
    bool killed = false;
    while (!killed && s_poll(items, 2, -1) > 0) {
        if (items[0].revents & ZMQ_POLLIN) {
            char *task = s_recv(receiver);
            s_sleep(task ? atoi(task) : 0); /* the work */
            done += s_sendf(sender, "done %s", name) >= 0;
            free(task);
        }
        killed = items[1].revents & ZMQ_POLLIN;
    }
    printf("%s: %ld tasks, %s\n", name, done, killed ? "told to go home" : "interrupted");
    zmq_close(receiver);
    zmq_close(sender);
    zmq_close(control);
    zmq_ctx_term(context);
    return 0;
}
