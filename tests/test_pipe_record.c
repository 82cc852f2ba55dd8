/* SPDX-License-Identifier: MIT */
/*
 * Records: commands that a pipe keeps for its reader, fed or written; what a reader sees who minds them, and one who does
 * not; their bound; and a draining reader that drops what lies before one of them.
 */
#include <criterion/criterion.h>

#include "flow.h"
#include "flow/pipe_drain.h"
#include "flow/pipe_feed.h"

enum { ITEMS = 3000, BYTES_MAX = 24 << 20 };

enum kind { MESSAGE, PART, RECORD, PING };

/* What was fed or written, in order: payload i is of items[i]. */
struct item {
    enum kind kind;
    size_t size;
};

static struct item items[ITEMS];
static struct ears ears;

static int keep_records(void *context, const uint8_t *body, size_t size)
{
    (void)context;
    return size > 0 && body[0] == 'R';
}

static const struct zu_feed_limits limits = {
    .frame_max = UINT64_MAX, .open_max = UINT64_MAX, .record_max = 1 << 20, .command = keep_records};

static void payload_of(unsigned i, uint8_t *into)
{
    payload_fill(into, i, items[i].size);
    if (items[i].kind >= RECORD && items[i].size)
        into[0] = items[i].kind == RECORD ? 'R' : 'P';
}

static size_t chance_size(struct chance *chance)
{
    static const size_t edges[] = {1, 254, 255, 256, ZU_FEED_LARGE_MIN - 1, ZU_FEED_LARGE_MIN, ZU_FEED_LARGE_MIN + 1};
    if (!chance_below(chance, 20))
        return edges[chance_below(chance, sizeof edges / sizeof *edges)];
    return 1 + chance_below(chance, chance_below(chance, 40) ? 60 : 70000);
}

static size_t stream_make(struct chance *chance, uint8_t *stream)
{
    size_t at = 0;
    bool inside = false;
    for (unsigned i = 0; i < ITEMS; i++) {
        items[i].kind = i + 1 == ITEMS ? MESSAGE : (enum kind)chance_below(chance, 4);
        items[i].size = chance_size(chance);
        if (items[i].kind == PING && items[i].size >= ZU_FEED_LARGE_MIN)
            items[i].size = 5;
        if (!inside && items[i].kind == PART && i + 2 >= ITEMS)
            items[i].kind = MESSAGE;
        inside = items[i].kind == PART || (inside && items[i].kind >= RECORD);
        unsigned flags = (items[i].kind == PART ? ZU_FRAME_MORE : 0) | (items[i].kind >= RECORD ? ZU_FRAME_COMMAND : 0);
        at += zu_frame_encode(stream + at, flags, items[i].size);
        payload_of(i, stream + at);
        at += items[i].size;
    }
    return at;
}

/* A connection's receiving half. */
static size_t feed_some(struct zu_pipe *pipe, struct chance *chance, const uint8_t *bytes, size_t left, struct zu_buf **large,
                        size_t *large_size, size_t *large_have)
{
    size_t size = 1 + chance_below(chance, chance_below(chance, 2) ? 40 : 30000);
    if (size > left)
        size = left;
    if (*large) {
        size_t step = *large_size - *large_have < size ? *large_size - *large_have : size;
        memcpy((uint8_t *)(*large)->data + *large_have, bytes, step);
        *large_have += step;
        if (*large_have == *large_size) {
            zu_pipe_large_end(pipe, *large, (*large)->data, *large_size);
            *large = NULL;
        }
        return step;
    }
    struct zu_feed_want want = {0};
    cr_assert_eq(zu_pipe_feed_bytes(pipe, bytes, size, &limits, &want), 0);
    if (want.size) {
        *large = zu_buf_new(want.size);
        *large_size = want.size;
        *large_have = zu_pipe_large_begin(pipe, (*large)->data, want.size);
    }
    return size;
}

/* All that can be read: from item `*next` on. */
static int read_some(struct zu_pipe *pipe, unsigned *next)
{
    static uint8_t expected[70001];
    for (;;) {
        struct zu_view view;
        int err = zu_pipe_peek_any(pipe, &view);
        if (err)
            return err;
        if ((view.flags & ZU_FRAME_COMMAND) && view.data[0] == 'P') { /* it need not be there, but may */
            cr_assert_not(view.flags & ZU_PIPE_FED);
            zu_pipe_pop_record(pipe, &view);
            continue;
        }
        while (items[*next].kind == PING)
            ++*next;
        const struct item *item = &items[*next];
        cr_assert_eq(view.size, item->size);
        cr_assert_eq(view.flags, item->kind == RECORD ? ZU_FRAME_COMMAND | ZU_PIPE_FED : item->kind == PART);
        payload_of((*next)++, expected);
        cr_assert_arr_eq(view.data, expected, view.size);
        if (view.flags & ZU_FRAME_COMMAND)
            zu_pipe_pop_record(pipe, &view);
        else
            zu_pipe_pop(pipe, &view);
    }
}

Test(pipe_record, fed_records_stand_among_messages_however_they_are_cut)
{
    struct chance chance = chance_new("pipe_record");
    uint8_t *stream = malloc(BYTES_MAX);
    for (int round = 0; round < 10; round++) {
        struct zu_pipe *pipe = pipe_with_ears(&ears, 0);
        size_t size = stream_make(&chance, stream), large_size = 0, large_have = 0;
        struct zu_buf *large = NULL;
        unsigned next = 0;
        cr_assert_leq(size, (size_t)BYTES_MAX);
        for (size_t at = 0; at < size;) {
            at += feed_some(pipe, &chance, stream + at, size - at, &large, &large_size, &large_have);
            if (!chance_below(&chance, 5))
                read_some(pipe, &next);
        }
        zu_pipe_end(pipe);
        cr_assert_eq(read_some(pipe, &next), -EPIPE);
        cr_assert_eq(next, (unsigned)ITEMS);
        struct zu_pipe_counts counts = zu_pipe_count(pipe);
        cr_assert_eq(counts.accepted, counts.consumed);
        cr_assert_eq(counts.held, 0u);
        zu_pipe_leave(pipe);
    }
    free(stream);
}

Test(pipe_record, a_large_command_is_refused_where_records_are_not_kept)
{
    struct zu_feed_limits none = limits;
    none.record_max = 0;
    static uint8_t frame[ZU_FEED_LARGE_MIN + ZU_FRAME_HEAD_MAX];
    zu_frame_encode(frame, ZU_FRAME_COMMAND, ZU_FEED_LARGE_MIN);
    for (int cut = 0; cut < 2; cut++) {
        struct zu_pipe *pipe = pipe_with_ears(&ears, 0);
        struct zu_feed_want want;
        cr_assert_eq(zu_pipe_feed_bytes(pipe, frame, cut ? 20 : sizeof frame, &none, &want), -EPROTO);
        cr_assert_eq(zu_pipe_feed_bytes(pipe, frame, 0, &limits, &want), 0);
        zu_frame_encode(frame, ZU_FRAME_COMMAND, limits.record_max + 1);
        zu_pipe_roll_back(pipe);
        cr_assert_eq(zu_pipe_feed_bytes(pipe, frame, 20, &limits, &want), -EPROTO);
        zu_frame_encode(frame, ZU_FRAME_COMMAND, ZU_FEED_LARGE_MIN);
        zu_pipe_end(pipe);
        zu_pipe_leave(pipe);
    }
}

Test(pipe_record, unread_records_are_bounded_and_their_reader_wakes_the_feeder)
{
    enum { SIZE = 250, RECORDS = ZU_PIPE_FED_MAX / SIZE + 1 };
    uint8_t frame[SIZE + 2] = {ZU_FRAME_COMMAND, SIZE, 'R'};
    struct zu_pipe *pipe = pipe_with_ears(&ears, 5);
    struct zu_feed_want want;
    struct zu_view view;
    for (int round = 0; round < 3; round++) {
        uint64_t fed = 0;
        while (!zu_pipe_feed_is_full(pipe)) {
            cr_assert_eq(zu_pipe_feed_bytes(pipe, frame, sizeof frame, &limits, &want), 0);
            fed++;
        }
        if (round == 0)
            cr_assert_eq(fed, (uint64_t)RECORDS);
        cr_assert_eq(ear_heard(&ears.writer), 0u);
        uint64_t read = 0;
        for (; zu_pipe_peek_any(pipe, &view) == 0 && !ear_heard(&ears.writer); read++)
            zu_pipe_pop_record(pipe, &view);
        cr_assert(read > 0 && read <= RECORDS / 4 + 1, "woken after %llu", (unsigned long long)read);
    }
    zu_pipe_end(pipe);
    zu_pipe_leave(pipe);
}

static void feed(struct zu_pipe *pipe, const void *bytes, size_t size)
{
    struct zu_feed_want want = {0};
    cr_assert_eq(zu_pipe_feed_bytes(pipe, bytes, size, &limits, &want), 0);
    if (!want.size)
        return;
    struct zu_buf *large = zu_buf_new(want.size);
    cr_assert_eq(zu_pipe_large_begin(pipe, large->data, want.size), size - ZU_FRAME_HEAD_MAX);
    zu_pipe_large_end(pipe, large, large->data, want.size);
}

/* Those of a message that is never finished would hold the feeder up for good; so would those of one that is to be. */
Test(pipe_record, records_within_a_message_count_once_it_is_whole)
{
    enum { LARGE = 60000 };
    static const size_t sizes[] = {250, LARGE};
    for (int s = 0; s < 2; s++) {
        static uint8_t record[LARGE + ZU_FRAME_HEAD_MAX];
        size_t head = zu_frame_encode(record, ZU_FRAME_COMMAND, sizes[s]), count = ZU_PIPE_FED_MAX / sizes[s] + 1;
        record[head] = 'R';
        struct zu_pipe *pipe = pipe_with_ears(&ears, 5);
        for (int round = 0; round < 2; round++) {
            feed(pipe, "\1\1x", 3);
            for (size_t i = 0; i < count; i++)
                feed(pipe, record, s ? 100 : head + sizes[s]); /* a large one comes in two pieces */
            cr_assert_not(zu_pipe_feed_is_full(pipe));
            if (round == 0)
                zu_pipe_roll_back(pipe);
        }
        feed(pipe, "\0\1x\1\1x", 6);
        cr_assert(zu_pipe_feed_is_full(pipe));
        struct zu_view view;
        for (size_t i = 0; i < count + 2; i++) {
            cr_assert_eq(zu_pipe_peek_any(pipe, &view), 0);
            if (view.flags & ZU_FRAME_COMMAND)
                zu_pipe_pop_record(pipe, &view);
            else
                zu_pipe_pop(pipe, &view);
        }
        cr_assert_eq(zu_pipe_peek_any(pipe, &view), -EAGAIN);
        cr_assert_not(zu_pipe_feed_is_full(pipe));
        zu_pipe_end(pipe);
        zu_pipe_leave(pipe);
    }
}

/* Records and messages by turns, some by reference. Returns the bytes of all. */
static void write_mixture(struct zu_pipe *pipe, unsigned count, _Atomic unsigned *frees)
{
    for (unsigned i = 0; i < count; i++) {
        static uint8_t large[LARGE_SIZE];
        struct zu_msg msg;
        cr_assert_eq(zu_pipe_write_record(pipe, "R", 1, large, i % 7 ? i : LARGE_SIZE), 0);
        cr_assert_eq(foreign_msg(&msg, i, i % 5 ? 10 : LARGE_SIZE, frees), 0);
        cr_assert_eq(zu_pipe_write(pipe, "x", 1, true), 0);
        cr_assert_eq(zu_pipe_write_msg(pipe, &msg, false), 0);
    }
}

Test(pipe_record, a_reader_that_does_not_mind_records_passes_over_them)
{
    _Atomic unsigned frees = 0;
    struct zu_pipe *pipe = pipe_with_ears(&ears, 0);
    write_mixture(pipe, 100, &frees);
    struct zu_view view;
    unsigned frames = 0;
    for (; zu_pipe_peek(pipe, &view) == 0; frames++) {
        cr_assert_eq(view.flags, frames % 2 ? 0 : ZU_FRAME_MORE);
        zu_pipe_pop(pipe, &view);
    }
    cr_assert_eq(frames, 200u);
    cr_assert_eq(frees, 100u);
    zu_pipe_end(pipe);
    cr_assert_eq(zu_pipe_peek(pipe, &view), -EPIPE);
    zu_pipe_leave(pipe);
}

Test(pipe_record, what_lies_before_a_record_can_be_dropped)
{
    for (unsigned before = 0; before < 60; before += 1 + before / 4) {
        _Atomic unsigned frees = 0;
        struct iovec piece;
        size_t bytes;
        struct zu_pipe *pipe = pipe_with_ears(&ears, 0);
        write_mixture(pipe, before, &frees);
        cr_assert_not(zu_pipe_skip_to(pipe, "MARK2", 5));
        cr_assert_eq(frees, before);
        cr_assert_eq(zu_pipe_gather(pipe, &piece, 1, 1, ZU_GATHER_SLEEP, &bytes), 0);
        write_mixture(pipe, before, &frees);
        cr_assert_eq(zu_pipe_write_record(pipe, "MARK", 4, "1", 1), 0);
        write_mixture(pipe, 3, &frees);
        cr_assert_eq(zu_pipe_write_record(pipe, "MARK", 4, "2", 1), 0);
        cr_assert_eq(zu_pipe_write_record(pipe, "after", 5, NULL, 0), 0);
        cr_assert_eq(zu_pipe_write(pipe, "last", 4, false), 0);
        cr_assert(zu_pipe_skip_to(pipe, "MARK2", 5));
        cr_assert_eq(zu_pipe_count(pipe).held, 1u);
        cr_assert_eq(frees, 2 * before + 3);
        cr_assert_eq(zu_pipe_gather(pipe, &piece, 1, SIZE_MAX, ZU_GATHER_SLEEP, &bytes), 1);
        cr_assert_eq(bytes, 2u + 5 + 2 + 4);
        cr_assert_arr_eq(piece.iov_base, "\4\5after\0\4last", bytes);
        zu_pipe_handed(pipe, 9); /* the record, and a part of the message */
        zu_pipe_rewind(pipe);
        cr_assert_eq(zu_pipe_gather(pipe, &piece, 1, SIZE_MAX, ZU_GATHER_SLEEP, &bytes), 1);
        cr_assert_arr_eq(piece.iov_base, "\0\4last", bytes);
        cr_assert_eq(zu_pipe_handed(pipe, bytes), 1u);
        zu_pipe_end(pipe);
        cr_assert_not(zu_pipe_skip_to(pipe, "MARK2", 5));
        cr_assert_eq(zu_pipe_gather(pipe, &piece, 1, 1, ZU_GATHER_SLEEP, &bytes), -EPIPE);
        zu_pipe_leave(pipe);
    }
}

Test(pipe_record, without_memory_a_record_is_not_there)
{
    static const size_t sizes[] = {300, LARGE_SIZE};
    for (int i = 0; i < 2; i++) {
        static uint8_t body[LARGE_SIZE];
        struct zu_pipe *pipe = pipe_with_ears(&ears, 0);
        struct zu_view view;
        struct zu_chunk *pool = pool_empty();
        int err = 0;
        unsigned written = 0;
        zu_alloc_fail_from = 1;
        while (!err && written < 100) {
            err = zu_pipe_write_record(pipe, "R", 1, body, sizes[i]);
            written += !err;
        }
        zu_alloc_fail_from = 0;
        cr_assert_eq(err, -ENOMEM);
        pool_refill(pool);
        cr_assert_eq(zu_pipe_write(pipe, "x", 1, false), 0);
        for (; written; written--) {
            cr_assert_eq(zu_pipe_peek_any(pipe, &view), 0);
            cr_assert_eq(view.size, 1 + sizes[i]);
            zu_pipe_pop_record(pipe, &view);
        }
        cr_assert_eq(zu_pipe_peek_any(pipe, &view), 0);
        cr_assert_eq(view.flags, 0);
        zu_pipe_pop(pipe, &view);
        zu_pipe_end(pipe);
        zu_pipe_leave(pipe);
    }
}
