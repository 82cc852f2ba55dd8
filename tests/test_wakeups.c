/* SPDX-License-Identifier: MIT */
/*
 * The hunt for lost wake-ups: two threads play ping-pong with pauses of random length, so that each message may come at
 * any moment of the other's going to sleep; every message has seconds to arrive, and where one did not is told. In every
 * drive mode, over every transport, in every way of waiting. ZURING_HUNT is the number of round trips per mode.
 */
#include "base/clock.h"
#include "base/futex.h"
#include "drives.h"

#include <poll.h>

enum { TRIPS = SANITIZED ? 20000 : 100000, LIMIT_MS = 5000, BURST_MAX = 40, LATE_NS = 1500000 };

/* One of the two. */
struct player {
    void *socket;        /* a PAIR */
    int fd;              /* its ZMQ_FD; -1 until it is asked for */
    uint32_t random;     /* its own stream */
    uint64_t slowest_ns; /* of the waits for a message */
    uint64_t heard;      /* messages */
    uint64_t late;       /* of these, waited for longer than LATE_NS: perhaps only found by a keeper's look */
    const char *what;    /* where it is, for the reader */
};

static struct player ping, pong;
static uint64_t trips;                          /* to be made */
static struct player *const players[] = {&ping, &pong};

static uint64_t trips_wanted(void)
{
    const char *given = getenv("ZURING_HUNT");
    return given ? strtoull(given, NULL, 0) : TRIPS;
}

/* Mostly none: the waits of the library are then met where they begin. */
static void pause_at_random(struct player *player)
{
    uint32_t which = kit_random(&player->random) % 16;
    if (which >= 3)
        return;
    uint64_t until_ns = zu_clock_ns() + kit_random(&player->random) % (which ? 30000 : 300000);
    _Atomic uint32_t nobody = 0;
    if (kit_random(&player->random) % 2)
        zu_futex_wait(&nobody, 0, until_ns);
    while (zu_clock_ns() < until_ns)
        ;
}

static bool wait_in_recv(struct player *player)
{
    (void)player; /* the recv itself will */
    return true;
}

static bool wait_in_poll(struct player *player)
{
    return kit_readable(player->socket, LIMIT_MS);
}

static bool wait_in_poll_of_two(struct player *player)
{
    zmq_pollitem_t items[2] = {{.socket = player->socket, .events = ZMQ_POLLIN}, {.fd = -1, .events = ZMQ_POLLIN}};
    return zmq_poll(items, 2, LIMIT_MS) == 1;
}

/* As an event loop does it. */
static bool wait_by_descriptor(struct player *player)
{
    if (player->fd < 0)
        player->fd = kit_get(player->socket, ZMQ_FD);
    while (!(kit_get(player->socket, ZMQ_EVENTS) & ZMQ_POLLIN)) {
        struct pollfd item = {.fd = player->fd, .events = POLLIN};
        if (poll(&item, 1, LIMIT_MS) != 1)
            return false;
    }
    return true;
}

/* The first ones leave the socket without a descriptor. */
static const struct {
    const char *name;
    bool (*wait)(struct player *player);
} waits[] = {
    {"zmq_recv", wait_in_recv},
    {"zmq_poll", wait_in_poll},
    {"zmq_poll of two", wait_in_poll_of_two},
    {"ZMQ_FD", wait_by_descriptor},
};

static void lost(const struct player *player, uint64_t number, const char *how)
{
    for (int i = 0; i < 2; i++)
        fprintf(stderr, "%s has heard %llu\n", players[i]->what, (unsigned long long)players[i]->heard);
    fprintf(stderr, "lost: %s waits for message %llu by %s\n", player->what, (unsigned long long)number, how);
    cr_assert_fail("%s: a wake-up was lost", player->what);
}

static void hear(struct player *player, uint64_t number)
{
    uint64_t got = 0, begin_ns = zu_clock_ns();
    uint32_t which = kit_random(&player->random) % 8;
    which = which > 3 ? 0 : player->heard < trips / 2 ? which % 2 : which;
    bool came = waits[which].wait(player);
    int size = zmq_recv(player->socket, &got, sizeof got, which ? ZMQ_DONTWAIT : 0);
    uint64_t took_ns = zu_clock_ns() - begin_ns;
    /* Late is lost: a timeout makes the waiter look again. */
    if (!came || size < 0 || took_ns >= (LIMIT_MS - 500) * ZU_NS_PER_MS)
        lost(player, number, waits[which].name);
    cr_assert_eq(size, (int)sizeof got);
    cr_assert_eq(got, number);
    player->heard++;
    player->late += took_ns > LATE_NS;
    if (took_ns > player->slowest_ns)
        player->slowest_ns = took_ns;
}

static void say(struct player *player, uint64_t number)
{
    uint64_t begin_ns = zu_clock_ns();
    if (zmq_send(player->socket, &number, sizeof number, 0) < 0 ||
        zu_clock_ns() - begin_ns >= (LIMIT_MS - 500) * ZU_NS_PER_MS)
        lost(player, number, "zmq_send");
}

static void *answer(void *arg)
{
    struct player *player = arg;
    for (uint64_t number = 0; number < trips; number++) {
        pause_at_random(player);
        hear(player, number);
        pause_at_random(player);
        say(player, number);
    }
    return NULL;
}

/* Now and then several at once: a stream begins, and ends in a wait. */
static void serve(struct player *player)
{
    for (uint64_t number = 0; number < trips;) {
        uint64_t burst = kit_random(&player->random) % 32 ? 1 : 1 + kit_random(&player->random) % BURST_MAX;
        if (burst > trips - number)
            burst = trips - number;
        for (uint64_t i = 0; i < burst; i++)
            say(player, number + i);
        for (uint64_t i = 0; i < burst; i++) {
            pause_at_random(player);
            hear(player, number++);
        }
        pause_at_random(player);
    }
}

static struct player player_new(void *context, uint32_t random, const char *what)
{
    struct player player = {.socket = kit_socket(context, ZMQ_PAIR), .fd = -1, .random = random | 1, .what = what};
    kit_set(player.socket, ZMQ_RCVTIMEO, LIMIT_MS);
    kit_set(player.socket, ZMQ_SNDTIMEO, LIMIT_MS);
    return player;
}

/* `beside`: each has a listener too, and sleeps over that as over the messages of the other thread. */
static void play(const struct drive_way *way, const char *transport, bool beside, uint64_t count)
{
    char names[2][64], text[KIT_ENDPOINT_SIZE];
    uint32_t seed = kit_seed();
    uint64_t begin_ns = zu_clock_ns();
    void *context = drive_context(way);
    pthread_t thread;
    trips = count;
    for (int i = 0; i < 2; i++)
        snprintf(names[i], sizeof names[i], "%s, %s%s: %s", way->name, transport, beside ? " beside tcp" : "",
                 i ? "pong" : "ping");
    ping = player_new(context, seed, names[0]);
    pong = player_new(context, seed * 2654435761u, names[1]);
    for (int i = 0; i < 2 && beside; i++)
        kit_bind(players[i]->socket, "tcp", text);
    KIT_OK(zmq_connect(ping.socket, kit_bind(pong.socket, transport, text)));
    pthread_create(&thread, NULL, answer, &pong);
    serve(&ping);
    pthread_join(thread, NULL);
    KIT_OK(zmq_close(ping.socket));
    KIT_OK(zmq_close(pong.socket));
    KIT_OK(zmq_ctx_term(context));
    fprintf(stderr, "%s and pong: %llu round trips in %llu ms, the slowest wait %llu us, %llu late\n", ping.what,
            (unsigned long long)count, (unsigned long long)((zu_clock_ns() - begin_ns) / ZU_NS_PER_MS),
            (unsigned long long)(ping.slowest_ns > pong.slowest_ns ? ping.slowest_ns : pong.slowest_ns) / 1000,
            (unsigned long long)(ping.late + pong.late));
}

static void hunt(const struct drive_way *way)
{
    uint64_t part = trips_wanted() / (KIT_TRANSPORTS + 1) + 1;
    for (int t = 0; t < KIT_TRANSPORTS; t++)
        play(way, kit_transports[t], false, part);
    play(way, "inproc", true, part);
}

/* No limits of time here, for the long mode's sake: each message has its own. */
Test(wakeups, background)
{
    hunt(&drive_ways[0]);
}

Test(wakeups, background_spinning)
{
    hunt(&drive_ways[1]);
}

Test(wakeups, inline)
{
    hunt(&drive_ways[2]);
}

Test(wakeups, inline_spinning)
{
    hunt(&drive_ways[3]);
}
