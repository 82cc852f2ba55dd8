/* SPDX-License-Identifier: MIT */
/*
 * The writing end of a pipe for a shard: bytes come from the kernel as the peer framed them. Frames are checked and
 * counted where they lie; commands are handed to the connection. Those among messages are left in place, where the
 * reader skips them.
 */
#ifndef ZU_FLOW_PIPE_FEED_H
#define ZU_FLOW_PIPE_FEED_H

#include "flow/pipe.h"

/* A frame of at least this size that is not whole yet gets memory of its own: its head may not fit the headroom. */
#define ZU_FEED_LARGE_MIN (ZU_RECEIVE_HEADROOM - 64)
/* Fewer received bytes than this are copied to the tail, so that a trickle does not pin a receive buffer each. */
#define ZU_FEED_ADOPT_MIN 8192

/* What no frame's first octet is. */
#define ZU_FEED_NEVER_QUICK 0x100

struct zu_feed_limits {
    uint64_t frame_max; /* MAXMSGSIZE: a larger frame is -EMSGSIZE; UINT64_MAX is off */
    uint64_t open_max;  /* bytes of an unfinished multipart message: more is -ENOBUFS */
    uint64_t record_max; /* a large command, of up to so many bytes, is a record whatever it says; 0: none may be large */
    /* Negative ends the connection; 1 keeps it as a record for the pipe's reader. */
    int (*command)(void *context, const uint8_t *body, size_t size);
    /* Each frame of a message, in order; negative ends the connection. NULL: any message will do. */
    int (*shape)(void *context, const struct zu_frame_head *head);
    uint16_t quick_flags; /* of a message that needs no other look: 0; ZU_FEED_NEVER_QUICK with a shape */
    void *context;
};

/* The rest of a large frame that the caller must supply before it feeds anything else. */
struct zu_feed_want {
    uint64_t size; /* whole payload; 0 when nothing is wanted */
};

/*
 * Takes `size` received bytes that lie in `chunk` at `from`. Small amounts are copied; else the chunk becomes part of the
 * pipe. Consumes one reference of the chunk in every case. Publishes the messages that became whole.
 * `ret_want->size` non-zero: a large frame has begun; see zu_pipe_large_begin.
 * -EMSGSIZE, -ENOBUFS, -EPROTO, the command handler's error: the peer is at fault. -ENOMEM: not the peer's.
 */
int zu_pipe_feed(struct zu_pipe *pipe, struct zu_chunk *chunk, uint32_t from, uint32_t size,
                 const struct zu_feed_limits *limits, struct zu_feed_want *ret_want);

/* The same for bytes that lie anywhere, ZU_RECEIVE_SIZE at most; they are copied. */
int zu_pipe_feed_bytes(struct zu_pipe *pipe, const void *bytes, size_t size, const struct zu_feed_limits *limits,
                       struct zu_feed_want *ret_want);

/*
 * Moves the wanted frame's bytes that have arrived (at most what `room` holds) into `into`, and returns how many.
 * Afterwards the caller fills the rest and calls zu_pipe_large_end with the buffer, whose reference the pipe takes over,
 * and where in it the payload is.
 */
size_t zu_pipe_large_begin(struct zu_pipe *pipe, void *into, size_t room);
void zu_pipe_large_end(struct zu_pipe *pipe, struct zu_buf *buf, const void *data, size_t size);

/* A message of one frame that is not the peer's, behind its whole ones; what it has begun is taken back. -ENOMEM. */
int zu_pipe_feed_message(struct zu_pipe *pipe, const void *data, size_t size);
/*
 * No limit holds such messages up. In a pipe that outlasts connections they would pile up, so: whether it is full and
 * the last one is still unread. What would be said of a connection's end is then left unsaid, and (w_mute) what would be
 * said of the next one's beginning.
 */
bool zu_pipe_feed_mutes(struct zu_pipe *pipe);

/* Free bytes behind what was received, so that a receive may go there directly; then zu_pipe_feed_tail says how many came. */
uint8_t *zu_pipe_tail(struct zu_pipe *pipe, uint32_t need);
int zu_pipe_feed_tail(struct zu_pipe *pipe, uint32_t size, const struct zu_feed_limits *limits,
                      struct zu_feed_want *ret_want);

/*
 * The reader lags so far behind that received bytes would leave the cache before it comes to them. True: the writer note
 * will come when it has caught up; a caller that waits no longer asks zu_pipe_feed_resume, and goes on if that is true.
 */
bool zu_pipe_feed_lags(struct zu_pipe *pipe);
/*
 * Says whether more bytes are sure to follow at once. While they are, a reader that sleeps is not woken for each buffer:
 * some are gathered first, out of its sight. The caller shows them when the bytes stop.
 */
ZU_INLINE void zu_pipe_feed_expect(struct zu_pipe *pipe, bool more)
{
    pipe->w_expects = more;
}
ZU_INLINE bool zu_pipe_feed_hides(const struct zu_pipe *pipe)
{
    return pipe->w_hides;
}
void zu_pipe_feed_show(struct zu_pipe *pipe);
bool zu_pipe_feed_resume(struct zu_pipe *pipe);

/* Messages in the pipe have reached its limit, or records theirs: the connection should stop reading, and the writer is asleep. */
bool zu_pipe_feed_is_full(struct zu_pipe *pipe);

#endif
