/* SPDX-License-Identifier: MIT */
/*
 * SUB (RFC 29): messages come from the publishers in turn, and those that begin with no prefix of the set are passed over:
 * a publisher may send what was just cancelled, and some cannot filter. It never sends but subscriptions.
 */
#include "flow/upstream.h"

static int subscribe(struct zu_pattern *pattern, const void *prefix, size_t size, bool on)
{
    struct zu_subscription subscription = {.prefix = prefix, .size = size, .on = on};
    return zu_upstream_change(pattern->own, &subscription, false);
}

/* Past what is left of the message that begins with the viewed frame. */
static ZU_COLD void skip(struct zu_pattern *pattern, struct zu_view *view)
{
    unsigned flags;
    do {
        flags = view->flags;
        zu_pipe_pop(view->pipe, view);
    } while ((flags & ZU_FRAME_MORE) && zu_pipe_peek(view->pipe, view) == 0);
    zu_fair_taken(&pattern->in, 0);
}

static bool is_wanted(const struct zu_upstream *upstream, bool inverts, const struct zu_view *view)
{
    bool matches = upstream->topics.empty || zu_topics_matches(&upstream->topics, view->data, view->size);
    return matches != inverts;
}

static ZU_HOT int peek(struct zu_pattern *pattern, struct zu_view *ret_view)
{
    struct zu_upstream *upstream = pattern->own;
    for (;;) {
        int err = zu_upstream_peek_fair(pattern, ret_view);
        if (err)
            return err;
        struct zu_peer *peer = zu_container_of(pattern->in.turn, struct zu_peer, in_link);
        if (upstream->accepted == peer)
            return 0;
        if (zu_likely(is_wanted(upstream, pattern->options->invert_matching, ret_view))) {
            upstream->accepted = peer;
            return 0;
        }
        skip(pattern, ret_view);
    }
}

static void taken(struct zu_pattern *pattern, unsigned flags)
{
    struct zu_upstream *upstream = pattern->own;
    if (!(flags & ZU_FRAME_MORE))
        upstream->accepted = NULL;
    zu_fair_taken(&pattern->in, flags);
}

static unsigned poll(struct zu_pattern *pattern)
{
    struct zu_view view;
    return peek(pattern, &view) == 0 ? ZU_POLL_IN : 0;
}

const struct zu_pattern_ops zu_pattern_sub = {
    .type = 2,
    .name = "SUB",
    .can = ZU_POLL_IN,
    .starts_over = true,
    .connects_once = true,
    .init = zu_upstream_init,
    .fini = zu_upstream_fini,
    .attach = zu_upstream_attach,
    .met = zu_upstream_met,
    .detach_in = zu_upstream_detach_in,
    .detach_out = zu_upstream_detach_out,
    .readable = zu_pattern_readable_fair,
    .writable = zu_upstream_writable,
    .send = zu_pattern_send_refused,
    .peek = peek,
    .taken = taken,
    .poll = poll,
    .subscribe = subscribe,
    .topics = zu_upstream_topics,
};
