/* SPDX-License-Identifier: MIT */
/*
 * Blocks come in size classes. Each thread keeps a short stack of free blocks per class, so a message that is
 * made and freed on one thread touches no shared memory; stacks that run over or dry trade whole batches with a common
 * depot under a lock, so a pipeline of threads pays one lock per batch. Larger buffers go to the allocator.
 * It fails only for want of memory, with NULL. A thread that exits gives its stacks to the depot.
 */
#include "mem/buf.h"

#include <pthread.h>
#include <string.h>

#include "mem/alloc.h"

enum {
    SMALL_SHIFT = 7,    /* 128 bytes: header and the smallest bodies */
    FINE_SHIFT = 12,    /* from 4 KiB on there are four classes to a doubling: blocks at powers of two share cache sets */
    FINE_STEPS = 4,
    LAST_SHIFT = 21,    /* classes end at 2 MiB */
    SMALL_COUNT = FINE_SHIFT - SMALL_SHIFT + 1,
    CLASS_COUNT = SMALL_COUNT + (LAST_SHIFT - FINE_SHIFT) * FINE_STEPS,
    STACK_BYTES = 256 * 1024, /* what one thread keeps of one class, at most, unless that is not even two blocks */
    STACK_MAX = 256,          /* blocks, for the small classes */
    DEPOT_BYTES = 8 * 1024 * 1024, /* what the depot keeps in all; more goes back to the allocator */
};

struct stack {
    struct zu_buf *top; /* free blocks, chained through hint */
    unsigned count;     /* blocks on it */
};

/* Per thread. Reached through one pointer, to spend little static TLS: the library may be dlopen'ed. */
struct cache {
    struct stack stacks[CLASS_COUNT]; /* owner thread only */
};

/* Shared by all threads, under its lock. */
struct depot {
    pthread_mutex_t lock;             /* guards the rest; held for a few instructions per batch */
    struct stack stacks[CLASS_COUNT]; /* free blocks that no thread holds */
    size_t bytes;                     /* in all of them */
};

static struct depot depot = {.lock = PTHREAD_MUTEX_INITIALIZER};
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t exit_key;
static _Thread_local struct cache *cache_here;
static _Thread_local bool cache_gone; /* this thread's destructors have run: no cache any more */

static unsigned shift_of(size_t total)
{
    return (unsigned)(64 - __builtin_clzl(total - 1)); /* of the power of two that holds it */
}

static unsigned class_of(size_t total)
{
    if (total <= (size_t)1 << SMALL_SHIFT)
        return 0;
    unsigned shift = shift_of(total);
    if (shift <= FINE_SHIFT)
        return shift - SMALL_SHIFT;
    size_t below = (size_t)1 << (shift - 1);
    size_t step = below / FINE_STEPS;
    return SMALL_COUNT + (shift - 1 - FINE_SHIFT) * FINE_STEPS + (unsigned)((total - below - 1) / step);
}

static size_t class_size(unsigned pool_class)
{
    if (pool_class < SMALL_COUNT)
        return (size_t)1 << (pool_class + SMALL_SHIFT);
    unsigned fine = pool_class - SMALL_COUNT;
    size_t below = (size_t)1 << (fine / FINE_STEPS + FINE_SHIFT);
    return below + below / FINE_STEPS * (fine % FINE_STEPS + 1);
}

static unsigned stack_limit(unsigned pool_class)
{
    size_t limit = STACK_BYTES / class_size(pool_class);
    return limit > STACK_MAX ? STACK_MAX : limit < 2 ? 2 : (unsigned)limit;
}

static struct zu_buf *stack_pop(struct stack *stack)
{
    struct zu_buf *buf = stack->top;
    stack->top = buf->hint;
    stack->count--;
    return buf;
}

static void stack_push(struct stack *stack, struct zu_buf *buf)
{
    buf->hint = stack->top;
    stack->top = buf;
    stack->count++;
}

/* Moves up to `count` blocks; what does not fit the depot's bound is freed. */
static void depot_give(unsigned pool_class, struct stack *from, unsigned count)
{
    struct stack *to = &depot.stacks[pool_class];
    pthread_mutex_lock(&depot.lock);
    while (count && from->count && depot.bytes + class_size(pool_class) <= DEPOT_BYTES) {
        stack_push(to, stack_pop(from));
        depot.bytes += class_size(pool_class);
        count--;
    }
    pthread_mutex_unlock(&depot.lock);
    while (count-- && from->count)
        zu_free(stack_pop(from), class_size(pool_class));
}

static void depot_take(unsigned pool_class, struct stack *to, unsigned count)
{
    struct stack *from = &depot.stacks[pool_class];
    pthread_mutex_lock(&depot.lock);
    for (; count && from->count; count--) {
        stack_push(to, stack_pop(from));
        depot.bytes -= class_size(pool_class);
    }
    pthread_mutex_unlock(&depot.lock);
}

static void cache_end(void *memory)
{
    struct cache *cache = memory;
    for (unsigned c = 0; c < CLASS_COUNT; c++)
        depot_give(c, &cache->stacks[c], cache->stacks[c].count);
    zu_free(cache, sizeof *cache);
    cache_here = NULL;
    cache_gone = true;
}

static void make_key(void)
{
    pthread_key_create(&exit_key, cache_end);
}

static ZU_COLD struct cache *cache_begin(void)
{
    if (cache_gone)
        return NULL;
    pthread_once(&once, make_key);
    struct cache *cache = zu_alloc_zero(sizeof *cache);
    if (cache && pthread_setspecific(exit_key, cache) != 0) {
        zu_free(cache, sizeof *cache);
        return NULL;
    }
    return cache_here = cache;
}

static struct zu_buf *block_new(unsigned pool_class)
{
    struct cache *cache = cache_here ? cache_here : cache_begin();
    if (zu_unlikely(!cache))
        return zu_alloc(class_size(pool_class));
    struct stack *stack = &cache->stacks[pool_class];
    if (zu_unlikely(!stack->top)) {
        depot_take(pool_class, stack, stack_limit(pool_class) / 2);
        if (!stack->top)
            return zu_alloc(class_size(pool_class));
    }
    return stack_pop(stack);
}

struct zu_buf *zu_buf_new(size_t size)
{
    size_t total = size + sizeof(struct zu_buf);
    if (zu_unlikely(total < size))
        return NULL;
    unsigned pool_class = class_of(total);
    struct zu_buf *buf;
    if (zu_likely(pool_class < CLASS_COUNT)) {
        buf = block_new(pool_class);
    } else {
        buf = zu_alloc(total);
        pool_class = ZU_BUF_HEAP;
    }
    if (zu_unlikely(!buf))
        return NULL;
    atomic_init(&buf->refs, 1);
    buf->pool_class = pool_class;
    buf->data = buf + 1;
    buf->size = size;
    buf->free_fn = NULL;
    return buf;
}

struct zu_buf *zu_buf_new_foreign(void *data, size_t size, zu_free_fn *free_fn, void *hint)
{
    struct zu_buf *buf = block_new(0);
    if (!buf)
        return NULL;
    atomic_init(&buf->refs, 1);
    buf->pool_class = ZU_BUF_FOREIGN;
    buf->data = data;
    buf->size = size;
    buf->free_fn = free_fn;
    buf->hint = hint;
    return buf;
}

struct zu_buf *zu_buf_grow(struct zu_buf *buf, size_t used, size_t size)
{
    if (buf->pool_class == ZU_BUF_HEAP) {
        struct zu_buf *grown = zu_realloc(buf, buf->size + sizeof *buf, size + sizeof *buf);
        if (!grown)
            return NULL;
        grown->data = grown + 1;
        grown->size = size;
        return grown;
    }
    struct zu_buf *grown = zu_buf_new(size);
    if (!grown)
        return NULL;
    memcpy(grown->data, buf->data, used);
    zu_buf_unref(buf);
    return grown;
}

static void block_free(struct zu_buf *buf, unsigned pool_class)
{
    struct cache *cache = cache_here ? cache_here : cache_begin();
    if (zu_unlikely(!cache)) {
        zu_free(buf, class_size(pool_class));
        return;
    }
    struct stack *stack = &cache->stacks[pool_class];
    stack_push(stack, buf);
    if (zu_unlikely(stack->count >= stack_limit(pool_class)))
        depot_give(pool_class, stack, stack->count / 2);
}

void zu_buf_free(struct zu_buf *buf)
{
    unsigned pool_class = buf->pool_class;
    if (zu_likely(pool_class < CLASS_COUNT)) {
        block_free(buf, pool_class);
    } else if (pool_class == ZU_BUF_HEAP) {
        zu_free(buf, buf->size + sizeof *buf);
    } else {
        if (buf->free_fn)
            buf->free_fn(buf->data, buf->hint);
        block_free(buf, 0);
    }
}

void zu_buf_pool_lock(void)
{
    pthread_mutex_lock(&depot.lock);
}

void zu_buf_pool_unlock(void)
{
    pthread_mutex_unlock(&depot.lock);
}
