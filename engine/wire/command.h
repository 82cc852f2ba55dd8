/* SPDX-License-Identifier: MIT */
/* Bodies of ZMTP command frames: name-length, name, data. The frame header around them is wire/frame.h's. */
#ifndef ZU_WIRE_COMMAND_H
#define ZU_WIRE_COMMAND_H

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

enum zu_command_id {
    ZU_COMMAND_UNKNOWN,
    ZU_COMMAND_READY,
    ZU_COMMAND_ERROR,
    ZU_COMMAND_SUBSCRIBE,
    ZU_COMMAND_CANCEL,
    ZU_COMMAND_JOIN,
    ZU_COMMAND_LEAVE,
    ZU_COMMAND_PING,
    ZU_COMMAND_PONG,
    ZU_COMMAND_HELLO,
    ZU_COMMAND_WELCOME,
    ZU_COMMAND_INITIATE,
    ZU_COMMAND_MESSAGE,
    ZU_COMMAND_COUNT,
};

/* Length octet and longest known name: what zu_command_head_encode may write. */
#define ZU_COMMAND_HEAD_MAX 10
#define ZU_PING_CONTEXT_MAX 16
#define ZU_PING_SIZE_MAX (1 + 4 + 2 + ZU_PING_CONTEXT_MAX)
#define ZU_PONG_SIZE_MAX (1 + 4 + ZU_PING_CONTEXT_MAX)
#define ZU_ERROR_REASON_MAX 255
#define ZU_ERROR_SIZE_MAX (1 + 5 + 1 + ZU_ERROR_REASON_MAX)

struct zu_command {
    enum zu_command_id id; /* UNKNOWN for a well-formed command of another name */
    uint8_t name_size;     /* octets at `name` */
    const uint8_t *name;   /* in the decoded body, not terminated */
    const uint8_t *data;   /* in the decoded body, behind the name */
    size_t size;           /* octets at `data` */
};

/* 0, or -EPROTO when the lengths do not fit the body or the command. The spans point into `body`. */
int zu_command_decode(const uint8_t *body, size_t size, struct zu_command *ret_command);

/* Writes the length octet and name of a known command; its data follows. Says how many octets it wrote. */
size_t zu_command_head_encode(uint8_t *out, enum zu_command_id id);
size_t zu_command_head_size(enum zu_command_id id);

struct zu_ping {
    uint16_t ttl_ds;        /* time to live in tenths of a second; 0 asks for none */
    uint8_t context_size;   /* 0..16; a longer context is cut, as libzmq does */
    const uint8_t *context; /* to be echoed in the PONG */
};

/* The command must have decoded as PING. */
void zu_ping_decode(const struct zu_command *command, struct zu_ping *ret_ping);
/* -EPROTO unless the reason's length fits the data exactly. The command must have decoded as ERROR. */
int zu_error_decode(const struct zu_command *command, const uint8_t **ret_reason, size_t *ret_size);

/* Whole bodies; contexts and reasons that are too long are cut. They return the octets written. */
size_t zu_ping_encode(uint8_t out[ZU_PING_SIZE_MAX], uint16_t ttl_ds, const void *context, size_t context_size);
size_t zu_pong_encode(uint8_t out[ZU_PONG_SIZE_MAX], const void *context, size_t context_size);
size_t zu_error_encode(uint8_t out[ZU_ERROR_SIZE_MAX], const void *reason, size_t reason_size);

#endif
