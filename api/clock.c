/* SPDX-License-Identifier: MIT */
/*
 * Stopwatches on the monotonic clock and a coarse sleep, which hands over what this thread has sent before. A stopwatch
 * is the heap copy of its starting moment; only starting one can fail (ENOMEM), and a NULL stopwatch reads 0.
 */
#include "zmq.h"

#include "base/clock.h"
#include "core/batches.h"

#include <stdlib.h>

void *zmq_stopwatch_start(void)
{
    uint64_t *start_ns = malloc(sizeof *start_ns);
    if (start_ns)
        *start_ns = zu_clock_ns();
    return start_ns;
}

unsigned long zmq_stopwatch_intermediate(void *watch)
{
    const uint64_t *start_ns = watch;
    return start_ns ? (unsigned long)((zu_clock_ns() - *start_ns) / 1000) : 0;
}

unsigned long zmq_stopwatch_stop(void *watch)
{
    unsigned long elapsed_us = zmq_stopwatch_intermediate(watch);
    free(watch);
    return elapsed_us;
}

void zmq_sleep(int seconds)
{
    zu_batches_flush();
    struct timespec length = {.tv_sec = seconds > 0 ? seconds : 0};
    clock_nanosleep(CLOCK_MONOTONIC, 0, &length, NULL);
}
