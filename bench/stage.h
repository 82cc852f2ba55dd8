/* SPDX-License-Identifier: MIT */
#ifndef BENCH_STAGE_H
#define BENCH_STAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "channel.h"
#include "crew.h"
#include "library.h"
#include "options.h"

/* The crew of one zbench run and what its roles share. Role 0, the hub, binds; the others, spokes, connect to it. */
struct stage {
    struct crew crew;                    /* must be first: crew_run hands it to the roles */
    const struct bench_options *options; /* of the run, the same address in every fork */
    const struct stage_case *shape;      /* who does what */
    char endpoint[256];                  /* where the hub is bound; written before the first meeting */
    struct library library;              /* the one measured, from the hub */
    char server_key[41];                 /* CURVE: the hub's public key; written before the first meeting */
    int hwm;                             /* ZMQ_RCVHWM, from the hub */
    _Atomic uint64_t warm_sent;          /* warm-up messages sent */
    _Atomic uint64_t warm_got;           /* and received */
    _Atomic unsigned warm_senders;       /* senders that have ended their warm-up */
    _Atomic unsigned warm_receivers;     /* receivers that have had a warm-up message */
    _Atomic int over;                    /* fan-out: every message has been received */
};

/* The measured part of a role. */
typedef void stage_work(struct stage *stage, unsigned index, struct channel *channel);

/* A benchmark case: the socket types and the work of both ends. */
struct stage_case {
    const char *name;         /* as on the command line */
    int hub_type, spoke_type; /* socket types */
    bool hub_sends;           /* which end sends first */
    bool many;                /* may have more than one spoke */
    uint64_t round_messages;  /* messages per count: 2 where a count is a round trip */
    int deadline_ms;          /* receive timeout of receivers during the work; -1: none */
    stage_work *hub_work;     /* what role 0 does */
    stage_work *spoke_work;   /* what the others do */
    bool has_latency;         /* the work fills crew.latency_us */
};

/* NULL when there is no case of that name. */
const struct stage_case *stage_case_find(const char *name);

/* A role from its socket's opening to its closing: connect, warm up, work, account. For crew_run. */
void stage_role(struct crew *crew, unsigned index);

#endif
