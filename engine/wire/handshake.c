/* SPDX-License-Identifier: MIT */
#include "wire/handshake.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wire/frame_v1.h"
#include "wire/socket_type.h"

/*
 * Each phase takes what it can of the input and either wants more or moves on; feed runs phases until one wants more.
 * The greeting decides between the mechanism's commands (3.x) and the exchange of identity frames (before); either ends in
 * DONE. Frames gather whole in one bounded buffer before they are read.
 *
 * Failures: a peer too old or not allowed to be old, another mechanism than ours, a frame above the limits, whatever
 * the mechanism objects to, a verdict, want of memory. The first one sticks: phase FAILED repeats it. Only want of memory, a
 * verdict of "not now" and nobody to judge are worth a new connection.
 */

enum phase {
    PHASE_GREETING,
    PHASE_COMMANDS,
    PHASE_IDENTITY,
    PHASE_DONE,
    PHASE_FAILED,
    PHASE_COUNT,
};

/* What a phase says besides a negative errno. */
#define WANTS_MORE 0
#define MOVED_ON 1

static uint8_t *buffer_bytes(struct zu_handshake_buffer *buffer)
{
    return buffer->heap ? buffer->heap : buffer->small;
}

/* Passwords go through these, so they are overwritten as soon as they have been read or sent, and no copy stays behind. */
static void buffer_fini(struct zu_handshake_buffer *buffer)
{
    explicit_bzero(buffer_bytes(buffer), buffer->heap ? buffer->capacity : sizeof(buffer->small));
    free(buffer->heap);
}

static int buffer_reserve_to(struct zu_handshake_buffer *buffer, size_t extra, size_t size_max)
{
    size_t capacity = buffer->heap ? buffer->capacity : sizeof(buffer->small);
    if (extra <= capacity - buffer->size)
        return 0;
    if (extra > size_max - buffer->size)
        return -EMSGSIZE;
    size_t wanted = capacity * 2 > buffer->size + extra ? capacity * 2 : buffer->size + extra;
    if (wanted > size_max)
        wanted = size_max;
    uint8_t *heap = malloc(wanted);
    if (!heap)
        return -ENOMEM;
    memcpy(heap, buffer_bytes(buffer), buffer->size);
    buffer_fini(buffer);
    buffer->heap = heap;
    buffer->capacity = wanted;
    return 0;
}

static void buffer_clear(struct zu_handshake_buffer *buffer)
{
    explicit_bzero(buffer_bytes(buffer), buffer->size);
    buffer->size = 0;
}

static int buffer_reserve(struct zu_handshake_buffer *buffer, size_t extra)
{
    return buffer_reserve_to(buffer, extra, ZU_HANDSHAKE_BUFFER_MAX);
}

static bool is_v1(const struct zu_handshake *hs)
{
    return hs->greeting.version <= ZU_WIRE_1_0;
}

static size_t head_wanted(const struct zu_handshake *hs, const uint8_t *at)
{
    if (hs->in.size == 0)
        return ZU_FRAME_HEAD_SHORT; /* in 1.0 too */
    if (is_v1(hs))
        return at[0] == ZU_FRAME_V1_LONG ? ZU_FRAME_V1_HEAD_MAX : ZU_FRAME_V1_HEAD_SHORT;
    return at[0] & ZU_FRAME_LONG ? ZU_FRAME_HEAD_MAX : ZU_FRAME_HEAD_SHORT;
}

/* MOVED_ON once a whole frame is in `in`. */
static int frame_gather(struct zu_handshake *hs, const uint8_t *in, size_t size, size_t *used,
                        struct zu_frame_head *ret_head)
{
    uint64_t size_max = ZU_HANDSHAKE_COMMAND_MAX;
    if (hs->config.message_size_max >= 0 && (uint64_t)hs->config.message_size_max < size_max)
        size_max = (uint64_t)hs->config.message_size_max;
    for (;;) {
        const uint8_t *at = buffer_bytes(&hs->in);
        size_t wanted = head_wanted(hs, at);
        int rc = is_v1(hs) ? zu_frame_v1_decode(at, hs->in.size, ret_head) : zu_frame_decode(at, hs->in.size, ret_head);
        if (rc < 0)
            return rc;
        if (rc == 1) {
            if (ret_head->size > size_max)
                return -EMSGSIZE;
            /* Strangers who do not speak ZMTP seem to speak 1.0. Those who do keep reserved flags 0. */
            if (is_v1(hs) && (at[ret_head->head_size - 1] & ~ZU_FRAME_MORE))
                return -EPROTO;
            wanted = ret_head->head_size + (size_t)ret_head->size;
            if (hs->in.size == wanted)
                return MOVED_ON;
        }
        size_t take = wanted - hs->in.size;
        if (take > size - *used)
            take = size - *used;
        if (take == 0)
            return WANTS_MORE;
        rc = buffer_reserve(&hs->in, take);
        if (rc < 0)
            return rc;
        memcpy(buffer_bytes(&hs->in) + hs->in.size, in + *used, take);
        hs->in.size += take;
        *used += take;
    }
}

/* Puts every command that the mechanism has to say into `out`. */
static int commands_produce(struct zu_handshake *hs)
{
    struct zu_mechanism *mechanism = &hs->mechanism;
    size_t body_max;
    while ((body_max = mechanism->ops->produce_max(mechanism)) != 0) {
        if (body_max > ZU_HANDSHAKE_COMMAND_MAX)
            return -EMSGSIZE;
        int rc = buffer_reserve(&hs->out, ZU_FRAME_HEAD_MAX + body_max);
        if (rc < 0)
            return rc;
        /* The head's length depends on the body's, so the body is written where the longest head would end. */
        uint8_t *at = buffer_bytes(&hs->out) + hs->out.size;
        ssize_t body_size = mechanism->ops->produce(mechanism, at + ZU_FRAME_HEAD_MAX);
        if (body_size < 0)
            return (int)body_size;
        size_t head_size = zu_frame_encode(at, ZU_FRAME_COMMAND, (uint64_t)body_size);
        memmove(at + head_size, at + ZU_FRAME_HEAD_MAX, (size_t)body_size);
        explicit_bzero(at + head_size + body_size, ZU_FRAME_HEAD_MAX - head_size);
        hs->out.size += head_size + (size_t)body_size;
    }
    return 0;
}

static int commands_begin(struct zu_handshake *hs)
{
    uint8_t name[ZU_GREETING_MECHANISM_SIZE];
    memcpy(name, hs->config.mechanism->name, sizeof(name));
    if (memcmp(name, zu_greeting_peer_mechanism(&hs->greeting), sizeof(name)) != 0) {
        hs->failure.protocol_error = ZU_PROTOCOL_ERROR_MECHANISM_MISMATCH;
        return -EPROTO;
    }
    int rc = zu_mechanism_init(&hs->mechanism, &hs->config);
    if (rc < 0)
        return rc;
    hs->phase = PHASE_COMMANDS;
    return MOVED_ON;
}

static int identity_begin(struct zu_handshake *hs)
{
    if (hs->config.waits || !hs->config.mechanism->old_peers_served)
        return -EPROTONOSUPPORT;
    int rc = buffer_reserve(&hs->out, ZU_FRAME_V1_HEAD_MAX + hs->config.routing_id_size);
    if (rc < 0)
        return rc;
    uint8_t *out = buffer_bytes(&hs->out);
    size_t head_size = 0; /* an unversioned peer has had the head: our greeting's first octets */
    if (hs->greeting.version == ZU_WIRE_1_0)
        head_size = zu_frame_v1_encode(out, 0, hs->config.routing_id_size);
    else if (hs->greeting.version == ZU_WIRE_2_0)
        head_size = zu_frame_encode(out, 0, hs->config.routing_id_size);
    if (hs->config.routing_id_size != 0)
        memcpy(out + head_size, hs->config.routing_id, hs->config.routing_id_size);
    hs->out.size = head_size + hs->config.routing_id_size;
    if (hs->greeting.version == ZU_WIRE_UNVERSIONED) {
        memcpy(hs->in.small, hs->greeting.in, hs->greeting.in_size);
        hs->in.size = hs->greeting.in_size;
    }
    hs->phase = PHASE_IDENTITY;
    return MOVED_ON;
}

static int phase_greeting(struct zu_handshake *hs, const uint8_t *in, size_t size, size_t *used)
{
    /* The first phase: nothing of the input is used yet. */
    int rc = zu_greeting_feed(&hs->greeting, in, size, used);
    if (rc <= 0)
        return rc;
    return hs->greeting.version >= ZU_WIRE_3_0 ? commands_begin(hs) : identity_begin(hs);
}

static int phase_commands(struct zu_handshake *hs, const uint8_t *in, size_t size, size_t *used)
{
    int rc = commands_produce(hs);
    if (rc < 0)
        return rc;
    if (hs->mechanism.status == ZU_MECHANISM_READY) {
        hs->phase = PHASE_DONE;
        return MOVED_ON;
    }
    if (hs->mechanism.status == ZU_MECHANISM_FAILED)
        return -EPROTO;
    if (hs->mechanism.status == ZU_MECHANISM_WAITING)
        return WANTS_MORE;
    struct zu_frame_head head;
    rc = frame_gather(hs, in, size, used, &head);
    if (rc != MOVED_ON)
        return rc;
    rc = hs->mechanism.ops->consume(&hs->mechanism, buffer_bytes(&hs->in) + head.head_size, (size_t)head.size);
    buffer_clear(&hs->in);
    if (rc < 0) {
        /* The peer's fault stands, whatever becomes of an ERROR that the mechanism may want to send. */
        if (hs->mechanism.status == ZU_MECHANISM_FAILED)
            (void)commands_produce(hs);
        return rc;
    }
    return MOVED_ON;
}

static int phase_identity(struct zu_handshake *hs, const uint8_t *in, size_t size, size_t *used)
{
    struct zu_frame_head head;
    int rc = frame_gather(hs, in, size, used, &head);
    if (rc == MOVED_ON) {
        hs->identity_at = head.head_size;
        hs->phase = PHASE_DONE;
    }
    return rc;
}

static int phase_failed(struct zu_handshake *hs, const uint8_t *in, size_t size, size_t *used)
{
    (void)in, (void)size, (void)used;
    return hs->failure.error;
}

static int (*const phases[PHASE_COUNT])(struct zu_handshake *, const uint8_t *, size_t, size_t *) = {
    [PHASE_GREETING] = phase_greeting,
    [PHASE_COMMANDS] = phase_commands,
    [PHASE_IDENTITY] = phase_identity,
    [PHASE_FAILED] = phase_failed,
};

static void handshake_fail(struct zu_handshake *hs, int error)
{
    /* A mechanism's details are richer than those of the phases, and only one of the two has any. */
    if (hs->mechanism.ops)
        hs->failure = hs->mechanism.failure;
    hs->failure.error = error;
    hs->failure.retry = error == -ENOMEM || error == -EACCES || error == -EFAULT;
    hs->phase = PHASE_FAILED;
}

void zu_handshake_init(struct zu_handshake *hs, const struct zu_handshake_config *config)
{
    assert(zu_socket_type_name(config->socket_type) && config->mechanism);
    memset(hs, 0, sizeof(*hs));
    hs->config = *config;
    if (config->raw) {
        hs->greeting.version = ZU_WIRE_RAW;
        hs->greeting.peer_socket_type = ZU_SOCKET_TYPE_UNKNOWN;
        hs->phase = PHASE_DONE;
        return;
    }
    zu_greeting_init(&hs->greeting, config->socket_type, config->routing_id_size, config->mechanism->name);
}

void zu_handshake_fini(struct zu_handshake *hs)
{
    zu_mechanism_fini(&hs->mechanism);
    buffer_fini(&hs->in);
    buffer_fini(&hs->out);
    explicit_bzero(hs, sizeof(*hs));
}

int zu_handshake_feed(struct zu_handshake *hs, const uint8_t *in, size_t size, size_t *ret_used)
{
    size_t used = 0;
    int rc = MOVED_ON;
    while (rc == MOVED_ON && hs->phase != PHASE_DONE)
        rc = phases[hs->phase](hs, in, size, &used);
    *ret_used = used;
    if (rc < 0 && hs->phase != PHASE_FAILED)
        handshake_fail(hs, rc);
    return rc;
}

bool zu_handshake_waits(const struct zu_handshake *hs, struct zu_credentials *ret_credentials)
{
    if (hs->phase != PHASE_COMMANDS || hs->mechanism.status != ZU_MECHANISM_WAITING)
        return false;
    hs->mechanism.ops->credentials(&hs->mechanism, ret_credentials);
    return true;
}

/* What is known of the peer goes before what it says of itself, whichever came first. */
static int verdict_properties(struct zu_mechanism *mechanism, const struct zu_verdict *verdict)
{
    struct zu_metadata known;
    int rc = zu_metadata_init(&known, verdict->properties, verdict->properties_size);
    if (rc < 0)
        return rc;
    rc = zu_metadata_join(&known, &mechanism->metadata);
    if (rc < 0) {
        zu_metadata_fini(&known);
        return rc;
    }
    mechanism->metadata = known;
    return 0;
}

void zu_handshake_judge(struct zu_handshake *hs, const struct zu_verdict *verdict)
{
    struct zu_mechanism *mechanism = &hs->mechanism;
    assert(hs->phase == PHASE_COMMANDS && mechanism->status == ZU_MECHANISM_WAITING);
    unsigned status = verdict->status;
    int rc = verdict->error;
    if (rc < 0) {
        mechanism->failure.protocol_error = verdict->protocol_error;
    } else if (status == ZU_VERDICT_LATER) {
        mechanism->failure.auth_status = status;
        rc = -EACCES;
    } else {
        if (status == ZU_VERDICT_IN)
            rc = verdict_properties(mechanism, verdict);
        else if (status != ZU_VERDICT_FAULT)
            status = ZU_VERDICT_DENIED;
        if (rc == 0)
            rc = mechanism->ops->judged(mechanism, status);
    }
    if (rc < 0) {
        mechanism->status = ZU_MECHANISM_FAILED;
        handshake_fail(hs, rc);
    }
}

size_t zu_handshake_output(const struct zu_handshake *hs, const uint8_t **ret_bytes)
{
    size_t size = zu_greeting_output(&hs->greeting, ret_bytes);
    if (size != 0)
        return size;
    *ret_bytes = (hs->out.heap ? hs->out.heap : hs->out.small) + hs->out_sent;
    return hs->out.size - hs->out_sent;
}

int zu_handshake_append(struct zu_handshake *hs, const void *message, size_t size)
{
    int rc = buffer_reserve_to(&hs->out, ZU_FRAME_HEAD_MAX + size, SIZE_MAX);
    if (rc < 0)
        return rc;
    uint8_t *at = buffer_bytes(&hs->out) + hs->out.size;
    size_t head_size = zu_frame_encode(at, 0, size);
    memcpy(at + head_size, message, size);
    hs->out.size += head_size + size;
    return 0;
}

void zu_handshake_sent(struct zu_handshake *hs, size_t n)
{
    const uint8_t *greeting;
    if (zu_greeting_output(&hs->greeting, &greeting) != 0) {
        zu_greeting_sent(&hs->greeting, n);
        return;
    }
    assert(n <= hs->out.size - hs->out_sent);
    hs->out_sent += n;
    if (hs->out_sent == hs->out.size) {
        buffer_clear(&hs->out);
        hs->out_sent = 0;
    }
}

enum zu_wire_version zu_handshake_version(const struct zu_handshake *hs)
{
    return (enum zu_wire_version)hs->greeting.version;
}

unsigned zu_handshake_peer_type(const struct zu_handshake *hs)
{
    return hs->mechanism.ops ? hs->mechanism.peer_socket_type : hs->greeting.peer_socket_type;
}

const uint8_t *zu_handshake_identity(const struct zu_handshake *hs, size_t *ret_size)
{
    const uint8_t *identity = NULL;
    size_t size = 0;
    if (hs->identity_at != 0) {
        identity = (hs->in.heap ? hs->in.heap : hs->in.small) + hs->identity_at;
        size = hs->in.size - hs->identity_at;
    } else {
        identity = zu_metadata_get(&hs->mechanism.metadata, "Identity", &size);
    }
    *ret_size = size;
    return size != 0 ? identity : NULL;
}

void zu_handshake_metadata_take(struct zu_handshake *hs, struct zu_metadata *ret_metadata)
{
    *ret_metadata = hs->mechanism.metadata;
    hs->mechanism.metadata = (struct zu_metadata){0};
}
