/* SPDX-License-Identifier: MIT */
#ifndef BENCH_HIST_H
#define BENCH_HIST_H

#include <stdint.h>
#include <stdio.h>

/* 1024 buckets to a power of two: a bucket is at most 0.1 % of its values wide, and exact below 2048. */
#define HIST_SUB_BITS 10
#define HIST_VALUE_BITS 40
#define HIST_BUCKETS ((HIST_VALUE_BITS - HIST_SUB_BITS + 1) << HIST_SUB_BITS)

/* How often each value was seen, in fixed memory: it may lie in memory that processes share. One thread writes. */
struct hist {
    uint64_t count;                 /* values recorded */
    uint64_t max;                   /* the greatest of them, exact */
    uint64_t buckets[HIST_BUCKETS]; /* values of each range */
};

/* Empties it and touches every page, so that no record pays for a page fault. */
void hist_init(struct hist *hist);

static inline unsigned hist_index(uint64_t value)
{
    if (value >> HIST_VALUE_BITS != 0)
        return HIST_BUCKETS - 1;
    unsigned shift = 63 - HIST_SUB_BITS - (unsigned)__builtin_clzll(value | UINT64_C(1) << HIST_SUB_BITS);
    return (shift << HIST_SUB_BITS) + (unsigned)(value >> shift);
}

static inline void hist_record(struct hist *hist, uint64_t value)
{
    hist->buckets[hist_index(value)]++;
    hist->count++;
    if (value > hist->max)
        hist->max = value;
}

/* The value in the middle of a bucket. */
double hist_bucket_value(unsigned index);

/* The value that this share (0 to 1) of all lies at or below: exact for max, else a bucket's middle. 0 when empty. */
double hist_quantile(const struct hist *hist, double share);

/* Every bucket that holds something as a JSON list of [value, count], the values multiplied by scale. */
void hist_print(const struct hist *hist, double scale, FILE *out);

#endif
