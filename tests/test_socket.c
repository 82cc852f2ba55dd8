/* SPDX-License-Identifier: MIT */
#include "kit.h"

#include <sys/stat.h>

/* Every call on what is no open socket. */
static void all_fail(void *socket, int error)
{
    int value = 0;
    size_t size = sizeof value, count = 1;
    char byte;
    struct iovec piece = {.iov_base = &byte, .iov_len = 1};
    zmq_msg_t msg;
    zmq_msg_init(&msg);
    KIT_FAILS(error, zmq_close(socket));
    KIT_FAILS(error, zmq_bind(socket, "inproc://a"));
    KIT_FAILS(error, zmq_connect(socket, "inproc://a"));
    KIT_FAILS(error, zmq_unbind(socket, "inproc://a"));
    KIT_FAILS(error, zmq_disconnect(socket, "inproc://a"));
    KIT_FAILS(error, zmq_setsockopt(socket, ZMQ_LINGER, &value, sizeof value));
    KIT_FAILS(error, zmq_getsockopt(socket, ZMQ_LINGER, &value, &size));
    KIT_FAILS(error, zmq_send(socket, "x", 1, 0));
    KIT_FAILS(error, zmq_send_const(socket, "x", 1, 0));
    KIT_FAILS(error, zmq_recv(socket, &byte, 1, 0));
    KIT_FAILS(error, zmq_msg_send(&msg, socket, 0));
    KIT_FAILS(error, zmq_msg_recv(&msg, socket, 0));
    KIT_FAILS(error, zmq_sendmsg(socket, &msg, 0));
    KIT_FAILS(error, zmq_recvmsg(socket, &msg, 0));
    KIT_FAILS(error, zmq_sendiov(socket, &piece, 1, 0));
    KIT_FAILS(error, zmq_recviov(socket, &piece, &count, 0));
}

Test(socket, null_and_rubbish_are_no_sockets)
{
    uint64_t zeros[64] = {0};
    all_fail(NULL, ENOTSOCK);
    all_fail(zeros, ENOTSOCK);
    zmq_pollitem_t item = {.socket = zeros, .events = ZMQ_POLLIN};
    KIT_FAILS(ENOTSOCK, zmq_poll(&item, 1, 0));
}

Test(socket, a_closed_one_is_dead_while_it_lingers)
{
    void *context = zmq_ctx_new();
    char text[KIT_ENDPOINT_SIZE];
    kit_free_endpoint(context, "ipc", text);
    void *from = kit_socket(context, ZMQ_PUSH);
    kit_set(from, ZMQ_LINGER, -1);
    KIT_OK(zmq_connect(from, text));
    kit_send_text(from, "left behind", 0);
    KIT_OK(zmq_close(from));
    all_fail(from, ENOTSOCK);
    void *to = kit_socket(context, ZMQ_PULL);
    kit_rebind(to, text);
    kit_recv_text(to, "left behind");
    KIT_OK(zmq_close(to));
    KIT_OK(zmq_ctx_term(context));
    unlink(text + 6);
}

Test(socket, unknown_types_are_refused)
{
    void *context = zmq_ctx_new();
    for (int type = -2; type < 40; type++) {
        if (type >= 0 && type <= ZMQ_CHANNEL)
            continue;
        errno = 0;
        cr_assert_null(zmq_socket(context, type), "type %d", type);
        cr_assert_eq(errno, EINVAL);
    }
    KIT_OK(zmq_ctx_term(context));
}

Test(socket, knows_its_type)
{
    static const int types[] = {ZMQ_PUSH, ZMQ_PULL, ZMQ_PAIR};
    void *context = zmq_ctx_new();
    for (int i = 0; i < 3; i++) {
        void *socket = kit_socket(context, types[i]);
        cr_assert_eq(kit_get(socket, ZMQ_TYPE), types[i]);
        cr_assert_eq(kit_get(socket, ZMQ_THREAD_SAFE), 0);
        KIT_OK(zmq_close(socket));
    }
    KIT_OK(zmq_ctx_term(context));
}

Test(socket, wrong_endpoints)
{
    static const struct {
        const char *text;
        int bind, connect; /* what they fail with */
    } rows[] = {
        {"", EINVAL, EINVAL},
        {"tcp", EINVAL, EINVAL},
        {"tcp:", EINVAL, EINVAL},
        {"tcp:/", EINVAL, EINVAL},
        {"tcp://", EINVAL, EINVAL},
        {"://127.0.0.1:1", EINVAL, EINVAL},
        {"inproc://", EINVAL, EINVAL},
        {"ipc://", EINVAL, EINVAL},
        {"ipc://@", EINVAL, EINVAL},
        {"carrier-pigeon://a", EPROTONOSUPPORT, EPROTONOSUPPORT},
        {"TCP://127.0.0.1:1", EPROTONOSUPPORT, EPROTONOSUPPORT},
        {"tcp://127.0.0.1", EINVAL, EINVAL},
        {"tcp://127.0.0.1:", EINVAL, EINVAL},
        {"tcp://127.0.0.1:abc", EINVAL, EINVAL},
        {"tcp://:1", ENODEV, 0},
        {"tcp://no-such-nic:1", ENODEV, 0},
        {"tcp://192.0.2.1:1", EADDRNOTAVAIL, 0},
        {"tcp://127.0.0.1:*", 0, EINVAL},
        {"tcp://*:5", -1, EINVAL},
    };
    void *context = zmq_ctx_new();
    void *socket = kit_socket(context, ZMQ_PULL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int got = KIT_ERRNO(zmq_connect(socket, rows[i].text));
        cr_expect_eq(got, rows[i].connect, "connect %s: %s", rows[i].text, zmq_strerror(got));
        if (rows[i].bind < 0)
            continue;
        got = KIT_ERRNO(zmq_bind(socket, rows[i].text));
        cr_expect_eq(got, rows[i].bind, "bind %s: %s", rows[i].text, zmq_strerror(got));
    }
    char lengthy[200] = "ipc://";
    memset(lengthy + 6, 'x', 120);
    KIT_FAILS(ENAMETOOLONG, zmq_bind(socket, lengthy));
    KIT_FAILS(ENAMETOOLONG, zmq_connect(socket, lengthy));
    KIT_FAILS(EINVAL, zmq_bind(socket, NULL));
    KIT_FAILS(EINVAL, zmq_connect(socket, NULL));
    KIT_FAILS(EINVAL, zmq_unbind(socket, NULL));
    KIT_OK(zmq_close(socket));
    KIT_OK(zmq_ctx_term(context));
}

Test(socket, takes_an_endpoint_but_once)
{
    void *context = zmq_ctx_new();
    void *first = kit_socket(context, ZMQ_PULL), *second = kit_socket(context, ZMQ_PULL);
    char text[KIT_ENDPOINT_SIZE];
    KIT_FAILS(EADDRINUSE, zmq_bind(second, kit_bind(first, "tcp", text)));
    KIT_FAILS(EADDRINUSE, zmq_bind(second, kit_bind(first, "inproc", text)));
    KIT_OK(zmq_bind(first, "ipc://@zuring-taken-once"));
    KIT_FAILS(EADDRINUSE, zmq_bind(second, "ipc://@zuring-taken-once"));
    KIT_OK(zmq_close(first));
    KIT_OK(zmq_close(second));
    KIT_OK(zmq_ctx_term(context));
}

Test(socket, unbind_and_disconnect_know_what_was_bound)
{
    void *context = zmq_ctx_new();
    void *socket = kit_socket(context, ZMQ_PULL);
    char text[KIT_ENDPOINT_SIZE];
    for (int i = 0; i < KIT_TRANSPORTS; i++) {
        kit_bind(socket, kit_transports[i], text);
        KIT_OK(zmq_unbind(socket, text));
        KIT_FAILS(ENOENT, zmq_unbind(socket, text));
        kit_free_endpoint(context, kit_transports[i], text);
        KIT_FAILS(ENOENT, zmq_disconnect(socket, text));
        for (int n = 0; n < 2; n++)
            KIT_OK(zmq_connect(socket, text));
        KIT_OK(zmq_disconnect(socket, text)); /* both */
        KIT_FAILS(ENOENT, zmq_disconnect(socket, text));
    }
    KIT_FAILS(EINVAL, zmq_unbind(socket, "nothing"));
    KIT_FAILS(EPROTONOSUPPORT, zmq_unbind(socket, "carrier-pigeon://a"));
    unsigned port;
    kit_bind(socket, "tcp", text);
    cr_assert_eq(sscanf(text, "tcp://127.0.0.1:%u", &port), 1);
    snprintf(text, sizeof text, "tcp://localhost:%u", port);
    KIT_OK(zmq_unbind(socket, text));
    KIT_OK(zmq_close(socket));
    KIT_OK(zmq_ctx_term(context));
}

Test(socket, wildcards_become_names)
{
    void *context = zmq_ctx_new();
    void *socket = kit_socket(context, ZMQ_PULL);
    char text[KIT_ENDPOINT_SIZE];
    size_t size = sizeof text;
    unsigned port;
    KIT_OK(zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, text, &size));
    cr_assert_eq(size, 1);
    static const char *const asked[] = {"tcp://*:*", "tcp://*:0", "tcp://lo:*", "tcp://127.0.0.1:*"};
    static const char *const got[] = {"tcp://0.0.0.0:%u", "tcp://0.0.0.0:%u", "tcp://127.0.0.1:%u", "tcp://127.0.0.1:%u"};
    for (int i = 0; i < 4; i++) {
        char again[KIT_ENDPOINT_SIZE];
        KIT_OK(zmq_bind(socket, asked[i]));
        size = sizeof text;
        KIT_OK(zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, text, &size));
        cr_assert_eq(size, strlen(text) + 1);
        cr_assert_eq(sscanf(text, got[i], &port), 1, "%s became %s", asked[i], text);
        snprintf(again, sizeof again, got[i], port);
        cr_assert_str_eq(text, again);
        cr_assert(port > 0 && port < 65536);
    }
    struct stat status;
    kit_bind(socket, "ipc", text);
    cr_assert_eq(stat(text + 6, &status), 0, "%s", text);
    cr_assert(S_ISSOCK(status.st_mode));
    KIT_OK(zmq_unbind(socket, text));
    KIT_UNTIL(stat(text + 6, &status) != 0);
    KIT_OK(zmq_connect(socket, "tcp://localhost:9"));
    size = sizeof text;
    KIT_OK(zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, text, &size));
    cr_assert_str_eq(text, "tcp://localhost:9");
    KIT_OK(zmq_close(socket));
    KIT_OK(zmq_ctx_term(context));
}

Test(socket, connect_before_bind)
{
    for (int i = 0; i < KIT_TRANSPORTS; i++) {
        void *context = zmq_ctx_new();
        char text[KIT_ENDPOINT_SIZE];
        kit_free_endpoint(context, kit_transports[i], text);
        void *from = kit_socket(context, ZMQ_PUSH), *to = kit_socket(context, ZMQ_PULL);
        kit_set(from, ZMQ_RECONNECT_IVL, 5);
        KIT_OK(zmq_connect(from, text));
        kit_send_text(from, "early", 0);
        kit_rebind(to, text);
        kit_recv_text(to, "early");
        kit_send_text(from, "late", 0);
        kit_recv_text(to, "late");
        KIT_OK(zmq_close(from));
        KIT_OK(zmq_close(to));
        KIT_OK(zmq_ctx_term(context));
        if (kit_transports[i][1] == 'p')
            unlink(text + 6);
    }
}

Test(socket, rebind_after_unbind)
{
    for (int i = 0; i < KIT_TRANSPORTS; i++) {
        struct kit_pair pair = kit_pair(kit_transports[i], ZMQ_PUSH, ZMQ_PULL);
        kit_set(pair.from, ZMQ_RECONNECT_IVL, 5);
        kit_send_text(pair.from, "one", 0);
        kit_recv_text(pair.to, "one");
        KIT_OK(zmq_unbind(pair.to, pair.text));
        void *to = kit_socket(pair.context, ZMQ_PULL);
        char text[KIT_ENDPOINT_SIZE];
        snprintf(text, sizeof text, "%s", i == 1 ? "ipc://@zuring-rebind" : pair.text);
        kit_rebind(to, text);
        KIT_OK(zmq_disconnect(pair.from, pair.text));
        KIT_OK(zmq_connect(pair.from, text));
        kit_send_text(pair.from, "two", 0);
        kit_recv_text(to, "two");
        KIT_OK(zmq_close(to));
        kit_pair_end(&pair);
    }
}

/* An unbound stream endpoint takes its connections along; an inproc pipe stays. */
Test(socket, unbind_ends_connections)
{
    for (int i = 0; i < KIT_TRANSPORTS; i++) {
        struct kit_pair pair = kit_pair(kit_transports[i], ZMQ_PUSH, ZMQ_PULL);
        kit_set(pair.from, ZMQ_SNDTIMEO, 200);
        kit_send_text(pair.from, "one", 0);
        kit_recv_text(pair.to, "one");
        KIT_OK(zmq_unbind(pair.to, pair.text));
        kit_send_text(pair.from, "two", 0);
        bool inproc = strcmp(kit_transports[i], "inproc") == 0;
        cr_assert_eq(kit_readable(pair.to, inproc ? KIT_WAIT_MS : 50), inproc);
        kit_pair_end(&pair);
    }
}

Test(socket, input_outlives_disconnect_and_sender)
{
    for (int i = 0; i < KIT_TRANSPORTS; i++) {
        struct kit_pair pair = kit_pair(kit_transports[i], ZMQ_PUSH, ZMQ_PULL);
        kit_set(pair.from, ZMQ_LINGER, -1);
        for (int n = 0; n < 100; n++)
            kit_send_text(pair.from, "kept", 0);
        KIT_OK(zmq_disconnect(pair.from, pair.text));
        KIT_FAILS(EAGAIN, zmq_send(pair.from, "x", 1, ZMQ_DONTWAIT));
        for (int n = 0; n < 100; n++)
            kit_recv_text(pair.to, "kept");
        kit_pair_end(&pair);
    }
}

Test(socket, options_change_on_a_live_one)
{
    struct kit_pair pair = kit_pair("tcp", ZMQ_PUSH, ZMQ_PULL);
    int value = 5;
    size_t size = sizeof value;
    kit_set(pair.from, ZMQ_SNDTIMEO, 0);
    cr_assert_eq(kit_get(pair.from, ZMQ_SNDTIMEO), 0);
    kit_set(pair.from, ZMQ_SNDHWM, 7);
    cr_assert_eq(kit_get(pair.from, ZMQ_SNDHWM), 7);
    KIT_FAILS(EINVAL, zmq_setsockopt(pair.from, 9999, &value, sizeof value));
    KIT_FAILS(EINVAL, zmq_setsockopt(pair.from, ZMQ_SNDHWM, &value, 3));
    KIT_FAILS(EINVAL, zmq_setsockopt(pair.from, ZMQ_TYPE, &value, sizeof value));
    KIT_FAILS(EINVAL, zmq_getsockopt(pair.from, 9999, &value, &size));
    value = -2;
    KIT_FAILS(EINVAL, zmq_setsockopt(pair.from, ZMQ_SNDHWM, &value, sizeof value));
    KIT_FAILS(EINVAL, zmq_setsockopt(pair.from, ZMQ_SUBSCRIBE, "", 0));
    cr_assert_eq(kit_get(pair.from, ZMQ_SNDHWM), 7);
    cr_assert_geq(kit_get(pair.from, ZMQ_FD), 0);
    cr_assert_eq(kit_get(pair.from, ZMQ_FD), kit_get(pair.from, ZMQ_FD));
    kit_send_text(pair.from, "still works", 0);
    kit_recv_text(pair.to, "still works");
    kit_pair_end(&pair);
}

Test(socket, sets_no_errno_when_it_succeeds)
{
    struct kit_pair pair = kit_pair("tcp", ZMQ_PUSH, ZMQ_PULL);
    char byte;
    errno = 4242;
    cr_assert_eq(zmq_send(pair.from, "x", 1, 0), 1);
    cr_assert_eq(errno, 4242);
    cr_assert_eq(zmq_recv(pair.to, &byte, 1, 0), 1);
    cr_assert_eq(errno, 4242);
    kit_pair_end(&pair);
}

Test(socket, a_direction_it_lacks_is_enotsup)
{
    struct kit_pair pair = kit_pair("inproc", ZMQ_PUSH, ZMQ_PULL);
    char byte;
    KIT_FAILS(ENOTSUP, zmq_recv(pair.from, &byte, 1, 0));
    KIT_FAILS(ENOTSUP, zmq_send(pair.to, "x", 1, 0));
    cr_assert_eq(kit_get(pair.to, ZMQ_EVENTS) & ZMQ_POLLOUT, 0);
    cr_assert_eq(kit_get(pair.from, ZMQ_EVENTS) & ZMQ_POLLIN, 0);
    kit_pair_end(&pair);
}

Test(socket, pair_talks_to_one_at_a_time)
{
    for (int i = 0; i < KIT_TRANSPORTS; i++) {
        struct kit_pair pair = kit_pair(kit_transports[i], ZMQ_PAIR, ZMQ_PAIR);
        kit_send_text(pair.from, "ping", 0);
        kit_recv_text(pair.to, "ping");
        kit_send_text(pair.to, "pong", 0);
        kit_recv_text(pair.from, "pong");
        void *second = kit_socket(pair.context, ZMQ_PAIR);
        kit_set(second, ZMQ_RECONNECT_IVL, 5);
        KIT_OK(zmq_connect(second, pair.text));
        cr_assert(!kit_readable(second, 50));
        kit_send_text(pair.to, "still you", 0);
        kit_recv_text(pair.from, "still you");
        KIT_OK(zmq_close(second));
        kit_pair_end(&pair);
    }
}

Test(socket, push_and_pull_take_turns)
{
    void *context = zmq_ctx_new();
    char text[3][KIT_ENDPOINT_SIZE];
    void *from = kit_socket(context, ZMQ_PUSH), *to[3];
    for (int i = 0; i < 3; i++) {
        to[i] = kit_socket(context, ZMQ_PULL);
        KIT_OK(zmq_connect(from, kit_bind(to[i], kit_transports[i], text[i])));
    }
    for (int n = 0; n < 30; n++)
        KIT_OK(zmq_send(from, &n, sizeof n, 0));
    for (int n = 0, got; n < 30; n++) {
        cr_assert_eq(zmq_recv(to[n % 3], &got, sizeof got, 0), (int)sizeof got);
        cr_assert_eq(got, n);
    }
    for (int i = 0; i < 3; i++)
        KIT_OK(zmq_close(to[i]));
    KIT_OK(zmq_close(from));
    KIT_OK(zmq_ctx_term(context));
}
