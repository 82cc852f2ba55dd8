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
