/* SPDX-License-Identifier: MIT */
/*
 * Dialling: open, connect, hand the descriptor to a connection, and after a loss wait and do it again; the pipes outlast
 * connections, and sending resumes at a message boundary. With IMMEDIATE the pipes come and go with each connection.
 * It gives up after a protocol error, where the options say so, and when the socket has hung up and nothing is left to
 * send or its patience is over. It then tells the socket, once, and waits for stop to be freed.
 */
#include "link/dial.h"

#include <errno.h>

#include "flow/pipe_drain.h"
#include "flow/subscription.h"
#include "link/outlet.h"
#include "mem/alloc.h"

static void attempt(struct zu_dial *dial);

static void free_if_done(struct zu_dial *dial)
{
    if (!dial->stopped || !dial->over || dial->conn || dial->connect.busy)
        return;
    atomic_fetch_sub_explicit(&dial->shard->load, 1, memory_order_relaxed);
    zu_home_fini(&dial->home);
    zu_free(dial->address, dial->address_size);
    zu_free(dial, sizeof *dial);
}

/* The far side leaves the pipes and tells the socket. */
static void peer_settle(struct zu_dial *dial)
{
    struct zu_peer *peer = dial->peer;
    if (!peer)
        return;
    dial->peer = NULL;
    peer->far = NULL;
    zu_pipe_end(peer->in);
    zu_pipe_leave(peer->out);
    zu_peer_tell_gone(peer, dial->home.box);
}

static void give_up(struct zu_dial *dial)
{
    struct zu_timers *timers = &dial->shard->timers;
    zu_timer_clear(timers, &dial->retry);
    zu_timer_clear(timers, &dial->attempt);
    zu_timer_clear(timers, &dial->linger);
    dial->over = true;
    zu_shard_owe(dial->shard, &dial->owes, false);
    if (dial->conn) {
        zu_conn_close(dial->conn, -ECANCELED); /* the kernel may hold pieces of the pipes: settle when it is closed */
        return;
    }
    peer_settle(dial);
    free_if_done(dial);
}

static uint32_t random_below(struct zu_dial *dial, uint32_t limit)
{
    dial->random ^= dial->random << 13;
    dial->random ^= dial->random >> 17;
    dial->random ^= dial->random << 5;
    return limit ? dial->random % limit : 0;
}

/*
 * Without a cap, or with one below the interval, which counts for nothing: the interval and a random part of it again, so
 * that many peers do not come back at once.
 */
static uint32_t retry_delay_ms(struct zu_dial *dial)
{
    const struct zu_settings *settings = dial->home.settings;
    if (settings->reconnect_max_ms < settings->reconnect_ms)
        return (uint32_t)settings->reconnect_ms + random_below(dial, (uint32_t)settings->reconnect_ms);
    int delay_ms = dial->backoff_ms ? dial->backoff_ms : settings->reconnect_ms;
    if (delay_ms > settings->reconnect_max_ms)
        delay_ms = settings->reconnect_max_ms;
    dial->backoff_ms = delay_ms < INT32_MAX / 2 ? 2 * delay_ms : delay_ms;
    return (uint32_t)delay_ms;
}

/* Is there still something that a new connection should carry? */
static bool has_work(struct zu_dial *dial)
{
    if (!dial->hung_up)
        return true;
    struct iovec piece;
    size_t bytes;
    return dial->peer && zu_pipe_gather(dial->peer->out, &piece, 1, 1, ZU_GATHER_STAY_AWAKE, &bytes) != -EPIPE;
}

static void retry_later(struct zu_dial *dial)
{
    if (dial->home.settings->reconnect_ms <= 0 || !has_work(dial)) {
        give_up(dial);
        return;
    }
    if (zu_shard_timer(dial->shard, &dial->retry, retry_delay_ms(dial) * ZU_NS_PER_MS) < 0)
        give_up(dial);
}

/* Set until the dial is over, if only to never: a timer that is set can be set anew without memory. */
static void retry_reserve(struct zu_dial *dial)
{
    zu_timer_set(&dial->shard->timers, &dial->retry, ZU_NEVER);
}

static void retry_due(struct zu_timer *timer)
{
    struct zu_dial *dial = zu_container_of(timer, struct zu_dial, retry);
    retry_reserve(dial); /* its place is still there */
    attempt(dial);
}

static void attempt_late(struct zu_timer *timer)
{
    struct zu_dial *dial = zu_container_of(timer, struct zu_dial, attempt);
    dial->shard->driver->ops->cancel(dial->shard->driver, &dial->connect);
}

static void linger_over(struct zu_timer *timer)
{
    struct zu_dial *dial = zu_container_of(timer, struct zu_dial, linger);
    if (dial->connect.busy)
        dial->shard->driver->ops->cancel(dial->shard->driver, &dial->connect);
    give_up(dial);
}

/* --- as owner of the connection --- */

/* What the next connection will not be told anyhow, because the socket then starts over, need not be kept until then. */
static void drop_void(struct zu_dial *dial)
{
    uint32_t epoch = dial->peer ? atomic_load_explicit(&dial->peer->epoch, memory_order_relaxed) : 0;
    if (!epoch || !dial->home.settings->starts_over)
        return;
    struct iovec piece;
    size_t bytes;
    do
        zu_subscription_skip(dial->peer->out, epoch + 1);
    while (zu_pipe_gather(dial->peer->out, &piece, 1, 1, ZU_GATHER_SLEEP, &bytes) > 0);
}

static void far_readable(struct zu_peer *peer)
{
    struct zu_dial *dial = peer->far;
    if (dial->conn)
        zu_conn_out_readable(dial->conn);
    else
        drop_void(dial);
}

static void far_writable(struct zu_peer *peer)
{
    struct zu_dial *dial = peer->far;
    if (dial->conn)
        zu_conn_in_writable(dial->conn);
}

static void hang_up(struct zu_dial *dial, int linger_ms)
{
    if (dial->hung_up || dial->over)
        return;
    dial->hung_up = true;
    bool is_serving = dial->conn && dial->conn->ready;
    if (linger_ms == 0 || (!is_serving && !has_work(dial))) {
        dial->shard->driver->ops->cancel(dial->shard->driver, &dial->connect);
        give_up(dial);
        return;
    }
    /* The patience spans connections: one may be lost and another made before all is sent. */
    if (linger_ms > 0 && zu_shard_timer(dial->shard, &dial->linger, (uint64_t)linger_ms * ZU_NS_PER_MS) < 0) {
        linger_over(&dial->linger);
        return;
    }
    if (is_serving)
        zu_conn_leave(dial->conn, -1);
}

static void far_hung_up(struct zu_peer *peer, int linger_ms)
{
    hang_up(peer->far, linger_ms);
}

static const struct zu_far_events far_events = {
    .readable = far_readable,
    .writable = far_writable,
    .hung_up = far_hung_up,
};

static struct zu_peer *conn_ready(struct zu_conn *conn)
{
    struct zu_dial *dial = conn->owner_data;
    dial->backoff_ms = 0;
    conn->leaving = dial->hung_up;
    if (dial->peer || dial->hung_up)
        return dial->peer;
    dial->peer = zu_conn_offer_peer(&dial->home, dial, &far_events, &dial->shard->box);
    return dial->peer;
}

static bool may_retry(struct zu_dial *dial, const struct zu_conn *conn)
{
    const struct zu_settings *settings = dial->home.settings;
    if (!conn->ready && (settings->reconnect_stop & ZU_STOP_HANDSHAKE_FAILED))
        return false;
    bool protocol = conn->err == -EPROTO || conn->err == -EMSGSIZE || conn->err == -EPROTONOSUPPORT;
    return !protocol && !dial->over;
}

static void conn_closed(struct zu_conn *conn, int err)
{
    struct zu_dial *dial = conn->owner_data;
    bool retry = err != 0 && may_retry(dial, conn);
    dial->conn = NULL;
    zu_conn_free(conn);
    if (!retry || dial->over) {
        give_up(dial);
        return;
    }
    if (dial->peer && dial->home.settings->immediate) {
        peer_settle(dial);
    } else if (dial->peer) {
        zu_pipe_rewind(dial->peer->out);
        zu_pipe_roll_back(dial->peer->in);
        drop_void(dial);
    }
    zu_shard_owe(dial->shard, &dial->owes, true);
    retry_later(dial);
}

static const struct zu_conn_owner conn_owner = {.ready = conn_ready, .closed = conn_closed};

static void connected(struct zu_op *op, int result, unsigned flags, struct zu_chunk *chunk)
{
    (void)flags;
    (void)chunk;
    struct zu_dial *dial = zu_container_of(op, struct zu_dial, connect);
    struct zu_driver *driver = dial->shard->driver;
    zu_timer_clear(&dial->shard->timers, &dial->attempt);
    int fd = dial->target.fd;
    dial->target.fd = -1;
    if (result < 0 || dial->over) {
        driver->ops->close(driver, fd);
        if (dial->over)
            free_if_done(dial);
        else if (result == -ECONNREFUSED && (dial->home.settings->reconnect_stop & ZU_STOP_REFUSED))
            give_up(dial);
        else
            retry_later(dial);
        return;
    }
    dial->conn = zu_conn_new(dial->shard, &dial->home, dial->transport, fd, &conn_owner, dial);
    if (!dial->conn) {
        retry_later(dial);
        return;
    }
    zu_shard_owe(dial->shard, &dial->owes, false); /* from here on the connection does */
}

static void attempt(struct zu_dial *dial)
{
    struct zu_driver *driver = dial->shard->driver;
    if (dial->transport->dial(dial->address, dial->home.settings, &dial->target) < 0) {
        dial->target.fd = -1;
        retry_later(dial);
        return;
    }
    driver->ops->connect(driver, &dial->connect, dial->target.fd, (struct sockaddr *)&dial->target.address,
                         dial->target.size);
    int timeout_ms = dial->home.settings->connect_timeout_ms;
    if (timeout_ms > 0 && zu_shard_timer(dial->shard, &dial->attempt, (uint64_t)timeout_ms * ZU_NS_PER_MS) < 0)
        attempt_late(&dial->attempt);
}

static void run_start(struct zu_note *note)
{
    struct zu_dial *dial = zu_container_of(note, struct zu_dial, start);
    dial->random = (uint32_t)zu_shard_now_ns(dial->shard) * UINT32_C(0x9e3779b9) | 1;
    if (dial->over) /* hung up before it began: a PAIR that had a peer refused it */
        return;
    retry_reserve(dial);
    zu_shard_owe(dial->shard, &dial->owes, true);
    attempt(dial);
}

static void run_stop(struct zu_note *note)
{
    struct zu_dial *dial = zu_container_of(note, struct zu_dial, stop);
    dial->stopped = true;
    if (dial->over)
        free_if_done(dial);
    else
        hang_up(dial, dial->linger_ms);
}

struct zu_dial *zu_dial_new(struct zu_shard *shard, const struct zu_home *home, const struct zu_transport *transport,
                            const char *address, struct zu_peer *peer)
{
    size_t size = strlen(address) + 1;
    struct zu_dial *dial = zu_alloc_zero(sizeof *dial);
    char *copy = dial ? zu_alloc(size) : NULL;
    if (!copy) {
        if (dial)
            zu_free(dial, sizeof *dial);
        return NULL;
    }
    memcpy(copy, address, size);
    dial->shard = shard;
    dial->home = zu_home_copy(home);
    dial->transport = transport;
    dial->address = copy;
    dial->address_size = size;
    dial->start.run = run_start;
    dial->stop.run = run_stop;
    dial->peer = peer;
    dial->connect.done = connected;
    dial->target.fd = -1;
    dial->retry.fired = retry_due;
    dial->attempt.fired = attempt_late;
    dial->linger.fired = linger_over;
    if (peer)
        zu_peer_set_far(peer, dial, &zu_outlet_peer_ops, &far_events, &shard->box);
    atomic_fetch_add_explicit(&shard->load, 1, memory_order_relaxed);
    return dial;
}

void zu_dial_start(struct zu_dial *dial)
{
    zu_mailbox_post(&dial->shard->box, &dial->start);
}

void zu_dial_stop(struct zu_dial *dial, int linger_ms)
{
    dial->linger_ms = linger_ms;
    zu_mailbox_post(&dial->shard->box, &dial->stop);
}
