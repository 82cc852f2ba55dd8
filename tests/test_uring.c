/* SPDX-License-Identifier: MIT */
/* The io_uring driver against real sockets. */
#include "io/uring.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/features.h"
#include "mem/alloc.h"

enum { LIMIT_MS = 5000, KEPT = 64 };

/* An operation and what came of it. */
struct probe {
    struct zu_op op;             /* the operation */
    struct iovec pieces[2];      /* its memory */
    int calls;                   /* of done */
    int result;                  /* of the last call */
    unsigned flags;              /* of the last call */
    size_t bytes;                /* received in all */
    struct zu_chunk *kept[KEPT]; /* the chunks, by call, for who wants to keep them */
    int results[KEPT];           /* of each call */
};

static struct zu_driver *driver;
static const struct zu_driver_ops *ops;

static void probe_done(struct zu_op *op, int result, unsigned flags, struct zu_chunk *chunk)
{
    struct probe *probe = zu_container_of(op, struct probe, op);
    cr_assert_eq(op->busy, (flags & ZU_OP_MORE) != 0);
    cr_assert(!chunk || result > 0);
    probe->result = result;
    probe->flags = flags;
    probe->bytes += result > 0 ? (size_t)result : 0;
    cr_assert_lt(probe->calls, KEPT);
    probe->kept[probe->calls] = chunk;
    probe->results[probe->calls++] = result;
}

static void probe_drop(struct probe *probe)
{
    for (int i = 0; i < probe->calls; i++) {
        if (probe->kept[i])
            zu_chunk_unref(probe->kept[i]);
    }
    probe->calls = 0;
}

static void begin(void)
{
    cr_assert_eq(zu_uring_new(&driver), 0);
    ops = driver->ops;
    cr_assert_eq(ops->start(driver), 0);
}

static void finish(void)
{
    ops->free(driver);
}

static void until_calls(struct probe *probe, int calls)
{
    uint64_t limit_ns = zu_deadline_ns(LIMIT_MS);
    while (probe->calls < calls) {
        ops->wait(driver, limit_ns);
        cr_assert_lt(zu_clock_ns(), limit_ns, "%d calls, not %d", probe->calls, calls);
    }
}

static void probe_aim(struct probe *probe, void *first, size_t first_size, void *second, size_t second_size)
{
    memset(probe, 0, sizeof *probe);
    probe->op.done = probe_done;
    probe->pieces[0] = (struct iovec){first, first_size};
    probe->pieces[1] = (struct iovec){second, second_size};
    probe->op.message.msg_iov = probe->pieces;
    probe->op.message.msg_iovlen = second ? 2 : 1;
}

static void unix_pair(int fd[2])
{
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
}

static int tcp_bind(struct sockaddr_in *ret_address)
{
    socklen_t size = sizeof *ret_address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    *ret_address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    cr_assert_eq(bind(fd, (struct sockaddr *)ret_address, size), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)ret_address, &size), 0);
    return fd;
}

Test(uring, recv_stream_goes_on_until_the_end)
{
    static struct probe stream;
    int fd[2];
    begin();
    unix_pair(fd);
    probe_aim(&stream, NULL, 0, NULL, 0);
    ops->recv_stream(driver, &stream.op, fd[0]);
    cr_assert_eq(write(fd[1], "hello", 5), 5);
    until_calls(&stream, 1);
    cr_assert_eq(stream.result, 5);
    cr_assert_arr_eq(stream.kept[0]->data + ZU_RECEIVE_HEADROOM, "hello", 5);
    if (!stream.op.busy)
        ops->recv_stream(driver, &stream.op, fd[0]);
    cr_assert_eq(write(fd[1], "again", 5), 5);
    until_calls(&stream, 2);
    cr_assert_arr_eq(stream.kept[1]->data + ZU_RECEIVE_HEADROOM, "again", 5);
    cr_assert_arr_eq(stream.kept[0]->data + ZU_RECEIVE_HEADROOM, "hello", 5);
    if (!stream.op.busy)
        ops->recv_stream(driver, &stream.op, fd[0]);
    ops->close(driver, fd[1]);
    until_calls(&stream, 3);
    cr_assert_eq(stream.result, 0);
    cr_assert_eq(stream.flags, 0);
    probe_drop(&stream);
    ops->close(driver, fd[0]);
    finish();
}

Test(uring, recv_stream_is_cancelled_and_started_again)
{
    static struct probe stream;
    int fd[2];
    begin();
    unix_pair(fd);
    probe_aim(&stream, NULL, 0, NULL, 0);
    ops->recv_stream(driver, &stream.op, fd[0]);
    ops->wait(driver, 0);
    cr_assert_eq(stream.calls, 0);
    ops->cancel(driver, &stream.op);
    ops->cancel(driver, &stream.op);
    until_calls(&stream, 1);
    cr_assert_eq(stream.result, -ECANCELED);
    cr_assert_eq(stream.flags, 0);
    ops->cancel(driver, &stream.op);
    ops->recv_stream(driver, &stream.op, fd[0]);
    cr_assert_eq(write(fd[1], "x", 1), 1);
    until_calls(&stream, 2);
    cr_assert_eq(stream.result, 1);
    probe_drop(&stream);
    finish();
    close(fd[0]);
    close(fd[1]);
}

/* All chunks are kept, more than there are slots: buffers must not wait for the application. */
Test(uring, a_burst_into_kept_chunks_arrives_whole)
{
    static struct probe stream;
    static uint8_t sent[100 * 1000];
    int fd[2];
    begin();
    unix_pair(fd);
    probe_aim(&stream, NULL, 0, NULL, 0);
    for (size_t i = 0; i < sizeof sent; i++)
        sent[i] = (uint8_t)(i * 13 + i / 256);
    for (int round = 0; round < 20; round++) {
        cr_assert_eq(write(fd[1], sent, sizeof sent), (ssize_t)sizeof sent);
        while (stream.bytes < (size_t)(round + 1) * sizeof sent) {
            if (!stream.op.busy)
                ops->recv_stream(driver, &stream.op, fd[0]);
            until_calls(&stream, stream.calls + 1);
            cr_assert(stream.result > 0 || stream.result == -ENOBUFS, "%d", stream.result);
        }
    }
    size_t at = 0;
    for (int i = 0; i < stream.calls; i++) {
        const uint8_t *data = stream.kept[i] ? stream.kept[i]->data + ZU_RECEIVE_HEADROOM : NULL;
        for (int j = 0; j < stream.results[i]; j++)
            cr_assert_eq(data[j], sent[at++ % sizeof sent]);
    }
    cr_assert_eq(at, 20 * sizeof sent);
    cr_assert_gt(stream.calls, 20);
    probe_drop(&stream);
    ops->shutdown(driver, fd[0]);
    until_calls(&stream, stream.op.busy);
    finish();
    close(fd[0]);
    close(fd[1]);
}

Test(uring, without_memory_for_chunks_nothing_is_lost)
{
    static struct probe stream;
    int fd[2];
    begin();
    unix_pair(fd);
    probe_aim(&stream, NULL, 0, NULL, 0);
    zu_alloc_fail_from = 1;
    for (int i = 0; stream.result >= 0; i++) {
        if (!stream.op.busy)
            ops->recv_stream(driver, &stream.op, fd[0]);
        cr_assert_eq(write(fd[1], "x", 1), 1);
        until_calls(&stream, i + 1);
    }
    cr_assert_eq(stream.result, -ENOBUFS);
    cr_assert_eq(stream.flags, 0);
    size_t bytes = stream.bytes;
    zu_alloc_fail_from = 0;
    ops->wait(driver, 0); /* this refills */
    ops->recv_stream(driver, &stream.op, fd[0]);
    until_calls(&stream, stream.calls + 1);
    cr_assert_eq(stream.bytes, bytes + 1);
    probe_drop(&stream);
    finish();
    close(fd[0]);
    close(fd[1]);
}

Test(uring, recv_into_and_send_take_pieces)
{
    struct probe receive, send;
    char first[3], second[10];
    int fd[2];
    begin();
    unix_pair(fd);
    probe_aim(&receive, first, sizeof first, second, sizeof second);
    probe_aim(&send, "abc", 3, "defg", 4);
    ops->recv_into(driver, &receive.op, fd[0]);
    ops->send(driver, &send.op, fd[1]);
    cr_assert_eq(send.calls + receive.calls, 0, "completed from the start");
    until_calls(&send, 1);
    until_calls(&receive, 1);
    cr_assert_eq(send.result, 7);
    cr_assert_eq(receive.result, 7);
    cr_assert_arr_eq(first, "abc", 3);
    cr_assert_arr_eq(second, "defg", 4);
    finish();
    close(fd[0]);
    close(fd[1]);
}

Test(uring, send_is_short_then_waits_for_room)
{
    static char many[4 * 1024 * 1024];
    struct probe send;
    int fd[2];
    begin();
    unix_pair(fd);
    probe_aim(&send, many, sizeof many, NULL, 0);
    ops->send(driver, &send.op, fd[0]);
    for (int calls = 0; calls < KEPT - 1; calls++) {
        ops->wait(driver, zu_deadline_ns(20));
        if (send.op.busy)
            break;
        cr_assert(send.result > 0 && (size_t)send.result < sizeof many);
        ops->send(driver, &send.op, fd[0]);
    }
    cr_assert(send.op.busy, "the peer reads nothing, and yet there is room");
    int calls = send.calls;
    while (read(fd[1], many, sizeof many) > 0)
        continue;
    until_calls(&send, calls + 1);
    cr_assert_gt(send.result, 0);
    finish();
    close(fd[0]);
    close(fd[1]);
}

Test(uring, a_broken_connection_is_an_error)
{
    struct probe send, receive, connect;
    struct sockaddr_in address;
    char byte;
    begin();
    int listener = tcp_bind(&address), fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    cr_assert_eq(listen(listener, 1), 0);
    probe_aim(&connect, NULL, 0, NULL, 0);
    ops->connect(driver, &connect.op, fd, (struct sockaddr *)&address, sizeof address);
    until_calls(&connect, 1);
    cr_assert_eq(connect.result, 0);
    int peer = accept(listener, NULL, NULL);
    const struct linger abort = {.l_onoff = 1};
    cr_assert_eq(setsockopt(peer, SOL_SOCKET, SO_LINGER, &abort, sizeof abort), 0);
    probe_aim(&receive, &byte, 1, NULL, 0);
    ops->recv_into(driver, &receive.op, fd);
    ops->wait(driver, 0);
    close(peer);
    until_calls(&receive, 1);
    cr_assert_eq(receive.result, -ECONNRESET);
    probe_aim(&send, &byte, 1, NULL, 0);
    ops->send(driver, &send.op, fd);
    until_calls(&send, 1);
    cr_assert_eq(send.result, -EPIPE, "and no signal");
    ops->close(driver, fd);
    close(listener);
    finish();
}

Test(uring, accept_stream_gives_each_connection)
{
    static struct probe accept;
    struct sockaddr_in address;
    int clients[3];
    begin();
    int listener = tcp_bind(&address);
    cr_assert_eq(listen(listener, 8), 0);
    probe_aim(&accept, NULL, 0, NULL, 0);
    ops->accept_stream(driver, &accept.op, listener);
    for (int i = 0; i < 3; i++) {
        clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        cr_assert_eq(connect(clients[i], (struct sockaddr *)&address, sizeof address), 0);
        until_calls(&accept, i + 1);
        cr_assert_geq(accept.result, 0);
        cr_assert(fcntl(accept.result, F_GETFL) & O_NONBLOCK);
        cr_assert(fcntl(accept.result, F_GETFD) & FD_CLOEXEC);
        close(accept.result);
        close(clients[i]);
        if (!accept.op.busy)
            ops->accept_stream(driver, &accept.op, listener);
    }
    ops->cancel(driver, &accept.op);
    until_calls(&accept, 4);
    cr_assert_eq(accept.result, -ECANCELED);
    cr_assert_not(accept.op.busy);
    ops->close(driver, listener);
    finish();
}

Test(uring, connect_is_refused_without_listener)
{
    struct probe connect;
    struct sockaddr_in address;
    begin();
    int bound = tcp_bind(&address), fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    probe_aim(&connect, NULL, 0, NULL, 0);
    ops->connect(driver, &connect.op, fd, (struct sockaddr *)&address, sizeof address);
    until_calls(&connect, 1);
    cr_assert_eq(connect.result, -ECONNREFUSED);
    finish();
    close(fd);
    close(bound);
}

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
    begin();
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
    struct sock_fprog filter = {sizeof program / sizeof *program, program};
    cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0), 0);
}

Test(uring, without_entries_operations_fail_and_cancels_are_kept)
{
    enum { MANY = 300 };
    static struct probe many[MANY];
    static char bytes[MANY];
    int fd[2];
    unsigned failed = 0, cancelled = 0, busy = 0;
    begin();
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

static void *wake_it(void *argument)
{
    struct zu_driver *other = argument;
    other->ops->wake(other);
    return NULL;
}

Test(uring, wake_ends_the_wait)
{
    begin();
    /* The first wait may return for the waker's own sake. */
    ops->wake(driver);
    ops->wait(driver, ZU_NEVER);
    for (int i = 0; i < 100; i++) {
        pthread_t thread;
        cr_assert_eq(pthread_create(&thread, NULL, wake_it, driver), 0);
        ops->wait(driver, ZU_NEVER);
        pthread_join(thread, NULL);
    }
    finish();
}

static long switches(void)
{
    struct rusage usage;
    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nvcsw;
}

/* Of several waits the quietest: the kernel still takes the rings of the trials apart. */
Test(uring, an_idle_wait_sleeps_once_until_its_deadline)
{
    begin();
    ops->wait(driver, 0);
    uint64_t begin_ns = zu_clock_ns();
    long quietest = 1000;
    for (int i = 0; i < 4; i++) {
        uint64_t until_ns = zu_clock_ns() + 50 * ZU_NS_PER_MS;
        long before = switches();
        ops->wait(driver, until_ns);
        long slept = switches() - before;
        cr_assert_geq(zu_clock_ns(), until_ns, "returned early");
        quietest = slept < quietest ? slept : quietest;
    }
    cr_assert_eq(quietest, 1, "%ld", quietest);
    ops->wait(driver, begin_ns); /* in the past: no wait */
    ops->wake(driver);
    ops->wait(driver, zu_deadline_ns(LIMIT_MS));
    cr_assert_lt(zu_clock_ns(), begin_ns + LIMIT_MS * ZU_NS_PER_MS);
    finish();
}

Test(uring, is_refused_for_want_of_descriptors)
{
    struct rlimit before, none;
    zu_io_features();
    getrlimit(RLIMIT_NOFILE, &before);
    none = before;
    none.rlim_cur = 3;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    int err = zu_uring_new(&driver);
    setrlimit(RLIMIT_NOFILE, &before);
    cr_assert_eq(err, -EMFILE);
}

Test(uring, is_refused_for_want_of_memory)
{
    int err = -ENOMEM;
    unsigned from;
    zu_io_features(); /* takes memory once */
    for (from = 1; err; from++) {
        zu_alloc_fail_from = from;
        err = zu_uring_new(&driver);
        zu_alloc_fail_from = 0;
        cr_assert(err == -ENOMEM || !err, "%d", err);
    }
    cr_assert_gt(from, 3);
    driver->ops->free(driver);
}
