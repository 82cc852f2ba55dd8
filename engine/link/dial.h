/* SPDX-License-Identifier: MIT */
/* The connecting side of an endpoint: attempts, the connection, and attempts again after a loss. */
#ifndef ZU_LINK_DIAL_H
#define ZU_LINK_DIAL_H

#include "link/conn.h"

struct zu_detour;
struct zu_lookup;

struct zu_dial {
    /* Set up before start is posted. */
    struct zu_shard *shard;               /* where it lives */
    struct zu_home home;                  /* for whom */
    const struct zu_transport *transport; /* how */
    char *text;                           /* the endpoint as it was given, and the route if that is another text; owned */
    size_t text_size;                     /* bytes of it, with NULs */
    const char *address;                  /* where to: behind its "scheme://", resolved at each attempt */
    const char *route;                    /* what is resolved and connected to: the address, or its proxy's */
    struct zu_dial_end *end;              /* tells the socket that it has given up; NULL once told */

    /* Notes from the socket, each once. After stop the socket forgets the dial. */
    struct zu_note start;
    struct zu_note stop;
    int linger_ms; /* written before stop is posted, as the next */
    bool disconnected; /* by zmq_disconnect, not with the socket */

    /* The shard's thread. */
    struct zu_peer *peer;          /* the pipes; with IMMEDIATE only while a connection is ready */
    struct zu_conn *conn;          /* from connected to closed */
    struct zu_lookup *lookup;      /* of an attempt, before it connects */
    struct zu_op connect;          /* an attempt; also the way through a proxy */
    struct zu_detour *detour;      /* that way */
    struct zu_target target;       /* of that attempt; fd is -1 without one */
    struct zu_timer retry;         /* next attempt */
    struct zu_timer attempt;       /* CONNECT_TIMEOUT of this one */
    bool late;                     /* that has fired */
    struct zu_timer linger;        /* patience after hanging up, while there is no connection */
    int backoff_ms;                /* last doubled interval; 0 after a success */
    uint32_t random;               /* spreads the retries */
    bool hung_up;                  /* the socket will write no more */
    bool over;                     /* no more attempts */
    bool owes;                     /* a connection is to be made: zu_shard_owe */
    bool stopped;                  /* stop has come: free when all is over */
    bool left;                     /* it came by zmq_disconnect */
};

/*
 * The socket's thread. `peer` is the socket's when it exists from the start (not IMMEDIATE): its far side becomes the
 * dial. NULL without memory.
 */
struct zu_dial *zu_dial_new(struct zu_shard *shard, const struct zu_home *home, const struct zu_transport *transport,
                            const char *address, struct zu_peer *peer);
void zu_dial_start(struct zu_dial *dial);
/*
 * What was sent may go out for `linger_ms` more; the socket has ended its pipes. The dial is not the caller's any more.
 * `disconnected`: by zmq_disconnect, which RECONNECT_STOP may be about.
 */
void zu_dial_stop(struct zu_dial *dial, int linger_ms, bool disconnected);

#endif
