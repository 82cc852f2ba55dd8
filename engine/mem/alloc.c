/* SPDX-License-Identifier: MIT */
/*
 * jemalloc is reached through weak symbols: a program linked with it (pkg-config zuring) or started under a preload has
 * them, a dlopen'ed drop-in has not (Debian's jemalloc cannot be dlopen'ed at all). The choice is made by the linker,
 * once per process, so memory never changes allocators between alloc and free.
 * It fails only for want of memory, with NULL.
 */
#include "mem/alloc.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

extern void *mallocx(size_t size, int flags) __attribute__((weak));
extern void *rallocx(void *memory, size_t size, int flags) __attribute__((weak));
extern void dallocx(void *memory, int flags) __attribute__((weak));

/* jemalloc's flag words: the alignment's logarithm in the low bits, zeroing in bit 6. */
enum { JE_LINE_ALIGNED = 6, JE_ZERO = 0x40 };

_Thread_local unsigned zu_alloc_fail_from;

static bool is_told_to_fail(void)
{
    if (zu_likely(zu_alloc_fail_from == 0))
        return false;
    if (zu_alloc_fail_from == 1)
        return true;
    zu_alloc_fail_from--;
    return false;
}

bool zu_alloc_is_jemalloc(void)
{
    return mallocx != NULL && rallocx != NULL && dallocx != NULL;
}

void *zu_alloc(size_t size)
{
    if (is_told_to_fail())
        return NULL;
    return zu_alloc_is_jemalloc() ? mallocx(size, 0) : malloc(size);
}

void *zu_alloc_zero(size_t size)
{
    if (is_told_to_fail())
        return NULL;
    return zu_alloc_is_jemalloc() ? mallocx(size, JE_ZERO) : calloc(1, size);
}

static size_t round_to_lines(size_t size)
{
    return (size + ZU_CACHE_LINE - 1) & ~(size_t)(ZU_CACHE_LINE - 1);
}

void *zu_alloc_lines(size_t size)
{
    size = round_to_lines(size);
    if (is_told_to_fail())
        return NULL;
    return zu_alloc_is_jemalloc() ? mallocx(size, JE_LINE_ALIGNED) : aligned_alloc(ZU_CACHE_LINE, size);
}

void *zu_realloc(void *memory, size_t old_size, size_t new_size)
{
    (void)old_size;
    if (!memory)
        return zu_alloc(new_size);
    if (is_told_to_fail())
        return NULL;
    return zu_alloc_is_jemalloc() ? rallocx(memory, new_size, 0) : realloc(memory, new_size);
}

void zu_free(void *memory, size_t size)
{
    /* Not the sized form: zu_alloc_lines rounds, and a wrong size would corrupt jemalloc's bins. */
    (void)size;
    if (zu_alloc_is_jemalloc() && memory)
        dallocx(memory, 0); /* free may be another allocator's */
    else
        free(memory);
}

void *zu_pages_alloc(size_t size)
{
    if (is_told_to_fail())
        return NULL;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

void zu_pages_free(void *memory, size_t size)
{
    munmap(memory, size);
}
