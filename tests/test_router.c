/* SPDX-License-Identifier: MIT */
/* DEALER and ROUTER, as a program sees them. */
#include "kit.h"

static void set_id(void *socket, const char *id)
{
    KIT_OK(zmq_setsockopt(socket, ZMQ_ROUTING_ID, id, strlen(id)));
}

/* `router` binds; the dealer is called `id`, or nothing. */
static struct kit_pair pair_make(const char *transport, const char *id)
{
    struct kit_pair pair = {.context = zmq_ctx_new()};
    pair.from = kit_socket(pair.context, ZMQ_DEALER);
    pair.to = kit_socket(pair.context, ZMQ_ROUTER);
    char text[KIT_ENDPOINT_SIZE];
    kit_bind(pair.to, transport, text);
    if (id)
        set_id(pair.from, id);
    KIT_OK(zmq_connect(pair.from, text));
    return pair;
}

static size_t recv_id(void *router, uint8_t id[255])
{
    int size = zmq_recv(router, id, 255, 0);
    cr_assert_gt(size, 0, "%s", zmq_strerror(errno));
    cr_assert_eq(kit_get(router, ZMQ_RCVMORE), 1);
    return (size_t)size;
}

static void send_to(void *router, const char *id, const char *text)
{
    kit_send_text(router, id, ZMQ_SNDMORE);
    kit_send_text(router, text, 0);
}

static void recv_from(void *router, const char *id, const char *text)
{
    kit_recv_text(router, id);
    cr_assert_eq(kit_get(router, ZMQ_RCVMORE), 1);
    kit_recv_text(router, text);
}

Test(router, names_made_up_and_brought)
{
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        struct kit_pair pair = pair_make(kit_transports[t], NULL);
        uint8_t id[255];
        kit_send_text(pair.from, "one", ZMQ_SNDMORE);
        kit_send_text(pair.from, "two", 0);
        cr_assert_eq(recv_id(pair.to, id), 5u);
        cr_assert_eq(id[0], 0);
        kit_recv_text(pair.to, "one");
        cr_assert_eq(kit_get(pair.to, ZMQ_RCVMORE), 1);
        kit_recv_text(pair.to, "two");
        cr_assert_eq(kit_get(pair.to, ZMQ_RCVMORE), 0);
        KIT_OK(zmq_send(pair.to, id, 5, ZMQ_SNDMORE));
        kit_send_text(pair.to, "back", 0);
        kit_recv_text(pair.from, "back");
        kit_pair_end(&pair);
        pair = pair_make(kit_transports[t], "me");
        kit_send_text(pair.from, "", 0);
        recv_from(pair.to, "me", "");
        send_to(pair.to, "me", "");
        kit_recv_text(pair.from, "");
        kit_pair_end(&pair);
    }
}

/* The id as a message: its origin is that of the body. */
Test(router, the_id_is_a_message_with_properties)
{
    struct kit_pair pair = pair_make("tcp", "me");
    kit_send_text(pair.from, "x", 0);
    zmq_msg_t msg;
    zmq_msg_init(&msg);
    cr_assert_eq(zmq_msg_recv(&msg, pair.to, 0), 2);
    cr_assert(zmq_msg_more(&msg));
    cr_assert_eq(memcmp(zmq_msg_data(&msg), "me", 2), 0);
    cr_assert_str_eq(zmq_msg_gets(&msg, "Socket-Type"), "DEALER");
    cr_assert_str_eq(zmq_msg_gets(&msg, "Identity"), "me");
    cr_assert_eq(zmq_msg_send(&msg, pair.to, ZMQ_SNDMORE), 2);
    kit_recv_text(pair.to, "x");
    kit_send_text(pair.to, "y", 0);
    kit_recv_text(pair.from, "y");
    kit_pair_end(&pair);
}

Test(router, drops_what_it_cannot_route)
{
    struct kit_pair pair = pair_make("tcp", "me");
    kit_send_text(pair.from, "x", 0);
    recv_from(pair.to, "me", "x");
    send_to(pair.to, "nobody", "lost");
    kit_send_text(pair.to, "me", 0); /* a lone address */
    KIT_OK(zmq_send(pair.to, "", 0, ZMQ_SNDMORE));
    kit_send_text(pair.to, "to nobody", 0);
    kit_set(pair.to, ZMQ_ROUTER_MANDATORY, 1);
    KIT_FAILS(EHOSTUNREACH, zmq_send(pair.to, "nobody", 6, ZMQ_SNDMORE));
    kit_send_text(pair.to, "me", 0);
    send_to(pair.to, "me", "found");
    kit_recv_text(pair.from, "found");
    KIT_FAILS(EAGAIN, zmq_recv(pair.from, NULL, 0, ZMQ_DONTWAIT));
    kit_pair_end(&pair);
}

Test(router, full_drops_or_with_mandatory_waits)
{
    void *context = zmq_ctx_new();
    void *router = kit_socket(context, ZMQ_ROUTER), *dealer = kit_socket(context, ZMQ_DEALER);
    kit_set(router, ZMQ_SNDHWM, 2);
    kit_set(dealer, ZMQ_RCVHWM, 2);
    set_id(dealer, "me");
    KIT_OK(zmq_bind(router, "inproc://full"));
    KIT_OK(zmq_connect(dealer, "inproc://full"));
    for (int i = 0; i < 9; i++)
        send_to(router, "me", "a"); /* four fit */
    cr_assert_eq(zmq_socket_get_peer_state(router, "me", 2), 0);
    cr_assert_eq(kit_get(router, ZMQ_EVENTS), ZMQ_POLLOUT);
    kit_set(router, ZMQ_ROUTER_MANDATORY, 1);
    cr_assert_eq(kit_get(router, ZMQ_EVENTS), 0);
    KIT_FAILS(EAGAIN, zmq_send(router, "me", 2, ZMQ_SNDMORE | ZMQ_DONTWAIT));
    kit_set(router, ZMQ_SNDTIMEO, 20);
    uint64_t start_ms = kit_now_ms();
    KIT_FAILS(EAGAIN, zmq_send(router, "me", 2, ZMQ_SNDMORE));
    cr_assert_geq(kit_now_ms() - start_ms + 1, 20u);
    for (int i = 0; i < 4; i++)
        kit_recv_text(dealer, "a");
    KIT_FAILS(EAGAIN, zmq_recv(dealer, NULL, 0, ZMQ_DONTWAIT));
    cr_assert_eq(kit_get(router, ZMQ_EVENTS), ZMQ_POLLOUT);
    cr_assert_eq(zmq_socket_get_peer_state(router, "me", 2), ZMQ_POLLOUT);
    KIT_FAILS(EHOSTUNREACH, zmq_socket_get_peer_state(router, "you", 3));
    KIT_FAILS(ENOTSUP, zmq_socket_get_peer_state(dealer, "me", 2));
    send_to(router, "me", "b");
    kit_recv_text(dealer, "b");
    KIT_OK(zmq_close(router));
    KIT_OK(zmq_close(dealer));
    KIT_OK(zmq_ctx_term(context));
}

/* A peer that has made a little room, for which no note has come yet, counts from the first send that finds it. */
Test(router, room_that_a_send_has_found_can_be_polled)
{
    void *context = zmq_ctx_new();
    void *router = kit_socket(context, ZMQ_ROUTER);
    void *dealers[] = {kit_socket(context, ZMQ_DEALER), kit_socket(context, ZMQ_DEALER)};
    static const char *const names[] = {"a", "b"};
    kit_set(router, ZMQ_ROUTER_MANDATORY, 1);
    kit_set(router, ZMQ_SNDHWM, 8);
    KIT_OK(zmq_bind(router, "inproc://room"));
    for (int i = 0; i < 2; i++) {
        kit_set(dealers[i], ZMQ_RCVHWM, 8);
        set_id(dealers[i], names[i]);
        KIT_OK(zmq_connect(dealers[i], "inproc://room"));
        kit_send_text(dealers[i], "here", 0);
        recv_from(router, names[i], "here");
        while (KIT_ERRNO(zmq_send(router, names[i], 1, ZMQ_SNDMORE | ZMQ_DONTWAIT)) == 0)
            kit_send_text(router, "x", 0);
    }
    cr_assert_eq(kit_get(router, ZMQ_EVENTS), 0);
    for (int i = 0; i < 3; i++)
        kit_recv_text(dealers[0], "x");
    send_to(router, "a", "y");
    kit_send_text(dealers[1], "still here", 0);
    recv_from(router, "b", "still here"); /* now the one heard last is full */
    cr_assert_eq(kit_get(router, ZMQ_EVENTS), ZMQ_POLLOUT);
    send_to(router, "a", "z");
    KIT_OK(zmq_close(router));
    for (int i = 0; i < 2; i++)
        KIT_OK(zmq_close(dealers[i]));
    KIT_OK(zmq_ctx_term(context));
}

Test(router, a_taken_name_ignores_the_newcomer)
{
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        struct kit_pair pair = pair_make(kit_transports[t], "me");
        kit_send_text(pair.from, "first", 0);
        recv_from(pair.to, "me", "first");
        char text[KIT_ENDPOINT_SIZE];
        size_t size = sizeof text;
        KIT_OK(zmq_getsockopt(pair.to, ZMQ_LAST_ENDPOINT, text, &size));
        void *second = kit_socket(pair.context, ZMQ_DEALER);
        set_id(second, "me");
        kit_set(second, ZMQ_LINGER, 0);
        KIT_OK(zmq_connect(second, text));
        kit_send_text(second, "second", 0);
        cr_assert_not(kit_readable(pair.to, 50));
        kit_poke();
        KIT_OK(kit_close(pair.from));
        cr_assert_not(kit_readable(pair.to, 50)); /* nor later */
        pair.from = second;
        kit_pair_end(&pair);
    }
}

Test(router, handover_gives_the_name_to_the_newcomer)
{
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        struct kit_pair pair = pair_make(kit_transports[t], "me");
        kit_set(pair.to, ZMQ_ROUTER_HANDOVER, 1);
        kit_send_text(pair.from, "first", 0);
        recv_from(pair.to, "me", "first");
        kit_send_text(pair.from, "left", 0);
        KIT_UNTIL(kit_get(pair.to, ZMQ_EVENTS) & ZMQ_POLLIN);
        char text[KIT_ENDPOINT_SIZE];
        size_t size = sizeof text;
        KIT_OK(zmq_getsockopt(pair.to, ZMQ_LAST_ENDPOINT, text, &size));
        void *second = kit_socket(pair.context, ZMQ_DEALER);
        set_id(second, "me");
        KIT_OK(zmq_connect(second, text));
        kit_send_text(second, "second", 0);
        bool was_left = false, was_second = false;
        while (!was_left || !was_second) { /* in any order: the first one's may be read before the second comes */
            uint8_t id[255];
            char got[20] = "";
            size = recv_id(pair.to, id);
            zmq_recv(pair.to, got, sizeof got, 0);
            was_left |= strcmp(got, "left") == 0;
            if (strcmp(got, "second") == 0) {
                was_second = true;
                cr_assert(size == 2 && memcmp(id, "me", 2) == 0);
            }
        }
        send_to(pair.to, "me", "back");
        kit_recv_text(second, "back");
        KIT_OK(kit_close(pair.from));
        pair.from = second;
        kit_pair_end(&pair);
    }
}

Test(router, connect_routing_id_is_for_one_connect)
{
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        void *context = zmq_ctx_new();
        void *router = kit_socket(context, ZMQ_ROUTER), *dealer = kit_socket(context, ZMQ_DEALER);
        char text[KIT_ENDPOINT_SIZE];
        kit_bind(dealer, kit_transports[t], text);
        set_id(dealer, "own");
        KIT_OK(zmq_setsockopt(router, ZMQ_CONNECT_ROUTING_ID, "given", 5));
        KIT_OK(zmq_connect(router, text));
        send_to(router, "given", "at once");
        kit_recv_text(dealer, "at once");
        kit_send_text(dealer, "back", 0);
        recv_from(router, "given", "back");
        KIT_OK(zmq_setsockopt(router, ZMQ_CONNECT_ROUTING_ID, "given", 5));
        KIT_FAILS(EADDRINUSE, zmq_connect(router, text));
        KIT_OK(zmq_setsockopt(router, ZMQ_CONNECT_ROUTING_ID, "other", 5));
        KIT_OK(zmq_connect(router, text));
        send_to(router, "other", "by the second");
        kit_recv_text(dealer, "by the second");
        KIT_OK(kit_close(router));
        KIT_OK(kit_close(dealer));
        KIT_OK(zmq_ctx_term(context));
    }
}

/* As libzmq does it: where no peer is made at once, the name waits for the next connect that makes one. */
Test(router, connect_routing_id_is_for_a_peer_that_is_made_at_once)
{
    void *context = zmq_ctx_new();
    void *router = kit_socket(context, ZMQ_ROUTER), *later = kit_socket(context, ZMQ_DEALER);
    void *at_once = kit_socket(context, ZMQ_DEALER);
    char text[KIT_ENDPOINT_SIZE];
    set_id(later, "later");
    kit_bind(later, "tcp", text);
    kit_set(router, ZMQ_ROUTER_MANDATORY, 1);
    kit_set(router, ZMQ_IMMEDIATE, 1);
    KIT_OK(zmq_setsockopt(router, ZMQ_CONNECT_ROUTING_ID, "x", 1));
    KIT_OK(zmq_connect(router, text));
    KIT_UNTIL((kit_poke(), zmq_socket_get_peer_state(router, "later", 5) >= 0));
    KIT_FAILS(EHOSTUNREACH, zmq_send(router, "x", 1, ZMQ_SNDMORE));
    kit_set(router, ZMQ_IMMEDIATE, 0);
    kit_bind(at_once, "tcp", text);
    KIT_OK(zmq_connect(router, text));
    send_to(router, "x", "found");
    kit_recv_text(at_once, "found");
    KIT_OK(zmq_close(router));
    KIT_OK(zmq_close(later));
    KIT_OK(zmq_close(at_once));
    KIT_OK(zmq_ctx_term(context));
}

Test(router, probes)
{
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        void *context = zmq_ctx_new();
        void *router = kit_socket(context, ZMQ_ROUTER), *dealer = kit_socket(context, ZMQ_DEALER);
        char text[KIT_ENDPOINT_SIZE];
        kit_set(dealer, ZMQ_PROBE_ROUTER, 1);
        kit_set(router, ZMQ_PROBE_ROUTER, 1);
        set_id(dealer, "me");
        kit_bind(router, kit_transports[t], text);
        KIT_OK(zmq_connect(dealer, text));
        recv_from(router, "me", "");
        kit_recv_text(dealer, "");
        KIT_OK(kit_close(router));
        KIT_OK(kit_close(dealer));
        KIT_OK(zmq_ctx_term(context));
    }
}

/* What libzmq does; not over inproc. */
Test(router, a_dealer_connects_once_to_an_endpoint)
{
    void *context = zmq_ctx_new();
    void *dealer = kit_socket(context, ZMQ_DEALER), *router = kit_socket(context, ZMQ_ROUTER);
    char text[KIT_ENDPOINT_SIZE];
    kit_bind(router, "tcp", text);
    kit_set(dealer, ZMQ_PROBE_ROUTER, 1);
    KIT_OK(zmq_connect(dealer, text));
    KIT_OK(zmq_connect(dealer, text));
    uint8_t id[255];
    recv_id(router, id);
    kit_recv_text(router, "");
    cr_assert_not(kit_readable(router, 50));
    KIT_OK(zmq_disconnect(dealer, text));
    KIT_FAILS(ENOENT, zmq_disconnect(dealer, text));
    KIT_OK(kit_close(router));
    KIT_OK(kit_close(dealer));
    KIT_OK(zmq_ctx_term(context));
}

/* Many peers, each with its own stream of messages of one to three parts, answered one by one. */
Test(router, a_crowd, .timeout = 60)
{
    enum { PEERS = 40, ROUNDS = 50 };
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        void *context = zmq_ctx_new();
        void *router = kit_socket(context, ZMQ_ROUTER), *dealers[PEERS];
        char text[KIT_ENDPOINT_SIZE];
        kit_bind(router, kit_transports[t], text);
        for (int i = 0; i < PEERS; i++) {
            dealers[i] = kit_socket(context, ZMQ_DEALER);
            KIT_OK(zmq_connect(dealers[i], text));
        }
        for (int round = 0; round < ROUNDS; round++) {
            for (int i = 0; i < PEERS; i++) {
                KIT_OK(zmq_send(dealers[i], &i, sizeof i, ZMQ_SNDMORE));
                KIT_OK(zmq_send(dealers[i], &round, sizeof round, 0));
            }
            for (int i = 0; i < PEERS; i++) {
                int who, which;
                uint8_t id[255];
                size_t size = recv_id(router, id);
                KIT_OK(zmq_recv(router, &who, sizeof who, 0));
                KIT_OK(zmq_recv(router, &which, sizeof which, 0));
                KIT_OK(zmq_send(router, id, size, ZMQ_SNDMORE));
                KIT_OK(zmq_send(router, &who, sizeof who, ZMQ_SNDMORE));
                KIT_OK(zmq_send(router, &which, sizeof which, 0));
            }
            for (int i = 0; i < PEERS; i++) {
                int who = -1, which = -1;
                KIT_OK(zmq_recv(dealers[i], &who, sizeof who, 0));
                KIT_OK(zmq_recv(dealers[i], &which, sizeof which, 0));
                cr_assert_eq(who, i);
                cr_assert_eq(which, round);
            }
        }
        for (int i = 0; i < PEERS; i++)
            KIT_OK(kit_close(dealers[i]));
        KIT_OK(kit_close(router));
        KIT_OK(zmq_ctx_term(context));
    }
}

/* A connect that nobody has met is left again. */
Test(router, leaves_before_it_was_met)
{
    static const int types[] = {ZMQ_ROUTER, ZMQ_REP, ZMQ_REQ, ZMQ_DEALER};
    void *context = zmq_ctx_new();
    for (int i = 0; i < 4; i++) {
        void *socket = kit_socket(context, types[i]);
        char text[KIT_ENDPOINT_SIZE];
        KIT_OK(zmq_connect(socket, "inproc://nowhere"));
        KIT_OK(zmq_connect(socket, kit_free_endpoint(context, "tcp", text)));
        KIT_OK(zmq_disconnect(socket, "inproc://nowhere"));
        KIT_OK(zmq_disconnect(socket, text));
        KIT_OK(zmq_connect(socket, "inproc://nowhere"));
        KIT_OK(zmq_connect(socket, text));
        KIT_OK(zmq_close(socket));
    }
    KIT_OK(zmq_ctx_term(context));
}

/* Its peers come and go; each finds it again under the name that it has. */
Test(router, finds_peers_that_come_back)
{
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        struct kit_pair pair = pair_make(kit_transports[t], "me");
        char text[KIT_ENDPOINT_SIZE];
        size_t size = sizeof text;
        KIT_OK(zmq_getsockopt(pair.to, ZMQ_LAST_ENDPOINT, text, &size));
        kit_set(pair.to, ZMQ_ROUTER_MANDATORY, 1);
        for (int i = 0; i < 10; i++) {
            kit_send_text(pair.from, "x", 0);
            recv_from(pair.to, "me", "x");
            send_to(pair.to, "me", "y");
            kit_recv_text(pair.from, "y");
            KIT_OK(kit_close(pair.from));
            KIT_UNTIL(zmq_socket_get_peer_state(pair.to, "me", 2) < 0);
            pair.from = kit_socket(pair.context, ZMQ_DEALER);
            set_id(pair.from, "me");
            KIT_OK(zmq_connect(pair.from, text));
        }
        kit_pair_end(&pair);
    }
}
