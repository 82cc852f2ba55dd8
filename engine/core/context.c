/* SPDX-License-Identifier: MIT */
/*
 * Made without threads; the first socket starts the shards, and a refused io_uring fails there with a clear errno. Term
 * tells every socket, waits for the application to close them and for what lingers, then stops the shards.
 * After a fork the child's copy works only for closing: its shards' threads are not there, so nothing waits for them.
 */
#include "core/context.h"

#include <stdio.h>

#include "base/error.h"
#include "base/futex.h"
#include "base/thread.h"
#include "core/socket.h"
#include "flow/pipe_wake.h"
#include "io/uring.h"
#include "link/resolve.h"
#include "mem/alloc.h"
#include "mem/buf.h"
#include "mem/chunk.h"

int (*zu_context_driver_new)(struct zu_driver **ret_driver) = zu_uring_new;

/* All contexts of the process, for fork. */
static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static struct zu_link all = {&all, &all};
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

/*
 * Every lock of the library, outer ones first: a lock that another thread held at that moment would stay locked in the
 * child for ever, and what it guards half done.
 */
static void fork_before(void)
{
    pthread_mutex_lock(&all_lock);
    zu_list_each(link, after, &all)
        pthread_mutex_lock(&zu_container_of(link, struct zu_context, link)->lock);
    zu_resolve_lock();
    zu_inproc_lock();
    zu_buf_pool_lock();
    zu_chunk_pool_lock();
}

static void fork_parent(void)
{
    zu_chunk_pool_unlock();
    zu_buf_pool_unlock();
    zu_inproc_unlock();
    zu_resolve_unlock();
    zu_list_each(link, after, &all)
        pthread_mutex_unlock(&zu_container_of(link, struct zu_context, link)->lock);
    pthread_mutex_unlock(&all_lock);
}

static void fork_child(void)
{
    zu_batches_forked();
    zu_list_each(link, after, &all)
    {
        struct zu_context *context = zu_container_of(link, struct zu_context, link);
        atomic_store_explicit(&context->forked, true, memory_order_relaxed);
        zu_list_each(at, next, &context->sockets)
            zu_socket_forked(zu_container_of(at, struct zu_socket, link));
    }
    zu_resolve_forked();
    fork_parent();
    zu_list_each(link, after, &all)
    {
        struct zu_context *context = zu_container_of(link, struct zu_context, link);
        for (unsigned i = 0; i < context->shard_count; i++) /* which nobody runs here: the duty is the child's own */
            zu_chunk_pool_unwatch(&context->shards[i]->watcher);
        zu_chunk_pool_unwatch(&context->keeper.watcher);
    }
    zu_list_init(&all);
}

static void fork_watch(void)
{
    pthread_atfork(fork_before, fork_parent, fork_child);
}

struct zu_context *zu_context_new(void)
{
    pthread_once(&fork_once, fork_watch);
    zu_pipe_wake_prepare();
    struct zu_context *context = zu_alloc_zero(sizeof *context);
    if (!context)
        return NULL;
    context->tag = ZU_CONTEXT_TAG;
    pthread_mutex_init(&context->lock, NULL);
    zu_ctx_options_init(&context->options);
    zu_ctx_options_from_environment(&context->options);
    zu_keeper_init(&context->keeper);
    zu_list_init(&context->sockets);
    zu_inproc_init(&context->inproc);
    pthread_mutex_lock(&all_lock);
    zu_list_append(&all, &context->link);
    pthread_mutex_unlock(&all_lock);
    return context;
}

int zu_context_set(struct zu_context *context, int number, const void *value, size_t size)
{
    pthread_mutex_lock(&context->lock);
    int err = zu_ctx_option_set(&context->options, number, value, size);
    pthread_mutex_unlock(&context->lock);
    return err;
}

int zu_context_get(struct zu_context *context, int number, void *value, size_t *size)
{
    pthread_mutex_lock(&context->lock);
    int err = zu_ctx_option_get(&context->options, number, value, size);
    pthread_mutex_unlock(&context->lock);
    return err;
}

static void shard_free(struct zu_shard *shard)
{
    zu_shard_fini(shard);
    zu_free(shard, sizeof *shard);
}

struct driver_maker {
    struct zu_driver *driver; /* the result, when err is 0 */
    int err;                  /* or why not */
};

static void *driver_make(void *arg)
{
    struct driver_maker *maker = arg;
    maker->err = zu_context_driver_new(&maker->driver);
    return NULL;
}

/*
 * On a thread of its own, which is soon over: when a ring is taken apart, the kernel leaves work to every living thread
 * that has touched it, and in one of the application's that would interrupt epoll_wait(2) with EINTR.
 */
static int driver_new(struct zu_driver **ret_driver)
{
    struct driver_maker maker = {0};
    pthread_t thread;
    int err = zu_thread_start(&thread, driver_make, &maker);
    if (err)
        return err;
    pthread_join(thread, NULL);
    if (!maker.err)
        *ret_driver = maker.driver;
    return maker.err;
}

static struct zu_shard *shard_new(int *ret_err)
{
    struct zu_driver *driver;
    struct zu_shard *shard = zu_alloc_lines(sizeof *shard);
    if (!shard) {
        *ret_err = -ENOMEM;
        return NULL;
    }
    *ret_err = driver_new(&driver);
    if (!*ret_err)
        *ret_err = zu_shard_init(shard, driver);
    if (!*ret_err)
        return shard;
    zu_free(shard, sizeof *shard);
    return NULL;
}

static int shard_start(struct zu_context *context, struct zu_shard *shard, unsigned index)
{
    const struct zu_ctx_options *options = &context->options;
    struct zu_shard_thread how = {.priority = options->thread_priority, .policy = options->thread_sched_policy};
    const char *prefix = options->thread_name_prefix;
    char name[64]; /* the kernel keeps 15 characters */
    snprintf(name, sizeof name, "%s%sZMQbg/IO/%u", prefix, prefix[0] ? "/" : "", index);
    memcpy(how.name, name, sizeof how.name - 1);
    cpu_set_t own;
    if (CPU_COUNT(&options->thread_cpus) > 0)
        how.cpus = &options->thread_cpus;
    if (options->shard_cpu_count) {
        CPU_ZERO(&own);
        CPU_SET(options->shard_cpus[index % (unsigned)options->shard_cpu_count], &own);
        how.cpus = &own;
    }
    shard->driver->busy_poll_us = (uint32_t)zu_ctx_spin_ns(options) / 1000;
    shard->spinner.budget_ns = zu_ctx_spin_ns(options);
    shard->earns = options->spin_us < 0;
    return zu_shard_start(shard, &how);
}

static void shards_free(struct zu_context *context)
{
    if (!context->shards)
        return;
    for (unsigned i = 0; i < context->shard_count; i++)
        shard_free(context->shards[i]);
    zu_free(context->shards, context->shard_room * sizeof(struct zu_shard *));
    context->shards = NULL;
    context->shard_count = 0;
}

static int shards_start(struct zu_context *context)
{
    const struct zu_ctx_options *options = &context->options;
    unsigned count = (unsigned)(options->shards ? options->shards : options->io_threads);
    int err = 0;
    context->is_inline = options->drive == ZU_DRIVE_INLINE;
    context->spin_ns = zu_ctx_spin_ns(options);
    if (context->is_inline) {
        count = 0;
        zu_keeper_watch(&context->keeper);
    }
    context->shard_room = count;
    if (count)
        context->shards = zu_alloc_zero(count * sizeof(struct zu_shard *));
    if (count && !context->shards)
        return -ENOMEM;
    for (unsigned i = 0; i < count && !err; i++) {
        struct zu_shard *shard = shard_new(&err);
        if (err)
            break;
        context->shards[context->shard_count++] = shard;
        err = shard_start(context, shard, i);
    }
    if (err)
        shards_free(context);
    context->started = !err;
    return err;
}

int zu_context_enter(struct zu_context *context, struct zu_link *link)
{
    int err = 0;
    pthread_mutex_lock(&context->lock);
    if (context->stopping)
        err = -ZU_ETERM;
    else if (context->socket_count >= (unsigned)context->options.max_sockets)
        err = -EMFILE;
    else if (!context->started)
        err = shards_start(context);
    if (!err) {
        context->socket_count++;
        zu_list_append(&context->sockets, link);
    }
    pthread_mutex_unlock(&context->lock);
    return err;
}

void zu_context_closing(struct zu_context *context, struct zu_link *link)
{
    pthread_mutex_lock(&context->lock);
    zu_list_remove(link);
    pthread_mutex_unlock(&context->lock);
}

void zu_context_leave(struct zu_context *context)
{
    pthread_mutex_lock(&context->lock);
    context->socket_count--;
    atomic_fetch_add_explicit(&context->departures, 1, memory_order_relaxed);
    zu_futex_wake(&context->departures); /* under the lock: behind it the terminating thread may free the context */
    pthread_mutex_unlock(&context->lock);
}

struct zu_drive_limits zu_context_drive_limits(struct zu_context *context)
{
    pthread_mutex_lock(&context->lock);
    struct zu_drive_limits limits = {
        .spin_ns = zu_ctx_spin_ns(&context->options),
        .flush_ns = (uint64_t)context->options.flush_us * 1000,
        .flush_bytes = (size_t)context->options.flush_bytes,
    };
    pthread_mutex_unlock(&context->lock);
    return limits;
}

struct zu_shard *zu_context_shard(struct zu_context *context, uint64_t affinity)
{
    struct zu_shard *best = NULL;
    unsigned best_load = 0;
    for (unsigned i = 0; i < context->shard_count; i++) {
        if (affinity && (i >= 64 || !(affinity >> i & 1)))
            continue;
        unsigned load = atomic_load_explicit(&context->shards[i]->load, memory_order_relaxed);
        if (!best || load < best_load) {
            best = context->shards[i];
            best_load = load;
        }
    }
    return best;
}

static void stop_sockets(struct zu_context *context)
{
    if (context->stopping)
        return;
    context->stopping = true;
    zu_list_each(link, after, &context->sockets)
        zu_socket_stop(zu_container_of(link, struct zu_socket, link));
}

void zu_context_shutdown(struct zu_context *context)
{
    pthread_mutex_lock(&context->lock);
    stop_sockets(context);
    pthread_mutex_unlock(&context->lock);
}

static void context_free(struct zu_context *context)
{
    bool forked = atomic_load_explicit(&context->forked, memory_order_relaxed);
    if (!forked) {
        pthread_mutex_lock(&all_lock);
        zu_list_remove(&context->link);
        pthread_mutex_unlock(&all_lock);
    }
    for (unsigned i = 0; forked && i < context->shard_count; i++)
        context->shards[i]->threaded = false; /* the threads are the parent's */
    shards_free(context);
    if (!forked) {
        zu_inproc_fini(&context->inproc);
        zu_keeper_fini(&context->keeper);
    }
    context->tag = 0;
    pthread_mutex_destroy(&context->lock);
    zu_free(context, sizeof *context);
}

/* Under the lock, which is let go while asleep. Where the keeper's thread was refused, this one drives what lingers. */
static int wait_emptied(struct zu_context *context)
{
    bool alone = context->is_inline && context->socket_count && !zu_keeper_is_there(&context->keeper);
    while (context->socket_count) {
        uint32_t seen = atomic_load_explicit(&context->departures, memory_order_relaxed);
        pthread_mutex_unlock(&context->lock);
        if (alone)
            zu_keeper_stand_in(&context->keeper);
        int err = zu_futex_wait(&context->departures, seen, alone ? zu_clock_ns() + ZU_KEEPER_LOOK_NS : ZU_NEVER);
        pthread_mutex_lock(&context->lock);
        if (err == -EINTR)
            return err;
    }
    return 0;
}

int zu_context_term(struct zu_context *context)
{
    if (atomic_load_explicit(&context->forked, memory_order_relaxed)) {
        context_free(context);
        return 0;
    }
    zu_batches_flush();
    pthread_mutex_lock(&context->lock);
    stop_sockets(context);
    int err = wait_emptied(context);
    pthread_mutex_unlock(&context->lock);
    if (!err)
        context_free(context);
    return err;
}
