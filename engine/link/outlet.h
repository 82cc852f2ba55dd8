/* SPDX-License-Identifier: MIT */
/*
 * The write side of a connection has one owner at a time. In a stream of messages that is mostly the sending thread: when
 * a batch has gathered, or the pipe is full, it hands the bytes to the kernel itself, which costs no wake-up of anybody.
 * The shard sends what a thread that stays away has left, and waits for the kernel when that takes no more.
 */
#ifndef ZU_LINK_OUTLET_H
#define ZU_LINK_OUTLET_H

#include <sys/socket.h>

#include "flow/peer.h"

/* --- the shard --- */

/* A connection is ready: the outlet is idle, over its descriptor. */
void zu_outlet_open(struct zu_outlet *outlet, struct zu_driver *driver, int fd);
/* True: the write side is the shard's until give. False: a thread is sending; it will post far_wanted. */
bool zu_outlet_take(struct zu_outlet *outlet);
void zu_outlet_give(struct zu_outlet *outlet);
/* True: a thread is sending right now; what it leaves it will tell. */
bool zu_outlet_is_applications(const struct zu_outlet *outlet);
/* The sending thread's pace: the time between its last two batches, or since the last if that is longer. */
uint64_t zu_outlet_gap_ns(const struct zu_outlet *outlet);
/* Octets that the sending thread has handed to the kernel itself, so far. */
uint64_t zu_outlet_sent(const struct zu_outlet *outlet);
/* True: nobody uses the descriptor, or will. False: a thread is sending; it will post far_wanted. */
bool zu_outlet_close(struct zu_outlet *outlet);

/* --- the sending thread: what a peer over a connection offers its socket --- */

extern const struct zu_peer_ops zu_outlet_peer_ops;

#endif
