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
    SMALL_SHIFT = ZU_BUF_SMALL_SHIFT,
    FINE_SHIFT = 12,    /* from 4 KiB on there are four classes to a doubling: blocks at powers of two share cache sets */
    FINE_STEPS = 4,
    LAST_SHIFT = 21,    /* classes end at 2 MiB */
    SMALL_COUNT = FINE_SHIFT - SMALL_SHIFT + 1,
    CLASS_COUNT = SMALL_COUNT + (LAST_SHIFT - FINE_SHIFT) * FINE_STEPS,
    STACK_BYTES = 256 * 1024, /* what one thread keeps of one class, at most, unless that is not even two blocks */
    STACK_MAX = ZU_BUF_STACK_MAX,
    DEPOT_BYTES = 8 * 1024 * 1024, /* what the depot keeps in all; more goes back to the allocator */
};

_Static_assert(STACK_BYTES >> (SMALL_SHIFT + ZU_BUF_QUICK - 1) >= STACK_MAX, "quick classes have no lower limit");

/* Shared by all threads, under its lock. */
struct depot {
    pthread_mutex_t lock;             /* guards the rest; held for a few instructions per batch */
    struct zu_buf_stack stacks[CLASS_COUNT]; /* free blocks that no thread holds */
    size_t bytes;                     /* in all of them */
};

static struct depot depot = {.lock = PTHREAD_MUTEX_INITIALIZER};
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t exit_key;
_Thread_local struct zu_buf_stack *zu_buf_stacks;
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

/* Moves up to `count` blocks; what does not fit the depot's bound is freed. */
static void depot_give(unsigned pool_class, struct zu_buf_stack *from, unsigned count)
{
    struct zu_buf_stack *to = &depot.stacks[pool_class];
    pthread_mutex_lock(&depot.lock);
    while (count && from->count && depot.bytes + class_size(pool_class) <= DEPOT_BYTES) {
        zu_buf_stack_push(to, zu_buf_stack_pop(from));
        depot.bytes += class_size(pool_class);
        count--;
    }
    pthread_mutex_unlock(&depot.lock);
    while (count-- && from->count)
        zu_free(zu_buf_stack_pop(from), class_size(pool_class));
}

static void depot_take(unsigned pool_class, struct zu_buf_stack *to, unsigned count)
{
    struct zu_buf_stack *from = &depot.stacks[pool_class];
    pthread_mutex_lock(&depot.lock);
    for (; count && from->count; count--) {
        zu_buf_stack_push(to, zu_buf_stack_pop(from));
        depot.bytes -= class_size(pool_class);
    }
    pthread_mutex_unlock(&depot.lock);
}

static void cache_end(void *memory)
{
    struct zu_buf_stack *stacks = memory;
    zu_buf_stacks = NULL;
    for (unsigned c = 0; c < CLASS_COUNT; c++)
        depot_give(c, &stacks[c], stacks[c].count);
    zu_free(stacks, CLASS_COUNT * sizeof *stacks);
    cache_gone = true;
}

static void make_key(void)
{
    pthread_key_create(&exit_key, cache_end);
}

static ZU_COLD struct zu_buf_stack *cache_begin(void)
{
    if (cache_gone)
        return NULL;
    pthread_once(&once, make_key);
    struct zu_buf_stack *stacks = zu_alloc_zero(CLASS_COUNT * sizeof *stacks);
    if (stacks && pthread_setspecific(exit_key, stacks) != 0) {
        zu_free(stacks, CLASS_COUNT * sizeof *stacks);
        return NULL;
    }
    return zu_buf_stacks = stacks;
}

static struct zu_buf *block_made(unsigned pool_class)
{
    struct zu_buf *buf = zu_alloc(class_size(pool_class));
    if (buf)
        *buf = (struct zu_buf){.refs = 1, .pool_class = pool_class, .data = buf + 1};
    return buf;
}

static struct zu_buf *block_new(unsigned pool_class)
{
    struct zu_buf_stack *stacks = zu_buf_stacks ? zu_buf_stacks : cache_begin();
    if (zu_unlikely(!stacks))
        return block_made(pool_class);
    struct zu_buf_stack *stack = &stacks[pool_class];
    if (!stack->top)
        depot_take(pool_class, stack, stack_limit(pool_class) / 2);
    return stack->top ? zu_buf_stack_pop(stack) : block_made(pool_class);
}

struct zu_buf *zu_buf_new_slowly(size_t size)
{
    size_t total = size + sizeof(struct zu_buf);
    if (zu_unlikely(total < size))
        return NULL;
    unsigned pool_class = class_of(total);
    bool pooled = pool_class < CLASS_COUNT;
    struct zu_buf *buf = pooled ? block_new(pool_class) : zu_alloc(total);
    if (zu_unlikely(!buf))
        return NULL;
    if (!pooled)
        *buf = (struct zu_buf){.refs = 1, .pool_class = ZU_BUF_HEAP, .data = buf + 1};
    buf->size = size;
    return buf;
}

struct zu_buf *zu_buf_new_foreign(void *data, size_t size, zu_free_fn *free_fn, void *hint)
{
    struct zu_buf *buf = block_new(0);
    if (!buf)
        return NULL;
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
    struct zu_buf_stack *stacks = zu_buf_stacks ? zu_buf_stacks : cache_begin();
    if (zu_unlikely(!stacks)) {
        zu_free(buf, class_size(pool_class));
        return;
    }
    struct zu_buf_stack *stack = &stacks[pool_class];
    atomic_store_explicit(&buf->refs, 1, memory_order_relaxed); /* nobody else has it */
    zu_buf_stack_push(stack, buf);
    if (zu_unlikely(stack->count >= stack_limit(pool_class)))
        depot_give(pool_class, stack, stack->count / 2);
}

static void foreign_free(struct zu_buf *buf)
{
    if (buf->free_fn)
        buf->free_fn(buf->data, buf->hint);
    buf->pool_class = 0;
    buf->data = buf + 1;
    buf->free_fn = NULL;
    block_free(buf, 0);
}

void zu_buf_free(struct zu_buf *buf)
{
    if (zu_likely(buf->pool_class < CLASS_COUNT))
        block_free(buf, buf->pool_class);
    else if (buf->pool_class == ZU_BUF_HEAP)
        zu_free(buf, buf->size + sizeof *buf);
    else
        foreign_free(buf);
}

void zu_buf_pool_lock(void)
{
    pthread_mutex_lock(&depot.lock);
}

void zu_buf_pool_unlock(void)
{
    pthread_mutex_unlock(&depot.lock);
}
