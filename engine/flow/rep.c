/* SPDX-License-Identifier: MIT */
/*
 * REP (RFC 28): a request from the peers in turn, then its reply, then the next request. The frames up to the first empty
 * one are the way back: they are kept, and go before the reply to whom the request came from. A message without an empty
 * frame is thrown away; a reply to a peer that is gone or full is dropped. Out of turn it is -ZU_EFSM.
 */
#include "flow/router.h"

#include <errno.h>

#include "base/error.h"
#include "mem/alloc.h"

/* Octets of the way back: at first, and what is kept from one request to the next. */
enum { ENVELOPE_FIRST = 256, ENVELOPE_KEPT = 4096 };

/* The socket's thread. */
struct rep {
    struct zu_router names;  /* first; its `sending`: the reply's envelope is written, or the reply dropped */
    struct zu_named *asking; /* whom the reply goes to; NULL: nobody */
    uint8_t *envelope;       /* frames, each behind its size in 8 octets; the last one is empty and not kept */
    size_t size;             /* of it */
    size_t room;             /* for it */
    bool inside;             /* the request's body is being read */
    bool replying;           /* the request has been read */
};

static int init(struct zu_pattern *pattern)
{
    pattern->own = zu_alloc_zero(sizeof(struct rep));
    return pattern->own ? zu_router_init(pattern->own) : -ENOMEM;
}

static void fini(struct zu_pattern *pattern)
{
    struct rep *rep = pattern->own;
    if (!rep)
        return;
    zu_router_fini(&rep->names);
    if (rep->envelope)
        zu_free(rep->envelope, rep->room);
    zu_free(rep, sizeof *rep);
}

static void detach_out(struct zu_pattern *pattern, struct zu_peer *peer)
{
    struct rep *rep = pattern->own;
    if (rep->asking == peer->role)
        rep->asking = NULL;
    zu_router_detach_out(pattern, peer);
}

static int envelope_reserve(struct rep *rep, size_t more)
{
    if (more <= rep->room - rep->size)
        return 0;
    size_t room = 2 * (rep->room ? rep->room : ENVELOPE_FIRST / 2);
    if (room - rep->size < more)
        room = rep->size + more;
    uint8_t *grown = rep->envelope ? zu_realloc(rep->envelope, rep->room, room) : zu_alloc(room);
    if (!grown)
        return -ENOMEM;
    rep->envelope = grown;
    rep->room = room;
    return 0;
}

/* Nobody needs it any more. */
static void envelope_end(struct rep *rep)
{
    rep->size = 0;
    if (zu_likely(rep->room <= ENVELOPE_KEPT))
        return;
    zu_free(rep->envelope, rep->room);
    rep->envelope = NULL;
    rep->room = 0;
}

static int envelope_add(struct rep *rep, const struct zu_view *view)
{
    uint64_t size = view->size;
    int err = envelope_reserve(rep, sizeof size + view->size);
    if (err)
        return err;
    memcpy(rep->envelope + rep->size, &size, sizeof size);
    memcpy(rep->envelope + rep->size + sizeof size, view->data, view->size);
    rep->size += sizeof size + view->size;
    return 0;
}

/* Keeps the way back, of which `view` is a frame. -ENOMEM: the frame is still to be passed. */
static int pass_envelope(struct zu_pattern *pattern, struct zu_view *view)
{
    struct rep *rep = pattern->own;
    bool bottom = view->size == 0;
    if (!(view->flags & ZU_FRAME_MORE)) {
        envelope_end(rep);
        zu_fair_skip(&pattern->in, view);
        return 0;
    }
    int err = bottom ? 0 : envelope_add(rep, view);
    if (err)
        return err;
    zu_pipe_pop(view->pipe, view);
    if (!bottom)
        return 0;
    struct zu_peer *peer = zu_fair_peer(&pattern->in);
    rep->asking = peer->out_open ? peer->role : NULL;
    rep->inside = true;
    return 0;
}

static int peek(struct zu_pattern *pattern, struct zu_view *ret_view)
{
    const struct rep *rep = pattern->own;
    if (rep->replying)
        return -ZU_EFSM;
    for (;;) {
        int err = zu_pattern_peek_fair(pattern, ret_view);
        if (err || rep->inside)
            return err;
        err = pass_envelope(pattern, ret_view);
        if (err)
            return err;
    }
}

static void taken(struct zu_pattern *pattern, unsigned flags)
{
    struct rep *rep = pattern->own;
    rep->inside = flags & ZU_FRAME_MORE;
    rep->replying = !rep->inside;
    zu_fair_taken(&pattern->in, flags);
}

static int write_envelope(const struct rep *rep, struct zu_pipe *out)
{
    int err = 0;
    for (size_t at = 0; at < rep->size && !err;) {
        uint64_t size;
        memcpy(&size, rep->envelope + at, sizeof size);
        err = zu_pipe_write(out, rep->envelope + at + sizeof size, size, true);
        at += sizeof size + size;
    }
    if (!err)
        err = zu_pipe_write(out, NULL, 0, true);
    if (err)
        zu_pipe_roll_back(out);
    return err;
}

static int begin_reply(struct zu_pattern *pattern)
{
    struct rep *rep = pattern->own;
    struct zu_named *to = rep->asking;
    if (zu_unlikely(!to)) {
        pattern->out.unroutable++;
    } else if (!zu_router_admits(pattern, to->peer, 0, false)) {
        to->peer->out_dropped++;
        to = NULL;
    }
    int err = to ? write_envelope(rep, to->peer->out) : 0;
    if (err)
        return err;
    envelope_end(rep);
    rep->asking = NULL;
    rep->names.out = to;
    rep->names.sending = true;
    if (to)
        rep->names.last = to;
    return 0;
}

static int send(struct zu_pattern *pattern, struct zu_part *part)
{
    struct rep *rep = pattern->own;
    if (!rep->replying)
        return -ZU_EFSM;
    int err = rep->names.sending ? 0 : begin_reply(pattern);
    if (!err)
        err = zu_router_send_on(pattern, part);
    if (!err)
        rep->replying = rep->names.sending;
    return err;
}

/* Want of memory is no reason to sleep: no pipe would wake. The receiver is told of it. */
static unsigned poll(struct zu_pattern *pattern)
{
    const struct rep *rep = pattern->own;
    struct zu_view view;
    if (rep->replying)
        return ZU_POLL_OUT;
    return peek(pattern, &view) == -EAGAIN ? 0 : ZU_POLL_IN;
}

const struct zu_pattern_ops zu_pattern_rep = {
    .type = 4,
    .name = "REP",
    .can = ZU_POLL_IN | ZU_POLL_OUT,
    .init = init,
    .fini = fini,
    .attach = zu_router_attach,
    .met = zu_router_met,
    .detach_in = zu_router_detach_in,
    .detach_out = detach_out,
    .readable = zu_router_readable,
    .writable = zu_pattern_ignore,
    .send = send,
    .rest = zu_router_rest,
    .peek = peek,
    .taken = taken,
    .poll = poll,
    .peer_state = zu_router_peer_state,
};
