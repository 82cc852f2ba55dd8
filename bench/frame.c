/* SPDX-License-Identifier: MIT */
/* Whole frames are encoded and copied out in one pass; a frame cut by the end of a buffer is put together piece by
 * piece. A frame that is not the one due ends the run: the other end is ours. */
#include "frame.h"

#include <endian.h>
#include <string.h>

#include "crew.h"
#include "word.h"

#define FRAME_SHORT_MAX 255
#define FRAME_FLAG_LONG 2

static size_t header_length(size_t size)
{
    return size > FRAME_SHORT_MAX ? 9 : 2;
}

static void header_write(unsigned char *at, size_t size)
{
    if (size > FRAME_SHORT_MAX) {
        uint64_t wire = htobe64(size);
        at[0] = FRAME_FLAG_LONG;
        memcpy(at + 1, &wire, sizeof(wire));
    } else {
        at[0] = 0;
        at[1] = (unsigned char)size;
    }
}

static size_t header_read(const unsigned char *at)
{
    uint64_t wire;

    if ((at[0] & FRAME_FLAG_LONG) == 0)
        return at[1];
    memcpy(&wire, at + 1, sizeof(wire));
    return be64toh(wire);
}

size_t frame_write(struct frame_writer *writer, char *batch, size_t capacity)
{
    size_t size = writer->size, head = header_length(size), filled = 0;

    while (writer->sequence < writer->count && filled + head + size <= capacity) {
        word_put(writer->message, writer->tail, writer->sequence++);
        header_write((unsigned char *)batch + filled, size);
        memcpy(batch + filled + head, writer->message, size);
        filled += head + size;
    }
    return filled;
}

static void message_check(struct frame_reader *reader)
{
    uint64_t word;

    if (!word_get(reader->message, reader->tail, &word) || word != reader->due)
        crew_fail("floor: message %#llx where %#llx was due", (unsigned long long)word,
                  (unsigned long long)reader->due);
    if (reader->due++ == 0)
        reader->first_ns = clock_ns();
}

/* Returns how many bytes it took of a frame that does not lie whole in the data. */
static size_t piece_read(struct frame_reader *reader, const char *data, size_t length)
{
    size_t head = header_length(reader->size), have = reader->have;
    size_t left = have < head ? head - have : head + reader->size - have;
    size_t piece = left < length ? left : length;

    memcpy(have < head ? (char *)reader->header + have : reader->message + (have - head), data, piece);
    reader->have += piece;
    if (reader->have == head && header_read(reader->header) != reader->size)
        crew_fail("floor: frame of a wrong size");
    if (reader->have == head + reader->size) {
        reader->have = 0;
        message_check(reader);
    }
    return piece;
}

void frame_read(struct frame_reader *reader, const char *data, size_t length)
{
    size_t head = header_length(reader->size), frame = head + reader->size, at = 0;

    while (at < length) {
        if (reader->have > 0 || length - at < frame) {
            at += piece_read(reader, data + at, length - at);
            continue;
        }
        size_t size = header_read((const unsigned char *)data + at);
        if (size != reader->size)
            crew_fail("floor: frame of a wrong size");
        memcpy(reader->message, data + at + head, size);
        message_check(reader);
        at += frame;
    }
}
