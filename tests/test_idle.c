/* SPDX-License-Identifier: MIT */
#include "kit.h"

#include <dirent.h>
#include <sys/timerfd.h>

/* The sum over all threads but this one of how often they went to sleep. */
static unsigned long others_switches(int *ret_threads)
{
    DIR *tasks = opendir("/proc/self/task");
    unsigned long sum = 0;
    *ret_threads = 0;
    for (struct dirent *entry; (entry = readdir(tasks)) != NULL;) {
        char path[300], line[128];
        unsigned long switches;
        int tid = atoi(entry->d_name);
        if (tid == 0 || tid == (int)syscall(SYS_gettid))
            continue;
        snprintf(path, sizeof path, "/proc/self/task/%d/status", tid);
        FILE *status = fopen(path, "r");
        while (status && fgets(line, sizeof line, status))
            if (sscanf(line, "voluntary_ctxt_switches: %lu", &switches) == 1)
                sum += switches;
        if (status)
            fclose(status);
        ++*ret_threads;
    }
    closedir(tasks);
    return sum;
}

static void wait_ms(int timer, long ms)
{
    uint64_t fired;
    struct itimerspec length = {.it_value = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}};
    timerfd_settime(timer, 0, &length, NULL);
    cr_assert_eq(read(timer, &fired, sizeof fired), (ssize_t)sizeof fired);
}

/* Whatever was still to settle has a while; then, for a whole second, no thread wakes up. */
static void expect_silence(const char *what, int threads_wanted)
{
    int timer = timerfd_create(CLOCK_MONOTONIC, 0), threads;
    wait_ms(timer, 700);
    unsigned long before = others_switches(&threads);
    cr_assert_geq(threads, threads_wanted);
    wait_ms(timer, 1000);
    cr_assert_eq(others_switches(&threads), before, "%s wakes up", what);
    close(timer);
}

Test(idle, connected_pairs)
{
    struct kit_pair pairs[KIT_TRANSPORTS];
    static uint8_t large[1 << 20];
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        pairs[t] = kit_pair(kit_transports[t], ZMQ_PUSH, ZMQ_PULL);
        kit_get(pairs[t].to, ZMQ_FD);
        for (int i = 0; i < 20; i++) { /* a burst, whose memory is to be given back */
            KIT_OK(zmq_send(pairs[t].from, large, sizeof large, 0));
            cr_assert_eq(zmq_recv(pairs[t].to, large, sizeof large, 0), (int)sizeof large);
        }
        for (int i = 0; i < 1000; i++)
            kit_send_text(pairs[t].from, "unread", 0);
    }
    expect_silence("a connected pair", 3);
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        kit_recv_text(pairs[t].to, "unread");
        kit_pair_end(&pairs[t]);
    }
}

static int call_recv(void *socket)
{
    char byte;
    return zmq_recv(socket, &byte, 1, 0);
}

static int call_poll(void *socket)
{
    zmq_pollitem_t items[2] = {{.socket = socket, .events = ZMQ_POLLIN}, {.fd = -1}};
    return zmq_poll(items, 2, -1);
}

Test(idle, blocked_calls)
{
    struct kit_pair pairs[2] = {kit_pair("tcp", ZMQ_PUSH, ZMQ_PULL), kit_pair("ipc", ZMQ_PUSH, ZMQ_PULL)};
    struct kit_thread threads[2];
    for (int i = 0; i < 2; i++) {
        kit_send_text(pairs[i].from, "hello", 0);
        kit_recv_text(pairs[i].to, "hello");
    }
    kit_thread_start(&threads[0], call_recv, pairs[0].to);
    kit_thread_start(&threads[1], call_poll, pairs[1].to);
    expect_silence("a blocked call", 4);
    for (int i = 0; i < 2; i++) {
        kit_send_text(pairs[i].from, "x", 0);
        cr_assert_eq(kit_thread_join(&threads[i]), 0);
        kit_pair_end(&pairs[i]);
    }
}

/* A sender that has filled everything, and one that waits for a listener without retrying. */
Test(idle, full_and_waiting)
{
    struct kit_pair pair = kit_pair("tcp", ZMQ_PUSH, ZMQ_PULL);
    static uint8_t large[1 << 20];
    kit_set(pair.from, ZMQ_SNDHWM, 10);
    kit_set(pair.from, ZMQ_SNDTIMEO, 200);
    while (zmq_send(pair.from, large, sizeof large, 0) >= 0)
        continue;
    void *from = kit_socket(pair.context, ZMQ_PUSH);
    KIT_OK(zmq_connect(from, "inproc://nobody"));
    kit_send_text(from, "early", 0);
    expect_silence("a full pipe", 1);
    KIT_OK(zmq_close(from));
    kit_pair_end(&pair);
}
