/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target for the traffic of ZMTP 2.0 and later (flow/pipe_feed.c), which a pipe scans as it comes. The first
 * octets choose the limits and how much comes at a time, the rest is what the peer says. What is read must be the frames
 * as they stand there, of whole messages only; without a fault, of all of them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "flow/pipe_feed.h"

#include "fuzz.h"

enum { FRAME_MAX = 100 * 1000, FILLER = 0x5e, SAID_MAX = 1 << 20 };

struct feeding {
    struct zu_pipe *in;           /* fed */
    struct zu_feed_limits limits; /* of the connection */
    struct zu_buf *large;         /* a large frame under way, or NULL */
    size_t large_have;            /* octets of it */
    size_t large_size;            /* it will have so many */
};

static struct zu_mailbox box;
static struct zu_note readable, writable;

static void no_wake(struct zu_mailbox *who)
{
    (void)who;
}

static void nothing(struct zu_note *note)
{
    (void)note;
}

/* Its ends hear. */
static struct zu_pipe *pipe_make(void)
{
    struct zu_pipe *pipe = zu_pipe_new(0);
    zu_mailbox_init(&box, no_wake, NULL);
    readable.run = writable.run = nothing;
    zu_pipe_set_reader(pipe, &box, &readable);
    zu_pipe_set_writer(pipe, &box, &writable);
    return pipe;
}

static int on_command(void *context, const uint8_t *body, size_t size)
{
    (void)context;
    return size == 0 ? 0 : body[0] == 0xff ? -EPROTO : body[0] & 1;
}

static int feed(struct feeding *feeding, const uint8_t *data, size_t size, bool adopts)
{
    while (size) {
        struct zu_feed_want want = {0};
        if (feeding->large) {
            size_t step = feeding->large_size - feeding->large_have;
            step = step < size ? step : size;
            memcpy((uint8_t *)feeding->large->data + feeding->large_have, data, step);
            feeding->large_have += step;
            data += step;
            size -= step;
            if (feeding->large_have == feeding->large_size) {
                zu_pipe_large_end(feeding->in, feeding->large, feeding->large->data, feeding->large_size);
                feeding->large = NULL;
            }
            continue;
        }
        size_t step = size < ZU_RECEIVE_SIZE ? size : ZU_RECEIVE_SIZE;
        int err;
        if (adopts) {
            struct zu_chunk *chunk = zu_chunk_new(ZU_CHUNK_RUNG_RECEIVE);
            memcpy(chunk->data + ZU_RECEIVE_HEADROOM, data, step);
            err = zu_pipe_feed(feeding->in, chunk, ZU_RECEIVE_HEADROOM, (uint32_t)step, &feeding->limits, &want);
        } else {
            err = zu_pipe_feed_bytes(feeding->in, data, step, &feeding->limits, &want);
        }
        if (err)
            return err;
        data += step;
        size -= step;
        if (want.size) {
            REQUIRE(want.size <= feeding->limits.frame_max || want.size <= feeding->limits.record_max);
            feeding->large = zu_buf_new(want.size);
            feeding->large_size = want.size;
            feeding->large_have = zu_pipe_large_begin(feeding->in, feeding->large->data, want.size);
            REQUIRE(feeding->large_have < want.size);
        }
    }
    return 0;
}

/* The next frame of a message in what was said; NULL: no whole one is left. */
static const uint8_t *frame_next(const uint8_t **at, const uint8_t *end, struct zu_frame_head *head)
{
    while (zu_frame_decode(*at, (size_t)(end - *at), head) == 1 && head->size <= (size_t)(end - *at) - head->head_size) {
        const uint8_t *body = *at + head->head_size;
        *at = body + head->size;
        if (!(head->flags & ZU_FRAME_COMMAND))
            return body;
    }
    return NULL;
}

static size_t messages_in(const uint8_t *data, size_t size)
{
    struct zu_frame_head head;
    size_t count = 0;
    for (const uint8_t *at = data; frame_next(&at, data + size, &head);)
        count += !(head.flags & ZU_FRAME_MORE);
    return count;
}

static size_t read_all(struct zu_pipe *pipe, const uint8_t **at, const uint8_t *end)
{
    struct zu_view view;
    size_t messages = 0;
    bool inside = false;
    zu_mailbox_run(&box);
    while (zu_pipe_peek_any(pipe, &view) == 0) {
        if (view.flags & ZU_FRAME_COMMAND) {
            zu_pipe_pop_record(pipe, &view);
            continue;
        }
        struct zu_frame_head head;
        const uint8_t *body = frame_next(at, end, &head);
        REQUIRE(body && head.size == view.size && (view.size == 0 || memcmp(body, view.data, view.size) == 0));
        inside = head.flags & ZU_FRAME_MORE;
        REQUIRE(inside == !!(view.flags & ZU_FRAME_MORE));
        messages += !inside;
        zu_pipe_pop(pipe, &view);
    }
    REQUIRE(!inside);
    return messages;
}

/* Behind FILLER stands how long a run of it is: so that few octets can say large frames. */
static uint8_t *unfold(const uint8_t *data, size_t size, size_t *ret_size)
{
    size_t room = size, used = 0;
    uint8_t *all = malloc(room);
    for (size_t i = 0; i < size && used < SAID_MAX; i++) {
        size_t run = data[i] == FILLER && i + 1 < size ? (size_t)data[i + 1] * 400 : 1;
        if (used + run > room)
            all = realloc(all, room = 2 * (used + run));
        memset(all + used, data[i], run);
        used += run;
        i += data[i] == FILLER && i + 1 < size;
    }
    *ret_size = used;
    return all;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    struct feeding feeding = {.in = pipe_make()};
    feeding.limits = (struct zu_feed_limits){
        .frame_max = data[0] & 1 ? FRAME_MAX : 300,
        .open_max = data[0] & 2 ? 10 * FRAME_MAX : 1000,
        .record_max = data[0] & 4 ? FRAME_MAX : 0,
        .command = on_command,
    };
    size_t piece = data[0] & 8 ? 1 + (size_t)data[1] * 300 : 1 + data[1], total;
    uint8_t *said = unfold(data + 2, size - 2, &total);
    const uint8_t *read_at = said, *end = said + total;
    size_t messages = 0;
    int err = 0;
    for (size_t at = 0; !err && at < total; at += piece) {
        size_t step = total - at < piece ? total - at : piece;
        zu_pipe_feed_expect(feeding.in, data[0] & 16);
        err = feed(&feeding, said + at, step, data[0] & 32);
        if (data[0] & 64)
            messages += read_all(feeding.in, &read_at, end);
    }
    zu_pipe_feed_show(feeding.in);
    messages += read_all(feeding.in, &read_at, end);
    REQUIRE(!err || err == -EPROTO || err == -EMSGSIZE || err == -ENOBUFS);
    REQUIRE(err || messages == messages_in(said, total));
    if (feeding.large)
        zu_buf_unref(feeding.large);
    zu_pipe_end(feeding.in);
    zu_pipe_leave(feeding.in);
    zu_mailbox_run(&box);
    free(said);
    return 0;
}
