/* SPDX-License-Identifier: MIT */
/*
 * Where a message came from: one per connection epoch, shared by all its messages, immutable but for the count. What it
 * says is link's business; memory only has to keep it alive.
 */
#ifndef ZU_MEM_ORIGIN_H
#define ZU_MEM_ORIGIN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

struct zu_origin {
    _Atomic unsigned refs;             /* connection, chunks, messages and threads' stocks; dropped with acq_rel */
    void (*free)(struct zu_origin *);  /* its maker's */
};

/* References that a thread holds in stock, of the origin whose messages it handled last. */
struct zu_origin_cache {
    struct zu_origin *origin; /* of which; NULL for none */
    unsigned count;           /* how many */
    bool is_off;              /* the thread is exiting */
};

enum { ZU_ORIGIN_STOCK_MAX = 2048 };

extern _Thread_local struct zu_origin_cache zu_origin_cache;

void zu_origin_drop_many(struct zu_origin *origin, unsigned count);
void zu_origin_take_slow(struct zu_origin *origin);
void zu_origin_give_slow(struct zu_origin *origin);

ZU_INLINE struct zu_origin *zu_origin_ref(struct zu_origin *origin)
{
    if (origin)
        atomic_fetch_add_explicit(&origin->refs, 1, memory_order_relaxed);
    return origin;
}

ZU_INLINE void zu_origin_unref(struct zu_origin *origin)
{
    if (origin)
        zu_origin_drop_many(origin, 1);
}

/* The same for messages, by way of the thread's stock. The caller sees to it that somebody holds the origin. */
ZU_INLINE struct zu_origin *zu_origin_take(struct zu_origin *origin)
{
    struct zu_origin_cache *cache = &zu_origin_cache;
    if (!origin)
        return NULL;
    if (zu_likely(cache->origin == origin && cache->count))
        cache->count--;
    else
        zu_origin_take_slow(origin);
    return origin;
}

ZU_INLINE void zu_origin_give(struct zu_origin *origin)
{
    struct zu_origin_cache *cache = &zu_origin_cache;
    if (!origin)
        return;
    if (zu_likely(cache->origin == origin && cache->count < ZU_ORIGIN_STOCK_MAX))
        cache->count++;
    else
        zu_origin_give_slow(origin);
}

#endif
