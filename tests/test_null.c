/* SPDX-License-Identifier: MIT */
#include "wire/null.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "wire/socket_type.h"

#define TYPE(name) "\x0bSocket-Type\0\0\0" name

static struct zu_handshake_config config_of(unsigned type)
{
    return (struct zu_handshake_config){.socket_type = type, .mechanism = &zu_null_mechanism, .message_size_max = -1};
}

/* A DEALER's mechanism that takes one body; the caller runs fini. */
static int consume(struct zu_mechanism *mechanism, const char *body, size_t size)
{
    static struct zu_handshake_config config;
    config = config_of(ZU_SOCKET_DEALER);
    cr_assert_eq(zu_mechanism_init(mechanism, &config), 0);
    return mechanism->ops->consume(mechanism, (const uint8_t *)body, size);
}

static void expect_ready(const struct zu_handshake_config *config, const char *body, size_t size)
{
    struct zu_mechanism mechanism;
    uint8_t out[512];
    cr_assert_eq(zu_mechanism_init(&mechanism, config), 0);
    cr_assert_geq(mechanism.ops->produce_max(&mechanism), size);
    cr_assert_eq(mechanism.ops->produce(&mechanism, out), (ssize_t)size);
    cr_assert_eq(memcmp(out, body, size), 0);
    cr_assert_eq(mechanism.ops->produce_max(&mechanism), 0u, "READY goes out once");
    cr_assert_eq(mechanism.status, ZU_MECHANISM_HANDSHAKING);
    zu_mechanism_fini(&mechanism);
}
#define EXPECT_READY(config, literal) expect_ready(config, literal, sizeof(literal) - 1)

/* The bodies that libzmq 4.3.4 showed a raw socket. */
Test(null, ready_bodies)
{
    struct zu_handshake_config config = config_of(ZU_SOCKET_DEALER);
    EXPECT_READY(&config, "\x05READY" TYPE("\x06"
                                           "DEALER") "\x08Identity\0\0\0\0");
    config = config_of(ZU_SOCKET_REQ);
    config.routing_id = (const uint8_t *)"abc";
    config.routing_id_size = 3;
    EXPECT_READY(&config, "\x05READY" TYPE("\x03REQ") "\x08Identity\0\0\0\x03"
                                                      "abc");
    config.socket_type = ZU_SOCKET_PUB;
    EXPECT_READY(&config, "\x05READY" TYPE("\x03PUB"));
    config.properties = (const uint8_t *)"\x03X-a\0\0\0\x01"
                                         "1";
    config.properties_size = 9;
    EXPECT_READY(&config, "\x05READY" TYPE("\x03PUB") "\x03X-a\0\0\0\x01"
                                                      "1");
}

Test(null, done_in_either_order)
{
    for (int first = 0; first < 2; first++) {
        struct zu_handshake_config config = config_of(ZU_SOCKET_SUB);
        struct zu_mechanism mechanism;
        static const char ready[] = "\x05READY" TYPE("\x04XPUB") "\x08Identity\0\0\0\0";
        uint8_t out[512];
        cr_assert_eq(zu_mechanism_init(&mechanism, &config), 0);
        for (int turn = 0; turn < 2; turn++) {
            cr_assert_eq(mechanism.status, ZU_MECHANISM_HANDSHAKING);
            if (turn == first)
                cr_assert_gt(mechanism.ops->produce(&mechanism, out), 0);
            else
                cr_assert_eq(mechanism.ops->consume(&mechanism, (const uint8_t *)ready, sizeof(ready) - 1), 0);
        }
        cr_assert_eq(mechanism.status, ZU_MECHANISM_READY);
        cr_assert_eq(mechanism.peer_socket_type, (unsigned)ZU_SOCKET_XPUB);
        cr_assert_str_eq((const char *)zu_metadata_get(&mechanism.metadata, "Socket-Type", NULL), "XPUB");
        zu_mechanism_fini(&mechanism);
    }
}

/* What stock libzmq answered to the same bodies: it closed with these events, or it stayed. */
struct said {
    const char *body;        /* of the frame */
    size_t size;             /* of it */
    int rc;                  /* what consume answers */
    unsigned protocol_error; /* detail of the event */
    unsigned auth_status;    /* the same for ERROR */
};

static const struct said rows[] = {
#define ROW(literal, ...)                                                                                              \
    {                                                                                                                  \
        literal, sizeof(literal) - 1, __VA_ARGS__                                                                      \
    }
    ROW("\x05READY" TYPE("\x03REP"), 0, 0, 0),
    ROW("\x05READY", 0, 0, 0),
    ROW("\x05READY\x0bsocket-type\0\0\0\x03PUB", 0, 0, 0),
    ROW("\x05READY" TYPE("\x03PUB"), -EPROTO, 0, 0),
    ROW("\x05READY" TYPE("\x03"
                         "FOO"),
        -EPROTO, 0, 0),
    ROW("\x05READY" TYPE("\0"), -EPROTO, 0, 0),
    ROW("\x05READY" TYPE("\x03REP") TYPE("\x03PUB"), -EPROTO, 0, 0),
    ROW("\x05READY" TYPE("\x03REP") "\x01", -EPROTO, 0, 0),
    ROW("\x05READY" TYPE("\x03REP") "\x01"
                                    "ab",
        -EPROTO, 0, 0),
    ROW("\x05READY\x01"
        "a\0\0\0\x09"
        "a",
        -EPROTO, 0, 0),
    ROW("\x05READY\x01"
        "a\xff\xff\xff\xff"
        "a",
        -EPROTO, 0, 0),
    ROW("\x05"
        "ERROR\x03"
        "300",
        -EPROTO, 0, 300),
    ROW("\x05"
        "ERROR\x03"
        "400",
        -EPROTO, 0, 400),
    ROW("\x05"
        "ERROR\x03"
        "500",
        -EPROTO, 0, 500),
    ROW("\x05"
        "ERROR\x03"
        "200",
        -EPROTO, 0, 0),
    ROW("\x05"
        "ERROR\x03"
        "401",
        -EPROTO, 0, 0),
    ROW("\x05"
        "ERROR\x03"
        "410",
        -EPROTO, 0, 0),
    ROW("\x05"
        "ERROR\x03"
        "abc",
        -EPROTO, 0, 0),
    ROW("\x05"
        "ERROR\x05hello",
        -EPROTO, 0, 0),
    ROW("\x05"
        "ERROR\0",
        -EPROTO, 0, 0),
    ROW("\x05"
        "ERROR\x05he",
        -EPROTO, ZU_PROTOCOL_ERROR_MALFORMED_ERROR, 0),
    ROW("\x05"
        "ERROR",
        -EPROTO, ZU_PROTOCOL_ERROR_MALFORMED_ERROR, 0),
    ROW("\x04PING\0\0", -EPROTO, ZU_PROTOCOL_ERROR_UNEXPECTED_COMMAND, 0),
    ROW("\x03"
        "FOO",
        -EPROTO, ZU_PROTOCOL_ERROR_UNEXPECTED_COMMAND, 0),
    ROW("", -EPROTO, ZU_PROTOCOL_ERROR_UNEXPECTED_COMMAND, 0),
    ROW("\x09"
        "A",
        -EPROTO, ZU_PROTOCOL_ERROR_UNEXPECTED_COMMAND, 0),
};

Test(null, what_the_peer_may_say)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct zu_mechanism mechanism;
        cr_assert_eq(consume(&mechanism, rows[i].body, rows[i].size), rows[i].rc, "row %zu", i);
        cr_assert_eq(mechanism.failure.protocol_error, rows[i].protocol_error, "row %zu", i);
        cr_assert_eq(mechanism.failure.auth_status, rows[i].auth_status, "row %zu", i);
        cr_assert_eq(mechanism.status, rows[i].rc ? ZU_MECHANISM_FAILED : ZU_MECHANISM_HANDSHAKING, "row %zu", i);
        if (rows[i].rc)
            cr_assert_eq(mechanism.ops->produce_max(&mechanism), 0u, "speaks after failing");
        zu_mechanism_fini(&mechanism);
    }
}

Test(null, a_second_ready_is_unexpected)
{
    struct zu_mechanism mechanism;
    static const char ready[] = "\x05READY" TYPE("\x03REP");
    cr_assert_eq(consume(&mechanism, ready, sizeof(ready) - 1), 0);
    cr_assert_eq(mechanism.ops->consume(&mechanism, (const uint8_t *)ready, sizeof(ready) - 1), -EPROTO);
    cr_assert_eq(mechanism.failure.protocol_error, (unsigned)ZU_PROTOCOL_ERROR_UNEXPECTED_COMMAND);
    zu_mechanism_fini(&mechanism);
}
