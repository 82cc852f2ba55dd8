/* SPDX-License-Identifier: MIT */
/*
 * Heartbeats (RFC 37): a PING every interval; silence after one for the timeout, or for the TTL that the peer promised,
 * ends the connection. Anything received counts as a sign of life. While we ourselves hold the peer back (`in` is full),
 * its silence is our doing and does not count. A malformed command ends the connection.
 */
#include "link/conn.h"

#include <errno.h>


enum { NS_PER_DECISECOND = 100000000 };

static void control_frame(struct zu_conn *conn, const uint8_t *body, size_t size)
{
    /* One of each kind fits; what does not is repeated by a later PING. */
    if (conn->tx_control || conn->control_size + ZU_FRAME_HEAD_SHORT + size > sizeof conn->control)
        return;
    uint8_t *at = conn->control + conn->control_size;
    size_t head = zu_frame_encode(at, ZU_FRAME_COMMAND, size);
    memcpy(at + head, body, size);
    conn->control_size += head + size;
    zu_conn_send(conn);
}

static uint64_t timeout_ns(const struct zu_settings *settings)
{
    int timeout_ms = settings->heartbeat_timeout_ms < 0 ? settings->heartbeat_ms : settings->heartbeat_timeout_ms;
    return (uint64_t)timeout_ms * ZU_NS_PER_MS;
}

static void ping_due(struct zu_timer *timer)
{
    struct zu_conn *conn = zu_container_of(timer, struct zu_conn, heartbeat_timer);
    const struct zu_settings *settings = conn->home.settings;
    uint8_t body[ZU_PING_SIZE_MAX];
    conn->ping_waits = true;
    control_frame(conn, body, zu_ping_encode(body, (uint16_t)(settings->heartbeat_ttl_ms / 100), NULL, 0));
    if (conn->closing) /* by that: sending has found the end of `out` */
        return;
    zu_conn_timer(conn, timer, (uint64_t)settings->heartbeat_ms * ZU_NS_PER_MS);
}

/* Only now: a PING that waits behind a large message has not been asked yet, and the peer is not silent. */
void zu_heartbeat_sent(struct zu_conn *conn)
{
    uint64_t timeout = timeout_ns(conn->home.settings);
    if (conn->ping_waits && timeout && !conn->silence_timer.place && !conn->rx_paused)
        zu_shard_timer(conn->shard, &conn->silence_timer, timeout);
    conn->ping_waits = false;
}

static void silence_over(struct zu_timer *timer)
{
    struct zu_conn *conn = zu_container_of(timer, struct zu_conn, silence_timer);
    if (!conn->rx_paused)
        zu_conn_close(conn, -ETIMEDOUT);
}

static void ttl_over(struct zu_timer *timer)
{
    struct zu_conn *conn = zu_container_of(timer, struct zu_conn, ttl_timer);
    if (!conn->rx_paused)
        zu_conn_close(conn, -ETIMEDOUT);
}

void zu_heartbeat_init(struct zu_conn *conn)
{
    conn->heartbeat_timer.fired = ping_due;
    conn->silence_timer.fired = silence_over;
    conn->ttl_timer.fired = ttl_over;
}

void zu_heartbeat_start(struct zu_conn *conn)
{
    int every_ms = conn->home.settings->heartbeat_ms;
    if (every_ms > 0 && zu_handshake_version(conn->handshake) >= ZU_WIRE_3_0)
        zu_conn_timer(conn, &conn->heartbeat_timer, (uint64_t)every_ms * ZU_NS_PER_MS);
}

void zu_heartbeat_stop(struct zu_conn *conn)
{
    struct zu_timers *timers = &conn->shard->timers;
    zu_timer_clear(timers, &conn->heartbeat_timer);
    zu_timer_clear(timers, &conn->silence_timer);
    zu_timer_clear(timers, &conn->ttl_timer);
}

void zu_heartbeat_heard(struct zu_conn *conn)
{
    zu_timer_clear(&conn->shard->timers, &conn->silence_timer);
    zu_timer_clear(&conn->shard->timers, &conn->ttl_timer);
}

int zu_heartbeat_command(struct zu_conn *conn, const uint8_t *body, size_t size)
{
    struct zu_command command;
    int err = zu_command_decode(body, size, &command);
    if (err || command.id != ZU_COMMAND_PING)
        return err;
    struct zu_ping ping;
    zu_ping_decode(&command, &ping);
    if (conn->closing) /* answering an earlier one has found the end of `out` */
        return -ECANCELED;
    if (ping.ttl_ds && !conn->ttl_timer.place)
        zu_shard_timer(conn->shard, &conn->ttl_timer, (uint64_t)ping.ttl_ds * NS_PER_DECISECOND);
    uint8_t pong[ZU_PONG_SIZE_MAX];
    control_frame(conn, pong, zu_pong_encode(pong, ping.context, ping.context_size));
    return conn->closing ? -ECANCELED : 0;
}
