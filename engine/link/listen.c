/* SPDX-License-Identifier: MIT */
/*
 * Listening: each accepted descriptor is dealt to a shard, in turn, where a connection shakes hands; a peer is made when
 * that has gone well, and offered to the socket. When the connection ends the peer ends with it: what was not sent is
 * dropped and counted, what was received can still be read.
 * A want of descriptors or memory pauses accepting for a moment; the kernel's backlog waits meanwhile.
 *
 * Whoever connects and says nothing costs a descriptor until HANDSHAKE_IVL. So that strangers cannot keep others out, where
 * there is no room for one more, by the limits or for want of descriptors, it is the oldest young ones that go: those
 * without a peer yet, who have had the most time to show who they are. By the limits, a newcomer is dealt to a shard that has
 * such a one, and where all are grown up, on all shards, it goes itself. It counts from then on, and what it replaces until
 * that is ended: so no moment sees more connections than the limit. One whose victim on another shard has meanwhile ended by
 * itself, or grown up, goes too, and may come again. For want of descriptors, those of the accepting shard go.
 */
#include "link/listen.h"

#include <errno.h>

#include "link/outlet.h"
#include "mem/alloc.h"

enum { AGAIN_MS = 50, ROOM_PART = 4 /* of the young, for want of descriptors, each time */ };

static void listen_unref(struct zu_listen *listen)
{
    /* acq_rel: the last holder frees after everyone's last look. */
    if (atomic_fetch_sub_explicit(&listen->refs, 1, memory_order_acq_rel) != 1)
        return;
    zu_home_fini(&listen->home);
    zu_free(listen, sizeof *listen + listen->share_count * sizeof *listen->shares);
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

/* --- room for one more --- */

static void young_uncount(struct zu_share *share)
{
    atomic_fetch_sub_explicit(&share->young_count, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&share->listen->young_count, 1, memory_order_relaxed);
}

/* Not young any more, if it was. */
static void young_leave(struct zu_share *share, struct zu_conn *conn)
{
    if (!zu_list_is_empty(&conn->sibling))
        young_uncount(share);
    zu_list_remove(&conn->sibling);
}

static void place_leave(struct zu_listen *listen)
{
    atomic_fetch_sub_explicit(&listen->places, 1, memory_order_relaxed);
}

/* Ends the oldest young one. False: there is none. */
static bool young_end(struct zu_share *share, int err)
{
    if (zu_list_is_empty(&share->young))
        return false;
    struct zu_conn *oldest = zu_container_of(share->young.next, struct zu_conn, sibling);
    young_leave(share, oldest);
    place_leave(share->listen);
    zu_conn_close(oldest, err);
    return true;
}

/* Are there more than that, and `more`, of either? */
static bool is_beyond_limits(const struct zu_listen *listen, unsigned more)
{
    const struct zu_settings *settings = listen->home.settings;
    unsigned places = atomic_load_explicit(&listen->places, memory_order_relaxed);
    unsigned young = atomic_load_explicit(&listen->young_count, memory_order_relaxed);
    return (settings->connections_max && places + more > settings->connections_max) ||
           (settings->handshakes_max && young + more > settings->handshakes_max);
}

/* For want of descriptors. Of the young elsewhere, other shards' threads would have to know. */
static void room_make(struct zu_listen *listen, int err)
{
    unsigned young = atomic_load_explicit(&listen->here->young_count, memory_order_relaxed);
    for (unsigned count = (young + ROOM_PART - 1) / ROOM_PART; count && young_end(listen->here, err); count--)
        ;
}

static struct zu_peer *conn_ready(struct zu_conn *conn)
{
    struct zu_share *share = conn->owner_data;
    if (atomic_load_explicit(&share->listen->stopped, memory_order_relaxed)) {
        zu_conn_close(conn, -ECANCELED);
        return NULL;
    }
    struct zu_peer *peer = zu_conn_offer_peer(&conn->home, conn, &far_events, &conn->shard->box);
    if (peer)
        young_leave(share, conn);
    return peer;
}

static void conn_closed(struct zu_conn *conn, int err)
{
    (void)err;
    struct zu_share *share = conn->owner_data;
    struct zu_listen *listen = share->listen;
    struct zu_peer *peer = conn->peer;
    if (peer || !zu_list_is_empty(&conn->sibling)) /* else it has left it */
        place_leave(listen);
    young_leave(share, conn);
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
    struct zu_share *share;   /* which; a reference to its listener */
    int fd;                   /* the descriptor */
    bool replaces;            /* it was one too many: a young one there goes */
};

static void refuse(struct zu_shard *shard, struct zu_listen *listen, int fd, int err)
{
    char remote[ZU_TRANSPORT_TEXT_MAX] = "";
    const struct zu_names names = {.local = listen->listening.text, .remote = remote, .bound = true};
    if (listen->transport->name)
        listen->transport->name(fd, true, remote, sizeof remote);
    zu_watch_raise(listen->home.watch, ZU_EVENT_ACCEPT_FAILED, (uint64_t)-err, &names);
    shard->driver->ops->close(shard->driver, fd);
}

/* It counts among the places and the young already. */
static void settle_on(struct zu_share *share, int fd, bool replaces)
{
    struct zu_listen *listen = share->listen;
    struct zu_shard *shard = share->shard;
    struct zu_conn *conn = NULL;
    if (atomic_load_explicit(&listen->stopped, memory_order_relaxed))
        shard->driver->ops->close(shard->driver, fd);
    else if (replaces && is_beyond_limits(listen, 0) && !young_end(share, -EUSERS))
        refuse(shard, listen, fd, -EUSERS); /* that one has grown up meanwhile */
    else
        conn = zu_conn_new(shard, &listen->home, listen->transport, fd, &conn_owner, share);
    if (!conn) {
        young_uncount(share);
        place_leave(listen);
        listen_unref(listen);
        return;
    }
    atomic_fetch_add_explicit(&shard->load, 1, memory_order_relaxed);
    if (conn->peer) /* as those have that do not shake hands */
        young_uncount(share);
    else
        zu_list_append(&share->young, &conn->sibling);
}

static void run_arrival(struct zu_note *note)
{
    struct arrival *arrival = zu_container_of(note, struct arrival, note);
    settle_on(arrival->share, arrival->fd, arrival->replaces);
    zu_free(arrival, sizeof *arrival);
}

/* The next one in turn, which must have a young one if the newcomer is to replace it. NULL: none has. */
static struct zu_share *share_choose(struct zu_listen *listen, bool replaces)
{
    for (unsigned i = 0; i < listen->share_count; i++) {
        struct zu_share *share = &listen->shares[listen->turn++ % listen->share_count];
        if (!replaces || atomic_load_explicit(&share->young_count, memory_order_relaxed))
            return share;
    }
    return NULL;
}

/* Nobody else counts up, so what is looked at first is exact. */
static void deal(struct zu_listen *listen, int fd)
{
    int err = listen->transport->accepted ? listen->transport->accepted(fd, listen->home.settings) : 0;
    bool replaces = is_beyond_limits(listen, 1);
    struct zu_share *share = err ? NULL : share_choose(listen, replaces);
    if (!share) {
        refuse(listen->shard, listen, fd, err ? err : -EUSERS);
        return;
    }
    struct arrival *arrival = share == listen->here ? NULL : zu_alloc(sizeof *arrival);
    if (!arrival)
        share = listen->here;
    atomic_fetch_add_explicit(&listen->refs, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&listen->places, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&listen->young_count, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&share->young_count, 1, memory_order_relaxed);
    if (!arrival) {
        settle_on(share, fd, replaces);
        return;
    }
    *arrival = (struct arrival){.note = {.run = run_arrival}, .share = share, .fd = fd, .replaces = replaces};
    zu_mailbox_post(&share->shard->box, &arrival->note);
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

static void pause_accepting(struct zu_listen *listen, int err)
{
    room_make(listen, err);
    if (zu_shard_timer(listen->shard, &listen->again, AGAIN_MS * ZU_NS_PER_MS) < 0)
        accept_more(listen);
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
    else if (is_passing(result))
        accept_more(listen);
    else
        pause_accepting(listen, result);
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
    struct zu_share *share = zu_container_of(note, struct zu_share, sweep);
    zu_list_each(link, after, &share->young)
        zu_conn_close(zu_container_of(link, struct zu_conn, sibling), -ECANCELED);
    listen_unref(share->listen);
}

static void share_init(struct zu_share *share, struct zu_listen *listen, struct zu_shard *shard)
{
    *share = (struct zu_share){.sweep = {.run = run_sweep}, .shard = shard, .listen = listen};
    zu_list_init(&share->young);
}

struct zu_listen *zu_listen_new(struct zu_shard *shard, struct zu_shard **shards, unsigned shard_count,
                                const struct zu_home *home, const struct zu_transport *transport,
                                struct zu_listening *listening)
{
    struct zu_listen *listen = zu_alloc_zero(sizeof *listen + shard_count * sizeof *listen->shares);
    if (!listen) {
        shard->driver->ops->close(shard->driver, listening->fd);
        if (transport->unlisten)
            transport->unlisten(listening);
        return NULL;
    }
    listen->shard = shard;
    listen->share_count = shard_count;
    listen->home = zu_home_copy(home);
    listen->transport = transport;
    listen->listening = *listening;
    listen->start.run = run_start;
    listen->stop.run = run_stop;
    atomic_init(&listen->refs, 1);
    listen->accept.done = accepted;
    listen->again.fired = again_due;
    for (unsigned i = 0; i < shard_count; i++) {
        share_init(&listen->shares[i], listen, shards[i]);
        if (shards[i] == shard)
            listen->here = &listen->shares[i];
    }
    atomic_fetch_add_explicit(&shard->load, 1, memory_order_relaxed);
    return listen;
}

void zu_listen_start(struct zu_listen *listen)
{
    zu_mailbox_post(&listen->shard->box, &listen->start);
}

void zu_listen_stop(struct zu_listen *listen)
{
    unsigned count = listen->share_count;
    /* Before the sweeps: a descriptor that arrives behind one sees it. */
    atomic_store_explicit(&listen->stopped, true, memory_order_relaxed);
    atomic_fetch_add_explicit(&listen->refs, count, memory_order_relaxed);
    for (unsigned i = 0; i < count; i++)
        zu_mailbox_post(&listen->shares[i].shard->box, &listen->shares[i].sweep);
    zu_mailbox_post(&listen->shard->box, &listen->stop); /* last: it may be the end of the listener */
}
