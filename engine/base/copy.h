/* SPDX-License-Identifier: MIT */
/* Copying a message body: most are small, and for those the call to memcpy costs more than the copy. */
#ifndef ZU_BASE_COPY_H
#define ZU_BASE_COPY_H

#include <string.h>

#include "base/attr.h"

/* Each of these covers its range with moves of fixed size that may overlap in the middle. */
ZU_INLINE void zu_copy_ends(uint8_t *to, const uint8_t *from, size_t size, size_t step)
{
    memcpy(to, from, step);
    memcpy(to + size - step, from + size - step, step);
}

/*
 * Words of eight octets that do not become vectors: the fields of a small message were often stored a moment ago, and a
 * load that spans several fresh stores waits until they have left the store buffer.
 */
ZU_INLINE void zu_copy_words(void *to, const void *from, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t word;
        memcpy(&word, (const uint8_t *)from + i * sizeof word, sizeof word);
        __asm__("" : "+r"(word));
        memcpy((uint8_t *)to + i * sizeof word, &word, sizeof word);
    }
}

/* The areas do not overlap. */
ZU_INLINE void zu_copy(void *to, const void *from, size_t size)
{
    if (zu_unlikely(size > 128)) {
        memcpy(to, from, size);
    } else if (size > 64) {
        zu_copy_ends(to, from, size, 64);
    } else if (size > 32) {
        zu_copy_ends(to, from, size, 32);
    } else if (size > 16) {
        zu_copy_words(to, from, 2);
        zu_copy_words((uint8_t *)to + size - 16, (const uint8_t *)from + size - 16, 2);
    } else if (size >= 8) {
        zu_copy_words(to, from, 1);
        zu_copy_words((uint8_t *)to + size - 8, (const uint8_t *)from + size - 8, 1);
    } else if (size >= 4) {
        zu_copy_ends(to, from, size, 4);
    } else if (size) {
        uint8_t first = *(const uint8_t *)from; /* before the ends, which may be the same octets */
        *(uint8_t *)to = first;
        if (size > 1)
            zu_copy_ends(to, from, size, 2);
    }
}

#endif
