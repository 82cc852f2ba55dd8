/* SPDX-License-Identifier: MIT */
/*
 * What PUB and XPUB have in common: subscribers, the index of what they want, messages to those who want them, and the
 * reading of what they say. The two differ in what becomes of that.
 */
#ifndef ZU_FLOW_PUBLISHER_H
#define ZU_FLOW_PUBLISHER_H

#include "flow/fan.h"
#include "flow/pattern.h"
#include "flow/subscription.h"
#include "flow/topics.h"

/* Subscriptions of one peer may take so much memory, by the index's estimate: some millions. More are ignored. */
#define ZU_SUBSCRIBER_BYTES_MAX (UINT64_C(256) << 20)

/* A peer of the publisher's; its `role`. */
struct zu_subscriber {
    struct zu_fan_member fan;          /* first of all, where messages go */
    struct zu_link link;               /* among all */
    struct zu_link waiting;            /* among those who are not read at present */
    struct zu_topic_subscriber topics; /* what it gets */
    struct zu_topic_subscriber asked;  /* manual: what it asked for, which may be something else */
    struct zu_link said;               /* XPUB: what it said and nobody has received yet */
    struct zu_peer *peer;              /* it */
    bool inside;                       /* between two frames of a message of its */
    bool heeds;                        /* the message's further frames may be subscriptions, too */
    bool in_over;                      /* reading is over */
    bool out_over;                     /* writing is over: what it asks for now is in vain */
};

struct zu_publisher;

struct zu_publisher_ops {
    /* It subscribes or cancels. */
    void (*requested)(struct zu_publisher *publisher, struct zu_subscriber *subscriber,
                      const struct zu_subscription *subscription);
    /* A frame of a message. NULL: nobody minds. */
    void (*told)(struct zu_publisher *publisher, struct zu_subscriber *subscriber, const struct zu_view *view);
    /* No more can be heard at present; zu_publisher_hear_waiting when it can. NULL: always can. */
    bool (*is_full)(const struct zu_publisher *publisher);
    /* Writing to it is over; its subscriptions are still there. */
    void (*left)(struct zu_publisher *publisher, struct zu_subscriber *subscriber);
};

/* The socket's thread. */
struct zu_publisher {
    const struct zu_publisher_ops *ops; /* the type's */
    struct zu_pattern *pattern;         /* whose `own` it is */
    struct zu_topics topics;            /* who gets what */
    struct zu_topics asked;             /* manual: who asked for what */
    struct zu_link all;                 /* subscribers */
    struct zu_link waiting;             /* those whose pipes were left unread */
    struct zu_link chosen;              /* who gets the message under way */
    struct zu_subscriber *only;         /* the next message is for it alone; NULL for nobody in particular */
    bool inside;                        /* between two frames of a message */
};

void zu_publisher_init(struct zu_publisher *publisher, struct zu_pattern *pattern, const struct zu_publisher_ops *ops);

/* Changes what a subscriber gets; twice is as good as once. `ret_touched` as zu_topics_add. -ENOENT, -ENOMEM, -ENOBUFS. */
int zu_publisher_apply(struct zu_topics *topics, struct zu_topic_subscriber *subscriber,
                       const struct zu_subscription *subscription, unsigned *ret_touched);
void zu_publisher_hear_waiting(struct zu_publisher *publisher);

/* Slots of both. */
int zu_publisher_attach(struct zu_pattern *pattern, struct zu_peer *peer);
void zu_publisher_detach_in(struct zu_pattern *pattern, struct zu_peer *peer);
void zu_publisher_detach_out(struct zu_pattern *pattern, struct zu_peer *peer);
void zu_publisher_readable(struct zu_pattern *pattern, struct zu_peer *peer);
void zu_publisher_writable(struct zu_pattern *pattern, struct zu_peer *peer);
int zu_publisher_send(struct zu_pattern *pattern, struct zu_part *part);
void zu_publisher_rest(struct zu_pattern *pattern);
void zu_publisher_take_back(struct zu_pattern *pattern);
size_t zu_publisher_topics(const struct zu_pattern *pattern);

#endif
