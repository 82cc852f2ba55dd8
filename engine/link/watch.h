/* SPDX-License-Identifier: MIT */
/*
 * Where endpoints and connections tell what becomes of them. It lies in the socket, and so lives as long as whatever
 * holds its mailbox: every zu_home. While nobody monitors, an event costs one load.
 */
#ifndef ZU_LINK_WATCH_H
#define ZU_LINK_WATCH_H

#include "base/attr.h"
#include "flow/peer.h"

/* The values of ZMQ_EVENT_* in api/zmq.h, which lies above the engine; there also what each one's value is. */
enum zu_event {
    ZU_EVENT_CONNECTED = 0x0001,
    ZU_EVENT_CONNECT_DELAYED = 0x0002,
    ZU_EVENT_CONNECT_RETRIED = 0x0004,
    ZU_EVENT_LISTENING = 0x0008,
    ZU_EVENT_BIND_FAILED = 0x0010,
    ZU_EVENT_ACCEPTED = 0x0020,
    ZU_EVENT_ACCEPT_FAILED = 0x0040,
    ZU_EVENT_CLOSED = 0x0080,
    ZU_EVENT_CLOSE_FAILED = 0x0100,
    ZU_EVENT_DISCONNECTED = 0x0200,
    ZU_EVENT_MONITOR_STOPPED = 0x0400,
    ZU_EVENT_HANDSHAKE_FAILED_NO_DETAIL = 0x0800,
    ZU_EVENT_HANDSHAKE_SUCCEEDED = 0x1000,
    ZU_EVENT_HANDSHAKE_FAILED_PROTOCOL = 0x2000,
    ZU_EVENT_HANDSHAKE_FAILED_AUTH = 0x4000,
    ZU_EVENT_PIPES_STATS = 0x10000,
};

struct zu_watch {
    _Atomic uint64_t events; /* which are wanted; relaxed: raise looks again under a lock of its own */
    /* Any thread. Never waits for whoever reads the events; `names` is borrowed. */
    void (*raise)(struct zu_watch *watch, enum zu_event event, const uint64_t *values, unsigned count,
                  const struct zu_names *names);
};

ZU_INLINE bool zu_watch_wants(struct zu_watch *watch, enum zu_event event)
{
    return zu_unlikely(watch && (atomic_load_explicit(&watch->events, memory_order_relaxed) & event));
}

ZU_INLINE void zu_watch_raise(struct zu_watch *watch, enum zu_event event, uint64_t value, const struct zu_names *names)
{
    if (zu_watch_wants(watch, event))
        watch->raise(watch, event, &value, 1, names);
}

#endif
