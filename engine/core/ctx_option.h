/* SPDX-License-Identifier: MIT */
/* Options of a context. Pure data: the context decides when a value takes effect, and holds the lock. */
#ifndef ZU_CORE_CTX_OPTION_H
#define ZU_CORE_CTX_OPTION_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "core/option_number.h"

#define ZU_THREAD_NAME_PREFIX_MAX 16
#define ZU_SOCKET_LIMIT 65535
#define ZU_MSG_T_SIZE 64
#define ZU_SHARD_CPUS_MAX 64

enum zu_drive_mode { ZU_DRIVE_BACKGROUND, ZU_DRIVE_INLINE };

/* Under the context's lock. Every int is stored as zmq_ctx_get shows it. */
struct zu_ctx_options {
    int io_threads;                                         /* background shards; 0 leaves inproc only */
    int max_sockets;                                        /* zmq_socket beyond it fails with EMFILE */
    int thread_priority;                                    /* of the shard threads; -1: as inherited */
    int thread_sched_policy;                                /* of the shard threads; -1: as inherited */
    int msg_size_max;                                       /* stored for the caller, enforced nowhere, as in libzmq */
    int zero_copy_recv;                                     /* 1: messages may be slices of receive buffers */
    int ipv6;                                               /* IPV6 of new sockets */
    int blocky;                                             /* 0: new sockets start with LINGER 0 */
    cpu_set_t thread_cpus;                                  /* CPUs of the shard threads; empty: any */
    int drive;                                              /* enum zu_drive_mode: who moves a socket's messages */
    int spin_us;                                            /* how long a wait looks again before it sleeps; -1: where it pays */
    int flush_bytes;                                        /* inline: what makes a batch */
    int flush_us;                                           /* inline: how long a batch gathers */
    int shards;                                             /* from the environment: counts in place of io_threads; 0: no */
    short shard_cpus[ZU_SHARD_CPUS_MAX];                    /* the CPU of shard i, modulo their count */
    int shard_cpu_count;                                    /* how many are named; 0: any */
    char thread_name_prefix[ZU_THREAD_NAME_PREFIX_MAX + 1]; /* before thread names; empty: none */
};

/* Of every wait; what pays is for the shards to find out. */
ZU_INLINE uint64_t zu_ctx_spin_ns(const struct zu_ctx_options *options)
{
    return options->spin_us > 0 ? (uint64_t)options->spin_us * 1000 : 0;
}

/* One row per option; `name` is NULL where no option has the number. Without `set`, a row stores an int. */
struct zu_ctx_option_row {
    const char *name; /* without the ZMQ_ prefix */
    bool settable;    /* zmq_ctx_set takes it */
    bool gettable;    /* zmq_ctx_get answers it */
    bool stored;      /* an int of struct zu_ctx_options holds it, at `offset` */
    bool truth;       /* anything but 0 is stored as 1 */
    int min;          /* least value taken */
    int max;          /* greatest value taken; 0: any */
    int fallback;     /* value in a new context */
    size_t offset;    /* where the int is */
    int (*set)(struct zu_ctx_options *options, const void *value, size_t size);  /* odd ones, or NULL */
    int (*get)(const struct zu_ctx_options *options, void *value, size_t *size); /* odd ones, or NULL */
};

void zu_ctx_options_init(struct zu_ctx_options *options);
/*
 * ZURING_DRIVE, ZURING_SPIN_US, ZURING_FLUSH_BYTES, ZURING_FLUSH_US, ZURING_CPUS and ZURING_SHARDS take the place of the
 * defaults. What cannot be understood is told on stderr, once a process, and left alone.
 */
void zu_ctx_options_from_environment(struct zu_ctx_options *options);

/* The plain forms of the API come here with the size of an int. -EINVAL: unknown, not permitted, bad size or value. */
int zu_ctx_option_set(struct zu_ctx_options *options, int number, const void *value, size_t size);
int zu_ctx_option_get(const struct zu_ctx_options *options, int number, void *value, size_t *size);

/* NULL where there is no such option. */
const struct zu_ctx_option_row *zu_ctx_option_row(int number);

#endif
