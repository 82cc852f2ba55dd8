/* SPDX-License-Identifier: MIT */
/*
 * Draining: gather points the kernel at everything published, handed moves on by what it took. When it took all, the
 * message count comes from the chunk's word and no frame is looked at; only after a partial transfer are frames walked,
 * to know which messages are out of our hands. Chunks and payloads are released when a message is wholly handed over,
 * so that a lost connection resumes at a message boundary. Nothing here fails.
 */
#include "flow/pipe_drain.h"

#include <errno.h>

#include "flow/pipe_conflate.h"
#include "flow/pipe_wake.h"

/* Puts one chunk's published pieces into iov; returns false when a limit was hit before its end. */
static bool gather_chunk(struct zu_cursor *at, uint64_t word, struct iovec *iov, int iov_max, size_t bytes_max,
                         int *count, size_t *bytes)
{
    uint32_t end = zu_word_end(word);
    uint32_t refs = zu_word_refs(word);
    while (at->at < end || at->ref < refs) {
        if (*count == iov_max || *bytes >= bytes_max)
            return false;
        struct zu_chunk_ref *ref = at->ref < refs ? zu_chunk_ref_at(at->chunk, at->ref) : NULL;
        struct iovec *piece = &iov[(*count)++];
        if (ref && ref->at == at->at) {
            piece->iov_base = (void *)(uintptr_t)(ref->data + at->done);
            piece->iov_len = ref->size - at->done;
            at->ref++;
            at->done = 0;
        } else {
            uint32_t until = ref ? ref->at : end;
            piece->iov_base = at->chunk->data + at->at;
            piece->iov_len = until - at->at;
            at->at = until;
        }
        *bytes += piece->iov_len;
    }
    at->messages = zu_word_messages(word);
    return true;
}

static struct zu_cursor chunk_start(struct zu_chunk *chunk)
{
    return (struct zu_cursor){.chunk = chunk, .at = chunk->begin};
}

/* Nothing more lies in the last chunk: 1 to look again, 0 when that is all, and the note will come unless AWAKE; -EPIPE. */
static int chain_end(struct zu_pipe *pipe, struct zu_chunk *chunk, uint64_t word, enum zu_gather_mode mode)
{
    if (word & ZU_CHUNK_EOF)
        return -EPIPE;
    if (zu_unlikely(pipe->conflates) && zu_pipe_conflate_pull(pipe, chunk))
        return 1;
    zu_pipe_reader_rests(pipe);
    if (mode == ZU_GATHER_STAY_AWAKE)
        return 0;
    if (!zu_pipe_reader_sleep(pipe, chunk, word, mode == ZU_GATHER_SLEEP_HERE))
        return 1;
    return pipe->conflates && !zu_pipe_conflate_sleeps(pipe);
}

int zu_pipe_gather(struct zu_pipe *pipe, struct iovec *iov, int iov_max, size_t bytes_max, enum zu_gather_mode mode,
                   size_t *ret_bytes)
{
    struct zu_cursor at = pipe->r_sent;
    int count = 0;
    size_t bytes = 0;
    bool all = false;
    for (;;) {
        /* acquire: frames, references and `next` behind the writer's exchange. */
        uint64_t word = atomic_load_explicit(&at.chunk->word, memory_order_acquire);
        if (!gather_chunk(&at, word, iov, iov_max, bytes_max, &count, &bytes))
            break;
        if (word & ZU_CHUNK_SEALED) {
            at = chunk_start(at.chunk->next);
            continue;
        }
        all = true;
        if (count)
            break;
        int next = chain_end(pipe, at.chunk, word, mode);
        if (next < 0)
            return next;
        if (!next)
            break;
    }
    pipe->r_gathered = at;
    pipe->r_gathered_bytes = bytes;
    pipe->r_gathered_all = all;
    *ret_bytes = bytes;
    return count;
}

/* Releases everything before `to`; returns how many messages ended there. */
static uint64_t release_until(struct zu_pipe *pipe, const struct zu_cursor *to)
{
    struct zu_cursor *kept = &pipe->r_kept;
    uint64_t messages = 0;
    for (;;) {
        struct zu_chunk *chunk = kept->chunk;
        bool last = chunk == to->chunk;
        uint64_t word = atomic_load_explicit(&chunk->word, memory_order_relaxed);
        uint32_t refs = last ? to->ref : zu_word_refs(word);
        for (uint32_t i = kept->ref; i < refs; i++)
            zu_owner_drop(zu_chunk_ref_at(chunk, i)->owner);
        messages += (last ? to->messages : zu_word_messages(word)) - kept->messages;
        if (last)
            break;
        *kept = chunk_start(chunk->next);
        zu_chunk_unref(chunk);
    }
    *kept = *to;
    pipe->r_chunk = kept->chunk;
    pipe->r_ref = kept->ref;
    return messages;
}

static bool is_same_place(const struct zu_cursor *a, const struct zu_cursor *b)
{
    return a->chunk == b->chunk && a->at == b->at && a->ref == b->ref && a->done == b->done;
}

/* Moves r_sent on by `bytes` of what was gathered. */
static void sent_advance(struct zu_pipe *pipe, size_t bytes)
{
    struct zu_cursor *at = &pipe->r_sent;
    while (bytes) {
        uint64_t word = atomic_load_explicit(&at->chunk->word, memory_order_acquire);
        uint32_t refs = zu_word_refs(word);
        struct zu_chunk_ref *ref = at->ref < refs ? zu_chunk_ref_at(at->chunk, at->ref) : NULL;
        if (ref && ref->at == at->at) {
            uint64_t left = ref->size - at->done;
            uint64_t step = bytes < left ? bytes : left;
            at->done += step;
            bytes -= step;
            if (at->done == ref->size) {
                at->ref++;
                at->done = 0;
            }
            continue;
        }
        uint32_t until = ref ? ref->at : zu_word_end(word);
        uint32_t step = bytes < until - at->at ? (uint32_t)bytes : until - at->at;
        at->at += step;
        bytes -= step;
        if (step == 0)
            *at = chunk_start(at->chunk->next);
    }
}

/* The place behind the frame at `at`, which is published as a whole. */
static struct zu_cursor frame_after(const struct zu_cursor *at, bool *ret_more)
{
    struct zu_cursor after = *at;
    struct zu_frame_head head = zu_pipe_head_at(at->chunk->data + at->at);
    *ret_more = head.flags & ZU_FRAME_MORE;
    after.at += head.head_size;
    uint32_t refs = zu_word_refs(atomic_load_explicit(&at->chunk->word, memory_order_acquire));
    if (head.size && at->ref < refs && zu_chunk_ref_at(at->chunk, at->ref)->at == after.at)
        after.ref++;
    else
        after.at += (uint32_t)head.size;
    if (!*ret_more && !(head.flags & ZU_FRAME_COMMAND)) /* a record is no message */
        after.messages++;
    return after;
}

int zu_pipe_walk(struct zu_pipe *pipe, enum zu_gather_mode mode, struct zu_walked *ret_frame)
{
    struct zu_cursor at = pipe->r_sent;
    for (;;) {
        /* acquire: as in gather. */
        uint64_t word = atomic_load_explicit(&at.chunk->word, memory_order_acquire);
        if (at.at < zu_word_end(word))
            break;
        if (word & ZU_CHUNK_SEALED) {
            at = chunk_start(at.chunk->next);
            continue;
        }
        int next = chain_end(pipe, at.chunk, word, mode);
        if (next <= 0)
            return next;
    }
    struct zu_frame_head head = zu_pipe_head_at(at.chunk->data + at.at);
    bool more;
    ret_frame->after = frame_after(&at, &more);
    ret_frame->flags = head.flags & (ZU_FRAME_MORE | ZU_FRAME_COMMAND);
    ret_frame->size = head.size;
    ret_frame->body = ret_frame->after.ref > at.ref ? zu_chunk_ref_at(at.chunk, at.ref)->data
                                                     : at.chunk->data + at.at + head.head_size;
    return 1;
}

void zu_pipe_walk_handed(struct zu_pipe *pipe, unsigned units)
{
    struct zu_cursor at = pipe->r_kept;
    while (units) {
        uint64_t word = atomic_load_explicit(&at.chunk->word, memory_order_acquire);
        if (at.at == zu_word_end(word)) {
            at = chunk_start(at.chunk->next);
            continue;
        }
        bool more;
        at = frame_after(&at, &more);
        units -= !more;
    }
    uint64_t messages = release_until(pipe, &at);
    if (messages)
        zu_pipe_consumed(pipe, messages);
}

/* The last message boundary at or before r_sent. */
static struct zu_cursor boundary_before_sent(struct zu_pipe *pipe)
{
    const struct zu_cursor *sent = &pipe->r_sent;
    struct zu_cursor boundary = pipe->r_kept;
    struct zu_cursor at = boundary;
    while (!is_same_place(&at, sent)) {
        uint64_t word = atomic_load_explicit(&at.chunk->word, memory_order_acquire);
        if (at.at == zu_word_end(word) && at.ref == zu_word_refs(word)) {
            if (at.chunk == sent->chunk)
                break;
            at = chunk_start(at.chunk->next);
            continue;
        }
        bool more;
        struct zu_cursor after = frame_after(&at, &more);
        if (at.chunk == sent->chunk && (after.at > sent->at || (after.at == sent->at && after.ref > sent->ref)))
            break;
        at = after;
        if (!more)
            boundary = at;
    }
    return boundary;
}

uint64_t zu_pipe_handed(struct zu_pipe *pipe, size_t bytes)
{
    struct zu_cursor boundary;
    if (zu_likely(bytes == pipe->r_gathered_bytes && pipe->r_gathered_all)) {
        boundary = pipe->r_sent = pipe->r_gathered;
    } else {
        sent_advance(pipe, bytes);
        boundary = boundary_before_sent(pipe);
    }
    uint64_t messages = release_until(pipe, &boundary);
    if (messages)
        zu_pipe_consumed(pipe, messages);
    return messages;
}

void zu_pipe_rewind(struct zu_pipe *pipe)
{
    pipe->r_sent = pipe->r_kept;
}

bool zu_pipe_at_boundary(const struct zu_pipe *pipe)
{
    return is_same_place(&pipe->r_sent, &pipe->r_kept);
}

static bool is_record(const struct zu_cursor *at, const void *record, size_t size)
{
    const uint8_t *data = at->chunk->data + at->at;
    struct zu_frame_head head = zu_pipe_head_at(data);
    return (head.flags & ZU_FRAME_COMMAND) && head.size == size && memcmp(data + head.head_size, record, size) == 0;
}

static void drop_until(struct zu_pipe *pipe, const struct zu_cursor *to)
{
    uint64_t messages = release_until(pipe, to);
    pipe->r_sent = pipe->r_kept;
    if (messages)
        zu_pipe_consumed(pipe, messages);
}

bool zu_pipe_skip_to(struct zu_pipe *pipe, const void *record, size_t size)
{
    struct zu_cursor at = pipe->r_kept;
    for (;;) {
        uint64_t word = atomic_load_explicit(&at.chunk->word, memory_order_acquire); /* as in gather */
        if (at.at == zu_word_end(word) && at.ref == zu_word_refs(word)) {
            if (!(word & ZU_CHUNK_SEALED))
                break;
            at = chunk_start(at.chunk->next);
            continue;
        }
        bool found = is_record(&at, record, size), more;
        at = frame_after(&at, &more);
        if (found) {
            drop_until(pipe, &at);
            return true;
        }
    }
    drop_until(pipe, &at);
    return false;
}
