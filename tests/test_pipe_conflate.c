/* SPDX-License-Identifier: MIT */
/* A conflating pipe, read and drained: the newest only, everything else dropped once, nothing lost at the end. */
#include "flow/pipe_conflate.h"

#include <criterion/criterion.h>
#include <pthread.h>

#include "flow.h"
#include "flow/pipe_drain.h"

static struct ears ears;

static struct zu_pipe *pipe_begin(void)
{
    struct zu_pipe *pipe = pipe_with_ears(&ears, 5);
    zu_pipe_conflate(pipe);
    return pipe;
}

static void write_number(struct zu_pipe *pipe, uint64_t n)
{
    cr_assert(zu_pipe_admits(pipe));
    cr_assert_eq(zu_pipe_write(pipe, &n, sizeof n, false), 0);
}

/* The next number, or a negative errno. */
static int64_t read_number(struct zu_pipe *pipe)
{
    struct zu_view view;
    int64_t n;
    int err = zu_pipe_peek(pipe, &view);
    if (err)
        return err;
    cr_assert_eq(view.size, sizeof n);
    memcpy(&n, view.data, sizeof n);
    zu_pipe_pop(pipe, &view);
    return n;
}

static void expect_counts(struct zu_pipe *pipe, uint64_t accepted, uint64_t consumed, uint64_t dropped)
{
    struct zu_pipe_counts counts = zu_pipe_count(pipe);
    cr_assert_eq(counts.accepted, accepted);
    cr_assert_eq(counts.consumed, consumed);
    cr_assert_eq(counts.dropped, dropped);
    cr_assert_eq(counts.held, accepted - consumed - dropped);
}

/* Whoever says farewell takes back first what was unfinished. */
Test(pipe_conflate, nothing_to_take_back)
{
    struct zu_pipe *pipe = pipe_begin();
    write_number(pipe, 1);
    zu_pipe_roll_back(pipe);
    cr_assert_not(zu_pipe_write_quickly(pipe, "x", 1));
    write_number(pipe, 2);
    expect_counts(pipe, 2, 0, 1);
    cr_assert_eq(read_number(pipe), 2);
    cr_assert_eq(read_number(pipe), -EAGAIN);
    zu_pipe_end(pipe);
    zu_pipe_leave(pipe);
}

Test(pipe_conflate, the_newest_is_read_whatever_the_limit)
{
    struct zu_pipe *pipe = pipe_begin();
    cr_assert_eq(read_number(pipe), -EAGAIN);
    for (uint64_t n = 1; n <= 100; n++)
        write_number(pipe, n);
    zu_pipe_set_hwm(pipe, 1);
    write_number(pipe, 101);
    expect_counts(pipe, 101, 0, 100);
    cr_assert_eq(ear_heard(&ears.reader), 1u);
    cr_assert_eq(read_number(pipe), 101);
    cr_assert_eq(read_number(pipe), -EAGAIN);
    write_number(pipe, 102);
    cr_assert_eq(ear_heard(&ears.reader), 1u);
    zu_pipe_end(pipe);
    cr_assert_eq(read_number(pipe), 102, "what was there before the end is read");
    cr_assert_eq(read_number(pipe), -EPIPE);
    expect_counts(pipe, 102, 2, 100);
    zu_pipe_leave(pipe);
}

Test(pipe_conflate, bodies_by_reference_are_dropped_once)
{
    _Atomic unsigned frees = 0;
    struct zu_pipe *pipe = pipe_begin();
    struct zu_msg msg;
    for (uint64_t n = 0; n < 10; n++) {
        foreign_msg(&msg, n, LARGE_SIZE, &frees);
        cr_assert_eq(zu_pipe_write_msg(pipe, &msg, n % 2), 0);
        cr_assert_eq(frees, n, "the one before");
    }
    struct zu_view view;
    cr_assert_eq(zu_pipe_peek(pipe, &view), 0);
    cr_assert_eq(view.size, LARGE_SIZE);
    cr_assert_not(view.flags & ZU_FRAME_MORE, "each frame stands alone");
    cr_assert_eq(zu_pipe_take_msg(pipe, &view, &msg), 0);
    zu_msg_close(&msg);
    cr_assert_eq(frees, 10u);
    foreign_msg(&msg, 11, LARGE_SIZE, &frees);
    cr_assert_eq(zu_pipe_write_msg(pipe, &msg, false), 0);
    zu_pipe_end(pipe);
    zu_pipe_leave(pipe);
    cr_assert_eq(frees, 11u, "unread at the end");
}

Test(pipe_conflate, a_send_under_way_goes_on_and_the_newest_follows)
{
    struct zu_pipe *pipe = pipe_begin();
    struct iovec pieces[4];
    size_t bytes;
    write_number(pipe, 1);
    cr_assert_eq(zu_pipe_gather(pipe, pieces, 4, 1000, ZU_GATHER_SLEEP, &bytes), 1);
    for (uint64_t n = 2; n <= 9; n++)
        write_number(pipe, n);
    zu_pipe_handed(pipe, bytes - 1);
    cr_assert_eq(zu_pipe_gather(pipe, pieces, 4, 1000, ZU_GATHER_SLEEP, &bytes), 1);
    cr_assert_eq(bytes, 1u, "the rest of the first, and nothing else yet");
    zu_pipe_handed(pipe, bytes);
    cr_assert_eq(zu_pipe_gather(pipe, pieces, 4, 1000, ZU_GATHER_SLEEP, &bytes), 1);
    uint64_t n;
    memcpy(&n, (uint8_t *)pieces[0].iov_base + ZU_FRAME_HEAD_SHORT, sizeof n);
    cr_assert_eq(n, 9u);
    zu_pipe_rewind(pipe);
    cr_assert_eq(zu_pipe_gather(pipe, pieces, 4, 1000, ZU_GATHER_SLEEP, &bytes), 1, "a lost connection sends it again");
    zu_pipe_handed(pipe, bytes);
    zu_pipe_end(pipe);
    cr_assert_eq(zu_pipe_gather(pipe, pieces, 4, 1000, ZU_GATHER_SLEEP, &bytes), -EPIPE);
    expect_counts(pipe, 9, 2, 7);
    zu_pipe_leave(pipe);
}

Test(pipe_conflate, without_memory_the_older_one_stays)
{
    struct zu_pipe *pipe = pipe_begin();
    write_number(pipe, 1);
    struct zu_chunk *pool = pool_empty();
    zu_alloc_fail_from = 1;
    uint64_t n = 2;
    cr_assert_eq(zu_pipe_write(pipe, &n, sizeof n, false), -ENOMEM);
    zu_alloc_fail_from = 0;
    pool_refill(pool);
    cr_assert_eq(read_number(pipe), 1);
    zu_pipe_end(pipe);
    zu_pipe_leave(pipe);
}

enum { RACE_NUMBERS = 200000 };

static void *write_all(void *pipe)
{
    struct chance chance = chance_new("pipe_conflate race");
    for (uint64_t n = 1; n <= RACE_NUMBERS; n++) {
        write_number(pipe, n);
        chance_spin(&chance);
    }
    zu_pipe_end(pipe);
    return NULL;
}

Test(pipe_conflate, two_threads_lose_no_wake_up_and_never_the_last)
{
    struct zu_pipe *pipe = pipe_begin();
    pthread_t writer;
    pthread_create(&writer, NULL, write_all, pipe);
    int64_t last = 0, n;
    while ((n = read_number(pipe)) != -EPIPE) {
        if (n == -EAGAIN) {
            cr_assert(ear_wait(&ears.reader), "a wake-up was lost behind %lld", (long long)last);
            continue;
        }
        cr_assert_gt(n, last);
        last = n;
    }
    pthread_join(writer, NULL);
    cr_assert_eq(last, RACE_NUMBERS);
    struct zu_pipe_counts counts = zu_pipe_count(pipe);
    cr_assert_eq(counts.accepted, counts.consumed + counts.dropped);
    zu_pipe_leave(pipe);
}

/* By inproc any socket may meet any other, so also one that tells what it subscribes to. */
Test(pipe_conflate, records_pass_by)
{
    struct zu_pipe *pipe = pipe_begin();
    for (uint64_t n = 1; n <= 100; n++) {
        cr_assert_eq(zu_pipe_write_record(pipe, "record", 6, "s", 1), 0);
        write_number(pipe, n);
    }
    cr_assert_eq(read_number(pipe), 100);
    cr_assert_eq(read_number(pipe), -EAGAIN);
    zu_pipe_end(pipe);
    cr_assert_eq(read_number(pipe), -EPIPE);
    expect_counts(pipe, 100, 1, 99);
    zu_pipe_leave(pipe);
}
