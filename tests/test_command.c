/* SPDX-License-Identifier: MIT */
#include "wire/command.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static int decode(const char *bytes, size_t size, struct zu_command *ret_command)
{
    return zu_command_decode((const uint8_t *)bytes, size, ret_command);
}
#define DECODE(literal, ret) decode(literal, sizeof(literal) - 1, ret)

Test(command, every_known_name_is_found)
{
    static const char *const names[ZU_COMMAND_COUNT] = {
        [ZU_COMMAND_READY] = "READY",     [ZU_COMMAND_ERROR] = "ERROR",       [ZU_COMMAND_SUBSCRIBE] = "SUBSCRIBE",
        [ZU_COMMAND_CANCEL] = "CANCEL",   [ZU_COMMAND_JOIN] = "JOIN",         [ZU_COMMAND_LEAVE] = "LEAVE",
        [ZU_COMMAND_PING] = "PING",       [ZU_COMMAND_PONG] = "PONG",         [ZU_COMMAND_HELLO] = "HELLO",
        [ZU_COMMAND_WELCOME] = "WELCOME", [ZU_COMMAND_INITIATE] = "INITIATE", [ZU_COMMAND_MESSAGE] = "MESSAGE",
    };
    for (int id = ZU_COMMAND_UNKNOWN + 1; id < ZU_COMMAND_COUNT; id++) {
        uint8_t body[ZU_COMMAND_HEAD_MAX + 2];
        size_t size = zu_command_head_encode(body, (enum zu_command_id)id);
        cr_assert_leq(size, ZU_COMMAND_HEAD_MAX);
        cr_assert_eq(size, zu_command_head_size((enum zu_command_id)id));
        cr_assert_eq(size, strlen(names[id]) + 1);
        cr_assert_eq(memcmp(body + 1, names[id], size - 1), 0);
        memcpy(body + size, "ab", 2);
        struct zu_command command;
        cr_assert_eq(zu_command_decode(body, size + 2, &command), 0);
        cr_assert_eq((int)command.id, id);
        cr_assert_eq(command.size, 2u);
        cr_assert_eq(memcmp(command.data, "ab", 2), 0);
    }
}

Test(command, other_names_are_unknown_but_well_formed)
{
    struct zu_command command;
    cr_assert_eq(DECODE("\x05ready", &command), 0);
    cr_assert_eq(command.id, ZU_COMMAND_UNKNOWN);
    cr_assert_eq(DECODE("\x04READ"
                        "Y",
                        &command),
                 0);
    cr_assert_eq(command.id, ZU_COMMAND_UNKNOWN);
    cr_assert_eq(command.size, 1u);
    cr_assert_eq(DECODE("\x06READY!", &command), 0);
    cr_assert_eq(command.id, ZU_COMMAND_UNKNOWN);
}

Test(command, lengths_that_do_not_fit_are_refused)
{
    struct zu_command command = {.name_size = 99};
    cr_assert_eq(DECODE("", &command), -EPROTO);
    cr_assert_eq(DECODE("\0", &command), -EPROTO);
    cr_assert_eq(DECODE("\0ab", &command), -EPROTO);
    cr_assert_eq(DECODE("\x05", &command), -EPROTO);
    cr_assert_eq(DECODE("\x05READ", &command), -EPROTO);
    cr_assert_eq(DECODE("\xffPING", &command), -EPROTO);
    cr_assert_eq(command.name_size, 99, "written to on failure");
}

Test(command, ping_needs_seven_octets)
{
    struct zu_command command;
    cr_assert_eq(DECODE("\x04PING", &command), -EPROTO);
    cr_assert_eq(DECODE("\x04PING\0", &command), -EPROTO);
    cr_assert_eq(DECODE("\x04PING\0\0", &command), 0);
}

Test(command, groups_end_at_255)
{
    uint8_t body[1 + 4 + 256] = "\x04JOIN";
    struct zu_command command;
    cr_assert_eq(zu_command_decode(body, 1 + 4 + 255, &command), 0);
    cr_assert_eq(zu_command_decode(body, 1 + 4 + 256, &command), -EPROTO);
}

Test(command, ping_and_pong)
{
    uint8_t body[ZU_PING_SIZE_MAX];
    size_t size = zu_ping_encode(body, 0x1234, "ctx", 3);
    cr_assert_eq(size, 10u);
    cr_assert_eq(memcmp(body,
                        "\x04PING\x12\x34"
                        "ctx",
                        size),
                 0);
    struct zu_command command;
    struct zu_ping ping;
    cr_assert_eq(zu_command_decode(body, size, &command), 0);
    zu_ping_decode(&command, &ping);
    cr_assert_eq(ping.ttl_ds, 0x1234);
    cr_assert_eq(ping.context_size, 3);
    cr_assert_eq(memcmp(ping.context, "ctx", 3), 0);

    uint8_t pong[ZU_PONG_SIZE_MAX];
    size = zu_pong_encode(pong, ping.context, ping.context_size);
    cr_assert_eq(size, 8u);
    cr_assert_eq(memcmp(pong, "\x04PONGctx", size), 0);
    cr_assert_eq(zu_pong_encode(pong, NULL, 0), 5u);
}

Test(command, a_long_context_is_cut_both_ways)
{
    struct zu_command command;
    struct zu_ping ping;
    cr_assert_eq(DECODE("\x04PING\0\0"
                        "0123456789abcdefgh",
                        &command),
                 0);
    zu_ping_decode(&command, &ping);
    cr_assert_eq(ping.context_size, 16);
    uint8_t pong[ZU_PONG_SIZE_MAX];
    cr_assert_eq(zu_pong_encode(pong, "0123456789abcdefgh", 18), (size_t)ZU_PONG_SIZE_MAX);
    cr_assert_eq(pong[ZU_PONG_SIZE_MAX - 1], 'f');
}

Test(command, error_reason_must_fill_the_body)
{
    uint8_t body[ZU_ERROR_SIZE_MAX];
    size_t size = zu_error_encode(body, "400", 3);
    cr_assert_eq(size, 10u);
    cr_assert_eq(memcmp(body,
                        "\x05"
                        "ERROR\x03"
                        "400",
                        size),
                 0);
    struct zu_command command;
    const uint8_t *reason = NULL;
    size_t reason_size = 0;
    cr_assert_eq(zu_command_decode(body, size, &command), 0);
    cr_assert_eq(zu_error_decode(&command, &reason, &reason_size), 0);
    cr_assert_eq(reason_size, 3u);
    cr_assert_eq(memcmp(reason, "400", 3), 0);

    cr_assert_eq(DECODE("\x05"
                        "ERROR",
                        &command),
                 0);
    cr_assert_eq(zu_error_decode(&command, &reason, &reason_size), -EPROTO);
    cr_assert_eq(DECODE("\x05"
                        "ERROR\x05he",
                        &command),
                 0);
    cr_assert_eq(zu_error_decode(&command, &reason, &reason_size), -EPROTO);
    cr_assert_eq(DECODE("\x05"
                        "ERROR\x03"
                        "400x",
                        &command),
                 0);
    cr_assert_eq(zu_error_decode(&command, &reason, &reason_size), -EPROTO);
    cr_assert_eq(reason_size, 3u, "written to on failure");

    char prose[300];
    memset(prose, 'p', sizeof(prose));
    cr_assert_eq(zu_error_encode(body, prose, sizeof(prose)), (size_t)ZU_ERROR_SIZE_MAX);
    cr_assert_eq(body[6], 255);
}
