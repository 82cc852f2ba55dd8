/* SPDX-License-Identifier: MIT */
/*
 * The loop: run the notes, fire the timers, wait for completions, which the driver runs. Before it waits it says that it
 * sleeps and looks at the mailbox once more; who posts into an empty box wakes a sleeper and nobody else. Whom the notes and
 * the completions of a turn have news for is woken when they are through, and finds all of it.
 * Nothing in the loop fails: what a connection cannot do ends that connection. Making the thread can fail, with errno.
 */
#include "io/shard.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/near.h"
#include "base/thread.h"

/*
 * MOVE_WAKES of sleepers on one processor make a shard go there; but the scheduler may have had its reasons, so not again
 * before MOVE_NS have passed.
 */
enum { MOVE_WAKES = 32, MOVE_NS = 5000000 };

/*
 * Measured: bench/README.md. 80 octets buy a microsecond, a spin is as long as a few wake-ups take. Each one in vain doubles
 * the price until one is not: large requests that come now and then could pay, and gain nothing.
 */
enum { EARN_NS_PER_KIB = 12500, EARNED_SPIN_NS = 30000, EARNED_MOST_NS = 32 * EARNED_SPIN_NS };

/* The shard that this thread is stepping: its completions' notes need not wake it. */
static _Thread_local struct zu_shard *shard_here;

bool zu_shard_is_here(const struct zu_shard *shard)
{
    return shard_here == shard;
}

bool zu_shard_wake(struct zu_shard *shard)
{
    if (shard_here == shard)
        return true;
    /* seq_cst: behind the post's exchange on the box; pairs with the shard's "asleep, then look". */
    if (!atomic_exchange_explicit(&shard->asleep, 0, memory_order_seq_cst))
        return false;
    shard->driver->ops->wake(shard->driver);
    return true;
}

static void box_wake(struct zu_mailbox *box)
{
    struct zu_shard *shard = zu_container_of(box, struct zu_shard, box);
    if (!zu_shard_wake(shard) && shard->neglected)
        shard->neglected(shard);
}

static void run_stop(struct zu_note *note)
{
    zu_container_of(note, struct zu_shard, stop)->stopping = true;
}

static void run_fat(struct zu_note *note)
{
    struct zu_shard *shard = zu_container_of(note, struct zu_shard, fat);
    atomic_store_explicit(&shard->fat_posted, false, memory_order_relaxed);
    if (!shard->trim.place)
        zu_shard_timer(shard, &shard->trim, ZU_TRIM_PERIOD_NS);
}

static void trim_fired(struct zu_timer *timer)
{
    struct zu_shard *shard = zu_container_of(timer, struct zu_shard, trim);
    uint64_t again_ns = zu_chunk_pool_trim();
    if (again_ns)
        zu_shard_timer(shard, &shard->trim, again_ns);
}

static void on_fat(struct zu_chunk_watcher *watcher)
{
    struct zu_shard *shard = zu_container_of(watcher, struct zu_shard, watcher);
    if (!atomic_exchange_explicit(&shard->fat_posted, true, memory_order_relaxed))
        zu_mailbox_post(&shard->box, &shard->fat);
}

static ZU_COLD void move_near(struct zu_shard *shard)
{
    uint64_t now_ns = zu_shard_now_ns(shard);
    zu_near.wakes = 0;
    if (now_ns - shard->moved_ns < MOVE_NS)
        return;
    shard->moved_ns = now_ns;
    zu_near_follow();
}

int zu_shard_init(struct zu_shard *shard, struct zu_driver *driver)
{
    memset(shard, 0, sizeof *shard);
    zu_mailbox_init(&shard->box, box_wake, NULL);
    zu_timers_init(&shard->timers);
    zu_list_init(&shard->residents);
    zu_list_init(&shard->pauses);
    shard->driver = driver;
    shard->spin_price_ns = EARNED_SPIN_NS;
    shard->stop.run = run_stop;
    shard->fat.run = run_fat;
    shard->trim.fired = trim_fired;
    shard->watcher.fat = on_fat;
    zu_list_init(&shard->watcher.link);
    return 0;
}

int zu_shard_timer(struct zu_shard *shard, struct zu_timer *timer, uint64_t delay_ns)
{
    return zu_timer_set(&shard->timers, timer, zu_shard_now_ns(shard) + delay_ns);
}

void zu_shard_at_pause(struct zu_shard *shard, struct zu_pause *pause)
{
    zu_list_remove(&pause->link);
    zu_list_append(&shard->pauses, &pause->link);
    pause->turn = shard->turn;
}

static void pauses_run(struct zu_shard *shard)
{
    zu_list_each(link, next, &shard->pauses)
    {
        struct zu_pause *pause = zu_container_of(link, struct zu_pause, link);
        if (pause->turn == shard->turn)
            return;
        zu_list_remove(&pause->link);
        pause->run(pause);
    }
}

static bool has_notes(struct zu_shard *shard)
{
    return zu_mailbox_has_notes(&shard->box) || (shard->user_box && zu_mailbox_has_notes(shard->user_box));
}

void zu_shard_earn(struct zu_shard *shard, uint64_t octets)
{
    if (!shard->earns)
        return;
    shard->earned_ns += octets * EARN_NS_PER_KIB / 1024;
    if (shard->earned_ns > EARNED_MOST_NS)
        shard->earned_ns = EARNED_MOST_NS;
}

/* True: there is something to do. */
static bool spin_for_work(struct zu_shard *shard, uint64_t until_ns)
{
    struct zu_spinner *spinner = &shard->spinner;
    if (shard->earns)
        spinner->budget_ns = shard->earned_ns >= shard->spin_price_ns ? EARNED_SPIN_NS : 0;
    if (!zu_spin_begin(spinner, until_ns))
        return false;
    uint64_t from_ns = spinner->look_ns;
    bool found, on = true;
    while (!(found = has_notes(shard) || shard->driver->ops->ready(shard->driver)) && on)
        on = zu_spin_on(spinner);
    uint64_t spent_ns = found ? spinner->look_ns - from_ns : shard->spin_price_ns;
    shard->earned_ns = shard->earned_ns > spent_ns ? shard->earned_ns - spent_ns : 0;
    if (found)
        shard->spin_price_ns = EARNED_SPIN_NS;
    else if (shard->spin_price_ns < EARNED_MOST_NS)
        shard->spin_price_ns *= 2;
    return found;
}

/* Sleeps, if need be, and runs the completions. */
static int rest(struct zu_shard *shard, uint64_t until_ns)
{
    zu_wakes_release();
    zu_wakes_hold();
    if (until_ns && spin_for_work(shard, until_ns))
        until_ns = 0;
    if (until_ns) {
        atomic_exchange_explicit(&shard->asleep, 1, memory_order_seq_cst);
        if (has_notes(shard))
            until_ns = 0;
    }
    shard->turn++;
    int err = shard->driver->ops->wait(shard->driver, until_ns);
    pauses_run(shard);
    atomic_store_explicit(&shard->asleep, 0, memory_order_relaxed);
    return err;
}

int zu_shard_step(struct zu_shard *shard, uint64_t until_ns)
{
    struct zu_shard *outer = shard_here;
    shard_here = shard;
    zu_wakes_hold();
    bool did = zu_mailbox_run(&shard->box);
    uint64_t next_ns = zu_timers_next_ns(&shard->timers);
    if (next_ns != ZU_NEVER) {
        zu_timers_run(&shard->timers, zu_shard_now_ns(shard));
        next_ns = zu_timers_next_ns(&shard->timers);
    }
    if (did || shard->stopping || !zu_list_is_empty(&shard->pauses))
        until_ns = 0;
    else if (next_ns < until_ns)
        until_ns = next_ns;
    int err = rest(shard, until_ns);
    if (zu_unlikely(zu_near.wakes >= MOVE_WAKES) && !shard->driver->ops->roams)
        move_near(shard);
    zu_wakes_release();
    shard_here = outer;
    return err;
}

bool zu_shard_is_vacant(struct zu_shard *shard)
{
    /* acquire: behind the last use by whoever gave up his reference. The load is its thread's own to lower. */
    return !zu_mailbox_has_notes(&shard->box) && atomic_load_explicit(&shard->box.refs, memory_order_acquire) == 1 &&
           atomic_load_explicit(&shard->load, memory_order_relaxed) == 0;
}

static void thread_prepare(const struct zu_shard_thread *how)
{
    pthread_setname_np(pthread_self(), how->name);
    /* Wishes: a process that may not raise its priority runs without, as libzmq's does. */
    if (how->policy >= 0 || how->priority >= 0) {
        int policy;
        struct sched_param param;
        pthread_getschedparam(pthread_self(), &policy, &param);
        if (how->policy >= 0)
            policy = how->policy;
        bool real_time = policy == SCHED_FIFO || policy == SCHED_RR;
        param.sched_priority = real_time ? (how->priority > 0 ? how->priority : 1) : 0;
        pthread_setschedparam(pthread_self(), policy, &param);
        if (!real_time && how->priority > 0)
            setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), -20);
    }
    if (how->cpus)
        pthread_setaffinity_np(pthread_self(), sizeof *how->cpus, how->cpus);
}

struct start {
    struct zu_shard *shard;
    const struct zu_shard_thread *how;
    int err;              /* written by the new thread before done */
    pthread_mutex_t lock; /* guards done */
    pthread_cond_t ready;
    bool done;
};

static void *thread_main(void *argument)
{
    struct start *start = argument;
    struct zu_shard *shard = start->shard;
    thread_prepare(start->how);
    int err = shard->driver->ops->start(shard->driver);
    pthread_mutex_lock(&start->lock);
    start->err = err;
    start->done = true;
    pthread_cond_signal(&start->ready);
    pthread_mutex_unlock(&start->lock);
    if (err)
        return NULL;
    while (!shard->stopping)
        zu_shard_step(shard, ZU_NEVER);
    return NULL;
}

int zu_shard_start(struct zu_shard *shard, const struct zu_shard_thread *how)
{
    zu_chunk_pool_watch(&shard->watcher);
    if (shard->driver->ops->simulated)
        return shard->driver->ops->start(shard->driver);
    struct start start = {.shard = shard, .how = how};
    pthread_mutex_init(&start.lock, NULL);
    pthread_cond_init(&start.ready, NULL);
    int err = zu_thread_start(&shard->thread, thread_main, &start);
    if (!err) {
        pthread_mutex_lock(&start.lock);
        while (!start.done)
            pthread_cond_wait(&start.ready, &start.lock);
        pthread_mutex_unlock(&start.lock);
        err = start.err;
        if (err)
            pthread_join(shard->thread, NULL);
        shard->threaded = !err;
    }
    pthread_cond_destroy(&start.ready);
    pthread_mutex_destroy(&start.lock);
    return err;
}

void zu_shard_fini(struct zu_shard *shard)
{
    zu_chunk_pool_unwatch(&shard->watcher);
    if (shard->threaded) {
        zu_mailbox_post(&shard->box, &shard->stop);
        pthread_join(shard->thread, NULL);
    }
    zu_timers_fini(&shard->timers);
    shard->driver->ops->free(shard->driver);
}
