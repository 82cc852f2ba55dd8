/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target for CURVE's traffic. The input makes what a peer sends: plain texts that are sealed as they should be,
 * flags and all, so that what is inside is heard too; sealed ones of which an octet is changed; octets as they are. The
 * decoder gets it in pieces. Where all were good, all of them come; the first that is not ends it, with a reason where
 * the message is at fault.
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "flow/pipe_feed.h"
#include "link/codec.h"
#include "mem/alloc.h"
#include "wire/curve_box.h"
#include "wire/socket_type.h"

#include "fuzz.h"

enum { WIRE_MAX = 1 << 18, PLAIN_MAX = 40000, FRAME_MAX = 30000 };
enum { GOOD, CHANGED, RAW, LARGE, KINDS };

struct sink {
    struct zu_delivery base;
    struct zu_pipe *in;
    struct zu_feed_limits limits;
    uint64_t size; /* octets of frames that came */
};

static uint8_t wire[WIRE_MAX];
static const uint8_t key[32] = {1};

static int on_command(void *context, const uint8_t *body, size_t size)
{
    (void)context, (void)body, (void)size;
    return 0;
}

static int take(struct zu_delivery *base, const uint8_t *bytes, size_t size)
{
    struct sink *sink = (struct sink *)base;
    struct zu_feed_want want = {0};
    sink->size += size;
    int err = zu_pipe_feed_bytes(sink->in, bytes, size, &sink->limits, &want);
    REQUIRE(err || !want.size); /* whole frames only */
    return err;
}

static int take_chunk(struct zu_delivery *base, struct zu_chunk *chunk, uint32_t from, uint32_t size)
{
    struct sink *sink = (struct sink *)base;
    struct zu_feed_want want = {0};
    sink->size += size;
    int err = zu_pipe_feed(sink->in, chunk, from, size, &sink->limits, &want);
    REQUIRE(err || !want.size);
    return err;
}

static int take_buf(struct zu_delivery *base, unsigned flags, struct zu_buf *buf, uint8_t *body, size_t size)
{
    uint8_t frame[ZU_FRAME_HEAD_MAX];
    size_t head_size = zu_frame_encode(frame, flags, size);
    struct sink *sink = (struct sink *)base;
    struct zu_feed_want want = {0};
    sink->size += head_size + size;
    int err = zu_pipe_feed_bytes(sink->in, frame, head_size, &sink->limits, &want);
    if (err)
        return err;
    if (want.size) {
        zu_pipe_large_begin(sink->in, body, 0);
        zu_pipe_large_end(sink->in, buf, body, size);
        return 0;
    }
    err = zu_pipe_feed_bytes(sink->in, body, size, &sink->limits, &want);
    if (!err)
        zu_buf_unref(buf);
    return err;
}

/* A server's, behind a handshake that nobody had. */
static struct zu_codec *codec_make(void)
{
    static struct zu_handshake hs;
    struct zu_curve_state *state = zu_alloc_zero(sizeof *state);
    REQUIRE(sodium_init() >= 0);
    memcpy(state->session.key, key, sizeof key);
    state->session.is_server = true;
    hs.mechanism.ops = &zu_curve_server_mechanism;
    hs.mechanism.status = ZU_MECHANISM_READY;
    hs.mechanism.state = state;
    struct zu_codec_case which = {
        .version = ZU_WIRE_3_1, .socket_type = ZU_SOCKET_PULL, .epoch = 1, .frame_max = FRAME_MAX, .handshake = &hs};
    int err;
    struct zu_codec *codec = zu_codec_new(&which, &err);
    REQUIRE(codec && codec->ops == &zu_codec_curve);
    return codec;
}

static size_t frame_seal(uint8_t *out, uint64_t number, unsigned flags, const uint8_t *payload, size_t size)
{
    uint8_t nonce[24] = "CurveZMQMESSAGEC";
    size_t head_size = zu_frame_encode(out, 0, ZU_CURVE_MESSAGE_LEAD + size);
    uint8_t *body = out + head_size;
    number = htobe64(number);
    memcpy(nonce + 16, &number, 8);
    memcpy(body, "\7MESSAGE", 8);
    memcpy(body + 8, nonce + 16, 8);
    body[32] = (uint8_t)flags;
    if (size)
        memcpy(body + ZU_CURVE_MESSAGE_LEAD, payload, size);
    crypto_box_detached_afternm(body + 32, body + 16, body + 32, 1 + size, nonce, key);
    return head_size + ZU_CURVE_MESSAGE_LEAD + size;
}

/* Each of the input's: a kind, flags, a size, octets. Says whether the decoder must like all of them; their plain size. */
static size_t wire_make(const uint8_t *data, size_t size, bool *ret_good, uint64_t *ret_plain)
{
    static uint8_t large[PLAIN_MAX];
    size_t at = 0;
    for (uint64_t number = 1; size >= 3 && size - 3 >= data[2] && at < WIRE_MAX - PLAIN_MAX - 100; number++) {
        unsigned kind = data[0] % KINDS, flags = data[1];
        const uint8_t *payload = data + 3;
        size_t payload_size = data[2], begin = at;
        data += 3 + payload_size;
        size -= 3 + payload_size;
        if (kind == RAW) {
            memcpy(wire + at, payload, payload_size);
            at += payload_size;
            *ret_good = *ret_good && !payload_size;
            continue;
        }
        if (kind == LARGE) {
            payload_size *= 140;
            payload = large;
        }
        at += frame_seal(wire + at, number, flags, payload, payload_size);
        uint8_t head[ZU_FRAME_HEAD_MAX];
        *ret_plain += zu_frame_encode(head, 0, payload_size) + payload_size;
        /* Large commands and commands with MORE are the pipe's to judge. */
        *ret_good = *ret_good && kind != CHANGED && flags < 2 && payload_size <= FRAME_MAX;
        if (kind == CHANGED)
            wire[begin + flags % (at - begin)] ^= 1 + flags / 2;
    }
    return at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    size_t piece = data[1] < 128 ? 1 + data[1] : (size_t)(data[1] - 127) * 512;
    bool is_good = true;
    uint64_t plain = 0;
    size_t whole = wire_make(data + 2, size - 2, &is_good, &plain);
    struct zu_codec *codec = codec_make();
    struct sink sink = {.base = {.bytes = take, .buf = take_buf, .chunk = take_chunk}, .in = zu_pipe_new(0)};
    sink.limits = (struct zu_feed_limits){.frame_max = FRAME_MAX, .open_max = 1 << 20, .command = on_command};
    int err = 0;
    for (size_t at = 0; !err && at < whole; at += piece) {
        size_t step = whole - at < piece ? whole - at : piece;
        struct zu_chunk *chunk = zu_chunk_new(ZU_CHUNK_RUNG_RECEIVE);
        memcpy(chunk->data + ZU_RECEIVE_HEADROOM, wire + at, step);
        err = codec->ops->decode(codec, chunk, ZU_RECEIVE_HEADROOM, (uint32_t)step, &sink.base);
        zu_chunk_unref(chunk);
    }
    REQUIRE(!err || err == -EPROTO || err == -EMSGSIZE);
    REQUIRE(!codec->protocol_error || err == -EPROTO);
    REQUIRE(sink.size <= plain);
    REQUIRE(!is_good || (!err && sink.size == plain));
    zu_codec_free(codec);
    zu_pipe_end(sink.in);
    zu_pipe_leave(sink.in);
    return 0;
}
