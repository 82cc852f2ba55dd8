/* SPDX-License-Identifier: MIT */
/*
 * A hash map from bytes to structures that embed an entry. The hash is keyed by a secret of the process, so that peers who
 * choose their own keys cannot choose where they collide. One thread uses it.
 */
#ifndef ZU_FLOW_MAP_H
#define ZU_FLOW_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In the structure that is found by it; the bytes are the owner's and stay while it is in the map. */
struct zu_map_entry {
    struct zu_map_entry *next; /* in its bucket */
    const void *key;           /* the bytes */
    size_t size;               /* how many */
    uint64_t hash;             /* of them */
};

enum { ZU_MAP_SMALL = 8 };

struct zu_map {
    struct zu_map_entry **buckets;            /* `small`, or on the heap; a power of two of them */
    size_t mask;                              /* buckets less one */
    size_t count;                             /* entries */
    struct zu_map_entry *small[ZU_MAP_SMALL]; /* the first buckets, which need no memory */
};

void zu_map_init(struct zu_map *map);
/* The entries are the caller's. */
void zu_map_fini(struct zu_map *map);
/* NULL when there is none. */
struct zu_map_entry *zu_map_find(const struct zu_map *map, const void *key, size_t size);
/* The key is not in the map. Never fails: without memory its buckets grow fuller. */
void zu_map_add(struct zu_map *map, struct zu_map_entry *entry, const void *key, size_t size);
void zu_map_remove(struct zu_map *map, struct zu_map_entry *entry);
/* The entry behind `entry`, in no particular order; the first one behind NULL; NULL behind the last. */
struct zu_map_entry *zu_map_next(const struct zu_map *map, const struct zu_map_entry *entry);

#endif
