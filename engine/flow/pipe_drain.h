/* SPDX-License-Identifier: MIT */
/* The reading end of a pipe for a shard: published bytes go to the kernel as they stand, several messages a call. */
#ifndef ZU_FLOW_PIPE_DRAIN_H
#define ZU_FLOW_PIPE_DRAIN_H

#include <sys/uio.h>

#include "flow/pipe.h"

/*
 * Whether a reader that finds nothing is to be woken by the next publication. SLEEP_HERE: the reader is on the writer's
 * own thread, so what the writer has published it sees, and no barrier is needed.
 */
enum zu_gather_mode { ZU_GATHER_SLEEP, ZU_GATHER_STAY_AWAKE, ZU_GATHER_SLEEP_HERE };

/*
 * Fills `iov` with published bytes from the first not handed over, at most `iov_max` pieces and about `bytes_max` bytes.
 * Returns the number of pieces; 0 when there is nothing, and then with SLEEP reader_note will come; -EPIPE at the pipe's end.
 */
int zu_pipe_gather(struct zu_pipe *pipe, struct iovec *iov, int iov_max, size_t bytes_max, enum zu_gather_mode mode,
                   size_t *ret_bytes);
/* The kernel has taken `bytes` of the last gather. Returns how many messages that completed. */
uint64_t zu_pipe_handed(struct zu_pipe *pipe, size_t bytes);

/*
 * The same frame by frame, for a connection that encodes them; it never gathers. A unit is a message or a record.
 * Walk: 1 with the next frame, to be passed by zu_pipe_walk_pass; 0 and -EPIPE as in gather.
 */
struct zu_walked {
    unsigned flags;         /* ZU_FRAME_MORE, ZU_FRAME_COMMAND */
    const uint8_t *body;    /* payload, there until its unit is handed over */
    uint64_t size;          /* its octets */
    struct zu_cursor after; /* behind it */
};
int zu_pipe_walk(struct zu_pipe *pipe, enum zu_gather_mode mode, struct zu_walked *ret_frame);
ZU_INLINE void zu_pipe_walk_pass(struct zu_pipe *pipe, const struct zu_walked *frame)
{
    pipe->r_sent = frame->after;
}
/* So many more units, all passed, are wholly handed over. */
void zu_pipe_walk_handed(struct zu_pipe *pipe, unsigned units);

/* The connection is lost: go on from the first message whose last byte had not been handed over. */
void zu_pipe_rewind(struct zu_pipe *pipe);
/*
 * At a message boundary with nothing sent of what follows: drops all up to a record of these bytes, and that. False: it is
 * not there; all that is published has been dropped.
 */
bool zu_pipe_skip_to(struct zu_pipe *pipe, const void *record, size_t size);
/* Whether the next byte to hand over starts a message. */
bool zu_pipe_at_boundary(const struct zu_pipe *pipe);

#endif
