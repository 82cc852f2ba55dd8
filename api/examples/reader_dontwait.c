/* SPDX-License-Identifier: MIT */
/*
 * Reads from two sockets the simple way: takes what is there from one, then from the other, without waiting.
 *
 * Run:     reader_dontwait [VENTILATOR=tcp://localhost:5557] [WEATHER=tcp://localhost:5556] [ZIP=10001] [TASKS=100]
 * Expect:  how many tasks and updates it read; it ends after TASKS and the weather's "END".
 *
 * Tasks come first: the weather is read only when there is no task. When neither has anything, nothing can tell that
 * something came, so it rests for a millisecond, which is the price of this way. reader_poll does not pay it.
 */
#include "zhelpers.h"

struct reading {
    long tasks, updates; /* read so far */
    bool weather_ended;
};

/* Takes all tasks there are; true if there were any. */
static bool read_tasks(void *receiver, struct reading *reading)
{
    long before = reading->tasks;
    for (char *task; (task = s_recv_flags(receiver, ZMQ_DONTWAIT)); free(task))
        reading->tasks++;
    return reading->tasks > before;
}

/* Takes one update; true if there was one. */
static bool read_weather(void *subscriber, struct reading *reading)
{
    char *update = s_recv_flags(subscriber, ZMQ_DONTWAIT);
    if (!update)
        return false;
    if (strcmp(update, "END") == 0)
        reading->weather_ended = true;
    else
        reading->updates++;
    free(update);
    return true;
}

int main(int argc, char **argv)
{
    const char *zip = s_arg(argc, argv, 3, "10001");
    long tasks = s_number(argc, argv, 4, 100);
    struct reading reading = {0};
    s_catch_signals();
    void *context = zmq_ctx_new();
    void *receiver = zmq_socket(context, ZMQ_PULL);
    void *subscriber = zmq_socket(context, ZMQ_SUB);
    s_check(receiver && subscriber, "zmq_socket");
    s_connect(receiver, s_arg(argc, argv, 1, "tcp://localhost:5557"));
    s_subscribe(subscriber, "END");
    s_subscribe(subscriber, zip);
    s_connect(subscriber, s_arg(argc, argv, 2, "tcp://localhost:5556"));
    while (!s_interrupted && (reading.tasks < tasks || !reading.weather_ended)) {
        bool any = read_tasks(receiver, &reading);
        any |= read_weather(subscriber, &reading);
        if (!any)
            s_sleep(1);
    }
    printf("%ld tasks, %ld updates of %s\n", reading.tasks, reading.updates, zip);
    zmq_close(receiver);
    zmq_close(subscriber);
    zmq_ctx_term(context);
    return 0;
}
