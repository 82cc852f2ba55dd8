/* SPDX-License-Identifier: MIT */
/* Floors of blocking socket calls, one thread a side. A socket error or an early end ends the run by crew_fail. */
#include "floor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "frame.h"
#include "report.h"
#include "word.h"

#define PING_WARM_ROUNDS 200

char *lane_alloc(size_t bytes)
{
    char *memory = aligned_alloc(4096, (bytes + 4095) & ~(size_t)4095);

    if (memory == NULL)
        crew_fail("floor: no memory for %zu bytes", bytes);
    memset(memory, 'f', bytes);
    return memory;
}

void lane_send_all(struct floor_lane *lane, const char *data, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(lane->fd, data, length, MSG_NOSIGNAL);
        if (sent < 0)
            crew_fail("floor: send: %s", strerror(errno));
        data += sent;
        length -= (size_t)sent;
    }
}

void lane_recv_all(struct floor_lane *lane, char *data, size_t length)
{
    while (length > 0) {
        ssize_t got = recv(lane->fd, data, length, MSG_WAITALL);
        if (got <= 0)
            crew_fail("floor: recv: %s", got < 0 ? strerror(errno) : "connection closed");
        data += got;
        length -= (size_t)got;
    }
}

void batch_send(struct floor_lane *lane)
{
    struct frame_writer writer = {
        .message = lane_alloc(lane->size), .size = lane->size, .tail = word_tail(lane->size), .count = lane->count};
    char *batch = lane_alloc(lane->batch);
    size_t filled;

    while ((filled = frame_write(&writer, batch, lane->batch)) > 0)
        lane_send_all(lane, batch, filled);
}

void batch_receive(struct floor_lane *lane)
{
    struct frame_reader reader = {.message = lane_alloc(lane->size), .size = lane->size, .tail = word_tail(lane->size)};
    char *batch = lane_alloc(lane->batch);

    while (reader.due < lane->count) {
        ssize_t got = recv(lane->fd, batch, lane->batch, 0);
        if (got <= 0)
            crew_fail("floor: recv: %s", got < 0 ? strerror(errno) : "connection closed");
        frame_read(&reader, batch, (size_t)got);
    }
    lane->slot->first_ns = reader.first_ns;
    lane->slot->last_ns = clock_ns();
}

void direct_send(struct floor_lane *lane)
{
    char *message = lane_alloc(lane->size);

    for (uint64_t sequence = 0; sequence < lane->count; sequence++) {
        word_put(message, word_tail(lane->size), sequence);
        lane_send_all(lane, message, lane->size);
    }
}

/* Receives a message and fails unless it is this one. */
static void message_expect(struct floor_lane *lane, char *message, uint64_t sequence)
{
    uint64_t word;

    lane_recv_all(lane, message, lane->size);
    if (!word_get(message, word_tail(lane->size), &word) || word != sequence)
        crew_fail("floor: message %#llx where %#llx was due", (unsigned long long)word, (unsigned long long)sequence);
}

void direct_receive(struct floor_lane *lane)
{
    char *message = lane_alloc(lane->size);

    message_expect(lane, message, 0);
    lane->slot->first_ns = clock_ns();
    for (uint64_t sequence = 1; sequence < lane->count; sequence++)
        message_expect(lane, message, sequence);
    lane->slot->last_ns = clock_ns();
}

void ping_run(struct floor_lane *lane)
{
    char *message = lane_alloc(lane->size);
    uint32_t *samples = (uint32_t *)lane_alloc(lane->count * sizeof(*samples));
    int64_t before_ns = 0;

    for (uint64_t round = 0; round < lane->count + PING_WARM_ROUNDS; round++) {
        if (round == PING_WARM_ROUNDS)
            before_ns = lane->slot->first_ns = clock_ns();
        word_put(message, word_tail(lane->size), round);
        lane_send_all(lane, message, lane->size);
        message_expect(lane, message, round);
        if (round < PING_WARM_ROUNDS)
            continue;
        int64_t now_ns = clock_ns();
        samples[round - PING_WARM_ROUNDS] = (uint32_t)(now_ns - before_ns);
        before_ns = now_ns;
    }
    lane->slot->last_ns = before_ns;
    report_latency(samples, lane->count, lane->ret_latency_us);
}

void echo_run(struct floor_lane *lane)
{
    char *message = lane_alloc(lane->size);

    for (uint64_t round = 0; round < lane->count + PING_WARM_ROUNDS; round++) {
        message_expect(lane, message, round);
        lane_send_all(lane, message, lane->size);
    }
}
