/* SPDX-License-Identifier: MIT */
/* Load balancing (RFC 30): a message a peer in turn, among the peers that have room. */
#ifndef ZU_FLOW_BALANCE_H
#define ZU_FLOW_BALANCE_H

#include "flow/peer.h"

/* A stream that the kernel takes at memory speed is worth waiting for: for its next room so long, in vain perhaps. */
#define ZU_BALANCE_PATIENCE_NS 1000000

/* What an application hands in: one frame. */
struct zu_part {
    const void *data;   /* bytes to copy, when msg is NULL */
    size_t size;        /* how many */
    struct zu_msg *msg; /* or a message, emptied on success */
    bool more;          /* another frame of the same message follows */
    bool waits;         /* the sender would wait for room */
    bool at_once;       /* not to wait for company: past the pipe if that is possible */
    bool gone;          /* set when it went that way */
};

/*
 * Writes it to a peer that has admitted its message. The last part of one that is not to wait for company goes on to the
 * kernel with all before it, if that is possible; else a batch that has gathered does. -ENOMEM.
 */
int zu_part_write(struct zu_part *part, struct zu_peer *peer, uint64_t patience_ns);
/* A part that is swallowed: its message, if any, is emptied. */
void zu_part_drop(struct zu_part *part);

/* The socket's thread. */
struct zu_balance {
    struct zu_link writable;  /* peers with room, in turn */
    struct zu_link *turn;     /* next one; &writable when there is none */
    struct zu_link full;      /* peers without room when last looked at, their writers asleep */
    struct zu_peer *inside;   /* its message is unfinished */
    uint64_t patience_ns;     /* how long a sender that waits may wait for a full kernel buffer, each time; 0 for not at all */
    bool interrupted;         /* a signal came while the last send in vain waited for the kernel */
    bool dropping;            /* that peer died in mid-message: the remaining frames are swallowed */
    uint64_t unroutable;      /* messages that were accepted and that no peer was given: none that counts them */
};

void zu_balance_init(struct zu_balance *balance);
void zu_balance_add(struct zu_balance *balance, struct zu_peer *peer);
void zu_balance_remove(struct zu_balance *balance, struct zu_peer *peer);
int zu_balance_send_slowly(struct zu_balance *balance, struct zu_part *part);

ZU_INLINE void zu_balance_turn(struct zu_balance *balance, struct zu_peer *peer)
{
    struct zu_link *next = peer->out_link.next;
    balance->turn = next == &balance->writable ? next->next : next;
}

/* 0; -EAGAIN when no peer has room; -ENOMEM. */
ZU_INLINE int zu_balance_send(struct zu_balance *balance, struct zu_part *part)
{
    struct zu_peer *peer = zu_container_of(balance->turn, struct zu_peer, out_link);
    if (zu_unlikely(balance->turn == &balance->writable || balance->inside || balance->dropping || part->more ||
                    part->msg || (part->at_once && peer->ops->send_large) || !zu_pipe_admits(peer->out) ||
                    !zu_pipe_write_quickly(peer->out, part->data, part->size)))
        return zu_balance_send_slowly(balance, part);
    zu_balance_turn(balance, peer);
    return 0;
}
/* A message of which not all was sent never was. */
void zu_balance_take_back(struct zu_balance *balance);
bool zu_balance_has_room(struct zu_balance *balance);
/* The thread is about to sleep: what it wrote last does not wait for a shard that looks by the clock. */
void zu_balance_rest(struct zu_balance *balance);

#endif
