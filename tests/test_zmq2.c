/* SPDX-License-Identifier: MIT */
/* The calls of ZeroMQ 2.x through zuring/zmq2.h, and today's beside them. */
#include "zuring/zmq2.h"

#include "kit.h"

struct old_pair {
    void *context;
    void *from;
    void *to;
};

static struct old_pair old_pair(int from, int to)
{
    struct old_pair pair = {.context = zmq_init(1)};
    pair.from = zmq_socket(pair.context, from);
    pair.to = zmq_socket(pair.context, to);
    KIT_OK(zmq_bind(pair.to, "inproc://old"));
    KIT_OK(zmq_connect(pair.from, "inproc://old"));
    return pair;
}

static void old_pair_end(struct old_pair *pair)
{
    KIT_OK(zmq_close(pair->from));
    KIT_OK(zmq_close(pair->to));
    KIT_OK(zmq_term(pair->context));
}

static void old_send(void *socket, const char *text, int flags)
{
    zmq_msg_t msg;
    zmq_msg_init_size(&msg, strlen(text));
    memcpy(zmq_msg_data(&msg), text, strlen(text));
    cr_assert_eq(zmq_send(socket, &msg, flags), 0);
    KIT_OK(zmq_msg_close(&msg));
}

static void old_recv(void *socket, const char *text, int64_t more)
{
    zmq_msg_t msg;
    int64_t got_more = -1;
    size_t size = sizeof got_more;
    zmq_msg_init(&msg);
    cr_assert_eq(zmq_recv(socket, &msg, 0), 0);
    cr_assert_eq(zmq_msg_size(&msg), strlen(text));
    cr_assert_arr_eq(zmq_msg_data(&msg), text, strlen(text));
    KIT_OK(zmq_msg_close(&msg));
    KIT_OK(zmq_getsockopt(socket, ZMQ_RCVMORE, &got_more, &size));
    cr_assert_eq(got_more, more);
}

Test(zmq2, old_calls)
{
    struct old_pair pair = old_pair(ZMQ_XREQ, ZMQ_XREP);
    zmq_msg_t msg;
    old_send(pair.from, "many", ZMQ_SNDMORE);
    old_send(pair.from, "octets", 0);
    zmq_msg_init(&msg);
    cr_assert_eq(zmq_recv(pair.to, &msg, 0), 0); /* the name */
    old_recv(pair.to, "many", 1);
    old_recv(pair.to, "octets", 0);
    cr_assert_eq(zmq_send(pair.to, &msg, ZMQ_SNDMORE), 0);
    old_send(pair.to, "back", 0);
    old_recv(pair.from, "back", 0);
    KIT_FAILS(EAGAIN, zmq_recv(pair.from, &msg, ZMQ_NOBLOCK));
    zmq_msg_close(&msg);
    KIT_FAILS(EFAULT, zmq_send(pair.from, &msg, 0));
    old_pair_end(&pair);
}

Test(zmq2, old_and_new_side_by_side)
{
    struct old_pair pair = old_pair(ZMQ_DOWNSTREAM, ZMQ_UPSTREAM);
    char text[8];
    cr_assert_eq(zmq_send(pair.from, "new", 3, ZMQ_SNDMORE), 3);
    old_send(pair.from, "old", 0);
    old_recv(pair.to, "new", 1);
    cr_assert_eq(zmq_recv(pair.to, text, sizeof text, 0), 3);
    cr_assert_arr_eq(text, "old", 3);
    cr_assert_eq(kit_get(pair.to, ZMQ_RCVMORE), 0);
    KIT_FAILS(EAGAIN, zmq_recv(pair.to, text, sizeof text, ZMQ_DONTWAIT));
    KIT_FAILS(ENOTSUP, (zmq_send)(pair.to, "x", 1, 0)); /* the function itself */
    old_pair_end(&pair);
}

static int set64(void *socket, int option, int64_t value)
{
    return zmq_setsockopt(socket, option, &value, sizeof value);
}

static int64_t get64(void *socket, int option)
{
    int64_t value = -1;
    size_t size = sizeof value;
    KIT_OK(zmq_getsockopt(socket, option, &value, &size));
    cr_assert_eq(size, sizeof value);
    return value;
}

Test(zmq2, hwm_is_both)
{
    struct old_pair pair = old_pair(ZMQ_PAIR, ZMQ_PAIR);
    uint64_t hwm = 7;
    int narrow = 9;
    KIT_OK(zmq_setsockopt(pair.from, ZMQ_HWM, &hwm, sizeof hwm));
    cr_assert_eq(kit_get(pair.from, ZMQ_SNDHWM), 7);
    cr_assert_eq(kit_get(pair.from, ZMQ_RCVHWM), 7);
    cr_assert_eq(get64(pair.from, ZMQ_HWM), 7);
    KIT_OK(zmq_setsockopt(pair.from, ZMQ_HWM, &narrow, sizeof narrow));
    cr_assert_eq(kit_get(pair.from, ZMQ_RCVHWM), 9);
    cr_assert_eq(kit_get(pair.from, ZMQ_HWM), 9);
    KIT_FAILS(EINVAL, set64(pair.from, ZMQ_HWM, (int64_t)1 << 40));
    KIT_FAILS(EINVAL, set64(pair.from, ZMQ_HWM, -1));
    KIT_FAILS(EINVAL, zmq_setsockopt(pair.from, ZMQ_HWM, &hwm, 2));
    KIT_FAILS(EINVAL, zmq_setsockopt(pair.from, ZMQ_HWM, NULL, sizeof hwm));
    KIT_OK(set64(pair.from, ZMQ_HWM, 0));
    cr_assert_eq(kit_get(pair.from, ZMQ_SNDHWM), 0);
    old_pair_end(&pair);
}

/* Row by row: the option of 2.x, a value in its unit, today's option and what that says then. */
Test(zmq2, options_that_were_wider)
{
    static const struct {
        int old, value, today, said;
    } rows[] = {
        {ZMQ_SNDBUF, 65536, ZMQ_SNDBUF, 65536},
        {ZMQ_SNDBUF, 0, ZMQ_SNDBUF, -1},
        {ZMQ_RCVBUF, 65536, ZMQ_RCVBUF, 65536},
        {ZMQ_RCVBUF, 0, ZMQ_RCVBUF, -1},
        {ZMQ_RATE, 500, ZMQ_RATE, 500},
        {ZMQ_RECOVERY_IVL, 3, ZMQ_RECOVERY_IVL, 3000},
        {ZMQ_RECOVERY_IVL_MSEC, 250, ZMQ_RECOVERY_IVL, 250},
    };
    struct old_pair pair = old_pair(ZMQ_PAIR, ZMQ_PAIR);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        KIT_OK(set64(pair.from, rows[i].old, rows[i].value));
        cr_assert_eq(kit_get(pair.from, rows[i].today), rows[i].said, "row %zu", i);
        cr_assert_eq(get64(pair.from, rows[i].old), rows[i].value, "row %zu", i);
    }
    KIT_OK(set64(pair.from, ZMQ_AFFINITY, 1)); /* 64 bits wide then as now */
    cr_assert_eq(get64(pair.from, ZMQ_AFFINITY), 1);
    kit_set(pair.from, ZMQ_SNDBUF, -1);
    cr_assert_eq(kit_get(pair.from, ZMQ_SNDBUF), -1); /* today's own way */
    old_pair_end(&pair);
}

Test(zmq2, options_that_are_gone)
{
    struct old_pair pair = old_pair(ZMQ_PAIR, ZMQ_PAIR);
    KIT_OK(set64(pair.from, ZMQ_SWAP, 0));
    KIT_FAILS(EINVAL, set64(pair.from, ZMQ_SWAP, 1 << 20));
    cr_assert_eq(get64(pair.from, ZMQ_SWAP), 0);
    KIT_OK(set64(pair.from, ZMQ_MCAST_LOOP, 1));
    KIT_FAILS(EINVAL, set64(pair.from, ZMQ_MCAST_LOOP, 0));
    cr_assert_eq(get64(pair.from, ZMQ_MCAST_LOOP), 1);
    old_pair_end(&pair);
}

Test(zmq2, poll_counts_microseconds)
{
    struct old_pair pair = old_pair(ZMQ_PAIR, ZMQ_PAIR);
    zmq_pollitem_t item = {.socket = pair.to, .events = ZMQ_POLLIN};
    uint64_t start_ms = kit_now_ms();
    cr_assert_eq(zmq_poll(&item, 1, 20000), 0);
    cr_assert_geq(kit_now_ms() - start_ms, 19u);
    cr_assert_lt(kit_now_ms() - start_ms, 15000u);
    start_ms = kit_now_ms();
    for (int n = 0; n < 10; n++)
        cr_assert_eq(zmq_poll(&item, 1, 1), 0);
    cr_assert_geq(kit_now_ms() - start_ms, 9u, "a part of a millisecond is one");
    old_send(pair.from, "x", 0);
    cr_assert_eq(zmq_poll(&item, 1, 1000 * ZMQ_POLL_MSEC), 1);
    cr_assert_eq(zmq_poll(&item, 1, -1), 1);
    cr_assert_eq(zmq_poll(&item, 1, 0), 1);
    old_pair_end(&pair);
}

struct device {
    int type;
    void *frontend;
    void *backend;
};

static void *device_main(void *arg)
{
    struct device *device = arg;
    cr_assert_eq(zmq_device(device->type, device->frontend, device->backend), -1);
    cr_assert_eq(zmq_errno(), ETERM);
    zmq_close(device->frontend);
    zmq_close(device->backend);
    return NULL;
}

Test(zmq2, devices)
{
    static const struct {
        int type, in, frontend, backend, out;
    } rows[] = {
        {ZMQ_STREAMER, ZMQ_PUSH, ZMQ_PULL, ZMQ_PUSH, ZMQ_PULL},
        {ZMQ_FORWARDER, ZMQ_PUB, ZMQ_SUB, ZMQ_PUB, ZMQ_SUB},
        {ZMQ_QUEUE, ZMQ_REQ, ZMQ_XREP, ZMQ_XREQ, ZMQ_REP},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        void *context = zmq_init(1);
        struct device device = {rows[i].type, zmq_socket(context, rows[i].frontend),
                                zmq_socket(context, rows[i].backend)};
        void *in = zmq_socket(context, rows[i].in), *out = zmq_socket(context, rows[i].out);
        pthread_t thread;
        KIT_OK(zmq_bind(device.frontend, "inproc://front"));
        KIT_OK(zmq_bind(device.backend, "inproc://back"));
        if (rows[i].out == ZMQ_SUB) {
            KIT_OK(zmq_setsockopt(device.frontend, ZMQ_SUBSCRIBE, "", 0));
            KIT_OK(zmq_setsockopt(out, ZMQ_SUBSCRIBE, "", 0));
        }
        KIT_OK(zmq_connect(in, "inproc://front"));
        KIT_OK(zmq_connect(out, "inproc://back"));
        cr_assert_eq(pthread_create(&thread, NULL, device_main, &device), 0);
        zmq_pollitem_t item = {.socket = out, .events = ZMQ_POLLIN};
        do /* a PUB has no subscriber before the device has looked at its sockets */
            old_send(in, "through", 0);
        while (rows[i].in == ZMQ_PUB && zmq_poll(&item, 1, ZMQ_POLL_MSEC) == 0);
        old_recv(out, "through", 0);
        KIT_OK(zmq_close(in));
        KIT_OK(zmq_close(out));
        KIT_OK(zmq_term(context));
        pthread_join(thread, NULL);
    }
}
