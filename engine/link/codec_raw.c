/* SPDX-License-Identifier: MIT */
/*
 * No ZMTP at all, for STREAM and ROUTER_RAW: what the kernel hands over at once is one message, the bytes of messages follow
 * each other on the wire, and their boundaries are lost.
 */
#include "link/codec.h"

static bool applies(const struct zu_codec_case *which)
{
    return which->version == ZU_WIRE_RAW;
}

static int encode(struct zu_codec *codec, const struct zu_codec_frame *frame, struct zu_batch *batch)
{
    (void)codec;
    return zu_batch_frame(batch, frame, NULL, 0);
}

static int decode(struct zu_codec *codec, struct zu_chunk *chunk, uint32_t from, uint32_t size,
                  struct zu_delivery *delivery)
{
    (void)codec;
    uint8_t head[ZU_FRAME_HEAD_MAX];
    uint32_t head_size = (uint32_t)zu_frame_encode(head, 0, size);
    memcpy(chunk->data + from - head_size, head, head_size); /* into the headroom */
    zu_chunk_hold(chunk);
    return delivery->chunk(delivery, chunk, from - head_size, head_size + size);
}

const struct zu_codec_ops zu_codec_raw = {
    .name = "raw",
    .size = sizeof(struct zu_codec),
    .applies = applies,
    .encode = encode,
    .decode = decode,
};
