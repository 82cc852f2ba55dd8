/* SPDX-License-Identifier: MIT */
/*
 * Listening: each accepted descriptor is dealt to a shard, in turn, where a connection shakes hands; a peer is made when
 * that has gone well, and offered to the socket. When the connection ends the peer ends with it: what was not sent is
 * dropped and counted, what was received can still be read.
 * A want of descriptors or memory pauses accepting for a moment; the kernel's backlog waits meanwhile.
 */
#include "link/listen.h"

#include <errno.h>

#include "link/outlet.h"
#include "mem/alloc.h"

enum { AGAIN_MS = 50 };

static void listen_unref(struct zu_listen *listen)
{
    /* acq_rel: the last holder frees after everyone's last look. */
    if (atomic_fetch_sub_explicit(&listen->refs, 1, memory_order_acq_rel) != 1)
        return;
    zu_home_fini(&listen->home);
    zu_free(listen, sizeof *listen + listen->shard_count * sizeof *listen->sweeps);
}

static void tell(struct zu_listen *listen, enum zu_event event, uint64_t value)
{
    const struct zu_names names = {.local = listen->listening.text, .remote = "", .bound = true};
    zu_watch_raise(listen->home.watch, event, value, &names);
}

/* --- as owner of connections --- */

static void far_readable(struct zu_peer *peer)
{
    zu_conn_out_readable(peer->far);
}

static void far_writable(struct zu_peer *peer)
{
    zu_conn_in_writable(peer->far);
}

static void far_hung_up(struct zu_peer *peer, int linger_ms)
{
    zu_conn_leave(peer->far, linger_ms);
}

static const struct zu_far_events far_events = {
    .readable = far_readable,
    .writable = far_writable,
    .hung_up = far_hung_up,
};

static struct zu_peer *conn_ready(struct zu_conn *conn)
{
    struct zu_listen *listen = conn->owner_data;
    if (atomic_load_explicit(&listen->stopped, memory_order_relaxed)) {
        zu_conn_close(conn, -ECANCELED);
        return NULL;
    }
    return zu_conn_offer_peer(&conn->home, conn, &far_events, &conn->shard->box);
}

static void conn_closed(struct zu_conn *conn, int err)
{
    (void)err;
    struct zu_listen *listen = conn->owner_data;
    struct zu_peer *peer = conn->peer;
    if (peer) {
        peer->far = NULL;
        zu_pipe_end(peer->in);
        zu_pipe_leave(peer->out);
        zu_peer_tell_gone(peer, conn->home.box);
    }
    atomic_fetch_sub_explicit(&conn->shard->load, 1, memory_order_relaxed);
    zu_conn_free(conn);
    listen_unref(listen);
}

static const struct zu_conn_owner conn_owner = {.ready = conn_ready, .closed = conn_closed};

/* --- accepting --- */

/* An accepted descriptor on its way to its shard. */
struct arrival {
    struct zu_note note;      /* to the shard */
    struct zu_shard *shard;   /* which */
    struct zu_listen *listen; /* a reference */
    int fd;                   /* the descriptor */
};

static void settle_on(struct zu_listen *listen, struct zu_shard *shard, int fd)
{
    struct zu_driver *driver = shard->driver;
    bool stopped = atomic_load_explicit(&listen->stopped, memory_order_relaxed);
    int err = listen->transport->accepted ? listen->transport->accepted(fd, listen->home.settings) : 0;
    if (stopped || err < 0) {
        if (!stopped)
            tell(listen, ZU_EVENT_ACCEPT_FAILED, (uint64_t)-err);
        driver->ops->close(driver, fd);
        listen_unref(listen);
        return;
    }
    if (zu_conn_new(shard, &listen->home, listen->transport, fd, &conn_owner, listen))
        atomic_fetch_add_explicit(&shard->load, 1, memory_order_relaxed);
    else
        listen_unref(listen);
}

static void run_arrival(struct zu_note *note)
{
    struct arrival *arrival = zu_container_of(note, struct arrival, note);
    settle_on(arrival->listen, arrival->shard, arrival->fd);
    zu_free(arrival, sizeof *arrival);
}

static void deal(struct zu_listen *listen, int fd)
{
    struct zu_shard *shard = listen->shards[listen->turn++ % listen->shard_count];
    atomic_fetch_add_explicit(&listen->refs, 1, memory_order_relaxed);
    struct arrival *arrival = shard == listen->shard ? NULL : zu_alloc(sizeof *arrival);
    if (!arrival) {
        settle_on(listen, listen->shard, fd);
        return;
    }
    *arrival = (struct arrival){.note = {.run = run_arrival}, .shard = shard, .listen = listen, .fd = fd};
    zu_mailbox_post(&shard->box, &arrival->note);
}

static void accept_more(struct zu_listen *listen)
{
    listen->shard->driver->ops->accept_stream(listen->shard->driver, &listen->accept, listen->listening.fd);
}

static void again_due(struct zu_timer *timer)
{
    accept_more(zu_container_of(timer, struct zu_listen, again));
}

static void listen_close(struct zu_listen *listen)
{
    listen->shard->driver->ops->close(listen->shard->driver, listen->listening.fd);
    int err = listen->transport->unlisten ? listen->transport->unlisten(&listen->listening) : 0;
    tell(listen, err ? ZU_EVENT_CLOSE_FAILED : ZU_EVENT_CLOSED, (uint64_t)(err ? -err : listen->listening.fd));
    atomic_fetch_sub_explicit(&listen->shard->load, 1, memory_order_relaxed);
    listen_unref(listen);
}

/* A connection that was gone before it was accepted is no reason to pause; a want of descriptors, or a bad one, is. */
static bool is_passing(int result)
{
    return result >= 0 || result == -ECONNABORTED || result == -EINTR || result == -EAGAIN;
}

static void accepted(struct zu_op *op, int result, unsigned flags, struct zu_chunk *chunk)
{
    (void)chunk;
    struct zu_listen *listen = zu_container_of(op, struct zu_listen, accept);
    if (result >= 0)
        deal(listen, result);
    else if (result != -ECANCELED && result != -EAGAIN && result != -EINTR)
        tell(listen, ZU_EVENT_ACCEPT_FAILED, (uint64_t)-result);
    if (flags & ZU_OP_MORE)
        return;
    if (listen->stop_seen)
        listen_close(listen);
    else if (is_passing(result) || zu_shard_timer(listen->shard, &listen->again, AGAIN_MS * ZU_NS_PER_MS) < 0)
        accept_more(listen);
}

static void run_start(struct zu_note *note)
{
    accept_more(zu_container_of(note, struct zu_listen, start));
}

static void run_stop(struct zu_note *note)
{
    struct zu_listen *listen = zu_container_of(note, struct zu_listen, stop);
    listen->stop_seen = true;
    if (listen->accept.busy) {
        listen->shard->driver->ops->cancel(listen->shard->driver, &listen->accept);
        return;
    }
    zu_timer_clear(&listen->shard->timers, &listen->again);
    listen_close(listen);
}

static void run_sweep(struct zu_note *note)
{
    struct zu_sweep *sweep = zu_container_of(note, struct zu_sweep, note);
    zu_list_each(link, after, &sweep->shard->residents)
    {
        struct zu_conn *conn = zu_container_of(link, struct zu_conn, resident);
        if (!conn->peer && conn->owner_data == sweep->listen)
            zu_conn_close(conn, -ECANCELED);
    }
    listen_unref(sweep->listen);
}

struct zu_listen *zu_listen_new(struct zu_shard *shard, struct zu_shard **shards, unsigned shard_count,
                                const struct zu_home *home, const struct zu_transport *transport,
                                struct zu_listening *listening)
{
    struct zu_listen *listen = zu_alloc_zero(sizeof *listen + shard_count * sizeof *listen->sweeps);
    if (!listen) {
        shard->driver->ops->close(shard->driver, listening->fd);
        if (transport->unlisten)
            transport->unlisten(listening);
        return NULL;
    }
    listen->shard = shard;
    listen->shards = shards;
    listen->shard_count = shard_count;
    listen->home = zu_home_copy(home);
    listen->transport = transport;
    listen->listening = *listening;
    listen->start.run = run_start;
    listen->stop.run = run_stop;
    atomic_init(&listen->refs, 1);
    listen->accept.done = accepted;
    listen->again.fired = again_due;
    for (unsigned i = 0; i < shard_count; i++)
        listen->sweeps[i] = (struct zu_sweep){.note = {.run = run_sweep}, .shard = shards[i], .listen = listen};
    atomic_fetch_add_explicit(&shard->load, 1, memory_order_relaxed);
    return listen;
}

void zu_listen_start(struct zu_listen *listen)
{
    zu_mailbox_post(&listen->shard->box, &listen->start);
}

void zu_listen_stop(struct zu_listen *listen)
{
    unsigned count = listen->shard_count;
    /* Before the sweeps: a descriptor that arrives behind one sees it. */
    atomic_store_explicit(&listen->stopped, true, memory_order_relaxed);
    atomic_fetch_add_explicit(&listen->refs, count, memory_order_relaxed);
    for (unsigned i = 0; i < count; i++)
        zu_mailbox_post(&listen->sweeps[i].shard->box, &listen->sweeps[i].note);
    zu_mailbox_post(&listen->shard->box, &listen->stop); /* last: it may be the end of the listener */
}
