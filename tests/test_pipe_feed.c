/* SPDX-License-Identifier: MIT */
/*
 * Feeding: a random stream of frames, cut at random places and fed in every way there is, against a model of what must
 * come out; then limits, floods, a hostile peer, a want of memory, and a reader on another thread.
 */
#include "flow/pipe_feed.h"

#include <criterion/criterion.h>
#include <pthread.h>

#include "flow.h"

enum { STREAM_MAX = 6 * 1024 * 1024, FRAMES_MAX = 20000, HELD_MAX = 32 };

struct frame {
    size_t at;      /* of its head in the stream */
    size_t payload; /* of its payload in the stream */
    size_t size;    /* of its payload */
    bool command;   /* for the connection */
    bool more;      /* another part follows */
};

/* What a peer sends. */
struct stream {
    uint8_t *bytes;                  /* all of it */
    size_t size;                     /* how many */
    struct frame frames[FRAMES_MAX]; /* in order */
    unsigned count;                  /* how many */
    unsigned messages;               /* of them end a message */
};

static struct stream stream;
static unsigned commands_seen; /* index into frames, behind the last command handed over */

static size_t chance_size(struct chance *chance)
{
    static const size_t edges[] = {0,     1,     254,   255,   256,   257,   4095, 4096,
                                   12223, 12224, 12225, 12279, 12288, 65535, 65536};
    switch (chance_below(chance, 60)) {
    case 0:
        return chance_below(chance, 4) ? 60000 + chance_below(chance, 20000) : (1 << 20) + chance_below(chance, 3) - 1;
    case 1:
        return ZU_FEED_LARGE_MIN - 50 + chance_below(chance, 150);
    case 2:
        return chance_below(chance, 40000);
    case 3:
    case 4:
    case 5:
        return edges[chance_below(chance, sizeof edges / sizeof *edges)];
    default:
        return chance_below(chance, 400);
    }
}

static void frame_add(struct chance *chance, size_t size, bool command, bool more)
{
    struct frame *frame = &stream.frames[stream.count++];
    uint8_t *at = stream.bytes + stream.size;
    *frame = (struct frame){.at = stream.size, .size = size, .command = command, .more = more};
    size_t head = zu_frame_encode(at, (command ? ZU_FRAME_COMMAND : 0u) | more, size);
    if (chance && head == 2 && !chance_below(chance, 10)) {
        uint64_t big_endian = htobe64(size);
        at[0] |= ZU_FRAME_LONG;
        memcpy(at + 1, &big_endian, sizeof big_endian);
        head = ZU_FRAME_HEAD_MAX;
    }
    if (chance && !chance_below(chance, 10))
        at[0] |= (uint8_t)(chance_below(chance, 32) << 3);
    payload_fill(at + head, stream.size, size);
    frame->payload = stream.size + head;
    stream.size += head + size;
    stream.messages += !command && !more;
}

static void stream_clear(void)
{
    stream.count = stream.messages = 0;
    stream.size = 0;
    if (!stream.bytes)
        stream.bytes = malloc(STREAM_MAX);
    commands_seen = 0;
}

static void stream_make(struct chance *chance, size_t size)
{
    stream_clear();
    unsigned parts = 0;
    while (stream.size < size || parts) {
        if (!chance_below(chance, 12)) {
            size_t command_size = chance_below(chance, 50) ? chance_below(chance, 40) : ZU_FEED_LARGE_MIN - 1;
            frame_add(chance, command_size, true, false);
        }
        if (parts == 0)
            parts = chance_below(chance, 5) ? 1 : 1 + (unsigned)chance_below(chance, 20);
        frame_add(chance, chance_size(chance), false, --parts > 0);
    }
}

/* Where a peer goes on that lost its connection: behind the last message that was accepted. */
static size_t stream_resume(uint64_t accepted)
{
    unsigned i = 0;
    for (uint64_t messages = 0; messages < accepted; i++)
        messages += !stream.frames[i].command && !stream.frames[i].more;
    commands_seen = i;
    return i ? stream.frames[i - 1].payload + stream.frames[i - 1].size : 0;
}

static int expect_command(void *context, const uint8_t *body, size_t size)
{
    (void)context;
    while (commands_seen < stream.count && !stream.frames[commands_seen].command)
        commands_seen++;
    const struct frame *frame = &stream.frames[commands_seen++];
    cr_assert_lt(commands_seen, stream.count + 1);
    cr_assert_eq(size, frame->size);
    cr_assert_arr_eq(body, stream.bytes + frame->payload, size);
    return 0;
}

static const struct zu_feed_limits no_limits = {
    .frame_max = UINT64_MAX, .open_max = UINT64_MAX, .command = expect_command};

/* A connection's receiving half. */
struct feeder {
    struct zu_pipe *pipe;                /* fed */
    const struct zu_feed_limits *limits; /* what the peer may do */
    struct zu_buf *large;                /* being filled */
    size_t large_size;                   /* its payload */
    size_t large_have;                   /* of which have arrived */
};

static int large_begin(struct feeder *feeder, int err, const struct zu_feed_want *want)
{
    if (err || !want->size)
        return err;
    feeder->large = zu_buf_new(want->size);
    if (!feeder->large)
        return -ENOMEM;
    feeder->large_size = want->size;
    feeder->large_have = zu_pipe_large_begin(feeder->pipe, feeder->large->data, want->size);
    return 0;
}

/* Gives the large frame its bytes; returns how many it took. */
static size_t large_fill(struct feeder *feeder, const uint8_t *bytes, size_t size)
{
    size_t step = feeder->large_size - feeder->large_have;
    if (step > size)
        step = size;
    memcpy((uint8_t *)feeder->large->data + feeder->large_have, bytes, step);
    feeder->large_have += step;
    if (feeder->large_have == feeder->large_size) {
        zu_pipe_large_end(feeder->pipe, feeder->large, feeder->large->data, feeder->large_size);
        feeder->large = NULL;
    }
    return step;
}

static int feed_chunk(struct feeder *feeder, const uint8_t *bytes, size_t size, struct zu_feed_want *ret_want)
{
    struct zu_chunk *chunk = zu_chunk_new(ZU_CHUNK_RUNG_RECEIVE);
    if (!chunk)
        return -ENOMEM;
    uint32_t from = ZU_RECEIVE_HEADROOM;
    memcpy(chunk->data + from, bytes, size);
    if (feeder->large) {
        uint32_t taken = (uint32_t)large_fill(feeder, chunk->data + from, size);
        from += taken;
        size -= taken;
    }
    if (size == 0) {
        zu_chunk_unref(chunk);
        ret_want->size = 0;
        return 0;
    }
    return zu_pipe_feed(feeder->pipe, chunk, from, (uint32_t)size, feeder->limits, ret_want);
}

/* As a receive into the large frame and, behind it, the tail. */
static int feed_tail(struct feeder *feeder, const uint8_t *bytes, size_t size, struct zu_feed_want *ret_want)
{
    uint8_t *tail = zu_pipe_tail(feeder->pipe, (uint32_t)(size + sizeof(struct zu_chunk_ref)));
    if (!tail)
        return -ENOMEM;
    size_t rest = feeder->large ? feeder->large_size - feeder->large_have : 0;
    if (rest > size)
        rest = size;
    memcpy(tail, bytes + rest, size - rest);
    if (feeder->large)
        large_fill(feeder, bytes, rest);
    return rest == size ? 0 : zu_pipe_feed_tail(feeder->pipe, (uint32_t)(size - rest), feeder->limits, ret_want);
}

static int feed_bytes(struct feeder *feeder, const uint8_t *bytes, size_t size, struct zu_feed_want *ret_want)
{
    size_t taken = feeder->large ? large_fill(feeder, bytes, size) : 0;
    return taken == size ? 0 : zu_pipe_feed_bytes(feeder->pipe, bytes + taken, size - taken, feeder->limits, ret_want);
}

/* The next bytes in a portion and a way by chance; 0 and how many, or the feed's error. */
static int feed_some(struct feeder *feeder, struct chance *chance, const uint8_t *bytes, size_t left, size_t *ret_fed)
{
    static const size_t most[] = {3, 20, 300, ZU_FEED_ADOPT_MIN + 100, ZU_RECEIVE_SIZE, ZU_RECEIVE_SIZE};
    struct zu_feed_want want = {0};
    size_t size = 1 + chance_below(chance, most[chance_below(chance, 6)]);
    if (size > left)
        size = left;
    int err;
    uint64_t way = chance_below(chance, 4);
    if (way == 0)
        err = feed_tail(feeder, bytes, size, &want);
    else if (way == 1)
        err = feed_bytes(feeder, bytes, size, &want);
    else
        err = feed_chunk(feeder, bytes, size, &want);
    *ret_fed = size;
    return large_begin(feeder, err, &want);
}

/* The application's end. */
struct taker {
    unsigned next;                /* index into frames of the next one, commands skipped */
    struct zu_msg held[HELD_MAX]; /* messages that live on for a while */
    unsigned frames[HELD_MAX];    /* and what they should be */
    unsigned holds;               /* ever held */
};

static void hold(struct taker *taker, struct zu_msg *msg, unsigned frame)
{
    struct zu_msg *old = &taker->held[taker->holds % HELD_MAX];
    if (taker->holds >= HELD_MAX) {
        const struct frame *was = &stream.frames[taker->frames[taker->holds % HELD_MAX]];
        cr_assert_eq(zu_msg_size(old), was->size);
        cr_assert_arr_eq(zu_msg_data(old), stream.bytes + was->payload, was->size);
        zu_msg_close(old);
    }
    *old = *msg;
    taker->frames[taker->holds++ % HELD_MAX] = frame;
}

static int take_one(struct zu_pipe *pipe, struct taker *taker, struct chance *chance)
{
    struct zu_view view;
    int err = zu_pipe_peek(pipe, &view);
    if (err)
        return err;
    while (stream.frames[taker->next].command)
        taker->next++;
    const struct frame *frame = &stream.frames[taker->next];
    cr_assert_eq(view.size, frame->size);
    cr_assert_eq(view.flags, frame->more ? ZU_FRAME_MORE : 0);
    cr_assert_arr_eq(view.data, stream.bytes + frame->payload, frame->size);
    struct zu_msg msg;
    if (chance_below(chance, 2)) {
        zu_pipe_pop(pipe, &view);
    } else {
        if (zu_pipe_take_msg(pipe, &view, &msg))
            return 0;
        hold(taker, &msg, taker->next);
    }
    taker->next++;
    return 0;
}

static void taker_close(struct taker *taker)
{
    for (unsigned i = 0; i < HELD_MAX && i < taker->holds; i++)
        zu_msg_close(&taker->held[i]);
}

static struct ears ears;

static void feeder_lose(struct feeder *feeder)
{
    if (feeder->large)
        zu_buf_unref(feeder->large);
    feeder->large = NULL;
    zu_pipe_roll_back(feeder->pipe);
}

static void feed_run(struct chance *chance, bool starve)
{
    struct feeder feeder = {.pipe = pipe_with_ears(&ears, 0), .limits = &no_limits};
    struct taker taker = {0};
    for (size_t at = 0; at < stream.size;) {
        size_t fed;
        if (starve && !chance_below(chance, 8))
            zu_alloc_fail_from = 1 + (unsigned)chance_below(chance, 3);
        zu_pipe_feed_expect(feeder.pipe, chance_below(chance, 3));
        int err = feed_some(&feeder, chance, stream.bytes + at, stream.size - at, &fed);
        zu_alloc_fail_from = 0;
        at += fed;
        if (err) {
            cr_assert(starve && err == -ENOMEM, "%d", err);
            feeder_lose(&feeder);
            at = stream_resume(zu_pipe_count(feeder.pipe).accepted);
        }
        for (uint64_t takes = chance_below(chance, 80); takes && !take_one(feeder.pipe, &taker, chance); takes--)
            ;
    }
    zu_pipe_end(feeder.pipe);
    cr_assert_eq(zu_pipe_count(feeder.pipe).accepted, stream.messages);
    int err;
    while (!(err = take_one(feeder.pipe, &taker, chance)))
        ;
    cr_assert_eq(err, -EPIPE);
    cr_assert_eq(zu_pipe_count(feeder.pipe).consumed, stream.messages);
    zu_pipe_leave(feeder.pipe);
    taker_close(&taker);
    while (commands_seen < stream.count)
        cr_assert_not(stream.frames[commands_seen++].command, "a command was lost");
}

Test(pipe_feed, any_cuts_of_any_stream)
{
    struct chance chance = chance_new("pipe_feed");
    for (int i = 0; i < 8; i++) {
        stream_make(&chance, 3000000);
        feed_run(&chance, false);
    }
    for (int i = 0; i < 200; i++) {
        stream_make(&chance, 1 + chance_below(&chance, 30000));
        feed_run(&chance, false);
    }
}

Test(pipe_feed, a_want_of_memory_costs_the_connection_and_nothing_else)
{
    struct chance chance = chance_new("pipe_feed starved");
    for (int i = 0; i < 40; i++) {
        struct zu_chunk *pool = pool_empty();
        stream_make(&chance, 200000);
        feed_run(&chance, true);
        pool_refill(pool);
    }
}

/* Feeds all of the stream in pieces of `step`; the first error. */
static int feed_stepwise(struct feeder *feeder, size_t step, size_t *ret_at)
{
    int err = 0;
    size_t at = 0;
    while (!err && at < stream.size) {
        struct zu_feed_want want = {.size = 99};
        size_t size = stream.size - at < step ? stream.size - at : step;
        err = feed_chunk(feeder, stream.bytes + at, size, &want);
        if (!feeder->large)
            err = large_begin(feeder, err, &want);
        at += size;
    }
    *ret_at = at;
    return err;
}

static void expect_feed(const struct zu_feed_limits *limits, size_t step, int err, uint64_t messages)
{
    struct feeder feeder = {.pipe = pipe_with_ears(&ears, 0), .limits = limits};
    size_t at;
    commands_seen = 0;
    cr_assert_eq(feed_stepwise(&feeder, step, &at), err, "step %d", (int)step);
    cr_assert_eq(zu_pipe_count(feeder.pipe).accepted, messages, "step %d", (int)step);
    feeder_lose(&feeder);
    zu_pipe_end(feeder.pipe);
    zu_pipe_leave(feeder.pipe);
}

static const size_t steps[] = {1, 7, 100, 5000, 9000, 40000, ZU_RECEIVE_SIZE};

Test(pipe_feed, a_frame_above_the_limit_is_refused_at_its_head)
{
    static const size_t maxima[] = {0, 10, 255, 256, 5000, ZU_FEED_LARGE_MIN, 50000};
    for (size_t i = 0; i < sizeof maxima / sizeof *maxima; i++) {
        struct zu_feed_limits limits = no_limits;
        limits.frame_max = maxima[i];
        for (size_t s = 0; s < sizeof steps / sizeof *steps; s++) {
            stream_clear();
            frame_add(NULL, maxima[i], false, false);
            frame_add(NULL, 0, false, false);
            expect_feed(&limits, steps[s], 0, 2);
            frame_add(NULL, maxima[i] + 1, false, false);
            frame_add(NULL, 0, false, false);
            expect_feed(&limits, steps[s], -EMSGSIZE, 2);
            stream.size = stream.frames[2].payload; /* a head is enough */
            expect_feed(&limits, steps[s], -EMSGSIZE, 2);
        }
    }
}

Test(pipe_feed, an_unfinished_message_is_bounded_wherever_it_is_cut)
{
    static const size_t part_sizes[] = {3, 700, 11000, 30000};
    struct zu_feed_limits limits = no_limits;
    limits.open_max = 100000;
    for (size_t p = 0; p < 4; p++) {
        for (size_t s = 2; s < sizeof steps / sizeof *steps; s++) {
            stream_clear();
            frame_add(NULL, 5, false, false);
            while (stream.size < 200000 && stream.count < FRAMES_MAX - 5)
                frame_add(NULL, part_sizes[p], false, true);
            if (stream.size < limits.open_max)
                continue;
            struct feeder feeder = {.pipe = pipe_with_ears(&ears, 0), .limits = &limits};
            size_t at;
            cr_assert_eq(feed_stepwise(&feeder, steps[s], &at), -ENOBUFS);
            cr_assert_gt(at, p < 3 ? limits.open_max : limits.open_max - 2 * part_sizes[p]);
            cr_assert_leq(at, limits.open_max + 2 * part_sizes[p] + 2 * steps[s]);
            cr_assert_eq(zu_pipe_count(feeder.pipe).accepted, 1u);
            feeder_lose(&feeder);
            zu_pipe_end(feeder.pipe);
            zu_pipe_leave(feeder.pipe);
        }
    }
}

Test(pipe_feed, the_bound_is_for_unfinished_messages_alone)
{
    struct zu_feed_limits limits = no_limits;
    limits.open_max = 20000;
    stream_clear();
    for (int i = 0; i < 30; i++) {
        frame_add(NULL, 9000, false, true);
        frame_add(NULL, 9000, false, false);
        frame_add(NULL, 50000, false, false);
        frame_add(NULL, 8, true, false);
    }
    for (size_t s = 0; s < sizeof steps / sizeof *steps; s++)
        expect_feed(&limits, steps[s], 0, 60);
}

static int refuse_command(void *context, const uint8_t *body, size_t size)
{
    (void)context;
    (void)body;
    return size == 7 ? -EPROTONOSUPPORT : 0;
}

Test(pipe_feed, a_bad_command_ends_it_however_it_is_cut)
{
    struct zu_feed_limits limits = no_limits;
    limits.command = refuse_command;
    for (size_t s = 0; s < sizeof steps / sizeof *steps; s++) {
        stream_clear();
        frame_add(NULL, 5, false, false);
        frame_add(NULL, 6, true, false);
        frame_add(NULL, 5, false, false);
        frame_add(NULL, 7, true, false);
        frame_add(NULL, 5, false, false);
        expect_feed(&limits, steps[s], -EPROTONOSUPPORT, 2);
        stream_clear();
        frame_add(NULL, 5, false, false);
        frame_add(NULL, ZU_FEED_LARGE_MIN - 1, true, false);
        expect_feed(&limits, steps[s], 0, 1);
        frame_add(NULL, ZU_FEED_LARGE_MIN, true, false);
        frame_add(NULL, 5, false, false);
        expect_feed(&limits, steps[s], -EPROTO, 1);
        stream_clear();
        frame_add(NULL, 5, false, false);
        memcpy(stream.bytes + stream.size, "\x03\x80\0\0\0\0\0\0\0abc", 12);
        stream.size += 12;
        expect_feed(&limits, steps[s], -EPROTO, 1);
    }
}

Test(pipe_feed, commands_without_messages_cost_no_memory)
{
    struct chance chance = chance_new("pipe_feed commands");
    struct feeder feeder = {.pipe = pipe_with_ears(&ears, 0), .limits = &no_limits};
    size_t fed;
    for (int round = 0; round < 40; round++) {
        stream_clear();
        while (stream.size < 200000 && stream.count < FRAMES_MAX - 1)
            frame_add(&chance, chance_below(&chance, 300), true, false);
        if (round % 10 == 9)
            frame_add(&chance, 20000 * (round % 20 == 9), false, false);
        for (size_t at = 0; at < stream.size; at += fed)
            cr_assert_eq(feed_some(&feeder, &chance, stream.bytes + at, stream.size - at, &fed), 0);
        cr_assert_eq(zu_pipe_count(feeder.pipe).accepted, (uint64_t)(round + 1) / 10);
        struct zu_view view;
        while (round % 10 == 9 && !zu_pipe_peek(feeder.pipe, &view)) {
            cr_assert_eq(view.size, 20000u * (round % 20 == 9));
            zu_pipe_pop(feeder.pipe, &view);
        }
    }
    zu_pipe_end(feeder.pipe);
    zu_pipe_leave(feeder.pipe);
    cr_assert_lt(zu_chunk_pool_bytes(), 700000u, "8 MB of commands were kept");
}

static int any_command(void *context, const uint8_t *body, size_t size)
{
    uint8_t sum = 0;
    for (size_t i = 0; i < size; i++)
        sum += body[i]; /* for the sanitizers: all of it may be read */
    *(volatile uint8_t *)context = sum;
    return 0;
}

static void read_all(struct zu_pipe *pipe)
{
    struct zu_view view;
    static uint8_t copy[2000000];
    while (!zu_pipe_peek(pipe, &view)) {
        memcpy(copy, view.data, view.size);
        zu_pipe_pop(pipe, &view);
    }
}

Test(pipe_feed, a_hostile_peer_harms_nobody)
{
    struct chance chance = chance_new("pipe_feed hostile");
    uint8_t sum;
    struct zu_feed_limits limits = {.frame_max = 1000000, .open_max = 300000, .command = any_command, .context = &sum};
    for (int i = 0; i < 300; i++) {
        stream_make(&chance, 60000);
        uint64_t faults = chance_below(&chance, 40);
        for (uint64_t f = 0; f < faults; f++) {
            size_t at = chance_below(&chance, 3) ? stream.frames[chance_below(&chance, stream.count)].at
                                                 : chance_below(&chance, stream.size);
            stream.bytes[at + chance_below(&chance, 9) % (stream.size - at)] = (uint8_t)chance_next(&chance);
        }
        if (i % 3 == 0) {
            for (size_t at = 0; at < stream.size; at++)
                stream.bytes[at] = (uint8_t)chance_next(&chance) & (at % 2 ? 0xff : 0x07);
        }
        struct feeder feeder = {.pipe = pipe_with_ears(&ears, 0), .limits = &limits};
        int err = 0;
        size_t fed;
        for (size_t at = 0; at < stream.size && !err; at += fed) {
            err = feed_some(&feeder, &chance, stream.bytes + at, stream.size - at, &fed);
            if (chance_below(&chance, 2))
                read_all(feeder.pipe);
        }
        cr_assert(err == 0 || err == -EPROTO || err == -EMSGSIZE || err == -ENOBUFS);
        feeder_lose(&feeder);
        zu_pipe_end(feeder.pipe);
        read_all(feeder.pipe);
        struct zu_pipe_counts counts = zu_pipe_count(feeder.pipe);
        cr_assert_eq(counts.accepted, counts.consumed);
        zu_pipe_leave(feeder.pipe);
    }
}

Test(pipe_feed, more_bytes_than_a_buffer_holds_are_refused)
{
    struct zu_pipe *pipe = pipe_with_ears(&ears, 0);
    struct zu_feed_want want;
    stream_clear();
    cr_assert_eq(zu_pipe_feed_bytes(pipe, stream.bytes, ZU_RECEIVE_SIZE + 1, &no_limits, &want), -EINVAL);
    cr_assert_null(zu_pipe_tail(pipe, 100000));
    zu_pipe_end(pipe);
    zu_pipe_leave(pipe);
}

Test(pipe_feed, the_end_takes_back_what_is_not_whole)
{
    struct chance chance = chance_new("pipe_feed end");
    for (int i = 0; i < 300; i++) {
        stream_make(&chance, 100000);
        struct feeder feeder = {.pipe = pipe_with_ears(&ears, 0), .limits = &no_limits};
        struct taker taker = {0};
        size_t fed, cut = chance_below(&chance, stream.size);
        for (size_t at = 0; at < cut; at += fed)
            cr_assert_eq(feed_some(&feeder, &chance, stream.bytes + at, cut - at, &fed), 0);
        uint64_t whole = 0;
        for (unsigned n = 0; n < stream.count && stream.frames[n].payload + stream.frames[n].size <= cut; n++)
            whole += !stream.frames[n].command && !stream.frames[n].more;
        if (feeder.large)
            zu_buf_unref(feeder.large);
        zu_pipe_end(feeder.pipe);
        int err;
        while (!(err = take_one(feeder.pipe, &taker, &chance)))
            ;
        cr_assert_eq(err, -EPIPE);
        struct zu_pipe_counts counts = zu_pipe_count(feeder.pipe);
        cr_assert_eq(counts.accepted, whole);
        cr_assert_eq(counts.consumed, whole);
        zu_pipe_leave(feeder.pipe);
        taker_close(&taker);
    }
}

Test(pipe_feed, a_full_pipe_says_so_and_wakes_its_feeder_at_half)
{
    struct feeder feeder = {.pipe = pipe_with_ears(&ears, 10), .limits = &no_limits};
    struct zu_feed_want want;
    struct zu_view view;
    for (int i = 0; i < 10; i++) {
        cr_assert_not(zu_pipe_feed_is_full(feeder.pipe));
        cr_assert_eq(zu_pipe_feed_bytes(feeder.pipe, "\0\1x", 3, &no_limits, &want), 0);
    }
    cr_assert(zu_pipe_feed_is_full(feeder.pipe));
    cr_assert(zu_pipe_feed_is_full(feeder.pipe), "asked twice");
    unsigned heard = 0;
    for (int i = 0; i < 5; i++) {
        zu_pipe_peek(feeder.pipe, &view);
        zu_pipe_pop(feeder.pipe, &view);
        heard += ear_heard(&ears.writer);
    }
    cr_assert_eq(heard, 1u);
    cr_assert_not(zu_pipe_feed_is_full(feeder.pipe));
    zu_pipe_end(feeder.pipe);
    zu_pipe_leave(feeder.pipe);
}

/* How many messages of 1000 bytes are fed until the sleeping reader hears of them. */
static unsigned feed_until_heard(struct zu_pipe *pipe, unsigned most)
{
    static uint8_t frame[9 + 1000];
    struct zu_feed_want want;
    unsigned fed = 0;
    zu_frame_encode(frame, 0, 1000);
    while (fed < most && !ear_heard(&ears.reader)) {
        cr_assert_eq(zu_pipe_feed_bytes(pipe, frame, sizeof frame, &no_limits, &want), 0);
        fed++;
    }
    return fed;
}

Test(pipe_feed, a_sleeper_is_woken_for_many_while_more_is_sure_to_come)
{
    struct zu_pipe *pipe = pipe_with_ears(&ears, 0);
    struct zu_view view;
    cr_assert_eq(zu_pipe_peek(pipe, &view), -EAGAIN);
    cr_assert_eq(feed_until_heard(pipe, 10), 1u);
    read_all(pipe);
    zu_pipe_feed_expect(pipe, true);
    unsigned many = feed_until_heard(pipe, 1000);
    cr_assert(many > 100 && many < 400, "%u", many);
    read_all(pipe);
    cr_assert_eq(zu_pipe_count(pipe).held, 0, "what is heard of is all there");
    cr_assert_eq(feed_until_heard(pipe, 5), 5u);
    cr_assert(zu_pipe_feed_hides(pipe));
    cr_assert_eq(zu_pipe_peek(pipe, &view), -EAGAIN);
    cr_assert_eq(zu_pipe_count(pipe).held, 5u);
    zu_pipe_feed_show(pipe);
    cr_assert_eq(ear_heard(&ears.reader), 1u);
    read_all(pipe);
    cr_assert_eq(zu_pipe_count(pipe).held, 0);
    feed_until_heard(pipe, 5);
    zu_pipe_feed_expect(pipe, false);
    cr_assert_eq(feed_until_heard(pipe, 5), 1u, "the last one brings the others");
    read_all(pipe);
    feed_until_heard(pipe, 1);
    cr_assert_eq(zu_pipe_peek(pipe, &view), 0);
    zu_pipe_feed_expect(pipe, true);
    feed_until_heard(pipe, 3);
    cr_assert_not(zu_pipe_feed_hides(pipe), "a reader that is awake sees each");
    read_all(pipe);
    zu_pipe_end(pipe);
    zu_pipe_leave(pipe);
}

Test(pipe_feed, parts_of_an_endless_message_do_not_hide_what_is_whole)
{
    static uint8_t part[9 + 1000];
    struct zu_pipe *pipe = pipe_with_ears(&ears, 0);
    struct zu_feed_want want;
    struct zu_view view;
    cr_assert_eq(zu_pipe_peek(pipe, &view), -EAGAIN);
    zu_pipe_feed_expect(pipe, true);
    cr_assert_eq(feed_until_heard(pipe, 1), 1u);
    cr_assert(zu_pipe_feed_hides(pipe));
    zu_frame_encode(part, ZU_FRAME_MORE, 1000);
    unsigned parts = 0;
    for (; parts < 400 && !ear_heard(&ears.reader); parts++)
        cr_assert_eq(zu_pipe_feed_bytes(pipe, part, sizeof part, &no_limits, &want), 0);
    cr_assert_lt(parts, 400u);
    read_all(pipe);
    cr_assert_eq(zu_pipe_count(pipe).held, 0);
    zu_pipe_end(pipe);
    zu_pipe_leave(pipe);
}

static void steady(struct feeder *feeder, unsigned messages, size_t *at)
{
    struct zu_view view;
    struct zu_msg msg;
    struct zu_feed_want want;
    unsigned read = 0;
    while (read < messages) {
        size_t size = stream.size - *at < 30011 ? stream.size - *at : 30011;
        cr_assert_eq(feed_chunk(feeder, stream.bytes + *at, size, &want), 0);
        *at = (*at + size) % stream.size;
        while (!zu_pipe_peek(feeder->pipe, &view)) {
            cr_assert_eq(zu_pipe_take_msg(feeder->pipe, &view, &msg), 0);
            zu_msg_close(&msg);
            read++;
        }
        ear_heard(&ears.reader);
    }
}

Test(pipe_feed, small_messages_need_no_allocator_once_warm)
{
    struct feeder feeder = {.pipe = pipe_with_ears(&ears, 0), .limits = &no_limits};
    stream_clear();
    for (size_t size = 0; size <= 512; size++)
        frame_add(NULL, size, false, false);
    size_t at = 0;
    steady(&feeder, 2000, &at);
    zu_alloc_fail_from = 1;
    steady(&feeder, 100000, &at);
    zu_alloc_fail_from = 0;
    zu_pipe_end(feeder.pipe);
    zu_pipe_leave(feeder.pipe);
}

static void *feed_all(void *context)
{
    struct feeder *feeder = context;
    struct chance chance = {.state = stream.size | 1};
    size_t fed;
    for (size_t at = 0; at < stream.size; at += fed) {
        zu_pipe_feed_expect(feeder->pipe, chance_below(&chance, 4));
        if (feed_some(feeder, &chance, stream.bytes + at, stream.size - at, &fed))
            break;
        if (!chance_below(&chance, 4) || (!feeder->large && zu_pipe_feed_is_full(feeder->pipe)))
            zu_pipe_feed_show(feeder->pipe);
        if (!feeder->large && zu_pipe_feed_is_full(feeder->pipe) && !ear_wait(&ears.writer))
            break;
    }
    zu_pipe_end(feeder->pipe);
    return NULL;
}

Test(pipe_feed, a_shard_and_an_application)
{
    struct chance chance = chance_new("pipe_feed threads");
    for (int i = 0; i < 3; i++) {
        stream_make(&chance, 2000000);
        struct feeder feeder = {.pipe = pipe_with_ears(&ears, 50), .limits = &no_limits};
        struct taker taker = {0};
        pthread_t thread;
        int err;
        pthread_create(&thread, NULL, feed_all, &feeder);
        while ((err = take_one(feeder.pipe, &taker, &chance)) != -EPIPE) {
            if (err == -EAGAIN)
                cr_assert(ear_wait(&ears.reader), "a wake-up was lost");
            chance_spin(&chance);
        }
        pthread_join(thread, NULL);
        cr_assert_eq(zu_pipe_count(feeder.pipe).consumed, stream.messages);
        zu_pipe_leave(feeder.pipe);
        taker_close(&taker);
    }
}
