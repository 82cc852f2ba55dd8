/* SPDX-License-Identifier: MIT */
/* Peers by name: what ROUTER, REP and STREAM share. A pattern that uses it has a zu_router at the start of its `own`. */
#ifndef ZU_FLOW_ROUTER_H
#define ZU_FLOW_ROUTER_H

#include "flow/map.h"
#include "flow/pattern.h"

/* A peer's role. The socket's thread, as all here. */
struct zu_named {
    struct zu_map_entry entry; /* its name; in the map while it may be addressed */
    struct zu_peer *peer;      /* whose role it is */
    uint8_t made[5];           /* a name of our making: 0 and a number */
    bool known;                /* it has a name, so it may be read */
    bool addressed;            /* it is in the map */
    bool ignored;              /* its name was taken: neither read nor addressed, ever */
};

struct zu_router {
    struct zu_map names;     /* struct zu_named.entry */
    struct zu_named *recent; /* the one last read or looked up: likely the next to be addressed; NULL for none */
    struct zu_named *last;   /* the one last written to; NULL for none */
    struct zu_named *out;    /* takes the message under way; NULL: it is dropped */
    bool sending;            /* a message is under way */
    bool all_full;           /* nobody addressed had room, and all their pipes' notes are to come: MANDATORY */
    bool names_at_once;      /* a peer without a name gets one before it is met: STREAM, whose peers never have any */
    uint32_t made_count;     /* of the names we make; starts anywhere */
};

int zu_router_init(struct zu_router *router);
void zu_router_fini(struct zu_router *router);

/* Slots. attach: -EEXIST when the name that the socket gave it is taken; -ENOMEM. */
int zu_router_attach(struct zu_pattern *pattern, struct zu_peer *peer);
void zu_router_met(struct zu_pattern *pattern, struct zu_peer *peer);
void zu_router_detach_in(struct zu_pattern *pattern, struct zu_peer *peer);
void zu_router_detach_out(struct zu_pattern *pattern, struct zu_peer *peer);
void zu_router_readable(struct zu_pattern *pattern, struct zu_peer *peer);
int zu_router_peer_state(struct zu_pattern *pattern, const void *id, size_t size);
void zu_router_rest(struct zu_pattern *pattern);

/* NULL when nobody is called that. */
struct zu_named *zu_router_find(struct zu_router *router, const void *id, size_t size);
/*
 * Whether the peer takes a message, after handing over what lies there, for which the kernel may be waited for. `sleeps`:
 * the writer is to be told of room.
 */
bool zu_router_admits(struct zu_pattern *pattern, struct zu_peer *peer, uint64_t patience_ns, bool sleeps);
/* One frame of the message under way, to `out` or nowhere. -ENOMEM. */
int zu_router_send_on(struct zu_pattern *pattern, struct zu_part *part);
/* The same for a raw peer: one frame is all, and an empty one is the end of the peer. */
int zu_router_send_raw(struct zu_pattern *pattern, struct zu_part *part);

/* Slots of ROUTER, whose `own` they make, that are STREAM's too. */
int zu_router_new(struct zu_pattern *pattern);
void zu_router_free(struct zu_pattern *pattern);
int zu_router_peek(struct zu_pattern *pattern, struct zu_view *ret_view);
void zu_router_taken(struct zu_pattern *pattern, unsigned flags);

#endif
