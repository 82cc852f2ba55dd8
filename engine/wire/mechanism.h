/* SPDX-License-Identifier: MIT */
/*
 * The seam between the handshake and its security mechanisms (NULL, PLAIN, CURVE): an ops table, the state every
 * mechanism shares, and helpers for what all of them do. Bodies of command frames go in and out; framing is not seen.
 */
#ifndef ZU_WIRE_MECHANISM_H
#define ZU_WIRE_MECHANISM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "wire/command.h"
#include "wire/metadata.h"
#include "wire/security.h"

/* The values of ZMQ_PROTOCOL_ERROR_* in api/zmq.h, which lies above the engine. */
enum zu_protocol_error {
    /* No event names it: libzmq closes without one on wrong socket types, metadata and sizes. */
    ZU_PROTOCOL_ERROR_NONE = 0,
    ZU_PROTOCOL_ERROR_UNSPECIFIED = 0x10000000,
    ZU_PROTOCOL_ERROR_UNEXPECTED_COMMAND = 0x10000001,
    ZU_PROTOCOL_ERROR_INVALID_SEQUENCE = 0x10000002,
    ZU_PROTOCOL_ERROR_KEY_EXCHANGE = 0x10000003,
    ZU_PROTOCOL_ERROR_MALFORMED_UNSPECIFIED = 0x10000011,
    ZU_PROTOCOL_ERROR_MALFORMED_MESSAGE = 0x10000012,
    ZU_PROTOCOL_ERROR_MALFORMED_HELLO = 0x10000013,
    ZU_PROTOCOL_ERROR_MALFORMED_INITIATE = 0x10000014,
    ZU_PROTOCOL_ERROR_MALFORMED_ERROR = 0x10000015,
    ZU_PROTOCOL_ERROR_MALFORMED_READY = 0x10000016,
    ZU_PROTOCOL_ERROR_MALFORMED_WELCOME = 0x10000017,
    ZU_PROTOCOL_ERROR_INVALID_METADATA = 0x10000018,
    ZU_PROTOCOL_ERROR_CRYPTOGRAPHIC = 0x11000001,
    ZU_PROTOCOL_ERROR_MECHANISM_MISMATCH = 0x11000002,
};

struct zu_handshake_failure {
    int error;               /* the negative errno that feed returned; 0 while nothing failed */
    unsigned protocol_error; /* enum zu_protocol_error: detail of a HANDSHAKE_FAILED_PROTOCOL event, 0 for no event */
    unsigned auth_status;    /* 300, 400 or 500 from the peer's ERROR: value of HANDSHAKE_FAILED_AUTH, 0 for no event */
    bool retry;              /* reconnecting may help: never after a protocol error */
};

struct zu_mechanism_ops;

/* What our side brings to a handshake. Pointers are borrowed until zu_handshake_fini. */
struct zu_handshake_config {
    unsigned socket_type;                     /* enum zu_socket_type */
    const uint8_t *routing_id;                /* our Identity; may be NULL when the size is 0 */
    size_t routing_id_size;                   /* octets at `routing_id` */
    const struct zu_mechanism_ops *mechanism; /* the only one that is accepted */
    const uint8_t *properties;                /* application metadata, already encoded as properties */
    size_t properties_size;                   /* octets at `properties` */
    int64_t message_size_max;                 /* MAXMSGSIZE: larger frames of the peer fail; -1 for off */
    const struct zu_secrets *secrets;        /* keys, name and password; NULL is as one of zeros */
    bool waits;                               /* a peer is let in by verdict alone; those before 3.0 cannot show anything */
    bool raw;                                 /* no handshake: the peer speaks something else than ZMTP */
};

enum zu_mechanism_status {
    ZU_MECHANISM_HANDSHAKING, /* wants the peer's next command */
    ZU_MECHANISM_WAITING,     /* an outside answer (ZAP) is pending: input stays unread until the status changes */
    ZU_MECHANISM_READY,       /* both sides are done */
    ZU_MECHANISM_FAILED,      /* what `produce` still yields (ERROR) goes out, then the connection ends */
};

struct zu_mechanism {
    const struct zu_mechanism_ops *ops;       /* whose state this is; NULL before init */
    const struct zu_handshake_config *config; /* ours, borrowed */
    enum zu_mechanism_status status;          /* kept by the mechanism; set to HANDSHAKING before its init */
    unsigned stage;                           /* the mechanism's own record of where it is */
    void *state;                              /* the mechanism's own memory, NULL when it needs none */
    struct zu_metadata metadata;              /* the peer's properties, once they have arrived */
    unsigned peer_socket_type;                /* enum zu_socket_type; UNKNOWN when the peer did not say */
    bool refuses;                             /* FAILED by a verdict, and the ERROR is still to be said */
    struct zu_handshake_failure failure;      /* details only; the handshake fills in error and retry */
};

struct zu_mechanism_ops {
    /* As in the greeting, at most 20 characters; zero-padded and compared over all 20 octets. */
    char name[21];

    /* May a peer before 3.0, which knows no mechanism, be served? Only where there is nothing to bypass. */
    bool old_peers_served;

    /* Prepares `stage` and `state`. 0, -ENOMEM, or -ENOTSUP without a source of randomness; fini is called in any case. */
    int (*init)(struct zu_mechanism *mechanism);

    /* Releases `state`. NULL when there is none. */
    void (*fini)(struct zu_mechanism *mechanism);

    /* An upper bound of the next command's body; 0 when it is not our turn. */
    size_t (*produce_max)(const struct zu_mechanism *mechanism);

    /* Writes that body; called only after produce_max said more than 0. Octets written, or a negative errno. */
    ssize_t (*produce)(struct zu_mechanism *mechanism, uint8_t *out);

    /*
     * Takes the body of a frame from the peer, valid only during the call; whether its COMMAND flag was set is not
     * checked. 0, or a negative errno after zu_mechanism_fail.
     */
    int (*consume)(struct zu_mechanism *mechanism, const uint8_t *body, size_t size);

    /*
     * What the peer has shown to be let in, while the status is WAITING: only with `waits` in the config, except for PLAIN,
     * where nobody comes in without a verdict. Pointers are valid until that. NULL: this side of the mechanism never waits.
     */
    void (*credentials)(const struct zu_mechanism *mechanism, struct zu_credentials *ret_credentials);
    /*
     * The verdict's status, 200, 400 or 500, for a mechanism that WAITs: goes on, or has an ERROR to produce and is FAILED
     * with failure.auth_status. All else of verdicts (errors, 300, properties) is the handshake's.
     */
    int (*judged)(struct zu_mechanism *mechanism, unsigned status);
};

int zu_mechanism_init(struct zu_mechanism *mechanism, const struct zu_handshake_config *config);
void zu_mechanism_fini(struct zu_mechanism *mechanism);

/* For mechanisms: records why, sets FAILED, returns -EPROTO. */
int zu_mechanism_fail(struct zu_mechanism *mechanism, enum zu_protocol_error detail);

/* Our properties: Socket-Type, Identity where the type sends one, then the application's. */
size_t zu_mechanism_properties_size(const struct zu_handshake_config *config);
size_t zu_mechanism_properties_encode(const struct zu_handshake_config *config, uint8_t *out);

/*
 * Puts the peer's properties behind those that are known of it, and checks its Socket-Type against ours. A User-Id is not
 * the peer's to say: it is left out. 0, -ENOMEM, or -EPROTO with the failure set.
 */
int zu_mechanism_properties_consume(struct zu_mechanism *mechanism, const uint8_t *block, size_t size);

/* Reads the peer's ERROR command into the failure; always -EPROTO. */
int zu_mechanism_error_consume(struct zu_mechanism *mechanism, const struct zu_command *command);

/* The `judged` of a mechanism that merely goes on with 200. */
int zu_mechanism_judged(struct zu_mechanism *mechanism, unsigned status);
/* What it says after another status: an ERROR, once; the size is 0 when there is none to say. */
size_t zu_mechanism_refusal_size(const struct zu_mechanism *mechanism);
ssize_t zu_mechanism_refusal_produce(struct zu_mechanism *mechanism, uint8_t *out);

#endif
