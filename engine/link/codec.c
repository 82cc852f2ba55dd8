/* SPDX-License-Identifier: MIT */
/*
 * What all codecs share: choosing one, and batches. A batch is filled from the walked pipe until it is large enough, goes
 * out in as many sends as the kernel wants, and gives its units back to the pipe as their last bytes go. In front stands
 * the record filter: void frames and marks end there, and subscriptions become messages for peers before 3.1.
 * Want of memory and an encoder's refusal end the connection; nothing of the pipe is lost by that.
 */
#include "link/codec.h"

#include <errno.h>

#include "flow/record.h"
#include "mem/alloc.h"
#include "wire/command.h"
#include "wire/socket_type.h"

enum {
    BATCH_BYTES = 64 * 1024, /* a batch; a buffer above that is for one large frame */
    BUFFER_FIRST = 1024,     /* most such connections send little */
    BUFFER_IDLE = 4 * 1024,  /* what a connection keeps that has nothing to send */
    COPY_MAX = 4096,         /* a larger body that goes out as it is does so from where it lies */
    PIECES_EACH = 2,         /* a frame adds so many at most */
};

/* --- the batch --- */

static int buffer_renew(struct zu_batch *batch, size_t size)
{
    size_t wish = batch->wish ? batch->wish : BUFFER_FIRST;
    struct zu_buf *buf = zu_buf_new(size > wish ? size : wish);
    if (!buf)
        return -ENOMEM;
    if (batch->buf)
        zu_buf_unref(batch->buf);
    batch->buf = buf;
    return 0;
}

int zu_batch_reserve(struct zu_batch *batch, size_t size, uint8_t **ret_at)
{
    size_t room = batch->buf ? batch->buf->size - batch->used : 0;
    if (size > room) {
        batch->was_full = true;
        if (batch->bytes)
            return -ENOBUFS;
        int err = buffer_renew(batch, size);
        if (err)
            return err;
    }
    *ret_at = (uint8_t *)batch->buf->data + batch->used;
    return 0;
}

static void piece_add(struct zu_batch *batch, const uint8_t *bytes, size_t size)
{
    struct iovec *last = batch->count ? &batch->pieces[batch->count - 1] : NULL;
    batch->bytes += size;
    if (last && (uint8_t *)last->iov_base + last->iov_len == bytes)
        last->iov_len += size;
    else if (size)
        batch->pieces[batch->count++] = (struct iovec){.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
}

void zu_batch_commit(struct zu_batch *batch, size_t size)
{
    piece_add(batch, (uint8_t *)batch->buf->data + batch->used, size);
    batch->used += size;
}

void zu_batch_refer(struct zu_batch *batch, const uint8_t *body, size_t size)
{
    piece_add(batch, body, size);
}

int zu_batch_frame(struct zu_batch *batch, const struct zu_codec_frame *frame, const uint8_t *head, size_t head_size)
{
    bool refers = frame->size > COPY_MAX;
    size_t size = head_size + frame->lead_size + (refers ? 0 : frame->size);
    uint8_t *at = NULL;
    int err = size ? zu_batch_reserve(batch, size, &at) : 0;
    if (err)
        return err;
    if (head_size)
        memcpy(at, head, head_size);
    if (frame->lead_size)
        memcpy(at + head_size, frame->lead, frame->lead_size);
    if (!refers && frame->size)
        memcpy(at + head_size + frame->lead_size, frame->body, frame->size);
    if (size)
        zu_batch_commit(batch, size);
    if (refers)
        zu_batch_refer(batch, frame->body, frame->size);
    return 0;
}

/* All of the last batch is out. */
static void batch_restart(struct zu_batch *batch)
{
    if (batch->was_full) {
        size_t wish = batch->wish ? 2 * batch->wish : 2 * BUFFER_FIRST;
        batch->wish = wish < BATCH_BYTES ? wish : BATCH_BYTES;
    }
    if (batch->buf && (batch->buf->size > BATCH_BYTES || batch->buf->size < batch->wish)) {
        zu_buf_unref(batch->buf);
        batch->buf = NULL;
    }
    batch->used = batch->first = batch->count = 0;
    batch->bytes = batch->sent = 0;
    batch->unit_count = batch->units_handed = batch->control_units = 0;
    batch->was_full = false;
}

static void batch_rest(struct zu_batch *batch)
{
    if (!batch->buf || batch->buf->size <= BUFFER_IDLE)
        return;
    zu_buf_unref(batch->buf);
    batch->buf = NULL;
    batch->wish = BUFFER_IDLE;
}

static bool batch_is_whole(const struct zu_batch *batch)
{
    return batch->bytes >= BATCH_BYTES || batch->unit_count == ZU_BATCH_UNITS ||
           batch->count + PIECES_EACH > ZU_BATCH_PIECES;
}

static void unit_end(struct zu_batch *batch)
{
    batch->unit_ends[batch->unit_count++] = batch->bytes;
}

/* Gives the pipe its units back whose last bytes are out. True: that passed the last control frame. */
static bool units_hand(struct zu_batch *batch, struct zu_pipe *out)
{
    unsigned done = batch->units_handed;
    while (done < batch->unit_count && batch->unit_ends[done] <= batch->sent)
        done++;
    unsigned controls = batch->control_units;
    bool controls_out = batch->units_handed < controls && done >= controls;
    unsigned from = batch->units_handed > controls ? batch->units_handed : controls;
    if (done > from)
        zu_pipe_walk_handed(out, done - from);
    batch->units_handed = done;
    return controls_out;
}

/* --- the record filter --- */

static int command_encode(struct zu_codec *codec, struct zu_codec_frame *frame)
{
    static const uint8_t off_on[2] = {0, 1};
    struct zu_command command;
    if (codec->version < ZU_WIRE_3_1 && zu_command_decode(frame->body, frame->size, &command) == 0 &&
        (command.id == ZU_COMMAND_SUBSCRIBE || command.id == ZU_COMMAND_CANCEL)) {
        frame->flags = 0;
        frame->lead = &off_on[command.id == ZU_COMMAND_SUBSCRIBE];
        frame->lead_size = 1;
        frame->body = command.data;
        frame->size = command.size;
    } else if (codec->version < ZU_WIRE_3_0) {
        return 0; /* these know no commands */
    }
    return codec->ops->encode(codec, frame, &codec->batch);
}

static int frame_encode(struct zu_codec *codec, const struct zu_walked *walked)
{
    struct zu_codec_frame frame = {.flags = walked->flags, .body = walked->body, .size = walked->size};
    uint32_t epoch;
    if ((walked->flags & ZU_FRAME_COMMAND) && zu_record_is_marker(walked->body, walked->size, &epoch)) {
        codec->awaits_mark = codec->awaits_mark && epoch != codec->epoch;
        return 0;
    }
    if (codec->awaits_mark)
        return 0;
    if (walked->flags & ZU_FRAME_COMMAND)
        return command_encode(codec, &frame);
    return codec->ops->encode(codec, &frame, &codec->batch);
}

/* --- sending --- */

/* Control frames stand in front of a batch, at a message's start; the batch is empty. */
static int control_fill(struct zu_codec *codec, const uint8_t *control, size_t *control_size)
{
    struct zu_batch *batch = &codec->batch;
    size_t at = 0;
    struct zu_frame_head head;
    while (zu_frame_decode(control + at, *control_size - at, &head) == 1) {
        at += head.head_size;
        struct zu_codec_frame frame = {.flags = head.flags, .body = control + at, .size = head.size};
        at += head.size;
        int err = command_encode(codec, &frame);
        if (err == -ENOBUFS) /* the heartbeat's next will come */
            break;
        if (err)
            return err;
        unit_end(batch);
    }
    batch->control_units = batch->unit_count;
    *control_size = 0;
    return 0;
}

/* 1 when the batch is large enough, else what the walk said last. */
static int pipe_fill(struct zu_codec *codec, struct zu_pipe *out, enum zu_gather_mode mode)
{
    struct zu_batch *batch = &codec->batch;
    while (!batch_is_whole(batch)) {
        struct zu_walked frame;
        int got = zu_pipe_walk(out, batch->unit_count ? ZU_GATHER_STAY_AWAKE : mode, &frame);
        if (got <= 0)
            return got;
        int err = frame_encode(codec, &frame);
        if (err)
            return err == -ENOBUFS ? 1 : err;
        zu_pipe_walk_pass(out, &frame);
        if (!(frame.flags & ZU_FRAME_MORE))
            unit_end(batch);
    }
    return 1;
}

int zu_codec_fill(struct zu_codec *codec, struct zu_pipe *out, const uint8_t *control, size_t *control_size,
                  enum zu_gather_mode mode)
{
    struct zu_batch *batch = &codec->batch;
    if (batch->sent < batch->bytes)
        return 1;
    for (;;) {
        batch_restart(batch);
        int err = *control_size && zu_pipe_at_boundary(out) ? control_fill(codec, control, control_size) : 0;
        int got = err ? err : pipe_fill(codec, out, mode);
        if (batch->bytes && (got >= 0 || got == -EPIPE))
            return 1;
        bool was_void = batch->unit_count > 0;
        units_hand(batch, out);
        if (got < 0)
            return got;
        if (!got && !was_void) {
            if (mode != ZU_GATHER_STAY_AWAKE)
                batch_rest(batch);
            return 0;
        }
    }
}

int zu_codec_say(struct zu_codec *codec, const uint8_t *message, size_t size)
{
    struct zu_codec_frame frame = {.body = message, .size = size};
    int err = codec->ops->encode(codec, &frame, &codec->batch);
    if (!err) {
        unit_end(&codec->batch);
        codec->batch.control_units++;
    }
    return err;
}

bool zu_codec_sent(struct zu_codec *codec, struct zu_pipe *out, size_t bytes)
{
    struct zu_batch *batch = &codec->batch;
    batch->sent += bytes;
    while (bytes) {
        struct iovec *piece = &batch->pieces[batch->first];
        size_t step = bytes < piece->iov_len ? bytes : piece->iov_len;
        piece->iov_base = (uint8_t *)piece->iov_base + step;
        piece->iov_len -= step;
        bytes -= step;
        batch->first += piece->iov_len == 0;
    }
    return units_hand(batch, out);
}

/* --- receiving --- */

int zu_delivery_head(struct zu_delivery *delivery, unsigned flags, uint64_t size)
{
    uint8_t head[ZU_FRAME_HEAD_MAX];
    return delivery->bytes(delivery, head, zu_frame_encode(head, flags, size));
}

/* --- life --- */

static bool waits_for_marks(unsigned socket_type)
{
    return socket_type == ZU_SOCKET_SUB || socket_type == ZU_SOCKET_XSUB;
}

const struct zu_codec_ops *zu_codec_extra;

static const struct zu_codec_ops *const rows[] = {&zu_codec_raw, &zu_codec_curve, &zu_codec_v1, &zu_codec_zmtp};

struct zu_codec *zu_codec_new(const struct zu_codec_case *which, int *ret_err)
{
    const struct zu_codec_ops *ops = zu_codec_extra;
    for (size_t i = 0; !ops && i < sizeof rows / sizeof rows[0]; i++)
        ops = rows[i]->applies(which) ? rows[i] : NULL;
    *ret_err = 0;
    if (!ops)
        return NULL;
    struct zu_codec *codec = zu_alloc_zero(ops->size);
    *ret_err = -ENOMEM;
    if (!codec)
        return NULL;
    codec->ops = ops;
    codec->version = which->version;
    codec->epoch = which->epoch;
    codec->awaits_mark = which->epoch > 1 && waits_for_marks(which->socket_type);
    *ret_err = ops->init ? ops->init(codec, which) : 0;
    if (!*ret_err)
        return codec;
    zu_codec_free(codec);
    return NULL;
}

void zu_codec_free(struct zu_codec *codec)
{
    if (codec->ops->fini)
        codec->ops->fini(codec);
    if (codec->batch.buf)
        zu_buf_unref(codec->batch.buf);
    zu_free(codec, codec->ops->size);
}
