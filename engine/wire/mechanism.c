/* SPDX-License-Identifier: MIT */
#include "wire/mechanism.h"

#include <errno.h>
#include <string.h>

#include "wire/socket_type.h"

/*
 * What every mechanism does the same way: write our properties, take the peer's, read its ERROR. A peer at fault makes
 * the mechanism FAILED with -EPROTO; want of memory is passed on and leaves the status alone.
 */

#define SOCKET_TYPE "Socket-Type"
#define IDENTITY "Identity"
#define USER_ID "User-Id"
#define PEER_ADDRESS "Peer-Address"
/* 300, 400, 500 as the reason of an ERROR. */
#define STATUS_SIZE 3

int zu_mechanism_init(struct zu_mechanism *mechanism, const struct zu_handshake_config *config)
{
    *mechanism = (struct zu_mechanism){
        .ops = config->mechanism,
        .config = config,
        .status = ZU_MECHANISM_HANDSHAKING,
        .peer_socket_type = ZU_SOCKET_TYPE_UNKNOWN,
    };
    return mechanism->ops->init(mechanism);
}

void zu_mechanism_fini(struct zu_mechanism *mechanism)
{
    if (mechanism->ops && mechanism->ops->fini)
        mechanism->ops->fini(mechanism);
    zu_metadata_fini(&mechanism->metadata);
    mechanism->ops = NULL;
}

int zu_mechanism_fail(struct zu_mechanism *mechanism, enum zu_protocol_error detail)
{
    mechanism->failure.protocol_error = detail;
    mechanism->status = ZU_MECHANISM_FAILED;
    return -EPROTO;
}

size_t zu_mechanism_properties_size(const struct zu_handshake_config *config)
{
    size_t size = zu_property_size(strlen(SOCKET_TYPE), strlen(zu_socket_type_name(config->socket_type)));
    if (zu_socket_type_sends_identity(config->socket_type))
        size += zu_property_size(strlen(IDENTITY), config->routing_id_size);
    return size + config->properties_size;
}

size_t zu_mechanism_properties_encode(const struct zu_handshake_config *config, uint8_t *out)
{
    const char *name = zu_socket_type_name(config->socket_type);
    size_t at = zu_property_encode(out, SOCKET_TYPE, name, strlen(name));
    if (zu_socket_type_sends_identity(config->socket_type))
        at += zu_property_encode(out + at, IDENTITY, config->routing_id, config->routing_id_size);
    if (config->properties_size != 0)
        memcpy(out + at, config->properties, config->properties_size);
    return at + config->properties_size;
}

int zu_mechanism_properties_consume(struct zu_mechanism *mechanism, const uint8_t *block, size_t size)
{
    struct zu_property property;
    const uint8_t *at = block;
    int rc;
    unsigned peer = ZU_SOCKET_TYPE_UNKNOWN;
    /* Every Socket-Type counts, so that a second one cannot say something else. */
    while ((rc = zu_property_next(&at, block + size, &property)) == 1) {
        if (property.name_size != strlen(SOCKET_TYPE) || memcmp(property.name, SOCKET_TYPE, property.name_size) != 0)
            continue;
        int type = zu_socket_type_find(property.value, property.value_size);
        if (type < 0 || !zu_socket_type_accepts(mechanism->config->socket_type, (unsigned)type))
            return zu_mechanism_fail(mechanism, ZU_PROTOCOL_ERROR_NONE);
        peer = (unsigned)type;
    }
    if (rc < 0)
        return zu_mechanism_fail(mechanism, ZU_PROTOCOL_ERROR_NONE);
    struct zu_metadata metadata;
    rc = zu_metadata_init(&metadata, block, size);
    if (rc < 0)
        return rc;
    zu_metadata_drop(&metadata, USER_ID);
    zu_metadata_drop(&metadata, PEER_ADDRESS);
    rc = zu_metadata_join(&mechanism->metadata, &metadata);
    if (rc < 0) {
        zu_metadata_fini(&metadata);
        return rc;
    }
    mechanism->peer_socket_type = peer;
    return 0;
}

int zu_mechanism_error_consume(struct zu_mechanism *mechanism, const struct zu_command *command)
{
    const uint8_t *reason;
    size_t size;
    if (zu_error_decode(command, &reason, &size) < 0)
        return zu_mechanism_fail(mechanism, ZU_PROTOCOL_ERROR_MALFORMED_ERROR);
    /* Other reasons are prose and raise no event. */
    if (size == STATUS_SIZE && reason[0] >= '3' && reason[0] <= '5' && reason[1] == '0' && reason[2] == '0')
        mechanism->failure.auth_status = (unsigned)(reason[0] - '0') * 100;
    return zu_mechanism_fail(mechanism, ZU_PROTOCOL_ERROR_NONE);
}

int zu_mechanism_judged(struct zu_mechanism *mechanism, unsigned status)
{
    if (status == ZU_VERDICT_IN) {
        mechanism->status = ZU_MECHANISM_HANDSHAKING;
        return 0;
    }
    mechanism->failure.auth_status = status;
    mechanism->status = ZU_MECHANISM_FAILED;
    mechanism->refuses = true;
    return 0;
}

size_t zu_mechanism_refusal_size(const struct zu_mechanism *mechanism)
{
    return mechanism->refuses ? zu_command_head_size(ZU_COMMAND_ERROR) + 1 + STATUS_SIZE : 0;
}

ssize_t zu_mechanism_refusal_produce(struct zu_mechanism *mechanism, uint8_t *out)
{
    mechanism->refuses = false;
    size_t at = zu_command_head_encode(out, ZU_COMMAND_ERROR);
    out[at++] = STATUS_SIZE;
    out[at++] = (uint8_t)('0' + mechanism->failure.auth_status / 100);
    out[at++] = '0';
    out[at++] = '0';
    return (ssize_t)at;
}
