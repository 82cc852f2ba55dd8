/* SPDX-License-Identifier: MIT */
/* ROUTER, REP, REQ and DEALER as their rows say, at moments that a program meets too rarely. */
#include <criterion/criterion.h>

#include "base/error.h"
#include "flow/router.h"
#include "peers.h"

static struct zu_peer *parted;

static void on_part(struct zu_peer *peer)
{
    parted = peer;
    peer->out_open = false;
    pattern.ops->detach_out(&pattern, peer);
    zu_pipe_end(peer->out);
}

static struct zu_peer *peer_named(const char *id, uint64_t hwm)
{
    struct zu_peer *peer = peer_make(hwm, 0);
    static struct zu_peer_events events;
    events = near_events;
    events.part = on_part;
    peer->events = &events;
    zu_peer_set_far_id(peer, id, strlen(id));
    cr_assert_eq(pattern.ops->attach(&pattern, peer), 0);
    return peer;
}

static struct zu_peer *peer_met(const char *id, uint64_t hwm)
{
    struct zu_peer *peer = peer_named(id, hwm);
    pattern.ops->met(&pattern, peer);
    return peer;
}

static void begin(const struct zu_pattern_ops *ops)
{
    memset(&pattern_options, 0, sizeof pattern_options);
    peers_begin(ops);
}

static int put(const char *text, bool more)
{
    struct zu_part part = {.data = text, .size = strlen(text), .more = more};
    return pattern.ops->send(&pattern, &part);
}

static void expect_frame(struct zu_view *view, const char *text, bool more)
{
    cr_assert_eq(view->size, strlen(text), "%zu octets, not \"%s\"", view->size, text);
    cr_assert_eq(memcmp(view->data, text, view->size), 0, "not \"%s\"", text);
    cr_assert_eq(!!(view->flags & ZU_FRAME_MORE), more, "at \"%s\"", text);
}

static void take(const char *text, bool more)
{
    struct zu_view view, again;
    cr_assert_eq(pattern.ops->peek(&pattern, &view), 0, "waiting for \"%s\"", text);
    cr_assert_eq(pattern.ops->peek(&pattern, &again), 0); /* a look changes nothing */
    cr_assert_eq(view.data, again.data);
    expect_frame(&view, text, more);
    zu_pipe_pop(view.pipe, &view);
    zu_pattern_taken(&pattern, view.flags);
}

static void far_say(struct zu_peer *peer, const char *text, bool more)
{
    zu_pipe_write(peer->in, text, strlen(text), more);
    zu_mailbox_run(&near_box);
}

static void far_hear(struct zu_peer *peer, const char *text, bool more)
{
    struct zu_view view;
    cr_assert_eq(zu_pipe_peek(peer->out, &view), 0, "waiting for \"%s\"", text);
    expect_frame(&view, text, more);
    zu_pipe_pop(peer->out, &view);
}

static void far_hears_nothing(struct zu_peer *peer)
{
    struct zu_view view;
    cr_assert_eq(zu_pipe_peek(peer->out, &view), -EAGAIN);
}

static void end(void)
{
    zu_pattern_fini(&pattern);
}

Test(named, a_peer_is_nobody_before_it_is_met)
{
    begin(&zu_pattern_router);
    pattern_options.router_mandatory = 1;
    struct zu_peer *peer = peer_named("a", 0);
    struct zu_view view;
    far_say(peer, "early", false);
    cr_assert_eq(pattern.ops->peek(&pattern, &view), -EAGAIN);
    cr_assert_eq(put("a", true), -EHOSTUNREACH);
    cr_assert_eq(pattern.ops->poll(&pattern), 0u);
    pattern.ops->met(&pattern, peer);
    take("a", true);
    take("early", false);
    cr_assert_eq(put("a", true), 0);
    cr_assert_eq(put("x", false), 0);
    far_hear(peer, "x", false);
    pattern.ops->met(&pattern, peer); /* again: another connection of the same dial */
    cr_assert_eq(((struct zu_router *)pattern.own)->names.count, 1u);
    peer_end(peer);
    end();
}

/* It said who it is, and then there was no memory for the connection. */
Test(named, a_connection_that_failed_leaves_no_name)
{
    begin(&zu_pattern_router);
    struct zu_peer *renamed = peer_named("old", 0), *nameless = peer_named("old", 0);
    cr_assert_eq(zu_peer_set_far_id(renamed, "new", 3), 0);
    cr_assert_eq(zu_peer_set_far_id(nameless, NULL, 0), 0);
    pattern.ops->met(&pattern, renamed);
    pattern.ops->met(&pattern, nameless);
    far_say(renamed, "a", false);
    take("new", true);
    take("a", false);
    cr_assert_eq(pattern.ops->peer_state(&pattern, "old", 3), -EHOSTUNREACH);
    peer_end(renamed);
    peer_end(nameless);
    end();
}

Test(named, one_that_goes_before_it_is_met_is_read_by_nobody)
{
    begin(&zu_pattern_router);
    struct zu_peer *peer = peer_named("a", 0);
    far_say(peer, "unread", false);
    ended_count = 0;
    peer->out_open = false;
    pattern.ops->detach_out(&pattern, peer);
    zu_pipe_end(peer->out);
    cr_assert_eq(ended_count, 1u);
    cr_assert_eq(ended_last, peer);
    peer_end(peer);
    end();
}

Test(named, a_message_dies_with_its_peer)
{
    begin(&zu_pattern_router);
    struct zu_peer *a = peer_met("a", 0), *b = peer_met("b", 0);
    cr_assert_eq(put("a", true), 0);
    cr_assert_eq(put("half", true), 0);
    near_close(a);
    cr_assert_eq(put("the other half", false), 0);
    cr_assert_eq(put("a", true), 0);
    cr_assert_eq(put("to nobody", false), 0);
    cr_assert_eq(put("b", true), 0);
    cr_assert_eq(put("x", false), 0);
    far_hear(b, "x", false);
    far_hears_nothing(b);
    peer_end(a);
    peer_end(b);
    end();
}

Test(named, handover_in_the_midst_of_everything)
{
    begin(&zu_pattern_router);
    struct zu_peer *old = peer_met("a", 0);
    far_say(old, "one", true);
    far_say(old, "two", false);
    far_say(old, "three", false);
    take("a", true);
    take("one", true);
    cr_assert_eq(put("a", true), 0);
    cr_assert_eq(put("half", true), 0);
    struct zu_peer *ignored = peer_met("a", 0);
    far_say(ignored, "never", false);
    pattern_options.router_handover = 1;
    struct zu_peer *young = peer_met("a", 0);
    cr_assert_eq(parted, old);
    take("two", false); /* the rest of what was being read */
    cr_assert_eq(put("the other half", false), 0);
    cr_assert_eq(put("a", true), 0);
    cr_assert_eq(put("x", false), 0);
    far_hear(young, "x", false);
    struct zu_view view;
    cr_assert_eq(pattern.ops->peek(&pattern, &view), 0);
    cr_assert_eq(view.size, 5u);
    cr_assert_eq(view.data[0], 0);
    zu_pipe_pop(view.pipe, &view);
    zu_pattern_taken(&pattern, view.flags);
    take("three", false);
    cr_assert_eq(pattern.ops->peek(&pattern, &view), -EAGAIN);
    cr_assert_eq(pattern.ops->peer_state(&pattern, "a", 1), ZU_POLL_OUT);
    near_close(young);
    cr_assert_eq(pattern.ops->peer_state(&pattern, "a", 1), -EHOSTUNREACH);
    peer_end(ignored);
    peer_end(young);
    peer_end(old);
    end();
}

Test(named, drops_are_counted_and_waits_are_told)
{
    begin(&zu_pattern_router);
    struct zu_peer *peer = peer_met("a", 1);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(put("a", true), 0);
        cr_assert_eq(put("x", true), 0);
        cr_assert_eq(put("y", false), 0);
    }
    cr_assert_eq(peer->out_dropped, 2u);
    pattern_options.router_mandatory = 1;
    cr_assert_eq(put("a", true), -EAGAIN);
    cr_assert_eq(pattern.ops->poll(&pattern), 0u);
    far_hear(peer, "x", true);
    cr_assert_not(peer->writable.posted);
    far_hear(peer, "y", false);
    cr_assert(peer->writable.posted);
    zu_mailbox_run(&near_box);
    cr_assert_eq(pattern.ops->poll(&pattern), (unsigned)ZU_POLL_OUT);
    cr_assert_eq(peer->out_dropped, 2u);
    peer_end(peer);
    end();
}

static unsigned looks;

static void flush_counted(struct zu_peer *peer, uint64_t patience_ns)
{
    (void)peer;
    (void)patience_ns;
    looks++;
}

/* Whether anybody has room is asked before each sleep: full ones are looked at once, until a note comes. */
Test(named, polling_looks_once_at_those_that_are_full)
{
    enum { CROWD = 100 };
    static const struct zu_peer_ops ops = {.flush = flush_counted};
    struct zu_peer *peers[CROWD];
    char name[8];
    begin(&zu_pattern_router);
    pattern_options.router_mandatory = 1;
    for (int i = 0; i < CROWD; i++) {
        snprintf(name, sizeof name, "%d", i);
        peers[i] = peer_met(name, 1);
        peers[i]->ops = &ops;
        cr_assert_eq(put(name, true), 0);
        cr_assert_eq(put("x", false), 0);
    }
    for (int round = 0; round < 3; round++) {
        cr_assert_eq(pattern.ops->poll(&pattern), 0u);
        looks = 0;
        for (int i = 0; i < 10; i++)
            cr_assert_eq(pattern.ops->poll(&pattern), 0u);
        cr_assert_eq(looks, 0u);
        far_hear(peers[70], "x", false);
        zu_mailbox_run(&near_box);
        cr_assert_eq(pattern.ops->poll(&pattern), (unsigned)ZU_POLL_OUT);
        looks = 0;
        for (int i = 0; i < 10; i++)
            cr_assert_eq(pattern.ops->poll(&pattern), (unsigned)ZU_POLL_OUT);
        cr_assert_eq(looks, 0u);
        cr_assert_eq(put("70", true), 0);
        cr_assert_eq(put("x", false), 0);
    }
    cr_assert_eq(pattern.ops->poll(&pattern), 0u);
    struct zu_peer *comes = peer_met("new", 1);
    cr_assert_eq(pattern.ops->poll(&pattern), (unsigned)ZU_POLL_OUT);
    peer_end(comes);
    for (int i = 0; i < CROWD; i++)
        peer_end(peers[i]);
    end();
}

Test(named, a_rep_keeps_no_long_way_back)
{
    static char name[8000];
    memset(name, 'n', sizeof name - 1);
    begin(&zu_pattern_rep);
    struct zu_peer *peer = peer_met("a", 0);
    for (int is_long = 0; is_long < 2; is_long++) {
        for (int i = 0; i < 2; i++) {
            struct zu_view view;
            far_say(peer, i && is_long ? name : "way", true);
            far_say(peer, "", true);
            far_say(peer, "q", false);
            /* Room that was kept needs no memory; none is, behind a long one. */
            zu_alloc_fail_from = 1;
            if (is_long + i > 0)
                cr_assert_eq(pattern.ops->peek(&pattern, &view), i && is_long ? -ENOMEM : 0);
            zu_alloc_fail_from = 0;
            take("q", false);
            cr_assert_eq(put("a", false), 0);
        }
    }
    far_say(peer, "way", true);
    far_say(peer, "", true);
    far_say(peer, "q", false);
    struct zu_view view;
    zu_alloc_fail_from = 1;
    cr_assert_eq(pattern.ops->peek(&pattern, &view), -ENOMEM);
    zu_alloc_fail_from = 0;
    take("q", false);
    cr_assert_eq(put("a", false), 0);
    peer_end(peer);
    end();
}

Test(named, a_name_given_before)
{
    begin(&zu_pattern_router);
    struct zu_peer *peer = peer_make(0, 0), *twin = peer_make(0, 0);
    peer->own_id = zu_peer_id_new("given", 5);
    twin->own_id = zu_peer_id_new("given", 5);
    cr_assert_eq(pattern.ops->attach(&pattern, peer), 0);
    cr_assert_eq(pattern.ops->attach(&pattern, twin), -EEXIST);
    zu_peer_set_far_id(peer, "own", 3);
    pattern.ops->met(&pattern, peer);
    cr_assert_eq(pattern.ops->peer_state(&pattern, "own", 3), -EHOSTUNREACH);
    cr_assert_eq(put("given", true), 0);
    cr_assert_eq(put("x", false), 0);
    far_hear(peer, "x", false);
    peer_end(peer);
    peer_end(twin);
    end();
}

Test(named, without_memory_a_peer_is_refused)
{
    begin(&zu_pattern_router);
    struct zu_peer *peer = peer_make(0, 0);
    zu_alloc_fail_from = 1;
    cr_assert_eq(pattern.ops->attach(&pattern, peer), -ENOMEM);
    zu_alloc_fail_from = 0;
    peer_end(peer);
    end();
    pattern.own = NULL;
    zu_alloc_fail_from = 1;
    cr_assert_eq(zu_pattern_init(&pattern, &zu_pattern_rep, &pattern_options, on_ended), -ENOMEM);
    cr_assert_eq(zu_pattern_init(&pattern, &zu_pattern_req, &pattern_options, on_ended), -ENOMEM);
    zu_alloc_fail_from = 0;
    end();
}

Test(named, without_memory_a_rep_asks_for_the_same_frame_again)
{
    begin(&zu_pattern_rep);
    struct zu_peer *peer = peer_met("a", 0);
    far_say(peer, "way", true);
    far_say(peer, "back", true);
    far_say(peer, "", true);
    far_say(peer, "q", false);
    struct zu_view view;
    zu_alloc_fail_from = 1;
    cr_assert_eq(pattern.ops->peek(&pattern, &view), -ENOMEM);
    cr_assert_eq(pattern.ops->poll(&pattern), (unsigned)ZU_POLL_IN);
    zu_alloc_fail_from = 0;
    take("q", false);
    cr_assert_eq(pattern.ops->peek(&pattern, &view), -ZU_EFSM);
    cr_assert_eq(put("a", false), 0);
    far_hear(peer, "way", true);
    far_hear(peer, "back", true);
    far_hear(peer, "", true);
    far_hear(peer, "a", false);
    peer_end(peer);
    end();
}

Test(named, a_rep_answers_nobody_when_the_asker_goes_at_any_moment)
{
    for (int moment = 0; moment < 4; moment++) {
        begin(&zu_pattern_rep);
        struct zu_peer *peer = peer_met("a", 0);
        far_say(peer, "", true);
        far_say(peer, "q", true);
        far_say(peer, "q", false);
        take("q", true);
        if (moment == 0)
            on_part(peer);
        take("q", false);
        if (moment == 1)
            on_part(peer);
        cr_assert_eq(put("a", true), 0);
        if (moment == 2)
            near_close(peer);
        cr_assert_eq(put("a", true), 0);
        cr_assert_eq(pattern.ops->poll(&pattern), (unsigned)ZU_POLL_OUT);
        cr_assert_eq(put("a", false), 0);
        cr_assert_eq(put("a", false), -ZU_EFSM);
        cr_assert_eq(pattern.ops->poll(&pattern), 0u);
        peer_end(peer);
        end();
    }
}

/* libzmq: anybody's reply will do then. */
Test(named, a_req_whose_peer_is_gone_takes_any_reply)
{
    begin(&zu_pattern_req);
    struct zu_peer *a = peer_named("a", 0), *b = peer_named("b", 0);
    cr_assert_eq(put("q", false), 0);
    far_hear(a, "", true);
    far_hear(a, "q", false);
    far_say(b, "", true);
    far_say(b, "ignored", false);
    struct zu_view view;
    cr_assert_eq(pattern.ops->peek(&pattern, &view), -EAGAIN);
    peer_end(a);
    far_say(b, "", true);
    far_say(b, "accepted", false);
    take("accepted", false);
    cr_assert_eq(pattern.ops->peek(&pattern, &view), -ZU_EFSM);
    peer_end(b);
    end();
}

/* Its reply had come before it went. */
Test(named, a_req_reads_the_last_words_of_its_peer)
{
    begin(&zu_pattern_req);
    struct zu_peer *a = peer_named("a", 0), *b = peer_named("b", 0);
    cr_assert_eq(put("q", false), 0);
    far_say(b, "", true);
    far_say(b, "ignored", false);
    far_say(a, "", true);
    far_say(a, "answer", false);
    on_part(a);
    take("answer", false);
    peer_end(a);
    peer_end(b);
    end();
}

Test(named, a_request_dies_with_its_peer)
{
    begin(&zu_pattern_req);
    struct zu_peer *a = peer_named("a", 0), *b = peer_named("b", 0);
    cr_assert_eq(put("half", true), 0);
    near_close(a);
    cr_assert_eq(put("the other half", false), 0);
    cr_assert_eq(pattern.ops->poll(&pattern), 0u);
    far_hears_nothing(b);
    cr_assert_eq(put("x", false), -ZU_EFSM);
    pattern_options.req_relaxed = 1;
    cr_assert_eq(put("x", false), 0);
    far_hear(b, "", true);
    far_hear(b, "x", false);
    peer_end(a);
    peer_end(b);
    end();
}

/* Whatever part of a request lacks memory, it goes out once and whole when there is some. */
Test(named, without_memory_a_req_goes_on_where_it_was)
{
    static char large[LARGE_SIZE + 1];
    memset(large, 'l', LARGE_SIZE);
    begin(&zu_pattern_req);
    pattern_options.req_correlate = 1;
    struct zu_peer *a = peer_named("a", 0);
    zu_alloc_fail_from = 1;
    cr_assert_eq(put(large, true), -ENOMEM);
    zu_alloc_fail_from = 0;
    cr_assert_eq(put(large, true), 0);
    cr_assert_eq(put("end", false), 0);
    struct zu_view view;
    cr_assert_eq(zu_pipe_peek(a->out, &view), 0);
    cr_assert_eq(view.size, 4u);
    zu_pipe_pop(a->out, &view);
    far_hear(a, "", true);
    far_hear(a, large, true);
    far_hear(a, "end", false);
    far_hears_nothing(a);
    peer_end(a);
    end();
}

Test(named, probes_go_first)
{
    static const struct zu_pattern_ops *const rows[] = {&zu_pattern_dealer, &zu_pattern_router, &zu_pattern_req,
                                                        &zu_pattern_rep};
    for (int i = 0; i < 4; i++) {
        begin(rows[i]);
        pattern_options.probe_router = 1;
        struct zu_peer *peer = peer_named("a", 0);
        far_hear(peer, "", false);
        far_hears_nothing(peer);
        peer_end(peer);
        end();
    }
}

Test(named, a_dealer_takes_turns_both_ways)
{
    begin(&zu_pattern_dealer);
    struct zu_peer *a = peer_named("a", 1), *b = peer_named("b", 2);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(put("one", true), 0);
        cr_assert_eq(put("two", false), 0);
    }
    cr_assert_eq(put("three", false), -EAGAIN);
    for (int i = 0; i < 3; i++) {
        far_hear(i ? b : a, "one", true);
        far_hear(i ? b : a, "two", false);
    }
    far_say(a, "a1", false);
    far_say(a, "a2", false);
    far_say(b, "b", false);
    take("a1", false);
    take("b", false);
    take("a2", false);
    zu_mailbox_run(&near_box);
    cr_assert_eq(pattern.ops->poll(&pattern), (unsigned)ZU_POLL_OUT);
    peer_end(a);
    peer_end(b);
    end();
}
