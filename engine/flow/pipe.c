/* SPDX-License-Identifier: MIT */
/*
 * Life of a pipe: two ends hold a reference each; the last to go frees the chunks and drops every payload reference that
 * nobody took, so free callbacks always run. zu_pipe_new fails only for want of memory.
 */
#include "flow/pipe.h"

#include "flow/pipe_conflate.h"
#include "mem/alloc.h"

struct zu_pipe *zu_pipe_new(uint64_t hwm)
{
    struct zu_pipe *pipe = zu_alloc_lines(sizeof *pipe);
    struct zu_chunk *chunk = pipe ? zu_chunk_new(0) : NULL;
    if (!chunk) {
        if (pipe)
            zu_free(pipe, sizeof *pipe);
        return NULL;
    }
    memset(pipe, 0, sizeof *pipe);
    atomic_init(&pipe->hwm, hwm);
    atomic_init(&pipe->refs, 2);
    pipe->w_chunk = pipe->w_shown = pipe->r_chunk = chunk;
    pipe->w_limit = chunk->size - (uint32_t)sizeof(struct zu_chunk_ref);
    atomic_init(&pipe->w_admit, hwm ? hwm : UINT64_MAX);
    pipe->w_kept_chunk = pipe->r_sent.chunk = pipe->r_kept.chunk = chunk;
    pipe->r_at = pipe->r_end = chunk->data;
    return pipe;
}

static void drop_chain(struct zu_chunk *chunk, uint32_t ref)
{
    while (chunk) {
        /* acquire: the writer may have published from another thread and then dropped its end. */
        uint64_t word = atomic_load_explicit(&chunk->word, memory_order_acquire);
        for (; ref < zu_word_refs(word); ref++)
            zu_owner_drop(zu_chunk_ref_at(chunk, ref)->owner);
        struct zu_chunk *next = word & ZU_CHUNK_SEALED ? chunk->next : NULL;
        zu_chunk_unref(chunk);
        chunk = next;
        ref = 0;
    }
}

void zu_pipe_unref(struct zu_pipe *pipe)
{
    /* acq_rel: all that either end did happens before the chain is taken apart. */
    if (atomic_fetch_sub_explicit(&pipe->refs, 1, memory_order_acq_rel) != 1)
        return;
    drop_chain(pipe->r_chunk, pipe->r_ref);
    zu_pipe_conflate_fini(pipe);
    zu_origin_unref(pipe->w_origin);
    if (pipe->reader_box)
        zu_mailbox_unref(pipe->reader_box);
    if (pipe->writer_box)
        zu_mailbox_unref(pipe->writer_box);
    zu_free(pipe, sizeof *pipe);
}

void zu_pipe_set_reader(struct zu_pipe *pipe, struct zu_mailbox *box, struct zu_note *note)
{
    pipe->reader_box = zu_mailbox_ref(box);
    pipe->reader_note = note;
}

void zu_pipe_set_writer(struct zu_pipe *pipe, struct zu_mailbox *box, struct zu_note *note)
{
    pipe->writer_box = zu_mailbox_ref(box);
    pipe->writer_note = note;
}

/* seq_cst exchange: whoever turns 1 into 0 alone posts. The plain look first spares the line when nobody sleeps. */
static void wake_writer(struct zu_pipe *pipe)
{
    if (atomic_load_explicit(&pipe->writer_asleep, memory_order_seq_cst) &&
        atomic_exchange_explicit(&pipe->writer_asleep, 0, memory_order_seq_cst))
        zu_mailbox_post(pipe->writer_box, pipe->writer_note);
}

void zu_pipe_writer_set_hwm(struct zu_pipe *pipe, uint64_t hwm)
{
    if (pipe->conflates)
        return;
    /*
     * seq_cst: a writer that falls asleep afterwards reads the new limit; one that sleeps already is woken. The limit
     * before w_admit; zu_pipe_admit_slow does the opposite.
     */
    atomic_store_explicit(&pipe->hwm, hwm, memory_order_seq_cst);
    atomic_store_explicit(&pipe->w_admit, 0, memory_order_seq_cst);
}

void zu_pipe_set_hwm(struct zu_pipe *pipe, uint64_t hwm)
{
    zu_pipe_writer_set_hwm(pipe, hwm);
    wake_writer(pipe);
}

void zu_pipe_reader_check(struct zu_pipe *pipe)
{
    pipe->r_checked = pipe->r_read;
    /* seq_cst on the count, then on the sleeper; the writer does the opposite in zu_pipe_writer_sleep. */
    atomic_exchange_explicit(&pipe->read_count, pipe->r_read, memory_order_seq_cst);
    uint64_t hwm = atomic_load_explicit(&pipe->hwm, memory_order_relaxed), half = hwm / 2;
    uint64_t held = atomic_load_explicit(&pipe->write_count, memory_order_relaxed) - pipe->r_read;
    pipe->r_check_at = pipe->r_read + hwm - half;
    if (held <= half)
        wake_writer(pipe);
    else if (atomic_load_explicit(&pipe->writer_asleep, memory_order_seq_cst))
        pipe->r_check_at = pipe->r_read + held - half;
}

void zu_pipe_passed(struct zu_pipe *pipe, uint64_t bytes)
{
    bytes += atomic_load_explicit(&pipe->read_bytes, memory_order_relaxed);
    atomic_store_explicit(&pipe->read_bytes, bytes, memory_order_relaxed);
    uint64_t pace = atomic_load_explicit(&pipe->pace_bytes, memory_order_relaxed);
    if (pace && bytes >= pace) {
        atomic_store_explicit(&pipe->pace_bytes, 0, memory_order_relaxed);
        wake_writer(pipe);
    }
}

void zu_pipe_passed_record(struct zu_pipe *pipe, uint64_t bytes)
{
    bytes += atomic_load_explicit(&pipe->read_records, memory_order_relaxed);
    if (bytes - pipe->r_records_checked < ZU_PIPE_FED_MAX / 4) {
        atomic_store_explicit(&pipe->read_records, bytes, memory_order_relaxed);
        return;
    }
    pipe->r_records_checked = bytes;
    /* seq_cst on the count, then on the sleeper; the writer does the opposite in zu_pipe_feed_is_full. */
    atomic_exchange_explicit(&pipe->read_records, bytes, memory_order_seq_cst);
    wake_writer(pipe);
}

struct zu_pipe_counts zu_pipe_count(struct zu_pipe *pipe)
{
    struct zu_pipe_counts counts;
    /* Accepted last: what was consumed or replaced never passes it, so held cannot come out negative. */
    counts.consumed = atomic_load_explicit(&pipe->read_count, memory_order_acquire);
    uint64_t replaced = atomic_load_explicit(&pipe->replaced, memory_order_acquire);
    counts.accepted = atomic_load_explicit(&pipe->write_count, memory_order_acquire);
    bool gone = atomic_load_explicit(&pipe->reader_gone, memory_order_relaxed);
    uint64_t held = counts.accepted - counts.consumed - replaced;
    counts.dropped = replaced + (gone ? held : 0);
    counts.held = gone ? 0 : held;
    return counts;
}

void zu_pipe_leave(struct zu_pipe *pipe)
{
    atomic_store_explicit(&pipe->reader_gone, true, memory_order_relaxed);
    atomic_store_explicit(&pipe->reader_state, ZU_READER_AWAKE, memory_order_relaxed); /* no more notes */
    zu_pipe_unref(pipe);
}
