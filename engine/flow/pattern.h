/* SPDX-License-Identifier: MIT */
/* What makes a socket type: who gets the next message, from whom the next one comes. One row of slots per type. */
#ifndef ZU_FLOW_PATTERN_H
#define ZU_FLOW_PATTERN_H

#include "flow/balance.h"
#include "flow/fair.h"

enum { ZU_POLL_IN = 1, ZU_POLL_OUT = 2 };

struct zu_pattern;

/* All slots run on the socket's thread. None blocks. */
struct zu_pattern_ops {
    unsigned type;    /* ZMQ_PUSH and so on */
    const char *name; /* as on the wire */
    unsigned can;     /* ZU_POLL_ bits: whether it ever sends, ever receives */
    /* A peer whose pipes are both usable. -EBUSY refuses it: the socket hangs up. */
    int (*attach)(struct zu_pattern *pattern, struct zu_peer *peer);
    /* Reading, or writing, is over for this peer; called once each, before the pipe end is dropped. */
    void (*detach_in)(struct zu_pattern *pattern, struct zu_peer *peer);
    void (*detach_out)(struct zu_pattern *pattern, struct zu_peer *peer);
    /* `in` may have something again; `out` may have room again. */
    void (*readable)(struct zu_pattern *pattern, struct zu_peer *peer);
    void (*writable)(struct zu_pattern *pattern, struct zu_peer *peer);
    /* One frame out: 0, -EAGAIN (wait for room), -ENOMEM, -ENOTSUP. On failure the part is untouched. */
    int (*send)(struct zu_pattern *pattern, struct zu_part *part);
    /* The next frame in, to be popped by the caller, who then calls taken: 0, -EAGAIN (wait), -ENOTSUP. */
    int (*peek)(struct zu_pattern *pattern, struct zu_view *ret_view);
    /* NULL: nothing but that the fair queue's turn moves on. */
    void (*taken)(struct zu_pattern *pattern, unsigned flags);
    /* ZU_POLL_ bits of what send and peek would not refuse now. */
    unsigned (*poll)(struct zu_pattern *pattern);
};

/* The socket's thread. */
struct zu_pattern {
    const struct zu_pattern_ops *ops;  /* the type's row */
    struct zu_balance out;             /* types that balance, and PAIR */
    struct zu_fair in;                 /* types that queue fairly, and PAIR */
    struct zu_peer *only;              /* PAIR: the peer it has */
    void (*in_ended)(struct zu_peer *); /* the socket's: a pipe has been read to its end */
};

extern const struct zu_pattern_ops zu_pattern_push;
extern const struct zu_pattern_ops zu_pattern_pull;
extern const struct zu_pattern_ops zu_pattern_pair;

void zu_pattern_init(struct zu_pattern *pattern, const struct zu_pattern_ops *ops, void (*in_ended)(struct zu_peer *));

ZU_INLINE void zu_pattern_taken(struct zu_pattern *pattern, unsigned flags)
{
    if (zu_likely(!pattern->ops->taken))
        zu_fair_taken(&pattern->in, flags);
    else
        pattern->ops->taken(pattern, flags);
}

/* Slots that several types share. */
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
void zu_pattern_ignore(struct zu_pattern *pattern, struct zu_peer *peer);

#endif
