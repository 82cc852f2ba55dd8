/* SPDX-License-Identifier: MIT */
/*
 * Chunks are taken from and returned to one pool per rung, last in first out, so the ones in use stay in the cache. A
 * lock guards each rung; it is taken once per tens of kilobytes. Large rungs are pages of their own, so that a trim shows
 * in the process's size. A burst leaves free chunks; a watching shard then sets a one-shot timer, which trims.
 * It fails only for want of memory, with NULL.
 */
#include "mem/chunk.h"

#include <pthread.h>

#include "mem/alloc.h"

/* Bytes of a whole chunk, header included. The receive rung adds headroom and a small table. */
static const uint32_t rung_sizes[ZU_CHUNK_RUNGS] = {512, 4096, 16384, 65536, 80 * 1024};

enum {
    PAGES_FROM = 65536,           /* chunks of this size or more are mapped alone */
    KEEP_BYTES = 2 * 1024 * 1024, /* free bytes that a quiet process keeps */
    TRIM_STEP_NS = 2000000,       /* until more are given back */
    TRIM_CHUNKS = 32,             /* given back at a time: unmapping takes 10 us each, and a shard's connections wait meanwhile */
};

/* Shared by all threads. */
struct rung {
    pthread_mutex_t lock;        /* guards the rest */
    struct zu_chunk *top;        /* free chunks */
    uint32_t count;              /* free chunks */
    uint32_t count_min;          /* fewest free since the last trim: these nobody needed */
} ZU_ALIGNED_LINE;

static struct rung rungs[ZU_CHUNK_RUNGS] = {
    {.lock = PTHREAD_MUTEX_INITIALIZER}, {.lock = PTHREAD_MUTEX_INITIALIZER}, {.lock = PTHREAD_MUTEX_INITIALIZER},
    {.lock = PTHREAD_MUTEX_INITIALIZER}, {.lock = PTHREAD_MUTEX_INITIALIZER},
};
static _Atomic uint64_t free_bytes; /* statistics and the fat mark: relaxed */
static _Atomic uint64_t all_bytes;  /* statistics: relaxed */
static _Atomic bool is_told;        /* one call per fat spell */
static pthread_mutex_t watch_lock = PTHREAD_MUTEX_INITIALIZER; /* guards the list, and keeps a watcher valid while called */
static struct zu_link watchers = {&watchers, &watchers};

static void chunk_release(struct zu_chunk *chunk, uint32_t size)
{
    atomic_fetch_sub_explicit(&all_bytes, size, memory_order_relaxed);
    if (size >= PAGES_FROM)
        zu_pages_free(chunk, size);
    else
        zu_free(chunk, size);
}

static ZU_COLD struct zu_chunk *chunk_obtain(uint32_t size)
{
    struct zu_chunk *chunk = size >= PAGES_FROM ? zu_pages_alloc(size) : zu_alloc_lines(size);
    if (chunk)
        atomic_fetch_add_explicit(&all_bytes, size, memory_order_relaxed);
    return chunk;
}

struct zu_chunk *zu_chunk_new(unsigned rung_index)
{
    struct rung *rung = &rungs[rung_index];
    uint32_t size = rung_sizes[rung_index];
    pthread_mutex_lock(&rung->lock);
    struct zu_chunk *chunk = rung->top;
    if (chunk) {
        rung->top = chunk->free_next;
        if (--rung->count < rung->count_min)
            rung->count_min = rung->count;
        atomic_fetch_sub_explicit(&free_bytes, size, memory_order_relaxed);
    }
    pthread_mutex_unlock(&rung->lock);
    if (!chunk)
        chunk = chunk_obtain(size);
    if (!chunk)
        return NULL;
    atomic_init(&chunk->word, 0);
    chunk->next = NULL;
    chunk->origin = NULL;
    atomic_init(&chunk->refs, 1);
    chunk->size = size - (uint32_t)sizeof *chunk;
    chunk->begin = 0;
    chunk->pool_class = rung_index;
    return chunk;
}

static ZU_COLD void tell_watcher(void)
{
    if (atomic_exchange_explicit(&is_told, true, memory_order_relaxed))
        return;
    pthread_mutex_lock(&watch_lock);
    if (!zu_list_is_empty(&watchers)) {
        struct zu_chunk_watcher *watcher = zu_container_of(watchers.prev, struct zu_chunk_watcher, link);
        watcher->fat(watcher);
    }
    pthread_mutex_unlock(&watch_lock);
}

void zu_chunk_free(struct zu_chunk *chunk)
{
    struct rung *rung = &rungs[chunk->pool_class];
    uint32_t size = rung_sizes[chunk->pool_class];
    zu_origin_unref(chunk->origin);
    pthread_mutex_lock(&rung->lock);
    chunk->free_next = rung->top;
    rung->top = chunk;
    rung->count++;
    /* Under the lock: else whoever takes the chunk may subtract before this adds, and the sum wrap. */
    uint64_t bytes = atomic_fetch_add_explicit(&free_bytes, size, memory_order_relaxed) + size;
    pthread_mutex_unlock(&rung->lock);
    if (zu_unlikely(bytes > KEEP_BYTES) && !atomic_load_explicit(&is_told, memory_order_relaxed))
        tell_watcher();
}

void zu_owner_drop(uintptr_t owner)
{
    struct zu_chunk *chunk = zu_owner_chunk(owner);
    if (chunk)
        zu_chunk_unref(chunk);
    else if (owner)
        zu_buf_unref((struct zu_buf *)owner);
}

bool zu_chunk_pool_is_fat(void)
{
    return atomic_load_explicit(&free_bytes, memory_order_relaxed) > KEEP_BYTES;
}

uint64_t zu_chunk_bytes(void)
{
    return atomic_load_explicit(&all_bytes, memory_order_relaxed);
}

uint64_t zu_chunk_pool_bytes(void)
{
    return atomic_load_explicit(&free_bytes, memory_order_relaxed);
}

/* True: there is more. */
static bool rung_trim(unsigned rung_index, unsigned *quota)
{
    struct rung *rung = &rungs[rung_index];
    uint32_t size = rung_sizes[rung_index];
    struct zu_chunk *spare = NULL;
    pthread_mutex_lock(&rung->lock);
    for (; rung->count_min > 0 && *quota > 0 && zu_chunk_pool_is_fat(); --*quota) {
        struct zu_chunk *chunk = rung->top;
        rung->top = chunk->free_next;
        rung->count--;
        rung->count_min--;
        atomic_fetch_sub_explicit(&free_bytes, size, memory_order_relaxed);
        chunk->free_next = spare;
        spare = chunk;
    }
    bool more = rung->count_min > 0 && zu_chunk_pool_is_fat();
    pthread_mutex_unlock(&rung->lock);
    while (spare) {
        struct zu_chunk *chunk = spare;
        spare = chunk->free_next;
        chunk_release(chunk, size);
    }
    return more;
}

uint64_t zu_chunk_pool_trim(void)
{
    unsigned quota = TRIM_CHUNKS;
    for (unsigned i = ZU_CHUNK_RUNGS; i-- > 0;) {
        if (rung_trim(i, &quota))
            return TRIM_STEP_NS;
    }
    /* All of them together: a rung that has given what it can waits for the others. */
    for (unsigned i = 0; i < ZU_CHUNK_RUNGS; i++) {
        pthread_mutex_lock(&rungs[i].lock);
        rungs[i].count_min = rungs[i].count;
        pthread_mutex_unlock(&rungs[i].lock);
    }
    if (zu_chunk_pool_is_fat())
        return ZU_TRIM_PERIOD_NS;
    atomic_store_explicit(&is_told, false, memory_order_relaxed);
    return 0;
}

/* Whoever was told may have gone without trimming. */
static void tell_anew(void)
{
    atomic_store_explicit(&is_told, false, memory_order_relaxed);
    if (zu_chunk_pool_is_fat())
        tell_watcher();
}

void zu_chunk_pool_watch(struct zu_chunk_watcher *watcher)
{
    pthread_mutex_lock(&watch_lock);
    zu_list_append(&watchers, &watcher->link);
    pthread_mutex_unlock(&watch_lock);
    tell_anew();
}

void zu_chunk_pool_unwatch(struct zu_chunk_watcher *watcher)
{
    pthread_mutex_lock(&watch_lock);
    zu_list_remove(&watcher->link);
    pthread_mutex_unlock(&watch_lock);
    tell_anew();
}

void zu_chunk_pool_lock(void)
{
    pthread_mutex_lock(&watch_lock);
    for (unsigned i = 0; i < ZU_CHUNK_RUNGS; i++)
        pthread_mutex_lock(&rungs[i].lock);
}

void zu_chunk_pool_unlock(void)
{
    for (unsigned i = 0; i < ZU_CHUNK_RUNGS; i++)
        pthread_mutex_unlock(&rungs[i].lock);
    pthread_mutex_unlock(&watch_lock);
}
