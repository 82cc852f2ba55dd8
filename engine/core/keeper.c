/* SPDX-License-Identifier: MIT */
/*
 * Whoever posts to a shard that nobody is stepping rouses the keeper, which costs a look at a flag while it is awake. It
 * then looks at the drives every millisecond, steps those whose notes are old, and goes back to sleep after a while
 * without any. Orphans it drives as a background shard would: it sleeps on their descriptors.
 * Without memory for a list of descriptors, or a descriptor for an orphan's timer, it comes back by the clock. Without a
 * thread (EAGAIN) a batch waits for its sender's next call, and an orphan for the next try, or for zmq_ctx_term.
 */
#include "core/keeper.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"
#include "core/drive.h"
#include "mem/alloc.h"

enum {
    IDLE_LOOKS = 16,        /* looks in vain before it sleeps */
    FDS_ON_STACK = 16,      /* descriptors that it sleeps on without asking for memory */
    YOUNG_NS = 10000000,    /* a user that has left something owing so lately may be back at once */
};

static void on_fat(struct zu_chunk_watcher *watcher)
{
    struct zu_keeper *keeper = zu_container_of(watcher, struct zu_keeper, watcher);
    atomic_store_explicit(&keeper->fat, true, memory_order_seq_cst); /* then awake; the keeper looks at them in the other order */
    zu_keeper_rouse(keeper);
}

void zu_keeper_init(struct zu_keeper *keeper)
{
    memset(keeper, 0, sizeof *keeper);
    pthread_mutex_init(&keeper->lock, NULL);
    pthread_mutex_init(&keeper->start_lock, NULL);
    zu_list_init(&keeper->drives);
    zu_list_init(&keeper->orphans);
    zu_list_init(&keeper->watcher.link);
    atomic_init(&keeper->wake_fd, -1);
    keeper->watcher.fat = on_fat;
}

/* --- its thread --- */

static bool has_work(struct zu_drive *drive)
{
    return zu_mailbox_has_notes(&drive->shard.box) ||
           atomic_load_explicit(&drive->shard.owing, memory_order_relaxed) > 0;
}

/* What owes may have to wait: for a peer, or for its timer. */
static bool is_due(struct zu_drive *drive)
{
    if (zu_mailbox_has_notes(&drive->shard.box))
        return true;
    struct pollfd item = {.fd = zu_drive_kept_fd(drive), .events = POLLIN};
    return item.fd == -EAGAIN ? false : item.fd < 0 || poll(&item, 1, 0) > 0;
}

/*
 * Under the lock. Old work is nobody's any more but ours; with `keeps` we see to it. Returns whether there is any that we
 * must come back for by the clock: notes, and what is young. What is old and owing shows on its descriptor.
 */
static bool look_at_drives(struct zu_keeper *keeper, bool keeps)
{
    bool any = false;
    uint64_t now_ns = zu_clock_ns();
    zu_list_each(link, after, &keeper->drives)
    {
        struct zu_drive *drive = zu_container_of(link, struct zu_drive, kept);
        uint64_t age_ns = now_ns - atomic_load_explicit(&drive->touched_ns, memory_order_relaxed);
        if (!has_work(drive))
            continue;
        if (keeps && age_ns >= ZU_KEEPER_LOOK_NS / 2 && is_due(drive))
            zu_drive_keep(drive);
        any |= zu_mailbox_has_notes(&drive->shard.box) || age_ns < YOUNG_NS;
    }
    return any;
}

/* Under the lock. */
static void drive_orphans(struct zu_keeper *keeper)
{
    zu_list_each(link, after, &keeper->orphans)
    {
        struct zu_drive *drive = zu_container_of(link, struct zu_drive, kept);
        if (!zu_drive_keep(drive))
            continue;
        zu_list_remove(&drive->kept);
        zu_drive_unref(drive);
    }
}

static void nap(int wake_fd, struct pollfd *fds, nfds_t count, uint64_t nap_ns)
{
    struct timespec left = {.tv_sec = (time_t)(nap_ns / ZU_NS_PER_S), .tv_nsec = (long)(nap_ns % ZU_NS_PER_S)};
    uint64_t wakes;
    ppoll(fds, count, nap_ns == ZU_NEVER ? NULL : &left, NULL);
    while (read(wake_fd, &wakes, sizeof wakes) > 0)
        ;
}

/* Under the lock: the descriptors on which to sleep. Returns how many; some may have to be looked at by the clock. */
static nfds_t fds_fill(struct zu_link *drives, struct pollfd *fds, nfds_t room, bool only_owing, bool *ret_by_clock)
{
    nfds_t count = 0;
    zu_list_each(link, after, drives)
    {
        struct zu_drive *drive = zu_container_of(link, struct zu_drive, kept);
        bool owes = !only_owing || atomic_load_explicit(&drive->shard.owing, memory_order_relaxed) > 0;
        if (!owes || count == room)
            continue;
        int fd = zu_drive_kept_fd(drive);
        if (fd >= 0)
            fds[count++] = (struct pollfd){.fd = fd, .events = POLLIN};
        else if (fd != -EAGAIN)
            *ret_by_clock = true;
    }
    return count;
}

static nfds_t drives_count(struct zu_link *drives)
{
    nfds_t count = 0;
    zu_list_each(link, after, drives)
        count++;
    return count;
}

/* Under the lock, which it lets go while asleep. `sleeps`: on what is owing too. */
static void rest(struct zu_keeper *keeper, uint64_t nap_ns, bool sleeps)
{
    nfds_t orphans = drives_count(&keeper->orphans), count = 1;
    nfds_t room = orphans + (sleeps ? drives_count(&keeper->drives) : 0);
    struct pollfd few[FDS_ON_STACK], *fds = room < FDS_ON_STACK ? few : zu_alloc((room + 1) * sizeof *fds);
    struct pollfd only = {.fd = atomic_load_explicit(&keeper->wake_fd, memory_order_relaxed), .events = POLLIN};
    bool by_clock = !fds && room > 0;
    if (fds) {
        fds[0] = only;
        count += fds_fill(&keeper->orphans, fds + count, orphans, false, &by_clock);
    }
    if (fds && sleeps)
        count += fds_fill(&keeper->drives, fds + count, room + 1 - count, true, &by_clock);
    if (by_clock && nap_ns > ZU_KEEPER_LOOK_NS)
        nap_ns = ZU_KEEPER_LOOK_NS;
    pthread_mutex_unlock(&keeper->lock);
    nap(only.fd, fds ? fds : &only, count, nap_ns);
    pthread_mutex_lock(&keeper->lock);
    if (fds && fds != few)
        zu_free(fds, (room + 1) * sizeof *fds);
}

/* Under the lock. False: something came in between, look again. */
static bool fall_asleep(struct zu_keeper *keeper)
{
    /* seq_cst: first this, then the looks; whoever posts, or grows fat, does the opposite. */
    atomic_store_explicit(&keeper->awake, false, memory_order_seq_cst);
    if (!look_at_drives(keeper, false) && !atomic_load_explicit(&keeper->fat, memory_order_seq_cst))
        return true;
    atomic_store_explicit(&keeper->awake, true, memory_order_seq_cst);
    return false;
}

/* Trims once in a while as long as there is something to trim. Returns when next, or ZU_NEVER. */
static uint64_t trim(struct zu_keeper *keeper, uint64_t due_ns)
{
    uint64_t now_ns = zu_clock_ns();
    if (due_ns == ZU_NEVER && atomic_exchange_explicit(&keeper->fat, false, memory_order_seq_cst))
        return now_ns + ZU_TRIM_PERIOD_NS;
    if (due_ns > now_ns)
        return due_ns;
    uint64_t again_ns = zu_chunk_pool_trim();
    return again_ns ? now_ns + again_ns : ZU_NEVER;
}

static void *keeper_main(void *argument)
{
    struct zu_keeper *keeper = argument;
    unsigned idle = 0;
    uint64_t trim_ns = ZU_NEVER;
    pthread_setname_np(pthread_self(), "zuring/keeper");
    pthread_mutex_lock(&keeper->lock);
    while (!keeper->stopping) {
        idle = look_at_drives(keeper, true) ? 0 : idle + 1;
        drive_orphans(keeper);
        trim_ns = trim(keeper, trim_ns);
        bool sleeps = idle >= IDLE_LOOKS && fall_asleep(keeper);
        uint64_t now_ns = zu_clock_ns();
        uint64_t left_ns = trim_ns == ZU_NEVER ? ZU_NEVER : trim_ns > now_ns ? trim_ns - now_ns : 0;
        rest(keeper, sleeps || left_ns < ZU_KEEPER_LOOK_NS ? left_ns : ZU_KEEPER_LOOK_NS, sleeps);
        if (sleeps) {
            atomic_store_explicit(&keeper->awake, true, memory_order_seq_cst);
            idle = 0;
        }
    }
    pthread_mutex_unlock(&keeper->lock);
    return NULL;
}

/* --- from other threads --- */

void zu_keeper_watch(struct zu_keeper *keeper)
{
    zu_chunk_pool_watch(&keeper->watcher);
}

/* The wake descriptor of a running thread, or a negative errno. */
static int keeper_start(struct zu_keeper *keeper)
{
    pthread_mutex_lock(&keeper->start_lock);
    int fd = atomic_load_explicit(&keeper->wake_fd, memory_order_relaxed);
    if (fd < 0) {
        fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (fd < 0)
            fd = -errno;
        atomic_store_explicit(&keeper->wake_fd, fd, memory_order_release);
    }
    if (fd >= 0 && !keeper->running) {
        int err = zu_thread_start(&keeper->thread, keeper_main, keeper);
        keeper->running = !err;
        if (err)
            fd = err;
    }
    pthread_mutex_unlock(&keeper->start_lock);
    return fd;
}

/* Its thread will look at everything once more. */
static void alert(struct zu_keeper *keeper)
{
    int fd = atomic_load_explicit(&keeper->wake_fd, memory_order_acquire);
    if (fd < 0 || !keeper->running)
        fd = keeper_start(keeper);
    if (fd >= 0)
        eventfd_write(fd, 1);
    else
        atomic_store_explicit(&keeper->awake, false, memory_order_seq_cst); /* somebody else may try again */
}

void zu_keeper_rouse(struct zu_keeper *keeper)
{
    /* seq_cst: behind the post; see fall_asleep. */
    if (!atomic_load_explicit(&keeper->awake, memory_order_seq_cst) &&
        !atomic_exchange_explicit(&keeper->awake, true, memory_order_seq_cst))
        alert(keeper);
}

bool zu_keeper_is_there(struct zu_keeper *keeper)
{
    return keeper_start(keeper) >= 0;
}

void zu_keeper_stand_in(struct zu_keeper *keeper)
{
    pthread_mutex_lock(&keeper->lock);
    drive_orphans(keeper);
    pthread_mutex_unlock(&keeper->lock);
}

void zu_keeper_add(struct zu_keeper *keeper, struct zu_drive *drive)
{
    pthread_mutex_lock(&keeper->lock);
    zu_list_append(&keeper->drives, &drive->kept);
    pthread_mutex_unlock(&keeper->lock);
}

void zu_keeper_remove(struct zu_keeper *keeper, struct zu_drive *drive)
{
    pthread_mutex_lock(&keeper->lock);
    zu_list_remove(&drive->kept);
    pthread_mutex_unlock(&keeper->lock);
}

void zu_keeper_adopt(struct zu_keeper *keeper, struct zu_drive *drive)
{
    pthread_mutex_lock(&keeper->lock);
    zu_list_remove(&drive->kept);
    zu_list_append(&keeper->orphans, &drive->kept);
    drive->orphaned = true;
    pthread_mutex_unlock(&keeper->lock);
    atomic_store_explicit(&keeper->awake, true, memory_order_seq_cst);
    alert(keeper);
}

void zu_keeper_fini(struct zu_keeper *keeper)
{
    int fd = atomic_load_explicit(&keeper->wake_fd, memory_order_relaxed);
    zu_chunk_pool_unwatch(&keeper->watcher);
    if (keeper->running) {
        pthread_mutex_lock(&keeper->lock);
        keeper->stopping = true;
        pthread_mutex_unlock(&keeper->lock);
        eventfd_write(fd, 1);
        pthread_join(keeper->thread, NULL);
    }
    zu_list_each(link, after, &keeper->orphans) /* vacant, but for notes that nobody needs any more */
    {
        struct zu_drive *drive = zu_container_of(link, struct zu_drive, kept);
        zu_list_remove(&drive->kept);
        zu_drive_keep(drive);
        zu_drive_unref(drive);
    }
    if (fd >= 0)
        close(fd);
    pthread_mutex_destroy(&keeper->start_lock);
    pthread_mutex_destroy(&keeper->lock);
}
