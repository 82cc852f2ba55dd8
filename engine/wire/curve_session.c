/* SPDX-License-Identifier: MIT */
/*
 * The traffic of CURVE: each frame is a MESSAGE, a NaCl box made with the key of both transient keys. A box derives a key of
 * its own from that key and the first 16 octets of the nonce. These are the same in all MESSAGEs of a direction, so it is
 * derived once; what is left per frame is Salsa20 and Poly1305. The 32 octets in front of a box's text, where the stream
 * yields the authenticator's key, are exactly the lead without its flags: so text and stream run side by side.
 *
 *      "\7MESSAGE" 8 | nonce 8 | authenticator 16 | flags 1 | payload
 *      0               8         16                 32        33
 *
 * What does not open is refused with a reason, and ends the connection: nonces only grow, so nothing comes twice.
 */
#include "wire/curve.h"

#include <sodium.h>

enum {
    NONCE_AT = 8,
    AUTH_AT = 16,
    TEXT_AT = 32,   /* flags and payload: the box's text */
    BLOCK_SIZE = 64, /* of the stream */
    FEW_SIZE = 256, /* libsodium makes so many octets at once in little more time than a block */
    HEAD_SIZE = 512, /* or so many */
    FLAG_MORE = 1,
    FLAG_COMMAND = 2,
};

_Static_assert(ZU_CURVE_MESSAGE_LEAD == TEXT_AT + 1, "the flags are the last octet of the lead");

static const uint8_t name[NONCE_AT] = {7, 'M', 'E', 'S', 'S', 'A', 'G', 'E'};

/* The beginning of a message's stream. */
struct stream_head {
    uint8_t octets[HEAD_SIZE]; /* as many of them as the message needs; the authenticator's key first */
};

/* Nothing of libsodium that must be begun: who made the key has begun it. */
static void prepare(struct zu_curve_session *session)
{
    static const uint8_t of_client[17] = "CurveZMQMESSAGEC", of_server[17] = "CurveZMQMESSAGES";
    crypto_core_hsalsa20(session->out_key, session->is_server ? of_server : of_client, session->key, NULL);
    crypto_core_hsalsa20(session->in_key, session->is_server ? of_client : of_server, session->key, NULL);
    session->is_prepared = true;
}

static void stream_begin(struct stream_head *head, const uint8_t *nonce, const uint8_t *key, size_t size)
{
    size_t made = size <= BLOCK_SIZE ? BLOCK_SIZE : size <= FEW_SIZE ? FEW_SIZE : HEAD_SIZE;
    crypto_stream_salsa20(head->octets, made, nonce, key);
}

/* Turns a payload of `size` octets into the other kind of text, in place or elsewhere. */
static void stream_add(const struct stream_head *head, const uint8_t *nonce, const uint8_t *key, uint8_t *to,
                       const uint8_t *from, size_t size)
{
    enum { FIRST_MAX = HEAD_SIZE - ZU_CURVE_MESSAGE_LEAD };
    size_t first = size < FIRST_MAX ? size : FIRST_MAX;
    for (size_t i = 0; i < first; i++)
        to[i] = from[i] ^ head->octets[ZU_CURVE_MESSAGE_LEAD + i];
    if (first < size)
        crypto_stream_salsa20_xor_ic(to + first, from + first, size - first, nonce, HEAD_SIZE / BLOCK_SIZE, key);
}

int zu_curve_seal(struct zu_curve_session *session, unsigned flags, uint8_t *out, const uint8_t *payload, size_t size)
{
    if (zu_unlikely(session->out_nonce == UINT64_MAX))
        return -EPROTO;
    if (zu_unlikely(!session->is_prepared))
        prepare(session);
    uint64_t nonce = htobe64(session->out_nonce++);
    memcpy(out, name, sizeof name);
    memcpy(out + NONCE_AT, &nonce, sizeof nonce);
    struct stream_head head;
    stream_begin(&head, out + NONCE_AT, session->out_key, ZU_CURVE_MESSAGE_LEAD + size);
    unsigned wire_flags = (flags & ZU_FRAME_MORE ? FLAG_MORE : 0) | (flags & ZU_FRAME_COMMAND ? FLAG_COMMAND : 0);
    out[TEXT_AT] = (uint8_t)(wire_flags ^ head.octets[TEXT_AT]);
    stream_add(&head, out + NONCE_AT, session->out_key, out + ZU_CURVE_MESSAGE_LEAD, payload, size);
    crypto_onetimeauth_poly1305(out + AUTH_AT, out + TEXT_AT, 1 + size, head.octets);
    return 0;
}

static int refuse(enum zu_protocol_error detail, enum zu_protocol_error *ret_detail)
{
    *ret_detail = detail;
    return -EPROTO;
}

int zu_curve_open(struct zu_curve_session *session, uint8_t *body, size_t size, unsigned *ret_flags,
                  enum zu_protocol_error *ret_detail)
{
    if (zu_unlikely(size < ZU_CURVE_MESSAGE_LEAD))
        return refuse(ZU_PROTOCOL_ERROR_MALFORMED_MESSAGE, ret_detail);
    if (zu_unlikely(memcmp(body, name, sizeof name) != 0))
        return refuse(ZU_PROTOCOL_ERROR_UNEXPECTED_COMMAND, ret_detail);
    uint64_t nonce;
    memcpy(&nonce, body + NONCE_AT, sizeof nonce);
    nonce = be64toh(nonce);
    if (zu_unlikely(nonce <= session->in_nonce))
        return refuse(ZU_PROTOCOL_ERROR_INVALID_SEQUENCE, ret_detail);
    if (zu_unlikely(!session->is_prepared))
        prepare(session);
    struct stream_head head;
    stream_begin(&head, body + NONCE_AT, session->in_key, size);
    if (zu_unlikely(crypto_onetimeauth_poly1305_verify(body + AUTH_AT, body + TEXT_AT, size - TEXT_AT, head.octets) != 0))
        return refuse(ZU_PROTOCOL_ERROR_CRYPTOGRAPHIC, ret_detail);
    session->in_nonce = nonce;
    unsigned flags = body[TEXT_AT] ^ head.octets[TEXT_AT];
    if (zu_unlikely(flags & ~(unsigned)(FLAG_MORE | FLAG_COMMAND)))
        return refuse(ZU_PROTOCOL_ERROR_MALFORMED_MESSAGE, ret_detail);
    uint8_t *payload = body + ZU_CURVE_MESSAGE_LEAD;
    stream_add(&head, body + NONCE_AT, session->in_key, payload, payload, size - ZU_CURVE_MESSAGE_LEAD);
    *ret_flags = (flags & FLAG_MORE ? ZU_FRAME_MORE : 0) | (flags & FLAG_COMMAND ? ZU_FRAME_COMMAND : 0);
    return 0;
}
