/* SPDX-License-Identifier: MIT */
/*
 * CURVE: what goes over the wire is a MESSAGE in a frame of its own, for each frame in the pipes. Sending seals it in the
 * batch's buffer. Receiving opens it in the buffer that it came in, and moves the payloads together, each behind a head
 * that lies where the MESSAGE's lead was: so all that a buffer held goes to the pipe in one piece. The end of a frame is
 * waited for in memory that grows with what arrives. When it has come, a small frame moves in front of the new bytes and is
 * one of theirs; a large one is opened where it lies and delivered by reference.
 * The first MESSAGE that does not open ends the connection with a reason; what came before it is good. Outer frames'
 * flags are no part of what is sealed, and mean nothing.
 */
#include "link/codec.h"

#include <string.h>

#include "wire/curve.h"

enum {
    GATHER_FIRST = 256 * 1024, /* memory taken on the peer's word; more only as bytes arrive */
    LARGE_MIN = 8 * 1024,      /* a gathered frame that is delivered by reference */
};

struct codec_curve {
    struct zu_codec base;
    struct zu_curve_session session; /* secret */
    uint64_t frame_max;              /* what a frame may hold */
    struct zu_buf *gather;           /* an outer frame whose end has not come, head and all; else NULL */
    size_t have;                     /* octets of it */
    size_t wanted;                   /* its size; 0 while its head is not whole */
};

/* Opened frames, moved together in the buffer that they came in. */
struct run {
    uint8_t *from; /* the first; NULL: none yet */
    uint8_t *to;   /* behind the last */
};

static struct codec_curve *of_base(struct zu_codec *base)
{
    return zu_container_of(base, struct codec_curve, base);
}

static bool applies(const struct zu_codec_case *which)
{
    const struct zu_mechanism_ops *ops = which->handshake ? which->handshake->mechanism.ops : NULL;
    return ops == &zu_curve_client_mechanism || ops == &zu_curve_server_mechanism;
}

static int init(struct zu_codec *base, const struct zu_codec_case *which)
{
    struct codec_curve *codec = of_base(base);
    codec->frame_max = which->frame_max;
    return zu_curve_session_take(which->handshake, &codec->session) ? 0 : -EPROTO;
}

static void gather_drop(struct codec_curve *codec)
{
    if (codec->gather)
        zu_buf_unref(codec->gather);
    codec->gather = NULL;
    codec->have = codec->wanted = 0;
}

static void fini(struct zu_codec *base)
{
    struct codec_curve *codec = of_base(base);
    explicit_bzero(&codec->session, sizeof codec->session);
    gather_drop(codec);
}

static int encode(struct zu_codec *base, const struct zu_codec_frame *frame, struct zu_batch *batch)
{
    uint8_t head[ZU_FRAME_HEAD_MAX], *at;
    size_t payload = frame->lead_size + frame->size;
    size_t head_size = zu_frame_encode(head, 0, ZU_CURVE_MESSAGE_LEAD + payload);
    size_t size = head_size + ZU_CURVE_MESSAGE_LEAD + payload;
    int err = zu_batch_reserve(batch, size, &at);
    if (err)
        return err;
    memcpy(at, head, head_size);
    const uint8_t *from = frame->body;
    if (zu_unlikely(frame->lead_size)) { /* a short one: what peers before 3.1 take for a subscription */
        uint8_t *whole = at + head_size + ZU_CURVE_MESSAGE_LEAD;
        memcpy(whole, frame->lead, frame->lead_size);
        if (frame->size)
            memcpy(whole + frame->lead_size, frame->body, frame->size);
        from = whole;
    }
    err = zu_curve_seal(&of_base(base)->session, frame->flags, at + head_size, from, payload);
    if (!err)
        zu_batch_commit(batch, size);
    return err;
}

/* --- receiving --- */

/* The outer frame that begins at `at`: 1 with its head; 0, that is not whole; errors. */
static int outer_head(struct codec_curve *codec, const uint8_t *at, size_t available, struct zu_frame_head *ret_head)
{
    int got = zu_frame_decode(at, available, ret_head);
    if (got <= 0)
        return got;
    if (zu_unlikely(ret_head->size < ZU_CURVE_MESSAGE_LEAD)) {
        codec->base.protocol_error = ZU_PROTOCOL_ERROR_MALFORMED_MESSAGE;
        return -EPROTO;
    }
    return ret_head->size - ZU_CURVE_MESSAGE_LEAD > codec->frame_max ? -EMSGSIZE : 1;
}

static int outer_open(struct codec_curve *codec, uint8_t *body, size_t size, unsigned *ret_flags)
{
    enum zu_protocol_error detail;
    int err = zu_curve_open(&codec->session, body, size, ret_flags, &detail);
    if (zu_unlikely(err))
        codec->base.protocol_error = detail;
    return err;
}

/* Writes the head of a plain frame in front of its payload, where there is room for it; returns where. */
static uint8_t *head_put(uint8_t *payload, unsigned flags, size_t size)
{
    uint8_t head[ZU_FRAME_HEAD_MAX];
    size_t head_size = zu_frame_encode(head, flags, size);
    return memcpy(payload - head_size, head, head_size);
}

static void run_add(struct run *run, unsigned flags, uint8_t *payload, size_t size)
{
    uint8_t *frame = head_put(payload, flags, size);
    size_t whole = (size_t)(payload - frame) + size;
    if (run->from)
        memmove(run->to, frame, whole);
    else
        run->from = run->to = frame;
    run->to += whole;
}

/* Opens the whole frames; *ret_left: octets of one that is not. */
static int run_open(struct codec_curve *codec, uint8_t *at, size_t size, struct run *run, size_t *ret_left)
{
    const uint8_t *end = at + size;
    struct zu_frame_head head = {0};
    int got;
    for (;;) {
        size_t left = (size_t)(end - at);
        got = outer_head(codec, at, left, &head);
        if (got <= 0 || head.size > left - head.head_size)
            break;
        uint8_t *body = at + head.head_size;
        unsigned flags;
        got = outer_open(codec, body, head.size, &flags);
        if (zu_unlikely(got))
            break;
        run_add(run, flags, body + ZU_CURVE_MESSAGE_LEAD, head.size - ZU_CURVE_MESSAGE_LEAD);
        at = body + head.size;
    }
    *ret_left = (size_t)(end - at);
    codec->wanted = got == 1 ? head.head_size + head.size : 0;
    return got < 0 ? got : 0;
}

static int gather_add(struct codec_curve *codec, const uint8_t *bytes, size_t size)
{
    size_t need = codec->have + size, held = codec->gather ? codec->gather->size : 0;
    if (need > held) {
        size_t room = codec->wanted < GATHER_FIRST ? codec->wanted : GATHER_FIRST;
        if (room < 2 * held)
            room = 2 * held < codec->wanted ? 2 * held : codec->wanted;
        if (room < need)
            room = need;
        struct zu_buf *buf = codec->gather ? zu_buf_grow(codec->gather, codec->have, room) : zu_buf_new(room);
        if (!buf)
            return -ENOMEM;
        codec->gather = buf;
    }
    memcpy((uint8_t *)codec->gather->data + codec->have, bytes, size);
    codec->have = need;
    return 0;
}

/* The gathered frame is whole. */
static int gather_deliver(struct codec_curve *codec, struct zu_delivery *delivery)
{
    struct zu_frame_head head = {0};
    uint8_t *at = codec->gather->data;
    unsigned flags;
    (void)zu_frame_decode(at, codec->have, &head); /* for the second time */
    uint8_t *body = at + head.head_size, *payload = body + ZU_CURVE_MESSAGE_LEAD;
    size_t size = head.size - ZU_CURVE_MESSAGE_LEAD;
    int err = outer_open(codec, body, head.size, &flags);
    if (err)
        return err;
    if (size >= LARGE_MIN) {
        err = delivery->buf(delivery, flags, codec->gather, payload, size);
        if (!err)
            codec->gather = NULL;
    } else {
        uint8_t *frame = head_put(payload, flags, size);
        err = delivery->bytes(delivery, frame, (size_t)(payload - frame) + size);
    }
    if (!err)
        gather_drop(codec);
    return err;
}

/* Goes on with the gathered frame. Its bytes move in front of the new ones where that makes it whole, or its head at least. */
static int gather_continue(struct codec_curve *codec, struct zu_delivery *delivery, uint8_t **at, size_t *size)
{
    bool ends = codec->wanted && codec->wanted - codec->have <= *size;
    if ((ends || !codec->wanted) && codec->have <= ZU_RECEIVE_HEADROOM) {
        *at -= codec->have;
        *size += codec->have;
        memcpy(*at, codec->gather->data, codec->have);
        gather_drop(codec);
        return 0;
    }
    size_t step = ends ? codec->wanted - codec->have : *size;
    int err = gather_add(codec, *at, step);
    if (err)
        return err;
    *at += step;
    *size -= step;
    return ends ? gather_deliver(codec, delivery) : 0;
}

static int decode(struct zu_codec *base, struct zu_chunk *chunk, uint32_t from, uint32_t size,
                  struct zu_delivery *delivery)
{
    struct codec_curve *codec = of_base(base);
    uint8_t *at = chunk->data + from;
    size_t available = size, left = 0;
    int err = codec->gather ? gather_continue(codec, delivery, &at, &available) : 0;
    if (err || !available)
        return err;
    struct run run = {0};
    err = run_open(codec, at, available, &run, &left);
    if (!err && left)
        err = gather_add(codec, at + available - left, left);
    if (!run.from)
        return err;
    zu_chunk_hold(chunk);
    int passed = delivery->chunk(delivery, chunk, (uint32_t)(run.from - chunk->data), (uint32_t)(run.to - run.from));
    return passed ? passed : err;
}

const struct zu_codec_ops zu_codec_curve = {
    .name = "CURVE",
    .size = sizeof(struct codec_curve),
    .applies = applies,
    .init = init,
    .fini = fini,
    .encode = encode,
    .decode = decode,
};
