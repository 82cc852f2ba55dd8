/* SPDX-License-Identifier: MIT */
/*
 * CONFLATE: a pipe that holds one message, the newest. The writer puts a chunk with one message into a slot, and takes out
 * the one that nobody has read; the reader takes what lies there into its own chain of chunks, and from there on reads or
 * drains it like any other. Frames of a multipart message are messages of their own, as in libzmq.
 */
#ifndef ZU_FLOW_PIPE_CONFLATE_H
#define ZU_FLOW_PIPE_CONFLATE_H

#include "flow/pipe.h"

/* Before its ends meet: the pipe conflates, and has no other limit from now on. */
void zu_pipe_conflate(struct zu_pipe *pipe);

/* A shard: of all the messages that lie in `from`, which it feeds and reads itself, the newest goes on. -ENOMEM. */
int zu_pipe_conflate_pass(struct zu_pipe *from, struct zu_pipe *to);

/* --- for the pipe's other sources --- */

/* Writers, in place of an append: bytes; or a body that `owner` keeps alive, which the pipe takes over. -ENOMEM. */
int zu_pipe_conflate_write(struct zu_pipe *pipe, const void *data, size_t size);
int zu_pipe_conflate_write_ref(struct zu_pipe *pipe, uintptr_t owner, const void *data, size_t size);
/* Writer: nothing comes any more. */
void zu_pipe_conflate_end(struct zu_pipe *pipe);
/* Reader, at the end of its chain: true when there is more behind `tail` now: a message, or the pipe's end. */
bool zu_pipe_conflate_pull(struct zu_pipe *pipe, struct zu_chunk *tail);
/* Reader, behind zu_pipe_reader_sleep: true when it sleeps, false to look again. */
bool zu_pipe_conflate_sleeps(struct zu_pipe *pipe);
/* Both ends have gone. */
void zu_pipe_conflate_fini(struct zu_pipe *pipe);

#endif
