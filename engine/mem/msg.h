/* SPDX-License-Identifier: MIT */
/*
 * The 64-byte message behind zmq_msg_t. Small bodies lie inside it; larger ones are a reference to a shared buffer or a
 * slice of a receive buffer; constants are only pointed at. Copying and moving never copy a large body.
 */
#ifndef ZU_MEM_MSG_H
#define ZU_MEM_MSG_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/attr.h"
#include "mem/buf.h"
#include "mem/chunk.h"
#include "mem/origin.h"

#define ZU_MSG_INLINE_MAX 33 /* libzmq's limit: programs rely on where the data of small messages lies */

/* Unlikely as random stack contents, so a message that was never initialised is told from one that was. */
enum zu_msg_kind { ZU_MSG_INLINE = 0xa1, ZU_MSG_CONSTANT, ZU_MSG_SHARED, ZU_MSG_SLICE, ZU_MSG_CLOSED = 0xee };

enum { ZU_MSG_MORE = 1, ZU_MSG_COPIED = 2 };

/* One thread at a time, as with zmq_msg_t. */
struct zu_msg {
    struct zu_origin *origin; /* properties for zmq_msg_gets, one reference; NULL for own and inproc messages */
    union {
        uint8_t bytes[40]; /* ZU_MSG_INLINE: the body, ZU_MSG_INLINE_MAX of it at most */
        struct {
            void *data;  /* first byte of the body */
            size_t size; /* its length */
            union {
                struct zu_buf *buf;     /* ZU_MSG_SHARED: one reference */
                struct zu_chunk *chunk; /* ZU_MSG_SLICE: one reference */
            };
        };
    };
    uint8_t kind;         /* enum zu_msg_kind */
    uint8_t flags;        /* ZU_MSG_MORE: another part follows; ZU_MSG_COPIED: zmq_msg_copy has shared the body */
    uint8_t inline_size;  /* body length of ZU_MSG_INLINE */
    uint8_t unused;       /* pads */
    uint32_t routing_id;  /* draft sockets' peer number; 0 is none */
    struct zu_buf *group; /* draft sockets' group as text, one reference, never written again; NULL is none */
};

_Static_assert(sizeof(struct zu_msg) == 64, "zmq_msg_t is 64 bytes");

ZU_INLINE bool zu_msg_is_valid(const struct zu_msg *msg)
{
    return (unsigned)(msg->kind - ZU_MSG_INLINE) <= ZU_MSG_SLICE - ZU_MSG_INLINE;
}

ZU_INLINE void zu_msg_init(struct zu_msg *msg)
{
    msg->origin = NULL;
    msg->kind = ZU_MSG_INLINE;
    msg->flags = 0;
    msg->inline_size = 0;
    msg->routing_id = 0;
    msg->group = NULL;
}

/* Takes over one reference. */
ZU_INLINE void zu_msg_init_buf(struct zu_msg *msg, struct zu_buf *buf, void *data, size_t size)
{
    zu_msg_init(msg);
    msg->kind = ZU_MSG_SHARED;
    msg->data = data;
    msg->size = size;
    msg->buf = buf;
}

/* -ENOMEM, with nothing done. */
ZU_INLINE int zu_msg_init_size(struct zu_msg *msg, size_t size)
{
    if (size <= ZU_MSG_INLINE_MAX) {
        zu_msg_init(msg);
        msg->inline_size = (uint8_t)size;
        return 0;
    }
    struct zu_buf *buf = zu_buf_new(size);
    if (zu_unlikely(!buf))
        return -ENOMEM;
    zu_msg_init_buf(msg, buf, buf->data, size);
    return 0;
}

/* On -ENOMEM the data stays the caller's: free_fn was not and will not be called. */
int zu_msg_init_foreign(struct zu_msg *msg, void *data, size_t size, zu_free_fn *free_fn, void *hint);
void zu_msg_init_constant(struct zu_msg *msg, const void *data, size_t size);
/* A body inside a receive buffer; takes a reference of its own. */
void zu_msg_init_slice(struct zu_msg *msg, struct zu_chunk *chunk, void *data, size_t size);

/* What a message says beside its body. */
ZU_INLINE void zu_msg_drop_labels(struct zu_msg *msg)
{
    zu_origin_give(msg->origin);
    if (zu_unlikely(msg->group != NULL))
        zu_buf_unref(msg->group);
}

ZU_INLINE void zu_msg_drop_body(struct zu_msg *msg)
{
    zu_msg_drop_labels(msg);
    if (msg->kind == ZU_MSG_SHARED)
        zu_buf_unref(msg->buf);
    else if (msg->kind == ZU_MSG_SLICE)
        zu_chunk_unref(msg->chunk);
}

/* Leaves the message closed. */
ZU_INLINE void zu_msg_close(struct zu_msg *msg)
{
    if (msg->kind >= ZU_MSG_SHARED || zu_unlikely(msg->origin || msg->group))
        zu_msg_drop_body(msg);
    msg->kind = ZU_MSG_CLOSED;
}

/* `to` must be valid; its old body is dropped. `from` becomes empty. */
void zu_msg_move(struct zu_msg *to, struct zu_msg *from);
/* `to` must be valid. Large bodies are shared. */
void zu_msg_copy(struct zu_msg *to, struct zu_msg *from);
bool zu_msg_is_shared(const struct zu_msg *msg);
/* Its owner hears when the body is used no more, and may take that for "it has gone". */
ZU_INLINE bool zu_msg_is_foreign(const struct zu_msg *msg)
{
    return msg->kind == ZU_MSG_SHARED && msg->buf->pool_class == ZU_BUF_FOREIGN;
}

/* Text of `size` characters, kept by move and copy; none is the empty one. -ENOMEM: the old one stays. */
int zu_msg_set_group(struct zu_msg *msg, const char *group, size_t size);
const char *zu_msg_group(const struct zu_msg *msg);

ZU_INLINE void *zu_msg_data(struct zu_msg *msg)
{
    return msg->kind == ZU_MSG_INLINE ? msg->bytes : msg->data;
}

ZU_INLINE size_t zu_msg_size(const struct zu_msg *msg)
{
    return msg->kind == ZU_MSG_INLINE ? msg->inline_size : msg->size;
}

#endif
