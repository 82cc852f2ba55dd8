/* SPDX-License-Identifier: MIT */
/*
 * Draining: what the kernel would be handed, in any portions, against the wire stream that the written messages make;
 * lost connections in between; and what has been let go by then.
 */
#include "flow/pipe_drain.h"

#include <criterion/criterion.h>
#include <pthread.h>

#include "flow.h"
#include "flow/pipe_wake.h"

enum { STREAM_MAX = 8 * 1024 * 1024, MESSAGES_MAX = 20000, PIECES_MAX = 64 };

/* All that was ever written. */
struct model {
    uint8_t *stream;                    /* the wire bytes of the whole messages, then those of the open one */
    size_t size;                        /* its bytes */
    size_t whole;                       /* bytes of whole messages */
    size_t ends[MESSAGES_MAX];          /* where each message ends */
    unsigned refs_before[MESSAGES_MAX]; /* foreign buffers up to there */
    unsigned messages;                  /* how many */
    unsigned done;                      /* of these were handed over */
    size_t sent;                        /* bytes handed over */
    size_t kept;                        /* end of the last message handed over */
    unsigned refs;                      /* foreign buffers in the stream */
    unsigned refs_back;                 /* foreign buffers that a roll-back dropped */
    _Atomic unsigned frees;             /* foreign buffers freed */
};

static struct ears ears;
static struct model model;

static void model_reset(void)
{
    uint8_t *stream = model.stream ? model.stream : malloc(STREAM_MAX);
    memset(&model, 0, sizeof model);
    model.stream = stream;
}

/* Appends one part to the pipe and to the stream. */
static void write_part(struct zu_pipe *pipe, size_t size, bool more, bool foreign)
{
    uint8_t *at = model.stream + model.size;
    uint64_t n = model.size;
    bool by_ref = foreign && size;
    size_t head = by_ref ? zu_frame_encode_long(at, more, size) : zu_frame_encode(at, more, size);
    payload_fill(at + head, n, size);
    model.size += head + size;
    if (foreign) {
        struct zu_msg msg;
        cr_assert_eq(foreign_msg(&msg, n, size, &model.frees), 0);
        cr_assert_eq(zu_pipe_write_msg(pipe, &msg, more), 0);
        if (by_ref)
            model.refs++;
        else
            model.frees--; /* freed at once */
    } else {
        cr_assert_eq(zu_pipe_write(pipe, at + head, size, more), 0);
    }
    if (!more) {
        model.refs_before[model.messages] = model.refs;
        model.ends[model.messages++] = model.whole = model.size;
    }
}

static void write_message(struct zu_pipe *pipe, struct chance *chance)
{
    unsigned parts = chance_below(chance, 4) ? 1 : 1 + (unsigned)chance_below(chance, 12);
    bool is_abandoned = !chance_below(chance, 20);
    unsigned refs = model.refs;
    while (parts-- > 0) {
        bool large = !chance_below(chance, 10);
        size_t size = large ? ZU_PIPE_COPY_MAX / 2 + chance_below(chance, ZU_PIPE_COPY_MAX) : chance_below(chance, 300);
        write_part(pipe, size, parts > 0 || is_abandoned, chance_below(chance, 3));
    }
    if (is_abandoned) {
        zu_pipe_roll_back(pipe);
        model.size = model.whole;
        model.refs_back += model.refs - refs;
        model.refs = refs;
    }
}

/* Gathers and compares; returns the bytes gathered. */
static size_t gather(struct zu_pipe *pipe, int iov_max, size_t bytes_max)
{
    struct iovec iov[PIECES_MAX];
    size_t bytes = 12345, sum = 0;
    int count = zu_pipe_gather(pipe, iov, iov_max, bytes_max, ZU_GATHER_SLEEP, &bytes);
    if (count == -EPIPE) {
        cr_assert_eq(model.sent, model.whole);
        return 0;
    }
    cr_assert_geq(count, 0);
    cr_assert_leq(count, iov_max);
    for (int i = 0; i < count; i++) {
        cr_assert_lt(sum, bytes_max);
        cr_assert_gt(iov[i].iov_len, 0u);
        cr_assert_leq(model.sent + sum + iov[i].iov_len, model.whole);
        cr_assert_arr_eq(iov[i].iov_base, model.stream + model.sent + sum, iov[i].iov_len);
        sum += iov[i].iov_len;
    }
    cr_assert_eq(bytes, sum);
    cr_assert(count == iov_max || sum >= bytes_max || model.sent + sum == model.whole, "more could have been gathered");
    return sum;
}

static void handed(struct zu_pipe *pipe, size_t bytes)
{
    unsigned messages = 0;
    model.sent += bytes;
    while (model.done < model.messages && model.ends[model.done] <= model.sent) {
        model.kept = model.ends[model.done++];
        messages++;
    }
    cr_assert_eq(zu_pipe_handed(pipe, bytes), messages);
    cr_assert_eq(zu_pipe_count(pipe).consumed, model.done);
    cr_assert_eq(zu_pipe_at_boundary(pipe), model.sent == model.kept);
    unsigned freed = model.done ? model.refs_before[model.done - 1] : 0;
    cr_assert_eq(model.frees, freed + model.refs_back, "exactly the payloads of whole messages are let go");
}

static void lose_connection(struct zu_pipe *pipe)
{
    zu_pipe_rewind(pipe);
    cr_assert(zu_pipe_at_boundary(pipe));
    model.sent = model.kept;
}

static size_t portion(struct chance *chance, size_t bytes)
{
    uint64_t what = chance_below(chance, 4);
    return what == 0                 ? chance_below(chance, bytes + 1)
           : what == 1 && bytes > 20 ? bytes - chance_below(chance, 20)
                                     : bytes;
}

static void drain_run(struct chance *chance, unsigned messages)
{
    model_reset();
    struct zu_pipe *pipe = pipe_with_ears(&ears, 0);
    bool is_ended = false;
    while (!is_ended || model.sent < model.whole) {
        uint64_t what = chance_below(chance, 40);
        if (what < 20 && !is_ended) {
            write_message(pipe, chance);
        } else if (what < 21) {
            lose_connection(pipe);
        } else {
            int iov_max = chance_below(chance, 2) ? PIECES_MAX : 1 + (int)chance_below(chance, 5);
            size_t bytes = gather(pipe, iov_max, 1 + chance_below(chance, chance_below(chance, 2) ? 100 : 100000));
            handed(pipe, portion(chance, bytes));
        }
        if (!is_ended && (model.messages >= messages || model.size > STREAM_MAX - 400000)) {
            zu_pipe_end(pipe);
            is_ended = true;
        }
    }
    struct iovec iov;
    size_t bytes;
    cr_assert_eq(zu_pipe_gather(pipe, &iov, 1, 1, ZU_GATHER_SLEEP, &bytes), -EPIPE);
    cr_assert_eq(model.done, model.messages);
    zu_pipe_leave(pipe);
    cr_assert_eq(model.frees, model.refs + model.refs_back);
}

Test(pipe_drain, any_portions_make_the_stream)
{
    struct chance chance = chance_new("pipe_drain");
    for (int i = 0; i < 15; i++)
        drain_run(&chance, 600);
}

Test(pipe_drain, leaving_in_the_middle_frees_the_rest)
{
    struct chance chance = chance_new("pipe_drain leave");
    for (int i = 0; i < 100; i++) {
        model_reset();
        struct zu_pipe *pipe = pipe_with_ears(&ears, 0);
        for (int n = 0; n < 20; n++)
            write_message(pipe, &chance);
        handed(pipe, portion(&chance, gather(pipe, PIECES_MAX, 1 + chance_below(&chance, 200000))));
        bool is_first = chance_below(&chance, 2);
        if (is_first)
            zu_pipe_leave(pipe);
        zu_pipe_end(pipe);
        if (!is_first)
            zu_pipe_leave(pipe);
        cr_assert_eq(model.frees, model.refs + model.refs_back);
    }
}

/* Each byte of a message with every kind of part is once the last one that the lost connection took. */
Test(pipe_drain, a_rewind_after_any_byte_goes_back_to_a_message)
{
    size_t cut = 0;
    for (bool is_past = false; !is_past; cut += cut < 600 ? 1 : 37) {
        model_reset();
        struct zu_pipe *pipe = pipe_with_ears(&ears, 0);
        write_part(pipe, 10, false, false);
        write_part(pipe, 300, true, false);
        write_part(pipe, 0, true, false);
        write_part(pipe, ZU_PIPE_COPY_MAX + 1, true, true);
        write_part(pipe, 20, true, false);
        write_part(pipe, LARGE_SIZE, false, true);
        write_part(pipe, 5, false, false);
        size_t bytes = gather(pipe, PIECES_MAX, SIZE_MAX);
        is_past = cut >= bytes;
        handed(pipe, is_past ? bytes : cut);
        lose_connection(pipe);
        while (model.sent < model.whole)
            handed(pipe, gather(pipe, 3, 1000));
        zu_pipe_end(pipe);
        zu_pipe_leave(pipe);
        cr_assert_eq(model.frees, 2u);
    }
}

Test(pipe_drain, an_empty_pipe_wakes_its_reader_once)
{
    model_reset();
    struct zu_pipe *pipe = pipe_with_ears(&ears, 0);
    for (int round = 0; round < 100; round++) {
        cr_assert_eq(gather(pipe, PIECES_MAX, 1000), 0u);
        cr_assert_eq(gather(pipe, PIECES_MAX, 1000), 0u);
        cr_assert_eq(ear_heard(&ears.reader), 0u);
        write_part(pipe, 100, true, false);
        cr_assert_eq(ear_heard(&ears.reader), 0u);
        write_part(pipe, LARGE_SIZE, false, true);
        write_part(pipe, 10, false, true);
        cr_assert_eq(ear_heard(&ears.reader), 1u);
        while (model.sent < model.whole)
            handed(pipe, gather(pipe, PIECES_MAX, 100));
    }
    gather(pipe, PIECES_MAX, 1);
    zu_pipe_end(pipe);
    cr_assert_eq(ear_heard(&ears.reader), 1u);
    zu_pipe_leave(pipe);
}

Test(pipe_drain, a_reader_that_stays_awake_is_not_told)
{
    model_reset();
    struct zu_pipe *pipe = pipe_with_ears(&ears, 0);
    struct iovec iov;
    size_t bytes;
    for (int polls = 0; polls < 2; polls++) {
        cr_assert_eq(zu_pipe_gather(pipe, &iov, 1, 1, ZU_GATHER_STAY_AWAKE, &bytes), 0);
        write_part(pipe, 10, false, false);
        cr_assert_eq(ear_heard(&ears.reader), 0u);
        handed(pipe, gather(pipe, PIECES_MAX, SIZE_MAX));
        zu_pipe_reader_poll(pipe);
    }
    cr_assert_eq(gather(pipe, PIECES_MAX, SIZE_MAX), 0u); /* polling no more */
    write_part(pipe, 10, false, false);
    cr_assert_eq(ear_heard(&ears.reader), 1u);
    zu_pipe_reader_poll(pipe);
    handed(pipe, gather(pipe, PIECES_MAX, SIZE_MAX));
    cr_assert_eq(zu_pipe_gather(pipe, &iov, 1, 1, ZU_GATHER_STAY_AWAKE, &bytes), 0);
    zu_pipe_end(pipe);
    cr_assert_eq(zu_pipe_gather(pipe, &iov, 1, 1, ZU_GATHER_STAY_AWAKE, &bytes), -EPIPE);
    zu_pipe_leave(pipe);
}

/* A shard takes a hand-over by the writer for a stream, and looks late: a dialogue must not be taken for one. */
Test(pipe_drain, only_a_stream_is_asked_to_hand_over)
{
    static const size_t sizes[] = {8, 64, 1000, 8000, 16384, ZU_PIPE_COPY_MAX, ZU_PIPE_COPY_MAX + 1, 100000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        model_reset();
        struct zu_pipe *pipe = pipe_with_ears(&ears, 0);
        for (int round = 0; round < 50; round++) {
            cr_assert_eq(gather(pipe, PIECES_MAX, SIZE_MAX), 0u);
            write_part(pipe, sizes[i], false, sizes[i] > ZU_PIPE_COPY_MAX);
            cr_assert_not(pipe->w_flush_due, "message %d of %zu bytes", round, sizes[i]);
            handed(pipe, gather(pipe, PIECES_MAX, SIZE_MAX));
        }
        for (size_t written = 0; written < 300000; written += sizes[i] + ZU_FRAME_HEAD_MAX)
            write_part(pipe, sizes[i], false, false);
        cr_assert(pipe->w_flush_due, "%zu bytes", sizes[i]);
        zu_pipe_end(pipe);
        zu_pipe_leave(pipe);
    }
}

Test(pipe_drain, bytes_under_way_count_until_the_kernel_has_them)
{
    model_reset();
    struct zu_pipe *pipe = pipe_with_ears(&ears, 3);
    for (int i = 0; i < 3; i++)
        write_part(pipe, 100, false, false);
    size_t bytes = gather(pipe, PIECES_MAX, SIZE_MAX);
    cr_assert_not(zu_pipe_admits(pipe));
    cr_assert(zu_pipe_writer_sleep(pipe));
    handed(pipe, 101);
    cr_assert_not(zu_pipe_admits(pipe));
    handed(pipe, gather(pipe, PIECES_MAX, SIZE_MAX) - bytes + 102);
    cr_assert(zu_pipe_admits(pipe));
    zu_pipe_end(pipe);
    zu_pipe_leave(pipe);
}

enum { RACE_MESSAGES = 20000 };

/* Message n of the race: one part or two. */
static size_t race_size(uint64_t n)
{
    return n % 100 ? n % 300 : LARGE_SIZE;
}

static void *write_stream(void *context)
{
    struct zu_pipe *pipe = context;
    struct chance chance = {.state = 0xd7a1};
    uint8_t bytes[LARGE_SIZE];
    for (uint64_t n = 0; n < RACE_MESSAGES; n++) {
        while (!zu_pipe_admits(pipe) && zu_pipe_writer_sleep(pipe)) {
            if (!ear_wait(&ears.writer))
                return NULL;
        }
        payload_fill(bytes, n, race_size(n));
        zu_pipe_write(pipe, bytes, race_size(n), n % 7 == 0);
        if (n % 7 == 0)
            zu_pipe_write(pipe, NULL, 0, false);
        chance_spin(&chance);
    }
    zu_pipe_end(pipe);
    return NULL;
}

static void race_stream(void)
{
    model_reset();
    for (uint64_t n = 0; n < RACE_MESSAGES; n++) {
        model.size += zu_frame_encode(model.stream + model.size, n % 7 == 0, race_size(n));
        payload_fill(model.stream + model.size, n, race_size(n));
        model.size += race_size(n);
        if (n % 7 == 0)
            model.size += zu_frame_encode(model.stream + model.size, 0, 0);
    }
}

/* Sometimes a reader says that it will look by itself, does so, and only then sleeps. */
static void poll_for_a_while(struct zu_pipe *pipe, struct chance *chance)
{
    struct iovec iov;
    size_t bytes;
    if (chance_below(chance, 2))
        return;
    zu_pipe_reader_poll(pipe);
    for (uint64_t looks = chance_below(chance, 2000); looks > 0; looks--) {
        if (zu_pipe_gather(pipe, &iov, 1, 1, ZU_GATHER_STAY_AWAKE, &bytes) > 0 && !chance_below(chance, 4))
            return;
    }
}

Test(pipe_drain, two_threads_with_a_slow_kernel)
{
    struct chance chance = chance_new("pipe_drain threads");
    struct zu_pipe *pipe = pipe_with_ears(&ears, 300);
    struct iovec iov[8];
    pthread_t thread;
    size_t bytes;
    int count;
    race_stream();
    pthread_create(&thread, NULL, write_stream, pipe);
    while ((count = zu_pipe_gather(pipe, iov, 8, 20000, ZU_GATHER_SLEEP, &bytes)) != -EPIPE) {
        if (count == 0) {
            cr_assert(ear_wait(&ears.reader), "a wake-up was lost");
            poll_for_a_while(pipe, &chance);
            continue;
        }
        size_t given = portion(&chance, bytes), at = 0;
        for (int i = 0; i < count; at += iov[i++].iov_len)
            cr_assert_arr_eq(iov[i].iov_base, model.stream + model.sent + at, iov[i].iov_len);
        model.sent += given;
        zu_pipe_handed(pipe, given);
        chance_spin(&chance);
    }
    pthread_join(thread, NULL);
    cr_assert_eq(model.sent, model.size);
    cr_assert_eq(zu_pipe_count(pipe).consumed, RACE_MESSAGES);
    zu_pipe_leave(pipe);
}
