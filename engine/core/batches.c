/* SPDX-License-Identifier: MIT */
/*
 * A drive is linked when its first batch begins and stays so: a batch costs no lock, only whoever walks the list takes it.
 * What a thread that exits leaves there is still reachable by the drives, whose batches are the keeper's by then.
 * Fails only for want of memory or of a key: the thread then has no list, and its batches go by their own sends and waits.
 */
#include "core/batches.h"

#include "core/drive.h"
#include "mem/alloc.h"

enum {
    LOOK_NS = 2500,  /* about how long it may be from one look at the clock to the next */
    STRIDE_MAX = 16, /* calls */
};

_Thread_local struct zu_batches *zu_batches_here;
static _Thread_local bool is_over; /* this thread's destructors have run */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t exit_key;
static bool has_key; /* constant behind `once` */

static void batches_unref(struct zu_batches *batches)
{
    /* acq_rel: behind the others' last use. */
    if (atomic_fetch_sub_explicit(&batches->refs, 1, memory_order_acq_rel) > 1)
        return;
    pthread_mutex_destroy(&batches->lock);
    zu_free(batches, sizeof *batches);
}

static void thread_ends(void *batches)
{
    zu_batches_here = NULL;
    is_over = true;
    batches_unref(batches);
}

static void make_key(void)
{
    has_key = pthread_key_create(&exit_key, thread_ends) == 0;
}

static void lock_init(pthread_mutex_t *lock)
{
    pthread_mutexattr_t how;
    pthread_mutexattr_init(&how);
    pthread_mutexattr_settype(&how, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(lock, &how);
    pthread_mutexattr_destroy(&how);
}

static ZU_COLD struct zu_batches *batches_new(void)
{
    pthread_once(&once, make_key);
    struct zu_batches *batches = is_over || !has_key ? NULL : zu_alloc_zero(sizeof *batches);
    if (!batches)
        return NULL;
    if (pthread_setspecific(exit_key, batches)) {
        zu_free(batches, sizeof *batches);
        return NULL;
    }
    lock_init(&batches->lock);
    zu_list_init(&batches->drives);
    atomic_init(&batches->refs, 1);
    batches->due_ns = ZU_NEVER;
    batches->left = batches->stride = 1;
    return zu_batches_here = batches;
}

static uint64_t due_ns(struct zu_drive *drive)
{
    return atomic_load_explicit(&drive->touched_ns, memory_order_relaxed) + drive->limits.flush_ns;
}

static void enter(struct zu_batches *batches, struct zu_drive *drive)
{
    /* relaxed: by the thread, which has a reference. */
    atomic_fetch_add_explicit(&batches->refs, 1, memory_order_relaxed);
    pthread_mutex_lock(&batches->lock);
    zu_list_append(&batches->drives, &drive->batched);
    batches->count++;
    pthread_mutex_unlock(&batches->lock);
    drive->batches = batches;
}

void zu_batches_begun(struct zu_drive *drive)
{
    struct zu_batches *batches = zu_batches_here ? zu_batches_here : batches_new();
    if (!batches)
        return;
    if (zu_unlikely(!drive->batches))
        enter(batches, drive);
    if (due_ns(drive) < batches->due_ns)
        batches->due_ns = due_ns(drive);
}

void zu_batches_leave(struct zu_drive *drive)
{
    struct zu_batches *batches = drive->batches;
    if (!batches)
        return;
    pthread_mutex_lock(&batches->lock);
    zu_list_remove(&drive->batched);
    batches->count--;
    pthread_mutex_unlock(&batches->lock);
    drive->batches = NULL;
    batches_unref(batches);
}

ZU_COLD void zu_batches_claim(struct zu_drive *drive)
{
    zu_batches_leave(drive);
    if (drive->messages)
        zu_batches_begun(drive);
}

/* In the child another thread's hold on the lock would never end: the memory stays, as that of the sockets does. */
void zu_batches_forked(void)
{
    if (!zu_batches_here)
        return;
    pthread_setspecific(exit_key, NULL);
    zu_batches_here = NULL;
}

/* Those that are old by `now_ns`. Each is moved behind the rest first: while it is stepped, others may come and go. */
static void flush_due(struct zu_batches *batches, uint64_t now_ns)
{
    if (batches->flushing)
        return;
    batches->flushing = true;
    batches->due_ns = ZU_NEVER;
    pthread_mutex_lock(&batches->lock);
    for (unsigned left = batches->count; left && !zu_list_is_empty(&batches->drives); left--) {
        struct zu_drive *drive = zu_container_of(batches->drives.next, struct zu_drive, batched);
        zu_list_remove(&drive->batched);
        zu_list_append(&batches->drives, &drive->batched);
        if (!drive->messages)
            continue;
        if (due_ns(drive) <= now_ns)
            zu_drive_step(drive);
        else if (due_ns(drive) < batches->due_ns)
            batches->due_ns = due_ns(drive);
    }
    pthread_mutex_unlock(&batches->lock);
    batches->flushing = false;
}

ZU_COLD void zu_batches_flush_slowly(struct zu_batches *batches)
{
    flush_due(batches, ZU_NEVER);
}

ZU_COLD void zu_batches_look_slowly(struct zu_batches *batches)
{
    uint64_t now_ns = zu_clock_ns();
    if (now_ns - batches->looked_ns >= LOOK_NS)
        batches->stride = 1;
    else if (batches->stride < STRIDE_MAX)
        batches->stride *= 2;
    batches->looked_ns = now_ns;
    batches->left = batches->stride;
    if (now_ns >= batches->due_ns)
        flush_due(batches, now_ns);
}
