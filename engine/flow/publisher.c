/* SPDX-License-Identifier: MIT */
/*
 * A message goes to all who want its first frame, and for all its frames to the same ones; who has no room loses it
 * whole, unless the options say that then nobody gets it (-EAGAIN). What subscribers say is read as soon as it is
 * there, so that their pipes stand empty. A subscription that finds no memory is ignored, as is one beyond its bound.
 */
#include "flow/publisher.h"

#include <errno.h>

#include "mem/alloc.h"

void zu_publisher_init(struct zu_publisher *publisher, struct zu_pattern *pattern, const struct zu_publisher_ops *ops)
{
    publisher->ops = ops;
    publisher->pattern = pattern;
    zu_topics_init(&publisher->topics);
    zu_topics_init(&publisher->asked);
    zu_list_init(&publisher->all);
    zu_list_init(&publisher->waiting);
    zu_list_init(&publisher->chosen);
    publisher->only = NULL;
    publisher->inside = false;
}

/* --- hearing --- */

int zu_publisher_apply(struct zu_topics *topics, struct zu_topic_subscriber *subscriber,
                       const struct zu_subscription *subscription, unsigned *ret_touched)
{
    if (!subscription->on)
        return zu_topics_remove(topics, subscription->prefix, subscription->size, subscriber, ret_touched);
    if (zu_topics_own_bytes(subscriber) + subscription->size > ZU_SUBSCRIBER_BYTES_MAX)
        return -ENOBUFS;
    int err = zu_topics_add(topics, subscription->prefix, subscription->size, subscriber, ret_touched);
    unsigned again;
    if (!err && !(*ret_touched & ZU_TOPIC_OWN)) /* the index counts, the protocol does not */
        zu_topics_remove(topics, subscription->prefix, subscription->size, subscriber, &again);
    return err;
}

static void hear_request(struct zu_publisher *publisher, struct zu_subscriber *subscriber,
                         const struct zu_subscription *subscription)
{
    if (!subscriber->out_over)
        publisher->ops->requested(publisher, subscriber, subscription);
}

static void hear_record(struct zu_publisher *publisher, struct zu_subscriber *subscriber, const struct zu_view *view)
{
    struct zu_subscription subscription;
    if (zu_subscription_of_record(view, &subscription))
        hear_request(publisher, subscriber, &subscription);
    zu_pipe_pop_record(view->pipe, view);
}

static void hear_frame(struct zu_publisher *publisher, struct zu_subscriber *subscriber, const struct zu_view *view)
{
    struct zu_subscription subscription;
    bool first = !subscriber->inside;
    bool is_request = (first || subscriber->heeds) && zu_subscription_of_frame(view->data, view->size, &subscription);
    if (first)
        subscriber->heeds = is_request || !publisher->pattern->options->only_first_subscribe;
    subscriber->inside = view->flags & ZU_FRAME_MORE;
    if (is_request)
        hear_request(publisher, subscriber, &subscription);
    else if (publisher->ops->told)
        publisher->ops->told(publisher, subscriber, view);
    zu_pipe_pop(view->pipe, view);
}

/* May end with the subscriber's end. */
static void hear(struct zu_publisher *publisher, struct zu_subscriber *subscriber)
{
    struct zu_peer *peer = subscriber->peer;
    zu_list_remove(&subscriber->waiting);
    for (;;) {
        struct zu_view view;
        int err = zu_pipe_peek_any(peer->in, &view);
        if (err == -EPIPE)
            publisher->pattern->in_ended(peer);
        if (err)
            return;
        bool in_vain = subscriber->out_over && (view.flags & ZU_FRAME_COMMAND);
        if (!in_vain && publisher->ops->is_full && publisher->ops->is_full(publisher)) {
            zu_list_append(&publisher->waiting, &subscriber->waiting);
            return;
        }
        if (view.flags & ZU_FRAME_COMMAND)
            hear_record(publisher, subscriber, &view);
        else
            hear_frame(publisher, subscriber, &view);
    }
}

void zu_publisher_hear_waiting(struct zu_publisher *publisher)
{
    while (!zu_list_is_empty(&publisher->waiting) && !publisher->ops->is_full(publisher))
        hear(publisher, zu_container_of(publisher->waiting.next, struct zu_subscriber, waiting));
}

void zu_publisher_readable(struct zu_pattern *pattern, struct zu_peer *peer)
{
    hear(pattern->own, peer->role);
}

/* --- coming and going --- */

int zu_publisher_attach(struct zu_pattern *pattern, struct zu_peer *peer)
{
    struct zu_publisher *publisher = pattern->own;
    struct zu_subscriber *subscriber = zu_alloc_zero(sizeof *subscriber);
    if (!subscriber)
        return -ENOMEM;
    zu_fan_member_init(&subscriber->fan, peer);
    zu_list_init(&subscriber->waiting);
    zu_list_init(&subscriber->said);
    zu_topics_subscriber_init(&subscriber->topics);
    zu_topics_subscriber_init(&subscriber->asked);
    subscriber->peer = peer;
    zu_list_append(&publisher->all, &subscriber->link);
    peer->role = subscriber;
    const struct zu_bytes *welcome = &pattern->options->xpub_welcome_msg;
    if (welcome->size && zu_fan_admits(&subscriber->fan) &&
        zu_pipe_write(peer->out, welcome->data, welcome->size, false) < 0)
        peer->out_dropped++;
    hear(publisher, subscriber);
    return 0;
}

static void free_if_over(struct zu_subscriber *subscriber)
{
    if (!subscriber->in_over || !subscriber->out_over)
        return;
    subscriber->peer->role = NULL;
    zu_free(subscriber, sizeof *subscriber);
}

void zu_publisher_detach_in(struct zu_pattern *pattern, struct zu_peer *peer)
{
    (void)pattern;
    struct zu_subscriber *subscriber = peer->role;
    if (!subscriber) /* one that found no memory when it came */
        return;
    zu_list_remove(&subscriber->waiting);
    subscriber->in_over = true;
    free_if_over(subscriber);
}

void zu_publisher_detach_out(struct zu_pattern *pattern, struct zu_peer *peer)
{
    struct zu_publisher *publisher = pattern->own;
    struct zu_subscriber *subscriber = peer->role;
    if (!subscriber)
        return;
    if (publisher->ops->left)
        publisher->ops->left(publisher, subscriber);
    zu_topics_remove_all(&publisher->topics, &subscriber->topics, NULL, NULL);
    zu_topics_remove_all(&publisher->asked, &subscriber->asked, NULL, NULL);
    zu_list_remove(&subscriber->link);
    zu_list_remove(&subscriber->fan.chosen);
    if (publisher->only == subscriber)
        publisher->only = NULL;
    subscriber->out_over = true;
    if (zu_list_is_empty(&subscriber->waiting))
        free_if_over(subscriber);
    else /* its requests need no room any more, and may be all that is left */
        hear(publisher, subscriber);
}

void zu_publisher_writable(struct zu_pattern *pattern, struct zu_peer *peer)
{
    (void)pattern;
    struct zu_subscriber *subscriber = peer->role;
    subscriber->fan.full = false;
}

/* --- sending --- */

static struct zu_subscriber *of_topics(struct zu_link *link)
{
    return zu_container_of(zu_topics_matched(link), struct zu_subscriber, topics);
}

/* Into `chosen`, whether they have room or not. */
static void choose(struct zu_publisher *publisher, const struct zu_part *part)
{
    const void *data = part->msg ? zu_msg_data(part->msg) : part->data;
    struct zu_subscriber *only = publisher->only;
    zu_topics_match(&publisher->topics, data, part->size);
    if (!only && !publisher->pattern->options->invert_matching) {
        zu_list_each(link, after, &publisher->topics.matched)
        {
            zu_list_append(&publisher->chosen, &of_topics(link)->fan.chosen);
        }
        return;
    }
    bool inverts = publisher->pattern->options->invert_matching;
    zu_list_each(link, after, &publisher->all)
    {
        struct zu_subscriber *subscriber = zu_container_of(link, struct zu_subscriber, link);
        bool is_matched = zu_topics_is_matched(&publisher->topics, &subscriber->topics) && (!only || only == subscriber);
        if (is_matched != inverts)
            zu_list_append(&publisher->chosen, &subscriber->fan.chosen);
    }
}

static struct zu_fan_member *of_chosen(struct zu_link *link)
{
    return zu_container_of(link, struct zu_fan_member, chosen);
}

/* A sender that waits for all is held up by a full kernel buffer rather than put to sleep over a full pipe. */
static uint64_t patience_for(const struct zu_publisher *publisher, const struct zu_part *part)
{
    return part->waits ? publisher->pattern->out.patience_ns : 0;
}

/* As the balance does it: a signal that came while the kernel was waited for ends the send. */
static bool has_room(struct zu_publisher *publisher, struct zu_fan_member *member, uint64_t patience_ns)
{
    bool *interrupted = &publisher->pattern->out.interrupted;
    bool has = zu_fan_has_room(member, patience_ns);
    *interrupted = !has && member->peer->out_interrupted;
    return has;
}

static bool all_have_room(struct zu_publisher *publisher, uint64_t patience_ns)
{
    zu_list_each(link, after, &publisher->chosen)
    {
        if (!has_room(publisher, of_chosen(link), patience_ns))
            return false;
    }
    return true;
}

static bool matched_have_room(struct zu_publisher *publisher, uint64_t patience_ns)
{
    zu_list_each(link, after, &publisher->topics.matched)
    {
        if (!has_room(publisher, &of_topics(link)->fan, patience_ns))
            return false;
    }
    return true;
}

/* What fails does so before anybody has lost the message. */
static int begin(struct zu_publisher *publisher, struct zu_part **part, struct zu_fan_body *body)
{
    bool drops = !publisher->pattern->options->xpub_nodrop;
    zu_fan_clear(&publisher->chosen);
    choose(publisher, *part);
    int err = drops || all_have_room(publisher, patience_for(publisher, *part)) ? 0 : -EAGAIN;
    if (!err)
        err = zu_fan_own_body(&publisher->chosen, part, body);
    if (err)
        zu_fan_clear(&publisher->chosen);
    else if (drops)
        zu_fan_admit_chosen(&publisher->chosen);
    return err;
}

static ZU_COLD int send_slowly(struct zu_publisher *publisher, struct zu_part *part)
{
    struct zu_fan_body body;
    int err = publisher->inside ? 0 : begin(publisher, &part, &body);
    if (!err)
        err = zu_fan_write(&publisher->chosen, part);
    if (err)
        return err;
    publisher->inside = part->more;
    publisher->only = NULL;
    return 0;
}

ZU_HOT int zu_publisher_send(struct zu_pattern *pattern, struct zu_part *part)
{
    struct zu_publisher *publisher = pattern->own;
    const struct zu_pattern_options *options = pattern->options;
    if (zu_unlikely(publisher->inside || part->more || part->msg || part->size > ZU_PIPE_COPY_MAX || publisher->only ||
                    options->invert_matching))
        return send_slowly(publisher, part);
    zu_topics_match(&publisher->topics, part->data, part->size);
    if (zu_unlikely(options->xpub_nodrop) && !matched_have_room(publisher, patience_for(publisher, part)))
        return -EAGAIN;
    zu_list_each(link, after, &publisher->topics.matched)
    {
        struct zu_fan_member *member = &of_topics(link)->fan;
        if (zu_likely(zu_fan_admits(member)))
            zu_fan_write_one(member, part);
    }
    return 0;
}

/* Those who got the last message: of a burst, that would be late. With INVERT_MATCHING nobody knows them. */
void zu_publisher_rest(struct zu_pattern *pattern)
{
    struct zu_publisher *publisher = pattern->own;
    zu_list_each(link, after, &publisher->topics.matched)
        zu_peer_rest(of_topics(link)->peer);
}

void zu_publisher_take_back(struct zu_pattern *pattern)
{
    struct zu_publisher *publisher = pattern->own;
    zu_list_each(link, after, &publisher->chosen)
        zu_pipe_roll_back(of_chosen(link)->peer->out);
    zu_fan_clear(&publisher->chosen);
    publisher->inside = false;
}

size_t zu_publisher_topics(const struct zu_pattern *pattern)
{
    const struct zu_publisher *publisher = pattern->own;
    return zu_topics_count(&publisher->topics);
}
