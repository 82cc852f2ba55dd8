/* SPDX-License-Identifier: MIT */
/*
 * A peer is made with its pipes, attached to a socket, and goes when both sides have let go. Making one fails only for
 * want of memory. A socket that has closed refuses the last note; the far side then just drops its reference.
 */
#include "flow/peer.h"

#include <errno.h>
#include <string.h>

#include "mem/alloc.h"

struct zu_names *zu_names_new(bool bound, const char *local, const char *remote)
{
    size_t local_size = strlen(local) + 1, remote_size = strlen(remote) + 1;
    size_t size = sizeof(struct zu_names) + local_size + remote_size;
    struct zu_names *names = zu_alloc(size);
    if (!names)
        return NULL;
    char *text = (char *)(names + 1);
    memcpy(text, local, local_size);
    memcpy(text + local_size, remote, remote_size);
    *names = (struct zu_names){.local = text, .remote = text + local_size, .bound = bound, .size = size};
    return names;
}

void zu_names_free(struct zu_names *names)
{
    if (names)
        zu_free(names, names->size);
}

void zu_peer_rename(struct zu_peer *peer, struct zu_names *names)
{
    /* acq_rel: what one side wrote there or read happens before the other one reads or frees it. */
    zu_names_free(atomic_exchange_explicit(&peer->names, names, memory_order_acq_rel));
}

struct zu_names *zu_peer_names_take(struct zu_peer *peer)
{
    return atomic_exchange_explicit(&peer->names, NULL, memory_order_acq_rel); /* as in rename */
}

void zu_peer_names_give(struct zu_peer *peer, struct zu_names *names)
{
    struct zu_names *none = NULL;
    /* As in rename. Newer ones may have come. */
    if (names && !atomic_compare_exchange_strong_explicit(&peer->names, &none, names, memory_order_acq_rel,
                                                          memory_order_relaxed))
        zu_names_free(names);
}

static void run_attached(struct zu_note *note)
{
    struct zu_peer *peer = zu_container_of(note, struct zu_peer, attached);
    peer->events->attached(peer);
}

static void run_met(struct zu_note *note)
{
    struct zu_peer *peer = zu_container_of(note, struct zu_peer, met);
    /* Pairs with tell_met: cleared before the epoch is looked at. */
    atomic_exchange_explicit(&peer->met_posted, false, memory_order_acq_rel);
    peer->events->met(peer);
}

static void run_readable(struct zu_note *note)
{
    struct zu_peer *peer = zu_container_of(note, struct zu_peer, readable);
    peer->events->readable(peer);
}

static void run_writable(struct zu_note *note)
{
    struct zu_peer *peer = zu_container_of(note, struct zu_peer, writable);
    peer->events->writable(peer);
}

static void run_gone(struct zu_note *note)
{
    struct zu_peer *peer = zu_container_of(note, struct zu_peer, gone);
    peer->events->gone(peer);
    zu_peer_unref(peer);
}

static void run_far_readable(struct zu_note *note)
{
    struct zu_peer *peer = zu_container_of(note, struct zu_peer, far_readable);
    if (peer->far)
        peer->far_events->readable(peer);
}

static void run_far_wanted(struct zu_note *note)
{
    struct zu_peer *peer = zu_container_of(note, struct zu_peer, far_wanted);
    atomic_store_explicit(&peer->far_wanted_posted, false, memory_order_release); /* pairs with want_far's exchange */
    if (peer->far)
        peer->far_events->readable(peer);
}

static void run_far_writable(struct zu_note *note)
{
    struct zu_peer *peer = zu_container_of(note, struct zu_peer, far_writable);
    if (peer->far)
        peer->far_events->writable(peer);
}

static void run_far_hung_up(struct zu_note *note)
{
    struct zu_peer *peer = zu_container_of(note, struct zu_peer, far_hung_up);
    if (peer->far)
        peer->far_events->hung_up(peer, peer->linger_ms);
    zu_peer_unref(peer);
}

static void run_left(struct zu_note *note)
{
    zu_peer_unref(zu_container_of(note, struct zu_peer, left));
}

struct zu_peer *zu_peer_new_around(struct zu_pipe *out, struct zu_pipe *in)
{
    struct zu_peer *peer = zu_alloc_zero(sizeof *peer);
    if (!peer)
        return NULL;
    peer->out = out;
    peer->in = in;
    atomic_init(&peer->refs, 2);
    atomic_init(&peer->out_share, -1);
    atomic_init(&peer->in_share, -1);
    peer->attached.run = run_attached;
    peer->met.run = run_met;
    peer->readable.run = run_readable;
    peer->writable.run = run_writable;
    peer->gone.run = run_gone;
    peer->far_readable.run = run_far_readable;
    peer->far_writable.run = run_far_writable;
    peer->far_wanted.run = run_far_wanted;
    peer->far_hung_up.run = run_far_hung_up;
    peer->left.run = run_left;
    zu_list_init(&peer->link);
    zu_list_init(&peer->in_link);
    zu_list_init(&peer->out_link);
    peer->in_open = peer->out_open = true;
    return peer;
}

struct zu_peer *zu_peer_new(uint64_t out_hwm, uint64_t in_hwm)
{
    struct zu_pipe *out = zu_pipe_new(out_hwm);
    struct zu_pipe *in = out ? zu_pipe_new(in_hwm) : NULL;
    struct zu_peer *peer = in ? zu_peer_new_around(out, in) : NULL;
    if (peer)
        return peer;
    for (int end = 0; end < 2; end++) {
        if (out)
            zu_pipe_unref(out);
        if (in)
            zu_pipe_unref(in);
    }
    return NULL;
}

void zu_peer_set_near(struct zu_peer *peer, void *socket, const struct zu_peer_events *events, struct zu_mailbox *box)
{
    peer->socket = socket;
    peer->events = events;
    zu_pipe_set_reader(peer->in, box, &peer->readable);
    zu_pipe_set_writer(peer->out, box, &peer->writable);
}

void zu_peer_tell_shard(struct zu_peer *peer, int linger_ms)
{
    peer->linger_ms = linger_ms;
    atomic_fetch_add_explicit(&peer->refs, 1, memory_order_relaxed);
    if (!zu_mailbox_post(peer->far_box, &peer->far_hung_up))
        zu_peer_unref(peer);
}

void zu_peer_release_by_shard(struct zu_peer *peer)
{
    if (!zu_mailbox_post(peer->far_box, &peer->left))
        zu_peer_unref(peer);
}

void zu_peer_want_far(struct zu_peer *peer)
{
    /* acq_rel exchange: whoever turns it on alone posts; the run turns it off before it looks. */
    if (!atomic_exchange_explicit(&peer->far_wanted_posted, true, memory_order_acq_rel))
        zu_mailbox_post(peer->far_box, &peer->far_wanted);
}

ZU_COLD void zu_peer_flush(struct zu_peer *peer, uint64_t patience_ns)
{
    peer->out->w_flush_due = false;
    if (peer->ops->flush)
        peer->ops->flush(peer, patience_ns);
}

void zu_peer_rest(struct zu_peer *peer)
{
    if (peer->ops->flush && zu_pipe_waits_for_look(peer->out))
        zu_peer_flush(peer, 0);
}

ZU_COLD bool zu_peer_make_room(struct zu_peer *peer, uint64_t patience_ns)
{
    peer->out_interrupted = false;
    zu_peer_flush(peer, patience_ns);
    return zu_pipe_admits(peer->out);
}

void zu_peer_set_far(struct zu_peer *peer, void *far, const struct zu_peer_ops *ops, const struct zu_far_events *events,
                     struct zu_mailbox *box)
{
    peer->far = far;
    peer->far_events = events;
    peer->far_box = zu_mailbox_ref(box);
    peer->ops = ops;
    zu_pipe_set_reader(peer->out, box, &peer->far_readable);
    zu_pipe_set_writer(peer->in, box, &peer->far_writable);
}

static void farewell_free(struct zu_farewell *farewell)
{
    if (farewell)
        zu_free(farewell, sizeof *farewell + farewell->size);
}

void zu_peer_unref(struct zu_peer *peer)
{
    /* acq_rel: the other side's last touch happens before the memory goes. */
    if (atomic_fetch_sub_explicit(&peer->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (peer->census) /* before the box, which may be what keeps it */
        atomic_fetch_sub_explicit(peer->census, 1, memory_order_relaxed);
    if (peer->far_box)
        zu_mailbox_unref(peer->far_box);
    farewell_free(atomic_load_explicit(&peer->farewell, memory_order_relaxed));
    zu_peer_id_free(peer->own_id);
    zu_peer_id_free(peer->far_id);
    zu_names_free(atomic_load_explicit(&peer->names, memory_order_relaxed)); /* behind the count */
    zu_free(peer, sizeof *peer);
}

struct zu_peer_id *zu_peer_id_new(const void *id, size_t size)
{
    struct zu_peer_id *copy = zu_alloc(sizeof *copy + size);
    if (!copy)
        return NULL;
    copy->size = (uint8_t)size;
    memcpy(copy->bytes, id, size);
    return copy;
}

void zu_peer_id_free(struct zu_peer_id *id)
{
    if (id)
        zu_free(id, sizeof *id + id->size);
}

int zu_peer_set_far_id(struct zu_peer *peer, const void *id, size_t size)
{
    if (atomic_load_explicit(&peer->epoch, memory_order_relaxed)) /* the socket may be looking at the first one */
        return 0;
    struct zu_peer_id *far_id = size ? zu_peer_id_new(id, size) : NULL;
    if (size && !far_id)
        return -ENOMEM;
    zu_peer_id_free(peer->far_id); /* of a connection that failed before it was ready */
    peer->far_id = far_id;
    return 0;
}

int zu_peer_set_farewell(struct zu_peer *peer, const void *message, size_t size)
{
    if (!size)
        return 0;
    struct zu_farewell *farewell = zu_alloc(sizeof *farewell + size);
    if (!farewell)
        return -ENOMEM;
    farewell->size = size;
    memcpy(farewell->bytes, message, size);
    /* release: its bytes, to the acquire of whoever says it. */
    atomic_store_explicit(&peer->farewell, farewell, memory_order_release);
    return 0;
}

void zu_peer_say_farewell(struct zu_peer *peer)
{
    /* acquire: set by another socket's thread, perhaps. */
    struct zu_farewell *farewell = atomic_load_explicit(&peer->farewell, memory_order_acquire);
    if (!farewell)
        return;
    zu_pipe_roll_back(peer->out);
    (void)zu_pipe_write(peer->out, farewell->bytes, farewell->size, false); /* without memory it leaves in silence */
}

void zu_peer_tell_met(struct zu_peer *peer, struct zu_mailbox *box)
{
    atomic_fetch_add_explicit(&peer->epoch, 1, memory_order_relaxed);
    /* acq_rel: behind the epoch; whoever turns it on alone posts, and run_met turns it off first. */
    if (!atomic_exchange_explicit(&peer->met_posted, true, memory_order_acq_rel))
        zu_mailbox_post(box, &peer->met);
}

void zu_peer_tell_gone(struct zu_peer *peer, struct zu_mailbox *box)
{
    if (!zu_mailbox_post(box, &peer->gone))
        zu_peer_unref(peer);
}

void zu_peer_abandon(struct zu_peer *peer)
{
    zu_pipe_end(peer->in);
    zu_pipe_leave(peer->in);
    zu_pipe_end(peer->out);
    zu_pipe_leave(peer->out);
    zu_peer_unref(peer);
    zu_peer_unref(peer);
}
