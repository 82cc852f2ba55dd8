/* SPDX-License-Identifier: MIT */
/* Fair queueing (RFC 30): a message from each peer in turn, among the peers that have one. */
#ifndef ZU_FLOW_FAIR_H
#define ZU_FLOW_FAIR_H

#include <errno.h>

#include "flow/peer.h"

/* The socket's thread. */
struct zu_fair {
    struct zu_link readable; /* peers that may have something, in turn */
    struct zu_link *turn;    /* the one to read now; &readable when there is none */
};

void zu_fair_init(struct zu_fair *fair);
void zu_fair_add(struct zu_fair *fair, struct zu_peer *peer);
void zu_fair_remove(struct zu_fair *fair, struct zu_peer *peer);
/* 0 with the next frame in turn; -EAGAIN. `ended` is called for a peer whose pipe has come to its end. */
ZU_INLINE int zu_fair_peek(struct zu_fair *fair, struct zu_view *ret_view, void (*ended)(struct zu_peer *))
{
    while (zu_likely(fair->turn != &fair->readable)) {
        struct zu_peer *peer = zu_container_of(fair->turn, struct zu_peer, in_link);
        int err = zu_pipe_peek(peer->in, ret_view);
        if (zu_likely(!err))
            return 0;
        zu_fair_remove(fair, peer);
        if (err == -EPIPE)
            ended(peer);
    }
    return -EAGAIN;
}

/* Whose frame zu_fair_peek has just found. */
ZU_INLINE struct zu_peer *zu_fair_peer(const struct zu_fair *fair)
{
    return zu_container_of(fair->turn, struct zu_peer, in_link);
}

/* The viewed frame has been popped. */
ZU_INLINE void zu_fair_taken(struct zu_fair *fair, unsigned flags)
{
    if (flags & ZU_FRAME_MORE)
        return;
    struct zu_link *next = fair->turn->next;
    fair->turn = next == &fair->readable ? next->next : next;
}

/* Passes the viewed frame and the rest of its message. */
void zu_fair_skip(struct zu_fair *fair, struct zu_view *view);

#endif
