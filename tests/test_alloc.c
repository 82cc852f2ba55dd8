/* SPDX-License-Identifier: MIT */
/* The door to the heap: what each call promises, and that it can be told to fail. */
#include "mem/alloc.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>

static bool is_zero(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i])
            return false;
    }
    return true;
}

Test(alloc, each_kind_gives_memory_of_its_size)
{
    for (size_t size = 1; size < 300000; size = size * 3 + 1) {
        uint8_t *plain = zu_alloc(size);
        memset(plain, 0xa5, size);
        zu_free(plain, size);
        uint8_t *zero = zu_alloc_zero(size);
        cr_assert(is_zero(zero, size));
        memset(zero, 0xa5, size);
        zu_free(zero, size);
        uint8_t *lines = zu_alloc_lines(size);
        cr_assert_eq((uintptr_t)lines % ZU_CACHE_LINE, 0u);
        memset(lines, 0xa5, (size + ZU_CACHE_LINE - 1) / ZU_CACHE_LINE * ZU_CACHE_LINE);
        zu_free(lines, size);
    }
    zu_free(NULL, 0);
}

Test(alloc, resizing_keeps_the_bytes)
{
    size_t size = 10;
    uint8_t *memory = zu_alloc(size);
    memset(memory, 0x3c, size);
    for (int i = 0; i < 12; i++) {
        memory = zu_realloc(memory, size, size * 3);
        cr_assert_eq(memory[0], 0x3c);
        cr_assert_eq(memory[size - 1], 0x3c);
        size *= 3;
        memset(memory, 0x3c, size);
    }
    memory = zu_realloc(memory, size, 7);
    cr_assert_eq(memory[6], 0x3c);
    zu_free(memory, 7);
}

Test(alloc, pages_are_zero_and_whole)
{
    size_t size = 80 * 1024;
    uint8_t *pages = zu_pages_alloc(size);
    cr_assert_eq((uintptr_t)pages % 4096, 0u);
    cr_assert(is_zero(pages, size));
    memset(pages, 1, size);
    zu_pages_free(pages, size);
}

Test(alloc, failing_starts_at_the_nth_and_lasts)
{
    zu_alloc_fail_from = 3;
    void *first = zu_alloc(8), *second = zu_alloc_zero(8);
    cr_assert_not_null(first);
    cr_assert_not_null(second);
    for (int i = 0; i < 3; i++) {
        cr_assert_null(zu_alloc(8));
        cr_assert_null(zu_alloc_zero(8));
        cr_assert_null(zu_alloc_lines(8));
        cr_assert_null(zu_realloc(first, 8, 16));
        cr_assert_null(zu_pages_alloc(4096));
    }
    zu_alloc_fail_from = 0;
    first = zu_realloc(first, 8, 16);
    cr_assert_not_null(first);
    zu_free(first, 16);
    zu_free(second, 8);
}

static void *alloc_elsewhere(void *context)
{
    (void)context;
    return zu_alloc(8);
}

Test(alloc, failing_is_for_this_thread_alone)
{
    zu_alloc_fail_from = 1;
    pthread_t thread;
    void *memory;
    pthread_create(&thread, NULL, alloc_elsewhere, NULL);
    pthread_join(thread, &memory);
    zu_alloc_fail_from = 0;
    cr_assert_not_null(memory);
    zu_free(memory, 8);
}
