/* SPDX-License-Identifier: MIT */
/* Sleeping on a word. Every wait has a timeout, because one without restarts under SA_RESTART and never says EINTR. */
#ifndef ZU_BASE_FUTEX_H
#define ZU_BASE_FUTEX_H

#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"

/* Sleeps while *word is `expected`, until `until_ns` at the latest: 0 (look again), -EINTR, -ETIMEDOUT. */
static inline int zu_futex_wait(_Atomic uint32_t *word, uint32_t expected, uint64_t until_ns)
{
    uint64_t now_ns = zu_clock_ns();
    uint64_t left_ns = until_ns > now_ns ? until_ns - now_ns : 0;
    if (left_ns > 3600 * ZU_NS_PER_S)
        left_ns = 3600 * ZU_NS_PER_S;
    struct timespec left = {.tv_sec = (time_t)(left_ns / ZU_NS_PER_S), .tv_nsec = (long)(left_ns % ZU_NS_PER_S)};
    if (syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, &left, NULL, 0) == 0 || errno == EAGAIN)
        return 0;
    if (errno == ETIMEDOUT)
        return zu_clock_ns() < until_ns ? 0 : -ETIMEDOUT;
    return -EINTR;
}

static inline void zu_futex_wake(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

#endif
