/* SPDX-License-Identifier: MIT */
/* ZMQ_CONFLATE as a program sees it: whoever was away finds the newest message, and nothing older. */
#include "rawpeer.h"
#include "zuring.h"

/* Fewer than a pipe holds: inline, nobody receives while this thread sends. */
enum { NUMBERS = 500 };

static void *conflating(void *context, int type)
{
    void *socket = kit_socket(context, type);
    kit_set(socket, ZMQ_CONFLATE, 1);
    return socket;
}

static void send_numbers(void *socket, int count)
{
    for (int n = 1; n <= count; n++)
        KIT_OK(zmq_send(socket, &n, sizeof n, 0));
}

static int recv_number(void *socket)
{
    int n = 0;
    cr_assert_eq(zmq_recv(socket, &n, sizeof n, 0), (int)sizeof n, "%s", zmq_strerror(errno));
    return n;
}

/* So many have come in, whether or not anybody will read them. */
static void await_received(void *socket, uint64_t wanted)
{
    struct zuring_peer_counts counts = {0};
    for (uint64_t until_ms = 0; counts.received < wanted && kit_before(&until_ms);) {
        size_t count = 1;
        KIT_OK(zuring_peers(socket, &counts, &count));
        kit_get(socket, ZMQ_EVENTS); /* inline it moves the socket */
    }
    cr_assert_eq(counts.received, wanted);
}

static void expect_nothing(void *socket)
{
    char none;
    KIT_FAILS(EAGAIN, zmq_recv(socket, &none, 1, ZMQ_DONTWAIT));
}

Test(conflate, a_receiver_that_was_away_finds_the_newest)
{
    for (int t = 0; t < 2; t++) {
        void *context = zmq_ctx_new();
        char text[KIT_ENDPOINT_SIZE];
        void *to = conflating(context, ZMQ_PULL), *from = kit_socket(context, ZMQ_PUSH);
        KIT_OK(zmq_connect(from, kit_bind(to, kit_transports[t], text)));
        send_numbers(from, 1);
        cr_assert_eq(recv_number(to), 1);
        for (int round = 0; round < 3; round++) {
            send_numbers(from, NUMBERS);
            await_received(to, (uint64_t)(round + 1) * NUMBERS + 1);
            /* Counted a moment before it is shown: the one before may just be had. */
            int got = recv_number(to);
            cr_assert(got == NUMBERS || recv_number(to) == NUMBERS);
            expect_nothing(to);
        }
        KIT_OK(zmq_close(from));
        KIT_OK(zmq_close(to));
        KIT_OK(zmq_ctx_term(context));
    }
}

Test(conflate, what_a_sender_has_queued_is_the_newest)
{
    static const int pairs[][2] = {{ZMQ_PUSH, ZMQ_PULL}, {ZMQ_DEALER, ZMQ_DEALER}};
    for (int p = 0; p < 2; p++) {
        for (int t = 0; t < 2; t++) {
            void *context = zmq_ctx_new();
            char text[KIT_ENDPOINT_SIZE];
            kit_free_endpoint(context, kit_transports[t], text);
            void *from = conflating(context, pairs[p][0]), *to = kit_socket(context, pairs[p][1]);
            kit_set(from, ZMQ_RECONNECT_IVL, 10);
            kit_set(from, ZMQ_SNDHWM, 3);
            KIT_OK(zmq_connect(from, text));
            send_numbers(from, NUMBERS);
            kit_rebind(to, text);
            cr_assert_eq(recv_number(to), NUMBERS);
            expect_nothing(to);
            KIT_OK(zmq_close(from));
            KIT_OK(zmq_close(to));
            KIT_OK(zmq_ctx_term(context));
        }
    }
}

/* Over inproc the connecting side's wish counts, for both directions. */
Test(conflate, inproc)
{
    void *context = zmq_ctx_new();
    void *to = kit_socket(context, ZMQ_PULL), *from = conflating(context, ZMQ_PUSH);
    KIT_OK(zmq_bind(to, "inproc://sink"));
    KIT_OK(zmq_connect(from, "inproc://sink"));
    send_numbers(from, NUMBERS);
    cr_assert_eq(recv_number(to), NUMBERS);
    expect_nothing(to);
    void *newest = conflating(context, ZMQ_PULL), *source = kit_socket(context, ZMQ_PUSH);
    KIT_OK(zmq_bind(source, "inproc://source"));
    KIT_OK(zmq_connect(newest, "inproc://source"));
    send_numbers(source, NUMBERS);
    cr_assert_eq(recv_number(newest), NUMBERS);
    void *all[] = {to, from, newest, source};
    for (int i = 0; i < 4; i++)
        KIT_OK(zmq_close(all[i]));
    KIT_OK(zmq_ctx_term(context));
}

Test(conflate, a_subscriber_and_large_messages)
{
    enum { LARGE = 200000, ROUNDS = 50 };
    static uint8_t large[LARGE];
    void *context = zmq_ctx_new();
    char text[KIT_ENDPOINT_SIZE];
    void *publisher = kit_socket(context, ZMQ_XPUB), *subscriber = conflating(context, ZMQ_SUB);
    KIT_OK(zmq_setsockopt(subscriber, ZMQ_SUBSCRIBE, "", 0));
    KIT_OK(zmq_connect(subscriber, kit_bind(publisher, "tcp", text)));
    char subscription[2];
    cr_assert_eq(zmq_recv(publisher, subscription, sizeof subscription, 0), 1);
    for (uint8_t n = 1; n <= ROUNDS; n++) {
        memset(large, n, sizeof large);
        KIT_OK(zmq_send(publisher, large, LARGE, 0));
    }
    int last = 0;
    while (last < ROUNDS) {
        cr_assert_eq(zmq_recv(subscriber, large, LARGE, 0), LARGE);
        cr_assert_gt(large[0], last);
        cr_assert_eq(large[LARGE - 1], large[0]);
        last = large[0];
    }
    expect_nothing(subscriber);
    KIT_OK(zmq_close(publisher));
    KIT_OK(zmq_close(subscriber));
    KIT_OK(zmq_ctx_term(context));
}

/* As without CONFLATE: a breach of protocol ends the connection, and takes nothing along that came before it. */
Test(conflate, what_came_before_a_fault_is_had)
{
    void *context = zmq_ctx_new();
    char text[KIT_ENDPOINT_SIZE];
    void *to = conflating(context, ZMQ_PULL);
    kit_bind(to, "tcp", text);
    int fd = raw_connect(text);
    raw_say(fd, RAW_GREETING RAW_READY_PUSH "\0\1x\4\0", RAW_GREETING_SIZE + RAW_READY_SIZE + 5);
    kit_recv_text(to, "x");
    cr_assert(raw_ended(fd, KIT_WAIT_MS));
    close(fd);
    KIT_OK(zmq_close(to));
    KIT_OK(zmq_ctx_term(context));
}
