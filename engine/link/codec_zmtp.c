/* SPDX-License-Identifier: MIT */
/*
 * ZMTP 2.0 and later for sockets whose `out` holds what must not go out as it lies: SUB and XSUB. Frames that pass the
 * record filter are framed as they were; what is received is ZMTP 3 framing already and goes the plain way.
 */
#include "link/codec.h"

#include "wire/socket_type.h"

static bool applies(const struct zu_codec_case *which)
{
    return which->socket_type == ZU_SOCKET_SUB || which->socket_type == ZU_SOCKET_XSUB;
}

static int encode(struct zu_codec *codec, const struct zu_codec_frame *frame, struct zu_batch *batch)
{
    (void)codec;
    uint8_t head[ZU_FRAME_HEAD_MAX];
    return zu_batch_frame(batch, frame, head, zu_frame_encode(head, frame->flags, frame->lead_size + frame->size));
}

const struct zu_codec_ops zu_codec_zmtp = {
    .name = "ZMTP",
    .size = sizeof(struct zu_codec),
    .applies = applies,
    .encode = encode,
};
