/* SPDX-License-Identifier: MIT */
#include "zmq.h"

#include "base/clock.h"

#include <criterion/criterion.h>
#include <limits.h>
#include <stdlib.h>
#include <time.h>

/* Nothing here depends on how fast the machine is: tests spin until a timer is due, or use intervals of hours. */

enum { HOUR_MS = 3600 * 1000, PATIENCE_MS = 10000 };

static void *timers;

static void setup(void)
{
    timers = zmq_timers_new();
    cr_assert_not_null(timers);
}

static void teardown(void)
{
    cr_assert_eq(zmq_timers_destroy(&timers), 0);
    cr_assert_null(timers);
}

TestSuite(timers, .init = setup, .fini = teardown, .timeout = 60);

/* Spins until a timer is due. */
static void due_await(void)
{
    uint64_t deadline_ns = zu_deadline_ns(PATIENCE_MS);
    while (zmq_timers_timeout(timers) != 0)
        cr_assert(zu_clock_ns() < deadline_ns, "no timer became due");
}

static void count(int timer_id, void *arg)
{
    (void)timer_id;
    ++*(int *)arg;
}

Test(timers, an_empty_set_never_ends_a_wait)
{
    errno = 0;
    cr_assert_eq(zmq_timers_timeout(timers), -1);
    cr_assert_eq(errno, 0);
    cr_assert_eq(zmq_timers_execute(timers), 0);
}

Test(timers, ids_count_from_one_and_are_not_reused)
{
    int runs = 0;
    cr_assert_eq(zmq_timers_add(timers, HOUR_MS, count, &runs), 1);
    cr_assert_eq(zmq_timers_add(timers, HOUR_MS, count, &runs), 2);
    cr_assert_eq(zmq_timers_cancel(timers, 2), 0);
    cr_assert_eq(zmq_timers_add(timers, HOUR_MS, count, &runs), 3);
}

Test(timers, runs_when_due_and_again_after_the_interval)
{
    int runs = 0;
    uint64_t start_ns = zu_clock_ns();
    zmq_timers_add(timers, 5, count, &runs);
    cr_assert_leq(zmq_timers_timeout(timers), 5);
    for (int expected = 1; expected <= 3; expected++) {
        due_await();
        cr_assert_eq(runs, expected - 1, "ran by itself");
        cr_assert_eq(zmq_timers_execute(timers), 0);
        cr_assert_eq(runs, expected);
        cr_assert_geq(zu_clock_ns() - start_ns, (uint64_t)expected * 5 * ZU_NS_PER_MS, "ran early");
    }
}

Test(timers, nothing_runs_before_it_is_due)
{
    int runs = 0;
    zmq_timers_add(timers, HOUR_MS, count, &runs);
    zmq_timers_execute(timers);
    cr_assert_eq(runs, 0);
    long timeout_ms = zmq_timers_timeout(timers);
    cr_assert(timeout_ms > HOUR_MS - PATIENCE_MS && timeout_ms <= HOUR_MS, "%ld", timeout_ms);
}

Test(timers, an_interval_of_zero_runs_once_per_call)
{
    int runs = 0;
    zmq_timers_add(timers, 0, count, &runs);
    for (int expected = 1; expected <= 3; expected++) {
        due_await();
        zmq_timers_execute(timers);
        cr_assert_eq(runs, expected);
    }
}

Test(timers, the_longest_interval_does_not_wrap)
{
    int runs = 0;
    zmq_timers_add(timers, SIZE_MAX, count, &runs);
    zmq_timers_execute(timers);
    cr_assert_eq(runs, 0);
    cr_assert_gt(zmq_timers_timeout(timers), (long)HOUR_MS);
}

static int order[3];
static int ordered;

static void note_order(int timer_id, void *arg)
{
    (void)arg;
    order[ordered++] = timer_id;
}

Test(timers, the_earliest_runs_first)
{
    zmq_timers_add(timers, 3, note_order, NULL);
    zmq_timers_add(timers, 1, note_order, NULL);
    zmq_timers_add(timers, 2, note_order, NULL);
    uint64_t all_due_ns = zu_deadline_ns(4);
    while (zu_clock_ns() < all_due_ns)
        ;
    /* Three only if none is run twice, however late the call is. */
    zmq_timers_execute(timers);
    cr_assert_eq(ordered, 3);
    cr_assert(order[0] == 2 && order[1] == 3 && order[2] == 1, "%d %d %d", order[0], order[1], order[2]);
}

Test(timers, cancel_ends_a_timer_once)
{
    int runs = 0;
    int id = zmq_timers_add(timers, 0, count, &runs);
    cr_assert_eq(zmq_timers_cancel(timers, id), 0);
    errno = 0;
    cr_assert_eq(zmq_timers_cancel(timers, id), -1);
    cr_assert_eq(errno, EINVAL);
    cr_assert_eq(zmq_timers_timeout(timers), -1);
    zmq_timers_execute(timers);
    cr_assert_eq(runs, 0);
}

Test(timers, an_unknown_id_is_refused)
{
    errno = 0;
    cr_assert_eq(zmq_timers_reset(timers, 1), -1);
    cr_assert_eq(errno, EINVAL);
    errno = 0;
    cr_assert_eq(zmq_timers_set_interval(timers, 0, 1), -1);
    cr_assert_eq(errno, EINVAL);
}

Test(timers, reset_and_set_interval_start_afresh)
{
    int runs = 0;
    int id = zmq_timers_add(timers, 1, count, &runs);
    due_await();
    cr_assert_eq(zmq_timers_set_interval(timers, id, HOUR_MS), 0);
    zmq_timers_execute(timers);
    cr_assert_eq(runs, 0);
    uint64_t deadline_ns = zu_deadline_ns(PATIENCE_MS);
    while (zmq_timers_timeout(timers) > HOUR_MS - 5)
        cr_assert(zu_clock_ns() < deadline_ns, "the time left does not shrink");
    uint64_t before_ns = zu_clock_ns();
    cr_assert_eq(zmq_timers_reset(timers, id), 0);
    uint64_t left_ns = (uint64_t)zmq_timers_timeout(timers) * ZU_NS_PER_MS;
    cr_assert_geq(left_ns + (zu_clock_ns() - before_ns), HOUR_MS * ZU_NS_PER_MS, "the interval goes on as before");
}

static int handler_runs;

static void cancel_self(int timer_id, void *arg)
{
    (void)arg;
    handler_runs++;
    cr_assert_eq(zmq_timers_cancel(timers, timer_id), 0);
    cr_assert_eq(zmq_timers_cancel(timers, timer_id), -1);
}

Test(timers, a_handler_may_cancel_itself)
{
    zmq_timers_add(timers, 0, cancel_self, NULL);
    due_await();
    zmq_timers_execute(timers);
    zmq_timers_execute(timers);
    cr_assert_eq(handler_runs, 1);
    cr_assert_eq(zmq_timers_timeout(timers), -1);
}

static void cancel_other(int timer_id, void *arg)
{
    (void)timer_id;
    handler_runs++;
    cr_assert_eq(zmq_timers_cancel(timers, *(int *)arg), 0);
}

Test(timers, a_handler_may_cancel_one_that_is_due_too)
{
    int runs = 0;
    int other = 2;
    zmq_timers_add(timers, 0, cancel_other, &other);
    zmq_timers_add(timers, 0, count, &runs);
    due_await();
    zmq_timers_execute(timers);
    cr_assert_eq(handler_runs, 1);
    cr_assert_eq(runs, 0);
}

static void rearm_self(int timer_id, void *arg)
{
    (void)arg;
    handler_runs++;
    cr_assert_eq(zmq_timers_reset(timers, timer_id), 0);
    cr_assert_eq(zmq_timers_set_interval(timers, timer_id, HOUR_MS), 0);
}

Test(timers, a_handler_may_change_itself)
{
    zmq_timers_add(timers, 0, rearm_self, NULL);
    due_await();
    zmq_timers_execute(timers);
    cr_assert_eq(handler_runs, 1);
    cr_assert_gt(zmq_timers_timeout(timers), (long)HOUR_MS - PATIENCE_MS);
}

static void add_many(int timer_id, void *arg)
{
    (void)timer_id;
    handler_runs++;
    for (int i = 0; i < 100; i++)
        cr_assert_gt(zmq_timers_add(timers, HOUR_MS, count, arg), 0);
}

Test(timers, a_handler_may_add_until_the_set_moves)
{
    int runs = 0;
    int id = zmq_timers_add(timers, 0, add_many, &runs);
    due_await();
    zmq_timers_execute(timers);
    cr_assert_eq(handler_runs, 1);
    cr_assert_eq(zmq_timers_cancel(timers, id), 0);
    for (id = 2; id <= 101; id++)
        cr_assert_eq(zmq_timers_cancel(timers, id), 0);
    cr_assert_eq(zmq_timers_timeout(timers), -1);
}

static void destroy_set(int timer_id, void *arg)
{
    (void)timer_id;
    (void)arg;
    handler_runs++;
    errno = 0;
    cr_assert_eq(zmq_timers_destroy(&timers), -1);
    cr_assert_eq(errno, EBUSY);
}

Test(timers, a_handler_may_not_destroy_its_set)
{
    zmq_timers_add(timers, 0, destroy_set, NULL);
    due_await();
    zmq_timers_execute(timers);
    cr_assert_eq(handler_runs, 1);
    cr_assert_not_null(timers);
}

/* Adds and cancels at random, in steps of hours, and always expects the wait for the soonest that is left. */
Test(timers, the_timeout_is_always_the_soonest)
{
    enum { ROUNDS = 2000 };
    static unsigned hours[ROUNDS + 1]; /* by id; 0 cancelled */
    unsigned seed = (unsigned)time(NULL);
    int runs = 0;
    int last = 0;
    cr_log_info("seed %u", seed);
    for (int round = 0; round < ROUNDS; round++) {
        int id = last ? 1 + rand_r(&seed) % last : 0;
        if (id && rand_r(&seed) % 2) {
            cr_assert_eq(zmq_timers_cancel(timers, id), hours[id] ? 0 : -1);
            hours[id] = 0;
        } else {
            hours[++last] = 1 + (unsigned)rand_r(&seed) % 100;
            cr_assert_eq(zmq_timers_add(timers, (size_t)hours[last] * HOUR_MS, count, &runs), last);
        }
        unsigned soonest = UINT_MAX;
        for (id = 1; id <= last; id++)
            if (hours[id] && hours[id] < soonest)
                soonest = hours[id];
        long timeout_ms = zmq_timers_timeout(timers);
        long rounded = timeout_ms < 0 ? -1 : (timeout_ms + HOUR_MS - 1) / HOUR_MS;
        cr_assert_eq(rounded, soonest == UINT_MAX ? -1 : (long)soonest);
    }
}

Test(timers, what_is_no_set_is_refused)
{
    uint64_t other[16] = {0};
    void *handles[] = {NULL, other};
    for (size_t i = 0; i < 2; i++) {
        int runs = 0;
        void *handle = handles[i];
        errno = 0;
        cr_assert_eq(zmq_timers_add(handle, 1, count, &runs), -1);
        cr_assert_eq(errno, EFAULT);
        cr_assert_eq(zmq_timers_cancel(handle, 1), -1);
        cr_assert_eq(zmq_timers_set_interval(handle, 1, 1), -1);
        cr_assert_eq(zmq_timers_reset(handle, 1), -1);
        cr_assert_eq(zmq_timers_execute(handle), -1);
        errno = 0;
        cr_assert_eq(zmq_timers_timeout(handle), -1);
        cr_assert_eq(errno, EFAULT);
        errno = 0;
        cr_assert_eq(zmq_timers_destroy(&handle), -1);
        cr_assert_eq(errno, EFAULT);
        cr_assert_eq(handle, handles[i]);
    }
    cr_assert_eq(zmq_timers_destroy(NULL), -1);
    errno = 0;
    cr_assert_eq(zmq_timers_add(timers, 1, NULL, NULL), -1);
    cr_assert_eq(errno, EFAULT);
}
