/* SPDX-License-Identifier: MIT */
/* Octet for octet as libsodium has it, whichever way this processor goes. */
#include "wire/salsa.h"

#include <criterion/criterion.h>
#include <sodium.h>

enum { SIZE = 5000 };

static uint8_t key[32], nonce[8], plain[SIZE], expected[SIZE], got[SIZE + 1];

static void begin(void)
{
    cr_assert_geq(sodium_init(), 0);
    randombytes_buf(key, sizeof key);
    randombytes_buf(nonce, sizeof nonce);
    randombytes_buf(plain, sizeof plain);
}

Test(salsa, begins_as_libsodiums_does)
{
    begin();
    crypto_stream_salsa20(expected, SIZE, nonce, key);
    for (size_t size = 0; size <= ZU_SALSA_HEAD; size++) {
        uint8_t head[ZU_SALSA_HEAD];
        zu_salsa_begin(head, size, nonce, key);
        cr_assert_arr_eq(head, expected, size, "%zu octets", size);
    }
}

Test(salsa, goes_on_as_libsodiums_does)
{
    static const uint64_t blocks[] = {0, 1, 16, 1000, UINT32_MAX - 100, UINT32_MAX - 33, UINT32_MAX - 17, UINT32_MAX,
                                      UINT64_C(1) << 32, UINT64_C(1) << 40};
    begin();
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
        for (size_t size = 0; size <= SIZE; size += size % 7 + 1) {
            crypto_stream_salsa20_xor_ic(expected, plain, size, nonce, blocks[i], key);
            got[size] = 0x5a;
            zu_salsa_add(got, plain, size, nonce, blocks[i], key);
            cr_assert_arr_eq(got, expected, size, "%zu octets from block %llu", size, (unsigned long long)blocks[i]);
            cr_assert_eq(got[size], 0x5a);
            memcpy(got, plain, size);
            zu_salsa_add(got, got, size, nonce, blocks[i], key);
            cr_assert_arr_eq(got, expected, size, "%zu octets in place", size);
        }
    }
}
