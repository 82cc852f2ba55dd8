/* SPDX-License-Identifier: MIT */
#ifndef BENCH_FRAME_H
#define BENCH_FRAME_H

#include <stddef.h>
#include <stdint.h>

/* Frames as ZMTP lays them out, all of one size, at the least cost a correct peer can have: what a floor sends and
 * takes apart. */
struct frame_writer {
    char *message;     /* what the sending application holds */
    size_t size;       /* bytes of a message */
    size_t tail;       /* offset of the second copy of its word */
    uint64_t sequence; /* of the next frame */
    uint64_t count;    /* frames to write in all */
};

struct frame_reader {
    char *message;           /* where the receiving application wants it */
    size_t size;             /* bytes of a message */
    size_t tail;             /* offset of the second copy of its word */
    uint64_t due;            /* sequence of the next message: messages received so far */
    int64_t first_ns;        /* when the first was in place */
    size_t have;             /* bytes of an unfinished frame taken so far */
    unsigned char header[9]; /* header of the unfinished frame */
};

/* Encodes as many whole frames as fit, none after count. Returns bytes written, 0 when all have been. */
size_t frame_write(struct frame_writer *writer, char *batch, size_t capacity);

/* Takes bytes of the stream, copying out and checking every message. crew_fail on a wrong one. */
void frame_read(struct frame_reader *reader, const char *data, size_t length);

#endif
