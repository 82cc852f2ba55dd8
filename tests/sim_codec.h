/* SPDX-License-Identifier: MIT */
/*
 * A codec for simulated peers, with all that codecs may do: it turns every octet of small bodies in the batch's buffer, of
 * large ones too if their size is even, and sends large odd ones from where they lie. It delivers small bodies in pieces,
 * large even ones in memory of their own.
 */
#ifndef ZU_TESTS_SIM_CODEC_H
#define ZU_TESTS_SIM_CODEC_H

#include "link/codec.h"

enum { SIM_CODEC_HEAD = 9, SIM_CODEC_LARGE = 3000, SIM_CODEC_MASK = 0x5a };

struct sim_codec {
    struct zu_codec base;
    uint8_t head[SIM_CODEC_HEAD]; /* flags, then the size */
    size_t head_have;             /* octets of it */
    uint64_t size;                /* of the body under way */
    uint64_t have;                /* of it */
    struct zu_buf *buf;           /* the body, when it is gathered */
};

static inline void sim_codec_turn(uint8_t *to, const uint8_t *from, size_t size)
{
    for (size_t i = 0; i < size; i++)
        to[i] = from[i] ^ SIM_CODEC_MASK;
}

static inline bool sim_codec_applies(const struct zu_codec_case *which)
{
    (void)which;
    return true;
}

static inline void sim_codec_fini(struct zu_codec *base)
{
    struct sim_codec *codec = zu_container_of(base, struct sim_codec, base);
    if (codec->buf)
        zu_buf_unref(codec->buf);
}

static inline int sim_codec_encode(struct zu_codec *base, const struct zu_codec_frame *frame, struct zu_batch *batch)
{
    (void)base;
    uint64_t size = frame->lead_size + frame->size;
    uint8_t head[SIM_CODEC_HEAD] = {(uint8_t)frame->flags}, *at;
    memcpy(head + 1, &size, sizeof size);
    if (size > SIM_CODEC_LARGE && size % 2)
        return zu_batch_frame(batch, frame, head, sizeof head);
    int err = zu_batch_reserve(batch, sizeof head + size, &at);
    if (err)
        return err;
    memcpy(at, head, sizeof head);
    sim_codec_turn(at + sizeof head, frame->lead, frame->lead_size);
    sim_codec_turn(at + sizeof head + frame->lead_size, frame->body, frame->size);
    zu_batch_commit(batch, sizeof head + size);
    return 0;
}

static inline int sim_codec_head(struct sim_codec *codec, struct zu_delivery *delivery)
{
    codec->head_have = 0;
    codec->have = 0;
    memcpy(&codec->size, codec->head + 1, sizeof codec->size);
    if (codec->size > SIM_CODEC_LARGE && codec->size % 2 == 0) {
        codec->buf = zu_buf_new(codec->size);
        return codec->buf ? 0 : -ENOMEM;
    }
    return zu_delivery_head(delivery, codec->head[0], codec->size);
}

static inline int sim_codec_body(struct sim_codec *codec, const uint8_t *at, size_t size, struct zu_delivery *delivery)
{
    uint8_t turned[SIM_CODEC_LARGE];
    int err = 0;
    if (codec->buf) {
        sim_codec_turn((uint8_t *)codec->buf->data + codec->have, at, size);
    } else if (codec->size > SIM_CODEC_LARGE) {
        err = delivery->bytes(delivery, at, size);
    } else {
        sim_codec_turn(turned, at, size);
        err = delivery->bytes(delivery, turned, size);
    }
    codec->have += size;
    if (!err && codec->buf && codec->have == codec->size) {
        err = delivery->buf(delivery, codec->head[0], codec->buf, codec->buf->data, codec->size);
        if (!err)
            codec->buf = NULL;
    }
    return err;
}

static inline int sim_codec_decode(struct zu_codec *base, struct zu_chunk *chunk, uint32_t from, uint32_t size,
                                   struct zu_delivery *delivery)
{
    struct sim_codec *codec = zu_container_of(base, struct sim_codec, base);
    const uint8_t *at = chunk->data + from, *end = at + size;
    int err = 0;
    while (!err && at < end) {
        if (codec->have == codec->size) {
            codec->head[codec->head_have++] = *at++;
            if (codec->head_have == SIM_CODEC_HEAD)
                err = sim_codec_head(codec, delivery);
            continue;
        }
        size_t step = (size_t)(end - at);
        if (step > codec->size - codec->have)
            step = (size_t)(codec->size - codec->have);
        err = sim_codec_body(codec, at, step, delivery);
        at += step;
    }
    return err;
}

static const struct zu_codec_ops sim_codec = {
    .name = "simulated",
    .size = sizeof(struct sim_codec),
    .applies = sim_codec_applies,
    .fini = sim_codec_fini,
    .encode = sim_codec_encode,
    .decode = sim_codec_decode,
};

#endif
