/* SPDX-License-Identifier: MIT */
/* What makes a socket type: who gets the next message, from whom the next one comes. One row of slots per type. */
#ifndef ZU_FLOW_PATTERN_H
#define ZU_FLOW_PATTERN_H

#include "base/bytes.h"
#include "flow/balance.h"
#include "flow/fair.h"

enum { ZU_POLL_IN = 1, ZU_POLL_OUT = 2 };

struct zu_pattern;

/* The options that act inside a pattern: the socket's own fields, looked at whenever they matter. */
struct zu_pattern_options {
    int router_mandatory;       /* error instead of drop when unroutable */
    int router_handover;        /* a new peer takes a used id */
    int router_raw;             /* bare TCP */
    int router_notify;          /* bits: connect 1, disconnect 2 */
    int probe_router;           /* an empty message on each new pipe */
    int req_correlate;          /* requests carry an id */
    int req_relaxed;            /* a request may replace the pending one */
    int stream_notify;          /* an empty message on connect and disconnect */
    int xpub_verbose;           /* pass repeated subscribes up */
    int xpub_verbose_unsub;     /* pass repeated unsubscribes up */
    int xpub_nodrop;            /* EAGAIN instead of drop */
    int xpub_manual;            /* the application decides on subscriptions */
    int xpub_manual_last_value; /* the next send goes to the last subscriber only */
    int xsub_verbose_unsub;     /* send repeated unsubscribes */
    int only_first_subscribe;   /* only the first frame of a message may subscribe */
    int invert_matching;        /* send, or accept, what does not match */
    struct zu_bytes xpub_welcome_msg; /* to each new subscriber */
};

/* All slots run on the socket's thread. None blocks. */
struct zu_pattern_ops {
    unsigned type;    /* ZMQ_PUSH and so on */
    const char *name; /* as on the wire */
    unsigned can;     /* ZU_POLL_ bits: whether it ever sends, ever receives */
    bool hears;       /* it never receives, but reads its peers' records all the same */
    bool is_subscribed_to; /* its peers' subscriptions are records for it */
    bool starts_over; /* for each connection of a peer it begins anew, behind a mark: flow/subscription.h */
    bool connects_once; /* a second connect to the same stream endpoint counts for nothing (DEALER, REQ, PUB, SUB) */
    /* Makes and frees what `own` points to. NULL: nothing. init: 0 or -ENOMEM. */
    int (*init)(struct zu_pattern *pattern);
    void (*fini)(struct zu_pattern *pattern);
    /* A peer whose pipes are both usable. -EBUSY refuses it: the socket hangs up. */
    int (*attach)(struct zu_pattern *pattern, struct zu_peer *peer);
    /* zu_peer_events.met: its name is known, a connection is ready. NULL: nothing. */
    void (*met)(struct zu_pattern *pattern, struct zu_peer *peer);
    /* Reading, or writing, is over for this peer; called once each, before the pipe end is dropped. */
    void (*detach_in)(struct zu_pattern *pattern, struct zu_peer *peer);
    void (*detach_out)(struct zu_pattern *pattern, struct zu_peer *peer);
    /* `in` may have something again; `out` may have room again. */
    void (*readable)(struct zu_pattern *pattern, struct zu_peer *peer);
    void (*writable)(struct zu_pattern *pattern, struct zu_peer *peer);
    /*
     * One frame out: 0, -EAGAIN (wait for room), -ENOMEM, -ENOTSUP, -ZU_EFSM, -EHOSTUNREACH. On failure the part is
     * untouched; on success its message, if any, is empty, also when it was dropped (zu_part_drop).
     */
    int (*send)(struct zu_pattern *pattern, struct zu_part *part);
    /* The thread is about to sleep: what it wrote last does not wait for a shard's clock. NULL: the balance sees to it. */
    void (*rest)(struct zu_pattern *pattern);
    /* A message of which not all was sent never was. NULL: the type balances, or nobody needs it. */
    void (*take_back)(struct zu_pattern *pattern);
    /* The next frame in, to be popped by the caller, who then calls taken: 0, -EAGAIN (wait), -ENOTSUP, -ZU_EFSM. */
    int (*peek)(struct zu_pattern *pattern, struct zu_view *ret_view);
    /* NULL: nothing but that the fair queue's turn moves on. */
    void (*taken)(struct zu_pattern *pattern, unsigned flags);
    /* ZU_POLL_ bits of what send and peek would not refuse now. */
    unsigned (*poll)(struct zu_pattern *pattern);
    /* SUBSCRIBE and UNSUBSCRIBE: 0, -EINVAL, -ENOMEM. NULL: the type has none. */
    int (*subscribe)(struct zu_pattern *pattern, const void *prefix, size_t size, bool on);
    /* TOPICS_COUNT. NULL: the type has none. */
    size_t (*topics)(const struct zu_pattern *pattern);
    /* zmq_socket_get_peer_state: ZU_POLL_ bits, -EHOSTUNREACH. NULL: the type has none. */
    int (*peer_state)(struct zu_pattern *pattern, const void *id, size_t size);
    /* What the peer that was connected last is called: ROUTING_ID then. NULL: ROUTING_ID is what was set. */
    const void *(*peer_name)(const struct zu_peer *peer, size_t *ret_size);
};

/* The socket's thread. */
struct zu_pattern {
    const struct zu_pattern_ops *ops;  /* the type's row */
    struct zu_balance out;             /* types that balance, and PAIR */
    struct zu_fair in;                 /* types that queue fairly, and PAIR */
    struct zu_peer *only;              /* PAIR: the peer it has */
    void *own;                         /* what else the type keeps, of its ops' making; NULL for most */
    const struct zu_pattern_options *options; /* the socket's */
    void (*in_ended)(struct zu_peer *); /* the socket's: a pipe has been read to its end */
};

extern const struct zu_pattern_ops zu_pattern_push;
extern const struct zu_pattern_ops zu_pattern_pull;
extern const struct zu_pattern_ops zu_pattern_pair;
extern const struct zu_pattern_ops zu_pattern_dealer;
extern const struct zu_pattern_ops zu_pattern_router;
extern const struct zu_pattern_ops zu_pattern_req;
extern const struct zu_pattern_ops zu_pattern_rep;
extern const struct zu_pattern_ops zu_pattern_stream;
extern const struct zu_pattern_ops zu_pattern_pub;
extern const struct zu_pattern_ops zu_pattern_sub;
extern const struct zu_pattern_ops zu_pattern_xpub;
extern const struct zu_pattern_ops zu_pattern_xsub;

/* 0 or -ENOMEM. */
int zu_pattern_init(struct zu_pattern *pattern, const struct zu_pattern_ops *ops,
                    const struct zu_pattern_options *options, void (*in_ended)(struct zu_peer *));
void zu_pattern_fini(struct zu_pattern *pattern);

ZU_INLINE void zu_pattern_taken(struct zu_pattern *pattern, unsigned flags)
{
    if (zu_likely(!pattern->ops->taken))
        zu_fair_taken(&pattern->in, flags);
    else
        pattern->ops->taken(pattern, flags);
}

/* PROBE_ROUTER: an empty message to a peer that is being attached. */
void zu_pattern_probe(struct zu_pattern *pattern, struct zu_peer *peer);

/* Slots that several types share. */
int zu_pattern_attach_dealing(struct zu_pattern *pattern, struct zu_peer *peer);
int zu_pattern_send_balanced(struct zu_pattern *pattern, struct zu_part *part);
int zu_pattern_peek_fair(struct zu_pattern *pattern, struct zu_view *ret_view);
void zu_pattern_detach_in_fair(struct zu_pattern *pattern, struct zu_peer *peer);
void zu_pattern_detach_out_balanced(struct zu_pattern *pattern, struct zu_peer *peer);
void zu_pattern_readable_fair(struct zu_pattern *pattern, struct zu_peer *peer);
void zu_pattern_writable_balanced(struct zu_pattern *pattern, struct zu_peer *peer);
int zu_pattern_send_refused(struct zu_pattern *pattern, struct zu_part *part);
int zu_pattern_peek_refused(struct zu_pattern *pattern, struct zu_view *ret_view);
unsigned zu_pattern_poll_in(struct zu_pattern *pattern);
unsigned zu_pattern_poll_out(struct zu_pattern *pattern);
unsigned zu_pattern_poll_both(struct zu_pattern *pattern);
void zu_pattern_ignore(struct zu_pattern *pattern, struct zu_peer *peer);

#endif
