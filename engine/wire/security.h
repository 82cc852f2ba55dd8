/* SPDX-License-Identifier: MIT */
/* What a socket's security mechanism works with: its role, its secrets, and what a peer shows to be let in. */
#ifndef ZU_WIRE_SECURITY_H
#define ZU_WIRE_SECURITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

#define ZU_CURVE_KEY_SIZE 32

/* Immutable once connections use it; its owner wipes it (zu_secrets_wipe) before the memory goes back. */
struct zu_secrets {
    uint8_t public_key[ZU_CURVE_KEY_SIZE]; /* CURVE: our own; a server's is zu_curve_own_key's */
    uint8_t secret_key[ZU_CURVE_KEY_SIZE]; /* CURVE: our own */
    uint8_t server_key[ZU_CURVE_KEY_SIZE]; /* CURVE client: whom we want to talk to */
    struct zu_bytes username;              /* PLAIN client, to 255 octets; owned */
    struct zu_bytes password;              /* likewise */
};

/* Overwrites and frees what it holds. */
void zu_secrets_wipe(struct zu_secrets *secrets);

enum { ZU_CREDENTIALS_MAX = 2 };

/* What a peer has shown, as ZAP numbers it. Points into the handshake, valid while that is WAITING. */
struct zu_credentials {
    const char *mechanism; /* "NULL", "PLAIN", "CURVE" */
    unsigned count;        /* NULL 0; PLAIN 2, name and password; CURVE 1, the client's lasting public key */
    struct {
        const uint8_t *data; /* NULL when empty */
        size_t size;         /* octets there */
    } items[ZU_CREDENTIALS_MAX];
};

/* What zu_verdict.status may be; anything else is taken for DENIED. */
enum { ZU_VERDICT_IN = 200, ZU_VERDICT_LATER = 300, ZU_VERDICT_DENIED = 400, ZU_VERDICT_FAULT = 500 };

/* Whether a peer may come in. */
struct zu_verdict {
    int error; /* 0; or why nobody could say: -EFAULT (nobody to ask), -EPROTO with `protocol_error`, -ENOMEM */
    unsigned protocol_error;   /* what was wrong with a ZAP reply */
    unsigned status;           /* as above */
    const uint8_t *properties; /* for messages of that peer: User-Id and what ZAP adds, as on the wire; borrowed */
    size_t properties_size;    /* octets there */
};

#endif
