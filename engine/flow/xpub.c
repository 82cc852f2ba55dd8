/* SPDX-License-Identifier: MIT */
/*
 * XPUB (RFC 29): a PUB that receives what its subscribers say: the octet 1 or 0 and the prefix, when the first one comes
 * or the last one goes, or more often if the options say so; and their messages. All that waits in one queue until it is
 * received. A queue of QUEUE_MAX is not added to: what comes then waits in the pipes, and at their bounds in the network;
 * only what a peer leaves behind when it goes is always said. What finds no memory is not said.
 * In manual mode the application decides: it is told everything, and what it sets concerns who said the last it received.
 */
#include "flow/publisher.h"

#include <errno.h>
#include <stdlib.h>

#include "mem/alloc.h"

/* Octets of all that was said and not yet received, and of its keeping. */
enum { QUEUE_MAX = 16 << 20 };

/* One frame to be received. */
struct saying {
    struct zu_link link;        /* in the queue */
    struct zu_link own;         /* among what `from` said */
    struct zu_subscriber *from; /* manual: whose request it is; NULL once that has gone */
    struct zu_origin *origin;   /* of the connection, one reference; NULL for none */
    bool is_request;            /* to be decided on, in manual mode */
    uint8_t flags;              /* ZU_FRAME_MORE */
    size_t size;                /* octets of it */
    uint8_t bytes[];            /* they */
};

struct xpub {
    struct zu_publisher publisher; /* first of all */
    struct zu_link queue;          /* struct saying.link */
    size_t queue_bytes;            /* of it */
    struct zu_subscriber *last;    /* manual: who made the request received last; NULL when it has gone, or nobody has */
};

static struct xpub *xpub_of(struct zu_publisher *publisher)
{
    return zu_container_of(publisher, struct xpub, publisher);
}

/* --- the queue --- */

static size_t bytes_of(const struct saying *saying)
{
    return sizeof *saying + saying->size;
}

/* The octets of `head`, if any, then `data`. NULL without memory. */
static struct saying *say(struct xpub *xpub, const uint8_t *head, const void *data, size_t size)
{
    struct saying *saying = zu_alloc_zero(sizeof *saying + (head != NULL) + size);
    if (!saying)
        return NULL;
    if (head)
        saying->bytes[0] = *head;
    if (size)
        memcpy(saying->bytes + (head != NULL), data, size);
    saying->size = (head != NULL) + size;
    zu_list_init(&saying->own);
    zu_list_append(&xpub->queue, &saying->link);
    xpub->queue_bytes += bytes_of(saying);
    return saying;
}

static void by_peer(struct saying *saying, const struct zu_subscriber *subscriber)
{
    saying->origin = zu_origin_ref(subscriber->peer->in->r_chunk->origin);
}

static void drop(struct xpub *xpub, struct saying *saying)
{
    xpub->queue_bytes -= bytes_of(saying);
    zu_list_remove(&saying->link);
    zu_list_remove(&saying->own);
    zu_origin_unref(saying->origin);
    zu_free(saying, bytes_of(saying));
}

static bool is_full(const struct zu_publisher *publisher)
{
    return zu_container_of(publisher, struct xpub, publisher)->queue_bytes >= QUEUE_MAX;
}

/* --- what subscribers say --- */

static void ask(struct xpub *xpub, struct zu_subscriber *subscriber, const struct zu_subscription *subscription)
{
    unsigned touched;
    zu_publisher_apply(&xpub->publisher.asked, &subscriber->asked, subscription, &touched);
    uint8_t on = subscription->on;
    struct saying *saying = say(xpub, &on, subscription->prefix, subscription->size);
    if (!saying)
        return;
    by_peer(saying, subscriber);
    saying->is_request = true;
    saying->from = subscriber;
    zu_list_append(&subscriber->said, &saying->own);
}

static void requested(struct zu_publisher *publisher, struct zu_subscriber *subscriber,
                      const struct zu_subscription *subscription)
{
    const struct zu_pattern_options *options = publisher->pattern->options;
    struct xpub *xpub = xpub_of(publisher);
    if (options->xpub_manual) {
        ask(xpub, subscriber, subscription);
        return;
    }
    unsigned touched = 0;
    int err = zu_publisher_apply(&publisher->topics, &subscriber->topics, subscription, &touched);
    /* Who cancels what nobody has subscribed to is heard, as in libzmq. */
    bool is_news = touched & ZU_TOPIC_ALL;
    if (err == -ENOENT)
        is_news = true;
    else if (err)
        return;
    uint8_t on = subscription->on;
    struct saying *saying = is_news || (on ? options->xpub_verbose : options->xpub_verbose_unsub)
                                ? say(xpub, &on, subscription->prefix, subscription->size)
                                : NULL;
    if (saying)
        by_peer(saying, subscriber);
}

static void told(struct zu_publisher *publisher, struct zu_subscriber *subscriber, const struct zu_view *view)
{
    struct saying *saying = say(xpub_of(publisher), NULL, view->data, view->size);
    if (!saying)
        return;
    saying->flags = view->flags & ZU_FRAME_MORE;
    by_peer(saying, subscriber);
}

/* --- what one that goes leaves behind --- */

struct leaving {
    struct xpub *xpub; /* whose */
    size_t count;      /* cancellations at the queue's end */
    bool all;          /* also those of prefixes that others have, too */
};

static void cancel(void *context, const void *prefix, size_t size, bool last_of_all, uint32_t count)
{
    (void)count;
    struct leaving *leaving = context;
    static const uint8_t off;
    if (!leaving->all && !last_of_all)
        return;
    struct saying *saying = say(leaving->xpub, &off, prefix, size);
    if (!saying)
        return;
    saying->is_request = leaving->xpub->publisher.pattern->options->xpub_manual;
    leaving->count++;
}

static int by_prefix(const void *one, const void *other)
{
    const struct saying *a = *(struct saying *const *)one, *b = *(struct saying *const *)other;
    int order = memcmp(a->bytes, b->bytes, a->size < b->size ? a->size : b->size);
    return order ? order : (a->size > b->size) - (a->size < b->size);
}

/* In the order of libzmq's tree. Without memory for it, in any. */
static void sort_tail(struct xpub *xpub, size_t count)
{
    if (count < 2)
        return;
    struct saying **tail = zu_alloc(count * sizeof *tail);
    if (!tail)
        return;
    struct zu_link *link = xpub->queue.prev;
    for (size_t i = 0; i < count; i++, link = link->prev)
        tail[i] = zu_container_of(link, struct saying, link);
    qsort(tail, count, sizeof(struct saying *), by_prefix);
    for (size_t i = 0; i < count; i++) {
        zu_list_remove(&tail[i]->link);
        zu_list_append(&xpub->queue, &tail[i]->link);
    }
    zu_free(tail, count * sizeof *tail);
}

static void left(struct zu_publisher *publisher, struct zu_subscriber *subscriber)
{
    struct xpub *xpub = xpub_of(publisher);
    const struct zu_pattern_options *options = publisher->pattern->options;
    struct leaving leaving = {.xpub = xpub, .all = options->xpub_manual || options->xpub_verbose_unsub};
    zu_list_each(link, after, &subscriber->said)
    {
        zu_container_of(link, struct saying, own)->from = NULL;
        zu_list_remove(link);
    }
    if (options->xpub_manual)
        zu_topics_remove_all(&publisher->asked, &subscriber->asked, cancel, &leaving);
    else
        zu_topics_remove_all(&publisher->topics, &subscriber->topics, cancel, &leaving);
    sort_tail(xpub, leaving.count);
    if (xpub->last == subscriber || (options->xpub_manual && leaving.count))
        xpub->last = NULL;
}

/* --- slots --- */

static const struct zu_publisher_ops ops = {.requested = requested, .told = told, .is_full = is_full, .left = left};

static int init(struct zu_pattern *pattern)
{
    struct xpub *xpub = zu_alloc_zero(sizeof *xpub);
    if (!xpub)
        return -ENOMEM;
    zu_publisher_init(&xpub->publisher, pattern, &ops);
    zu_list_init(&xpub->queue);
    pattern->own = &xpub->publisher;
    return 0;
}

static void fini(struct zu_pattern *pattern)
{
    if (!pattern->own)
        return;
    struct xpub *xpub = xpub_of(pattern->own);
    while (!zu_list_is_empty(&xpub->queue))
        drop(xpub, zu_container_of(xpub->queue.next, struct saying, link));
    zu_free(xpub, sizeof *xpub);
}

static int peek(struct zu_pattern *pattern, struct zu_view *ret_view)
{
    struct xpub *xpub = xpub_of(pattern->own);
    if (zu_list_is_empty(&xpub->queue))
        return -EAGAIN;
    struct saying *saying = zu_container_of(xpub->queue.next, struct saying, link);
    *ret_view = (struct zu_view){
        .data = saying->bytes,
        .size = saying->size,
        .flags = saying->flags,
        .kind = ZU_VIEW_MADE,
        .origin = saying->origin,
    };
    return 0;
}

static void taken(struct zu_pattern *pattern, unsigned flags)
{
    (void)flags;
    struct xpub *xpub = xpub_of(pattern->own);
    struct saying *saying = zu_container_of(xpub->queue.next, struct saying, link);
    if (saying->is_request)
        xpub->last = saying->from;
    drop(xpub, saying);
    if (xpub->queue_bytes <= QUEUE_MAX / 2)
        zu_publisher_hear_waiting(&xpub->publisher);
}

static int send(struct zu_pattern *pattern, struct zu_part *part)
{
    struct xpub *xpub = xpub_of(pattern->own);
    const struct zu_pattern_options *options = pattern->options;
    if (zu_unlikely(xpub->last) && options->xpub_manual && options->xpub_manual_last_value && !xpub->publisher.inside) {
        xpub->publisher.only = xpub->last;
        xpub->last = NULL;
    }
    return zu_publisher_send(pattern, part);
}

static unsigned poll(struct zu_pattern *pattern)
{
    return ZU_POLL_OUT | (zu_list_is_empty(&xpub_of(pattern->own)->queue) ? 0 : ZU_POLL_IN);
}

static int subscribe(struct zu_pattern *pattern, const void *prefix, size_t size, bool on)
{
    struct xpub *xpub = xpub_of(pattern->own);
    struct zu_subscription subscription = {.prefix = prefix, .size = size, .on = on};
    unsigned touched;
    if (!xpub->last)
        return 0;
    int err = zu_publisher_apply(&xpub->publisher.topics, &xpub->last->topics, &subscription, &touched);
    return err == -ENOENT ? 0 : err;
}

const struct zu_pattern_ops zu_pattern_xpub = {
    .type = 9,
    .name = "XPUB",
    .can = ZU_POLL_IN | ZU_POLL_OUT,
    .is_subscribed_to = true,
    .init = init,
    .fini = fini,
    .attach = zu_publisher_attach,
    .detach_in = zu_publisher_detach_in,
    .detach_out = zu_publisher_detach_out,
    .readable = zu_publisher_readable,
    .writable = zu_publisher_writable,
    .send = send,
    .rest = zu_publisher_rest,
    .take_back = zu_publisher_take_back,
    .peek = peek,
    .taken = taken,
    .poll = poll,
    .subscribe = subscribe,
    .topics = zu_publisher_topics,
};
