/* SPDX-License-Identifier: MIT */
/*
 * REQ (RFC 28): a request to the next peer with room, then its reply, then the next request. On the wire an empty frame
 * goes before the body, and with CORRELATE a number before that. What other peers send, and what does not begin as the
 * reply must, is passed over whole; what had come before a request is thrown away. Out of turn it is -ZU_EFSM, except that
 * with RELAXED a request may replace the last one. When the peer asked is gone, anybody's reply will do, as in libzmq.
 */
#include "flow/pattern.h"

#include <errno.h>
#include <sys/random.h>

#include "base/error.h"
#include "mem/alloc.h"

/* What the next frame to write is. */
enum step { NUMBER, BOTTOM, BODY };

/* The socket's thread. */
struct req {
    struct zu_peer *asked; /* whose reply is awaited; NULL: anybody's */
    uint32_t number;       /* of the last request; in this machine's order on the wire */
    uint8_t step;          /* enum step */
    bool awaiting;         /* a request has gone out whole */
    bool inside;           /* its reply's body is being read */
};

static int init(struct zu_pattern *pattern)
{
    struct req *req = pattern->own = zu_alloc_zero(sizeof *req);
    if (!req)
        return -ENOMEM;
    if (getrandom(&req->number, sizeof req->number, GRND_NONBLOCK) < 0)
        req->number = (uint32_t)(uintptr_t)req;
    return 0;
}

static void fini(struct zu_pattern *pattern)
{
    if (pattern->own)
        zu_free(pattern->own, sizeof(struct req));
}

static void detach_in(struct zu_pattern *pattern, struct zu_peer *peer)
{
    struct req *req = pattern->own;
    if (req->asked == peer)
        req->asked = NULL;
    zu_pattern_detach_in_fair(pattern, peer);
}

static void throw_away(struct zu_pattern *pattern)
{
    struct zu_view view;
    while (zu_pattern_peek_fair(pattern, &view) == 0)
        zu_fair_skip(&pattern->in, &view);
}

/* The frames before the body; the first one of them decides who is asked. What is written stays so when memory lacks. */
static int send_envelope(struct zu_pattern *pattern, bool waits)
{
    struct req *req = pattern->own;
    int err = 0;
    if (req->step == NUMBER && pattern->options->req_correlate) {
        uint32_t number = req->number + 1;
        struct zu_part part = {.data = &number, .size = sizeof number, .more = true, .waits = waits};
        err = zu_balance_send(&pattern->out, &part);
        if (err)
            return err;
        req->number = number;
        req->step = BOTTOM;
    }
    struct zu_part part = {.more = true, .waits = waits};
    err = zu_balance_send(&pattern->out, &part);
    if (err)
        return err;
    req->step = BODY;
    req->asked = pattern->out.inside;
    throw_away(pattern);
    return 0;
}

static int send(struct zu_pattern *pattern, struct zu_part *part)
{
    struct req *req = pattern->own;
    if (req->awaiting && !pattern->options->req_relaxed)
        return -ZU_EFSM;
    int err = req->step == BODY ? 0 : send_envelope(pattern, part->waits);
    if (err)
        return err;
    if (req->awaiting) {
        req->awaiting = false;
        req->inside = false;
    }
    bool more = part->more;
    err = zu_balance_send(&pattern->out, part);
    if (err || more)
        return err;
    req->step = NUMBER;
    req->awaiting = true;
    return 0;
}

/* Passes the frames before the body when they are right. `view` is the message's first frame, then the last looked at. */
static bool pass_envelope(struct zu_pattern *pattern, struct zu_view *view)
{
    const struct req *req = pattern->own;
    struct zu_pipe *pipe = view->pipe;
    if (pattern->options->req_correlate) {
        if (!(view->flags & ZU_FRAME_MORE) || view->size != sizeof req->number ||
            memcmp(view->data, &req->number, sizeof req->number) != 0)
            return false;
        zu_pipe_pop(pipe, view);
        zu_pipe_peek(pipe, view);
    }
    if (!(view->flags & ZU_FRAME_MORE) || view->size)
        return false;
    zu_pipe_pop(pipe, view);
    return true;
}

static int peek(struct zu_pattern *pattern, struct zu_view *ret_view)
{
    struct req *req = pattern->own;
    if (!req->awaiting)
        return -ZU_EFSM;
    while (!req->inside) {
        int err = zu_pattern_peek_fair(pattern, ret_view);
        if (err)
            return err;
        bool is_asked = !req->asked || req->asked == zu_fair_peer(&pattern->in);
        if (is_asked && pass_envelope(pattern, ret_view))
            req->inside = true;
        else
            zu_fair_skip(&pattern->in, ret_view);
    }
    return zu_pattern_peek_fair(pattern, ret_view);
}

static void taken(struct zu_pattern *pattern, unsigned flags)
{
    struct req *req = pattern->own;
    req->inside = req->awaiting = flags & ZU_FRAME_MORE;
    zu_fair_taken(&pattern->in, flags);
}

static unsigned poll(struct zu_pattern *pattern)
{
    const struct req *req = pattern->own;
    struct zu_view view;
    unsigned in = peek(pattern, &view) == 0 ? ZU_POLL_IN : 0;
    return req->awaiting && !pattern->options->req_relaxed ? in : in | zu_pattern_poll_out(pattern);
}

const struct zu_pattern_ops zu_pattern_req = {
    .type = 3,
    .name = "REQ",
    .can = ZU_POLL_IN | ZU_POLL_OUT,
    .connects_once = true,
    .init = init,
    .fini = fini,
    .attach = zu_pattern_attach_dealing,
    .detach_in = detach_in,
    .detach_out = zu_pattern_detach_out_balanced,
    .readable = zu_pattern_readable_fair,
    .writable = zu_pattern_writable_balanced,
    .send = send,
    .peek = peek,
    .taken = taken,
    .poll = poll,
};
