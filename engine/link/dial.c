/* SPDX-License-Identifier: MIT */
/*
 * Dialling: look up a name if there is one, open, connect, pass a proxy if one stands in the way, hand the descriptor to a
 * connection, and after a loss wait and do it again; the pipes outlast connections, and sending resumes at a message
 * boundary. With IMMEDIATE the pipes come and go with each connection.
 * It gives up after a protocol error, where the options say so, and when the socket has hung up and nothing is left to
 * send or its patience is over. It then tells the socket, once, and waits for stop to be freed.
 */
#include "link/dial.h"

#include <errno.h>
#include <stdio.h>

#include "flow/pipe_drain.h"
#include "flow/subscription.h"
#include "link/detour.h"
#include "link/outlet.h"
#include "link/resolve.h"
#include "mem/alloc.h"

static void attempt(struct zu_dial *dial);

/* On its way it belongs to nobody: the dial may be freed before the socket hears. */
struct zu_dial_end {
    struct zu_note note;                        /* to the socket */
    void (*over)(void *socket, void *endpoint); /* these three from the home */
    void *socket;
    void *endpoint;
};

static void run_end(struct zu_note *note)
{
    struct zu_dial_end *end = zu_container_of(note, struct zu_dial_end, note);
    end->over(end->socket, end->endpoint);
    zu_free(end, sizeof *end);
}

static void tell_over(struct zu_dial *dial)
{
    if (dial->end && !dial->hung_up && !dial->stopped && zu_mailbox_post(dial->home.box, &dial->end->note))
        dial->end = NULL;
}

static void dial_free(struct zu_dial *dial)
{
    zu_home_fini(&dial->home);
    if (dial->end)
        zu_free(dial->end, sizeof *dial->end);
    if (dial->text)
        zu_free(dial->text, dial->text_size);
    zu_free(dial, sizeof *dial);
}

static void tell(struct zu_dial *dial, enum zu_event event, uint64_t value)
{
    const struct zu_names names = {.local = "", .remote = dial->text};
    zu_watch_raise(dial->home.watch, event, value, &names);
}

static void free_if_done(struct zu_dial *dial)
{
    if (!dial->stopped || !dial->over || dial->conn || dial->connect.busy)
        return;
    atomic_fetch_sub_explicit(&dial->shard->load, 1, memory_order_relaxed);
    dial_free(dial);
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
    if (dial->lookup)
        zu_lookup_cancel(dial->lookup);
    dial->lookup = NULL;
    dial->over = true;
    zu_shard_owe(dial->shard, &dial->owes, false);
    tell_over(dial);
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

static bool is_trying(const struct zu_dial *dial)
{
    return dial->conn || dial->connect.busy || dial->lookup;
}

static bool never_retries(const struct zu_dial *dial)
{
    const struct zu_settings *settings = dial->home.settings;
    return settings->reconnect_ms <= 0 || (dial->left && (settings->reconnect_stop & ZU_STOP_DISCONNECTED));
}

static void retry_later(struct zu_dial *dial)
{
    if (never_retries(dial) || !has_work(dial)) {
        give_up(dial);
        return;
    }
    uint32_t delay_ms = retry_delay_ms(dial);
    if (zu_shard_timer(dial->shard, &dial->retry, delay_ms * ZU_NS_PER_MS) < 0)
        give_up(dial);
    else
        tell(dial, ZU_EVENT_CONNECT_RETRIED, delay_ms);
}

/* Set until the dial is over, if only to never: a timer that is set can be set anew without memory. */
static void retry_reserve(struct zu_dial *dial)
{
    zu_timer_set(&dial->shard->timers, &dial->retry, ZU_NEVER);
}

/* Without an interval there is no second attempt, but the endpoint, and what is queued, stay for as long as the socket. */
static void attempt_failed(struct zu_dial *dial)
{
    if (dial->hung_up || !never_retries(dial))
        retry_later(dial);
    else
        zu_shard_owe(dial->shard, &dial->owes, false);
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
    dial->late = true;
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
    if (linger_ms == 0 || (!is_serving && !has_work(dial)) || (!is_trying(dial) && never_retries(dial))) {
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

/* A peer that finds no memory is one connection's: the next one's may. */
static void far_hung_up(struct zu_peer *peer, int linger_ms)
{
    struct zu_dial *dial = peer->far;
    if (linger_ms != ZU_LINGER_NO_MEMORY)
        hang_up(dial, linger_ms);
    else if (dial->conn)
        zu_conn_leave(dial->conn, linger_ms);
    else
        hang_up(dial, 0);
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

static const char *conn_dialled(const struct zu_conn *conn)
{
    const struct zu_dial *dial = conn->owner_data;
    return dial->text;
}

static const struct zu_conn_owner conn_owner = {.ready = conn_ready, .closed = conn_closed, .dialled = conn_dialled};

static void connected(struct zu_op *op, int result, unsigned flags, struct zu_chunk *chunk)
{
    (void)flags;
    (void)chunk;
    struct zu_dial *dial = zu_container_of(op, struct zu_dial, connect);
    struct zu_driver *driver = dial->shard->driver;
    int fd = dial->target.fd;
    if (result >= 0 && dial->detour && !dial->over) {
        /* Late: the cancel missed this step, and for the next there would be no timer. */
        result = dial->late ? -ETIMEDOUT : zu_detour_step(dial->detour, driver, op, fd, result);
        if (result == -EINPROGRESS)
            return;
    }
    if (result >= 0 && dial->transport->connected)
        result = dial->transport->connected(fd);
    zu_timer_clear(&dial->shard->timers, &dial->attempt);
    zu_detour_free(dial->detour);
    dial->detour = NULL;
    dial->target.fd = -1;
    if (result < 0 || dial->over) {
        driver->ops->close(driver, fd);
        tell(dial, ZU_EVENT_CLOSED, (uint64_t)fd);
        if (dial->over)
            free_if_done(dial);
        else if (result == -ECONNREFUSED && (dial->home.settings->reconnect_stop & ZU_STOP_REFUSED))
            give_up(dial);
        else
            attempt_failed(dial);
        return;
    }
    dial->conn = zu_conn_new(dial->shard, &dial->home, dial->transport, fd, &conn_owner, dial);
    if (!dial->conn) {
        attempt_failed(dial);
        return;
    }
    zu_shard_owe(dial->shard, &dial->owes, false); /* from here on the connection does */
}

/* The target is open, or `err` says why it is not. The way through a proxy is a part of connecting. */
static void target_connect(struct zu_dial *dial, int err)
{
    struct zu_driver *driver = dial->shard->driver;
    const struct zu_settings *settings = dial->home.settings;
    if (!err && dial->route != dial->address) {
        err = zu_detour_new(settings, dial->address, &dial->detour);
        if (err)
            driver->ops->close(driver, dial->target.fd);
    }
    if (err) {
        dial->target.fd = -1;
        attempt_failed(dial);
        return;
    }
    if (dial->transport->delays)
        tell(dial, ZU_EVENT_CONNECT_DELAYED, EINPROGRESS);
    dial->late = false;
    driver->ops->connect(driver, &dial->connect, dial->target.fd, (struct sockaddr *)&dial->target.address,
                         dial->target.size);
    int timeout_ms = settings->connect_timeout_ms;
    if (timeout_ms <= 0 && dial->detour) /* a proxy may be mute */
        timeout_ms = settings->handshake_ms;
    if (timeout_ms > 0 && zu_shard_timer(dial->shard, &dial->attempt, (uint64_t)timeout_ms * ZU_NS_PER_MS) < 0)
        attempt_late(&dial->attempt);
}

static void looked_up(void *data, int err, const struct zu_inet *inet)
{
    struct zu_dial *dial = data;
    dial->lookup = NULL;
    target_connect(dial, err ? err : dial->transport->dial_found(inet, dial->home.settings, &dial->target));
}

static void attempt(struct zu_dial *dial)
{
    const struct zu_settings *settings = dial->home.settings;
    int err = dial->transport->dial(dial->route, settings, &dial->target);
    if (err == -EAGAIN && dial->transport->dial_found) {
        err = zu_lookup_start(dial->route, settings->ipv6, &dial->shard->box, looked_up, dial, &dial->lookup);
        if (!err)
            return;
    }
    target_connect(dial, err);
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
    dial->left = dial->disconnected;
    if (dial->over)
        free_if_done(dial);
    else if (dial->hung_up && !is_trying(dial) && never_retries(dial))
        give_up(dial);
    else
        hang_up(dial, dial->linger_ms);
}

/* The endpoint, and behind it the route where that differs: the proxy's, left by the same source as the address would be. */
static bool texts_set(struct zu_dial *dial, const char *address)
{
    const struct zu_proxy *proxy = dial->transport->takes_proxy ? dial->home.settings->proxy : NULL;
    const char *source_end = strrchr(address, ';');
    size_t source_size = source_end ? (size_t)(source_end + 1 - address) : 0;
    size_t address_at = strlen(dial->transport->scheme) + 3, size = address_at + strlen(address) + 1;
    dial->text_size = size + (proxy ? source_size + strlen(proxy->address) + 1 : 0);
    dial->text = zu_alloc(dial->text_size);
    if (!dial->text)
        return false;
    snprintf(dial->text, size, "%s://%s", dial->transport->scheme, address);
    dial->address = dial->route = dial->text + address_at;
    if (proxy) {
        char *route = dial->text + size;
        memcpy(route, address, source_size);
        memcpy(route + source_size, proxy->address, strlen(proxy->address) + 1);
        dial->route = route;
    }
    return true;
}

struct zu_dial *zu_dial_new(struct zu_shard *shard, const struct zu_home *home, const struct zu_transport *transport,
                            const char *address, struct zu_peer *peer)
{
    struct zu_dial *dial = zu_alloc_zero(sizeof *dial);
    if (!dial)
        return NULL;
    dial->shard = shard;
    dial->home = zu_home_copy(home);
    dial->transport = transport;
    dial->end = zu_alloc_zero(sizeof *dial->end);
    if (!dial->end || !texts_set(dial, address)) {
        dial_free(dial);
        return NULL;
    }
    *dial->end = (struct zu_dial_end){{.run = run_end}, home->over, home->socket, home->endpoint};
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

void zu_dial_stop(struct zu_dial *dial, int linger_ms, bool disconnected)
{
    dial->disconnected = disconnected;
    dial->linger_ms = linger_ms;
    zu_mailbox_post(&dial->shard->box, &dial->stop);
}
