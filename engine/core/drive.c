/* SPDX-License-Identifier: MIT */
/*
 * A send that goes at once, and the batch that is full or old, become one turn of the shard, which finds the pipes that
 * were written to by their notes. Waiting steps the shard until the user's box has notes; the shard's own sleep ends on
 * those as on its descriptors. The clock is read when a batch begins, and then the more rarely the faster they come.
 * Making one fails for want of memory or descriptors, before anything depends on it. Nothing else fails.
 */
#include "core/drive.h"

#include <errno.h>
#include <string.h>

#include "core/keeper.h"
#include "io/epoll.h"
#include "mem/alloc.h"

enum {
    BURST = 16,       /* sends out of quiet that do not wait for company */
    QUIET_NS = 5000,  /* from one send's end to the next: then a call to the kernel for each is affordable */
    STRIDE_MAX = 32,  /* messages between two looks at the clock */
    CLOSE_STEPS = 64, /* turns in which a closing thread gets rid of what needs no waiting */
};

static void neglected(struct zu_shard *shard)
{
    zu_keeper_rouse(zu_container_of(shard, struct zu_drive, shard)->keeper);
}

int zu_drive_new(struct zu_keeper *keeper, const struct zu_drive_limits *limits, struct zu_mailbox *user_box,
                 struct zu_drive **ret_drive)
{
    struct zu_driver *driver;
    struct zu_drive *drive = zu_alloc_lines(sizeof *drive);
    if (!drive)
        return -ENOMEM;
    memset(drive, 0, sizeof *drive);
    int err = zu_epoll_new(&driver);
    if (!err)
        err = zu_shard_init(&drive->shard, driver);
    if (!err)
        err = driver->ops->start(driver);
    if (err) {
        zu_free(drive, sizeof *drive);
        return err;
    }
    pthread_mutex_init(&drive->lock, NULL);
    drive->limits = *limits;
    drive->shard.user_box = user_box;
    drive->shard.neglected = neglected;
    drive->shard.spinner.budget_ns = limits->spin_ns;
    drive->shards = &drive->shard;
    drive->at_once = BURST;
    drive->look_at = drive->stride = 1;
    zu_list_init(&drive->batched);
    drive->keeper = keeper;
    atomic_init(&drive->refs, 2);
    zu_list_init(&drive->kept);
    zu_keeper_add(keeper, drive);
    *ret_drive = drive;
    return 0;
}

void zu_drive_unref(struct zu_drive *drive)
{
    /* acq_rel: behind the other's last use. */
    if (atomic_fetch_sub_explicit(&drive->refs, 1, memory_order_acq_rel) > 1)
        return;
    zu_shard_fini(&drive->shard);
    pthread_mutex_destroy(&drive->lock);
    zu_free(drive, sizeof *drive);
}

/* The calling thread's from now on. Without a batch so far, there is nobody from whom to claim it. */
static void claim(struct zu_drive *drive)
{
    if (zu_unlikely(drive->batches && drive->batches != zu_batches_here))
        zu_batches_claim(drive);
}

static void batch_end(struct zu_drive *drive)
{
    drive->bytes = 0;
    drive->messages = 0;
    drive->look_at = 1;
}

/* Its user may sleep on the descriptor outside, and has notes that he has not run. */
static bool is_untold(struct zu_drive *drive)
{
    return drive->watched && drive->shard.user_box && zu_mailbox_has_notes(drive->shard.user_box);
}

/*
 * The pollable descriptor shows timers that come due while nobody is in a call, and notes for the user, whoever's step
 * brought them, or drained what had shown them.
 */
static int step(struct zu_drive *drive, uint64_t until_ns, bool by_user)
{
    struct zu_driver *driver = drive->shard.driver;
    drive->shard.by_user = by_user;
    int err = zu_shard_step(&drive->shard, until_ns);
    driver->ops->alarm(driver, zu_timers_next_ns(&drive->shard.timers));
    if (zu_unlikely(is_untold(drive)) && !(by_user && drive->attends))
        driver->ops->wake(driver);
    return err;
}

/* A turn, and more until it has left nothing for itself. */
static void step_through(struct zu_drive *drive, bool by_user)
{
    do
        step(drive, 0, by_user);
    while (zu_mailbox_has_notes(&drive->shard.box));
}

/* The user leaves. What must move on is the keeper's, should he stay away. */
static void leave(struct zu_drive *drive)
{
    /* Notes: of our own completions, which woke nobody because we were there. */
    bool owes = atomic_load_explicit(&drive->shard.owing, memory_order_relaxed) ||
                zu_mailbox_has_notes(&drive->shard.box);
    pthread_mutex_unlock(&drive->lock);
    if (!owes)
        return;
    atomic_store_explicit(&drive->touched_ns, zu_clock_ns(), memory_order_relaxed);
    zu_keeper_rouse(drive->keeper);
}

void zu_drive_step(struct zu_drive *drive)
{
    int saved = errno; /* that of a call which succeeds stays as it was */
    claim(drive);
    if (drive->messages)
        batch_end(drive);
    pthread_mutex_lock(&drive->lock);
    step_through(drive, true);
    leave(drive);
    errno = saved;
}

void zu_drive_refresh(struct zu_drive *drive)
{
    claim(drive);
    drive->attends = true;
    zu_drive_step(drive);
    drive->attends = false;
}

int zu_drive_wait(struct zu_drive *drive, uint64_t until_ns)
{
    int err = 0, saved = errno; /* as in step */
    claim(drive);
    if (drive->messages)
        batch_end(drive);
    drive->at_once = BURST;
    drive->attends = true;
    pthread_mutex_lock(&drive->lock);
    while (!err && !zu_mailbox_has_notes(drive->shard.user_box)) {
        err = step(drive, until_ns, true);
        if (!err && until_ns != ZU_NEVER && zu_clock_ns() >= until_ns)
            err = -ETIMEDOUT;
    }
    drive->attends = false;
    leave(drive);
    errno = saved;
    return zu_mailbox_has_notes(drive->shard.user_box) ? 0 : err;
}

bool zu_drive_sends_at_once(struct zu_drive *drive)
{
    claim(drive);
    if (drive->messages)
        return false;
    uint64_t now_ns = zu_clock_ns();
    if (now_ns - drive->sent_ns >= QUIET_NS)
        drive->at_once = BURST;
    drive->sent_ns = now_ns;
    if (!drive->at_once)
        return false;
    drive->at_once--;
    return true;
}

/* Looks are rare enough to cost nothing, and frequent enough that a sender which slows down is noticed soon. */
static void pace(struct zu_drive *drive, uint64_t now_ns)
{
    if (now_ns - drive->sent_ns >= drive->limits.flush_ns / 8)
        drive->stride = drive->stride > 4 ? drive->stride / 4 : 1;
    else if (drive->stride < STRIDE_MAX)
        drive->stride *= 2;
    drive->sent_ns = now_ns;
}

ZU_COLD void zu_drive_consider(struct zu_drive *drive)
{
    bool begins = drive->messages <= 1;
    if (begins) /* the clock was read a moment ago */
        atomic_store_explicit(&drive->touched_ns, drive->sent_ns, memory_order_relaxed);
    else
        pace(drive, zu_clock_ns());
    drive->look_at = drive->messages + drive->stride;
    uint64_t began_ns = atomic_load_explicit(&drive->touched_ns, memory_order_relaxed);
    if (drive->bytes < drive->limits.flush_bytes && drive->sent_ns - began_ns < drive->limits.flush_ns) {
        if (begins)
            zu_batches_begun(drive);
        return;
    }
    zu_drive_step(drive);
    drive->sent_ns = zu_clock_ns(); /* our own doing is no quiet */
}

void zu_drive_sent(struct zu_drive *drive, const struct zu_part *part)
{
    if (!part->at_once) {
        zu_drive_sent_more(drive, part->size);
        return;
    }
    if (!part->gone && !part->more)
        zu_drive_step(drive);
    drive->sent_ns = zu_clock_ns();
}

int zu_drive_fd(struct zu_drive *drive)
{
    pthread_mutex_lock(&drive->lock);
    int fd = drive->shard.driver->ops->pollable(drive->shard.driver);
    drive->watched |= fd >= 0;
    pthread_mutex_unlock(&drive->lock);
    zu_drive_step(drive);
    return fd;
}

void zu_drive_release(struct zu_drive *drive)
{
    struct zu_keeper *keeper = drive->keeper;
    bool vacant = false;
    int saved = errno; /* as in step */
    zu_batches_leave(drive);
    pthread_mutex_lock(&drive->lock);
    drive->shard.user_box = NULL;
    for (int i = 0; i < CLOSE_STEPS && !vacant; i++) {
        step(drive, 0, true);
        vacant = zu_shard_is_vacant(&drive->shard);
    }
    pthread_mutex_unlock(&drive->lock);
    if (vacant) {
        zu_keeper_remove(keeper, drive);
        zu_drive_unref(drive);
    } else {
        zu_keeper_adopt(keeper, drive);
    }
    errno = saved;
}

bool zu_drive_keep(struct zu_drive *drive)
{
    if (pthread_mutex_trylock(&drive->lock))
        return false;
    step_through(drive, false);
    bool vacant = drive->orphaned && zu_shard_is_vacant(&drive->shard);
    pthread_mutex_unlock(&drive->lock);
    return vacant;
}

int zu_drive_kept_fd(struct zu_drive *drive)
{
    if (pthread_mutex_trylock(&drive->lock))
        return -EAGAIN;
    if (is_untold(drive)) {
        pthread_mutex_unlock(&drive->lock);
        return -EBUSY;
    }
    struct zu_shard *shard = &drive->shard;
    int fd = shard->driver->ops->pollable(shard->driver);
    shard->driver->ops->alarm(shard->driver, zu_timers_next_ns(&shard->timers));
    pthread_mutex_unlock(&drive->lock);
    return fd;
}
