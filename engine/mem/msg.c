/* SPDX-License-Identifier: MIT */
/*
 * A message is made empty, sized, around foreign memory, or from what a pipe holds, and ends in close or a send.
 * Only making one can fail, for want of memory, and then leaves nothing behind.
 */
#include "mem/msg.h"

#include <errno.h>

int zu_msg_init_foreign(struct zu_msg *msg, void *data, size_t size, zu_free_fn *free_fn, void *hint)
{
    struct zu_buf *buf = zu_buf_new_foreign(data, size, free_fn, hint);
    if (!buf)
        return -ENOMEM;
    zu_msg_init_buf(msg, buf, data, size);
    return 0;
}

void zu_msg_init_constant(struct zu_msg *msg, const void *data, size_t size)
{
    zu_msg_init(msg);
    msg->kind = ZU_MSG_CONSTANT;
    msg->data = (void *)(uintptr_t)data;
    msg->size = size;
}

void zu_msg_init_slice(struct zu_msg *msg, struct zu_chunk *chunk, void *data, size_t size)
{
    zu_chunk_hold(chunk);
    zu_msg_init(msg);
    msg->kind = ZU_MSG_SLICE;
    msg->data = data;
    msg->size = size;
    msg->chunk = chunk;
}

void zu_msg_move(struct zu_msg *to, struct zu_msg *from)
{
    if (to == from)
        return;
    zu_msg_close(to);
    *to = *from;
    zu_msg_init(from);
}

void zu_msg_copy(struct zu_msg *to, struct zu_msg *from)
{
    if (to == from)
        return;
    zu_msg_close(to);
    if (from->kind == ZU_MSG_SHARED)
        zu_buf_ref(from->buf);
    else if (from->kind == ZU_MSG_SLICE)
        zu_chunk_hold(from->chunk);
    zu_origin_ref(from->origin);
    if (from->group)
        zu_buf_ref(from->group);
    from->flags |= from->kind >= ZU_MSG_SHARED ? ZU_MSG_COPIED : 0;
    *to = *from;
}

bool zu_msg_is_shared(const struct zu_msg *msg)
{
    return msg->kind == ZU_MSG_CONSTANT || (msg->flags & ZU_MSG_COPIED);
}

int zu_msg_set_group(struct zu_msg *msg, const char *group, size_t size)
{
    struct zu_buf *text = NULL;
    if (size) {
        text = zu_buf_new(size + 1);
        if (!text)
            return -ENOMEM;
        memcpy(text->data, group, size);
        ((char *)text->data)[size] = 0;
    }
    if (msg->group)
        zu_buf_unref(msg->group); /* behind the copy: the new text may be the old one */
    msg->group = text;
    return 0;
}

const char *zu_msg_group(const struct zu_msg *msg)
{
    return msg->group ? (const char *)msg->group->data : "";
}
