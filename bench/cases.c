/* SPDX-License-Identifier: MIT */
/* The measured part of every case. A receiver compares each word with the one it must be, so a message lost, repeated,
 * reordered or torn ends the run by crew_fail; the compare is all it does besides receiving. */
#include "stage.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#include "report.h"
#include "word.h"

#define SCATTER_POLL_US 200
#define GATHER_WAIT_MS 50
#define PING_WARM_ROUNDS 200

/* Fan-in gives every sender an equal share; a rest that does not divide is left out. */
static uint64_t sender_share(const struct stage *stage)
{
    return stage->options->count / (stage->crew.roles - 1);
}

static void emit(struct stage *stage, unsigned index, struct channel *channel)
{
    uint64_t sender = (uint64_t)(index - 1) << WORD_SENDER_SHIFT;
    uint64_t share = sender_share(stage);

    for (uint64_t sequence = 0; sequence < share; sequence++)
        channel_send(channel, sender | sequence);
}

/* How far each sender had come when the first of them was through: at the end all have sent the same. */
static void race_record(struct stage *stage, const uint64_t *next)
{
    for (unsigned i = 1; i < stage->crew.roles; i++)
        atomic_store_explicit(&stage->crew.slots[i].count, next[i - 1] & WORD_SEQUENCE_MASK, memory_order_relaxed);
}

static void collect(struct stage *stage, unsigned index, struct channel *channel)
{
    struct crew_slot *slot = &stage->crew.slots[index];
    /* An entry no sender has stays 0 and so matches no word of its index. */
    uint64_t next[UINT8_MAX + 1] = {0};
    uint64_t last = sender_share(stage) - 1, total = sender_share(stage) * (stage->crew.roles - 1);
    bool raced = false;

    for (uint64_t sender = 0; sender < stage->crew.roles - 1; sender++)
        next[sender] = sender << WORD_SENDER_SHIFT;
    for (uint64_t got = 0; got < total; got++) {
        uint64_t word = channel_recv(channel);
        uint64_t *expected = &next[word >> WORD_SENDER_SHIFT];
        if (word != *expected)
            crew_fail("message %#llx where %#llx was due", (unsigned long long)word, (unsigned long long)*expected);
        ++*expected;
        if (got == 0)
            slot->first_ns = clock_ns();
        if ((word & WORD_SEQUENCE_MASK) == last && !raced) {
            race_record(stage, next);
            raced = true;
        }
    }
    slot->last_ns = clock_ns();
}

static uint64_t spokes_received(const struct stage *stage)
{
    uint64_t sum = 0;

    for (unsigned i = 1; i < stage->crew.roles; i++)
        sum += atomic_load_explicit(&stage->crew.slots[i].count, memory_order_relaxed);
    return sum;
}

/* The end is seen from here: a gatherer cannot tell its last message from a pause. */
static void scatter(struct stage *stage, unsigned index, struct channel *channel)
{
    uint64_t count = stage->options->count;

    for (uint64_t sequence = 0; sequence < count; sequence++)
        channel_send(channel, sequence);
    while (spokes_received(stage) < count)
        usleep(SCATTER_POLL_US);
    stage->crew.slots[index].last_ns = clock_ns();
    atomic_store(&stage->over, 1);
}

static void gather(struct stage *stage, unsigned index, struct channel *channel)
{
    struct crew_slot *slot = &stage->crew.slots[index];
    uint64_t word, due = 0, sum = 0, got = 0;

    while (!atomic_load_explicit(&stage->over, memory_order_relaxed)) {
        if (channel_poll(channel, &word) == 0)
            continue;
        if (word < due)
            crew_fail("message %#llx after %#llx", (unsigned long long)word, (unsigned long long)due - 1);
        due = word + 1;
        sum += word;
        if (got++ == 0)
            slot->first_ns = clock_ns();
        atomic_store_explicit(&slot->count, got, memory_order_relaxed);
    }
    slot->word_sum = sum;
}

static void ping(struct stage *stage, unsigned index, struct channel *channel)
{
    struct crew_slot *slot = &stage->crew.slots[index];
    uint64_t count = stage->options->count;
    uint32_t *samples = malloc(count * sizeof(*samples));
    int64_t before_ns = 0;

    if (samples == NULL)
        crew_fail("no memory for %llu samples", (unsigned long long)count);
    /* Touched now, so that no round trip pays for a page fault. */
    memset(samples, 1, count * sizeof(*samples));
    for (uint64_t round = 0; round < count + PING_WARM_ROUNDS; round++) {
        if (round == PING_WARM_ROUNDS)
            before_ns = slot->first_ns = clock_ns();
        channel_send(channel, round);
        uint64_t word = channel_recv(channel);
        if (word != round)
            crew_fail("echo %#llx where %#llx was due", (unsigned long long)word, (unsigned long long)round);
        if (round < PING_WARM_ROUNDS)
            continue;
        int64_t now_ns = clock_ns();
        samples[round - PING_WARM_ROUNDS] = (uint32_t)(now_ns - before_ns);
        before_ns = now_ns;
    }
    slot->last_ns = before_ns;
    report_latency(samples, count, stage->crew.latency_us);
    free(samples);
}

static void echo(struct stage *stage, unsigned index, struct channel *channel)
{
    uint64_t count = stage->options->count + PING_WARM_ROUNDS;

    (void)index;
    for (uint64_t round = 0; round < count; round++) {
        uint64_t word = channel_recv(channel);
        if (word != round)
            crew_fail("ping %#llx where %#llx was due", (unsigned long long)word, (unsigned long long)round);
        channel_send(channel, word);
    }
}

static const struct stage_case cases[] = {
    {.name = "throughput",
     .hub_type = ZMQ_PULL,
     .spoke_type = ZMQ_PUSH,
     .round_messages = 1,
     .deadline_ms = -1,
     .hub_work = collect,
     .spoke_work = emit},
    {.name = "fanin",
     .hub_type = ZMQ_PULL,
     .spoke_type = ZMQ_PUSH,
     .many = true,
     .round_messages = 1,
     .deadline_ms = -1,
     .hub_work = collect,
     .spoke_work = emit},
    {.name = "fanout",
     .hub_type = ZMQ_PUSH,
     .spoke_type = ZMQ_PULL,
     .hub_sends = true,
     .many = true,
     .round_messages = 1,
     .deadline_ms = GATHER_WAIT_MS,
     .hub_work = scatter,
     .spoke_work = gather},
    {.name = "pingpong",
     .hub_type = ZMQ_PAIR,
     .spoke_type = ZMQ_PAIR,
     .hub_sends = true,
     .round_messages = 2,
     .deadline_ms = -1,
     .hub_work = ping,
     .spoke_work = echo,
     .has_latency = true},
};

const struct stage_case *stage_case_find(const char *name)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (strcmp(cases[i].name, name) == 0)
            return &cases[i];
    }
    return NULL;
}
