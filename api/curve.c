/* SPDX-License-Identifier: MIT */
/*
 * Curve25519 keys (RFC 26) as Z85 text, made by libsodium. Secrets are wiped from the stack before returning.
 * They fail for text that is no key (EINVAL), a NULL pointer (EFAULT), and a libsodium without randomness (ENOTSUP).
 */
#include "zmq.h"

#include <sodium.h>
#include <string.h>

enum { KEY_SIZE = crypto_box_PUBLICKEYBYTES, KEY_TEXT_SIZE = 40 };

_Static_assert((int)crypto_box_PUBLICKEYBYTES == (int)crypto_box_SECRETKEYBYTES && KEY_SIZE * 5 / 4 == KEY_TEXT_SIZE,
               "both keys are 32 octets, 40 characters");

static int fail(int error)
{
    errno = error;
    return -1;
}

int zmq_curve_keypair(char *z85_public_key, char *z85_secret_key)
{
    if (!z85_public_key || !z85_secret_key)
        return fail(EFAULT);
    if (sodium_init() < 0)
        return fail(ENOTSUP);
    uint8_t public_key[KEY_SIZE];
    uint8_t secret_key[KEY_SIZE];
    (void)crypto_box_keypair(public_key, secret_key);
    zmq_z85_encode(z85_public_key, public_key, KEY_SIZE);
    zmq_z85_encode(z85_secret_key, secret_key, KEY_SIZE);
    sodium_memzero(secret_key, sizeof secret_key);
    return 0;
}

int zmq_curve_public(char *z85_public_key, const char *z85_secret_key)
{
    if (!z85_public_key || !z85_secret_key)
        return fail(EFAULT);
    if (strlen(z85_secret_key) != KEY_TEXT_SIZE)
        return fail(EINVAL);
    if (sodium_init() < 0)
        return fail(ENOTSUP);
    uint8_t public_key[KEY_SIZE];
    uint8_t secret_key[KEY_SIZE];
    if (!zmq_z85_decode(secret_key, z85_secret_key))
        return -1;
    (void)crypto_scalarmult_base(public_key, secret_key);
    sodium_memzero(secret_key, sizeof secret_key);
    zmq_z85_encode(z85_public_key, public_key, KEY_SIZE);
    return 0;
}
