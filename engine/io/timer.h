/* SPDX-License-Identifier: MIT */
/* One-shot timers of a shard: a heap by due time. Nothing ticks; the shard sleeps until the earliest. */
#ifndef ZU_IO_TIMER_H
#define ZU_IO_TIMER_H

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/clock.h"

/* The shard's thread. Embedded in its owner, zeroed at first. */
struct zu_timer {
    uint64_t due_ns;                 /* when */
    size_t place;                    /* 1 + index in the heap; 0 when not set */
    void (*fired)(struct zu_timer *); /* what then; the timer is no longer set when called, and may be set again */
};

/* The shard's thread. */
struct zu_timers {
    struct zu_timer **heap; /* earliest first */
    size_t count;           /* timers set */
    size_t size;            /* room in heap */
};

void zu_timers_init(struct zu_timers *timers);
void zu_timers_fini(struct zu_timers *timers);
/* Sets, or sets anew. -ENOMEM, with the timer not set. */
int zu_timer_set(struct zu_timers *timers, struct zu_timer *timer, uint64_t due_ns);
/* Safe on a timer that is not set. */
void zu_timer_clear(struct zu_timers *timers, struct zu_timer *timer);
/* Earliest due time, or ZU_NEVER. */
uint64_t zu_timers_next_ns(const struct zu_timers *timers);
void zu_timers_run(struct zu_timers *timers, uint64_t now_ns);

#endif
