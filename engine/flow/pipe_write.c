/* SPDX-License-Identifier: MIT */
/*
 * Writing: a frame goes behind the last one; the end of a message publishes everything up to there with one exchange on
 * the word of the chunk that the reader stands in, and the old word says whether the reader sleeps. A message may span
 * chunks: the later ones are completed first, so that the one exchange shows them all.
 * It fails for want of memory with -ENOMEM; nothing half-written is ever visible, and the message can be taken back.
 */
#include "flow/pipe.h"

#include <assert.h>
#include <errno.h>

#include "flow/pipe_conflate.h"

/* Payload by reference that makes a batch. */
enum { FLUSH_BYTES = 128 * 1024 };

/* The largest need that a rung's chunk is sure to hold besides one reference. */
static const uint32_t rung_room[ZU_CHUNK_RUNGS] = {400, 3900, 16000, 65000, 81000};

bool zu_pipe_admit_slow(struct zu_pipe *pipe)
{
    uint64_t hwm = atomic_load_explicit(&pipe->hwm, memory_order_seq_cst);
    for (;;) {
        /* seq_cst, not just acquire: after the exchange in writer_sleep this must see what reader_check stored before. */
        uint64_t read = atomic_load_explicit(&pipe->read_count, memory_order_seq_cst);
        uint64_t admit = hwm ? read + hwm : UINT64_MAX;
        /* seq_cst: w_admit, then the limit again; so a change in between is seen, or sets w_admit to 0 afterwards. */
        atomic_store_explicit(&pipe->w_admit, admit, memory_order_seq_cst);
        uint64_t now = atomic_load_explicit(&pipe->hwm, memory_order_seq_cst);
        if (zu_likely(now == hwm))
            return atomic_load_explicit(&pipe->write_count, memory_order_relaxed) < admit;
        hwm = now;
    }
}

bool zu_pipe_writer_sleep(struct zu_pipe *pipe)
{
    /* "Asleep" first, then another look at the counter; zu_pipe_reader_check does the opposite. */
    atomic_exchange_explicit(&pipe->writer_asleep, 1, memory_order_seq_cst);
    if (!zu_pipe_admit_slow(pipe))
        return true;
    /* There is room. If the reader was faster in clearing the mark, its note comes for nothing. */
    atomic_exchange_explicit(&pipe->writer_asleep, 0, memory_order_seq_cst);
    return false;
}

static inline bool reader_is_asleep(const struct zu_pipe *pipe)
{
    return atomic_load_explicit(&pipe->reader_state, memory_order_relaxed) == ZU_READER_ASLEEP;
}

/* Climb while the reader lags behind, step down when it waits: a quiet pipe holds little memory. */
static void rung_adapt(struct zu_pipe *pipe)
{
    bool drained = reader_is_asleep(pipe);
    if (!drained && pipe->w_rung < ZU_CHUNK_RUNG_TOP)
        pipe->w_rung++;
    else if (drained && pipe->w_rung > 0)
        pipe->w_rung--;
}

void zu_pipe_chunk_link(struct zu_pipe *pipe, struct zu_chunk *chunk)
{
    struct zu_chunk *old = pipe->w_chunk;
    old->next = chunk;
    old->final_word = zu_word_make(pipe->w_at, pipe->w_refs, pipe->w_messages) | ZU_CHUNK_SEALED;
    chunk->origin = zu_origin_ref(pipe->w_origin);
    pipe->w_chunk = chunk;
    pipe->w_at = pipe->w_raw = chunk->begin;
    pipe->w_limit = chunk->size - (uint32_t)sizeof(struct zu_chunk_ref);
    pipe->w_refs = 0;
    pipe->w_messages = 0;
}

unsigned zu_pipe_rung_for(uint32_t need)
{
    unsigned rung = 0;
    while (rung < ZU_CHUNK_RUNGS && rung_room[rung] < need)
        rung++;
    return rung;
}

ZU_COLD int zu_pipe_chunk_next(struct zu_pipe *pipe, uint32_t need)
{
    rung_adapt(pipe);
    unsigned rung = zu_pipe_rung_for(need);
    if (rung < pipe->w_rung)
        rung = pipe->w_rung;
    struct zu_chunk *chunk = rung < ZU_CHUNK_RUNGS ? zu_chunk_new(rung) : NULL;
    if (!chunk)
        return -ENOMEM;
    zu_pipe_chunk_link(pipe, chunk);
    /* Not in a dialogue, whose reader sleeps by now: it would take the writer's help for a stream, and look late. */
    pipe->w_flush_due |= pipe->w_rung == ZU_CHUNK_RUNG_TOP;
    return 0;
}

/* Completes the chunks between the shown one and the kept one; the word to show then is the shown one's last. */
static ZU_COLD uint64_t chain_complete(struct zu_pipe *pipe, uint64_t word)
{
    struct zu_chunk *shown = pipe->w_shown;
    struct zu_chunk *last = pipe->w_kept_chunk;
    for (struct zu_chunk *chunk = shown->next; chunk != last; chunk = chunk->next)
        atomic_store_explicit(&chunk->word, chunk->final_word, memory_order_relaxed);
    atomic_store_explicit(&last->word, word, memory_order_relaxed);
    pipe->w_shown = last;
    return shown->final_word;
}

/* The reader may sleep: the writer that takes its mark posts its note. */
static ZU_COLD void wake_reader(struct zu_pipe *pipe)
{
    unsigned state = ZU_READER_ASLEEP, woken = atomic_load_explicit(&pipe->woken_state, memory_order_relaxed);
    if (atomic_compare_exchange_strong_explicit(&pipe->reader_state, &state, woken, memory_order_seq_cst,
                                                memory_order_relaxed))
        zu_mailbox_post(pipe->reader_box, pipe->reader_note);
}

/*
 * The reader has stopped polling, perhaps with its barrier behind it and our store still on the way. A read-modify-write:
 * either the reader's own, in zu_pipe_reader_sleep, comes after it and then sees the word, or we see it asleep.
 * On the state, because a sealed chunk may be gone by now.
 */
ZU_COLD void zu_pipe_publish_missed(struct zu_pipe *pipe)
{
    if (atomic_fetch_or_explicit(&pipe->reader_state, 0, memory_order_seq_cst) == ZU_READER_ASLEEP)
        wake_reader(pipe);
}

void zu_pipe_wake_sleeper(struct zu_pipe *pipe)
{
    if (zu_unlikely(atomic_load_explicit(&pipe->reader_state, memory_order_seq_cst) == ZU_READER_ASLEEP))
        wake_reader(pipe);
}

void zu_pipe_publish(struct zu_pipe *pipe, uint64_t flags)
{
    struct zu_chunk *shown = pipe->w_shown;
    uint64_t word = pipe->w_kept_word | flags;
    if (zu_unlikely(pipe->w_kept_chunk != shown))
        word = chain_complete(pipe, word);
    if (zu_likely(atomic_load_explicit(&pipe->reader_state, memory_order_relaxed) == ZU_READER_POLLING)) {
        zu_pipe_publish_polled(pipe, shown, word);
        return;
    }
    /* seq_cst: the word first, then the state; zu_pipe_reader_sleep does the opposite. */
    atomic_exchange_explicit(&shown->word, word, memory_order_seq_cst);
    zu_pipe_wake_sleeper(pipe);
}

static inline void frame_finish(struct zu_pipe *pipe, bool more)
{
    pipe->w_inside = more;
    if (zu_unlikely(more))
        return;
    pipe->w_messages++;
    uint64_t count = atomic_load_explicit(&pipe->write_count, memory_order_relaxed) + 1;
    /* Before the publication: the reader may otherwise count a message that was never accepted. */
    atomic_store_explicit(&pipe->write_count, count, memory_order_release);
    zu_pipe_keep(pipe);
    zu_pipe_publish(pipe, 0);
}

void zu_pipe_add_ref(struct zu_pipe *pipe, uintptr_t owner, const void *data, uint64_t size)
{
    struct zu_chunk_ref *ref = zu_chunk_ref_at(pipe->w_chunk, pipe->w_refs++);
    *ref = (struct zu_chunk_ref){.owner = owner, .data = data, .size = size, .at = pipe->w_at};
    pipe->w_limit -= (uint32_t)sizeof *ref;
    if (reader_is_asleep(pipe)) { /* a dialogue, as in chunk_next: its note wakes it */
        pipe->w_by_ref_bytes = 0;
        return;
    }
    pipe->w_by_ref_bytes += size < FLUSH_BYTES ? (uint32_t)size : FLUSH_BYTES;
    if (pipe->w_by_ref_bytes >= FLUSH_BYTES) {
        pipe->w_by_ref_bytes = 0;
        pipe->w_flush_due = true;
    }
}

int zu_pipe_reserve(struct zu_pipe *pipe)
{
    bool full = pipe->w_limit < pipe->w_at + ZU_FRAME_HEAD_MAX + sizeof(struct zu_chunk_ref) ||
                pipe->w_refs + 1 >= 1u << ZU_CHUNK_REF_BITS;
    return full ? zu_pipe_chunk_next(pipe, ZU_FRAME_HEAD_MAX + sizeof(struct zu_chunk_ref)) : 0;
}

/* Takes over `owner` on success. An application that reads looks for references behind long heads only. */
static int write_by_ref(struct zu_pipe *pipe, uintptr_t owner, const void *data, size_t size, bool more)
{
    if (zu_unlikely(pipe->conflates))
        return zu_pipe_conflate_write_ref(pipe, owner, data, size);
    if (zu_pipe_reserve(pipe) < 0)
        return -ENOMEM;
    pipe->w_at += (uint32_t)zu_frame_encode_long(pipe->w_chunk->data + pipe->w_at, more, size);
    zu_pipe_add_ref(pipe, owner, data, size);
    frame_finish(pipe, more);
    return 0;
}

int zu_pipe_write_sent(struct zu_pipe *pipe, struct zu_buf *buf, size_t size)
{
    if (zu_pipe_reserve(pipe) < 0)
        return -ENOMEM;
    pipe->w_at += (uint32_t)zu_frame_encode(pipe->w_chunk->data + pipe->w_at, 0, size);
    zu_pipe_add_ref(pipe, zu_owner_of_buf(buf), buf->data, size);
    frame_finish(pipe, false);
    return 0;
}

void zu_pipe_count_past(struct zu_pipe *pipe)
{
    uint64_t count = atomic_load_explicit(&pipe->write_count, memory_order_relaxed) + 1;
    atomic_store_explicit(&pipe->write_count, count, memory_order_release); /* as in frame_finish */
    zu_pipe_consumed(pipe, 1);
}

static ZU_COLD int write_large(struct zu_pipe *pipe, const void *data, size_t size, bool more)
{
    struct zu_buf *buf = zu_buf_new(size);
    if (!buf)
        return -ENOMEM;
    memcpy(buf->data, data, size);
    int err = write_by_ref(pipe, zu_owner_of_buf(buf), buf->data, size, more);
    if (err)
        zu_buf_unref(buf);
    return err;
}

int zu_pipe_write(struct zu_pipe *pipe, const void *data, size_t size, bool more)
{
    if (zu_unlikely(size > ZU_PIPE_COPY_MAX))
        return write_large(pipe, data, size, more);
    uint32_t need = (uint32_t)size + ZU_FRAME_HEAD_MAX;
    if (zu_unlikely(pipe->w_limit < pipe->w_at + need)) {
        if (pipe->conflates)
            return zu_pipe_conflate_write(pipe, data, size);
        int err = zu_pipe_chunk_next(pipe, need);
        if (err)
            return err;
    }
    uint8_t *at = pipe->w_chunk->data + pipe->w_at;
    size_t head = zu_frame_encode(at, more, size);
    if (zu_likely(size)) /* data may be NULL */
        zu_copy(at + head, data, size);
    pipe->w_at += (uint32_t)(head + size);
    frame_finish(pipe, more);
    return 0;
}

int zu_pipe_write_msg(struct zu_pipe *pipe, struct zu_msg *msg, bool more)
{
    size_t size = zu_msg_size(msg);
    int err;
    if (zu_pipe_copies(msg)) {
        err = zu_pipe_write(pipe, zu_msg_data(msg), size, more);
        if (!err)
            zu_msg_close(msg);
    } else {
        uintptr_t owner = msg->kind == ZU_MSG_SHARED  ? zu_owner_of_buf(msg->buf)
                          : msg->kind == ZU_MSG_SLICE ? zu_owner_of_chunk(msg->chunk)
                                                      : 0;
        err = write_by_ref(pipe, owner, msg->data, size, more);
        if (!err)
            zu_msg_drop_labels(msg);
    }
    if (!err)
        zu_msg_init(msg);
    return err;
}

int zu_pipe_reserve_record(struct zu_pipe *pipe, size_t size)
{
    if (pipe->conflates)
        return 0;
    if (size > ZU_PIPE_COPY_MAX)
        return zu_pipe_reserve(pipe);
    uint32_t need = (uint32_t)size + ZU_FRAME_HEAD_MAX;
    return pipe->w_limit < pipe->w_at + need ? zu_pipe_chunk_next(pipe, need) : 0;
}

struct zu_buf *zu_pipe_record_new(const void *head, size_t head_size, const void *data, size_t size)
{
    struct zu_buf *buf = zu_buf_new(head_size + size);
    if (!buf)
        return NULL;
    memcpy(buf->data, head, head_size);
    memcpy((uint8_t *)buf->data + head_size, data, size);
    return buf;
}

int zu_pipe_write_record_buf(struct zu_pipe *pipe, struct zu_buf *buf, size_t size)
{
    assert(!pipe->w_inside);
    if (pipe->conflates)
        return 0;
    if (zu_pipe_reserve(pipe) < 0)
        return -ENOMEM;
    pipe->w_at += (uint32_t)zu_frame_encode(pipe->w_chunk->data + pipe->w_at, ZU_FRAME_COMMAND, size);
    zu_pipe_add_ref(pipe, zu_owner_of_buf(zu_buf_ref(buf)), buf->data, size);
    zu_pipe_keep(pipe);
    zu_pipe_publish(pipe, 0);
    return 0;
}

static ZU_COLD int record_by_ref(struct zu_pipe *pipe, const void *head, size_t head_size, const void *data, size_t size)
{
    struct zu_buf *buf = zu_pipe_record_new(head, head_size, data, size);
    if (!buf)
        return -ENOMEM;
    int err = zu_pipe_write_record_buf(pipe, buf, head_size + size);
    zu_buf_unref(buf);
    return err;
}

static int record_here(struct zu_pipe *pipe, const void *head, size_t head_size, const void *data, size_t size)
{
    if (zu_pipe_reserve_record(pipe, head_size + size) < 0)
        return -ENOMEM;
    uint8_t *at = pipe->w_chunk->data + pipe->w_at;
    at += zu_frame_encode(at, ZU_FRAME_COMMAND, head_size + size);
    memcpy(at, head, head_size);
    if (size) /* data may be NULL */
        memcpy(at + head_size, data, size);
    pipe->w_at = (uint32_t)(at + head_size + size - pipe->w_chunk->data);
    zu_pipe_keep(pipe);
    zu_pipe_publish(pipe, 0);
    return 0;
}

int zu_pipe_write_record(struct zu_pipe *pipe, const void *head, size_t head_size, const void *data, size_t size)
{
    assert(!pipe->w_inside);
    if (pipe->conflates) /* its reader is no publisher, but any socket may meet any other by inproc */
        return 0;
    return head_size + size > ZU_PIPE_COPY_MAX ? record_by_ref(pipe, head, head_size, data, size)
                                               : record_here(pipe, head, head_size, data, size);
}

int zu_pipe_set_origin(struct zu_pipe *pipe, struct zu_origin *origin)
{
    struct zu_origin *old = pipe->w_origin;
    pipe->w_origin = zu_origin_ref(origin);
    bool is_fresh = pipe->w_chunk->begin == pipe->w_raw && pipe->w_chunk->begin == pipe->w_at;
    int err = 0;
    if (is_fresh && !pipe->conflates) { /* nobody looks at the origin of nothing */
        zu_origin_unref(pipe->w_chunk->origin);
        pipe->w_chunk->origin = zu_origin_ref(origin);
    } else if (!pipe->conflates) {
        err = zu_pipe_chunk_next(pipe, 0); /* a chunk has one origin */
    }
    if (err) {
        pipe->w_origin = old;
        old = origin;
    }
    zu_origin_unref(old);
    return err;
}

void zu_pipe_roll_back(struct zu_pipe *pipe)
{
    if (pipe->conflates) /* no message of it is ever unfinished */
        return;
    struct zu_chunk *chunk = pipe->w_kept_chunk;
    uint32_t ref = zu_word_refs(pipe->w_kept_word);
    while (chunk) {
        bool last = chunk == pipe->w_chunk;
        uint32_t refs = last ? pipe->w_refs : zu_word_refs(chunk->final_word);
        for (; ref < refs; ref++)
            zu_owner_drop(zu_chunk_ref_at(chunk, ref)->owner);
        struct zu_chunk *next = last ? NULL : chunk->next;
        if (chunk != pipe->w_kept_chunk)
            zu_chunk_unref(chunk);
        chunk = next;
        ref = 0;
    }
    pipe->w_chunk = pipe->w_kept_chunk;
    pipe->w_chunk->next = NULL;
    pipe->w_at = pipe->w_raw = zu_word_end(pipe->w_kept_word);
    pipe->w_refs = zu_word_refs(pipe->w_kept_word);
    pipe->w_messages = zu_word_messages(pipe->w_kept_word);
    pipe->w_limit = pipe->w_chunk->size - (uint32_t)sizeof(struct zu_chunk_ref) * (pipe->w_refs + 1);
    pipe->w_inside = false;
    if (pipe->w_fed_bytes >= pipe->w_open_bytes)
        pipe->w_fed_bytes -= pipe->w_open_bytes; /* nobody will pass these */
    pipe->w_open_bytes = 0;
    pipe->w_open_records = 0;
}

void zu_pipe_end(struct zu_pipe *pipe)
{
    if (!pipe->w_ended) {
        zu_pipe_roll_back(pipe);
        pipe->w_ended = true;
        atomic_store_explicit(&pipe->writer_asleep, 0, memory_order_seq_cst); /* nobody there to wake any more */
        if (pipe->conflates)
            zu_pipe_conflate_end(pipe);
        else
            zu_pipe_publish(pipe, ZU_CHUNK_EOF);
    }
    zu_pipe_unref(pipe);
}
