/* SPDX-License-Identifier: MIT */
/*
 * Looking again and again instead of sleeping, for a while. The processor is offered to others now and then: the one who
 * is waited for may be runnable on this very processor. Where more threads want to run than there are processors, spinning
 * keeps the others from what is waited for: whoever finds that it was off the processor for long in mid-spin sleeps instead
 * for a while. Who spins in vain is not held back: it costs no more than the budget for each wait, and a spin left out
 * would be missing where it was asked for, at the first messages after a pause.
 * A signal that is handled in mid-spin is not seen, for only a sleep tells of one; to hold signals back until there would
 * cost every wait two calls to the kernel.
 */
#ifndef ZU_BASE_SPIN_H
#define ZU_BASE_SPIN_H

#include <sched.h>
#include <stdbool.h>

#include "base/attr.h"
#include "base/clock.h"

enum {
    ZU_SPIN_CLOCK_EVERY = 8,      /* looks: the clock costs more than one */
    ZU_SPIN_OFFER_EVERY = 32,     /* looks */
    ZU_SPIN_ROBBED_NS = 300000,   /* between two looks: others needed the processor */
    ZU_SPIN_PAUSE_NS = 100000000, /* and so long they may have it */
};

/* Of one thread at a time. */
struct zu_spinner {
    uint64_t budget_ns; /* how long a spin may be; 0: none */
    uint64_t off_ns;    /* no spin before this moment */
    uint64_t end_ns;    /* of the present spin */
    uint64_t look_ns;   /* its last look */
    unsigned turns;     /* looks so far */
};

/* Begins a spin that ends by `until_ns`. False: not now. */
ZU_INLINE bool zu_spin_begin(struct zu_spinner *spinner, uint64_t until_ns)
{
    if (zu_likely(!spinner->budget_ns))
        return false;
    uint64_t now_ns = zu_clock_ns();
    if (now_ns < spinner->off_ns)
        return false;
    spinner->look_ns = now_ns;
    spinner->end_ns = now_ns + spinner->budget_ns < until_ns ? now_ns + spinner->budget_ns : until_ns;
    spinner->turns = 0;
    return true;
}

/* After so many looks in vain. False: enough. */
ZU_INLINE bool zu_spin_on_after(struct zu_spinner *spinner, unsigned looks)
{
    unsigned before = spinner->turns, after = before + looks;
    spinner->turns = after;
    zu_cpu_relax();
    if (before / ZU_SPIN_CLOCK_EVERY == after / ZU_SPIN_CLOCK_EVERY)
        return true;
    if (before / ZU_SPIN_OFFER_EVERY != after / ZU_SPIN_OFFER_EVERY)
        sched_yield();
    uint64_t now_ns = zu_clock_ns();
    if (zu_unlikely(now_ns - spinner->look_ns > ZU_SPIN_ROBBED_NS)) {
        spinner->off_ns = now_ns + ZU_SPIN_PAUSE_NS;
        return false;
    }
    spinner->look_ns = now_ns;
    return now_ns < spinner->end_ns;
}

ZU_INLINE bool zu_spin_on(struct zu_spinner *spinner)
{
    return zu_spin_on_after(spinner, 1);
}

#endif
