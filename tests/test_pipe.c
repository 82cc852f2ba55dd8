/* SPDX-License-Identifier: MIT */
/* Life, limit and counts of a pipe, and two threads that put each other to sleep over it. */
#include "flow/pipe.h"

#include <criterion/criterion.h>
#include <pthread.h>

#include "flow.h"

static struct ears ears;

static void write_number(struct zu_pipe *pipe, uint64_t n)
{
    cr_assert_eq(zu_pipe_write(pipe, &n, sizeof n, false), 0);
}

static uint64_t read_number(struct zu_pipe *pipe)
{
    struct zu_view view;
    uint64_t n;
    cr_assert_eq(zu_pipe_peek(pipe, &view), 0);
    cr_assert_eq(view.size, sizeof n);
    memcpy(&n, view.data, sizeof n);
    zu_pipe_pop(pipe, &view);
    return n;
}

static void expect_empty(struct zu_pipe *pipe, int err)
{
    struct zu_view view;
    cr_assert_eq(zu_pipe_peek(pipe, &view), err);
}

static void expect_counts(struct zu_pipe *pipe, uint64_t accepted, uint64_t consumed, uint64_t dropped)
{
    struct zu_pipe_counts counts = zu_pipe_count(pipe);
    cr_assert_eq(counts.accepted, accepted);
    cr_assert_eq(counts.consumed, consumed);
    cr_assert_eq(counts.dropped, dropped);
    cr_assert_eq(counts.held, accepted - consumed - dropped);
}

static void close_both(struct zu_pipe *pipe)
{
    zu_pipe_end(pipe);
    zu_pipe_leave(pipe);
}

Test(pipe, without_memory_there_is_none)
{
    for (unsigned from = 1; from <= 2; from++) {
        struct zu_chunk *pool = pool_empty();
        zu_alloc_fail_from = from;
        cr_assert_null(zu_pipe_new(1));
        zu_alloc_fail_from = 0;
        pool_refill(pool);
    }
}

Test(pipe, an_end_may_go_before_the_other_and_what_is_unread_is_dropped_once)
{
    for (int first = 0; first < 2; first++) {
        _Atomic unsigned frees = 0;
        struct zu_pipe *pipe = pipe_with_ears(&ears, 0);
        for (uint64_t n = 0; n < 40; n++) {
            struct zu_msg msg;
            foreign_msg(&msg, n, LARGE_SIZE, &frees);
            cr_assert_eq(zu_pipe_write_msg(pipe, &msg, n % 4 != 3), 0);
        }
        struct zu_msg open;
        foreign_msg(&open, 40, LARGE_SIZE, &frees);
        cr_assert_eq(zu_pipe_write_msg(pipe, &open, true), 0);
        struct zu_view view;
        for (int i = 0; i < 6; i++) {
            cr_assert_eq(zu_pipe_peek(pipe, &view), 0);
            zu_pipe_pop(pipe, &view);
        }
        cr_assert_eq(frees, 6u);
        if (first)
            zu_pipe_leave(pipe);
        zu_pipe_end(pipe);
        cr_assert_eq(frees, first ? 41u : 7u, "the writer's end takes back what is not whole");
        if (!first)
            zu_pipe_leave(pipe);
        cr_assert_eq(frees, 41u);
    }
}

Test(pipe, the_limit_is_exact)
{
    for (uint64_t hwm = 1; hwm < 40; hwm++) {
        struct zu_pipe *pipe = pipe_with_ears(&ears, hwm);
        struct chance chance = {.state = hwm};
        uint64_t written = 0, read = 0;
        for (int round = 0; round < 2000; round++) {
            if (chance_below(&chance, 2)) {
                bool admits = zu_pipe_admits(pipe);
                cr_assert_eq(admits, written - read < hwm, "%d of %d", (int)(written - read), (int)hwm);
                if (admits)
                    write_number(pipe, written++);
            } else if (written > read) {
                cr_assert_eq(read_number(pipe), read);
                read++;
            }
            expect_counts(pipe, written, read, 0);
        }
        close_both(pipe);
    }
}

Test(pipe, parts_count_as_one_message)
{
    struct zu_pipe *pipe = pipe_with_ears(&ears, 2);
    for (int message = 0; message < 2; message++) {
        cr_assert(zu_pipe_admits(pipe));
        for (int part = 0; part < 10; part++)
            zu_pipe_write(pipe, "x", 1, part != 9);
    }
    cr_assert_not(zu_pipe_admits(pipe));
    struct zu_view view;
    for (int part = 0; part < 10; part++) {
        cr_assert_not(zu_pipe_admits(pipe));
        zu_pipe_peek(pipe, &view);
        zu_pipe_pop(pipe, &view);
    }
    cr_assert(zu_pipe_admits(pipe));
    close_both(pipe);
}

Test(pipe, a_new_limit_counts_at_once)
{
    struct zu_pipe *pipe = pipe_with_ears(&ears, 100);
    struct chance chance = chance_new("pipe limit");
    uint64_t hwm = 100, written = 0, read = 0;
    for (int round = 0; round < 20000; round++) {
        switch (chance_below(&chance, 4)) {
        case 0:
            hwm = chance_below(&chance, 8) ? chance_below(&chance, 100) : 0;
            zu_pipe_set_hwm(pipe, hwm);
            break;
        case 1:
            if (written > read)
                cr_assert_eq(read_number(pipe), read++);
            break;
        default:
            cr_assert_eq(zu_pipe_admits(pipe), !hwm || written - read < hwm);
            if (zu_pipe_admits(pipe) && written - read < 1000)
                write_number(pipe, written++);
        }
    }
    expect_counts(pipe, written, read, 0);
    close_both(pipe);
}

Test(pipe, a_sleeping_writer_is_woken_once_when_half_is_gone)
{
    for (uint64_t hwm = 1; hwm < 30; hwm++) {
        struct zu_pipe *pipe = pipe_with_ears(&ears, hwm);
        for (int round = 0; round < 5; round++) {
            while (zu_pipe_admits(pipe))
                write_number(pipe, 0);
            cr_assert(zu_pipe_writer_sleep(pipe));
            unsigned heard = 0;
            uint64_t read = 0;
            for (; read < hwm && !heard; read++) {
                read_number(pipe);
                heard = ear_heard(&ears.writer);
            }
            cr_assert_eq(heard, 1u);
            cr_assert_leq(read, (hwm + 1) / 2);
            while (read++ < hwm)
                read_number(pipe);
            cr_assert_eq(ear_heard(&ears.writer), 0u);
        }
        close_both(pipe);
    }
}

/* A limit that changes, a reader that stops anywhere: whoever sleeps though half is free would sleep for ever. */
Test(pipe, a_writer_is_not_left_asleep_when_half_is_gone)
{
    struct chance chance = chance_new("pipe half");
    for (int run = 0; run < 300; run++) {
        uint64_t hwm = 1 + chance_below(&chance, 40), written = 0, read = 0;
        struct zu_pipe *pipe = pipe_with_ears(&ears, hwm);
        bool sleeps = false;
        for (int round = 0; round < 1000; round++) {
            if (!chance_below(&chance, 100)) {
                hwm = 1 + chance_below(&chance, chance_below(&chance, 2) ? 1000 : 10);
                zu_pipe_set_hwm(pipe, hwm);
            } else if (chance_below(&chance, 2) && written > read) {
                cr_assert_eq(read_number(pipe), read);
                read++;
            } else if (!sleeps && zu_pipe_admits(pipe)) {
                write_number(pipe, written++);
            } else if (!sleeps) {
                sleeps = zu_pipe_writer_sleep(pipe);
            }
            if (ear_heard(&ears.writer))
                sleeps = false;
            cr_assert(!sleeps || written - read > hwm / 2, "%d of %d are left", (int)(written - read), (int)hwm);
        }
        close_both(pipe);
    }
}

Test(pipe, a_writer_that_is_awake_hears_nothing)
{
    struct zu_pipe *pipe = pipe_with_ears(&ears, 10);
    for (int i = 0; i < 1000; i++) {
        write_number(pipe, 0);
        read_number(pipe);
    }
    cr_assert_not(zu_pipe_writer_sleep(pipe), "there is room");
    for (int i = 0; i < 1000; i++) {
        write_number(pipe, 0);
        read_number(pipe);
    }
    zu_pipe_set_hwm(pipe, 5);
    cr_assert_eq(ear_heard(&ears.writer), 0u);
    cr_assert_eq(ears.writer.wakes, 0u);
    close_both(pipe);
}

Test(pipe, a_change_of_the_limit_wakes_the_sleeper_who_looks_again)
{
    struct zu_pipe *pipe = pipe_with_ears(&ears, 3);
    for (int i = 0; i < 3; i++)
        write_number(pipe, 0);
    static const uint64_t limits[] = {2, 3, 10, 0};
    for (size_t i = 0; i < 4; i++) {
        zu_pipe_set_hwm(pipe, 1);
        ear_heard(&ears.writer);
        cr_assert(zu_pipe_writer_sleep(pipe));
        zu_pipe_set_hwm(pipe, limits[i]);
        cr_assert_eq(ear_heard(&ears.writer), 1u);
        cr_assert_eq(zu_pipe_admits(pipe), i >= 2);
    }
    close_both(pipe);
}

/* The limit falls below what the reader believed it to be, and the pipe runs empty: nothing more would come. */
Test(pipe, a_reader_that_goes_to_sleep_leaves_no_writer_asleep)
{
    struct zu_pipe *pipe = pipe_with_ears(&ears, 1);
    write_number(pipe, 0);
    cr_assert(zu_pipe_writer_sleep(pipe));
    /* What a late look at the limit does: the message is counted by the old, high one. */
    atomic_store(&pipe->hwm, 1000);
    read_number(pipe);
    atomic_store(&pipe->hwm, 1);
    expect_empty(pipe, -EAGAIN);
    cr_assert_eq(ear_heard(&ears.writer), 1u);
    close_both(pipe);
}

Test(pipe, leaving_counts_what_is_dropped_and_ends_the_notes)
{
    struct zu_pipe *pipe = pipe_with_ears(&ears, 10);
    for (int i = 0; i < 7; i++)
        write_number(pipe, 0);
    for (int i = 0; i < 3; i++)
        read_number(pipe);
    zu_pipe_leave(pipe);
    expect_counts(pipe, 7, 3, 4);
    for (int i = 0; i < 3; i++)
        write_number(pipe, 0);
    expect_counts(pipe, 10, 3, 7);
    zu_pipe_end(pipe);

    pipe = pipe_with_ears(&ears, 10);
    expect_empty(pipe, -EAGAIN);
    zu_pipe_leave(pipe);
    write_number(pipe, 0);
    zu_pipe_end(pipe);
    cr_assert_eq(ear_heard(&ears.reader), 0u, "the note's memory may be gone");

    pipe = pipe_with_ears(&ears, 1);
    write_number(pipe, 0);
    cr_assert(zu_pipe_writer_sleep(pipe));
    zu_pipe_end(pipe);
    read_number(pipe);
    expect_empty(pipe, -EPIPE);
    zu_pipe_leave(pipe);
    cr_assert_eq(ear_heard(&ears.writer), 0u, "the note's memory may be gone");
}

static void release_counts(struct zu_mailbox *box)
{
    atomic_fetch_add(&((struct ear *)(void *)box)->wakes, 100);
}

Test(pipe, the_boxes_are_let_go_with_the_pipe)
{
    struct zu_pipe *pipe = pipe_with_ears(&ears, 1);
    ears.reader.box.release = ears.writer.box.release = release_counts;
    zu_mailbox_unref(&ears.reader.box);
    zu_mailbox_unref(&ears.writer.box);
    zu_pipe_end(pipe);
    cr_assert_eq(ears.reader.wakes, 0u);
    zu_pipe_leave(pipe);
    cr_assert_eq(ears.reader.wakes, 100u);
    cr_assert_eq(ears.writer.wakes, 100u);
}

static _Atomic unsigned origins_freed;

static void origin_free(struct zu_origin *origin)
{
    (void)origin;
    origins_freed++;
}

Test(pipe, each_message_names_the_origin_it_was_written_under)
{
    struct zu_origin origins[2] = {{.refs = 1, .free = origin_free}, {.refs = 1, .free = origin_free}};
    struct zu_pipe *pipe = pipe_with_ears(&ears, 0);
    write_number(pipe, 0);
    for (int i = 0; i < 2; i++) {
        struct zu_chunk *pool = pool_empty();
        zu_alloc_fail_from = 1;
        cr_assert_eq(zu_pipe_set_origin(pipe, &origins[i]), -ENOMEM);
        zu_alloc_fail_from = 0;
        pool_refill(pool);
        cr_assert_eq(zu_pipe_set_origin(pipe, &origins[i]), 0);
        for (int n = 0; n < 100; n++)
            write_number(pipe, 0);
    }
    zu_origin_unref(&origins[0]);
    zu_origin_unref(&origins[1]);
    struct zu_msg kept = {0};
    for (int n = 0; n < 201; n++) {
        struct zu_view view;
        struct zu_msg msg;
        cr_assert_eq(zu_pipe_peek(pipe, &view), 0);
        cr_assert_eq(zu_pipe_take_msg(pipe, &view, &msg), 0);
        cr_assert_eq(msg.origin, n == 0 ? NULL : &origins[n > 100]);
        if (n == 100)
            kept = msg;
        else
            zu_msg_close(&msg);
    }
    close_both(pipe);
    struct zu_origin other = {.refs = 1, .free = origin_free};
    zu_origin_give(zu_origin_take(&other)); /* what this thread has in stock is of another one now */
    cr_assert_eq(origins_freed, 1u);
    zu_msg_close(&kept);
    cr_assert_eq(origins_freed, 2u);
}

/* Two threads that sleep whenever they may: a lost wake-up stops them for good. */
struct race {
    struct zu_pipe *pipe;       /* between them */
    struct ears ears;           /* of its ends */
    uint64_t messages;          /* to pass */
    _Atomic uint64_t hwm_max;   /* largest limit ever set; 0 when there is none to check */
    struct chance chance;       /* the writer's */
    struct chance limit_chance; /* of the thread that changes the limit */
    _Atomic bool is_stuck;      /* a thread's patience ended */
    _Atomic bool is_over;       /* the limit need not change any more */
};

static void *write_race(void *context)
{
    struct race *race = context;
    for (uint64_t n = 0; n < race->messages && !race->is_stuck; n++) {
        while (!zu_pipe_admits(race->pipe) && zu_pipe_writer_sleep(race->pipe)) {
            if (!ear_wait(&race->ears.writer))
                race->is_stuck = true;
            if (race->is_stuck)
                return NULL;
        }
        for (unsigned part = n % 5 ? 0 : 2; part > 0; part--)
            zu_pipe_write(race->pipe, &n, sizeof n, true);
        zu_pipe_write(race->pipe, &n, sizeof n, false);
        chance_spin(&race->chance);
    }
    zu_pipe_end(race->pipe);
    return NULL;
}

static uint64_t read_race(struct race *race, struct chance *chance)
{
    struct zu_view view;
    uint64_t n = 0, said;
    int err;
    while ((err = zu_pipe_peek(race->pipe, &view)) != -EPIPE && !race->is_stuck) {
        if (err == -EAGAIN) {
            if (!ear_wait(&race->ears.reader))
                race->is_stuck = true;
            continue;
        }
        struct zu_pipe_counts counts = zu_pipe_count(race->pipe);
        uint64_t hwm_max = race->hwm_max;
        cr_assert(!hwm_max || counts.held <= hwm_max, "%d held", (int)counts.held);
        memcpy(&said, view.data, sizeof said);
        cr_assert_eq(said, n);
        n += !(view.flags & ZU_FRAME_MORE);
        zu_pipe_pop(race->pipe, &view);
        chance_spin(chance);
    }
    return n;
}

static void *change_limit(void *context)
{
    struct race *race = context;
    while (!race->is_over) {
        zu_pipe_set_hwm(race->pipe, 1 + chance_below(&race->limit_chance, race->hwm_max));
        for (int i = 0; i < 20; i++)
            chance_spin(&race->limit_chance);
    }
    return NULL;
}

static void race_run(struct chance *chance, uint64_t hwm, uint64_t messages, bool changes)
{
    static struct race race;
    race = (struct race){.messages = messages, .hwm_max = hwm};
    race.chance.state = chance_next(chance) | 1;
    race.limit_chance.state = chance_next(chance) | 1;
    race.pipe = pipe_with_ears(&race.ears, hwm);
    pthread_t writer, changer;
    pthread_create(&writer, NULL, write_race, &race);
    if (changes)
        pthread_create(&changer, NULL, change_limit, &race);
    uint64_t read = read_race(&race, chance);
    race.is_over = true;
    if (changes)
        pthread_join(changer, NULL);
    pthread_join(writer, NULL);
    cr_assert_not(race.is_stuck, "a wake-up was lost");
    cr_assert_eq(read, messages);
    expect_counts(race.pipe, messages, messages, 0);
    zu_pipe_leave(race.pipe);
}

Test(pipe, two_threads_lose_no_wake_up_and_keep_the_limit)
{
    struct chance chance = chance_new("pipe race");
    race_run(&chance, 1, 10000, false);
    race_run(&chance, 2, 20000, false);
    race_run(&chance, 7, 50000, false);
    race_run(&chance, 1000, 100000, false);
    race_run(&chance, 0, 100000, false);
}

Test(pipe, a_third_thread_may_change_the_limit_all_the_time)
{
    struct chance chance = chance_new("pipe live limit");
    race_run(&chance, 4, 20000, true);
    race_run(&chance, 100, 50000, true);
}
