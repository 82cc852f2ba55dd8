/* SPDX-License-Identifier: MIT */
/* Buffers: sizes and classes, references, foreign memory, growing, and blocks that wander between threads. */
#include "mem/buf.h"

#include <criterion/criterion.h>
#include <pthread.h>

#include "flow.h"

Test(buf, every_size_around_every_class)
{
    for (size_t power = 64; power <= 512 * 1024; power *= 2) {
        for (size_t size = power - 2 * sizeof(struct zu_buf); size <= power + 2; size++) {
            struct zu_buf *buf = zu_buf_new(size);
            cr_assert_eq(buf->size, size);
            cr_assert_eq((uintptr_t)buf->data % 8, 0u);
            cr_assert_eq(atomic_load(&buf->refs), 1u);
            ((uint8_t *)buf->data)[0] = 1;
            ((uint8_t *)buf->data)[size - 1] = 1;
            zu_buf_unref(buf);
        }
    }
    struct zu_buf *empty = zu_buf_new(0);
    cr_assert_not_null(empty);
    zu_buf_unref(empty);
}

Test(buf, a_size_that_no_memory_has_is_refused)
{
    cr_assert_null(zu_buf_new(SIZE_MAX));
    cr_assert_null(zu_buf_new(SIZE_MAX - sizeof(struct zu_buf) + 1));
}

Test(buf, two_buffers_never_share_bytes)
{
    enum { COUNT = 600 };
    struct zu_buf *bufs[COUNT];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < COUNT; i++) {
            bufs[i] = zu_buf_new((size_t)i * 3);
            payload_fill(bufs[i]->data, (uint64_t)i, (size_t)i * 3);
        }
        for (int i = 0; i < COUNT; i++) {
            cr_assert(payload_is(bufs[i]->data, (uint64_t)i, (size_t)i * 3));
            zu_buf_unref(bufs[i]);
        }
    }
}

Test(buf, what_was_freed_here_is_taken_again_without_the_allocator)
{
    for (size_t size = 1; size < 100000; size *= 4)
        zu_buf_unref(zu_buf_new(size));
    zu_alloc_fail_from = 1;
    for (size_t size = 1; size < 100000; size *= 4) {
        struct zu_buf *buf = zu_buf_new(size);
        cr_assert_not_null(buf);
        zu_buf_unref(buf);
    }
    cr_assert_null(zu_buf_new(1 << 20));
    zu_alloc_fail_from = 0;
}

Test(buf, foreign_memory_is_freed_once_by_the_last_holder)
{
    _Atomic unsigned frees = 0;
    void *data = malloc(100);
    struct zu_buf *buf = zu_buf_new_foreign(data, 100, counted_free, &frees);
    cr_assert_eq(buf->data, data);
    cr_assert_eq(zu_buf_ref(buf), buf);
    zu_buf_unref(buf);
    cr_assert_eq(frees, 0u);
    zu_buf_unref(buf);
    cr_assert_eq(frees, 1u);
    char constant[4];
    zu_buf_unref(zu_buf_new_foreign(constant, 4, NULL, NULL));
}

Test(buf, growing_keeps_what_is_used)
{
    size_t used = 50;
    struct zu_buf *buf = zu_buf_new(used);
    payload_fill(buf->data, 7, used);
    for (size_t size = 120; size < 3000000; size = size * 2 + 5) {
        buf = zu_buf_grow(buf, used, size);
        cr_assert_eq(buf->size, size);
        cr_assert(payload_is(buf->data, 7, used));
        payload_fill(buf->data, 7, size);
        used = size;
    }
    zu_buf_unref(buf);
}

Test(buf, growing_without_memory_leaves_the_old_one)
{
    for (size_t size = 100; size < 1000000; size *= 100) {
        struct zu_buf *buf = zu_buf_new(size);
        payload_fill(buf->data, 1, size);
        zu_alloc_fail_from = 1;
        cr_assert_null(zu_buf_grow(buf, size, 2000000));
        zu_alloc_fail_from = 0;
        cr_assert_eq(buf->size, size);
        cr_assert(payload_is(buf->data, 1, size));
        zu_buf_unref(buf);
    }
}

static void *new_and_exit(void *context)
{
    struct zu_buf **bufs = context;
    for (int i = 0; i < 100; i++)
        bufs[i] = zu_buf_new(3000);
    for (int i = 50; i < 100; i++)
        zu_buf_unref(bufs[i]);
    return NULL;
}

Test(buf, blocks_outlive_the_thread_that_made_them)
{
    struct zu_buf *bufs[100];
    pthread_t thread;
    pthread_create(&thread, NULL, new_and_exit, bufs);
    pthread_join(thread, NULL);
    struct zu_buf *again[50];
    zu_buf_unref(zu_buf_new(10)); /* this thread has its cache */
    zu_alloc_fail_from = 1;
    for (int i = 0; i < 50; i++) {
        again[i] = zu_buf_new(3000);
        cr_assert_not_null(again[i], "an exited thread's blocks are lost");
    }
    zu_alloc_fail_from = 0;
    for (int i = 0; i < 50; i++) {
        zu_buf_unref(again[i]);
        zu_buf_unref(bufs[i]);
    }
}

enum { SHARED = 20000, WINDOW = 64 };
static struct zu_buf *_Atomic shared_slots[WINDOW];
static _Atomic unsigned shared_frees;

static void *drop_shared(void *context)
{
    (void)context;
    for (unsigned i = 0; i < SHARED; i++) {
        struct zu_buf *buf;
        while (!(buf = atomic_exchange(&shared_slots[i % WINDOW], NULL)))
            sched_yield();
        zu_buf_unref(buf);
    }
    return NULL;
}

static void count_free(void *data, void *hint)
{
    *(uint8_t *)data = 0xff;
    atomic_fetch_add((_Atomic unsigned *)hint, 1);
}

Test(buf, two_holders_race_for_the_last_reference)
{
    static uint8_t bytes[WINDOW * 64];
    pthread_t thread;
    pthread_create(&thread, NULL, drop_shared, NULL);
    for (unsigned i = 0; i < SHARED; i++) {
        while (atomic_load(&shared_slots[i % WINDOW]))
            sched_yield();
        struct zu_buf *buf = zu_buf_new_foreign(bytes + i % WINDOW * 64, 64, i % 64 ? NULL : count_free, &shared_frees);
        zu_buf_ref(buf);
        atomic_store(&shared_slots[i % WINDOW], buf);
        zu_buf_unref(buf);
    }
    pthread_join(thread, NULL);
    cr_assert_eq(shared_frees, (SHARED + 63u) / 64);
}
