/* SPDX-License-Identifier: MIT */
/*
 * The outlet: an application and a shard on threads of their own hand a pipe's bytes to a kernel that takes them as it
 * likes. What comes out is what went in, in order, and never do both send at once.
 */
#include "link/outlet.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>

#include "flow.h"
#include "flow/pipe_drain.h"
#include "io/driver.h"

enum { SINK_MAX = 64 * 1024 * 1024, PATIENCE = 1000000 };

/* A kernel that keeps everything. */
struct sink {
    struct zu_driver driver; /* the seam */
    uint8_t *bytes;          /* what it took */
    size_t size;             /* how much */
    _Atomic bool is_in_use;  /* somebody sends */
    struct chance chance;    /* whoever sends: how much it takes */
    unsigned patient;        /* sends that would have waited */
    bool is_full;            /* it takes nothing */
    bool trickles;           /* it takes little, each time */
    bool is_rung;            /* a signal comes while somebody waits for it */
    uint64_t now_ns;         /* its clock */
};

static struct sink sink;
static struct ear near, far;
static struct zu_peer *peer;

static void rest(uint64_t ns)
{
    _Atomic uint32_t nobody = 0;
    zu_futex_wait(&nobody, 0, zu_clock_ns() + ns);
}

static ssize_t sink_take(const struct iovec *pieces, size_t count)
{
    size_t taken = 0, room = SIZE_MAX;
    if (sink.is_full || sink.trickles)
        room = sink.is_full ? 0 : 16;
    else if (!chance_below(&sink.chance, 3))
        room = chance_below(&sink.chance, 90000);
    cr_assert_not(atomic_exchange(&sink.is_in_use, true), "both send");
    for (size_t i = 0; i < count && taken < room; i++) {
        size_t size = pieces[i].iov_len < room - taken ? pieces[i].iov_len : room - taken;
        cr_assert_leq(sink.size + size, SINK_MAX);
        memcpy(sink.bytes + sink.size, pieces[i].iov_base, size);
        sink.size += size;
        taken += size;
    }
    chance_spin(&sink.chance);
    atomic_store(&sink.is_in_use, false);
    return taken ? (ssize_t)taken : -EAGAIN;
}

static ssize_t send_now(struct zu_driver *driver, int fd, const struct msghdr *message, uint64_t patience_ns)
{
    (void)driver;
    cr_assert_eq(fd, 7);
    cr_assert(zu_outlet_is_applications(&peer->outlet));
    sink.patient += patience_ns > 0;
    if (sink.is_rung && patience_ns)
        return -EINTR;
    return sink_take(message->msg_iov, message->msg_iovlen);
}

static uint64_t now_ns(struct zu_driver *driver)
{
    (void)driver;
    return sink.now_ns;
}

static const struct zu_driver_ops sink_ops = {.name = "sink", .send_now = send_now, .now_ns = now_ns};

static void no_event(struct zu_peer *at)
{
    (void)at;
}

static void begin(uint64_t hwm)
{
    static const struct zu_peer_events events = {no_event, no_event, no_event, no_event, no_event, no_event, no_event};
    static const struct zu_far_events far_events = {.readable = no_event, .writable = no_event};
    sink = (struct sink){.driver.ops = &sink_ops, .bytes = malloc(SINK_MAX), .chance = chance_new("outlet")};
    ear_init(&near);
    ear_init(&far);
    peer = zu_peer_new(hwm, 0);
    zu_peer_set_near(peer, NULL, &events, &near.box);
    zu_peer_set_far(peer, NULL, &zu_outlet_peer_ops, &far_events, &far.box);
    zu_outlet_open(&peer->outlet, &sink.driver, 7);
}

static void end(void)
{
    cr_assert(zu_outlet_close(&peer->outlet));
    zu_peer_abandon(peer);
    free(sink.bytes);
}

/* The sink holds the messages 0 to count - 1, each of its number's size and contents. */
static size_t size_of_message(uint64_t n)
{
    return n % 97 ? 8 + n % 500 : n % 970 ? 5000 : LARGE_SIZE;
}

static void message_fill(uint8_t *body, uint64_t n)
{
    memset(body, (int)(n % 251), size_of_message(n));
    memcpy(body, &n, sizeof n);
}

static void expect_messages(uint64_t count)
{
    static uint8_t body[LARGE_SIZE];
    size_t at = 0;
    for (uint64_t n = 0; n < count; n++) {
        struct zu_frame_head head = {0};
        cr_assert_eq(zu_frame_decode(sink.bytes + at, sink.size - at, &head), 1);
        cr_assert_eq(head.size, size_of_message(n), "message %llu", (unsigned long long)n);
        message_fill(body, n);
        cr_assert_arr_eq(sink.bytes + at + head.head_size, body, head.size);
        at += head.head_size + head.size;
    }
    cr_assert_eq(at, sink.size, "bytes behind the last message");
}

/* As a shard does it: takes, points at what there is, sends a while, accounts, gives. True: there was something. */
static bool shard_sends(struct chance *chance)
{
    struct iovec pieces[8];
    size_t bytes;
    if (!zu_outlet_take(&peer->outlet))
        return true;
    int count = zu_pipe_gather(peer->out, pieces, 8, 100000, ZU_GATHER_STAY_AWAKE, &bytes);
    if (count > 0) {
        for (uint64_t busy = chance_below(chance, 4); busy; busy--)
            sched_yield();
        if (!chance_below(chance, 200))
            rest(2 * PATIENCE); /* longer than anybody's patience */
        ssize_t sent = sink_take(pieces, (size_t)count);
        if (sent > 0)
            zu_pipe_handed(peer->out, (size_t)sent);
    }
    zu_outlet_give(&peer->outlet);
    return count > 0;
}

static _Atomic bool is_over;

static void *shard_run(void *arg)
{
    struct chance *chance = arg;
    while (!atomic_load(&is_over)) {
        zu_mailbox_run(&far.box);
        shard_sends(chance);
        chance_spin(chance);
    }
    return NULL;
}

static void application_sends(uint64_t n, struct chance *chance)
{
    static uint8_t body[LARGE_SIZE];
    size_t size = size_of_message(n);
    message_fill(body, n);
    uint64_t patience_ns = chance_below(chance, 3) ? PATIENCE : 0;
    if (size <= ZU_PIPE_COPY_MAX || !zu_outlet_peer_ops.send_large(peer, body, size, patience_ns))
        cr_assert_eq(zu_pipe_write(peer->out, body, size, false), 0);
    if (!chance_below(chance, 5))
        zu_outlet_peer_ops.flush(peer, patience_ns);
}

Test(outlet, two_threads_send_everything_once_and_in_order, .timeout = 60)
{
    enum { MESSAGES = 60000 };
    begin(0);
    struct chance chance = chance_new("outlet application"), shards = chance_new("outlet shard");
    pthread_t thread;
    pthread_create(&thread, NULL, shard_run, &shards);
    for (uint64_t n = 0; n < MESSAGES; n++)
        application_sends(n, &chance);
    uint64_t until_ns = zu_clock_ns() + PATIENCE_NS;
    while (zu_pipe_count(peer->out).held)
        cr_assert_lt(zu_clock_ns(), until_ns, "%llu are left", (unsigned long long)zu_pipe_count(peer->out).held);
    atomic_store(&is_over, true);
    pthread_join(thread, NULL);
    expect_messages(MESSAGES);
    cr_assert_gt(sink.patient, 100u);
    end();
}

Test(outlet, a_full_kernel_is_waited_for_and_then_told_to_the_shard)
{
    begin(0);
    sink.is_full = true;
    cr_assert_eq(zu_pipe_write(peer->out, "x", 1, false), 0);
    zu_outlet_peer_ops.flush(peer, PATIENCE);
    cr_assert_eq(sink.patient, 1u);
    cr_assert(peer->out_stalled_ns);
    cr_assert(peer->far_wanted_posted);
    sink.is_full = false;
    zu_outlet_peer_ops.flush(peer, 0);
    cr_assert_not(peer->out_stalled_ns, "it flows again");
    cr_assert_eq(zu_pipe_count(peer->out).held, 0u);
    zu_mailbox_run(&far.box);
    end();
}

Test(outlet, a_signal_ends_the_wait_and_is_told)
{
    begin(0);
    sink.is_rung = true;
    cr_assert_eq(zu_pipe_write(peer->out, "x", 1, false), 0);
    zu_outlet_peer_ops.flush(peer, 0);
    cr_assert_not(peer->out_interrupted, "nobody waited");
    cr_assert_eq(zu_pipe_write(peer->out, "x", 1, false), 0);
    zu_outlet_peer_ops.flush(peer, PATIENCE);
    cr_assert(peer->out_interrupted);
    cr_assert_eq(zu_pipe_count(peer->out).held, 1u);
    zu_mailbox_run(&far.box);
    sink.is_rung = false;
    zu_outlet_peer_ops.flush(peer, 0);
    end();
}

Test(outlet, a_shard_that_sends_is_waited_for_and_no_longer)
{
    begin(0);
    cr_assert(zu_outlet_take(&peer->outlet));
    cr_assert_eq(zu_pipe_write(peer->out, "x", 1, false), 0);
    cr_assert_not(zu_outlet_is_applications(&peer->outlet));
    uint64_t before_ns = zu_clock_ns();
    peer->outlet.waits_on = -1;
    zu_outlet_peer_ops.flush(peer, PATIENCE);
    cr_assert_geq(peer->outlet.waits_on, 0, "for the shard to come near");
    cr_assert_geq(zu_clock_ns() - before_ns, (uint64_t)PATIENCE);
    cr_assert(peer->out_stalled_ns);
    cr_assert_eq(zu_pipe_count(peer->out).held, 1u);
    cr_assert(zu_outlet_take(&peer->outlet), "it is the shard's still");
    zu_outlet_give(&peer->outlet);
    zu_outlet_peer_ops.flush(peer, 0);
    cr_assert_eq(zu_pipe_count(peer->out).held, 0u);
    end();
}

/* Else a peer that reads slowly but steadily could hold a sender for as long as it likes. */
Test(outlet, a_kernel_that_takes_little_by_little_is_not_waited_for_to_the_end)
{
    enum { HUGE = 8 * 1024 * 1024 };
    begin(0);
    uint8_t *body = calloc(1, HUGE);
    sink.trickles = true;
    cr_assert(zu_outlet_peer_ops.send_large(peer, body, HUGE, PATIENCE));
    cr_assert(sink.size > 0 && sink.size < HUGE, "%zu", sink.size);
    cr_assert_eq(zu_pipe_count(peer->out).held, 1u);
    cr_assert(peer->out_stalled_ns && peer->far_wanted_posted);
    sink.trickles = false;
    while (zu_pipe_count(peer->out).held)
        zu_outlet_peer_ops.flush(peer, 0);
    cr_assert_eq(sink.size, ZU_FRAME_HEAD_MAX + (size_t)HUGE);
    zu_mailbox_run(&far.box);
    free(body);
    end();
}

/* As a send at once does it: behind what lies in the pipe, or not at all. */
Test(outlet, a_small_message_goes_past_the_pipe_but_overtakes_nothing)
{
    static uint8_t body[LARGE_SIZE];
    unsigned past = 0;
    begin(0);
    for (uint64_t n = 0; n < 90; n++) {
        message_fill(body, n);
        bool went = n % 3 == 2 && zu_outlet_peer_ops.send_large(peer, body, size_of_message(n), n % 2 ? PATIENCE : 0);
        past += went;
        if (!went)
            cr_assert_eq(zu_pipe_write(peer->out, body, size_of_message(n), false), 0);
    }
    cr_assert_gt(past, 20u);
    while (zu_pipe_count(peer->out).held)
        zu_outlet_peer_ops.flush(peer, 0);
    expect_messages(90);
    sink.is_full = true;
    cr_assert_not(zu_outlet_peer_ops.send_large(peer, "x", 1, 0));
    cr_assert_eq(zu_pipe_count(peer->out).accepted, 90u, "it is for the pipe to take");
    cr_assert(zu_outlet_take(&peer->outlet), "a shard that is sending is not waited for");
    cr_assert_not(zu_outlet_peer_ops.send_large(peer, "x", 1, 0));
    zu_outlet_give(&peer->outlet);
    zu_mailbox_run(&far.box);
    end();
}

static void hand_over_at(uint64_t at_ns)
{
    sink.now_ns = at_ns;
    cr_assert_eq(zu_pipe_write(peer->out, "x", 1, false), 0);
    do
        zu_outlet_peer_ops.flush(peer, 0);
    while (zu_pipe_count(peer->out).held);
}

Test(outlet, the_gap_is_the_longer_of_the_last_two_batches_apart_and_the_time_since)
{
    begin(0);
    hand_over_at(1000);
    hand_over_at(1050);
    cr_assert_eq(zu_outlet_gap_ns(&peer->outlet), 50u);
    sink.now_ns = 1090;
    cr_assert_eq(zu_outlet_gap_ns(&peer->outlet), 50u);
    sink.now_ns = 1300;
    cr_assert_eq(zu_outlet_gap_ns(&peer->outlet), 250u);
    hand_over_at(1300);
    cr_assert_eq(zu_outlet_gap_ns(&peer->outlet), 250u);
    hand_over_at(1310);
    cr_assert_eq(zu_outlet_gap_ns(&peer->outlet), 10u);
    sink.is_full = true;
    sink.now_ns = 1500;
    cr_assert_eq(zu_pipe_write(peer->out, "x", 1, false), 0);
    zu_outlet_peer_ops.flush(peer, 0);
    cr_assert_eq(zu_outlet_gap_ns(&peer->outlet), 190u, "nothing was handed over");
    zu_mailbox_run(&far.box);
    end();
}

static void *closer_run(void *arg)
{
    (void)arg;
    uint64_t until_ns = zu_clock_ns() + PATIENCE_NS;
    rest(PATIENCE / 4);
    while (!zu_outlet_close(&peer->outlet))
        cr_assert_lt(zu_clock_ns(), until_ns);
    return NULL;
}

/* Whether the waiting sender was there already or comes later: it gets nothing, and does not wait for long. */
Test(outlet, closing_sends_the_waiting_application_away, .timeout = 30)
{
    for (int i = 0; i < 100; i++) {
        pthread_t thread;
        begin(0);
        cr_assert(zu_outlet_take(&peer->outlet));
        cr_assert_eq(zu_pipe_write(peer->out, "x", 1, false), 0);
        pthread_create(&thread, NULL, closer_run, NULL);
        zu_outlet_peer_ops.flush(peer, PATIENCE);
        pthread_join(thread, NULL);
        cr_assert_eq(sink.size, 0u);
        end();
    }
}
