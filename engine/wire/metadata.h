/* SPDX-License-Identifier: MIT */
/* ZMTP properties: name-len(1) name value-len(4, big-endian) value; and a copied block of them, looked up by name. */
#ifndef ZU_WIRE_METADATA_H
#define ZU_WIRE_METADATA_H

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

/* The largest block that is copied; a handshake command is no larger either. */
#define ZU_METADATA_SIZE_MAX 65536
#define ZU_PROPERTY_NAME_MAX 255

struct zu_property {
    const uint8_t *name;  /* not terminated */
    size_t name_size;     /* 1..255 */
    const uint8_t *value; /* not terminated on the wire */
    size_t value_size;    /* octets at `value` */
};

/* Walks a block: 1 and the next property, with `*at` moved behind it; 0 at the end; -EPROTO when lengths do not fit. */
int zu_property_next(const uint8_t **at, const uint8_t *end, struct zu_property *ret_property);

static inline size_t zu_property_size(size_t name_size, size_t value_size)
{
    return 1 + name_size + 4 + value_size;
}

/* Writes zu_property_size() octets and returns that. The name has 1..255 octets, the value fewer than 2^32. */
size_t zu_property_encode(uint8_t *out, const char *name, const void *value, size_t value_size);

struct zu_metadata {
    uint8_t *block; /* properties as on the wire, each value followed by a NUL; NULL when there are none */
    size_t size;    /* octets at `block` */
};

/* Copies a block from the wire. -EPROTO malformed, -EMSGSIZE above ZU_METADATA_SIZE_MAX, -ENOMEM. */
int zu_metadata_init(struct zu_metadata *metadata, const uint8_t *block, size_t size);
void zu_metadata_fini(struct zu_metadata *metadata);

/*
 * Puts a property in front, where it hides a later one of the same name: what we know (Peer-Address, User-Id) must win
 * over what a peer claims. -EINVAL for a name outside 1..255 octets, -EMSGSIZE, -ENOMEM.
 */
int zu_metadata_put(struct zu_metadata *metadata, const char *name, const void *value, size_t value_size);

/* Moves the properties of `more`, which is empty then, behind those of `metadata`. -ENOMEM leaves both as they are. */
int zu_metadata_join(struct zu_metadata *metadata, struct zu_metadata *more);

/* Takes all properties of that name out. */
void zu_metadata_drop(struct zu_metadata *metadata, const char *name);

/* The first value of that name (case counts), followed by a NUL beyond its size; or NULL. `ret_size` may be NULL. */
const uint8_t *zu_metadata_get(const struct zu_metadata *metadata, const char *name, size_t *ret_size);

#endif
