/* SPDX-License-Identifier: MIT */
/*
 * A map under a lock. Its hash is keyed by a secret of the process, so how long a look takes tells a stranger nothing of how
 * near his key comes to one that is there. Only adding needs memory.
 */
#include "core/keys.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/list.h"
#include "flow/map.h"
#include "mem/alloc.h"
#include "wire/security.h"

struct key {
    struct zu_map_entry entry;        /* among the keys */
    uint8_t bytes[ZU_CURVE_KEY_SIZE]; /* it */
};

struct zu_keys {
    _Atomic uint32_t tag;  /* ZU_KEYS_TAG until it is closed; relaxed, a check for misuse */
    _Atomic unsigned refs; /* its maker, sockets, their connections; acq_rel drop */
    pthread_mutex_t lock;  /* guards the map */
    struct zu_map map;     /* struct key.entry */
};

struct zu_keys *zu_keys_new(void)
{
    struct zu_keys *keys = zu_alloc_zero(sizeof *keys);
    if (!keys)
        return NULL;
    atomic_init(&keys->tag, ZU_KEYS_TAG);
    atomic_init(&keys->refs, 1);
    pthread_mutex_init(&keys->lock, NULL);
    zu_map_init(&keys->map);
    return keys;
}

bool zu_keys_are(const struct zu_keys *keys)
{
    return keys && atomic_load_explicit(&keys->tag, memory_order_relaxed) == ZU_KEYS_TAG;
}

void zu_keys_close(struct zu_keys *keys)
{
    atomic_store_explicit(&keys->tag, 0, memory_order_relaxed);
    zu_keys_unref(keys);
}

struct zu_keys *zu_keys_ref(struct zu_keys *keys)
{
    atomic_fetch_add_explicit(&keys->refs, 1, memory_order_relaxed);
    return keys;
}

void zu_keys_unref(struct zu_keys *keys)
{
    /* acq_rel: every holder's last look happens before the memory goes. */
    if (!keys || atomic_fetch_sub_explicit(&keys->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (struct zu_map_entry *entry = zu_map_next(&keys->map, NULL), *next; entry; entry = next) {
        next = zu_map_next(&keys->map, entry);
        zu_map_remove(&keys->map, entry);
        zu_free(zu_container_of(entry, struct key, entry), sizeof(struct key));
    }
    zu_map_fini(&keys->map);
    pthread_mutex_destroy(&keys->lock);
    zu_free(keys, sizeof *keys);
}

int zu_keys_add(struct zu_keys *keys, const uint8_t *bytes)
{
    struct key *key = zu_alloc(sizeof *key);
    if (!key)
        return -ENOMEM;
    memcpy(key->bytes, bytes, sizeof key->bytes);
    pthread_mutex_lock(&keys->lock);
    bool is_there = zu_map_find(&keys->map, bytes, sizeof key->bytes) != NULL;
    if (!is_there)
        zu_map_add(&keys->map, &key->entry, key->bytes, sizeof key->bytes);
    pthread_mutex_unlock(&keys->lock);
    if (is_there)
        zu_free(key, sizeof *key);
    return 0;
}

int zu_keys_remove(struct zu_keys *keys, const uint8_t *bytes)
{
    pthread_mutex_lock(&keys->lock);
    struct zu_map_entry *entry = zu_map_find(&keys->map, bytes, ZU_CURVE_KEY_SIZE);
    if (entry)
        zu_map_remove(&keys->map, entry);
    pthread_mutex_unlock(&keys->lock);
    if (!entry)
        return -ENOENT;
    zu_free(zu_container_of(entry, struct key, entry), sizeof(struct key));
    return 0;
}

bool zu_keys_have(struct zu_keys *keys, const uint8_t *bytes)
{
    pthread_mutex_lock(&keys->lock);
    bool have = zu_map_find(&keys->map, bytes, ZU_CURVE_KEY_SIZE) != NULL;
    pthread_mutex_unlock(&keys->lock);
    return have;
}
