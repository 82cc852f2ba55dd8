/* SPDX-License-Identifier: MIT */
/*
 * Life of a socket and what it does with its peers' notes. Peers come by note or by connect, are attached to the pattern,
 * and end in two halves: writing ends when either side hangs up, reading when what had arrived is read. Close ends both
 * at once, hands the unsent rest to the far sides, and lets the memory go with the last of those who can still post.
 * Nothing here fails but making one.
 */
#include "core/socket.h"

#include <sched.h>
#include <sys/eventfd.h>

#include "base/error.h"
#include "base/futex.h"
#include "base/near.h"
#include "core/poller.h"
#include "mem/alloc.h"

/* The only place that names the socket types. */
static const struct zu_pattern_ops *const patterns[] = {
    &zu_pattern_push, &zu_pattern_pull, &zu_pattern_pair,   &zu_pattern_dealer, &zu_pattern_router, &zu_pattern_req,
    &zu_pattern_rep,  &zu_pattern_pub,  &zu_pattern_sub,    &zu_pattern_xpub,   &zu_pattern_xsub,   &zu_pattern_stream,
};

static const struct zu_pattern_ops *pattern_find(unsigned type)
{
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        if (patterns[i]->type == type)
            return patterns[i];
    }
    return NULL;
}

/* With a descriptor given out, somebody may sleep on it outside, whom no flag tells of. A step looks itself at its end. */
static void drive_wake(struct zu_socket *socket, struct zu_drive *drive)
{
    struct zu_shard *shard = &drive->shard;
    if (atomic_load_explicit(&socket->event_fd, memory_order_seq_cst) < 0)
        zu_shard_wake(shard);
    else if (!zu_shard_is_here(shard))
        shard->driver->ops->wake(shard->driver);
}

static void socket_wake(struct zu_mailbox *box)
{
    struct zu_socket *socket = zu_container_of(box, struct zu_socket, box);
    struct zu_drive *drive = atomic_load_explicit(&socket->drive, memory_order_seq_cst);
    if (drive) {
        drive_wake(socket, drive);
        return;
    }
    /* seq_cst: behind the post's exchange on the box; pairs with the user's "asleep, then look". */
    bool sleeps = atomic_load_explicit(&socket->asleep, memory_order_seq_cst) &&
                  atomic_exchange_explicit(&socket->asleep, 0, memory_order_seq_cst);
    int fd = atomic_load_explicit(&socket->event_fd, memory_order_seq_cst);
    if (sleeps) {
        zu_near_woke(atomic_load_explicit(&socket->ran_on, memory_order_relaxed));
        zu_futex_wake(&socket->asleep);
    }
    if (fd >= 0)
        eventfd_write(fd, 1);
}

static void socket_release(struct zu_mailbox *box)
{
    struct zu_socket *socket = zu_container_of(box, struct zu_socket, box);
    struct zu_context *context = socket->context;
    int fd = atomic_load_explicit(&socket->event_fd, memory_order_relaxed);
    struct zu_drive *drive = atomic_load_explicit(&socket->drive, memory_order_relaxed);
    zu_monitor_fini(&socket->monitor); /* here: what was bound or connected told of its end until now */
    if (drive) /* not with the close: a poster may have been about to wake its shard */
        zu_drive_unref(drive);
    else if (fd >= 0)
        close(fd);
    zu_pattern_fini(&socket->pattern);
    zu_options_fini(&socket->options);
    zu_keys_unref(socket->admission.keys);
    zu_free(socket, sizeof *socket);
    zu_context_leave(context);
}

/* --- peers --- */

static void release_if_over(struct zu_peer *peer)
{
    if (peer->in_open || peer->out_open || !peer->hung_up)
        return;
    zu_list_remove(&peer->link);
    peer->ops->release(peer);
}

static void out_end(struct zu_socket *socket, struct zu_peer *peer)
{
    if (!peer->out_open)
        return;
    peer->out_open = false;
    socket->pattern.ops->detach_out(&socket->pattern, peer);
    zu_peer_say_farewell(peer);
    zu_pipe_end(peer->out);
}

static void in_end(struct zu_socket *socket, struct zu_peer *peer)
{
    if (!peer->in_open)
        return;
    peer->in_open = false;
    socket->pattern.ops->detach_in(&socket->pattern, peer);
    zu_pipe_leave(peer->in);
}

static void hang_up(struct zu_socket *socket, struct zu_peer *peer, int linger_ms)
{
    out_end(socket, peer);
    if (peer->hung_up)
        return;
    peer->hung_up = true;
    peer->ops->hang_up(peer, linger_ms);
}

/* A socket that never receives has nothing to wait for. */
static void in_end_if_deaf(struct zu_socket *socket, struct zu_peer *peer)
{
    const struct zu_pattern_ops *ops = socket->pattern.ops;
    if (socket->deaf || (!(ops->can & ZU_POLL_IN) && !ops->hears))
        in_end(socket, peer);
}

static void on_in_ended(struct zu_peer *peer)
{
    in_end(peer->socket, peer);
    release_if_over(peer);
}

static void part(struct zu_socket *socket, struct zu_peer *peer, int linger_ms)
{
    hang_up(socket, peer, linger_ms);
    in_end_if_deaf(socket, peer);
    release_if_over(peer);
}

/* False: refused, and released if nobody else holds it. */
static bool attach(struct zu_socket *socket, struct zu_peer *peer)
{
    zu_list_append(&socket->peers, &peer->link);
    if (socket->pattern.ops->attach(&socket->pattern, peer) == 0)
        return true;
    hang_up(socket, peer, 0);
    in_end(socket, peer);
    release_if_over(peer);
    return false;
}

void zu_socket_attach(struct zu_socket *socket, struct zu_peer *peer)
{
    attach(socket, peer);
}

/* Its endpoint may have been unbound or disconnected while the note was on its way. */
static void on_attached(struct zu_peer *peer)
{
    struct zu_socket *socket = peer->socket;
    bool is_late = peer->endpoint && !zu_socket_has_endpoint(socket, peer->endpoint);
    if (attach(socket, peer) && is_late)
        part(socket, peer, socket->options.linger_ms);
}

static void on_met(struct zu_peer *peer)
{
    struct zu_socket *socket = peer->socket;
    if (socket->pattern.ops->met && (peer->in_open || peer->out_open))
        socket->pattern.ops->met(&socket->pattern, peer);
}

static void on_readable(struct zu_peer *peer)
{
    struct zu_socket *socket = peer->socket;
    if (peer->in_open)
        socket->pattern.ops->readable(&socket->pattern, peer);
}

static void on_writable(struct zu_peer *peer)
{
    struct zu_socket *socket = peer->socket;
    if (peer->out_open)
        socket->pattern.ops->writable(&socket->pattern, peer);
}

static void on_gone(struct zu_peer *peer)
{
    struct zu_socket *socket = peer->socket;
    bool is_released = !peer->in_open && !peer->out_open && peer->hung_up;
    if (is_released)
        return;
    out_end(socket, peer);
    peer->hung_up = true;
    in_end_if_deaf(socket, peer);
    release_if_over(peer);
}

static void on_part(struct zu_peer *peer)
{
    struct zu_socket *socket = peer->socket;
    part(socket, peer, socket->options.linger_ms);
}

static void on_dismiss(struct zu_peer *peer)
{
    part(peer->socket, peer, 0);
}

static const struct zu_peer_events peer_events = {
    .attached = on_attached,
    .met = on_met,
    .readable = on_readable,
    .writable = on_writable,
    .gone = on_gone,
    .part = on_part,
    .dismiss = on_dismiss,
};

const struct zu_peer_events *zu_socket_peer_events(void)
{
    return &peer_events;
}

void zu_socket_part_from(struct zu_socket *socket, const void *id)
{
    zu_list_each(link, after, &socket->peers)
    {
        struct zu_peer *peer = zu_container_of(link, struct zu_peer, link);
        if (peer->endpoint == id)
            part(socket, peer, socket->options.linger_ms);
    }
}

void zu_socket_apply_hwm(struct zu_socket *socket)
{
    uint64_t out_hwm = (uint64_t)socket->options.send_hwm, in_hwm = (uint64_t)socket->options.recv_hwm;
    zu_list_each(link, after, &socket->peers)
    {
        struct zu_peer *peer = zu_container_of(link, struct zu_peer, link);
        bool is_inproc = zu_inproc_set_hwm(peer, out_hwm, in_hwm);
        if (!is_inproc && peer->out_open)
            zu_pipe_writer_set_hwm(peer->out, out_hwm);
        if (!is_inproc && peer->in_open)
            zu_pipe_set_hwm(peer->in, in_hwm);
        on_writable(peer);
    }
}

size_t zu_socket_count(struct zu_socket *socket, struct zu_peer_counts *ret_counts, size_t room)
{
    size_t count = 0;
    zu_list_each(link, after, &socket->peers)
    {
        struct zu_peer *peer = zu_container_of(link, struct zu_peer, link);
        if (count < room) {
            struct zu_pipe_counts none = {0};
            ret_counts[count].out = peer->out_open ? zu_pipe_count(peer->out) : none;
            ret_counts[count].out.accepted += peer->out_dropped;
            ret_counts[count].out.dropped += peer->out_dropped;
            ret_counts[count].in = peer->in_open ? zu_pipe_count(peer->in) : none;
        }
        count++;
    }
    return count;
}

/* --- life --- */

static void run_stop(struct zu_note *note)
{
    struct zu_socket *socket = zu_container_of(note, struct zu_socket, stop);
    atomic_store_explicit(&socket->state, ZU_SOCKET_STOPPED, memory_order_relaxed);
}

int zu_socket_new(struct zu_context *context, unsigned type, struct zu_socket **ret_socket)
{
    const struct zu_pattern_ops *ops = pattern_find(type);
    if (!ops)
        return -EINVAL;
    struct zu_socket *socket = zu_alloc_lines(sizeof *socket);
    if (!socket)
        return -ENOMEM;
    memset(socket, 0, sizeof *socket);
    int err = zu_pattern_init(&socket->pattern, ops, &socket->options.pattern, on_in_ended);
    zu_mailbox_init(&socket->box, socket_wake, socket_release);
    atomic_init(&socket->event_fd, -1);
    socket->context = context;
    socket->type = type;
    zu_list_init(&socket->peers);
    zu_list_init(&socket->endpoints);
    zu_list_init(&socket->watches);
    socket->stop.run = run_stop;
    zu_monitor_init(&socket->monitor);
    if (!err)
        err = zu_context_enter(context, &socket->link);
    if (err) {
        zu_monitor_fini(&socket->monitor);
        zu_pattern_fini(&socket->pattern);
        zu_free(socket, sizeof *socket);
        return err;
    }
    zu_options_init(&socket->options, type, &context->options);
    socket->spinner.budget_ns = context->spin_ns;
    socket->tag = ZU_SOCKET_TAG;
    *ret_socket = socket;
    return 0;
}

void zu_socket_stop(struct zu_socket *socket)
{
    zu_mailbox_post(&socket->box, &socket->stop);
}

void zu_socket_forked(struct zu_socket *socket)
{
    atomic_store_explicit(&socket->state, ZU_SOCKET_FORKED, memory_order_relaxed);
    /* What it drives is the parent's: descriptors, and an epoll set that both see. */
    atomic_store_explicit(&socket->drive, NULL, memory_order_relaxed);
    socket->ways = 0;
}

static void drain_event_fd(struct zu_socket *socket)
{
    int fd = atomic_load_explicit(&socket->event_fd, memory_order_relaxed);
    if (fd < 0 || zu_socket_has_drive(socket)) /* whose step has drained it */
        return;
    int saved = errno; /* that of a call which succeeds stays as it was */
    eventfd_t count;
    eventfd_read(fd, &count);
    errno = saved;
}

int zu_socket_check(struct zu_socket *socket)
{
    unsigned state = atomic_load_explicit(&socket->state, memory_order_relaxed);
    if (state == ZU_SOCKET_FORKED)
        return -ZU_ETERM;
    if (state == ZU_SOCKET_WATCHED) {
        zu_poller_touch(socket);
        if (!zu_mailbox_has_notes(&socket->box))
            return 0;
    }
    if (socket->answers) /* else no shard is to come near */
        atomic_store_explicit(&socket->ran_on, sched_getcpu(), memory_order_relaxed);
    drain_event_fd(socket); /* before the box: a note that comes between is signalled again */
    zu_mailbox_run(&socket->box);
    return atomic_load_explicit(&socket->state, memory_order_relaxed) == ZU_SOCKET_STOPPED ? -ZU_ETERM : 0;
}

int zu_socket_refresh(struct zu_socket *socket)
{
    struct zu_drive *drive = zu_socket_has_drive(socket);
    if (drive)
        zu_drive_refresh(drive);
    return zu_socket_check(socket);
}

int zu_socket_drive(struct zu_socket *socket, struct zu_drive **ret_drive)
{
    struct zu_drive *drive = zu_socket_has_drive(socket);
    if (!drive) {
        struct zu_drive_limits limits = zu_context_drive_limits(socket->context);
        int err = zu_drive_new(&socket->context->keeper, &limits, &socket->box, &drive);
        if (err)
            return err;
        /* seq_cst: a poster that did not see it had posted before this thread's next look at the box. */
        atomic_store_explicit(&socket->drive, drive, memory_order_seq_cst);
        socket->ways |= ZU_SEND_DRIVES;
    }
    *ret_drive = drive;
    return 0;
}

/* In a child of a fork nothing behind the socket runs: its memory stays, as does the parent's view of the peers. */
static bool close_forked(struct zu_socket *socket)
{
    if (atomic_load_explicit(&socket->state, memory_order_relaxed) != ZU_SOCKET_FORKED)
        return false;
    socket->tag = 0;
    return true;
}

void zu_socket_close(struct zu_socket *socket)
{
    if (close_forked(socket))
        return;
    socket->tag = 0;
    zu_context_closing(socket->context, &socket->link);
    zu_poller_forget(socket);
    zu_socket_forget_all(socket); /* frees names and listeners; peers that come now are refused by the box */
    zu_list_each(link, after, &socket->peers)
    {
        struct zu_peer *peer = zu_container_of(link, struct zu_peer, link);
        hang_up(socket, peer, socket->options.linger_ms);
        in_end(socket, peer);
        release_if_over(peer);
    }
    zu_options_wipe(&socket->options);
    zu_monitor_tend(&socket->monitor); /* it may have been its own listener */
    struct zu_drive *drive = zu_socket_has_drive(socket);
    if (drive)
        zu_drive_release(drive);
    zu_mailbox_unref(&socket->box);
}
