/* SPDX-License-Identifier: MIT */
/*
 * ZMTP 1.0, by which libzmq 2.x speaks: another head before each frame, no commands. Received octets are translated as they
 * come, small ones gathered so that the pipe is fed many at a time. For a publisher an unversioned peer wants everything:
 * it does not say what it subscribes to, but chooses at its own end.
 * A length of 0 ends the connection; limits are the pipe's to watch.
 */
#include "link/codec.h"

#include "wire/frame_v1.h"
#include "wire/socket_type.h"

enum {
    SCRATCH_SIZE = 4096,
    GATHER_MAX = 512, /* a longer piece of a body is delivered from where it lies */
};

struct codec_v1 {
    struct zu_codec base;
    uint8_t head[ZU_FRAME_V1_HEAD_MAX]; /* of a frame that has begun */
    uint8_t head_have;                  /* octets of it */
    uint64_t body_left;                 /* octets of the frame under way that have not come yet */
    bool wants_all;                     /* a subscriber that cannot say so */
};

/* Translated octets on their way. */
struct gathering {
    struct zu_delivery *delivery; /* where to */
    size_t size;                  /* octets gathered */
    uint8_t bytes[SCRATCH_SIZE];  /* they */
};

static bool applies(const struct zu_codec_case *which)
{
    return which->version == ZU_WIRE_UNVERSIONED || which->version == ZU_WIRE_1_0;
}

static int init(struct zu_codec *base, const struct zu_codec_case *which)
{
    struct codec_v1 *codec = zu_container_of(base, struct codec_v1, base);
    bool publishes = which->socket_type == ZU_SOCKET_PUB || which->socket_type == ZU_SOCKET_XPUB;
    codec->wants_all = publishes && which->version == ZU_WIRE_UNVERSIONED;
    return 0;
}

static int begin(struct zu_codec *base, struct zu_delivery *delivery)
{
    struct codec_v1 *codec = zu_container_of(base, struct codec_v1, base);
    static const uint8_t subscribe_all[] = {0, 1, 1};
    return codec->wants_all ? delivery->bytes(delivery, subscribe_all, sizeof subscribe_all) : 0;
}

static int encode(struct zu_codec *codec, const struct zu_codec_frame *frame, struct zu_batch *batch)
{
    (void)codec;
    uint8_t head[ZU_FRAME_V1_HEAD_MAX];
    return zu_batch_frame(batch, frame, head, zu_frame_v1_encode(head, frame->flags, frame->lead_size + frame->size));
}

static int flush(struct gathering *to)
{
    size_t size = to->size;
    to->size = 0;
    return size ? to->delivery->bytes(to->delivery, to->bytes, size) : 0;
}

/* At most GATHER_MAX octets. */
static int gather(struct gathering *to, const uint8_t *bytes, size_t size)
{
    int err = size > SCRATCH_SIZE - to->size ? flush(to) : 0;
    memcpy(to->bytes + to->size, bytes, size);
    to->size += size;
    return err;
}

/* Takes octets of a head; returns how many, or a negative errno. */
static ssize_t head_take(struct codec_v1 *codec, const uint8_t *bytes, struct gathering *to)
{
    struct zu_frame_head head;
    codec->head[codec->head_have++] = *bytes;
    int got = zu_frame_v1_decode(codec->head, codec->head_have, &head);
    if (got <= 0)
        return got < 0 ? got : 1;
    uint8_t later[ZU_FRAME_HEAD_MAX];
    int err = gather(to, later, zu_frame_encode(later, head.flags, head.size));
    codec->head_have = 0;
    codec->body_left = head.size;
    return err ? err : 1;
}

static ssize_t body_take(struct codec_v1 *codec, const uint8_t *bytes, size_t size, struct gathering *to)
{
    size_t step = size < codec->body_left ? size : (size_t)codec->body_left;
    codec->body_left -= step;
    int err;
    if (step <= GATHER_MAX) {
        err = gather(to, bytes, step);
    } else {
        err = flush(to);
        if (!err)
            err = to->delivery->bytes(to->delivery, bytes, step);
    }
    return err ? err : (ssize_t)step;
}

static int decode(struct zu_codec *base, struct zu_chunk *chunk, uint32_t from, uint32_t size,
                  struct zu_delivery *delivery)
{
    struct codec_v1 *codec = zu_container_of(base, struct codec_v1, base);
    struct gathering to = {.delivery = delivery};
    const uint8_t *at = chunk->data + from, *end = at + size;
    while (at < end) {
        ssize_t taken = codec->body_left ? body_take(codec, at, (size_t)(end - at), &to) : head_take(codec, at, &to);
        if (taken < 0) {
            (void)flush(&to); /* messages before the fault are good */
            return (int)taken;
        }
        at += taken;
    }
    return flush(&to);
}

const struct zu_codec_ops zu_codec_v1 = {
    .name = "ZMTP 1.0",
    .size = sizeof(struct codec_v1),
    .applies = applies,
    .init = init,
    .encode = encode,
    .decode = decode,
    .begin = begin,
};
