/* SPDX-License-Identifier: MIT */
/*
 * The ZMTP greeting, sans I/O. Our side is sent in steps, each only after the peer's octets allow it, so that a 2.0
 * peer never sees what it would misread; a 1.0 peer takes the first of them for the head of our identity frame:
 *
 *   at once                        FF, our id's length + 1 in 8 octets, 7F
 *   10 octets of a versioned peer  major 3
 *   the peer's major, 1.0 or 2.0   our socket type; the peer's socket type ends its greeting
 *   the peer's major, later        minor 1, mechanism, 32 zeros; 64 octets end its greeting
 */
#ifndef ZU_WIRE_GREETING_H
#define ZU_WIRE_GREETING_H

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

#define ZU_GREETING_SIZE 64
#define ZU_GREETING_MECHANISM_SIZE 20

/* Ordered: a later version compares greater. */
enum zu_wire_version {
    ZU_WIRE_UNKNOWN,
    ZU_WIRE_RAW,         /* no ZMTP at all: see zu_handshake_config.raw */
    ZU_WIRE_UNVERSIONED, /* 1.0 from before there were greetings: its first octets belong to its identity frame */
    ZU_WIRE_1_0,
    ZU_WIRE_2_0,
    ZU_WIRE_3_0,
    ZU_WIRE_3_1,
};

struct zu_greeting {
    /* Ours, fixed by init. */
    uint8_t socket_type;                           /* for 1.0 and 2.0 peers */
    uint8_t mechanism[ZU_GREETING_MECHANISM_SIZE]; /* for later ones, zero-padded */

    /* Progress. */
    uint8_t step;                  /* which step the next octets belong to */
    uint8_t want;                  /* octets of the peer at which the step ends */
    uint8_t in_size;               /* octets of the peer so far */
    uint8_t out_size;              /* octets of ours that may go out */
    uint8_t out_sent;              /* octets of ours that have gone out */
    uint8_t in[ZU_GREETING_SIZE];  /* the peer's */
    uint8_t out[ZU_GREETING_SIZE]; /* ours */

    /* Result, valid once feed has returned 1. */
    uint8_t version;          /* enum zu_wire_version */
    uint8_t peer_socket_type; /* with 1.0 and 2.0, else ZU_SOCKET_TYPE_UNKNOWN */
};

/* `mechanism` has at most 20 characters; what is beyond is cut. */
void zu_greeting_init(struct zu_greeting *greeting, unsigned socket_type, size_t routing_id_size,
                      const char *mechanism);

/*
 * Takes octets of the peer: 0 go on, 1 the peer's greeting is whole. `ret_used` says how many octets were looked at for
 * that; those of an UNVERSIONED peer, at most ZU_FRAME_V1_HEAD_MAX, are left in `in` and belong to its identity frame.
 */
int zu_greeting_feed(struct zu_greeting *greeting, const uint8_t *in, size_t size, size_t *ret_used);

/* Octets that may be sent now; after sending n of them, say so. */
size_t zu_greeting_output(const struct zu_greeting *greeting, const uint8_t **ret_bytes);
void zu_greeting_sent(struct zu_greeting *greeting, size_t n);

/* The 20 octets that the peer named its mechanism with; 3.x only. */
const uint8_t *zu_greeting_peer_mechanism(const struct zu_greeting *greeting);

#endif
