/* SPDX-License-Identifier: MIT */
/* What is particular to the epoll driver; test_driver.c has the rest. */
#include "io/epoll.h"

#include "driver.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "mem/alloc.h"
#include "sanitized.h"

/* Readable now, or in a moment. */
static bool is_readable(int fd, int patience_ms)
{
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    return poll(&readable, 1, patience_ms) == 1;
}

static uint64_t cpu_ns(void)
{
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * ZU_NS_PER_S + (uint64_t)used.tv_nsec;
}

/* A wait of 60 ms that nothing is to end, and that costs next to no time. */
static void sleeps_well(void)
{
    uint64_t until_ns = zu_deadline_ns(60), before_ns = cpu_ns();
    cr_assert_eq(ops->wait(driver, until_ns), 0);
    cr_assert_geq(zu_clock_ns(), until_ns, "returned early");
    cr_assert_lt(cpu_ns() - before_ns, 20 * ZU_NS_PER_MS, "it spins");
}

static void stream_stop(struct probe *probe)
{
    int calls = probe->calls;
    ops->cancel(driver, &probe->op);
    until_calls(probe, calls + 1);
    cr_assert_eq(probe->result, -ECANCELED);
}

Test(epoll, paused_reading_does_not_spin)
{
    static struct probe stream;
    int fd[2];
    begin(zu_epoll_new);
    unix_pair(fd);
    probe_aim(&stream, NULL, 0, NULL, 0);
    ops->recv_stream(driver, &stream.op, fd[0]);
    ops->wait(driver, 0);
    stream_stop(&stream);
    cr_assert_eq(write(fd[1], "later", 5), 5);
    sleeps_well();
    ops->recv_stream(driver, &stream.op, fd[0]);
    until_calls(&stream, 2);
    cr_assert_eq(stream.result, 5);
    cr_assert_eq(write(fd[1], "more", 4), 4);
    until_calls(&stream, 3);
    cr_assert_eq(stream.result, 4);
    stream_stop(&stream);
    close(fd[1]);
    sleeps_well();
    ops->recv_stream(driver, &stream.op, fd[0]);
    until_calls(&stream, 5);
    cr_assert_eq(stream.result, 0);
    sleeps_well();
    probe_drop(&stream);
    ops->close(driver, fd[0]);
    finish();
}

/* Room to write is no news once nobody waits for it. */
Test(epoll, done_writing_does_not_spin)
{
    static char many[4 * 1024 * 1024];
    static struct probe send, stream;
    int fd[2];
    begin(zu_epoll_new);
    unix_pair(fd);
    probe_aim(&send, many, sizeof many, NULL, 0);
    probe_aim(&stream, NULL, 0, NULL, 0);
    ops->recv_stream(driver, &stream.op, fd[0]);
    do {
        ops->send(driver, &send.op, fd[0]);
        ops->wait(driver, 0);
    } while (!send.op.busy);
    int calls = send.calls;
    while (read(fd[1], many, sizeof many) > 0)
        continue;
    until_calls(&send, calls + 1);
    sleeps_well();
    cr_assert_eq(write(fd[1], "x", 1), 1);
    until_calls(&stream, 1);
    finish();
    probe_drop(&stream);
    close(fd[0]);
    close(fd[1]);
}

/* Of one batch of events the first callback closes what others are for. */
enum { BATCH = 6 };
static struct batch {
    struct zu_op reads[BATCH];   /* one for each pair, but for the last, which is paused */
    struct iovec pieces[BATCH];  /* of reads */
    struct zu_op paused;         /* had armed the last pair */
    char bytes[BATCH];           /* received */
    int near[BATCH], far[BATCH]; /* the pairs */
    int done;                    /* calls */
    int cancelled;               /* of them */
} batch;

static void batch_paused(struct zu_op *op, int result, unsigned flags, struct zu_chunk *chunk)
{
    (void)op;
    (void)flags;
    (void)chunk;
    cr_assert_eq(result, batch.done ? 0 : -ECANCELED);
}

static void batch_done(struct zu_op *op, int result, unsigned flags, struct zu_chunk *chunk)
{
    int at = (int)(op - batch.reads);
    (void)chunk;
    cr_assert(!flags && (result == 1 || result == -ECANCELED));
    batch.cancelled += result == -ECANCELED;
    if (!batch.done++) {
        int fd[2];
        ops->close(driver, batch.near[BATCH - 1]);
        unix_pair(fd); /* takes the number, and needs a watch of its own */
        cr_assert_eq(fd[0], batch.near[BATCH - 1]);
        close(fd[1]);
        ops->recv_stream(driver, &batch.paused, fd[0]);
        for (int i = 0; i < BATCH - 1; i++)
            ops->cancel(driver, &batch.reads[i]);
    }
    ops->close(driver, batch.near[at]);
    memset(op, 0xa5, sizeof *op);
}

Test(epoll, a_callback_closes_what_events_of_the_batch_are_for)
{
    begin(zu_epoll_new);
    for (int i = 0; i < BATCH; i++) {
        int fd[2];
        unix_pair(fd);
        batch.near[i] = fd[0];
        batch.far[i] = fd[1];
        batch.pieces[i] = (struct iovec){&batch.bytes[i], 1};
        batch.reads[i].done = batch_done;
        batch.reads[i].message = (struct msghdr){.msg_iov = &batch.pieces[i], .msg_iovlen = 1};
        batch.paused.done = batch_paused;
        if (i < BATCH - 1)
            ops->recv_into(driver, &batch.reads[i], fd[0]);
        else
            ops->recv_stream(driver, &batch.paused, fd[0]);
    }
    ops->wait(driver, 0);
    ops->cancel(driver, &batch.paused);
    ops->wait(driver, 0);
    for (int i = 0; i < BATCH; i++)
        cr_assert_eq(write(batch.far[i], "x", 1), 1);
    ops->wait(driver, zu_deadline_ns(LIMIT_MS));
    ops->wait(driver, 0);
    cr_assert_eq(batch.done, BATCH - 1);
    cr_assert_eq(batch.cancelled, BATCH - 2);
    finish();
}

/* Numbers in order, each two bytes, however they are cut. */
struct counting {
    struct zu_op op;   /* a recv_stream */
    unsigned sent;     /* bytes */
    unsigned arrived;  /* bytes */
    bool over;         /* the last call had no MORE */
    unsigned overs;    /* with bytes */
};

static uint8_t byte_at(unsigned at)
{
    return (uint8_t)(at % 251 ^ at / 251);
}

static void counting_done(struct zu_op *op, int result, unsigned flags, struct zu_chunk *chunk)
{
    struct counting *counting = zu_container_of(op, struct counting, op);
    counting->over = !flags;
    cr_assert(result > 0 || result == -ECANCELED);
    counting->overs += result > 0 && !flags;
    for (int i = 0; i < result; i++, counting->arrived++)
        cr_assert_eq(chunk->data[ZU_RECEIVE_HEADROOM + i], byte_at(counting->arrived));
    if (chunk)
        zu_chunk_unref(chunk);
}

static void counting_send(struct counting *counting, int fd, unsigned size)
{
    static uint8_t bytes[200 * 1000];
    for (unsigned i = 0; i < size; i++)
        bytes[i] = byte_at(counting->sent + i);
    ssize_t sent = send(fd, bytes, size, MSG_DONTWAIT);
    counting->sent += sent > 0 ? (unsigned)sent : 0;
}

Test(epoll, ready_receives_and_wait_delivers_in_order)
{
    static struct counting counting = {.op.done = counting_done};
    int fd[2];
    begin(zu_epoll_new);
    unix_pair(fd);
    unsigned seed = (unsigned)zu_clock_ns();
    fprintf(stderr, "seed %u\n", seed);
    srand(seed);
    ops->recv_stream(driver, &counting.op, fd[0]);
    for (int i = 0; i < 20000; i++) {
        if (rand() % 3 == 0)
            counting_send(&counting, fd[1], rand() % 64 ? 1 + (unsigned)rand() % 100 : 150 * 1000);
        bool is = ops->ready(driver);
        if (rand() % 8 == 0)
            ops->cancel(driver, &counting.op);
        if (is || rand() % 4 == 0)
            ops->wait(driver, 0);
        if (counting.over && !counting.op.busy && rand() % 2)
            ops->recv_stream(driver, &counting.op, fd[0]);
    }
    if (!counting.op.busy)
        ops->recv_stream(driver, &counting.op, fd[0]);
    uint64_t limit_ns = zu_deadline_ns(LIMIT_MS);
    while (counting.arrived < counting.sent && zu_clock_ns() < limit_ns) {
        ops->wait(driver, 0);
        if (!counting.op.busy)
            ops->recv_stream(driver, &counting.op, fd[0]);
    }
    cr_assert_eq(counting.arrived, counting.sent);
    cr_assert_gt(counting.overs, 0, "never cancelled with bytes received");
    counting_send(&counting, fd[1], 10);
    while (!ops->ready(driver))
        continue;
    finish();
    cr_assert_eq(zu_chunk_bytes(), zu_chunk_pool_bytes(), "a chunk is lost");
    close(fd[0]);
    close(fd[1]);
}

static struct probe crowd_other;
static int crowd_fd;

static void crowd_done(struct zu_op *op, int result, unsigned flags, struct zu_chunk *chunk)
{
    static char bytes[ZU_RECEIVE_SIZE];
    (void)op;
    cr_assert(flags && result == ZU_RECEIVE_SIZE);
    zu_chunk_unref(chunk);
    cr_assert_eq(write(crowd_fd, bytes, sizeof bytes), (ssize_t)sizeof bytes);
}

/* Of two streams one fills every buffer. */
Test(epoll, a_full_stream_starves_nobody)
{
    static struct zu_op full = {.done = crowd_done};
    static char bytes[2 * ZU_RECEIVE_SIZE];
    const int room = 1024 * 1024;
    int fd[2], other[2];
    begin(zu_epoll_new);
    unix_pair(fd);
    unix_pair(other);
    crowd_fd = fd[1];
    cr_assert_eq(setsockopt(fd[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof room), 0);
    probe_aim(&crowd_other, NULL, 0, NULL, 0);
    ops->recv_stream(driver, &crowd_other.op, other[0]);
    ops->wait(driver, 0);
    cr_assert_eq(write(fd[1], bytes, sizeof bytes), (ssize_t)sizeof bytes);
    ops->recv_stream(driver, &full, fd[0]);
    ops->wait(driver, 0);
    cr_assert_eq(write(other[1], "x", 1), 1);
    for (int i = 0; i < 50; i++) {
        ops->ready(driver);
        ops->wait(driver, ZU_NEVER);
    }
    cr_assert_eq(crowd_other.calls, 1);
    probe_drop(&crowd_other);
    finish_pair(fd);
    close(other[0]);
    close(other[1]);
}

/* The same for who spins: ready is to notice others than the descriptor that last had bytes. */
Test(epoll, ready_looks_at_others_now_and_then)
{
    static struct probe hot, other;
    int fd[2], other_fd[2];
    begin(zu_epoll_new);
    unix_pair(fd);
    unix_pair(other_fd);
    probe_aim(&hot, NULL, 0, NULL, 0);
    probe_aim(&other, NULL, 0, NULL, 0);
    ops->recv_stream(driver, &hot.op, fd[0]);
    ops->recv_stream(driver, &other.op, other_fd[0]);
    cr_assert_eq(write(fd[1], "x", 1), 1);
    until_calls(&hot, 1);
    while (ops->ready(driver))
        ops->wait(driver, 0);
    cr_assert_eq(write(other_fd[1], "x", 1), 1);
    int looks = 0;
    while (!ops->ready(driver))
        cr_assert_lt(++looks, 20);
    ops->wait(driver, ZU_NEVER);
    cr_assert_eq(other.calls, 1);
    probe_drop(&hot);
    probe_drop(&other);
    finish_pair(fd);
    close(other_fd[0]);
    close(other_fd[1]);
}

/* As after a fork: somebody else keeps the connection open. */
Test(epoll, close_forgets_a_connection_that_stays_open)
{
    static struct probe stream;
    int fd[2];
    begin(zu_epoll_new);
    unix_pair(fd);
    probe_aim(&stream, NULL, 0, NULL, 0);
    ops->recv_stream(driver, &stream.op, fd[0]);
    ops->wait(driver, 0);
    int copy = dup(fd[0]);
    stream_stop(&stream);
    ops->close(driver, fd[0]);
    cr_assert_eq(write(fd[1], "x", 1), 1);
    struct pollfd set = {.fd = ops->pollable(driver), .events = POLLIN};
    cr_assert_eq(poll(&set, 1, 0), 0);
    sleeps_well();
    finish();
    close(copy);
    close(fd[1]);
}

static struct probe answer;
static int answer_fd;

static void answer_done(struct zu_op *op, int result, unsigned flags, struct zu_chunk *chunk)
{
    (void)op;
    cr_assert(result == 1 && !flags && !chunk);
    ops->send(driver, &answer.op, answer_fd);
}

Test(epoll, pollable_tells_of_what_a_callback_started)
{
    static struct probe question;
    char byte;
    int fd[2];
    begin(zu_epoll_new);
    unix_pair(fd);
    answer_fd = fd[0];
    probe_aim(&answer, "y", 1, NULL, 0);
    probe_aim(&question, &byte, 1, NULL, 0);
    question.op.done = answer_done;
    int poll_fd = ops->pollable(driver);
    ops->recv_into(driver, &question.op, fd[0]);
    ops->wait(driver, 0);
    cr_assert_not(is_readable(poll_fd, 0));
    cr_assert_eq(write(fd[1], "x", 1), 1);
    cr_assert(is_readable(poll_fd, LIMIT_MS));
    ops->wait(driver, 0);
    cr_assert(is_readable(poll_fd, 0));
    ops->wait(driver, 0);
    cr_assert_eq(answer.calls, 1);
    ops->wait(driver, 0);
    cr_assert_not(is_readable(poll_fd, 0));
    finish_pair(fd);
}

Test(epoll, pollable_tells_when_there_is_something_to_do)
{
    static struct probe stream, late;
    static char bytes[3 * ZU_RECEIVE_SIZE];
    const int room = 1024 * 1024;
    char byte;
    int fd[2];
    begin(zu_epoll_new);
    unix_pair(fd);
    cr_assert_eq(setsockopt(fd[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof room), 0);
    probe_aim(&stream, NULL, 0, NULL, 0);
    ops->recv_stream(driver, &stream.op, fd[0]);
    int poll_fd = ops->pollable(driver);
    cr_assert_geq(poll_fd, 0);
    cr_assert_eq(ops->pollable(driver), poll_fd);
    cr_assert(is_readable(poll_fd, 0), "a started operation");
    ops->wait(driver, 0);
    cr_assert_not(is_readable(poll_fd, 0), "which waits now");
    cr_assert_eq(write(fd[1], bytes, sizeof bytes), (ssize_t)sizeof bytes);
    while (stream.bytes < sizeof bytes) {
        cr_assert(is_readable(poll_fd, LIMIT_MS), "%zu bytes", stream.bytes);
        ops->wait(driver, 0);
    }
    ops->wait(driver, 0);
    cr_assert_not(is_readable(poll_fd, 0));
    cr_assert_eq(write(fd[1], bytes, 1), 1);
    while (!ops->ready(driver))
        continue;
    cr_assert(is_readable(poll_fd, 0), "bytes that ready received");
    int calls = stream.calls;
    ops->wait(driver, 0);
    cr_assert_eq(stream.calls, calls + 1);
    ops->wait(driver, 0);
    cr_assert_not(is_readable(poll_fd, 0));
    ops->cancel(driver, &stream.op);
    cr_assert(is_readable(poll_fd, 0), "a cancel");
    ops->wait(driver, 0);
    cr_assert_eq(stream.result, -ECANCELED);
    cr_assert_eq(write(fd[1], bytes, 1), 1);
    ops->wait(driver, 0);
    ops->wait(driver, 0);
    cr_assert_not(is_readable(poll_fd, 0), "nobody reads");
    probe_aim(&late, &byte, 1, NULL, 0);
    ops->recv_into(driver, &late.op, fd[0]);
    cr_assert(is_readable(poll_fd, 0));
    ops->wait(driver, 0);
    cr_assert_eq(late.result, 1);
    probe_drop(&stream);
    finish_pair(fd);
}

Test(epoll, wake_makes_pollable_readable)
{
    begin(zu_epoll_new);
    int poll_fd = ops->pollable(driver);
    for (int i = 0; i < 3; i++) {
        cr_assert_not(is_readable(poll_fd, 0));
        ops->wake(driver);
        ops->wake(driver);
        cr_assert(is_readable(poll_fd, 0));
        if (i == 1)
            cr_assert(ops->ready(driver));
        cr_assert_eq(ops->wait(driver, ZU_NEVER), 0);
    }
    sleeps_well();
    finish();
}

Test(epoll, alarm_makes_pollable_readable)
{
    begin(zu_epoll_new);
    ops->alarm(driver, 1); /* nobody polls */
    int poll_fd = ops->pollable(driver);
    cr_assert_not(is_readable(poll_fd, 10));
    uint64_t at_ns = zu_deadline_ns(20);
    for (int i = 0; i < 3; i++) {
        ops->alarm(driver, at_ns); /* the same, and later a moment in the past */
        cr_assert(is_readable(poll_fd, LIMIT_MS));
        cr_assert_geq(zu_clock_ns(), at_ns);
        if (i == 1)
            cr_assert(ops->ready(driver));
        ops->wait(driver, 0);
        cr_assert_not(is_readable(poll_fd, 0));
    }
    ops->alarm(driver, 0);
    cr_assert(is_readable(poll_fd, LIMIT_MS));
    ops->alarm(driver, zu_deadline_ns(LIMIT_MS));
    cr_assert_not(is_readable(poll_fd, 0), "put off");
    ops->alarm(driver, zu_deadline_ns(10));
    ops->alarm(driver, ZU_NEVER);
    cr_assert_not(is_readable(poll_fd, 20), "taken back");
    ops->alarm(driver, zu_deadline_ns(10));
    ops->wait(driver, ZU_NEVER); /* the alarm ends it */
    finish();
}

static void *drive(void *argument)
{
    struct probe *probe = argument;
    until_calls(probe, probe->calls + 1);
    return NULL;
}

Test(epoll, another_thread_drives_it_later)
{
    static struct probe stream;
    int fd[2];
    begin(zu_epoll_new);
    unix_pair(fd);
    probe_aim(&stream, NULL, 0, NULL, 0);
    ops->recv_stream(driver, &stream.op, fd[0]);
    for (int i = 0; i < 40; i++) {
        pthread_t thread;
        cr_assert_eq(write(fd[1], "x", 1), 1);
        if (i % 2) {
            drive(&stream);
        } else {
            cr_assert_eq(pthread_create(&thread, NULL, drive, &stream), 0);
            pthread_join(thread, NULL);
        }
        cr_assert_eq(stream.calls, i + 1);
    }
    probe_drop(&stream);
    finish_pair(fd);
}

/* A byte each way over many pairs; at first there is no memory for more buckets, now and then none for a watch. */
enum { PAIRS = 500 };
static struct probe ends[2 * PAIRS];
static int fds[2 * PAIRS];

static void end_start(int i, unsigned fail_from)
{
    probe_aim(&ends[i], NULL, 0, NULL, 0);
    zu_alloc_fail_from = fail_from;
    ops->recv_stream(driver, &ends[i].op, fds[i]);
    zu_alloc_fail_from = 0;
}

Test(epoll, a_thousand_descriptors)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    begin(zu_epoll_new);
    for (int i = 0; i < 2 * PAIRS; i++) {
        if (i % 2 == 0)
            unix_pair(&fds[i]);
        end_start(i, i % 100 == 70 ? 1 : i < PAIRS ? 2 : 0);
    }
    for (int i = 70; i < 2 * PAIRS; i += 100) {
        ops->cancel(driver, &ends[i].op); /* too late */
        until_calls(&ends[i], 1);
        cr_assert_eq(ends[i].result, -ENOMEM);
        end_start(i, 0);
    }
    for (int round = 0; round < 8; round++) {
        for (int i = round % 3; i < 2 * PAIRS; i += 3)
            cr_assert_eq(write(fds[i], "x", 1), 1);
        for (int i = 0; i < 2 * PAIRS; i++) {
            until_calls(&ends[i], (i ^ 1) % 3 == round % 3);
            cr_assert_eq(ends[i].calls, (i ^ 1) % 3 == round % 3);
            probe_drop(&ends[i]);
        }
        for (int i = 0; i < 2 * PAIRS; i++)
            ops->cancel(driver, &ends[i].op);
        ops->wait(driver, 0);
        for (int i = 0; i < 2 * PAIRS; i++) {
            cr_assert_eq(ends[i].result, -ECANCELED);
            if (round % 2)
                ops->close(driver, fds[i]);
        }
        for (int i = 0; i < 2 * PAIRS; i++) {
            if (i % 2 == 0 && round % 2)
                unix_pair(&fds[i]);
            end_start(i, 0);
        }
    }
    finish();
    for (int i = 0; i < 2 * PAIRS; i++)
        close(fds[i]);
}

/* A descriptor that ends every sleep is looked at before the set is asked, and others have their turn all the same. */
Test(epoll, who_ends_every_sleep_starves_nobody)
{
    static struct probe probes[2]; /* one that has bytes each time, and another */
    int fds[2][2];
    begin(zu_epoll_new);
    for (int i = 0; i < 2; i++) {
        unix_pair(fds[i]);
        probe_aim(&probes[i], NULL, 0, NULL, 0);
        ops->recv_stream(driver, &probes[i].op, fds[i][0]);
    }
    for (int rounds = 0; probes[1].calls == 0; rounds++) {
        cr_assert_lt(rounds, 200);
        cr_assert(write(fds[0][1], "x", 1) == 1 && (rounds != 100 || write(fds[1][1], "x", 1) == 1));
        ops->wait(driver, zu_clock_ns() + ZU_NS_PER_S);
        probe_drop(&probes[0]);
    }
    probe_drop(&probes[1]);
    for (int i = 0; i < 2; i++) {
        ops->cancel(driver, &probes[i].op);
        ops->wait(driver, 0);
        ops->close(driver, fds[i][0]);
        close(fds[i][1]);
    }
    finish();
}

Test(epoll, what_cannot_wait_fails)
{
    static struct probe stream;
    int fd[2];
    begin(zu_epoll_new);
    unix_pair(fd);
    cr_assert(refuse_call(SYS_epoll_ctl, ENOSPC)); /* the user has too many watches */
    probe_aim(&stream, NULL, 0, NULL, 0);
    cr_assert_eq(write(fd[1], "x", 1), 1);
    ops->recv_stream(driver, &stream.op, fd[0]);
    until_calls(&stream, 2);
    cr_assert_eq(stream.results[0], 1);
    cr_assert_eq(stream.result, -ENOMEM);
    probe_drop(&stream);
    ops->close(driver, fd[0]);
    close(fd[1]);
    finish();
}

/* Pairs whose ends send, receive, are cancelled, closed and made anew at random, from callbacks too. */
enum { SOAK_ENDS = 12, SOAK_STEPS = SANITIZED ? 15000 : 60000, RECEIVE_MAX = 5000, SEND_MAX = 300 * 1000 };
static struct end {
    struct zu_op rx, tx;      /* its operations */
    struct iovec in, out;     /* of rx when it receives into place, of tx */
    uint8_t room[RECEIVE_MAX]; /* of in */
    uint8_t bytes[SEND_MAX];  /* of out */
    int fd;                   /* its socket */
    unsigned sent, arrived;   /* bytes */
    bool closing;             /* both ends, as soon as nothing is busy */
} soak[SOAK_ENDS];
static uint64_t soak_bytes;
static bool soak_ends;

static struct end *peer_of(struct end *end)
{
    return &soak[(end - soak) ^ 1];
}

static void pair_open(struct end *end)
{
    int fd[2];
    unix_pair(fd);
    for (int i = 0; i < 2; i++, end = peer_of(end)) {
        end->fd = fd[i];
        end->sent = end->arrived = 0;
        end->closing = false;
    }
}

static void pair_settle(struct end *end)
{
    struct end *peer = peer_of(end);
    if (!end->closing || end->rx.busy || end->tx.busy || peer->rx.busy || peer->tx.busy)
        return;
    ops->close(driver, end->fd);
    ops->close(driver, peer->fd);
    pair_open(end);
}

static void pair_close(struct end *end)
{
    struct end *both[] = {end, peer_of(end)};
    for (int i = 0; i < 2; i++) {
        both[i]->closing = true;
        ops->cancel(driver, &both[i]->rx);
        ops->cancel(driver, &both[i]->tx);
    }
    pair_settle(end);
}

static void end_receive(struct end *end)
{
    if (end->rx.busy || end->closing)
        return;
    end->in = (struct iovec){end->room, 1 + (size_t)rand() % RECEIVE_MAX};
    end->rx.message = (struct msghdr){.msg_iov = &end->in, .msg_iovlen = 1};
    (rand() % 2 ? ops->recv_into : ops->recv_stream)(driver, &end->rx, end->fd);
}

static void end_send(struct end *end)
{
    if (end->tx.busy || end->closing || soak_ends)
        return;
    end->out = (struct iovec){end->bytes, 1 + (size_t)rand() % (rand() % 8 ? 100 : SEND_MAX)};
    for (size_t i = 0; i < end->out.iov_len; i++)
        end->bytes[i] = byte_at(end->sent + (unsigned)i);
    end->tx.message = (struct msghdr){.msg_iov = &end->out, .msg_iovlen = 1};
    ops->send(driver, &end->tx, end->fd);
}

static void soak_act(void)
{
    struct end *end = &soak[rand() % SOAK_ENDS];
    int what = rand() % 400;
    if (what < 180)
        end_receive(end);
    else if (what < 360)
        end_send(end);
    else if (what < 398)
        ops->cancel(driver, what % 4 ? &end->rx : &end->tx);
    else
        pair_close(end);
}

static void soak_sent(struct zu_op *op, int result, unsigned flags, struct zu_chunk *chunk)
{
    struct end *end = zu_container_of(op, struct end, tx);
    cr_assert(!flags && !chunk && (result > 0 || result == -ECANCELED), "%d", result);
    end->sent += result > 0 ? (unsigned)result : 0;
    pair_settle(end);
    if (rand() % 2)
        soak_act();
}

static void soak_received(struct zu_op *op, int result, unsigned flags, struct zu_chunk *chunk)
{
    struct end *end = zu_container_of(op, struct end, rx);
    const uint8_t *bytes = chunk ? chunk->data + ZU_RECEIVE_HEADROOM : end->room;
    cr_assert(result > 0 || (result == -ECANCELED && !flags), "%d", result);
    for (int i = 0; i < result; i++)
        cr_assert_eq(bytes[i], byte_at(end->arrived + (unsigned)i));
    end->arrived += result > 0 ? (unsigned)result : 0;
    soak_bytes += result > 0 ? (unsigned)result : 0;
    if (chunk)
        zu_chunk_unref(chunk);
    pair_settle(end);
    if (rand() % 2)
        soak_act();
}

static bool soak_is_over(void)
{
    bool over = true;
    for (int i = 0; i < SOAK_ENDS; i++) {
        end_receive(&soak[i]);
        over &= !soak[i].tx.busy && !soak[i].closing && soak[i].sent == peer_of(&soak[i])->arrived;
    }
    return over;
}

Test(epoll, soak)
{
    begin(zu_epoll_new);
    unsigned seed = (unsigned)zu_clock_ns();
    fprintf(stderr, "seed %u\n", seed);
    srand(seed);
    for (int i = 0; i < SOAK_ENDS; i++) {
        soak[i].rx.done = soak_received;
        soak[i].tx.done = soak_sent;
        if (i % 2 == 0)
            pair_open(&soak[i]);
    }
    for (int i = 0; i < SOAK_STEPS; i++) {
        int what = rand() % 4;
        if (what == 0)
            ops->ready(driver);
        else if (what == 1)
            ops->wait(driver, rand() % 8 ? 0 : zu_clock_ns() + 50000);
        else
            soak_act();
    }
    soak_ends = true;
    uint64_t limit_ns = zu_deadline_ns(LIMIT_MS);
    while (!soak_is_over()) {
        ops->wait(driver, 0);
        cr_assert_lt(zu_clock_ns(), limit_ns);
    }
    cr_assert_gt(soak_bytes, 1000 * 1000);
    finish();
    cr_assert_eq(zu_chunk_bytes(), zu_chunk_pool_bytes(), "a chunk is lost");
    for (int i = 0; i < SOAK_ENDS; i++)
        close(soak[i].fd);
}

/* However many of them have something to say, a wait hears one or two, and others are heard at once. */
Test(epoll, the_modest_do_not_keep_others_waiting)
{
    enum { CROWD = 24 };
    static struct probe crowd[CROWD], other;
    int fd[CROWD + 1][2], heard = 0;
    begin(zu_epoll_new);
    for (int i = 0; i <= CROWD; i++) {
        struct probe *probe = i < CROWD ? &crowd[i] : &other;
        unix_pair(fd[i]);
        probe_aim(probe, NULL, 0, NULL, 0);
        probe->op.modest = i < CROWD;
        ops->recv_stream(driver, &probe->op, fd[i][0]);
    }
    ops->wait(driver, 0);
    for (int i = 0; i < CROWD; i++)
        cr_assert_eq(write(fd[i][1], "x", 1), 1);
    for (int turns = 1; heard < CROWD; turns++) {
        int now = 0;
        cr_assert_lt(turns, KEPT);
        cr_assert_eq(write(fd[CROWD][1], "x", 1), 1);
        ops->wait(driver, zu_deadline_ns(LIMIT_MS));
        for (int i = 0; i < CROWD; i++)
            now += crowd[i].calls;
        cr_assert_leq(now, heard + 2, "%d at a time", now - heard);
        heard = now;
        cr_assert_eq(other.calls, turns);
    }
    for (int i = 0; i < CROWD; i++)
        probe_drop(&crowd[i]);
    probe_drop(&other);
    finish();
    for (int i = 0; i <= CROWD; i++) {
        close(fd[i][0]);
        close(fd[i][1]);
    }
}
