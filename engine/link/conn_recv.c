/* SPDX-License-Identifier: MIT */
/*
 * Receiving: a stream of provided buffers, fed to the handshake and then to the peer's pipe. A large frame gets memory of
 * its own: what is left of it, when that is much, is received straight into place, together with the next frame's head.
 * When the pipe is full the stream is stopped, and the kernel's window holds the peer back; a note from the reader
 * starts it again. Bytes that break the protocol, the end of the stream and errors end the connection; a want of memory
 * for buffers is waited out.
 */
#include "link/conn.h"

#include <errno.h>

#include "flow/pipe_conflate.h"
#include "link/outlet.h"

enum {
    DIRECT_MIN = 32 * 1024, /* a smaller frame arrives sooner with the stream, beside its neighbours */
    TAIL_BYTES = 256,                /* received behind a large frame: the next head, and a little */
    LARGE_FIRST_MAX = 2 * 1024 * 1024, /* memory taken on the peer's word; more only as bytes arrive */
    MEMORY_RETRY_MS = 10,
    DIALOGUE_LEAD = 32 * 1024, /* of either side, that the other may yet make up for */
    PACE_NS = 1000000, /* how long a lagging reader is waited for before it is served beyond the cache */
};

static void stop(struct zu_conn *conn)
{
    conn->shard->driver->ops->cancel(conn->shard->driver, &conn->rx);
}

static void recv_direct(struct zu_conn *conn)
{
    struct zu_pipe *in = conn->in;
    size_t count = 1;
    uint64_t room = conn->large->size - conn->large_have;
    if (conn->large->size == conn->large_size) {
        uint8_t *tail = zu_pipe_tail(in, TAIL_BYTES + (uint32_t)sizeof(struct zu_chunk_ref));
        if (tail) {
            conn->rx_pieces[1] = (struct iovec){.iov_base = tail, .iov_len = TAIL_BYTES};
            count = 2;
        }
    }
    conn->rx_pieces[0] = (struct iovec){.iov_base = (uint8_t *)conn->large->data + conn->large_have, .iov_len = room};
    conn->rx.message.msg_iov = conn->rx_pieces;
    conn->rx.message.msg_iovlen = count;
    conn->rx_direct = true;
    conn->shard->driver->ops->recv_into(conn->shard->driver, &conn->rx, conn->fd);
}

static bool is_worth_direct(const struct zu_conn *conn)
{
    return conn->large_size >= DIRECT_MIN && !conn->leaving && !(conn->codec && conn->codec->ops->decode);
}

void zu_conn_recv(struct zu_conn *conn)
{
    if (conn->rx.busy || conn->closing || conn->rx_paused || conn->rx_retry.place || zu_conn_holds_enough(conn))
        return;
    if (is_worth_direct(conn)) {
        recv_direct(conn);
        return;
    }
    conn->rx_direct = false;
    conn->rx.modest = !conn->ready; /* a handshake may cost a key exchange, and there may be ten thousand */
    conn->rx.once = conn->rx_streams || conn->rx.modest;
    conn->shard->driver->ops->recv_stream(conn->shard->driver, &conn->rx, conn->fd);
}

/* The pipe's scan stopped at a large frame: give it memory and what has arrived of it. */
static int large_begin(struct zu_conn *conn, uint64_t size)
{
    conn->large = zu_buf_new(size < LARGE_FIRST_MAX ? size : LARGE_FIRST_MAX);
    if (!conn->large)
        return -ENOMEM;
    conn->large_size = size;
    conn->large_have = zu_pipe_large_begin(conn->in, conn->large->data, conn->large->size);
    return 0;
}

/* Makes room for more of the large frame: as much again as has arrived. */
static int large_grow(struct zu_conn *conn)
{
    if (conn->large_have < conn->large->size || conn->large->size == conn->large_size)
        return 0;
    uint64_t size = 2 * conn->large->size;
    if (size > conn->large_size)
        size = conn->large_size;
    struct zu_buf *grown = zu_buf_grow(conn->large, conn->large_have, size);
    if (!grown)
        return -ENOMEM;
    conn->large = grown;
    return 0;
}

static void large_end(struct zu_conn *conn)
{
    zu_pipe_large_end(conn->in, conn->large, conn->large->data, conn->large_size);
    conn->large = NULL;
    conn->large_size = conn->large_have = 0;
}

/* Moves received bytes into the large frame; returns how many, or -ENOMEM. */
static ssize_t large_fill(struct zu_conn *conn, const uint8_t *bytes, size_t size)
{
    size_t taken = 0;
    while (taken < size && conn->large_have < conn->large_size) {
        int err = large_grow(conn);
        if (err)
            return err;
        size_t step = conn->large->size - conn->large_have;
        if (step > size - taken)
            step = size - taken;
        memcpy((uint8_t *)conn->large->data + conn->large_have, bytes + taken, step);
        conn->large_have += step;
        taken += step;
    }
    if (conn->large_have == conn->large_size)
        large_end(conn);
    else if (large_grow(conn) < 0)
        return -ENOMEM;
    return (ssize_t)taken;
}

static int after_feed(struct zu_conn *conn, int err, const struct zu_feed_want *want)
{
    if (zu_unlikely(err))
        return err;
    if (zu_unlikely(want->size))
        err = large_begin(conn, want->size);
    return err;
}

/* Takes over the chunk. */
static int traffic(struct zu_conn *conn, struct zu_chunk *chunk, uint32_t from, uint32_t size)
{
    struct zu_feed_want want = {0};
    if (zu_unlikely(conn->large_size)) {
        ssize_t taken = large_fill(conn, chunk->data + from, size);
        if (taken < 0 || taken == (ssize_t)size) {
            zu_chunk_unref(chunk);
            return taken < 0 ? (int)taken : 0;
        }
        from += (uint32_t)taken;
        size -= (uint32_t)taken;
    }
    return after_feed(conn, zu_pipe_feed(conn->in, chunk, from, size, &conn->limits, &want), &want);
}

/* --- with a codec that decodes --- */

struct delivery {
    struct zu_delivery base; /* what the codec sees */
    struct zu_conn *conn;    /* whose */
};

static int deliver_bytes(struct zu_delivery *base, const uint8_t *bytes, size_t size)
{
    struct zu_conn *conn = zu_container_of(base, struct delivery, base)->conn;
    while (size) {
        struct zu_feed_want want = {0};
        ssize_t taken = size < ZU_RECEIVE_SIZE ? (ssize_t)size : ZU_RECEIVE_SIZE;
        int err = 0;
        if (conn->large_size)
            taken = large_fill(conn, bytes, size);
        else
            err = after_feed(conn, zu_pipe_feed_bytes(conn->in, bytes, (size_t)taken, &conn->limits, &want), &want);
        if (err || taken < 0)
            return err ? err : (int)taken;
        bytes += taken;
        size -= (size_t)taken;
    }
    return 0;
}

static int deliver_buf(struct zu_delivery *base, unsigned flags, struct zu_buf *buf, uint8_t *body, size_t size)
{
    struct zu_conn *conn = zu_container_of(base, struct delivery, base)->conn;
    uint8_t head[ZU_FRAME_HEAD_MAX];
    struct zu_feed_want want = {0};
    int err = zu_pipe_feed_bytes(conn->in, head, zu_frame_encode(head, flags, size), &conn->limits, &want);
    if (err)
        return err;
    if (want.size) {
        zu_pipe_large_begin(conn->in, body, 0);
        zu_pipe_large_end(conn->in, buf, body, size);
        return 0;
    }
    err = deliver_bytes(base, body, size);
    if (!err)
        zu_buf_unref(buf);
    return err;
}

static int deliver_chunk(struct zu_delivery *base, struct zu_chunk *chunk, uint32_t from, uint32_t size)
{
    return traffic(zu_container_of(base, struct delivery, base)->conn, chunk, from, size);
}

static struct delivery delivery_make(struct zu_conn *conn)
{
    return (struct delivery){
        .base = {.bytes = deliver_bytes, .buf = deliver_buf, .chunk = deliver_chunk},
        .conn = conn,
    };
}

int zu_conn_codec_begin(struct zu_conn *conn)
{
    struct delivery delivery = delivery_make(conn);
    return conn->codec->ops->begin ? conn->codec->ops->begin(conn->codec, &delivery.base) : 0;
}

/* Takes over the chunk. */
static int traffic_coded(struct zu_conn *conn, struct zu_chunk *chunk, uint32_t from, uint32_t size)
{
    if (!conn->codec->ops->decode)
        return traffic(conn, chunk, from, size);
    struct delivery delivery = delivery_make(conn);
    int err = conn->codec->ops->decode(conn->codec, chunk, from, size, &delivery.base);
    zu_chunk_unref(chunk);
    return err;
}

/* Takes over the chunk. */
static int handshake(struct zu_conn *conn, struct zu_chunk *chunk, uint32_t from, uint32_t size)
{
    size_t used = 0;
    int done = conn->asking ? 0 : zu_conn_shake(conn, chunk->data + from, size, &used);
    if (done == 0 && used < size)
        done = zu_conn_hold(conn, chunk->data + from + used, size - used);
    explicit_bzero(chunk->data + from, done == 1 ? used : size); /* perhaps a password; the chunk serves anybody next */
    if (done < 0) {
        zu_chunk_unref(chunk);
        return zu_conn_refuse(conn, done);
    }
    if (done == 1 && !zu_conn_become_ready(conn)) {
        zu_chunk_unref(chunk);
        return -ECANCELED;
    }
    zu_conn_send(conn);
    if (done == 1 && used < size && !conn->closing && !conn->leaving)
        return conn->codec ? traffic_coded(conn, chunk, from + (uint32_t)used, size - (uint32_t)used)
                           : traffic(conn, chunk, from + (uint32_t)used, size - (uint32_t)used);
    zu_chunk_unref(chunk);
    return 0;
}

static int direct_arrived(struct zu_conn *conn, size_t size)
{
    struct zu_feed_want want = {0};
    uint64_t room = conn->large->size - conn->large_have;
    size_t tail = size > room ? size - (size_t)room : 0;
    conn->large_have += size - tail;
    int err = large_grow(conn);
    if (err)
        return err;
    if (conn->large_have == conn->large_size)
        large_end(conn);
    if (!tail)
        return 0;
    return after_feed(conn, zu_pipe_feed_tail(conn->in, (uint32_t)tail, &conn->limits, &want), &want);
}

/* What came and what the application answered, as far as the one makes up for the other. */
static void dialogue_tell(struct zu_conn *conn)
{
    uint64_t sent = zu_outlet_sent(&conn->peer->outlet);
    if (sent == conn->told_out) {
        if (conn->bytes_in - conn->told_in > DIALOGUE_LEAD)
            conn->told_in = conn->bytes_in - DIALOGUE_LEAD;
        return;
    }
    if (sent - conn->told_out > DIALOGUE_LEAD)
        conn->told_out = sent - DIALOGUE_LEAD;
    uint64_t in = conn->bytes_in - conn->told_in, out = sent - conn->told_out, both = in < out ? in : out;
    conn->told_in += both;
    conn->told_out += both;
    zu_shard_earn(conn->shard, both);
}

static int arrived(struct zu_conn *conn, size_t size, struct zu_chunk *chunk)
{
    conn->bytes_in += size;
    if (zu_unlikely(!conn->ready))
        return handshake(conn, chunk, ZU_RECEIVE_HEADROOM, (uint32_t)size);
    zu_heartbeat_heard(conn);
    dialogue_tell(conn);
    if (conn->rx_direct) {
        zu_pipe_feed_expect(conn->in, false);
        return direct_arrived(conn, size);
    }
    /* A full buffer means more behind it: one at a time then, or the kernel fills them all before we see the first. */
    conn->rx_streams = size == ZU_RECEIVE_SIZE;
    /* Where the reader drives us it does not sleep, and would only get cold bytes. */
    zu_pipe_feed_expect(conn->in, conn->rx_streams && !conn->shard->driver->ops->roams);
    if (zu_unlikely(conn->codec != NULL))
        return traffic_coded(conn, chunk, ZU_RECEIVE_HEADROOM, (uint32_t)size);
    return traffic(conn, chunk, ZU_RECEIVE_HEADROOM, (uint32_t)size);
}

static void hold_back(struct zu_conn *conn)
{
    if (conn->closing) /* by what a command had us send */
        return;
    if (conn->ready && !conn->rx_paused) {
        if (zu_pipe_feed_is_full(conn->in))
            conn->rx_paused = true;
        else if (zu_pipe_feed_lags(conn->in))
            conn->rx_paused = zu_shard_timer(conn->shard, &conn->rx_pace, PACE_NS) == 0;
    }
    if (conn->ready && zu_pipe_feed_hides(conn->in)) {
        if (conn->rx_paused || conn->large_size)
            zu_pipe_feed_show(conn->in);
        else
            zu_shard_at_pause(conn->shard, &conn->rx_show);
    }
    if (conn->rx_paused)
        zu_heartbeat_heard(conn); /* from here on its silence is our doing */
    if (conn->rx.busy && (conn->rx_paused || is_worth_direct(conn) || zu_conn_holds_enough(conn)))
        stop(conn);
}

static void failed(struct zu_conn *conn, int result)
{
    if (result == -ENOBUFS || result == -ENOMEM)
        zu_shard_timer(conn->shard, &conn->rx_retry, MEMORY_RETRY_MS * ZU_NS_PER_MS);
    else if (result != -ECANCELED && result != -EAGAIN && result != -EINTR)
        zu_conn_close(conn, result ? result : -EPIPE);
}

static void after_arrival(struct zu_conn *conn, int err)
{
    if (zu_unlikely(conn->stage)) { /* what came before a fault is good */
        int passed = zu_pipe_conflate_pass(conn->stage, conn->peer->in);
        err = err ? err : passed;
    }
    if (zu_unlikely(err))
        zu_conn_close(conn, err);
    else
        hold_back(conn);
}

void zu_conn_judged(struct zu_conn *conn)
{
    struct zu_buf *held = conn->held;
    size_t size = conn->held_size, at = 0;
    int err;
    conn->held = NULL;
    conn->held_size = 0;
    do {
        size_t step = size - at < ZU_RECEIVE_SIZE ? size - at : ZU_RECEIVE_SIZE;
        struct zu_chunk *chunk = zu_chunk_new(ZU_CHUNK_RUNG_RECEIVE);
        err = chunk ? 0 : -ENOMEM;
        if (chunk && step)
            memcpy(chunk->data + ZU_RECEIVE_HEADROOM, (uint8_t *)held->data + at, step);
        if (chunk)
            err = arrived(conn, step, chunk);
        at += step;
    } while (!err && !conn->closing && !conn->refusal && at < size);
    zu_conn_held_free(held, size);
    after_arrival(conn, err);
    if (conn->closing)
        zu_conn_settle(conn);
    else
        zu_conn_recv(conn);
}

void zu_conn_received(struct zu_op *op, int result, unsigned flags, struct zu_chunk *chunk)
{
    (void)flags;
    struct zu_conn *conn = zu_container_of(op, struct zu_conn, rx);
    if (conn->closing || ((conn->leaving || conn->refusal) && result > 0)) {
        if (chunk)
            zu_chunk_unref(chunk);
        if (!conn->closing)
            zu_heartbeat_heard(conn);
    } else if (zu_likely(result > 0)) {
        after_arrival(conn, arrived(conn, (size_t)result, chunk));
    } else {
        if (chunk)
            zu_chunk_unref(chunk);
        failed(conn, result);
    }
    if (conn->closing)
        zu_conn_settle(conn);
    else
        zu_conn_recv(conn);
}
