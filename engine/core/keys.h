/* SPDX-License-Identifier: MIT */
/* A set of CURVE keys, for sockets that let in whom it holds. It may change while they use it; any thread. */
#ifndef ZU_CORE_KEYS_H
#define ZU_CORE_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ZU_KEYS_TAG 0x7a756b79u

struct zu_keys;

/* Empty, with one reference; NULL without memory. */
struct zu_keys *zu_keys_new(void);
struct zu_keys *zu_keys_ref(struct zu_keys *keys);
/* NULL is nobody's. */
void zu_keys_unref(struct zu_keys *keys);
/* False: the memory is something else, or its maker has given it back. */
bool zu_keys_are(const struct zu_keys *keys);
/* Its maker gives it back: behind this it is only its sockets'. */
void zu_keys_close(struct zu_keys *keys);

/* A key is ZU_CURVE_KEY_SIZE octets. Adding one that is there changes nothing. -ENOMEM. */
int zu_keys_add(struct zu_keys *keys, const uint8_t *key);
/* -ENOENT. */
int zu_keys_remove(struct zu_keys *keys, const uint8_t *key);
bool zu_keys_have(struct zu_keys *keys, const uint8_t *key);

#endif
