/* SPDX-License-Identifier: MIT */
#include "wire/curve_box.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "mem/alloc.h"

/*
 * A state gets a fresh transient pair with its HELLO, a server's once that has opened: whoever is silent or says garbage
 * has not been worth one. It serves one handshake, and is overwritten: by the taking of the session, in the end by fini.
 * Nonces are a prefix that says what a box is for, and a count or random octets, so that none is used twice with one key.
 * It fails for want of memory, for a libsodium that finds no randomness, for keys that are none.
 */

static_assert(crypto_box_MACBYTES == ZU_CURVE_MAC && crypto_box_BEFORENMBYTES == ZU_CURVE_KEY_SIZE &&
                  crypto_box_SECRETKEYBYTES == ZU_CURVE_KEY_SIZE && crypto_box_PUBLICKEYBYTES == ZU_CURVE_KEY_SIZE,
              "RFC 26 is libsodium's crypto_box");
static_assert(sizeof(struct zu_curve_hello) == 200 - 6 && sizeof(struct zu_curve_welcome) == 168 - 8 &&
                  sizeof(struct zu_curve_initiate) == 257 - 9 && sizeof(struct zu_curve_ready) == 30 - 6,
              "the sizes of RFC 26, without the names");

int zu_curve_init(struct zu_mechanism *mechanism, bool is_server)
{
    if (sodium_init() < 0)
        return -ENOTSUP;
    struct zu_curve_state *state = zu_alloc_zero(sizeof *state);
    if (!state)
        return -ENOMEM;
    state->session.is_server = is_server;
    state->session.out_nonce = 1;
    if (is_server)
        randombytes_buf(state->cookie_key, sizeof state->cookie_key);
    mechanism->state = state;
    return 0;
}

void zu_curve_transient_make(struct zu_curve_state *state)
{
    crypto_box_keypair(state->public_key, state->secret_key);
}

void zu_curve_own_key(struct zu_secrets *secrets)
{
    if (sodium_init() >= 0) /* else no handshake begins */
        (void)crypto_scalarmult_base(secrets->public_key, secrets->secret_key);
}

void zu_curve_forget(struct zu_curve_state *state)
{
    struct zu_curve_session session = state->session;
    explicit_bzero(state, sizeof *state);
    state->session = session;
    explicit_bzero(&session, sizeof session);
}

void zu_curve_fini(struct zu_mechanism *mechanism)
{
    if (!mechanism->state)
        return;
    explicit_bzero(mechanism->state, sizeof(struct zu_curve_state));
    zu_free(mechanism->state, sizeof(struct zu_curve_state));
    mechanism->state = NULL;
}

const struct zu_secrets *zu_curve_secrets(const struct zu_mechanism *mechanism)
{
    static const struct zu_secrets none;
    return mechanism->config->secrets ? mechanism->config->secrets : &none;
}

int zu_curve_fail_open(struct zu_mechanism *mechanism)
{
    return zu_mechanism_fail(mechanism, ZU_PROTOCOL_ERROR_CRYPTOGRAPHIC);
}

int zu_curve_agree(struct zu_mechanism *mechanism, uint8_t ret_key[ZU_CURVE_KEY_SIZE], const uint8_t *public_key,
                   const uint8_t *secret_key)
{
    return crypto_box_beforenm(ret_key, public_key, secret_key) == 0 ? 0 : zu_curve_fail_open(mechanism);
}

static void nonce_make(uint8_t out[crypto_box_NONCEBYTES], const char *prefix, const uint8_t *rest)
{
    size_t prefix_size = strlen(prefix);
    memcpy(out, prefix, prefix_size);
    memcpy(out + prefix_size, rest, crypto_box_NONCEBYTES - prefix_size);
}

void zu_curve_box_seal(uint8_t *mac, size_t size, const char *prefix, const uint8_t *nonce, const uint8_t *key)
{
    uint8_t whole[crypto_box_NONCEBYTES];
    nonce_make(whole, prefix, nonce);
    crypto_box_easy_afternm(mac, mac + ZU_CURVE_MAC, size, whole, key);
}

bool zu_curve_box_open(uint8_t *ret_plain, const uint8_t *mac, size_t size, const char *prefix, const uint8_t *nonce,
                       const uint8_t *key)
{
    uint8_t whole[crypto_box_NONCEBYTES];
    nonce_make(whole, prefix, nonce);
    return crypto_box_open_easy_afternm(ret_plain, mac, ZU_CURVE_MAC + size, whole, key) == 0;
}

void zu_curve_count_say(struct zu_mechanism *mechanism, uint8_t nonce[ZU_CURVE_NONCE_SHORT])
{
    struct zu_curve_state *state = mechanism->state;
    uint64_t count = htobe64(state->session.out_nonce++);
    memcpy(nonce, &count, sizeof count);
}

bool zu_curve_count_hear(struct zu_mechanism *mechanism, const uint8_t nonce[ZU_CURVE_NONCE_SHORT])
{
    struct zu_curve_state *state = mechanism->state;
    uint64_t count;
    memcpy(&count, nonce, sizeof count);
    count = be64toh(count);
    if (count <= state->session.in_nonce)
        return false;
    state->session.in_nonce = count;
    return true;
}

bool zu_curve_session_take(struct zu_handshake *hs, struct zu_curve_session *ret_session)
{
    struct zu_mechanism *mechanism = &hs->mechanism;
    bool is_curve = mechanism->ops == &zu_curve_client_mechanism || mechanism->ops == &zu_curve_server_mechanism;
    if (!is_curve || mechanism->status != ZU_MECHANISM_READY || !mechanism->state)
        return false;
    *ret_session = ((struct zu_curve_state *)mechanism->state)->session;
    zu_curve_fini(mechanism); /* a session taken twice would use its nonces twice */
    return true;
}
