/* SPDX-License-Identifier: MIT */
/* CURVE (RFC 25, 26): the handshake's two sides as mechanism rows, and the session that they leave for traffic. */
#ifndef ZU_WIRE_CURVE_H
#define ZU_WIRE_CURVE_H

#include "wire/handshake.h"

/* Around the payload of a frame: "\x07MESSAGE", nonce, authenticator, flags. */
enum { ZU_CURVE_MESSAGE_LEAD = 8 + 8 + 16 + 1 };

extern const struct zu_mechanism_ops zu_curve_client_mechanism;
extern const struct zu_mechanism_ops zu_curve_server_mechanism;

/* A server is told a secret key alone: its public one, for all handshakes to come. */
void zu_curve_own_key(struct zu_secrets *secrets);

/* The two directions of traffic. Secret: wipe it. */
struct zu_curve_session {
    uint8_t key[32];    /* of both transient keys, precomputed */
    uint64_t out_nonce; /* of the next MESSAGE that we send; it never repeats */
    uint64_t in_nonce;  /* the highest that has come: what follows must be above it */
    bool is_server;     /* which prefix each direction's nonces have */
    bool is_prepared;   /* the two below are there: seal and open see to it */
    uint8_t out_key[32]; /* `key` behind the first 16 octets of our nonces, which are always the same */
    uint8_t in_key[32]; /* and of the peer's */
};

/* Of a handshake that is done with one of these rows: moves the session out of it. False: another mechanism. */
bool zu_curve_session_take(struct zu_handshake *hs, struct zu_curve_session *ret_session);

/*
 * Flags are a frame's: ZU_FRAME_MORE, ZU_FRAME_COMMAND.
 *
 * Makes a MESSAGE of the payload: at `out` the body of the outer frame, size + ZU_CURVE_MESSAGE_LEAD octets. The payload
 * may lie where it is sealed, at `out` + ZU_CURVE_MESSAGE_LEAD, or apart. -EPROTO when the nonces are used up.
 */
int zu_curve_seal(struct zu_curve_session *session, unsigned flags, uint8_t *out, const uint8_t *payload, size_t size);
/*
 * Opens a MESSAGE in place: its payload is then at body + ZU_CURVE_MESSAGE_LEAD, size - ZU_CURVE_MESSAGE_LEAD octets.
 * -EPROTO with *ret_detail: malformed, an old nonce, not authentic, unknown flags. Nothing of a MESSAGE that fails is to be used.
 */
int zu_curve_open(struct zu_curve_session *session, uint8_t *body, size_t size, unsigned *ret_flags,
                  enum zu_protocol_error *ret_detail);

#endif
