/* SPDX-License-Identifier: MIT */
/*
 * Options of a live socket: the table checks and stores, this unit answers what only the socket knows and lets changes
 * take effect that must. A bind or connect takes a snapshot of what concerns its connections.
 */
#include "core/socket.h"

#include <stdlib.h>

#include "base/error.h"
#include "mem/alloc.h"
#include "wire/curve.h"
#include "wire/null.h"
#include "wire/plain.h"
#include "wire/socket_type.h"

/* The only place that names the mechanisms: by enum zu_security, the client's side and the server's. */
static const struct zu_mechanism_ops *const mechanisms[][2] = {
    [ZU_SECURITY_NULL] = {&zu_null_mechanism, &zu_null_mechanism},
    [ZU_SECURITY_PLAIN] = {&zu_plain_client_mechanism, &zu_plain_server_mechanism},
    [ZU_SECURITY_CURVE] = {&zu_curve_client_mechanism, &zu_curve_server_mechanism},
};

static int live_get(void *context, int number, int64_t *ret_value)
{
    struct zu_socket *socket = context;
    int value = 0;
    if (number == ZU_OPT_RCVMORE)
        value = socket->rcvmore;
    else if (number == ZU_OPT_EVENTS)
        value = zu_socket_check_events(socket);
    else if (number == ZU_OPT_FD)
        value = zu_socket_event_fd(socket);
    else if (number == ZU_OPT_TOPICS_COUNT && socket->pattern.ops->topics)
        value = (int)socket->pattern.ops->topics(&socket->pattern);
    else
        return -EINVAL;
    if (value < 0)
        return value;
    *ret_value = value;
    return 0;
}

enum { HURRY_MS = 100 };

/* Inline, what was written goes out as if it had been sent. */
static int subscribe(struct zu_socket *socket, const void *prefix, size_t size, bool on)
{
    int err = socket->pattern.ops->subscribe ? socket->pattern.ops->subscribe(&socket->pattern, prefix, size, on) : 0;
    struct zu_drive *drive = zu_socket_has_drive(socket);
    if (err || !drive)
        return err;
    struct zu_part part = {.data = prefix, .size = size, .at_once = zu_drive_sends_at_once(drive)};
    zu_drive_sent(drive, &part);
    return 0;
}

int zu_socket_set(struct zu_socket *socket, int number, const void *value, size_t size)
{
    int err = zu_option_set(&socket->options, socket->type, number, value, size);
    /* A timeout that is near leaves no time for that. */
    bool hurries = socket->options.send_timeout_ms >= 0 && socket->options.send_timeout_ms < HURRY_MS;
    socket->pattern.out.patience_ns = hurries ? 0 : ZU_BALANCE_PATIENCE_NS;
    unsigned effect = err ? (unsigned)ZU_OPTION_EFFECT_NONE : zu_option_effect(number);
    if (effect == ZU_OPTION_EFFECT_HWM)
        zu_socket_apply_hwm(socket);
    if (effect == ZU_OPTION_EFFECT_SUBSCRIPTION)
        err = subscribe(socket, value, size, number == ZU_OPT_SUBSCRIBE);
    return err;
}

int zu_socket_get(struct zu_socket *socket, int number, void *value, size_t *size)
{
    static const struct zu_option_live live = {.get = live_get};
    return zu_option_get(&socket->options, socket->type, number, value, size, &live, socket);
}

static int settings_proxy(struct zu_settings *settings, const struct zu_options *options)
{
    if (!options->socks_proxy.size)
        return 0;
    const struct zu_bytes *user = &options->socks_username, *password = &options->socks_password;
    struct zu_socks_login login = {user->data, user->size, password->data, password->size};
    settings->proxy = zu_proxy_new((const char *)options->socks_proxy.data, &login);
    return settings->proxy ? 0 : -ENOMEM;
}

#define ON(type) (UINT32_C(1) << ZU_SOCKET_##type)

/* What is said at the beginning and the end of a connection, by the types that do. A REQ's peer would not understand. */
static int settings_words(struct zu_settings *settings, const struct zu_socket *socket)
{
    const struct zu_options *options = &socket->options;
    uint32_t own = UINT32_C(1) << socket->type;
    int err = 0;
    if (own & (ON(DEALER) | ON(ROUTER) | ON(REP) | ON(CLIENT) | ON(SERVER) | ON(PEER)))
        err = zu_settings_copy_bytes(&settings->hello, &options->hello_msg);
    if (!err && own & (ON(ROUTER) | ON(SERVER) | ON(PEER)))
        err = zu_settings_copy_bytes(&settings->disconnect, &options->disconnect_msg);
    if (!err && own & (ON(DEALER) | ON(CLIENT) | ON(PEER)))
        err = zu_settings_copy_bytes(&settings->hiccup, &options->hiccup_msg);
    if (own & ON(ROUTER))
        settings->notify = (uint8_t)options->pattern.router_notify;
    if (own & ON(ROUTER) ? options->pattern.router_raw : own & ON(STREAM) && options->pattern.stream_notify)
        settings->notify = ZU_NOTIFY_CONNECT | ZU_NOTIFY_DISCONNECT;
    settings->expects_replies = own & ON(REQ);
    return err;
}

static int settings_bytes(struct zu_settings *settings, const struct zu_options *options)
{
    settings->routing_id_size = options->routing_id.size;
    if (options->routing_id.size)
        memcpy(settings->routing_id, options->routing_id.data, options->routing_id.size);
    size_t device = options->bind_to_device.size;
    if (device)
        memcpy(settings->device, options->bind_to_device.data, device < IFNAMSIZ ? device : IFNAMSIZ);
    if (options->metadata.size) {
        settings->properties = zu_alloc(options->metadata.size);
        if (!settings->properties)
            return -ENOMEM;
        memcpy(settings->properties, options->metadata.data, options->metadata.size);
        settings->properties_size = options->metadata.size;
    }
    int err = settings_proxy(settings, options);
    if (!err)
        err = zu_accept_filter_copy(&options->tcp_accept, &settings->tcp_accept);
    return err ? err : zu_ipc_filter_copy(&options->ipc_accept, &settings->ipc_accept);
}

static void settings_sockopt(struct zu_sockopt *sockopt, const struct zu_options *options)
{
    sockopt->sndbuf = options->send_buffer;
    sockopt->rcvbuf = options->recv_buffer;
    sockopt->tos = options->tos;
    sockopt->priority = options->priority;
    sockopt->keepalive = options->tcp_keepalive;
    sockopt->keepalive_cnt = options->tcp_keepalive_count;
    sockopt->keepalive_idle = options->tcp_keepalive_idle_s;
    sockopt->keepalive_intvl = options->tcp_keepalive_interval_s;
    sockopt->maxrt_ms = options->tcp_max_rt_ms;
    sockopt->busy_poll = options->busy_poll;
}

/* Who the socket is to peers, and who lets them in. */
static int settings_security(struct zu_settings *settings, const struct zu_socket *socket)
{
    const struct zu_options *options = &socket->options;
    struct zu_secrets *secrets = &settings->secrets;
    settings->mechanism = mechanisms[options->mechanism][options->as_server != 0];
    memcpy(secrets->public_key, options->curve_public_key, ZU_CURVE_KEY_SIZE);
    memcpy(secrets->secret_key, options->curve_secret_key, ZU_CURVE_KEY_SIZE);
    memcpy(secrets->server_key, options->curve_server_key, ZU_CURVE_KEY_SIZE);
    if (settings->mechanism == &zu_curve_server_mechanism)
        zu_curve_own_key(secrets);
    const struct zu_bytes *name = &options->plain_username, *password = &options->plain_password;
    int err = zu_option_bytes_set(&secrets->username, name->data, name->size);
    if (!err)
        err = zu_option_bytes_set(&secrets->password, password->data, password->size);
    settings->waits = zu_guard_waits(options, &socket->admission);
    if (err || !settings->waits)
        return err;
    settings->guard = zu_guard_new(options, &socket->admission, &socket->context->inproc);
    return settings->guard ? 0 : -ENOMEM;
}

/* The types for which CONFLATE means something, a bit each. What SUB sends are subscriptions, all of which count. */
static const uint32_t conflating_out = 1u << ZU_SOCKET_PUSH | 1u << ZU_SOCKET_PUB | 1u << ZU_SOCKET_DEALER;
static const uint32_t conflating_in = 1u << ZU_SOCKET_PULL | 1u << ZU_SOCKET_SUB | 1u << ZU_SOCKET_DEALER;

struct zu_settings *zu_socket_settings(const struct zu_socket *socket)
{
    const struct zu_options *options = &socket->options;
    struct zu_settings *settings = zu_settings_new();
    if (!settings)
        return NULL;
    settings->socket_type = socket->type;
    settings->is_subscribed_to = socket->pattern.ops->is_subscribed_to;
    settings->starts_over = socket->pattern.ops->starts_over;
    settings->out_hwm = (uint64_t)options->send_hwm;
    settings->in_hwm = (uint64_t)options->recv_hwm;
    settings->frame_max = options->msg_size_max;
    settings->reconnect_ms = options->reconnect_ms;
    settings->reconnect_max_ms = options->reconnect_max_ms;
    settings->reconnect_stop = options->reconnect_stop;
    settings->connect_timeout_ms = options->connect_timeout_ms;
    settings->handshake_ms = options->handshake_ms;
    settings->handshake_octets_max = (uint64_t)options->handshake_octets_max;
    settings->handshakes_max = (unsigned)options->handshakes_max;
    settings->connections_max = (unsigned)options->connections_max;
    settings->heartbeat_ms = options->heartbeat_ms;
    settings->heartbeat_ttl_ms = options->heartbeat_ttl_ms;
    settings->heartbeat_timeout_ms = options->heartbeat_timeout_ms;
    settings->backlog = options->backlog;
    settings->use_fd = options->use_fd;
    settings->immediate = options->immediate;
    settings->conflates_out = options->conflate && conflating_out >> socket->type & 1;
    settings->conflates_in = options->conflate && conflating_in >> socket->type & 1;
    settings->raw = socket->type == ZU_SOCKET_STREAM || options->pattern.router_raw;
    settings->ipv6 = options->ipv6;
    settings_sockopt(&settings->sockopt, options);
    if (settings_bytes(settings, options) < 0 || settings_words(settings, socket) < 0 ||
        settings_security(settings, socket) < 0) {
        zu_settings_unref(settings);
        return NULL;
    }
    return settings;
}
