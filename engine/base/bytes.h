/* SPDX-License-Identifier: MIT */
/* Bytes on the heap with a NUL behind them that `size` does not count. Empty: NULL and 0. */
#ifndef ZU_BASE_BYTES_H
#define ZU_BASE_BYTES_H

#include <stddef.h>
#include <stdint.h>

struct zu_bytes {
    uint8_t *data; /* owned */
    size_t size;   /* without the NUL */
};

#endif
