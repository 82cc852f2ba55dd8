/* SPDX-License-Identifier: MIT */
/* Chunks: the published word, the table of references, owners, the pool and its trimming. */
#include "mem/chunk.h"

#include <criterion/criterion.h>
#include <pthread.h>

#include "flow.h"

enum { FAT_CHUNKS = 200 };

Test(chunk, a_word_holds_its_three_numbers_apart)
{
    struct chance chance = chance_new("chunk");
    for (int i = 0; i < 10000; i++) {
        uint32_t end = (uint32_t)chance_below(&chance, 1u << ZU_CHUNK_END_BITS);
        uint32_t refs = (uint32_t)chance_below(&chance, 1u << ZU_CHUNK_REF_BITS);
        uint32_t messages = (uint32_t)chance_below(&chance, 1u << ZU_CHUNK_MESSAGE_BITS);
        uint64_t word = zu_word_make(end, refs, messages);
        cr_assert_eq(word & (ZU_CHUNK_EOF | ZU_CHUNK_SEALED), 0u);
        word |= ZU_CHUNK_EOF | ZU_CHUNK_SEALED;
        cr_assert_eq(zu_word_end(word), end);
        cr_assert_eq(zu_word_refs(word), refs);
        cr_assert_eq(zu_word_messages(word), messages);
    }
}

Test(chunk, each_rung_is_larger_empty_and_all_its_own)
{
    struct zu_chunk *chunks[ZU_CHUNK_RUNGS];
    for (unsigned rung = 0; rung < ZU_CHUNK_RUNGS; rung++) {
        struct zu_chunk *chunk = chunks[rung] = zu_chunk_new(rung);
        cr_assert(rung == 0 || chunk->size > chunks[rung - 1]->size);
        cr_assert_eq(atomic_load(&chunk->word), 0u);
        cr_assert_eq(atomic_load(&chunk->refs), 1u);
        cr_assert_eq(chunk->begin, 0u);
        cr_assert_null(chunk->next);
        cr_assert_eq((uintptr_t)chunk->data % ZU_CACHE_LINE, 0u);
        cr_assert_lt(chunk->size, 1u << ZU_CHUNK_END_BITS);
        payload_fill(chunk->data, rung, chunk->size);
    }
    cr_assert_geq(chunks[ZU_CHUNK_RUNG_RECEIVE]->size, ZU_RECEIVE_HEADROOM + ZU_RECEIVE_SIZE + 32u);
    for (unsigned rung = 0; rung < ZU_CHUNK_RUNGS; rung++) {
        cr_assert(payload_is(chunks[rung]->data, rung, chunks[rung]->size));
        zu_chunk_unref(chunks[rung]);
    }
}

Test(chunk, references_grow_down_from_the_end)
{
    struct zu_chunk *chunk = zu_chunk_new(1);
    uint8_t *end = chunk->data + chunk->size;
    for (uint32_t i = 0; i < 10; i++) {
        uint8_t *at = (uint8_t *)zu_chunk_ref_at(chunk, i);
        cr_assert_eq(end - at, (ptrdiff_t)((i + 1) * sizeof(struct zu_chunk_ref)));
        cr_assert_eq((uintptr_t)at % 8, 0u);
    }
    zu_chunk_unref(chunk);
}

static _Atomic unsigned origins_freed;

static void origin_free(struct zu_origin *origin)
{
    (void)origin;
    origins_freed++;
}

Test(chunk, an_owner_is_a_buffer_a_chunk_or_nobody)
{
    _Atomic unsigned frees = 0;
    zu_owner_drop(zu_owner_of_buf(zu_buf_new_foreign(malloc(1), 1, counted_free, &frees)));
    cr_assert_eq(frees, 1u);
    struct zu_chunk *chunk = zu_chunk_new(0);
    uint64_t free_before = zu_chunk_pool_bytes();
    zu_chunk_hold(chunk);
    cr_assert_eq(zu_owner_chunk(zu_owner_of_chunk(chunk)), chunk);
    zu_owner_drop(zu_owner_of_chunk(chunk));
    cr_assert_eq(zu_chunk_pool_bytes(), free_before);
    zu_owner_drop(zu_owner_of_chunk(chunk));
    cr_assert_eq(zu_chunk_pool_bytes(), free_before + 512);
    zu_owner_drop(0);
}

Test(chunk, the_last_holder_drops_the_origin)
{
    struct zu_origin origin = {.refs = 1, .free = origin_free};
    struct zu_chunk *chunk = zu_chunk_new(0);
    chunk->origin = zu_origin_ref(&origin);
    zu_origin_unref(&origin);
    zu_chunk_hold(chunk);
    zu_chunk_unref(chunk);
    cr_assert_eq(origins_freed, 0u);
    zu_chunk_unref(chunk);
    cr_assert_eq(origins_freed, 1u);
}

Test(chunk, a_free_chunk_is_taken_again_and_memory_may_run_out)
{
    for (unsigned rung = 0; rung < ZU_CHUNK_RUNGS; rung++) {
        zu_alloc_fail_from = 1;
        cr_assert_null(zu_chunk_new(rung));
        zu_alloc_fail_from = 0;
        struct zu_chunk *chunk = zu_chunk_new(rung);
        zu_chunk_unref(chunk);
        zu_alloc_fail_from = 1;
        cr_assert_eq(zu_chunk_new(rung), chunk);
        zu_alloc_fail_from = 0;
        zu_chunk_unref(chunk);
    }
}

struct listener {
    struct zu_chunk_watcher watcher; /* the pool's */
    unsigned calls;                  /* how often it was told */
};

static void count_call(struct zu_chunk_watcher *watcher)
{
    zu_container_of(watcher, struct listener, watcher)->calls++;
}

static void make_fat(void)
{
    struct zu_chunk *chunks[FAT_CHUNKS];
    for (int i = 0; i < FAT_CHUNKS; i++)
        chunks[i] = zu_chunk_new(ZU_CHUNK_RUNG_TOP);
    for (int i = 0; i < FAT_CHUNKS; i++)
        zu_chunk_unref(chunks[i]);
}

Test(chunk, a_fat_pool_calls_once_and_a_trim_or_two_makes_it_lean)
{
    struct listener one = {.watcher.fat = count_call};
    zu_chunk_pool_watch(&one.watcher);
    cr_assert_not(zu_chunk_pool_is_fat());
    for (unsigned spell = 1; spell <= 3; spell++) {
        make_fat();
        make_fat();
        cr_assert(zu_chunk_pool_is_fat());
        cr_assert_eq(one.calls, spell);
        unsigned periods = 0, steps = 0;
        uint64_t again_ns;
        for (; (again_ns = zu_chunk_pool_trim()) != 0; steps++)
            periods += again_ns == ZU_TRIM_PERIOD_NS;
        cr_assert(periods <= 1 && steps > 1, "%u periods, %u steps: a little at a time", periods, steps);
        cr_assert_not(zu_chunk_pool_is_fat());
        cr_assert_gt(zu_chunk_pool_bytes(), 1u << 20, "a little is kept for the next burst");
    }
    zu_chunk_pool_unwatch(&one.watcher);
}

Test(chunk, a_trim_spares_what_was_used_since_the_last)
{
    make_fat();
    uint64_t fat = zu_chunk_pool_bytes();
    zu_chunk_pool_trim();
    make_fat(); /* all of it needed again */
    cr_assert_geq(zu_chunk_pool_bytes(), fat);
    cr_assert_eq(zu_chunk_pool_trim(), ZU_TRIM_PERIOD_NS);
    cr_assert_geq(zu_chunk_pool_bytes(), fat);
}

/* A rung that has given what it can does not begin anew while others still give: it would lose what is in use. */
Test(chunk, a_trim_measures_all_rungs_over_the_same_period)
{
    enum { IDLE = 200, USED = 100, SPARED = 95 };
    static struct zu_chunk *idle[IDLE], *used[USED];
    for (int i = 0; i < IDLE; i++)
        idle[i] = zu_chunk_new(ZU_CHUNK_RUNG_TOP);
    for (int i = 0; i < USED; i++)
        used[i] = zu_chunk_new(ZU_CHUNK_RUNG_RECEIVE);
    for (int i = 0; i < IDLE; i++)
        zu_chunk_unref(idle[i]);
    for (int i = 0; i < USED; i++)
        zu_chunk_unref(used[i]);
    while (zu_chunk_pool_trim() != ZU_TRIM_PERIOD_NS)
        ;
    for (int i = 0; i < SPARED; i++)
        used[i] = zu_chunk_new(ZU_CHUNK_RUNG_RECEIVE);
    for (int i = 0; i < SPARED; i++)
        zu_chunk_unref(used[i]);
    uint64_t all = zu_chunk_pool_bytes();
    while (zu_chunk_pool_trim() < ZU_TRIM_PERIOD_NS && zu_chunk_pool_is_fat())
        ;
    uint64_t kept = all - IDLE * 65536 - (USED - SPARED) * 81920;
    cr_assert_geq(zu_chunk_pool_bytes(), kept, "of %lu bytes %lu are left, not %lu", all, zu_chunk_pool_bytes(), kept);
    while (zu_chunk_pool_trim())
        ;
}

Test(chunk, a_watcher_hears_of_fat_that_was_there_and_passes_the_duty_on)
{
    struct listener one = {.watcher.fat = count_call}, other = {.watcher.fat = count_call};
    make_fat();
    zu_chunk_pool_watch(&one.watcher);
    cr_assert_eq(one.calls, 1u);
    while (zu_chunk_pool_trim())
        ;
    zu_chunk_pool_watch(&other.watcher);
    make_fat();
    cr_assert_eq(one.calls + other.calls, 2u, "one of them hears, not both");
    zu_chunk_pool_unwatch(&other.watcher);
    cr_assert_eq(one.calls, 2u, "who leaves before a trim leaves the duty to another");
    zu_chunk_pool_unwatch(&one.watcher);
    make_fat(); /* nobody hears */
    zu_chunk_pool_watch(&other.watcher);
    cr_assert_eq(other.calls, 2u, "a spell that nobody heard of must not silence the next watcher");
    zu_chunk_pool_unwatch(&other.watcher);
}

static void *churn(void *context)
{
    struct chance chance = {.state = *(uint64_t *)context | 1};
    struct zu_chunk *held[8] = {NULL};
    for (int i = 0; i < 30000; i++) {
        unsigned at = (unsigned)chance_below(&chance, 8);
        if (held[at]) {
            if (held[at]->data[5] != (uint8_t)at)
                return context;
            zu_chunk_unref(held[at]);
        }
        held[at] = zu_chunk_new((unsigned)chance_below(&chance, ZU_CHUNK_RUNGS));
        held[at]->data[5] = (uint8_t)at;
    }
    for (int i = 0; i < 8; i++) {
        if (held[i])
            zu_chunk_unref(held[i]);
    }
    return NULL;
}

Test(chunk, two_threads_share_the_pool)
{
    struct chance chance = chance_new("chunk pool");
    uint64_t seeds[2] = {chance_next(&chance), chance_next(&chance)};
    pthread_t thread;
    void *fault;
    pthread_create(&thread, NULL, churn, &seeds[0]);
    cr_assert_null(churn(&seeds[1]));
    pthread_join(thread, &fault);
    cr_assert_null(fault);
    cr_assert_leq(zu_chunk_pool_bytes(), 16u * (512 + 4096 + 16384 + 65536 + 81920), "more than were ever in use");
    while (zu_chunk_pool_trim())
        ;
}
