/* SPDX-License-Identifier: MIT */
/*
 * A peer as its socket sees it: one pipe each way, and whoever stands at their far ends (a connection on a shard, or
 * another socket by inproc). Made by whichever side meets the other; two references, the socket's and the far side's.
 */
#ifndef ZU_FLOW_PEER_H
#define ZU_FLOW_PEER_H

#include "base/list.h"
#include "base/mailbox.h"
#include "flow/pipe.h"

struct zu_peer;
struct zu_driver;

/* What a peer is called, on the heap; NULL stands for no name. */
struct zu_peer_id {
    uint8_t size;    /* octets of it */
    uint8_t bytes[]; /* they */
};

/*
 * Who may hand `out` to the kernel: one at a time, its shard or, for a batch, the sending thread. Link's to use
 * (link/outlet.h); here because it lives as long as the peer.
 */
struct zu_outlet {
    _Atomic uint32_t state;   /* see link/outlet.h */
    int fd;                   /* the connection's descriptor; written before the state says idle */
    bool reader_slept;        /* its owner's, while the sending thread holds it: the shard slept on `out` */
    _Atomic(struct zu_driver *) driver; /* whose it is; relaxed, behind an acquire of the state */
    _Atomic int waits_on;     /* the processor of the thread that last waited for it; relaxed, a hint */
    _Atomic uint64_t emptied_ns; /* when the sending thread last emptied the pipe; relaxed, as the next */
    _Atomic uint64_t gap_ns;  /* how long after the time before that was */
    _Atomic uint64_t sent;    /* octets that the sending thread handed to the kernel; its own to raise, relaxed */
};

/* 1 to 255 octets. NULL without memory. */
struct zu_peer_id *zu_peer_id_new(const void *id, size_t size);
void zu_peer_id_free(struct zu_peer_id *id);

/* DISCONNECT_MSG, on the heap. */
struct zu_farewell {
    size_t size;     /* octets of it */
    uint8_t bytes[]; /* they */
};

/* In place of a linger: no memory for this peer. Its connection ends as by a fault, and a dial tries again. */
#define ZU_LINGER_NO_MEMORY INT32_MIN

/* What the far side offers. */
struct zu_peer_ops {
    /*
     * The socket's thread, or NULL: hands what lies in `out` to the kernel, as far as that takes it and nobody else is doing
     * so; a kernel that takes no more, or a shard that is sending, is waited for, each time at most `patience_ns`.
     */
    void (*flush)(struct zu_peer *peer, uint64_t patience_ns);
    /*
     * The socket's thread, or NULL: hands one large single-frame message to the kernel from the caller's memory, behind
     * all that lies in `out`. True: the message is accepted; what the kernel did not take was copied to `out`.
     */
    bool (*send_large)(struct zu_peer *peer, const void *data, size_t size, uint64_t patience_ns);
    /*
     * The socket's thread, or NULL: takes the right to send to itself, if that can be had at once, so that what it writes
     * next need wake nobody. True: hand_over follows, which sends all that lies in `out` and gives the right back.
     */
    bool (*hold)(struct zu_peer *peer);
    void (*hand_over)(struct zu_peer *peer, uint64_t patience_ns);
    /*
     * The socket's thread, once: the socket has ended `out` and will not write again. What lies there may be delivered for
     * `linger_ms` more (negative: as long as it takes; or ZU_LINGER_NO_MEMORY).
     */
    void (*hang_up)(struct zu_peer *peer, int linger_ms);
    /*
     * The socket's thread, last of all: both pipe ends are dropped and the socket will not look at the peer again. Gives
     * back its reference, behind every note that it has posted: they lie in the peer.
     */
    void (*release)(struct zu_peer *peer);
};

/* What a far side on a shard does with the notes below; called on its thread, while `far` is set. */
struct zu_far_events {
    void (*readable)(struct zu_peer *peer); /* `out` has become non-empty, or has ended */
    void (*writable)(struct zu_peer *peer); /* `in` has room again */
    void (*hung_up)(struct zu_peer *peer, int linger_ms); /* see zu_peer_ops */
};

/* What the socket offers; called on its thread while it runs its mailbox. */
struct zu_peer_events {
    void (*attached)(struct zu_peer *peer); /* a peer that the far side made: its first note */
    /*
     * `far_id` is known and a connection is ready: behind attached, before anything can be read of that connection. Again
     * when a dial has made another one; several that came between two looks are one.
     */
    void (*met)(struct zu_peer *peer);
    void (*readable)(struct zu_peer *peer); /* `in` has become non-empty, or has ended */
    void (*writable)(struct zu_peer *peer); /* `out` has room again */
    void (*gone)(struct zu_peer *peer);     /* the far side is gone for good; `in` may hold more to read */
    /* No note: the pattern wants no more of it. Nothing more is sent; what has come can still be read. */
    void (*part)(struct zu_peer *peer);
    /* The same, at the program's wish: what lies in `out` goes first, also where LINGER is 0. */
    void (*dismiss)(struct zu_peer *peer);
};

/* What the two ends of a connection are called, for monitors; one allocation. Texts are endpoints, "" when unknown. */
struct zu_names {
    const char *local;  /* ours */
    const char *remote; /* the other one's, or what was dialled */
    bool bound;         /* ours was accepted, or listens */
    size_t size;        /* of the allocation */
};

/* Copies both texts. NULL without memory. */
struct zu_names *zu_names_new(bool bound, const char *local, const char *remote);
/* NULL is none. */
void zu_names_free(struct zu_names *names);

struct zu_peer {
    /* Set up before the sides meet. */
    struct zu_pipe *out;                  /* the socket writes */
    struct zu_pipe *in;                   /* the socket reads */
    const struct zu_peer_ops *ops;        /* the far side */
    const struct zu_peer_events *events;  /* the near side */
    const struct zu_far_events *far_events; /* far side on a shard */
    void *socket;                         /* the socket */
    struct zu_mailbox *far_box;           /* where the far side hears; a reference, or NULL */
    void *endpoint;                       /* the bind or connect it came by; the socket's own */
    struct zu_peer_id *own_id;            /* what the socket is to call it whatever it says: CONNECT_ROUTING_ID. Owned */
    struct zu_peer_id *far_id;            /* what it calls itself; the far side's until met is posted first. Owned */
    _Atomic uint32_t epoch;               /* connections that got ready so far; relaxed, behind the note's post */
    _Atomic unsigned refs;                /* near side, far side */
    struct zu_outlet outlet;              /* both sides */
    _Atomic(struct zu_names *) names;     /* of its connection, or NULL; who looks takes it out meanwhile. acq_rel by all */

    _Atomic unsigned *census; /* counts this peer until it is freed; NULL: nobody counts. Relaxed: a number, and no more */

    _Atomic(struct zu_farewell *) farewell; /* inproc: the last message in `out`, for the other socket's sake; owned. Acq_rel */

    /* inproc: the other socket's share of each limit; -1 elsewhere. Relaxed: a change of limits is not ordered. */
    _Atomic int64_t out_share;
    _Atomic int64_t in_share;

    /* Notes to the socket. Each is posted at most once before it has run. */
    struct zu_note attached; /* far side */
    struct zu_note met;      /* far side, a while behind it */
    _Atomic bool met_posted; /* acq_rel exchange by the far side, cleared when it runs */
    struct zu_note readable; /* writer of `in` */
    struct zu_note writable; /* reader of `out` */
    struct zu_note gone;     /* far side, once; carries its reference */

    /* Notes to a far side on a shard, likewise. */
    struct zu_note far_readable; /* writer of `out` */
    struct zu_note far_writable; /* reader of `in` */
    struct zu_note far_wanted;   /* the socket: the outlet is free again, or stuck */
    _Atomic bool far_wanted_posted; /* exchange by the socket, cleared when it runs */
    struct zu_note far_hung_up;  /* the socket, once; carries a reference of its own */
    struct zu_note left;         /* the last note of the side that posts it, once; carries that side's reference */
    int linger_ms;               /* written before far_hung_up is posted, read when it runs */

    /* The far side's thread. */
    void *far; /* its connection, dial, or other peer; NULL when it has left */

    /* The socket's thread. */
    struct zu_link link;      /* among all peers of the socket */
    struct zu_link in_link;   /* among the readable ones */
    struct zu_link out_link;  /* among the writable ones, or the full ones */
    bool out_full;            /* it is among the full ones */
    bool out_interrupted;     /* a signal ended a wait for the kernel or the shard; the sender's to clear */
    uint64_t out_stalled_ns;  /* when the kernel was waited for in vain: not again for a while; 0 while things flow */
    bool in_open;             /* `in` has not been left */
    bool out_open;            /* `out` has not been ended */
    bool hung_up;             /* hang_up was called, or gone has run */

    /* The socket's thread, its pattern's. */
    void *role;               /* what the pattern keeps of it; NULL for most */
    uint64_t out_dropped;     /* messages meant for it that the pattern did not put into `out`: counted as accepted */
};

/* Far side: the names of a new connection, which become the peer's. */
void zu_peer_rename(struct zu_peer *peer, struct zu_names *names);
/* The socket's thread: takes the names out, or NULL; to be given back. */
struct zu_names *zu_peer_names_take(struct zu_peer *peer);
void zu_peer_names_give(struct zu_peer *peer, struct zu_names *names);

/* Makes both pipes, with their limits. NULL without memory. */
struct zu_peer *zu_peer_new(uint64_t out_hwm, uint64_t in_hwm);
/* The same around pipes that exist: the other end of an inproc pair. */
struct zu_peer *zu_peer_new_around(struct zu_pipe *out, struct zu_pipe *in);
void zu_peer_set_near(struct zu_peer *peer, void *socket, const struct zu_peer_events *events, struct zu_mailbox *box);
/* A far side on a shard: its notes run `events`. */
void zu_peer_set_far(struct zu_peer *peer, void *far, const struct zu_peer_ops *ops, const struct zu_far_events *events,
                     struct zu_mailbox *box);
/* The socket's thread: lets a far side on a shard look at `out` and its outlet. */
void zu_peer_want_far(struct zu_peer *peer);
/* hang_up and release of a peer whose far side is on a shard. */
void zu_peer_tell_shard(struct zu_peer *peer, int linger_ms);
void zu_peer_release_by_shard(struct zu_peer *peer);
void zu_peer_unref(struct zu_peer *peer);

/* What it calls itself, before it is met: empty is no name. -ENOMEM. */
int zu_peer_set_far_id(struct zu_peer *peer, const void *id, size_t size);
/* The message that is to be the last in `out`; empty is none. Before the socket ends `out`, or for nothing. -ENOMEM. */
int zu_peer_set_farewell(struct zu_peer *peer, const void *message, size_t size);
/* The socket's thread, about to end `out`. */
void zu_peer_say_farewell(struct zu_peer *peer);
/* Far side: a connection is ready. `box` is the socket's. */
void zu_peer_tell_met(struct zu_peer *peer, struct zu_mailbox *box);

/* The socket's thread: hands over what lies in `out`, if the far side can; zu_peer_ops.flush. */
void zu_peer_flush(struct zu_peer *peer, uint64_t patience_ns);
/* The thread is about to sleep: what a shard would only find by its clock goes now. */
void zu_peer_rest(struct zu_peer *peer);
/* `out` admits no message: true when it does after a flush. A signal meanwhile shows in out_interrupted. */
bool zu_peer_make_room(struct zu_peer *peer, uint64_t patience_ns);

/* A peer that nobody was told of: ends and frees everything, both sides at once. */
void zu_peer_abandon(struct zu_peer *peer);

/* Far side, once: tells the socket that nobody is there any more, and drops the far side's reference. */
void zu_peer_tell_gone(struct zu_peer *peer, struct zu_mailbox *box);

#endif
