/* SPDX-License-Identifier: MIT */
/*
 * A binary heap of pointers; each timer knows its place, so clearing is as cheap as setting. run fires what is due, at
 * most once each, so a handler that sets its timer again to the past cannot hold the shard.
 * Setting fails only for want of memory.
 */
#include "io/timer.h"

#include <errno.h>

#include "mem/alloc.h"

void zu_timers_init(struct zu_timers *timers)
{
    *timers = (struct zu_timers){0};
}

void zu_timers_fini(struct zu_timers *timers)
{
    if (timers->heap)
        zu_free(timers->heap, timers->size * sizeof *timers->heap);
}

static void put(struct zu_timers *timers, size_t index, struct zu_timer *timer)
{
    timers->heap[index] = timer;
    timer->place = index + 1;
}

static void sift_up(struct zu_timers *timers, size_t index, struct zu_timer *timer)
{
    while (index > 0 && timers->heap[(index - 1) / 2]->due_ns > timer->due_ns) {
        put(timers, index, timers->heap[(index - 1) / 2]);
        index = (index - 1) / 2;
    }
    put(timers, index, timer);
}

static void sift_down(struct zu_timers *timers, size_t index, struct zu_timer *timer)
{
    for (;;) {
        size_t child = 2 * index + 1;
        if (child >= timers->count)
            break;
        if (child + 1 < timers->count && timers->heap[child + 1]->due_ns < timers->heap[child]->due_ns)
            child++;
        if (timers->heap[child]->due_ns >= timer->due_ns)
            break;
        put(timers, index, timers->heap[child]);
        index = child;
    }
    put(timers, index, timer);
}

int zu_timer_set(struct zu_timers *timers, struct zu_timer *timer, uint64_t due_ns)
{
    zu_timer_clear(timers, timer);
    if (timers->count == timers->size) {
        size_t size = timers->size ? 2 * timers->size : 16;
        struct zu_timer **heap =
            zu_realloc(timers->heap, timers->size * sizeof(struct zu_timer *), size * sizeof(struct zu_timer *));
        if (!heap)
            return -ENOMEM;
        timers->heap = heap;
        timers->size = size;
    }
    timer->due_ns = due_ns;
    sift_up(timers, timers->count++, timer);
    return 0;
}

void zu_timer_clear(struct zu_timers *timers, struct zu_timer *timer)
{
    if (!timer->place)
        return;
    size_t index = timer->place - 1;
    timer->place = 0;
    struct zu_timer *last = timers->heap[--timers->count];
    if (last == timer)
        return;
    if (index > 0 && timers->heap[(index - 1) / 2]->due_ns > last->due_ns)
        sift_up(timers, index, last);
    else
        sift_down(timers, index, last);
}

uint64_t zu_timers_next_ns(const struct zu_timers *timers)
{
    return timers->count ? timers->heap[0]->due_ns : ZU_NEVER;
}

void zu_timers_run(struct zu_timers *timers, uint64_t now_ns)
{
    for (size_t left = timers->count; left && timers->count && timers->heap[0]->due_ns <= now_ns; left--) {
        struct zu_timer *timer = timers->heap[0];
        zu_timer_clear(timers, timer);
        timer->fired(timer);
    }
}
