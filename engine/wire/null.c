/* SPDX-License-Identifier: MIT */
#include "wire/null.h"

#include "wire/socket_type.h"

/*
 * Each side sends READY with its properties at once and is done when the other's has come too; the order does not
 * matter. One that `waits` does neither before the verdict: were it to hear first, two of them would wait for each other.
 * It fails on an ERROR from the peer, on any other command, on a second READY, on properties that are malformed or name a
 * socket type that ours does not talk to, and by a verdict, with an ERROR in READY's place.
 */

#define STAGE_SENT 1u
#define STAGE_RECEIVED 2u

static int null_init(struct zu_mechanism *mechanism)
{
    mechanism->stage = 0;
    if (mechanism->config->waits)
        mechanism->status = ZU_MECHANISM_WAITING;
    return 0;
}

static void null_advance(struct zu_mechanism *mechanism, unsigned stage)
{
    mechanism->stage |= stage;
    if (mechanism->stage == (STAGE_SENT | STAGE_RECEIVED))
        mechanism->status = ZU_MECHANISM_READY;
}

static size_t null_produce_max(const struct zu_mechanism *mechanism)
{
    if (mechanism->stage & STAGE_SENT || mechanism->status != ZU_MECHANISM_HANDSHAKING)
        return zu_mechanism_refusal_size(mechanism);
    return zu_command_head_size(ZU_COMMAND_READY) + zu_mechanism_properties_size(mechanism->config);
}

static ssize_t null_produce(struct zu_mechanism *mechanism, uint8_t *out)
{
    if (mechanism->refuses)
        return zu_mechanism_refusal_produce(mechanism, out);
    size_t at = zu_command_head_encode(out, ZU_COMMAND_READY);
    at += zu_mechanism_properties_encode(mechanism->config, out + at);
    null_advance(mechanism, STAGE_SENT);
    return (ssize_t)at;
}

static int null_consume(struct zu_mechanism *mechanism, const uint8_t *body, size_t size)
{
    struct zu_command command;
    if (zu_command_decode(body, size, &command) < 0 || mechanism->stage & STAGE_RECEIVED)
        return zu_mechanism_fail(mechanism, ZU_PROTOCOL_ERROR_UNEXPECTED_COMMAND);
    if (command.id == ZU_COMMAND_ERROR)
        return zu_mechanism_error_consume(mechanism, &command);
    if (command.id != ZU_COMMAND_READY)
        return zu_mechanism_fail(mechanism, ZU_PROTOCOL_ERROR_UNEXPECTED_COMMAND);
    int rc = zu_mechanism_properties_consume(mechanism, command.data, command.size);
    if (rc == 0)
        null_advance(mechanism, STAGE_RECEIVED);
    return rc;
}

static void null_credentials(const struct zu_mechanism *mechanism, struct zu_credentials *ret_credentials)
{
    *ret_credentials = (struct zu_credentials){.mechanism = mechanism->ops->name};
}

const struct zu_mechanism_ops zu_null_mechanism = {
    .name = "NULL",
    .old_peers_served = true,
    .init = null_init,
    .produce_max = null_produce_max,
    .produce = null_produce,
    .consume = null_consume,
    .credentials = null_credentials,
    .judged = zu_mechanism_judged,
};
