/* SPDX-License-Identifier: MIT */
/*
 * Both sides of a CURVE handshake once more, straight from RFC 26 over libsodium: bodies for tests and fuzzers that want to
 * put other things in the boxes than our sides do. Places are octets of a command's body.
 */
#ifndef ZU_TESTS_CURVE_KIT_H
#define ZU_TESTS_CURVE_KIT_H

#include <sodium.h>
#include <stdint.h>
#include <string.h>

enum {
    HELLO_SIZE = 200,
    WELCOME_SIZE = 168,
    INITIATE_SIZE = 257, /* and the properties */
    READY_SIZE = 30,     /* the same */
    VOUCHED_SIZE = 128,  /* of what is in an INITIATE before the properties */
};

struct curve_pair {
    uint8_t public_key[32];
    uint8_t secret_key[32];
};

static inline struct curve_pair curve_pair(void)
{
    struct curve_pair pair;
    crypto_box_keypair(pair.public_key, pair.secret_key);
    return pair;
}

static inline void curve_nonce(uint8_t nonce[24], const char *prefix, const uint8_t *rest)
{
    memcpy(nonce, prefix, strlen(prefix));
    memcpy(nonce + strlen(prefix), rest, 24 - strlen(prefix));
}

/* A box at `out` of `plain`, whose nonce's rest is at `rest`. */
static inline void curve_box(uint8_t *out, const void *plain, size_t size, const char *prefix, const uint8_t *rest,
                             const uint8_t *to, const uint8_t *from)
{
    uint8_t nonce[24];
    curve_nonce(nonce, prefix, rest);
    if (crypto_box_easy(out, plain, size, nonce, to, from) != 0)
        memset(out, 0, size + 16);
}

static inline int curve_unbox(void *out, const uint8_t *box, size_t size, const char *prefix, const uint8_t *rest,
                              const uint8_t *from, const uint8_t *to)
{
    uint8_t nonce[24];
    curve_nonce(nonce, prefix, rest);
    return crypto_box_open_easy(out, box, size, nonce, from, to);
}

static inline void curve_count(uint8_t out[8], uint64_t count)
{
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(count >> (56 - 8 * i));
}

static inline void curve_hello(uint8_t out[HELLO_SIZE], const struct curve_pair *transient, const uint8_t *server,
                               uint64_t count, const uint8_t zeros[64])
{
    memset(out, 0, HELLO_SIZE);
    memcpy(out, "\x05HELLO\x01\x00", 8);
    memcpy(out + 80, transient->public_key, 32);
    curve_count(out + 112, count);
    curve_box(out + 120, zeros, 64, "CurveZMQHELLO---", out + 112, server, transient->secret_key);
}

/* What the server will find vouched for: C, and C' and S sealed from C to S'. */
static inline void curve_vouched(uint8_t out[VOUCHED_SIZE], const struct curve_pair *lasting, const uint8_t *transient,
                                 const uint8_t *server, const uint8_t *server_transient)
{
    uint8_t plain[64];
    memcpy(plain, transient, 32);
    memcpy(plain + 32, server, 32);
    memcpy(out, lasting->public_key, 32);
    randombytes_buf(out + 32, 16);
    curve_box(out + 48, plain, 64, "VOUCH---", out + 32, server_transient, lasting->secret_key);
}

static inline void curve_initiate(uint8_t *out, const uint8_t cookie[96], uint64_t count, const void *plain,
                                  size_t size, const struct curve_pair *transient, const uint8_t *server_transient)
{
    memcpy(out, "\x08INITIATE", 9);
    memcpy(out + 9, cookie, 96);
    curve_count(out + 105, count);
    curve_box(out + 113, plain, size, "CurveZMQINITIATE", out + 105, server_transient, transient->secret_key);
}

static inline void curve_welcome(uint8_t out[WELCOME_SIZE], const void *plain, const struct curve_pair *lasting,
                                 const uint8_t *client_transient)
{
    memcpy(out, "\x07WELCOME", 8);
    randombytes_buf(out + 8, 16);
    curve_box(out + 24, plain, 128, "WELCOME-", out + 8, client_transient, lasting->secret_key);
}

static inline void curve_ready(uint8_t *out, uint64_t count, const void *plain, size_t size,
                               const struct curve_pair *transient, const uint8_t *client_transient)
{
    memcpy(out, "\x05READY", 6);
    curve_count(out + 6, count);
    curve_box(out + 14, plain, size, "CurveZMQREADY---", out + 6, client_transient, transient->secret_key);
}

#endif
