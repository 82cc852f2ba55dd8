/* SPDX-License-Identifier: MIT */
/*
 * Ownership is one word: closed, idle, the application's, the shard's; a mark beside the application's says that the
 * shard waits for it. Whoever owns it is the pipe's reader for that time. Errors of a send are left to the shard, which
 * meets them again and ends the connection; a full kernel buffer too, since only a ring can wait for it.
 */
#include "link/outlet.h"

#include <errno.h>

#include "flow/pipe_drain.h"
#include "io/driver.h"

enum { CLOSED, IDLE, APPLICATION, APPLICATION_WANTED, SHARD };

enum { PIECES = 64, BATCH_BYTES = 256 * 1024 };

void zu_outlet_open(struct zu_outlet *outlet, struct zu_driver *driver, int fd)
{
    outlet->driver = driver;
    outlet->fd = fd;
    /* release: descriptor and pipe cursors, to the acquire of flush. */
    atomic_store_explicit(&outlet->state, IDLE, memory_order_release);
}

bool zu_outlet_take(struct zu_outlet *outlet)
{
    uint32_t state = IDLE;
    /* acquire: the pipe cursors as the last owner's release left them. */
    while (!atomic_compare_exchange_weak_explicit(&outlet->state, &state, SHARD, memory_order_acquire,
                                                  memory_order_relaxed)) {
        if (state == APPLICATION_WANTED || state == SHARD || state == CLOSED)
            return state == SHARD;
        if (state == APPLICATION && atomic_compare_exchange_weak_explicit(&outlet->state, &state, APPLICATION_WANTED,
                                                                          memory_order_relaxed, memory_order_relaxed))
            return false;
        state = IDLE;
    }
    return true;
}

void zu_outlet_give(struct zu_outlet *outlet)
{
    atomic_store_explicit(&outlet->state, IDLE, memory_order_release); /* to the acquire of the next owner */
}

bool zu_outlet_close(struct zu_outlet *outlet)
{
    if (atomic_load_explicit(&outlet->state, memory_order_relaxed) == CLOSED)
        return true;
    if (!zu_outlet_take(outlet))
        return false;
    atomic_store_explicit(&outlet->state, CLOSED, memory_order_release);
    return true;
}

/* Returns whether everything went out. */
static bool send_all(struct zu_pipe *out, const struct zu_outlet *outlet)
{
    struct zu_driver *driver = outlet->driver;
    struct iovec pieces[PIECES];
    struct msghdr message = {.msg_iov = pieces};
    for (;;) {
        size_t bytes;
        int count = zu_pipe_gather(out, pieces, PIECES, BATCH_BYTES, ZU_GATHER_STAY_AWAKE, &bytes);
        if (count <= 0)
            return true;
        message.msg_iovlen = (size_t)count;
        ssize_t sent = driver->ops->send_now(driver, outlet->fd, &message);
        if (sent < 0)
            return false;
        zu_pipe_handed(out, (size_t)sent);
        if ((size_t)sent < bytes)
            return false;
    }
}

void zu_outlet_flush(struct zu_peer *peer)
{
    struct zu_outlet *outlet = &peer->outlet;
    uint32_t state = IDLE;
    /* acquire: as in take. */
    if (!atomic_compare_exchange_strong_explicit(&outlet->state, &state, APPLICATION, memory_order_acquire,
                                                 memory_order_relaxed))
        return;
    int saved = errno;
    bool all = send_all(peer->out, outlet);
    errno = saved;
    /* release: to the shard's acquire in take. */
    state = atomic_exchange_explicit(&outlet->state, IDLE, memory_order_acq_rel);
    if (!all || state == APPLICATION_WANTED)
        zu_peer_want_far(peer);
}
