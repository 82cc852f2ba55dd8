/* SPDX-License-Identifier: MIT */
#include "zmq.h"

#include "base/clock.h"

#include <criterion/criterion.h>
#include <limits.h>

/* The system's sleep is played by this file, so that nobody sleeps: the program's definition precedes libc's.
 * The brackets tell tests/house.py that this is no call. */
static struct timespec slept;
static clockid_t slept_by;
static int sleeps;

int(clock_nanosleep)(clockid_t clock, int flags, const struct timespec *length, struct timespec *ret_left)
{
    (void)ret_left;
    cr_assert_eq(flags, 0, "not a length but a moment");
    slept_by = clock;
    slept = *length;
    sleeps++;
    return 0;
}

Test(clock, a_stopwatch_measures_microseconds)
{
    uint64_t before_ns = zu_clock_ns();
    void *watch = zmq_stopwatch_start();
    uint64_t started_ns = zu_clock_ns();
    cr_assert_not_null(watch);
    while (zu_clock_ns() - started_ns < 3 * ZU_NS_PER_MS)
        ;
    uint64_t asked_ns = zu_clock_ns();
    unsigned long first_us = zmq_stopwatch_intermediate(watch);
    unsigned long second_us = zmq_stopwatch_intermediate(watch);
    unsigned long last_us = zmq_stopwatch_stop(watch);
    uint64_t after_ns = zu_clock_ns();
    cr_assert_geq(first_us, (asked_ns - started_ns) / 1000);
    cr_assert_leq(first_us, second_us);
    cr_assert_leq(second_us, last_us);
    cr_assert_leq(last_us, (after_ns - before_ns) / 1000);
}

Test(clock, no_stopwatch_reads_zero)
{
    cr_assert_eq(zmq_stopwatch_intermediate(NULL), 0);
    cr_assert_eq(zmq_stopwatch_stop(NULL), 0);
}

Test(clock, sleeps_for_whole_seconds)
{
    static const int lengths[] = {3, 0, -1, INT_MAX, INT_MIN};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        sleeps = 0;
        zmq_sleep(lengths[i]);
        cr_assert_eq(sleeps, 1);
        cr_assert_eq(slept_by, CLOCK_MONOTONIC);
        cr_assert_eq(slept.tv_sec, lengths[i] > 0 ? lengths[i] : 0);
        cr_assert_eq(slept.tv_nsec, 0);
    }
}
