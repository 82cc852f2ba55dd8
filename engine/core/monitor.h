/* SPDX-License-Identifier: MIT */
/*
 * Monitoring a socket: events go as messages through an internal socket at an inproc endpoint. Part of every socket, and
 * of its memory: what lingers after zmq_close is still told of, and MONITOR_STOPPED comes when all of it is over.
 */
#ifndef ZU_CORE_MONITOR_H
#define ZU_CORE_MONITOR_H

#include <pthread.h>

#include "link/watch.h"

struct zu_context;
struct zu_socket;

/* How an event becomes frames. */
struct zu_monitor_format {
    int version;         /* as zmq_socket_monitor_versioned has it */
    uint64_t events_max; /* the events it can write */
    int (*write)(struct zu_socket *out, enum zu_event event, const uint64_t *values, unsigned count,
                 const struct zu_names *names);
};

struct zu_monitor {
    struct zu_watch watch;                  /* where events come in */
    _Atomic uint64_t dropped;               /* wanted, but nobody took them; relaxed, a counter */
    pthread_mutex_t lock;                   /* guards the rest: one thread at a time uses `out` */
    struct zu_socket *out;                  /* NULL while nobody monitors */
    const struct zu_monitor_format *format; /* of its frames */
};

void zu_monitor_init(struct zu_monitor *monitor);
/* Nobody can raise any more: stops, and frees what init made. */
void zu_monitor_fini(struct zu_monitor *monitor);

/*
 * Stops the old one, then begins. -EINVAL (events, version or type), -EPROTONOSUPPORT (no inproc endpoint),
 * -EADDRINUSE, or as zu_socket_new fails; then nobody monitors, unless it failed before the old one was stopped.
 */
int zu_monitor_start(struct zu_monitor *monitor, struct zu_context *context, const char *endpoint, uint64_t events,
                     int version, int type);
/* MONITOR_STOPPED, if wanted, and the end of the internal socket. */
void zu_monitor_stop(struct zu_monitor *monitor);
/* Lets go of what has left the internal socket: it hears only when it sends. */
void zu_monitor_tend(struct zu_monitor *monitor);
/* One PIPES_STATS for each of the socket's peers. -EINVAL: not asked for. -EAGAIN: there are none. */
int zu_monitor_stats(struct zu_socket *socket);

#endif
