/* SPDX-License-Identifier: MIT */
/*
 * A connection's handshake from its first octet to its last, sans I/O: the greeting, then the mechanism's commands, or
 * with an older peer one identity frame each way. A raw connection has none. The caller moves octets:
 *
 *   zu_handshake_init; then until done or failed: send what zu_handshake_output shows, feed what arrives.
 *   Done: what output still holds goes out before any traffic; input that feed left unused is traffic.
 *   Failed: what output still holds (an ERROR) may go out, then the connection ends.
 */
#ifndef ZU_WIRE_HANDSHAKE_H
#define ZU_WIRE_HANDSHAKE_H

#include "wire/frame.h"
#include "wire/greeting.h"
#include "wire/mechanism.h"

/* The largest body of a handshake frame in either direction; MAXMSGSIZE may lower it for the peer's. */
#define ZU_HANDSHAKE_COMMAND_MAX ZU_METADATA_SIZE_MAX
/* The most that one buffer grows to; it grows with the octets that arrive, not with the size that a peer declares. */
#define ZU_HANDSHAKE_BUFFER_MAX (ZU_FRAME_HEAD_MAX + ZU_HANDSHAKE_COMMAND_MAX)
/*
 * All heap that one handshake can hold: both buffers, and the copied properties with a NUL for each, of which the
 * smallest takes 6 octets. A mechanism's own state comes on top, and for a moment what realloc copies from.
 */
#define ZU_HANDSHAKE_MEMORY_MAX (2 * ZU_HANDSHAKE_BUFFER_MAX + ZU_METADATA_SIZE_MAX + ZU_METADATA_SIZE_MAX / 6)
/* A READY of NULL with the longest routing id fits, so that an ordinary handshake does not touch the heap for it. */
#define ZU_HANDSHAKE_SMALL_SIZE 320

struct zu_handshake_buffer {
    uint8_t *heap;                          /* NULL while `small` is enough */
    size_t capacity;                        /* octets at `heap` */
    size_t size;                            /* octets in use */
    uint8_t small[ZU_HANDSHAKE_SMALL_SIZE]; /* used before the heap */
};

struct zu_handshake {
    struct zu_handshake_config config;   /* a copy; what it points to is borrowed */
    unsigned phase;                      /* greeting, commands, identity, done, failed */
    struct zu_greeting greeting;         /* its output goes out before `out` */
    struct zu_mechanism mechanism;       /* in use from the end of a 3.x greeting on */
    struct zu_handshake_buffer in;       /* the peer's frame in progress; after a handshake before 3.0 its identity frame */
    struct zu_handshake_buffer out;      /* our frames */
    size_t out_sent;                     /* octets of `out` that have gone out */
    uint64_t taken;                      /* octets of the peer's so far */
    size_t identity_at;                  /* where in `in` an older peer's identity begins; 0 for none */
    struct zu_handshake_failure failure; /* filled when feed fails */
};

/* Must not move in memory until fini. `config` is copied; its socket type must be a type, its mechanism not NULL. */
void zu_handshake_init(struct zu_handshake *hs, const struct zu_handshake_config *config);
void zu_handshake_fini(struct zu_handshake *hs);

/*
 * Takes octets of the peer: 0 go on, 1 done, or a negative errno with `hs->failure` saying more: -EPROTO, -EMSGSIZE (a
 * frame above the limits), -E2BIG (all of it), -EPROTONOSUPPORT (a peer too old to be let in), -ENOMEM. Octets beyond the handshake stay unused. When a
 * mechanism was WAITING, a call with size 0 goes on.
 */
int zu_handshake_feed(struct zu_handshake *hs, const uint8_t *in, size_t size, size_t *ret_used);

/* Is a verdict awaited? Then what the peer has shown. */
bool zu_handshake_waits(const struct zu_handshake *hs, struct zu_credentials *ret_credentials);
/*
 * The verdict, once, while it is awaited; feed then goes on. An error or a status of 300 ends the handshake as a failure that
 * feed returns: the error itself with its detail, -EACCES for 300 (retry, silence). 400 and 500: -EPROTO with auth_status.
 */
void zu_handshake_judge(struct zu_handshake *hs, const struct zu_verdict *verdict);

/* Octets to send now, 0 for none; after sending n of them, say so. Feed may move them. */
size_t zu_handshake_output(const struct zu_handshake *hs, const uint8_t **ret_bytes);
void zu_handshake_sent(struct zu_handshake *hs, size_t n);
/* When it is done: a message of one frame, to go out behind all that. -ENOMEM. */
int zu_handshake_append(struct zu_handshake *hs, const void *message, size_t size);

/* Results, valid once feed has returned 1. */
enum zu_wire_version zu_handshake_version(const struct zu_handshake *hs);
/* enum zu_socket_type; UNKNOWN when the peer did not say. An older peer's type is not checked against ours. */
unsigned zu_handshake_peer_type(const struct zu_handshake *hs);
/* The peer's routing id; NULL when it sent none or an empty one. Valid until fini or until the metadata is taken. */
const uint8_t *zu_handshake_identity(const struct zu_handshake *hs, size_t *ret_size);
/* Hands the peer's properties over; the caller owns them then. Empty for older peers. */
void zu_handshake_metadata_take(struct zu_handshake *hs, struct zu_metadata *ret_metadata);

#endif
