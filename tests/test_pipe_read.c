/* SPDX-License-Identifier: MIT */
/* Reading: what a view and a message made of it are, for each way a payload can lie; and two threads at full speed. */
#include "flow/pipe.h"

#include <criterion/criterion.h>
#include <pthread.h>

#include "flow.h"
#include "flow/pipe_feed.h"

static struct ears ears;
static _Atomic unsigned frees;

static void close_both(struct zu_pipe *pipe)
{
    zu_pipe_end(pipe);
    zu_pipe_leave(pipe);
}

Test(pipe_read, looking_twice_shows_the_same)
{
    struct zu_pipe *pipe = pipe_with_ears(&ears, 0);
    static const size_t sizes[] = {0, 1, 255, 256, 4096, LARGE_SIZE};
    uint8_t bytes[LARGE_SIZE];
    for (uint64_t i = 0; i < 6; i++) {
        payload_fill(bytes, i, sizes[i]);
        zu_pipe_write(pipe, bytes, sizes[i], i % 2 == 0);
    }
    for (uint64_t i = 0; i < 6; i++) {
        struct zu_view views[3];
        for (int look = 0; look < 3; look++) {
            cr_assert_eq(zu_pipe_peek(pipe, &views[look]), 0);
            cr_assert_eq(views[look].size, sizes[i]);
            cr_assert_eq(views[look].data, views[0].data);
            cr_assert_eq(views[look].flags, i % 2 == 0 ? ZU_FRAME_MORE : 0);
            cr_assert(payload_is(views[look].data, i, sizes[i]));
        }
        zu_pipe_pop(pipe, &views[0]);
        cr_assert_eq(zu_pipe_count(pipe).consumed, (i + 1) / 2);
    }
    close_both(pipe);
}

Test(pipe_read, a_large_message_passes_through_without_a_copy)
{
    struct zu_pipe *pipe = pipe_with_ears(&ears, 0);
    static char constant[LARGE_SIZE];
    struct zu_msg msg, slice;
    struct zu_view view;
    foreign_msg(&msg, 1, LARGE_SIZE, &frees);
    void *foreign = zu_msg_data(&msg);
    zu_pipe_write_msg(pipe, &msg, false);
    zu_msg_init_constant(&msg, constant, sizeof constant);
    zu_pipe_write_msg(pipe, &msg, false);
    struct zu_chunk *chunk = zu_chunk_new(ZU_CHUNK_RUNG_TOP);
    zu_msg_init_slice(&slice, chunk, chunk->data + 7, LARGE_SIZE);
    zu_chunk_unref(chunk);
    zu_pipe_write_msg(pipe, &slice, false);
    void *const places[] = {foreign, constant, chunk->data + 7};
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(zu_pipe_peek(pipe, &view), 0);
        zu_alloc_fail_from = 1;
        cr_assert_eq(zu_pipe_take_msg(pipe, &view, &msg), 0);
        zu_alloc_fail_from = 0;
        cr_assert_eq(zu_msg_data(&msg), places[i]);
        cr_assert_eq(frees, i > 0 ? 1u : 0u);
        zu_msg_close(&msg);
        cr_assert_eq(frees, 1u);
    }
    close_both(pipe);
}

Test(pipe_read, without_memory_for_a_message_the_frame_stays)
{
    struct zu_pipe *pipe = pipe_with_ears(&ears, 0);
    uint8_t bytes[1000];
    payload_fill(bytes, 5, sizeof bytes);
    zu_pipe_write(pipe, bytes, sizeof bytes, false);
    struct zu_view view;
    struct zu_msg msg;
    zu_alloc_fail_from = 1;
    cr_assert_eq(zu_pipe_peek(pipe, &view), 0);
    cr_assert_eq(zu_pipe_take_msg(pipe, &view, &msg), -ENOMEM);
    zu_alloc_fail_from = 0;
    cr_assert_eq(zu_pipe_count(pipe).consumed, 0u);
    cr_assert_eq(zu_pipe_peek(pipe, &view), 0);
    cr_assert_eq(zu_pipe_take_msg(pipe, &view, &msg), 0);
    cr_assert(payload_is(zu_msg_data(&msg), 5, sizeof bytes));
    zu_msg_close(&msg);
    close_both(pipe);
}

static int no_command(void *context, const uint8_t *body, size_t size)
{
    (void)context;
    (void)body;
    (void)size;
    return 0;
}

Test(pipe_read, a_received_body_is_inside_copied_or_a_slice_by_its_size)
{
    static const size_t sizes[] = {0, 33, 34, 255, 256, 4095, 4096, 10000};
    static const struct zu_feed_limits limits = {
        .frame_max = UINT64_MAX, .open_max = UINT64_MAX, .command = no_command};
    struct zu_pipe *pipe = pipe_with_ears(&ears, 0);
    struct zu_chunk *chunk = zu_chunk_new(ZU_CHUNK_RUNG_RECEIVE);
    uint32_t at = ZU_RECEIVE_HEADROOM;
    for (uint64_t i = 0; i < 8; i++) {
        at += (uint32_t)zu_frame_encode(chunk->data + at, 0, sizes[i]);
        payload_fill(chunk->data + at, i, sizes[i]);
        at += (uint32_t)sizes[i];
    }
    struct zu_feed_want want;
    cr_assert_eq(zu_pipe_feed(pipe, chunk, ZU_RECEIVE_HEADROOM, at - ZU_RECEIVE_HEADROOM, &limits, &want), 0);
    struct zu_msg msgs[8];
    for (int i = 0; i < 8; i++) {
        struct zu_view view;
        cr_assert_eq(zu_pipe_peek(pipe, &view), 0);
        cr_assert_eq(zu_pipe_take_msg(pipe, &view, &msgs[i]), 0);
        cr_assert_eq(msgs[i].kind, sizes[i] <= 33 ? ZU_MSG_INLINE : sizes[i] < 4096 ? ZU_MSG_SHARED : ZU_MSG_SLICE);
    }
    close_both(pipe); /* slices outlive their pipe */
    for (uint64_t i = 0; i < 8; i++) {
        cr_assert_eq(zu_msg_size(&msgs[i]), sizes[i]);
        cr_assert(payload_is(zu_msg_data(&msgs[i]), i, sizes[i]));
        zu_msg_close(&msgs[i]);
    }
}

static void *write_stream(void *context)
{
    struct zu_pipe *pipe = context;
    struct chance chance = {.state = 0x5eed5eed};
    uint8_t bytes[600];
    zu_buf_unref(zu_buf_new(10));
    for (uint64_t n = 0; n < 60000; n++) {
        while (!zu_pipe_admits(pipe) && zu_pipe_writer_sleep(pipe)) {
            if (!ear_wait(&ears.writer))
                return NULL;
        }
        size_t size = n % 600;
        payload_fill(bytes, n, size);
        struct zu_msg msg;
        if (n % 64 == 0 && foreign_msg(&msg, n, LARGE_SIZE, &frees) == 0)
            zu_pipe_write_msg(pipe, &msg, false);
        else
            zu_pipe_write(pipe, bytes, size, false);
        chance_spin(&chance);
    }
    zu_pipe_end(pipe);
    return NULL;
}

Test(pipe_read, two_threads_see_every_byte)
{
    struct chance chance = chance_new("pipe_read");
    struct zu_pipe *pipe = pipe_with_ears(&ears, 200);
    pthread_t thread;
    pthread_create(&thread, NULL, write_stream, pipe);
    uint64_t n = 0;
    int err;
    struct zu_view view;
    while ((err = zu_pipe_peek(pipe, &view)) != -EPIPE) {
        if (err == -EAGAIN) {
            cr_assert(ear_wait(&ears.reader), "a wake-up was lost");
            continue;
        }
        struct zu_msg msg;
        cr_assert_eq(zu_pipe_take_msg(pipe, &view, &msg), 0);
        cr_assert_eq(zu_msg_size(&msg), n % 64 ? n % 600 : LARGE_SIZE);
        cr_assert(payload_is(zu_msg_data(&msg), n, zu_msg_size(&msg)));
        zu_msg_close(&msg);
        n++;
        chance_spin(&chance);
    }
    pthread_join(thread, NULL);
    cr_assert_eq(n, 60000u);
    cr_assert_eq(frees, (60000u + 63) / 64);
    zu_pipe_leave(pipe);
}
