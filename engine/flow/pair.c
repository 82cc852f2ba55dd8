/* SPDX-License-Identifier: MIT */
/* PAIR (RFC 31): one peer at a time, both ways. A second one is refused while the first is there. */
#include "flow/pattern.h"

#include <errno.h>

static int attach(struct zu_pattern *pattern, struct zu_peer *peer)
{
    if (pattern->only)
        return -EBUSY;
    pattern->only = peer;
    zu_balance_add(&pattern->out, peer);
    zu_fair_add(&pattern->in, peer);
    return 0;
}

/* The next peer may come as soon as this one cannot be written to; what it had sent can still be read. */
static void detach_out(struct zu_pattern *pattern, struct zu_peer *peer)
{
    zu_balance_remove(&pattern->out, peer);
    if (pattern->only == peer)
        pattern->only = NULL;
}

const struct zu_pattern_ops zu_pattern_pair = {
    .type = 0,
    .name = "PAIR",
    .can = ZU_POLL_IN | ZU_POLL_OUT,
    .attach = attach,
    .detach_in = zu_pattern_detach_in_fair,
    .detach_out = detach_out,
    .readable = zu_pattern_readable_fair,
    .writable = zu_pattern_writable_balanced,
    .send = zu_pattern_send_balanced,
    .peek = zu_pattern_peek_fair,
    .poll = zu_pattern_poll_both,
};
