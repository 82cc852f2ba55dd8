/* SPDX-License-Identifier: MIT */
/* Linked so that every allocation of zuring's own passes by here: see tests/meson.build. */
#include "kit.h"

#include <sys/mman.h>

/* In about 20,000 messages: timing may still make a pool deeper by a chunk or two. */
enum { CHANCE = 4 };

static _Atomic unsigned allocations;

void *__real_mallocx(size_t size, int flags);
void *__real_rallocx(void *memory, size_t size, int flags);
void *__real_malloc(size_t size);
void *__real_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_mallocx(size_t size, int flags);
void *__wrap_rallocx(void *memory, size_t size, int flags);
void *__wrap_malloc(size_t size);
void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);

void *__wrap_mallocx(size_t size, int flags)
{
    allocations++;
    return __real_mallocx(size, flags);
}

void *__wrap_rallocx(void *memory, size_t size, int flags)
{
    allocations++;
    return __real_rallocx(memory, size, flags);
}

void *__wrap_malloc(size_t size)
{
    allocations++;
    return __real_malloc(size);
}

void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    allocations++;
    return __real_mmap(at, size, protection, flags, fd, offset);
}

static void send_burst(void *socket, int count, size_t size)
{
    static const uint8_t data[512];
    for (int i = 0; i < count; i++)
        KIT_OK(zmq_send(socket, data, size, 0));
}

static void recv_burst(void *socket, int count, size_t size, bool as_message)
{
    uint8_t data[512];
    zmq_msg_t msg;
    for (int i = 0; i < count; i++) {
        if (!as_message) {
            cr_assert_eq(zmq_recv(socket, data, sizeof data, 0), (int)size);
            continue;
        }
        zmq_msg_init(&msg);
        cr_assert_eq(zmq_msg_recv(&msg, socket, 0), (int)size);
        zmq_msg_close(&msg);
    }
}

Test(allocations, the_hook_works)
{
    unsigned before = allocations;
    zmq_msg_t msg;
    zmq_msg_init_size(&msg, 1000);
    cr_assert_gt(allocations, before);
    zmq_msg_close(&msg);
}

Test(allocations, none_in_steady_state)
{
    static const size_t sizes[] = {0, 16, 33, 200, 512};
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        struct kit_pair pair = kit_pair(kit_transports[t], ZMQ_PUSH, ZMQ_PULL);
        for (int i = 0; i < 5; i++) {
            for (int n = 0; n < 20; n++) { /* longer bursts than those that count */
                send_burst(pair.from, 900, sizes[i]);
                recv_burst(pair.to, 900, sizes[i], false);
            }
            unsigned before = allocations;
            for (int n = 0; n < 200; n++) {
                send_burst(pair.from, 1 + n, sizes[i]);
                recv_burst(pair.to, 1 + n, sizes[i], false);
            }
            cr_assert_leq(allocations - before, CHANCE, "%u: %s, %zu bytes", allocations - before, kit_transports[t],
                          sizes[i]);
        }
        kit_pair_end(&pair);
    }
}

/* A zmq_msg_t of up to 33 bytes has its body inside. */
Test(allocations, none_for_small_messages)
{
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        struct kit_pair pair = kit_pair(kit_transports[t], ZMQ_PUSH, ZMQ_PULL);
        unsigned before = 0;
        for (int n = 0; n < 200; n++) {
            if (n == 20)
                before = allocations;
            send_burst(pair.from, n < 20 ? 900 : 100, 33);
            recv_burst(pair.to, n < 20 ? 900 : 100, 33, true);
        }
        cr_assert_leq(allocations - before, CHANCE, "%s", kit_transports[t]);
        kit_pair_end(&pair);
    }
}

/* Requests of `from`, sent back by `to` with all the frames that they came in. */
static void dialogue(void *from, void *to, bool has_bottom, int rounds)
{
    uint8_t data[512];
    for (int i = 0; i < rounds; i++) {
        if (has_bottom)
            KIT_OK(zmq_send(from, "", 0, ZMQ_SNDMORE));
        KIT_OK(zmq_send(from, data, (size_t)(i % 300), 0));
        for (int more = 1; more;) {
            zmq_msg_t msg;
            zmq_msg_init(&msg);
            KIT_OK(zmq_msg_recv(&msg, to, 0));
            more = zmq_msg_more(&msg);
            if (kit_get(to, ZMQ_TYPE) == ZMQ_ROUTER)
                KIT_OK(zmq_msg_send(&msg, to, more ? ZMQ_SNDMORE : 0));
            zmq_msg_close(&msg);
        }
        if (kit_get(to, ZMQ_TYPE) == ZMQ_REP)
            KIT_OK(zmq_send(to, data, (size_t)(i % 300), 0));
        if (has_bottom)
            cr_assert_eq(zmq_recv(from, data, sizeof data, 0), 0);
        cr_assert_eq(zmq_recv(from, data, sizeof data, 0), i % 300);
    }
}

Test(allocations, none_in_a_dialogue)
{
    static const int types[][2] = {{ZMQ_REQ, ZMQ_REP}, {ZMQ_DEALER, ZMQ_ROUTER}, {ZMQ_REQ, ZMQ_ROUTER}, {ZMQ_DEALER, ZMQ_REP}};
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        for (int i = 0; i < 4; i++) {
            struct kit_pair pair = kit_pair(kit_transports[t], types[i][0], types[i][1]);
            bool has_bottom = types[i][0] == ZMQ_DEALER && types[i][1] == ZMQ_REP;
            dialogue(pair.from, pair.to, has_bottom, 500);
            unsigned before = allocations;
            dialogue(pair.from, pair.to, has_bottom, 2000);
            cr_assert_leq(allocations - before, CHANCE, "%s, pair %d: %u", kit_transports[t], i, allocations - before);
            kit_pair_end(&pair);
        }
    }
}

/* A chunk or two for each, as above: their pipes fill at the same time. Each gets 2500 messages or 550 large ones. */
enum { SUBSCRIBERS = 8, FAN_CHANCE = 2 * SUBSCRIBERS, FAN_SIZE_MAX = 30000 };

/* To all, who each receive it. */
static void fan(void *from, void *const *to, int count, size_t size)
{
    static uint8_t data[FAN_SIZE_MAX];
    for (int i = 0; i < count; i++)
        KIT_OK(zmq_send(from, data, size, 0));
    for (int i = 0; i < SUBSCRIBERS; i++) {
        for (int n = 0; n < count; n++)
            cr_assert_eq(zmq_recv(to[i], data, sizeof data, 0), (int)size);
    }
}

/* An XPUB rather than a PUB: it says when it has been subscribed to. */
Test(allocations, none_in_a_fan)
{
    static const struct {
        size_t size;
        int burst; /* messages at a time: within the limits of all pools */
    } rows[] = {{0, 50}, {33, 50}, {512, 50}, {FAN_SIZE_MAX, 10}}; /* the last goes by reference */
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        void *context = zmq_ctx_new(), *from = kit_socket(context, ZMQ_XPUB), *to[SUBSCRIBERS];
        char text[KIT_ENDPOINT_SIZE], subscription[1];
        kit_set(from, ZMQ_XPUB_VERBOSE, 1);
        kit_bind(from, kit_transports[t], text);
        for (int i = 0; i < SUBSCRIBERS; i++) {
            to[i] = kit_socket(context, ZMQ_SUB);
            KIT_OK(zmq_setsockopt(to[i], ZMQ_SUBSCRIBE, "", 0));
            KIT_OK(zmq_connect(to[i], text));
        }
        for (int i = 0; i < SUBSCRIBERS; i++)
            cr_assert_eq(zmq_recv(from, subscription, sizeof subscription, 0), 1);
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            for (int n = 0; n < 200; n++) /* some longer bursts than those that count */
                fan(from, to, n % (2 * rows[i].burst), rows[i].size);
            unsigned before = allocations;
            for (int n = 0; n < 100; n++)
                fan(from, to, 1 + n % rows[i].burst, rows[i].size);
            cr_assert_leq(allocations - before, FAN_CHANCE, "%u: %s, %zu bytes", allocations - before, kit_transports[t],
                          rows[i].size);
        }
        for (int i = 0; i < SUBSCRIBERS; i++)
            KIT_OK(zmq_close(to[i]));
        KIT_OK(zmq_close(from));
        KIT_OK(zmq_ctx_term(context));
    }
}
