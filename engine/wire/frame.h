/* SPDX-License-Identifier: MIT */
/*
 * The frame header of ZMTP 2.0 and 3.x: a flags octet, then the body's size in one octet or, with LONG, in eight
 * (big-endian). Header-only, because it runs once per frame on both sides of every pipe.
 */
#ifndef ZU_WIRE_FRAME_H
#define ZU_WIRE_FRAME_H

#include <endian.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/attr.h"

#define ZU_FRAME_MORE 1
#define ZU_FRAME_LONG 2
#define ZU_FRAME_COMMAND 4

#define ZU_FRAME_HEAD_SHORT 2
#define ZU_FRAME_HEAD_MAX 9
/* The largest body that a one-octet size can announce. */
#define ZU_FRAME_SHORT_MAX 255

struct zu_frame_head {
    uint64_t size;     /* octets of body behind the header */
    uint8_t flags;     /* ZU_FRAME_ bits; reserved bits are cleared */
    uint8_t head_size; /* octets of the header itself: 2 or 9 */
};

/* The long form, which any size may have. Says how many octets it wrote: 9. */
static inline size_t zu_frame_encode_long(uint8_t *out, unsigned flags, uint64_t size)
{
    uint64_t big_endian = htobe64(size);
    out[0] = (uint8_t)((flags & (ZU_FRAME_MORE | ZU_FRAME_COMMAND)) | ZU_FRAME_LONG);
    memcpy(out + 1, &big_endian, sizeof(big_endian));
    return ZU_FRAME_HEAD_MAX;
}

/* Writes 2 or 9 octets and says how many. LONG follows from the size, whatever `flags` says of it. */
static inline size_t zu_frame_encode(uint8_t *out, unsigned flags, uint64_t size)
{
    if (zu_unlikely(size > ZU_FRAME_SHORT_MAX))
        return zu_frame_encode_long(out, flags, size);
    out[0] = (uint8_t)(flags & (ZU_FRAME_MORE | ZU_FRAME_COMMAND));
    out[1] = (uint8_t)size;
    return ZU_FRAME_HEAD_SHORT;
}

/* 1: the header is whole; 0: more octets are needed; -EPROTO: a size of 2^63 or more, which no peer can mean. */
static inline int zu_frame_decode(const uint8_t *at, size_t available, struct zu_frame_head *ret_head)
{
    if (zu_unlikely(available < ZU_FRAME_HEAD_SHORT))
        return 0;
    uint8_t flags = at[0] & (ZU_FRAME_MORE | ZU_FRAME_LONG | ZU_FRAME_COMMAND);
    if (zu_likely(!(flags & ZU_FRAME_LONG))) {
        *ret_head = (struct zu_frame_head){.size = at[1], .flags = flags, .head_size = ZU_FRAME_HEAD_SHORT};
        return 1;
    }
    if (available < ZU_FRAME_HEAD_MAX)
        return 0;
    uint64_t size;
    memcpy(&size, at + 1, sizeof(size));
    size = be64toh(size);
    if (zu_unlikely(size >> 63))
        return -EPROTO;
    *ret_head = (struct zu_frame_head){.size = size, .flags = flags, .head_size = ZU_FRAME_HEAD_MAX};
    return 1;
}

#endif
