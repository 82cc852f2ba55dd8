/* SPDX-License-Identifier: MIT */
/* Fair queueing, by way of PULL: turns, pipes that run dry and come back, ends; and all of it at random. */
#include "flow/fair.h"

#include <criterion/criterion.h>

#include "peers.h"

enum { PEERS = 5 };

static struct zu_peer *peers[PEERS];

static void begin(unsigned count)
{
    peers_begin(&zu_pattern_pull);
    for (unsigned i = 0; i < count; i++) {
        peers[i] = peer_make(1, 0);
        pattern.ops->attach(&pattern, peers[i]);
    }
}

static void end(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        peer_end(peers[i]);
}

static void expect_frame(uint64_t n, bool more)
{
    uint64_t got = 0;
    bool got_more = false;
    cr_assert_eq(near_take(&got, &got_more), 0);
    cr_assert_eq(got, n);
    cr_assert_eq(got_more, more);
}

static void expect_nothing(void)
{
    uint64_t n;
    bool more;
    cr_assert_eq(near_take(&n, &more), -EAGAIN);
    cr_assert_eq(pattern.ops->poll(&pattern), 0u);
}

Test(fair, each_peer_in_turn_gives_a_whole_message)
{
    begin(PEERS);
    for (uint64_t n = 0; n < 10 * PEERS; n++) {
        for (uint64_t part = n % 3; part > 0; part--)
            far_give(peers[n % PEERS], n, true);
        far_give(peers[n % PEERS], n, false);
    }
    for (uint64_t n = 0; n < 10 * PEERS; n++) {
        cr_assert_eq(pattern.ops->poll(&pattern), ZU_POLL_IN);
        for (uint64_t part = n % 3; part > 0; part--)
            expect_frame(n, true);
        expect_frame(n, false);
    }
    expect_nothing();
    end(PEERS);
}

Test(fair, a_busy_peer_does_not_starve_the_others)
{
    begin(3);
    for (uint64_t n = 0; n < 1000; n++)
        far_give(peers[0], n, false);
    expect_frame(0, false);
    far_give(peers[1], 5000, false);
    far_give(peers[2], 6000, false);
    unsigned seen = 0;
    for (int i = 0; i < 3; i++) {
        uint64_t n = 0;
        bool more;
        cr_assert_eq(near_take(&n, &more), 0);
        seen |= n == 5000 ? 1u : n == 6000 ? 2u : 0u;
    }
    cr_assert_eq(seen, 3u);
    end(3);
}

Test(fair, a_dry_pipe_comes_back_by_its_note)
{
    begin(2);
    for (uint64_t n = 0; n < 100; n++) {
        expect_nothing();
        cr_assert_not(zu_mailbox_run(&near_box));
        far_give(peers[n % 2], n, true);
        expect_nothing();
        far_give(peers[n % 2], n, false);
        cr_assert(zu_mailbox_run(&near_box));
        cr_assert_eq(pattern.ops->poll(&pattern), ZU_POLL_IN);
        expect_frame(n, true);
        expect_frame(n, false);
    }
    end(2);
}

Test(fair, an_end_is_reported_once_behind_the_last_message)
{
    begin(2);
    far_give(peers[0], 1, false);
    far_give(peers[0], 2, false);
    far_give(peers[0], 3, true); /* never whole */
    zu_pipe_end(peers[0]->in);
    expect_frame(1, false);
    expect_frame(2, false);
    cr_assert_eq(ended_count, 0u);
    expect_nothing();
    expect_nothing();
    cr_assert_eq(ended_count, 1u);
    cr_assert_eq(ended_last, peers[0]);
    zu_pipe_leave(peers[0]->in);
    peers[0]->in_open = false;
    near_close(peers[0]);
    zu_pipe_leave(peers[0]->out);
    zu_peer_unref(peers[0]);
    zu_peer_unref(peers[0]);
    far_give(peers[1], 9, false);
    zu_mailbox_run(&near_box);
    expect_frame(9, false);
    peer_end(peers[1]);
}

Test(fair, the_peer_in_turn_may_be_removed)
{
    for (unsigned gone = 0; gone < 3; gone++) {
        begin(3);
        for (unsigned i = 0; i < 3; i++) {
            far_give(peers[i], i, false);
            far_give(peers[i], i, false);
        }
        zu_fair_remove(&pattern.in, peers[gone]);
        zu_fair_remove(&pattern.in, peers[gone]);
        for (uint64_t i = 0; i < 6; i++) {
            if (i % 3 != gone)
                expect_frame(i % 3, false);
        }
        expect_nothing();
        end(3);
    }
}

/* Peers come and go; who has something to give must not wait for more than a turn of each other one. */
struct crowd {
    bool is_here[PEERS];    /* attached */
    uint64_t given[PEERS];  /* messages written */
    uint64_t taken[PEERS];  /* messages read */
    uint64_t passed[PEERS]; /* messages of others read while this one had some and the queue knew it */
    bool is_told[PEERS];    /* the mailbox has run since it had some */
};

static void crowd_take(struct crowd *crowd)
{
    uint64_t n, parts = 0, any = 0;
    bool more;
    for (unsigned i = 0; i < PEERS; i++)
        any += crowd->is_here[i] && crowd->is_told[i] && crowd->given[i] > crowd->taken[i];
    do {
        int err = near_take(&n, &more);
        if (err) {
            cr_assert_eq(parts, 0u);
            cr_assert_eq(any, 0u);
            return;
        }
        parts++;
    } while (more);
    unsigned from = (unsigned)(n >> 32);
    cr_assert(crowd->is_here[from]);
    cr_assert_eq((uint32_t)n, crowd->taken[from]);
    cr_assert_eq(parts, 1 + crowd->taken[from] % 3);
    crowd->taken[from]++;
    crowd->passed[from] = 0;
    for (unsigned i = 0; i < PEERS; i++) {
        if (i != from && crowd->is_here[i] && crowd->is_told[i] && crowd->given[i] > crowd->taken[i])
            cr_assert_lt(++crowd->passed[i], 2u * PEERS, "a peer is passed over");
    }
}

Test(fair, at_random_everything_arrives_in_turn)
{
    struct chance chance = chance_new("fair");
    struct crowd crowd = {0};
    begin(0);
    for (int round = 0; round < 30000; round++) {
        unsigned i = (unsigned)chance_below(&chance, PEERS);
        uint64_t what = chance_below(&chance, 200);
        if (what == 0 && crowd.is_here[i]) {
            crowd.is_here[i] = false;
            peer_end(peers[i]);
        } else if (what < 4 && !crowd.is_here[i]) {
            peers[i] = peer_make(1, 0);
            pattern.ops->attach(&pattern, peers[i]);
            crowd.is_here[i] = crowd.is_told[i] = true;
            crowd.given[i] = crowd.taken[i] = crowd.passed[i] = 0;
        } else if (what < 90 && crowd.is_here[i]) {
            if (crowd.given[i] == crowd.taken[i])
                crowd.is_told[i] = false;
            uint64_t n = (uint64_t)i << 32 | crowd.given[i];
            for (uint64_t part = crowd.given[i]++ % 3; part > 0; part--)
                far_give(peers[i], n, true);
            far_give(peers[i], n, false);
        } else if (what < 100) {
            zu_mailbox_run(&near_box);
            for (unsigned all = 0; all < PEERS; all++)
                crowd.is_told[all] = true;
        } else {
            crowd_take(&crowd);
        }
    }
    for (unsigned i = 0; i < PEERS; i++) {
        if (crowd.is_here[i])
            peer_end(peers[i]);
    }
}
