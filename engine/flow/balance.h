/* SPDX-License-Identifier: MIT */
/* Load balancing (RFC 30): a message a peer in turn, among the peers that have room. */
#ifndef ZU_FLOW_BALANCE_H
#define ZU_FLOW_BALANCE_H

#include "flow/peer.h"

/* What an application hands in: one frame. */
struct zu_part {
    const void *data;   /* bytes to copy, when msg is NULL */
    size_t size;        /* how many */
    struct zu_msg *msg; /* or a message, emptied on success */
    bool more;          /* another frame of the same message follows */
};

/* The socket's thread. */
struct zu_balance {
    struct zu_link writable;  /* peers with room, in turn */
    struct zu_link *turn;     /* next one; &writable when there is none */
    struct zu_link full;      /* peers without room when last looked at, their writers asleep */
    struct zu_peer *inside;   /* its message is unfinished */
    bool dropping;            /* that peer died in mid-message: the remaining frames are swallowed */
};

void zu_balance_init(struct zu_balance *balance);
void zu_balance_add(struct zu_balance *balance, struct zu_peer *peer);
void zu_balance_remove(struct zu_balance *balance, struct zu_peer *peer);
/* 0; -EAGAIN when no peer has room; -ENOMEM. */
int zu_balance_send(struct zu_balance *balance, struct zu_part *part);
bool zu_balance_has_room(struct zu_balance *balance);

#endif
