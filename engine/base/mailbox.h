/* SPDX-License-Identifier: MIT */
/*
 * A mailbox: the door through which other threads reach the one thread that owns something (a shard or a socket).
 * Notes are embedded in their senders' structures, so posting never allocates and never fails, except on a closed box.
 */
#ifndef ZU_BASE_MAILBOX_H
#define ZU_BASE_MAILBOX_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/attr.h"

/* One message between threads, zeroed but for run. Posted again before it has run, it runs once, after the last post. */
struct zu_note {
    struct zu_note *next;          /* the box's chain while posted */
    void (*run)(struct zu_note *); /* what the receiver does; called on its thread */
    _Atomic bool posted;           /* on its way: acq_rel exchanges by posters, and by the receiver before it runs it */
};

struct zu_mailbox {
    _Atomic(struct zu_note *) head;      /* newest note first; a sentinel when closed */
    _Atomic unsigned refs;               /* who may still post: the owner and one for each stranger that knows the box */
    void (*wake)(struct zu_mailbox *);   /* called by the poster whose note made the box non-empty */
    void (*release)(struct zu_mailbox *); /* frees the owner's structure when the last reference goes */
};

void zu_mailbox_init(struct zu_mailbox *box, void (*wake)(struct zu_mailbox *), void (*release)(struct zu_mailbox *));
struct zu_mailbox *zu_mailbox_ref(struct zu_mailbox *box);
void zu_mailbox_unref(struct zu_mailbox *box);

/* Any thread. Returns false, and does not keep the note, when the box is closed. */
bool zu_mailbox_post(struct zu_mailbox *box, struct zu_note *note);

/*
 * What this thread posts between hold and release wakes its receivers at the release: they find all of it then, instead of
 * running for the first note and sleeping again. Not for long, and never across a sleep. A box that no reference keeps
 * (no `release`), and all beyond a few dozen, are woken at once.
 */
void zu_wakes_hold(void);
void zu_wakes_release(void);

/* Owner only: runs what has been posted, in the order of posting. Returns whether there was anything. */
bool zu_mailbox_run(struct zu_mailbox *box);

/* Owner only: as run, until the box is empty; refuses every later note. All earlier ones have run when it refuses. */
void zu_mailbox_close(struct zu_mailbox *box);

ZU_INLINE bool zu_mailbox_has_notes(struct zu_mailbox *box)
{
    /* seq_cst: the second half of "say asleep, then look", against the poster's exchange on head and look at the sleeper. */
    return atomic_load_explicit(&box->head, memory_order_seq_cst) != NULL;
}

#endif
