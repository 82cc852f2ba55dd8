/* SPDX-License-Identifier: MIT */
/*
 * A pipe: a queue of ZMTP frames in wire format with one writer and one reader, each a thread of its own. Frames lie in a
 * chain of chunks; small payloads behind their heads, large ones by reference. Only whole messages are published, so a
 * reader never waits in mid-message, and the writer alone takes back what it has not finished.
 *
 *   writer (one of)   zu_pipe_write, zu_pipe_write_msg   an application thread that sends
 *                     zu_pipe_feed_*, zu_pipe_large_*    a shard with received bytes        (pipe_feed.h)
 *   reader (one of)   zu_pipe_peek, zu_pipe_pop          an application thread that receives
 *                     zu_pipe_gather, zu_pipe_handed     a shard that feeds the kernel      (pipe_drain.h)
 */
#ifndef ZU_FLOW_PIPE_H
#define ZU_FLOW_PIPE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/copy.h"
#include "base/mailbox.h"
#include "mem/chunk.h"
#include "mem/msg.h"
#include "wire/frame.h"

/* A payload up to this size is copied behind its head; a larger one goes by reference. Measured: bench/README.md. */
#define ZU_PIPE_COPY_MAX 20000
/* A payload up to this size takes the quick way into the pipe; for a larger one a call does not matter. */
#define ZU_PIPE_QUICK_MAX 1024
/* A received body of this size or more becomes a slice of its chunk; a smaller one is copied, so as not to pin 80 KiB. */
#define ZU_PIPE_SLICE_MIN 4096

/* A place in the chain. */
struct zu_cursor {
    struct zu_chunk *chunk; /* where */
    uint32_t at;            /* chunk byte */
    uint32_t ref;           /* references before this place, in this chunk */
    uint32_t messages;      /* messages that ended before this place, in this chunk */
    uint64_t done;          /* bytes of reference `ref` already passed, when inside its payload */
};

/* Whether the reader looks by itself; pipe_wake.h says how they change. */
enum zu_reader_state { ZU_READER_AWAKE, ZU_READER_ASLEEP, ZU_READER_POLLING };

struct zu_pipe {
    /* Set up before the ends meet, read by both. */
    struct zu_mailbox *reader_box; /* where the reader hears; one reference */
    struct zu_note *reader_note;   /* posted by the writer that publishes to a sleeping reader, or ends the pipe */
    struct zu_mailbox *writer_box; /* where the writer hears; one reference */
    struct zu_note *writer_note;   /* posted by the reader that makes room for a sleeping writer, or goes away */
    _Atomic uint64_t hwm;          /* messages it may hold; 0 is no limit. Any thread sets: see zu_pipe_set_hwm */
    _Atomic unsigned refs;         /* the two ends */
    bool conflates;                /* it holds one message, the newest: pipe_conflate.h */

    /* Writer. */
    struct zu_chunk *w_chunk ZU_ALIGNED_LINE; /* receives the next frame */
    uint32_t w_at;              /* end of the frames in w_chunk */
    uint32_t w_limit;           /* bytes of w_chunk that frames may fill: up to its references and one more */
    uint32_t w_refs;            /* references in w_chunk */
    uint32_t w_messages;        /* messages that ended in w_chunk */
    _Atomic uint64_t w_admit;   /* write_count may reach this without another look; a change of hwm sets it to 0 */
    _Atomic uint64_t write_count; /* messages ever published: relaxed for the writer, release towards counters */
    struct zu_chunk *w_shown;   /* the last chunk the reader may look at */
    uint32_t w_raw;             /* scanning: end of the received bytes, whole frames or not */
    uint8_t w_rung;             /* next chunk's rung */
    bool w_inside;              /* between two frames of a message */
    bool w_ended;               /* EOF is published */
    bool w_flush_due;           /* a batch has gathered: a writer that can hand it over itself should */
    uint32_t w_by_ref_bytes;    /* payload by reference since the last such moment */
    struct zu_chunk *w_kept_chunk; /* end of the last whole message: where a roll-back returns to */
    uint64_t w_kept_word;       /* that place as a published word: one store per message, where four would stall */
    struct zu_origin *w_origin; /* of what is written from now on; one reference, or NULL */
    uint64_t w_fed_bytes;       /* feeding: bytes ever received into the pipe */
    uint64_t w_hidden_from;     /* feeding: w_fed_bytes when the first hidden message came */
    bool w_expects;             /* feeding: more bytes are sure to come at once */
    bool w_hides;               /* feeding: whole messages are not published, to wake the reader for many at once */
    uint64_t w_open_bytes;      /* scanning: bytes of the message that is not whole yet */
    uint64_t w_fed_records;     /* feeding: bytes of records ever kept and shown */
    bool w_mute;                /* feeding: what zu_pipe_feed_mutes said last */
    uint64_t w_said;            /* feeding: write_count behind the last message that was not the peer's */
    uint64_t w_open_records;    /* feeding: bytes of records within the message that is not whole yet */

    /* Reader. */
    const uint8_t *r_at ZU_ALIGNED_LINE; /* next frame's first octet */
    const uint8_t *r_end;       /* end of what is known to be published in r_chunk */
    struct zu_chunk *r_chunk;   /* chunk in hand */
    uint32_t r_ref;             /* its references already passed */
    uint32_t r_ref_end;         /* its published references */
    uint64_t r_read;            /* messages ever consumed */
    uint64_t r_check_at;        /* r_read at which to look next */
    uint64_t r_checked;         /* r_read when the writer's sleep was last looked at */
    bool r_inside;              /* between two frames of a message */
    uint64_t r_records_checked; /* read_records when the writer's sleep was last looked at for their sake */
    struct zu_cursor r_sent;    /* draining: first byte not handed to the kernel */
    struct zu_cursor r_kept;    /* draining: start of the first message not wholly handed over */
    struct zu_cursor r_gathered; /* draining: end of the last gather */
    size_t r_gathered_bytes;    /* draining: how many bytes that was */
    bool r_gathered_all;        /* draining: that end is a message boundary */

    /* Written by the reader, read by the writer that believes the pipe to be full, and by counters. */
    _Atomic uint64_t read_count ZU_ALIGNED_LINE; /* messages consumed: release; acquire in admit */
    _Atomic uint64_t read_records; /* bytes of fed records passed: relaxed, but as read_count when the writer's sleep is looked at */
    _Atomic uint64_t read_bytes; /* bytes of the chunks and references passed: relaxed, only paces the writer */
    _Atomic bool reader_gone; /* what is unread stays unread: relaxed, for counters */

    /* Written by both. */
    _Atomic unsigned reader_state ZU_ALIGNED_LINE; /* enum zu_reader_state: see pipe_wake.h */
    _Atomic unsigned woken_state; /* what a sleeping reader becomes when it is woken: the reader's to say */
    _Atomic uint64_t pace_bytes;    /* a feeding writer waits for read_bytes to reach this; relaxed: its timer backs it up */
    _Atomic(struct zu_chunk *) newest; /* conflating: a message that nobody has read; exchanged from both sides */
    _Atomic uint64_t replaced;      /* conflating: messages that nobody read; the writer's, release towards counters */
    _Atomic bool slot_ended;        /* conflating: nothing comes any more; see pipe_conflate.c */
    _Atomic unsigned writer_asleep; /* seq_cst exchanges on both sides: see writer_sleep and reader_check */
};

/* The head of a frame that is known to be whole and checked: everything in a pipe. */
ZU_INLINE struct zu_frame_head zu_pipe_head_at(const uint8_t *at)
{
    struct zu_frame_head head = {.size = at[1], .flags = at[0], .head_size = ZU_FRAME_HEAD_SHORT};
    if (at[0] & ZU_FRAME_LONG)
        zu_frame_decode(at, ZU_FRAME_HEAD_MAX, &head);
    return head;
}

/* Where a viewed frame lies. */
/* Beside the flags of a record that was fed: it counts among those that are bounded. */
#define ZU_PIPE_FED 0x80
/* Records fed and not read may be of so many bytes. */
#define ZU_PIPE_FED_MAX (UINT64_C(16) << 20)

enum zu_view_kind {
    ZU_VIEW_HERE,   /* in the chunk */
    ZU_VIEW_BY_REF, /* in the memory that reference r_ref names */
    ZU_VIEW_MADE,   /* in a pattern's own memory, until zu_pattern_taken: popping it leaves the pipe alone */
};

/* One frame at the reader's hand. */
struct zu_view {
    const uint8_t *data;  /* payload */
    size_t size;          /* its octets */
    const uint8_t *after; /* next frame's head, or the chunk's published end */
    struct zu_pipe *pipe; /* where it came from; NULL only if it was made */
    struct zu_origin *origin; /* if it was made, not NULL, and `pipe` NULL: where its message came from */
    uint8_t flags;        /* ZU_FRAME_MORE; for a record ZU_FRAME_COMMAND, and ZU_PIPE_FED */
    uint8_t kind;         /* enum zu_view_kind */
};

/* NULL without memory. Two references: one for each end. */
struct zu_pipe *zu_pipe_new(uint64_t hwm);
void zu_pipe_unref(struct zu_pipe *pipe);
/* Says where an end hears. Before that end sleeps for the first time. */
void zu_pipe_set_reader(struct zu_pipe *pipe, struct zu_mailbox *box, struct zu_note *note);
void zu_pipe_set_writer(struct zu_pipe *pipe, struct zu_mailbox *box, struct zu_note *note);

/* Any thread: changes the limit, for the next admission already, and lets a sleeping writer look again. */
void zu_pipe_set_hwm(struct zu_pipe *pipe, uint64_t hwm);
/* The same by the writer's own thread, which looks again by itself: its note must not come behind the last of the peer. */
void zu_pipe_writer_set_hwm(struct zu_pipe *pipe, uint64_t hwm);

/* What has become of the messages: accepted = consumed + dropped + held at every quiescent moment. */
struct zu_pipe_counts {
    uint64_t accepted; /* published by the writer */
    uint64_t consumed; /* handed to the kernel, or to the receiving application */
    uint64_t dropped;  /* unread when the reader went away, or when a newer one took its place */
    uint64_t held;     /* in the pipe */
};
/* Any thread, a snapshot. */
struct zu_pipe_counts zu_pipe_count(struct zu_pipe *pipe);

/* --- writer --- */

/* True when a new message may start. Looks at the reader's counter before it says no. */
bool zu_pipe_admit_slow(struct zu_pipe *pipe);
ZU_INLINE bool zu_pipe_admits(struct zu_pipe *pipe)
{
    return zu_likely(atomic_load_explicit(&pipe->write_count, memory_order_relaxed) <
                     atomic_load_explicit(&pipe->w_admit, memory_order_relaxed)) ||
           zu_pipe_admit_slow(pipe);
}

/* Writer: something lies there, and the reader will only find it when it next looks by its clock. */
ZU_INLINE bool zu_pipe_waits_for_look(const struct zu_pipe *pipe)
{
    uint64_t read = atomic_load_explicit(&pipe->read_count, memory_order_relaxed) +
                    atomic_load_explicit(&pipe->replaced, memory_order_relaxed);
    return atomic_load_explicit(&pipe->reader_state, memory_order_relaxed) == ZU_READER_POLLING &&
           atomic_load_explicit(&pipe->write_count, memory_order_relaxed) != read;
}

/* Room is wanted: true when the pipe is still full and writer_note will come; false when there is room after all, and
 * then the note may come for nothing. */
bool zu_pipe_writer_sleep(struct zu_pipe *pipe);

/*
 * Appends one frame and, when it ends its message, publishes. The caller has asked zu_pipe_admits at the start of the
 * message. -ENOMEM, with the message's earlier frames still unpublished: the caller may retry or roll back.
 */
int zu_pipe_write(struct zu_pipe *pipe, const void *data, size_t size, bool more);
/*
 * A whole message of which the kernel has taken some, with the head that zu_frame_encode gives it. Its body is in `buf`,
 * whose reference the pipe takes over on success. For pipes whose reader gathers.
 */
int zu_pipe_write_sent(struct zu_pipe *pipe, struct zu_buf *buf, size_t size);
/* Makes sure that the next zu_pipe_write_sent needs no memory. -ENOMEM. */
int zu_pipe_reserve(struct zu_pipe *pipe);
/* A message that went past the pipe, by one who is writer and reader at once: only counted. */
void zu_pipe_count_past(struct zu_pipe *pipe);
/* The same; on success the message's body belongs to the pipe and `msg` is empty, on failure it is untouched. */
int zu_pipe_write_msg(struct zu_pipe *pipe, struct zu_msg *msg, bool more);

/* Whether the message ends with the copy. A foreign one does not, however small: its callback is heard in time. */
ZU_INLINE bool zu_pipe_copies(const struct zu_msg *msg)
{
    size_t size = zu_msg_size(msg);
    return size <= ZU_PIPE_COPY_MAX && (!zu_msg_is_foreign(msg) || !size);
}
/*
 * Appends a record, a command whose body are `head` and `data` behind each other, and publishes it. It counts as no message
 * and needs no admission. Between messages only. A pipe that conflates loses it. -ENOMEM.
 */
int zu_pipe_write_record(struct zu_pipe *pipe, const void *head, size_t head_size, const void *data, size_t size);
/*
 * For several pipes, all or none of which are to have it: room for a record of `size` octets, which the next one then
 * finds without more memory, if its body, when it is beyond ZU_PIPE_COPY_MAX, is a buffer that all share. -ENOMEM.
 */
int zu_pipe_reserve_record(struct zu_pipe *pipe, size_t size);
/* NULL without memory. */
struct zu_buf *zu_pipe_record_new(const void *head, size_t head_size, const void *data, size_t size);
/* As zu_pipe_write_record, of `buf`, of which the pipe takes a reference. */
int zu_pipe_write_record_buf(struct zu_pipe *pipe, struct zu_buf *buf, size_t size);
/* What is written from here on came from `origin`, of which the pipe takes a reference. -ENOMEM: nothing changed. */
int zu_pipe_set_origin(struct zu_pipe *pipe, struct zu_origin *origin);
/* Takes back the frames of an unfinished message. */
void zu_pipe_roll_back(struct zu_pipe *pipe);
/*
 * The reader sees the end behind what is published; an unfinished message is taken back. Drops the writer's end. No
 * writer_note is posted after this, except one whose poster has begun.
 */
void zu_pipe_end(struct zu_pipe *pipe);

/* For the writer's sources: a new tail chunk with room for `need` bytes; and the publication of all up to w_kept. */
int zu_pipe_chunk_next(struct zu_pipe *pipe, uint32_t need);
void zu_pipe_chunk_link(struct zu_pipe *pipe, struct zu_chunk *chunk);
ZU_INLINE void zu_pipe_keep(struct zu_pipe *pipe)
{
    pipe->w_kept_chunk = pipe->w_chunk;
    pipe->w_kept_word = zu_word_make(pipe->w_at, pipe->w_refs, pipe->w_messages);
}
void zu_pipe_publish_missed(struct zu_pipe *pipe);
/* Shows `word` to a reader that polled a moment ago. */
ZU_INLINE void zu_pipe_publish_polled(struct zu_pipe *pipe, struct zu_chunk *shown, uint64_t word)
{
    /* release: the frames, to the reader's acquire. The fence keeps the compiler from looking first. */
    atomic_store_explicit(&shown->word, word, memory_order_release);
    atomic_signal_fence(memory_order_seq_cst);
    if (zu_unlikely(atomic_load_explicit(&pipe->reader_state, memory_order_relaxed) != ZU_READER_POLLING))
        zu_pipe_publish_missed(pipe);
}
void zu_pipe_publish(struct zu_pipe *pipe, uint64_t flags);
/* Behind a publication with seq_cst: posts the reader's note if it sleeps. */
void zu_pipe_wake_sleeper(struct zu_pipe *pipe);
/* The lowest rung whose chunk holds `need` bytes beside a reference. */
unsigned zu_pipe_rung_for(uint32_t need);
void zu_pipe_add_ref(struct zu_pipe *pipe, uintptr_t owner, const void *data, uint64_t size);

/*
 * The common case of zu_pipe_write, without a call: a whole message of a small frame, with room for it in the chunk. False,
 * with nothing done: it is not this case.
 */
ZU_INLINE bool zu_pipe_write_quickly(struct zu_pipe *pipe, const void *data, size_t size)
{
    struct zu_chunk *chunk = pipe->w_chunk;
    if (zu_unlikely(size - 1 >= ZU_PIPE_QUICK_MAX || pipe->w_limit < pipe->w_at + size + ZU_FRAME_HEAD_MAX ||
                    pipe->w_shown != chunk || pipe->w_inside))
        return false;
    uint8_t *at = chunk->data + pipe->w_at;
    size_t head = zu_frame_encode(at, 0, size);
    zu_copy(at + head, data, size);
    pipe->w_at += (uint32_t)(head + size);
    pipe->w_messages++;
    uint64_t count = atomic_load_explicit(&pipe->write_count, memory_order_relaxed) + 1;
    atomic_store_explicit(&pipe->write_count, count, memory_order_release); /* before the publication: see frame_finish */
    zu_pipe_keep(pipe);
    if (zu_likely(atomic_load_explicit(&pipe->reader_state, memory_order_relaxed) == ZU_READER_POLLING))
        zu_pipe_publish_polled(pipe, chunk, pipe->w_kept_word);
    else
        zu_pipe_publish(pipe, 0);
    return true;
}

/* --- application as reader --- */

/* 0 with the next frame; -EAGAIN when empty, and reader_note will come; -EPIPE behind the last frame of an ended pipe. */
int zu_pipe_refill(struct zu_pipe *pipe);
int zu_pipe_view_long(struct zu_pipe *pipe, struct zu_view *ret_view);
/* Past a command: the shard has dealt with it, or nobody minds it. */
void zu_pipe_pass_command(struct zu_pipe *pipe);

ZU_INLINE int zu_pipe_peek(struct zu_pipe *pipe, struct zu_view *ret_view)
{
    for (;;) {
        const uint8_t *at = pipe->r_at;
        if (zu_unlikely(at == pipe->r_end)) {
            int err = zu_pipe_refill(pipe);
            if (err)
                return err;
            at = pipe->r_at;
        }
        if (zu_unlikely(at[0] & ZU_FRAME_COMMAND)) {
            zu_pipe_pass_command(pipe);
            continue;
        }
        ret_view->pipe = pipe;
        if (zu_unlikely(at[0] & ZU_FRAME_LONG))
            return zu_pipe_view_long(pipe, ret_view);
        ret_view->flags = at[0];
        ret_view->size = at[1];
        ret_view->data = at + 2;
        ret_view->after = at + 2 + at[1];
        ret_view->kind = ZU_VIEW_HERE;
        return 0;
    }
}

/*
 * The same for a reader that minds records, too: commands that the writer has kept for it, among others that it skips
 * itself. They are passed by zu_pipe_pop_record, and belong to no message.
 */
int zu_pipe_peek_any(struct zu_pipe *pipe, struct zu_view *ret_view);

void zu_pipe_reader_check(struct zu_pipe *pipe);
/* Before the reader of an empty pipe sleeps: a limit that has just been lowered may have put a writer to sleep early. */
ZU_INLINE void zu_pipe_reader_rests(struct zu_pipe *pipe)
{
    if (pipe->r_checked != pipe->r_read)
        zu_pipe_reader_check(pipe);
}
void zu_pipe_drop_ref(struct zu_pipe *pipe);
/* `bytes` more are behind the reader: a feeding writer that went slow to stay in the cache may go on. */
void zu_pipe_passed(struct zu_pipe *pipe, uint64_t bytes);
/* So is a fed record: its writer may have stopped for their number. */
void zu_pipe_passed_record(struct zu_pipe *pipe, uint64_t bytes);

/* Message n ended at the reader's side. */
ZU_INLINE void zu_pipe_consumed(struct zu_pipe *pipe, uint64_t messages)
{
    pipe->r_read += messages;
    /* release: the chunk bytes are read before the writer may count the room. Pairs with admit_slow. */
    atomic_store_explicit(&pipe->read_count, pipe->r_read, memory_order_release);
    uint64_t hwm = atomic_load_explicit(&pipe->hwm, memory_order_relaxed);
    /* By the limit of today too: r_check_at may stem from a higher one. */
    if (zu_unlikely(pipe->r_read >= pipe->r_check_at || pipe->r_read - pipe->r_checked >= (hwm + 1) / 2) && hwm)
        zu_pipe_reader_check(pipe);
}

/* Passes the viewed frame. A reference that zu_pipe_take_msg has not taken is dropped. */
ZU_INLINE void zu_pipe_pop(struct zu_pipe *pipe, const struct zu_view *view)
{
    if (zu_unlikely(view->kind)) {
        if (view->kind == ZU_VIEW_MADE)
            return;
        zu_pipe_drop_ref(pipe);
    }
    pipe->r_at = view->after;
    pipe->r_inside = view->flags & ZU_FRAME_MORE;
    if (!pipe->r_inside)
        zu_pipe_consumed(pipe, 1);
}

ZU_INLINE void zu_pipe_pop_record(struct zu_pipe *pipe, const struct zu_view *view)
{
    if (zu_unlikely(view->kind))
        zu_pipe_drop_ref(pipe);
    pipe->r_at = view->after;
    if (view->flags & ZU_PIPE_FED)
        zu_pipe_passed_record(pipe, view->size);
}

/* Makes a message of the viewed frame: inline, copied, a slice, or the referenced buffer itself; then pops it. */
int zu_pipe_take_msg(struct zu_pipe *pipe, const struct zu_view *view, struct zu_msg *ret_msg);

/*
 * The reader leaves: what it has not read is dropped and counted. Drops the reader's end. No reader_note is posted after
 * this, except one whose poster has begun. The pipe makes no more room, so a writer must hear of it some other way.
 */
void zu_pipe_leave(struct zu_pipe *pipe);

#endif
