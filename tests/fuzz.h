/* SPDX-License-Identifier: MIT */
/* What the targets of libFuzzer share: their entry, and what must hold. */
#ifndef ZU_TESTS_FUZZ_H
#define ZU_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            abort();                                                                                                   \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
