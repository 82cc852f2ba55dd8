/* SPDX-License-Identifier: MIT */
/* Order, waking, posting twice, closing; then several threads that post to one. */
#include "base/mailbox.h"

#include <criterion/criterion.h>
#include <pthread.h>

#include "flow.h"

enum { NOTES = 5, POSTERS = 2, POSTS = 20000 };

struct numbered {
    struct zu_note note; /* posted */
    int number;          /* which one */
};

static int ran[64];
static int ran_count;
static unsigned wakes;
static unsigned releases;
static struct zu_mailbox *box_here;

static void count_wake(struct zu_mailbox *box)
{
    (void)box;
    wakes++;
}

static void count_release(struct zu_mailbox *box)
{
    (void)box;
    releases++;
}

static void run_numbered(struct zu_note *note)
{
    ran[ran_count++] = zu_container_of(note, struct numbered, note)->number;
}

static void numbered_init(struct numbered *notes)
{
    memset(notes, 0, NOTES * sizeof *notes);
    for (int i = 0; i < NOTES; i++) {
        notes[i].note.run = run_numbered;
        notes[i].number = i;
    }
}

Test(mailbox, notes_run_in_order_of_posting_and_only_the_first_wakes)
{
    struct zu_mailbox box;
    struct numbered notes[NOTES];
    zu_mailbox_init(&box, count_wake, NULL);
    numbered_init(notes);
    cr_assert_not(zu_mailbox_has_notes(&box));
    cr_assert_not(zu_mailbox_run(&box));
    for (int round = 1; round <= 3; round++) {
        ran_count = 0;
        for (int i = 0; i < NOTES; i++)
            cr_assert(zu_mailbox_post(&box, &notes[(i + round) % NOTES].note));
        cr_assert(zu_mailbox_has_notes(&box));
        cr_assert_eq(wakes, (unsigned)round);
        cr_assert(zu_mailbox_run(&box));
        cr_assert_not(zu_mailbox_has_notes(&box));
        cr_assert_eq(ran_count, NOTES);
        for (int i = 0; i < NOTES; i++)
            cr_assert_eq(ran[i], (i + round) % NOTES);
    }
}

Test(mailbox, held_wakes_come_at_the_release)
{
    enum { BOXES = 100 };
    struct zu_mailbox boxes[BOXES];
    struct numbered notes[NOTES];
    zu_mailbox_init(&boxes[0], count_wake, count_release);
    numbered_init(notes);
    zu_wakes_hold();
    for (int i = 0; i < 3; i++) {
        cr_assert(zu_mailbox_post(&boxes[0], &notes[i].note));
        cr_assert_eq(wakes, 0u);
    }
    zu_mailbox_unref(&boxes[0]);
    cr_assert_eq(releases, 0u, "who is to be woken must still be there");
    zu_wakes_release();
    cr_assert(wakes == 1 && releases == 1);
    cr_assert(zu_mailbox_run(&boxes[0]));
    wakes = 0;
    struct numbered many[BOXES];
    memset(many, 0, sizeof many);
    zu_wakes_hold();
    for (int i = 0; i < BOXES; i++) {
        zu_mailbox_init(&boxes[i], count_wake, count_release);
        many[i].note.run = run_numbered;
        cr_assert(zu_mailbox_post(&boxes[i], &many[i].note));
    }
    cr_assert_lt(wakes, (unsigned)BOXES);
    zu_wakes_release();
    cr_assert_eq(wakes, (unsigned)BOXES, "more than can be held are woken, too");
    cr_assert(zu_mailbox_post(&boxes[0], &notes[0].note));
    cr_assert_eq(wakes, (unsigned)BOXES, "it has notes already");
    struct zu_mailbox lasting;
    zu_mailbox_init(&lasting, count_wake, NULL);
    zu_wakes_hold();
    cr_assert(zu_mailbox_post(&lasting, &notes[1].note));
    cr_assert_eq(wakes, BOXES + 1u, "its owner may be gone at the release");
    zu_wakes_release();
    cr_assert_eq(wakes, BOXES + 1u);
}

Test(mailbox, a_note_on_its_way_is_not_posted_twice)
{
    struct zu_mailbox box;
    struct numbered notes[NOTES];
    zu_mailbox_init(&box, count_wake, NULL);
    numbered_init(notes);
    for (int i = 0; i < 3; i++) {
        cr_assert(zu_mailbox_post(&box, &notes[0].note));
        cr_assert(zu_mailbox_post(&box, &notes[1].note));
    }
    cr_assert(zu_mailbox_run(&box));
    cr_assert_eq(ran_count, 2);
    cr_assert(zu_mailbox_post(&box, &notes[0].note));
    cr_assert(zu_mailbox_run(&box));
    cr_assert_eq(ran_count, 3);
}

static void run_again(struct zu_note *note)
{
    run_numbered(note);
    if (ran_count < 3)
        zu_mailbox_post(box_here, note);
}

Test(mailbox, a_note_may_be_posted_from_its_own_run_and_runs_the_next_time)
{
    struct zu_mailbox box;
    struct numbered notes[NOTES];
    zu_mailbox_init(&box, count_wake, NULL);
    numbered_init(notes);
    box_here = &box;
    notes[0].note.run = run_again;
    zu_mailbox_post(&box, &notes[0].note);
    for (int i = 1; i <= 3; i++) {
        cr_assert(zu_mailbox_run(&box));
        cr_assert_eq(ran_count, i);
    }
    cr_assert_not(zu_mailbox_run(&box));
}

static void run_free(struct zu_note *note)
{
    run_numbered(note);
    free(zu_container_of(note, struct numbered, note));
}

Test(mailbox, a_note_may_free_itself)
{
    struct zu_mailbox box;
    zu_mailbox_init(&box, count_wake, NULL);
    for (int i = 0; i < NOTES; i++) {
        struct numbered *numbered = calloc(1, sizeof *numbered);
        numbered->note.run = run_free;
        numbered->number = i;
        zu_mailbox_post(&box, &numbered->note);
    }
    cr_assert(zu_mailbox_run(&box));
    cr_assert_eq(ran_count, NOTES);
}

Test(mailbox, a_closed_box_has_run_all_and_refuses_the_rest)
{
    struct zu_mailbox box;
    struct numbered notes[NOTES];
    zu_mailbox_init(&box, count_wake, NULL);
    numbered_init(notes);
    zu_mailbox_post(&box, &notes[0].note);
    zu_mailbox_close(&box);
    cr_assert_eq(ran_count, 1);
    cr_assert_not(zu_mailbox_post(&box, &notes[1].note));
    cr_assert_not(zu_mailbox_post(&box, &notes[1].note));
    cr_assert_not(zu_mailbox_run(&box));
    zu_mailbox_close(&box);
    cr_assert_eq(ran_count, 1);
    cr_assert_eq(wakes, 1u);
    /* What was refused is free for another box. */
    struct zu_mailbox other;
    zu_mailbox_init(&other, count_wake, NULL);
    cr_assert(zu_mailbox_post(&other, &notes[1].note));
    cr_assert(zu_mailbox_run(&other));
    cr_assert_eq(ran_count, 2);
}

static struct numbered *late;

static void run_posting(struct zu_note *note)
{
    run_numbered(note);
    cr_assert(zu_mailbox_post(box_here, &late->note), "refused with a note still to run");
}

/* As another thread might post: whoever is refused may free what his earlier notes lie in. */
Test(mailbox, nobody_is_refused_before_all_have_run)
{
    struct zu_mailbox box;
    struct numbered notes[NOTES];
    zu_mailbox_init(&box, count_wake, NULL);
    numbered_init(notes);
    box_here = &box;
    late = &notes[2];
    notes[0].note.run = run_posting;
    zu_mailbox_post(&box, &notes[0].note);
    zu_mailbox_post(&box, &notes[1].note);
    zu_mailbox_close(&box);
    cr_assert_eq(ran_count, 3);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(ran[i], i);
    cr_assert_not(zu_mailbox_post(&box, &notes[3].note));
}

Test(mailbox, the_last_reference_releases)
{
    struct zu_mailbox box;
    zu_mailbox_init(&box, count_wake, count_release);
    cr_assert_eq(zu_mailbox_ref(&box), &box);
    zu_mailbox_unref(&box);
    cr_assert_eq(releases, 0u);
    zu_mailbox_unref(&box);
    cr_assert_eq(releases, 1u);
}

/* One thread's part of the crowd; each note carries how far its poster had come. */
struct poster {
    struct zu_note notes[64];     /* in turn */
    _Atomic unsigned ran;         /* how many of them ran, by the owner */
    unsigned said[64];            /* plain memory behind each note: nothing but posting publishes it */
    struct zu_note latest;        /* posted over and over, whether it has run or not */
    _Atomic unsigned latest_said; /* written before latest is posted */
    unsigned heard;               /* by the owner: the last latest_said it saw */
    unsigned order_faults;        /* by the owner */
    struct chance chance;         /* its own */
};

static struct poster posters[POSTERS];
static struct ear crowd_ear;

static void run_crowd(struct zu_note *note)
{
    for (int i = 0; i < POSTERS; i++) {
        struct poster *poster = &posters[i];
        if (note < poster->notes || note >= poster->notes + 64)
            continue;
        unsigned n = atomic_load_explicit(&poster->ran, memory_order_relaxed);
        if (note != &poster->notes[n % 64] || poster->said[n % 64] != n)
            poster->order_faults++;
        atomic_store_explicit(&poster->ran, n + 1, memory_order_release);
    }
}

static void run_latest(struct zu_note *note)
{
    struct poster *poster = zu_container_of(note, struct poster, latest);
    poster->heard = atomic_load_explicit(&poster->latest_said, memory_order_relaxed);
}

static void *post_many(void *context)
{
    struct poster *poster = context;
    for (unsigned n = 0; n < POSTS; n++) {
        /* 32 notes ahead at most; the owner's count is the only thing that says a note's memory may be used again. */
        while (n - atomic_load_explicit(&poster->ran, memory_order_acquire) > 32)
            sched_yield();
        poster->said[n % 64] = n;
        zu_mailbox_post(&crowd_ear.box, &poster->notes[n % 64]);
        atomic_store_explicit(&poster->latest_said, n + 1, memory_order_relaxed);
        zu_mailbox_post(&crowd_ear.box, &poster->latest);
        chance_spin(&poster->chance);
    }
    return NULL;
}

Test(mailbox, a_crowd_of_posters_loses_nothing)
{
    struct chance chance = chance_new("mailbox");
    pthread_t threads[POSTERS];
    ear_init(&crowd_ear);
    for (int i = 0; i < POSTERS; i++) {
        posters[i].chance.state = chance_next(&chance) | 1;
        posters[i].latest.run = run_latest;
        for (int n = 0; n < 64; n++)
            posters[i].notes[n].run = run_crowd;
        pthread_create(&threads[i], NULL, post_many, &posters[i]);
    }
    uint64_t until_ns = zu_clock_ns() + PATIENCE_NS;
    unsigned woken = 0;
    for (;;) {
        bool done = true;
        for (int i = 0; i < POSTERS; i++)
            done = done && atomic_load(&posters[i].ran) == POSTS && posters[i].heard == POSTS;
        if (done)
            break;
        /* An owner that looks only when it was woken since: a missing wake would stop it here. */
        unsigned now;
        while ((now = atomic_load(&crowd_ear.wakes)) == woken) {
            cr_assert_lt(zu_clock_ns(), until_ns, "not woken");
            sched_yield();
        }
        woken = now;
        while (zu_mailbox_run(&crowd_ear.box))
            chance_spin(&chance);
    }
    for (int i = 0; i < POSTERS; i++) {
        pthread_join(threads[i], NULL);
        cr_assert_eq(posters[i].order_faults, 0u);
    }
    cr_assert_not(zu_mailbox_run(&crowd_ear.box));
}
