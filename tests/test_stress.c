/* SPDX-License-Identifier: MIT */
#include "kit.h"

enum { THREADS = 6, SOCKETS = 6, RUN_MS = 2000, SIZE_MAX_SENT = 20000 };

/* Few names for many sockets: they take them from each other all the time. */
static char endpoints[8][KIT_ENDPOINT_SIZE];
static void *context;
static _Atomic uint64_t sent, received;

struct worker {
    pthread_t id;
    uint32_t random;        /* its own stream */
    void *sockets[SOCKETS]; /* open ones; each is used by this thread alone */
    uint8_t data[SIZE_MAX_SENT];
};

static const char *any_endpoint(struct worker *worker)
{
    return endpoints[kit_random(&worker->random) % 8];
}

static void *socket_open(struct worker *worker)
{
    static const int types[] = {ZMQ_PUSH, ZMQ_PULL, ZMQ_PAIR, ZMQ_PUSH, ZMQ_PULL};
    int type = types[kit_random(&worker->random) % 5];
    void *socket;
    /* Sockets that still linger count against ZMQ_MAX_SOCKETS: on a slow machine their end must be waited for. */
    KIT_UNTIL((socket = zmq_socket(context, type)) != NULL || errno != EMFILE);
    cr_assert_not_null(socket, "%s", zmq_strerror(errno));
    kit_set(socket, ZMQ_LINGER, (int)(kit_random(&worker->random) % 3) * 5);
    kit_set(socket, ZMQ_RECONNECT_IVL, 1 + (int)(kit_random(&worker->random) % 20));
    kit_set(socket, ZMQ_IMMEDIATE, kit_random(&worker->random) % 8 == 0);
    kit_set(socket, ZMQ_SNDHWM, (int)(kit_random(&worker->random) % 100));
    kit_set(socket, ZMQ_RCVHWM, (int)(kit_random(&worker->random) % 100));
    if (kit_random(&worker->random) % 8 == 0)
        kit_set(socket, ZMQ_HEARTBEAT_IVL, 10);
    return socket;
}

/* Each part: its number, its size, then octets that follow from both. */
static void send_some(struct worker *worker, void *socket)
{
    for (uint32_t parts = 1 + kit_random(&worker->random) % 4; parts > 0; parts--) {
        uint32_t head[2] = {kit_random(&worker->random), kit_random(&worker->random)};
        bool large = head[1] % 20 == 0;
        head[1] = (uint32_t)sizeof head + head[1] % (large ? SIZE_MAX_SENT - 8 : 200);
        memcpy(worker->data, head, sizeof head);
        kit_fill(worker->data + sizeof head, head[1] - sizeof head, head[0]);
        int flags = ZMQ_DONTWAIT | (parts > 1 ? ZMQ_SNDMORE : 0);
        if (zmq_send(socket, worker->data, head[1], flags) < 0) {
            cr_assert(errno == EAGAIN || errno == ENOTSUP, "%s", zmq_strerror(errno));
            return;
        }
        sent++;
    }
}

static void recv_some(struct worker *worker, void *socket)
{
    for (int i = 0; i < 50; i++) {
        int size = zmq_recv(socket, worker->data, sizeof worker->data, ZMQ_DONTWAIT);
        if (size < 0) {
            cr_assert(errno == EAGAIN || errno == ENOTSUP, "%s", zmq_strerror(errno));
            return;
        }
        uint32_t head[2];
        memcpy(head, worker->data, sizeof head);
        cr_assert_eq(head[1], (uint32_t)size);
        cr_assert(kit_is_filled(worker->data + sizeof head, head[1] - sizeof head, head[0]));
        received++;
    }
}

static void change_something(struct worker *worker, void *socket)
{
    zmq_pollitem_t items[2] = {{.socket = socket, .events = ZMQ_POLLIN | ZMQ_POLLOUT}, {.fd = -1}};
    switch (kit_random(&worker->random) % 8) {
    case 0:
        zmq_bind(socket, any_endpoint(worker));
        break;
    case 1:
    case 2:
    case 3:
        zmq_connect(socket, any_endpoint(worker));
        break;
    case 4:
        zmq_unbind(socket, any_endpoint(worker));
        break;
    case 5:
        kit_set(socket, kit_random(&worker->random) % 2 ? ZMQ_SNDHWM : ZMQ_RCVHWM,
                (int)(kit_random(&worker->random) % 50));
        break;
    case 6:
        cr_assert_geq(zmq_poll(items, 1 + (int)(kit_random(&worker->random) % 2), 1), 0);
        break;
    default:
        cr_assert_geq(kit_get(socket, ZMQ_FD), 0);
        kit_get(socket, ZMQ_EVENTS);
    }
}

static void *work(void *arg)
{
    struct worker *worker = arg;
    uint64_t until_ms = kit_now_ms() + RUN_MS;
    while (kit_now_ms() < until_ms) {
        void **slot = &worker->sockets[kit_random(&worker->random) % SOCKETS];
        uint32_t what = kit_random(&worker->random) % 100;
        if (!*slot) {
            *slot = socket_open(worker);
        } else if (what < 2) {
            KIT_OK(zmq_close(*slot));
            *slot = NULL;
        } else if (what < 10) {
            change_something(worker, *slot);
        } else if (what < 55) {
            send_some(worker, *slot);
        } else {
            recv_some(worker, *slot);
        }
    }
    for (int i = 0; i < SOCKETS; i++)
        if (worker->sockets[i])
            KIT_OK(zmq_close(worker->sockets[i]));
    return NULL;
}

static void endpoints_choose(void)
{
    for (int i = 0; i < 8; i++) {
        if (i < 3)
            snprintf(endpoints[i], KIT_ENDPOINT_SIZE, "inproc://stress-%d", i);
        else if (i < 6)
            snprintf(endpoints[i], KIT_ENDPOINT_SIZE, "ipc://@zuring-stress-%d-%d", (int)getpid(), i);
        else
            kit_free_endpoint(context, "tcp", endpoints[i]);
    }
}

static void run(int io_threads)
{
    static struct worker workers[THREADS];
    uint32_t seed = kit_seed();
    context = zmq_ctx_new();
    KIT_OK(zmq_ctx_set(context, ZMQ_IO_THREADS, io_threads));
    endpoints_choose();
    for (uint32_t i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.random = (seed + i) * 2654435761u | 1};
        cr_assert_eq(pthread_create(&workers[i].id, NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(workers[i].id, NULL);
    KIT_OK(zmq_ctx_term(context));
    fprintf(stderr, "%llu parts sent, %llu received\n", (unsigned long long)sent, (unsigned long long)received);
    cr_assert_gt(received, 1000);
}

Test(stress, one_shard, .timeout = 60)
{
    run(1);
}

Test(stress, three_shards, .timeout = 60)
{
    run(3);
}

static void *term_soon(void *arg)
{
    (void)arg;
    zmq_poll(NULL, 0, 20);
    zmq_ctx_shutdown(context);
    return NULL;
}

static void *use_until_eterm(void *arg)
{
    struct worker *worker = arg;
    for (;;) {
        int zero = 0;
        void *socket = zmq_socket(context, ZMQ_PAIR);
        if (!socket && errno == EMFILE)
            continue; /* closing is slower than opening */
        if (!socket)
            break;
        zmq_setsockopt(socket, ZMQ_LINGER, &zero, sizeof zero);
        zmq_connect(socket, any_endpoint(worker));
        zmq_bind(socket, any_endpoint(worker));
        for (int i = 0; i < 5; i++) {
            zmq_send(socket, worker->data, kit_random(&worker->random) % 10000, ZMQ_DONTWAIT);
            zmq_recv(socket, worker->data, sizeof worker->data, ZMQ_DONTWAIT);
        }
        KIT_OK(zmq_close(socket));
    }
    cr_assert_eq(errno, ETERM, "%s", zmq_strerror(errno));
    return NULL;
}

/* The end comes in the middle of everything. */
Test(stress, shutdown_at_any_moment, .timeout = 60)
{
    static struct worker workers[THREADS];
    uint32_t seed = kit_seed();
    for (uint32_t round = 0; round < 30; round++) {
        pthread_t end;
        context = zmq_ctx_new();
        endpoints_choose();
        for (uint32_t i = 0; i < THREADS; i++) {
            workers[i].random = (seed + round * THREADS + i) * 2654435761u | 1;
            cr_assert_eq(pthread_create(&workers[i].id, NULL, use_until_eterm, &workers[i]), 0);
        }
        pthread_create(&end, NULL, term_soon, NULL);
        for (int i = 0; i < THREADS; i++)
            pthread_join(workers[i].id, NULL);
        pthread_join(end, NULL);
        KIT_OK(zmq_ctx_term(context));
    }
}
