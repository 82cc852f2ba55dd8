/* SPDX-License-Identifier: MIT */
/*
 * A simulated network behind the driver seam, for whole peers in one test: virtual time, virtual descriptors, byte
 * streams that behave as TCP's do, and faults. One thread, no system calls; everything follows from the seed.
 *
 *      do
 *          check();
 *      while (zu_sim_turn(sim, shards, count));
 */
#ifndef ZU_IO_SIM_H
#define ZU_IO_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "io/driver.h"

struct zu_shard;
struct zu_sim;

/* How often each fault strikes, of 1000 chances. */
struct zu_sim_faults {
    unsigned short_sends;      /* a send takes less than there is room for */
    unsigned short_receives;   /* a receive gives less than has arrived */
    unsigned delays;           /* bytes, ends and completions come up to 5 ms late */
    unsigned resets;           /* per send or receive started: the connection breaks, bytes on their way are lost */
    unsigned no_buffers;       /* recv_stream ends with -ENOBUFS; nothing is lost */
    unsigned no_memory;        /* an operation completes with -ENOMEM and has done nothing */
    unsigned stream_ends;      /* recv_stream or accept_stream gives its result without ZU_OP_MORE */
    unsigned connect_refusals; /* -ECONNREFUSED though somebody listens */
    unsigned connect_timeouts; /* -ETIMEDOUT, after two minutes */
    unsigned accept_failures;  /* accept_stream ends with -EMFILE; the connection waits for the next */
    size_t buffer_size;        /* bytes that fit between a sender and a receiver; 0 for 64 KiB */
};

/* What went over one connection; index 0 is the end that connected, 1 the one that accepted. */
struct zu_sim_connection {
    unsigned port;        /* of the listener */
    int fd[2];            /* the descriptors; numbers are not used twice */
    uint64_t sent[2];     /* bytes that sends took */
    uint64_t received[2]; /* bytes that receives gave */
};

/* `faults` is copied; NULL for none. 0 or -ENOMEM. */
int zu_sim_new(uint64_t seed, const struct zu_sim_faults *faults, struct zu_sim **ret_sim);
/* After its drivers. Closes what is still open. */
void zu_sim_free(struct zu_sim *sim);
/* From now on; a test ends with NULL to see everything settle. New buffer sizes are for new connections. */
void zu_sim_faults_set(struct zu_sim *sim, const struct zu_sim_faults *faults);

int zu_sim_driver_new(struct zu_sim *sim, struct zu_driver **ret_driver);

/* A descriptor to connect with, or -ENOMEM. */
int zu_sim_socket(struct zu_sim *sim);
/* A listening descriptor, -EADDRINUSE or -ENOMEM. Any number is a port. */
int zu_sim_listen(struct zu_sim *sim, unsigned port);
/* What connect takes. */
void zu_sim_address(unsigned port, struct sockaddr_storage *ret_address, socklen_t *ret_size);

uint64_t zu_sim_now_ns(const struct zu_sim *sim);
/*
 * Moves time to the next thing that happens: a completion, or the deadline of a driver's last wait. Time stands while a
 * driver has something to do at once. False when nothing can happen any more unless from outside.
 */
bool zu_sim_advance(struct zu_sim *sim);
/* A step of each shard, then advance if none of them has a note left. */
bool zu_sim_turn(struct zu_sim *sim, struct zu_shard *const *shards, size_t count);

/* The connections in order of their making, also those that have ended. False when there are not so many. */
bool zu_sim_connection_get(const struct zu_sim *sim, size_t index, struct zu_sim_connection *ret_connection);

#endif
