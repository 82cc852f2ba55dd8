/* SPDX-License-Identifier: MIT */
/*
 * A reader that polls, stops and sleeps, against a writer that publishes one message at that very moment and then waits
 * for it to be read: a wake-up that is lost stops both.
 */
#include "flow/pipe_wake.h"

#include <criterion/criterion.h>
#include <pthread.h>

#include "flow.h"
#include "flow/pipe_drain.h"

enum { ROUNDS = 30000 };
/* Enough on an idle machine; on a busy one each round may cost a time slice. */
#define ROUNDS_NS (ZU_NS_PER_S / 2)

static struct ears ears;
static _Atomic bool is_stuck;

/* Messages found and handed over; a negative errno at the end. */
static int look(struct zu_pipe *pipe, enum zu_gather_mode mode)
{
    struct iovec iov[4];
    size_t bytes;
    int count = zu_pipe_gather(pipe, iov, 4, SIZE_MAX, mode, &bytes);
    return count > 0 ? (int)zu_pipe_handed(pipe, bytes) : count;
}

static void *write_singly(void *context)
{
    struct zu_pipe *pipe = context;
    struct chance chance = {.state = 0xa1};
    uint8_t bytes[60] = {0};
    uint64_t until_ns = zu_clock_ns() + ROUNDS_NS;
    for (uint64_t n = 1; n <= ROUNDS && zu_clock_ns() < until_ns && !is_stuck; n++) {
        for (volatile uint64_t i = chance_below(&chance, 400); i > 0; i--)
            ;
        /* Chunks end now and then: the word that is published last is then not the newest chunk's. */
        zu_pipe_write(pipe, bytes, n % 16 ? 8 : sizeof bytes, false);
        for (unsigned looks = 0; atomic_load(&pipe->read_count) < n && !is_stuck; looks++) {
            if (looks > 500)
                sched_yield();
        }
    }
    zu_pipe_end(pipe);
    return NULL;
}

Test(pipe_wake, a_message_at_any_moment_reaches_a_reader_that_stops_polling)
{
    struct chance chance = chance_new("pipe_wake");
    struct zu_pipe *pipe = pipe_with_ears(&ears, 0);
    pthread_t thread;
    pthread_create(&thread, NULL, write_singly, pipe);
    int read = 0, found = 0;
    while (found != -EPIPE && !is_stuck) {
        if (chance_below(&chance, 8))
            zu_pipe_reader_poll(pipe);
        found = 0;
        for (uint64_t looks = chance_below(&chance, 60); looks > 0 && !found; looks--)
            found = look(pipe, ZU_GATHER_STAY_AWAKE);
        if (!found)
            found = look(pipe, ZU_GATHER_SLEEP);
        if (found > 0)
            read += found;
        else if (!found && !ear_wait(&ears.reader))
            is_stuck = true; /* the writer waits for this */
    }
    pthread_join(thread, NULL);
    cr_assert_not(is_stuck, "a wake-up was lost after %d", read);
    cr_assert_eq(zu_pipe_count(pipe).held, 0u);
    zu_pipe_leave(pipe);
}

/* What lies in the pipe, as a shard takes it: to the end, and then to sleep. */
static int drain(struct zu_pipe *pipe, enum zu_gather_mode mode)
{
    int all = 0, found;
    while ((found = look(pipe, ZU_GATHER_STAY_AWAKE)) > 0 || (!found && (found = look(pipe, mode)) > 0))
        all += found;
    return all;
}

static unsigned state_of(struct zu_pipe *pipe)
{
    return atomic_load(&pipe->reader_state);
}

/* After the note the reader is as good as looking by its own clock, and what is published costs no exchange. */
Test(pipe_wake, a_reader_on_the_writers_thread_is_told_once_a_turn)
{
    uint8_t bytes[60] = {0};
    struct zu_pipe *pipe = pipe_with_ears(&ears, 0);
    zu_pipe_reader_poll(pipe);
    unsigned polling = state_of(pipe); /* AWAKE where the kernel has no membarrier */
    for (unsigned turn = 0; turn < 200; turn++) {
        cr_assert_eq(drain(pipe, ZU_GATHER_SLEEP_HERE), 0);
        cr_assert_eq(state_of(pipe), ZU_READER_ASLEEP);
        cr_assert_eq(ear_heard(&ears.reader), 0u);
        for (unsigned n = 0; n <= turn; n++) {
            cr_assert_eq(zu_pipe_write(pipe, bytes, n % 16 ? 8 : sizeof bytes, false), 0);
            cr_assert_eq(state_of(pipe), polling);
        }
        cr_assert_eq(ears.reader.wakes, turn + 1);
        cr_assert_eq(ear_heard(&ears.reader), 1u);
        cr_assert_eq(drain(pipe, ZU_GATHER_SLEEP_HERE), (int)turn + 1);
    }
    zu_pipe_write(pipe, bytes, 8, false);
    zu_pipe_end(pipe);
    cr_assert_eq(ear_heard(&ears.reader), 1u);
    cr_assert_eq(look(pipe, ZU_GATHER_SLEEP_HERE), 1);
    cr_assert_eq(look(pipe, ZU_GATHER_SLEEP_HERE), -EPIPE);
    zu_pipe_leave(pipe);
}

/* Asleep by one, the reader's end is woken for the other. */
Test(pipe_wake, a_reader_that_sleeps_elsewhere_next_is_woken_to_look_at_once)
{
    struct zu_pipe *pipe = pipe_with_ears(&ears, 0);
    drain(pipe, ZU_GATHER_SLEEP_HERE);
    zu_pipe_write(pipe, "a", 1, false);
    zu_pipe_write(pipe, "b", 1, false);
    cr_assert_eq(drain(pipe, ZU_GATHER_SLEEP), 2);
    zu_pipe_write(pipe, "c", 1, false);
    cr_assert_eq(state_of(pipe), ZU_READER_AWAKE);
    cr_assert_eq(drain(pipe, ZU_GATHER_SLEEP_HERE), 1);
    cr_assert_eq(state_of(pipe), ZU_READER_ASLEEP);
    zu_pipe_end(pipe);
    zu_pipe_leave(pipe);
}

/* A pipe whose reading end is worked by its writer's thread and by a keeper's in turn. */
struct shared {
    struct zu_pipe *pipe;  /* the writer's thread writes */
    pthread_mutex_t lock;  /* its holder is the pipe's reader, and runs the ear's notes */
    _Atomic bool is_over;  /* for the keeper */
    uint64_t kept;         /* messages that the keeper has taken */
};

static int take_turn(struct shared *shared, enum zu_gather_mode mode)
{
    int found = 0;
    pthread_mutex_lock(&shared->lock);
    if (zu_mailbox_run(&ears.reader.box))
        found = drain(shared->pipe, mode);
    pthread_mutex_unlock(&shared->lock);
    return found;
}

/* Takes only what a note has told of; awake, to meet the writer in the middle of a burst. */
static void *keep(void *arg)
{
    struct shared *shared = arg;
    for (unsigned looks = 0; !shared->is_over; looks++) {
        if (zu_mailbox_has_notes(&ears.reader.box)) {
            shared->kept += (uint64_t)take_turn(shared, ZU_GATHER_SLEEP);
            looks = 0;
        } else if (looks > 500) {
            sched_yield();
        }
    }
    return NULL;
}

static void until_taken(struct zu_pipe *pipe, uint64_t count)
{
    uint64_t until_ns = zu_clock_ns() + PATIENCE_NS;
    for (unsigned looks = 0; atomic_load(&pipe->read_count) < count; looks++) {
        cr_assert_lt(zu_clock_ns(), until_ns, "message %llu was not told of", (unsigned long long)count);
        if (looks > 100)
            sched_yield();
    }
}

Test(pipe_wake, a_writer_that_reads_and_a_keeper_lose_nothing, .timeout = 60)
{
    struct chance chance = chance_new("pipe_wake keeper");
    struct shared shared = {.pipe = pipe_with_ears(&ears, 0), .lock = PTHREAD_MUTEX_INITIALIZER};
    uint64_t until_ns = zu_clock_ns() + 2 * ROUNDS_NS, written = 0, own = 0;
    uint8_t bytes[60] = {0};
    pthread_t thread;
    drain(shared.pipe, ZU_GATHER_SLEEP_HERE);
    pthread_create(&thread, NULL, keep, &shared);
    while (zu_clock_ns() < until_ns) {
        for (uint64_t burst = chance_below(&chance, 12); burst > 0; burst--) {
            zu_pipe_write(shared.pipe, bytes, ++written % 16 ? 8 : sizeof bytes, false);
            for (volatile uint64_t i = chance_below(&chance, 400); i > 0; i--)
                ;
        }
        if (!chance_below(&chance, 3))
            own += (uint64_t)take_turn(&shared, ZU_GATHER_SLEEP_HERE);
        else
            until_taken(shared.pipe, written); /* by the keeper alone */
    }
    until_taken(shared.pipe, written);
    shared.is_over = true;
    pthread_join(thread, NULL);
    cr_assert_eq(own + shared.kept, written);
    cr_assert(own > 100 && shared.kept > 100, "%llu, %llu", (unsigned long long)own, (unsigned long long)shared.kept);
    zu_pipe_end(shared.pipe);
    zu_mailbox_run(&ears.reader.box);
    zu_pipe_leave(shared.pipe);
}
