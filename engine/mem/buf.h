/* SPDX-License-Identifier: MIT */
/*
 * A shared buffer: bytes with a reference count, either behind the header in one block from a pool of size classes, or
 * foreign memory with a free callback. Any thread may hold and drop references; the last one frees, exactly once.
 */
#ifndef ZU_MEM_BUF_H
#define ZU_MEM_BUF_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

typedef void zu_free_fn(void *data, void *hint);

struct zu_buf {
    _Atomic unsigned refs; /* holders; dropped with acq_rel, so every use is over before the memory goes */
    unsigned pool_class;   /* size class it returns to, or ZU_BUF_HEAP, ZU_BUF_FOREIGN */
    void *data;            /* first byte: behind this header, or foreign */
    size_t size;           /* bytes that may be used at data */
    zu_free_fn *free_fn;   /* foreign: called once with data and hint; NULL elsewhere */
    void *hint;            /* foreign: the callback's second argument; in the pool: next free block */
};

#define ZU_BUF_HEAP 0xffffu
#define ZU_BUF_FOREIGN 0xfffeu

enum {
    ZU_BUF_SMALL_SHIFT = 7, /* the first class, 128 bytes: header and the smallest bodies */
    ZU_BUF_QUICK = 3, /* classes that need no call while the thread's stack is neither dry nor full: up to 512 bytes */
    ZU_BUF_STACK_MAX = 256, /* blocks of one small class that a thread keeps */
};

/* Free blocks of one class, chained through hint: one reference, pool class and data as they stood. */
struct zu_buf_stack {
    struct zu_buf *top; /* the one freed last */
    unsigned count;     /* blocks on it */
};

/* This thread's, the first of CLASS_COUNT; NULL before it has any, and when it exits. */
extern _Thread_local struct zu_buf_stack *zu_buf_stacks;

/* Of a stack that is not empty. */
ZU_INLINE struct zu_buf *zu_buf_stack_pop(struct zu_buf_stack *stack)
{
    struct zu_buf *buf = stack->top;
    stack->top = buf->hint;
    stack->count--;
    return buf;
}

ZU_INLINE void zu_buf_stack_push(struct zu_buf_stack *stack, struct zu_buf *buf)
{
    buf->hint = stack->top;
    stack->top = buf;
    stack->count++;
}

struct zu_buf *zu_buf_new_slowly(size_t size);

/* A buffer of at least `size` bytes with one reference, or NULL. */
ZU_INLINE struct zu_buf *zu_buf_new(size_t size)
{
    size_t total = size + sizeof(struct zu_buf);
    if (zu_likely(size <= (1u << (ZU_BUF_SMALL_SHIFT + ZU_BUF_QUICK - 1)) - sizeof(struct zu_buf) && zu_buf_stacks)) {
        unsigned class = (total > 1u << ZU_BUF_SMALL_SHIFT) + (total > 2u << ZU_BUF_SMALL_SHIFT);
        struct zu_buf_stack *stack = &zu_buf_stacks[class];
        if (zu_likely(stack->top != NULL)) {
            struct zu_buf *buf = zu_buf_stack_pop(stack);
            buf->size = size;
            return buf;
        }
    }
    return zu_buf_new_slowly(size);
}
struct zu_buf *zu_buf_new_foreign(void *data, size_t size, zu_free_fn *free_fn, void *hint);
/* A sole holder enlarges its buffer; returns the buffer, moved perhaps, or NULL with the old one untouched. */
struct zu_buf *zu_buf_grow(struct zu_buf *buf, size_t used, size_t size);
void zu_buf_free(struct zu_buf *buf);

ZU_INLINE struct zu_buf *zu_buf_ref(struct zu_buf *buf)
{
    atomic_fetch_add_explicit(&buf->refs, 1, memory_order_relaxed);
    return buf;
}

ZU_INLINE void zu_buf_unref(struct zu_buf *buf)
{
    /* A sole holder cannot race with anyone. acquire: pairs with the release half of the others' decrements. */
    if (zu_likely(atomic_load_explicit(&buf->refs, memory_order_acquire) == 1)) {
        struct zu_buf_stack *stack =
            zu_buf_stacks && buf->pool_class < ZU_BUF_QUICK ? &zu_buf_stacks[buf->pool_class] : NULL;
        if (zu_likely(stack && stack->count < ZU_BUF_STACK_MAX - 1)) {
            zu_buf_stack_push(stack, buf);
            return;
        }
        zu_buf_free(buf);
    } else if (atomic_fetch_sub_explicit(&buf->refs, 1, memory_order_acq_rel) == 1) {
        zu_buf_free(buf);
    }
}

/* Around a fork, as zu_chunk_pool_lock. */
void zu_buf_pool_lock(void);
void zu_buf_pool_unlock(void);

#endif
