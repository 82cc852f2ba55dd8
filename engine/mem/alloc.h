/* SPDX-License-Identifier: MIT */
/* The one door to the heap: jemalloc's sized interface where the process has jemalloc, malloc otherwise. */
#ifndef ZU_MEM_ALLOC_H
#define ZU_MEM_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

/* NULL when there is no memory. Memory from one is given back with the same size. */
void *zu_alloc(size_t size) __attribute__((malloc));
void *zu_alloc_zero(size_t size) __attribute__((malloc));
/* Cache-line aligned; the size is rounded up to whole lines. */
void *zu_alloc_lines(size_t size) __attribute__((malloc));
/* Grows or shrinks; on failure the old memory stands. */
void *zu_realloc(void *memory, size_t old_size, size_t new_size);
void zu_free(void *memory, size_t size);

/* Whole pages straight from the kernel, so that giving them back shows at once in the resident size. */
void *zu_pages_alloc(size_t size);
void zu_pages_free(void *memory, size_t size);

bool zu_alloc_is_jemalloc(void);

/* Tests: the next allocations fail from the n-th on; 0 turns it off. */
extern _Thread_local unsigned zu_alloc_fail_from;

#endif
