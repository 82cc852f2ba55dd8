/* SPDX-License-Identifier: MIT */
/*
 * Mechanisms whose two sides speak in turn (PLAIN, CURVE): each side is a table of stages, of which each is one command,
 * said or heard, walked from the first to the last. mechanism->stage is the row.
 */
#ifndef ZU_WIRE_STAGE_H
#define ZU_WIRE_STAGE_H

#include "wire/mechanism.h"

struct zu_stage {
    enum zu_command_id command; /* said or heard */
    /* Ours to say: a bound of the data behind the name; NULL when it is the peer's turn. */
    size_t (*say_max)(const struct zu_mechanism *mechanism);
    /* Writes that data. Octets written, or a negative errno. */
    ssize_t (*say)(struct zu_mechanism *mechanism, uint8_t *data);
    /* Takes the data, valid only during the call; may set WAITING. 0, or a negative errno after zu_mechanism_fail. */
    int (*hear)(struct zu_mechanism *mechanism, const uint8_t *data, size_t size);
};

struct zu_stages {
    const struct zu_stage *rows; /* in their order */
    unsigned count;              /* of them; behind the last the mechanism is READY */
    bool is_client;              /* who may be told an ERROR */
};

/* What the slots of a mechanism of stages come to. */
size_t zu_stages_produce_max(const struct zu_stages *stages, const struct zu_mechanism *mechanism);
ssize_t zu_stages_produce(const struct zu_stages *stages, struct zu_mechanism *mechanism, uint8_t *out);
int zu_stages_consume(const struct zu_stages *stages, struct zu_mechanism *mechanism, const uint8_t *body, size_t size);

#endif
