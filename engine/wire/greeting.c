/* SPDX-License-Identifier: MIT */
#include "wire/greeting.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

#include "wire/socket_type.h"

/*
 * Octets gather until the current step has what it wants; then the step reads them, says what we send and which step
 * follows. Steps are a table, so pieces of any size take the same path. A peer from before greetings is told by its first
 * octet or by the tenth, and its greeting ends there. Nothing fails: whether an old peer is served is the handshake's to say.
 */

#define SIGNATURE_SIZE 10
#define REVISION_AT 10
#define MINOR_AT 11
#define MECHANISM_AT 12
#define GREETING_OLD_SIZE 12

/* What the revision octet means: below this 1.0. Later majors are spoken to as 3.x, as libzmq does. */
#define REVISION_2_0 1
#define REVISION_3_X 3

static void greeting_put(struct zu_greeting *greeting, const void *bytes, size_t size)
{
    assert(greeting->out_size + size <= sizeof(greeting->out));
    memcpy(greeting->out + greeting->out_size, bytes, size);
    greeting->out_size = (uint8_t)(greeting->out_size + size);
}

static void step_first(struct zu_greeting *greeting)
{
    if (greeting->in[0] == 0xff)
        greeting->want = SIGNATURE_SIZE;
    else
        greeting->version = ZU_WIRE_UNVERSIONED;
}

static void step_signature(struct zu_greeting *greeting)
{
    if (!(greeting->in[SIGNATURE_SIZE - 1] & 1)) {
        greeting->version = ZU_WIRE_UNVERSIONED;
        return;
    }
    greeting_put(greeting, &(uint8_t){REVISION_3_X}, 1);
    greeting->want = REVISION_AT + 1;
}

static void step_revision(struct zu_greeting *greeting)
{
    uint8_t revision = greeting->in[REVISION_AT];
    if (revision <= REVISION_2_0) {
        greeting_put(greeting, &greeting->socket_type, 1);
        greeting->want = GREETING_OLD_SIZE;
        return;
    }
    /* As-server stays 0, as libzmq has it: the mechanism's commands say who is the server. */
    static const uint8_t zeros[ZU_GREETING_SIZE - MECHANISM_AT - ZU_GREETING_MECHANISM_SIZE];
    greeting_put(greeting, &(uint8_t){1}, 1);
    greeting_put(greeting, greeting->mechanism, sizeof(greeting->mechanism));
    greeting_put(greeting, zeros, sizeof(zeros));
    greeting->want = ZU_GREETING_SIZE;
}

static void step_rest(struct zu_greeting *greeting)
{
    uint8_t revision = greeting->in[REVISION_AT];
    uint8_t minor = greeting->in[MINOR_AT];
    if (revision <= REVISION_2_0) {
        greeting->version = revision == REVISION_2_0 ? ZU_WIRE_2_0 : ZU_WIRE_1_0;
        greeting->peer_socket_type = minor < ZU_SOCKET_TYPE_COUNT ? minor : ZU_SOCKET_TYPE_UNKNOWN;
    } else {
        greeting->version = revision == REVISION_3_X && minor == 0 ? ZU_WIRE_3_0 : ZU_WIRE_3_1;
    }
}

static void (*const steps[])(struct zu_greeting *) = {step_first, step_signature, step_revision, step_rest};

void zu_greeting_init(struct zu_greeting *greeting, unsigned socket_type, size_t routing_id_size, const char *mechanism)
{
    *greeting = (struct zu_greeting){
        .socket_type = (uint8_t)socket_type,
        .want = 1,
        .peer_socket_type = ZU_SOCKET_TYPE_UNKNOWN,
    };
    memcpy(greeting->mechanism, mechanism, strnlen(mechanism, sizeof(greeting->mechanism)));
    /* To a 1.0 peer this reads as the long-form head of an identity frame. */
    uint64_t frame_size = htobe64((uint64_t)routing_id_size + 1);
    greeting_put(greeting, &(uint8_t){0xff}, 1);
    greeting_put(greeting, &frame_size, sizeof(frame_size));
    greeting_put(greeting, &(uint8_t){0x7f}, 1);
}

int zu_greeting_feed(struct zu_greeting *greeting, const uint8_t *in, size_t size, size_t *ret_used)
{
    size_t used = 0;
    while (used < size && !greeting->version) {
        size_t missing = (size_t)(greeting->want - greeting->in_size);
        size_t take = missing < size - used ? missing : size - used;
        memcpy(greeting->in + greeting->in_size, in + used, take);
        greeting->in_size = (uint8_t)(greeting->in_size + take);
        used += take;
        if (take == missing)
            steps[greeting->step++](greeting);
    }
    *ret_used = used;
    return greeting->version != ZU_WIRE_UNKNOWN;
}

size_t zu_greeting_output(const struct zu_greeting *greeting, const uint8_t **ret_bytes)
{
    *ret_bytes = greeting->out + greeting->out_sent;
    return (size_t)(greeting->out_size - greeting->out_sent);
}

void zu_greeting_sent(struct zu_greeting *greeting, size_t n)
{
    assert(n <= (size_t)(greeting->out_size - greeting->out_sent));
    greeting->out_sent = (uint8_t)(greeting->out_sent + n);
}

const uint8_t *zu_greeting_peer_mechanism(const struct zu_greeting *greeting)
{
    return greeting->in + MECHANISM_AT;
}
