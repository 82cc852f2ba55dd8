/* SPDX-License-Identifier: MIT */
#include "link/codec.h"

#include <criterion/criterion.h>

#include "flow.h"
#include "flow/record.h"
#include "wire/socket_type.h"

enum { WIRE_MAX = 1 << 23, HELD_MAX = 60 };

/* What went over the wire, or was delivered. */
struct bytes {
    uint8_t *data;
    size_t size;
};

static struct ear ear;
static struct zu_pipe *out;

static struct zu_codec *codec_make(enum zu_wire_version version, unsigned type, uint32_t epoch)
{
    struct zu_codec_case which = {.version = version, .socket_type = type, .epoch = epoch};
    int err = 0;
    struct zu_codec *codec = zu_codec_new(&which, &err);
    cr_assert(codec != NULL && err == 0);
    return codec;
}

static void begin(void)
{
    ear_init(&ear);
    out = zu_pipe_new(0);
    zu_pipe_set_reader(out, &ear.box, &ear.note);
    zu_pipe_set_writer(out, &ear.box, &ear.note);
}

static void end(void)
{
    zu_pipe_end(out);
    zu_pipe_leave(out);
}

/* The kernel takes at most `most` bytes of what there is to send. False: nothing is. */
static bool step(struct zu_codec *codec, size_t most, struct bytes *wire)
{
    size_t none = 0, taken = 0;
    int got = zu_codec_fill(codec, out, NULL, &none, ZU_GATHER_STAY_AWAKE);
    cr_assert_geq(got, 0);
    if (!got)
        return false;
    const struct zu_batch *batch = &codec->batch;
    for (unsigned i = batch->first; i < batch->count && taken < most; i++) {
        size_t size = batch->pieces[i].iov_len < most - taken ? batch->pieces[i].iov_len : most - taken;
        cr_assert_leq(wire->size + size, (size_t)WIRE_MAX);
        memcpy(wire->data + wire->size, batch->pieces[i].iov_base, size);
        wire->size += size;
        taken += size;
    }
    zu_codec_sent(codec, out, taken);
    return true;
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

struct collection {
    struct zu_delivery base;
    struct bytes bytes; /* what was delivered */
};

static int collect(struct zu_delivery *base, const uint8_t *bytes, size_t size)
{
    struct bytes *to = &((struct collection *)base)->bytes;
    cr_assert_leq(to->size + size, (size_t)WIRE_MAX);
    memcpy(to->data + to->size, bytes, size);
    to->size += size;
    return 0;
}

static int collect_chunk(struct zu_delivery *base, struct zu_chunk *chunk, uint32_t from, uint32_t size)
{
    collect(base, chunk->data + from, size);
    zu_chunk_unref(chunk);
    return 0;
}

static struct collection collection_make(void)
{
    return (struct collection){.base = {.bytes = collect, .chunk = collect_chunk}, .bytes.data = malloc(WIRE_MAX)};
}

static int decode(struct zu_codec *codec, const void *bytes, size_t size, struct collection *to)
{
    struct zu_chunk *chunk = zu_chunk_new(ZU_CHUNK_RUNG_RECEIVE);
    cr_assert_leq(size, (size_t)ZU_RECEIVE_SIZE);
    memcpy(chunk->data + ZU_RECEIVE_HEADROOM, bytes, size);
    int err = codec->ops->decode(codec, chunk, ZU_RECEIVE_HEADROOM, (uint32_t)size, &to->base);
    zu_chunk_unref(chunk);
    return err;
}

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

static uint8_t octet(uint64_t message, size_t n)
{
    return (uint8_t)(message * 31 + n);
}

static void write_random(struct chance *chance, uint64_t message)
{
    static const size_t sizes[] = {1, 300, 253, 256, 5000, 30000};
    static uint8_t body[30000];
    for (uint64_t part = 1 + (chance_below(chance, 4) == 0) * chance_below(chance, 5); part > 0; part--) {
        size_t size = chance_below(chance, sizes[chance_below(chance, 6)] + 1);
        for (size_t i = 0; i < size; i++)
            body[i] = octet(message, i);
        cr_assert_eq(zu_pipe_write(out, body, size, part > 1), 0);
    }
}

/* Checks the whole messages among what was delivered; returns how many there are from number `first` on. */
static uint64_t check_delivered(const struct bytes *bytes, uint64_t first)
{
    uint64_t message = first;
    struct zu_frame_head head;
    for (size_t at = 0; zu_frame_decode(bytes->data + at, bytes->size - at, &head) == 1;) {
        at += head.head_size;
        if (head.size > bytes->size - at)
            break;
        for (size_t i = 0; i < head.size; i++)
            cr_assert_eq(bytes->data[at + i], octet(message, i), "message %llu", (unsigned long long)message);
        at += head.size;
        message += !(head.flags & ZU_FRAME_MORE);
    }
    return message - first;
}

/* Short sends, pieces of every size, connections that end anywhere: nothing is lost, doubled or out of order. */
Test(codec, v1_over_connections_that_end)
{
    struct chance chance = chance_new("v1");
    uint64_t written = 0, delivered = 0;
    begin();
    for (int connection = 0; connection < 200; connection++) {
        struct zu_codec *from = codec_make(ZU_WIRE_1_0, ZU_SOCKET_PUSH, 2), *to = codec_make(ZU_WIRE_1_0, ZU_SOCKET_PULL, 1);
        struct bytes wire = {.data = malloc(WIRE_MAX)};
        struct collection got = collection_make();
        size_t heard = 0;
        bool is_last = connection == 199;
        uint64_t turns = is_last ? UINT64_MAX : 1 + chance_below(&chance, 60);
        for (; turns > 0; turns--) {
            for (uint64_t n = chance_below(&chance, 8); n > 0 && !is_last && zu_pipe_count(out).held < HELD_MAX; n--)
                write_random(&chance, written++);
            if (wire.size > WIRE_MAX / 2 && !is_last)
                break;
            if (!step(from, 1 + chance_below(&chance, chance_below(&chance, 3) ? 2000 : 100000), &wire) && is_last)
                break;
            while (heard < wire.size) {
                size_t size = 1 + chance_below(&chance, chance_below(&chance, 4) ? 20000 : 20);
                size = size < wire.size - heard ? size : wire.size - heard;
                cr_assert_eq(decode(to, wire.data + heard, size, &got), 0);
                heard += size;
            }
        }
        delivered += check_delivered(&got.bytes, delivered);
        cr_assert_eq(zu_pipe_count(out).consumed, delivered, "connection %d", connection);
        zu_codec_free(from);
        zu_codec_free(to);
        zu_pipe_rewind(out);
        free(wire.data);
        free(got.bytes.data);
    }
    cr_assert_eq(delivered, written);
    end();
}
