/* SPDX-License-Identifier: MIT */
/*
 * Where a message came from: one per connection epoch, shared by all its messages, immutable but for the count. What it
 * says is link's business; memory only has to keep it alive.
 */
#ifndef ZU_MEM_ORIGIN_H
#define ZU_MEM_ORIGIN_H

#include <stdatomic.h>

#include "base/attr.h"

struct zu_origin {
    _Atomic unsigned refs;             /* connection, chunks and messages; dropped with acq_rel */
    void (*free)(struct zu_origin *);  /* its maker's */
};

ZU_INLINE struct zu_origin *zu_origin_ref(struct zu_origin *origin)
{
    if (origin)
        atomic_fetch_add_explicit(&origin->refs, 1, memory_order_relaxed);
    return origin;
}

ZU_INLINE void zu_origin_unref(struct zu_origin *origin)
{
    /* acq_rel: every holder's last look happens before the memory goes. */
    if (origin && atomic_fetch_sub_explicit(&origin->refs, 1, memory_order_acq_rel) == 1)
        origin->free(origin);
}

#endif
