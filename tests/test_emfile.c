/* SPDX-License-Identifier: MIT */
#include "rawpeer.h"

#include <sys/resource.h>
#include <sys/wait.h>

/* Lets the process have `more` more descriptors, at most. */
static void limit_to(rlim_t more)
{
    int lowest = dup(0);
    cr_assert_geq(lowest, 0);
    close(lowest);
    struct rlimit limit = {.rlim_cur = (rlim_t)lowest + more, .rlim_max = 4096};
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0, "%s", strerror(errno));
}

/* A process with few descriptors that binds, says where, and passes on each number it receives. */
static void child_life(int out, const char *asked)
{
    void *context = zmq_ctx_new();
    void *socket = zmq_socket(context, ZMQ_PULL);
    char text[KIT_ENDPOINT_SIZE] = {0};
    size_t size = sizeof text;
    limit_to(10); /* before it accepts: a ring remembers the limit that held when it was asked to */
    if (zmq_bind(socket, asked) < 0 || zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, text, &size) < 0)
        _exit(1);
    if (write(out, text, sizeof text) != sizeof text)
        _exit(2);
    for (int number; zmq_recv(socket, &number, sizeof number, 0) == sizeof number;)
        if (write(out, &number, sizeof number) != sizeof number || number < 0)
            break;
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    int cpu_ms = (int)((used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000 +
                       (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1000);
    zmq_close(socket);
    zmq_ctx_term(context);
    _exit(write(out, &cpu_ms, sizeof cpu_ms) == sizeof cpu_ms ? 0 : 3);
}

/* The child's process, and where it is. */
static pid_t child_new(int ends[2], char *text)
{
    cr_assert_eq(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        alarm(60);
        close(ends[0]);
        child_life(ends[1], "tcp://127.0.0.1:*");
    }
    close(ends[1]);
    raw_hear(ends[0], text, KIT_ENDPOINT_SIZE);
    return child;
}

static void child_end(pid_t child, int out, void *socket)
{
    int number = -1, cpu_ms, status;
    KIT_OK(zmq_send(socket, &number, sizeof number, 0));
    raw_hear(out, &number, sizeof number);
    raw_hear(out, &cpu_ms, sizeof cpu_ms);
    cr_assert_lt(cpu_ms, 300, "it did not wait idly");
    waitpid(child, &status, 0);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* More clients than descriptors: some wait in the backlog, without the acceptor burning time, until others leave. */
Test(emfile, accept_waits_for_descriptors)
{
    int ends[2], fds[40], number = 1;
    char text[KIT_ENDPOINT_SIZE];
    pid_t child = child_new(ends, text);
    for (int i = 0; i < 40; i++) {
        fds[i] = raw_connect(text);
        raw_say(fds[i], RAW_GREETING RAW_READY_PUSH, RAW_GREETING_SIZE + RAW_READY_SIZE);
    }
    void *context = zmq_ctx_new();
    void *socket = kit_socket(context, ZMQ_PUSH);
    KIT_OK(zmq_connect(socket, text));
    KIT_OK(zmq_send(socket, &number, sizeof number, 0));
    cr_assert(!raw_wait(ends[0], 500), "a connection that should not have been possible");
    for (int i = 0; i < 40; i++)
        close(fds[i]);
    raw_hear(ends[0], &number, sizeof number);
    cr_assert_eq(number, 1);
    child_end(child, ends[0], socket);
    KIT_OK(zmq_close(socket));
    KIT_OK(zmq_ctx_term(context));
}

/* Those who say nothing give way, long before HANDSHAKE_IVL. */
Test(emfile, strangers_keep_nobody_out)
{
    int ends[2], fds[40], number = 1;
    char text[KIT_ENDPOINT_SIZE];
    pid_t child = child_new(ends, text);
    for (int i = 0; i < 40; i++)
        fds[i] = raw_connect(text);
    void *context = zmq_ctx_new();
    void *socket = kit_socket(context, ZMQ_PUSH);
    uint64_t from_ms = kit_now_ms();
    KIT_OK(zmq_connect(socket, text));
    KIT_OK(zmq_send(socket, &number, sizeof number, 0));
    raw_hear(ends[0], &number, sizeof number);
    cr_assert_eq(number, 1);
    cr_assert_lt(kit_now_ms() - from_ms, 15000u);
    child_end(child, ends[0], socket);
    for (int i = 0; i < 40; i++)
        close(fds[i]);
    KIT_OK(zmq_close(socket));
    KIT_OK(zmq_ctx_term(context));
}

static void relax(void)
{
    struct rlimit limit = {.rlim_cur = 1024, .rlim_max = 4096};
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* Each call that needs a descriptor says so, and works when there is one again. */
Test(emfile, calls_say_so)
{
    void *context = zmq_ctx_new();
    if (!kit_is_inline()) { /* there, a socket needs nothing before its first endpoint */
        limit_to(0);
        errno = 0;
        cr_assert_null(zmq_socket(context, ZMQ_PULL));
        cr_assert_eq(errno, EMFILE);
        relax();
    }
    void *to = kit_socket(context, ZMQ_PULL), *from = kit_socket(context, ZMQ_PUSH);
    char text[KIT_ENDPOINT_SIZE];
    int value;
    size_t size = sizeof value;
    limit_to(0);
    KIT_FAILS(EMFILE, zmq_bind(to, "tcp://127.0.0.1:*"));
    KIT_FAILS(EMFILE, zmq_bind(to, "ipc://@zuring-emfile"));
    KIT_FAILS(EMFILE, zmq_getsockopt(to, ZMQ_FD, &value, &size));
    relax();
    kit_bind(to, "tcp", text);
    limit_to(0);
    kit_set(from, ZMQ_RECONNECT_IVL, 5);
    if (kit_is_inline()) {
        KIT_FAILS(EMFILE, zmq_connect(from, text));
        relax();
        kit_get(from, ZMQ_FD); /* leaves it what connections need in common */
        limit_to(0);
    }
    KIT_OK(zmq_connect(from, text)); /* tries again and again */
    kit_send_text(from, "late", 0);
    cr_assert(!kit_readable(to, 50));
    relax();
    KIT_UNTIL((kit_poke(), kit_readable(to, 0))); /* inline, the keeper too could not start */
    kit_recv_text(to, "late");
    KIT_OK(zmq_close(from));
    KIT_OK(zmq_close(to));
    KIT_OK(zmq_ctx_term(context));
}
