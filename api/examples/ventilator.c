/* SPDX-License-Identifier: MIT */
/*
 * Hands out a batch of tasks to workers that run in parallel (PUSH, PULL): ventilator, task_worker, task_sink.
 *
 * Run:     ventilator [WORKERS=1] [TASKS=100] [MS=100] [ENDPOINT=tcp://127.0.0.1:5557] [SINK=tcp://localhost:5558]
 *          An ENDPOINT that begins with '>' is connected to: that of a streamer. "-" for SINK: there is none.
 *          Each task is a number of milliseconds of work, 1 to MS, each as often as any other, in random order.
 * Expect:  it waits until that many workers are connected, since otherwise the first one would get everything, and until
 *          the sink is there, and prints what it has handed out. The sink tells how long all of it took: half the time
 *          with twice the workers.
 */
#include "zhelpers.h"

static void shuffle(int *loads, int count)
{
    for (int i = count - 1; i > 0; i--) {
        int other = randof(i + 1), load = loads[i];
        loads[i] = loads[other];
        loads[other] = load;
    }
}

/* Waits for the sink, which takes the time from then on. 0, or -1 if interrupted. */
static int tell_sink(void *context, const char *endpoint, int tasks)
{
    if (strcmp(endpoint, "-") == 0)
        return 0;
    void *sink = zmq_socket(context, ZMQ_PUSH);
    s_check(sink != NULL, "zmq_socket");
    void *monitor = s_watch_peers(context, sink);
    s_connect(sink, endpoint);
    int rc = s_await_peers(monitor, sink, 1);
    if (rc == 0)
        s_sendf(sink, "start %d", tasks);
    zmq_close(sink);
    return rc;
}

int main(int argc, char **argv)
{
    int workers = (int)s_number(argc, argv, 1, 1), tasks = (int)s_number(argc, argv, 2, 100);
    long most = s_number(argc, argv, 3, 100), total = 0;
    srandom((unsigned)(time(NULL) ^ getpid()));
    void *context = zmq_ctx_new();
    s_shutdown_on_signals(context);
    void *sender = zmq_socket(context, ZMQ_PUSH);
    s_check(sender != NULL, "zmq_socket");
    void *monitor = s_watch_peers(context, sender);
    s_attach(sender, s_arg(argc, argv, 4, "tcp://127.0.0.1:5557"));
    int *loads = calloc((size_t)tasks + 1, sizeof *loads);
    for (int n = 0; n < tasks; n++)
        loads[n] = (int)(n * most / tasks) + 1;
    shuffle(loads, tasks);
    if (s_await_peers(monitor, sender, workers) == 0 &&
        tell_sink(context, s_arg(argc, argv, 5, "tcp://localhost:5558"), tasks) == 0) {
        for (int n = 0; n < tasks && s_sendf(sender, "%d", loads[n]) >= 0; n++)
            total += loads[n];
        printf("%d tasks for %d workers, %ld ms of work\n", tasks, workers, total);
    }
    free(loads);
    zmq_close(sender);
    zmq_ctx_term(context);
    return 0;
}
