/* SPDX-License-Identifier: MIT */
/*
 * What a monitor is told, in both versions, and that nobody waits for it. The sequences themselves are compared with the
 * stock library by monitor_compare.py.
 */
#include "link/watch.h"
#include "mem/alloc.h"
#include "rawpeer.h"
#include "zuring.h"

static const enum zu_event numbers[][2] = {
    {ZU_EVENT_CONNECTED, ZMQ_EVENT_CONNECTED},
    {ZU_EVENT_CONNECT_DELAYED, ZMQ_EVENT_CONNECT_DELAYED},
    {ZU_EVENT_CONNECT_RETRIED, ZMQ_EVENT_CONNECT_RETRIED},
    {ZU_EVENT_LISTENING, ZMQ_EVENT_LISTENING},
    {ZU_EVENT_BIND_FAILED, ZMQ_EVENT_BIND_FAILED},
    {ZU_EVENT_ACCEPTED, ZMQ_EVENT_ACCEPTED},
    {ZU_EVENT_ACCEPT_FAILED, ZMQ_EVENT_ACCEPT_FAILED},
    {ZU_EVENT_CLOSED, ZMQ_EVENT_CLOSED},
    {ZU_EVENT_CLOSE_FAILED, ZMQ_EVENT_CLOSE_FAILED},
    {ZU_EVENT_DISCONNECTED, ZMQ_EVENT_DISCONNECTED},
    {ZU_EVENT_MONITOR_STOPPED, ZMQ_EVENT_MONITOR_STOPPED},
    {ZU_EVENT_HANDSHAKE_FAILED_NO_DETAIL, ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL},
    {ZU_EVENT_HANDSHAKE_SUCCEEDED, ZMQ_EVENT_HANDSHAKE_SUCCEEDED},
    {ZU_EVENT_HANDSHAKE_FAILED_PROTOCOL, ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL},
    {ZU_EVENT_HANDSHAKE_FAILED_AUTH, ZMQ_EVENT_HANDSHAKE_FAILED_AUTH},
    {ZU_EVENT_PIPES_STATS, ZMQ_EVENT_PIPES_STATS},
};

Test(monitor, events_have_the_numbers_of_zmq_h)
{
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        cr_expect_eq(numbers[i][0], numbers[i][1], "row %zu", i);
}

/* --- reading --- */

struct event {
    uint64_t number;                /* ZMQ_EVENT_ */
    uint64_t values[2];             /* what it tells */
    char local[KIT_ENDPOINT_SIZE];  /* version 1: its only address */
    char remote[KIT_ENDPOINT_SIZE]; /* version 2 */
};

/* The next frame, -1 when there is none yet. */
static int frame_try(void *reader, void *data, size_t size)
{
    int got = zmq_recv(reader, data, size, ZMQ_DONTWAIT);
    cr_assert(got >= 0 || errno == EAGAIN, "%s", zmq_strerror(errno));
    return got;
}

static void frame_exact(void *reader, void *data, size_t size)
{
    cr_assert(kit_get(reader, ZMQ_RCVMORE));
    cr_assert_eq(frame_try(reader, data, size), (int)size);
}

static void text_frame(void *reader, char *text)
{
    cr_assert(kit_get(reader, ZMQ_RCVMORE));
    int size = frame_try(reader, text, KIT_ENDPOINT_SIZE - 1);
    cr_assert_geq(size, 0);
    text[size] = 0;
}

static bool event_try_v1(void *reader, struct event *event)
{
    uint8_t head[7];
    int size = frame_try(reader, head, sizeof head);
    if (size < 0)
        return false;
    cr_assert_eq(size, 6);
    uint16_t number;
    uint32_t value;
    memcpy(&number, head, 2);
    memcpy(&value, head + 2, 4);
    *event = (struct event){.number = number, .values = {value}};
    text_frame(reader, event->local);
    cr_assert_not(kit_get(reader, ZMQ_RCVMORE));
    return true;
}

static bool event_try_v2(void *reader, struct event *event)
{
    uint64_t number, count;
    int size = frame_try(reader, &number, sizeof number);
    if (size < 0)
        return false;
    cr_assert_eq(size, 8);
    *event = (struct event){.number = number};
    frame_exact(reader, &count, sizeof count);
    cr_assert_eq(count, number == ZMQ_EVENT_PIPES_STATS ? 2 : 1);
    for (uint64_t i = 0; i < count; i++)
        frame_exact(reader, &event->values[i], sizeof event->values[i]);
    text_frame(reader, event->local);
    text_frame(reader, event->remote);
    cr_assert_not(kit_get(reader, ZMQ_RCVMORE));
    return true;
}

typedef bool event_reader(void *reader, struct event *event);

/* The next event must be this one. */
static struct event expect_by(event_reader *try, void *reader, uint64_t number)
{
    struct event event = {0};
    for (uint64_t until_ms = 0; !try(reader, &event); zmq_poll(NULL, 0, 1)) {
        cr_assert(kit_before(&until_ms), "no event, waiting for %#lx", (unsigned long)number);
        kit_poke();
    }
    cr_assert_eq(event.number, number, "%#lx instead of %#lx", (unsigned long)event.number, (unsigned long)number);
    return event;
}

static struct event expect_v1(void *reader, uint64_t number)
{
    return expect_by(event_try_v1, reader, number);
}

static struct event expect_v2(void *reader, uint64_t number)
{
    return expect_by(event_try_v2, reader, number);
}

/* Events before the one that is waited for are skipped. */
static struct event await_by(event_reader *try, void *reader, uint64_t number)
{
    struct event event = {0};
    for (uint64_t until_ms = 0; event.number != number;) {
        if (try(reader, &event))
            continue;
        cr_assert(kit_before(&until_ms), "no event %#lx", (unsigned long)number);
        kit_poke();
        zmq_poll(NULL, 0, 1);
    }
    return event;
}

static void *reader_new(void *context, const char *endpoint, int type)
{
    void *reader = kit_socket(context, type);
    KIT_OK(zmq_connect(reader, endpoint));
    return reader;
}

static void *watch_v1(void *context, void *socket, const char *endpoint)
{
    KIT_OK(zmq_socket_monitor(socket, endpoint, ZMQ_EVENT_ALL));
    return reader_new(context, endpoint, ZMQ_PAIR);
}

static void *watch_v2(void *context, void *socket, const char *endpoint, uint64_t events)
{
    KIT_OK(zmq_socket_monitor_versioned(socket, endpoint, events, 2, ZMQ_PAIR));
    return reader_new(context, endpoint, ZMQ_PAIR);
}

static uint64_t dropped(void *socket)
{
    uint64_t count = 0;
    KIT_OK(zuring_monitor_dropped(socket, &count));
    return count;
}

/* --- what is told --- */

static void tells_both_sides_v1(const char *transport)
{
    void *context = zmq_ctx_new(), *server = kit_socket(context, ZMQ_PULL), *client = kit_socket(context, ZMQ_PUSH);
    void *server_reader = watch_v1(context, server, "inproc://server");
    void *client_reader = watch_v1(context, client, "inproc://client");
    char text[KIT_ENDPOINT_SIZE];
    kit_bind(server, transport, text);
    struct event listening = expect_v1(server_reader, ZMQ_EVENT_LISTENING);
    cr_assert_str_eq(listening.local, text);
    KIT_OK(zmq_connect(client, text));
    if (strcmp(transport, "tcp") == 0)
        cr_assert_eq(expect_v1(client_reader, ZMQ_EVENT_CONNECT_DELAYED).values[0], EINPROGRESS);
    struct event connected = expect_v1(client_reader, ZMQ_EVENT_CONNECTED);
    struct event accepted = expect_v1(server_reader, ZMQ_EVENT_ACCEPTED);
    cr_assert_str_eq(connected.local, text);
    cr_assert_str_eq(accepted.local, text);
    cr_assert_eq(expect_v1(client_reader, ZMQ_EVENT_HANDSHAKE_SUCCEEDED).values[0], 0);
    cr_assert_eq(expect_v1(server_reader, ZMQ_EVENT_HANDSHAKE_SUCCEEDED).values[0], 0);
    cr_assert_neq(fcntl((int)connected.values[0], F_GETFD), -1);
    cr_assert_neq(fcntl((int)accepted.values[0], F_GETFD), -1);
    KIT_OK(zmq_close(client));
    cr_assert_eq(strlen(expect_v1(client_reader, ZMQ_EVENT_MONITOR_STOPPED).local), 0);
    struct event lost = expect_v1(server_reader, ZMQ_EVENT_DISCONNECTED);
    cr_assert_eq(lost.values[0], accepted.values[0]);
    cr_assert_str_eq(lost.local, text);
    KIT_OK(zmq_close(server));
    cr_assert_eq(expect_v1(server_reader, ZMQ_EVENT_CLOSED).values[0], listening.values[0]);
    expect_v1(server_reader, ZMQ_EVENT_MONITOR_STOPPED);
    KIT_OK(zmq_close(client_reader));
    KIT_OK(zmq_close(server_reader));
    KIT_OK(zmq_ctx_term(context));
}

Test(monitor, tells_both_sides_of_a_tcp_connection)
{
    tells_both_sides_v1("tcp");
}

Test(monitor, tells_both_sides_of_an_ipc_connection)
{
    tells_both_sides_v1("ipc");
}

Test(monitor, version_2_names_both_ends)
{
    void *context = zmq_ctx_new(), *server = kit_socket(context, ZMQ_PULL), *client = kit_socket(context, ZMQ_PUSH);
    void *server_reader = watch_v2(context, server, "inproc://server", ZMQ_EVENT_ALL_V2);
    void *client_reader = watch_v2(context, client, "inproc://client", ZMQ_EVENT_ALL_V2);
    char text[KIT_ENDPOINT_SIZE];
    kit_bind(server, "tcp", text);
    cr_assert_str_eq(expect_v2(server_reader, ZMQ_EVENT_LISTENING).local, text);
    KIT_OK(zmq_connect(client, text));
    cr_assert_str_eq(expect_v2(client_reader, ZMQ_EVENT_CONNECT_DELAYED).remote, text);
    struct event connected = expect_v2(client_reader, ZMQ_EVENT_CONNECTED);
    cr_assert_eq(strncmp(connected.local, "tcp://127.0.0.1:", 16), 0);
    cr_assert_str_neq(connected.local, text);
    cr_assert_str_eq(connected.remote, text);
    static const uint64_t told[] = {ZMQ_EVENT_ACCEPTED, ZMQ_EVENT_HANDSHAKE_SUCCEEDED, ZMQ_EVENT_DISCONNECTED};
    for (size_t i = 0; i < 3; i++) {
        struct event event = expect_v2(server_reader, told[i]);
        cr_assert_str_eq(event.local, text);
        cr_assert_str_eq(event.remote, connected.local);
        if (told[i] == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
            cr_assert_str_eq(expect_v2(client_reader, ZMQ_EVENT_HANDSHAKE_SUCCEEDED).local, connected.local);
            KIT_OK(zmq_close(client));
        }
    }
    KIT_OK(zmq_close(server));
    expect_v2(server_reader, ZMQ_EVENT_CLOSED);
    cr_assert_eq(strlen(expect_v2(server_reader, ZMQ_EVENT_MONITOR_STOPPED).local), 0);
    KIT_OK(zmq_close(client_reader));
    KIT_OK(zmq_close(server_reader));
    KIT_OK(zmq_ctx_term(context));
}

/* The kernel forgets whom a reset connection was with. */
Test(monitor, a_reset_peer_is_still_named)
{
    void *context = zmq_ctx_new(), *server = kit_socket(context, ZMQ_PULL);
    void *reader = watch_v2(context, server, "inproc://server", ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
    char text[KIT_ENDPOINT_SIZE], remote[KIT_ENDPOINT_SIZE];
    int fd = raw_connect(kit_bind(server, "tcp", text));
    struct sockaddr_in own;
    socklen_t size = sizeof own;
    getsockname(fd, (struct sockaddr *)&own, &size);
    snprintf(remote, sizeof remote, "tcp://127.0.0.1:%u", ntohs(own.sin_port));
    raw_shake(fd, RAW_READY_PUSH);
    expect_v2(reader, ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
    struct linger reset = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(fd);
    struct event lost = expect_v2(reader, ZMQ_EVENT_DISCONNECTED);
    cr_assert_str_eq(lost.local, text);
    cr_assert_str_eq(lost.remote, remote);
    KIT_OK(zmq_close(server));
    KIT_OK(zmq_close(reader));
    KIT_OK(zmq_ctx_term(context));
}

#define RAW_COMMAND_ERROR "\x04\x0a\x05" "ERROR" "\x03" "400"

Test(monitor, a_refusal_by_the_peer_has_its_status)
{
    void *context = zmq_ctx_new(), *server = kit_socket(context, ZMQ_PULL);
    void *reader = watch_v1(context, server, "inproc://server");
    char text[KIT_ENDPOINT_SIZE];
    int fd = raw_connect(kit_bind(server, "tcp", text));
    raw_say(fd, RAW_GREETING, RAW_GREETING_SIZE);
    raw_say(fd, RAW_COMMAND_ERROR, sizeof RAW_COMMAND_ERROR - 1);
    expect_v1(reader, ZMQ_EVENT_LISTENING);
    expect_v1(reader, ZMQ_EVENT_ACCEPTED);
    cr_assert_eq(expect_v1(reader, ZMQ_EVENT_HANDSHAKE_FAILED_AUTH).values[0], 400);
    expect_v1(reader, ZMQ_EVENT_DISCONNECTED);
    close(fd);
    KIT_OK(zmq_close(server));
    KIT_OK(zmq_close(reader));
    KIT_OK(zmq_ctx_term(context));
}

/* Unsent messages keep a socket at work after zmq_close, and its monitor with it. */
Test(monitor, tells_of_what_lingers)
{
    void *context = zmq_ctx_new(), *client = kit_socket(context, ZMQ_PUSH), *server = kit_socket(context, ZMQ_PULL);
    char text[KIT_ENDPOINT_SIZE];
    kit_free_endpoint(context, "ipc", text);
    void *reader = watch_v1(context, client, "inproc://client");
    kit_set(client, ZMQ_LINGER, -1);
    kit_set(client, ZMQ_RECONNECT_IVL, 10);
    KIT_OK(zmq_connect(client, text));
    kit_send_text(client, "late", 0);
    KIT_OK(zmq_close(client));
    await_by(event_try_v1, reader, ZMQ_EVENT_CONNECT_RETRIED);
    KIT_OK(zmq_bind(server, text));
    await_by(event_try_v1, reader, ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
    kit_recv_text(server, "late");
    expect_v1(reader, ZMQ_EVENT_MONITOR_STOPPED);
    KIT_OK(zmq_close(server));
    KIT_OK(zmq_close(reader));
    KIT_OK(zmq_ctx_term(context));
}

Test(monitor, tells_only_what_was_asked_for)
{
    void *context = zmq_ctx_new(), *server = kit_socket(context, ZMQ_PULL);
    KIT_OK(zmq_socket_monitor(server, "inproc://server", ZMQ_EVENT_CLOSED));
    void *reader = reader_new(context, "inproc://server", ZMQ_PAIR);
    char text[KIT_ENDPOINT_SIZE];
    kit_bind(server, "tcp", text);
    KIT_OK(zmq_unbind(server, text));
    expect_v1(reader, ZMQ_EVENT_CLOSED);
    KIT_OK(zmq_socket_monitor(server, NULL, 0));
    cr_assert_not(kit_readable(reader, 0));
    KIT_OK(zmq_close(server));
    KIT_OK(zmq_close(reader));
    KIT_OK(zmq_ctx_term(context));
}

/* --- beginning and ending --- */

Test(monitor, another_one_replaces_it)
{
    void *context = zmq_ctx_new(), *server = kit_socket(context, ZMQ_PULL);
    void *first = watch_v1(context, server, "inproc://first");
    KIT_OK(zmq_socket_monitor_versioned(server, "inproc://second", ZMQ_EVENT_ALL, 2, ZMQ_PUSH));
    void *second = reader_new(context, "inproc://second", ZMQ_PULL);
    expect_v1(first, ZMQ_EVENT_MONITOR_STOPPED);
    char text[KIT_ENDPOINT_SIZE];
    kit_bind(server, "tcp", text);
    expect_v2(second, ZMQ_EVENT_LISTENING);
    KIT_OK(zmq_socket_monitor(server, "inproc://second", ZMQ_EVENT_ALL)); /* the name is free at once */
    expect_v2(second, ZMQ_EVENT_MONITOR_STOPPED);
    void *third = reader_new(context, "inproc://second", ZMQ_PAIR);
    KIT_OK(zmq_unbind(server, text));
    expect_v1(third, ZMQ_EVENT_CLOSED);
    cr_assert_eq(dropped(server), 0);
    KIT_OK(zmq_close(first));
    KIT_OK(zmq_close(second));
    KIT_OK(zmq_close(third));
    KIT_OK(zmq_close(server));
    KIT_OK(zmq_ctx_term(context));
}

Test(monitor, refuses_what_it_cannot_do)
{
    void *context = zmq_ctx_new(), *socket = kit_socket(context, ZMQ_PULL), *other = kit_socket(context, ZMQ_PULL);
    uint64_t count;
    KIT_FAILS(EPROTONOSUPPORT, zmq_socket_monitor(socket, "tcp://127.0.0.1:1", ZMQ_EVENT_ALL));
    KIT_FAILS(EINVAL, zmq_socket_monitor(socket, "nowhere", ZMQ_EVENT_ALL));
    KIT_FAILS(EINVAL, zmq_socket_monitor(socket, "inproc://a", 0x10000));
    KIT_FAILS(EINVAL, zmq_socket_monitor_versioned(socket, "inproc://a", 1, 3, ZMQ_PAIR));
    KIT_FAILS(EINVAL, zmq_socket_monitor_versioned(socket, "inproc://a", 1, 2, ZMQ_PULL));
    KIT_FAILS(ENOTSOCK, zmq_socket_monitor(NULL, "inproc://a", 1));
    KIT_FAILS(ENOTSOCK, zmq_socket_monitor_pipes_stats(NULL));
    KIT_FAILS(ENOTSOCK, zuring_monitor_dropped(NULL, &count));
    KIT_FAILS(EFAULT, zuring_monitor_dropped(socket, NULL));
    KIT_FAILS(EINVAL, zmq_socket_monitor_pipes_stats(socket));
    KIT_OK(zmq_socket_monitor(socket, "inproc://a", ZMQ_EVENT_ALL));
    KIT_FAILS(EADDRINUSE, zmq_socket_monitor(other, "inproc://a", ZMQ_EVENT_ALL));
    KIT_FAILS(EINVAL, zmq_socket_monitor_pipes_stats(socket));
    KIT_OK(zmq_socket_monitor(socket, NULL, 0));
    KIT_OK(zmq_socket_monitor(socket, NULL, 0));
    KIT_OK(zmq_ctx_shutdown(context));
    KIT_FAILS(ETERM, zmq_socket_monitor(socket, "inproc://a", ZMQ_EVENT_ALL));
    KIT_OK(zmq_close(socket));
    KIT_OK(zmq_close(other));
    KIT_OK(zmq_ctx_term(context));
}

Test(monitor, is_one_of_the_contexts_sockets)
{
    void *context = zmq_ctx_new();
    KIT_OK(zmq_ctx_set(context, ZMQ_MAX_SOCKETS, 2));
    void *socket = kit_socket(context, ZMQ_PULL), *other = kit_socket(context, ZMQ_PULL);
    KIT_FAILS(EMFILE, zmq_socket_monitor(socket, "inproc://a", ZMQ_EVENT_ALL));
    KIT_OK(zmq_close(other));
    KIT_OK(zmq_socket_monitor(socket, "inproc://a", ZMQ_EVENT_ALL));
    KIT_OK(zmq_close(socket));
    KIT_OK(zmq_ctx_term(context));
}

/* --- nobody waits for it --- */

enum { ROUNDS = 3000 };

static void bind_and_unbind(void *socket, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        char text[KIT_ENDPOINT_SIZE];
        kit_bind(socket, "tcp", text);
        KIT_OK(zmq_unbind(socket, text));
    }
}

Test(monitor, undrained_it_drops_whole_events_and_counts_them)
{
    void *context = zmq_ctx_new(), *socket = kit_socket(context, ZMQ_PULL), *reader = kit_socket(context, ZMQ_PAIR);
    kit_set(reader, ZMQ_RCVHWM, 10);
    KIT_OK(zmq_socket_monitor(socket, "inproc://a", ZMQ_EVENT_LISTENING | ZMQ_EVENT_CLOSED));
    KIT_OK(zmq_connect(reader, "inproc://a"));
    bind_and_unbind(socket, ROUNDS);
    KIT_UNTIL(dropped(socket) == 2 * ROUNDS - 1010);
    struct event event;
    for (int i = 0; i < 1010; i++)
        cr_assert(event_try_v1(reader, &event), "event %d", i);
    cr_assert_not(event_try_v1(reader, &event));
    bind_and_unbind(socket, 1);
    expect_v1(reader, ZMQ_EVENT_LISTENING);
    expect_v1(reader, ZMQ_EVENT_CLOSED);
    cr_assert_eq(dropped(socket), 2 * ROUNDS - 1010);
    bind_and_unbind(socket, ROUNDS);
    KIT_OK(zmq_close(socket));
    KIT_OK(zmq_close(reader));
    KIT_OK(zmq_ctx_term(context));
}

Test(monitor, without_a_reader_everything_is_dropped)
{
    void *context = zmq_ctx_new(), *socket = kit_socket(context, ZMQ_PULL);
    KIT_OK(zmq_socket_monitor(socket, "inproc://a", ZMQ_EVENT_LISTENING));
    bind_and_unbind(socket, 10);
    cr_assert_eq(dropped(socket), 10);
    void *reader = reader_new(context, "inproc://a", ZMQ_PAIR);
    bind_and_unbind(socket, 1);
    expect_v1(reader, ZMQ_EVENT_LISTENING);
    KIT_OK(zmq_close(reader));
    bind_and_unbind(socket, 10);
    cr_assert_eq(dropped(socket), 20);
    reader = reader_new(context, "inproc://a", ZMQ_PAIR);
    bind_and_unbind(socket, 1);
    expect_v1(reader, ZMQ_EVENT_LISTENING);
    KIT_OK(zmq_close(reader));
    KIT_OK(zmq_close(socket));
    KIT_OK(zmq_ctx_term(context));
}

/* Its reader gone with events unread, connections come and go, and all of it ends. */
Test(monitor, a_reader_may_leave_first)
{
    struct kit_pair pair = kit_pair("tcp", ZMQ_PUSH, ZMQ_PULL);
    void *reader = watch_v1(pair.context, pair.to, "inproc://a");
    kit_send_text(pair.from, "one", 0);
    kit_recv_text(pair.to, "one");
    bind_and_unbind(pair.to, 10);
    KIT_OK(zmq_close(reader));
    for (int i = 0; i < 10; i++) {
        void *more = kit_socket(pair.context, ZMQ_PUSH);
        KIT_OK(zmq_connect(more, pair.text));
        kit_set(more, ZMQ_LINGER, -1);
        kit_send_text(more, "two", 0);
        kit_recv_text(pair.to, "two");
        KIT_OK(zmq_close(more));
    }
    kit_pair_end(&pair);
}

static int term(void *context)
{
    return zmq_ctx_term(context);
}

Test(monitor, ends_with_its_context)
{
    void *context = zmq_ctx_new(), *server = kit_socket(context, ZMQ_PULL);
    void *reader = watch_v1(context, server, "inproc://a");
    char text[KIT_ENDPOINT_SIZE];
    kit_bind(server, "tcp", text);
    struct kit_thread thread;
    kit_thread_start(&thread, term, context);
    KIT_UNTIL(KIT_ERRNO(zmq_recv(server, text, 1, ZMQ_DONTWAIT)) == ETERM);
    KIT_UNTIL(KIT_ERRNO(zmq_recv(reader, text, 1, ZMQ_DONTWAIT)) == ETERM);
    KIT_OK(zmq_close(server));
    KIT_OK(zmq_close(reader));
    cr_assert_eq(kit_thread_join(&thread), 0);
}

/* Each has gone, and its memory too, when the next event has been told. */
Test(monitor, readers_may_come_and_go)
{
    void *context = zmq_ctx_new();
    KIT_OK(zmq_ctx_set(context, ZMQ_MAX_SOCKETS, 4));
    void *socket = kit_socket(context, ZMQ_PULL);
    KIT_OK(zmq_socket_monitor(socket, "inproc://a", ZMQ_EVENT_LISTENING));
    for (int i = 0; i < 20; i++) {
        void *reader = reader_new(context, "inproc://a", ZMQ_PAIR);
        bind_and_unbind(socket, 1);
        expect_v1(reader, ZMQ_EVENT_LISTENING);
        KIT_OK(zmq_close(reader));
        bind_and_unbind(socket, 1);
    }
    KIT_OK(zmq_close(socket));
    KIT_OK(zmq_ctx_term(context));
}

/* Odd, but it must not keep the context from ending. */
Test(monitor, a_socket_may_listen_to_itself)
{
    void *context = zmq_ctx_new(), *socket = kit_socket(context, ZMQ_PAIR);
    KIT_OK(zmq_socket_monitor(socket, "inproc://a", ZMQ_EVENT_ALL));
    KIT_OK(zmq_connect(socket, "inproc://a"));
    char text[KIT_ENDPOINT_SIZE];
    kit_bind(socket, "tcp", text);
    expect_v1(socket, ZMQ_EVENT_LISTENING);
    KIT_OK(zmq_close(socket));
    KIT_OK(zmq_ctx_term(context));
}

Test(monitor, several_sockets_have_one_each)
{
    enum { SOCKETS = 8 };
    void *context = zmq_ctx_new(), *sockets[SOCKETS], *readers[SOCKETS];
    char texts[SOCKETS][KIT_ENDPOINT_SIZE];
    for (int i = 0; i < SOCKETS; i++) {
        char name[32];
        snprintf(name, sizeof name, "inproc://%d", i);
        sockets[i] = kit_socket(context, ZMQ_PULL);
        readers[i] = watch_v1(context, sockets[i], name);
        kit_bind(sockets[i], "tcp", texts[i]);
    }
    void *client = kit_socket(context, ZMQ_PUSH);
    for (int i = 0; i < SOCKETS; i++)
        KIT_OK(zmq_connect(client, texts[i]));
    static const uint64_t told[] = {ZMQ_EVENT_LISTENING, ZMQ_EVENT_ACCEPTED, ZMQ_EVENT_HANDSHAKE_SUCCEEDED};
    for (int i = 0; i < SOCKETS; i++)
        for (size_t at = 0; at < 3; at++)
            cr_assert_str_eq(expect_v1(readers[i], told[at]).local, texts[i]);
    KIT_OK(zmq_close(client));
    for (int i = 0; i < SOCKETS; i++) {
        KIT_OK(zmq_close(sockets[i]));
        KIT_OK(zmq_close(readers[i]));
    }
    KIT_OK(zmq_ctx_term(context));
}

/* --- statistics --- */

Test(monitor, stats_are_those_of_the_moment)
{
    void *context = zmq_ctx_new(), *push = kit_socket(context, ZMQ_PUSH);
    void *reader = watch_v2(context, push, "inproc://a", ZMQ_EVENT_PIPES_STATS);
    KIT_FAILS(EAGAIN, zmq_socket_monitor_pipes_stats(push));
    char text[KIT_ENDPOINT_SIZE];
    kit_free_endpoint(context, "tcp", text);
    kit_set(push, ZMQ_SNDHWM, 5);
    KIT_OK(zmq_connect(push, text));
    for (uint64_t sent = 0; sent <= 5; sent++) {
        KIT_OK(zmq_socket_monitor_pipes_stats(push));
        struct event stats = expect_v2(reader, ZMQ_EVENT_PIPES_STATS);
        cr_assert_eq(stats.values[0], sent);
        cr_assert_eq(stats.values[1], 0);
        cr_assert_str_eq(stats.remote, text);
        cr_assert_str_eq(stats.local, "");
        if (sent < 5)
            kit_send_text(push, "one", 0);
    }
    KIT_OK(zmq_close(push));
    KIT_OK(zmq_close(reader));
    KIT_OK(zmq_ctx_term(context));
}

Test(monitor, stats_name_both_ends)
{
    struct kit_pair pair = kit_pair("tcp", ZMQ_PUSH, ZMQ_PULL);
    void *reader = watch_v2(pair.context, pair.to, "inproc://a", ZMQ_EVENT_ALL_V2);
    kit_send_text(pair.from, "one", 0);
    kit_send_text(pair.from, "two", 0);
    kit_recv_text(pair.to, "one");
    struct event stats;
    uint64_t until_ms = 0;
    do { /* "two" may still be on its way */
        KIT_OK(zmq_socket_monitor_pipes_stats(pair.to));
        stats = await_by(event_try_v2, reader, ZMQ_EVENT_PIPES_STATS);
        cr_assert(kit_before(&until_ms));
    } while (stats.values[1] != 1);
    cr_assert_eq(stats.values[0], 0);
    cr_assert_str_eq(stats.local, pair.text);
    cr_assert_eq(strncmp(stats.remote, "tcp://127.0.0.1:", 16), 0);
    cr_assert_str_neq(stats.remote, pair.text);
    KIT_OK(zmq_close(reader));
    kit_pair_end(&pair);
}

/* --- threads --- */

struct churn {
    void *context;     /* of the sockets */
    const char *text;  /* where to connect */
    _Atomic bool over; /* enough */
};

static void *churn_main(void *arg)
{
    struct churn *churn = arg;
    while (!churn->over) {
        void *client = kit_socket(churn->context, ZMQ_PUSH);
        kit_set(client, ZMQ_IMMEDIATE, 1); /* so that the send waits for the connection */
        kit_set(client, ZMQ_SNDTIMEO, 20);
        KIT_OK(zmq_connect(client, churn->text));
        zmq_send(client, "x", 1, 0);
        KIT_OK(zmq_close(client));
    }
    return NULL;
}

/* Who is held up while thousands of events come misses some; then it is asked for again. */
static void await_stats(void *server, void *reader, uint64_t missed)
{
    struct event event = {0};
    uint64_t until_ms = 0;
    while (event.number != ZMQ_EVENT_PIPES_STATS) {
        if (event_try_v2(reader, &event))
            continue;
        cr_assert(kit_before(&until_ms), "no statistics");
        if (dropped(server) != missed) {
            missed = dropped(server);
            (void)KIT_ERRNO(zmq_socket_monitor_pipes_stats(server));
        }
        kit_poke();
        zmq_poll(NULL, 0, 1);
    }
}

Test(monitor, comes_and_goes_while_connections_do)
{
    enum { TURNS = 200 };
    void *context = zmq_ctx_new();
    KIT_OK(zmq_ctx_set(context, ZMQ_IO_THREADS, 2));
    void *server = kit_socket(context, ZMQ_PULL);
    char text[KIT_ENDPOINT_SIZE];
    kit_bind(server, "tcp", text);
    struct churn churn = {.context = context, .text = text};
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, churn_main, &churn), 0);
    for (int i = 0; i < TURNS; i++) {
        void *reader = watch_v2(context, server, "inproc://a", ZMQ_EVENT_ALL_V2);
        if (i % 4)
            await_by(event_try_v2, reader, ZMQ_EVENT_ACCEPTED);
        uint64_t missed = dropped(server);
        if (KIT_ERRNO(zmq_socket_monitor_pipes_stats(server)) == 0 && i % 2)
            await_stats(server, reader, missed);
        if (i % 3)
            KIT_OK(zmq_socket_monitor(server, NULL, 0));
        KIT_OK(zmq_close(reader));
    }
    churn.over = true;
    pthread_join(thread, NULL);
    KIT_OK(zmq_close(server));
    KIT_OK(zmq_ctx_term(context));
}

/* Events of version 1 that can be read, each of which must be whole; names may be long. */
static unsigned count_whole(void *reader)
{
    char bytes[8];
    unsigned frames = 0;
    while (frame_try(reader, bytes, sizeof bytes) >= 0)
        cr_assert_eq((unsigned)kit_get(reader, ZMQ_RCVMORE), ++frames % 2);
    return frames / 2;
}

/* A name may be long enough to need memory that is not there: that event is lost whole, and the next one is whole. */
Test(monitor, an_event_that_finds_no_memory_leaves_nothing_behind)
{
    static char long_name[60000] = "tcp://";
    static const int types[] = {ZMQ_PAIR, ZMQ_PUB, ZMQ_PUSH}, readers[] = {ZMQ_PAIR, ZMQ_SUB, ZMQ_PULL};
    memset(long_name + 6, 'x', sizeof long_name - 7);
    for (int t = 0; t < 3; t++) {
        void *context = zmq_ctx_new(), *server = kit_socket(context, ZMQ_PULL);
        KIT_OK(zmq_socket_monitor_versioned(server, "inproc://odd", ZMQ_EVENT_BIND_FAILED, 1, types[t]));
        void *reader = reader_new(context, "inproc://odd", readers[t]);
        if (readers[t] == ZMQ_SUB)
            KIT_OK(zmq_setsockopt(reader, ZMQ_SUBSCRIBE, "", 0));
        cr_assert_lt(zmq_bind(server, "tcp://x"), 0);
        cr_assert_eq(count_whole(reader), 1u);
        for (unsigned from = 1; from < 8; from++) {
            uint64_t before = dropped(server);
            size_t end = sizeof long_name - 1 - from * 4000; /* of another size: what was freed does not fit */
            long_name[end] = 0;
            zu_alloc_fail_from = from;
            cr_assert_lt(zmq_bind(server, long_name), 0);
            zu_alloc_fail_from = 0;
            long_name[end] = 'x';
            bool is_told = errno != ENOMEM && dropped(server) == before;
            cr_assert_lt(zmq_bind(server, "tcp://x"), 0);
            cr_assert_eq(count_whole(reader), 1u + is_told, "type %d, piece %u", types[t], from);
        }
        cr_assert_gt(dropped(server), 0u);
        KIT_OK(zmq_close(server));
        KIT_OK(zmq_close(reader));
        KIT_OK(zmq_ctx_term(context));
    }
}
