/* SPDX-License-Identifier: MIT */
#include "kit.h"

static void queue(void *socket, int from, int count)
{
    for (int i = from; i < from + count; i++)
        KIT_OK(zmq_send(socket, &i, sizeof i, 0));
}

static void expect(void *socket, int from, int count)
{
    for (int i = from, number; i < from + count; i++) {
        cr_assert_eq(zmq_recv(socket, &number, sizeof number, 0), (int)sizeof number, "%s", zmq_strerror(errno));
        cr_assert_eq(number, i);
    }
}

/* A socket of the context that has messages for nobody. */
static void *with_queue(void *context, const char *transport, int linger_ms, char *text)
{
    kit_free_endpoint(context, transport, text);
    void *socket = kit_socket(context, ZMQ_PUSH);
    kit_set(socket, ZMQ_LINGER, linger_ms);
    kit_set(socket, ZMQ_RECONNECT_IVL, 5);
    KIT_OK(zmq_connect(socket, text));
    queue(socket, 0, 100);
    return socket;
}

Test(linger, term_takes_as_long_as_it_says)
{
    static const int lingers_ms[] = {0, 1, 150};
    for (int t = 0; t < 2; t++) {
        for (int i = 0; i < 3; i++) {
            void *context = zmq_ctx_new();
            char text[KIT_ENDPOINT_SIZE];
            void *socket = with_queue(context, kit_transports[t], lingers_ms[i], text);
            uint64_t start_ms = kit_now_ms(); /* the time runs from the close on */
            KIT_OK(zmq_close(socket));
            KIT_OK(zmq_ctx_term(context));
            uint64_t took_ms = kit_now_ms() - start_ms;
            cr_assert_geq(took_ms + 2, (uint64_t)lingers_ms[i], "%s: %d took %d", kit_transports[t], lingers_ms[i],
                          (int)took_ms);
            cr_assert_lt(took_ms, KIT_WAIT_MS);
        }
    }
}

Test(linger, the_value_at_close_counts)
{
    void *context = zmq_ctx_new();
    char text[KIT_ENDPOINT_SIZE];
    void *socket = with_queue(context, "tcp", -1, text);
    kit_set(socket, ZMQ_LINGER, 0);
    KIT_OK(zmq_close(socket));
    KIT_OK(zmq_ctx_term(context));
}

Test(linger, nothing_queued_is_no_reason_to_wait)
{
    void *context = zmq_ctx_new();
    char text[KIT_ENDPOINT_SIZE];
    kit_free_endpoint(context, "tcp", text);
    void *socket = zmq_socket(context, ZMQ_PUSH); /* LINGER is -1 */
    KIT_OK(zmq_connect(socket, text));
    KIT_OK(zmq_close(socket));
    KIT_OK(zmq_ctx_term(context));
}

static int call_term(void *context)
{
    return zmq_ctx_term(context);
}

/* ctx_term waits until somebody has taken what was left. */
Test(linger, infinite_waits_for_a_peer)
{
    for (int t = 0; t < 2; t++) {
        void *context = zmq_ctx_new(), *other = zmq_ctx_new();
        char text[KIT_ENDPOINT_SIZE];
        void *from = with_queue(context, kit_transports[t], -1, text);
        KIT_OK(zmq_close(from));
        struct kit_thread term;
        kit_thread_start(&term, call_term, context);
        void *to = kit_socket(other, ZMQ_PULL);
        kit_rebind(to, text);
        expect(to, 0, 100);
        cr_assert_eq(kit_thread_join(&term), 0);
        KIT_OK(zmq_close(to));
        KIT_OK(zmq_ctx_term(other));
        if (t == 1)
            unlink(text + 6);
    }
}

Test(linger, close_delivers_to_a_slow_reader)
{
    for (int t = 0; t < 2 * KIT_TRANSPORTS; t++) {
        bool sender_binds = t % 2;
        void *context = zmq_ctx_new();
        char text[KIT_ENDPOINT_SIZE];
        void *from = kit_socket(context, ZMQ_PUSH), *to = kit_socket(context, ZMQ_PULL);
        kit_set(from, ZMQ_LINGER, -1);
        kit_set(from, ZMQ_SNDHWM, 0);
        kit_set(to, ZMQ_RCVHWM, 1);
        kit_bind(sender_binds ? from : to, kit_transports[t / 2], text);
        KIT_OK(zmq_connect(sender_binds ? to : from, text));
        queue(from, 0, 30000);
        KIT_OK(zmq_close(from));
        expect(to, 0, 30000);
        KIT_OK(zmq_close(to));
        KIT_OK(zmq_ctx_term(context));
    }
}

Test(linger, large_ones_too)
{
    static uint8_t large[4 << 20];
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        struct kit_pair pair = kit_pair(kit_transports[t], ZMQ_PUSH, ZMQ_PULL);
        kit_set(pair.from, ZMQ_LINGER, -1);
        for (int i = 0; i < 10; i++)
            KIT_OK(zmq_send(pair.from, large, sizeof large, 0));
        KIT_OK(zmq_close(pair.from));
        for (int i = 0; i < 10; i++)
            cr_assert_eq(zmq_recv(pair.to, large, sizeof large, 0), (int)sizeof large);
        KIT_OK(zmq_close(pair.to));
        KIT_OK(zmq_ctx_term(pair.context));
    }
}

/* The peer is there and does not read: patience ends all the same. */
Test(linger, finite_gives_up_on_a_peer_that_does_not_read)
{
    static uint8_t large[1 << 20];
    for (int t = 0; t < 4; t++) {
        bool sender_binds = t % 2;
        void *context = zmq_ctx_new(), *other = zmq_ctx_new();
        char text[KIT_ENDPOINT_SIZE];
        void *from = kit_socket(context, ZMQ_PUSH), *to = kit_socket(other, ZMQ_PULL);
        kit_set(from, ZMQ_LINGER, 100);
        kit_set(to, ZMQ_RCVHWM, 1);
        kit_bind(sender_binds ? from : to, kit_transports[t / 2], text);
        KIT_OK(zmq_connect(sender_binds ? to : from, text));
        for (int i = 0; i < 60; i++)
            KIT_OK(zmq_send(from, large, sizeof large, 0));
        uint64_t start_ms = kit_now_ms();
        KIT_OK(zmq_close(from));
        KIT_OK(zmq_ctx_term(context));
        cr_assert_geq(kit_now_ms() - start_ms + 2, 100);
        KIT_OK(zmq_close(to));
        KIT_OK(zmq_ctx_term(other));
    }
}

Test(linger, disconnect_lingers_too)
{
    for (int t = 0; t < 2; t++) {
        void *context = zmq_ctx_new();
        char text[KIT_ENDPOINT_SIZE];
        void *from = with_queue(context, kit_transports[t], -1, text);
        KIT_OK(zmq_disconnect(from, text));
        void *to = kit_socket(context, ZMQ_PULL);
        kit_rebind(to, text);
        expect(to, 0, 100);
        cr_assert(!kit_readable(to, 20));
        KIT_OK(zmq_close(from));
        KIT_OK(zmq_close(to));
        KIT_OK(zmq_ctx_term(context));
        if (t == 1)
            unlink(text + 6);
    }
}

Test(linger, disconnect_without_linger_drops)
{
    for (int t = 0; t < 2; t++) {
        void *context = zmq_ctx_new();
        char text[KIT_ENDPOINT_SIZE];
        void *from = with_queue(context, kit_transports[t], 0, text);
        KIT_OK(zmq_disconnect(from, text));
        void *to = kit_socket(context, ZMQ_PULL);
        kit_rebind(to, text);
        cr_assert(!kit_readable(to, 50));
        KIT_OK(zmq_connect(from, text));
        queue(from, 500, 1);
        expect(to, 500, 1);
        KIT_OK(zmq_close(from));
        KIT_OK(zmq_close(to));
        KIT_OK(zmq_ctx_term(context));
        if (t == 1)
            unlink(text + 6);
    }
}

/* An unfinished message goes nowhere, whatever LINGER says. */
Test(linger, half_a_message_does_not_linger)
{
    struct kit_pair pair = kit_pair("tcp", ZMQ_PUSH, ZMQ_PULL);
    kit_set(pair.from, ZMQ_LINGER, -1);
    kit_send_text(pair.from, "whole", 0);
    kit_send_text(pair.from, "half", ZMQ_SNDMORE);
    KIT_OK(zmq_close(pair.from));
    kit_recv_text(pair.to, "whole");
    cr_assert(!kit_readable(pair.to, 20));
    KIT_OK(zmq_close(pair.to));
    KIT_OK(zmq_ctx_term(pair.context));
}
