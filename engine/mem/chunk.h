/* SPDX-License-Identifier: MIT */
/*
 * A chunk: a piece of a pipe. It holds ZMTP frames as they go over the wire; payloads too large to copy stand in a table
 * of references that grows down from the chunk's end, each saying where in the byte stream its payload belongs.
 *
 *      header | begin ... frames ... end | free ... | ref 1 | ref 0
 *
 * What the reader may see is one word: how far the bytes, references and messages reach, and what follows.
 */
#ifndef ZU_MEM_CHUNK_H
#define ZU_MEM_CHUNK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/list.h"
#include "mem/buf.h"
#include "mem/origin.h"

/* The published word. */
#define ZU_CHUNK_END_BITS 20 /* bytes: a chunk is below 1 MiB */
#define ZU_CHUNK_REF_BITS 12
#define ZU_CHUNK_MESSAGE_BITS 24
#define ZU_CHUNK_EOF (UINT64_C(1) << 62)    /* the writer has ended the pipe here */
#define ZU_CHUNK_SEALED (UINT64_C(1) << 63) /* nothing more here; `next` is set */

struct zu_chunk_ref {
    uintptr_t owner;      /* one reference, the chunk's until the reader takes it: see zu_owner_* */
    const uint8_t *data;  /* first payload byte, inside what the owner keeps alive */
    uint64_t size;        /* payload bytes; never 0 */
    uint32_t at;          /* the payload belongs before the chunk byte with this offset */
    uint32_t unused;      /* keeps the table's rows aligned */
};

struct zu_chunk {
    _Atomic uint64_t word;  /* published by the writer alone */
    struct zu_chunk *next;  /* written before SEALED is published, read after it is seen */
    _Atomic unsigned refs;  /* the pipe, and each message that is a slice of the bytes */
    uint32_t size;          /* bytes at data, the table of references included */
    uint64_t final_word;    /* the writer's, once it has gone on to another chunk: what to publish here at last */
    uint32_t begin;         /* offset of the first frame: behind the headroom of a receive buffer */
    uint32_t pool_class;    /* rung of the ladder it returns to */
    union {
        struct zu_origin *origin;   /* in use: of all messages in it, one reference; NULL for none */
        struct zu_chunk *free_next; /* free: the pool's chain */
    };
    uint8_t data[] ZU_ALIGNED_LINE;
};

ZU_INLINE uint32_t zu_word_end(uint64_t word)
{
    return (uint32_t)(word & ((1u << ZU_CHUNK_END_BITS) - 1));
}

ZU_INLINE uint32_t zu_word_refs(uint64_t word)
{
    return (uint32_t)(word >> ZU_CHUNK_END_BITS) & ((1u << ZU_CHUNK_REF_BITS) - 1);
}

ZU_INLINE uint32_t zu_word_messages(uint64_t word)
{
    return (uint32_t)(word >> (ZU_CHUNK_END_BITS + ZU_CHUNK_REF_BITS)) & ((1u << ZU_CHUNK_MESSAGE_BITS) - 1);
}

ZU_INLINE uint64_t zu_word_make(uint32_t end, uint32_t refs, uint32_t messages)
{
    return (uint64_t)end | (uint64_t)refs << ZU_CHUNK_END_BITS |
           (uint64_t)messages << (ZU_CHUNK_END_BITS + ZU_CHUNK_REF_BITS);
}

/* The i-th reference, counted from the chunk's end. */
ZU_INLINE struct zu_chunk_ref *zu_chunk_ref_at(struct zu_chunk *chunk, uint32_t i)
{
    return (struct zu_chunk_ref *)(void *)(chunk->data + chunk->size) - 1 - i;
}

/* Who keeps a payload alive: a buffer, a chunk (the payload is a slice of it), or nobody (a constant). */
ZU_INLINE uintptr_t zu_owner_of_buf(struct zu_buf *buf)
{
    return (uintptr_t)buf;
}

ZU_INLINE uintptr_t zu_owner_of_chunk(struct zu_chunk *chunk)
{
    return (uintptr_t)chunk | 1;
}

ZU_INLINE struct zu_chunk *zu_owner_chunk(uintptr_t owner)
{
    return owner & 1 ? (struct zu_chunk *)(owner & ~(uintptr_t)1) : NULL;
}

void zu_owner_drop(uintptr_t owner);

/* Rungs of the ladder; a pipe starts low and climbs while it is busy. The last one is a receive buffer. */
enum { ZU_CHUNK_RUNGS = 5, ZU_CHUNK_RUNG_TOP = 3, ZU_CHUNK_RUNG_RECEIVE = 4 };

/* A receive buffer: headroom for the partial frame that the previous buffer ended with, data, room for references. */
#define ZU_RECEIVE_HEADROOM (12 * 1024)
#define ZU_RECEIVE_SIZE (64 * 1024)

/* One pool for the process: messages that are slices outlive sockets and contexts. NULL without memory. */
struct zu_chunk *zu_chunk_new(unsigned rung);
void zu_chunk_free(struct zu_chunk *chunk);

ZU_INLINE void zu_chunk_hold(struct zu_chunk *chunk)
{
    atomic_fetch_add_explicit(&chunk->refs, 1, memory_order_relaxed);
}

ZU_INLINE void zu_chunk_unref(struct zu_chunk *chunk)
{
    /* A sole holder cannot race. acquire pairs with the release half of the others' decrements. */
    if (atomic_load_explicit(&chunk->refs, memory_order_acquire) == 1 ||
        atomic_fetch_sub_explicit(&chunk->refs, 1, memory_order_acq_rel) == 1)
        zu_chunk_free(chunk);
}

/* Free chunks lie above what a quiet process keeps: somebody should trim in a while. */
bool zu_chunk_pool_is_fat(void);
/* How long after growing fat it is to be trimmed. */
#define ZU_TRIM_PERIOD_NS UINT64_C(300000000)
/* Gives back some chunks that were not used for a period. Returns in how many ns to call it again; 0: it is lean. */
uint64_t zu_chunk_pool_trim(void);
/* Bytes in free chunks, and in all that there are, for counters and tests. */
uint64_t zu_chunk_pool_bytes(void);
uint64_t zu_chunk_bytes(void);
/* Somebody who can trim in a while: a shard. Owned by it; the links are under the pool's lock. */
struct zu_chunk_watcher {
    void (*fat)(struct zu_chunk_watcher *); /* any thread: the pool has grown fat. One watcher is asked, once per spell */
    struct zu_link link;                    /* among the watchers */
};

void zu_chunk_pool_watch(struct zu_chunk_watcher *watcher);
/* If the pool is fat, the duty passes to another watcher. */
void zu_chunk_pool_unwatch(struct zu_chunk_watcher *watcher);

/* Around a fork: no other thread is then in the middle of something, which the child would find half done and locked. */
void zu_chunk_pool_lock(void);
void zu_chunk_pool_unlock(void);

#endif
