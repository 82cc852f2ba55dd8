/* SPDX-License-Identifier: MIT */
/* The bound side of an endpoint: accepts, and owns the connections it has accepted. */
#ifndef ZU_LINK_LISTEN_H
#define ZU_LINK_LISTEN_H

#include "link/conn.h"

struct zu_listen;

/* A listener's part on one shard, which owns the connections there. */
struct zu_share {
    struct zu_note sweep;     /* to the shard, once, by stop: ends those that are young, of which nobody else knows */
    struct zu_shard *shard;   /* which */
    struct zu_listen *listen; /* whose; a reference from stop on */
    _Atomic unsigned young_count; /* below, and those on their way there; relaxed: a hint to the accepting shard */

    /* The shard's thread. */
    struct zu_link young;     /* connections without a peer yet, oldest first (zu_conn.sibling) */
};

struct zu_listen {
    /* Set up before start is posted. */
    struct zu_shard *shard;               /* where it accepts */
    unsigned share_count;                 /* where connections may go, in turn */
    struct zu_home home;                  /* for whom */
    const struct zu_transport *transport; /* how */
    struct zu_listening listening;        /* the descriptor and its name */

    /* Notes from the socket, each once. After stop the socket forgets the listener. */
    struct zu_note start;
    struct zu_note stop;

    _Atomic unsigned refs;   /* itself until stopped, each sweep, connection or descriptor on its way; acq_rel drop */
    /* The accepting shard counts up, each shard down. Relaxed: they guard nothing. */
    _Atomic unsigned places;      /* connections, and those on their way to a shard: MAX_CONNECTIONS */
    _Atomic unsigned young_count; /* those of them without a peer yet: MAX_HANDSHAKES */
    _Atomic bool stopped;    /* relaxed: a connection that gets ready afterwards ends; sweeps catch the waiting ones */

    /* The shard's thread. */
    struct zu_op accept;    /* goes on until cancelled */
    struct zu_timer again;  /* after a want of descriptors */
    unsigned turn;          /* next share */
    bool stop_seen;         /* close the descriptor as soon as accept is over */

    struct zu_share *here;    /* of `shares`, the one where it accepts */
    struct zu_share shares[]; /* one a shard */
};

/* The socket's thread. `shard` is one of `shards`. Takes over the listening descriptor, also on failure: NULL without memory. */
struct zu_listen *zu_listen_new(struct zu_shard *shard, struct zu_shard **shards, unsigned shard_count,
                                const struct zu_home *home, const struct zu_transport *transport,
                                struct zu_listening *listening);
void zu_listen_start(struct zu_listen *listen);
/* Accepts no more. Sweeps end the connections without a peer yet; the socket hangs up the others. */
void zu_listen_stop(struct zu_listen *listen);

#endif
