/* SPDX-License-Identifier: MIT */
/*
 * Waking only a sleeper, from the reader's side of a pipe. A reader is in one of three states:
 *
 *   AWAKE    it looks again without being told. The writer publishes with a seq_cst exchange and then looks at the state.
 *   ASLEEP   it looks only after its note. The writer that turns this into AWAKE posts the note; nobody else does.
 *   POLLING  it looks again soon by its own clock, for as long as it says so. The writer publishes with a plain store and
 *            looks at the state on both sides of it: no exchange, which in a stream of small messages is half their cost.
 *
 * From AWAKE to ASLEEP: exchange, then look at the published word again. Both sides exchange first and look second, so
 * one of them sees the other. From POLLING to AWAKE: store, then membarrier(2), which puts a full barrier into every
 * running thread of the process, the writer's among them: either its second look sees that the polling is over, or its
 * store is seen here. A writer that sees so looks a third time, with a full barrier of its own: its store may be younger
 * than the membarrier.
 * The price, an interrupt to other cores, is paid once at the end of a stream.
 */
#ifndef ZU_FLOW_PIPE_WAKE_H
#define ZU_FLOW_PIPE_WAKE_H

#include "flow/pipe.h"

/*
 * Reader. True: nothing is published behind `word`, the note will come. False: look again at once. `here`: on the writer's
 * own thread, as when a socket's user drives its connections. Such a reader is woken into POLLING: between its turns the
 * writer publishes with plain stores, and sees to it that there is a next turn.
 */
bool zu_pipe_reader_sleep(struct zu_pipe *pipe, struct zu_chunk *chunk, uint64_t word, bool here);
/*
 * Any thread, early: asks the kernel for membarrier, once a process. In a process with several threads that takes it
 * milliseconds, which a reader at work should not have to wait; it would ask by itself.
 */
void zu_pipe_wake_prepare(void);
/* Reader, when it is not ASLEEP: it will look again by itself. Without membarrier nothing changes. */
void zu_pipe_reader_poll(struct zu_pipe *pipe);

#endif
