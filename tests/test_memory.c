/* SPDX-License-Identifier: MIT */
#include "kit.h"

enum { MESSAGES = 1000000, WITHIN_MS = 15000 };

/* Sockets without limits, the receiver bound when all is queued. */
static struct kit_pair pair_make(const char *transport)
{
    struct kit_pair pair = {.context = zmq_ctx_new()};
    kit_free_endpoint(pair.context, transport, pair.text);
    pair.from = kit_socket(pair.context, ZMQ_PUSH);
    pair.to = kit_socket(pair.context, ZMQ_PULL);
    kit_set(pair.from, ZMQ_SNDHWM, 0);
    kit_set(pair.to, ZMQ_RCVHWM, 0);
    kit_set(pair.from, ZMQ_RECONNECT_IVL, 10);
    KIT_OK(zmq_connect(pair.from, pair.text));
    return pair;
}

static void fill(struct kit_pair *pair, int count, size_t size)
{
    static uint8_t data[1024];
    for (int i = 0; i < count; i++) {
        memcpy(data, &i, sizeof i);
        KIT_OK(zmq_send(pair->from, data, size, 0));
    }
}

static void drain(struct kit_pair *pair, int count, size_t size)
{
    static uint8_t data[1024];
    for (int i = 0, number; i < count; i++) {
        cr_assert_eq(zmq_recv(pair->to, data, sizeof data, 0), (int)size);
        memcpy(&number, data, sizeof number);
        cr_assert_eq(number, i);
    }
}

static void queue_and_drain(const char *transport, size_t size)
{
    struct kit_pair pair = pair_make(transport);
    long before_kib = kit_rss_kib();
    fill(&pair, MESSAGES, size);
    long full_kib = kit_rss_kib();
    cr_assert_gt(full_kib - before_kib, (long)(MESSAGES * size / 2048), "the queue is somewhere");
    kit_rebind(pair.to, pair.text);
    drain(&pair, MESSAGES, size);
    uint64_t until_ms = kit_now_ms() + WITHIN_MS;
    long limit_kib = before_kib + before_kib / 10 + 8 * 1024;
    /* To the end of it: what is still being given back would hide the next queue. */
    for (long last_kib = full_kib + 1, kib = full_kib; (kib > limit_kib || kib < last_kib) && kit_now_ms() < until_ms;) {
        zmq_poll(NULL, 0, 20);
        last_kib = kib;
        kib = kit_rss_kib();
    }
    cr_assert_leq(kit_rss_kib(), limit_kib, "%s: %ld KiB, then %ld, then %ld", transport, before_kib, full_kib, kit_rss_kib());
    fprintf(stderr, "%s, %zu bytes: %ld KiB, %ld queued, %ld afterwards\n", transport, size, before_kib, full_kib,
            kit_rss_kib());
    kit_pair_end(&pair);
}

Test(memory, a_million_messages_leave_nothing_behind, .timeout = 100)
{
    for (int t = 0; t < KIT_TRANSPORTS; t++)
        queue_and_drain(kit_transports[t], 16);
}

Test(memory, nor_do_larger_ones, .timeout = 100)
{
    queue_and_drain("tcp", 500);
    queue_and_drain("inproc", 500);
}

/* A message by reference is freed with its last user, queued or not. */
Test(memory, large_ones, .timeout = 100)
{
    struct kit_pair pair = kit_pair("tcp", ZMQ_PUSH, ZMQ_PULL);
    uint8_t *large = calloc(1, 1 << 20);
    long before_kib = 0;
    for (int i = 0; i < 400; i++) {
        KIT_OK(zmq_send(pair.from, large, 1 << 20, 0));
        cr_assert_eq(zmq_recv(pair.to, large, 1 << 20, 0), 1 << 20);
        if (i == 100)
            before_kib = kit_rss_kib();
    }
    cr_assert_leq(kit_rss_kib(), before_kib + before_kib / 10 + 8 * 1024);
    free(large);
    kit_pair_end(&pair);
}
