/* SPDX-License-Identifier: MIT */
/* A socket's peers for tests: the near side is a balance, a fair queue or a pattern; the far side is the test itself. */
#ifndef ZU_TESTS_PEERS_H
#define ZU_TESTS_PEERS_H

#include "flow.h"
#include "flow/pattern.h"

static struct zu_mailbox near_box, far_box;
static struct zu_pattern pattern;
static unsigned ended_count;       /* calls of on_ended */
static struct zu_peer *ended_last; /* what the last one was about */

static inline void no_wake(struct zu_mailbox *box)
{
    (void)box;
}

static inline void on_peer_readable(struct zu_peer *peer)
{
    if (peer->in_open)
        pattern.ops->readable(&pattern, peer);
}

static inline void on_peer_writable(struct zu_peer *peer)
{
    if (peer->out_open)
        pattern.ops->writable(&pattern, peer);
}

static struct zu_pattern_options pattern_options; /* the socket's to be */

static const struct zu_peer_events near_events = {.readable = on_peer_readable, .writable = on_peer_writable};

static inline void on_ended(struct zu_peer *peer)
{
    ended_count++;
    ended_last = peer;
}

static inline void peers_begin(const struct zu_pattern_ops *ops)
{
    zu_mailbox_init(&near_box, no_wake, NULL);
    zu_mailbox_init(&far_box, no_wake, NULL);
    zu_pattern_init(&pattern, ops, &pattern_options, on_ended);
}

static inline struct zu_peer *peer_make(uint64_t out_hwm, uint64_t in_hwm)
{
    struct zu_peer *peer = zu_peer_new(out_hwm, in_hwm);
    zu_peer_set_near(peer, &pattern, &near_events, &near_box);
    static const struct zu_peer_ops nobody;
    peer->ops = &nobody;
    /* Its far side has left, as far as the notes know: they run for nothing. */
    zu_pipe_set_reader(peer->out, &far_box, &peer->far_readable);
    zu_pipe_set_writer(peer->in, &far_box, &peer->far_writable);
    return peer;
}

/* The near side lets go of what it still has. */
static inline void near_close(struct zu_peer *peer)
{
    if (peer->out_open) {
        peer->out_open = false;
        pattern.ops->detach_out(&pattern, peer);
        zu_pipe_end(peer->out);
    }
    if (peer->in_open) {
        peer->in_open = false;
        pattern.ops->detach_in(&pattern, peer);
        zu_pipe_leave(peer->in);
    }
}

static inline void peer_end(struct zu_peer *peer)
{
    near_close(peer);
    zu_pipe_end(peer->in);
    zu_pipe_leave(peer->out);
    zu_mailbox_run(&near_box);
    zu_mailbox_run(&far_box);
    zu_peer_unref(peer);
    zu_peer_unref(peer);
}

/* One frame from the far end of `out`: its number and whether more follow; an error when there is none. */
static inline int far_take(struct zu_peer *peer, uint64_t *ret_n, bool *ret_more)
{
    struct zu_view view;
    int err = zu_pipe_peek(peer->out, &view);
    if (err)
        return err;
    memcpy(ret_n, view.data, sizeof *ret_n);
    *ret_more = view.flags & ZU_FRAME_MORE;
    zu_pipe_pop(peer->out, &view);
    return 0;
}

static inline void far_give(struct zu_peer *peer, uint64_t n, bool more)
{
    zu_pipe_write(peer->in, &n, sizeof n, more);
}

static inline int near_send(uint64_t n, bool more)
{
    struct zu_part part = {.data = &n, .size = sizeof n, .more = more};
    return pattern.ops->send(&pattern, &part);
}

static inline int near_take(uint64_t *ret_n, bool *ret_more)
{
    struct zu_view view;
    int err = pattern.ops->peek(&pattern, &view);
    if (err)
        return err;
    memcpy(ret_n, view.data, sizeof *ret_n);
    *ret_more = view.flags & ZU_FRAME_MORE;
    zu_pipe_pop(view.pipe, &view);
    zu_pattern_taken(&pattern, view.flags);
    return 0;
}

#endif
