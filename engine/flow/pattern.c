/* SPDX-License-Identifier: MIT */
/* The slots that several socket types share. Each does one thing to the balance or the fair queue; they fail as those do. */
#include "flow/pattern.h"

#include <errno.h>

int zu_pattern_init(struct zu_pattern *pattern, const struct zu_pattern_ops *ops,
                    const struct zu_pattern_options *options, void (*in_ended)(struct zu_peer *))
{
    pattern->ops = ops;
    zu_balance_init(&pattern->out);
    zu_fair_init(&pattern->in);
    pattern->only = NULL;
    pattern->own = NULL;
    pattern->options = options;
    pattern->in_ended = in_ended;
    return ops->init ? ops->init(pattern) : 0;
}

void zu_pattern_fini(struct zu_pattern *pattern)
{
    if (pattern->ops->fini)
        pattern->ops->fini(pattern);
}

void zu_pattern_probe(struct zu_pattern *pattern, struct zu_peer *peer)
{
    if (pattern->options->probe_router)
        (void)zu_pipe_write(peer->out, NULL, 0, false); /* without memory there is none */
}

int zu_pattern_attach_dealing(struct zu_pattern *pattern, struct zu_peer *peer)
{
    zu_pattern_probe(pattern, peer);
    zu_balance_add(&pattern->out, peer);
    zu_fair_add(&pattern->in, peer);
    return 0;
}

int zu_pattern_send_balanced(struct zu_pattern *pattern, struct zu_part *part)
{
    return zu_balance_send(&pattern->out, part);
}

int zu_pattern_peek_fair(struct zu_pattern *pattern, struct zu_view *ret_view)
{
    return zu_fair_peek(&pattern->in, ret_view, pattern->in_ended);
}

void zu_pattern_detach_in_fair(struct zu_pattern *pattern, struct zu_peer *peer)
{
    zu_fair_remove(&pattern->in, peer);
}

void zu_pattern_detach_out_balanced(struct zu_pattern *pattern, struct zu_peer *peer)
{
    zu_balance_remove(&pattern->out, peer);
}

void zu_pattern_readable_fair(struct zu_pattern *pattern, struct zu_peer *peer)
{
    zu_fair_add(&pattern->in, peer);
}

void zu_pattern_writable_balanced(struct zu_pattern *pattern, struct zu_peer *peer)
{
    zu_balance_add(&pattern->out, peer);
}

int zu_pattern_send_refused(struct zu_pattern *pattern, struct zu_part *part)
{
    (void)pattern;
    (void)part;
    return -ENOTSUP;
}

int zu_pattern_peek_refused(struct zu_pattern *pattern, struct zu_view *ret_view)
{
    (void)pattern;
    (void)ret_view;
    return -ENOTSUP;
}

unsigned zu_pattern_poll_in(struct zu_pattern *pattern)
{
    struct zu_view view;
    return zu_pattern_peek_fair(pattern, &view) == 0 ? ZU_POLL_IN : 0;
}

unsigned zu_pattern_poll_out(struct zu_pattern *pattern)
{
    return zu_balance_has_room(&pattern->out) ? ZU_POLL_OUT : 0;
}

unsigned zu_pattern_poll_both(struct zu_pattern *pattern)
{
    return zu_pattern_poll_in(pattern) | zu_pattern_poll_out(pattern);
}

void zu_pattern_ignore(struct zu_pattern *pattern, struct zu_peer *peer)
{
    (void)pattern;
    (void)peer;
}
