/* SPDX-License-Identifier: MIT */
/* A proxy in a thread of its own, fed and emptied by the test: what passes, what stops it, what it counts. */
#include "kit.h"

enum { COUNTERS = 8 };

/* Who talks to whom: source -> front | back -> sink, capture -> witness, handle <-> control. */
struct rig {
    void *context;
    void *source, *front, *back, *sink; /* the test's, the proxy's, the proxy's, the test's */
    void *capture, *witness;            /* NULL without capture */
    void *control, *handle;             /* NULL without control */
    struct kit_thread thread;           /* runs the proxy */
};

static void join(void *binder, void *connector)
{
    char text[KIT_ENDPOINT_SIZE];
    kit_bind(binder, "inproc", text);
    KIT_OK(zmq_connect(connector, text));
}

static int run(void *arg)
{
    struct rig *rig = arg;
    return rig->control ? zmq_proxy_steerable(rig->front, rig->back, rig->capture, rig->control)
                        : zmq_proxy(rig->front, rig->back, rig->capture);
}

static void rig_begin(struct rig *rig, int in, int out, bool captures, bool steers)
{
    *rig = (struct rig){.context = zmq_ctx_new()};
    rig->source = kit_socket(rig->context, in == ZMQ_PULL ? ZMQ_PUSH : ZMQ_PAIR);
    rig->front = kit_socket(rig->context, in);
    rig->back = kit_socket(rig->context, out);
    rig->sink = kit_socket(rig->context, out == ZMQ_PUSH ? ZMQ_PULL : ZMQ_PAIR);
    join(rig->front, rig->source);
    if (captures) {
        rig->capture = kit_socket(rig->context, ZMQ_PUSH);
        rig->witness = kit_socket(rig->context, ZMQ_PULL);
        join(rig->capture, rig->witness);
    }
    if (steers) {
        rig->control = kit_socket(rig->context, ZMQ_PAIR);
        rig->handle = kit_socket(rig->context, ZMQ_PAIR);
        join(rig->control, rig->handle);
    }
}

static void rig_end(struct rig *rig)
{
    void *const all[] = {rig->source,  rig->front,   rig->back,    rig->sink,
                         rig->capture, rig->witness, rig->control, rig->handle};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i])
            KIT_OK(zmq_close(all[i]));
    KIT_OK(zmq_ctx_term(rig->context));
}

static void stop_by_shutdown(struct rig *rig)
{
    KIT_OK(zmq_ctx_shutdown(rig->context));
    cr_assert_eq(kit_thread_join(&rig->thread), ETERM);
}

static void command(struct rig *rig, const char *name)
{
    kit_send_text(rig->handle, name, 0);
}

/* Also a sign that all commands before are obeyed, and that what was there before them has been dealt with. */
static void statistics(struct rig *rig, uint64_t counters[COUNTERS])
{
    for (int round = 0; round < 2; round++) {
        command(rig, "STATISTICS");
        for (int i = 0; i < COUNTERS; i++) {
            cr_assert_eq(zmq_recv(rig->handle, &counters[i], sizeof *counters, 0), (int)sizeof *counters);
            cr_assert_eq(kit_get(rig->handle, ZMQ_RCVMORE), i + 1 < COUNTERS);
        }
    }
}

static void expect_frames(void *socket)
{
    static const char *const frames[] = {"one", "two", "", "three"};
    static const int more[] = {0, 1, 1, 0};
    for (int i = 0; i < 4; i++) {
        kit_recv_text(socket, frames[i]);
        cr_assert_eq(kit_get(socket, ZMQ_RCVMORE), more[i], "frame %d", i);
    }
}

Test(proxy, passes_whole_messages_and_captures_them)
{
    struct rig rig;
    rig_begin(&rig, ZMQ_PULL, ZMQ_PUSH, true, false);
    join(rig.back, rig.sink);
    kit_thread_start(&rig.thread, run, &rig);
    for (int round = 0; round < 3; round++) {
        kit_send_text(rig.source, "one", 0);
        kit_send_text(rig.source, "two", ZMQ_SNDMORE);
        kit_send_text(rig.source, "", ZMQ_SNDMORE);
        kit_send_text(rig.source, "three", 0);
        expect_frames(rig.sink);
        expect_frames(rig.witness);
    }
    stop_by_shutdown(&rig);
    rig_end(&rig);
}

/* More than a burst, of sizes that take every way through a pipe. */
Test(proxy, a_stream_of_all_sizes)
{
    enum { MESSAGES = 2500 };
    static const size_t sizes[] = {0, 1, 33, 34, 5000, 30000};
    static uint8_t data[30000], got[30000];
    struct rig rig;
    rig_begin(&rig, ZMQ_PULL, ZMQ_PUSH, false, true);
    kit_set(rig.sink, ZMQ_RCVHWM, 0); /* none: all may lie there */
    join(rig.back, rig.sink);
    kit_thread_start(&rig.thread, run, &rig);
    uint64_t octets = 0, counters[COUNTERS];
    for (uint32_t i = 0; i < MESSAGES; i++) {
        size_t size = sizes[i % 6];
        kit_fill(data, size, i);
        KIT_OK(zmq_send(rig.source, data, size, 0));
        octets += size;
    }
    for (uint32_t i = 0; i < MESSAGES; i++) {
        size_t size = sizes[i % 6];
        cr_assert_eq(zmq_recv(rig.sink, got, sizeof got, 0), (int)size);
        cr_assert(kit_is_filled(got, size, i), "message %u", i);
    }
    statistics(&rig, counters);
    const uint64_t expected[COUNTERS] = {MESSAGES, octets, 0, 0, 0, 0, MESSAGES, octets};
    cr_assert_arr_eq(counters, expected, sizeof expected);
    stop_by_shutdown(&rig);
    rig_end(&rig);
}

Test(proxy, counts_frames_both_ways)
{
    struct rig rig;
    uint64_t counters[COUNTERS];
    rig_begin(&rig, ZMQ_PAIR, ZMQ_PAIR, true, true);
    join(rig.back, rig.sink);
    kit_thread_start(&rig.thread, run, &rig);
    kit_send_text(rig.source, "there", ZMQ_SNDMORE);
    kit_send_text(rig.source, "fore", 0);
    kit_recv_text(rig.sink, "there");
    kit_recv_text(rig.sink, "fore");
    kit_send_text(rig.sink, "back", 0);
    kit_recv_text(rig.source, "back");
    statistics(&rig, counters);
    static const uint64_t expected[COUNTERS] = {2, 9, 1, 4, 1, 4, 2, 9};
    cr_assert_arr_eq(counters, expected, sizeof expected);
    kit_recv_text(rig.witness, "there");
    kit_recv_text(rig.witness, "fore");
    kit_recv_text(rig.witness, "back");
    command(&rig, "TERMINATE");
    cr_assert_eq(kit_thread_join(&rig.thread), 0, "it returns 0");
    rig_end(&rig);
}

Test(proxy, is_steered)
{
    struct rig rig;
    uint64_t counters[COUNTERS];
    rig_begin(&rig, ZMQ_PULL, ZMQ_PUSH, false, true);
    join(rig.back, rig.sink);
    kit_thread_start(&rig.thread, run, &rig);
    command(&rig, "PAUSE");
    statistics(&rig, counters);
    kit_send_text(rig.source, "held", 0);
    statistics(&rig, counters);
    cr_assert_eq(counters[0], 0, "a paused one takes nothing");
    cr_assert_not(kit_readable(rig.sink, 0));
    command(&rig, "RESUME");
    kit_recv_text(rig.sink, "held");
    static const char *const unknown[] = {"pause", "PAUSE ", "PAUS", "", "a command longer than all that there are"};
    for (int i = 0; i < 5; i++)
        command(&rig, unknown[i]);
    kit_send_text(rig.handle, "TERMINATE", ZMQ_SNDMORE); /* of two frames, so no command */
    kit_send_text(rig.handle, "TERMINATE", 0);
    kit_send_text(rig.source, "goes on", 0);
    kit_recv_text(rig.sink, "goes on");
    statistics(&rig, counters);
    cr_assert_eq(counters[0], 2);
    command(&rig, "PAUSE");
    command(&rig, "TERMINATE");
    cr_assert_eq(kit_thread_join(&rig.thread), 0);
    cr_assert_not(kit_readable(rig.handle, 0), "a PAIR gets no empty replies");
    rig_end(&rig);
}

/* What cannot be sent on is not taken: it is the source that feels it. */
Test(proxy, keeps_back_pressure)
{
    struct rig rig;
    uint64_t counters[COUNTERS];
    char text[KIT_ENDPOINT_SIZE];
    rig_begin(&rig, ZMQ_PULL, ZMQ_PUSH, false, true);
    kit_bind(rig.back, "inproc", text);
    kit_thread_start(&rig.thread, run, &rig);
    kit_send_text(rig.source, "first", 0);
    statistics(&rig, counters);
    cr_assert_eq(counters[0], 0, "nobody to pass it to");
    int accepted = 1;
    while (zmq_send(rig.source, "x", 1, ZMQ_DONTWAIT) == 1)
        accepted++;
    cr_assert_eq(errno, EAGAIN);
    cr_assert_eq(accepted, 2000, "both sockets' limits, and nothing in between");
    KIT_OK(zmq_connect(rig.sink, text));
    kit_recv_text(rig.sink, "first");
    for (int i = 1; i < accepted; i++)
        kit_recv_text(rig.sink, "x");
    stop_by_shutdown(&rig);
    rig_end(&rig);
}

Test(proxy, one_socket_echoes)
{
    struct rig rig;
    rig_begin(&rig, ZMQ_PAIR, ZMQ_PAIR, true, false);
    void *unused = rig.back;
    rig.back = rig.front;
    kit_thread_start(&rig.thread, run, &rig);
    for (int i = 0; i < 3; i++) {
        kit_send_text(rig.source, "hello", ZMQ_SNDMORE);
        kit_send_text(rig.source, "echo", 0);
        kit_recv_text(rig.source, "hello");
        kit_recv_text(rig.source, "echo");
        kit_recv_text(rig.witness, "hello");
        kit_recv_text(rig.witness, "echo");
    }
    stop_by_shutdown(&rig);
    rig.back = unused;
    rig_end(&rig);
}

static int run_device(void *arg)
{
    struct rig *rig = arg;
    return zmq_device(-1, rig->front, rig->back);
}

Test(proxy, a_device_is_one)
{
    struct rig rig;
    rig_begin(&rig, ZMQ_PULL, ZMQ_PUSH, false, false);
    join(rig.back, rig.sink);
    kit_thread_start(&rig.thread, run_device, &rig);
    kit_send_text(rig.source, "old", 0);
    kit_recv_text(rig.sink, "old");
    stop_by_shutdown(&rig);
    rig_end(&rig);
}

Test(proxy, refuses_what_is_no_socket)
{
    struct rig rig;
    rig_begin(&rig, ZMQ_PULL, ZMQ_PUSH, false, true);
    KIT_FAILS(EFAULT, zmq_proxy(NULL, rig.back, NULL));
    KIT_FAILS(EFAULT, zmq_proxy(rig.front, NULL, NULL));
    KIT_FAILS(EFAULT, zmq_proxy_steerable(NULL, NULL, NULL, rig.control));
    KIT_FAILS(EFAULT, zmq_device(ZMQ_QUEUE, NULL, rig.back));
    KIT_FAILS(ENOTSOCK, zmq_proxy(rig.context, rig.back, NULL));
    KIT_FAILS(ENOTSOCK, zmq_proxy(rig.front, rig.context, NULL));
    KIT_FAILS(ENOTSOCK, zmq_proxy_steerable(rig.front, rig.back, NULL, rig.context));
    rig_end(&rig);
}

/* The first socket call that fails ends it with its errno: here a capture that cannot send at all. */
Test(proxy, ends_with_the_errno_of_what_failed)
{
    struct rig rig;
    rig_begin(&rig, ZMQ_PULL, ZMQ_PUSH, false, false);
    join(rig.back, rig.sink);
    rig.capture = kit_socket(rig.context, ZMQ_PULL);
    kit_send_text(rig.source, "a", 0);
    KIT_FAILS(ENOTSUP, run(&rig));
    rig_end(&rig);
}

/* As PAIR counts frames, whichever way they went through: copied, or handed over. */
Test(proxy, statistics_are_exact)
{
    static const size_t sizes[] = {0, 1, 255, 256, 4096, 20000, 20001, 100000};
    enum { SIZES = sizeof sizes / sizeof *sizes };
    static uint8_t data[100000], got[100000];
    struct rig rig;
    uint64_t counters[COUNTERS], octets[2] = {0}, frames[2] = {0};
    rig_begin(&rig, ZMQ_PAIR, ZMQ_PAIR, true, true);
    join(rig.back, rig.sink);
    kit_thread_start(&rig.thread, run, &rig);
    for (uint32_t i = 0; i < 120; i++) {
        int way = i % 3 == 0;
        void *from = way ? rig.sink : rig.source, *to = way ? rig.source : rig.sink;
        for (uint32_t part = 0; part <= i % 4; part++) {
            size_t size = sizes[(i + part) % SIZES];
            kit_fill(data, size, i + part);
            KIT_OK(zmq_send(from, data, size, part < i % 4 ? ZMQ_SNDMORE : 0));
            octets[way] += size;
            frames[way]++;
        }
        for (uint32_t part = 0; part <= i % 4; part++) {
            void *const ends[] = {to, rig.witness};
            for (int end = 0; end < 2; end++) {
                size_t size = sizes[(i + part) % SIZES];
                cr_assert_eq(zmq_recv(ends[end], got, sizeof got, 0), (int)size, "message %u, part %u", i, part);
                cr_assert(kit_is_filled(got, size, i + part), "message %u, part %u", i, part);
                cr_assert_eq(kit_get(ends[end], ZMQ_RCVMORE), part < i % 4);
            }
        }
    }
    statistics(&rig, counters);
    const uint64_t expected[COUNTERS] = {frames[0], octets[0], frames[1], octets[1],
                                         frames[1], octets[1], frames[0], octets[0]};
    cr_assert_arr_eq(counters, expected, sizeof expected);
    command(&rig, "TERMINATE");
    cr_assert_eq(kit_thread_join(&rig.thread), 0);
    rig_end(&rig);
}

/* One side full, with copied and with large messages: neither is anything taken, nor does the other way stand still. */
Test(proxy, a_full_side_does_not_hold_up_the_other_way)
{
    static uint8_t data[50000];
    for (int large = 0; large < 2; large++) {
        size_t size = large ? sizeof data : 10;
        struct rig rig;
        uint64_t counters[COUNTERS];
        rig_begin(&rig, ZMQ_PAIR, ZMQ_PAIR, false, true);
        kit_set(rig.back, ZMQ_SNDHWM, 5);
        kit_set(rig.sink, ZMQ_RCVHWM, 5);
        join(rig.back, rig.sink);
        kit_thread_start(&rig.thread, run, &rig);
        for (int i = 0; i < 100; i++)
            KIT_OK(zmq_send(rig.source, data, size, 0));
        for (int i = 0; i < 1000; i++) {
            kit_send_text(rig.sink, "back", 0);
            kit_recv_text(rig.source, "back");
        }
        statistics(&rig, counters);
        cr_assert_eq(counters[0], 10, "%d taken: both limits, and none in between", (int)counters[0]);
        cr_assert_eq(counters[2], 1000);
        for (int i = 0; i < 100; i++)
            cr_assert_eq(zmq_recv(rig.sink, data, sizeof data, 0), (int)size);
        stop_by_shutdown(&rig);
        rig_end(&rig);
    }
}

struct busy {
    struct rig rig;
    uint64_t cpu_ns; /* of the thread that ran the proxy */
};

static int run_measured(void *arg)
{
    struct busy *busy = arg;
    struct timespec used;
    int result = run(&busy->rig);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    busy->cpu_ns = (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
    return result;
}

/* Its POLLOUT says nothing of room. */
Test(proxy, sleeps_while_an_xpub_waits_for_its_subscriber)
{
    enum { COUNT = 100 };
    struct busy busy = {.rig = {.context = zmq_ctx_new()}};
    struct rig *rig = &busy.rig;
    rig->source = kit_socket(rig->context, ZMQ_PUSH);
    rig->front = kit_socket(rig->context, ZMQ_PULL);
    rig->back = kit_socket(rig->context, ZMQ_XPUB);
    rig->sink = kit_socket(rig->context, ZMQ_SUB);
    kit_set(rig->back, ZMQ_SNDHWM, 5);
    kit_set(rig->back, ZMQ_XPUB_NODROP, 1);
    kit_set(rig->sink, ZMQ_RCVHWM, 5);
    KIT_OK(zmq_setsockopt(rig->sink, ZMQ_SUBSCRIBE, "", 0));
    join(rig->front, rig->source);
    join(rig->back, rig->sink);
    char request[1];
    cr_assert_eq(zmq_recv(rig->back, request, 1, 0), 1);
    kit_thread_start(&rig->thread, run_measured, &busy);
    for (int i = 0; i < COUNT; i++)
        KIT_OK(zmq_send(rig->source, &i, sizeof i, 0));
    cr_assert_eq(zmq_poll(NULL, 0, 500), 0); /* in which it could be busy */
    for (int i = 0, got; i < COUNT; i++) {
        cr_assert_eq(zmq_recv(rig->sink, &got, sizeof got, 0), (int)sizeof got);
        cr_assert_eq(got, i);
    }
    stop_by_shutdown(rig);
    cr_assert_lt(busy.cpu_ns, 250000000u);
    rig_end(rig);
}
