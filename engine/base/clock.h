/* SPDX-License-Identifier: MIT */
/* Monotonic time in nanoseconds. 2^64 ns are 584 years: it does not wrap. */
#ifndef ZU_BASE_CLOCK_H
#define ZU_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define ZU_NS_PER_MS UINT64_C(1000000)
#define ZU_NS_PER_S UINT64_C(1000000000)
#define ZU_NEVER UINT64_MAX

static inline uint64_t zu_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * ZU_NS_PER_S + (uint64_t)now.tv_nsec;
}

/* The moment `timeout_ms` from now; negative means never. */
static inline uint64_t zu_deadline_ns(long timeout_ms)
{
    return timeout_ms < 0 ? ZU_NEVER : zu_clock_ns() + (uint64_t)timeout_ms * ZU_NS_PER_MS;
}

#endif
