/* SPDX-License-Identifier: MIT */
/*
 * Reads from two sockets with zmq_poll: sleeps until one of them has something, and treats both alike.
 *
 * Run:     reader_poll [VENTILATOR=tcp://localhost:5557] [WEATHER=tcp://localhost:5556] [ZIP=10001] [TASKS=100]
 * Expect:  how many tasks and updates it read; it ends after TASKS and the weather's "END".
 */
#include "zhelpers.h"

int main(int argc, char **argv)
{
    const char *zip = s_arg(argc, argv, 3, "10001");
    long tasks = s_number(argc, argv, 4, 100), tasks_read = 0, updates = 0;
    bool weather_ended = false;
    void *context = zmq_ctx_new();
    s_shutdown_on_signals(context);
    void *receiver = zmq_socket(context, ZMQ_PULL);
    void *subscriber = zmq_socket(context, ZMQ_SUB);
    s_check(receiver && subscriber, "zmq_socket");
    s_connect(receiver, s_arg(argc, argv, 1, "tcp://localhost:5557"));
    s_subscribe(subscriber, "END");
    s_subscribe(subscriber, zip);
    s_connect(subscriber, s_arg(argc, argv, 2, "tcp://localhost:5556"));
    zmq_pollitem_t items[] = {{.socket = receiver, .events = ZMQ_POLLIN}, {.socket = subscriber, .events = ZMQ_POLLIN}};
    while ((tasks_read < tasks || !weather_ended) && s_poll(items, 2, -1) > 0) {
        if (items[0].revents & ZMQ_POLLIN) {
            free(s_recv(receiver));
            tasks_read++;
        }
        if (items[1].revents & ZMQ_POLLIN) {
            char *update = s_recv(subscriber);
            if (update && strcmp(update, "END") == 0)
                weather_ended = true;
            else
                updates++;
            free(update);
        }
    }
    printf("%ld tasks, %ld updates of %s\n", tasks_read, updates, zip);
    zmq_close(receiver);
    zmq_close(subscriber);
    zmq_ctx_term(context);
    return 0;
}
