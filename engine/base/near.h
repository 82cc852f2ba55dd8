/* SPDX-License-Identifier: MIT */
/*
 * Nearness: a thread that wakes another again and again, to leave it bytes, can go to the processor where the other runs.
 * It then leaves them in the other's cache, and the wake-up is a switch instead of an interrupt to another core.
 * Measured: bench/README.md.
 */
#ifndef ZU_BASE_NEAR_H
#define ZU_BASE_NEAR_H

#include <stdbool.h>

#include "base/attr.h"

/* Whom this thread wakes. */
struct zu_near {
    int cpu;        /* where the ones it woke last had run */
    unsigned wakes; /* so many in a row */
};

extern _Thread_local struct zu_near zu_near;

/* A sleeper was woken that had run on `cpu`. */
ZU_INLINE void zu_near_woke(int cpu)
{
    zu_near.wakes = zu_near.cpu == cpu ? zu_near.wakes + 1 : 1;
    zu_near.cpu = cpu;
}

/*
 * Goes there and counts anew. It does not stay by force: the scheduler may move the thread on at any time. False: it is
 * there already, may not run there, or cannot say where it may run.
 */
bool zu_near_follow(void);

#endif
