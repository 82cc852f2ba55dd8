/* SPDX-License-Identifier: MIT */
/*
 * DEALER (RFC 28): messages go to the peers in turn and come from them in turn, as they are. With none that has room the
 * sender waits, with none that has sent the receiver.
 */
#include "flow/pattern.h"

const struct zu_pattern_ops zu_pattern_dealer = {
    .type = 5,
    .name = "DEALER",
    .can = ZU_POLL_IN | ZU_POLL_OUT,
    .connects_once = true,
    .attach = zu_pattern_attach_dealing,
    .detach_in = zu_pattern_detach_in_fair,
    .detach_out = zu_pattern_detach_out_balanced,
    .readable = zu_pattern_readable_fair,
    .writable = zu_pattern_writable_balanced,
    .send = zu_pattern_send_balanced,
    .peek = zu_pattern_peek_fair,
    .poll = zu_pattern_poll_both,
};
