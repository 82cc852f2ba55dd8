/* SPDX-License-Identifier: MIT */
/*
 * Options that are the kernel's, from zmq_setsockopt to the socket that they are about: a listener, a connection that
 * was accepted, one that was made. test_sockopt.c has the table in between. Descriptors are found by their addresses.
 */
#include <netinet/tcp.h>

#include "rawpeer.h"

/* The three descriptors behind a bind and a connect. */
struct wires {
    struct kit_pair pair;
    int listener, accepted, dialled; /* -1: not found */
};

static unsigned port_of(const struct sockaddr_storage *address)
{
    return ntohs(address->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)address)->sin6_port
                                                : ((const struct sockaddr_in *)address)->sin_port);
}

/* Of the process's TCP sockets, which one is which is told by who has the listener's port. */
static void wires_find(struct wires *wires, unsigned port)
{
    wires->listener = wires->accepted = wires->dialled = -1;
    for (int fd = 0; fd < 1024; fd++) {
        struct sockaddr_storage own = {0}, other = {0};
        socklen_t own_size = sizeof own, other_size = sizeof other;
        if (getsockname(fd, (struct sockaddr *)&own, &own_size) < 0 || own.ss_family == AF_UNIX)
            continue;
        bool is_connected = getpeername(fd, (struct sockaddr *)&other, &other_size) == 0;
        if (!is_connected && port_of(&own) == port)
            wires->listener = fd;
        else if (is_connected && port_of(&own) == port)
            wires->accepted = fd;
        else if (is_connected && port_of(&other) == port)
            wires->dialled = fd;
    }
}

static struct wires wires_lay(const char *bind_to, const char *connect_to, void (*prepare)(void *socket))
{
    struct wires wires = {.pair.context = zmq_ctx_new()};
    struct kit_pair *pair = &wires.pair;
    char *text = pair->text;
    size_t size = sizeof pair->text;
    pair->to = kit_socket(pair->context, ZMQ_PULL);
    pair->from = kit_socket(pair->context, ZMQ_PUSH);
    prepare(pair->to);
    prepare(pair->from);
    KIT_OK(zmq_bind(pair->to, bind_to));
    KIT_OK(zmq_getsockopt(pair->to, ZMQ_LAST_ENDPOINT, text, &size));
    unsigned port = (unsigned)atoi(strrchr(text, ':') + 1);
    char target[KIT_ENDPOINT_SIZE];
    snprintf(target, sizeof target, "%s:%u", connect_to, port);
    KIT_OK(zmq_connect(pair->from, target));
    zmq_msg_t msg;
    zmq_msg_init(&msg);
    kit_send_text(pair->from, "hello", 0);
    KIT_OK(zmq_msg_recv(&msg, pair->to, 0));
    wires_find(&wires, port);
    cr_assert(wires.listener >= 0 && wires.accepted >= 0 && wires.dialled >= 0);
    cr_assert_eq(zmq_msg_get(&msg, ZMQ_SRCFD), wires.accepted, "the descriptor that a message names");
    zmq_msg_close(&msg);
    return wires;
}

static int kernel_value(int fd, int level, int name)
{
    int value = -1;
    socklen_t size = sizeof value;
    cr_assert_eq(getsockopt(fd, level, name, &value, &size), 0, "%s", strerror(errno));
    return value;
}

static void expect_both(const struct wires *wires, int level, int name, int expected)
{
    cr_expect_eq(kernel_value(wires->accepted, level, name), expected, "accepted: option %d", name);
    cr_expect_eq(kernel_value(wires->dialled, level, name), expected, "made: option %d", name);
}

static void leave_alone(void *socket)
{
    (void)socket;
}

Test(kernel_options, defaults)
{
    int plain = socket(AF_INET, SOCK_STREAM, 0);
    struct wires wires = wires_lay("tcp://127.0.0.1:*", "tcp://127.0.0.1", leave_alone);
    expect_both(&wires, IPPROTO_TCP, TCP_NODELAY, 1);
    expect_both(&wires, SOL_SOCKET, SO_KEEPALIVE, 0);
    expect_both(&wires, IPPROTO_IP, IP_TOS, 0);
    expect_both(&wires, IPPROTO_TCP, TCP_USER_TIMEOUT, 0);
    expect_both(&wires, IPPROTO_TCP, TCP_KEEPIDLE, kernel_value(plain, IPPROTO_TCP, TCP_KEEPIDLE));
    close(plain);
    kit_pair_end(&wires.pair);
}

static void set_keepalive(void *socket)
{
    kit_set(socket, ZMQ_TCP_KEEPALIVE, 1);
    kit_set(socket, ZMQ_TCP_KEEPALIVE_CNT, 7);
    kit_set(socket, ZMQ_TCP_KEEPALIVE_IDLE, 123);
    kit_set(socket, ZMQ_TCP_KEEPALIVE_INTVL, 45);
}

Test(kernel_options, keepalive)
{
    struct wires wires = wires_lay("tcp://127.0.0.1:*", "tcp://127.0.0.1", set_keepalive);
    expect_both(&wires, SOL_SOCKET, SO_KEEPALIVE, 1);
    expect_both(&wires, IPPROTO_TCP, TCP_KEEPCNT, 7);
    expect_both(&wires, IPPROTO_TCP, TCP_KEEPIDLE, 123);
    expect_both(&wires, IPPROTO_TCP, TCP_KEEPINTVL, 45);
    kit_pair_end(&wires.pair);
}

static void set_others(void *socket)
{
    kit_set(socket, ZMQ_TOS, 0x28);
    kit_set(socket, ZMQ_TCP_MAXRT, 4321);
    kit_set(socket, ZMQ_PRIORITY, 3);
}

Test(kernel_options, tos_priority_and_user_timeout)
{
    struct wires wires = wires_lay("tcp://127.0.0.1:*", "tcp://127.0.0.1", set_others);
    expect_both(&wires, IPPROTO_IP, IP_TOS, 0x28);
    expect_both(&wires, IPPROTO_TCP, TCP_USER_TIMEOUT, 4321);
    expect_both(&wires, SOL_SOCKET, SO_PRIORITY, 3);
    cr_expect_eq(kernel_value(wires.listener, IPPROTO_IP, IP_TOS), 0x28);
    kit_pair_end(&wires.pair);
}

static void set_buffers(void *socket)
{
    kit_set(socket, ZMQ_SNDBUF, 20000);
    kit_set(socket, ZMQ_RCVBUF, 30000);
}

/* The kernel doubles what it is given. On the listener too: a window is agreed upon before there is a connection. */
Test(kernel_options, buffers)
{
    struct wires wires = wires_lay("tcp://127.0.0.1:*", "tcp://127.0.0.1", set_buffers);
    expect_both(&wires, SOL_SOCKET, SO_SNDBUF, 40000);
    expect_both(&wires, SOL_SOCKET, SO_RCVBUF, 60000);
    cr_expect_eq(kernel_value(wires.listener, SOL_SOCKET, SO_SNDBUF), 40000);
    cr_expect_eq(kernel_value(wires.listener, SOL_SOCKET, SO_RCVBUF), 60000);
    kit_pair_end(&wires.pair);
}

static void set_ipv6(void *socket)
{
    kit_set(socket, ZMQ_IPV6, 1);
    kit_set(socket, ZMQ_TOS, 0x28);
}

static bool has_ipv6(void)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    bool has = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
    if (fd >= 0)
        close(fd);
    return has;
}

Test(kernel_options, ipv6)
{
    if (!has_ipv6())
        cr_skip_test("no IPv6 here");
    struct wires wires = wires_lay("tcp://[::1]:*", "tcp://[::1]", set_ipv6);
    expect_both(&wires, SOL_SOCKET, SO_DOMAIN, AF_INET6);
    expect_both(&wires, IPPROTO_IPV6, IPV6_TCLASS, 0x28);
    kit_pair_end(&wires.pair);
    wires = wires_lay("tcp://*:*", "tcp://127.0.0.1", set_ipv6);
    cr_expect_eq(kernel_value(wires.listener, SOL_SOCKET, SO_DOMAIN), AF_INET6);
    cr_expect_eq(kernel_value(wires.listener, IPPROTO_IPV6, IPV6_V6ONLY), 0, "IPv4 comes in by it too");
    kit_pair_end(&wires.pair);
    wires = wires_lay("tcp://*:*", "tcp://127.0.0.1", leave_alone);
    cr_expect_eq(kernel_value(wires.listener, SOL_SOCKET, SO_DOMAIN), AF_INET, "off unless asked for");
    kit_pair_end(&wires.pair);
}

Test(kernel_options, source_address)
{
    struct wires wires = wires_lay("tcp://127.0.0.1:*", "tcp://127.0.0.77:0;127.0.0.1", leave_alone);
    struct sockaddr_in own;
    socklen_t size = sizeof own;
    cr_assert_eq(getsockname(wires.dialled, (struct sockaddr *)&own, &size), 0);
    cr_expect_eq(ntohl(own.sin_addr.s_addr), 0x7f00004du);
    kit_pair_end(&wires.pair);
}

static void set_backlog(void *socket)
{
    kit_set(socket, ZMQ_BACKLOG, 3);
}

/* A listener's TCP_INFO tells its backlog as the unacknowledged and the sacked. */
Test(kernel_options, backlog)
{
    struct wires wires = wires_lay("tcp://127.0.0.1:*", "tcp://127.0.0.1", set_backlog);
    struct tcp_info info;
    socklen_t size = sizeof info;
    cr_assert_eq(getsockopt(wires.listener, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
    cr_expect_eq(info.tcpi_sacked, 3);
    kit_pair_end(&wires.pair);
}
