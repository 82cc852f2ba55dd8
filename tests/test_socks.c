/* SPDX-License-Identifier: MIT */
/* A dialogue with a proxy, octet by octet: what is said, what is heard, what ends it. */
#include "link/socks.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BYTES(text) (text), sizeof(text) - 1

static const struct zu_socks_login nobody;
static const struct zu_socks_login anna = {(const uint8_t *)"anna", 4, (const uint8_t *)"secret", 6};

static void expect_said(struct zu_socks *socks, const char *text, size_t size)
{
    const uint8_t *out;
    size_t out_size = zu_socks_output(socks, &out);
    cr_assert_eq(out_size, size, "%zu octets, not %zu", out_size, size);
    cr_assert_eq(memcmp(out, text, size), 0);
    for (size_t i = 0; i < size; i++) { /* one at a time */
        cr_assert_eq(zu_socks_output(socks, &out), size - i);
        cr_assert_eq(*out, (uint8_t)text[i]);
        zu_socks_sent(socks, 1);
    }
    cr_assert_eq(zu_socks_output(socks, &out), 0);
    for (size_t i = 0; i < sizeof socks->out; i++)
        cr_assert_eq(socks->out[i], 0, "a password does not stay");
}

/* As much at a time as it asks for, but `piece` at most; the result of the last. */
static int hear(struct zu_socks *socks, const char *text, size_t size, size_t piece)
{
    int rc = 0;
    while (size > 0 && rc == 0) {
        uint8_t *room;
        size_t step = zu_socks_room(socks, &room);
        cr_assert_gt(step, 0);
        step = step < piece ? step : piece;
        cr_assert_leq(step, size, "it wants more than there is");
        memcpy(room, text, step);
        rc = zu_socks_received(socks, step);
        text += step;
        size -= step;
    }
    cr_assert(rc < 0 || size == 0, "it is content too early");
    return rc;
}

static struct zu_socks asked(const char *destination)
{
    struct zu_socks socks;
    cr_assert_eq(zu_socks_init(&socks, destination, &nobody), 0);
    expect_said(&socks, BYTES("\5\1\0"));
    cr_assert_eq(hear(&socks, BYTES("\5\0"), 1), 0);
    return socks;
}

Test(socks, names_and_addresses)
{
    static const struct {
        const char *destination, *request;
        size_t size;
    } rows[] = {
        {"example.org:5555", BYTES("\5\1\0\3\x0b" "example.org\x15\xb3")},
        {"127.0.0.1:80", BYTES("\5\1\0\1\x7f\0\0\1\0\x50")},
        {"[::1]:65535", BYTES("\5\1\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\xff\xff")},
        {"[::ffff:1.2.3.4]:1", BYTES("\5\1\0\1\1\2\3\4\0\1")},
        {"10.0.0.1:7;x:1", BYTES("\5\1\0\3\1x\0\1")},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct zu_socks socks = asked(rows[i].destination);
        expect_said(&socks, rows[i].request, rows[i].size);
    }
}

Test(socks, wrong_destinations)
{
    char text[400];
    struct zu_socks socks;
    memset(text, 'x', sizeof text);
    strcpy(text + 255, ":1");
    cr_assert_eq(zu_socks_init(&socks, text, &nobody), 0);
    text[255] = 'x';
    strcpy(text + 256, ":1");
    cr_assert_eq(zu_socks_init(&socks, text, &nobody), -EINVAL);
    cr_assert_eq(zu_socks_init(&socks, "x", &nobody), -EINVAL);
    cr_assert_eq(zu_socks_init(&socks, ":1", &nobody), -EINVAL);
    cr_assert_eq(zu_socks_init(&socks, "x:1;y", &nobody), -EINVAL);
    cr_assert_eq(zu_socks_init(&socks, "", &nobody), -EINVAL);
}

/* Whatever kind of address it names, its last octet ends it. */
Test(socks, replies_of_each_length)
{
    static const struct {
        const char *reply;
        size_t size;
    } rows[] = {
        {BYTES("\5\0\0\1\1\2\3\4\5\6")},
        {BYTES("\5\0\0\4\0\1\2\3\4\5\6\7\0\1\2\3\4\5\6\7\1\2")},
        {BYTES("\5\0\0\3\4name\1\2")},
        {BYTES("\5\0\0\3\0\1\2")},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (size_t piece = 1; piece < 30; piece++) {
            struct zu_socks socks = asked("x:1");
            expect_said(&socks, BYTES("\5\1\0\3\1x\0\1"));
            cr_assert_eq(hear(&socks, rows[i].reply, rows[i].size, piece), 1, "row %zu by %zu", i, piece);
        }
    }
    char longest[4 + 1 + 255 + 2] = "\5\0\0\3\xff";
    struct zu_socks socks = asked("x:1");
    cr_assert_eq(hear(&socks, longest, sizeof longest, 1000), 1);
}

Test(socks, login)
{
    struct zu_socks socks;
    cr_assert_eq(zu_socks_init(&socks, "x:1", &anna), 0);
    expect_said(&socks, BYTES("\5\1\2"));
    cr_assert_eq(hear(&socks, BYTES("\5\2"), 2), 0);
    expect_said(&socks, BYTES("\1\4anna\6secret"));
    cr_assert_eq(hear(&socks, BYTES("\1\0"), 1), 0);
    expect_said(&socks, BYTES("\5\1\0\3\1x\0\1"));
    cr_assert_eq(hear(&socks, BYTES("\5\0\0\1\1\2\3\4\5\6"), 3), 1);
    struct zu_socks_login bare = {(const uint8_t *)"anna", 4, NULL, 0};
    cr_assert_eq(zu_socks_init(&socks, "x:1", &bare), 0);
    zu_socks_sent(&socks, 3);
    cr_assert_eq(hear(&socks, BYTES("\5\2"), 2), 0);
    expect_said(&socks, BYTES("\1\4anna\0"));
    uint8_t name[255];
    memset(name, 'n', sizeof name);
    struct zu_socks_login longest = {name, 255, name, 255};
    cr_assert_eq(zu_socks_init(&socks, "x:1", &longest), 0);
    zu_socks_sent(&socks, 3);
    cr_assert_eq(hear(&socks, BYTES("\5\2"), 2), 0);
    const uint8_t *out;
    cr_assert_eq(zu_socks_output(&socks, &out), ZU_SOCKS_OUT_MAX);
}

Test(socks, refusals)
{
    static const struct {
        const char *reply;
        size_t size;
        int error;
        const struct zu_socks_login *login;
    } methods[] = {
        {BYTES("\4\0"), -EPROTO, &nobody},  {BYTES("\5\xff"), -EACCES, &nobody}, {BYTES("\5\2"), -EPROTO, &nobody},
        {BYTES("\5\xff"), -EACCES, &anna},  {BYTES("\5\0"), -EPROTO, &anna},     {BYTES("HT"), -EPROTO, &anna},
        {BYTES("\5\2\1\1"), -EACCES, &anna}, {BYTES("\5\2\5\0"), -EPROTO, &anna},
    };
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        struct zu_socks socks;
        cr_assert_eq(zu_socks_init(&socks, "x:1", methods[i].login), 0);
        cr_assert_eq(hear(&socks, methods[i].reply, methods[i].size, 2), methods[i].error, "method %zu", i);
    }
    static const int errors[] = {-EIO,          -EACCES,      -ENETUNREACH, -EHOSTUNREACH, -ECONNREFUSED,
                                 -EHOSTUNREACH, -EOPNOTSUPP, -EAFNOSUPPORT, -EPROTO};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        char reply[] = {5, (char)(i + 1), 0, 1};
        struct zu_socks socks = asked("x:1");
        cr_assert_eq(hear(&socks, reply, sizeof reply, 1), errors[i], "reply %zu", i + 1);
    }
    struct zu_socks socks = asked("x:1");
    cr_assert_eq(hear(&socks, BYTES("\4\0\0\1"), 1), -EPROTO);
    socks = asked("x:1");
    cr_assert_eq(hear(&socks, BYTES("\5\0\0\2"), 1), -EPROTO, "no such type of address");
}
