/* SPDX-License-Identifier: MIT */
/* What the targets for handshakes share. */
#ifndef ZU_TESTS_FUZZ_MECHANISM_H
#define ZU_TESTS_FUZZ_MECHANISM_H

#include <string.h>

#include "fuzz.h"
#include "wire/mechanism.h"

/* The mechanism hears a command: 0, or a negative errno and it has failed. */
static inline int hear(struct zu_mechanism *mechanism, const void *body, size_t size)
{
    uint8_t *exact = malloc(size + !size); /* so that one octet too far is seen */
    REQUIRE(exact);
    if (size)
        memcpy(exact, body, size);
    int rc = mechanism->ops->consume(mechanism, exact, size);
    free(exact);
    REQUIRE((rc < 0) == (mechanism->status == ZU_MECHANISM_FAILED));
    return rc;
}

#endif
