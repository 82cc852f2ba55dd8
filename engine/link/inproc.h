/* SPDX-License-Identifier: MIT */
/*
 * inproc://: two sockets of a context that share a pair of pipes, with nobody in between. A connect may come before the
 * bind; it then waits in the registry, and is writable up to its own limit.
 */
#ifndef ZU_LINK_INPROC_H
#define ZU_LINK_INPROC_H

#include "link/settings.h"

/* How many peers there may be of zu_inproc_reach, which asks no HWM: until what the far side had to read is gone. */
enum { ZU_INPROC_REACHED_MAX = 1024 };

/* One per context; under the unit's lock. */
struct zu_inproc {
    struct zu_link bound;   /* struct zu_inproc_bind.link */
    struct zu_link waiting; /* struct zu_inproc_connect.link */
    _Atomic unsigned reached; /* zu_peer.census of those that zu_inproc_reach has made; any thread */
};

void zu_inproc_init(struct zu_inproc *inproc);
/* No socket is left: drops what some have left behind for a bind that never came. */
void zu_inproc_fini(struct zu_inproc *inproc);

struct zu_inproc_bind;

/* -EADDRINUSE, -ENOMEM. Connects that waited for the name get their peer at once. */
int zu_inproc_bind(struct zu_inproc *inproc, const char *name, const struct zu_home *home,
                   struct zu_inproc_bind **ret_bind);
/* The name is free again; peers that came by it stay. */
void zu_inproc_unbind(struct zu_inproc_bind *bind);

/*
 * Gives the connecting socket its peer, whose other end is, or will be, the binding socket's. Drops nothing: what is sent
 * before the bind is there after it, also when the sender is not. -ENOMEM, -ECONNREFUSED when the binder is closing.
 */
int zu_inproc_connect(struct zu_inproc *inproc, const char *name, const struct zu_home *home, struct zu_peer **ret_peer);

/*
 * The same for who does not wait: -ECONNREFUSED unless a socket of one of `types`, a bit each, is bound there now; -EUSERS
 * while ZU_INPROC_REACHED_MAX are there. A peer counts until both sides have let it go, and so its memory has.
 * The near side need not be a socket; nothing but `socket`, `events`, `box` and `settings` of its home is looked at.
 */
int zu_inproc_reach(struct zu_inproc *inproc, const char *name, uint32_t types, const struct zu_home *home,
                    struct zu_peer **ret_peer);

/* Applies new limits of the peer's socket, and tells the other one's share. False: it is no inproc peer. */
bool zu_inproc_set_hwm(struct zu_peer *peer, uint64_t out_hwm, uint64_t in_hwm);

/* Around a fork: nobody is in the middle of meeting. */
void zu_inproc_lock(void);
void zu_inproc_unlock(void);

#endif
