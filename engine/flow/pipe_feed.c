/* SPDX-License-Identifier: MIT */
/*
 * Feeding: received bytes become the tail of the pipe, by link when they are many and by copy when they are few. A scan
 * passes the whole frames, and one publication shows all messages that became whole. A frame cut by the buffer's end
 * moves in front of the next buffer's bytes, into its headroom, so every small frame lies in one piece.
 * A frame that breaks a limit or the protocol fails with what the connection should report; messages before it are
 * published all the same. Without memory nothing is lost but the connection.
 */
#include "flow/pipe_feed.h"

#include <errno.h>

enum {
    LAG_HIGH = 384 * 1024, /* unread bytes at which the writer goes slow: half a core's cache */
    LAG_LOW = LAG_HIGH / 3, /* how many the reader leaves when it wakes it */
    HIDE_MAX = 192 * 1024, /* bytes that a sleeping reader is woken for, while they come by full buffers */
    PREFETCH_BYTES = 1024, /* how far the scan asks ahead: each head's place depends on the one before, so it must not wait */
};

/* It counts when it is shown, and among the message's bytes until then: what is never shown, no reader passes. */
static void record_kept(struct zu_pipe *pipe, uint8_t *at, uint64_t size)
{
    *at |= ZU_PIPE_FED;
    pipe->w_open_records += size;
}

static void records_shown(struct zu_pipe *pipe, uint64_t size)
{
    pipe->w_fed_records += size;
    pipe->w_open_records -= size;
}

/* 1: a record, to be kept for the reader. */
static int scan_frame(struct zu_pipe *pipe, uint8_t *at, const struct zu_frame_head *head,
                      const struct zu_feed_limits *limits)
{
    if (zu_unlikely(head->size > limits->frame_max))
        return -EMSGSIZE;
    if (zu_unlikely(*at & ~(unsigned)(ZU_FRAME_MORE | ZU_FRAME_LONG | ZU_FRAME_COMMAND)))
        *at &= ZU_FRAME_MORE | ZU_FRAME_LONG | ZU_FRAME_COMMAND; /* reserved bits mean nothing to us */
    if (zu_likely(!(head->flags & ZU_FRAME_COMMAND))) {
        pipe->w_inside = head->flags & ZU_FRAME_MORE;
        return limits->shape ? limits->shape(limits->context, head) : 0;
    }
    /* A large one is as in scan_partial: else it would depend on where the buffer's end cuts. */
    if (head->size >= ZU_FEED_LARGE_MIN && head->size > limits->record_max)
        return -EPROTO;
    int kept = head->size < ZU_FEED_LARGE_MIN ? limits->command(limits->context, at + head->head_size, head->size) : 1;
    if (kept == 1)
        record_kept(pipe, at, head->size);
    return kept;
}

/* The bytes from w_at on are no whole frame: waits for more, or says in ret_want that it wants memory of its own. */
static int scan_partial(struct zu_pipe *pipe, const struct zu_feed_limits *limits, struct zu_feed_want *ret_want)
{
    uint8_t *at = pipe->w_chunk->data + pipe->w_at;
    struct zu_frame_head head;
    int got = zu_frame_decode(at, pipe->w_raw - pipe->w_at, &head);
    if (got <= 0)
        return got;
    if (head.size > limits->frame_max)
        return -EMSGSIZE;
    if (head.size < ZU_FEED_LARGE_MIN)
        return 0;
    if ((head.flags & ZU_FRAME_COMMAND) && head.size > limits->record_max)
        return -EPROTO;
    if ((pipe->w_inside || (head.flags & ZU_FRAME_MORE)) && head.size > limits->open_max - pipe->w_open_bytes)
        return -ENOBUFS;
    *at &= ZU_FRAME_MORE | ZU_FRAME_LONG | ZU_FRAME_COMMAND;
    int err = limits->shape && !(head.flags & ZU_FRAME_COMMAND) ? limits->shape(limits->context, &head) : 0;
    if (err)
        return err;
    ret_want->size = head.size;
    return 0;
}

/* Commands alone leave no trace: PINGs to a pipe that carries no messages would pile up behind what is published. */
static void drop_commands(struct zu_pipe *pipe, uint32_t from)
{
    uint8_t *data = pipe->w_chunk->data;
    uint32_t partial_size = pipe->w_raw - pipe->w_at;
    memmove(data + from, data + pipe->w_at, partial_size);
    pipe->w_at = from;
    pipe->w_raw = from + partial_size;
}

void zu_pipe_feed_show(struct zu_pipe *pipe)
{
    if (!pipe->w_hides)
        return;
    pipe->w_hides = false;
    zu_pipe_publish(pipe, 0);
}

/* Out of a sleeping reader's sight while more comes at once, up to a batch. */
static bool is_hidden(struct zu_pipe *pipe)
{
    if (!pipe->w_expects || atomic_load_explicit(&pipe->reader_state, memory_order_relaxed) != ZU_READER_ASLEEP)
        return false;
    if (!pipe->w_hides)
        pipe->w_hidden_from = pipe->w_fed_bytes;
    pipe->w_hides = pipe->w_fed_bytes - pipe->w_hidden_from < HIDE_MAX;
    return pipe->w_hides;
}

static void scan_publish(struct zu_pipe *pipe, uint32_t messages)
{
    uint64_t count = atomic_load_explicit(&pipe->write_count, memory_order_relaxed) + messages;
    atomic_store_explicit(&pipe->write_count, count, memory_order_release);
    if (is_hidden(pipe))
        return;
    pipe->w_hides = false;
    zu_pipe_publish(pipe, 0);
}

/*
 * Whole frames reach up to `at`; what is to be shown, `messages` whole messages and records, of `records` bytes, and
 * commands, to `whole`.
 */
static void scan_done(struct zu_pipe *pipe, uint32_t at, uint32_t whole, uint32_t messages, uint64_t records)
{
    bool shows = whole > pipe->w_at;
    if (shows) {
        records_shown(pipe, records);
        pipe->w_at = whole;
        pipe->w_messages += messages;
        pipe->w_open_bytes = 0;
        zu_pipe_keep(pipe);
    }
    pipe->w_open_bytes = pipe->w_inside ? pipe->w_open_bytes + at - pipe->w_at : 0;
    pipe->w_at = at;
    if (shows || pipe->w_hides)
        scan_publish(pipe, messages);
}

ZU_HOT static int scan(struct zu_pipe *pipe, const struct zu_feed_limits *limits, struct zu_feed_want *ret_want)
{
    uint8_t *const data = pipe->w_chunk->data;
    const uint8_t *const end = data + pipe->w_raw;
    const uint32_t from = pipe->w_at;
    uint8_t *at = data + from;
    uint8_t *whole = at; /* behind the last whole message or record found here, and the commands after it */
    uint32_t messages = 0;
    uint64_t records = 0; /* bytes of records before `whole` that were not shown before */
    int err = 0;
    ret_want->size = 0;
    while (end - at >= 2) {
        /* The common case first: a short single-frame message that is all here. */
        if (zu_likely(at[0] == limits->quick_flags && !pipe->w_inside && (size_t)(end - at) >= 2u + at[1] && at[1] <= limits->frame_max)) {
            __builtin_prefetch(at + PREFETCH_BYTES);
            at += 2 + at[1];
            whole = at;
            messages++;
            continue;
        }
        struct zu_frame_head head;
        if (zu_frame_decode(at, (size_t)(end - at), &head) <= 0 || head.size > (size_t)(end - at) - head.head_size)
            break;
        err = scan_frame(pipe, at, &head, limits);
        if (zu_unlikely(err < 0))
            break;
        __builtin_prefetch(at + head.size + PREFETCH_BYTES);
        at += head.head_size + head.size;
        if (pipe->w_inside)
            continue;
        messages += !(head.flags & ZU_FRAME_COMMAND);
        records = pipe->w_open_records;
        if (whole > data + from || !(head.flags & ZU_FRAME_COMMAND) || err == 1)
            whole = at;
    }
    if (err > 0)
        err = 0;
    scan_done(pipe, (uint32_t)(at - data), (uint32_t)(whole - data), messages, records);
    if (!err && pipe->w_inside && pipe->w_open_bytes > limits->open_max)
        err = -ENOBUFS;
    if (!err)
        err = scan_partial(pipe, limits, ret_want);
    if (!err && whole == data + from && !pipe->w_inside && pipe->w_at > from && !ret_want->size)
        drop_commands(pipe, from);
    return err;
}

/* A fresh tail that begins with the bytes of the frame that is not whole. */
static int tail_next(struct zu_pipe *pipe, uint32_t need)
{
    const uint8_t *partial = pipe->w_chunk->data + pipe->w_at;
    uint32_t partial_size = pipe->w_raw - pipe->w_at;
    int err = zu_pipe_chunk_next(pipe, partial_size + need);
    if (err)
        return err;
    memcpy(pipe->w_chunk->data + pipe->w_at, partial, partial_size);
    pipe->w_raw = pipe->w_at + partial_size;
    return 0;
}

uint8_t *zu_pipe_tail(struct zu_pipe *pipe, uint32_t need)
{
    if (pipe->w_limit < pipe->w_raw + need && tail_next(pipe, need) < 0)
        return NULL;
    return pipe->w_chunk->data + pipe->w_raw;
}

int zu_pipe_feed_tail(struct zu_pipe *pipe, uint32_t size, const struct zu_feed_limits *limits,
                      struct zu_feed_want *ret_want)
{
    pipe->w_raw += size;
    pipe->w_fed_bytes += size;
    return scan(pipe, limits, ret_want);
}

int zu_pipe_feed_bytes(struct zu_pipe *pipe, const void *bytes, size_t size, const struct zu_feed_limits *limits,
                       struct zu_feed_want *ret_want)
{
    if (size > ZU_RECEIVE_SIZE)
        return -EINVAL;
    uint8_t *tail = zu_pipe_tail(pipe, (uint32_t)size);
    if (!tail)
        return -ENOMEM;
    memcpy(tail, bytes, size);
    return zu_pipe_feed_tail(pipe, (uint32_t)size, limits, ret_want);
}

int zu_pipe_feed(struct zu_pipe *pipe, struct zu_chunk *chunk, uint32_t from, uint32_t size,
                 const struct zu_feed_limits *limits, struct zu_feed_want *ret_want)
{
    uint32_t partial_size = pipe->w_raw - pipe->w_at;
    if (size < ZU_FEED_ADOPT_MIN || partial_size > from) {
        int err = zu_pipe_feed_bytes(pipe, chunk->data + from, size, limits, ret_want);
        zu_chunk_unref(chunk);
        return err;
    }
    chunk->begin = from - partial_size;
    memcpy(chunk->data + chunk->begin, pipe->w_chunk->data + pipe->w_at, partial_size);
    if (zu_unlikely(!pipe->w_inside && pipe->w_chunk != pipe->w_kept_chunk))
        zu_pipe_roll_back(pipe); /* the tail had nothing but that: commands, and they are dropped */
    zu_pipe_chunk_link(pipe, chunk);
    pipe->w_raw = from + size;
    pipe->w_fed_bytes += size;
    return scan(pipe, limits, ret_want);
}

int zu_pipe_feed_message(struct zu_pipe *pipe, const void *data, size_t size)
{
    zu_pipe_roll_back(pipe);
    int err = 0;
    if (!pipe->conflates && pipe->w_chunk->origin != pipe->w_origin) /* that took back the chunk of this connection, too */
        err = zu_pipe_chunk_next(pipe, 0);
    if (!err)
        err = zu_pipe_write(pipe, data, size, false);
    pipe->w_raw = pipe->w_at;
    pipe->w_said = atomic_load_explicit(&pipe->write_count, memory_order_relaxed);
    pipe->w_hides = false; /* it showed all */
    return err;
}

bool zu_pipe_feed_mutes(struct zu_pipe *pipe)
{
    pipe->w_mute = !pipe->conflates && !zu_pipe_admits(pipe) &&
                   pipe->w_said > atomic_load_explicit(&pipe->read_count, memory_order_relaxed);
    return pipe->w_mute;
}

size_t zu_pipe_large_begin(struct zu_pipe *pipe, void *into, size_t room)
{
    uint8_t *at = pipe->w_chunk->data + pipe->w_at;
    size_t arrived = pipe->w_raw - pipe->w_at - ZU_FRAME_HEAD_MAX;
    if (arrived > room)
        arrived = room;
    memcpy(into, at + ZU_FRAME_HEAD_MAX, arrived);
    pipe->w_raw = pipe->w_at + ZU_FRAME_HEAD_MAX;
    pipe->w_fed_bytes -= arrived;
    return arrived;
}

void zu_pipe_large_end(struct zu_pipe *pipe, struct zu_buf *buf, const void *data, size_t size)
{
    uint8_t *head = pipe->w_chunk->data + pipe->w_at;
    bool is_record = *head & ZU_FRAME_COMMAND, more = is_record ? pipe->w_inside : *head & ZU_FRAME_MORE;
    if (is_record)
        record_kept(pipe, head, size);
    pipe->w_at += ZU_FRAME_HEAD_MAX;
    zu_pipe_add_ref(pipe, zu_owner_of_buf(buf), data, size);
    pipe->w_fed_bytes += size;
    pipe->w_raw = pipe->w_at;
    pipe->w_inside = more;
    if (more) {
        pipe->w_open_bytes += size;
        return;
    }
    pipe->w_messages += !is_record;
    pipe->w_open_bytes = 0;
    records_shown(pipe, pipe->w_open_records);
    zu_pipe_keep(pipe);
    scan_publish(pipe, !is_record);
}

static bool has_many_records(struct zu_pipe *pipe)
{
    return pipe->w_fed_records - atomic_load_explicit(&pipe->read_records, memory_order_seq_cst) >= ZU_PIPE_FED_MAX;
}

static bool records_are_full(struct zu_pipe *pipe)
{
    if (zu_likely(!has_many_records(pipe)))
        return false;
    /* "Asleep" first, then another look; zu_pipe_passed_record does the opposite. */
    atomic_exchange_explicit(&pipe->writer_asleep, 1, memory_order_seq_cst);
    if (has_many_records(pipe))
        return true;
    atomic_exchange_explicit(&pipe->writer_asleep, 0, memory_order_seq_cst);
    return false;
}

bool zu_pipe_feed_is_full(struct zu_pipe *pipe)
{
    return records_are_full(pipe) || (!zu_pipe_admits(pipe) && zu_pipe_writer_sleep(pipe));
}

bool zu_pipe_feed_lags(struct zu_pipe *pipe)
{
    uint64_t lag = pipe->w_fed_bytes - atomic_load_explicit(&pipe->read_bytes, memory_order_relaxed);
    if (zu_likely(lag < LAG_HIGH))
        return false;
    if (lag > UINT64_MAX / 2) { /* the reader has passed bytes that were written off below */
        pipe->w_fed_bytes += -lag;
        return false;
    }
    struct zu_pipe_counts counts = zu_pipe_count(pipe);
    if (counts.held == 0) {
        /* Commands and lost connections leave bytes that no reader passes: begin anew. */
        pipe->w_fed_bytes -= lag;
        return false;
    }
    atomic_store_explicit(&pipe->pace_bytes, pipe->w_fed_bytes - LAG_LOW, memory_order_relaxed);
    atomic_exchange_explicit(&pipe->writer_asleep, 1, memory_order_seq_cst);
    return true;
}

bool zu_pipe_feed_resume(struct zu_pipe *pipe)
{
    atomic_store_explicit(&pipe->pace_bytes, 0, memory_order_relaxed);
    return atomic_exchange_explicit(&pipe->writer_asleep, 0, memory_order_seq_cst);
}
