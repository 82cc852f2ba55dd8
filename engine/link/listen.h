/* SPDX-License-Identifier: MIT */
/* The bound side of an endpoint: accepts, and owns the connections it has accepted. */
#ifndef ZU_LINK_LISTEN_H
#define ZU_LINK_LISTEN_H

#include "link/conn.h"

struct zu_listen;

/*
 * Ends every connection of a listener on one shard that has no peer yet: nobody else knows of them. Made with the
 * listener, so that stopping it needs no memory.
 */
struct zu_sweep {
    struct zu_note note;      /* to the shard, once */
    struct zu_shard *shard;   /* which */
    struct zu_listen *listen; /* whose connections; a reference from stop on */
};

struct zu_listen {
    /* Set up before start is posted. */
    struct zu_shard *shard;               /* where it accepts */
    struct zu_shard **shards;             /* where connections may go, in turn; the context's */
    unsigned shard_count;                 /* how many */
    struct zu_home home;                  /* for whom */
    const struct zu_transport *transport; /* how */
    struct zu_listening listening;        /* the descriptor and its name */

    /* Notes from the socket, each once. After stop the socket forgets the listener. */
    struct zu_note start;
    struct zu_note stop;

    _Atomic unsigned refs; /* itself until stopped, each sweep, connection or descriptor on its way; acq_rel drop */
    _Atomic bool stopped;  /* relaxed: a connection that gets ready afterwards ends; sweeps catch the waiting ones */

    /* The shard's thread. */
    struct zu_op accept;    /* goes on until cancelled */
    struct zu_timer again;  /* after a want of descriptors */
    unsigned turn;          /* next shard */
    bool stop_seen;         /* close the descriptor as soon as accept is over */

    struct zu_sweep sweeps[]; /* one a shard; posted by stop */
};

/* The socket's thread. Takes over the listening descriptor, also on failure: NULL without memory. */
struct zu_listen *zu_listen_new(struct zu_shard *shard, struct zu_shard **shards, unsigned shard_count,
                                const struct zu_home *home, const struct zu_transport *transport,
                                struct zu_listening *listening);
void zu_listen_start(struct zu_listen *listen);
/* Accepts no more. Sweeps end the connections without a peer yet; the socket hangs up the others. */
void zu_listen_stop(struct zu_listen *listen);

#endif
