/* SPDX-License-Identifier: MIT */
#ifndef BENCH_CREW_H
#define BENCH_CREW_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CREW_MAX 64

/* What one role reports. Written by that role; read by the parent after it has ended, count also by others meanwhile. */
struct crew_slot {
    _Alignas(64) _Atomic uint64_t count; /* messages this role received, or received from it */
    uint64_t word_sum;                   /* sum of the sequence numbers it received */
    int64_t first_ns;                    /* when its first message was in user memory; 0: it received none */
    int64_t last_ns;                     /* when its last message was */
    double cpu_s;                        /* CPU its process used between crew_start and crew_finish */
};

/* The roles of one run and the memory they share; a program that shares more puts this first in a struct of its own. */
struct crew {
    pthread_barrier_t barrier;        /* where all roles meet */
    size_t bytes;                     /* of the shared mapping */
    unsigned roles;                   /* how many there are */
    bool threaded;                    /* threads of one process instead of processes */
    double latency_us[3];             /* p50, p99, p99.9, from the role that measured */
    struct crew_slot slots[CREW_MAX]; /* one per role */
};

typedef void crew_role(struct crew *crew, unsigned index);

/* Shared zeroed memory of this many bytes with a crew at its head. NULL when there is none. */
struct crew *crew_new(size_t bytes, unsigned roles, bool threaded);
void crew_free(struct crew *crew);

/* Runs every role to its end. -EIO when one of them failed or overran the time: the others are then ended too. */
int crew_run(struct crew *crew, crew_role *role, unsigned timeout_s);

/* For the roles: wait for all others; the same around the measured part, charging its CPU to the slot; give up. */
void crew_meet(struct crew *crew);
void crew_start(struct crew *crew, unsigned index);
void crew_finish(struct crew *crew, unsigned index);
_Noreturn void crew_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* From the first message of any role to the last of any; CPU of all roles. */
/* Of a child that the program forked itself, before any role: its exit status, or -1. */
int crew_child_status(pid_t pid);

double crew_elapsed_s(const struct crew *crew);
double crew_cpu_s(const struct crew *crew);

int64_t clock_ns(void);

#endif
