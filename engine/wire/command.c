/* SPDX-License-Identifier: MIT */
#include "wire/command.h"

#include <errno.h>
#include <string.h>

/*
 * A body is split into name and data, the name is looked up in the table, and the row's bounds are laid on the data.
 * It fails with -EPROTO, and writes nothing, when the name is empty or runs past the body, or the data is outside the
 * bounds. An unknown name is no failure: the receiver decides whether it may be ignored.
 */

struct command_row {
    char name[ZU_COMMAND_HEAD_MAX]; /* as on the wire */
    uint8_t name_size;              /* octets of `name` */
    size_t data_min;                /* fewer octets of data are malformed */
    size_t data_max;                /* so are more */
};

#define ROW(text, min, max)                                                                                            \
    {                                                                                                                  \
        text, sizeof(text) - 1, min, max                                                                               \
    }

/* HELLO to MESSAGE, READY and ERROR differ by mechanism, so the mechanism checks what is in them. */
static const struct command_row command_rows[ZU_COMMAND_COUNT] = {
    [ZU_COMMAND_READY] = ROW("READY", 0, SIZE_MAX),
    [ZU_COMMAND_ERROR] = ROW("ERROR", 0, SIZE_MAX),
    [ZU_COMMAND_SUBSCRIBE] = ROW("SUBSCRIBE", 0, SIZE_MAX),
    [ZU_COMMAND_CANCEL] = ROW("CANCEL", 0, SIZE_MAX),
    [ZU_COMMAND_JOIN] = ROW("JOIN", 0, 255),
    [ZU_COMMAND_LEAVE] = ROW("LEAVE", 0, 255),
    [ZU_COMMAND_PING] = ROW("PING", 2, SIZE_MAX),
    [ZU_COMMAND_PONG] = ROW("PONG", 0, SIZE_MAX),
    [ZU_COMMAND_HELLO] = ROW("HELLO", 0, SIZE_MAX),
    [ZU_COMMAND_WELCOME] = ROW("WELCOME", 0, SIZE_MAX),
    [ZU_COMMAND_INITIATE] = ROW("INITIATE", 0, SIZE_MAX),
    [ZU_COMMAND_MESSAGE] = ROW("MESSAGE", 0, SIZE_MAX),
};

static enum zu_command_id command_find(const uint8_t *name, size_t size)
{
    for (unsigned id = ZU_COMMAND_UNKNOWN + 1; id < ZU_COMMAND_COUNT; id++)
        if (command_rows[id].name_size == size && memcmp(command_rows[id].name, name, size) == 0)
            return (enum zu_command_id)id;
    return ZU_COMMAND_UNKNOWN;
}

int zu_command_decode(const uint8_t *body, size_t size, struct zu_command *ret_command)
{
    if (size == 0 || body[0] == 0 || body[0] > size - 1)
        return -EPROTO;
    struct zu_command command = {.name = body + 1, .name_size = body[0]};
    command.data = command.name + command.name_size;
    command.size = size - 1 - command.name_size;
    command.id = command_find(command.name, command.name_size);
    const struct command_row *row = &command_rows[command.id];
    if (command.id != ZU_COMMAND_UNKNOWN && (command.size < row->data_min || command.size > row->data_max))
        return -EPROTO;
    *ret_command = command;
    return 0;
}

size_t zu_command_head_size(enum zu_command_id id)
{
    return 1 + (size_t)command_rows[id].name_size;
}

size_t zu_command_head_encode(uint8_t *out, enum zu_command_id id)
{
    const struct command_row *row = &command_rows[id];
    out[0] = row->name_size;
    memcpy(out + 1, row->name, row->name_size);
    return 1 + (size_t)row->name_size;
}

void zu_ping_decode(const struct zu_command *command, struct zu_ping *ret_ping)
{
    size_t context_size = command->size - 2;
    *ret_ping = (struct zu_ping){
        .ttl_ds = (uint16_t)(command->data[0] << 8 | command->data[1]),
        .context_size = (uint8_t)(context_size < ZU_PING_CONTEXT_MAX ? context_size : ZU_PING_CONTEXT_MAX),
        .context = command->data + 2,
    };
}

int zu_error_decode(const struct zu_command *command, const uint8_t **ret_reason, size_t *ret_size)
{
    if (command->size == 0 || command->data[0] != command->size - 1)
        return -EPROTO;
    *ret_reason = command->data + 1;
    *ret_size = command->data[0];
    return 0;
}

static size_t append_cut(uint8_t *out, const void *bytes, size_t size, size_t size_max)
{
    size_t kept = size < size_max ? size : size_max;
    if (kept != 0)
        memcpy(out, bytes, kept);
    return kept;
}

size_t zu_ping_encode(uint8_t out[ZU_PING_SIZE_MAX], uint16_t ttl_ds, const void *context, size_t context_size)
{
    size_t at = zu_command_head_encode(out, ZU_COMMAND_PING);
    out[at++] = (uint8_t)(ttl_ds >> 8);
    out[at++] = (uint8_t)ttl_ds;
    return at + append_cut(out + at, context, context_size, ZU_PING_CONTEXT_MAX);
}

size_t zu_pong_encode(uint8_t out[ZU_PONG_SIZE_MAX], const void *context, size_t context_size)
{
    size_t at = zu_command_head_encode(out, ZU_COMMAND_PONG);
    return at + append_cut(out + at, context, context_size, ZU_PING_CONTEXT_MAX);
}

size_t zu_error_encode(uint8_t out[ZU_ERROR_SIZE_MAX], const void *reason, size_t reason_size)
{
    size_t at = zu_command_head_encode(out, ZU_COMMAND_ERROR);
    size_t kept = append_cut(out + at + 1, reason, reason_size, ZU_ERROR_REASON_MAX);
    out[at] = (uint8_t)kept;
    return at + 1 + kept;
}
