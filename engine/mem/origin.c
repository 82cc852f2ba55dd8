/* SPDX-License-Identifier: MIT */
/*
 * Most messages are closed by the thread that received them. So each thread keeps a few references of the origin it met
 * last and trades them without touching the shared count; it is adjusted in blocks. A thread that exits gives them back.
 * Nothing fails: without a key for the destructor every reference is counted singly.
 */
#include "mem/origin.h"

#include <pthread.h>

enum { BLOCK = 1024 };

_Thread_local struct zu_origin_cache zu_origin_cache;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t exit_key;
static bool has_key;

static void cache_end(void *unused)
{
    (void)unused;
    struct zu_origin_cache *cache = &zu_origin_cache;
    cache->is_off = true;
    if (cache->origin)
        zu_origin_drop_many(cache->origin, cache->count);
    cache->origin = NULL;
    cache->count = 0;
}

static void make_key(void)
{
    has_key = pthread_key_create(&exit_key, cache_end) == 0;
}

void zu_origin_drop_many(struct zu_origin *origin, unsigned count)
{
    /* acq_rel: every holder's last look happens before the memory goes. */
    if (count && atomic_fetch_sub_explicit(&origin->refs, count, memory_order_acq_rel) == count)
        origin->free(origin);
}

/* Makes `origin` the one that this thread keeps references of. False: count singly. */
static bool cache_turn_to(struct zu_origin_cache *cache, struct zu_origin *origin)
{
    if (cache->origin == origin)
        return true;
    pthread_once(&once, make_key);
    if (cache->is_off || !has_key || pthread_setspecific(exit_key, cache) != 0)
        return false;
    if (cache->origin)
        zu_origin_drop_many(cache->origin, cache->count);
    cache->origin = origin;
    cache->count = 0;
    return true;
}

ZU_COLD void zu_origin_take_slow(struct zu_origin *origin)
{
    struct zu_origin_cache *cache = &zu_origin_cache;
    bool kept = cache_turn_to(cache, origin);
    atomic_fetch_add_explicit(&origin->refs, kept ? BLOCK : 1, memory_order_relaxed);
    if (kept)
        cache->count = BLOCK - 1;
}

ZU_COLD void zu_origin_give_slow(struct zu_origin *origin)
{
    struct zu_origin_cache *cache = &zu_origin_cache;
    if (cache->origin != origin) {
        zu_origin_drop_many(origin, 1);
        return;
    }
    cache->count -= BLOCK;
    zu_origin_drop_many(origin, BLOCK + 1);
}
