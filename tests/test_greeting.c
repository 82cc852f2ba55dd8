/* SPDX-License-Identifier: MIT */
#include "wire/greeting.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "wire/socket_type.h"

#define SIGNATURE "\xff\0\0\0\0\0\0\0\x01\x7f"
#define NULL_NAME "NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define ZEROS_32 "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define GREETING_3_1 SIGNATURE "\x03\x01" NULL_NAME ZEROS_32
#define GREETING_3_0 SIGNATURE "\x03\0" NULL_NAME ZEROS_32

static void expect_output(struct zu_greeting *greeting, const void *bytes, size_t size)
{
    const uint8_t *out;
    size_t out_size = zu_greeting_output(greeting, &out);
    cr_assert_eq(out_size, size, "%zu octets to send instead of %zu", out_size, size);
    cr_assert_eq(memcmp(out, bytes, size), 0);
    zu_greeting_sent(greeting, size);
}
#define EXPECT(greeting, literal) expect_output(greeting, literal, sizeof(literal) - 1)

static int feed(struct zu_greeting *greeting, const char *bytes, size_t size)
{
    size_t used = 99;
    int rc = zu_greeting_feed(greeting, (const uint8_t *)bytes, size, &used);
    if (rc == 0)
        cr_assert_eq(used, size);
    return rc;
}
#define FEED(greeting, literal) feed(greeting, literal, sizeof(literal) - 1)

/* The octets and their order are those that libzmq 4.3.4 showed a raw socket. */
Test(greeting, steps_towards_a_3_x_peer)
{
    struct zu_greeting greeting;
    zu_greeting_init(&greeting, ZU_SOCKET_REQ, 3, "NULL");
    EXPECT(&greeting, "\xff\0\0\0\0\0\0\0\x04\x7f");
    cr_assert_eq(FEED(&greeting, "\xff\0\0\0\0\0\0\0\x01"), 0);
    EXPECT(&greeting, "");
    cr_assert_eq(FEED(&greeting, "\x7f"), 0);
    EXPECT(&greeting, "\x03");
    cr_assert_eq(FEED(&greeting, "\x03"), 0);
    EXPECT(&greeting, "\x01" NULL_NAME ZEROS_32);
    cr_assert_eq(FEED(&greeting, "\x01" NULL_NAME), 0);
    cr_assert_eq(FEED(&greeting, ZEROS_32), 1);
    EXPECT(&greeting, "");
    cr_assert_eq(greeting.version, ZU_WIRE_3_1);
    cr_assert_eq(greeting.peer_socket_type, ZU_SOCKET_TYPE_UNKNOWN);
    cr_assert_eq(memcmp(zu_greeting_peer_mechanism(&greeting), NULL_NAME, 20), 0);
}

Test(greeting, steps_towards_a_2_0_peer)
{
    struct zu_greeting greeting;
    zu_greeting_init(&greeting, ZU_SOCKET_DEALER, 2, "NULL");
    EXPECT(&greeting, "\xff\0\0\0\0\0\0\0\x03\x7f");
    cr_assert_eq(FEED(&greeting, SIGNATURE), 0);
    EXPECT(&greeting, "\x03");
    cr_assert_eq(FEED(&greeting, "\x01"), 0);
    EXPECT(&greeting, "\x05");
    cr_assert_eq(FEED(&greeting, "\x06"), 1);
    EXPECT(&greeting, "");
    cr_assert_eq(greeting.version, ZU_WIRE_2_0);
    cr_assert_eq(greeting.peer_socket_type, ZU_SOCKET_ROUTER);
}

Test(greeting, versions)
{
    static const struct {
        uint8_t major, minor;
        enum zu_wire_version version;
    } rows[] = {
        {1, 0, ZU_WIRE_2_0}, {2, 0, ZU_WIRE_3_1}, {3, 0, ZU_WIRE_3_0},   {3, 1, ZU_WIRE_3_1},
        {3, 2, ZU_WIRE_3_1}, {4, 0, ZU_WIRE_3_1}, {255, 9, ZU_WIRE_3_1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct zu_greeting greeting;
        char bytes[65] = GREETING_3_1;
        bytes[10] = (char)rows[i].major;
        bytes[11] = (char)rows[i].minor;
        zu_greeting_init(&greeting, ZU_SOCKET_PUB, 0, "NULL");
        cr_assert_eq(feed(&greeting, bytes, 64), 1);
        cr_assert_eq((int)greeting.version, (int)rows[i].version, "%d.%d", rows[i].major, rows[i].minor);
    }
}

Test(greeting, a_2_0_type_that_is_none_of_ours_is_unknown)
{
    struct zu_greeting greeting;
    zu_greeting_init(&greeting, ZU_SOCKET_PUB, 0, "NULL");
    cr_assert_eq(FEED(&greeting, SIGNATURE "\x01\x15"), 1);
    cr_assert_eq(greeting.peer_socket_type, ZU_SOCKET_TYPE_UNKNOWN);
}

Test(greeting, a_peer_from_before_greetings_is_told_at_its_first_octets)
{
    static const struct {
        const char *bytes;
        size_t size;
        size_t used;
    } rows[] = {{"\x01\0", 2, 1}, {"\xff\0\0\0\0\0\0\0\x01\0\x03", 11, 10}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct zu_greeting greeting;
        size_t used;
        zu_greeting_init(&greeting, ZU_SOCKET_PUB, 0, "NULL");
        uint8_t out_size = greeting.out_size;
        cr_assert_eq(zu_greeting_feed(&greeting, (const uint8_t *)rows[i].bytes, rows[i].size, &used), 1);
        cr_assert_eq(used, rows[i].used);
        cr_assert_eq(greeting.version, ZU_WIRE_UNVERSIONED);
        cr_assert_eq(greeting.peer_socket_type, ZU_SOCKET_TYPE_UNKNOWN);
        cr_assert_arr_eq(greeting.in, rows[i].bytes, used, "part of its identity frame");
        cr_assert_eq(greeting.out_size, out_size, "nothing it would understand");
        cr_assert_eq(zu_greeting_feed(&greeting, (const uint8_t *)GREETING_3_1, 64, &used), 1);
        cr_assert_eq(used, 0u);
    }
}

Test(greeting, version_1_0_ends_as_2_0_does)
{
    struct zu_greeting greeting;
    zu_greeting_init(&greeting, ZU_SOCKET_PUB, 0, "NULL");
    cr_assert_eq(FEED(&greeting, SIGNATURE "\0"), 0);
    cr_assert_eq(FEED(&greeting, "\x02"), 1);
    cr_assert_eq(greeting.version, ZU_WIRE_1_0);
    cr_assert_eq(greeting.peer_socket_type, ZU_SOCKET_SUB);
    cr_assert_eq(greeting.out_size, 12);
    cr_assert_eq(greeting.out[11], ZU_SOCKET_PUB);
}

Test(greeting, pieces_of_every_size_leave_what_follows_unused)
{
    static const struct {
        const char *bytes;
        size_t size;
    } rows[] = {{GREETING_3_1 "tail", 64}, {GREETING_3_0 "tail", 64}, {SIGNATURE "\x01\x02tail", 12}};
    for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
        for (size_t piece = 1; piece <= 70; piece++) {
            struct zu_greeting greeting;
            zu_greeting_init(&greeting, ZU_SOCKET_PUB, 0, "NULL");
            size_t at = 0, total = rows[row].size + 4;
            int rc = 0;
            while (rc == 0) {
                size_t used, size = piece < total - at ? piece : total - at;
                cr_assert_gt(size, 0u);
                rc = zu_greeting_feed(&greeting, (const uint8_t *)rows[row].bytes + at, size, &used);
                at += used;
            }
            cr_assert_eq(rc, 1);
            cr_assert_eq(at, rows[row].size);
            size_t used;
            cr_assert_eq(zu_greeting_feed(&greeting, (const uint8_t *)"x", 1, &used), 1);
            cr_assert_eq(used, 0u);
        }
    }
}

Test(greeting, a_full_length_mechanism_name_is_not_terminated)
{
    struct zu_greeting greeting;
    zu_greeting_init(&greeting, ZU_SOCKET_PUB, 0, "ABCDEFGHIJKLMNOPQRSTUVW");
    cr_assert_eq(FEED(&greeting, GREETING_3_1), 1);
    const uint8_t *out;
    cr_assert_eq(zu_greeting_output(&greeting, &out), 64u);
    cr_assert_eq(memcmp(out + 12, "ABCDEFGHIJKLMNOPQRST\0", 21), 0);
}
