/* SPDX-License-Identifier: MIT */
/* The poller as a program sees it, abused too; what a wait costs is counted in looks, which core/poller.h tells. */
#include "kit.h"

#include <signal.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include "core/poller.h"
#include "mem/alloc.h"

#define POLLER_WAITS(poller, event, expected_socket)                                                                   \
    do {                                                                                                               \
        KIT_OK(zmq_poller_wait((poller), (event), KIT_WAIT_MS));                                                       \
        cr_assert_eq((event)->socket, (expected_socket));                                                              \
    } while (0)

static uint64_t looks(void *poller)
{
    return ((struct zu_poller *)poller)->looks;
}

static void *poller_of(void *socket, void *user_data, short events)
{
    void *poller = zmq_poller_new();
    cr_assert_not_null(poller);
    KIT_OK(zmq_poller_add(poller, socket, user_data, events));
    return poller;
}

/* A fresh poller would have to look; this one waits until the connection's own news have come. */
static void settle(void *poller)
{
    zmq_poller_event_t event;
    while (zmq_poller_wait(poller, &event, 50) == 0)
        ;
}

static void refuses_no_poller(void *poller, void *socket)
{
    zmq_poller_event_t event = {.fd = 7, .events = 7};
    zmq_fd_t fd;
    KIT_FAILS(EFAULT, zmq_poller_size(poller));
    KIT_FAILS(EFAULT, zmq_poller_add(poller, socket, NULL, ZMQ_POLLIN));
    KIT_FAILS(EFAULT, zmq_poller_modify(poller, socket, ZMQ_POLLIN));
    KIT_FAILS(EFAULT, zmq_poller_remove(poller, socket));
    KIT_FAILS(EFAULT, zmq_poller_add_fd(poller, 0, NULL, ZMQ_POLLIN));
    KIT_FAILS(EFAULT, zmq_poller_modify_fd(poller, 0, ZMQ_POLLIN));
    KIT_FAILS(EFAULT, zmq_poller_remove_fd(poller, 0));
    KIT_FAILS(EFAULT, zmq_poller_wait_all(poller, &event, 1, 0));
    cr_assert_eq(event.fd, 7, "untouched");
    KIT_FAILS(EFAULT, zmq_poller_wait(poller, &event, 0));
    cr_assert(event.fd == -1 && event.events == 0, "cleared");
    KIT_FAILS(EFAULT, zmq_poller_fd(poller, &fd));
    KIT_FAILS(EFAULT, zmq_poller_destroy(poller ? &poller : NULL));
}

Test(poller, wrong_handles)
{
    void *context = zmq_ctx_new(), *socket = kit_socket(context, ZMQ_PAIR), *null = NULL;
    uint64_t no_poller[64] = {0};
    refuses_no_poller(NULL, socket);
    refuses_no_poller(no_poller, socket);
    KIT_FAILS(EFAULT, zmq_poller_destroy(&null));
    void *poller = zmq_poller_new();
    KIT_FAILS(ENOTSOCK, zmq_poller_add(poller, NULL, NULL, ZMQ_POLLIN));
    KIT_FAILS(ENOTSOCK, zmq_poller_modify(poller, context, ZMQ_POLLIN));
    KIT_FAILS(ENOTSOCK, zmq_poller_remove(poller, NULL));
    KIT_FAILS(EBADF, zmq_poller_add_fd(poller, -1, NULL, ZMQ_POLLIN));
    KIT_FAILS(EBADF, zmq_poller_modify_fd(poller, -1, ZMQ_POLLIN));
    KIT_FAILS(EBADF, zmq_poller_remove_fd(poller, -1));
    KIT_FAILS(EBADF, zmq_poller_add_fd(poller, 1000000, NULL, 0));
    KIT_OK(zmq_poller_destroy(&poller));
    cr_assert_null(poller);
    KIT_OK(zmq_close(socket));
    KIT_OK(zmq_ctx_term(context));
}

Test(poller, wrong_arguments)
{
    void *context = zmq_ctx_new(), *socket = kit_socket(context, ZMQ_PAIR), *other = kit_socket(context, ZMQ_PAIR);
    void *poller = poller_of(socket, NULL, ZMQ_POLLIN);
    zmq_poller_event_t event;
    zmq_fd_t fd;
    KIT_FAILS(EINVAL, zmq_poller_add(poller, socket, NULL, ZMQ_POLLIN));
    KIT_FAILS(EINVAL, zmq_poller_add(poller, other, NULL, 16));
    KIT_FAILS(EINVAL, zmq_poller_add(poller, other, NULL, -1));
    KIT_FAILS(EINVAL, zmq_poller_modify(poller, socket, 32));
    KIT_FAILS(EINVAL, zmq_poller_modify(poller, other, ZMQ_POLLIN));
    KIT_FAILS(EINVAL, zmq_poller_remove(poller, other));
    cr_assert_eq(zmq_poller_size(poller), 1);
    int own = eventfd(0, 0);
    KIT_OK(zmq_poller_add_fd(poller, own, NULL, 0));
    KIT_FAILS(EINVAL, zmq_poller_add_fd(poller, own, NULL, ZMQ_POLLIN));
    KIT_FAILS(EINVAL, zmq_poller_modify_fd(poller, own, 16));
    KIT_FAILS(EINVAL, zmq_poller_modify_fd(poller, own + 1, ZMQ_POLLIN));
    KIT_FAILS(EINVAL, zmq_poller_remove_fd(poller, 500000));
    KIT_FAILS(EINVAL, zmq_poller_add_fd(poller, kit_get(socket, ZMQ_FD), NULL, ZMQ_POLLIN));
    cr_assert_eq(zmq_poller_size(poller), 2);
    KIT_OK(zmq_poller_remove_fd(poller, own));
    KIT_FAILS(EINVAL, zmq_poller_remove_fd(poller, own));
    KIT_FAILS(EFAULT, zmq_poller_wait_all(poller, NULL, 1, 0));
    KIT_FAILS(EFAULT, zmq_poller_wait(poller, NULL, 0));
    KIT_FAILS(EINVAL, zmq_poller_wait_all(poller, &event, -1, 0));
    KIT_FAILS(EAGAIN, zmq_poller_wait_all(poller, &event, 0, 0));
    KIT_FAILS(EINVAL, zmq_poller_fd(poller, &fd));
    KIT_FAILS(EFAULT, zmq_poller_fd(poller, NULL));
    KIT_OK(zmq_poller_remove(poller, socket));
    KIT_FAILS(EINVAL, zmq_poller_remove(poller, socket));
    cr_assert_eq(zmq_poller_size(poller), 0);
    KIT_OK(zmq_poller_destroy(&poller));
    close(own);
    KIT_OK(zmq_close(socket));
    KIT_OK(zmq_close(other));
    KIT_OK(zmq_ctx_term(context));
}

Test(poller, nothing_to_wait_for)
{
    void *context = zmq_ctx_new(), *socket = kit_socket(context, ZMQ_PAIR);
    void *poller = zmq_poller_new();
    zmq_poller_event_t event;
    for (int round = 0; round < 2; round++) {
        KIT_FAILS(EFAULT, zmq_poller_wait(poller, &event, -1));
        KIT_FAILS(EAGAIN, zmq_poller_wait(poller, &event, 0));
        uint64_t start_ms = kit_now_ms();
        KIT_FAILS(EAGAIN, zmq_poller_wait_all(poller, &event, 1, 20));
        cr_assert_geq(kit_now_ms() - start_ms, 19);
        if (round == 0)
            KIT_OK(zmq_poller_add(poller, socket, NULL, 0));
    }
    KIT_OK(zmq_poller_modify(poller, socket, ZMQ_POLLIN));
    uint64_t start_ms = kit_now_ms();
    KIT_FAILS(EAGAIN, zmq_poller_wait(poller, &event, 20));
    cr_assert_geq(kit_now_ms() - start_ms, 19);
    KIT_OK(zmq_poller_destroy(&poller));
    KIT_OK(zmq_close(socket));
    KIT_OK(zmq_ctx_term(context));
}

Test(poller, one_socket)
{
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        struct kit_pair pair = kit_pair(kit_transports[t], ZMQ_PAIR, ZMQ_PAIR);
        int mine;
        void *poller = poller_of(pair.to, &mine, ZMQ_POLLIN);
        zmq_poller_event_t event;
        KIT_FAILS(EAGAIN, zmq_poller_wait(poller, &event, 10));
        kit_send_text(pair.from, "a", 0);
        kit_send_text(pair.from, "b", 0);
        for (int i = 0; i < 40; i++) { /* it stays ready until it is read */
            kit_poke();
            POLLER_WAITS(poller, &event, pair.to);
            cr_assert(event.fd == -1 && event.user_data == &mine && event.events == ZMQ_POLLIN);
        }
        kit_recv_text(pair.to, "a");
        POLLER_WAITS(poller, &event, pair.to);
        kit_recv_text(pair.to, "b");
        KIT_FAILS(EAGAIN, zmq_poller_wait(poller, &event, 0));
        cr_assert(event.socket == NULL && event.fd == -1 && event.user_data == NULL && event.events == 0);
        KIT_OK(zmq_poller_modify(poller, pair.to, ZMQ_POLLIN | ZMQ_POLLOUT | ZMQ_POLLERR | ZMQ_POLLPRI));
        POLLER_WAITS(poller, &event, pair.to);
        cr_assert_eq(event.events, ZMQ_POLLOUT);
        KIT_OK(zmq_poller_modify(poller, pair.to, 0));
        KIT_FAILS(EAGAIN, zmq_poller_wait(poller, &event, 0));
        KIT_OK(zmq_poller_destroy(&poller));
        kit_pair_end(&pair);
    }
}

/* The note of a message, and what showed it, go with a call of the program's own. */
Test(poller, sees_what_the_programs_own_calls_took_in)
{
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        struct kit_pair pair = kit_pair(kit_transports[t], ZMQ_PAIR, ZMQ_PAIR);
        void *poller = poller_of(pair.to, NULL, ZMQ_POLLIN);
        zmq_poller_event_t event;
        settle(poller);
        for (int i = 0; i < 100; i++) {
            kit_send_text(pair.from, "a", 0);
            KIT_UNTIL(kit_get(pair.to, ZMQ_EVENTS) & ZMQ_POLLIN);
            KIT_OK(zmq_poller_wait(poller, &event, i % 2 ? KIT_WAIT_MS : 0));
            kit_recv_text(pair.to, "a");
            KIT_FAILS(EAGAIN, zmq_poller_wait(poller, &event, 0));
            kit_send_text(pair.to, "answer", 0);
            kit_recv_text(pair.from, "answer");
        }
        KIT_OK(zmq_poller_destroy(&poller));
        kit_pair_end(&pair);
    }
}

static int temporary_file(void)
{
    char path[] = "/tmp/zuring-poller-XXXXXX";
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    unlink(path);
    return fd;
}

Test(poller, sockets_and_descriptors)
{
    struct kit_pair pair = kit_pair("tcp", ZMQ_PUSH, ZMQ_PULL);
    void *poller = poller_of(pair.to, &pair, ZMQ_POLLIN);
    int ends[2], file = temporary_file(), event = eventfd(0, EFD_NONBLOCK);
    zmq_poller_event_t events[6];
    cr_assert_eq(pipe(ends), 0);
    KIT_OK(zmq_poller_add_fd(poller, ends[0], &ends[0], ZMQ_POLLIN));
    KIT_OK(zmq_poller_add_fd(poller, event, NULL, ZMQ_POLLIN));
    KIT_FAILS(EAGAIN, zmq_poller_wait_all(poller, events, 6, 10));
    eventfd_write(event, 1);
    cr_assert_eq(zmq_poller_wait_all(poller, events, 6, KIT_WAIT_MS), 1);
    cr_assert(events[0].socket == NULL && events[0].fd == event && events[0].events == ZMQ_POLLIN);
    for (int i = 1; i < 6; i++)
        cr_assert(events[i].fd == -1 && events[i].socket == NULL && events[i].events == 0, "event %d", i);
    KIT_OK(zmq_poller_modify_fd(poller, event, ZMQ_POLLIN | ZMQ_POLLOUT));
    KIT_OK(zmq_poller_add_fd(poller, file, NULL, ZMQ_POLLIN));
    close(ends[1]);
    kit_send_text(pair.from, "a", 0);
    KIT_UNTIL((kit_poke(), zmq_poller_wait_all(poller, events, 6, KIT_WAIT_MS)) == 4);
    short seen[4] = {0};
    for (int i = 0; i < 4; i++) {
        int which = events[i].socket == pair.to ? 0 : events[i].fd == event ? 1 : events[i].fd == file ? 2 : 3;
        cr_assert_eq(events[i].user_data, which == 0 ? (void *)&pair : which == 3 ? (void *)&ends[0] : NULL);
        seen[which] = events[i].events;
    }
    cr_assert(seen[0] == ZMQ_POLLIN && seen[1] == (ZMQ_POLLIN | ZMQ_POLLOUT) && seen[2] == ZMQ_POLLIN);
    cr_assert_eq(seen[3], ZMQ_POLLERR, "hung up");
    close(event); /* before it was removed */
    KIT_OK(zmq_poller_remove_fd(poller, event));
    KIT_OK(zmq_poller_remove_fd(poller, file));
    KIT_OK(zmq_poller_remove_fd(poller, ends[0]));
    cr_assert_eq(zmq_poller_size(poller), 1);
    KIT_OK(zmq_poller_destroy(&poller));
    close(file);
    close(ends[0]);
    kit_pair_end(&pair);
}

/* It lives on by another number, so that epoll still knows it. */
Test(poller, a_duplicate_of_what_was_closed_is_not_reported)
{
    void *poller = zmq_poller_new();
    zmq_poller_event_t event;
    for (int rests = 0; rests < 2; rests++) {
        int closed = eventfd(0, EFD_NONBLOCK), stays = eventfd(0, EFD_NONBLOCK), other = dup(closed);
        KIT_OK(zmq_poller_add_fd(poller, closed, NULL, ZMQ_POLLIN));
        KIT_OK(zmq_poller_add_fd(poller, stays, NULL, ZMQ_POLLIN));
        KIT_FAILS(EAGAIN, zmq_poller_wait(poller, &event, 0));
        close(closed);
        if (rests)
            KIT_OK(zmq_poller_modify_fd(poller, closed, 0));
        KIT_OK(zmq_poller_remove_fd(poller, closed));
        eventfd_write(other, 1);
        for (int i = 0; i < 20; i++)
            KIT_FAILS(EAGAIN, zmq_poller_wait(poller, &event, i ? 0 : 10));
        eventfd_write(stays, 1);
        for (int i = 0; i < 2; i++) {
            KIT_OK(zmq_poller_wait(poller, &event, KIT_WAIT_MS));
            cr_assert_eq(event.fd, stays);
        }
        KIT_OK(zmq_poller_remove_fd(poller, stays));
        close(stays);
        close(other);
    }
    KIT_OK(zmq_poller_destroy(&poller));
}

/* Room for less than is ready: all have their turn. What found no room is asked again, not believed. */
Test(poller, all_have_their_turn)
{
    enum { EACH = 4, WAITS = 400 };
    struct kit_pair pairs[EACH];
    int fds[EACH];
    void *poller = zmq_poller_new();
    zmq_poller_event_t events[3];
    for (uintptr_t i = 0; i < EACH; i++) {
        pairs[i] = kit_pair("inproc", ZMQ_PUSH, ZMQ_PULL);
        kit_send_text(pairs[i].from, "a", 0);
        fds[i] = eventfd(1, EFD_NONBLOCK);
        KIT_OK(zmq_poller_add(poller, pairs[i].to, (void *)i, ZMQ_POLLIN));
        KIT_OK(zmq_poller_add_fd(poller, fds[i], (void *)(i + EACH), ZMQ_POLLIN));
    }
    for (int room = 1; room <= 3; room++) {
        int turns[2 * EACH] = {0};
        for (int n = 0; n < WAITS; n++) {
            int found = zmq_poller_wait_all(poller, events, room, KIT_WAIT_MS);
            cr_assert(found > 0 && found <= room);
            for (int i = 0; i < found; i++)
                turns[(uintptr_t)events[i].user_data]++;
        }
        for (int i = 0; i < 2 * EACH; i++)
            cr_assert_geq(turns[i], WAITS / 100, "number %d, room for %d", i, room);
    }
    for (int i = 0; i < EACH; i++) {
        eventfd_t count;
        eventfd_read(fds[i], &count);
        kit_recv_text(pairs[i].to, "a");
    }
    KIT_FAILS(EAGAIN, zmq_poller_wait_all(poller, events, 3, 0));
    KIT_OK(zmq_poller_destroy(&poller));
    for (int i = 0; i < EACH; i++) {
        close(fds[i]);
        kit_pair_end(&pairs[i]);
    }
}

/* --- what it costs --- */

enum { CROWD = 2000, ROUNDS = 200 };

/* Looks for ROUNDS messages to one of `count` sockets, read as they come. */
static uint64_t looks_with(int count)
{
    static void *sockets[CROWD];
    void *context = zmq_ctx_new(), *poller = zmq_poller_new();
    KIT_OK(zmq_ctx_set(context, ZMQ_MAX_SOCKETS, CROWD + 10));
    for (int i = 0; i < count; i++) {
        sockets[i] = zmq_socket(context, ZMQ_PULL);
        cr_assert_not_null(sockets[i], "%d: %s", i, zmq_strerror(errno));
        KIT_OK(zmq_poller_add(poller, sockets[i], NULL, ZMQ_POLLIN));
    }
    void *from = kit_socket(context, ZMQ_PUSH), *to = sockets[count / 2];
    char text[KIT_ENDPOINT_SIZE];
    KIT_OK(zmq_connect(from, kit_bind(to, "inproc", text)));
    settle(poller);
    uint64_t before = looks(poller);
    zmq_poller_event_t events[4];
    for (int i = 0; i < ROUNDS; i++) {
        kit_send_text(from, "a", 0);
        cr_assert_eq(zmq_poller_wait_all(poller, events, 1 + i % 4, KIT_WAIT_MS), 1);
        cr_assert_eq(events[0].socket, to);
        kit_recv_text(to, "a");
        if (i % 8 == 0)
            KIT_FAILS(EAGAIN, zmq_poller_wait(poller, events, 0));
    }
    uint64_t cost = looks(poller) - before;
    KIT_OK(zmq_poller_destroy(&poller));
    for (int i = 0; i < count; i++)
        KIT_OK(zmq_close(sockets[i]));
    KIT_OK(zmq_close(from));
    KIT_OK(zmq_ctx_term(context));
    return cost;
}

static bool allow_descriptors(rlim_t wanted)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < wanted)
        limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= wanted;
}

Test(poller, costs_by_what_is_ready)
{
    if (!allow_descriptors(4 * CROWD))
        cr_skip_test("not enough descriptors");
    uint64_t few = looks_with(10), many = looks_with(CROWD);
    cr_assert_geq(few, ROUNDS);
    cr_assert_leq(few, 4 * ROUNDS, "%d looks", (int)few);
    cr_assert_leq(many, 2 * few, "%d looks instead of %d", (int)many, (int)few);
}

/* A wake-up that comes behind its note leaves a descriptor readable for nothing: a wait must not spin over it. */
Test(poller, sleeps_between_messages)
{
    enum { MESSAGES = 300 };
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        struct kit_pair pair = kit_pair(kit_transports[t], ZMQ_PUSH, ZMQ_PULL);
        void *poller = poller_of(pair.to, NULL, ZMQ_POLLIN);
        zmq_poller_event_t event;
        settle(poller);
        uint64_t before = looks(poller);
        for (int i = 0; i < MESSAGES; i++) {
            char byte;
            kit_send_text(pair.from, "a", 0);
            KIT_UNTIL_SPINNING(zmq_recv(pair.to, &byte, 1, ZMQ_DONTWAIT) == 1);
            KIT_FAILS(EAGAIN, zmq_poller_wait(poller, &event, 1));
        }
        uint64_t cost = looks(poller) - before;
        cr_assert_lt(cost, 8 * MESSAGES, "%s: %d looks", kit_transports[t], (int)cost);
        KIT_OK(zmq_poller_destroy(&poller));
        kit_pair_end(&pair);
    }
}

/* --- lives that end --- */

Test(poller, a_socket_is_closed_in_it)
{
    struct kit_pair pair = kit_pair("tcp", ZMQ_PUSH, ZMQ_PULL);
    void *others[2] = {kit_socket(pair.context, ZMQ_PULL), kit_socket(pair.context, ZMQ_PULL)};
    void *poller = poller_of(others[0], NULL, ZMQ_POLLIN), *second = poller_of(others[0], NULL, ZMQ_POLLIN);
    zmq_poller_event_t event;
    KIT_OK(zmq_poller_add(poller, pair.to, NULL, ZMQ_POLLIN));
    KIT_OK(zmq_poller_add(poller, others[1], NULL, 0));
    KIT_FAILS(EAGAIN, zmq_poller_wait(poller, &event, 0));
    KIT_OK(zmq_close(others[0]));
    KIT_OK(zmq_close(others[1]));
    cr_assert_eq(zmq_poller_size(poller), 1);
    cr_assert_eq(zmq_poller_size(second), 0);
    KIT_FAILS(EFAULT, zmq_poller_wait(second, &event, -1));
    kit_send_text(pair.from, "a", 0);
    kit_poke();
    POLLER_WAITS(poller, &event, pair.to);
    KIT_OK(zmq_poller_destroy(&second));
    KIT_OK(zmq_poller_destroy(&poller));
    kit_recv_text(pair.to, "a");
    kit_pair_end(&pair);
}

Test(poller, a_poller_goes_before_its_sockets)
{
    struct kit_pair pair = kit_pair("inproc", ZMQ_PUSH, ZMQ_PULL);
    zmq_poller_event_t event;
    for (int i = 0; i < 3; i++) {
        void *poller = poller_of(pair.to, NULL, ZMQ_POLLIN);
        KIT_FAILS(EAGAIN, zmq_poller_wait(poller, &event, i));
        KIT_OK(zmq_poller_destroy(&poller));
        kit_send_text(pair.from, "a", 0);
        kit_recv_text(pair.to, "a");
    }
    kit_pair_end(&pair);
}

Test(poller, a_socket_in_several)
{
    enum { POLLERS = 3 };
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        struct kit_pair pair = kit_pair(kit_transports[t], ZMQ_PUSH, ZMQ_PULL);
        void *pollers[POLLERS];
        zmq_poller_event_t event;
        for (int i = 0; i < POLLERS; i++) {
            pollers[i] = poller_of(pair.to, NULL, ZMQ_POLLIN);
            KIT_FAILS(EAGAIN, zmq_poller_wait(pollers[i], &event, 5));
        }
        for (int round = 0; round < 30; round++) {
            kit_send_text(pair.from, "a", 0);
            kit_poke();
            for (int i = 0; i < POLLERS; i++)
                POLLER_WAITS(pollers[(i + round) % POLLERS], &event, pair.to);
            kit_recv_text(pair.to, "a");
            for (int i = 0; i < POLLERS; i++)
                KIT_FAILS(EAGAIN, zmq_poller_wait(pollers[i], &event, 0));
        }
        for (int i = 0; i < POLLERS; i++)
            KIT_OK(zmq_poller_destroy(&pollers[i]));
        kit_pair_end(&pair);
    }
}

static int wait_forever(void *poller)
{
    zmq_poller_event_t event;
    return zmq_poller_wait(poller, &event, -1);
}

Test(poller, the_end_of_the_context_wakes_it)
{
    struct kit_pair pair = kit_pair("tcp", ZMQ_PUSH, ZMQ_PULL);
    void *poller = poller_of(pair.to, NULL, ZMQ_POLLIN);
    struct kit_thread thread;
    zmq_poller_event_t event;
    kit_thread_start(&thread, wait_forever, poller);
    KIT_OK(zmq_ctx_shutdown(pair.context));
    cr_assert_eq(kit_thread_join(&thread), ETERM);
    KIT_FAILS(ETERM, zmq_poller_wait(poller, &event, 0));
    KIT_FAILS(ETERM, zmq_poller_wait_all(poller, &event, 1, -1));
    KIT_OK(zmq_poller_destroy(&poller));
    kit_pair_end(&pair);
}

static void on_signal(int number)
{
    (void)number;
}

Test(poller, a_signal_interrupts_it)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, NULL);
    void *context = zmq_ctx_new(), *socket = kit_socket(context, ZMQ_PULL);
    void *poller = poller_of(socket, NULL, ZMQ_POLLIN);
    struct kit_thread thread;
    kit_thread_start(&thread, wait_forever, poller);
    cr_assert_eq(kit_thread_interrupt(&thread), EINTR);
    KIT_OK(zmq_poller_destroy(&poller));
    KIT_OK(zmq_close(socket));
    KIT_OK(zmq_ctx_term(context));
}

Test(poller, wants_memory)
{
    void *context = zmq_ctx_new(), *socket = kit_socket(context, ZMQ_PULL), *poller = zmq_poller_new();
    kit_get(socket, ZMQ_FD);
    int fd = eventfd(0, 0);
    zu_alloc_fail_from = 1;
    cr_assert_null(zmq_poller_new());
    cr_assert_eq(errno, ENOMEM);
    for (unsigned from = 1; from <= 2; from++) {
        zu_alloc_fail_from = from;
        KIT_FAILS(ENOMEM, zmq_poller_add(poller, socket, NULL, ZMQ_POLLIN));
        zu_alloc_fail_from = 1;
        KIT_FAILS(ENOMEM, zmq_poller_add_fd(poller, fd, NULL, ZMQ_POLLIN));
        zu_alloc_fail_from = 0;
        cr_assert_eq(zmq_poller_size(poller), 0);
    }
    KIT_OK(zmq_poller_add(poller, socket, NULL, ZMQ_POLLIN));
    KIT_OK(zmq_poller_add_fd(poller, fd, NULL, ZMQ_POLLIN));
    KIT_OK(zmq_poller_destroy(&poller));
    close(fd);
    KIT_OK(zmq_close(socket));
    KIT_OK(zmq_ctx_term(context));
}

/* --- no message is slept over --- */

enum { SENDERS = 3, EACH_SENDS = 2000 };

struct sender {
    void *context;  /* of its socket */
    char text[KIT_ENDPOINT_SIZE]; /* where to */
    uint32_t random; /* its own */
};

static void *send_in_spurts(void *arg)
{
    struct sender *sender = arg;
    void *socket = kit_socket(sender->context, ZMQ_PUSH);
    kit_set(socket, ZMQ_LINGER, -1);
    KIT_OK(zmq_connect(socket, sender->text));
    for (int i = 0; i < EACH_SENDS; i++) {
        KIT_OK(zmq_send(socket, &i, sizeof i, 0));
        if (kit_random(&sender->random) % 64 == 0)
            zmq_poll(NULL, 0, 1);
    }
    KIT_OK(zmq_close(socket));
    return NULL;
}

/* Waits, and at times reads a socket without having been told to. */
static void take(void *poller, void *const *sockets, uint32_t *random, int *ret_got)
{
    int value;
    zmq_poller_event_t events[SENDERS];
    if (kit_random(random) % 3 == 0) {
        *ret_got += zmq_recv(sockets[kit_random(random) % SENDERS], &value, sizeof value, ZMQ_DONTWAIT) > 0;
        return;
    }
    int found = zmq_poller_wait_all(poller, events, 1 + (int)(kit_random(random) % SENDERS), KIT_WAIT_MS);
    cr_assert_gt(found, 0, "after %d: %s", *ret_got, zmq_strerror(errno));
    for (int i = 0; i < found; i++) {
        uint32_t burst = 1 + kit_random(random) % 8;
        while (burst-- && zmq_recv(events[i].socket, &value, sizeof value, ZMQ_DONTWAIT) > 0)
            ++*ret_got;
    }
}

Test(poller, sleeps_over_no_message)
{
    uint32_t random = kit_seed();
    void *context = zmq_ctx_new(), *poller = zmq_poller_new(), *sockets[SENDERS];
    struct sender senders[SENDERS];
    pthread_t threads[SENDERS];
    for (int i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){.context = context, .random = kit_random(&random)};
        sockets[i] = kit_socket(context, ZMQ_PULL);
        kit_bind(sockets[i], kit_transports[i], senders[i].text);
        KIT_OK(zmq_poller_add(poller, sockets[i], NULL, ZMQ_POLLIN));
    }
    for (int i = 0; i < SENDERS; i++)
        pthread_create(&threads[i], NULL, send_in_spurts, &senders[i]);
    for (int got = 0; got < SENDERS * EACH_SENDS;)
        take(poller, sockets, &random, &got);
    zmq_poller_event_t event;
    KIT_FAILS(EAGAIN, zmq_poller_wait(poller, &event, 0));
    KIT_OK(zmq_poller_destroy(&poller));
    for (int i = 0; i < SENDERS; i++) {
        pthread_join(threads[i], NULL);
        KIT_OK(zmq_close(sockets[i]));
    }
    KIT_OK(zmq_ctx_term(context));
}
