/* SPDX-License-Identifier: MIT */
/*
 * What zuring has and libzmq does not: choosing who drives a shard, spin budgets, counters. It only adds to zmq.h,
 * works on the same handles and follows its conventions for errors and threads. Programs that stay with zmq.h never
 * need it; the drop-in libzmq.so.5 does not export it.
 */
#ifndef ZURING_H
#define ZURING_H

#include <stddef.h>
#include <stdint.h>

#include "zmq.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ZURING_EXPORT __attribute__((visibility("default")))

#define ZURING_VERSION "0.1.0"

/* zuring's own version at run time, "major.minor.patch"; zmq_version() gives that of the API. Static; any thread. */
ZURING_EXPORT const char *zuring_version(void);

/*
 * What has become of the messages of one peer, each way. At a moment when nothing moves, both sums hold:
 *   sent_accepted = sent_handed + sent_dropped + sent_queued,  received = taken + received_queued.
 * While messages move, each figure is right for some moment of the call.
 */
struct zuring_peer_counts {
    uint64_t sent_accepted;   /* sends that succeeded */
    uint64_t sent_handed;     /* of these, wholly taken by the kernel, or by the receiving program (inproc) */
    uint64_t sent_dropped;    /* of these, lost because the peer went away for good */
    uint64_t sent_queued;     /* of these, still here; never more than the HWM */
    uint64_t received;        /* messages that have arrived whole */
    uint64_t taken;           /* of these, received by the program */
    uint64_t received_queued; /* of these, not yet */
};

/*
 * The socket's present peers, in the order in which they came: connections, endpoints being connected to, inproc
 * partners. *count is the room in `counts` on entry (0 with NULL asks for the number alone), and on return how many
 * peers there are, which may be more than fitted. Call it from the thread that uses the socket.
 * 0, or -1 with errno ENOTSOCK (no socket), ETERM, EFAULT (NULL count, or NULL counts with room), ENOMEM. zuring's own.
 */
ZURING_EXPORT int zuring_peers(void *socket, struct zuring_peer_counts *counts, size_t *count);

#undef ZURING_EXPORT

#ifdef __cplusplus
}
#endif

#endif
