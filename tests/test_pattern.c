/* SPDX-License-Identifier: MIT */
/* PUSH, PULL and PAIR as their rows say; the turns are in test_balance.c and test_fair.c. */
#include "flow/pattern.h"

#include <criterion/criterion.h>

#include "peers.h"

static void expect_taken(uint64_t n)
{
    uint64_t got = 0;
    bool more = true;
    cr_assert_eq(near_take(&got, &more), 0);
    cr_assert_eq(got, n);
    cr_assert_not(more);
}

static void expect_sent(struct zu_peer *peer, uint64_t n)
{
    uint64_t got = 0;
    bool more = true;
    cr_assert_eq(far_take(peer, &got, &more), 0);
    cr_assert_eq(got, n);
    cr_assert_not(more);
}

Test(pattern, the_rows_name_themselves)
{
    cr_assert_eq(zu_pattern_pair.type, 0u);
    cr_assert_str_eq(zu_pattern_pair.name, "PAIR");
    cr_assert_eq(zu_pattern_pull.type, 7u);
    cr_assert_str_eq(zu_pattern_pull.name, "PULL");
    cr_assert_eq(zu_pattern_push.type, 8u);
    cr_assert_str_eq(zu_pattern_push.name, "PUSH");
}

Test(pattern, push_only_sends)
{
    peers_begin(&zu_pattern_push);
    struct zu_view view;
    cr_assert_eq(pattern.ops->peek(&pattern, &view), -ENOTSUP);
    cr_assert_eq(pattern.ops->poll(&pattern), 0u);
    struct zu_peer *peer = peer_make(1, 1);
    cr_assert_eq(pattern.ops->attach(&pattern, peer), 0);
    cr_assert_eq(pattern.ops->poll(&pattern), ZU_POLL_OUT);
    far_give(peer, 1, false); /* a peer that should not: nobody reads it */
    zu_mailbox_run(&near_box);
    cr_assert_eq(pattern.ops->peek(&pattern, &view), -ENOTSUP);
    cr_assert_eq(near_send(5, false), 0);
    cr_assert_eq(pattern.ops->poll(&pattern), 0u);
    expect_sent(peer, 5);
    peer_end(peer);
}

Test(pattern, pull_only_receives)
{
    peers_begin(&zu_pattern_pull);
    cr_assert_eq(near_send(1, false), -ENOTSUP);
    struct zu_peer *peer = peer_make(1, 1);
    cr_assert_eq(pattern.ops->attach(&pattern, peer), 0);
    cr_assert_eq(pattern.ops->poll(&pattern), 0u);
    cr_assert_eq(near_send(1, false), -ENOTSUP);
    far_give(peer, 7, false);
    zu_mailbox_run(&near_box);
    cr_assert_eq(pattern.ops->poll(&pattern), ZU_POLL_IN);
    expect_taken(7);
    cr_assert_eq(pattern.ops->poll(&pattern), 0u);
    peer_end(peer);
}

Test(pattern, pair_has_one_peer_and_both_directions)
{
    peers_begin(&zu_pattern_pair);
    cr_assert_eq(near_send(0, false), -EAGAIN);
    struct zu_peer *first = peer_make(2, 2), *second = peer_make(2, 2);
    cr_assert_eq(pattern.ops->attach(&pattern, first), 0);
    cr_assert_eq(pattern.ops->attach(&pattern, second), -EBUSY);
    cr_assert_eq(near_send(1, false), 0);
    cr_assert_eq(near_send(2, false), 0);
    cr_assert_eq(near_send(3, false), -EAGAIN);
    expect_sent(first, 1);
    expect_sent(first, 2);
    far_give(first, 4, false);
    zu_mailbox_run(&near_box);
    cr_assert_eq(pattern.ops->poll(&pattern), (unsigned)(ZU_POLL_IN | ZU_POLL_OUT));
    expect_taken(4);
    cr_assert_eq(pattern.ops->poll(&pattern), (unsigned)ZU_POLL_OUT);
    peer_end(second); /* refused: its going changes nothing */
    cr_assert_eq(near_send(5, false), 0);
    peer_end(first);
}

Test(pattern, pair_takes_the_next_peer_when_the_first_has_gone)
{
    peers_begin(&zu_pattern_pair);
    struct zu_peer *first = peer_make(2, 2), *second = peer_make(2, 2);
    pattern.ops->attach(&pattern, first);
    far_give(first, 1, false);
    pattern.ops->detach_out(&pattern, first);
    zu_pipe_end(first->out);
    first->out_open = false;
    cr_assert_eq(near_send(2, false), -EAGAIN);
    cr_assert_eq(pattern.ops->attach(&pattern, second), 0);
    cr_assert_eq(near_send(3, false), 0);
    far_give(second, 4, false);
    zu_mailbox_run(&near_box);
    expect_taken(1);
    expect_taken(4);
    expect_sent(second, 3);
    peer_end(first);
    peer_end(second);
}

Test(pattern, pair_gives_the_next_peer_no_half_message)
{
    peers_begin(&zu_pattern_pair);
    struct zu_peer *first = peer_make(0, 0), *second = peer_make(0, 0);
    pattern.ops->attach(&pattern, first);
    cr_assert_eq(near_send(1, true), 0);
    near_close(first);
    pattern.ops->attach(&pattern, second);
    cr_assert_eq(near_send(2, true), 0);
    cr_assert_eq(near_send(3, false), 0);
    cr_assert_eq(near_send(4, false), 0);
    expect_sent(second, 4);
    peer_end(first);
    peer_end(second);
}
