/* SPDX-License-Identifier: MIT */
/* What the tests of base, mem and flow share: a seeded source of chance, somebody who hears, payloads that can be told. */
#ifndef ZU_TESTS_FLOW_H
#define ZU_TESTS_FLOW_H

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/futex.h"
#include "base/mailbox.h"
#include "flow/pipe.h"
#include "mem/alloc.h"

/* A test that waits for another thread gives up after this. */
#define PATIENCE_NS (20 * ZU_NS_PER_S)

/* A payload that goes by reference. */
#define LARGE_SIZE (ZU_PIPE_COPY_MAX + 904)

/* xorshift64*. */
struct chance {
    uint64_t state; /* never 0 */
};

/* Seeded by ZU_SEED or the clock, and printed: a failure can be run again. */
static inline struct chance chance_new(const char *test)
{
    const char *given = getenv("ZU_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : zu_clock_ns();
    fprintf(stderr, "%s: ZU_SEED=%llu\n", test, (unsigned long long)seed);
    return (struct chance){.state = seed | 1};
}

static inline uint64_t chance_next(struct chance *chance)
{
    chance->state ^= chance->state >> 12;
    chance->state ^= chance->state << 25;
    chance->state ^= chance->state >> 27;
    return chance->state * UINT64_C(0x2545f4914f6cdd1d);
}

/* From 0 to below - 1. */
static inline uint64_t chance_below(struct chance *chance, uint64_t below)
{
    return (chance_next(chance) >> 16) % below;
}

/* Mostly nothing, sometimes long enough for the other thread to get somewhere. */
static inline void chance_spin(struct chance *chance)
{
    uint64_t turns = chance_below(chance, 16) ? 0 : chance_below(chance, 300);
    for (volatile uint64_t i = 0; i < turns; i++)
        ;
}

/* An end of a pipe that hears: its box, its note, and how often each was used. */
struct ear {
    struct zu_mailbox box;  /* first: woken by address */
    struct zu_note note;    /* what the pipe posts */
    _Atomic uint32_t wakes; /* calls of the box's wake */
    unsigned runs;          /* times the note ran */
};

static inline void ear_wake(struct zu_mailbox *box)
{
    struct ear *ear = (struct ear *)(void *)box;
    atomic_fetch_add(&ear->wakes, 1);
    zu_futex_wake(&ear->wakes);
}

static inline void ear_run(struct zu_note *note)
{
    zu_container_of(note, struct ear, note)->runs++;
}

static inline void ear_init(struct ear *ear)
{
    memset(ear, 0, sizeof *ear);
    zu_mailbox_init(&ear->box, ear_wake, NULL);
    ear->note.run = ear_run;
}

/* How often the note has run since the last call. */
static inline unsigned ear_heard(struct ear *ear)
{
    unsigned before = ear->runs;
    zu_mailbox_run(&ear->box);
    return ear->runs - before;
}

/* Waits for the note as a thread would that sleeps: nothing else lets it go on. False when nothing came. */
static inline bool ear_wait(struct ear *ear)
{
    uint64_t until_ns = zu_clock_ns() + PATIENCE_NS;
    int err = 0;
    while (!zu_mailbox_run(&ear->box) && err != -ETIMEDOUT) {
        uint32_t wakes = atomic_load(&ear->wakes);
        if (!zu_mailbox_has_notes(&ear->box))
            err = zu_futex_wait(&ear->wakes, wakes, until_ns);
    }
    return err != -ETIMEDOUT;
}

struct ears {
    struct ear reader; /* of the pipe */
    struct ear writer; /* of the pipe */
};

static inline struct zu_pipe *pipe_with_ears(struct ears *ears, uint64_t hwm)
{
    struct zu_pipe *pipe = zu_pipe_new(hwm);
    ear_init(&ears->reader);
    ear_init(&ears->writer);
    if (pipe) {
        zu_pipe_set_reader(pipe, &ears->reader.box, &ears->reader.note);
        zu_pipe_set_writer(pipe, &ears->writer.box, &ears->writer.note);
    }
    return pipe;
}

/* Takes all free chunks away, so that the next one asks the allocator; pool_refill gives them back. */
static inline struct zu_chunk *pool_empty(void)
{
    struct zu_chunk *chain = NULL, *chunk;
    zu_alloc_fail_from = 1;
    for (unsigned rung = 0; rung < ZU_CHUNK_RUNGS; rung++) {
        while ((chunk = zu_chunk_new(rung))) {
            chunk->next = chain;
            chain = chunk;
        }
    }
    zu_alloc_fail_from = 0;
    return chain;
}

static inline void pool_refill(struct zu_chunk *chain)
{
    while (chain) {
        struct zu_chunk *next = chain->next;
        zu_chunk_unref(chain);
        chain = next;
    }
}

/* Byte `at` of payload `n`. */
static inline uint8_t payload_byte(uint64_t n, size_t at)
{
    return (uint8_t)(n * 31 + at * 7 + (at >> 8) * 13 + 1);
}

static inline void payload_fill(void *into, uint64_t n, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)into)[i] = payload_byte(n, i);
}

static inline bool payload_is(const void *data, uint64_t n, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (((const uint8_t *)data)[i] != payload_byte(n, i))
            return false;
    }
    return true;
}

/* A free callback that counts in its hint. */
static inline void counted_free(void *data, void *hint)
{
    atomic_fetch_add((_Atomic unsigned *)hint, 1);
    free(data);
}

/* A message around foreign memory that holds payload `n`; its end is counted in `frees`. */
static inline int foreign_msg(struct zu_msg *ret_msg, uint64_t n, size_t size, _Atomic unsigned *frees)
{
    void *data = malloc(size ? size : 1);
    payload_fill(data, n, size);
    int err = zu_msg_init_foreign(ret_msg, data, size, counted_free, frees);
    if (err)
        free(data);
    return err;
}

#endif
