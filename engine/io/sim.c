/* SPDX-License-Identifier: MIT */
/*
 * The simulated driver. A start notes the operation at its socket; wait looks at every socket for operations of its
 * driver that can complete at this moment, collects them, then runs them. It never lets time pass: the test does, by
 * advance, once every driver has nothing left to do.
 * Faults are drawn when an operation starts or completes. Starting a second operation of one direction, or using a
 * descriptor that is not open, is the caller's error and asserted.
 */
#include "io/sim.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "io/shard.h"
#include "io/sim_net.h"

enum {
    FAMILY = 0x5a53, /* no address family of the kernel's */
    BATCH = 256,     /* completions in one wait; the rest is for the next */
    BURST = 4,       /* completions of one operation in one wait */
    CONNECT_LATENCY_NS = 50 * 1000,
};
#define CONNECT_TIMEOUT_NS (127 * ZU_NS_PER_S)

struct address {
    sa_family_t family; /* FAMILY */
    unsigned port;      /* the listener's */
};

struct completion {
    struct zu_op *op;       /* to tell */
    int result;             /* as for done */
    unsigned flags;         /* as for done */
    struct zu_chunk *chunk; /* as for done */
};

struct zu_sim_driver {
    struct zu_driver driver;        /* the seam */
    struct zu_sim *sim;             /* its network */
    struct zu_link link;            /* in sim->drivers */
    uint64_t until_ns;              /* of the last wait; 0 when the driver must be asked again before time moves */
    _Atomic bool woken;             /* any thread sets it: relaxed, it carries no data */
    struct completion ready[BATCH]; /* collected by wait */
};

#define sim_driver_of(seam) zu_container_of(seam, struct zu_sim_driver, driver)

struct zu_sim_kind {
    unsigned direction; /* index in socket->pending */
    /* When it can complete; see zu_sim_receive_due_ns. */
    uint64_t (*due_ns)(const struct zu_sim_socket *socket);
    /* Fills result, flags and chunk. */
    void (*complete)(struct zu_sim *sim, struct zu_sim_socket *socket, struct completion *ret_completion);
};

static uint64_t at_once_ns(const struct zu_sim_socket *socket)
{
    (void)socket;
    return 0;
}

static unsigned stream_flags(struct zu_sim *sim)
{
    return zu_sim_strikes(sim, sim->faults.stream_ends) ? 0 : ZU_OP_MORE;
}

/* Bytes to give now, at most `size`; 0 at the end; or a negative errno. */
static int receive_size(struct zu_sim *sim, const struct zu_sim_socket *socket, size_t size)
{
    int arrived = zu_sim_receivable(sim, socket);
    if (arrived <= 0)
        return arrived;
    if ((size_t)arrived < size)
        size = (size_t)arrived;
    if (size && zu_sim_strikes(sim, sim->faults.short_receives))
        size = 1 + zu_sim_below(sim, size);
    return (int)size;
}

static void recv_stream_complete(struct zu_sim *sim, struct zu_sim_socket *socket, struct completion *ret_completion)
{
    int size = receive_size(sim, socket, ZU_RECEIVE_SIZE);
    ret_completion->result = size;
    if (size <= 0)
        return;
    struct zu_chunk *chunk = zu_sim_strikes(sim, sim->faults.no_buffers) ? NULL : zu_chunk_new(ZU_CHUNK_RUNG_RECEIVE);
    if (!chunk) {
        ret_completion->result = -ENOBUFS;
        return;
    }
    zu_sim_take(socket, chunk->data + ZU_RECEIVE_HEADROOM, (size_t)size);
    ret_completion->chunk = chunk;
    ret_completion->flags = stream_flags(sim);
}

static void recv_into_complete(struct zu_sim *sim, struct zu_sim_socket *socket, struct completion *ret_completion)
{
    const struct msghdr *message = &ret_completion->op->message;
    size_t room = 0;
    for (size_t i = 0; i < message->msg_iovlen; i++)
        room += message->msg_iov[i].iov_len;
    int size = receive_size(sim, socket, room);
    ret_completion->result = size;
    size_t left = size > 0 ? (size_t)size : 0;
    for (size_t i = 0; left; i++) {
        size_t part = message->msg_iov[i].iov_len < left ? message->msg_iov[i].iov_len : left;
        zu_sim_take(socket, message->msg_iov[i].iov_base, part);
        left -= part;
    }
}

static void send_complete(struct zu_sim *sim, struct zu_sim_socket *socket, struct completion *ret_completion)
{
    const struct msghdr *message = &ret_completion->op->message;
    ret_completion->result = zu_sim_put(sim, socket, message->msg_iov, message->msg_iovlen);
}

static void accept_complete(struct zu_sim *sim, struct zu_sim_socket *socket, struct completion *ret_completion)
{
    if (socket->state != ZU_SIM_LISTENING) {
        ret_completion->result = -EINVAL;
    } else if (zu_sim_strikes(sim, sim->faults.accept_failures)) {
        ret_completion->result = -EMFILE;
    } else {
        ret_completion->result = zu_sim_accept(socket)->fd;
        ret_completion->flags = stream_flags(sim);
    }
}

static void connect_complete(struct zu_sim *sim, struct zu_sim_socket *socket, struct completion *ret_completion)
{
    ret_completion->result = zu_sim_connect(sim, socket);
}

static const struct zu_sim_kind recv_stream_kind = {ZU_SIM_RECEIVE, zu_sim_receive_due_ns, recv_stream_complete};
static const struct zu_sim_kind recv_into_kind = {ZU_SIM_RECEIVE, zu_sim_receive_due_ns, recv_into_complete};
static const struct zu_sim_kind send_kind = {ZU_SIM_SEND, zu_sim_send_due_ns, send_complete};
static const struct zu_sim_kind accept_kind = {ZU_SIM_DOOR, zu_sim_accept_due_ns, accept_complete};
static const struct zu_sim_kind connect_kind = {ZU_SIM_DOOR, at_once_ns, connect_complete};

static struct zu_sim_pending *op_start(struct zu_driver *seam, struct zu_op *op, int fd, const struct zu_sim_kind *kind)
{
    struct zu_sim_driver *driver = sim_driver_of(seam);
    struct zu_sim *sim = driver->sim;
    struct zu_sim_socket *socket = zu_sim_find(sim, fd);
    assert(socket && !op->busy);
    struct zu_sim_pending *pending = &socket->pending[kind->direction];
    assert(!pending->op);
    *pending =
        (struct zu_sim_pending){.op = op, .driver = driver, .kind = kind, .not_before_ns = zu_sim_soon_ns(sim, 0)};
    if (zu_sim_strikes(sim, sim->faults.no_memory))
        pending->fate = -ENOMEM;
    op->busy = true;
    op->cancelled = false;
    op->slot = pending;
    if (kind->direction != ZU_SIM_DOOR && socket->state == ZU_SIM_CONNECTED && zu_sim_strikes(sim, sim->faults.resets))
        zu_sim_break(sim, socket);
    return pending;
}

static void recv_stream(struct zu_driver *seam, struct zu_op *op, int fd)
{
    op_start(seam, op, fd, &recv_stream_kind);
}

static void recv_into(struct zu_driver *seam, struct zu_op *op, int fd)
{
    op_start(seam, op, fd, &recv_into_kind);
}

static void send_pieces(struct zu_driver *seam, struct zu_op *op, int fd)
{
    op_start(seam, op, fd, &send_kind);
}

static ssize_t send_now(struct zu_driver *seam, int fd, const struct msghdr *message, uint64_t patience_ns)
{
    (void)patience_ns; /* time passes between turns only */
    struct zu_sim *sim = sim_driver_of(seam)->sim;
    struct zu_sim_socket *socket = zu_sim_find(sim, fd);
    assert(socket && !socket->pending[ZU_SIM_SEND].op);
    if (zu_sim_strikes(sim, sim->faults.no_memory))
        return -ENOMEM;
    if (socket->state == ZU_SIM_CONNECTED && zu_sim_strikes(sim, sim->faults.resets))
        zu_sim_break(sim, socket);
    if (zu_sim_send_due_ns(socket) > sim->now_ns)
        return -EAGAIN;
    return zu_sim_put(sim, socket, message->msg_iov, message->msg_iovlen);
}

static void accept_stream(struct zu_driver *seam, struct zu_op *op, int fd)
{
    op_start(seam, op, fd, &accept_kind);
}

static void connect_to(struct zu_driver *seam, struct zu_op *op, int fd, const struct sockaddr *address, socklen_t size)
{
    struct zu_sim_pending *pending = op_start(seam, op, fd, &connect_kind);
    struct zu_sim_socket *socket = zu_container_of(pending, struct zu_sim_socket, pending[ZU_SIM_DOOR]);
    struct zu_sim *sim = pending->driver->sim;
    struct address to;
    if (pending->fate)
        return;
    if (socket->state != ZU_SIM_FRESH || size < sizeof to || address->sa_family != FAMILY) {
        pending->fate = socket->state == ZU_SIM_FRESH ? -EAFNOSUPPORT : -EISCONN;
        return;
    }
    memcpy(&to, address, sizeof to);
    socket->port = to.port;
    pending->not_before_ns += CONNECT_LATENCY_NS;
    if (zu_sim_strikes(sim, sim->faults.connect_refusals)) {
        pending->fate = -ECONNREFUSED;
    } else if (zu_sim_strikes(sim, sim->faults.connect_timeouts)) {
        pending->fate = -ETIMEDOUT;
        pending->not_before_ns += CONNECT_TIMEOUT_NS;
    }
}

static void cancel(struct zu_driver *seam, struct zu_op *op)
{
    struct zu_sim_pending *pending = op->slot;
    /* Without a slot its last completion is collected and about to run. */
    if (!op->busy || op->cancelled || !pending)
        return;
    struct zu_sim *sim = sim_driver_of(seam)->sim;
    op->cancelled = true;
    if (pending->not_before_ns > sim->now_ns)
        pending->fate = -ECANCELED;
    pending->not_before_ns = zu_sim_soon_ns(sim, 0);
}

static void shutdown_fd(struct zu_driver *seam, int fd)
{
    struct zu_sim *sim = sim_driver_of(seam)->sim;
    struct zu_sim_socket *socket = zu_sim_find(sim, fd);
    assert(socket);
    zu_sim_shutdown(sim, socket);
}

static void close_fd(struct zu_driver *seam, int fd)
{
    struct zu_sim *sim = sim_driver_of(seam)->sim;
    struct zu_sim_socket *socket = zu_sim_find(sim, fd);
    assert(socket);
    zu_sim_close(sim, socket);
}

static uint64_t pending_due_ns(const struct zu_sim_socket *socket, const struct zu_sim_pending *pending)
{
    if (!pending->op)
        return ZU_NEVER;
    if (pending->fate || pending->op->cancelled)
        return pending->not_before_ns;
    uint64_t due_ns = pending->kind->due_ns(socket);
    return due_ns > pending->not_before_ns ? due_ns : pending->not_before_ns;
}

static struct completion pending_complete(struct zu_sim *sim, struct zu_sim_socket *socket,
                                          struct zu_sim_pending *pending)
{
    struct zu_op *op = pending->op;
    struct completion completion = {.op = op};
    bool has_result = pending->kind->due_ns(socket) <= sim->now_ns;
    if (pending->fate)
        completion.result = pending->fate;
    else if (op->cancelled && !(has_result && zu_sim_below(sim, 2)))
        completion.result = -ECANCELED;
    else
        pending->kind->complete(sim, socket, &completion);
    if (op->cancelled)
        completion.flags = 0;
    if (!(completion.flags & ZU_OP_MORE)) {
        pending->op = NULL;
        op->slot = NULL;
    }
    return completion;
}

static unsigned socket_collect(struct zu_sim_driver *driver, struct zu_sim_socket *socket, unsigned count)
{
    for (int i = 0; i < ZU_SIM_DIRECTIONS; i++) {
        struct zu_sim_pending *pending = &socket->pending[i];
        for (int burst = 0; burst < BURST && count < BATCH; burst++) {
            if (pending->driver != driver || pending_due_ns(socket, pending) > driver->sim->now_ns)
                break;
            driver->ready[count++] = pending_complete(driver->sim, socket, pending);
        }
    }
    return count;
}

static int wait_for(struct zu_driver *seam, uint64_t until_ns)
{
    struct zu_sim_driver *driver = sim_driver_of(seam);
    struct zu_sim *sim = driver->sim;
    atomic_store_explicit(&driver->woken, false, memory_order_relaxed);
    driver->until_ns = until_ns;
    unsigned count = 0;
    /* From anywhere in the table: no order among sockets is promised. A connect adds to the end of it. */
    size_t begin = sim->count ? zu_sim_below(sim, sim->count) : 0;
    for (size_t i = 0, all = sim->count; i < all; i++) {
        struct zu_sim_socket *socket = sim->sockets[(begin + i) % all];
        if (socket)
            count = socket_collect(driver, socket, count);
    }
    for (unsigned i = 0; i < count; i++) {
        struct completion *ready = &driver->ready[i];
        if (!(ready->flags & ZU_OP_MORE))
            ready->op->busy = false;
        ready->op->done(ready->op, ready->result, ready->flags, ready->chunk);
    }
    if (count)
        driver->until_ns = 0; /* what ran may have set a timer */
    return 0;
}

static bool ready(struct zu_driver *seam)
{
    struct zu_sim_driver *driver = sim_driver_of(seam);
    struct zu_sim *sim = driver->sim;
    bool is_due = atomic_load_explicit(&driver->woken, memory_order_relaxed);
    for (size_t i = 0; i < sim->count * ZU_SIM_DIRECTIONS && !is_due; i++) {
        struct zu_sim_socket *socket = sim->sockets[i / ZU_SIM_DIRECTIONS];
        struct zu_sim_pending *pending = socket ? &socket->pending[i % ZU_SIM_DIRECTIONS] : NULL;
        is_due = pending && pending->driver == driver && pending_due_ns(socket, pending) <= sim->now_ns;
    }
    return is_due;
}

static void wake(struct zu_driver *seam)
{
    atomic_store_explicit(&sim_driver_of(seam)->woken, true, memory_order_relaxed);
}

static uint64_t now_ns(struct zu_driver *seam)
{
    return sim_driver_of(seam)->sim->now_ns;
}

static int start(struct zu_driver *seam)
{
    (void)seam;
    return 0;
}

static void sim_driver_free(struct zu_driver *seam)
{
    struct zu_sim_driver *driver = sim_driver_of(seam);
    struct zu_sim *sim = driver->sim;
    for (size_t i = 0; i < sim->count * ZU_SIM_DIRECTIONS; i++) {
        struct zu_sim_socket *socket = sim->sockets[i / ZU_SIM_DIRECTIONS];
        if (socket && socket->pending[i % ZU_SIM_DIRECTIONS].driver == driver)
            socket->pending[i % ZU_SIM_DIRECTIONS] = (struct zu_sim_pending){0};
    }
    zu_list_remove(&driver->link);
    free(driver);
}

static const struct zu_driver_ops sim_ops = {
    .name = "simulated",
    .simulated = true,
    .start = start,
    .free = sim_driver_free,
    .recv_stream = recv_stream,
    .recv_into = recv_into,
    .send = send_pieces,
    .send_now = send_now,
    .accept_stream = accept_stream,
    .connect = connect_to,
    .cancel = cancel,
    .shutdown = shutdown_fd,
    .close = close_fd,
    .wait = wait_for,
    .ready = ready,
    .wake = wake,
    .now_ns = now_ns,
};

int zu_sim_driver_new(struct zu_sim *sim, struct zu_driver **ret_driver)
{
    struct zu_sim_driver *driver = calloc(1, sizeof *driver);
    if (!driver)
        return -ENOMEM;
    driver->driver.ops = &sim_ops;
    driver->sim = sim;
    driver->until_ns = ZU_NEVER;
    zu_list_append(&sim->drivers, &driver->link);
    *ret_driver = &driver->driver;
    return 0;
}

void zu_sim_address(unsigned port, struct sockaddr_storage *ret_address, socklen_t *ret_size)
{
    struct address address = {.family = FAMILY, .port = port};
    memset(ret_address, 0, sizeof *ret_address);
    memcpy(ret_address, &address, sizeof address);
    *ret_size = sizeof address;
}

bool zu_sim_advance(struct zu_sim *sim)
{
    uint64_t next_ns = ZU_NEVER;
    zu_list_each(link, after, &sim->drivers) {
        struct zu_sim_driver *driver = zu_container_of(link, struct zu_sim_driver, link);
        uint64_t due_ns = atomic_load_explicit(&driver->woken, memory_order_relaxed) ? 0 : driver->until_ns;
        next_ns = due_ns < next_ns ? due_ns : next_ns;
    }
    for (size_t i = 0; i < sim->count * ZU_SIM_DIRECTIONS; i++) {
        struct zu_sim_socket *socket = sim->sockets[i / ZU_SIM_DIRECTIONS];
        uint64_t due_ns = socket ? pending_due_ns(socket, &socket->pending[i % ZU_SIM_DIRECTIONS]) : ZU_NEVER;
        next_ns = due_ns < next_ns ? due_ns : next_ns;
    }
    if (next_ns == ZU_NEVER)
        return false;
    if (next_ns > sim->now_ns)
        sim->now_ns = next_ns;
    return true;
}

bool zu_sim_turn(struct zu_sim *sim, struct zu_shard *const *shards, size_t count)
{
    bool noted = false;
    for (size_t i = 0; i < count; i++)
        zu_shard_step(shards[i], ZU_NEVER);
    for (size_t i = 0; i < count; i++)
        noted |= zu_mailbox_has_notes(&shards[i]->box) || !zu_list_is_empty(&shards[i]->pauses);
    return noted || zu_sim_advance(sim);
}
