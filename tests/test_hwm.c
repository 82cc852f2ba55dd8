/* SPDX-License-Identifier: MIT */
#include "kit.h"

enum { PLENTY = 20000 }; /* taken as "no limit" */

/* Sends until the socket refuses; how many it took. */
static int fill(void *socket)
{
    int sent = 0;
    while (sent < PLENTY && zmq_send(socket, &sent, sizeof sent, ZMQ_DONTWAIT) >= 0)
        sent++;
    if (sent < PLENTY)
        cr_assert_eq(errno, EAGAIN);
    return sent;
}

static void read_some(void *socket, int count)
{
    int number;
    for (int i = 0; i < count; i++)
        cr_assert_eq(zmq_recv(socket, &number, sizeof number, 0), (int)sizeof number);
}

Test(hwm, without_a_peer_exactly_sndhwm_go_in)
{
    static const int limits[] = {1, 2, 3, 10, 1000, 4097};
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        void *context = zmq_ctx_new();
        char text[KIT_ENDPOINT_SIZE];
        kit_free_endpoint(context, kit_transports[t], text);
        for (int i = 0; i < 6; i++) {
            void *from = kit_socket(context, ZMQ_PUSH);
            kit_set(from, ZMQ_SNDHWM, limits[i]);
            KIT_OK(zmq_connect(from, text));
            cr_assert_eq(fill(from), limits[i], "%s", kit_transports[t]);
            cr_assert_eq(fill(from), 0);
            KIT_OK(zmq_close(from));
        }
        void *from = kit_socket(context, ZMQ_PUSH);
        kit_set(from, ZMQ_SNDHWM, 0);
        KIT_OK(zmq_connect(from, text));
        cr_assert_eq(fill(from), PLENTY);
        KIT_OK(zmq_close(from));
        KIT_OK(zmq_ctx_term(context));
    }
}

Test(hwm, two_peers_have_a_limit_each)
{
    void *context = zmq_ctx_new();
    void *from = kit_socket(context, ZMQ_PUSH);
    kit_set(from, ZMQ_SNDHWM, 10);
    KIT_OK(zmq_connect(from, "inproc://one"));
    KIT_OK(zmq_connect(from, "ipc://@zuring-hwm-nobody"));
    cr_assert_eq(fill(from), 20);
    KIT_OK(zmq_close(from));
    KIT_OK(zmq_ctx_term(context));
}

Test(hwm, counts_messages_not_parts)
{
    void *context = zmq_ctx_new();
    void *from = kit_socket(context, ZMQ_PUSH);
    kit_set(from, ZMQ_SNDHWM, 2);
    KIT_OK(zmq_connect(from, "inproc://parts"));
    for (int i = 0; i < 2; i++) {
        for (int part = 0; part < 100; part++)
            KIT_OK(zmq_send(from, "part", 4, ZMQ_DONTWAIT | ZMQ_SNDMORE));
        KIT_OK(zmq_send(from, "last", 4, ZMQ_DONTWAIT));
    }
    KIT_FAILS(EAGAIN, zmq_send(from, "part", 4, ZMQ_DONTWAIT | ZMQ_SNDMORE));
    KIT_OK(zmq_close(from));
    KIT_OK(zmq_ctx_term(context));
}

Test(hwm, inproc_adds_both_up)
{
    static const struct {
        int send, recv, sum;
    } rows[] = {{5, 7, 12}, {5, 0, PLENTY}, {0, 7, PLENTY}, {1, 1, 2}, {1000, 1000, 2000}};
    for (int i = 0; i < 2 * 5; i++) {
        bool connect_first = i % 2;
        void *context = zmq_ctx_new();
        void *from = kit_socket(context, ZMQ_PUSH), *to = kit_socket(context, ZMQ_PULL);
        kit_set(from, ZMQ_SNDHWM, rows[i / 2].send);
        kit_set(to, ZMQ_RCVHWM, rows[i / 2].recv);
        if (connect_first)
            KIT_OK(zmq_connect(from, "inproc://sum"));
        KIT_OK(zmq_bind(to, "inproc://sum"));
        if (!connect_first)
            KIT_OK(zmq_connect(from, "inproc://sum"));
        cr_assert_eq(fill(from), rows[i / 2].sum, "%d + %d", rows[i / 2].send, rows[i / 2].recv);
        KIT_OK(zmq_close(from));
        KIT_OK(zmq_close(to));
        KIT_OK(zmq_ctx_term(context));
    }
}

Test(hwm, a_late_bind_adds_its_share)
{
    void *context = zmq_ctx_new();
    void *from = kit_socket(context, ZMQ_PUSH), *to = kit_socket(context, ZMQ_PULL);
    kit_set(from, ZMQ_SNDHWM, 10);
    kit_set(to, ZMQ_RCVHWM, 3);
    KIT_OK(zmq_connect(from, "inproc://late"));
    cr_assert_eq(fill(from), 10);
    kit_set(from, ZMQ_SNDHWM, 11);
    KIT_OK(zmq_bind(to, "inproc://late"));
    cr_assert_eq(fill(from), 4);
    read_some(to, 14);
    KIT_OK(zmq_close(from));
    KIT_OK(zmq_close(to));
    KIT_OK(zmq_ctx_term(context));
}

Test(hwm, each_message_read_makes_room_for_one)
{
    struct kit_pair pair = kit_pair("inproc", ZMQ_PUSH, ZMQ_PULL);
    kit_set(pair.from, ZMQ_SNDHWM, 6);
    kit_set(pair.to, ZMQ_RCVHWM, 6);
    int held = fill(pair.from);
    for (int i = 1; i < 12; i++) {
        read_some(pair.to, i);
        cr_assert_eq(fill(pair.from), i, "never refuses while it holds fewer");
    }
    read_some(pair.to, held);
    kit_pair_end(&pair);
}

Test(hwm, changes_apply_at_once)
{
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        void *context = zmq_ctx_new();
        char text[KIT_ENDPOINT_SIZE];
        kit_free_endpoint(context, kit_transports[t], text);
        void *from = kit_socket(context, ZMQ_PUSH);
        kit_set(from, ZMQ_SNDHWM, 10);
        KIT_OK(zmq_connect(from, text));
        cr_assert_eq(fill(from), 10);
        kit_set(from, ZMQ_SNDHWM, 25);
        cr_assert_eq(fill(from), 15);
        kit_set(from, ZMQ_SNDHWM, 5);
        cr_assert_eq(fill(from), 0);
        kit_set(from, ZMQ_SNDHWM, 26);
        cr_assert_eq(fill(from), 1);
        kit_set(from, ZMQ_SNDHWM, 0);
        cr_assert_eq(fill(from), PLENTY);
        KIT_OK(zmq_close(from));
        KIT_OK(zmq_ctx_term(context));
    }
}

Test(hwm, changes_on_either_side_of_inproc)
{
    void *context = zmq_ctx_new();
    void *from = kit_socket(context, ZMQ_PUSH), *to = kit_socket(context, ZMQ_PULL);
    kit_set(from, ZMQ_SNDHWM, 10);
    kit_set(to, ZMQ_RCVHWM, 10);
    KIT_OK(zmq_bind(to, "inproc://live"));
    KIT_OK(zmq_connect(from, "inproc://live"));
    cr_assert_eq(fill(from), 20);
    cr_assert(kit_readable(to, 0)); /* the receiver has heard of its peer */
    kit_set(to, ZMQ_RCVHWM, 15);
    cr_assert_eq(fill(from), 5);
    kit_set(from, ZMQ_SNDHWM, 11);
    cr_assert_eq(fill(from), 1);
    kit_set(to, ZMQ_RCVHWM, 2);
    read_some(to, 13);
    cr_assert_eq(fill(from), 0, "13 of 13 are held");
    read_some(to, 1);
    cr_assert_eq(fill(from), 1);
    kit_set(to, ZMQ_RCVHWM, 0);
    cr_assert_eq(fill(from), PLENTY);
    KIT_OK(zmq_close(from));
    KIT_OK(zmq_close(to));
    KIT_OK(zmq_ctx_term(context));
}

/* As long as anything moves; false when there is no more room. */
static bool send_while_it_moves(void *socket, const void *data, size_t size)
{
    kit_set(socket, ZMQ_SNDTIMEO, 15);
    int error = EAGAIN;
    for (int i = 0; i < 20 && error == EAGAIN; i++) {
        kit_poke();
        error = KIT_ERRNO(zmq_send(socket, data, size, 0));
    }
    cr_assert(error == 0 || error == EAGAIN, "%s", zmq_strerror(error));
    kit_set(socket, ZMQ_SNDTIMEO, KIT_WAIT_MS);
    return error == 0;
}

/* A slow reader holds the writer back, end to end, and nothing is lost. */
Test(hwm, back_pressure_through_the_kernel)
{
    static uint8_t large[100000];
    for (int t = 0; t < 2; t++) {
        void *context = zmq_ctx_new();
        char text[KIT_ENDPOINT_SIZE];
        void *to = kit_socket(context, ZMQ_PULL), *from = kit_socket(context, ZMQ_PUSH);
        kit_set(from, ZMQ_SNDHWM, 5);
        kit_set(to, ZMQ_RCVHWM, 5);
        KIT_OK(zmq_connect(from, kit_bind(to, kit_transports[t], text)));
        int sent = 0, number;
        while (memcpy(large, &sent, sizeof sent), send_while_it_moves(from, large, sizeof large))
            cr_assert_lt(++sent, 1000, "no kernel buffers 100 MB");
        cr_assert_geq(sent, 10);
        for (int got = 0; got < sent + 100; got++) {
            if (got >= sent) { /* not before: the kernel and the pipes tell of room late, in large steps */
                memcpy(large, &got, sizeof got);
                KIT_OK(zmq_send(from, large, sizeof large, 0));
            }
            cr_assert_eq(zmq_recv(to, large, sizeof large, 0), (int)sizeof large);
            memcpy(&number, large, sizeof number);
            cr_assert_eq(number, got);
        }
        cr_assert(!kit_readable(to, 0));
        KIT_OK(zmq_close(from));
        KIT_OK(zmq_close(to));
        KIT_OK(zmq_ctx_term(context));
    }
}

static int send_many(void *socket)
{
    for (int i = 0; i < 50000; i++)
        if (zmq_send(socket, &i, sizeof i, 0) < 0)
            return -1;
    return 0;
}

/* Both ends sleep and wake each other all the time; a lost wake-up hangs until the timeout. */
Test(hwm, tiny_limits_with_blocking_calls)
{
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        void *context = zmq_ctx_new();
        char text[KIT_ENDPOINT_SIZE];
        void *to = kit_socket(context, ZMQ_PULL), *from = kit_socket(context, ZMQ_PUSH);
        kit_set(from, ZMQ_SNDHWM, 1);
        kit_set(to, ZMQ_RCVHWM, 1);
        KIT_OK(zmq_connect(from, kit_bind(to, kit_transports[t], text)));
        struct kit_thread thread = {.call = send_many, .arg = from};
        cr_assert_eq(pthread_create(&thread.id, NULL, kit_thread_main, &thread), 0);
        for (int i = 0, number; i < 50000; i++) {
            cr_assert_eq(zmq_recv(to, &number, sizeof number, 0), (int)sizeof number, "%s", zmq_strerror(errno));
            cr_assert_eq(number, i);
        }
        cr_assert_eq(kit_thread_join(&thread), 0);
        KIT_OK(zmq_close(from));
        KIT_OK(zmq_close(to));
        KIT_OK(zmq_ctx_term(context));
    }
}
