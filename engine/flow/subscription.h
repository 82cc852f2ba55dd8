/* SPDX-License-Identifier: MIT */
/*
 * Subscriptions on their way from a subscriber to a publisher. In a pipe they are records: SUBSCRIBE and CANCEL commands
 * as ZMTP 3.1 has them. Older peers and XSUB's users say the same by messages that begin with the octet 1 or 0.
 */
#ifndef ZU_FLOW_SUBSCRIPTION_H
#define ZU_FLOW_SUBSCRIPTION_H

#include "flow/pipe.h"

struct zu_subscription {
    const uint8_t *prefix; /* in the frame it was read from */
    size_t size;           /* octets of it */
    bool on;               /* SUBSCRIBE, not CANCEL */
};

/* Publishes it as a record. -ENOMEM. */
int zu_subscription_write(struct zu_pipe *pipe, bool on, const void *prefix, size_t size);

/* One that several pipes are to have, or none: room is made in each, then it is written to each and cannot fail. */
struct zu_telling {
    struct zu_subscription subscription; /* it */
    struct zu_buf *body;                 /* the record, when it is too large to be copied; else NULL */
    size_t size;                         /* octets of the record */
};

/* -ENOMEM. The prefix is the caller's until fini. */
int zu_telling_init(struct zu_telling *telling, const struct zu_subscription *subscription);
void zu_telling_fini(struct zu_telling *telling);
void zu_telling_write(const struct zu_telling *telling, struct zu_pipe *pipe);
/* -ENOMEM. */
ZU_INLINE int zu_telling_reserve(const struct zu_telling *telling, struct zu_pipe *pipe)
{
    return zu_pipe_reserve_record(pipe, telling->size);
}

/* False: the record, or the frame of a message, is something else. */
bool zu_subscription_of_record(const struct zu_view *view, struct zu_subscription *ret_subscription);
bool zu_subscription_of_frame(const void *data, size_t size, struct zu_subscription *ret_subscription);

/*
 * A dialled peer's new connection knows nothing of the old one's subscriptions. The socket's mark says: what I wrote for
 * connections before number `epoch` is void, here begins what this one must be told. It never leaves the process.
 */
int zu_subscription_mark(struct zu_pipe *pipe, uint32_t epoch);
/* The pipe's draining reader: drops what lies before that mark, and the mark. False: it is not there yet. */
bool zu_subscription_skip(struct zu_pipe *pipe, uint32_t epoch);

#endif
