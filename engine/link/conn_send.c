/* SPDX-License-Identifier: MIT */
/*
 * Sending: one operation at a time per connection; what gathers meanwhile is the next batch. The handshake's octets go
 * first, control frames at message boundaries, then the pipe's bytes as they stand, or as a codec encodes them. With nothing left the pipe's reader
 * sleeps and a note starts the next send; at the pipe's end the connection has done its work.
 * A failed send ends the connection; what the kernel had taken is accounted for first.
 */
#include "link/conn.h"

#include <errno.h>

#include "flow/pipe_drain.h"
#include "flow/pipe_wake.h"
#include "link/outlet.h"

/* A batch: enough to make the call's cost vanish, little enough to stay in the cache. Measured: bench/README.md. */
#define SEND_BYTES_MAX (256 * 1024)
/* Octets of the handshake at a time. */
enum { HELLO_MAX = (ZU_CONN_PIECES - 1) * sizeof(struct iovec) };
/*
 * A sender that handed over a batch itself since the last look, or wrote STREAM_MESSAGES, streams: no wake-up for its next
 * message, but a look after STREAM_LOOK_NS, when what lies there is sent. One whose batches follow each other faster than
 * that is left alone, and for longer: nothing it writes lies for long, but for the last of it.
 */
enum { STREAM_MESSAGES = 32, STREAM_LOOK_NS = 100000, STREAM_TRUST_NS = 400000 };

/* A connection that rests holds no room for pieces. */
static void *room_take(struct zu_conn *conn)
{
    if (!conn->tx_room)
        conn->tx_room = zu_buf_new(ZU_CONN_PIECES * sizeof(struct iovec));
    return conn->tx_room ? conn->tx_room->data : NULL;
}

void zu_conn_room_drop(struct zu_conn *conn)
{
    if (conn->tx_room)
        zu_buf_unref(conn->tx_room);
    conn->tx_room = NULL;
}

static void send_pieces(struct zu_conn *conn, struct iovec *pieces, size_t count)
{
    conn->tx.message.msg_iov = pieces;
    conn->tx.message.msg_iovlen = count;
    conn->shard->driver->ops->send(conn->shard->driver, &conn->tx, conn->fd);
    zu_conn_owe(conn);
}

static bool send_handshake(struct zu_conn *conn)
{
    if (zu_likely(!conn->handshake))
        return false;
    const uint8_t *bytes;
    size_t size = zu_handshake_output(conn->handshake, &bytes);
    conn->tx_way = size ? ZU_TX_HANDSHAKE : ZU_TX_PLAIN;
    if (!size) {
        if (conn->ready)
            zu_conn_handshake_drop(conn);
        /* Not before: what the sending thread hands over itself must not overtake the handshake. */
        if (conn->ready && !conn->codec)
            zu_outlet_open(&conn->peer->outlet, conn->shard->driver, conn->fd);
        return false;
    }
    /* A copy: more that is put behind it may move the handshake's own. */
    struct iovec *piece = room_take(conn);
    if (!piece) {
        zu_conn_close(conn, -ENOMEM);
        return true;
    }
    *piece = (struct iovec){.iov_base = piece + 1, .iov_len = size < HELLO_MAX ? size : HELLO_MAX};
    memcpy(piece->iov_base, bytes, piece->iov_len);
    send_pieces(conn, piece, 1);
    return true;
}

/* Whether somebody else has handed over messages since we did or looked: the sending thread. */
static bool was_handed_over(struct zu_conn *conn)
{
    uint64_t handed = atomic_load_explicit(&conn->peer->out->read_count, memory_order_relaxed);
    bool was = handed != conn->tx_handed;
    conn->tx_handed = handed;
    return was;
}

/*
 * The pipe is empty. A sender that streams will hand over the next batch itself: do not ask it for a wake-up with every
 * first message, but look again soon. A sender that does not is to wake us.
 */
static bool await_stream(struct zu_conn *conn)
{
    uint64_t written = atomic_load_explicit(&conn->peer->out->write_count, memory_order_relaxed);
    bool streams = was_handed_over(conn) || written - conn->tx_seen >= STREAM_MESSAGES;
    conn->tx_seen = written;
    if (conn->shard->driver->ops->roams) /* nobody is there to look by the clock; its user is, before it waits */
        return false;
    if (!streams || zu_shard_timer(conn->shard, &conn->tx_stream, STREAM_LOOK_NS) < 0)
        return false;
    zu_pipe_reader_poll(conn->peer->out);
    return true;
}

static enum zu_gather_mode sleeping(const struct zu_conn *conn)
{
    return conn->shard->by_user ? ZU_GATHER_SLEEP_HERE : ZU_GATHER_SLEEP;
}

static int gather(struct zu_conn *conn, struct iovec *pieces, int room)
{
    struct zu_pipe *out = conn->peer->out;
    int count = zu_pipe_gather(out, pieces, room, SEND_BYTES_MAX, ZU_GATHER_STAY_AWAKE, &conn->tx_bytes);
    if (count == 0 && !conn->tx_control && !await_stream(conn))
        count = zu_pipe_gather(out, pieces, room, SEND_BYTES_MAX, sleeping(conn), &conn->tx_bytes);
    return count;
}

static void send_coded(struct zu_conn *conn)
{
    struct zu_pipe *out = conn->peer->out;
    enum zu_gather_mode sleep = sleeping(conn);
    int got = zu_codec_fill(conn->codec, out, conn->control, &conn->control_size, ZU_GATHER_STAY_AWAKE);
    if (got == 0 && !await_stream(conn))
        got = zu_codec_fill(conn->codec, out, conn->control, &conn->control_size, sleep);
    if (got == 1) {
        struct zu_batch *batch = &conn->codec->batch;
        conn->tx_way = ZU_TX_CODED;
        send_pieces(conn, batch->pieces + batch->first, batch->count - batch->first);
    } else if (got < 0) {
        zu_conn_close(conn, got == -EPIPE ? 0 : got);
    }
}

void zu_conn_send(struct zu_conn *conn)
{
    if (conn->tx.busy || conn->closing || send_handshake(conn) || !conn->ready)
        return;
    if (zu_unlikely(conn->codec != NULL)) {
        send_coded(conn);
        return;
    }
    if (!zu_outlet_take(&conn->peer->outlet))
        return;
    struct iovec *pieces = room_take(conn);
    int room = pieces ? ZU_CONN_PIECES : ZU_CONN_FEW, first = 0;
    if (!pieces)
        pieces = conn->tx_few;
    conn->tx_control = 0;
    if (zu_unlikely(conn->control_size) && zu_pipe_at_boundary(conn->peer->out)) {
        pieces[0] = (struct iovec){.iov_base = conn->control, .iov_len = conn->control_size};
        conn->tx_control = conn->control_size;
        first = 1;
    }
    int count = gather(conn, pieces + first, room - first);
    if (count + first > 0) {
        send_pieces(conn, pieces, (size_t)(count + first));
        return;
    }
    zu_conn_room_drop(conn);
    zu_outlet_give(&conn->peer->outlet);
    if (zu_unlikely(count == -EPIPE))
        zu_conn_close(conn, 0);
}

void zu_conn_stream_look(struct zu_conn *conn)
{
    const struct zu_outlet *outlet = &conn->peer->outlet;
    if (conn->codec) { /* the application hands over nothing itself */
        zu_conn_send(conn);
        return;
    }
    bool is_fast = zu_outlet_is_applications(outlet) || zu_outlet_gap_ns(outlet) < STREAM_LOOK_NS;
    if (conn->tx.busy || !is_fast || zu_shard_timer(conn->shard, &conn->tx_stream, STREAM_TRUST_NS) < 0)
        zu_conn_send(conn);
}

/* The control frames' share of what was sent; the rest is the pipe's. */
static size_t take_control(struct zu_conn *conn, size_t sent)
{
    size_t control = sent < conn->tx_control ? sent : conn->tx_control;
    memmove(conn->control, conn->control + control, conn->control_size - control);
    conn->control_size -= control;
    if (!conn->control_size && !conn->closing)
        zu_heartbeat_sent(conn);
    return sent - control;
}

static void account_coded(struct zu_conn *conn, size_t sent)
{
    bool controls_out = zu_codec_sent(conn->codec, conn->peer->out, sent);
    was_handed_over(conn); /* by us, as below */
    if (controls_out && !conn->closing)
        zu_heartbeat_sent(conn);
}

static void account(struct zu_conn *conn, size_t sent)
{
    conn->bytes_out += sent;
    if (zu_unlikely(conn->tx_way != ZU_TX_PLAIN)) {
        if (conn->tx_way == ZU_TX_HANDSHAKE)
            zu_handshake_sent(conn->handshake, sent);
        else
            account_coded(conn, sent);
        return;
    }
    bool is_cut = sent < conn->tx_control;
    if (zu_unlikely(conn->tx_control))
        sent = take_control(conn, sent);
    if (sent) {
        zu_pipe_handed(conn->peer->out, sent);
        was_handed_over(conn); /* by us: not to be taken for the sender's doing */
    }
    if (zu_likely(!is_cut)) /* nobody may send anything between the parts of a control frame */
        zu_outlet_give(&conn->peer->outlet);
}

void zu_conn_sent(struct zu_op *op, int result, unsigned flags, struct zu_chunk *chunk)
{
    (void)flags;
    (void)chunk;
    struct zu_conn *conn = zu_container_of(op, struct zu_conn, tx);
    if (zu_unlikely(conn->tx_way == ZU_TX_HANDSHAKE)) /* perhaps a password; the room serves anybody next */
        explicit_bzero(conn->tx_room->data, ZU_CONN_PIECES * sizeof(struct iovec));
    zu_conn_room_drop(conn);
    if (zu_likely(result > 0))
        account(conn, (size_t)result);
    else if (result != -EAGAIN && result != -EINTR && result != -ENOMEM && result != -ENOBUFS)
        zu_conn_close(conn, result ? result : -EPIPE);
    zu_conn_owe(conn);
    if (conn->closing)
        zu_conn_settle(conn);
    else
        zu_conn_send(conn);
}
