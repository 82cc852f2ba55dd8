/* SPDX-License-Identifier: MIT */
/* When a dial tries again, in virtual time: a transport notes each attempt, and mostly nobody listens. */
#include <criterion/criterion.h>

#include "sim_world.h"

enum { ATTEMPTS_MAX = 12, NEARLY_MS = 5 /* what a refusal itself may take */ };

static struct {
    uint64_t at_ns[ATTEMPTS_MAX]; /* when, of the first so many */
    unsigned count;               /* all */
} attempts;

static int noting_dial(const char *address, const struct zu_settings *settings, struct zu_target *ret_target)
{
    if (attempts.count < ATTEMPTS_MAX)
        attempts.at_ns[attempts.count] = zu_sim_now_ns(world.sim);
    attempts.count++;
    return sim_dial(address, settings, ret_target);
}

static const struct zu_transport noting_transport = {
    .scheme = "sim", .check = sim_check, .listen = sim_listen, .dial = noting_dial, .peer_text = sim_peer_text};

static void set(struct zu_socket *socket, int option, int value)
{
    CHECK(zu_socket_set(socket, option, &value, sizeof value) == 0, "option %d refused", option);
}

static void until_attempts(unsigned count)
{
    while (attempts.count < count)
        CHECK(zu_sim_turn(world.sim, world.shards, world.shard_count), "it has given up");
}

/* A PUSH that has begun to dial where nobody is. */
static struct zu_socket *begin(int interval_ms, int max_ms)
{
    world_begin(1);
    memory_begin();
    world_make();
    zu_transport_extra = &noting_transport;
    attempts.count = 0;
    struct zu_socket *socket = stage_socket(PUSH);
    set(socket, ZU_OPT_RECONNECT_IVL, interval_ms);
    set(socket, ZU_OPT_RECONNECT_IVL_MAX, max_ms);
    CHECK(zu_socket_connect(socket, stage_text) == 0, "connect");
    return socket;
}

/* From attempt `n` to the next. */
static int gap_ms(unsigned n)
{
    return (int)((attempts.at_ns[n + 1] - attempts.at_ns[n]) / ZU_NS_PER_MS);
}

static void expect_gaps(unsigned from, const int *expected_ms, unsigned count)
{
    until_attempts(from + count + 1);
    for (unsigned i = 0; i < count; i++) {
        int gap = gap_ms(from + i);
        cr_expect(gap >= expected_ms[i] && gap <= expected_ms[i] + NEARLY_MS, "attempt %u: %d ms instead of %d",
                  from + i + 1, gap, expected_ms[i]);
    }
}

Test(backoff, doubles_up_to_the_maximum)
{
    static const int gaps_ms[] = {100, 200, 400, 800, 1500, 1500, 1500};
    struct zu_socket *push = begin(100, 1500);
    expect_gaps(0, gaps_ms, 7);
    zu_socket_close(push);
    stage_end();
}

Test(backoff, is_constant_when_both_are_one)
{
    static const int gaps_ms[] = {250, 250, 250, 250};
    struct zu_socket *push = begin(250, 250);
    expect_gaps(0, gaps_ms, 4);
    zu_socket_close(push);
    stage_end();
}

static void expect_random_gaps(int interval_ms, int max_ms)
{
    struct zu_socket *push = begin(interval_ms, max_ms);
    bool varies = false;
    until_attempts(ATTEMPTS_MAX);
    for (unsigned i = 0; i + 1 < ATTEMPTS_MAX; i++) {
        cr_expect(gap_ms(i) >= interval_ms && gap_ms(i) < 2 * interval_ms + NEARLY_MS, "%d ms", gap_ms(i));
        varies |= abs(gap_ms(i) - gap_ms(0)) > 2 * NEARLY_MS;
    }
    cr_expect(varies, "peers would all come back at once");
    zu_socket_close(push);
    stage_end();
}

Test(backoff, is_random_without_a_maximum)
{
    expect_random_gaps(100, 0);
}

Test(backoff, is_random_with_one_below_the_interval)
{
    expect_random_gaps(100, 99);
}

Test(backoff, begins_anew_after_a_connection)
{
    static const int gaps_ms[] = {100, 200, 400};
    struct zu_socket *push = begin(100, 10000), *pull = stage_socket(PULL);
    expect_gaps(0, gaps_ms, 3);
    CHECK(zu_socket_bind(pull, stage_text) == 0, "bind");
    stage_settle();
    cr_assert_eq(attempts.count, 4, "the fourth is under way, and gets through");
    zu_socket_close(pull);
    uint64_t closed_ns = zu_sim_now_ns(world.sim);
    until_attempts(5);
    cr_expect_lt(attempts.at_ns[4], closed_ns + (100 + NEARLY_MS) * ZU_NS_PER_MS, "the first gap again");
    expect_gaps(4, gaps_ms + 1, 2);
    zu_socket_close(push);
    stage_end();
}
