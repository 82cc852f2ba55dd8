/* SPDX-License-Identifier: MIT */
/* Timers against a model: a plain table of due times. */
#include "io/timer.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "mem/alloc.h"

enum { COUNT = 200, TURNS = 20000, SPAN_NS = 1000 };

struct tick {
    struct zu_timer timer; /* under test */
    uint64_t due_ns;       /* the model; ZU_NEVER when not set */
    unsigned fired;        /* times */
};

static struct zu_timers timers;
static struct tick ticks[COUNT];
static uint64_t now_ns;
static uint64_t latest_ns; /* due time of what fired last in this run */
static unsigned fired;     /* in this run */

static void tick_fired(struct zu_timer *timer)
{
    struct tick *tick = zu_container_of(timer, struct tick, timer);
    cr_assert_eq(timer->place, 0);
    cr_assert_leq(tick->due_ns, now_ns, "early, or not set");
    cr_assert_leq(latest_ns, tick->due_ns, "out of order");
    latest_ns = tick->due_ns;
    tick->due_ns = ZU_NEVER;
    tick->fired++;
    fired++;
}

static uint64_t model_next_ns(unsigned *ret_due)
{
    uint64_t next_ns = ZU_NEVER;
    *ret_due = 0;
    for (int i = 0; i < COUNT; i++) {
        next_ns = ticks[i].due_ns < next_ns ? ticks[i].due_ns : next_ns;
        *ret_due += ticks[i].due_ns <= now_ns;
    }
    return next_ns;
}

static void step(void)
{
    struct tick *tick = &ticks[random() % COUNT];
    unsigned due;
    switch (random() % 4) {
    case 0:
    case 1:
        tick->due_ns = now_ns + (uint64_t)random() % SPAN_NS;
        cr_assert_eq(zu_timer_set(&timers, &tick->timer, tick->due_ns), 0);
        break;
    case 2:
        tick->due_ns = ZU_NEVER;
        zu_timer_clear(&timers, &tick->timer);
        break;
    default:
        now_ns += (uint64_t)random() % (SPAN_NS / 50);
        model_next_ns(&due);
        fired = 0;
        latest_ns = 0;
        zu_timers_run(&timers, now_ns);
        cr_assert_eq(fired, due);
    }
    cr_assert_eq(zu_timers_next_ns(&timers), model_next_ns(&due));
    cr_assert_eq(tick->timer.place != 0, tick->due_ns != ZU_NEVER);
}

Test(timer, agrees_with_a_model)
{
    unsigned seed = (unsigned)time(NULL);
    fprintf(stderr, "seed %u\n", seed);
    srandom(seed);
    zu_timers_init(&timers);
    for (int i = 0; i < COUNT; i++) {
        ticks[i].timer.fired = tick_fired;
        ticks[i].due_ns = ZU_NEVER;
    }
    for (int i = 0; i < TURNS; i++)
        step();
    unsigned all = 0;
    for (int i = 0; i < COUNT; i++)
        all += ticks[i].fired;
    cr_assert_gt(all, 100);
    zu_timers_fini(&timers);
}

static void again_fired(struct zu_timer *timer)
{
    ticks[0].fired++;
    cr_assert_eq(zu_timer_set(&timers, timer, 1), 0);
}

Test(timer, set_anew_to_the_past_fires_once_a_run)
{
    zu_timers_init(&timers);
    ticks[0].timer.fired = again_fired;
    cr_assert_eq(zu_timer_set(&timers, &ticks[0].timer, 1), 0);
    zu_timers_run(&timers, 10);
    cr_assert_eq(ticks[0].fired, 1);
    cr_assert_eq(zu_timers_next_ns(&timers), 1);
    zu_timers_run(&timers, 10);
    cr_assert_eq(ticks[0].fired, 2);
    zu_timers_fini(&timers);
}

static void clearing_fired(struct zu_timer *timer)
{
    (void)timer;
    ticks[0].fired++;
    zu_timer_clear(&timers, &ticks[1].timer);
}

Test(timer, a_handler_clears_another_that_is_due)
{
    zu_timers_init(&timers);
    ticks[0].timer.fired = clearing_fired;
    ticks[1].timer.fired = tick_fired;
    cr_assert_eq(zu_timer_set(&timers, &ticks[0].timer, 1), 0);
    cr_assert_eq(zu_timer_set(&timers, &ticks[1].timer, 2), 0);
    zu_timers_run(&timers, 10);
    cr_assert_eq(ticks[0].fired, 1);
    cr_assert_eq(ticks[1].fired, 0);
    cr_assert_eq(zu_timers_next_ns(&timers), ZU_NEVER);
    zu_timers_fini(&timers);
}

Test(timer, without_memory_it_is_not_set)
{
    zu_timers_init(&timers);
    zu_alloc_fail_from = 1;
    cr_assert_eq(zu_timer_set(&timers, &ticks[0].timer, 1), -ENOMEM);
    zu_alloc_fail_from = 0;
    cr_assert_eq(ticks[0].timer.place, 0);
    cr_assert_eq(zu_timers_next_ns(&timers), ZU_NEVER);
    zu_timer_clear(&timers, &ticks[0].timer);
    zu_timers_fini(&timers);
}
