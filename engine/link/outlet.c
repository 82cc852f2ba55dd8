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

static bool application_take(struct zu_outlet *outlet)
{
    uint32_t state = IDLE;
    /* acquire: as in take. */
    return atomic_compare_exchange_strong_explicit(&outlet->state, &state, APPLICATION, memory_order_acquire,
                                                   memory_order_relaxed);
}

/* `all`: nothing is left for the shard to wait for. */
static void application_give(struct zu_peer *peer, bool all)
{
    /* release: to the shard's acquire in take. */
    uint32_t state = atomic_exchange_explicit(&peer->outlet.state, IDLE, memory_order_acq_rel);
    if (!all || state == APPLICATION_WANTED)
        zu_peer_want_far(peer);
}

static void flush(struct zu_peer *peer)
{
    if (!application_take(&peer->outlet))
        return;
    int saved = errno;
    bool all = send_all(peer->out, &peer->outlet);
    errno = saved;
    application_give(peer, all);
}

/* The kernel took the message's first `sent` bytes: the pipe keeps all of it, for a new connection would begin anew. */
static bool keep_rest(struct zu_pipe *out, struct zu_buf *buf, const void *data, size_t size, size_t sent)
{
    struct iovec pieces[2];
    size_t bytes;
    memcpy(buf->data, data, size);
    if (zu_pipe_write_buf(out, buf, size, false) < 0)
        return false;
    zu_pipe_gather(out, pieces, 2, SIZE_MAX, ZU_GATHER_STAY_AWAKE, &bytes);
    zu_pipe_handed(out, sent);
    return true;
}

/* As owner, with the pipe drained. 1: all went; 0: a part went and the rest is kept; -1: nothing happened. */
static int send_past(struct zu_peer *peer, struct zu_buf *buf, const void *data, size_t size)
{
    struct zu_outlet *outlet = &peer->outlet;
    uint8_t head[ZU_FRAME_HEAD_MAX];
    struct iovec pieces[2] = {
        {.iov_base = head, .iov_len = zu_frame_encode(head, 0, size)},
        {.iov_base = (void *)(uintptr_t)data, .iov_len = size},
    };
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 2};
    ssize_t sent = outlet->driver->ops->send_now(outlet->driver, outlet->fd, &message);
    if (sent <= 0)
        return -1;
    if ((size_t)sent < pieces[0].iov_len + size)
        return keep_rest(peer->out, buf, data, size, (size_t)sent) ? 0 : -1;
    zu_pipe_count_past(peer->out);
    zu_buf_unref(buf);
    return 1;
}

static bool send_large(struct zu_peer *peer, const void *data, size_t size)
{
    if (!application_take(&peer->outlet))
        return false;
    int saved = errno;
    /* Memory first: once a part of the message is out, keeping the rest must not fail. */
    struct zu_buf *buf = zu_buf_new(size);
    bool all = buf && zu_pipe_reserve(peer->out) == 0 && send_all(peer->out, &peer->outlet);
    int done = all ? send_past(peer, buf, data, size) : -1;
    if (buf && done < 0)
        zu_buf_unref(buf);
    errno = saved;
    application_give(peer, done == 1 || (done < 0 && all));
    return done >= 0;
}

const struct zu_peer_ops zu_outlet_peer_ops = {
    .flush = flush,
    .send_large = send_large,
    .hang_up = zu_peer_tell_shard,
    .release = zu_peer_release_by_shard,
};
