/* SPDX-License-Identifier: MIT */
/* What every driver does with real sockets. Each test runs on each driver. */
#include "driver.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>

#include "io/epoll.h"
#include "io/features.h"
#include "io/uring.h"
#include "mem/alloc.h"

static int (*driver_new)(struct zu_driver **ret_driver);

#define OnEach(name)                                                                                                   \
    static void name(void);                                                                                            \
    Test(driver_uring, name)                                                                                           \
    {                                                                                                                  \
        begin(driver_new = zu_uring_new);                                                                              \
        name();                                                                                                        \
    }                                                                                                                  \
    Test(driver_epoll, name)                                                                                           \
    {                                                                                                                  \
        begin(driver_new = zu_epoll_new);                                                                              \
        name();                                                                                                        \
    }                                                                                                                  \
    static void name(void)

OnEach(recv_stream_goes_on_until_the_end)
{
    static struct probe stream;
    int fd[2];
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

OnEach(recv_stream_is_cancelled_and_started_again)
{
    static struct probe stream;
    int fd[2];
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
    finish_pair(fd);
}

/* All chunks are kept, more than there are slots: buffers must not wait for the application. */
OnEach(a_burst_into_kept_chunks_arrives_whole)
{
    static struct probe stream;
    static uint8_t sent[100 * 1000];
    int fd[2];
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
    finish_pair(fd);
}

OnEach(without_memory_for_chunks_nothing_is_lost)
{
    static struct probe stream;
    int fd[2];
    unix_pair(fd);
    probe_aim(&stream, NULL, 0, NULL, 0);
    ops->recv_stream(driver, &stream.op, fd[0]);
    ops->wait(driver, 0);
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
    finish_pair(fd);
}

OnEach(recv_into_and_send_take_pieces)
{
    struct probe receive, send;
    char first[3], second[10];
    int fd[2];
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
    finish_pair(fd);
}

OnEach(send_is_short_then_waits_for_room)
{
    static char many[4 * 1024 * 1024];
    struct probe send;
    int fd[2];
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
    finish_pair(fd);
}

OnEach(a_broken_connection_is_an_error)
{
    struct probe send, receive, connect;
    struct sockaddr_in address;
    char byte;
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

OnEach(accept_stream_gives_each_connection)
{
    static struct probe accept;
    struct sockaddr_in address;
    int clients[3];
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

OnEach(connect_is_refused_without_listener)
{
    struct probe connect;
    struct sockaddr_in address;
    int bound = tcp_bind(&address), fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    probe_aim(&connect, NULL, 0, NULL, 0);
    ops->connect(driver, &connect.op, fd, (struct sockaddr *)&address, sizeof address);
    until_calls(&connect, 1);
    cr_assert_eq(connect.result, -ECONNREFUSED);
    finish();
    close(fd);
    close(bound);
}

static void *wake_it(void *argument)
{
    struct zu_driver *other = argument;
    other->ops->wake(other);
    return NULL;
}

OnEach(wake_ends_the_wait)
{
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
OnEach(an_idle_wait_sleeps_once_until_its_deadline)
{
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

/* From the lowest limit to the first that will do: each descriptor is missing once, and none is left behind. */
OnEach(is_refused_for_want_of_descriptors)
{
    struct rlimit before, few;
    finish();
    int err = -EMFILE, lowest = dup(0);
    close(lowest);
    getrlimit(RLIMIT_NOFILE, &before);
    for (few = before, few.rlim_cur = 3; err; few.rlim_cur++) {
        cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
        err = driver_new(&driver);
        setrlimit(RLIMIT_NOFILE, &before);
        cr_assert(err == -EMFILE || (!err && few.rlim_cur > 3), "%d at %lu", err, (unsigned long)few.rlim_cur);
    }
    finish();
    int now_lowest = dup(0);
    cr_assert_eq(now_lowest, lowest);
}

OnEach(is_refused_for_want_of_memory)
{
    int err = -ENOMEM;
    unsigned from;
    finish();
    for (from = 1; err; from++) {
        zu_alloc_fail_from = from;
        err = driver_new(&driver);
        zu_alloc_fail_from = 0;
        cr_assert(err == -ENOMEM || !err, "%d", err);
    }
    cr_assert_gt(from, 2);
    finish();
}

/* It hangs: the listener's queue is full. */
OnEach(a_connect_is_cancelled)
{
    static struct probe connects[4];
    struct sockaddr_in address;
    int fds[4], busy = 0;
    int listener = tcp_bind(&address);
    cr_assert_eq(listen(listener, 0), 0);
    for (int i = 0; i < 4; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        probe_aim(&connects[i], NULL, 0, NULL, 0);
        ops->connect(driver, &connects[i].op, fds[i], (struct sockaddr *)&address, sizeof address);
        ops->wait(driver, zu_deadline_ns(10));
    }
    for (int i = 0; i < 4; i++) {
        busy += connects[i].op.busy;
        ops->cancel(driver, &connects[i].op);
    }
    cr_assert_gt(busy, 0);
    for (int i = 0; i < 4; i++) {
        until_calls(&connects[i], 1);
        busy -= connects[i].result == -ECANCELED;
        ops->close(driver, fds[i]);
    }
    cr_assert_eq(busy, 0);
    finish();
    close(listener);
}

OnEach(send_now_sends_what_there_is_room_for)
{
    static char many[4 * 1024 * 1024];
    struct iovec pieces[2] = {{"ab", 2}, {"cde", 3}};
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 2};
    int fd[2];
    unix_pair(fd);
    cr_assert_eq(ops->send_now(driver, fd[0], &message, 0), 5);
    cr_assert_eq(read(fd[1], many, sizeof many), 5);
    cr_assert_arr_eq(many, "abcde", 5);
    pieces[0] = (struct iovec){many, sizeof many};
    ssize_t sent = ops->send_now(driver, fd[0], &message, 0);
    cr_assert(sent > 0 && (size_t)sent < sizeof many);
    while (sent > 0)
        sent = ops->send_now(driver, fd[0], &message, 0);
    cr_assert_eq(sent, -EAGAIN);
    uint64_t begin_ns = zu_clock_ns();
    cr_assert_eq(ops->send_now(driver, fd[0], &message, 10 * ZU_NS_PER_MS), -EAGAIN);
    cr_assert_geq(zu_clock_ns(), begin_ns + 10 * ZU_NS_PER_MS);
    close(fd[1]);
    cr_assert_eq(ops->send_now(driver, fd[0], &message, 0), -EPIPE);
    close(fd[0]);
    finish();
}

OnEach(ready_sees_a_completion_without_a_wait)
{
    static struct probe stream;
    int fd[2];
    unix_pair(fd);
    probe_aim(&stream, NULL, 0, NULL, 0);
    ops->recv_stream(driver, &stream.op, fd[0]);
    cr_assert(ops->ready(driver), "a started operation is a reason to wait");
    for (int i = 0; i < KEPT; i++) {
        while (ops->ready(driver))
            ops->wait(driver, 0);
        cr_assert_eq(stream.calls, i, "ready says no, and the bytes are not delivered");
        if (i == KEPT - 1)
            break;
        cr_assert_eq(write(fd[1], "x", 1), 1);
        uint64_t limit_ns = zu_deadline_ns(LIMIT_MS);
        while (!ops->ready(driver))
            cr_assert_lt(zu_clock_ns(), limit_ns);
        ops->wait(driver, ZU_NEVER);
        cr_assert_eq(stream.calls, i + 1);
        if (!stream.op.busy)
            ops->recv_stream(driver, &stream.op, fd[0]);
    }
    ops->wake(driver);
    uint64_t limit_ns = zu_deadline_ns(LIMIT_MS);
    while (!ops->ready(driver))
        cr_assert_lt(zu_clock_ns(), limit_ns);
    ops->wait(driver, ZU_NEVER);
    probe_drop(&stream);
    finish_pair(fd);
}

static void nothing(int number)
{
    (void)number;
}

OnEach(a_signal_ends_the_wait)
{
    const struct sigaction action = {.sa_handler = nothing};
    const struct itimerval often = {{0, 2000}, {0, 2000}}, off = {0};
    const uint64_t until[] = {ZU_NEVER, zu_deadline_ns(LIMIT_MS)};
    ops->wait(driver, 0);
    cr_assert_eq(sigaction(SIGALRM, &action, NULL), 0);
    setitimer(ITIMER_REAL, &often, NULL);
    for (int i = 0; i < 20; i++)
        cr_assert_eq(ops->wait(driver, until[i % 2]), -EINTR);
    setitimer(ITIMER_REAL, &off, NULL);
    ops->wake(driver);
    cr_assert_eq(ops->wait(driver, ZU_NEVER), 0);
    cr_assert_eq(ops->wait(driver, zu_deadline_ns(5)), 0);
    finish();
}
