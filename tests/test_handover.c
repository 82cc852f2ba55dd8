/* SPDX-License-Identifier: MIT */
/*
 * Inline drive under threads that come and go: they open, use, close and hand over sockets at random. A mutex per socket
 * is the fence that handing over needs, and all that is asked of the program. Each life of a group of sockets ends with
 * everything received that was sent, in order, unless the receiver was closed in mid-stream.
 */
#include "drives.h"

enum { GROUPS = 6, SENDERS = 3, THREADS = 4, STEPS_MAX = 400, LARGE = 30000 };
static const uint64_t run_ms = SANITIZED ? 6000 : 3000;

/* What a message says of itself. */
struct head {
    uint32_t life;   /* of its group */
    uint32_t sender; /* which of the group's */
    uint32_t number; /* from this sender */
    uint32_t size;   /* all of it; the rest follows from the number */
};

/* A socket that goes from thread to thread. */
struct end {
    pthread_mutex_t lock; /* its holder uses it, and the fields below */
    void *socket;         /* NULL: not open */
    uint32_t number;      /* of the next message sent */
    bool closed;          /* for this life */
};

/* A PULL that is bound to every transport, and a PUSH for each of them. */
struct group {
    struct end to;                 /* its lock also guards what follows */
    struct end from[SENDERS];      /* by transport */
    char text[SENDERS][KIT_ENDPOINT_SIZE]; /* where `to` is; constant while is_bound */
    uint32_t expected[SENDERS];    /* number of the next message of each */
    uint32_t sent[SENDERS];        /* how many there were, once the sender has closed */
    _Atomic uint32_t done;         /* senders that have closed */
    _Atomic bool is_bound;         /* senders may connect */
    _Atomic bool is_spoilt;        /* `to` was closed early */
    _Atomic uint32_t life;         /* counts */
    uint64_t until_ms;             /* everything must have arrived; 0 while senders live */
};

static struct group groups[GROUPS];
static void *context;
static uint64_t over_ms;
static _Atomic uint64_t received, lives, spoilt, handovers;

static bool is_over(void)
{
    return kit_now_ms() >= over_ms;
}

struct worker {
    pthread_t id;
    uint32_t random;     /* its own stream */
    uint8_t data[LARGE]; /* in passing */
};

static void to_open(struct group *group)
{
    group->to.socket = kit_socket(context, ZMQ_PULL);
    for (int i = 0; i < SENDERS; i++) {
        kit_bind(group->to.socket, kit_transports[i], group->text[i]);
        group->expected[i] = group->sent[i] = 0;
    }
    group->until_ms = 0;
    group->done = 0;
    group->is_spoilt = false;
    group->life++;
    group->is_bound = true;
}

/* The sockets of all senders are closed: the next life may begin. */
static void to_close(struct group *group)
{
    KIT_OK(zmq_close(group->to.socket));
    group->to.socket = NULL;
}

static void life_end(struct group *group)
{
    if (group->to.socket)
        to_close(group);
    spoilt += group->is_spoilt;
    lives++;
    group->is_bound = false;
    for (int i = 0; i < SENDERS; i++) {
        pthread_mutex_lock(&group->from[i].lock);
        group->from[i].closed = false;
        pthread_mutex_unlock(&group->from[i].lock);
    }
}

static void take(struct group *group, const uint8_t *data, int size)
{
    struct head head;
    cr_assert_geq(size, (int)sizeof head, "%s", zmq_strerror(errno));
    memcpy(&head, data, sizeof head);
    cr_assert_eq(head.size, (uint32_t)size);
    cr_assert_eq(head.life, group->life);
    cr_assert_lt(head.sender, SENDERS);
    cr_assert_eq(head.number, group->expected[head.sender], "%s: %u in place of %u", kit_transports[head.sender],
                 head.number, group->expected[head.sender]);
    cr_assert(kit_is_filled(data + sizeof head, head.size - sizeof head, head.number));
    group->expected[head.sender]++;
    received++;
}

static bool all_came(const struct group *group)
{
    for (int i = 0; i < SENDERS; i++)
        if (group->expected[i] != group->sent[i])
            return false;
    return true;
}

/* With the senders gone: the rest, then the end. */
static void to_finish(struct group *group)
{
    if (!group->is_spoilt && !all_came(group)) {
        for (int i = 0; i < SENDERS; i++)
            cr_assert(group->until_ms == 0 || kit_now_ms() < group->until_ms, "%s: %u of %u came", kit_transports[i],
                      group->expected[i], group->sent[i]);
        if (!group->until_ms)
            group->until_ms = kit_now_ms() + KIT_WAIT_MS;
        return;
    }
    life_end(group);
}

static void recv_some(struct worker *worker, struct group *group)
{
    void *socket = group->to.socket;
    zmq_pollitem_t items[2] = {{.socket = socket, .events = ZMQ_POLLIN}, {.fd = -1}};
    uint32_t how = kit_random(&worker->random) % 8;
    if (how < 2)
        cr_assert_geq(zmq_poll(items, 1 + (int)how, 1), 0);
    else if (how == 2)
        kit_get(socket, ZMQ_EVENTS);
    else if (how == 3 && kit_random(&worker->random) % 8 == 0)
        kit_get(socket, ZMQ_FD);
    kit_set(socket, ZMQ_RCVTIMEO, 1);
    for (uint32_t left = kit_random(&worker->random) % 200; left > 0; left--) {
        int size = zmq_recv(socket, worker->data, sizeof worker->data, how & 1 ? ZMQ_DONTWAIT : 0);
        if (size < 0 && errno == EAGAIN)
            return;
        take(group, worker->data, size);
    }
}

/* Before any sender has closed, or what that one left behind would linger for ever. */
static void to_spoil(struct group *group)
{
    for (int i = 0; i < SENDERS; i++)
        pthread_mutex_lock(&group->from[i].lock);
    group->is_spoilt = group->done == 0;
    for (int i = 0; i < SENDERS; i++)
        pthread_mutex_unlock(&group->from[i].lock);
    if (group->is_spoilt)
        to_close(group);
}

static void to_use(struct worker *worker, struct group *group)
{
    if (!group->is_bound && !group->to.socket) {
        to_open(group);
        return;
    }
    if (group->to.socket)
        recv_some(worker, group);
    if (group->done == SENDERS)
        to_finish(group);
    else if (group->to.socket && kit_random(&worker->random) % 60 == 0)
        to_spoil(group);
}

static void from_open(struct worker *worker, struct group *group, int which)
{
    struct end *end = &group->from[which];
    end->socket = kit_socket(context, ZMQ_PUSH);
    end->number = 0;
    kit_set(end->socket, ZMQ_LINGER, -1);
    kit_set(end->socket, ZMQ_RECONNECT_IVL, 1);
    if (kit_random(&worker->random) % 4 == 0)
        kit_get(end->socket, ZMQ_FD);
    KIT_OK(zmq_connect(end->socket, group->text[which]));
}

static void from_close(struct group *group, int which)
{
    struct end *end = &group->from[which];
    if (end->socket) {
        if (group->is_spoilt) /* nobody will ever take the rest */
            kit_set(end->socket, ZMQ_LINGER, 0);
        KIT_OK(zmq_close(end->socket));
    }
    group->sent[which] = end->socket ? end->number : 0;
    end->socket = NULL;
    end->closed = true;
    group->done++; /* publishes `sent` */
}

static void send_some(struct worker *worker, struct group *group, int which)
{
    struct end *end = &group->from[which];
    uint32_t longest = kit_random(&worker->random) % 20 ? 100 : LARGE;
    for (uint32_t left = kit_random(&worker->random) % 100; left > 0; left--) {
        struct head head = {group->life, (uint32_t)which, end->number, 0};
        head.size = (uint32_t)sizeof head + kit_random(&worker->random) % (longest - (uint32_t)sizeof head);
        memcpy(worker->data, &head, sizeof head);
        kit_fill(worker->data + sizeof head, head.size - sizeof head, head.number);
        if (zmq_send(end->socket, worker->data, head.size, ZMQ_DONTWAIT) < 0) {
            cr_assert_eq(errno, EAGAIN, "%s", zmq_strerror(errno));
            return;
        }
        end->number++;
    }
}

static void from_use(struct worker *worker, struct group *group, int which)
{
    struct end *end = &group->from[which];
    if (end->closed || !group->is_bound)
        return;
    if (!end->socket && !group->is_spoilt)
        from_open(worker, group, which);
    else if (group->is_spoilt || kit_random(&worker->random) % 40 == 0)
        from_close(group, which);
    else
        send_some(worker, group, which);
}

static void *work(void *arg)
{
    struct worker *worker = arg;
    for (uint32_t left = kit_random(&worker->random) % STEPS_MAX; left > 0 && !is_over(); left--) {
        struct group *group = &groups[kit_random(&worker->random) % GROUPS];
        int which = (int)(kit_random(&worker->random) % (SENDERS + 2));
        struct end *end = which < SENDERS ? &group->from[which] : &group->to;
        if (pthread_mutex_trylock(&end->lock))
            continue;
        handovers++;
        if (which < SENDERS)
            from_use(worker, group, which);
        else
            to_use(worker, group);
        pthread_mutex_unlock(&end->lock);
    }
    return NULL;
}

static void run(const struct drive_way *way)
{
    static struct worker workers[THREADS];
    uint32_t seed = kit_seed();
    context = drive_context(way);
    memset(groups, 0, sizeof groups);
    for (int i = 0; i < GROUPS; i++) {
        pthread_mutex_init(&groups[i].to.lock, NULL);
        for (int k = 0; k < SENDERS; k++)
            pthread_mutex_init(&groups[i].from[k].lock, NULL);
    }
    over_ms = kit_now_ms() + run_ms;
    for (uint32_t n = 0; !is_over(); n++) {
        struct worker *worker = &workers[n % THREADS];
        if (n >= THREADS)
            pthread_join(worker->id, NULL);
        worker->random = (seed + n) * 2654435761u | 1;
        cr_assert_eq(pthread_create(&worker->id, NULL, work, worker), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(workers[i].id, NULL);
    for (int i = 0; i < GROUPS; i++) {
        struct group *group = &groups[i];
        for (int k = 0; k < SENDERS && group->is_bound; k++)
            if (!group->from[k].closed)
                from_close(group, k);
        while (group->is_bound)
            to_use(&workers[0], group);
    }
    KIT_OK(zmq_ctx_term(context));
    fprintf(stderr, "%s: %llu lives, %llu spoilt, %llu turns, %llu received\n", way->name, (unsigned long long)lives,
            (unsigned long long)spoilt, (unsigned long long)handovers, (unsigned long long)received);
    cr_assert_gt(lives, 2);
    cr_assert_gt(received, 500);
}

Test(handover, inline, .timeout = 60)
{
    run(&drive_ways[2]);
}

Test(handover, inline_spinning, .timeout = 60)
{
    run(&drive_ways[3]);
}

/* A sender of a neighbouring thread, which the receiver does not wait for. */
struct neighbour {
    _Atomic int life; /* that is to be joined; negative: none any more */
    _Atomic int sees; /* that it has joined */
    _Atomic int gone; /* whose receiver is closed */
};

static void *send_into_the_closing(void *arg)
{
    struct neighbour *neighbour = arg;
    uint32_t random = 7;
    for (int life = 1;; life++) {
        KIT_UNTIL_SPINNING(neighbour->life == life || neighbour->life < 0);
        if (neighbour->life < 0)
            return NULL;
        char text[32];
        snprintf(text, sizeof text, "inproc://life-%d", life);
        void *from = kit_socket(context, ZMQ_PUSH);
        KIT_OK(zmq_connect(from, text));
        neighbour->sees = life;
        while (neighbour->gone != life) {
            zmq_send(from, "a", 1, ZMQ_DONTWAIT);
            for (volatile uint32_t turns = kit_random(&random) % 60; turns > 0; turns--)
                ;
        }
        KIT_OK(zmq_close(from));
    }
}

/* Who has posted a note may be about to wake the receiver's shard when the receiver is closed. */
Test(handover, a_receiver_closes_while_another_thread_wakes_it, .timeout = 60)
{
    struct neighbour neighbour = {0};
    pthread_t thread;
    uint32_t random = kit_seed();
    uint64_t until_ms = kit_now_ms() + run_ms / 2;
    context = drive_context(&drive_ways[2]);
    pthread_create(&thread, NULL, send_into_the_closing, &neighbour);
    for (int life = 1; kit_now_ms() < until_ms; life++) {
        char text[32], got[8], tcp[KIT_ENDPOINT_SIZE];
        snprintf(text, sizeof text, "inproc://life-%d", life);
        void *to = kit_socket(context, ZMQ_PULL);
        kit_bind(to, "tcp", tcp); /* so that there is a shard */
        KIT_OK(zmq_bind(to, text));
        neighbour.life = life;
        KIT_UNTIL_SPINNING(neighbour.sees == life);
        for (uint32_t looks = kit_random(&random) % 50; looks > 0; looks--)
            zmq_recv(to, got, sizeof got, ZMQ_DONTWAIT);
        KIT_OK(zmq_close(to));
        neighbour.gone = life;
    }
    neighbour.life = -1;
    pthread_join(thread, NULL);
    KIT_OK(zmq_ctx_term(context));
}
