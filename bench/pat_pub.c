/* SPDX-License-Identifier: MIT */
/*
 * PUB to several SUBs, a process each. "pub": with XPUB_NODROP, so that every message arrives and is checked; the rate is
 * that of the slowest. "pubdrop": as PUB is by default; counted is what arrives. "stall": at a fixed rate, the latency of
 * subscribers, with or without one among them that does not read.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#include "pat.h"

enum {
    WARM_STEP_US = 1000,
    STALL_RATE = 1000,      /* messages a second */
    STALL_FLOOD = 60000,    /* messages that fill whatever lies between the hub and a subscriber that does not read */
    STALL_FLOOD_STEP = 200, /* of these at once: the others keep up */
};

static char buffer[PAT_SIZE_MAX];

/* By now every subscriber has had one: its subscriptions have arrived. The last topic, so all of them have. */
static void warm(struct pat *pat, void *socket, unsigned wanted)
{
    while (atomic_load(&pat->ready) < wanted) {
        pat_send(pat, socket, buffer, pat->options->prefixes - 1, WORD_WARM);
        usleep(WARM_STEP_US);
    }
}

static void end(struct pat *pat, void *socket, unsigned wanted)
{
    while (atomic_load(&pat->over) < wanted) {
        pat_send(pat, socket, buffer, pat->options->prefixes - 1, WORD_END);
        usleep(WARM_STEP_US);
    }
}

static void publish(struct pat *pat, bool lossless)
{
    void *socket = pat_socket(pat, ZMQ_PUB);
    unsigned prefixes = pat->options->prefixes, topic = 0;

    pat_set(socket, ZMQ_LINGER, 0);
    if (lossless)
        pat_set(socket, ZMQ_XPUB_NODROP, 1);
    pat_bind(pat, socket, 0);
    crew_meet(&pat->crew);
    warm(pat, socket, pat->crew.roles - 1);
    crew_start(&pat->crew, 0);
    for (uint64_t sequence = 0; sequence < pat->options->count; sequence++) {
        if (prefixes != 0)
            topic = (topic + 7919) % prefixes;
        pat_send(pat, socket, buffer, topic, sequence);
    }
    end(pat, socket, pat->crew.roles - 1);
    crew_finish(&pat->crew, 0);
    pat_close(&socket, 1);
}

static void subscribe_all(const struct pat *pat, void *socket)
{
    char topic[PAT_TOPIC_SIZE];

    if (pat->options->prefixes == 0 && zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "", 0) < 0)
        crew_fail("zmq_setsockopt ZMQ_SUBSCRIBE: %s", zmq_strerror(errno));
    for (unsigned i = 0; i < pat->options->prefixes; i++) {
        pat_topic(topic, i);
        if (zmq_setsockopt(socket, ZMQ_SUBSCRIBE, topic, sizeof(topic)) < 0)
            crew_fail("zmq_setsockopt ZMQ_SUBSCRIBE: %s", zmq_strerror(errno));
    }
}

static void *subscriber_open(struct pat *pat)
{
    void *socket = pat_socket(pat, ZMQ_SUB);

    if (pat->options->prefixes != 0) /* libzmq drops subscriptions beyond the high-water mark */
        pat_set(socket, ZMQ_SNDHWM, 0);
    subscribe_all(pat, socket);
    pat_connect(pat, socket, 0);
    return socket;
}

static void subscribe(struct pat *pat, unsigned index, bool lossless)
{
    struct crew_slot *slot = &pat->crew.slots[index];
    uint64_t word, due = 0, got = 0;

    crew_meet(&pat->crew);
    void *socket = subscriber_open(pat);
    pat_recv(pat, socket, buffer, &word);
    atomic_fetch_add(&pat->ready, 1);
    crew_start(&pat->crew, index);
    while (pat_recv(pat, socket, buffer, &word) && word != WORD_END) {
        if (word == WORD_WARM)
            continue;
        if (word < due || (lossless && word != due))
            crew_fail("message %#llx where %#llx was due", (unsigned long long)word, (unsigned long long)due);
        due = word + 1;
        if (got++ == 0)
            slot->first_ns = clock_ns();
        if (word + 1 == pat->options->count || got % 64 == 0)
            slot->last_ns = clock_ns();
    }
    if (lossless && got != pat->options->count)
        crew_fail("%llu messages came", (unsigned long long)got);
    atomic_store(&slot->count, got);
    atomic_fetch_add(&pat->over, 1);
    crew_finish(&pat->crew, index);
    pat_close(&socket, 1);
}

static uint64_t each_got(const struct pat *pat)
{
    uint64_t sum = 0;

    for (unsigned i = 1; i < pat->crew.roles; i++)
        sum += atomic_load(&pat->crew.slots[i].count);
    return sum / (pat->crew.roles - 1);
}

static void pub_hub(struct pat *pat, unsigned index)
{
    (void)index;
    publish(pat, true);
}

static void pub_spoke(struct pat *pat, unsigned index)
{
    subscribe(pat, index, true);
}

static void pubdrop_hub(struct pat *pat, unsigned index)
{
    (void)index;
    publish(pat, false);
}

static void pubdrop_spoke(struct pat *pat, unsigned index)
{
    subscribe(pat, index, false);
}

/* --- stall --- */

static void sleep_until(int64_t due_ns)
{
    struct timespec due = {.tv_sec = due_ns / 1000000000, .tv_nsec = due_ns % 1000000000};

    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
}

static void stall_hub(struct pat *pat, unsigned index)
{
    void *socket = pat_socket(pat, ZMQ_PUB);
    unsigned readers = (pat->crew.roles - 1) * pat->options->sockets - (pat->options->stalled ? 1 : 0);

    pat_set(socket, ZMQ_LINGER, 0);
    pat_bind(pat, socket, 0);
    crew_meet(&pat->crew);
    warm(pat, socket, readers);
    for (unsigned i = 0; i < STALL_FLOOD; i++) {
        pat_send(pat, socket, buffer, 0, WORD_WARM);
        if (i % STALL_FLOOD_STEP == 0)
            usleep(WARM_STEP_US);
    }
    crew_start(&pat->crew, index);
    int64_t due_ns = clock_ns();
    for (uint64_t sequence = 0; sequence < pat->options->count; sequence++) {
        due_ns += 1000000000 / STALL_RATE;
        sleep_until(due_ns);
        pat_send(pat, socket, buffer, 0, (uint64_t)due_ns);
    }
    end(pat, socket, pat->crew.roles - 1);
    crew_finish(&pat->crew, index);
    pat_close(&socket, 1);
}

/* One look at a socket that may have something: its latency goes to the samples. True: that was the end. */
static bool stall_take(struct pat *pat, void *socket, uint32_t *samples, size_t *taken, size_t room)
{
    uint64_t word;

    pat_recv(pat, socket, buffer, &word);
    if (word == WORD_END)
        return true;
    if (word != WORD_WARM && *taken < room)
        samples[(*taken)++] = (uint32_t)(clock_ns() - (int64_t)word) * 2; /* the report halves round trips */
    return false;
}

static void stall_spoke(struct pat *pat, unsigned index)
{
    unsigned count = pat->options->sockets, ended = 0;
    zmq_pollitem_t *items = calloc(count, sizeof(*items));
    void **sockets = calloc(count, sizeof(*sockets));
    size_t taken = 0, room = (size_t)pat->options->count * count;
    uint32_t *samples = calloc(room, sizeof(*samples));
    uint64_t word;
    bool idles = pat->options->stalled && index == pat->crew.roles - 1;

    if (items == NULL || sockets == NULL || samples == NULL)
        crew_fail("no memory for %u sockets", count);
    crew_meet(&pat->crew);
    for (unsigned i = 0; i < count; i++)
        sockets[i] = subscriber_open(pat);
    unsigned reading = count - (idles ? 1 : 0); /* the last socket of the last role does not read */
    for (unsigned i = 0; i < reading; i++) {
        items[i] = (zmq_pollitem_t){.socket = sockets[i], .events = ZMQ_POLLIN};
        pat_recv(pat, sockets[i], buffer, &word);
        atomic_fetch_add(&pat->ready, 1);
    }
    /* The flood goes by while the hub is on its way to the start. */
    pat->crew.slots[index].first_ns = clock_ns();
    bool started = false;
    while (ended < reading) {
        if (!started && zmq_poll(items, (int)reading, 100) == 0) {
            crew_start(&pat->crew, index);
            started = true;
        }
        zmq_poll(items, (int)reading, -1);
        for (unsigned i = 0; i < reading; i++) {
            if (items[i].revents != 0 && stall_take(pat, sockets[i], samples, &taken, room)) {
                items[i].events = 0;
                ended++;
            }
        }
    }
    pat->crew.slots[index].last_ns = clock_ns();
    atomic_store(&pat->crew.slots[index].count, taken);
    if (index == 1)
        report_latency(samples, taken, pat->crew.latency_us);
    atomic_fetch_add(&pat->over, 1);
    crew_finish(&pat->crew, index);
    pat_close(sockets, count);
}

static uint64_t stall_messages(const struct pat *pat)
{
    return pat->options->count;
}

const struct pat_case pat_pub_cases[] = {
    {.name = "pub", .hub = pub_hub, .spoke = pub_spoke, .messages = each_got},
    {.name = "pubdrop", .hub = pubdrop_hub, .spoke = pubdrop_spoke, .messages = each_got},
    {.name = "stall", .hub = stall_hub, .spoke = stall_spoke, .messages = stall_messages, .has_latency = true},
    {.name = NULL},
};
