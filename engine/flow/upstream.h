/* SPDX-License-Identifier: MIT */
/* What SUB and XSUB have in common: a set of prefixes, which every publisher they have is told, and messages from those. */
#ifndef ZU_FLOW_UPSTREAM_H
#define ZU_FLOW_UPSTREAM_H

#include "flow/fan.h"
#include "flow/pattern.h"
#include "flow/subscription.h"
#include "flow/topics.h"

/* The socket's thread. */
struct zu_upstream {
    struct zu_topics topics;        /* what it wants, with how often */
    struct zu_topic_subscriber own; /* it, the only one in there */
    struct zu_link all;             /* publishers */
    struct zu_peer *accepted;       /* SUB: the message whose turn it is was looked at, and is this one's */
    struct zu_link chosen;          /* XSUB: who gets the message under way */
    bool owes;                      /* a publisher was not told all, for want of memory */
    bool inside;                    /* XSUB: between two frames of it */
    bool heeds;                     /* XSUB: its further frames may be subscriptions, too */
    bool told_within;               /* XSUB: one of its frames was */
};

/* Slots, or what they are made of. */
int zu_upstream_init(struct zu_pattern *pattern);
void zu_upstream_fini(struct zu_pattern *pattern);
int zu_upstream_attach(struct zu_pattern *pattern, struct zu_peer *peer);
void zu_upstream_met(struct zu_pattern *pattern, struct zu_peer *peer);
void zu_upstream_detach_in(struct zu_pattern *pattern, struct zu_peer *peer);
void zu_upstream_detach_out(struct zu_pattern *pattern, struct zu_peer *peer);
void zu_upstream_writable(struct zu_pattern *pattern, struct zu_peer *peer);
size_t zu_upstream_topics(const struct zu_pattern *pattern);
int zu_upstream_peek(struct zu_pattern *pattern, struct zu_view *ret_view);
void zu_upstream_rest(struct zu_pattern *pattern);

/* Tells all to those who are owed it, as far as there is memory. */
void zu_upstream_make_good(struct zu_upstream *upstream);
/* The next frame, whoever sent it. A receiver that finds nothing looks at its debts first: nobody would wake it for them. */
ZU_INLINE int zu_upstream_peek_fair(struct zu_pattern *pattern, struct zu_view *ret_view)
{
    struct zu_upstream *upstream = pattern->own;
    int err = zu_fair_peek(&pattern->in, ret_view, pattern->in_ended);
    if (zu_unlikely(err) && zu_unlikely(upstream->owes))
        zu_upstream_make_good(upstream);
    return err;
}

/*
 * Takes a prefix into the set and tells all, or takes it out and tells all if it was there but once, or `always`. A prefix
 * that is not there needs no words, unless `always`. -ENOMEM: nothing has changed, and nobody was told.
 */
int zu_upstream_change(struct zu_upstream *upstream, const struct zu_subscription *subscription, bool always);
/* Chooses all publishers for the message that begins, whether they have room or not. */
void zu_upstream_choose(struct zu_upstream *upstream);
/*
 * Counts or discounts a prefix that is told as part of a message. If that message begins (`first`), those without room
 * lose it; who does not get it is told by record. -ENOMEM: nothing has changed, and nobody has lost anything.
 */
int zu_upstream_change_within(struct zu_upstream *upstream, const struct zu_subscription *subscription, bool first);
/*
 * Who lost the message under way, in which a prefix was told, for want of memory, is told all again. A prefix that was
 * taken back in it stays with them until the next connection: more comes then than is wanted.
 */
void zu_upstream_lost_within(struct zu_upstream *upstream);

#endif
