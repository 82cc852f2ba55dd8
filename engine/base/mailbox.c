/* SPDX-License-Identifier: MIT */
/*
 * Posting pushes onto a lock-free stack; the owner takes the whole stack at once and reverses it, so notes run in the
 * order of posting and there is no ABA: nothing is ever popped singly. The poster that finds the box empty wakes the
 * owner; all later ones know that somebody did. A note that is on its way already is not posted twice.
 * It fails only when the box is closed: the note then stays the poster's, who must end what it wanted to say. Only an
 * empty box is closed, so whoever is refused may free what earlier notes of his lay in: they have run.
 */
#include "base/mailbox.h"

#include <stddef.h>

static struct zu_note closed_mark;

enum { HELD_MAX = 32 };

/* Wakes that this thread holds back. A box may be in it twice: the second wake finds nobody asleep. */
static _Thread_local struct {
    bool holds;                         /* between hold and release */
    unsigned count;                     /* of `boxes` */
    struct zu_mailbox *boxes[HELD_MAX]; /* a reference each */
} held;

void zu_wakes_hold(void)
{
    held.holds = true;
}

void zu_wakes_release(void)
{
    held.holds = false;
    for (unsigned i = 0; i < held.count; i++) {
        held.boxes[i]->wake(held.boxes[i]);
        zu_mailbox_unref(held.boxes[i]);
    }
    held.count = 0;
}

static void box_wake(struct zu_mailbox *box)
{
    /* Only where the reference keeps the box: others' owners know of their posters by other means, and may be gone by then. */
    if (held.holds && box->release && held.count < HELD_MAX)
        held.boxes[held.count++] = zu_mailbox_ref(box);
    else
        box->wake(box);
}

void zu_mailbox_init(struct zu_mailbox *box, void (*wake)(struct zu_mailbox *), void (*release)(struct zu_mailbox *))
{
    atomic_init(&box->head, NULL);
    atomic_init(&box->refs, 1);
    box->wake = wake;
    box->release = release;
}

struct zu_mailbox *zu_mailbox_ref(struct zu_mailbox *box)
{
    atomic_fetch_add_explicit(&box->refs, 1, memory_order_relaxed);
    return box;
}

void zu_mailbox_unref(struct zu_mailbox *box)
{
    /* acq_rel: every holder's last use happens before the release by the last one. */
    if (atomic_fetch_sub_explicit(&box->refs, 1, memory_order_acq_rel) == 1 && box->release)
        box->release(box);
}

bool zu_mailbox_post(struct zu_mailbox *box, struct zu_note *note)
{
    /* acq_rel: what the caller did is seen by the run to come, which starts with the opposite exchange. */
    if (atomic_exchange_explicit(&note->posted, true, memory_order_acq_rel))
        return true;
    /* acquire, also below: a refusal comes behind the runs of all earlier notes; pairs with close. */
    struct zu_note *old = atomic_load_explicit(&box->head, memory_order_acquire);
    do {
        if (old == &closed_mark) {
            atomic_store_explicit(&note->posted, false, memory_order_relaxed);
            return false;
        }
        note->next = old;
        /* seq_cst: releases the note to the owner's exchange in take(), and stands before wake()'s look at the sleeper. */
    } while (!atomic_compare_exchange_weak_explicit(&box->head, &old, note, memory_order_seq_cst, memory_order_acquire));
    if (old == NULL)
        box_wake(box);
    return true;
}

static bool run_chain(struct zu_note *newest)
{
    struct zu_note *oldest = NULL;
    while (newest) {
        struct zu_note *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    bool any = oldest != NULL;
    while (oldest) {
        struct zu_note *note = oldest;
        oldest = note->next; /* read first: run may free the note, and from the exchange on it may be posted again */
        atomic_exchange_explicit(&note->posted, false, memory_order_acq_rel);
        note->run(note);
    }
    return any;
}

bool zu_mailbox_run(struct zu_mailbox *box)
{
    struct zu_note *seen = atomic_load_explicit(&box->head, memory_order_relaxed);
    if (seen == NULL || seen == &closed_mark)
        return false;
    /* acquire: pairs with the release in post(). The owner alone closes, so this cannot meet the mark. */
    return run_chain(atomic_exchange_explicit(&box->head, NULL, memory_order_seq_cst));
}

void zu_mailbox_close(struct zu_mailbox *box)
{
    struct zu_note *old = NULL;
    /* seq_cst: releases what the last notes did to whoever is refused. */
    while (!atomic_compare_exchange_strong_explicit(&box->head, &old, &closed_mark, memory_order_seq_cst,
                                                    memory_order_relaxed) &&
           old != &closed_mark) {
        zu_mailbox_run(box);
        old = NULL;
    }
}
