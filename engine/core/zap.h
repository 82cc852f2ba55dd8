/* SPDX-License-Identifier: MIT */
/* ZAP (RFC 27), the asking side: a question to whoever is bound at inproc://zeromq.zap.01. On a shard's thread. */
#ifndef ZU_CORE_ZAP_H
#define ZU_CORE_ZAP_H

#include "link/guard.h"
#include "link/inproc.h"

enum { ZU_USER_ID_MAX = 255 };

/* What can be wrong with a reply: the values of ZMQ_PROTOCOL_ERROR_ZAP_* in api/zmq.h. */
enum zu_zap_error {
    ZU_ZAP_UNSPECIFIED = 0x20000000,
    ZU_ZAP_MALFORMED_REPLY = 0x20000001,
    ZU_ZAP_BAD_REQUEST_ID = 0x20000002,
    ZU_ZAP_BAD_VERSION = 0x20000003,
    ZU_ZAP_INVALID_STATUS_CODE = 0x20000004,
    ZU_ZAP_INVALID_METADATA = 0x20000005,
};

/* What a request says besides the peer's own. */
struct zu_zap_terms {
    struct zu_inproc *inproc;       /* where the handler would be */
    const struct zu_bytes *domain;  /* ZAP_DOMAIN; may be empty */
    const struct zu_bytes *socket;  /* our own routing id; may be empty */
    const char *user_id;            /* what the peer is called unless the handler says otherwise; "" for nothing */
};

/*
 * 0: asked; the answer comes, perhaps within this call. -ECONNREFUSED: no handler is there. -EUSERS: it has
 * ZU_INPROC_REACHED_MAX questions to read or to answer, and gets no more. -ENOMEM. Only with 0 does the ask have something
 * pending.
 */
int zu_zap_ask(const struct zu_zap_terms *terms, struct zu_ask *ask);
void zu_zap_withdraw(struct zu_ask *ask);

/* The properties of a peer that is called that: octets written to `out`, which has room for ZU_USER_PROPERTY_MAX. */
enum { ZU_USER_PROPERTY_MAX = 1 + 7 + 4 + ZU_USER_ID_MAX };
size_t zu_zap_user_property(const char *user_id, uint8_t *out);

#endif
