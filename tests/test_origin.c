/* SPDX-License-Identifier: MIT */
/* References of an origin by way of the threads' stocks: whatever is taken and given, it is freed once, and not before. */
#include "mem/origin.h"

#include <criterion/criterion.h>
#include <pthread.h>

#include "flow.h"

enum { ORIGINS = 3, ROUNDS = 20000, HELD_MAX = 5000 };

struct counted {
    struct zu_origin origin; /* first: freed by address */
    _Atomic unsigned frees;  /* should end at 1 */
};

static struct counted origins[ORIGINS];
/* Whom the stock turns to when it is to let go of the others; never freed. */
static struct zu_origin nobody;

static void count_free(struct zu_origin *origin)
{
    atomic_fetch_add(&((struct counted *)(void *)origin)->frees, 1);
}

static void origins_begin(void)
{
    atomic_store(&nobody.refs, 1);
    for (int i = 0; i < ORIGINS; i++) {
        atomic_store(&origins[i].origin.refs, 1);
        origins[i].origin.free = count_free;
    }
}

static void stock_empty(void)
{
    zu_origin_give(zu_origin_take(&nobody));
}

static void *take_and_give(void *context)
{
    struct chance chance = {.state = *(uint64_t *)context | 1};
    unsigned held[ORIGINS] = {0};
    for (int round = 0; round < ROUNDS; round++) {
        unsigned i = chance_below(&chance, 50) ? 0 : (unsigned)chance_below(&chance, ORIGINS);
        bool grows = (round / 4000) % 2 == 0 ? chance_below(&chance, 10) > 0 : chance_below(&chance, 10) == 0;
        if (grows && held[i] < HELD_MAX) {
            zu_origin_take(&origins[i].origin);
            held[i]++;
        } else if (held[i]) {
            zu_origin_give(&origins[i].origin);
            held[i]--;
        }
        if (origins[i].frees)
            return context;
    }
    for (unsigned i = 0; i < ORIGINS; i++) {
        while (held[i]--)
            zu_origin_give(&origins[i].origin);
    }
    return NULL;
}

Test(origin, a_thread_gives_back_what_it_took)
{
    struct chance chance = chance_new("origin");
    uint64_t seed = chance_next(&chance);
    origins_begin();
    cr_assert_null(take_and_give(&seed));
    stock_empty();
    for (int i = 0; i < ORIGINS; i++) {
        cr_assert_eq(origins[i].frees, 0u);
        cr_assert_eq(origins[i].origin.refs, 1u);
        zu_origin_unref(&origins[i].origin);
        cr_assert_eq(origins[i].frees, 1u);
    }
}

Test(origin, threads_that_exit_leave_nothing_in_stock)
{
    struct chance chance = chance_new("origin threads");
    uint64_t seeds[2] = {chance_next(&chance), chance_next(&chance)};
    pthread_t threads[2];
    void *fault;
    origins_begin();
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, take_and_give, &seeds[i]);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], &fault);
        cr_assert_null(fault, "freed while it was held");
    }
    for (int i = 0; i < ORIGINS; i++) {
        cr_assert_eq(origins[i].origin.refs, 1u);
        zu_origin_unref(&origins[i].origin);
        cr_assert_eq(origins[i].frees, 1u);
    }
}

Test(origin, one_thread_may_take_and_another_give)
{
    origins_begin();
    struct zu_origin *origin = &origins[0].origin;
    pthread_t thread;
    uint64_t seed = 1;
    for (int i = 0; i < 10; i++)
        zu_origin_take(origin);
    pthread_create(&thread, NULL, take_and_give, &seed);
    pthread_join(thread, NULL);
    zu_origin_unref(origin);
    stock_empty();
    cr_assert_eq(origin->refs, 10u);
    for (int i = 0; i < 10; i++) {
        cr_assert_eq(origins[0].frees, 0u);
        zu_origin_give(origin);
    }
    cr_assert_eq(origins[0].frees, 1u);
    cr_assert_null(zu_origin_take(NULL));
    zu_origin_give(NULL);
}
