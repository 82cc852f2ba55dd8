/* SPDX-License-Identifier: MIT */
#include "kit.h"

#include <signal.h>

enum { MIB = 1 << 20 };

/* Around every limit: inline, short heads, copies, chunks of each rung, receive buffers, memory of its own. */
static const size_t sizes[] = {0,     1,     2,     33,     34,     254,    255,     256,     257,     511,     4087,
                               4095,  4096,  4097,  16384,  32767,  32768,  65535,   65536,   65537,   81920,   100000,
                               MIB - 1, MIB, MIB + 1, 2 * MIB + 5, 3 * MIB, 8 * MIB + 3, 64 * MIB};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

Test(send_recv, nothing_to_do_is_eagain)
{
    struct kit_pair pair = kit_pair("tcp", ZMQ_PUSH, ZMQ_PULL);
    char byte;
    zmq_msg_t msg;
    zmq_msg_init(&msg);
    KIT_FAILS(EAGAIN, zmq_recv(pair.to, &byte, 1, ZMQ_DONTWAIT));
    KIT_FAILS(EAGAIN, zmq_msg_recv(&msg, pair.to, ZMQ_DONTWAIT));
    void *alone = kit_socket(pair.context, ZMQ_PUSH);
    KIT_FAILS(EAGAIN, zmq_send(alone, "x", 1, ZMQ_DONTWAIT));
    KIT_OK(zmq_close(alone));
    kit_pair_end(&pair);
}

Test(send_recv, timeouts)
{
    struct kit_pair pair = kit_pair("tcp", ZMQ_PUSH, ZMQ_PULL);
    void *alone = kit_socket(pair.context, ZMQ_PUSH);
    char byte;
    static const int timeouts_ms[] = {0, 1, 30};
    for (int i = 0; i < 3; i++) {
        kit_set(pair.to, ZMQ_RCVTIMEO, timeouts_ms[i]);
        kit_set(alone, ZMQ_SNDTIMEO, timeouts_ms[i]);
        uint64_t start_ms = kit_now_ms();
        KIT_FAILS(EAGAIN, zmq_recv(pair.to, &byte, 1, 0));
        cr_assert_geq(kit_now_ms() - start_ms + 1, (uint64_t)timeouts_ms[i]);
        start_ms = kit_now_ms();
        KIT_FAILS(EAGAIN, zmq_send(alone, "x", 1, 0));
        cr_assert_geq(kit_now_ms() - start_ms + 1, (uint64_t)timeouts_ms[i]);
    }
    kit_set(pair.to, ZMQ_RCVTIMEO, KIT_WAIT_MS);
    kit_send_text(pair.from, "afterwards", 0);
    kit_recv_text(pair.to, "afterwards");
    KIT_OK(zmq_close(alone));
    kit_pair_end(&pair);
}

Test(send_recv, every_size_both_ways, .timeout = 120)
{
    enum { COUNT = SIZES - SANITIZED }; /* with the largest a sanitizer is as long as with all others */
    uint8_t *data = malloc(sizes[COUNT - 1]);
    kit_fill(data, sizes[COUNT - 1], 1);
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        struct kit_pair pair = kit_pair(kit_transports[t], ZMQ_PAIR, ZMQ_PAIR);
        for (int i = 0; i < 2 * COUNT; i++) {
            void *from = i % 2 ? pair.to : pair.from, *to = i % 2 ? pair.from : pair.to;
            size_t size = sizes[i / 2];
            cr_assert_eq(zmq_send(from, data, size, 0), (int)size);
            zmq_msg_t msg;
            zmq_msg_init(&msg);
            cr_assert_eq(zmq_msg_recv(&msg, to, 0), (int)size, "%s %zu", kit_transports[t], size);
            cr_assert_eq(memcmp(zmq_msg_data(&msg), data, size), 0, "%s %zu", kit_transports[t], size);
            cr_assert_eq(zmq_msg_more(&msg), 0);
            zmq_msg_close(&msg);
        }
        kit_pair_end(&pair);
    }
    free(data);
}

/* All sizes up to 1 MiB behind one another, without waiting for any, read with a receiver that starts late. */
Test(send_recv, sizes_mixed_in_one_stream, .timeout = 120)
{
    enum { MESSAGES = SANITIZED ? 100 : 400 };
    uint8_t *got = malloc(2 * MIB), *data = malloc(2 * MIB);
    uint32_t seed = kit_seed();
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        struct kit_pair pair = kit_pair(kit_transports[t], ZMQ_PUSH, ZMQ_PULL);
        uint32_t sender = seed, receiver = seed;
        for (uint32_t n = 0; n < MESSAGES; n++) {
            size_t size = sizes[kit_random(&sender) % (SIZES - 5)];
            kit_fill(data, size, n);
            KIT_OK(zmq_send(pair.from, data, size, 0));
        }
        for (uint32_t n = 0; n < MESSAGES; n++) {
            size_t size = sizes[kit_random(&receiver) % (SIZES - 5)];
            cr_assert_eq(zmq_recv(pair.to, got, 2 * MIB, 0), (int)size, "%s, message %u", kit_transports[t], n);
            cr_assert(kit_is_filled(got, size, n), "%s, message %u", kit_transports[t], n);
        }
        kit_pair_end(&pair);
    }
    free(got);
    free(data);
}

Test(send_recv, many_parts)
{
    static const size_t parts[] = {5, 0, 300, 70000, 0, 33, 4097, 1};
    enum { PARTS = sizeof parts / sizeof parts[0] };
    uint8_t *data = malloc(70000);
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        struct kit_pair pair = kit_pair(kit_transports[t], ZMQ_PUSH, ZMQ_PULL);
        for (int n = 0; n < 20; n++) {
            for (uint32_t i = 0; i < PARTS; i++) {
                kit_fill(data, parts[i], i);
                KIT_OK(zmq_send(pair.from, data, parts[i], i + 1 < PARTS ? ZMQ_SNDMORE : 0));
                if (n == 0 && i + 1 < PARTS)
                    cr_assert(!kit_readable(pair.to, 0), "half a message");
            }
        }
        for (int n = 0; n < 20 * PARTS; n++) {
            zmq_msg_t msg;
            zmq_msg_init(&msg);
            uint32_t i = (uint32_t)n % PARTS;
            cr_assert_eq(zmq_msg_recv(&msg, pair.to, 0), (int)parts[i]);
            cr_assert(kit_is_filled(zmq_msg_data(&msg), parts[i], i));
            cr_assert_eq(zmq_msg_more(&msg), i + 1 < PARTS);
            cr_assert_eq(kit_get(pair.to, ZMQ_RCVMORE), i + 1 < PARTS);
            zmq_msg_close(&msg);
        }
        kit_pair_end(&pair);
    }
    free(data);
}

/* More parts than any chunk holds, and more bytes. */
Test(send_recv, a_thousand_parts)
{
    uint8_t got[1000];
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        struct kit_pair pair = kit_pair(kit_transports[t], ZMQ_PUSH, ZMQ_PULL);
        for (uint32_t i = 0; i < 1000; i++) {
            kit_fill(got, i, i);
            KIT_OK(zmq_send(pair.from, got, i, i < 999 ? ZMQ_SNDMORE : 0));
        }
        for (uint32_t i = 0; i < 1000; i++) {
            cr_assert_eq(zmq_recv(pair.to, got, sizeof got, 0), (int)i);
            cr_assert(kit_is_filled(got, i, i));
            cr_assert_eq(kit_get(pair.to, ZMQ_RCVMORE), i < 999);
        }
        kit_pair_end(&pair);
    }
}

Test(send_recv, truncates_and_says_how_much_there_was)
{
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        struct kit_pair pair = kit_pair(kit_transports[t], ZMQ_PUSH, ZMQ_PULL);
        uint8_t data[10000], got[5] = {0};
        kit_fill(data, sizeof data, 1);
        KIT_OK(zmq_send(pair.from, data, sizeof data, 0));
        KIT_OK(zmq_send(pair.from, data, 6, 0));
        KIT_OK(zmq_send(pair.from, data, 7, 0));
        cr_assert_eq(zmq_recv(pair.to, got, 4, 0), (int)sizeof data);
        cr_assert(kit_is_filled(got, 4, 1) && got[4] == 0);
        cr_assert_eq(zmq_recv(pair.to, NULL, 0, 0), 6);
        cr_assert_eq(zmq_recv(pair.to, got, 5, 0), 7);
        kit_pair_end(&pair);
    }
}

Test(send_recv, empty_messages)
{
    struct kit_pair pair = kit_pair("tcp", ZMQ_PUSH, ZMQ_PULL);
    zmq_msg_t msg;
    zmq_msg_init(&msg);
    cr_assert_eq(zmq_send(pair.from, NULL, 0, ZMQ_SNDMORE), 0);
    cr_assert_eq(zmq_send_const(pair.from, NULL, 0, ZMQ_SNDMORE), 0);
    cr_assert_eq(zmq_msg_send(&msg, pair.from, 0), 0);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(zmq_recv(pair.to, NULL, 0, 0), 0);
        cr_assert_eq(kit_get(pair.to, ZMQ_RCVMORE), i < 2);
    }
    kit_pair_end(&pair);
}

Test(send_recv, constants)
{
    static uint8_t constant[100000];
    kit_fill(constant, sizeof constant, 4);
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        struct kit_pair pair = kit_pair(kit_transports[t], ZMQ_PUSH, ZMQ_PULL);
        static const size_t lengths[] = {3, 5000, sizeof constant};
        for (int i = 0; i < 3; i++) {
            cr_assert_eq(zmq_send_const(pair.from, constant, lengths[i], 0), (int)lengths[i]);
            zmq_msg_t msg;
            zmq_msg_init(&msg);
            cr_assert_eq(zmq_msg_recv(&msg, pair.to, 0), (int)lengths[i]);
            cr_assert(kit_is_filled(zmq_msg_data(&msg), lengths[i], 4));
            zmq_msg_close(&msg);
        }
        kit_pair_end(&pair);
    }
}

Test(send_recv, iov)
{
    struct kit_pair pair = kit_pair("tcp", ZMQ_PUSH, ZMQ_PULL);
    struct iovec out[3] = {{"one", 3}, {NULL, 0}, {"three", 5}}, in[5];
    size_t count = 5;
    KIT_FAILS(EINVAL, zmq_sendiov(pair.from, NULL, 3, 0));
    KIT_FAILS(EINVAL, zmq_sendiov(pair.from, out, 0, 0));
    cr_assert_eq(zmq_sendiov(pair.from, out, 3, ZMQ_SNDMORE), 5);
    cr_assert_eq(zmq_recviov(pair.to, in, &count, 0), 3);
    cr_assert_eq(count, 3);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(in[i].iov_len, out[i].iov_len);
        cr_assert(in[i].iov_len == 0 || memcmp(in[i].iov_base, out[i].iov_base, in[i].iov_len) == 0);
        free(in[i].iov_base);
    }
    count = 0;
    KIT_FAILS(EINVAL, zmq_recviov(pair.to, in, &count, 0));
    KIT_FAILS(EINVAL, zmq_recviov(pair.to, in, NULL, 0));
    count = 2;
    KIT_FAILS(EINVAL, zmq_recviov(pair.to, NULL, &count, 0));
    KIT_FAILS(EAGAIN, zmq_recviov(pair.to, in, &count, ZMQ_DONTWAIT));
    cr_assert_eq(count, 0);
    kit_pair_end(&pair);
}

static void ignore(int number)
{
    (void)number;
}

static int call_recv(void *socket)
{
    char byte;
    return zmq_recv(socket, &byte, 1, 0);
}

static int call_msg_recv(void *socket)
{
    zmq_msg_t msg;
    zmq_msg_init(&msg);
    return zmq_msg_recv(&msg, socket, 0);
}

static int call_send(void *socket)
{
    return zmq_send(socket, "x", 1, 0);
}

static int call_poll(void *socket)
{
    zmq_pollitem_t items[2] = {{.socket = socket, .events = ZMQ_POLLIN}, {.fd = 0, .events = ZMQ_POLLERR}};
    return zmq_poll(items, 1, KIT_WAIT_MS);
}

static int call_poll_two(void *socket)
{
    zmq_pollitem_t items[2] = {{.socket = socket, .events = ZMQ_POLLIN}, {.fd = 0, .events = ZMQ_POLLPRI}};
    return zmq_poll(items, 2, KIT_WAIT_MS);
}

Test(send_recv, a_signal_ends_the_wait)
{
    static const struct {
        int type;
        int (*call)(void *);
    } rows[] = {{ZMQ_PULL, call_recv}, {ZMQ_PULL, call_msg_recv}, {ZMQ_PUSH, call_send}, {ZMQ_PULL, call_poll},
                {ZMQ_PULL, call_poll_two}};
    void *context = zmq_ctx_new();
    for (int i = 0; i < 2 * 5; i++) {
        struct sigaction action = {.sa_handler = ignore, .sa_flags = i % 2 ? SA_RESTART : 0};
        sigaction(SIGUSR1, &action, NULL);
        void *socket = kit_socket(context, rows[i / 2].type);
        kit_set(socket, ZMQ_RCVTIMEO, -1);
        kit_set(socket, ZMQ_SNDTIMEO, -1);
        struct kit_thread thread;
        kit_thread_start(&thread, rows[i / 2].call, socket);
        cr_assert_eq(kit_thread_interrupt(&thread), EINTR, "row %d%s", i / 2, i % 2 ? ", restarting" : "");
        KIT_OK(zmq_close(socket));
    }
    KIT_OK(zmq_ctx_term(context));
}

/* Whose peer goes away in mid-message: what was begun reaches nobody, and the next message is whole. */
Test(send_recv, a_begun_message_goes_with_its_peer)
{
    struct kit_pair pair = kit_pair("inproc", ZMQ_PUSH, ZMQ_PULL);
    void *other = kit_socket(pair.context, ZMQ_PULL);
    char text[KIT_ENDPOINT_SIZE];
    kit_bind(other, "inproc", text);
    kit_send_text(pair.from, "begun", ZMQ_SNDMORE);
    KIT_OK(zmq_connect(pair.from, text));
    KIT_OK(zmq_disconnect(pair.from, pair.text));
    zmq_send(pair.from, "ended", 5, 0);
    kit_send_text(pair.from, "next", 0);
    kit_recv_text(other, "next");
    cr_assert_eq(kit_get(other, ZMQ_RCVMORE), 0);
    cr_assert(!kit_readable(pair.to, 0));
    KIT_OK(zmq_close(other));
    kit_pair_end(&pair);
}
