/* SPDX-License-Identifier: MIT */
/* tcp:// as a program sees it: who connects from where to where, who may, and when nobody tries any more. */
#include <netinet/tcp.h>

#include "rawpeer.h"

static bool has_ipv6(void)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    bool has = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
    if (fd >= 0)
        close(fd);
    return has;
}

static unsigned port_in(const char *text)
{
    return (unsigned)atoi(strrchr(text, ':') + 1);
}

static void last_endpoint(void *socket, char *text)
{
    size_t size = KIT_ENDPOINT_SIZE;
    KIT_OK(zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, text, &size));
}

/* A port where nobody is. */
static unsigned port_free(void)
{
    char text[KIT_ENDPOINT_SIZE];
    close(raw_listen(text));
    return port_in(text);
}

static struct sockaddr_in peer_of(int fd)
{
    struct sockaddr_in peer = {0};
    socklen_t size = sizeof peer;
    cr_assert_eq(getpeername(fd, (struct sockaddr *)&peer, &size), 0);
    return peer;
}

Test(tcp, connects_from_the_source)
{
    void *context = zmq_ctx_new();
    char target[KIT_ENDPOINT_SIZE];
    int listener = raw_listen(target);
    unsigned port = port_free();
    static const char *const sources[] = {"127.0.0.9:%u", "lo:%u", "0.0.0.0:%u", "127.0.0.9:0", "lo:0"};
    for (int i = 0; i < 5; i++) {
        void *socket = kit_socket(context, ZMQ_PUSH);
        char source[64], text[KIT_ENDPOINT_SIZE];
        snprintf(source, sizeof source, sources[i], port);
        snprintf(text, sizeof text, "tcp://%s;127.0.0.1:%u", source, port_in(target));
        kit_set(socket, ZMQ_RECONNECT_IVL, 5);
        KIT_OK(zmq_connect(socket, text));
        int fd = raw_accept(listener);
        struct sockaddr_in peer = peer_of(fd);
        if (i < 3)
            cr_expect_eq(ntohs(peer.sin_port), port, "%s", text);
        cr_expect_eq(ntohl(peer.sin_addr.s_addr), i % 3 == 0 ? 0x7f000009u : 0x7f000001u, "%s", text);
        char last[KIT_ENDPOINT_SIZE];
        last_endpoint(socket, last);
        cr_expect_str_eq(last, text);
        KIT_OK(zmq_disconnect(socket, text));
        KIT_OK(zmq_close(socket));
        cr_assert(raw_ended(fd, KIT_WAIT_MS));
        close(fd);
        port = port_free(); /* the last one may rest for a while */
    }
    close(listener);
    KIT_OK(zmq_ctx_term(context));
}

/* Bound by one text, known by others too: all that resolve to what it is. */
Test(tcp, names_of_what_is_bound)
{
    static const struct {
        const char *bind, *last, *unbind;
        int ipv6;
    } rows[] = {
        {"tcp://127.0.0.1:*", "tcp://127.0.0.1:%u", "tcp://localhost:%u", 0},
        {"tcp://127.0.0.1:0", "tcp://127.0.0.1:%u", "tcp://127.1:%u", 0},
        {"tcp://lo:*", "tcp://127.0.0.1:%u", "tcp://lo:%u", 0},
        {"tcp://*:*", "tcp://0.0.0.0:%u", "tcp://*:%u", 0},
        {"tcp://*:0", "tcp://0.0.0.0:%u", "tcp://0.0.0.0:%u", 0},
        {"tcp://localhost:*", "tcp://127.0.0.1:%u", "tcp://127.0.0.1:%u", 0},
        {"tcp://127.0.0.1:*", "tcp://[::ffff:127.0.0.1]:%u", "tcp://127.0.0.1:%u", 1},
        {"tcp://[::ffff:127.0.0.1]:*", "tcp://[::ffff:127.0.0.1]:%u", "tcp://[::ffff:127.0.0.1]:%u", 1},
        {"tcp://*:*", "tcp://[::]:%u", "tcp://*:%u", 1},
        {"tcp://lo:*", "tcp://[::1]:%u", "tcp://lo:%u", 1},
        {"tcp://[::1]:*", "tcp://[::1]:%u", "tcp://[0:0::1]:%u", 1},
        {"tcp://::1:*", "tcp://[::1]:%u", "tcp://::1:%u", 1},
        {"tcp://[::1%lo]:*", "tcp://[::1]:%u", "tcp://[::1%%lo]:%u", 1},
    };
    void *context = zmq_ctx_new();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].ipv6 && !has_ipv6())
            continue;
        void *socket = kit_socket(context, ZMQ_PULL);
        kit_set(socket, ZMQ_IPV6, rows[i].ipv6);
        KIT_OK(zmq_bind(socket, rows[i].bind));
        char last[KIT_ENDPOINT_SIZE], expected[KIT_ENDPOINT_SIZE];
        last_endpoint(socket, last);
        snprintf(expected, sizeof expected, rows[i].last, port_in(last));
        cr_expect_str_eq(last, expected, "%s became %s", rows[i].bind, last);
        snprintf(expected, sizeof expected, rows[i].unbind, port_in(last));
        cr_expect_eq(KIT_ERRNO(zmq_unbind(socket, expected)), 0, "%s is not %s", expected, last);
        KIT_FAILS(ENOENT, zmq_unbind(socket, last));
        KIT_OK(zmq_close(socket));
    }
    KIT_OK(zmq_ctx_term(context));
}

Test(tcp, disconnects_by_the_text_of_the_connect)
{
    static const char *const hosts[] = {"127.0.0.1", "localhost", "lo:0;127.0.0.1", "[::1]", "[::1%lo]", "no.such.host"};
    void *context = zmq_ctx_new();
    unsigned port = port_free();
    for (int i = 0; i < 6; i++) {
        void *socket = kit_socket(context, ZMQ_PUSH);
        char text[KIT_ENDPOINT_SIZE];
        snprintf(text, sizeof text, "tcp://%s:%u", hosts[i], port);
        kit_set(socket, ZMQ_IPV6, strchr(hosts[i], '[') != NULL);
        KIT_OK(zmq_connect(socket, text));
        KIT_OK(zmq_disconnect(socket, text));
        KIT_FAILS(ENOENT, zmq_disconnect(socket, text));
        KIT_OK(zmq_close(socket));
    }
    KIT_OK(zmq_ctx_term(context));
}

Test(tcp, ipv6_forms)
{
    if (!has_ipv6())
        cr_skip_test("no IPv6 here");
    static const char *const targets[] = {"[::1]", "::1", "[::1%lo]", "[::1%1]", "[::]:0;[::1]"};
    void *context = zmq_ctx_new();
    void *to = kit_socket(context, ZMQ_PULL);
    kit_set(to, ZMQ_IPV6, 1);
    KIT_OK(zmq_bind(to, "tcp://[::1]:*"));
    char last[KIT_ENDPOINT_SIZE];
    last_endpoint(to, last);
    for (int i = 0; i < 5; i++) {
        void *from = kit_socket(context, ZMQ_PUSH);
        char text[KIT_ENDPOINT_SIZE];
        snprintf(text, sizeof text, "tcp://%s:%u", targets[i], port_in(last));
        kit_set(from, ZMQ_IPV6, 1);
        KIT_OK(zmq_connect(from, text));
        kit_send_text(from, text, 0);
        kit_recv_text(to, text);
        KIT_OK(zmq_close(from));
    }
    KIT_OK(zmq_close(to));
    KIT_OK(zmq_ctx_term(context));
}

/* Nobody listens at a port that the connecting socket was given itself: it does not talk to itself. */
Test(tcp, a_socket_is_not_its_own_peer)
{
    void *context = zmq_ctx_new();
    void *socket = kit_socket(context, ZMQ_PAIR);
    unsigned port = port_free();
    char text[KIT_ENDPOINT_SIZE];
    snprintf(text, sizeof text, "tcp://127.0.0.1:%u;127.0.0.1:%u", port, port);
    kit_set(socket, ZMQ_RECONNECT_IVL, 1);
    KIT_OK(zmq_connect(socket, text));
    kit_send_text(socket, "echo", 0);
    cr_assert(!kit_readable(socket, 100));
    KIT_OK(zmq_disconnect(socket, text));
    KIT_OK(zmq_close(socket));
    KIT_OK(zmq_ctx_term(context));
}

Test(tcp, a_given_listener)
{
    void *context = zmq_ctx_new();
    char given[KIT_ENDPOINT_SIZE], last[KIT_ENDPOINT_SIZE];
    int listener = raw_listen(given); /* which blocks */
    void *from = kit_socket(context, ZMQ_PUSH), *to = kit_socket(context, ZMQ_PULL);
    kit_set(to, ZMQ_USE_FD, listener);
    KIT_OK(zmq_bind(to, "tcp://127.0.0.1:*"));
    last_endpoint(to, last);
    cr_assert_str_eq(last, given);
    KIT_OK(zmq_connect(from, given));
    kit_send_text(from, "by a given listener", 0);
    kit_recv_text(to, "by a given listener");
    KIT_OK(zmq_unbind(to, given));
    KIT_UNTIL((kit_poke(), fcntl(listener, F_GETFD) < 0)); /* it is the socket's */
    kit_set(to, ZMQ_USE_FD, 1000);
    KIT_FAILS(EBADF, zmq_bind(to, "tcp://127.0.0.1:*"));
    KIT_OK(zmq_close(from));
    KIT_OK(zmq_close(to));
    KIT_OK(zmq_ctx_term(context));
}

Test(tcp, bound_to_a_device)
{
    void *context = zmq_ctx_new();
    void *from = kit_socket(context, ZMQ_PUSH), *to = kit_socket(context, ZMQ_PULL);
    char text[KIT_ENDPOINT_SIZE];
    KIT_OK(zmq_setsockopt(to, ZMQ_BINDTODEVICE, "nowhere", 7));
    int err = KIT_ERRNO(zmq_bind(to, "tcp://127.0.0.1:*"));
    if (err == EPERM)
        cr_skip_test("not allowed here");
    cr_assert_eq(err, ENODEV);
    KIT_OK(zmq_setsockopt(to, ZMQ_BINDTODEVICE, "lo", 2));
    kit_bind(to, "tcp", text);
    KIT_OK(zmq_setsockopt(from, ZMQ_BINDTODEVICE, "lo", 2));
    KIT_OK(zmq_connect(from, text));
    kit_send_text(from, "by lo", 0);
    kit_recv_text(to, "by lo");
    KIT_OK(zmq_close(from));
    KIT_OK(zmq_close(to));
    KIT_OK(zmq_ctx_term(context));
}

Test(tcp, accept_filters)
{
    void *context = zmq_ctx_new();
    void *to = kit_socket(context, ZMQ_PULL);
    char text[KIT_ENDPOINT_SIZE], from_text[KIT_ENDPOINT_SIZE];
    KIT_OK(zmq_setsockopt(to, ZMQ_TCP_ACCEPT_FILTER, "127.0.0.2", 9));
    KIT_OK(zmq_setsockopt(to, ZMQ_TCP_ACCEPT_FILTER, "127.0.1.0/24", 12));
    kit_bind(to, "tcp", text);
    int fd = raw_connect(text);
    cr_assert(raw_ended(fd, KIT_WAIT_MS));
    close(fd);
    static const char *const sources[] = {"127.0.0.2", "127.0.1.200"};
    for (int i = 0; i < 2; i++) {
        void *from = kit_socket(context, ZMQ_PUSH);
        snprintf(from_text, sizeof from_text, "tcp://%s:0;127.0.0.1:%u", sources[i], port_in(text));
        KIT_OK(zmq_connect(from, from_text));
        kit_send_text(from, sources[i], 0);
        kit_recv_text(to, sources[i]);
        KIT_OK(zmq_close(from));
    }
    KIT_OK(zmq_close(to));
    KIT_OK(zmq_ctx_term(context));
}

/* --- attempts, and their end --- */

/* The local port of this process's socket whose connect is under way; 0: there is none. */
static unsigned port_connecting(void)
{
    for (int fd = 3; fd < 256; fd++) {
        struct tcp_info info;
        struct sockaddr_in own = {0};
        socklen_t size = sizeof info, own_size = sizeof own;
        if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 && info.tcpi_state == TCP_SYN_SENT &&
            getsockname(fd, (struct sockaddr *)&own, &own_size) == 0)
            return ntohs(own.sin_port);
    }
    return 0;
}

/* A listener whose backlog is full answers nobody: the attempt is given up, and another one made. */
Test(tcp, connect_timeout)
{
    void *context = zmq_ctx_new();
    char text[KIT_ENDPOINT_SIZE];
    int listener = raw_listen(text), waiting = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(listen(listener, 0), 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port_in(text))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    cr_assert_eq(connect(waiting, (struct sockaddr *)&address, sizeof address), 0);
    void *socket = kit_socket(context, ZMQ_PUSH);
    kit_set(socket, ZMQ_CONNECT_TIMEOUT, 30);
    kit_set(socket, ZMQ_RECONNECT_IVL, 5);
    KIT_OK(zmq_connect(socket, text));
    unsigned first = 0, now = 0, ports = 0;
    KIT_UNTIL((kit_poke(), now = port_connecting(), ports += now && now != first, first = now ? now : first, ports == 4));
    int fd = accept(listener, NULL, NULL);
    close(fd);
    close(waiting);
    fd = raw_accept(listener); /* there is room now: one of the next attempts comes through */
    KIT_UNTIL((kit_poke(), port_connecting() == 0));
    close(fd);
    KIT_OK(zmq_close(socket));
    KIT_OK(zmq_ctx_term(context));
    close(listener);
}

/* The socket has no peer any more; nobody dials, and the endpoint is not known. */
static void expect_over(void *socket, const char *text)
{
    KIT_UNTIL(KIT_ERRNO(zmq_send(socket, "x", 1, ZMQ_DONTWAIT)) == EAGAIN);
    KIT_FAILS(ENOENT, zmq_disconnect(socket, text));
}

Test(tcp, stops_when_refused)
{
    void *context = zmq_ctx_new();
    char text[KIT_ENDPOINT_SIZE];
    kit_free_endpoint(context, "tcp", text);
    for (int stops = 0; stops < 2; stops++) {
        void *socket = kit_socket(context, ZMQ_PUSH);
        kit_set(socket, ZMQ_RECONNECT_IVL, 5);
        kit_set(socket, ZMQ_RECONNECT_STOP, stops ? ZMQ_RECONNECT_STOP_CONN_REFUSED : 0);
        KIT_OK(zmq_connect(socket, text));
        if (stops) {
            expect_over(socket, text);
        } else {
            void *to = kit_socket(context, ZMQ_PULL);
            kit_send_text(socket, "refused at first", 0);
            kit_rebind(to, text);
            kit_recv_text(to, "refused at first");
            KIT_OK(zmq_close(to));
            KIT_OK(zmq_disconnect(socket, text));
        }
        KIT_OK(zmq_close(socket));
    }
    KIT_OK(zmq_ctx_term(context));
}

Test(tcp, stops_when_the_handshake_fails)
{
    void *context = zmq_ctx_new();
    char text[KIT_ENDPOINT_SIZE];
    int listener = raw_listen(text);
    for (int stops = 0; stops < 2; stops++) {
        void *socket = kit_socket(context, ZMQ_PUSH);
        kit_set(socket, ZMQ_RECONNECT_IVL, 5);
        kit_set(socket, ZMQ_RECONNECT_STOP, stops ? ZMQ_RECONNECT_STOP_HANDSHAKE_FAILED : 0);
        KIT_OK(zmq_connect(socket, text));
        close(raw_accept(listener));
        if (stops) {
            expect_over(socket, text);
        } else {
            int fd = raw_accept(listener);
            raw_shake(fd, RAW_READY_PULL);
            close(fd);
            KIT_OK(zmq_disconnect(socket, text));
        }
        KIT_OK(zmq_close(socket));
        KIT_OK(zmq_ctx_term(context));
        context = zmq_ctx_new();
        while (raw_wait(listener, 0))
            close(raw_accept(listener));
    }
    KIT_OK(zmq_ctx_term(context));
    close(listener);
}

/* Without the bit, what is queued would wait for a peer, and term for that, for ever. */
Test(tcp, stops_after_disconnect)
{
    for (int t = 0; t < 2; t++) {
        void *context = zmq_ctx_new();
        char text[KIT_ENDPOINT_SIZE];
        kit_free_endpoint(context, kit_transports[t], text);
        void *socket = kit_socket(context, ZMQ_PUSH), *to = kit_socket(context, ZMQ_PULL);
        kit_set(socket, ZMQ_LINGER, -1);
        kit_set(socket, ZMQ_RECONNECT_IVL, 5);
        kit_set(socket, ZMQ_RECONNECT_STOP, ZMQ_RECONNECT_STOP_AFTER_DISCONNECT);
        KIT_OK(zmq_connect(socket, text));
        kit_send_text(socket, "for nobody", 0);
        KIT_OK(zmq_disconnect(socket, text));
        char met[KIT_ENDPOINT_SIZE];
        kit_bind(to, kit_transports[t], met);
        KIT_OK(zmq_connect(socket, met));
        kit_send_text(socket, "first", 0);
        kit_recv_text(to, "first");
        kit_send_text(socket, "on its way", 0);
        KIT_OK(zmq_disconnect(socket, met));
        kit_recv_text(to, "on its way");
        KIT_OK(zmq_close(socket));
        KIT_OK(zmq_close(to));
        KIT_OK(zmq_ctx_term(context));
    }
}

/* One attempt: refused, it leaves the endpoint and the queue as they are; a connection that is lost takes them along. */
Test(tcp, without_an_interval)
{
    void *context = zmq_ctx_new();
    char text[KIT_ENDPOINT_SIZE];
    kit_free_endpoint(context, "tcp", text);
    void *socket = kit_socket(context, ZMQ_PUSH);
    kit_set(socket, ZMQ_RECONNECT_IVL, -1);
    KIT_OK(zmq_connect(socket, text));
    zmq_poll(NULL, 0, 50);
    kit_send_text(socket, "queued", 0);
    KIT_OK(zmq_disconnect(socket, text));
    int listener = raw_listen(text);
    KIT_OK(zmq_connect(socket, text));
    int fd = raw_accept(listener);
    raw_shake(fd, RAW_READY_PULL);
    close(fd);
    expect_over(socket, text);
    close(listener);
    KIT_OK(zmq_connect(socket, text));
    kit_set(socket, ZMQ_LINGER, -1);
    kit_send_text(socket, "for nobody", 0);
    KIT_OK(zmq_close(socket));
    KIT_OK(zmq_ctx_term(context)); /* nobody will ever come for it */
}

/* DEALER, REQ, PUB and SUB would only take turns with themselves; the others do. */
Test(tcp, a_second_connect)
{
    static const int types[] = {ZMQ_DEALER, ZMQ_REQ, ZMQ_PUB, ZMQ_SUB, ZMQ_PUSH, ZMQ_PULL};
    void *context = zmq_ctx_new();
    char text[KIT_ENDPOINT_SIZE], last[KIT_ENDPOINT_SIZE];
    for (int i = 0; i < 6; i++) {
        void *socket = zmq_socket(context, types[i]);
        if (!socket)
            continue; /* not built yet */
        int listener = raw_listen(text);
        KIT_OK(zmq_connect(socket, text));
        KIT_OK(zmq_connect(socket, "tcp://127.0.0.1:9"));
        KIT_OK(zmq_connect(socket, text));
        last_endpoint(socket, last);
        cr_expect_str_eq(last, i < 4 ? "tcp://127.0.0.1:9" : text, "type %d", types[i]);
        kit_set(socket, ZMQ_LINGER, 0);
        KIT_OK(zmq_close(socket));
        close(listener);
    }
    KIT_OK(zmq_ctx_term(context));
}

/* On the connecting side too, a frame that is too large ends it for good; one octet less does not. */
Test(tcp, the_largest_message)
{
    for (int excess = 0; excess < 2; excess++) {
        void *context = zmq_ctx_new();
        void *from = kit_socket(context, ZMQ_PUSH), *to = kit_socket(context, ZMQ_PULL);
        char text[KIT_ENDPOINT_SIZE], body[300] = "";
        int64_t most = sizeof body;
        kit_bind(from, "tcp", text);
        KIT_OK(zmq_setsockopt(to, ZMQ_MAXMSGSIZE, &most, sizeof most));
        kit_set(to, ZMQ_RECONNECT_IVL, 5);
        KIT_OK(zmq_connect(to, text));
        KIT_OK(zmq_send(from, body, sizeof body, 0));
        cr_assert_eq(zmq_recv(to, body, sizeof body, 0), (int)sizeof body);
        if (excess) {
            char large[sizeof body + 1] = "";
            KIT_OK(zmq_send(from, large, sizeof large, 0));
            KIT_UNTIL((kit_poke(), KIT_ERRNO(zmq_send(from, "x", 1, ZMQ_DONTWAIT)) == EAGAIN));
            cr_assert(!kit_readable(to, 50));
            KIT_FAILS(ENOENT, zmq_disconnect(to, text));
        } else {
            KIT_OK(zmq_disconnect(to, text));
        }
        KIT_OK(zmq_close(from));
        KIT_OK(zmq_close(to));
        KIT_OK(zmq_ctx_term(context));
    }
}
