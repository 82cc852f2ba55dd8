/* SPDX-License-Identifier: MIT */
#include "rawpeer.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { PARTS = 3, PART_SIZE = 3000, READER_HWM = 5 };

/* A PULL in a process of its own, which binds when told and then tells the number of each whole message. */
struct reader {
    pid_t pid;
    int line; /* to say "go", and to read ints from */
};

static void reader_life(const char *text, int line)
{
    char go;
    if (read(line, &go, 1) != 1)
        _exit(0);
    void *context = zmq_ctx_new(), *socket = zmq_socket(context, ZMQ_PULL);
    int hwm = READER_HWM, size = 4096;
    zmq_setsockopt(socket, ZMQ_RCVHWM, &hwm, sizeof hwm);
    zmq_setsockopt(socket, ZMQ_RCVBUF, &size, sizeof size);
    while (zmq_bind(socket, text) < 0)
        zmq_poll(NULL, 0, 1);
    for (;;) {
        uint8_t part[PART_SIZE];
        int number = -1;
        for (int i = 0; i < PARTS; i++) {
            int more = 0;
            size_t more_size = sizeof more;
            bool whole = zmq_recv(socket, part, sizeof part, 0) == PART_SIZE &&
                         zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &more_size) == 0 && more == (i + 1 < PARTS);
            memcpy(&number, part, sizeof number);
            if (!whole || !kit_is_filled(part + sizeof number, PART_SIZE - sizeof number, (uint32_t)(number * PARTS + i)))
                number = -1 - i;
        }
        if (write(line, &number, sizeof number) != sizeof number)
            _exit(0);
    }
}

/* Before this process has threads. */
static struct reader reader_make(const char *text)
{
    int ends[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    struct reader reader = {.pid = fork(), .line = ends[0]};
    if (reader.pid == 0) {
        alarm(60);
        close(ends[0]);
        reader_life(text, ends[1]);
    }
    close(ends[1]);
    return reader;
}

static void reader_go(struct reader *reader)
{
    cr_assert_eq(write(reader->line, "g", 1), 1);
}

static int reader_number(struct reader *reader)
{
    int number;
    raw_hear(reader->line, &number, sizeof number);
    cr_assert_geq(number, 0, "a message that is not whole, part %d", -1 - number);
    return number;
}

static void reader_kill(struct reader *reader)
{
    kill(reader->pid, SIGKILL);
    waitpid(reader->pid, NULL, 0);
}

static int message_send(void *socket, int number, int flags)
{
    uint8_t part[PART_SIZE];
    for (int i = 0; i < PARTS; i++) {
        memcpy(part, &number, sizeof number);
        kit_fill(part + sizeof number, PART_SIZE - sizeof number, (uint32_t)(number * PARTS + i));
        if (zmq_send(socket, part, PART_SIZE, flags | (i + 1 < PARTS ? ZMQ_SNDMORE : 0)) < 0)
            return -1;
    }
    return 0;
}

/*
 * The reader is killed and another one takes its place, twice. Missing are only messages that the dead one or a kernel
 * had: those of its pipe and of two small socket buffers. What comes afterwards is whole, in order, and comes once.
 */
static void survive_readers(const char *text, int lost_max)
{
    enum { MESSAGES = 900 };
    struct reader readers[3] = {reader_make(text), reader_make(text), reader_make(text)};
    void *context = zmq_ctx_new();
    void *socket = kit_socket(context, ZMQ_PUSH);
    kit_set(socket, ZMQ_SNDHWM, 0);
    kit_set(socket, ZMQ_SNDBUF, 4096);
    kit_set(socket, ZMQ_RECONNECT_IVL, 5);
    KIT_OK(zmq_connect(socket, text));
    for (int i = 0; i < MESSAGES; i++)
        KIT_OK(message_send(socket, i, 0));
    int next = 0;
    for (int round = 0; round < 3; round++) {
        struct reader *reader = &readers[round];
        reader_go(reader);
        int first = reader_number(reader);
        cr_assert_geq(first, next, "a message came twice");
        cr_assert_leq(first - next, round ? lost_max : 0, "%s, round %d: %d after %d", text, round, first, next);
        int last = round == 2 ? MESSAGES - 1 : first + 200;
        for (int i = first + 1; i <= last; i++)
            cr_assert_eq(reader_number(reader), i);
        next = last + 1;
        reader_kill(reader);
        while (raw_wait(reader->line, KIT_WAIT_MS)) { /* what it had told before it died */
            int number;
            if (read(reader->line, &number, sizeof number) != sizeof number)
                break;
            cr_assert_eq(number, next++);
        }
        close(reader->line);
    }
    KIT_OK(zmq_close(socket));
    KIT_OK(zmq_ctx_term(context));
}

Test(reconnect, a_killed_reader_over_tcp, .timeout = 60)
{
    char text[KIT_ENDPOINT_SIZE];
    close(raw_listen(text));
    survive_readers(text, 40);
}

Test(reconnect, a_killed_reader_over_ipc, .timeout = 60)
{
    char text[KIT_ENDPOINT_SIZE];
    snprintf(text, sizeof text, "ipc://@zuring-reconnect-%d", (int)getpid());
    survive_readers(text, 40);
}

/* With IMMEDIATE nothing is queued for a connection that is not there. */
Test(reconnect, immediate)
{
    void *context = zmq_ctx_new();
    char text[KIT_ENDPOINT_SIZE];
    kit_free_endpoint(context, "tcp", text);
    void *from = kit_socket(context, ZMQ_PUSH), *to = kit_socket(context, ZMQ_PULL);
    kit_set(from, ZMQ_IMMEDIATE, 1);
    kit_set(from, ZMQ_RECONNECT_IVL, 5);
    KIT_OK(zmq_connect(from, text));
    KIT_FAILS(EAGAIN, zmq_send(from, "x", 1, ZMQ_DONTWAIT));
    for (int i = 0; i < 3; i++) {
        kit_rebind(to, text);
        if (kit_is_inline()) /* nobody would accept while the other one waits */
            KIT_UNTIL((kit_poke(), kit_get(from, ZMQ_EVENTS) & ZMQ_POLLOUT));
        kit_send_text(from, "connected", 0);
        kit_recv_text(to, "connected");
        KIT_OK(zmq_unbind(to, text));
        KIT_UNTIL(KIT_ERRNO(zmq_send(from, "lost", 4, ZMQ_DONTWAIT)) == EAGAIN);
        KIT_OK(zmq_close(to));
        to = kit_socket(context, ZMQ_PULL);
    }
    KIT_OK(zmq_close(from));
    KIT_OK(zmq_close(to));
    KIT_OK(zmq_ctx_term(context));
}

/* What is queued while nobody is there goes out afterwards, all of it. */
Test(reconnect, a_queue_survives_the_gap)
{
    for (int t = 0; t < 2; t++) {
        struct kit_pair pair = kit_pair(kit_transports[t], ZMQ_PUSH, ZMQ_PULL);
        char text[KIT_ENDPOINT_SIZE];
        kit_free_endpoint(pair.context, kit_transports[t], text);
        void *from = kit_socket(pair.context, ZMQ_PUSH), *to = kit_socket(pair.context, ZMQ_PULL);
        kit_set(from, ZMQ_RECONNECT_IVL, 5);
        KIT_OK(zmq_connect(from, text));
        kit_rebind(to, text);
        kit_send_text(from, "before", 0);
        kit_recv_text(to, "before");
        KIT_OK(zmq_close(to));
        kit_send_text(pair.from, "another peer", 0); /* one more way through the shard, by then it has closed */
        kit_recv_text(pair.to, "another peer");
        for (int i = 0; i < 100; i++)
            KIT_OK(message_send(from, i, 0));
        to = kit_socket(pair.context, ZMQ_PULL);
        kit_rebind(to, text);
        uint8_t part[PART_SIZE];
        int number = -1, before = -1;
        while (number < 99) {
            for (int i = 0; i < PARTS; i++)
                cr_assert_eq(zmq_recv(to, part, sizeof part, 0), PART_SIZE, "after %d", number);
            memcpy(&number, part, sizeof number);
            cr_assert(number == before + 1 || before < 0, "%d after %d", number, before);
            before = number;
        }
        KIT_OK(zmq_close(from));
        KIT_OK(zmq_close(to));
        kit_pair_end(&pair);
        if (t == 1)
            unlink(text + 6);
    }
}

/* A listener that hangs up at once: how many connections come in a row, and how far apart. */
static void connections_make(int listener, int count, int gap_min_ms)
{
    uint64_t last_ms = 0;
    for (int i = 0; i < count; i++) {
        int fd = raw_accept(listener);
        uint64_t now_ms = kit_now_ms();
        if (i > 0)
            cr_assert_geq(now_ms - last_ms + 2, (uint64_t)gap_min_ms);
        last_ms = now_ms;
        close(fd);
    }
}

Test(reconnect, interval)
{
    void *context = zmq_ctx_new();
    char text[KIT_ENDPOINT_SIZE];
    int listener = raw_listen(text);
    static const int max_ms[] = {0, 40};
    for (int i = 0; i < 2; i++) {
        void *socket = kit_socket(context, ZMQ_PUSH);
        kit_set(socket, ZMQ_RECONNECT_IVL, 20);
        kit_set(socket, ZMQ_RECONNECT_IVL_MAX, max_ms[i]);
        KIT_OK(zmq_connect(socket, text));
        connections_make(listener, 6, 20);
        KIT_OK(zmq_close(socket));
        KIT_OK(zmq_ctx_term(context));
        context = zmq_ctx_new();
        while (raw_wait(listener, 0))
            close(raw_accept(listener));
    }
    close(listener);
    KIT_OK(zmq_ctx_term(context));
}

Test(reconnect, never_without_an_interval)
{
    static const int intervals_ms[] = {0, -1};
    for (int i = 0; i < 2; i++) {
        void *context = zmq_ctx_new();
        char text[KIT_ENDPOINT_SIZE];
        int listener = raw_listen(text);
        void *socket = kit_socket(context, ZMQ_PUSH);
        kit_set(socket, ZMQ_RECONNECT_IVL, intervals_ms[i]);
        KIT_OK(zmq_connect(socket, text));
        connections_make(listener, 1, 0);
        cr_assert(!raw_wait(listener, 100));
        KIT_OK(zmq_close(socket));
        KIT_OK(zmq_ctx_term(context));
        close(listener);
    }
}

/* A peer that breaks the protocol is not asked again; one that fails for other reasons is. */
Test(reconnect, not_after_a_protocol_error)
{
    void *context = zmq_ctx_new();
    char text[KIT_ENDPOINT_SIZE];
    int listener = raw_listen(text);
    void *socket = kit_socket(context, ZMQ_PUSH);
    kit_set(socket, ZMQ_RECONNECT_IVL, 5);
    KIT_OK(zmq_connect(socket, text));
    int fd = raw_accept(listener);
    raw_say(fd, RAW_GREETING "\x04\x06\x05NOPE!", RAW_GREETING_SIZE + 8);
    cr_assert(raw_ended(fd, KIT_WAIT_MS));
    close(fd);
    cr_assert(!raw_wait(listener, 100));
    KIT_OK(zmq_close(socket));
    KIT_OK(zmq_ctx_term(context));
    close(listener);
}

/* HANDSHAKE_IVL on the connecting side: a server that says nothing is left, and tried again. */
Test(reconnect, after_a_handshake_timeout)
{
    void *context = zmq_ctx_new();
    char text[KIT_ENDPOINT_SIZE];
    int listener = raw_listen(text);
    void *socket = kit_socket(context, ZMQ_PUSH);
    kit_set(socket, ZMQ_RECONNECT_IVL, 5);
    kit_set(socket, ZMQ_HANDSHAKE_IVL, 50);
    KIT_OK(zmq_connect(socket, text));
    for (int i = 0; i < 3; i++) {
        int fd = raw_accept(listener);
        cr_assert(raw_ended(fd, KIT_WAIT_MS));
        close(fd);
    }
    int fd = raw_accept(listener);
    raw_shake(fd, RAW_READY_PULL);
    kit_send_text(socket, "at last", 0);
    char got[9];
    raw_hear(fd, got, sizeof got);
    cr_assert_eq(memcmp(got, "\0\7at last", 9), 0);
    close(fd);
    KIT_OK(zmq_close(socket));
    KIT_OK(zmq_ctx_term(context));
    close(listener);
}

/* A line that is cut again and again, after a random number of octets. */
struct bad_line {
    int listener;                  /* where the sender connects to */
    char target[KIT_ENDPOINT_SIZE]; /* where it wants to get to */
    uint32_t random;               /* when to cut */
    _Atomic bool done;             /* no more cuts */
    unsigned cuts;                 /* made */
};

/* Passes on what comes, up to `left` octets of the sender's. False: an end has gone. */
static bool pass_on(int from, int to, uint32_t *left)
{
    char data[16384];
    size_t most = sizeof data < *left ? sizeof data : *left;
    ssize_t size = recv(from, data, most, 0);
    if (size <= 0)
        return false;
    raw_say(to, data, (size_t)size);
    *left -= (uint32_t)size;
    return true;
}

static void *bad_line_run(void *arg)
{
    struct bad_line *line = arg;
    while (!line->done) {
        if (!raw_wait(line->listener, 10))
            continue;
        int near = raw_accept(line->listener), far = raw_connect(line->target);
        uint32_t left = kit_random(&line->random) % 400000, back = UINT32_MAX;
        bool alive = true;
        while (alive && left > 0 && !line->done) {
            struct pollfd fds[2] = {{.fd = near, .events = POLLIN}, {.fd = far, .events = POLLIN}};
            if (poll(fds, 2, 10) <= 0)
                continue;
            alive = (!fds[0].revents || pass_on(near, far, &left)) && (!fds[1].revents || pass_on(far, near, &back));
        }
        close(near);
        close(far);
        line->cuts++;
    }
    return NULL;
}

/* One part or three, of few octets or many; all begin with the message's number and their own. */
static bool numbered_send(void *socket, uint32_t number)
{
    static uint8_t data[60000];
    uint32_t parts = number % 7 ? 1 : 3;
    for (uint32_t i = 0; i < parts; i++) {
        uint32_t head[2] = {number, i};
        size_t size = sizeof head + (number % 50 ? number % 300 : number % 50000);
        memcpy(data, head, sizeof head);
        kit_fill(data + sizeof head, size - sizeof head, number + i);
        if (zmq_send(socket, data, size, i + 1 < parts ? ZMQ_SNDMORE : 0) < 0)
            return false;
    }
    return true;
}

static uint32_t numbered_recv(void *socket)
{
    static uint8_t data[60000];
    uint32_t head[2], number = 0, i = 0;
    do {
        int size = zmq_recv(socket, data, sizeof data, 0);
        cr_assert_geq(size, (int)sizeof head, "%s", zmq_strerror(errno));
        memcpy(head, data, sizeof head);
        number = i ? number : head[0];
        cr_assert(head[0] == number && head[1] == i, "part %u of %u, not %u of %u", head[1], head[0], i, number);
        cr_assert_eq((size_t)size, sizeof head + (number % 50 ? number % 300 : number % 50000));
        cr_assert(kit_is_filled(data + sizeof head, (size_t)size - sizeof head, number + i));
        i++;
    } while (kit_get(socket, ZMQ_RCVMORE));
    cr_assert_eq(i, number % 7 ? 1 : 3);
    return number;
}

static void *numbers_send(void *socket)
{
    uint32_t count = 0;
    for (uint64_t until_ms = kit_now_ms() + 1500; kit_now_ms() < until_ms; count++)
        if (!numbered_send(socket, count))
            break;
    return (void *)(uintptr_t)count;
}

/* Whatever arrives is whole, and nothing arrives twice. */
Test(reconnect, over_a_bad_line, .timeout = 60)
{
    void *context = zmq_ctx_new();
    void *from = kit_socket(context, ZMQ_PUSH), *to = kit_socket(context, ZMQ_PULL);
    char text[KIT_ENDPOINT_SIZE];
    struct bad_line line = {.listener = raw_listen(text), .random = kit_seed()};
    pthread_t threads[2];
    kit_bind(to, "tcp", line.target);
    kit_set(from, ZMQ_RECONNECT_IVL, 1);
    KIT_OK(zmq_connect(from, text));
    pthread_create(&threads[0], NULL, bad_line_run, &line);
    pthread_create(&threads[1], NULL, numbers_send, from);
    static uint8_t seen[10000000];
    unsigned got = 0;
    while (kit_readable(to, 500)) {
        uint32_t number = numbered_recv(to);
        cr_assert_lt(number, sizeof seen);
        cr_assert_eq(seen[number]++, 0, "message %u came twice", number);
        got++;
    }
    line.done = true;
    void *sent;
    pthread_join(threads[1], &sent);
    pthread_join(threads[0], NULL);
    fprintf(stderr, "%u of %u messages, %u cuts\n", got, (unsigned)(uintptr_t)sent, line.cuts);
    cr_assert_gt(line.cuts, 10);
    cr_assert_gt(got, 1000);
    close(line.listener);
    KIT_OK(zmq_close(from));
    KIT_OK(zmq_close(to));
    KIT_OK(zmq_ctx_term(context));
}
