/* SPDX-License-Identifier: MIT */
/* PUB (RFC 29): messages go to all who subscribed to how they begin. It never receives; what is no subscription is dropped. */
#include "flow/publisher.h"

#include <errno.h>

#include "mem/alloc.h"

/* In manual mode the application is to decide, which cannot hear of it: nobody gets anything, as in libzmq. */
static void requested(struct zu_publisher *publisher, struct zu_subscriber *subscriber,
                      const struct zu_subscription *subscription)
{
    unsigned touched;
    if (!publisher->pattern->options->xpub_manual)
        zu_publisher_apply(&publisher->topics, &subscriber->topics, subscription, &touched);
}

static const struct zu_publisher_ops ops = {.requested = requested};

static int init(struct zu_pattern *pattern)
{
    struct zu_publisher *publisher = zu_alloc(sizeof *publisher);
    if (!publisher)
        return -ENOMEM;
    zu_publisher_init(publisher, pattern, &ops);
    pattern->own = publisher;
    return 0;
}

static void fini(struct zu_pattern *pattern)
{
    if (pattern->own)
        zu_free(pattern->own, sizeof(struct zu_publisher));
}

static unsigned poll(struct zu_pattern *pattern)
{
    (void)pattern;
    return ZU_POLL_OUT;
}

/* In manual mode it is allowed, and touches nobody. */
static int subscribe(struct zu_pattern *pattern, const void *prefix, size_t size, bool on)
{
    (void)pattern;
    (void)prefix;
    (void)size;
    (void)on;
    return 0;
}

const struct zu_pattern_ops zu_pattern_pub = {
    .type = 1,
    .name = "PUB",
    .can = ZU_POLL_OUT,
    .hears = true,
    .is_subscribed_to = true,
    .connects_once = true,
    .init = init,
    .fini = fini,
    .attach = zu_publisher_attach,
    .detach_in = zu_publisher_detach_in,
    .detach_out = zu_publisher_detach_out,
    .readable = zu_publisher_readable,
    .writable = zu_publisher_writable,
    .send = zu_publisher_send,
    .rest = zu_publisher_rest,
    .take_back = zu_publisher_take_back,
    .peek = zu_pattern_peek_refused,
    .poll = poll,
    .subscribe = subscribe,
    .topics = zu_publisher_topics,
};
