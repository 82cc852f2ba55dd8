/* SPDX-License-Identifier: MIT */
/*
 * Sixteen blocks at once: each of the 16 words of a block is a register, with a lane for each block. The words of a block
 * then are gathered from the registers in four steps of shuffles. What is left of a message, and what is no more than a
 * block, is libsodium's; so is all of it on other processors, and where the count of blocks needs a second word.
 */
#include "wire/salsa.h"

#include <sodium.h>
#include <stdbool.h>
#include <string.h>

#include "base/attr.h"

enum {
    FEW_SIZE = 256, /* libsodium makes so many octets at once in little more time than a block */
    MANY_SIZE = 512, /* or so many */
};

static const uint8_t zeros[ZU_SALSA_HEAD];

#if defined __x86_64__

#define WIDE __attribute__((target("avx512f")))

typedef uint32_t lanes __attribute__((vector_size(64)));
typedef lanes lanes_anywhere __attribute__((aligned(1), may_alias));

#define ROTATE(x, n) ((x) << (n) | (x) >> (32 - (n)))
#define QUARTER(a, b, c, d)                                                                                            \
    x[b] ^= ROTATE(x[a] + x[d], 7);                                                                                    \
    x[c] ^= ROTATE(x[b] + x[a], 9);                                                                                    \
    x[d] ^= ROTATE(x[c] + x[b], 13);                                                                                   \
    x[a] ^= ROTATE(x[d] + x[c], 18)

#define PICK __builtin_shufflevector
#define LOW_1(a, b) PICK(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29)
#define HIGH_1(a, b) PICK(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31)
#define LOW_2(a, b) PICK(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29)
#define HIGH_2(a, b) PICK(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31)
#define EVEN_4(a, b) PICK(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27)
#define ODD_4(a, b) PICK(a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31)

static bool is_wide(void)
{
    return __builtin_cpu_supports("avx512f");
}

/* parts[g][k], octets 16 L on: words 4 g on of block 4 L + k. */
WIDE static inline void blocks_part(lanes parts[4][4], const lanes *x, const lanes *start)
{
#pragma GCC unroll 4
    for (int g = 0; g < 4; g++) {
        lanes a = x[4 * g] + start[4 * g], b = x[4 * g + 1] + start[4 * g + 1];
        lanes c = x[4 * g + 2] + start[4 * g + 2], d = x[4 * g + 3] + start[4 * g + 3];
        lanes low_ab = LOW_1(a, b), high_ab = HIGH_1(a, b), low_cd = LOW_1(c, d), high_cd = HIGH_1(c, d);
        parts[g][0] = LOW_2(low_ab, low_cd);
        parts[g][1] = HIGH_2(low_ab, low_cd);
        parts[g][2] = LOW_2(high_ab, high_cd);
        parts[g][3] = HIGH_2(high_ab, high_cd);
    }
}

/* ZU_SALSA_HEAD octets. */
WIDE static void blocks_add(uint8_t *to, const uint8_t *from, const uint32_t state[16])
{
    lanes x[16], start[16], parts[4][4];
    for (int i = 0; i < 16; i++)
        start[i] = (lanes){0} + state[i];
    start[8] += (lanes){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    memcpy(x, start, sizeof x);
    for (int i = 0; i < 10; i++) {
        QUARTER(0, 4, 8, 12);
        QUARTER(5, 9, 13, 1);
        QUARTER(10, 14, 2, 6);
        QUARTER(15, 3, 7, 11);
        QUARTER(0, 1, 2, 3);
        QUARTER(5, 6, 7, 4);
        QUARTER(10, 11, 8, 9);
        QUARTER(15, 12, 13, 14);
    }
    blocks_part(parts, x, start);
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++) {
        lanes a = EVEN_4(parts[0][k], parts[1][k]), b = EVEN_4(parts[2][k], parts[3][k]);
        lanes c = ODD_4(parts[0][k], parts[1][k]), d = ODD_4(parts[2][k], parts[3][k]);
        const lanes blocks[4] = {EVEN_4(a, b), EVEN_4(c, d), ODD_4(a, b), ODD_4(c, d)};
        for (int i = 0; i < 4; i++) {
            size_t at = (size_t)(4 * i + k) * ZU_SALSA_BLOCK;
            *(lanes_anywhere *)(to + at) = *(const lanes_anywhere *)(from + at) ^ blocks[i];
        }
    }
}

#else

static bool is_wide(void)
{
    return false;
}

static void blocks_add(uint8_t *to, const uint8_t *from, const uint32_t state[16])
{
    (void)to, (void)from, (void)state;
}

#endif

/* The 16 words that a block begins as, the count in the two after the nonce; words are little-endian, as is who is wide. */
static void state_make(uint32_t state[16], const uint8_t *nonce, const uint8_t *key)
{
    memcpy(state, (const uint32_t[]){0x61707865, 0, 0, 0, 0, 0x3320646e, 0, 0, 0, 0, 0x79622d32, 0, 0, 0, 0, 0x6b206574},
           16 * sizeof *state);
    memcpy(state + 1, key, 16);
    memcpy(state + 6, nonce, 8);
    memcpy(state + 11, key + 16, 16);
}

void zu_salsa_begin(uint8_t head[ZU_SALSA_HEAD], size_t size, const uint8_t nonce[8], const uint8_t key[32])
{
    if (size > ZU_SALSA_BLOCK && is_wide()) {
        uint32_t state[16];
        state_make(state, nonce, key);
        blocks_add(head, zeros, state);
        return;
    }
    size_t made = size <= ZU_SALSA_BLOCK ? ZU_SALSA_BLOCK
                  : size <= FEW_SIZE     ? FEW_SIZE
                  : size <= MANY_SIZE    ? MANY_SIZE
                                         : ZU_SALSA_HEAD;
    crypto_stream_salsa20(head, made, nonce, key);
}

void zu_salsa_add(uint8_t *to, const uint8_t *from, size_t size, const uint8_t nonce[8], uint64_t block,
                  const uint8_t key[32])
{
    if (is_wide()) {
        uint32_t state[16];
        state_make(state, nonce, key);
        while (size >= ZU_SALSA_HEAD && block < UINT32_MAX - 16) {
            state[8] = (uint32_t)block;
            blocks_add(to, from, state);
            to += ZU_SALSA_HEAD;
            from += ZU_SALSA_HEAD;
            size -= ZU_SALSA_HEAD;
            block += ZU_SALSA_HEAD / ZU_SALSA_BLOCK;
        }
    }
    if (size)
        crypto_stream_salsa20_xor_ic(to, from, size, nonce, block, key);
}
