/* SPDX-License-Identifier: MIT */
/*
 * A shard: one driver, its timers, its mailbox, and whatever connections live on it. One thread touches all of it; others
 * reach it through the mailbox alone. In background mode that thread is the shard's own; a shard whose driver roams is
 * stepped by whoever holds its lock, which is its maker's (core/drive.h).
 */
#ifndef ZU_IO_SHARD_H
#define ZU_IO_SHARD_H

#include <pthread.h>

#include "base/list.h"
#include "base/mailbox.h"
#include "base/spin.h"
#include "io/driver.h"
#include "io/timer.h"

/* How a background shard's thread is to run. */
struct zu_shard_thread {
    char name[16];          /* as shown by ps and gdb */
    int priority;           /* -1 leaves it; see ZMQ_THREAD_PRIORITY */
    int policy;             /* -1 leaves it; SCHED_* */
    const cpu_set_t *cpus;  /* NULL leaves it */
};

/* A chore for when the stream of completions pauses. */
struct zu_pause {
    struct zu_link link;             /* among the shard's; alone when not asked for */
    uint64_t turn;                   /* of the last request */
    void (*run)(struct zu_pause *);  /* the chore */
};

struct zu_shard {
    struct zu_mailbox box;    /* any thread posts */
    struct zu_mailbox *user_box; /* NULL, or the box of the socket for which it is stepped: no sleep over its notes either */
    void (*neglected)(struct zu_shard *); /* NULL, or, any thread: notes have come and nobody is stepping it */
    struct zu_spinner spinner; /* its thread; the budget is set by the maker, or by what is earned */
    bool earns;               /* set by the maker: it spins for what zu_shard_earn has paid */
    uint64_t earned_ns;       /* its thread: of that, what is left */
    uint64_t spin_price_ns;   /* its thread: what is to be left for the next spin */
    struct zu_driver *driver; /* the shard's thread; wake from any */
    struct zu_timers timers;  /* the shard's thread */
    struct zu_link residents; /* the shard's thread: connections, for who looks at all (struct zu_conn.resident) */

    _Atomic unsigned asleep ZU_ALIGNED_LINE; /* seq_cst exchange by both: "asleep, then look at the box" against post */
    _Atomic unsigned load;                   /* connections and endpoints placed here; relaxed, a hint for placement */

    _Atomic unsigned owing; /* its thread writes: what must move on even if nobody steps it; relaxed, a hint for its maker */

    struct zu_link pauses;  /* the shard's thread: struct zu_pause.link, oldest request first */
    uint64_t turn;          /* the shard's thread: waits so far */
    bool by_user;           /* the shard's thread: it is the one that uses the socket for which it is stepped */

    pthread_t thread;       /* the maker's: set by start, joined by free */
    bool threaded;          /* the maker's: thread runs */
    bool stopping;          /* the shard's thread: set by a note */
    struct zu_note stop;    /* the maker's: ends the loop */
    uint64_t moved_ns;      /* the shard's thread: when it last went where those run that it wakes */
    struct zu_timer trim;   /* the shard's thread: gives free chunks back after a burst */
    struct zu_chunk_watcher watcher; /* the pool's: tells any thread that a trim is due */
    struct zu_note fat;     /* posted by whoever makes the pool fat: sets trim */
    _Atomic bool fat_posted; /* exchange: the note is on its way */
};

/* Takes over the driver, also on failure. */
int zu_shard_init(struct zu_shard *shard, struct zu_driver *driver);
/* Runs the shard on a thread of its own, unless a test steps it: 0, or a negative errno with no thread. */
int zu_shard_start(struct zu_shard *shard, const struct zu_shard_thread *how);
/* Ends the thread when there is one. Nothing may live on the shard any more. */
void zu_shard_fini(struct zu_shard *shard);

/*
 * One turn: notes, timers, then a wait until `until_ns` at the latest when nothing was to do. For its thread, or a test.
 * 0, or -EINTR when a signal ended the wait.
 */
int zu_shard_step(struct zu_shard *shard, uint64_t until_ns);
/* Any thread: ends its sleep. False: it did not sleep, nor is this thread just stepping it. */
bool zu_shard_wake(struct zu_shard *shard);
/* Whether this thread is just stepping it. */
bool zu_shard_is_here(const struct zu_shard *shard);
/* Its thread: nothing lives on it, and nobody is left who could post. */
bool zu_shard_is_vacant(struct zu_shard *shard);

ZU_INLINE uint64_t zu_shard_now_ns(struct zu_shard *shard)
{
    return shard->driver->ops->now_ns(shard->driver);
}

/*
 * Runs the chore behind the next wait in which it is not asked for again; and that wait will not sleep. For what is worth
 * doing once after a run of completions, and not after each.
 */
void zu_shard_at_pause(struct zu_shard *shard, struct zu_pause *pause);

/* Something that lives here begins, or ceases, to owe: a connection that is being made, bytes that the kernel is to take. */
ZU_INLINE void zu_shard_owe(struct zu_shard *shard, bool *owes, bool now)
{
    if (*owes == now)
        return;
    *owes = now;
    unsigned owing = atomic_load_explicit(&shard->owing, memory_order_relaxed);
    atomic_store_explicit(&shard->owing, now ? owing + 1 : owing - 1, memory_order_relaxed);
}

/*
 * Its thread: so many octets went both ways in a dialogue. Whoever waits for the other's next batch in turn would sleep for
 * a few microseconds each time, and be woken, which costs as much as to look and see: that is paid for by the octet, so that
 * a dialogue of single messages sleeps; and dearer each time that nothing comes while it looks.
 */
void zu_shard_earn(struct zu_shard *shard, uint64_t octets);

/* Sets a timer `delay_ns` from now. Without memory for it, the timer is not set: callers treat it as never firing. */
int zu_shard_timer(struct zu_shard *shard, struct zu_timer *timer, uint64_t delay_ns);

#endif
