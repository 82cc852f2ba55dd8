/* SPDX-License-Identifier: MIT */
#include "wire/curve_box.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "mem/alloc.h"
#include "wire/stage.h"

/*
 * HELLO shows the transient key, WELCOME brings the server's and a cookie, INITIATE gives that back with our lasting key,
 * a vouch for it and our properties; READY has the server's. It fails on what does not open, whoever is at fault: without the
 * right server key not even a WELCOME does; on a READY with bad properties; and when the server tells an ERROR.
 */

static size_t hello_say_max(const struct zu_mechanism *mechanism)
{
    (void)mechanism;
    return sizeof(struct zu_curve_hello);
}

static ssize_t hello_say(struct zu_mechanism *mechanism, uint8_t *data)
{
    struct zu_curve_state *state = mechanism->state;
    struct zu_curve_hello *hello = (struct zu_curve_hello *)data;
    zu_curve_transient_make(state);
    int rc = zu_curve_agree(mechanism, state->hello_key, zu_curve_secrets(mechanism)->server_key, state->secret_key);
    if (rc < 0)
        return rc;
    memset(hello, 0, sizeof *hello);
    hello->version[0] = 1;
    memcpy(hello->client_key, state->public_key, sizeof hello->client_key);
    zu_curve_count_say(mechanism, hello->nonce);
    zu_curve_box_seal(hello->signature, sizeof hello->signature - ZU_CURVE_MAC, ZU_CURVE_HELLO_PREFIX, hello->nonce,
                      state->hello_key);
    return sizeof *hello;
}

static int welcome_hear(struct zu_mechanism *mechanism, const uint8_t *data, size_t size)
{
    struct zu_curve_state *state = mechanism->state;
    const struct zu_curve_welcome *welcome = (const struct zu_curve_welcome *)data;
    struct zu_curve_welcome plain;
    if (size != sizeof *welcome)
        return zu_mechanism_fail(mechanism, ZU_PROTOCOL_ERROR_MALFORMED_WELCOME);
    if (!zu_curve_box_open(plain.server_key, welcome->mac, sizeof plain.server_key + sizeof plain.cookie,
                           ZU_CURVE_WELCOME_PREFIX, welcome->nonce, state->hello_key))
        return zu_curve_fail_open(mechanism);
    memcpy(state->peer_key, plain.server_key, sizeof state->peer_key);
    state->cookie = plain.cookie;
    explicit_bzero(&plain, sizeof plain);
    explicit_bzero(state->hello_key, sizeof state->hello_key);
    return zu_curve_agree(mechanism, state->session.key, state->peer_key, state->secret_key);
}

static int vouch_make(struct zu_mechanism *mechanism, struct zu_curve_vouch *vouch)
{
    const struct zu_curve_state *state = mechanism->state;
    const struct zu_secrets *secrets = zu_curve_secrets(mechanism);
    uint8_t key[ZU_CURVE_KEY_SIZE];
    int rc = zu_curve_agree(mechanism, key, state->peer_key, secrets->secret_key);
    if (rc < 0)
        return rc;
    randombytes_buf(vouch->nonce, sizeof vouch->nonce);
    memcpy(vouch->client_key, state->public_key, sizeof vouch->client_key);
    memcpy(vouch->server_key, secrets->server_key, sizeof vouch->server_key);
    zu_curve_box_seal(vouch->mac, sizeof vouch->client_key + sizeof vouch->server_key, ZU_CURVE_VOUCH_PREFIX,
                      vouch->nonce, key);
    explicit_bzero(key, sizeof key);
    return 0;
}

static size_t initiate_say_max(const struct zu_mechanism *mechanism)
{
    return sizeof(struct zu_curve_initiate) + zu_mechanism_properties_size(mechanism->config);
}

static ssize_t initiate_say(struct zu_mechanism *mechanism, uint8_t *data)
{
    const struct zu_curve_state *state = mechanism->state;
    struct zu_curve_initiate *initiate = (struct zu_curve_initiate *)data;
    int rc = vouch_make(mechanism, &initiate->vouch);
    if (rc < 0)
        return rc;
    initiate->cookie = state->cookie;
    memcpy(initiate->client_key, zu_curve_secrets(mechanism)->public_key, sizeof initiate->client_key);
    size_t size = zu_mechanism_properties_encode(mechanism->config, initiate->properties);
    zu_curve_count_say(mechanism, initiate->nonce);
    zu_curve_box_seal(initiate->mac, sizeof initiate->client_key + sizeof initiate->vouch + size,
                      ZU_CURVE_INITIATE_PREFIX, initiate->nonce, state->session.key);
    return (ssize_t)(sizeof *initiate + size);
}

static int ready_hear(struct zu_mechanism *mechanism, const uint8_t *data, size_t size)
{
    struct zu_curve_state *state = mechanism->state;
    const struct zu_curve_ready *ready = (const struct zu_curve_ready *)data;
    if (size < sizeof *ready)
        return zu_mechanism_fail(mechanism, ZU_PROTOCOL_ERROR_MALFORMED_READY);
    size -= sizeof *ready;
    uint8_t *plain = zu_alloc(size + 1); /* never of 0 octets */
    if (!plain)
        return -ENOMEM;
    int rc;
    if (!zu_curve_box_open(plain, ready->mac, size, ZU_CURVE_READY_PREFIX, ready->nonce, state->session.key))
        rc = zu_curve_fail_open(mechanism);
    else if (!zu_curve_count_hear(mechanism, ready->nonce))
        rc = zu_mechanism_fail(mechanism, ZU_PROTOCOL_ERROR_INVALID_SEQUENCE);
    else if ((rc = zu_mechanism_properties_consume(mechanism, plain, size)) == -EPROTO)
        zu_mechanism_fail(mechanism, ZU_PROTOCOL_ERROR_INVALID_METADATA);
    explicit_bzero(plain, size);
    zu_free(plain, size + 1);
    if (rc == 0)
        zu_curve_forget(state);
    return rc;
}

static const struct zu_stage rows[] = {
    {.command = ZU_COMMAND_HELLO, .say_max = hello_say_max, .say = hello_say},
    {.command = ZU_COMMAND_WELCOME, .hear = welcome_hear},
    {.command = ZU_COMMAND_INITIATE, .say_max = initiate_say_max, .say = initiate_say},
    {.command = ZU_COMMAND_READY, .hear = ready_hear},
};
static const struct zu_stages stages = {rows, sizeof rows / sizeof *rows, true};

static int client_init(struct zu_mechanism *mechanism)
{
    return zu_curve_init(mechanism, false);
}

static size_t client_produce_max(const struct zu_mechanism *mechanism)
{
    return zu_stages_produce_max(&stages, mechanism);
}

static ssize_t client_produce(struct zu_mechanism *mechanism, uint8_t *out)
{
    return zu_stages_produce(&stages, mechanism, out);
}

static int client_consume(struct zu_mechanism *mechanism, const uint8_t *body, size_t size)
{
    return zu_stages_consume(&stages, mechanism, body, size);
}

const struct zu_mechanism_ops zu_curve_client_mechanism = {
    .name = "CURVE",
    .init = client_init,
    .fini = zu_curve_fini,
    .produce_max = client_produce_max,
    .produce = client_produce,
    .consume = client_consume,
};
