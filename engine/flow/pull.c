/* SPDX-License-Identifier: MIT */
/* PULL (RFC 30): messages come from the peers in turn; with none, the receiver waits. It never sends. */
#include "flow/pattern.h"

static int attach(struct zu_pattern *pattern, struct zu_peer *peer)
{
    zu_fair_add(&pattern->in, peer);
    return 0;
}

const struct zu_pattern_ops zu_pattern_pull = {
    .type = 7,
    .name = "PULL",
    .can = ZU_POLL_IN,
    .attach = attach,
    .detach_in = zu_pattern_detach_in_fair,
    .detach_out = zu_pattern_ignore,
    .readable = zu_pattern_readable_fair,
    .writable = zu_pattern_ignore,
    .send = zu_pattern_send_refused,
    .peek = zu_pattern_peek_fair,
    .poll = zu_pattern_poll_in,
};
