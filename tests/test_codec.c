/* SPDX-License-Identifier: MIT */
#include "link/codec.h"

#include <criterion/criterion.h>

#include "codec_kit.h"
#include "flow/record.h"
#include "wire/socket_type.h"

static struct zu_codec *codec_make(enum zu_wire_version version, unsigned type, uint32_t epoch)
{
    struct zu_codec_case which = {.version = version, .socket_type = type, .epoch = epoch};
    int err = 0;
    struct zu_codec *codec = zu_codec_new(&which, &err);
    cr_assert(codec != NULL && err == 0);
    return codec;
}

static void expect_wire(struct zu_codec *codec, const void *bytes, size_t size)
{
    struct bytes wire = {.data = malloc(WIRE_MAX)};
    while (step(codec, SIZE_MAX, &wire))
        ;
    cr_assert_eq(wire.size, size, "%zu octets instead of %zu", wire.size, size);
    cr_assert_arr_eq(wire.data, bytes, size);
    free(wire.data);
}
#define EXPECT_WIRE(codec, literal) expect_wire(codec, literal, sizeof(literal) - 1)

static void mark(uint32_t epoch)
{
    uint8_t marker[ZU_RECORD_MARKER_SIZE];
    zu_record_marker_encode(marker, epoch);
    cr_assert_eq(zu_pipe_write_record(out, marker, sizeof marker, NULL, 0), 0);
}

static void subscribe(const char *prefix)
{
    cr_assert_eq(zu_pipe_write_record(out, ZU_RECORD_SUBSCRIBE, ZU_RECORD_SUBSCRIBE_SIZE, prefix, strlen(prefix)), 0);
}

static void cancel(const char *prefix)
{
    cr_assert_eq(zu_pipe_write_record(out, ZU_RECORD_CANCEL, ZU_RECORD_CANCEL_SIZE, prefix, strlen(prefix)), 0);
}

static void write_message(const char *text)
{
    cr_assert_eq(zu_pipe_write(out, text, strlen(text), false), 0);
}

Test(codec, most_connections_have_none)
{
    struct zu_codec_case which = {.version = ZU_WIRE_3_0, .socket_type = ZU_SOCKET_PUSH, .epoch = 1};
    int err = 1;
    cr_assert_null(zu_codec_new(&which, &err));
    cr_assert_eq(err, 0);
}

Test(codec, subscriptions_are_said_as_the_peer_hears_them)
{
    static const struct {
        enum zu_wire_version version;
        const char *wire;
        size_t size;
    } rows[] = {
#define WIRE(literal) literal, sizeof(literal) - 1
        {ZU_WIRE_3_1, WIRE("\4\x0c\x09SUBSCRIBEab\0\1m\4\x07\6CANCEL")},
        {ZU_WIRE_3_0, WIRE("\0\3\1ab\0\1m\0\1\0")},
        {ZU_WIRE_2_0, WIRE("\0\3\1ab\0\1m\0\1\0")},
        {ZU_WIRE_1_0, WIRE("\4\0\1ab\2\0m\2\0\0")},
        {ZU_WIRE_UNVERSIONED, WIRE("\4\0\1ab\2\0m\2\0\0")},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        begin();
        struct zu_codec *codec = codec_make(rows[i].version, ZU_SOCKET_XSUB, 1);
        subscribe("ab");
        write_message("m");
        cancel("");
        expect_wire(codec, rows[i].wire, rows[i].size);
        cr_assert_eq(zu_pipe_count(out).held, 0u);
        zu_codec_free(codec);
        end();
    }
}

/* libzmq forgets to say LONG there. */
Test(codec, a_subscription_of_255_octets)
{
    char prefix[256] = {0}, wire[9 + 256] = "\2\0\0\0\0\0\0\1\0\1";
    memset(prefix, 'p', 255);
    memset(wire + 10, 'p', 255);
    begin();
    struct zu_codec *codec = codec_make(ZU_WIRE_3_0, ZU_SOCKET_SUB, 1);
    subscribe(prefix);
    expect_wire(codec, wire, sizeof wire);
    zu_codec_free(codec);
    end();
}

Test(codec, what_lies_before_its_mark_is_void)
{
    begin();
    struct zu_codec *first = codec_make(ZU_WIRE_3_1, ZU_SOCKET_XSUB, 1);
    subscribe("a");
    EXPECT_WIRE(first, "\4\x0b\x09SUBSCRIBEa");
    subscribe("b");
    zu_codec_free(first);
    zu_pipe_rewind(out);
    struct zu_codec *third = codec_make(ZU_WIRE_3_1, ZU_SOCKET_XSUB, 3);
    write_message("late");
    EXPECT_WIRE(third, "");
    mark(2);
    subscribe("c");
    EXPECT_WIRE(third, "");
    cr_assert_eq(zu_pipe_count(out).held, 0u, "what is void is gone");
    mark(3);
    subscribe("d");
    write_message("m");
    EXPECT_WIRE(third, "\4\x0b\x09SUBSCRIBEd\0\1m");
    zu_codec_free(third);
    end();
}

/* Others than SUB and XSUB have no marks to wait for. */
Test(codec, a_second_connection_of_old_zmtp)
{
    begin();
    struct zu_codec *codec = codec_make(ZU_WIRE_1_0, ZU_SOCKET_PUSH, 2);
    write_message("m");
    EXPECT_WIRE(codec, "\2\0m");
    zu_codec_free(codec);
    end();
}

Test(codec, control_frames_go_between_messages)
{
    static const uint8_t ping[] = "\4\7\4PING\0\0", both[] = "\4\7\4PING\0\0\4\5\4PONG";
    begin();
    struct zu_codec *codec = codec_make(ZU_WIRE_3_1, ZU_SOCKET_XSUB, 1);
    struct bytes wire = {.data = malloc(WIRE_MAX)};
    write_message("hello");
    cr_assert(step(codec, 3, &wire));
    size_t size = sizeof ping - 1;
    cr_assert_eq(zu_codec_fill(codec, out, ping, &size, ZU_GATHER_STAY_AWAKE), 1);
    cr_assert_eq(size, sizeof ping - 1, "in the midst of a message");
    cr_assert(step(codec, SIZE_MAX, &wire));
    write_message("x");
    size = sizeof both - 1;
    cr_assert_eq(zu_codec_fill(codec, out, both, &size, ZU_GATHER_STAY_AWAKE), 1);
    cr_assert_eq(size, 0u);
    cr_assert_not(zu_codec_sent(codec, out, sizeof both - 2), "not all of them yet");
    cr_assert(zu_codec_sent(codec, out, 1));
    cr_assert_eq(zu_pipe_count(out).held, 1u);
    cr_assert_not(zu_codec_sent(codec, out, 3));
    cr_assert_eq(zu_pipe_count(out).held, 0u);
    zu_codec_free(codec);
    codec = codec_make(ZU_WIRE_2_0, ZU_SOCKET_XSUB, 1);
    size = sizeof ping - 1;
    cr_assert_eq(zu_codec_fill(codec, out, ping, &size, ZU_GATHER_STAY_AWAKE), 0, "2.0 knows none");
    cr_assert_eq(size, 0u);
    zu_codec_free(codec);
    free(wire.data);
    end();
}

/* --- decoding --- */

Test(codec, v1_refuses_a_length_of_0_behind_what_is_good)
{
    static const struct {
        const char *wire;
        size_t size;
    } rows[] = {{WIRE("\2\0m\0\0")}, {WIRE("\2\0m\xff\0\0\0\0\0\0\0\0")}, {WIRE("\2\0m\xff\x80\0\0\0\0\0\0\0")}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct collection got = collection_make();
        struct zu_codec *codec = codec_make(ZU_WIRE_1_0, ZU_SOCKET_PULL, 1);
        cr_assert_eq(decode(codec, rows[i].wire, rows[i].size, &got), -EPROTO);
        cr_assert_eq(got.bytes.size, 3u);
        cr_assert_arr_eq(got.bytes.data, "\0\1m", 3);
        free(got.bytes.data);
        zu_codec_free(codec);
    }
}

Test(codec, an_unversioned_peer_wants_all_of_a_publisher)
{
    static const unsigned types[] = {ZU_SOCKET_PUB, ZU_SOCKET_XPUB, ZU_SOCKET_PUSH};
    for (int i = 0; i < 6; i++) {
        struct collection got = collection_make();
        bool wants = i < 2;
        struct zu_codec *codec = codec_make(i < 3 ? ZU_WIRE_UNVERSIONED : ZU_WIRE_1_0, types[i % 3], 1);
        cr_assert_eq(codec->ops->begin(codec, &got.base), 0);
        cr_assert_eq(got.bytes.size, wants ? 3u : 0u);
        if (wants)
            cr_assert_arr_eq(got.bytes.data, "\0\1\1", 3);
        free(got.bytes.data);
        zu_codec_free(codec);
    }
}

Test(codec, raw_makes_a_message_of_what_comes_and_bytes_of_messages)
{
    static uint8_t page[300];
    begin();
    struct collection got = collection_make();
    struct zu_codec *codec = codec_make(ZU_WIRE_RAW, ZU_SOCKET_STREAM, 1);
    cr_assert_eq(decode(codec, "hello", 5, &got), 0);
    cr_assert_eq(decode(codec, page, sizeof page, &got), 0);
    cr_assert_eq(got.bytes.size, 7 + 9 + sizeof page);
    cr_assert_arr_eq(got.bytes.data, "\0\5hello\2\0\0\0\0\0\0\1\x2c", 16);
    write_message("one ");
    write_message("");
    write_message("two");
    EXPECT_WIRE(codec, "one two");
    cr_assert_eq(zu_pipe_count(out).held, 0u);
    free(got.bytes.data);
    zu_codec_free(codec);
    end();
}

/* --- there and back --- */

static void v1_pair(struct zu_codec **ret_from, struct zu_codec **ret_to)
{
    *ret_from = codec_make(ZU_WIRE_1_0, ZU_SOCKET_PUSH, 2);
    *ret_to = codec_make(ZU_WIRE_1_0, ZU_SOCKET_PULL, 1);
}

Test(codec, v1_over_connections_that_end)
{
    over_connections_that_end("v1", v1_pair);
}
