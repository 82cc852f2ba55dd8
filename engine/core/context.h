/* SPDX-License-Identifier: MIT */
/* A context: its shards, its inproc names, and the sockets that must be gone before it can be. */
#ifndef ZU_CORE_CONTEXT_H
#define ZU_CORE_CONTEXT_H

#include <pthread.h>

#include "core/ctx_option.h"
#include "core/drive.h"
#include "core/keeper.h"
#include "io/shard.h"
#include "link/inproc.h"

#define ZU_CONTEXT_TAG 0x7a75637eu

struct zu_context {
    uint32_t tag;                  /* ZU_CONTEXT_TAG while alive */
    pthread_mutex_t lock;          /* guards the rest */
    _Atomic uint32_t departures;   /* sockets that have gone: the futex that term sleeps on; written under the lock */
    struct zu_ctx_options options; /* fixed for shards once they are started */
    struct zu_shard **shards;      /* started by the first socket */
    unsigned shard_count;          /* how many run */
    unsigned shard_room;           /* how many there is room for */
    bool started;                  /* shards are up, or none are wanted */
    bool stopping;                 /* shutdown or term was called */
    unsigned socket_count;         /* sockets not yet freed */
    struct zu_link sockets;        /* open ones: struct zu_socket.link */
    struct zu_inproc inproc;       /* names; under a lock of its own */
    bool is_inline;                /* sockets are driven by their users; fixed with the first socket */
    uint64_t spin_ns;              /* of sockets' waits; fixed with the first socket */
    struct zu_keeper keeper;       /* for those: under locks of its own */
    struct zu_link link;           /* among all contexts of the process, for fork */
    _Atomic bool forked;           /* we are a child of the process that made it; set by atfork, relaxed */
};

/* NULL without memory, with errno semantics of -ENOMEM. */
struct zu_context *zu_context_new(void);
int zu_context_set(struct zu_context *context, int number, const void *value, size_t size);
int zu_context_get(struct zu_context *context, int number, void *value, size_t *size);
/* Every socket call from now on fails with -ZU_ETERM, except close. */
void zu_context_shutdown(struct zu_context *context);
/* Shutdown, then waits until all sockets are gone, and frees. -EINTR: call again. */
int zu_context_term(struct zu_context *context);

/* For sockets. Starts the shards when this is the first: fails as making rings does; -EMFILE, -ZU_ETERM. */
int zu_context_enter(struct zu_context *context, struct zu_link *link);
/* zmq_close has been called. */
void zu_context_closing(struct zu_context *context, struct zu_link *link);
/* The last trace is gone. */
void zu_context_leave(struct zu_context *context);
/* What a socket's drive takes from the options. */
struct zu_drive_limits zu_context_drive_limits(struct zu_context *context);
/* The least loaded shard among those that the mask allows (0: all); NULL when there is none. */
struct zu_shard *zu_context_shard(struct zu_context *context, uint64_t affinity);

/* Replaces the driver of later contexts, for tests; NULL restores io_uring. */
extern int (*zu_context_driver_new)(struct zu_driver **ret_driver);

#endif
