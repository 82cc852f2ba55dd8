/* SPDX-License-Identifier: MIT */
/*
 * The frame header of ZMTP 1.0: a length that counts the flags octet and the body, in one octet or, behind FF, in eight
 * (big-endian); then the flags, of which only MORE means anything.
 */
#ifndef ZU_WIRE_FRAME_V1_H
#define ZU_WIRE_FRAME_V1_H

#include "wire/frame.h"

#define ZU_FRAME_V1_HEAD_SHORT 2
#define ZU_FRAME_V1_HEAD_MAX 10
/* The first octet of a long header. */
#define ZU_FRAME_V1_LONG 0xff

/* Writes 2 or 10 octets and says how many. */
static inline size_t zu_frame_v1_encode(uint8_t *out, unsigned flags, uint64_t size)
{
    uint64_t length = size + 1;
    if (length < ZU_FRAME_V1_LONG) {
        out[0] = (uint8_t)length;
        out[1] = flags & ZU_FRAME_MORE;
        return ZU_FRAME_V1_HEAD_SHORT;
    }
    out[0] = ZU_FRAME_V1_LONG;
    length = htobe64(length);
    memcpy(out + 1, &length, sizeof(length));
    out[9] = flags & ZU_FRAME_MORE;
    return ZU_FRAME_V1_HEAD_MAX;
}

/* 1: the header is whole; 0: more octets are needed; -EPROTO: a length of 0, or one that no peer can mean. */
static inline int zu_frame_v1_decode(const uint8_t *at, size_t available, struct zu_frame_head *ret_head)
{
    if (available == 0)
        return 0;
    uint64_t length = at[0];
    uint8_t head_size = ZU_FRAME_V1_HEAD_SHORT;
    if (length == ZU_FRAME_V1_LONG) {
        head_size = ZU_FRAME_V1_HEAD_MAX;
        if (available < sizeof(length) + 1)
            return 0;
        memcpy(&length, at + 1, sizeof(length));
        length = be64toh(length);
    }
    if (length == 0 || length >> 63)
        return -EPROTO;
    if (available < head_size)
        return 0;
    *ret_head = (struct zu_frame_head){
        .size = length - 1, .flags = at[head_size - 1] & ZU_FRAME_MORE, .head_size = head_size};
    return 1;
}

#endif
