/* SPDX-License-Identifier: MIT */
#include "wire/curve_box.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "mem/alloc.h"
#include "wire/stage.h"

/*
 * A HELLO that opens with our secret key is answered by a WELCOME with our transient key and a cookie; the INITIATE brings
 * the cookie back, and the client's lasting key with a vouch, sealed for our transient key, that it is the same client's. Then
 * somebody may have to judge that key; READY is the last. It fails on sizes that are wrong, on what does not open, on a cookie
 * of another connection, a vouch for another key, a count that does not grow, bad properties, and by a verdict.
 */

static int hello_hear(struct zu_mechanism *mechanism, const uint8_t *data, size_t size)
{
    static const uint8_t version[2] = {1, 0};
    struct zu_curve_state *state = mechanism->state;
    const struct zu_curve_hello *hello = (const struct zu_curve_hello *)data;
    uint8_t zeros[sizeof hello->signature - ZU_CURVE_MAC];
    if (size != sizeof *hello || memcmp(hello->version, version, sizeof version) != 0)
        return zu_mechanism_fail(mechanism, ZU_PROTOCOL_ERROR_MALFORMED_HELLO);
    int rc = zu_curve_agree(mechanism, state->hello_key, hello->client_key, zu_curve_secrets(mechanism)->secret_key);
    if (rc < 0)
        return rc;
    if (!zu_curve_box_open(zeros, hello->signature, sizeof zeros, ZU_CURVE_HELLO_PREFIX, hello->nonce,
                           state->hello_key) ||
        !sodium_is_zero(zeros, sizeof zeros))
        return zu_curve_fail_open(mechanism);
    if (!zu_curve_count_hear(mechanism, hello->nonce))
        return zu_mechanism_fail(mechanism, ZU_PROTOCOL_ERROR_INVALID_SEQUENCE);
    memcpy(state->peer_key, hello->client_key, sizeof state->peer_key);
    zu_curve_transient_make(state);
    return 0;
}

static size_t welcome_say_max(const struct zu_mechanism *mechanism)
{
    (void)mechanism;
    return sizeof(struct zu_curve_welcome);
}

static ssize_t welcome_say(struct zu_mechanism *mechanism, uint8_t *data)
{
    struct zu_curve_state *state = mechanism->state;
    struct zu_curve_welcome *welcome = (struct zu_curve_welcome *)data;
    struct zu_curve_cookie *cookie = &welcome->cookie;
    randombytes_buf(cookie->nonce, sizeof cookie->nonce);
    memcpy(cookie->client_key, state->peer_key, sizeof cookie->client_key);
    memcpy(cookie->server_secret_key, state->secret_key, sizeof cookie->server_secret_key);
    zu_curve_box_seal(cookie->mac, sizeof cookie->client_key + sizeof cookie->server_secret_key, ZU_CURVE_COOKIE_PREFIX,
                      cookie->nonce, state->cookie_key);
    randombytes_buf(welcome->nonce, sizeof welcome->nonce);
    memcpy(welcome->server_key, state->public_key, sizeof welcome->server_key);
    zu_curve_box_seal(welcome->mac, sizeof welcome->server_key + sizeof *cookie, ZU_CURVE_WELCOME_PREFIX,
                      welcome->nonce, state->hello_key);
    explicit_bzero(state->hello_key, sizeof state->hello_key);
    return sizeof *welcome;
}

/* Is it the one that we gave to this client? It serves once. */
static bool cookie_is_ours(struct zu_curve_state *state, const struct zu_curve_cookie *cookie)
{
    struct zu_curve_cookie plain;
    bool ours =
        zu_curve_box_open(plain.client_key, cookie->mac, sizeof plain.client_key + sizeof plain.server_secret_key,
                          ZU_CURVE_COOKIE_PREFIX, cookie->nonce, state->cookie_key) &&
        sodium_memcmp(plain.client_key, state->peer_key, sizeof state->peer_key) == 0 &&
        sodium_memcmp(plain.server_secret_key, state->secret_key, sizeof state->secret_key) == 0;
    explicit_bzero(&plain, sizeof plain);
    explicit_bzero(state->cookie_key, sizeof state->cookie_key);
    return ours;
}

/* Whoever has the lasting key says that the transient one is its own, and that it means us. */
static int vouch_hear(struct zu_mechanism *mechanism, const struct zu_curve_vouch *vouch, const uint8_t *client_key)
{
    const struct zu_curve_state *state = mechanism->state;
    const uint8_t *server_key = zu_curve_secrets(mechanism)->public_key;
    uint8_t key[ZU_CURVE_KEY_SIZE];
    struct zu_curve_vouch plain;
    int rc = zu_curve_agree(mechanism, key, client_key, state->secret_key);
    if (rc < 0)
        return rc;
    if (!zu_curve_box_open(plain.client_key, vouch->mac, sizeof plain.client_key + sizeof plain.server_key,
                           ZU_CURVE_VOUCH_PREFIX, vouch->nonce, key))
        rc = zu_curve_fail_open(mechanism);
    else if ((sodium_memcmp(plain.client_key, state->peer_key, sizeof state->peer_key) |
              sodium_memcmp(plain.server_key, server_key, sizeof plain.server_key)) != 0)
        rc = zu_mechanism_fail(mechanism, ZU_PROTOCOL_ERROR_KEY_EXCHANGE);
    explicit_bzero(&plain, sizeof plain);
    explicit_bzero(key, sizeof key);
    return rc;
}

/* `plain` is of the same size; what comes to lie there has the same layout. */
static int initiate_open(struct zu_mechanism *mechanism, const struct zu_curve_initiate *initiate, size_t size,
                         struct zu_curve_initiate *plain)
{
    struct zu_curve_state *state = mechanism->state;
    if (!zu_curve_box_open(plain->client_key, initiate->mac, size - offsetof(struct zu_curve_initiate, client_key),
                           ZU_CURVE_INITIATE_PREFIX, initiate->nonce, state->session.key))
        return zu_curve_fail_open(mechanism);
    if (!zu_curve_count_hear(mechanism, initiate->nonce))
        return zu_mechanism_fail(mechanism, ZU_PROTOCOL_ERROR_INVALID_SEQUENCE);
    int rc = vouch_hear(mechanism, &plain->vouch, plain->client_key);
    if (rc == 0)
        rc = zu_mechanism_properties_consume(mechanism, plain->properties, size - sizeof *plain);
    if (rc == 0)
        memcpy(state->client_key, plain->client_key, sizeof state->client_key);
    return rc;
}

static int initiate_hear(struct zu_mechanism *mechanism, const uint8_t *data, size_t size)
{
    struct zu_curve_state *state = mechanism->state;
    const struct zu_curve_initiate *initiate = (const struct zu_curve_initiate *)data;
    if (size < sizeof *initiate)
        return zu_mechanism_fail(mechanism, ZU_PROTOCOL_ERROR_MALFORMED_INITIATE);
    if (!cookie_is_ours(state, &initiate->cookie))
        return zu_curve_fail_open(mechanism);
    int rc = zu_curve_agree(mechanism, state->session.key, state->peer_key, state->secret_key);
    if (rc < 0)
        return rc;
    struct zu_curve_initiate *plain = zu_alloc(size);
    if (!plain)
        return -ENOMEM;
    rc = initiate_open(mechanism, initiate, size, plain);
    explicit_bzero(plain, size);
    zu_free(plain, size);
    if (rc == 0 && mechanism->config->waits)
        mechanism->status = ZU_MECHANISM_WAITING;
    return rc;
}

static size_t ready_say_max(const struct zu_mechanism *mechanism)
{
    return sizeof(struct zu_curve_ready) + zu_mechanism_properties_size(mechanism->config);
}

static ssize_t ready_say(struct zu_mechanism *mechanism, uint8_t *data)
{
    struct zu_curve_state *state = mechanism->state;
    struct zu_curve_ready *ready = (struct zu_curve_ready *)data;
    size_t size = zu_mechanism_properties_encode(mechanism->config, ready->properties);
    zu_curve_count_say(mechanism, ready->nonce);
    zu_curve_box_seal(ready->mac, size, ZU_CURVE_READY_PREFIX, ready->nonce, state->session.key);
    zu_curve_forget(state);
    return (ssize_t)(sizeof *ready + size);
}

static const struct zu_stage rows[] = {
    {.command = ZU_COMMAND_HELLO, .hear = hello_hear},
    {.command = ZU_COMMAND_WELCOME, .say_max = welcome_say_max, .say = welcome_say},
    {.command = ZU_COMMAND_INITIATE, .hear = initiate_hear},
    {.command = ZU_COMMAND_READY, .say_max = ready_say_max, .say = ready_say},
};
static const struct zu_stages stages = {rows, sizeof rows / sizeof *rows, false};

static int server_init(struct zu_mechanism *mechanism)
{
    return zu_curve_init(mechanism, true);
}

static size_t server_produce_max(const struct zu_mechanism *mechanism)
{
    return zu_stages_produce_max(&stages, mechanism);
}

static ssize_t server_produce(struct zu_mechanism *mechanism, uint8_t *out)
{
    return zu_stages_produce(&stages, mechanism, out);
}

static int server_consume(struct zu_mechanism *mechanism, const uint8_t *body, size_t size)
{
    return zu_stages_consume(&stages, mechanism, body, size);
}

static void server_credentials(const struct zu_mechanism *mechanism, struct zu_credentials *ret_credentials)
{
    const struct zu_curve_state *state = mechanism->state;
    *ret_credentials = (struct zu_credentials){
        .mechanism = mechanism->ops->name,
        .count = 1,
        .items = {{.data = state->client_key, .size = sizeof state->client_key}},
    };
}

const struct zu_mechanism_ops zu_curve_server_mechanism = {
    .name = "CURVE",
    .init = server_init,
    .fini = zu_curve_fini,
    .produce_max = server_produce_max,
    .produce = server_produce,
    .consume = server_consume,
    .credentials = server_credentials,
    .judged = zu_mechanism_judged,
};
