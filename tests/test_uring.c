/* SPDX-License-Identifier: MIT */
/* What is particular to the io_uring driver; test_driver.c has the rest. */
#include "io/uring.h"

#include <limits.h>

#include "driver.h"

static unsigned counted;

static void count_done(struct zu_op *op, int result, unsigned flags, struct zu_chunk *chunk)
{
    (void)op;
    cr_assert(result == 1 && !flags && !chunk);
    counted++;
}

/* More than the queue has entries, and more than a batch of completions. */
Test(uring, many_operations_in_one_wait)
{
    enum { MANY = 700 };
    static struct zu_op many[MANY];
    static char bytes[MANY];
    static struct iovec pieces[MANY];
    int fd[2];
    begin(zu_uring_new);
    unix_pair(fd);
    for (int i = 0; i < MANY; i++) {
        pieces[i] = (struct iovec){&bytes[i], 1};
        many[i].done = count_done;
        many[i].message.msg_iov = &pieces[i];
        many[i].message.msg_iovlen = 1;
        ops->recv_into(driver, &many[i], fd[0]);
    }
    char out[MANY];
    memset(out, 'x', sizeof out);
    cr_assert_eq(write(fd[1], out, sizeof out), (ssize_t)sizeof out);
    uint64_t limit_ns = zu_deadline_ns(LIMIT_MS);
    while (counted < MANY && zu_clock_ns() < limit_ns)
        ops->wait(driver, limit_ns);
    cr_assert_eq(counted, MANY);
    cr_assert_arr_eq(bytes, out, MANY);
    finish();
    close(fd[0]);
    close(fd[1]);
}

struct listener {
    struct zu_op op; /* its stream */
    unsigned got;    /* bytes so far */
    int fd[2];       /* a pair; it reads the first */
};

static void listener_start(struct listener *listener)
{
    ops->recv_stream(driver, &listener->op, listener->fd[0]);
}

static void listener_heard(struct zu_op *op, int result, unsigned flags, struct zu_chunk *chunk)
{
    struct listener *listener = zu_container_of(op, struct listener, op);
    if (result > 0)
        listener->got += (unsigned)result;
    if (chunk)
        zu_chunk_unref(chunk);
    if (!(flags & ZU_OP_MORE) && result != -ECANCELED)
        listener_start(listener);
}

/* Turns until every one of them has heard a byte more. */
static unsigned turns_for_all(struct listener *crowd, unsigned count)
{
    unsigned turns = 0, heard = 0, due = crowd[0].got + 1;
    for (unsigned i = 0; i < count; i++)
        cr_assert_eq(write(crowd[i].fd[1], "x", 1), 1);
    for (uint64_t limit_ns = zu_deadline_ns(LIMIT_MS); heard < count && zu_clock_ns() < limit_ns; turns++) {
        ops->wait(driver, limit_ns);
        heard = 0;
        for (unsigned i = 0; i < count; i++)
            heard += crowd[i].got == due;
    }
    cr_assert_eq(heard, count);
    return turns;
}

/* A crowd that finds too few buffers gets more of them, and is then served in a turn or two. */
Test(uring, buffers_for_a_crowd)
{
    enum { CROWD = 48, ROUNDS = 8 };
    static struct listener crowd[CROWD];
    unsigned turns = 0;
    begin(zu_uring_new);
    for (int i = 0; i < CROWD; i++) {
        unix_pair(crowd[i].fd);
        crowd[i].op.done = listener_heard;
        listener_start(&crowd[i]);
    }
    ops->wait(driver, 0);
    for (int i = 0; i < ROUNDS; i++)
        turns = turns_for_all(crowd, CROWD);
    cr_assert_leq(turns, 4, "%u turns", turns);
    finish();
    for (int i = 0; i < CROWD; i++) {
        close(crowd[i].fd[0]);
        close(crowd[i].fd[1]);
    }
}

static void listener_heard_slowly(struct zu_op *op, int result, unsigned flags, struct zu_chunk *chunk)
{
    for (uint64_t until_ns = zu_deadline_ns(1); result > 0 && zu_clock_ns() < until_ns;)
        ;
    listener_heard(op, result, flags, chunk);
}

/* However many of them have something to say, a turn hears a few, one or two when that takes long; others are heard at once. */
static void modest_crowd(unsigned slow_from_turn)
{
    enum { CROWD = 96, MOST = 8, MOST_SLOW = 2, TURNS_TO_SEE = 2 };
    static struct listener crowd[CROWD], other;
    unsigned heard = 0, turns = 0;
    begin(zu_uring_new);
    for (int i = 0; i < CROWD; i++) {
        unix_pair(crowd[i].fd);
        crowd[i].op.done = listener_heard;
        crowd[i].op.modest = crowd[i].op.once = true;
        cr_assert_eq(write(crowd[i].fd[1], "x", 1), 1);
        listener_start(&crowd[i]);
    }
    unix_pair(other.fd);
    other.op.done = listener_heard;
    listener_start(&other);
    for (; heard < CROWD; turns++) {
        cr_assert_lt(turns, 3 * CROWD);
        cr_assert_eq(write(other.fd[1], "x", 1), 1);
        for (int i = 0; turns == slow_from_turn && i < CROWD; i++)
            crowd[i].op.done = listener_heard_slowly;
        ops->wait(driver, zu_deadline_ns(LIMIT_MS));
        unsigned now = 0, most = turns >= slow_from_turn + TURNS_TO_SEE ? MOST_SLOW : MOST;
        for (int i = 0; i < CROWD; i++)
            now += crowd[i].got;
        cr_assert_leq(now, heard + most, "%u in turn %u", now - heard, turns);
        heard = now;
        cr_assert_eq(other.got, turns + 1);
    }
    finish_pair(other.fd);
    for (int i = 0; i < CROWD; i++) {
        close(crowd[i].fd[0]);
        close(crowd[i].fd[1]);
    }
}

Test(uring, the_modest_do_not_keep_others_waiting)
{
    modest_crowd(UINT_MAX / 2);
}

Test(uring, the_costly_modest_are_heard_one_or_two_a_turn)
{
    modest_crowd(4);
}

/* A backlog is dealt with between what else there is to do. */
Test(uring, one_is_accepted_a_turn)
{
    enum { BACKLOG = 8 };
    struct sockaddr_in address;
    struct probe door;
    int fd[BACKLOG], listener = tcp_bind(&address);
    begin(zu_uring_new);
    cr_assert_eq(listen(listener, BACKLOG), 0);
    for (int i = 0; i < BACKLOG; i++) {
        fd[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        cr_assert_eq(connect(fd[i], (struct sockaddr *)&address, sizeof address), 0);
    }
    probe_aim(&door, NULL, 0, NULL, 0);
    for (int i = 0; i < BACKLOG; i++) {
        ops->accept_stream(driver, &door.op, listener);
        until_calls(&door, i + 1);
        cr_assert_eq(door.calls, i + 1);
        cr_assert_geq(door.result, 0);
        cr_assert_not(door.op.busy, "it is over, and may be started again");
        close(door.result);
        close(fd[i]);
    }
    finish();
    close(listener);
}

/* From now on the kernel takes entries only together with a wait. */
static void refuse_submits(void)
{
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_enter, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[3])),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 1 /* IORING_ENTER_GETEVENTS */, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAGAIN),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    cr_assert(refuse_install(program, sizeof program / sizeof *program));
}

Test(uring, without_entries_operations_fail_and_cancels_are_kept)
{
    enum { MANY = 300 };
    static struct probe many[MANY];
    static char bytes[MANY];
    int fd[2];
    unsigned failed = 0, cancelled = 0, busy = 0;
    begin(zu_uring_new);
    unix_pair(fd);
    refuse_submits();
    for (int i = 0; i < MANY; i++) {
        probe_aim(&many[i], &bytes[i], 1, NULL, 0);
        ops->recv_into(driver, &many[i].op, fd[0]);
        cr_assert(many[i].op.busy);
    }
    const int asked[] = {0, 1, 2, MANY - 1};
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++)
        ops->cancel(driver, &many[asked[i]].op);
    for (int i = 0; i < 4; i++)
        ops->wait(driver, 0);
    for (int i = 0; i < MANY; i++) {
        failed += many[i].calls && many[i].result == -ENOMEM;
        cancelled += many[i].calls && many[i].result == -ECANCELED;
        busy += many[i].op.busy;
    }
    cr_assert_gt(failed, 0);
    cr_assert_eq(many[MANY - 1].result, -ENOMEM);
    cr_assert_eq(cancelled, 3, "%u", cancelled);
    cr_assert_eq(failed + cancelled + busy, MANY);
    ops->wake(driver);
    ops->wait(driver, ZU_NEVER);
    finish();
    close(fd[0]);
    close(fd[1]);
}
