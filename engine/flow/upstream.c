/* SPDX-License-Identifier: MIT */
/*
 * A publisher that comes is told the whole set; from then on, every change. After a lost connection it is told all again,
 * behind a mark that makes void what was still on its way (flow/subscription.h); losses in quick succession may be one
 * note. What is told are records, which no limit holds up. A change is told to all; without memory to nobody, and then
 * it is none. A peer for which there was no memory to tell it the whole set, or that lost a message with a change in it
 * for want of memory behind that, is told all once more when the socket is used next.
 */
#include "flow/upstream.h"

#include <errno.h>

#include "flow/subscription.h"
#include "mem/alloc.h"

/* A peer's role. */
struct publisher {
    struct zu_fan_member fan; /* first of all, where messages go */
    struct zu_link link;      /* among all */
    uint32_t epoch;           /* the connection that it was told the set for */
    bool is_owed;             /* not all of it */
    bool in_over;             /* reading is over */
    bool out_over;            /* writing is over */
};

int zu_upstream_init(struct zu_pattern *pattern)
{
    struct zu_upstream *upstream = zu_alloc_zero(sizeof *upstream);
    if (!upstream)
        return -ENOMEM;
    zu_topics_init(&upstream->topics);
    zu_topics_subscriber_init(&upstream->own);
    zu_list_init(&upstream->all);
    zu_list_init(&upstream->chosen);
    pattern->own = upstream;
    return 0;
}

void zu_upstream_fini(struct zu_pattern *pattern)
{
    struct zu_upstream *upstream = pattern->own;
    if (!upstream)
        return;
    zu_topics_remove_all(&upstream->topics, &upstream->own, NULL, NULL);
    zu_free(upstream, sizeof *upstream);
}

static int tell_prefixes(const struct zu_upstream *upstream, struct zu_pipe *out)
{
    int err = 0;
    for (uint32_t i = 0; i < upstream->own.own_count && !err; i++) {
        size_t size;
        uint32_t count;
        const void *prefix = zu_topics_own(&upstream->own, i, &size, &count);
        err = zu_subscription_write(out, true, prefix, size);
    }
    return err;
}

/* What it may have heard before counts as well: publishers have a set. Between its messages only. */
static int tell_all(struct zu_upstream *upstream, struct publisher *publisher)
{
    struct zu_pipe *out = publisher->fan.peer->out;
    int err = publisher->epoch > 1 ? zu_subscription_mark(out, publisher->epoch) : 0;
    if (!err)
        err = tell_prefixes(upstream, out);
    publisher->is_owed = err;
    upstream->owes |= publisher->is_owed;
    return err;
}

/* Between its messages only. */
static bool owes_now(const struct publisher *publisher)
{
    return publisher->is_owed && !publisher->fan.peer->out->w_inside;
}

void zu_upstream_make_good(struct zu_upstream *upstream)
{
    upstream->owes = false;
    zu_list_each(link, after, &upstream->all)
    {
        struct publisher *publisher = zu_container_of(link, struct publisher, link);
        if (owes_now(publisher))
            tell_all(upstream, publisher);
        upstream->owes |= publisher->is_owed;
    }
}

int zu_upstream_attach(struct zu_pattern *pattern, struct zu_peer *peer)
{
    struct zu_upstream *upstream = pattern->own;
    struct publisher *publisher = zu_alloc_zero(sizeof *publisher);
    if (!publisher)
        return -ENOMEM;
    zu_fan_member_init(&publisher->fan, peer);
    publisher->epoch = 1;
    peer->role = publisher;
    zu_list_append(&upstream->all, &publisher->link);
    zu_fair_add(&pattern->in, peer);
    (void)tell_all(upstream, publisher);
    return 0;
}

void zu_upstream_met(struct zu_pattern *pattern, struct zu_peer *peer)
{
    struct zu_upstream *upstream = pattern->own;
    struct publisher *publisher = peer->role;
    uint32_t epoch = atomic_load_explicit(&peer->epoch, memory_order_relaxed);
    if (!publisher || publisher->out_over || epoch <= publisher->epoch)
        return;
    publisher->epoch = epoch;
    if (!zu_list_is_empty(&publisher->fan.chosen)) { /* the rest of its message is for nobody */
        zu_list_remove(&publisher->fan.chosen);
        zu_pipe_roll_back(peer->out);
        peer->out_dropped++;
    }
    (void)tell_all(upstream, publisher);
}

static void free_if_over(struct zu_peer *peer)
{
    struct publisher *publisher = peer->role;
    if (!publisher->in_over || !publisher->out_over)
        return;
    peer->role = NULL;
    zu_free(publisher, sizeof *publisher);
}

void zu_upstream_detach_in(struct zu_pattern *pattern, struct zu_peer *peer)
{
    struct zu_upstream *upstream = pattern->own;
    struct publisher *publisher = peer->role;
    if (!publisher) /* one that found no memory when it came */
        return;
    zu_fair_remove(&pattern->in, peer);
    if (upstream->accepted == peer)
        upstream->accepted = NULL;
    publisher->in_over = true;
    free_if_over(peer);
}

void zu_upstream_detach_out(struct zu_pattern *pattern, struct zu_peer *peer)
{
    (void)pattern;
    struct publisher *publisher = peer->role;
    if (!publisher)
        return;
    zu_list_remove(&publisher->link);
    zu_list_remove(&publisher->fan.chosen);
    publisher->out_over = true;
    free_if_over(peer);
}

int zu_upstream_peek(struct zu_pattern *pattern, struct zu_view *ret_view)
{
    return zu_upstream_peek_fair(pattern, ret_view);
}

void zu_upstream_writable(struct zu_pattern *pattern, struct zu_peer *peer)
{
    (void)pattern;
    struct publisher *publisher = peer->role;
    publisher->fan.full = false;
}

void zu_upstream_rest(struct zu_pattern *pattern)
{
    struct zu_upstream *upstream = pattern->own;
    zu_list_each(link, after, &upstream->all)
        zu_peer_rest(zu_container_of(link, struct publisher, link)->fan.peer);
}

size_t zu_upstream_topics(const struct zu_pattern *pattern)
{
    const struct zu_upstream *upstream = pattern->own;
    return zu_topics_count(&upstream->topics);
}

/* So that telling cannot fail: first what is owed is told, then room is made. */
static int reserve(struct zu_upstream *upstream, const struct zu_telling *telling)
{
    zu_list_each(link, after, &upstream->all)
    {
        struct publisher *publisher = zu_container_of(link, struct publisher, link);
        int err = owes_now(publisher) ? tell_all(upstream, publisher) : 0;
        if (!err)
            err = zu_telling_reserve(telling, publisher->fan.peer->out);
        if (err)
            return err;
    }
    return 0;
}

/* Not to those in `chosen` when `spares` them: they are in mid-message. */
static void tell(struct zu_upstream *upstream, const struct zu_telling *telling, bool spares)
{
    zu_list_each(link, after, &upstream->all)
    {
        struct publisher *publisher = zu_container_of(link, struct publisher, link);
        if (!spares || zu_list_is_empty(&publisher->fan.chosen))
            zu_telling_write(telling, publisher->fan.peer->out);
    }
}

/* 1: to be told. */
static int count(struct zu_upstream *upstream, const struct zu_subscription *subscription, bool always)
{
    unsigned touched = 0;
    const uint8_t *prefix = subscription->prefix;
    size_t size = subscription->size;
    int err = subscription->on ? zu_topics_add(&upstream->topics, prefix, size, &upstream->own, &touched)
                               : zu_topics_remove(&upstream->topics, prefix, size, &upstream->own, &touched);
    if (err && err != -ENOENT)
        return err;
    return subscription->on || always || (!err && (touched & ZU_TOPIC_OWN));
}

/* 1: what is to be told is in `ret_telling`, to be ended, and cannot fail. 0: there is nothing to be told. */
static int begin(struct zu_upstream *upstream, const struct zu_subscription *subscription, bool always,
                 struct zu_telling *ret_telling)
{
    int err = zu_telling_init(ret_telling, subscription);
    if (err)
        return err;
    err = reserve(upstream, ret_telling);
    int tells = err ? err : count(upstream, subscription, always);
    if (tells != 1)
        zu_telling_fini(ret_telling);
    return tells;
}

int zu_upstream_change(struct zu_upstream *upstream, const struct zu_subscription *subscription, bool always)
{
    struct zu_telling telling;
    int tells = begin(upstream, subscription, always, &telling);
    if (tells != 1)
        return tells;
    tell(upstream, &telling, false);
    zu_telling_fini(&telling);
    return 0;
}

int zu_upstream_change_within(struct zu_upstream *upstream, const struct zu_subscription *subscription, bool first)
{
    struct zu_telling telling;
    int tells = begin(upstream, subscription, true, &telling);
    if (tells != 1)
        return tells;
    if (first)
        zu_fan_admit_chosen(&upstream->chosen);
    tell(upstream, &telling, true);
    zu_telling_fini(&telling);
    upstream->told_within = true;
    return 0;
}

void zu_upstream_lost_within(struct zu_upstream *upstream)
{
    zu_list_each(link, after, &upstream->all)
    {
        struct publisher *publisher = zu_container_of(link, struct publisher, link);
        publisher->is_owed |= publisher->fan.lost;
        upstream->owes |= publisher->fan.lost;
    }
}

void zu_upstream_choose(struct zu_upstream *upstream)
{
    zu_fan_clear(&upstream->chosen);
    zu_list_each(link, after, &upstream->all)
    {
        struct publisher *publisher = zu_container_of(link, struct publisher, link);
        zu_list_append(&upstream->chosen, &publisher->fan.chosen);
        publisher->fan.lost = false;
    }
    upstream->told_within = false;
}
