/* SPDX-License-Identifier: MIT */
/* PUSH (RFC 30): messages go to the peers in turn; with none that has room, the sender waits. It never receives. */
#include "flow/pattern.h"

static int attach(struct zu_pattern *pattern, struct zu_peer *peer)
{
    zu_balance_add(&pattern->out, peer);
    return 0;
}

const struct zu_pattern_ops zu_pattern_push = {
    .type = 8,
    .name = "PUSH",
    .can = ZU_POLL_OUT,
    .attach = attach,
    .detach_in = zu_pattern_ignore,
    .detach_out = zu_pattern_detach_out_balanced,
    .readable = zu_pattern_ignore,
    .writable = zu_pattern_writable_balanced,
    .send = zu_pattern_send_balanced,
    .peek = zu_pattern_peek_refused,
    .poll = zu_pattern_poll_out,
};
