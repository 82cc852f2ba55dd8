/* SPDX-License-Identifier: MIT */
/* Floors through io_uring, one thread a side: the sender encodes the next batch while the kernel takes the last one;
 * the receiver takes multishot completions out of provided buffers. An error completion ends the run by crew_fail. */
#include "floor.h"

#include <errno.h>
#include <liburing.h>
#include <string.h>

#include "frame.h"
#include "word.h"

#define RING_ENTRIES 256
#define SEND_BUFFERS 4
#define RECV_BUFFERS 64
#define RECV_GROUP 1

static void ring_open(struct io_uring *ring)
{
    struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN};
    int rc = io_uring_queue_init_params(RING_ENTRIES, ring, &params);

    if (rc < 0)
        crew_fail("floor: io_uring: %s", strerror(-rc));
    io_uring_register_ring_fd(ring);
}

static void send_start(struct io_uring *ring, struct floor_lane *lane, const char *batch, size_t length)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

    io_uring_prep_send(sqe, lane->fd, batch, length, MSG_WAITALL | MSG_NOSIGNAL);
    io_uring_sqe_set_data64(sqe, length);
    io_uring_submit(ring);
}

static void send_wait(struct io_uring *ring)
{
    struct io_uring_cqe *cqe;
    int rc = io_uring_wait_cqe(ring, &cqe);

    if (rc < 0 || cqe->res < 0)
        crew_fail("floor: send: %s", strerror(rc < 0 ? -rc : -cqe->res));
    if ((uint64_t)cqe->res != cqe->user_data)
        crew_fail("floor: %d bytes sent of %llu", cqe->res, (unsigned long long)cqe->user_data);
    io_uring_cqe_seen(ring, cqe);
}

void uring_send(struct floor_lane *lane)
{
    struct frame_writer writer = {
        .message = lane_alloc(lane->size), .size = lane->size, .tail = word_tail(lane->size), .count = lane->count};
    char *batches = lane_alloc(lane->batch * SEND_BUFFERS);
    struct io_uring ring;
    bool in_flight = false;
    size_t filled;

    ring_open(&ring);
    for (unsigned turn = 0;; turn++) {
        char *batch = batches + (turn % SEND_BUFFERS) * lane->batch;
        filled = frame_write(&writer, batch, lane->batch);
        if (in_flight)
            send_wait(&ring);
        if (filled == 0)
            break;
        send_start(&ring, lane, batch, filled);
        in_flight = true;
    }
    io_uring_queue_exit(&ring);
}

static struct io_uring_buf_ring *buffers_register(struct io_uring *ring, char *pool, size_t bytes)
{
    struct io_uring_buf_ring *buffers = (void *)lane_alloc(RECV_BUFFERS * sizeof(struct io_uring_buf));
    struct io_uring_buf_reg registration = {
        .ring_addr = (uintptr_t)buffers, .ring_entries = RECV_BUFFERS, .bgid = RECV_GROUP};
    int rc = io_uring_register_buf_ring(ring, &registration, 0);

    if (rc < 0)
        crew_fail("floor: provided buffers: %s", strerror(-rc));
    io_uring_buf_ring_init(buffers);
    for (unsigned short i = 0; i < RECV_BUFFERS; i++)
        io_uring_buf_ring_add(buffers, pool + i * bytes, (unsigned)bytes, i, io_uring_buf_ring_mask(RECV_BUFFERS), i);
    io_uring_buf_ring_advance(buffers, RECV_BUFFERS);
    return buffers;
}

static void recv_start(struct io_uring *ring, struct floor_lane *lane)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

    io_uring_prep_recv_multishot(sqe, lane->fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = RECV_GROUP;
}

void uring_receive(struct floor_lane *lane)
{
    struct frame_reader reader = {.message = lane_alloc(lane->size), .size = lane->size, .tail = word_tail(lane->size)};
    char *pool = lane_alloc(lane->batch * RECV_BUFFERS);
    struct io_uring ring;

    ring_open(&ring);
    struct io_uring_buf_ring *buffers = buffers_register(&ring, pool, lane->batch);
    recv_start(&ring, lane);
    while (reader.due < lane->count) {
        struct io_uring_cqe *cqe;
        unsigned head, seen = 0;
        io_uring_submit_and_wait(&ring, 1);
        io_uring_for_each_cqe(&ring, head, cqe)
        {
            seen++;
            if (cqe->res > 0) {
                unsigned short id = (unsigned short)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
                char *data = pool + id * lane->batch;
                frame_read(&reader, data, (size_t)cqe->res);
                io_uring_buf_ring_add(buffers, data, (unsigned)lane->batch, id, io_uring_buf_ring_mask(RECV_BUFFERS),
                                      0);
                io_uring_buf_ring_advance(buffers, 1);
            } else if (cqe->res != -ENOBUFS) {
                crew_fail("floor: recv: %s", cqe->res < 0 ? strerror(-cqe->res) : "connection closed");
            }
            if ((cqe->flags & IORING_CQE_F_MORE) == 0)
                recv_start(&ring, lane);
        }
        io_uring_cq_advance(&ring, seen);
    }
    lane->slot->first_ns = reader.first_ns;
    lane->slot->last_ns = clock_ns();
    io_uring_queue_exit(&ring);
}
