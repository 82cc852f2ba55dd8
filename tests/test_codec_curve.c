/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <sodium.h>

#include "codec_kit.h"
#include "curve_pair.h"
#include "wire/socket_type.h"

enum { BODY_MAX = 1 << 20 };

static uint8_t body[BODY_MAX];

static void pair(struct zu_codec **ret_client, struct zu_codec **ret_server)
{
    static const struct curve_ends ends = {ZU_SOCKET_PUSH, ZU_SOCKET_PULL, UINT64_MAX, 0};
    curve_pair(ret_client, ret_server, &ends);
}

static void write_sized(uint64_t message, size_t size, bool more)
{
    for (size_t i = 0; i < size; i++)
        body[i] = octet(message, i);
    cr_assert_eq(zu_pipe_write(out, body, size, more), 0);
}

static struct bytes wire_of(struct zu_codec *codec)
{
    struct bytes wire = {.data = malloc(WIRE_MAX)};
    while (step(codec, SIZE_MAX, &wire))
        ;
    return wire;
}

/* Heard at once, as far as it fits what is received at once. */
static int hear_all(struct zu_codec *codec, const uint8_t *bytes, size_t size, struct collection *got)
{
    int err = 0;
    for (size_t at = 0; !err && at < size;) {
        size_t piece = size - at < ZU_RECEIVE_SIZE ? size - at : ZU_RECEIVE_SIZE;
        err = decode(codec, bytes + at, piece, got);
        at += piece;
    }
    return err;
}

/* The n-th frame on the wire; returns where the one behind it begins. */
static size_t outer_at(const struct bytes *wire, unsigned n)
{
    struct zu_frame_head head = {0};
    size_t at = 0;
    for (; n > 0; n--) {
        cr_assert_eq(zu_frame_decode(wire->data + at, wire->size - at, &head), 1);
        at += head.head_size + head.size;
    }
    return at;
}

Test(codec_curve, frames_of_all_sizes_there_and_back)
{
    static const size_t sizes[] = {0,     1,     31,    221,   222,   223,    255,    256,    4096,    8150,
                                   8192,  12249, 12288, 16384, 20000, 65000,  65494,  65536,  70000,   131072,
                                   262000, 262144, 300000, 1000000, BODY_MAX, 0, 0, 1};
    enum { COUNT = sizeof sizes / sizeof sizes[0] };
    struct zu_codec *from, *to;
    begin();
    pair(&from, &to);
    for (uint64_t i = 0; i < COUNT; i++)
        write_sized(i, sizes[i], false);
    struct bytes wire = wire_of(from);
    struct collection got = collection_make();
    cr_assert_eq(hear_all(to, wire.data, wire.size, &got), 0);
    cr_assert_eq(check_delivered(&got.bytes, 0), (uint64_t)COUNT);
    size_t at = 0;
    for (unsigned i = 0; i < COUNT; i++) {
        struct zu_frame_head head;
        cr_assert_eq(zu_frame_decode(got.bytes.data + at, got.bytes.size - at, &head), 1);
        cr_assert_eq(head.size, sizes[i]);
        cr_assert_eq(head.flags & ~ZU_FRAME_LONG, 0);
        at += head.head_size + head.size;
    }
    cr_assert_eq(at, got.bytes.size);
    cr_assert_eq(zu_pipe_count(out).held, 0u);
    zu_codec_free(from);
    zu_codec_free(to);
    free(wire.data);
    free(got.bytes.data);
    end();
}

Test(codec_curve, nothing_of_a_message_shows_on_the_wire)
{
    struct zu_codec *from, *to;
    begin();
    pair(&from, &to);
    cr_assert_eq(zu_pipe_write(out, "attack at dawn", 14, true), 0);
    cr_assert_eq(zu_pipe_write(out, "attack at dawn", 14, false), 0);
    struct bytes wire = wire_of(from);
    cr_assert_eq(wire.size, 2u * (2 + ZU_CURVE_MESSAGE_LEAD + 14));
    cr_assert_null(memmem(wire.data, wire.size, "attack", 6));
    cr_assert_arr_eq(wire.data, "\0\x2f\7MESSAGE", 10, "MORE is sealed, too");
    cr_assert_arr_eq(wire.data + wire.size / 2, "\0\x2f\7MESSAGE", 10);
    cr_assert_neq(memcmp(wire.data + 26, wire.data + wire.size / 2 + 26, 23), 0);
    zu_codec_free(from);
    zu_codec_free(to);
    free(wire.data);
    end();
}

/* Parts, a subscription, a heartbeat: what each end of a connection without CURVE would see. */
Test(codec_curve, parts_and_commands_keep_their_flags)
{
    static const uint8_t ping[] = "\4\7\4PING\0\0";
    static const char expected[] = "\4\7\4PING\0\0\1\1a\1\0\0\1c\4\x0b\x09SUBSCRIBEt\0\1z";
    struct zu_codec *from, *to;
    begin();
    curve_pair(&from, &to, &(struct curve_ends){ZU_SOCKET_XSUB, ZU_SOCKET_XPUB, UINT64_MAX, 0});
    cr_assert_eq(zu_pipe_write(out, "a", 1, true), 0);
    cr_assert_eq(zu_pipe_write(out, "", 0, true), 0);
    cr_assert_eq(zu_pipe_write(out, "c", 1, false), 0);
    cr_assert_eq(zu_pipe_write_record(out, "\x09SUBSCRIBE", 10, "t", 1), 0);
    cr_assert_eq(zu_pipe_write(out, "z", 1, false), 0);
    size_t control = sizeof ping - 1;
    cr_assert_eq(zu_codec_fill(from, out, ping, &control, ZU_GATHER_STAY_AWAKE), 1);
    cr_assert_eq(control, 0u);
    struct bytes wire = wire_of(from);
    struct collection got = collection_make();
    cr_assert_eq(hear_all(to, wire.data, wire.size, &got), 0);
    cr_assert_eq(got.bytes.size, sizeof expected - 1);
    cr_assert_arr_eq(got.bytes.data, expected, sizeof expected - 1);
    zu_codec_free(from);
    zu_codec_free(to);
    free(wire.data);
    free(got.bytes.data);
    end();
}

/* Each cut is another connection, since what is opened is gone. */
Test(codec_curve, cut_at_every_octet)
{
    struct collection got = collection_make();
    size_t size = 1;
    for (size_t cut = 0; cut < size; cut++) {
        struct zu_codec *from, *to;
        begin();
        pair(&from, &to);
        write_sized(0, 5, true);
        write_sized(0, 0, false);
        write_sized(1, 300, false);
        write_sized(2, 1, false);
        struct bytes wire = wire_of(from);
        size = wire.size;
        got.bytes.size = 0;
        if (cut)
            cr_assert_eq(decode(to, wire.data, cut, &got), 0);
        cr_assert_eq(decode(to, wire.data + cut, size - cut, &got), 0);
        cr_assert_eq(check_delivered(&got.bytes, 0), 3u, "cut at %zu", cut);
        zu_codec_free(from);
        zu_codec_free(to);
        free(wire.data);
        end();
    }
    free(got.bytes.data);
}

Test(codec_curve, octet_by_octet)
{
    static const size_t sizes[] = {0, 5, 300, 20000};
    struct zu_codec *from, *to;
    begin();
    pair(&from, &to);
    for (uint64_t i = 0; i < 4; i++)
        write_sized(i, sizes[i], false);
    struct bytes wire = wire_of(from);
    struct collection got = collection_make();
    for (size_t i = 0; i < wire.size; i++)
        cr_assert_eq(decode(to, wire.data + i, 1, &got), 0);
    cr_assert_eq(check_delivered(&got.bytes, 0), 4u);
    zu_codec_free(from);
    zu_codec_free(to);
    free(wire.data);
    free(got.bytes.data);
    end();
}

/* --- what ends a connection --- */

/* Three messages of `size` octets, of which the third is spoilt: two come, and a reason. */
static void expect_refusal(size_t size, void (*spoil)(struct bytes *wire), unsigned why)
{
    struct zu_codec *from, *to;
    begin();
    pair(&from, &to);
    for (uint64_t i = 0; i < 3; i++)
        write_sized(i, size, false);
    struct bytes wire = wire_of(from);
    struct collection got = collection_make();
    spoil(&wire);
    cr_assert_eq(hear_all(to, wire.data, wire.size, &got), -EPROTO);
    cr_assert_eq(to->protocol_error, why, "%#x instead of %#x", to->protocol_error, why);
    cr_assert_eq(check_delivered(&got.bytes, 0), 2u);
    cr_assert_eq(got.bytes.size, 2 * (size + (size > ZU_FRAME_SHORT_MAX ? 9 : 2)), "and nothing else");
    zu_codec_free(from);
    zu_codec_free(to);
    free(wire.data);
    free(got.bytes.data);
    end();
}

static void replay(struct bytes *wire)
{
    memcpy(wire->data + outer_at(wire, 2), wire->data + outer_at(wire, 1), outer_at(wire, 1));
}

static void replay_first(struct bytes *wire)
{
    memcpy(wire->data + outer_at(wire, 2), wire->data, outer_at(wire, 1));
}

static void change_last(struct bytes *wire)
{
    wire->data[wire->size - 1] ^= 1;
}

static void change_nonce(struct bytes *wire)
{
    wire->data[outer_at(wire, 2) + (wire->data[outer_at(wire, 2)] & ZU_FRAME_LONG ? 9 : 2) + 8] ^= 1;
}

static void change_name(struct bytes *wire)
{
    wire->data[outer_at(wire, 2) + (wire->data[outer_at(wire, 2)] & ZU_FRAME_LONG ? 9 : 2) + 7] ^= 1;
}

/* A frame without CURVE. */
static void smuggle(struct bytes *wire)
{
    size_t at = outer_at(wire, 2);
    memcpy(wire->data + at, "\0\2hi", 4);
    wire->size = at + 4;
}

Test(codec_curve, the_first_that_does_not_open_is_the_end)
{
    static const size_t sizes[] = {0, 1, 200, 300, 5000, 20000, 100000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        expect_refusal(sizes[i], replay, ZU_PROTOCOL_ERROR_INVALID_SEQUENCE);
        expect_refusal(sizes[i], replay_first, ZU_PROTOCOL_ERROR_INVALID_SEQUENCE);
        expect_refusal(sizes[i], change_last, ZU_PROTOCOL_ERROR_CRYPTOGRAPHIC);
        expect_refusal(sizes[i], change_nonce, ZU_PROTOCOL_ERROR_CRYPTOGRAPHIC);
        expect_refusal(sizes[i], change_name, ZU_PROTOCOL_ERROR_UNEXPECTED_COMMAND);
        expect_refusal(sizes[i], smuggle, ZU_PROTOCOL_ERROR_MALFORMED_MESSAGE);
    }
}

Test(codec_curve, messages_in_another_order_are_refused)
{
    struct zu_codec *from, *to;
    begin();
    pair(&from, &to);
    for (uint64_t i = 0; i < 2; i++)
        write_sized(i, 10, false);
    struct bytes wire = wire_of(from);
    struct collection got = collection_make();
    size_t half = wire.size / 2;
    cr_assert_eq(decode(to, wire.data + half, half, &got), 0);
    cr_assert_eq(decode(to, wire.data, half, &got), -EPROTO);
    cr_assert_eq(to->protocol_error, (unsigned)ZU_PROTOCOL_ERROR_INVALID_SEQUENCE);
    zu_codec_free(from);
    zu_codec_free(to);
    free(wire.data);
    free(got.bytes.data);
    end();
}

Test(codec_curve, the_limit_is_the_payloads_and_seen_in_the_head)
{
    static const uint8_t huge[] = {2, 0x40, 0, 0, 0, 0, 0, 0, 0}, impossible[] = {2, 0x80, 0, 0, 0, 0, 0, 0, 0};
    struct zu_codec *from, *to;
    begin();
    curve_pair(&from, &to, &(struct curve_ends){ZU_SOCKET_PUSH, ZU_SOCKET_PULL, 100, 0});
    write_sized(0, 100, false);
    write_sized(1, 101, false);
    struct bytes wire = wire_of(from);
    struct collection got = collection_make();
    cr_assert_eq(hear_all(to, wire.data, outer_at(&wire, 1) + 2, &got), -EMSGSIZE);
    cr_assert_eq(check_delivered(&got.bytes, 0), 1u);
    zu_codec_free(from);
    zu_codec_free(to);
    pair(&from, &to);
    cr_assert_eq(decode(to, huge, sizeof huge, &got), 0, "a promise costs nothing");
    cr_assert_eq(decode(to, wire.data, 100, &got), 0);
    zu_codec_free(to);
    zu_codec_free(from);
    pair(&from, &to);
    cr_assert_eq(decode(to, impossible, sizeof impossible, &got), -EPROTO);
    zu_codec_free(to);
    zu_codec_free(from);
    free(wire.data);
    free(got.bytes.data);
    end();
}

Test(codec_curve, nonces_that_are_used_up_end_the_connection_and_lose_nothing)
{
    struct zu_codec *from, *to;
    size_t none = 0;
    begin();
    curve_pair(&from, &to, &(struct curve_ends){ZU_SOCKET_PUSH, ZU_SOCKET_PULL, UINT64_MAX, UINT64_MAX - 1});
    write_sized(0, 10, false);
    write_sized(1, 10, false);
    write_sized(2, 10, false);
    cr_assert_eq(zu_codec_fill(from, out, NULL, &none, ZU_GATHER_STAY_AWAKE), -EPROTO);
    zu_codec_free(from);
    zu_codec_free(to);
    zu_pipe_rewind(out);
    pair(&from, &to);
    struct bytes wire = wire_of(from);
    struct collection got = collection_make();
    cr_assert_eq(hear_all(to, wire.data, wire.size, &got), 0);
    cr_assert_eq(check_delivered(&got.bytes, 0), 3u);
    zu_codec_free(from);
    zu_codec_free(to);
    free(wire.data);
    free(got.bytes.data);
    end();
}

Test(codec_curve, over_connections_that_end)
{
    over_connections_that_end("curve", pair);
}
