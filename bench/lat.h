/* SPDX-License-Identifier: MIT */
#ifndef BENCH_LAT_H
#define BENCH_LAT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crew.h"
#include "hist.h"

/* One run, as asked for on the command line. Strings are argv's or literals. */
struct lat_options {
    const char *case_name; /* pingpong, open */
    const char *transport; /* tcp, ipc, inproc */
    const char *pair;      /* socket types; NULL: the case's own */
    const char *label;     /* printed as "library" */
    size_t size;           /* bytes of a message */
    uint64_t count;        /* messages (round trips for pingpong); 0: as many as seconds hold */
    double seconds;        /* duration when count is 0 */
    double rate;           /* messages a second, open loop only */
    int hwm;               /* both sides; -1: the library's default */
    unsigned timeout_s;    /* a run that lasts longer has failed; 0: chosen by its duration */
    bool pin;              /* each role, and what the library starts for it, on a processor of its own */
    bool histogram;        /* print the histogram too */
};

/* One end of a connection. A path's own struct has this first; both calls move one whole message or crew_fail. */
struct lat_end {
    const struct lat_path *path; /* how its messages move */
    size_t size;                 /* bytes of every message */
};

struct lat_path {
    void (*send)(struct lat_end *end, const char *message); /* hands a message over */
    void (*recv)(struct lat_end *end, char *message);       /* waits for the next one */
};

struct lat_stage;
typedef void lat_work(struct lat_stage *stage, unsigned index, struct lat_end *end);

/* What is measured, whatever the messages move through. Role 0 is the hub, and it is where the histogram is filled. */
struct lat_case {
    const char *name;     /* as on the command line */
    const char *pair;     /* socket types when none are asked for */
    unsigned messages;    /* per value recorded */
    lat_work *hub_work;   /* what role 0 does: warm up, crew_start, the measured part */
    lat_work *spoke_work; /* what role 1 does: the same */
};

/* What the two roles of a run share. */
struct lat_stage {
    struct crew crew;                  /* must be first: crew_run hands it to the roles */
    const struct lat_options *options; /* of the run, the same address in every fork */
    const struct lat_case *shape;      /* what is measured */
    double pace_s;                     /* CPU the sender spun away until the moments came; from role 1 */
    uint64_t late;                     /* messages whose sending began late; from role 1 */
    struct hist hist;                  /* ns for as many messages as the case records at once; from role 0 */
};

/* What a finished run ran on. */
struct lat_subject {
    const char *version; /* of the library; NULL: it has none */
    const char *path;    /* file the library was loaded from; NULL: none */
    const char *variant; /* which floor; NULL: no floor */
    int hwm;             /* as the socket reports it; 0: no such thing */
};

/* Fills options from the command line. -EINVAL, with a line on stderr, when it makes no sense. */
int lat_options_parse(int argc, char **argv, struct lat_options *ret_options);

/* NULL when there is no case of that name. */
const struct lat_case *lat_case_find(const char *name);

/* Shared memory of this many bytes with a stage at its head, and back. NULL when there is none. */
struct lat_stage *lat_stage_new(size_t bytes, const struct lat_options *options, bool threaded);
void lat_stage_free(struct lat_stage *stage);

/* The first thing in a role, before the library starts threads that take over its processor. */
void lat_place(const struct lat_stage *stage, unsigned index);

/* The part of a role between its connection's opening and its closing. */
void lat_role(struct lat_stage *stage, unsigned index, struct lat_end *end);

/* Runs the roles. 0 or -EIO. */
int lat_run(struct lat_stage *stage, crew_role *role);

/* Prints the finished run as one JSON line on stdout. */
void lat_print(const struct lat_stage *stage, const struct lat_subject *subject);

#endif
