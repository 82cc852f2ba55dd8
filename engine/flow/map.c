/* SPDX-License-Identifier: MIT */
/*
 * Chains of entries, in as many buckets as there are entries or more: the buckets double when they are outnumbered. Want of
 * memory for that makes chains longer and nothing else. The hash is SipHash-1-3, by its published description.
 */
#include "flow/map.h"

#include <pthread.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/attr.h"
#include "mem/alloc.h"

static pthread_once_t seeded = PTHREAD_ONCE_INIT;
static uint64_t secret[2];

/* A kernel that has no randomness to give leaves the clock and where it loaded us. */
static void seed(void)
{
    if (getrandom(secret, sizeof secret, GRND_NONBLOCK) == (ssize_t)sizeof secret)
        return;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    secret[0] = (uint64_t)now.tv_nsec * UINT64_C(0x9e3779b97f4a7c15) ^ (uintptr_t)&now;
    secret[1] = (uint64_t)now.tv_sec * UINT64_C(0xbf58476d1ce4e5b9) ^ (uintptr_t)secret;
}

static inline uint64_t turned(uint64_t word, unsigned bits)
{
    return word << bits | word >> (64 - bits);
}

static inline void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = turned(v[1], 13) ^ v[0];
    v[3] = turned(v[3], 16) ^ v[2];
    v[0] = turned(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = turned(v[1], 17) ^ v[2];
    v[3] = turned(v[3], 21) ^ v[0];
    v[2] = turned(v[2], 32);
}

static inline void sip_word(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
}

static uint64_t hash_of(const void *key, size_t size)
{
    const uint8_t *at = key;
    uint64_t v[4] = {
        secret[0] ^ UINT64_C(0x736f6d6570736575),
        secret[1] ^ UINT64_C(0x646f72616e646f6d),
        secret[0] ^ UINT64_C(0x6c7967656e657261),
        secret[1] ^ UINT64_C(0x7465646279746573),
    };
    uint64_t last = (uint64_t)size << 56;
    for (; size >= 8; at += 8, size -= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        sip_word(v, word);
    }
    for (size_t i = 0; i < size; i++)
        last |= (uint64_t)at[i] << (8 * i);
    sip_word(v, last);
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void zu_map_init(struct zu_map *map)
{
    pthread_once(&seeded, seed);
    memset(map, 0, sizeof *map);
    map->buckets = map->small;
    map->mask = ZU_MAP_SMALL - 1;
}

static void buckets_free(struct zu_map *map)
{
    if (map->buckets != map->small)
        zu_free(map->buckets, (map->mask + 1) * sizeof *map->buckets);
}

void zu_map_fini(struct zu_map *map)
{
    buckets_free(map);
}

static struct zu_map_entry **place_of(const struct zu_map *map, const void *key, size_t size, uint64_t hash)
{
    struct zu_map_entry **place = &map->buckets[hash & map->mask];
    for (; *place; place = &(*place)->next) {
        if ((*place)->hash == hash && (*place)->size == size && memcmp((*place)->key, key, size) == 0)
            break;
    }
    return place;
}

struct zu_map_entry *zu_map_find(const struct zu_map *map, const void *key, size_t size)
{
    return *place_of(map, key, size, hash_of(key, size));
}

static ZU_COLD void grow(struct zu_map *map)
{
    size_t count = 2 * (map->mask + 1);
    struct zu_map_entry **buckets = zu_alloc_zero(count * sizeof *buckets);
    if (!buckets)
        return;
    for (size_t i = 0; i <= map->mask; i++) {
        for (struct zu_map_entry *entry = map->buckets[i], *after; entry; entry = after) {
            after = entry->next;
            entry->next = buckets[entry->hash & (count - 1)];
            buckets[entry->hash & (count - 1)] = entry;
        }
    }
    buckets_free(map);
    map->buckets = buckets;
    map->mask = count - 1;
}

void zu_map_add(struct zu_map *map, struct zu_map_entry *entry, const void *key, size_t size)
{
    if (map->count > map->mask)
        grow(map);
    *entry = (struct zu_map_entry){.key = key, .size = size, .hash = hash_of(key, size)};
    struct zu_map_entry **bucket = &map->buckets[entry->hash & map->mask];
    entry->next = *bucket;
    *bucket = entry;
    map->count++;
}

void zu_map_remove(struct zu_map *map, struct zu_map_entry *entry)
{
    struct zu_map_entry **place = &map->buckets[entry->hash & map->mask];
    while (*place != entry)
        place = &(*place)->next;
    *place = entry->next;
    map->count--;
}

struct zu_map_entry *zu_map_next(const struct zu_map *map, const struct zu_map_entry *entry)
{
    if (entry && entry->next)
        return entry->next;
    for (size_t i = entry ? (entry->hash & map->mask) + 1 : 0; i <= map->mask; i++) {
        if (map->buckets[i])
            return map->buckets[i];
    }
    return NULL;
}
