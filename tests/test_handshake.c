/* SPDX-License-Identifier: MIT */
#include "wire/handshake.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zmq.h>

#include "wire/null.h"
#include "wire/socket_type.h"

#define SIGNATURE "\xff\0\0\0\0\0\0\0\x01\x7f"
#define ZEROS_32 "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define GREETING(minor, name) SIGNATURE "\x03" minor name "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" ZEROS_32
#define GREETING_3_1 GREETING("\x01", "NULL")
#define GREETING_3_0 GREETING("\0", "NULL")
#define TYPE(name) "\x0bSocket-Type\0\0\0" name
#define READY_ROUTER "\x04\x2c\x05READY" TYPE("\x06ROUTER") "\x08Identity\0\0\0\x03xyz"
#define READY_PUB "\x04\x19\x05READY" TYPE("\x03PUB")

#define BYTES(literal) (const uint8_t *)(literal), sizeof(literal) - 1

static struct zu_handshake_config config_of(unsigned type, const char *routing_id)
{
    return (struct zu_handshake_config){
        .socket_type = type,
        .routing_id = (const uint8_t *)routing_id,
        .routing_id_size = strlen(routing_id),
        .mechanism = &zu_null_mechanism,
        .message_size_max = -1,
    };
}

/* Everything that may go out now must be exactly these octets. */
static void expect_output(struct zu_handshake *hs, const uint8_t *bytes, size_t size)
{
    size_t at = 0, n;
    const uint8_t *out;
    while ((n = zu_handshake_output(hs, &out)) != 0) {
        cr_assert_leq(n, size - at, "%zu octets too many", n - (size - at));
        cr_assert_eq(memcmp(out, bytes + at, n), 0);
        zu_handshake_sent(hs, n);
        at += n;
    }
    cr_assert_eq(at, size, "%zu octets instead of %zu", at, size);
}
#define EXPECT(hs, literal) expect_output(hs, BYTES(literal))

static int feed(struct zu_handshake *hs, const uint8_t *bytes, size_t size)
{
    size_t used = size + 1;
    int rc = zu_handshake_feed(hs, bytes, size, &used);
    cr_assert_leq(used, size);
    if (rc == 0)
        cr_assert_eq(used, size);
    return rc;
}
#define FEED(hs, literal) feed(hs, BYTES(literal))

static void expect_identity(const struct zu_handshake *hs, const char *identity)
{
    size_t size = 99;
    const uint8_t *bytes = zu_handshake_identity(hs, &size);
    cr_assert_eq(size, strlen(identity));
    cr_assert_eq(bytes == NULL, size == 0);
    if (size != 0)
        cr_assert_eq(memcmp(bytes, identity, size), 0);
}

/* Moves at most `piece` octets; they stay in `from` until taken. */
static int deliver(struct zu_handshake *from, struct zu_handshake *to, size_t piece, bool *moved)
{
    const uint8_t *out;
    size_t used, size = zu_handshake_output(from, &out);
    if (size > piece)
        size = piece;
    if (size == 0)
        return 0;
    int rc = zu_handshake_feed(to, out, size, &used);
    zu_handshake_sent(from, used);
    *moved |= used != 0;
    return rc;
}

Test(handshake, two_machines_in_pieces_of_every_size)
{
    for (size_t a_piece = 1; a_piece <= 70; a_piece++) {
        for (size_t b_piece = 1; b_piece <= 70; b_piece++) {
            struct zu_handshake_config a_config = config_of(ZU_SOCKET_REQ, "alice");
            struct zu_handshake_config b_config = config_of(ZU_SOCKET_ROUTER, "");
            a_config.properties = (const uint8_t *)"\x03X-a\0\0\0\x01"
                                                   "1";
            a_config.properties_size = 9;
            struct zu_handshake a, b;
            zu_handshake_init(&a, &a_config);
            zu_handshake_init(&b, &b_config);
            int a_rc = 0, b_rc = 0;
            bool moved = true;
            while (moved && a_rc >= 0 && b_rc >= 0) {
                moved = false;
                b_rc = deliver(&a, &b, a_piece, &moved);
                a_rc = deliver(&b, &a, b_piece, &moved);
            }
            size_t used;
            cr_assert_eq(zu_handshake_feed(&a, NULL, 0, &used), 1, "%zu and %zu", a_piece, b_piece);
            cr_assert_eq(zu_handshake_feed(&b, NULL, 0, &used), 1, "%zu and %zu", a_piece, b_piece);
            cr_assert_eq(zu_handshake_version(&a), ZU_WIRE_3_1);
            cr_assert_eq(zu_handshake_version(&b), ZU_WIRE_3_1);
            cr_assert_eq(zu_handshake_peer_type(&a), (unsigned)ZU_SOCKET_ROUTER);
            cr_assert_eq(zu_handshake_peer_type(&b), (unsigned)ZU_SOCKET_REQ);
            expect_identity(&a, "");
            expect_identity(&b, "alice");
            struct zu_metadata metadata;
            zu_handshake_metadata_take(&b, &metadata);
            zu_handshake_fini(&a);
            zu_handshake_fini(&b);
            cr_assert_str_eq((const char *)zu_metadata_get(&metadata, "X-a", NULL), "1");
            zu_metadata_fini(&metadata);
        }
    }
}

/* The octets of both sides, and their order, as libzmq 4.3.4 and a raw socket exchanged them. */
Test(handshake, steps_with_a_3_1_peer)
{
    struct zu_handshake_config config = config_of(ZU_SOCKET_DEALER, "");
    struct zu_handshake hs;
    zu_handshake_init(&hs, &config);
    EXPECT(&hs, SIGNATURE);
    cr_assert_eq(FEED(&hs, SIGNATURE), 0);
    EXPECT(&hs, "\x03");
    cr_assert_eq(FEED(&hs, "\x03"), 0);
    EXPECT(&hs, "\x01NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" ZEROS_32);
    cr_assert_eq(FEED(&hs, "\x01NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" ZEROS_32), 0);
    EXPECT(&hs, "\x04\x29\x05READY" TYPE("\x06"
                                         "DEALER") "\x08Identity\0\0\0\0");
    cr_assert_eq(FEED(&hs, READY_ROUTER), 1);
    EXPECT(&hs, "");
    expect_identity(&hs, "xyz");
    zu_handshake_fini(&hs);
}

Test(handshake, a_3_0_peer)
{
    struct zu_handshake_config config = config_of(ZU_SOCKET_SUB, "");
    struct zu_handshake hs;
    zu_handshake_init(&hs, &config);
    cr_assert_eq(FEED(&hs, GREETING_3_0), 0);
    EXPECT(&hs, GREETING_3_1 "\x04\x19\x05READY" TYPE("\x03SUB"));
    cr_assert_eq(FEED(&hs, READY_PUB), 1);
    cr_assert_eq(zu_handshake_version(&hs), ZU_WIRE_3_0);
    cr_assert_eq(zu_handshake_peer_type(&hs), (unsigned)ZU_SOCKET_PUB);
    zu_handshake_fini(&hs);
}

Test(handshake, steps_with_a_2_0_peer)
{
    struct zu_handshake_config config = config_of(ZU_SOCKET_DEALER, "me");
    struct zu_handshake hs;
    zu_handshake_init(&hs, &config);
    EXPECT(&hs, "\xff\0\0\0\0\0\0\0\x03\x7f");
    cr_assert_eq(FEED(&hs, SIGNATURE), 0);
    EXPECT(&hs, "\x03");
    cr_assert_eq(FEED(&hs, "\x01"), 0);
    EXPECT(&hs, "\x05");
    cr_assert_eq(FEED(&hs, "\x06"), 0);
    EXPECT(&hs, "\0\x02me");
    size_t used;
    cr_assert_eq(zu_handshake_feed(&hs, BYTES("\0\x03xyz\x01\0\0\x02hi"), &used), 1);
    cr_assert_eq(used, 5u, "traffic was eaten");
    cr_assert_eq(zu_handshake_version(&hs), ZU_WIRE_2_0);
    cr_assert_eq(zu_handshake_peer_type(&hs), (unsigned)ZU_SOCKET_ROUTER);
    expect_identity(&hs, "xyz");
    struct zu_metadata metadata;
    zu_handshake_metadata_take(&hs, &metadata);
    cr_assert_eq(metadata.size, 0u);
    zu_handshake_fini(&hs);
}

Test(handshake, identity_frames_of_2_0_peers)
{
    uint8_t big[12 + 9 + 512] = SIGNATURE "\x01\x06\x02\0\0\0\0\0\0\x02\0";
    memset(big + 21, 'a', 512);
    struct zu_handshake_config config = config_of(ZU_SOCKET_PUSH, "");
    struct zu_handshake hs;
    zu_handshake_init(&hs, &config);
    cr_assert_eq(feed(&hs, big, sizeof(big)), 1);
    size_t size;
    cr_assert_not_null(zu_handshake_identity(&hs, &size));
    cr_assert_eq(size, 512u);
    EXPECT(&hs, SIGNATURE "\x03\x08\0\0");
    zu_handshake_fini(&hs);

    zu_handshake_init(&hs, &config);
    cr_assert_eq(FEED(&hs, SIGNATURE "\x01\x08\0\0"), 1, "2.0 peers' types are not checked");
    expect_identity(&hs, "");
    zu_handshake_fini(&hs);
}

/* Every transcript in every piece size, with traffic behind it that must stay unused. */
Test(handshake, scripted_peers_in_pieces)
{
    static const struct {
        const uint8_t *bytes;
        size_t size;
        enum zu_wire_version version;
    } rows[] = {
        {BYTES(GREETING_3_1 READY_ROUTER "\0\x02hi"), ZU_WIRE_3_1},
        {BYTES(GREETING_3_0 READY_ROUTER "\0\x02hi"), ZU_WIRE_3_0},
        {BYTES(SIGNATURE "\x01\x06\0\x03xyz\0\x02hi"), ZU_WIRE_2_0},
    };
    for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
        for (size_t piece = 1; piece <= 70; piece++) {
            struct zu_handshake_config config = config_of(ZU_SOCKET_DEALER, "");
            struct zu_handshake hs;
            zu_handshake_init(&hs, &config);
            size_t at = 0;
            int rc = 0;
            while (rc == 0) {
                size_t used, size = piece < rows[row].size - at ? piece : rows[row].size - at;
                cr_assert_gt(size, 0u, "no end in row %zu, piece %zu", row, piece);
                rc = zu_handshake_feed(&hs, rows[row].bytes + at, size, &used);
                at += used;
            }
            cr_assert_eq(rc, 1);
            cr_assert_eq(at, rows[row].size - 4);
            cr_assert_eq(zu_handshake_version(&hs), rows[row].version);
            expect_identity(&hs, "xyz");
            zu_handshake_fini(&hs);
        }
    }
}

Test(handshake, failures)
{
    static const struct {
        const uint8_t *bytes;
        size_t size;
        int rc;
        unsigned protocol_error;
        unsigned auth_status;
    } rows[] = {
        {BYTES("\0\0"), -EPROTO, 0, 0},
        {BYTES("GE"), -EPROTO, 0, 0},
        {BYTES(SIGNATURE "\0\x05\0"), -EPROTO, 0, 0},
        {BYTES("\xff\0\0\0\0\0\x01\0\x02\0"), -EMSGSIZE, 0, 0},
        {BYTES(SIGNATURE "\x03\x01PLAIN\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" ZEROS_32), -EPROTO,
         ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH, 0},
        {BYTES(SIGNATURE "\x03\x01NULL\0x\0\0\0\0\0\0\0\0\0\0\0\0\0\0" ZEROS_32), -EPROTO,
         ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH, 0},
        {BYTES(GREETING_3_1 "\x04\x07\x04PING\0\0"), -EPROTO, ZMQ_PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND, 0},
        {BYTES(GREETING_3_1 "\x04\x06\x05"
                            "ERROR"),
         -EPROTO, ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_ERROR, 0},
        {BYTES(GREETING_3_1 "\x04\x0a\x05"
                            "ERROR\x03"
                            "400"),
         -EPROTO, 0, 400},
        {BYTES(GREETING_3_1 "\x04\x19\x05READY" TYPE("\x03PUB")), -EPROTO, 0, 0},
        {BYTES(GREETING_3_1 "\x02\x80\0\0\0\0\0\0\0"), -EPROTO, 0, 0},
        {BYTES(GREETING_3_1 "\x02\0\0\0\0\0\x01\0\x01"), -EMSGSIZE, 0, 0},
        {BYTES(SIGNATURE "\x01\x06\x02\0\0\0\0\0\x01\0\x01"), -EMSGSIZE, 0, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct zu_handshake_config config = config_of(ZU_SOCKET_DEALER, "");
        struct zu_handshake hs;
        zu_handshake_init(&hs, &config);
        cr_assert_eq(feed(&hs, rows[i].bytes, rows[i].size), rows[i].rc, "row %zu", i);
        cr_assert_eq(hs.failure.error, rows[i].rc);
        cr_assert_eq(hs.failure.protocol_error, rows[i].protocol_error, "row %zu", i);
        cr_assert_eq(hs.failure.auth_status, rows[i].auth_status, "row %zu", i);
        cr_assert_not(hs.failure.retry);
        size_t used = 1;
        cr_assert_eq(zu_handshake_feed(&hs, BYTES(READY_ROUTER), &used), rows[i].rc, "row %zu recovers", i);
        cr_assert_eq(used, 0u);
        zu_handshake_fini(&hs);
    }
}

Test(handshake, maxmsgsize_binds_handshake_frames)
{
    struct zu_handshake_config config = config_of(ZU_SOCKET_DEALER, "");
    struct zu_handshake hs;
    for (int64_t size_max = 0x2b; size_max <= 0x2c; size_max++) {
        config.message_size_max = size_max;
        zu_handshake_init(&hs, &config);
        cr_assert_eq(FEED(&hs, GREETING_3_1 READY_ROUTER), size_max == 0x2c ? 1 : -EMSGSIZE);
        zu_handshake_fini(&hs);
    }
}

/* However they come: the greeting counts, what follows the handshake does not. */
Test(handshake, all_octets_of_a_peer_are_bound)
{
    static const uint8_t said[] = GREETING_3_1 READY_ROUTER "\0\1a";
    enum { OCTETS = sizeof said - 4 };
    struct zu_handshake_config config = config_of(ZU_SOCKET_DEALER, "");
    struct zu_handshake hs;
    for (uint64_t max = OCTETS - 1; max <= OCTETS; max++) {
        for (size_t step = 1; step <= sizeof said; step += sizeof said - 1) {
            int rc = 0;
            size_t used = 0;
            config.octets_max = max;
            zu_handshake_init(&hs, &config);
            for (size_t at = 0; rc == 0; at += used)
                rc = zu_handshake_feed(&hs, said + at, step, &used);
            cr_assert_eq(rc, max == OCTETS ? 1 : -E2BIG);
            cr_assert(rc == 1 || hs.failure.error == -E2BIG);
            zu_handshake_fini(&hs);
        }
    }
}

/*
 * CVE-2014-9721: a peer that sends the header of an older protocol is not asked for its credentials. It must not be let in
 * where the socket asks for some, by mechanism or through ZAP.
 */
Test(handshake, cve_2014_9721_old_peers_cannot_bypass_what_guards_the_socket)
{
    static const struct {
        const uint8_t *bytes;
        size_t size;
        size_t answered; /* octets, none of them of the identity */
    } rows[] = {
        {BYTES("\x01\0"), 10},
        {BYTES("\xff\0\0\0\0\0\0\0\x01\0"), 10},
        {BYTES(SIGNATURE "\0\x06\x01\0"), 12},
        {BYTES(SIGNATURE "\x01\x06\0\0"), 12},
    };
    struct zu_mechanism_ops secure = zu_null_mechanism;
    secure.old_peers_served = false;
    for (size_t i = 0; i < 2 * sizeof(rows) / sizeof(rows[0]); i++) {
        struct zu_handshake_config config = config_of(ZU_SOCKET_DEALER, "secret");
        config.waits = i % 2 == 0;
        if (i % 2 == 1)
            config.mechanism = &secure;
        struct zu_handshake hs;
        zu_handshake_init(&hs, &config);
        cr_assert_eq(feed(&hs, rows[i / 2].bytes, rows[i / 2].size), -EPROTONOSUPPORT, "row %zu", i / 2);
        const uint8_t *bytes;
        cr_assert_eq(zu_handshake_output(&hs, &bytes), rows[i / 2].answered, "row %zu", i / 2);
        cr_assert_arr_eq(bytes, "\xff\0\0\0\0\0\0\0\x07\x7f\x03\x05", rows[i / 2].answered);
        zu_handshake_fini(&hs);
    }
}

/* Fed whole, and octet by octet; what follows the identity is traffic. */
Test(handshake, version_1_0)
{
    static const struct {
        const uint8_t *bytes;
        size_t size;
        const char *answer;
        size_t answer_size;
        unsigned version;
    } rows[] = {
        {BYTES("\x04\0" "abc"), "\xff\0\0\0\0\0\0\0\x03\x7f" "me", 12, ZU_WIRE_UNVERSIONED},
        {BYTES("\xff\0\0\0\0\0\0\0\x04\0" "abc"), "\xff\0\0\0\0\0\0\0\x03\x7f" "me", 12, ZU_WIRE_UNVERSIONED},
        {BYTES(SIGNATURE "\0\x05\x04\0" "abc"), "\xff\0\0\0\0\0\0\0\x03\x7f\x03\x05\x03\0me", 16, ZU_WIRE_1_0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t step = 1; step <= rows[i].size; step += rows[i].size - 1) {
            struct zu_handshake_config config = config_of(ZU_SOCKET_DEALER, "me");
            struct zu_handshake hs;
            zu_handshake_init(&hs, &config);
            int rc = 0;
            size_t used = 0;
            for (size_t at = 0; at < rows[i].size; at += used) {
                cr_assert_eq(rc, 0, "done too early");
                size_t size = rows[i].size - at < step ? rows[i].size - at : step;
                rc = zu_handshake_feed(&hs, rows[i].bytes + at, size, &used);
                cr_assert_eq(used, size);
            }
            cr_assert_eq(rc, 1);
            cr_assert_eq(zu_handshake_version(&hs), rows[i].version);
            expect_identity(&hs, "abc");
            expect_output(&hs, (const uint8_t *)rows[i].answer, rows[i].answer_size);
            cr_assert_eq(FEED(&hs, "\x02\0x"), 1);
            zu_handshake_fini(&hs);
        }
    }
}

Test(handshake, raw_is_done_at_once)
{
    struct zu_handshake_config config = config_of(ZU_SOCKET_STREAM, "");
    config.raw = true;
    struct zu_handshake hs;
    zu_handshake_init(&hs, &config);
    size_t used = 1;
    const uint8_t *bytes;
    cr_assert_eq(zu_handshake_feed(&hs, BYTES("GET"), &used), 1);
    cr_assert_eq(used, 0u);
    cr_assert_eq(zu_handshake_output(&hs, &bytes), 0u);
    cr_assert_eq(zu_handshake_peer_type(&hs), ZU_SOCKET_TYPE_UNKNOWN);
    zu_handshake_fini(&hs);
}

Test(handshake, long_properties_travel)
{
    size_t value_size = 60000, size = zu_property_size(3, value_size);
    uint8_t *value = malloc(value_size), *block = malloc(size);
    memset(value, 'v', value_size);
    zu_property_encode(block, "X-v", value, value_size);
    struct zu_handshake_config a_config = config_of(ZU_SOCKET_PUB, ""), b_config = config_of(ZU_SOCKET_SUB, "");
    a_config.properties = block;
    a_config.properties_size = size;
    struct zu_handshake a, b;
    zu_handshake_init(&a, &a_config);
    zu_handshake_init(&b, &b_config);
    bool moved = true;
    int rc = 0;
    while (moved && rc == 0) {
        moved = false;
        rc = deliver(&a, &b, 1000, &moved);
        cr_assert_geq(deliver(&b, &a, 1000, &moved), 0);
    }
    cr_assert_eq(rc, 1);
    struct zu_metadata metadata;
    zu_handshake_metadata_take(&b, &metadata);
    size_t got;
    const uint8_t *copy = zu_metadata_get(&metadata, "X-v", &got);
    cr_assert_eq(got, value_size);
    cr_assert_eq(memcmp(copy, value, value_size), 0);
    zu_metadata_fini(&metadata);
    zu_handshake_fini(&a);
    zu_handshake_fini(&b);

    a_config.properties_size = ZU_HANDSHAKE_COMMAND_MAX;
    zu_handshake_init(&a, &a_config);
    cr_assert_eq(FEED(&a, GREETING_3_1), -EMSGSIZE, "our own excess is an error too");
    zu_handshake_fini(&a);
    free(block);
    free(value);
}

Test(handshake, memory_follows_what_arrives_not_what_is_declared)
{
    struct zu_handshake_config config = config_of(ZU_SOCKET_DEALER, "");
    struct zu_handshake hs;
    zu_handshake_init(&hs, &config);
    cr_assert_eq(FEED(&hs, GREETING_3_1 "\x06\0\0\0\0\0\0\xff\xff\x05READY"), 0);
    cr_assert_null(hs.in.heap);
    cr_assert_null(hs.out.heap);
    uint8_t piece[1000] = {0};
    cr_assert_eq(feed(&hs, piece, sizeof(piece)), 0);
    cr_assert_leq(hs.in.capacity, 2 * (sizeof(piece) + 15));
    zu_handshake_fini(&hs);
}

/* A mechanism that asks an outside judge: consume waits, the verdict decides. */
static int judged_consume(struct zu_mechanism *mechanism, const uint8_t *body, size_t size)
{
    (void)body, (void)size;
    mechanism->status = ZU_MECHANISM_WAITING;
    return 0;
}

static size_t judged_produce_max(const struct zu_mechanism *mechanism)
{
    return mechanism->status == ZU_MECHANISM_FAILED && mechanism->stage == 0 ? ZU_ERROR_SIZE_MAX : 0;
}

static ssize_t judged_produce(struct zu_mechanism *mechanism, uint8_t *out)
{
    mechanism->stage = 1;
    return (ssize_t)zu_error_encode(out, "400", 3);
}

Test(handshake, an_outside_verdict_is_waited_for)
{
    struct zu_mechanism_ops judged = zu_null_mechanism;
    judged.consume = judged_consume;
    judged.produce_max = judged_produce_max;
    judged.produce = judged_produce;
    struct zu_handshake_config config = config_of(ZU_SOCKET_DEALER, "");
    config.mechanism = &judged;
    for (int good = 0; good < 2; good++) {
        struct zu_handshake hs;
        size_t used;
        zu_handshake_init(&hs, &config);
        cr_assert_eq(zu_handshake_feed(&hs, BYTES(GREETING_3_1 READY_ROUTER "\x04\x03"), &used), 0);
        cr_assert_eq(used, 64u + 0x2e, "input is left alone while waiting");
        EXPECT(&hs, GREETING_3_1);
        cr_assert_eq(zu_handshake_feed(&hs, BYTES("\x04\x03"), &used), 0);
        cr_assert_eq(used, 0u);
        hs.mechanism.status = good ? ZU_MECHANISM_READY : ZU_MECHANISM_FAILED;
        cr_assert_eq(zu_handshake_feed(&hs, NULL, 0, &used), good ? 1 : -EPROTO);
        if (good)
            EXPECT(&hs, "");
        else
            EXPECT(&hs, "\x04\x0a\x05"
                        "ERROR\x03"
                        "400");
        zu_handshake_fini(&hs);
    }
}

/* A mechanism of several commands each way: it answers each with its own size, and the third ends it. */
static int talk_consume(struct zu_mechanism *mechanism, const uint8_t *body, size_t size)
{
    cr_assert_eq(size, 10 * (size_t)(mechanism->stage / 2 + 1));
    cr_assert_eq(body[size - 1], 'a' + mechanism->stage / 2);
    mechanism->stage++;
    return 0;
}

static size_t talk_produce_max(const struct zu_mechanism *mechanism)
{
    return mechanism->stage & 1 ? 400 : 0;
}

static ssize_t talk_produce(struct zu_mechanism *mechanism, uint8_t *out)
{
    memset(out, 'A', 300);
    if (++mechanism->stage == 6)
        mechanism->status = ZU_MECHANISM_READY;
    return 300;
}

Test(handshake, several_commands_each_way)
{
    struct zu_mechanism_ops talk = zu_null_mechanism;
    talk.consume = talk_consume;
    talk.produce_max = talk_produce_max;
    talk.produce = talk_produce;
    struct zu_handshake_config config = config_of(ZU_SOCKET_DEALER, "");
    config.mechanism = &talk;
    struct zu_handshake hs;
    zu_handshake_init(&hs, &config);
    static const char script[] = GREETING_3_1 "\x04\x0a.........a\x04\x14...................b"
                                              "\x04\x1e.............................c";
    uint8_t expected[64 + 3 * 309] = GREETING_3_1;
    for (size_t i = 0; i < 3; i++) {
        memcpy(expected + 64 + i * 309, "\x06\0\0\0\0\0\0\x01\x2c", 9);
        memset(expected + 64 + i * 309 + 9, 'A', 300);
    }
    cr_assert_eq(feed(&hs, (const uint8_t *)script, sizeof(script) - 1), 1);
    expect_output(&hs, expected, sizeof(expected));
    zu_handshake_fini(&hs);
}

static uint64_t random_state;

static uint64_t random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static size_t hostile_bytes(uint8_t *bytes, size_t capacity)
{
    static const struct {
        const uint8_t *bytes;
        size_t size;
    } scripts[] = {
        {BYTES(GREETING_3_1 READY_ROUTER)},
        {BYTES(GREETING_3_0 READY_PUB)},
        {BYTES(SIGNATURE "\x01\x06\0\x03xyz")},
        {BYTES(GREETING_3_1 "\x04\x0a\x05"
                            "ERROR\x03"
                            "400")},
        {BYTES(GREETING_3_1 "\x06\0\0\0\0\0\0\xff\xff\x05READY")},
    };
    size_t script = random_next() % (sizeof(scripts) / sizeof(scripts[0]));
    size_t size = scripts[script].size;
    memcpy(bytes, scripts[script].bytes, size);
    /* A tail of noise, then a few octets changed, most of them behind the greeting. */
    for (size_t tail = random_next() % 2 ? random_next() % (capacity - size) : 0; tail > 0; tail--)
        bytes[size++] = (uint8_t)random_next();
    for (size_t changes = random_next() % 6; changes > 0; changes--) {
        size_t from = random_next() % 4 && size > 64 ? 64 : 0;
        bytes[from + random_next() % (size - from)] = (uint8_t)random_next();
    }
    return size;
}

Test(handshake, hostile_bytes)
{
    const char *given = getenv("ZURING_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) * 2654435761u + 1;
    fprintf(stderr, "hostile_bytes: ZURING_SEED=%llu\n", (unsigned long long)seed);
    random_state = seed ? seed : 1;
    static uint8_t bytes[1024];
    int outcomes[3] = {0};
    for (int round = 0; round < 20000; round++) {
        size_t size = hostile_bytes(bytes, round % 16 ? 256 : sizeof(bytes));
        struct zu_handshake_config config = config_of((unsigned)(random_next() % ZU_SOCKET_TYPE_COUNT), "id");
        config.message_size_max = random_next() % 2 ? -1 : (int64_t)(random_next() % 300);
        struct zu_handshake hs;
        zu_handshake_init(&hs, &config);
        int rc = 0;
        for (size_t at = 0; at < size && rc == 0;) {
            size_t used, piece = 1 + random_next() % 40;
            if (piece > size - at)
                piece = size - at;
            rc = zu_handshake_feed(&hs, bytes + at, piece, &used);
            cr_assert_leq(used, piece);
            cr_assert(rc != 0 || used == piece, "stuck");
            cr_assert_leq(hs.in.capacity + hs.out.capacity + hs.mechanism.metadata.size,
                          (size_t)ZU_HANDSHAKE_MEMORY_MAX);
            at += used;
        }
        cr_assert(rc >= 0 || rc == -EPROTO || rc == -EMSGSIZE || rc == -EPROTONOSUPPORT, "%d", rc);
        outcomes[rc < 0 ? 0 : rc + 1]++;
        size_t identity_size;
        const uint8_t *identity = zu_handshake_identity(&hs, &identity_size);
        cr_assert(rc != 1 || !identity || identity[identity_size - 1] <= 255);
        zu_handshake_fini(&hs);
    }
    /* All three outcomes must occur, or the bytes test nothing. */
    cr_assert(outcomes[0] > 100 && outcomes[1] > 100 && outcomes[2] > 100, "%d failed, %d open, %d done", outcomes[0],
              outcomes[1], outcomes[2]);
}

Test(handshake, failure_values_are_those_of_the_api)
{
    cr_assert_eq((int)ZU_PROTOCOL_ERROR_UNSPECIFIED, ZMQ_PROTOCOL_ERROR_ZMTP_UNSPECIFIED);
    cr_assert_eq((int)ZU_PROTOCOL_ERROR_UNEXPECTED_COMMAND, ZMQ_PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND);
    cr_assert_eq((int)ZU_PROTOCOL_ERROR_INVALID_SEQUENCE, ZMQ_PROTOCOL_ERROR_ZMTP_INVALID_SEQUENCE);
    cr_assert_eq((int)ZU_PROTOCOL_ERROR_KEY_EXCHANGE, ZMQ_PROTOCOL_ERROR_ZMTP_KEY_EXCHANGE);
    cr_assert_eq((int)ZU_PROTOCOL_ERROR_MALFORMED_UNSPECIFIED, ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_UNSPECIFIED);
    cr_assert_eq((int)ZU_PROTOCOL_ERROR_MALFORMED_MESSAGE, ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_MESSAGE);
    cr_assert_eq((int)ZU_PROTOCOL_ERROR_MALFORMED_HELLO, ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_HELLO);
    cr_assert_eq((int)ZU_PROTOCOL_ERROR_MALFORMED_INITIATE, ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_INITIATE);
    cr_assert_eq((int)ZU_PROTOCOL_ERROR_MALFORMED_ERROR, ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_ERROR);
    cr_assert_eq((int)ZU_PROTOCOL_ERROR_MALFORMED_READY, ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_READY);
    cr_assert_eq((int)ZU_PROTOCOL_ERROR_MALFORMED_WELCOME, ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_WELCOME);
    cr_assert_eq((int)ZU_PROTOCOL_ERROR_INVALID_METADATA, ZMQ_PROTOCOL_ERROR_ZMTP_INVALID_METADATA);
    cr_assert_eq((int)ZU_PROTOCOL_ERROR_CRYPTOGRAPHIC, ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC);
    cr_assert_eq((int)ZU_PROTOCOL_ERROR_MECHANISM_MISMATCH, ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH);
}
