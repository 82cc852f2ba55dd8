/* SPDX-License-Identifier: MIT */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crew.h"
#include "options.h"

/* One finished run. */
struct bench_result {
    const char *version;            /* of the library; NULL: it has none */
    const char *path;               /* file the library was loaded from; NULL: none */
    const char *variant;            /* which floor; NULL: no floor */
    int hwm;                        /* as the socket reports it; 0: no such thing */
    uint64_t messages;              /* messages moved (two per round trip) */
    double seconds;                 /* from the first message received to the last */
    double cpu_s;                   /* both sides */
    bool has_latency;               /* the next field is set */
    double latency_us[3];           /* one way: p50, p99, p99.9 */
    bool has_memory;                /* the next two are set */
    double bytes_each;              /* memory for a connection */
    double idle_pct;                /* CPU with nothing to do, in percent of a core */
    unsigned peers;                 /* valid entries of the next field, 0 or 1: fairness has no meaning */
    uint64_t peer_counts[CREW_MAX]; /* messages of each peer */
};

typedef int bench_run(const struct bench_options *options, struct bench_result *ret_result, const void *argument);

/* Runs, and prints the result as one JSON line on stdout. When no count is given it is first found by short runs, so
 * that the run lasts about options->seconds. 0 or what run returned. */
int report_run(const struct bench_options *options, bench_run *run, const void *argument);

/* Sorts samples (round trips, ns) and gives their halves at p50, p99 and p99.9 in microseconds. */
void report_latency(uint32_t *samples, size_t count, double ret_us[3]);

/* Prints a string as the next member of a JSON object, with the comma after it. */
void report_text(const char *key, const char *text);

#endif
