/* SPDX-License-Identifier: MIT */
/*
 * XSUB (RFC 29): a SUB without a filter, whose subscriptions are sent as messages: the octet 1 or 0 and the prefix. What
 * else it sends goes to all publishers, or is lost by those whose pipes are full. A subscription is a message's only frame
 * as a rule; one among other frames travels among them, and is told by record to those who lose that message.
 */
#include "flow/upstream.h"

#include <errno.h>

static const void *data_of(const struct zu_part *part)
{
    return part->msg ? zu_msg_data(part->msg) : part->data;
}

static int send_alone(struct zu_pattern *pattern, struct zu_part *part, const struct zu_subscription *subscription)
{
    bool always = subscription->on || pattern->options->xsub_verbose_unsub;
    int err = zu_upstream_change(pattern->own, subscription, always);
    if (!err)
        zu_part_drop(part);
    return err;
}

/* What can fail goes first: a frame that was refused has neither counted nor been lost by anybody. */
static int send_among(struct zu_upstream *upstream, struct zu_part *part, bool first,
                      const struct zu_subscription *request)
{
    struct zu_part *own = part;
    struct zu_fan_body body;
    if (first)
        zu_upstream_choose(upstream);
    int err = first || request ? zu_fan_own_body(&upstream->chosen, &own, &body) : 0;
    if (!err && request)
        err = zu_upstream_change_within(upstream, request, first);
    else if (!err && first)
        zu_fan_admit_chosen(&upstream->chosen);
    if (!err)
        err = zu_fan_write(&upstream->chosen, own);
    if (!err && upstream->told_within)
        zu_upstream_lost_within(upstream);
    if (!err)
        return 0;
    if (own != part)
        zu_part_drop(own);
    if (first)
        zu_fan_clear(&upstream->chosen);
    return err;
}

static int send(struct zu_pattern *pattern, struct zu_part *part)
{
    struct zu_upstream *upstream = pattern->own;
    struct zu_subscription subscription;
    bool first = !upstream->inside;
    bool is_request = (first || upstream->heeds) && zu_subscription_of_frame(data_of(part), part->size, &subscription);
    if (first && is_request && !part->more)
        return send_alone(pattern, part, &subscription);
    int err = send_among(upstream, part, first, is_request ? &subscription : NULL);
    if (err)
        return err;
    upstream->heeds = is_request || (first ? !pattern->options->only_first_subscribe : upstream->heeds);
    upstream->inside = part->more;
    return 0;
}

static unsigned poll(struct zu_pattern *pattern)
{
    struct zu_view view;
    return ZU_POLL_OUT | (zu_upstream_peek(pattern, &view) == 0 ? ZU_POLL_IN : 0u);
}

const struct zu_pattern_ops zu_pattern_xsub = {
    .type = 10,
    .name = "XSUB",
    .can = ZU_POLL_IN | ZU_POLL_OUT,
    .starts_over = true,
    .init = zu_upstream_init,
    .fini = zu_upstream_fini,
    .attach = zu_upstream_attach,
    .met = zu_upstream_met,
    .detach_in = zu_upstream_detach_in,
    .detach_out = zu_upstream_detach_out,
    .readable = zu_pattern_readable_fair,
    .writable = zu_upstream_writable,
    .send = send,
    .rest = zu_upstream_rest,
    .peek = zu_upstream_peek,
    .poll = poll,
    .topics = zu_upstream_topics,
};
