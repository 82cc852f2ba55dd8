/* SPDX-License-Identifier: MIT */
/*
 * Life of a connection: made around a connected descriptor, it handshakes, asks its owner for the peer, serves the pipes
 * and ends in closed(). Ending takes two steps, because the kernel may still hold pieces of the pipes: first nothing new
 * is started and the descriptor is shut down, then, when the last operation is over, the owner hears.
 * Whatever a peer sends or the kernel refuses ends this connection and nothing else.
 */
#include "link/conn.h"

#include <errno.h>

#include "link/origin.h"
#include "link/outlet.h"
#include "mem/alloc.h"
#include "wire/command.h"

/* Bytes of a multipart message that is not whole yet; more ends the connection. */
#define OPEN_MESSAGE_MAX (UINT64_C(1) << 32)

static void handshake_late(struct zu_timer *timer)
{
    struct zu_conn *conn = zu_container_of(timer, struct zu_conn, handshake_timer);
    conn->handshake_timed_out = true;
    zu_conn_close(conn, -ETIMEDOUT);
}

static void linger_over(struct zu_timer *timer)
{
    zu_conn_close(zu_container_of(timer, struct zu_conn, linger_timer), -ECANCELED);
}

/* What the socket is to hear of a peer that was lost, not left. Without memory, or room in pipes that stay, it does not. */
static void tell_lost(struct zu_conn *conn)
{
    const struct zu_settings *settings = conn->home.settings;
    const struct zu_bytes *words = conn->owner->dialled ? &settings->hiccup : &settings->disconnect;
    if (!conn->ready || conn->leaving || !conn->err || conn->err == -ECANCELED)
        return;
    if (conn->owner->dialled && zu_pipe_feed_mutes(conn->peer->in))
        return;
    if (settings->notify & ZU_NOTIFY_DISCONNECT)
        (void)zu_pipe_feed_message(conn->peer->in, NULL, 0);
    if (words->size)
        (void)zu_pipe_feed_message(conn->peer->in, words->data, words->size);
}

static void run_settle(struct zu_note *note)
{
    struct zu_conn *conn = zu_container_of(note, struct zu_conn, settle);
    tell_lost(conn);
    conn->shard->driver->ops->close(conn->shard->driver, conn->fd);
    conn->owner->closed(conn, conn->err);
}

/* closed() never comes from within: the owner, or a caller of ours, may be in the middle of something. */
void zu_conn_settle(struct zu_conn *conn)
{
    if (!conn->closing || conn->settling || conn->rx.busy || conn->tx.busy)
        return;
    if (conn->ready && !zu_outlet_close(&conn->peer->outlet))
        return; /* the sending thread's note brings us back */
    conn->settling = true;
    zu_mailbox_post(&conn->shard->box, &conn->settle);
}

static void pace_over(struct zu_timer *timer)
{
    struct zu_conn *conn = zu_container_of(timer, struct zu_conn, rx_pace);
    if (!zu_pipe_feed_resume(conn->in))
        return; /* the reader was faster: its note is on the way */
    conn->rx_paused = false;
    zu_conn_recv(conn);
}

static void recv_again(struct zu_timer *timer)
{
    zu_conn_recv(zu_container_of(timer, struct zu_conn, rx_retry));
}

static void show_received(struct zu_pause *pause)
{
    zu_pipe_feed_show(zu_container_of(pause, struct zu_conn, rx_show)->in);
}

static void stream_due(struct zu_timer *timer)
{
    zu_conn_stream_look(zu_container_of(timer, struct zu_conn, tx_stream));
}

static int on_command(void *context, const uint8_t *body, size_t size)
{
    struct zu_conn *conn = context;
    struct zu_command command;
    if (conn->home.settings->is_subscribed_to && zu_command_decode(body, size, &command) == 0 &&
        (command.id == ZU_COMMAND_SUBSCRIBE || command.id == ZU_COMMAND_CANCEL))
        return 1;
    return zu_heartbeat_command(conn, body, size);
}

/* A reply is an empty frame and a body, behind four octets perhaps; libzmq, too, ends connections that bring another. */
static int reply_shape(void *context, const struct zu_frame_head *head)
{
    enum { FIRST, BOTTOM, BODY };
    struct zu_conn *conn = context;
    bool more = head->flags & ZU_FRAME_MORE;
    if (conn->reply_at == BODY)
        conn->reply_at = more ? BODY : FIRST;
    else if (more && head->size == 0)
        conn->reply_at = BODY;
    else if (more && head->size == 4 && conn->reply_at == FIRST)
        conn->reply_at = BOTTOM;
    else
        return -EPROTO;
    return 0;
}

static struct zu_handshake *handshake_new(const struct zu_settings *settings)
{
    struct zu_handshake *handshake = zu_alloc(sizeof *handshake);
    if (!handshake)
        return NULL;
    struct zu_handshake_config config = {
        .socket_type = settings->socket_type,
        .routing_id = settings->routing_id,
        .routing_id_size = settings->routing_id_size,
        .mechanism = settings->mechanism,
        .properties = settings->properties,
        .properties_size = settings->properties_size,
        .message_size_max = settings->frame_max,
        .secrets = &settings->secrets,
        .waits = settings->waits,
        .octets_max = settings->handshake_octets_max,
        .raw = settings->raw,
    };
    zu_handshake_init(handshake, &config);
    return handshake;
}

/* Now: of a connection that has been reset, the kernel does not tell the other end any more. */
static struct zu_names *names_new(const struct zu_conn *conn)
{
    char local[ZU_TRANSPORT_TEXT_MAX] = "", remote[ZU_TRANSPORT_TEXT_MAX] = "";
    bool bound = !conn->owner->dialled;
    if (conn->transport->name) {
        conn->transport->name(conn->fd, false, local, sizeof local);
        if (bound)
            conn->transport->name(conn->fd, true, remote, sizeof remote);
    }
    return zu_names_new(bound, local, bound ? remote : conn->owner->dialled(conn));
}

static void tell(struct zu_conn *conn, enum zu_event event, uint64_t value)
{
    zu_watch_raise(conn->home.watch, event, value, conn->names);
}

static bool is_breach(int err)
{
    return err == -EPROTO || err == -EMSGSIZE;
}

/* Why a handshake failed. As in libzmq, a breach of protocol that has no number of its own goes without. */
void zu_conn_tell_failure(struct zu_conn *conn, int err)
{
    const struct zu_handshake_failure *failure = &conn->handshake->failure;
    if (failure->auth_status)
        tell(conn, ZU_EVENT_HANDSHAKE_FAILED_AUTH, failure->auth_status);
    else if (failure->protocol_error)
        tell(conn, ZU_EVENT_HANDSHAKE_FAILED_PROTOCOL, failure->protocol_error);
    else if (!is_breach(err))
        tell(conn, ZU_EVENT_HANDSHAKE_FAILED_NO_DETAIL, (uint64_t)-err);
}

/* What our own side ends goes without an event. */
static void tell_end(struct zu_conn *conn, int err)
{
    if (!err || err == -ECANCELED)
        return;
    if (!conn->ready && !conn->refusal)
        zu_conn_tell_failure(conn, err);
    else if (conn->ready && conn->codec && conn->codec->protocol_error)
        tell(conn, ZU_EVENT_HANDSHAKE_FAILED_PROTOCOL, conn->codec->protocol_error);
    tell(conn, ZU_EVENT_DISCONNECTED, (uint64_t)conn->fd);
}

struct zu_conn *zu_conn_new(struct zu_shard *shard, const struct zu_home *home, const struct zu_transport *transport,
                            int fd, const struct zu_conn_owner *owner, void *owner_data)
{
    struct zu_conn *conn = zu_alloc_zero(sizeof *conn);
    struct zu_handshake *handshake = conn ? handshake_new(home->settings) : NULL;
    if (!handshake) {
        if (conn)
            zu_free(conn, sizeof *conn);
        shard->driver->ops->close(shard->driver, fd);
        return NULL;
    }
    conn->shard = shard;
    conn->home = zu_home_copy(home);
    conn->transport = transport;
    conn->owner = owner;
    conn->owner_data = owner_data;
    conn->fd = fd;
    conn->handshake = handshake;
    conn->rx.done = zu_conn_received;
    conn->tx.done = zu_conn_sent;
    conn->handshake_timer.fired = handshake_late;
    conn->linger_timer.fired = linger_over;
    conn->rx_retry.fired = recv_again;
    conn->rx_pace.fired = pace_over;
    conn->settle.run = run_settle;
    conn->tx_stream.fired = stream_due;
    conn->limits = (struct zu_feed_limits){
        .frame_max = home->settings->frame_max < 0 || home->settings->raw ? UINT64_MAX
                                                                          : (uint64_t)home->settings->frame_max,
        .open_max = OPEN_MESSAGE_MAX,
        .record_max = home->settings->is_subscribed_to ? ZU_PIPE_FED_MAX : 0,
        .command = on_command,
        .context = conn,
    };
    if (home->settings->expects_replies) {
        conn->limits.shape = reply_shape;
        conn->limits.quick_flags = ZU_FEED_NEVER_QUICK;
    }
    zu_heartbeat_init(conn);
    zu_list_append(&shard->residents, &conn->resident);
    zu_list_init(&conn->sibling);
    zu_list_init(&conn->rx_show.link);
    conn->rx_show.run = show_received;
    zu_conn_owe(conn);
    conn->names = names_new(conn);
    if (!conn->names) {
        zu_conn_free(conn);
        shard->driver->ops->close(shard->driver, fd);
        return NULL;
    }
    tell(conn, owner->dialled ? ZU_EVENT_CONNECTED : ZU_EVENT_ACCEPTED, (uint64_t)fd);
    if (home->settings->raw)
        zu_conn_become_ready(conn);
    zu_conn_recv(conn);
    zu_conn_send(conn);
    if (home->settings->handshake_ms > 0 && !conn->ready && !conn->closing)
        zu_conn_timer(conn, &conn->handshake_timer, (uint64_t)home->settings->handshake_ms * ZU_NS_PER_MS);
    return conn;
}

struct zu_peer *zu_conn_offer_peer(const struct zu_home *home, void *far, const struct zu_far_events *events,
                                   struct zu_mailbox *shard_box)
{
    struct zu_peer *peer = zu_settings_peer_new(home->settings);
    if (!peer)
        return NULL;
    peer->endpoint = home->endpoint;
    zu_peer_set_near(peer, home->socket, home->events, home->box);
    zu_peer_set_far(peer, far, &zu_outlet_peer_ops, events, shard_box);
    if (zu_mailbox_post(home->box, &peer->attached))
        return peer;
    zu_peer_abandon(peer);
    return NULL;
}

void zu_conn_handshake_drop(struct zu_conn *conn)
{
    if (!conn->handshake)
        return;
    zu_handshake_fini(conn->handshake);
    zu_free(conn->handshake, sizeof *conn->handshake);
    conn->handshake = NULL;
    zu_conn_owe(conn);
}

void zu_conn_owe(struct zu_conn *conn)
{
    zu_shard_owe(conn->shard, &conn->owes, conn->handshake || conn->tx.busy || conn->closing);
}

void zu_conn_free(struct zu_conn *conn)
{
    zu_list_remove(&conn->resident);
    zu_list_remove(&conn->sibling);
    zu_conn_handshake_drop(conn);
    zu_shard_owe(conn->shard, &conn->owes, false);
    zu_origin_unref(conn->origin);
    if (!conn->ready)
        zu_names_free(conn->names);
    if (conn->codec)
        zu_codec_free(conn->codec);
    if (conn->stage) {
        zu_pipe_end(conn->stage);
        zu_pipe_leave(conn->stage);
    }
    if (conn->large)
        zu_buf_unref(conn->large);
    zu_conn_held_free(conn->held, conn->held_size);
    zu_home_fini(&conn->home);
    zu_free(conn, sizeof *conn);
}

/* The peer's pipes and name. -ENOMEM, also for an owner that has none to give. */
static int peer_find(struct zu_conn *conn)
{
    conn->origin = zu_conn_origin_new(conn);
    conn->peer = conn->origin ? conn->owner->ready(conn) : NULL;
    if (!conn->peer)
        return -ENOMEM;
    size_t size;
    const uint8_t *id = zu_conn_origin_id(conn->origin, &size);
    conn->in = conn->peer->in;
    int err = zu_peer_set_far_id(conn->peer, id, size);
    if (!err)
        err = zu_pipe_set_origin(conn->peer->in, conn->origin);
    if (!err && conn->in->conflates) {
        conn->in = conn->stage = zu_pipe_new(0);
        err = conn->stage ? 0 : -ENOMEM;
    }
    return err;
}

static int codec_find(struct zu_conn *conn)
{
    struct zu_codec_case which = {
        .version = zu_handshake_version(conn->handshake),
        .socket_type = conn->home.settings->socket_type,
        .epoch = atomic_load_explicit(&conn->peer->epoch, memory_order_relaxed) + 1,
        .frame_max = conn->limits.frame_max,
        .handshake = conn->handshake,
    };
    int err;
    conn->codec = zu_codec_new(&which, &err);
    return err;
}

/* What each side hears first, before all that the other one has to say. */
static int first_words(struct zu_conn *conn)
{
    const struct zu_settings *settings = conn->home.settings;
    const struct zu_bytes *hello = &settings->hello;
    int err = 0;
    if ((settings->notify & ZU_NOTIFY_CONNECT) && !conn->peer->in->w_mute)
        err = zu_pipe_feed_message(conn->peer->in, NULL, 0);
    if (!err && hello->size)
        err = conn->codec ? zu_codec_say(conn->codec, hello->data, hello->size)
                          : zu_handshake_append(conn->handshake, hello->data, hello->size);
    if (!err && conn->codec)
        err = zu_conn_codec_begin(conn);
    return err;
}

bool zu_conn_become_ready(struct zu_conn *conn)
{
    zu_timer_clear(&conn->shard->timers, &conn->handshake_timer);
    if (peer_find(conn) < 0 || codec_find(conn) < 0) {
        zu_conn_close(conn, -ENOMEM);
        return false;
    }
    conn->ready = true;
    zu_peer_rename(conn->peer, conn->names);
    zu_peer_tell_met(conn->peer, conn->home.box);
    if (!conn->home.settings->raw)
        tell(conn, ZU_EVENT_HANDSHAKE_SUCCEEDED, 0);
    int err = first_words(conn);
    if (err)
        zu_conn_close(conn, err);
    else
        zu_heartbeat_start(conn);
    return !conn->closing;
}

void zu_conn_timer(struct zu_conn *conn, struct zu_timer *timer, uint64_t delay_ns)
{
    if (zu_shard_timer(conn->shard, timer, delay_ns) < 0)
        zu_conn_close(conn, -ENOMEM);
}

void zu_conn_close(struct zu_conn *conn, int err)
{
    if (conn->closing)
        return;
    if (conn->refusal)
        err = conn->refusal;
    conn->closing = true;
    conn->err = err;
    zu_conn_withdraw(conn);
    tell_end(conn, err);
    zu_conn_owe(conn);
    struct zu_timers *timers = &conn->shard->timers;
    zu_timer_clear(timers, &conn->handshake_timer);
    zu_timer_clear(timers, &conn->linger_timer);
    zu_timer_clear(timers, &conn->rx_retry);
    zu_timer_clear(timers, &conn->rx_pace);
    zu_timer_clear(timers, &conn->tx_stream);
    zu_heartbeat_stop(conn);
    zu_list_remove(&conn->rx_show.link);
    if (conn->ready)
        zu_pipe_feed_show(conn->in);
    struct zu_driver *driver = conn->shard->driver;
    driver->ops->shutdown(driver, conn->fd);
    driver->ops->cancel(driver, &conn->rx);
    driver->ops->cancel(driver, &conn->tx);
    zu_conn_settle(conn);
}

void zu_conn_leave(struct zu_conn *conn, int linger_ms)
{
    if (conn->closing)
        return;
    conn->leaving = true;
    if (linger_ms == 0 || linger_ms == ZU_LINGER_NO_MEMORY) {
        zu_conn_close(conn, linger_ms ? -ENOMEM : -ECANCELED);
        return;
    }
    zu_timer_clear(&conn->shard->timers, &conn->rx_pace);
    conn->rx_paused = false;
    zu_conn_recv(conn); /* to throw it away: bytes that lie unread at close(2) would reset what is still to be sent */
    if (linger_ms > 0)
        zu_conn_timer(conn, &conn->linger_timer, (uint64_t)linger_ms * ZU_NS_PER_MS);
    zu_conn_send(conn);
}

void zu_conn_out_readable(struct zu_conn *conn)
{
    if (conn->closing)
        zu_conn_settle(conn);
    else
        zu_conn_send(conn);
}

void zu_conn_in_writable(struct zu_conn *conn)
{
    zu_timer_clear(&conn->shard->timers, &conn->rx_pace);
    conn->rx_paused = false;
    zu_conn_recv(conn);
}
