/* SPDX-License-Identifier: MIT */
#include "rawpeer.h"
#include "zuring.h"

struct scene {
    void *context;               /* of all */
    void *victim;                /* a bound PULL */
    void *events;                /* what its monitor tells, version 2 */
    char text[KIT_ENDPOINT_SIZE]; /* where */
};

static struct scene scene_make_with(int threads, int option, int value)
{
    struct scene scene = {.context = zmq_ctx_new()};
    KIT_OK(zmq_ctx_set(scene.context, ZMQ_IO_THREADS, threads));
    scene.victim = kit_socket(scene.context, ZMQ_PULL);
    scene.events = kit_socket(scene.context, ZMQ_PAIR);
    kit_set(scene.victim, option, value);
    uint64_t events = ZMQ_EVENT_ACCEPT_FAILED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_SUCCEEDED;
    KIT_OK(zmq_socket_monitor_versioned(scene.victim, "inproc://events", events, 2, ZMQ_PAIR));
    KIT_OK(zmq_connect(scene.events, "inproc://events"));
    kit_bind(scene.victim, "tcp", scene.text);
    return scene;
}

static struct scene scene_make(int option, int value)
{
    return scene_make_with(1, option, value);
}

static void scene_end(struct scene *scene)
{
    KIT_OK(zmq_close(scene->victim));
    KIT_OK(zmq_close(scene->events));
    KIT_OK(zmq_ctx_term(scene->context));
}

static bool event_is_there(struct scene *scene)
{
    kit_poke();
    return kit_readable(scene->events, 0);
}

/* The next event; it names the descriptor's own end unless that is negative. */
static void event_expect(struct scene *scene, uint64_t number, uint64_t value, int fd)
{
    uint64_t got[3];
    char text[KIT_ENDPOINT_SIZE], expected[KIT_ENDPOINT_SIZE];
    KIT_UNTIL(event_is_there(scene));
    for (int i = 0; i < 3; i++)
        cr_assert_eq(zmq_recv(scene->events, &got[i], 8, 0), 8);
    cr_assert_eq(got[0], number, "%#lx instead of %#lx", (unsigned long)got[0], (unsigned long)number);
    cr_assert_eq(got[2], value, "%s instead of %s", strerror((int)got[2]), strerror((int)value));
    kit_recv_text(scene->events, scene->text);
    int size = zmq_recv(scene->events, text, sizeof text - 1, 0);
    cr_assert_geq(size, 0);
    text[size] = 0;
    if (fd < 0)
        return;
    struct sockaddr_in own;
    socklen_t own_size = sizeof own;
    getsockname(fd, (struct sockaddr *)&own, &own_size);
    snprintf(expected, sizeof expected, "tcp://127.0.0.1:%u", ntohs(own.sin_port));
    cr_assert_str_eq(text, expected);
}

static int come_in(struct scene *scene)
{
    int fd = raw_connect(scene->text);
    raw_shake(fd, RAW_READY_PUSH);
    event_expect(scene, ZMQ_EVENT_HANDSHAKE_SUCCEEDED, 0, fd);
    return fd;
}

/* One whose greeting the victim has answered: it has its place. */
static int come_silent(struct scene *scene)
{
    uint8_t greeting[10]; /* its first part */
    int fd = raw_connect(scene->text);
    raw_hear(fd, greeting, sizeof greeting);
    return fd;
}

/* All places are taken by those who belong there: another one is told at once, and may come when one has left. */
Test(limits, connections)
{
    struct scene scene = scene_make(ZURING_MAX_CONNECTIONS, 3);
    int fds[3];
    for (int i = 0; i < 3; i++)
        fds[i] = come_in(&scene);
    for (int i = 0; i < 3; i++) {
        int fd = raw_connect(scene.text);
        cr_assert(raw_ended(fd, KIT_WAIT_MS));
        event_expect(&scene, ZMQ_EVENT_ACCEPT_FAILED, EUSERS, fd);
        close(fd);
    }
    void *late = kit_socket(scene.context, ZMQ_PUSH);
    kit_set(late, ZMQ_RECONNECT_IVL, 5);
    kit_set(late, ZMQ_IMMEDIATE, 1);
    KIT_OK(zmq_connect(late, scene.text));
    event_expect(&scene, ZMQ_EVENT_ACCEPT_FAILED, EUSERS, -1);
    raw_say(fds[1], "\0\1a", 3);
    kit_recv_text(scene.victim, "a");
    close(fds[0]);
    zmq_pollitem_t items[] = {{.socket = late, .events = ZMQ_POLLOUT}, {.socket = scene.victim, .events = ZMQ_POLLIN}};
    KIT_UNTIL(zmq_poll(items, 2, 1) > 0);
    kit_send_text(late, "b", 0);
    kit_recv_text(scene.victim, "b");
    KIT_OK(zmq_close(late));
    close(fds[1]);
    close(fds[2]);
    scene_end(&scene);
}

/* Who has not shown who he is keeps nobody out, and goes before those who have. */
Test(limits, strangers_make_room)
{
    struct scene scene = scene_make(ZURING_MAX_CONNECTIONS, 3);
    int first = come_silent(&scene), friend = come_in(&scene), second = come_silent(&scene);
    int silent[] = {first, second}, others[2];
    for (int i = 0; i < 2; i++) {
        others[i] = raw_connect(scene.text);
        event_expect(&scene, ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL, EUSERS, silent[i]);
        cr_assert(raw_ended(silent[i], KIT_WAIT_MS));
        close(silent[i]);
        raw_shake(others[i], RAW_READY_PUSH);
        event_expect(&scene, ZMQ_EVENT_HANDSHAKE_SUCCEEDED, 0, others[i]);
    }
    int stranger = raw_connect(scene.text);
    event_expect(&scene, ZMQ_EVENT_ACCEPT_FAILED, EUSERS, stranger);
    close(stranger);
    close(others[0]);
    raw_say(others[1], "\0\1a", 3);
    kit_recv_text(scene.victim, "a");
    stranger = -1;
    do { /* until it is seen that one has left */
        if (stranger >= 0)
            close(stranger);
        stranger = raw_connect(scene.text);
    } while (!raw_wait(stranger, KIT_WAIT_MS) || recv(stranger, (char[10]){0}, 10, 0) <= 0);
    close(stranger);
    raw_say(friend, "\0\1b", 3);
    kit_recv_text(scene.victim, "b");
    close(friend);
    close(others[1]);
    scene_end(&scene);
}

/* The oldest goes: it has had the most time. */
Test(limits, handshakes)
{
    enum { MAX = 4, MORE = 6 };
    struct scene scene = scene_make(ZURING_MAX_HANDSHAKES, MAX);
    int fds[MAX + MORE], friends[2];
    friends[0] = come_in(&scene); /* who is in does not count */
    for (int i = 0; i < MAX + MORE; i++) {
        fds[i] = come_silent(&scene);
        if (i < MAX)
            continue;
        event_expect(&scene, ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL, EUSERS, fds[i - MAX]);
        cr_assert(raw_ended(fds[i - MAX], KIT_WAIT_MS));
    }
    friends[1] = raw_connect(scene.text);
    raw_shake(friends[1], RAW_READY_PUSH);
    event_expect(&scene, ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL, EUSERS, fds[MORE]);
    event_expect(&scene, ZMQ_EVENT_HANDSHAKE_SUCCEEDED, 0, friends[1]);
    close(fds[MORE + 1]); /* of its own accord, and makes room for one */
    event_expect(&scene, ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL, EPIPE, fds[MORE + 1] = -1);
    for (int i = 0; i < 2; i++) {
        raw_say(friends[i], "\0\1f", 3);
        kit_recv_text(scene.victim, "f");
        close(friends[i]);
    }
    for (int i = MORE + 2; i < MAX + MORE; i++) {
        cr_assert(!raw_wait(fds[i], 0) || recv(fds[i], (char[64]){0}, 64, MSG_DONTWAIT) > 0, "still there");
        close(fds[i]);
    }
    for (int i = 0; i <= MORE; i++)
        close(fds[i]);
    scene_end(&scene);
}

static size_t peers(struct scene *scene)
{
    size_t count = 0;
    KIT_FAILS(EAGAIN, zmq_recv(scene->victim, &count, 0, ZMQ_DONTWAIT)); /* sees who has gone */
    KIT_OK(zuring_peers(scene->victim, NULL, &count));
    return count;
}

/* Strangers on one thread make room for who comes to another. */
Test(limits, strangers_on_any_thread_make_room)
{
    enum { THREADS = 3 };
    for (int at = 0; at < THREADS; at++) {
        struct scene scene = scene_make_with(THREADS, ZURING_MAX_CONNECTIONS, 2);
        int fds[2], others[THREADS];
        for (int i = 0; i < at; i++) /* the turn is at another thread's */
            close(come_in(&scene));
        KIT_UNTIL(peers(&scene) == 0);
        fds[0] = come_silent(&scene);
        fds[1] = come_in(&scene);
        others[0] = fds[0];
        for (int i = 1; i < THREADS; i++) {
            others[i] = raw_connect(scene.text);
            event_expect(&scene, ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL, EUSERS, others[i - 1]);
        }
        raw_shake(others[THREADS - 1], RAW_READY_PUSH);
        event_expect(&scene, ZMQ_EVENT_HANDSHAKE_SUCCEEDED, 0, others[THREADS - 1]);
        int late = raw_connect(scene.text); /* now all are grown up, everywhere */
        event_expect(&scene, ZMQ_EVENT_ACCEPT_FAILED, EUSERS, late);
        close(late);
        close(fds[1]);
        for (int i = 0; i < THREADS; i++)
            close(others[i]);
        scene_end(&scene);
    }
}

/* How many: greetings were begun, so that many octets may stand before an end. */
static int ended(const int *fds, int count)
{
    int gone = 0;
    for (int i = 0; i < count; i++) {
        struct pollfd item = {.fd = fds[i], .events = POLLRDHUP};
        gone += poll(&item, 1, 0) > 0;
    }
    return gone;
}

/* All threads together have so many, and no more than that stays; nor fewer. */
Test(limits, of_several_threads)
{
    enum { MAX = 7, MORE = 20 };
    static const int options[] = {ZURING_MAX_HANDSHAKES, ZURING_MAX_CONNECTIONS};
    for (int i = 0; i < 2; i++) {
        struct scene scene = scene_make_with(3, options[i], MAX);
        int fds[MAX + MORE];
        for (int j = 0; j < MAX + MORE; j++)
            fds[j] = come_silent(&scene);
        for (int j = 0; j < MORE; j++)
            event_expect(&scene, ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL, EUSERS, -1);
        KIT_UNTIL((kit_poke(), ended(fds, MAX + MORE) == MORE));
        cr_assert_not(event_is_there(&scene));
        for (int j = 0; j < MAX + MORE; j++)
            close(fds[j]);
        scene_end(&scene);
    }
}

/* Nothing that libzmq says comes near the default; what is said beyond a limit ends the connection. */
Test(limits, handshake_bytes)
{
    enum { MAX = 1024 };
    struct scene scene = scene_make(ZURING_MAX_HANDSHAKE_BYTES, MAX);
    char words[MAX] = {0};
    int fd = raw_connect(scene.text);
    raw_say(fd, RAW_GREETING "\x06\0\0\0\0\0\0\x04\0\5READY\x01x\0\0\x03\xf0", RAW_GREETING_SIZE + 21);
    raw_say(fd, words, MAX - RAW_GREETING_SIZE - 21);
    raw_say(fd, words, 1);
    event_expect(&scene, ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL, E2BIG, fd);
    cr_assert(raw_ended(fd, KIT_WAIT_MS));
    close(fd);
    close(come_in(&scene));
    scene_end(&scene);
}
