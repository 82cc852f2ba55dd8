/* SPDX-License-Identifier: MIT */
/*
 * A set of repeating timers: an array sorted by the moment they are due, equal ones in the order they were armed.
 * Running takes the first one, re-arms it beyond the moment the run began, and only then calls its handler, which
 * therefore may change the set as it likes: nothing of the set is remembered across the call.
 * A handle that is no set is EFAULT, an unknown id EINVAL; adding also fails for want of memory or ids. A handler
 * cannot destroy the set it is called from (EBUSY).
 */
#include "zmq.h"

#include "base/clock.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#define TIMERS_TAG 0x7a74696du

struct timer {
    uint64_t due_ns;       /* on the monotonic clock */
    size_t interval_ms;    /* between two runs */
    zmq_timer_fn *handler; /* what to call */
    void *arg;             /* with what */
    int id;                /* from 1 */
};

/* Used by one thread at a time. */
struct timers {
    volatile uint32_t tag; /* TIMERS_TAG while alive; volatile keeps the compiler from dropping the last store */
    int last_id;           /* the newest timer's, 0 at first */
    unsigned running;      /* nesting of zmq_timers_execute() */
    size_t count;          /* timers in the array */
    size_t room;           /* timers it has memory for */
    struct timer *all;     /* sorted by due_ns */
};

static struct timers *timers_of(void *handle)
{
    struct timers *timers = handle;
    if (timers && timers->tag == TIMERS_TAG)
        return timers;
    errno = EFAULT;
    return NULL;
}

/* The moment `interval_ms` after now_ns, later by 1 ns at least: a timer without interval runs once per run. */
static uint64_t due_after(uint64_t now_ns, size_t interval_ms)
{
    if (interval_ms > (ZU_NEVER - now_ns) / ZU_NS_PER_MS)
        return ZU_NEVER;
    return now_ns + (interval_ms ? interval_ms * ZU_NS_PER_MS : 1);
}

/* The timer's place in the array, or -1 with errno set. */
static ssize_t timer_find(const struct timers *timers, int id)
{
    for (size_t i = 0; i < timers->count; i++)
        if (timers->all[i].id == id)
            return (ssize_t)i;
    errno = EINVAL;
    return -1;
}

static void timer_remove(struct timers *timers, size_t at)
{
    timers->count--;
    memmove(&timers->all[at], &timers->all[at + 1], (timers->count - at) * sizeof timers->all[0]);
}

/* The array must have room for one more. */
static void timer_insert(struct timers *timers, struct timer timer)
{
    size_t at = timers->count;
    while (at > 0 && timers->all[at - 1].due_ns > timer.due_ns)
        at--;
    memmove(&timers->all[at + 1], &timers->all[at], (timers->count - at) * sizeof timers->all[0]);
    timers->all[at] = timer;
    timers->count++;
}

/* Moves the timer to its place for a run `interval_ms` after now_ns. */
static void timer_rearm(struct timers *timers, size_t at, uint64_t now_ns, size_t interval_ms)
{
    struct timer timer = timers->all[at];
    timer_remove(timers, at);
    timer.interval_ms = interval_ms;
    timer.due_ns = due_after(now_ns, interval_ms);
    timer_insert(timers, timer);
}

static int timers_grow(struct timers *timers)
{
    if (timers->count < timers->room)
        return 0;
    size_t room = timers->room ? timers->room * 2 : 8;
    struct timer *all = reallocarray(timers->all, room, sizeof *all);
    if (!all)
        return -1;
    timers->all = all;
    timers->room = room;
    return 0;
}

void *zmq_timers_new(void)
{
    struct timers *timers = calloc(1, sizeof *timers);
    if (timers)
        timers->tag = TIMERS_TAG;
    return timers;
}

int zmq_timers_destroy(void **handle)
{
    struct timers *timers = timers_of(handle ? *handle : NULL);
    if (!timers)
        return -1;
    if (timers->running) {
        errno = EBUSY;
        return -1;
    }
    timers->tag = 0;
    free(timers->all);
    free(timers);
    *handle = NULL;
    return 0;
}

int zmq_timers_add(void *handle, size_t interval_ms, zmq_timer_fn handler, void *arg)
{
    struct timers *timers = timers_of(handle);
    if (!timers)
        return -1;
    if (!handler) {
        errno = EFAULT;
        return -1;
    }
    if (timers->last_id == INT_MAX) {
        errno = EOVERFLOW;
        return -1;
    }
    if (timers_grow(timers) < 0)
        return -1;
    timer_insert(timers, (struct timer){
                             .due_ns = due_after(zu_clock_ns(), interval_ms),
                             .interval_ms = interval_ms,
                             .handler = handler,
                             .arg = arg,
                             .id = ++timers->last_id,
                         });
    return timers->last_id;
}

int zmq_timers_cancel(void *handle, int timer_id)
{
    struct timers *timers = timers_of(handle);
    ssize_t at = timers ? timer_find(timers, timer_id) : -1;
    if (at < 0)
        return -1;
    timer_remove(timers, (size_t)at);
    return 0;
}

int zmq_timers_set_interval(void *handle, int timer_id, size_t interval_ms)
{
    struct timers *timers = timers_of(handle);
    ssize_t at = timers ? timer_find(timers, timer_id) : -1;
    if (at < 0)
        return -1;
    timer_rearm(timers, (size_t)at, zu_clock_ns(), interval_ms);
    return 0;
}

int zmq_timers_reset(void *handle, int timer_id)
{
    struct timers *timers = timers_of(handle);
    ssize_t at = timers ? timer_find(timers, timer_id) : -1;
    if (at < 0)
        return -1;
    timer_rearm(timers, (size_t)at, zu_clock_ns(), timers->all[at].interval_ms);
    return 0;
}

long zmq_timers_timeout(void *handle)
{
    struct timers *timers = timers_of(handle);
    if (!timers || timers->count == 0)
        return -1;
    uint64_t now_ns = zu_clock_ns();
    uint64_t due_ns = timers->all[0].due_ns;
    if (due_ns <= now_ns)
        return 0;
    return (long)((due_ns - now_ns - 1) / ZU_NS_PER_MS) + 1;
}

int zmq_timers_execute(void *handle)
{
    struct timers *timers = timers_of(handle);
    if (!timers)
        return -1;
    uint64_t now_ns = zu_clock_ns();
    timers->running++;
    while (timers->count > 0 && timers->all[0].due_ns <= now_ns) {
        struct timer timer = timers->all[0];
        timer_rearm(timers, 0, now_ns, timer.interval_ms);
        timer.handler(timer.id, timer.arg);
    }
    timers->running--;
    return 0;
}
