/* SPDX-License-Identifier: MIT */
/*
 * Writing: messages of every size and kind against a model of what must come out, with roll-backs and a want of memory
 * anywhere in between; each free callback runs once. And the steady state, which must not know the allocator.
 */
#include "flow/pipe.h"

#include <criterion/criterion.h>

#include "flow.h"

enum { PARTS_MAX = 64 };

/* What a frame should be when it comes out. */
struct expected {
    uint64_t n;  /* payload */
    size_t size; /* its octets */
    bool more;   /* not the last of its message */
};

/* Frames written and not read: published ones first. */
struct model {
    struct expected frames[4096]; /* a ring */
    unsigned read;                /* index of the first */
    unsigned published;           /* behind the last one of a whole message */
    unsigned written;             /* behind the last */
    uint64_t n;                   /* next payload */
    unsigned foreign;             /* foreign buffers made */
    _Atomic unsigned frees;       /* of which have been freed */
};

static struct ears ears;
static struct model model;

static size_t chance_size(struct chance *chance)
{
    static const size_t edges[] = {0,
                                   1,
                                   33,
                                   34,
                                   255,
                                   256,
                                   400,
                                   512,
                                   4000,
                                   ZU_PIPE_COPY_MAX - 1,
                                   4096,
                                   4097,
                                   12000,
                                   16384,
                                   ZU_PIPE_COPY_MAX,
                                   65536,
                                   70000,
                                   ZU_PIPE_COPY_MAX + 1};
    switch (chance_below(chance, 8)) {
    case 0:
        return edges[chance_below(chance, sizeof edges / sizeof *edges)];
    case 1:
        return chance_below(chance, 9000);
    case 2:
        return ZU_PIPE_COPY_MAX - 5 + chance_below(chance, 12);
    default:
        return chance_below(chance, 300);
    }
}

/* A message of a kind by chance. Constants and slices live as long as the test. */
static int chance_msg(struct chance *chance, struct zu_msg *ret_msg, uint64_t n, size_t size)
{
    static uint8_t *constants[256]; /* payloads repeat after 256 */
    unsigned kind = (unsigned)chance_below(chance, 4);
    int err = 0;
    if (kind == 0) {
        err = foreign_msg(ret_msg, n, size, &model.frees);
        model.foreign += !err;
        return err;
    }
    if (kind == 1 && size > 40000) {
        if (!constants[n % 256]) {
            constants[n % 256] = malloc(80000);
            payload_fill(constants[n % 256], n, 80000);
        }
        zu_msg_init_constant(ret_msg, constants[n % 256], size);
    } else if (kind == 2 && size <= 60000) {
        struct zu_chunk *chunk = zu_chunk_new(ZU_CHUNK_RUNG_TOP);
        if (!chunk)
            return -ENOMEM;
        payload_fill(chunk->data + 100, n, size);
        zu_msg_init_slice(ret_msg, chunk, chunk->data + 100, size);
        zu_chunk_unref(chunk);
    } else {
        err = zu_msg_init_size(ret_msg, size);
        if (!err)
            payload_fill(zu_msg_data(ret_msg), n, size);
    }
    return err;
}

static int write_one(struct zu_pipe *pipe, struct chance *chance, const struct expected *frame)
{
    static uint8_t bytes[80000];
    if (chance_below(chance, 2)) {
        payload_fill(bytes, frame->n, frame->size);
        return zu_pipe_write(pipe, frame->size ? bytes : NULL, frame->size, frame->more);
    }
    struct zu_msg msg;
    int err = chance_msg(chance, &msg, frame->n, frame->size);
    if (err)
        return err;
    err = zu_pipe_write_msg(pipe, &msg, frame->more);
    if (err) {
        cr_assert_eq(zu_msg_size(&msg), frame->size);
        cr_assert(payload_is(zu_msg_data(&msg), frame->n, frame->size));
    } else {
        cr_assert_eq(zu_msg_size(&msg), 0u);
    }
    zu_msg_close(&msg);
    return err;
}

static struct expected *model_at(unsigned index)
{
    return &model.frames[index % 4096];
}

/* One frame, of a message that has begun or of a new one. */
static int model_write(struct zu_pipe *pipe, struct chance *chance)
{
    bool is_long = model.written - model.published > PARTS_MAX;
    struct expected frame = {.n = model.n++, .size = chance_size(chance), .more = !is_long && chance_below(chance, 3)};
    int err = write_one(pipe, chance, &frame);
    if (err)
        return err;
    *model_at(model.written++) = frame;
    if (!frame.more)
        model.published = model.written;
    return 0;
}

static void model_roll_back(struct zu_pipe *pipe)
{
    zu_pipe_roll_back(pipe);
    model.written = model.published;
}

static void model_read(struct zu_pipe *pipe, struct chance *chance)
{
    struct zu_view view;
    int err = zu_pipe_peek(pipe, &view);
    if (model.read == model.published) {
        cr_assert_eq(err, -EAGAIN, "something that is not whole is visible");
        ear_heard(&ears.reader);
        return;
    }
    const struct expected *frame = model_at(model.read++);
    cr_assert_eq(err, 0);
    cr_assert_eq(view.size, frame->size);
    cr_assert_eq(view.flags, frame->more ? ZU_FRAME_MORE : 0);
    cr_assert(payload_is(view.data, frame->n, frame->size));
    struct zu_msg msg;
    if (chance_below(chance, 2)) {
        zu_pipe_pop(pipe, &view);
    } else if (!zu_pipe_take_msg(pipe, &view, &msg)) {
        cr_assert_eq(zu_msg_size(&msg), frame->size);
        cr_assert(payload_is(zu_msg_data(&msg), frame->n, frame->size));
        cr_assert_eq(msg.flags, frame->more ? ZU_MSG_MORE : 0);
        zu_msg_close(&msg);
    } else {
        model.read--;
    }
}

static void model_run(struct chance *chance, int rounds, bool starve)
{
    memset(&model, 0, sizeof model);
    struct zu_pipe *pipe = pipe_with_ears(&ears, 0);
    for (int round = 0; round < rounds; round++) {
        if (starve && !chance_below(chance, 4))
            zu_alloc_fail_from = 1 + (unsigned)chance_below(chance, 4);
        uint64_t what = chance_below(chance, 100);
        if (what < 2)
            model_roll_back(pipe);
        else if (what < 50 && model.written - model.read < 4000)
            cr_assert(model_write(pipe, chance) == 0 || starve);
        else
            model_read(pipe, chance);
        zu_alloc_fail_from = 0;
    }
    zu_pipe_end(pipe);
    while (model.read != model.published)
        model_read(pipe, chance);
    struct zu_view view;
    cr_assert_eq(zu_pipe_peek(pipe, &view), -EPIPE);
    zu_pipe_leave(pipe);
    cr_assert_eq(model.frees, model.foreign);
}

Test(pipe_write, what_is_written_comes_out_and_nothing_else)
{
    struct chance chance = chance_new("pipe_write");
    for (int i = 0; i < 5; i++)
        model_run(&chance, 6000, false);
}

Test(pipe_write, a_want_of_memory_anywhere_loses_nothing)
{
    struct chance chance = chance_new("pipe_write starved");
    for (int i = 0; i < 10; i++)
        model_run(&chance, 3000, true);
}

Test(pipe_write, chunks_all_come_back)
{
    struct chance chance = chance_new("pipe_write chunks");
    struct chance again = chance;
    model_run(&chance, 3000, false);
    uint64_t pooled = zu_chunk_pool_bytes();
    for (int i = 0; i < 3; i++) {
        chance = again;
        model_run(&chance, 3000, false);
        cr_assert_eq(zu_chunk_pool_bytes(), pooled);
    }
}

/* The message of `parts` parts, of which all but the first `small` go by reference. */
static void write_parts(struct zu_pipe *pipe, unsigned small, unsigned parts, bool finish)
{
    for (unsigned i = 0; i < parts; i++) {
        struct zu_msg msg;
        foreign_msg(&msg, i, i < small ? 100 : LARGE_SIZE, &model.frees);
        cr_assert_eq(zu_pipe_write_msg(pipe, &msg, i + 1 < parts || !finish), 0);
    }
}

Test(pipe_write, a_roll_back_in_every_state_drops_each_reference_once)
{
    for (unsigned before = 0; before < 60; before += 7) {
        for (unsigned parts = 0; parts < 60; parts += 3) {
            model.frees = 0;
            struct zu_pipe *pipe = pipe_with_ears(&ears, 0);
            if (before)
                write_parts(pipe, before / 2, before, true);
            unsigned frees = model.frees;
            for (int twice = 0; twice < 2; twice++) {
                write_parts(pipe, parts / 3, parts, false);
                zu_pipe_roll_back(pipe);
                frees += parts;
                cr_assert_eq(model.frees, frees);
                zu_pipe_roll_back(pipe);
                cr_assert_eq(model.frees, frees);
            }
            struct zu_view view;
            for (unsigned i = 0; i < before; i++) {
                cr_assert_eq(zu_pipe_peek(pipe, &view), 0);
                cr_assert(payload_is(view.data, i, view.size));
                zu_pipe_pop(pipe, &view);
            }
            cr_assert_eq(zu_pipe_peek(pipe, &view), -EAGAIN);
            write_parts(pipe, parts, parts + 1, true);
            cr_assert_eq(ear_heard(&ears.reader), 1u);
            cr_assert_eq(zu_pipe_peek(pipe, &view), 0);
            zu_pipe_end(pipe);
            zu_pipe_leave(pipe);
            cr_assert_eq(model.frees, before + 3 * parts + 1);
        }
    }
}

Test(pipe_write, a_sleeping_reader_is_told_once_and_only_of_whole_messages)
{
    struct zu_pipe *pipe = pipe_with_ears(&ears, 0);
    struct zu_view view;
    for (int round = 0; round < 300; round++) {
        zu_pipe_write(pipe, "a", 1, false);
        cr_assert_eq(ear_heard(&ears.reader), 0u, "it is awake");
        while (zu_pipe_peek(pipe, &view) == 0)
            zu_pipe_pop(pipe, &view);
        for (int part = 0; part < 1 + round % 50; part++)
            zu_pipe_write(pipe, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 33, true);
        cr_assert_eq(ear_heard(&ears.reader), 0u, "nothing is whole");
        zu_pipe_write(pipe, "b", 1, false);
        zu_pipe_write(pipe, "c", 1, false);
        cr_assert_eq(ear_heard(&ears.reader), 1u);
        while (zu_pipe_peek(pipe, &view) == 0)
            zu_pipe_pop(pipe, &view);
        cr_assert_eq(zu_pipe_peek(pipe, &view), -EAGAIN);
        zu_pipe_write(pipe, "d", 1, false);
        cr_assert_eq(ear_heard(&ears.reader), 1u);
    }
    while (zu_pipe_peek(pipe, &view) == 0)
        zu_pipe_pop(pipe, &view);
    zu_pipe_end(pipe);
    cr_assert_eq(ear_heard(&ears.reader), 1u, "the end is news too");
    cr_assert_eq(zu_pipe_peek(pipe, &view), -EPIPE);
    cr_assert_eq(zu_pipe_peek(pipe, &view), -EPIPE);
    zu_pipe_leave(pipe);
}

/* A burst through the pipe and back out: with no memory to be had it must go all the same. */
static void steady(struct zu_pipe *pipe, struct chance *chance, unsigned messages)
{
    static uint8_t bytes[513];
    struct zu_view view;
    struct zu_msg msg;
    for (unsigned written = 0, read = 0; read < messages; read++) {
        while (written < messages && zu_pipe_admits(pipe) && (written == read || chance_below(chance, 100)))
            cr_assert_eq(zu_pipe_write(pipe, bytes, written++ % 513, false), 0);
        cr_assert_eq(zu_pipe_peek(pipe, &view), 0);
        if (read % 2) {
            zu_pipe_pop(pipe, &view);
        } else {
            cr_assert_eq(zu_pipe_take_msg(pipe, &view, &msg), 0);
            zu_msg_close(&msg);
        }
    }
}

Test(pipe_write, small_messages_need_no_allocator_once_warm)
{
    struct chance chance = chance_new("pipe_write steady");
    struct zu_pipe *pipe = pipe_with_ears(&ears, 1000);
    steady(pipe, &chance, 20000);
    zu_alloc_fail_from = 1;
    steady(pipe, &chance, 100000);
    zu_alloc_fail_from = 0;
    zu_pipe_end(pipe);
    zu_pipe_leave(pipe);
}
