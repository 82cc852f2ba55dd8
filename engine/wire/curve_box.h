/* SPDX-License-Identifier: MIT */
/* What both sides of a CURVE handshake share: the layout of its commands, their state, boxes and nonces over libsodium. */
#ifndef ZU_WIRE_CURVE_BOX_H
#define ZU_WIRE_CURVE_BOX_H

#include "wire/curve.h"

enum {
    ZU_CURVE_NONCE_LONG = 16, /* random octets behind a prefix of 8 */
    ZU_CURVE_NONCE_SHORT = 8, /* a count behind a prefix of 16 */
    ZU_CURVE_MAC = 16,        /* how much a box is larger than what is in it */
};

#define ZU_CURVE_HELLO_PREFIX "CurveZMQHELLO---"
#define ZU_CURVE_WELCOME_PREFIX "WELCOME-"
#define ZU_CURVE_COOKIE_PREFIX "COOKIE--"
#define ZU_CURVE_VOUCH_PREFIX "VOUCH---"
#define ZU_CURVE_INITIATE_PREFIX "CurveZMQINITIATE"
#define ZU_CURVE_READY_PREFIX "CurveZMQREADY---"

/* Data of the commands, behind their names. Octets only, so nothing is padded, and any address will do. */
struct zu_curve_hello {
    uint8_t version[2];                    /* 1, 0 */
    uint8_t padding[72];                   /* zeros: the HELLO is larger than the WELCOME */
    uint8_t client_key[ZU_CURVE_KEY_SIZE]; /* the client's transient one, C' */
    uint8_t nonce[ZU_CURVE_NONCE_SHORT];   /* the count */
    uint8_t signature[ZU_CURVE_MAC + 64];  /* 64 zeros, C' to S */
};

struct zu_curve_cookie {
    uint8_t nonce[ZU_CURVE_NONCE_LONG];           /* random */
    uint8_t mac[ZU_CURVE_MAC];                    /* by the cookie key, which nobody else has */
    uint8_t client_key[ZU_CURVE_KEY_SIZE];        /* C' */
    uint8_t server_secret_key[ZU_CURVE_KEY_SIZE]; /* s' */
};

struct zu_curve_welcome {
    uint8_t nonce[ZU_CURVE_NONCE_LONG];    /* random */
    uint8_t mac[ZU_CURVE_MAC];             /* S to C', over the rest */
    uint8_t server_key[ZU_CURVE_KEY_SIZE]; /* the server's transient one, S' */
    struct zu_curve_cookie cookie;         /* opaque to the client */
};

struct zu_curve_vouch {
    uint8_t nonce[ZU_CURVE_NONCE_LONG];    /* random */
    uint8_t mac[ZU_CURVE_MAC];             /* C to S', over the rest */
    uint8_t client_key[ZU_CURVE_KEY_SIZE]; /* C' */
    uint8_t server_key[ZU_CURVE_KEY_SIZE]; /* S */
};

struct zu_curve_initiate {
    struct zu_curve_cookie cookie;         /* as it came in the WELCOME */
    uint8_t nonce[ZU_CURVE_NONCE_SHORT];   /* the count */
    uint8_t mac[ZU_CURVE_MAC];             /* C' to S', over the rest */
    uint8_t client_key[ZU_CURVE_KEY_SIZE]; /* the client's lasting one, C */
    struct zu_curve_vouch vouch;           /* that C and C' are the same client's */
    uint8_t properties[];                  /* the client's */
};

struct zu_curve_ready {
    uint8_t nonce[ZU_CURVE_NONCE_SHORT]; /* the count */
    uint8_t mac[ZU_CURVE_MAC];           /* S' to C', over the rest */
    uint8_t properties[];                /* the server's */
};

/* Of either side, in mechanism->state. All of it is secret. */
struct zu_curve_state {
    struct zu_curve_session session; /* the counts run from the first command on; its key with the transient keys */
    uint8_t public_key[ZU_CURVE_KEY_SIZE]; /* our transient one */
    uint8_t secret_key[ZU_CURVE_KEY_SIZE]; /* of that */
    uint8_t peer_key[ZU_CURVE_KEY_SIZE];   /* the peer's transient one */
    uint8_t
        hello_key[ZU_CURVE_KEY_SIZE]; /* of the client's transient and the server's lasting pair, for two commands */
    uint8_t cookie_key[ZU_CURVE_KEY_SIZE]; /* server: of this connection alone */
    uint8_t client_key[ZU_CURVE_KEY_SIZE]; /* server: the client's lasting one, vouched for */
    struct zu_curve_cookie cookie;         /* client: for the INITIATE */
};

/* The handshake is through: all but the session has served. */
void zu_curve_forget(struct zu_curve_state *state);

/* Slots of both rows; fini overwrites all. */
int zu_curve_init(struct zu_mechanism *mechanism, bool is_server);
void zu_curve_fini(struct zu_mechanism *mechanism);
/* Our transient pair, when there is somebody to show it to: it costs as much as a box of keys. */
void zu_curve_transient_make(struct zu_curve_state *state);

/* Those of the config, or zeros. */
const struct zu_secrets *zu_curve_secrets(const struct zu_mechanism *mechanism);

/* The key that two pairs share. A public key of which all secrets make the same one fails with -EPROTO, CRYPTOGRAPHIC. */
int zu_curve_agree(struct zu_mechanism *mechanism, uint8_t ret_key[ZU_CURVE_KEY_SIZE], const uint8_t *public_key,
                   const uint8_t *secret_key);

/* Seals the `size` octets behind `mac`, in place. The nonce is what the prefix, of 8 or 16 octets, leaves of 24. */
void zu_curve_box_seal(uint8_t *mac, size_t size, const char *prefix, const uint8_t *nonce, const uint8_t *key);
/* Opens the box of the authenticator at `mac` and `size` octets behind it. False: not sealed with that key and nonce. */
bool zu_curve_box_open(uint8_t *ret_plain, const uint8_t *mac, size_t size, const char *prefix, const uint8_t *nonce,
                       const uint8_t *key);

/* Our next count, for good: it is not used again. */
void zu_curve_count_say(struct zu_mechanism *mechanism, uint8_t nonce[ZU_CURVE_NONCE_SHORT]);
/* The peer's, of a box that has opened; false unless above the last. */
bool zu_curve_count_hear(struct zu_mechanism *mechanism, const uint8_t nonce[ZU_CURVE_NONCE_SHORT]);

/* -EPROTO with the failure. */
int zu_curve_fail_open(struct zu_mechanism *mechanism);

#endif
