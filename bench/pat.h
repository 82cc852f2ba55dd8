/* SPDX-License-Identifier: MIT */
#ifndef BENCH_PAT_H
#define BENCH_PAT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "crew.h"
#include "library.h"
#include "options.h"
#include "report.h"
#include "word.h"

/* A message of these programs: a topic for the subscriptions, then the word and its copy at the end. */
enum { PAT_TOPIC_SIZE = 8, PAT_SIZE_MIN = PAT_TOPIC_SIZE + 2 * sizeof(uint64_t), PAT_SIZE_MAX = 1 << 20 };
#define WORD_END (UINT64_MAX - 1)

/* The crew of one zpat run and what its roles share. Role 0, the hub, binds. */
struct pat {
    struct crew crew;                    /* must be first: crew_run hands it to the roles */
    const struct bench_options *options; /* of the run */
    const struct pat_case *shape;        /* who does what */
    const struct transport *transport;   /* how */
    char endpoint[2][256];               /* where the hub is bound; written before the first meeting */
    struct library library;              /* the one measured, from the hub */
    int hwm;                             /* ZMQ_RCVHWM, from the hub */
    _Atomic unsigned ready;              /* roles, or sockets, that are known to be connected */
    _Atomic unsigned over;               /* roles that have had all */
    double bytes_each;                   /* idle: the hub's memory for a connection */
    double idle_pct;                     /* idle: its CPU with nothing to do, in percent of a core */
};

typedef void pat_role(struct pat *pat, unsigned index);

/* A benchmark case; both roles open, connect, warm up, work between crew_start and crew_finish, and close. */
struct pat_case {
    const char *name;                                       /* as on the command line */
    pat_role *hub, *spoke;                                  /* what role 0 does, and the others */
    unsigned spokes;                                        /* how many others; 0: options->peers */
    uint64_t (*messages)(const struct pat *pat);            /* what moved, once all roles have ended */
    bool has_latency, has_memory;                           /* which of the results mean something */
};

extern const struct pat_case pat_pub_cases[], pat_dialog_cases[], pat_crowd_cases[]; /* each ends with no name */

/* For the roles; whatever fails ends the run by crew_fail. */
void *pat_socket(const struct pat *pat, int type);
void pat_set(void *socket, int option, int value);
void pat_bind(struct pat *pat, void *socket, unsigned which);
void pat_connect(const struct pat *pat, void *socket, unsigned which);
void pat_close(void *const *sockets, unsigned count);
/* A message of options->size; a topic by number below options->prefixes, or none. */
void pat_send(const struct pat *pat, void *socket, char *buffer, unsigned topic, uint64_t word);
/* The word of the next message; false when the receive timeout has passed. */
bool pat_recv(const struct pat *pat, void *socket, char *buffer, uint64_t *ret_word);
/* Any frames. */
void pat_part_send(void *socket, const void *data, size_t size, int flags);
int pat_part_recv(void *socket, void *data, size_t size);
void pat_topic(char *out, unsigned topic);
/* Sequence numbers that each spoke, or each socket of a spoke, sends or receives. */
uint64_t pat_share(const struct pat *pat);

#endif
