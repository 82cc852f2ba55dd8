/* SPDX-License-Identifier: MIT */
#include "zmq.h"

#include <criterion/criterion.h>
#include <string.h>

/* The two key pairs of RFC 7748, section 6.1. */
static const struct {
    uint8_t secret_key[32];
    uint8_t public_key[32];
} pairs[] = {
    {{0x77, 0x07, 0x6d, 0x0a, 0x73, 0x18, 0xa5, 0x7d, 0x3c, 0x16, 0xc1, 0x72, 0x51, 0xb2, 0x66, 0x45,
      0xdf, 0x4c, 0x2f, 0x87, 0xeb, 0xc0, 0x99, 0x2a, 0xb1, 0x77, 0xfb, 0xa5, 0x1d, 0xb9, 0x2c, 0x2a},
     {0x85, 0x20, 0xf0, 0x09, 0x89, 0x30, 0xa7, 0x54, 0x74, 0x8b, 0x7d, 0xdc, 0xb4, 0x3e, 0xf7, 0x5a,
      0x0d, 0xbf, 0x3a, 0x0d, 0x26, 0x38, 0x1a, 0xf4, 0xeb, 0xa4, 0xa9, 0x8e, 0xaa, 0x9b, 0x4e, 0x6a}},
    {{0x5d, 0xab, 0x08, 0x7e, 0x62, 0x4a, 0x8a, 0x4b, 0x79, 0xe1, 0x7f, 0x8b, 0x83, 0x80, 0x0e, 0xe6,
      0x6f, 0x3b, 0xb1, 0x29, 0x26, 0x18, 0xb6, 0xfd, 0x1c, 0x2f, 0x8b, 0x27, 0xff, 0x88, 0xe0, 0xeb},
     {0xde, 0x9e, 0xdb, 0x7d, 0x7b, 0x7d, 0xc1, 0xb4, 0xd3, 0x5b, 0x61, 0xc2, 0xec, 0xe4, 0x35, 0x37,
      0x3f, 0x83, 0x43, 0xc8, 0x5b, 0x78, 0x67, 0x4d, 0xad, 0xfc, 0x7e, 0x14, 0x6f, 0x88, 0x2b, 0x4f}},
};

Test(curve, derives_the_public_key)
{
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        char secret_key[41];
        char public_key[41];
        char expected[41];
        zmq_z85_encode(secret_key, pairs[i].secret_key, 32);
        zmq_z85_encode(expected, pairs[i].public_key, 32);
        cr_assert_eq(zmq_curve_public(public_key, secret_key), 0);
        cr_assert_str_eq(public_key, expected);
    }
}

Test(curve, makes_pairs_that_belong_together)
{
    char public_key[41];
    char secret_key[41];
    char derived[41];
    char other_public[41];
    char other_secret[41];
    cr_assert_eq(zmq_curve_keypair(public_key, secret_key), 0);
    cr_assert_eq(strlen(public_key), 40);
    cr_assert_eq(strlen(secret_key), 40);
    cr_assert_eq(zmq_curve_public(derived, secret_key), 0);
    cr_assert_str_eq(derived, public_key);
    cr_assert_eq(zmq_curve_keypair(other_public, other_secret), 0);
    cr_assert_str_neq(other_secret, secret_key);
    cr_assert_str_neq(other_public, public_key);
}

Test(curve, refuses_what_is_no_key)
{
    static const char *const bad[] = {
        "",
        "00000",
        "00000000000000000000000000000000000",           /* 35 */
        "000000000000000000000000000000000000000000000", /* 45: would overrun 32 octets */
        "000000000000000000000000000000000000000 ",      /* 40, one strange */
        "00000000000000000000000000000000000%nSc1",      /* 40, group too large */
    };
    char public_key[41] = "kept";
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        errno = 0;
        cr_assert_eq(zmq_curve_public(public_key, bad[i]), -1, "%s", bad[i]);
        cr_assert_eq(errno, EINVAL, "%s", bad[i]);
    }
    cr_assert_str_eq(public_key, "kept");
}

Test(curve, refuses_null)
{
    char key[41];
    errno = 0;
    cr_assert_eq(zmq_curve_keypair(NULL, key), -1);
    cr_assert_eq(errno, EFAULT);
    cr_assert_eq(zmq_curve_keypair(key, NULL), -1);
    cr_assert_eq(zmq_curve_public(key, NULL), -1);
    errno = 0;
    cr_assert_eq(zmq_curve_public(NULL, "0000000000000000000000000000000000000000"), -1);
    cr_assert_eq(errno, EFAULT);
}
