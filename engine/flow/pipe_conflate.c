/* SPDX-License-Identifier: MIT */
/*
 * The slot is exchanged from both sides, so each message has one owner at any moment: who takes it out reads it or drops
 * it. A reader that finds the slot empty says that it sleeps and looks again; a writer fills the slot and then looks at
 * the sleeper. Writing fails only for want of memory, with the older message still there.
 */
#include "flow/pipe_conflate.h"

#include <errno.h>

void zu_pipe_conflate(struct zu_pipe *pipe)
{
    pipe->conflates = true;
    pipe->w_limit = 0; /* nothing is ever appended: writers come to us */
    atomic_store_explicit(&pipe->hwm, 0, memory_order_relaxed);
    atomic_store_explicit(&pipe->w_admit, UINT64_MAX, memory_order_relaxed);
}

static void chunk_drop(struct zu_chunk *chunk)
{
    uint64_t word = atomic_load_explicit(&chunk->word, memory_order_relaxed);
    for (uint32_t ref = 0; ref < zu_word_refs(word); ref++)
        zu_owner_drop(zu_chunk_ref_at(chunk, ref)->owner);
    zu_chunk_unref(chunk);
}

/* Behind their count in write_count. */
static void count_replaced(struct zu_pipe *pipe, uint64_t messages)
{
    uint64_t replaced = atomic_load_explicit(&pipe->replaced, memory_order_relaxed) + messages;
    atomic_store_explicit(&pipe->replaced, replaced, memory_order_release);
}

static void show(struct zu_pipe *pipe, struct zu_chunk *chunk, uint32_t end, uint32_t refs)
{
    chunk->origin = zu_origin_ref(pipe->w_origin);
    atomic_store_explicit(&chunk->word, zu_word_make(end, refs, 1), memory_order_relaxed);
    uint64_t count = atomic_load_explicit(&pipe->write_count, memory_order_relaxed) + 1;
    atomic_store_explicit(&pipe->write_count, count, memory_order_release); /* before the message: as in frame_finish */
    /* seq_cst: the slot first, then the sleeper; the reader does the opposite. It also shows the chunk's content. */
    struct zu_chunk *old = atomic_exchange_explicit(&pipe->newest, chunk, memory_order_seq_cst);
    if (old) {
        count_replaced(pipe, 1);
        chunk_drop(old);
    }
    zu_pipe_wake_sleeper(pipe);
}

int zu_pipe_conflate_write(struct zu_pipe *pipe, const void *data, size_t size)
{
    struct zu_chunk *chunk = zu_chunk_new(zu_pipe_rung_for((uint32_t)size + ZU_FRAME_HEAD_MAX));
    if (!chunk)
        return -ENOMEM;
    uint8_t *at = chunk->data + chunk->begin;
    at += zu_frame_encode(at, 0, size);
    if (size) /* data may be NULL */
        memcpy(at, data, size);
    show(pipe, chunk, (uint32_t)(at + size - chunk->data), 0);
    return 0;
}

int zu_pipe_conflate_write_ref(struct zu_pipe *pipe, uintptr_t owner, const void *data, size_t size)
{
    struct zu_chunk *chunk = zu_chunk_new(0);
    if (!chunk)
        return -ENOMEM;
    uint8_t *at = chunk->data + chunk->begin;
    uint32_t end = (uint32_t)(at + zu_frame_encode_long(at, 0, size) - chunk->data);
    *zu_chunk_ref_at(chunk, 0) = (struct zu_chunk_ref){.owner = owner, .data = data, .size = size, .at = end};
    show(pipe, chunk, end, 1);
    return 0;
}

void zu_pipe_conflate_end(struct zu_pipe *pipe)
{
    /* seq_cst: as the slot in show. */
    atomic_store_explicit(&pipe->slot_ended, true, memory_order_seq_cst);
    zu_pipe_wake_sleeper(pipe);
}

bool zu_pipe_conflate_pull(struct zu_pipe *pipe, struct zu_chunk *tail)
{
    /* acquire: the end before the slot, or a last message would be overlooked. Pairs with the store in end. */
    bool ended = atomic_load_explicit(&pipe->slot_ended, memory_order_acquire);
    /* acq_rel: the chunk's content, behind show's exchange. */
    struct zu_chunk *chunk = atomic_exchange_explicit(&pipe->newest, NULL, memory_order_acq_rel);
    if (!chunk && !ended)
        return false;
    /* The chain is the reader's own from here on. */
    uint64_t word = atomic_load_explicit(&tail->word, memory_order_relaxed);
    tail->next = chunk;
    atomic_store_explicit(&tail->word, word | (chunk ? ZU_CHUNK_SEALED : ZU_CHUNK_EOF), memory_order_relaxed);
    return true;
}

bool zu_pipe_conflate_sleeps(struct zu_pipe *pipe)
{
    /* seq_cst: behind the exchange in zu_pipe_reader_sleep that says "asleep"; the writer does the opposite. */
    if (!atomic_load_explicit(&pipe->newest, memory_order_seq_cst) &&
        !atomic_load_explicit(&pipe->slot_ended, memory_order_seq_cst))
        return true;
    unsigned state = ZU_READER_ASLEEP;
    /* If the writer was faster in taking the mark, its note is on the way. */
    return !atomic_compare_exchange_strong_explicit(&pipe->reader_state, &state, ZU_READER_AWAKE, memory_order_seq_cst,
                                                    memory_order_relaxed);
}

/* Never at an empty pipe, which would put its reader to sleep, with nobody to hear the note. */
int zu_pipe_conflate_pass(struct zu_pipe *from, struct zu_pipe *to)
{
    struct zu_msg newest;
    struct zu_view view;
    zu_msg_init(&newest);
    uint64_t held = zu_pipe_count(from).held;
    uint64_t passed = held;
    int err = 0;
    while (held && !err) {
        zu_pipe_peek(from, &view);
        bool ends = !(view.flags & ZU_FRAME_MORE);
        zu_msg_close(&newest);
        err = zu_pipe_take_msg(from, &view, &newest);
        if (err)
            zu_msg_init(&newest);
        held -= ends;
    }
    if (passed > 1) { /* all but the last */
        uint64_t count = atomic_load_explicit(&to->write_count, memory_order_relaxed) + passed - 1;
        atomic_store_explicit(&to->write_count, count, memory_order_release); /* as in show */
        count_replaced(to, passed - 1);
    }
    if (passed && !err)
        err = zu_pipe_write_msg(to, &newest, false);
    zu_msg_close(&newest);
    return err;
}

void zu_pipe_conflate_fini(struct zu_pipe *pipe)
{
    struct zu_chunk *chunk = atomic_load_explicit(&pipe->newest, memory_order_acquire);
    if (chunk)
        chunk_drop(chunk);
}
