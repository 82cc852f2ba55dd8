/* SPDX-License-Identifier: MIT */
/*
 * Reading for an application: frames are walked in place and copied once, into the caller's memory or a message. The
 * published word is read once per chunk or per batch, not per frame. An empty pipe marks its reader asleep in that word.
 * Making a message can fail for want of memory: the frame then stays where it is.
 */
#include "flow/pipe.h"

#include <errno.h>

#include "flow/pipe_conflate.h"
#include "flow/pipe_wake.h"

int zu_pipe_refill(struct zu_pipe *pipe)
{
    for (;;) {
        struct zu_chunk *chunk = pipe->r_chunk;
        /* acquire: the frames, and `next`, behind the writer's exchange. */
        uint64_t word = atomic_load_explicit(&chunk->word, memory_order_acquire);
        const uint8_t *end = chunk->data + zu_word_end(word);
        if (end > pipe->r_at) {
            pipe->r_end = end;
            pipe->r_ref_end = zu_word_refs(word);
            return 0;
        }
        if (word & ZU_CHUNK_SEALED) {
            struct zu_chunk *next = chunk->next;
            zu_pipe_passed(pipe, zu_word_end(word) - chunk->begin);
            pipe->r_chunk = next;
            pipe->r_at = pipe->r_end = next->data + next->begin;
            pipe->r_ref = pipe->r_ref_end = 0;
            zu_chunk_unref(chunk);
            continue;
        }
        if (word & ZU_CHUNK_EOF)
            return -EPIPE;
        if (zu_unlikely(pipe->conflates) && zu_pipe_conflate_pull(pipe, chunk))
            continue;
        zu_pipe_reader_rests(pipe);
        if (zu_pipe_reader_sleep(pipe, chunk, word, false) && (!pipe->conflates || zu_pipe_conflate_sleeps(pipe)))
            return -EAGAIN;
    }
}

/* The general form of a view: long heads, references, and commands, which the caller skips. */
int zu_pipe_view_long(struct zu_pipe *pipe, struct zu_view *ret_view)
{
    struct zu_frame_head head = zu_pipe_head_at(pipe->r_at);
    const uint8_t *body = pipe->r_at + head.head_size;
    ret_view->flags = head.flags & ZU_FRAME_MORE;
    ret_view->size = head.size;
    ret_view->pipe = pipe;
    ret_view->kind = ZU_VIEW_HERE;
    if (head.size && pipe->r_ref < pipe->r_ref_end) {
        struct zu_chunk_ref *ref = zu_chunk_ref_at(pipe->r_chunk, pipe->r_ref);
        if (pipe->r_chunk->data + ref->at == body) {
            ret_view->kind = ZU_VIEW_BY_REF;
            ret_view->data = ref->data;
            ret_view->after = body;
            return 0;
        }
    }
    ret_view->data = body;
    ret_view->after = body + head.size;
    return 0;
}

ZU_COLD void zu_pipe_pass_command(struct zu_pipe *pipe)
{
    struct zu_view view;
    zu_pipe_peek_any(pipe, &view);
    zu_pipe_pop_record(pipe, &view);
}

int zu_pipe_peek_any(struct zu_pipe *pipe, struct zu_view *ret_view)
{
    if (pipe->r_at == pipe->r_end) {
        int err = zu_pipe_refill(pipe);
        if (err)
            return err;
    }
    unsigned flags = pipe->r_at[0];
    zu_pipe_view_long(pipe, ret_view);
    if (flags & ZU_FRAME_COMMAND)
        ret_view->flags = flags & (ZU_FRAME_COMMAND | ZU_PIPE_FED);
    return 0;
}

void zu_pipe_drop_ref(struct zu_pipe *pipe)
{
    struct zu_chunk_ref *ref = zu_chunk_ref_at(pipe->r_chunk, pipe->r_ref++);
    zu_pipe_passed(pipe, ref->size);
    zu_owner_drop(ref->owner);
}

static void msg_of_ref(struct zu_chunk_ref *ref, struct zu_msg *ret_msg)
{
    struct zu_chunk *chunk = zu_owner_chunk(ref->owner);
    void *data = (void *)(uintptr_t)ref->data;
    if (chunk) {
        zu_msg_init_slice(ret_msg, chunk, data, ref->size);
        zu_chunk_unref(chunk); /* the slice has taken one of its own */
    } else if (ref->owner) {
        zu_msg_init_buf(ret_msg, (struct zu_buf *)ref->owner, data, ref->size);
    } else {
        zu_msg_init_constant(ret_msg, data, ref->size);
    }
    ref->owner = 0;
}

/* Its memory is the pattern's, so it is copied. */
static ZU_COLD int msg_of_made(const struct zu_view *view, struct zu_msg *ret_msg)
{
    int err = zu_msg_init_size(ret_msg, view->size);
    if (err)
        return err;
    zu_copy(zu_msg_data(ret_msg), view->data, view->size);
    ret_msg->origin = zu_origin_take(view->pipe ? view->pipe->r_chunk->origin : view->origin);
    ret_msg->flags = view->flags & ZU_FRAME_MORE ? ZU_MSG_MORE : 0;
    return 0;
}

int zu_pipe_take_msg(struct zu_pipe *pipe, const struct zu_view *view, struct zu_msg *ret_msg)
{
    if (zu_unlikely(view->kind == ZU_VIEW_MADE)) {
        return msg_of_made(view, ret_msg);
    } else if (zu_unlikely(view->kind == ZU_VIEW_BY_REF)) {
        msg_of_ref(zu_chunk_ref_at(pipe->r_chunk, pipe->r_ref), ret_msg);
    } else if (view->size >= ZU_PIPE_SLICE_MIN) {
        zu_msg_init_slice(ret_msg, pipe->r_chunk, (void *)(uintptr_t)view->data, view->size);
    } else {
        int err = zu_msg_init_size(ret_msg, view->size);
        if (zu_unlikely(err))
            return err;
        zu_copy(zu_msg_data(ret_msg), view->data, view->size);
    }
    ret_msg->origin = zu_origin_take(pipe->r_chunk->origin);
    ret_msg->flags = view->flags & ZU_FRAME_MORE ? ZU_MSG_MORE : 0;
    zu_pipe_pop(pipe, view);
    return 0;
}
