/* SPDX-License-Identifier: MIT */
/* Load balancing, by way of PUSH: turns, full peers, peers that die in mid-message; and all of it at random. */
#include "flow/balance.h"

#include <criterion/criterion.h>

#include "flow/pipe_wake.h"
#include "peers.h"

enum { PEERS = 5 };

static struct zu_peer *peers[PEERS];

static void begin(unsigned count, uint64_t hwm)
{
    peers_begin(&zu_pattern_push);
    for (unsigned i = 0; i < count; i++) {
        peers[i] = peer_make(hwm, 1);
        pattern.ops->attach(&pattern, peers[i]);
    }
}

static void end(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        peer_end(peers[i]);
}

static void expect_message(struct zu_peer *peer, uint64_t n)
{
    uint64_t got = 0;
    bool more = true;
    cr_assert_eq(far_take(peer, &got, &more), 0);
    cr_assert_eq(got, n);
    cr_assert_not(more);
}

Test(balance, each_peer_in_turn_takes_a_whole_message)
{
    begin(PEERS, 0);
    for (uint64_t n = 0; n < 50; n++) {
        for (uint64_t part = 0; part < n % 4; part++)
            cr_assert_eq(near_send(n, true), 0);
        cr_assert_eq(near_send(n, false), 0);
        uint64_t got;
        bool more;
        for (uint64_t part = 0; part <= n % 4; part++) {
            cr_assert_eq(far_take(peers[n % PEERS], &got, &more), 0);
            cr_assert_eq(got, n);
            cr_assert_eq(more, part < n % 4);
        }
    }
    end(PEERS);
}

Test(balance, adding_twice_gives_one_turn)
{
    begin(2, 0);
    for (int i = 0; i < 5; i++)
        zu_balance_add(&pattern.out, peers[0]);
    for (uint64_t n = 0; n < 10; n++) {
        near_send(n, false);
        expect_message(peers[n % 2], n);
    }
    end(2);
}

Test(balance, a_full_peer_is_passed_over_and_comes_back)
{
    begin(3, 2);
    for (uint64_t n = 0; n < 6; n++)
        cr_assert_eq(near_send(n, false), 0);
    cr_assert_eq(near_send(6, false), -EAGAIN);
    cr_assert_eq(pattern.ops->poll(&pattern), 0u);
    expect_message(peers[1], 1);
    cr_assert(zu_mailbox_run(&near_box), "half of it is gone");
    cr_assert_eq(near_send(6, false), 0);
    cr_assert_eq(near_send(7, false), -EAGAIN);
    expect_message(peers[1], 4);
    expect_message(peers[1], 6);
    expect_message(peers[0], 0);
    expect_message(peers[2], 2);
    zu_mailbox_run(&near_box);
    for (uint64_t n = 7; n < 11; n++)
        cr_assert_eq(near_send(n, false), 0);
    cr_assert_eq(near_send(11, false), -EAGAIN);
    end(3);
}

Test(balance, room_is_found_before_the_note_comes)
{
    unsigned notes = 0;
    begin(2, 100);
    for (uint64_t n = 0; n < 200; n++)
        cr_assert_eq(near_send(n, false), 0);
    cr_assert_eq(near_send(200, false), -EAGAIN);
    for (uint64_t n = 0; n < 300; n++) {
        expect_message(peers[1], n < 100 ? 2 * n + 1 : 100 + n);
        notes += zu_mailbox_run(&near_box);
        cr_assert_leq(notes, (n + 1) / 50, "only half a pipe wakes");
        cr_assert_eq(pattern.ops->poll(&pattern), ZU_POLL_OUT);
        cr_assert_eq(near_send(200 + n, false), 0, "it holds fewer than its limit");
        cr_assert_eq(near_send(0, false), -EAGAIN);
    }
    end(2);
}

Test(balance, what_was_not_sent_is_untouched)
{
    _Atomic unsigned frees = 0;
    struct zu_msg msg;
    begin(1, 1);
    foreign_msg(&msg, 3, LARGE_SIZE, &frees);
    struct zu_part part = {.msg = &msg};
    near_send(0, false);
    cr_assert_eq(pattern.ops->send(&pattern, &part), -EAGAIN);
    cr_assert(payload_is(zu_msg_data(&msg), 3, LARGE_SIZE));
    expect_message(peers[0], 0);
    struct zu_chunk *pool = pool_empty();
    uint8_t bytes[2000] = {0};
    struct zu_part copied = {.data = bytes, .size = sizeof bytes, .more = true};
    zu_alloc_fail_from = 1;
    cr_assert_eq(pattern.ops->send(&pattern, &copied), -ENOMEM);
    cr_assert_eq(pattern.ops->send(&pattern, &copied), -ENOMEM);
    zu_alloc_fail_from = 0;
    pool_refill(pool);
    cr_assert_eq(pattern.ops->send(&pattern, &copied), 0);
    cr_assert_eq(pattern.ops->send(&pattern, &part), 0);
    cr_assert_eq(zu_msg_size(&msg), 0u);
    cr_assert_eq(frees, 0u);
    end(1);
    cr_assert_eq(frees, 1u);
    zu_msg_close(&msg);
}

Test(balance, half_a_message_reaches_nobody)
{
    _Atomic unsigned frees = 0;
    begin(3, 10);
    near_send(0, true);
    near_close(peers[0]);
    cr_assert_eq(pattern.ops->poll(&pattern), ZU_POLL_OUT);
    near_send(1, true);
    struct zu_msg msg;
    foreign_msg(&msg, 0, LARGE_SIZE, &frees);
    struct zu_part part = {.msg = &msg, .more = true};
    cr_assert_eq(pattern.ops->send(&pattern, &part), 0);
    cr_assert_eq(frees, 1u, "swallowed parts are freed");
    cr_assert_eq(zu_msg_size(&msg), 0u);
    near_send(2, false);
    near_send(3, false);
    near_send(4, false);
    uint64_t n;
    bool more;
    cr_assert_eq(far_take(peers[0], &n, &more), -EPIPE);
    expect_message(peers[1], 3);
    expect_message(peers[2], 4);
    end(3);
}

Test(balance, without_peers_there_is_no_room)
{
    begin(0, 0);
    cr_assert_eq(near_send(0, false), -EAGAIN);
    cr_assert_eq(pattern.ops->poll(&pattern), 0u);
    begin(1, 5);
    near_close(peers[0]);
    cr_assert_eq(near_send(0, false), -EAGAIN);
    peer_end(peers[0]);
}

static struct zu_peer *flushed;

static void flush_note(struct zu_peer *peer, uint64_t patience_ns)
{
    cr_assert_eq(patience_ns, 0u);
    flushed = peer;
}

/* The peer whose pipe the next rest hands over, and that it is the only one. */
static struct zu_peer *rest_flushes(void)
{
    flushed = NULL;
    zu_balance_rest(&pattern.out);
    return flushed;
}

Test(balance, a_thread_that_rests_hands_over_what_it_wrote_last)
{
    begin(3, 0);
    struct zu_peer_ops ops = *peers[0]->ops;
    ops.flush = flush_note;
    for (int i = 0; i < 3; i++)
        peers[i]->ops = &ops;
    cr_assert_null(rest_flushes(), "nothing was written");
    for (uint64_t n = 0; n < 3; n++) {
        near_send(n, false);
        cr_assert_null(rest_flushes(), "the note is on its way");
    }
    for (uint64_t n = 0; n < 3; n++) {
        expect_message(peers[n], n);
        zu_pipe_reader_poll(peers[n]->out);
        cr_assert_null(rest_flushes(), "all of it has been taken");
    }
    for (uint64_t n = 0; n < 6; n++) {
        near_send(n, false);
        cr_assert_eq(rest_flushes(), peers[n % 3]);
    }
    near_send(6, true);
    cr_assert_null(rest_flushes(), "half a message");
    near_send(6, false);
    cr_assert_eq(rest_flushes(), peers[0]);
    end(3);
    begin(0, 0);
    cr_assert_null(rest_flushes(), "nobody there");
}

/* The far side's own way past the pipe: what came by it, and whether it is open. */
static struct {
    struct zu_peer *peer; /* NULL: not used */
    size_t size;          /* of the message */
    uint64_t patience_ns; /* how long it could have waited */
    bool is_open;         /* takes them */
} past;

static bool take_past(struct zu_peer *peer, const void *data, size_t size, uint64_t patience_ns)
{
    (void)data;
    past.peer = peer;
    past.size = size;
    past.patience_ns = patience_ns;
    return past.is_open;
}

/* Sends one part; returns whom it was offered to for the way past the pipe. */
static struct zu_peer *offered(struct zu_part *part)
{
    past.peer = NULL;
    part->gone = false;
    cr_assert_eq(pattern.ops->send(&pattern, part), 0);
    cr_assert_eq(part->gone, past.peer && past.is_open);
    return past.peer;
}

Test(balance, what_goes_at_once_goes_past_the_pipe_where_that_is_possible)
{
    static uint8_t large[LARGE_SIZE];
    uint64_t n = 0;
    begin(2, 0);
    struct zu_peer_ops ops = *peers[0]->ops;
    ops.send_large = take_past;
    peers[0]->ops = &ops; /* the other has no such way */
    past.is_open = true;
    struct zu_part part = {.data = &n, .size = sizeof n, .at_once = true, .waits = true};
    cr_assert_eq(offered(&part), peers[0]);
    cr_assert_eq(past.size, sizeof n);
    cr_assert_eq(past.patience_ns, 0u, "another has room");
    n = 1;
    cr_assert_null(offered(&part));
    expect_message(peers[1], 1);
    past.is_open = false; /* refused: it takes the pipe, and the turn moves on all the same */
    n = 2;
    cr_assert_eq(offered(&part), peers[0]);
    expect_message(peers[0], 2);
    n = 3;
    cr_assert_null(offered(&part));
    expect_message(peers[1], 3);
    past.is_open = true;
    part.at_once = false;
    n = 4;
    cr_assert_null(offered(&part), "there is time");
    expect_message(peers[0], 4);
    offered(&part);
    part = (struct zu_part){.data = large, .size = sizeof large};
    cr_assert_eq(offered(&part), peers[0], "large ones always do");
    end(2);
}

Test(balance, parts_and_messages_by_reference_take_the_pipe)
{
    _Atomic unsigned frees = 0;
    uint64_t n = 7;
    begin(1, 0);
    struct zu_peer_ops ops = *peers[0]->ops;
    ops.send_large = take_past;
    peers[0]->ops = &ops;
    past.is_open = true;
    struct zu_part part = {.data = &n, .size = sizeof n, .at_once = true, .waits = true, .more = true};
    cr_assert_null(offered(&part));
    part.more = false;
    cr_assert_null(offered(&part), "the rest of a message goes where its beginning went");
    struct zu_msg msg;
    foreign_msg(&msg, 3, LARGE_SIZE, &frees);
    struct zu_part by_ref = {.msg = &msg, .size = LARGE_SIZE, .at_once = true};
    cr_assert_null(offered(&by_ref));
    cr_assert_eq(offered(&part), peers[0]);
    cr_assert_eq(past.patience_ns, (uint64_t)ZU_BALANCE_PATIENCE_NS, "it is the only one");
    part.waits = false;
    cr_assert_eq(offered(&part), peers[0]);
    cr_assert_eq(past.patience_ns, 0u);
    end(1);
    cr_assert_eq(frees, 1u);
    zu_msg_close(&msg);
}

static void flush_interrupted(struct zu_peer *peer, uint64_t patience_ns)
{
    peer->out_interrupted = patience_ns > 0;
}

/* Else a signal that comes while the kernel is waited for would be lost, and the sender sleep on. */
Test(balance, a_send_in_vain_tells_of_a_signal_while_it_waited)
{
    begin(1, 1);
    struct zu_peer_ops ops = *peers[0]->ops;
    ops.flush = flush_interrupted;
    peers[0]->ops = &ops;
    struct zu_part part = {.data = "x", .size = 1, .waits = true};
    cr_assert_eq(pattern.ops->send(&pattern, &part), 0);
    cr_assert_eq(pattern.ops->send(&pattern, &part), -EAGAIN);
    cr_assert(pattern.out.interrupted);
    cr_assert_eq(pattern.ops->send(&pattern, &part), -EAGAIN);
    cr_assert_not(pattern.out.interrupted, "the peer has left the circle: nothing was waited for");
    end(1);
}

/* Peers come and go, fill and drain. */
struct crowd {
    uint64_t held[PEERS];  /* messages in each pipe */
    uint64_t hwm[PEERS];   /* of each */
    bool is_here[PEERS];   /* attached */
    uint64_t parts[PEERS]; /* frames of the message that the far end is in */
    uint64_t last[PEERS];  /* number of the last message it got, plus one */
    uint64_t taken;        /* messages that came out */
    uint64_t lost;         /* messages in pipes whose far end went */
};

static void crowd_join(struct crowd *crowd, struct chance *chance, unsigned i)
{
    crowd->hwm[i] = 1 + chance_below(chance, 20);
    peers[i] = peer_make(crowd->hwm[i], 1);
    crowd->is_here[i] = true;
    crowd->held[i] = crowd->parts[i] = crowd->last[i] = 0;
    pattern.ops->attach(&pattern, peers[i]);
}

static void crowd_take(struct crowd *crowd, unsigned i)
{
    uint64_t n = 0;
    bool more;
    do {
        int err = far_take(peers[i], &n, &more);
        cr_assert_eq(err, crowd->held[i] ? 0 : -EAGAIN);
        if (err)
            return;
        cr_assert_geq(n, crowd->last[i]);
        cr_assert_eq(crowd->parts[i] == 0 || n == crowd->last[i], true);
        crowd->last[i] = n;
        crowd->parts[i]++;
    } while (more);
    cr_assert_eq(crowd->parts[i], 1 + n % 3);
    crowd->parts[i] = 0;
    crowd->last[i] = n + 1;
    crowd->held[i]--;
    crowd->taken++;
}

/* Sends message n, 1 + n % 3 parts; returns whether it was accepted. */
static bool crowd_send(struct crowd *crowd, uint64_t n)
{
    bool has_room = false;
    uint64_t before[PEERS], grown = 0;
    for (unsigned i = 0; i < PEERS; i++) {
        has_room |= crowd->is_here[i] && crowd->held[i] < crowd->hwm[i];
        before[i] = crowd->is_here[i] ? zu_pipe_count(peers[i]->out).accepted : 0;
    }
    cr_assert_eq(pattern.ops->poll(&pattern), has_room ? ZU_POLL_OUT : 0);
    for (uint64_t part = n % 3; part > 0; part--) {
        int err = near_send(n, true);
        cr_assert_eq(err, has_room ? 0 : -EAGAIN);
        if (err)
            return false;
    }
    cr_assert_eq(near_send(n, false), has_room ? 0 : -EAGAIN);
    for (unsigned i = 0; i < PEERS; i++) {
        uint64_t more = crowd->is_here[i] ? zu_pipe_count(peers[i]->out).accepted - before[i] : 0;
        crowd->held[i] += more;
        grown += more;
    }
    cr_assert_eq(grown, has_room ? 1u : 0u);
    return has_room;
}

Test(balance, at_random_every_message_reaches_one_peer_whole)
{
    struct chance chance = chance_new("balance");
    struct crowd crowd = {0};
    uint64_t sent = 0;
    begin(0, 0);
    for (int round = 0; round < 30000; round++) {
        unsigned i = (unsigned)chance_below(&chance, PEERS);
        uint64_t what = chance_below(&chance, 200);
        if (what == 0 && crowd.is_here[i]) {
            crowd.lost += crowd.held[i];
            crowd.is_here[i] = false;
            peer_end(peers[i]);
        } else if (what < 4 && !crowd.is_here[i]) {
            crowd_join(&crowd, &chance, i);
        } else if (what < 90 && crowd.is_here[i]) {
            crowd_take(&crowd, i);
        } else if (what < 100) {
            zu_mailbox_run(&near_box);
            zu_mailbox_run(&far_box);
        } else {
            sent += crowd_send(&crowd, sent);
        }
    }
    for (unsigned i = 0; i < PEERS; i++) {
        while (crowd.is_here[i] && crowd.held[i])
            crowd_take(&crowd, i);
        if (crowd.is_here[i])
            peer_end(peers[i]);
    }
    cr_assert_eq(crowd.taken + crowd.lost, sent);
}
