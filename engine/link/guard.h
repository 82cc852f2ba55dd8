/* SPDX-License-Identifier: MIT */
/*
 * Who decides whether a peer may come in. A connection whose handshake is WAITING asks the guard of its settings; what
 * stands behind (an allow-list, a callback, ZAP) is core's business.
 */
#ifndef ZU_LINK_GUARD_H
#define ZU_LINK_GUARD_H

#include "io/shard.h"
#include "wire/security.h"

/* One question, embedded in the connection. The shard's thread, all of it. */
struct zu_ask {
    struct zu_shard *shard;                   /* who asks */
    const struct zu_credentials *credentials; /* valid during `ask` alone */
    const char *address;                      /* of the peer, as Peer-Address; valid during `ask` alone */
    /* The answer, once, on that thread; the verdict is valid during the call. Perhaps from within `ask`. */
    void (*answered)(struct zu_ask *ask, const struct zu_verdict *verdict);
    void *pending; /* the guard's, until answered or withdrawn; NULL: none */
};

struct zu_guard;

struct zu_guard_ops {
    /* Asks. Never waits, never fails: an error is an answer. */
    void (*ask)(struct zu_guard *guard, struct zu_ask *ask);
    /* The connection ends before the answer, which will not come. NULL `pending`: nothing to do. */
    void (*withdraw)(struct zu_guard *guard, struct zu_ask *ask);
    /* Any thread: the last connection that could ask is gone. */
    void (*free)(struct zu_guard *guard);
};

struct zu_guard {
    const struct zu_guard_ops *ops; /* whose */
};

#endif
