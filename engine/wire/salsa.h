/* SPDX-License-Identifier: MIT */
/*
 * Salsa20's stream, as libsodium makes it and mostly by libsodium; but sixteen blocks at once where the processor has
 * registers of 64 octets, in a third of the time. It costs the same whatever the octets are.
 */
#ifndef ZU_WIRE_SALSA_H
#define ZU_WIRE_SALSA_H

#include <stddef.h>
#include <stdint.h>

enum { ZU_SALSA_BLOCK = 64, ZU_SALSA_HEAD = 16 * ZU_SALSA_BLOCK };

/* The first `size` octets of the stream, ZU_SALSA_HEAD at most; perhaps more. */
void zu_salsa_begin(uint8_t head[ZU_SALSA_HEAD], size_t size, const uint8_t nonce[8], const uint8_t key[32]);

/* Adds the stream from that block on to `from`; `to` is the same place or does not overlap it. */
void zu_salsa_add(uint8_t *to, const uint8_t *from, size_t size, const uint8_t nonce[8], uint64_t block,
                  const uint8_t key[32]);

#endif
