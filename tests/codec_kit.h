/* SPDX-License-Identifier: MIT */
/* For tests of codecs: a pipe to send from, a wire that takes what the kernel would, and a delivery that keeps all. */
#ifndef ZU_TESTS_CODEC_KIT_H
#define ZU_TESTS_CODEC_KIT_H

#include <criterion/criterion.h>

#include "flow.h"
#include "link/codec.h"

enum { WIRE_MAX = 1 << 23, HELD_MAX = 60 };

/* What went over the wire, or was delivered. */
struct bytes {
    uint8_t *data;
    size_t size;
};

static struct ear ear;
static struct zu_pipe *out;

static inline void begin(void)
{
    ear_init(&ear);
    out = zu_pipe_new(0);
    zu_pipe_set_reader(out, &ear.box, &ear.note);
    zu_pipe_set_writer(out, &ear.box, &ear.note);
}

static inline void end(void)
{
    zu_pipe_end(out);
    zu_pipe_leave(out);
}

/* The kernel takes at most `most` bytes of what there is to send. False: nothing is. */
static inline bool step(struct zu_codec *codec, size_t most, struct bytes *wire)
{
    size_t none = 0, taken = 0;
    int got = zu_codec_fill(codec, out, NULL, &none, ZU_GATHER_STAY_AWAKE);
    cr_assert_geq(got, 0);
    if (!got)
        return false;
    const struct zu_batch *batch = &codec->batch;
    for (unsigned i = batch->first; i < batch->count && taken < most; i++) {
        size_t size = batch->pieces[i].iov_len < most - taken ? batch->pieces[i].iov_len : most - taken;
        cr_assert_leq(wire->size + size, (size_t)WIRE_MAX);
        memcpy(wire->data + wire->size, batch->pieces[i].iov_base, size);
        wire->size += size;
        taken += size;
    }
    zu_codec_sent(codec, out, taken);
    return true;
}

struct collection {
    struct zu_delivery base;
    struct bytes bytes; /* what was delivered */
};

static inline int collect(struct zu_delivery *base, const uint8_t *bytes, size_t size)
{
    struct bytes *to = &((struct collection *)base)->bytes;
    cr_assert_leq(to->size + size, (size_t)WIRE_MAX);
    memcpy(to->data + to->size, bytes, size);
    to->size += size;
    return 0;
}

static inline int collect_buf(struct zu_delivery *base, unsigned flags, struct zu_buf *buf, uint8_t *body, size_t size)
{
    uint8_t head[ZU_FRAME_HEAD_MAX];
    collect(base, head, zu_frame_encode(head, flags, size));
    collect(base, body, size);
    zu_buf_unref(buf);
    return 0;
}

static inline int collect_chunk(struct zu_delivery *base, struct zu_chunk *chunk, uint32_t from, uint32_t size)
{
    collect(base, chunk->data + from, size);
    zu_chunk_unref(chunk);
    return 0;
}

static inline struct collection collection_make(void)
{
    return (struct collection){
        .base = {.bytes = collect, .buf = collect_buf, .chunk = collect_chunk},
        .bytes.data = malloc(WIRE_MAX),
    };
}

static inline int decode(struct zu_codec *codec, const void *bytes, size_t size, struct collection *to)
{
    struct zu_chunk *chunk = zu_chunk_new(ZU_CHUNK_RUNG_RECEIVE);
    cr_assert_leq(size, (size_t)ZU_RECEIVE_SIZE);
    memcpy(chunk->data + ZU_RECEIVE_HEADROOM, bytes, size);
    int err = codec->ops->decode(codec, chunk, ZU_RECEIVE_HEADROOM, (uint32_t)size, &to->base);
    zu_chunk_unref(chunk);
    return err;
}

/* --- messages --- */

static inline uint8_t octet(uint64_t message, size_t n)
{
    return (uint8_t)(message * 31 + n);
}

static inline void write_random(struct chance *chance, uint64_t message)
{
    static const size_t sizes[] = {1, 300, 253, 256, 5000, 30000};
    static uint8_t body[30000];
    for (uint64_t part = 1 + (chance_below(chance, 4) == 0) * chance_below(chance, 5); part > 0; part--) {
        size_t size = chance_below(chance, sizes[chance_below(chance, 6)] + 1);
        for (size_t i = 0; i < size; i++)
            body[i] = octet(message, i);
        cr_assert_eq(zu_pipe_write(out, body, size, part > 1), 0);
    }
}

/* Checks the whole messages among what was delivered; returns how many there are from number `first` on. */
static inline uint64_t check_delivered(const struct bytes *bytes, uint64_t first)
{
    uint64_t message = first;
    struct zu_frame_head head;
    for (size_t at = 0; zu_frame_decode(bytes->data + at, bytes->size - at, &head) == 1;) {
        at += head.head_size;
        if (head.size > bytes->size - at)
            break;
        for (size_t i = 0; i < head.size; i++)
            cr_assert_eq(bytes->data[at + i], octet(message, i), "message %llu", (unsigned long long)message);
        at += head.size;
        message += !(head.flags & ZU_FRAME_MORE);
    }
    return message - first;
}

/* Makes both ends of a connection. */
typedef void pair_make(struct zu_codec **ret_from, struct zu_codec **ret_to);

/* Hears what is on the wire and was not heard yet, in pieces of every size. */
static inline void hear(struct chance *chance, struct zu_codec *to, const struct bytes *wire, size_t *heard,
                        struct collection *got)
{
    while (*heard < wire->size) {
        size_t size = 1 + chance_below(chance, chance_below(chance, 4) ? 20000 : 20);
        size = size < wire->size - *heard ? size : wire->size - *heard;
        cr_assert_eq(decode(to, wire->data + *heard, size, got), 0);
        *heard += size;
    }
}

/* Short sends, pieces of every size, connections that end anywhere: nothing is lost, doubled or out of order. */
static inline void over_connections_that_end(const char *test, pair_make *make)
{
    struct chance chance = chance_new(test);
    uint64_t written = 0, delivered = 0;
    begin();
    for (int connection = 0; connection < 200; connection++) {
        struct zu_codec *from, *to;
        struct bytes wire = {.data = malloc(WIRE_MAX)};
        struct collection got = collection_make();
        size_t heard = 0;
        bool is_last = connection == 199;
        uint64_t turns = is_last ? UINT64_MAX : 1 + chance_below(&chance, 60);
        make(&from, &to);
        for (; turns > 0; turns--) {
            for (uint64_t n = chance_below(&chance, 8); n > 0 && !is_last && zu_pipe_count(out).held < HELD_MAX; n--)
                write_random(&chance, written++);
            if (wire.size > WIRE_MAX / 2 && !is_last)
                break;
            if (!step(from, 1 + chance_below(&chance, chance_below(&chance, 3) ? 2000 : 100000), &wire) && is_last)
                break;
            hear(&chance, to, &wire, &heard, &got);
        }
        delivered += check_delivered(&got.bytes, delivered);
        cr_assert_eq(zu_pipe_count(out).consumed, delivered, "connection %d", connection);
        zu_codec_free(from);
        zu_codec_free(to);
        zu_pipe_rewind(out);
        free(wire.data);
        free(got.bytes.data);
    }
    cr_assert_eq(delivered, written);
    end();
}

#endif
