/* SPDX-License-Identifier: MIT */
/*
 * Ownership is one word: closed, idle, the application's, the shard's; a mark beside either owner says that the other
 * waits for it. Whoever owns it is the pipe's reader for that time. Errors of a send are left to the shard, which
 * meets them again and ends the connection; a full kernel buffer too, when the sender may not wait or has waited enough.
 */
#include "link/outlet.h"

#include <errno.h>
#include <sched.h>

#include "base/futex.h"
#include "base/near.h"
#include "flow/pipe_drain.h"
#include "io/driver.h"

enum { CLOSED, IDLE, APPLICATION, APPLICATION_WANTED, SHARD, SHARD_WANTED };

enum { PIECES = 64, BATCH_BYTES = 256 * 1024, HOLD_NS = 10000000 };

static struct zu_driver *driver_of(const struct zu_outlet *outlet)
{
    return atomic_load_explicit(&outlet->driver, memory_order_relaxed);
}

void zu_outlet_open(struct zu_outlet *outlet, struct zu_driver *driver, int fd)
{
    atomic_store_explicit(&outlet->driver, driver, memory_order_relaxed);
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
        if (state == SHARD || state == SHARD_WANTED)
            return true;
        if (state == APPLICATION_WANTED || state == CLOSED)
            return false;
        if (state == APPLICATION && atomic_compare_exchange_weak_explicit(&outlet->state, &state, APPLICATION_WANTED,
                                                                          memory_order_relaxed, memory_order_relaxed))
            return false;
        state = IDLE;
    }
    return true;
}

void zu_outlet_give(struct zu_outlet *outlet)
{
    uint32_t state = SHARD;
    /* release: to the acquire of the next owner. In a loop: the application may mark and withdraw at any moment. */
    while (!atomic_compare_exchange_weak_explicit(&outlet->state, &state, state == SHARD ? IDLE : APPLICATION,
                                                  memory_order_release, memory_order_relaxed))
        ;
    if (state == SHARD_WANTED) {
        zu_near_woke(atomic_load_explicit(&outlet->waits_on, memory_order_relaxed));
        zu_futex_wake(&outlet->state);
    }
}

bool zu_outlet_is_applications(const struct zu_outlet *outlet)
{
    uint32_t state = atomic_load_explicit(&outlet->state, memory_order_relaxed);
    return state == APPLICATION || state == APPLICATION_WANTED;
}

uint64_t zu_outlet_gap_ns(const struct zu_outlet *outlet)
{
    uint64_t emptied_ns = atomic_load_explicit(&outlet->emptied_ns, memory_order_relaxed);
    uint64_t gap_ns = atomic_load_explicit(&outlet->gap_ns, memory_order_relaxed);
    struct zu_driver *driver = driver_of(outlet);
    uint64_t now_ns = driver->ops->now_ns(driver);
    uint64_t idle_ns = now_ns > emptied_ns ? now_ns - emptied_ns : 0;
    return idle_ns > gap_ns ? idle_ns : gap_ns;
}

uint64_t zu_outlet_sent(const struct zu_outlet *outlet)
{
    return atomic_load_explicit(&outlet->sent, memory_order_relaxed);
}

bool zu_outlet_close(struct zu_outlet *outlet)
{
    if (atomic_load_explicit(&outlet->state, memory_order_relaxed) == CLOSED)
        return true;
    if (!zu_outlet_take(outlet))
        return false;
    if (atomic_exchange_explicit(&outlet->state, CLOSED, memory_order_release) == SHARD_WANTED)
        zu_futex_wake(&outlet->state);
    return true;
}

/* How long a sender may be held up by the kernel. */
struct patience {
    uint64_t each_ns;  /* waiting for room once; 0 when there is no patience, or no more */
    uint64_t until_ns; /* all in all: a kernel that takes a little again and again must not hold it for ever */
};

static struct patience patience_begin(uint64_t patience_ns)
{
    return (struct patience){.each_ns = patience_ns, .until_ns = patience_ns ? zu_clock_ns() + HOLD_NS : 0};
}

static ssize_t send_waiting(struct zu_peer *peer, const struct msghdr *message, struct patience *patience)
{
    struct zu_driver *driver = driver_of(&peer->outlet);
    uint64_t now_ns = patience->each_ns ? zu_clock_ns() : 0;
    if (now_ns > patience->until_ns)
        patience->each_ns = 0;
    ssize_t sent = driver->ops->send_now(driver, peer->outlet.fd, message, patience->each_ns);
    if (now_ns && (sent == -EAGAIN || !patience->each_ns))
        peer->out_stalled_ns = zu_clock_ns();
    peer->out_interrupted |= sent == -EINTR;
    if (sent > 0)
        atomic_store_explicit(&peer->outlet.sent, zu_outlet_sent(&peer->outlet) + (uint64_t)sent, memory_order_relaxed);
    return sent;
}

/* Returns whether everything went out. */
static bool send_all(struct zu_peer *peer, struct patience *patience)
{
    struct zu_pipe *out = peer->out;
    struct iovec pieces[PIECES];
    struct msghdr message = {.msg_iov = pieces};
    for (;;) {
        size_t bytes;
        int count = zu_pipe_gather(out, pieces, PIECES, BATCH_BYTES, ZU_GATHER_STAY_AWAKE, &bytes);
        if (count <= 0)
            return true;
        message.msg_iovlen = (size_t)count;
        ssize_t sent = send_waiting(peer, &message, patience);
        if (sent < 0)
            return false;
        zu_pipe_handed(out, (size_t)sent);
        if ((size_t)sent < bytes && !patience->each_ns)
            return false;
    }
}

/* IDLE to APPLICATION; else the state that stands in the way. */
static uint32_t application_claim(struct zu_outlet *outlet)
{
    uint32_t state = IDLE;
    /* acquire: as in take; on failure too, for the driver. */
    atomic_compare_exchange_strong_explicit(&outlet->state, &state, APPLICATION, memory_order_acquire,
                                            memory_order_acquire);
    return state;
}

/* A shard that is sending hands over when it has done, if that is soon. */
static bool application_take_over(struct zu_peer *peer, uint64_t patience_ns)
{
    struct zu_outlet *outlet = &peer->outlet;
    uint32_t state = SHARD;
    uint64_t until_ns = zu_clock_ns() + patience_ns;
    int saved = errno;
    atomic_store_explicit(&outlet->waits_on, sched_getcpu(), memory_order_relaxed);
    if (!atomic_compare_exchange_strong_explicit(&outlet->state, &state, SHARD_WANTED, memory_order_relaxed,
                                                 memory_order_relaxed))
        return state == IDLE && application_claim(outlet) == IDLE;
    int err;
    do
        err = zu_futex_wait(&outlet->state, SHARD_WANTED, until_ns);
    while (err == 0 && atomic_load_explicit(&outlet->state, memory_order_relaxed) == SHARD_WANTED);
    peer->out_interrupted |= err == -EINTR;
    errno = saved;
    state = SHARD_WANTED;
    /* acquire: as in take. */
    bool withdrawn = atomic_compare_exchange_strong_explicit(&outlet->state, &state, SHARD, memory_order_acquire,
                                                             memory_order_acquire);
    peer->out_stalled_ns = withdrawn ? zu_clock_ns() : 0;
    return state == APPLICATION || state == APPLICATION_WANTED;
}

static bool application_take(struct zu_peer *peer, uint64_t patience_ns)
{
    uint32_t state = application_claim(&peer->outlet);
    if (state == IDLE)
        return true;
    /* A shard that we drive ourselves will not give it while we wait. */
    bool may_give = state == SHARD && !driver_of(&peer->outlet)->ops->roams;
    return patience_ns && may_give && application_take_over(peer, patience_ns);
}

/* `all`: nothing is left for the shard to wait for. */
static void application_give(struct zu_peer *peer, bool all)
{
    /* release: to the shard's acquire in take. */
    uint32_t state = atomic_exchange_explicit(&peer->outlet.state, IDLE, memory_order_acq_rel);
    if (!all || state == APPLICATION_WANTED)
        zu_peer_want_far(peer);
}

static void pace_note(struct zu_outlet *outlet)
{
    struct zu_driver *driver = driver_of(outlet);
    uint64_t now_ns = driver->ops->now_ns(driver);
    uint64_t before_ns = atomic_load_explicit(&outlet->emptied_ns, memory_order_relaxed);
    atomic_store_explicit(&outlet->gap_ns, now_ns - before_ns, memory_order_relaxed);
    atomic_store_explicit(&outlet->emptied_ns, now_ns, memory_order_relaxed);
}

static void flush(struct zu_peer *peer, uint64_t patience_ns)
{
    if (!application_take(peer, patience_ns))
        return;
    int saved = errno;
    struct patience patience = patience_begin(patience_ns);
    bool all = send_all(peer, &patience);
    if (all) {
        peer->out_stalled_ns = 0;
        pace_note(&peer->outlet);
    }
    errno = saved;
    application_give(peer, all);
}

/* The kernel took the message's first `sent` bytes: the pipe keeps all of it, for a new connection would begin anew. */
static bool keep_rest(struct zu_pipe *out, struct zu_buf *buf, const void *data, size_t size, size_t sent)
{
    struct iovec pieces[2];
    size_t bytes;
    memcpy(buf->data, data, size);
    if (zu_pipe_write_sent(out, buf, size) < 0)
        return false;
    zu_pipe_gather(out, pieces, 2, SIZE_MAX, ZU_GATHER_STAY_AWAKE, &bytes);
    zu_pipe_handed(out, sent);
    return true;
}

/* As owner, with the pipe drained. 1: all went; 0: a part went and the rest is kept; -1: nothing happened. */
static int send_past(struct zu_peer *peer, struct zu_buf *buf, const void *data, size_t size, struct patience *patience)
{
    uint8_t head[ZU_FRAME_HEAD_MAX];
    struct iovec pieces[2] = {
        {.iov_base = head, .iov_len = zu_frame_encode(head, 0, size)},
        {.iov_base = (void *)(uintptr_t)data, .iov_len = size},
    };
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 2};
    size_t all = pieces[0].iov_len + size, done = 0;
    do {
        ssize_t sent = send_waiting(peer, &message, patience);
        if (sent <= 0)
            break;
        done += (size_t)sent;
        for (size_t i = 0, left = (size_t)sent; i < 2; i++) {
            size_t step = left < pieces[i].iov_len ? left : pieces[i].iov_len;
            pieces[i].iov_base = (uint8_t *)pieces[i].iov_base + step;
            pieces[i].iov_len -= step;
            left -= step;
        }
    } while (done < all && patience->each_ns);
    if (done == 0)
        return -1;
    if (done < all)
        return keep_rest(peer->out, buf, data, size, done) ? 0 : -1;
    zu_pipe_count_past(peer->out);
    zu_buf_unref(buf);
    return 1;
}

static bool send_large(struct zu_peer *peer, const void *data, size_t size, uint64_t patience_ns)
{
    if (peer->out->conflates || !application_take(peer, patience_ns)) /* what is left of it could be overtaken */
        return false;
    int saved = errno;
    struct patience patience = patience_begin(patience_ns);
    /* Memory first: once a part of the message is out, keeping the rest must not fail. */
    struct zu_buf *buf = zu_buf_new(size);
    bool all = buf && zu_pipe_reserve(peer->out) == 0 && send_all(peer, &patience);
    int done = all ? send_past(peer, buf, data, size, &patience) : -1;
    if (buf && done < 0)
        zu_buf_unref(buf);
    if (done == 1)
        peer->out_stalled_ns = 0;
    errno = saved;
    application_give(peer, done == 1 || (done < 0 && all));
    return done >= 0;
}

/*
 * As owner of the reading end, with the writer here too: a shard that sleeps on the pipe is left asleep, because what is
 * published now is gone before anybody else could look.
 */
static bool hold(struct zu_peer *peer)
{
    if (application_claim(&peer->outlet) != IDLE)
        return false;
    _Atomic unsigned *reader = &peer->out->reader_state;
    peer->outlet.reader_slept = atomic_load_explicit(reader, memory_order_relaxed) == ZU_READER_ASLEEP;
    if (peer->outlet.reader_slept)
        atomic_store_explicit(reader, ZU_READER_AWAKE, memory_order_relaxed);
    return true;
}

static void hand_over(struct zu_peer *peer, uint64_t patience_ns)
{
    int saved = errno;
    struct patience patience = patience_begin(patience_ns);
    bool all = send_all(peer, &patience);
    if (all)
        peer->out_stalled_ns = 0;
    /* Relaxed: the shard touches it only as owner of the outlet, behind the exchange in give. */
    if (all && peer->outlet.reader_slept)
        atomic_store_explicit(&peer->out->reader_state, ZU_READER_ASLEEP, memory_order_relaxed);
    errno = saved;
    application_give(peer, all);
}

const struct zu_peer_ops zu_outlet_peer_ops = {
    .flush = flush,
    .send_large = send_large,
    .hold = hold,
    .hand_over = hand_over,
    .hang_up = zu_peer_tell_shard,
    .release = zu_peer_release_by_shard,
};
