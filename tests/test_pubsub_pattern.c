/* SPDX-License-Identifier: MIT */
/*
 * The patterns of publishers and subscribers, with a test at the far end of their pipes: who loses what, what is held
 * back, what a hostile peer can do, what a want of memory costs.
 */
#include <criterion/criterion.h>

#include "flow/pipe_wake.h"
#include "flow/publisher.h"
#include "flow/record.h"
#include "flow/upstream.h"
#include "peers.h"

static const struct zu_pattern_ops *const types[] = {&zu_pattern_pub, &zu_pattern_xpub, &zu_pattern_sub, &zu_pattern_xsub};

static void far_subscribe(struct zu_peer *peer, bool on, const void *prefix, size_t size)
{
    cr_assert_eq(zu_subscription_write(peer->in, on, prefix, size), 0);
    zu_mailbox_run(&near_box);
}

static struct zu_peer *attached(uint64_t out_hwm, uint64_t in_hwm)
{
    struct zu_peer *peer = peer_make(out_hwm, in_hwm);
    cr_assert_eq(pattern.ops->attach(&pattern, peer), 0);
    return peer;
}

static void end(struct zu_peer *peer)
{
    near_close(peer);
    cr_assert_null(peer->role);
    peer_end(peer);
}

static int far_next(struct zu_peer *peer)
{
    uint64_t n;
    bool more;
    int err = far_take(peer, &n, &more);
    return err ? err : (int)n;
}

/* Number 0 on: frames of eight octets whose first is the number. */
Test(pubsub_pattern, a_full_peer_loses_whole_messages_and_the_others_none)
{
    peers_begin(&zu_pattern_pub);
    struct zu_peer *slow = attached(4, 0), *fast = attached(0, 0);
    far_subscribe(slow, true, NULL, 0);
    far_subscribe(fast, true, NULL, 0);
    for (uint64_t n = 0; n < 6; n++) {
        cr_assert_eq(near_send(n, true), 0);
        cr_assert_eq(near_send(n, false), 0);
    }
    cr_assert_eq(slow->out_dropped, 2u);
    for (int n = 0; n < 2; n++) {
        cr_assert_eq(far_next(slow), n);
        cr_assert_eq(near_send(100, false), 0);
        cr_assert_eq(far_next(slow), n);
    }
    zu_mailbox_run(&near_box);
    cr_assert_eq(near_send(7, false), 0);
    int expected[] = {2, 2, 3, 3, 7};
    for (int i = 0; i < 5; i++)
        cr_assert_eq(far_next(slow), expected[i]);
    cr_assert_eq(far_next(slow), -EAGAIN);
    for (int i = 0; i < 12; i++)
        cr_assert_eq(far_next(fast), i / 2);
    cr_assert_eq(fast->out_dropped, 0u);
    end(slow);
    end(fast);
    zu_pattern_fini(&pattern);
}

Test(pubsub_pattern, who_comes_or_asks_in_mid_message_gets_the_next_one)
{
    for (int inverts = 0; inverts < 2; inverts++) {
        peers_begin(&zu_pattern_pub);
        pattern_options.invert_matching = inverts;
        uint64_t first = 5;
        struct zu_peer *goes = attached(0, 0), *stays = attached(0, 0), *asks = attached(0, 0);
        struct zu_peer *takers[] = {goes, stays};
        for (int i = 0; i < 2; i++)
            far_subscribe(takers[i], true, inverts ? "no" : (const char *)&first, inverts ? 2 : 8);
        if (inverts)
            far_subscribe(asks, true, &first, 8);
        cr_assert_eq(near_send(5, true), 0);
        struct zu_peer *comes = attached(0, 0);
        far_subscribe(comes, true, NULL, 0);
        far_subscribe(asks, !inverts, &first, 8);
        end(goes);
        cr_assert_eq(near_send(6, true), 0);
        cr_assert_eq(near_send(5, false), 0);
        cr_assert_eq(near_send(5, false), 0);
        int expected[] = {5, 6, 5, 5, -EAGAIN};
        for (int i = 0; i < 5; i++)
            cr_assert_eq(far_next(stays), expected[i]);
        cr_assert_eq(far_next(asks), 5);
        cr_assert_eq(far_next(asks), -EAGAIN);
        cr_assert_eq(far_next(comes), inverts ? -EAGAIN : 5);
        end(stays);
        end(asks);
        end(comes);
        zu_pattern_fini(&pattern);
    }
    pattern_options.invert_matching = 0;
}

/* XPUB's queue is bounded: behind the bound pipes are left unread, and read when there is room again. */
Test(pubsub_pattern, what_nobody_receives_waits_in_the_pipes)
{
    enum { SIZE = 10000, COUNT = 4000 };
    static uint8_t prefix[SIZE];
    peers_begin(&zu_pattern_xpub);
    struct zu_peer *peers[] = {attached(0, 0), attached(0, 0)};
    for (uint32_t i = 0; i < COUNT; i++) {
        memcpy(prefix, &i, sizeof i);
        far_subscribe(peers[i % 2], true, prefix, SIZE);
    }
    size_t heard = zu_publisher_topics(&pattern);
    cr_assert(heard > 1000 && heard < 2000, "%zu", heard);
    uint32_t received = 0;
    struct zu_view view;
    for (; pattern.ops->peek(&pattern, &view) == 0; received++) {
        cr_assert_eq(view.size, SIZE + 1u);
        zu_pattern_taken(&pattern, view.flags);
    }
    cr_assert_eq(received, (uint32_t)COUNT);
    cr_assert_eq(zu_publisher_topics(&pattern), (size_t)COUNT);
    for (int i = 0; i < 2; i++)
        end(peers[i]);
    cr_assert_eq(zu_publisher_topics(&pattern), 0u);
    zu_pattern_fini(&pattern);
}

/* Who comes, asks for much and goes, over and over, leaves nothing unread behind; what is no request is kept. */
Test(pubsub_pattern, a_full_queue_keeps_no_requests_of_those_who_have_gone)
{
    enum { SIZE = 10000, COUNT = 2000 };
    static uint8_t prefix[SIZE];
    uint64_t n;
    bool more;
    peers_begin(&zu_pattern_xpub);
    struct zu_peer *first = attached(0, 0);
    for (uint32_t i = 0; i < COUNT; i++) {
        memcpy(prefix, &i, sizeof i);
        far_subscribe(first, true, prefix, SIZE);
    }
    struct zu_peer *asks = attached(0, 0), *tells = attached(0, 0);
    for (int i = 0; i < 2; i++) {
        far_subscribe(asks, true, "abc", 3);
        far_subscribe(tells, true, "abc", 3);
    }
    far_give(tells, 99, false);
    struct zu_peer *gone[] = {asks, tells};
    for (int i = 0; i < 2; i++) {
        zu_pipe_end(gone[i]->in);
        ended_count = 0;
        gone[i]->out_open = false;
        pattern.ops->detach_out(&pattern, gone[i]);
        zu_pipe_end(gone[i]->out);
        cr_assert_eq(ended_count, i == 0);
    }
    struct zu_view view;
    while (pattern.ops->peek(&pattern, &view) == 0 && view.size == SIZE + 1u)
        zu_pattern_taken(&pattern, view.flags);
    cr_assert_eq(near_take(&n, &more), 0);
    cr_assert_eq(n, 99u);
    cr_assert_eq(near_take(&n, &more), -EAGAIN);
    cr_assert_eq(ended_count, 1u);
    end(first);
    for (int i = 0; i < 2; i++) {
        gone[i]->in_open = false;
        pattern.ops->detach_in(&pattern, gone[i]);
        zu_pipe_leave(gone[i]->in);
        cr_assert_null(gone[i]->role);
        zu_pipe_leave(gone[i]->out);
        zu_mailbox_run(&near_box);
        zu_peer_unref(gone[i]);
        zu_peer_unref(gone[i]);
    }
    zu_pattern_fini(&pattern);
}

/* As the first release of this bug's fix in libzmq has it: long topics, one the prefix of the next, many and deep. */
Test(pubsub_pattern, CVE_2021_20236_deep_subscriptions_do_not_recurse)
{
    enum { DEPTH = 60000 };
    static uint8_t topic[DEPTH];
    memset(topic, 'a', DEPTH);
    for (int xpub = 0; xpub < 2; xpub++) {
        peers_begin(types[xpub]);
        struct zu_peer *peer = attached(0, 0);
        for (size_t size = 1; size <= DEPTH; size += 1 + size / 16)
            far_subscribe(peer, true, topic, size);
        struct zu_part part = {.data = topic, .size = DEPTH};
        cr_assert_eq(pattern.ops->send(&pattern, &part), 0);
        struct zu_view view;
        cr_assert_eq(zu_pipe_peek(peer->out, &view), 0);
        cr_assert_eq(view.size, (size_t)DEPTH);
        zu_pipe_pop(peer->out, &view);
        for (size_t size = 1; size <= DEPTH; size += 1 + size / 16)
            far_subscribe(peer, false, topic, size);
        cr_assert_eq(zu_publisher_topics(&pattern), 0u);
        end(peer);
        zu_pattern_fini(&pattern);
    }
}

/* What is almost a subscription leaves nothing behind: the address sanitizer counts. */
Test(pubsub_pattern, malformed_subscriptions_leak_nothing)
{
    static const struct {
        const char *bytes;
        size_t size;
    } odd[] = {{"", 0}, {"\x09", 1}, {"\x09SUBSCRIB", 9}, {"\x09SUBSCRIBF", 10}, {"\x06" "CANCE", 6}, {"\xff", 1},
               {"\0\1\0\0\0", 5}, {"\4JOINx", 6}, {"\7SUBSCRIBE", 10}};
    for (int xpub = 0; xpub < 2; xpub++) {
        peers_begin(types[xpub]);
        struct zu_peer *peer = attached(0, 0);
        for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
            cr_assert_eq(zu_pipe_write_record(peer->in, odd[i].bytes, odd[i].size, NULL, 0), 0);
            zu_pipe_write(peer->in, "\1", 1, true);
            zu_pipe_write(peer->in, "", 0, true);
            zu_pipe_write(peer->in, "\2x", 2, true);
            zu_pipe_write(peer->in, "\0never", 6, false);
        }
        zu_mailbox_run(&near_box);
        far_subscribe(peer, true, "fine", 4);
        cr_assert_eq(zu_publisher_topics(&pattern), 2u);
        end(peer);
        cr_assert_eq(zu_publisher_topics(&pattern), 0u);
        zu_pattern_fini(&pattern);
    }
}

/* Unsubscribing what was never there, and in every order: CVE-2021-20234 was memory left behind, then a crash. */
Test(pubsub_pattern, CVE_2021_20234_cancellations_out_of_the_blue_are_harmless)
{
    struct chance chance = chance_new("pubsub_pattern");
    peers_begin(&zu_pattern_xpub);
    pattern_options.xpub_verbose = pattern_options.xpub_verbose_unsub = 1;
    struct zu_peer *peers[4];
    for (int i = 0; i < 4; i++)
        peers[i] = attached(0, 0);
    for (int round = 0; round < 20000; round++) {
        uint64_t which = chance_below(&chance, 4), n = chance_below(&chance, 20);
        far_subscribe(peers[which], chance_below(&chance, 2), &n, 1 + n % 8);
        if (!chance_below(&chance, 500)) {
            end(peers[which]);
            peers[which] = attached(0, 0);
        }
    }
    for (int i = 0; i < 4; i++)
        end(peers[i]);
    cr_assert_eq(zu_publisher_topics(&pattern), 0u);
    pattern_options.xpub_verbose = pattern_options.xpub_verbose_unsub = 0;
    zu_pattern_fini(&pattern);
}

Test(pubsub_pattern, a_want_of_memory_anywhere_is_survived)
{
    for (unsigned t = 0; t < 4; t++) {
        for (unsigned from = 1; from < 60; from++) {
            peers_begin(types[t]);
            struct zu_peer *peer = peer_make(0, 0);
            struct zu_chunk *pool = pool_empty();
            zu_alloc_fail_from = from;
            if (pattern.ops->attach(&pattern, peer) == 0) {
                for (uint64_t n = 0; n < 6; n++) {
                    struct zu_part part = {.data = "\1xyz", .size = 4};
                    zu_subscription_write(peer->in, n % 4 != 3, &n, n);
                    zu_mailbox_run(&near_box);
                    pattern.ops->send(&pattern, &part);
                    if (pattern.ops->subscribe)
                        pattern.ops->subscribe(&pattern, &n, n, n % 4 != 3);
                    pattern.ops->poll(&pattern);
                }
            }
            zu_alloc_fail_from = 0;
            pool_refill(pool);
            end(peer);
            zu_pattern_fini(&pattern);
        }
    }
}

/* --- subscribers --- */

static void expect_record(struct zu_peer *peer, const char *bytes, size_t size)
{
    struct zu_view view;
    cr_assert_eq(zu_pipe_peek_any(peer->out, &view), 0);
    cr_assert_eq(view.size, size);
    cr_assert_arr_eq(view.data, bytes, size);
    zu_pipe_pop_record(peer->out, &view);
}

Test(pubsub_pattern, a_new_connection_is_told_the_set_once_behind_its_mark)
{
    peers_begin(&zu_pattern_sub);
    cr_assert_eq(pattern.ops->subscribe(&pattern, "a", 1, true), 0);
    struct zu_peer *peer = attached(0, 0);
    expect_record(peer, ZU_RECORD_SUBSCRIBE "a", 11);
    uint32_t epochs[] = {1, 2, 2, 5, 5};
    struct zu_view view;
    for (int i = 0; i < 5; i++) {
        bool is_new = epochs[i] > 1 && epochs[i] != epochs[i - 1];
        uint8_t mark[ZU_RECORD_MARKER_SIZE];
        atomic_store(&peer->epoch, epochs[i]);
        pattern.ops->met(&pattern, peer);
        zu_record_marker_encode(mark, epochs[i]);
        if (is_new) {
            expect_record(peer, (const char *)mark, sizeof mark);
            expect_record(peer, ZU_RECORD_SUBSCRIBE "a", 11);
        }
        cr_assert_eq(zu_pipe_peek_any(peer->out, &view), -EAGAIN);
    }
    cr_assert_eq(pattern.ops->subscribe(&pattern, "a", 1, false), 0);
    expect_record(peer, ZU_RECORD_CANCEL "a", 8);
    end(peer);
    zu_pattern_fini(&pattern);
}

/* The first connection or a later one, and whichever piece of memory is missing. */
Test(pubsub_pattern, who_could_not_be_told_for_want_of_memory_is_told_later)
{
    enum { COUNT = 3, SIZE = 9000 }; /* beyond what a chunk may have room for */
    static char prefix[COUNT][SIZE];
    for (unsigned from = 1; from < 12; from++) {
        for (uint32_t epoch = 1; epoch < 3; epoch++) {
            peers_begin(from % 2 ? &zu_pattern_sub : &zu_pattern_xsub);
            struct zu_peer *peer = epoch == 2 ? attached(0, 0) : peer_make(0, 0);
            for (int i = 0; i < COUNT; i++) {
                memset(prefix[i], 'a' + i, SIZE);
                struct zu_subscription subscription = {.prefix = (uint8_t *)prefix[i], .size = SIZE, .on = true};
                cr_assert_eq(zu_upstream_change(pattern.own, &subscription, false), 0);
            }
            struct zu_chunk *pool = pool_empty();
            zu_alloc_fail_from = from + (epoch == 1); /* its role, the first piece, there is */
            atomic_store(&peer->epoch, epoch);
            if (epoch == 2)
                pattern.ops->met(&pattern, peer);
            else
                cr_assert_eq(pattern.ops->attach(&pattern, peer), 0);
            cr_assert_eq(pattern.ops->poll(&pattern) & ZU_POLL_IN, 0u);
            zu_alloc_fail_from = 0;
            pool_refill(pool);
            cr_assert_eq(pattern.ops->poll(&pattern) & ZU_POLL_IN, 0u);
            unsigned told = 0;
            bool is_marked = epoch == 1;
            struct zu_view view;
            for (; zu_pipe_peek_any(peer->out, &view) == 0; zu_pipe_pop_record(peer->out, &view)) {
                struct zu_subscription subscription;
                if (!zu_subscription_of_record(&view, &subscription))
                    is_marked = true;
                else if (is_marked)
                    told |= 1u << (subscription.prefix[0] - 'a');
            }
            cr_assert_eq(told, (1u << COUNT) - 1, "epoch %u, piece %u: %x", epoch, from, told);
            end(peer);
            zu_pattern_fini(&pattern);
        }
    }
}

/* A send that is tried again, for want of memory for the body that all share. */
Test(pubsub_pattern, who_is_full_loses_a_message_once)
{
    static char body[300000] = "x";
    for (unsigned t = 0; t < 4; t += t == 1 ? 2 : 1) { /* PUB, XPUB, XSUB */
        peers_begin(types[t]);
        struct zu_peer *full = attached(1, 0), *roomy = attached(0, 0);
        if (types[t]->is_subscribed_to) {
            far_subscribe(full, true, NULL, 0);
            far_subscribe(roomy, true, NULL, 0);
        }
        cr_assert_eq(near_send(7, false), 0);
        for (int more = 1; more >= 0; more--) {
            struct zu_part part = {.data = body, .size = sizeof body >> t, .more = more}; /* what was freed before does not fit */
            for (int i = 0; i < 3; i++) {
                zu_alloc_fail_from = 1;
                cr_assert_eq(pattern.ops->send(&pattern, &part), -ENOMEM);
                zu_alloc_fail_from = 0;
                cr_assert(part.data == body && !part.msg);
            }
            cr_assert_eq(pattern.ops->send(&pattern, &part), 0);
            cr_assert_eq(full->out_dropped, 1u);
        }
        cr_assert_eq(far_next(roomy), 7);
        cr_assert_eq(zu_pipe_count(roomy->out).accepted, 2u);
        end(full);
        end(roomy);
        zu_pattern_fini(&pattern);
    }
}

static unsigned flushes;

static void flush_note(struct zu_peer *peer, uint64_t patience_ns)
{
    cr_assert_eq(patience_ns, 0u);
    flushes |= 1u << (uintptr_t)peer->endpoint;
}

/* Who is sent what lies there when the thread goes to sleep, a bit each. */
static unsigned rest_flushes(void)
{
    flushes = 0;
    pattern.ops->rest(&pattern);
    return flushes;
}

Test(pubsub_pattern, a_thread_that_rests_hands_over_what_it_wrote_last)
{
    static const struct zu_peer_ops ops = {.flush = flush_note};
    uint64_t one = 5;
    for (unsigned t = 0; t < 4; t += t == 1 ? 2 : 1) { /* PUB, XPUB, XSUB */
        peers_begin(types[t]);
        struct zu_peer *peers[3];
        for (uintptr_t i = 0; i < 3; i++) {
            peers[i] = attached(0, 0);
            peers[i]->ops = &ops;
            peers[i]->endpoint = (void *)i;
            if (types[t]->is_subscribed_to)
                far_subscribe(peers[i], true, &one, i ? 8 : 0);
        }
        cr_assert_eq(near_send(5, false), 0);
        cr_assert_eq(rest_flushes(), 0u, "the note is on its way");
        for (int i = 0; i < 3; i++) {
            cr_assert_eq(far_next(peers[i]), 5);
            zu_pipe_reader_poll(peers[i]->out);
        }
        cr_assert_eq(rest_flushes(), 0u, "all of it has been taken");
        cr_assert_eq(near_send(5, false), 0);
        cr_assert_eq(rest_flushes(), 7u);
        cr_assert_eq(near_send(2, true), 0);
        cr_assert_eq(near_send(2, false), 0);
        cr_assert_eq(rest_flushes() & 1, 1u);
        end(peers[1]);
        cr_assert_eq(near_send(5, false), 0);
        cr_assert_eq(rest_flushes(), 5u);
        end(peers[0]);
        cr_assert_eq(rest_flushes(), 4u);
        end(peers[2]);
        cr_assert_eq(rest_flushes(), 0u);
        zu_pattern_fini(&pattern);
    }
}

/* What the far end was told since the last look, in all: 1 for each SUBSCRIBE, -1 for each CANCEL. */
static int told(struct zu_peer *peer)
{
    struct zu_view view;
    struct zu_subscription subscription;
    int sum = 0;
    while (zu_pipe_peek_any(peer->out, &view) == 0) {
        if (!(view.flags & ZU_FRAME_COMMAND)) {
            if (zu_subscription_of_frame(view.data, view.size, &subscription))
                sum += subscription.on ? 1 : -1;
            zu_pipe_pop(peer->out, &view);
            continue;
        }
        if (zu_subscription_of_record(&view, &subscription))
            sum += subscription.on ? 1 : -1;
        zu_pipe_pop_record(peer->out, &view);
    }
    return sum;
}

/* One frame of XSUB, or one option of SUB. */
static int change(bool by_message, bool on, bool more, const char *prefix, size_t size)
{
    static char frame[40001];
    frame[0] = on;
    memcpy(frame + 1, prefix, size);
    struct zu_part part = {.data = frame, .size = size + 1, .more = more};
    return by_message ? pattern.ops->send(&pattern, &part) : pattern.ops->subscribe(&pattern, prefix, size, on);
}

/*
 * Several publishers, and whichever piece of memory is missing: either all are told and the set has changed, or nobody
 * was and it has not. Small prefixes and large ones; alone, and as a frame of a message.
 */
Test(pubsub_pattern, a_change_without_memory_changes_nothing)
{
    enum { PEERS = 3 };
    static char prefix[40000];
    static const size_t sizes[] = {3, 9000, 40000};
    unsigned failed = 0;
    for (unsigned way = 0; way < 3 * 2 * 3; way++) {
        unsigned how = way % 3; /* SUB; XSUB; XSUB, in a message of two frames */
        bool on = way / 3 % 2;
        size_t size = sizes[way / 6];
        for (unsigned from = 1; from < 12; from++) {
            peers_begin(how ? &zu_pattern_xsub : &zu_pattern_sub);
            struct zu_peer *peers[PEERS];
            for (int i = 0; i < PEERS; i++)
                peers[i] = attached(i == 2, 0);
            if (!on)
                cr_assert_eq(change(how, true, false, prefix, size), 0);
            for (int i = 0; i < PEERS; i++)
                told(peers[i]);
            if (how)
                cr_assert_eq(near_send(99, false), 0); /* the last one is full */
            uint64_t dropped = peers[2]->out_dropped;
            struct zu_chunk *pool = pool_empty();
            zu_alloc_fail_from = from;
            int err = change(how, on, how == 2, prefix, size);
            zu_alloc_fail_from = 0;
            pool_refill(pool);
            failed += err != 0;
            cr_assert_eq(zu_upstream_topics(&pattern), (err == 0) == on);
            if (err)
                cr_assert_eq(peers[2]->out_dropped, dropped);
            for (int i = 0; i < PEERS; i++)
                cr_assert(!err || told(peers[i]) == 0, "way %u, piece %u", way, from);
            if (err)
                cr_assert_eq(change(how, on, how == 2, prefix, size), 0);
            if (how == 2)
                cr_assert_eq(near_send(99, false), 0);
            cr_assert_eq(zu_upstream_topics(&pattern), (size_t)on);
            for (int i = 0; i < PEERS; i++)
                cr_assert_eq(told(peers[i]), on ? 1 : -1, "way %u, piece %u, peer %d", way, from, i);
            if (on)
                cr_assert_eq(change(how, false, false, prefix, size), 0);
            cr_assert_eq(zu_upstream_topics(&pattern), 0u);
            for (int i = 0; i < PEERS; i++)
                end(peers[i]);
            zu_pattern_fini(&pattern);
        }
    }
    cr_assert_gt(failed, 10u);
}

/* The frame behind a subscription finds no memory with some: they lose the message, and are told all the same. */
Test(pubsub_pattern, a_subscription_outlives_the_message_that_it_is_in)
{
    enum { PEERS = 3, SIZE = 7000 };
    static char body[SIZE];
    unsigned lost = 0;
    memset(body, 'x', SIZE);
    for (unsigned from = 1; from < 12; from++) {
        peers_begin(&zu_pattern_xsub);
        struct zu_peer *peers[PEERS];
        for (int i = 0; i < PEERS; i++)
            peers[i] = attached(0, 0);
        cr_assert_eq(change(true, true, true, "abc", 3), 0);
        struct zu_chunk *pool = pool_empty();
        zu_alloc_fail_from = from;
        for (int more = 1; more >= 0; more--) {
            struct zu_part part = {.data = body, .size = SIZE, .more = more};
            if (pattern.ops->send(&pattern, &part) < 0)
                cr_assert_eq(near_send(99, more), 0);
        }
        zu_alloc_fail_from = 0;
        pool_refill(pool);
        pattern.ops->poll(&pattern);
        for (int i = 0; i < PEERS; i++) {
            lost += peers[i]->out_dropped;
            cr_assert_eq(told(peers[i]), 1, "piece %u, peer %d", from, i);
            end(peers[i]);
        }
        zu_pattern_fini(&pattern);
    }
    cr_assert_gt(lost, 0u);
}

Test(pubsub_pattern, what_was_accepted_is_given_and_what_was_not_is_passed_over)
{
    peers_begin(&zu_pattern_sub);
    struct zu_peer *one = attached(0, 0), *other = attached(0, 0);
    uint64_t wanted = 1, n;
    bool more;
    pattern.ops->subscribe(&pattern, &wanted, 8, true);
    for (int i = 0; i < 3; i++) {
        far_give(one, 2, true);
        far_give(one, 1, false);
        far_give(one, 1, true);
        far_give(one, 2, false);
        far_give(other, 3, false);
    }
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(pattern.ops->poll(&pattern), ZU_POLL_IN);
        if (i == 2)
            pattern.ops->subscribe(&pattern, &wanted, 8, false); /* too late for the one that was shown */
        cr_assert_eq(near_take(&n, &more), 0);
        cr_assert(n == 1 && more);
        cr_assert_eq(near_take(&n, &more), 0);
        cr_assert(n == 2 && !more);
    }
    cr_assert_eq(pattern.ops->poll(&pattern), 0u);
    far_give(other, 1, false);
    cr_assert_eq(near_take(&n, &more), -EAGAIN);
    end(one);
    end(other);
    zu_pattern_fini(&pattern);
}

Test(pubsub_pattern, a_subscription_is_never_lost_to_a_limit)
{
    peers_begin(&zu_pattern_xsub);
    struct zu_peer *full = attached(1, 0), *roomy = attached(0, 0);
    uint64_t n;
    bool more;
    cr_assert_eq(near_send(9, false), 0);
    static const char *const frames[] = {"\1aaaaaaa", "\2bbbbbbb", "\1ccccccc"};
    for (int i = 0; i < 3; i++) {
        struct zu_part part = {.data = frames[i], .size = 8, .more = i < 2};
        cr_assert_eq(pattern.ops->send(&pattern, &part), 0);
    }
    cr_assert_eq(far_take(roomy, &n, &more), 0);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(far_take(roomy, &n, &more), 0);
        cr_assert(memcmp(&n, frames[i], 8) == 0 && more == (i < 2));
    }
    cr_assert_eq(far_take(full, &n, &more), 0);
    expect_record(full, ZU_RECORD_SUBSCRIBE "aaaaaaa", 17);
    expect_record(full, ZU_RECORD_SUBSCRIBE "ccccccc", 17);
    cr_assert_eq(full->out_dropped, 1u);
    end(full);
    end(roomy);
    zu_pattern_fini(&pattern);
}
