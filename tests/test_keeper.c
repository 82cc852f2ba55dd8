/* SPDX-License-Identifier: MIT */
/* The keeper, by what a program sees: what it does for a user that stays away, and that this is not lost on the user. */
#include <criterion/criterion.h>
#include <poll.h>
#include <sys/wait.h>

#include "drives.h"
#include "kit.h"
#include "rawpeer.h"
#include "refuse.h"

static const struct drive_way *const way = &drive_ways[2];

/* Without a look at the socket: the kernel alone, or the keeper, says so. */
static bool is_told(int fd, int timeout_ms)
{
    struct pollfd item = {.fd = fd, .events = POLLIN};
    return poll(&item, 1, timeout_ms) == 1;
}

/* Something is owing for ever, so the keeper steps the drive, and finds the messages that come meanwhile. */
Test(keeper, what_it_received_shows_on_the_users_descriptor, .timeout = 60)
{
    void *context = drive_context(way), *others = zmq_ctx_new();
    void *to = kit_socket(context, ZMQ_PULL), *from = kit_socket(others, ZMQ_PUSH);
    char text[KIT_ENDPOINT_SIZE], dead[KIT_ENDPOINT_SIZE];
    kit_set(to, ZMQ_RECONNECT_IVL, 60000);
    KIT_OK(zmq_connect(to, kit_free_endpoint(context, "tcp", dead)));
    KIT_OK(zmq_connect(from, kit_bind(to, "tcp", text)));
    int fd = kit_get(to, ZMQ_FD);
    for (int round = 0; round < 5; round++) {
        kit_send_text(from, "look", 0);
        poll(NULL, 0, 60); /* busy with something else, for longer than the keeper waits */
        do
            cr_assert(is_told(fd, KIT_WAIT_MS), "round %d", round);
        while (!(kit_get(to, ZMQ_EVENTS) & ZMQ_POLLIN));
        kit_recv_text(to, "look");
        KIT_UNTIL(!(kit_get(to, ZMQ_EVENTS) & ZMQ_POLLIN));
    }
    KIT_OK(zmq_close(from));
    KIT_OK(zmq_close(to));
    KIT_OK(zmq_ctx_term(context));
    KIT_OK(zmq_ctx_term(others));
}

/* The connection breaks in a send, and its user does not come back: it is made anew, and the message sent, all the same. */
Test(keeper, a_connection_that_breaks_in_a_send_is_made_anew, .timeout = 60)
{
    void *context = drive_context(way), *others = zmq_ctx_new();
    void *from = kit_socket(context, ZMQ_PUSH), *to = kit_socket(others, ZMQ_PULL);
    char text[KIT_ENDPOINT_SIZE], got[8];
    kit_set(from, ZMQ_LINGER, 0);
    KIT_OK(zmq_connect(from, kit_bind(to, "tcp", text)));
    kit_send_text(from, "0", 0);
    kit_recv_text(to, "0");
    KIT_OK(zmq_unbind(to, text));
    KIT_OK(zmq_close(to));
    to = kit_socket(others, ZMQ_PULL);
    uint64_t until_ms = 0;
    while (zmq_bind(to, text) < 0)
        cr_assert(kit_before(&until_ms), "the port is still taken");
    poll(NULL, 0, 50); /* the end of the old connection has arrived, and is not looked at */
    kit_send_text(from, "1", 0); /* may go to the dead connection */
    poll(NULL, 0, 50);
    kit_send_text(from, "2", 0);
    do
        cr_assert_eq(zmq_recv(to, got, sizeof got, 0), 1);
    while (got[0] != '2');
    KIT_OK(zmq_close(from));
    KIT_OK(zmq_close(to));
    KIT_OK(zmq_ctx_term(context));
    KIT_OK(zmq_ctx_term(others));
}

enum { LARGE = 4 << 20 };

/* 0, or the line where it came out differently: Criterion sees no assertion of a child. */
static int threadless_life(const char *text)
{
    static const uint8_t large[LARGE];
    if (!refuse_call(SYS_clone3, EAGAIN) || !refuse_call(SYS_clone, EAGAIN))
        return __LINE__;
    void *context = drive_context(way), *socket = zmq_socket(context, ZMQ_PUSH);
    int linger_ms = 50;
    if (zmq_connect(socket, text) < 0 || zmq_send(socket, large, LARGE, 0) < 0)
        return __LINE__;
    while (zmq_send(socket, large, 1, ZMQ_DONTWAIT) < 0 && errno == EAGAIN)
        continue;
    void *lost = zmq_socket(context, ZMQ_PUSH);
    if (zmq_setsockopt(lost, ZMQ_LINGER, &linger_ms, sizeof linger_ms) < 0 ||
        zmq_connect(lost, "ipc://@zuring-nobody-is-here") < 0 || zmq_send(lost, "a", 1, 0) < 0)
        return __LINE__;
    if (zmq_close(socket) < 0 || zmq_close(lost) < 0)
        return __LINE__;
    return zmq_ctx_term(context) == 0 ? 0 : __LINE__;
}

/* zmq_ctx_term does itself what lingers, for a peer that reads and for one that never comes. */
Test(keeper, term_ends_though_there_is_no_thread, .timeout = 60)
{
    char text[KIT_ENDPOINT_SIZE];
    int listener = raw_listen(text), status;
    uint8_t *heard = malloc(LARGE + 9 + 3);
    pid_t child = fork();
    if (child == 0) {
        alarm(30);
        _exit(threadless_life(text) & 127);
    }
    int fd = raw_accept(listener);
    raw_shake(fd, RAW_READY_PULL);
    poll(NULL, 0, 20); /* the kernel's buffers are full: the rest is for term */
    raw_hear(fd, heard, LARGE + 9 + 3);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status), "signal %d", WTERMSIG(status));
    cr_assert_eq(WEXITSTATUS(status), 0, "line %d", WEXITSTATUS(status));
    close(fd);
    close(listener);
    free(heard);
}
