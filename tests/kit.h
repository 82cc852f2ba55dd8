/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the public API share: sockets that give up after a while, endpoints of each transport, payloads that
 * tell who they are, and waits that end by a deadline. Every failure is Criterion's.
 */
#ifndef ZU_TESTS_KIT_H
#define ZU_TESTS_KIT_H

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef ZMQ_BUILD_DRAFT_API
#define ZMQ_BUILD_DRAFT_API
#endif
#include "sanitized.h"
#include "zmq.h"

#define KIT_UNUSED __attribute__((unused))

/* Longer than anything here takes, also under a sanitizer on a busy machine. */
enum { KIT_WAIT_MS = 20000, KIT_ENDPOINT_SIZE = 256 };

static const char *const kit_transports[] = {"tcp", "ipc", "inproc"};
enum { KIT_TRANSPORTS = 3 };

/* 0, or the errno of a call that failed with -1. */
#define KIT_ERRNO(call) ((errno = 0), (call) == -1 ? errno : 0)
#define KIT_OK(call)                                                                                                   \
    do {                                                                                                               \
        int kit_got = KIT_ERRNO(call);                                                                                 \
        cr_assert_eq(kit_got, 0, "%s: %s", #call, zmq_strerror(kit_got));                                              \
    } while (0)
#define KIT_FAILS(error, call)                                                                                         \
    do {                                                                                                               \
        int kit_got = KIT_ERRNO(call);                                                                                 \
        cr_assert_eq(kit_got, (error), "%s: %s instead of %s", #call, zmq_strerror(kit_got), #error);                  \
    } while (0)

KIT_UNUSED static uint64_t kit_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* True until the deadline has passed; the first call, with *until_ms 0, sets it. */
KIT_UNUSED static bool kit_before(uint64_t *until_ms)
{
    if (!*until_ms)
        *until_ms = kit_now_ms() + KIT_WAIT_MS;
    return kit_now_ms() < *until_ms;
}

/* Waits for a condition that no descriptor tells of, a millisecond at a time. */
#define KIT_UNTIL(condition)                                                                                           \
    for (uint64_t kit_until_ms = 0; !(condition); zmq_poll(NULL, 0, 1))                                                \
    cr_assert(kit_before(&kit_until_ms), "never came true: %s", #condition)

/* The same without a rest in between, to meet the other thread half-way. */
#define KIT_UNTIL_SPINNING(condition)                                                                                  \
    for (uint64_t kit_until_ms = 0; !(condition);)                                                                     \
    cr_assert(kit_before(&kit_until_ms), "never came true: %s", #condition)

KIT_UNUSED static void kit_set(void *socket, int option, int value)
{
    KIT_OK(zmq_setsockopt(socket, option, &value, sizeof value));
}

KIT_UNUSED static int kit_get(void *socket, int option)
{
    int value = -1;
    size_t size = sizeof value;
    KIT_OK(zmq_getsockopt(socket, option, &value, &size));
    return value;
}

/* Inline, the connections of a socket move only in calls on it: the context's keeper begins nothing of itself. */
KIT_UNUSED static bool kit_is_inline(void)
{
    const char *drive = getenv("ZURING_DRIVE");
    return drive && strcmp(drive, "inline") == 0;
}

/* What this thread has made with kit_socket and not yet closed. */
enum { KIT_SOCKETS = 256 };
static KIT_UNUSED _Thread_local struct {
    void *list[KIT_SOCKETS]; /* oldest first */
    int count;               /* of them */
} kit_sockets;

/*
 * Inline, a call on each of this thread's sockets, for a test that waits for something else than them. Not while another
 * thread uses one.
 */
KIT_UNUSED static void kit_poke(void)
{
    for (int i = 0; kit_is_inline() && i < kit_sockets.count; i++) {
        int events;
        size_t size = sizeof events;
        zmq_getsockopt(kit_sockets.list[i], ZMQ_EVENTS, &events, &size);
    }
}

KIT_UNUSED static int kit_close(void *socket)
{
    int i = kit_sockets.count;
    while (i > 0 && kit_sockets.list[i - 1] != socket)
        i--;
    if (i > 0)
        memmove(&kit_sockets.list[i - 1], &kit_sockets.list[i], (size_t)(kit_sockets.count-- - i) * sizeof(void *));
    return zmq_close(socket);
}
#define zmq_close kit_close

/* A socket whose blocking calls give up in the end, and which leaves nothing behind. */
KIT_UNUSED static void *kit_socket(void *context, int type)
{
    void *socket = zmq_socket(context, type);
    cr_assert_not_null(socket, "%s", zmq_strerror(errno));
    cr_assert_lt(kit_sockets.count, KIT_SOCKETS);
    kit_sockets.list[kit_sockets.count++] = socket;
    kit_set(socket, ZMQ_SNDTIMEO, KIT_WAIT_MS);
    kit_set(socket, ZMQ_RCVTIMEO, KIT_WAIT_MS);
    kit_set(socket, ZMQ_LINGER, 0);
    return socket;
}

/* Binds to a fresh endpoint of the transport and says which. */
KIT_UNUSED static const char *kit_bind(void *socket, const char *transport, char *text)
{
    static unsigned names;
    size_t size = KIT_ENDPOINT_SIZE;
    if (strcmp(transport, "inproc") == 0)
        snprintf(text, size, "inproc://kit-%u", __atomic_add_fetch(&names, 1, __ATOMIC_RELAXED));
    else
        snprintf(text, size, "%s", transport[0] == 't' ? "tcp://127.0.0.1:*" : "ipc://*");
    KIT_OK(zmq_bind(socket, text));
    KIT_OK(zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, text, &size));
    return text;
}

/* Tries the ports below those that the kernel deals out: of those, another process may be given the free one next. */
KIT_UNUSED static void kit_bind_reserved(void *socket, char *text)
{
    static unsigned tries;
    do
        snprintf(text, KIT_ENDPOINT_SIZE, "tcp://127.0.0.1:%u", 20000 + ((unsigned)getpid() * 31 + tries++) % 12000);
    while (zmq_bind(socket, text) != 0 && errno == EADDRINUSE);
}

/* An endpoint of the transport where nobody is. */
KIT_UNUSED static const char *kit_free_endpoint(void *context, const char *transport, char *text)
{
    void *socket = kit_socket(context, ZMQ_PULL);
    if (strcmp(transport, "tcp") == 0)
        kit_bind_reserved(socket, text);
    else
        kit_bind(socket, transport, text);
    KIT_OK(zmq_unbind(socket, text));
    KIT_OK(zmq_close(socket));
    if (strcmp(transport, "ipc") == 0) /* the wildcard's folder has gone */
        snprintf(text, KIT_ENDPOINT_SIZE, "ipc:///tmp/zuring-kit-%d.sock", (int)getpid());
    return text;
}

/* Binds, again until the last listener there has gone. */
KIT_UNUSED static void kit_rebind(void *socket, const char *text)
{
    KIT_UNTIL(zmq_bind(socket, text) == 0);
}

struct kit_pair {
    void *context;               /* both sockets' */
    void *from;                  /* connected */
    void *to;                    /* bound */
    char text[KIT_ENDPOINT_SIZE]; /* where */
};

KIT_UNUSED static struct kit_pair kit_pair(const char *transport, int from, int to)
{
    struct kit_pair pair = {.context = zmq_ctx_new()};
    pair.to = kit_socket(pair.context, to);
    pair.from = kit_socket(pair.context, from);
    kit_bind(pair.to, transport, pair.text);
    KIT_OK(zmq_connect(pair.from, pair.text));
    return pair;
}

KIT_UNUSED static void kit_pair_end(struct kit_pair *pair)
{
    KIT_OK(zmq_close(pair->from));
    KIT_OK(zmq_close(pair->to));
    KIT_OK(zmq_ctx_term(pair->context));
}

KIT_UNUSED static void kit_send_text(void *socket, const char *text, int flags)
{
    KIT_OK(zmq_send(socket, text, strlen(text), flags));
}

KIT_UNUSED static void kit_recv_text(void *socket, const char *text)
{
    char got[256];
    int size = zmq_recv(socket, got, sizeof got - 1, 0);
    cr_assert_geq(size, 0, "waiting for \"%s\": %s", text, zmq_strerror(errno));
    got[size < 255 ? size : 255] = 0;
    cr_assert_str_eq(got, text);
}

KIT_UNUSED static bool kit_readable(void *socket, long timeout_ms)
{
    zmq_pollitem_t item = {.socket = socket, .events = ZMQ_POLLIN};
    return zmq_poll(&item, 1, timeout_ms) == 1;
}

/* Octet n of payload number `seed`. */
KIT_UNUSED static uint8_t kit_octet(uint32_t seed, size_t n)
{
    uint64_t mixed = (n + 1) * UINT64_C(0x9e3779b97f4a7c15) + seed * UINT64_C(0xbf58476d1ce4e5b9);
    return (uint8_t)(mixed >> 56);
}

KIT_UNUSED static void kit_fill(void *data, size_t size, uint32_t seed)
{
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)data)[i] = kit_octet(seed, i);
}

KIT_UNUSED static bool kit_is_filled(const void *data, size_t size, uint32_t seed)
{
    for (size_t i = 0; i < size; i++)
        if (((const uint8_t *)data)[i] != kit_octet(seed, i))
            return false;
    return true;
}

/* From ZU_SEED, or the clock; printed, so that a failure can be had again. */
KIT_UNUSED static uint32_t kit_seed(void)
{
    const char *given = getenv("ZU_SEED");
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint32_t seed = given ? (uint32_t)strtoul(given, NULL, 0) : (uint32_t)now.tv_nsec ^ (uint32_t)now.tv_sec;
    fprintf(stderr, "ZU_SEED=%u\n", seed);
    return seed ? seed : 1;
}

KIT_UNUSED static uint32_t kit_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* A thread that runs one blocking call, and can be seen to sleep in it. */
struct kit_thread {
    pthread_t id;             /* to join it */
    _Atomic pid_t tid;        /* 0 until it runs */
    _Atomic bool ended;       /* its call is over: it may have slept, unseen */
    int (*call)(void *);      /* -1 with errno when it fails */
    void *arg;                /* its argument */
    int error;                /* 0 or the errno, once joined */
};

KIT_UNUSED static void *kit_thread_main(void *arg)
{
    struct kit_thread *thread = arg;
    thread->tid = (pid_t)syscall(SYS_gettid);
    thread->error = KIT_ERRNO(thread->call(thread->arg));
    thread->ended = true;
    return NULL;
}

KIT_UNUSED static char kit_thread_state(pid_t tid)
{
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)tid);
    int fd = open(path, O_RDONLY);
    ssize_t size = fd < 0 ? 0 : read(fd, line, sizeof line - 1);
    if (fd >= 0)
        close(fd);
    line[size > 0 ? size : 0] = 0;
    const char *name_end = strrchr(line, ')');
    return name_end && name_end[1] ? name_end[2] : '?';
}

KIT_UNUSED static void kit_thread_start(struct kit_thread *thread, int (*call)(void *), void *arg)
{
    *thread = (struct kit_thread){.call = call, .arg = arg};
    cr_assert_eq(pthread_create(&thread->id, NULL, kit_thread_main, thread), 0);
    KIT_UNTIL(thread->ended || (thread->tid != 0 && kit_thread_state(thread->tid) == 'S'));
}

KIT_UNUSED static int kit_thread_join(struct kit_thread *thread)
{
    pthread_join(thread->id, NULL);
    return thread->error;
}

/*
 * Ends its call by SIGUSR1, for which there is a handler; then as kit_thread_join. Again and again, for a thread that
 * sleeps may still sleep on a lock before its wait, where a signal comes too early.
 */
KIT_UNUSED static int kit_thread_interrupt(struct kit_thread *thread)
{
    for (uint64_t until_ms = 0; !thread->ended; zmq_poll(NULL, 0, 1)) {
        cr_assert(kit_before(&until_ms), "a signal does not end its call");
        pthread_kill(thread->id, SIGUSR1);
    }
    return kit_thread_join(thread);
}

/* Resident memory of this process. */
KIT_UNUSED static long kit_rss_kib(void)
{
    char line[128];
    long kib = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status))
        if (sscanf(line, "VmRSS: %ld", &kib) == 1)
            break;
    fclose(status);
    return kib;
}

/* Open descriptors of this process. */
KIT_UNUSED static int kit_fds(void)
{
    int count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) != -1;
    return count;
}

#endif
