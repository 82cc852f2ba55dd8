/* SPDX-License-Identifier: MIT */
/*
 * The open batches of one thread, over all its sockets in inline drive: a call on one socket that waits, or finds nothing,
 * hands over what the thread has sent by others, and a call that finds something hands over what has become old.
 *
 * A drive is its thread's, and its batch may be touched by nobody else but under the lock, from the first batch there until
 * another thread uses the socket and claims it. A program orders such a hand-over itself; the lock is for the old thread,
 * which may be handing over all its batches at that very moment.
 */
#ifndef ZU_CORE_BATCHES_H
#define ZU_CORE_BATCHES_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/clock.h"
#include "base/list.h"

struct zu_drive;

struct zu_batches {
    /* Its thread, and who claims a drive from it. */
    pthread_mutex_t lock;  /* guards list and count, and whose a drive in it is; recursive, a drive's lock may be taken inside */
    struct zu_link drives; /* struct zu_drive.batched */
    unsigned count;        /* of them */
    _Atomic unsigned refs; /* the thread, and each of the drives; acq_rel */

    /* Its thread. */
    uint64_t due_ns;    /* no open batch is old before that; ZU_NEVER: none is open */
    uint64_t looked_ns; /* when it last looked at the clock */
    unsigned left;      /* so many calls until it looks again */
    unsigned stride;    /* so many calls from one look to the next: more while they come fast */
    bool flushing;      /* a completion runs the program's code, which may call again */
};

/* This thread's, from its first batch on; NULL again when it is about to exit. */
extern _Thread_local struct zu_batches *zu_batches_here;

/* This thread has begun a batch on a drive that is its own. Without memory the keeper will find it. */
void zu_batches_begun(struct zu_drive *drive);
/* The drive's batch is nobody's any more: its socket is closed. */
void zu_batches_leave(struct zu_drive *drive);
/* Makes a drive that was another thread's this one's. */
void zu_batches_claim(struct zu_drive *drive);
/* atfork, in the child: all are the parent's. */
void zu_batches_forked(void);

void zu_batches_flush_slowly(struct zu_batches *batches);
void zu_batches_look_slowly(struct zu_batches *batches);

ZU_INLINE bool zu_batches_may_be_open(void)
{
    return zu_batches_here && zu_batches_here->due_ns != ZU_NEVER;
}

/* The thread is about to sleep, or has found nothing. */
ZU_INLINE void zu_batches_flush(void)
{
    if (zu_unlikely(zu_batches_may_be_open()))
        zu_batches_flush_slowly(zu_batches_here);
}

/* The thread receives or polls: old batches go. */
ZU_INLINE void zu_batches_look(void)
{
    if (zu_unlikely(zu_batches_may_be_open()) && --zu_batches_here->left == 0)
        zu_batches_look_slowly(zu_batches_here);
}

#endif
