/* SPDX-License-Identifier: MIT */
#include "wire/plain.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "mem/alloc.h"
#include "wire/stage.h"

/*
 * The client says HELLO with its name and password; the server holds them until somebody has judged, then overwrites
 * them and says WELCOME; INITIATE and READY exchange properties. A server never goes on without a verdict, `waits` or
 * not. It fails on lengths that do not add up exactly, on commands out of their order, on bad properties; a peer that is
 * not let in is told so by an ERROR, as RFC 24 has it.
 */

#define FIELD_MAX 255

/* A server's, while the verdict is awaited; all octets are overwritten after it. */
struct plain_shown {
    uint8_t sizes[2];             /* of the name and the password */
    uint8_t fields[2][FIELD_MAX]; /* these */
};

static const struct zu_bytes *field_of(const struct zu_mechanism *mechanism, unsigned i)
{
    static const struct zu_bytes none;
    const struct zu_secrets *secrets = mechanism->config->secrets;
    const struct zu_bytes *field = !secrets ? &none : i == 0 ? &secrets->username : &secrets->password;
    assert(field->size <= FIELD_MAX);
    return field;
}

static size_t hello_say_max(const struct zu_mechanism *mechanism)
{
    return 2 + field_of(mechanism, 0)->size + field_of(mechanism, 1)->size;
}

static ssize_t hello_say(struct zu_mechanism *mechanism, uint8_t *data)
{
    uint8_t *at = data;
    for (unsigned i = 0; i < 2; i++) {
        const struct zu_bytes *field = field_of(mechanism, i);
        *at++ = (uint8_t)field->size;
        if (field->size != 0)
            memcpy(at, field->data, field->size);
        at += field->size;
    }
    return at - data;
}

static int hello_hear(struct zu_mechanism *mechanism, const uint8_t *data, size_t size)
{
    const uint8_t *end = data + size;
    const uint8_t *fields[2];
    for (unsigned i = 0; i < 2; i++) {
        fields[i] = data + 1;
        if (data == end || *data > end - fields[i])
            return zu_mechanism_fail(mechanism, ZU_PROTOCOL_ERROR_MALFORMED_HELLO);
        data = fields[i] + *data;
    }
    if (data != end)
        return zu_mechanism_fail(mechanism, ZU_PROTOCOL_ERROR_MALFORMED_HELLO);
    struct plain_shown *shown = mechanism->state;
    for (unsigned i = 0; i < 2; i++) {
        shown->sizes[i] = fields[i][-1];
        memcpy(shown->fields[i], fields[i], shown->sizes[i]);
    }
    mechanism->status = ZU_MECHANISM_WAITING;
    return 0;
}

static size_t welcome_say_max(const struct zu_mechanism *mechanism)
{
    (void)mechanism;
    return 0;
}

static ssize_t welcome_say(struct zu_mechanism *mechanism, uint8_t *data)
{
    (void)mechanism, (void)data;
    return 0;
}

static int welcome_hear(struct zu_mechanism *mechanism, const uint8_t *data, size_t size)
{
    (void)data;
    return size == 0 ? 0 : zu_mechanism_fail(mechanism, ZU_PROTOCOL_ERROR_MALFORMED_WELCOME);
}

static size_t properties_say_max(const struct zu_mechanism *mechanism)
{
    return zu_mechanism_properties_size(mechanism->config);
}

static ssize_t properties_say(struct zu_mechanism *mechanism, uint8_t *data)
{
    return (ssize_t)zu_mechanism_properties_encode(mechanism->config, data);
}

static int ready_hear(struct zu_mechanism *mechanism, const uint8_t *data, size_t size)
{
    int rc = zu_mechanism_properties_consume(mechanism, data, size);
    return rc == -EPROTO ? zu_mechanism_fail(mechanism, ZU_PROTOCOL_ERROR_INVALID_METADATA) : rc;
}

static const struct zu_stage client_rows[] = {
    {.command = ZU_COMMAND_HELLO, .say_max = hello_say_max, .say = hello_say},
    {.command = ZU_COMMAND_WELCOME, .hear = welcome_hear},
    {.command = ZU_COMMAND_INITIATE, .say_max = properties_say_max, .say = properties_say},
    {.command = ZU_COMMAND_READY, .hear = ready_hear},
};
static const struct zu_stages client = {client_rows, sizeof client_rows / sizeof *client_rows, true};

static const struct zu_stage server_rows[] = {
    {.command = ZU_COMMAND_HELLO, .hear = hello_hear},
    {.command = ZU_COMMAND_WELCOME, .say_max = welcome_say_max, .say = welcome_say},
    {.command = ZU_COMMAND_INITIATE, .hear = zu_mechanism_properties_consume},
    {.command = ZU_COMMAND_READY, .say_max = properties_say_max, .say = properties_say},
};
static const struct zu_stages server = {server_rows, sizeof server_rows / sizeof *server_rows, false};

static int client_init(struct zu_mechanism *mechanism)
{
    (void)mechanism;
    return 0;
}

static size_t client_produce_max(const struct zu_mechanism *mechanism)
{
    return zu_stages_produce_max(&client, mechanism);
}

static ssize_t client_produce(struct zu_mechanism *mechanism, uint8_t *out)
{
    return zu_stages_produce(&client, mechanism, out);
}

/* libzmq 4.3 writes an ERROR of PLAIN so, and understands no other: its source says "\x05ERROR", which C reads as \x5e. */
static const char odd_error[] = "^RROR";

static int client_consume(struct zu_mechanism *mechanism, const uint8_t *body, size_t size)
{
    size_t odd_size = sizeof odd_error - 1;
    if (size >= odd_size && memcmp(body, odd_error, odd_size) == 0) {
        struct zu_command error = {.id = ZU_COMMAND_ERROR, .data = body + odd_size, .size = size - odd_size};
        return zu_mechanism_error_consume(mechanism, &error);
    }
    return zu_stages_consume(&client, mechanism, body, size);
}

static int server_init(struct zu_mechanism *mechanism)
{
    mechanism->state = zu_alloc_zero(sizeof(struct plain_shown));
    return mechanism->state ? 0 : -ENOMEM;
}

static void server_fini(struct zu_mechanism *mechanism)
{
    if (!mechanism->state)
        return;
    explicit_bzero(mechanism->state, sizeof(struct plain_shown));
    zu_free(mechanism->state, sizeof(struct plain_shown));
    mechanism->state = NULL;
}

static size_t server_produce_max(const struct zu_mechanism *mechanism)
{
    return zu_stages_produce_max(&server, mechanism);
}

static ssize_t server_produce(struct zu_mechanism *mechanism, uint8_t *out)
{
    return zu_stages_produce(&server, mechanism, out);
}

static int server_consume(struct zu_mechanism *mechanism, const uint8_t *body, size_t size)
{
    return zu_stages_consume(&server, mechanism, body, size);
}

static void server_credentials(const struct zu_mechanism *mechanism, struct zu_credentials *ret_credentials)
{
    const struct plain_shown *shown = mechanism->state;
    *ret_credentials = (struct zu_credentials){.mechanism = mechanism->ops->name, .count = 2};
    for (unsigned i = 0; i < 2; i++) {
        ret_credentials->items[i].data = shown->sizes[i] != 0 ? shown->fields[i] : NULL;
        ret_credentials->items[i].size = shown->sizes[i];
    }
}

static int server_judged(struct zu_mechanism *mechanism, unsigned status)
{
    explicit_bzero(mechanism->state, sizeof(struct plain_shown));
    return zu_mechanism_judged(mechanism, status);
}

const struct zu_mechanism_ops zu_plain_client_mechanism = {
    .name = "PLAIN",
    .init = client_init,
    .produce_max = client_produce_max,
    .produce = client_produce,
    .consume = client_consume,
};

const struct zu_mechanism_ops zu_plain_server_mechanism = {
    .name = "PLAIN",
    .init = server_init,
    .fini = server_fini,
    .produce_max = server_produce_max,
    .produce = server_produce,
    .consume = server_consume,
    .credentials = server_credentials,
    .judged = server_judged,
};
