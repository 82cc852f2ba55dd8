/* SPDX-License-Identifier: MIT */
#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

#include <stddef.h>
#include <stdint.h>

#include "crew.h"

/* One end of a connected stream and what goes through it. */
struct floor_lane {
    int fd;                 /* connected */
    size_t size;            /* bytes of a message */
    uint64_t count;         /* messages, or round trips */
    size_t batch;           /* bytes of a batch; unused by the others */
    struct crew_slot *slot; /* where the times go */
    double *ret_latency_us; /* where the percentiles go; ping-pong only */
};

typedef void floor_work(struct floor_lane *lane);

/* A way to move messages over a stream; every one delivers each message in user memory and checks it. */
struct floor_variant {
    const char *name;          /* printed */
    const char *case_name;     /* case it is a floor of */
    size_t size_min, size_max; /* sizes it is worth trying for; a batch holds one frame at least */
    size_t batch;              /* see floor_lane */
    int socket_buffer;         /* SO_SNDBUF and SO_RCVBUF in bytes; 0: left to the kernel */
    bool has_latency;          /* fills ret_latency_us */
    floor_work *receive;       /* work of role 0 (ping) */
    floor_work *send;          /* work of role 1 (echo) */
};

/* Blocking calls: batches of frames; messages straight between user buffers; ping-pong. */
floor_work batch_send, batch_receive, direct_send, direct_receive, ping_run, echo_run;

/* The batches through io_uring: sends overlapped with encoding, multishot receive into provided buffers. */
floor_work uring_send, uring_receive;

/* Helpers: memory or crew_fail; all these bytes through a blocking socket. */
char *lane_alloc(size_t bytes);
void lane_send_all(struct floor_lane *lane, const char *data, size_t length);
void lane_recv_all(struct floor_lane *lane, char *data, size_t length);

#endif
