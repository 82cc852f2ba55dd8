/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target for codecs. The first octet says which decoder hears the rest, in pieces that it chooses too; or the
 * rest are frames, records among them, that go through the seam and out. What a decoder delivers must be frames as a
 * pipe takes them.
 */
#include <stdlib.h>
#include <string.h>

#include "flow/pipe_feed.h"
#include "link/codec.h"
#include "wire/socket_type.h"

#include "fuzz.h"

struct sink {
    struct zu_delivery base;
    struct zu_pipe *in;
    struct zu_feed_limits limits;
    uint64_t skip; /* octets of a large frame that are still to come */
};

static int on_command(void *context, const uint8_t *body, size_t size)
{
    (void)context, (void)body, (void)size;
    abort(); /* neither 1.0 nor raw bytes have any */
}

/* A large frame is no more than passed over. */
static int take(struct zu_delivery *base, const uint8_t *bytes, size_t size)
{
    struct sink *sink = (struct sink *)base;
    size_t skipped = sink->skip < size ? (size_t)sink->skip : size;
    sink->skip -= skipped;
    struct zu_feed_want want = {0};
    int err = skipped == size ? 0 : zu_pipe_feed_bytes(sink->in, bytes + skipped, size - skipped, &sink->limits, &want);
    return !err && want.size ? -EMSGSIZE : err; /* enough: what comes now would belong to it */
}

static int take_chunk(struct zu_delivery *base, struct zu_chunk *chunk, uint32_t from, uint32_t size)
{
    struct zu_feed_want want = {0};
    struct sink *sink = (struct sink *)base;
    return zu_pipe_feed(sink->in, chunk, from, size, &sink->limits, &want);
}

static struct zu_codec *codec_make(unsigned version, unsigned type, uint32_t epoch)
{
    struct zu_codec_case which = {.version = version, .socket_type = type, .epoch = epoch};
    int err;
    struct zu_codec *codec = zu_codec_new(&which, &err);
    REQUIRE(codec);
    return codec;
}

static void fuzz_decode(unsigned version, unsigned piece, const uint8_t *data, size_t size)
{
    struct zu_codec *codec = codec_make(version, ZU_SOCKET_PULL, 1);
    struct sink sink = {.base = {.bytes = take, .chunk = take_chunk}, .in = zu_pipe_new(0)};
    sink.limits = (struct zu_feed_limits){.frame_max = 1 << 20, .open_max = 1 << 20, .command = on_command};
    int err = 0;
    for (size_t at = 0; !err && at < size;) {
        size_t step = size - at < piece ? size - at : piece;
        struct zu_chunk *chunk = zu_chunk_new(ZU_CHUNK_RUNG_RECEIVE);
        memcpy(chunk->data + ZU_RECEIVE_HEADROOM, data + at, step);
        err = codec->ops->decode(codec, chunk, ZU_RECEIVE_HEADROOM, (uint32_t)step, &sink.base);
        zu_chunk_unref(chunk);
        at += step;
    }
    REQUIRE(!err || err == -EPROTO || err == -EMSGSIZE || err == -ENOBUFS);
    REQUIRE(!err || version != ZU_WIRE_RAW);
    zu_codec_free(codec);
    zu_pipe_end(sink.in);
    zu_pipe_leave(sink.in);
}

/* Each frame: flags, a size, octets; then it all goes out, a few bytes at a time. */
static void fuzz_encode(unsigned version, unsigned piece, const uint8_t *data, size_t size)
{
    struct zu_pipe *out = zu_pipe_new(0);
    struct zu_codec *codec = codec_make(version, ZU_SOCKET_XSUB, 1 + piece % 3);
    bool inside = false;
    while (size >= 2 && size - 2 >= data[1]) {
        if (!inside && (data[0] & ZU_FRAME_COMMAND))
            REQUIRE(zu_pipe_write_record(out, data + 2, data[1], NULL, 0) == 0);
        else
            REQUIRE(zu_pipe_write(out, data + 2, data[1], inside = data[0] & ZU_FRAME_MORE) == 0);
        size -= 2 + data[1];
        data += 2 + data[1];
    }
    size_t none = 0;
    while (zu_codec_fill(codec, out, NULL, &none, ZU_GATHER_STAY_AWAKE) == 1) {
        uint64_t left = codec->batch.bytes - codec->batch.sent;
        REQUIRE(left);
        zu_codec_sent(codec, out, left < piece ? (size_t)left : piece);
    }
    REQUIRE(zu_pipe_count(out).held == 0);
    zu_codec_free(codec);
    zu_pipe_end(out);
    zu_pipe_leave(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned decoders[] = {ZU_WIRE_UNVERSIONED, ZU_WIRE_1_0, ZU_WIRE_RAW};
    static const unsigned versions[] = {ZU_WIRE_1_0, ZU_WIRE_2_0, ZU_WIRE_3_0, ZU_WIRE_3_1};
    if (size < 2)
        return 0;
    unsigned which = data[0] % 7, piece = 1 + data[1];
    if (which < 3)
        fuzz_decode(decoders[which], piece, data + 2, size - 2);
    else
        fuzz_encode(versions[which - 3], piece, data + 2, size - 2);
    return 0;
}
