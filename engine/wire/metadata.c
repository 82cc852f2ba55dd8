/* SPDX-License-Identifier: MIT */
#include "wire/metadata.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/*
 * A block is walked once to check and count, then copied property by property with a NUL behind each value, because
 * zmq_msg_gets hands out C strings. Lookup walks the copy: blocks are a few properties long and asked for rarely.
 * A malformed or oversized block, or want of memory, leaves the struct untouched.
 */

int zu_property_next(const uint8_t **at, const uint8_t *end, struct zu_property *ret_property)
{
    const uint8_t *from = *at;
    size_t left = (size_t)(end - from);
    if (left == 0)
        return 0;
    size_t name_size = from[0];
    if (name_size == 0 || left < zu_property_size(name_size, 0))
        return -EPROTO;
    uint32_t value_size;
    memcpy(&value_size, from + 1 + name_size, sizeof(value_size));
    value_size = be32toh(value_size);
    if (value_size > left - zu_property_size(name_size, 0))
        return -EPROTO;
    *ret_property = (struct zu_property){
        .name = from + 1,
        .name_size = name_size,
        .value = from + zu_property_size(name_size, 0),
        .value_size = value_size,
    };
    *at = from + zu_property_size(name_size, value_size);
    return 1;
}

size_t zu_property_encode(uint8_t *out, const char *name, const void *value, size_t value_size)
{
    size_t name_size = strlen(name);
    uint32_t big_endian = htobe32((uint32_t)value_size);
    out[0] = (uint8_t)name_size;
    memcpy(out + 1, name, name_size);
    memcpy(out + 1 + name_size, &big_endian, sizeof(big_endian));
    if (value_size != 0)
        memcpy(out + zu_property_size(name_size, 0), value, value_size);
    return zu_property_size(name_size, value_size);
}

int zu_metadata_init(struct zu_metadata *metadata, const uint8_t *block, size_t size)
{
    if (size > ZU_METADATA_SIZE_MAX)
        return -EMSGSIZE;
    if (size == 0) {
        *metadata = (struct zu_metadata){0};
        return 0;
    }
    struct zu_property property;
    const uint8_t *end = block + size;
    const uint8_t *at = block;
    size_t count = 0;
    int rc;
    while ((rc = zu_property_next(&at, end, &property)) == 1)
        count++;
    if (rc < 0)
        return rc;
    uint8_t *copy = malloc(size + count);
    if (!copy)
        return -ENOMEM;
    uint8_t *out = copy;
    const uint8_t *from = block;
    at = block;
    while (zu_property_next(&at, end, &property) == 1) {
        memcpy(out, from, (size_t)(at - from));
        out += at - from;
        *out++ = 0;
        from = at;
    }
    *metadata = (struct zu_metadata){.block = copy, .size = size + count};
    return 0;
}

void zu_metadata_fini(struct zu_metadata *metadata)
{
    free(metadata->block);
    *metadata = (struct zu_metadata){0};
}

int zu_metadata_put(struct zu_metadata *metadata, const char *name, const void *value, size_t value_size)
{
    size_t name_size = strlen(name);
    if (name_size == 0 || name_size > ZU_PROPERTY_NAME_MAX)
        return -EINVAL;
    if (value_size > ZU_METADATA_SIZE_MAX)
        return -EMSGSIZE;
    size_t added = zu_property_size(name_size, value_size) + 1;
    uint8_t *block = malloc(added + metadata->size);
    if (!block)
        return -ENOMEM;
    zu_property_encode(block, name, value, value_size);
    block[added - 1] = 0;
    if (metadata->size != 0)
        memcpy(block + added, metadata->block, metadata->size);
    free(metadata->block);
    metadata->block = block;
    metadata->size += added;
    return 0;
}

int zu_metadata_join(struct zu_metadata *metadata, struct zu_metadata *more)
{
    if (more->size == 0) {
        zu_metadata_fini(more);
        return 0;
    }
    uint8_t *block = realloc(metadata->block, metadata->size + more->size);
    if (!block)
        return -ENOMEM;
    memcpy(block + metadata->size, more->block, more->size);
    metadata->block = block;
    metadata->size += more->size;
    zu_metadata_fini(more);
    return 0;
}

static bool metadata_find(const struct zu_metadata *metadata, const char *name, struct zu_property *ret_property)
{
    if (metadata->size == 0)
        return false;
    size_t name_size = strlen(name);
    const uint8_t *at = metadata->block;
    const uint8_t *end = at + metadata->size;
    while (zu_property_next(&at, end, ret_property) == 1) {
        if (ret_property->name_size == name_size && memcmp(ret_property->name, name, name_size) == 0)
            return true;
        at++; /* the NUL behind the value */
    }
    return false;
}

void zu_metadata_drop(struct zu_metadata *metadata, const char *name)
{
    struct zu_property property;
    while (metadata_find(metadata, name, &property)) {
        uint8_t *from = metadata->block + (property.name - 1 - metadata->block);
        size_t size = zu_property_size(property.name_size, property.value_size) + 1;
        metadata->size -= size;
        memmove(from, from + size, metadata->size - (size_t)(from - metadata->block));
    }
}

const uint8_t *zu_metadata_get(const struct zu_metadata *metadata, const char *name, size_t *ret_size)
{
    struct zu_property property;
    if (!metadata_find(metadata, name, &property))
        return NULL;
    if (ret_size)
        *ret_size = property.value_size;
    return property.value;
}
