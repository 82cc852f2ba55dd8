/* SPDX-License-Identifier: MIT */
/*
 * Whoever raises an event (a shard, the socket's thread) writes its frames to the internal socket, under the lock and
 * without waiting. An event is written whole or not at all: with nobody there, no room or no memory it is dropped and
 * counted. The lock may be held across a fork by another thread: the child, whose sockets are ended, never takes it.
 */
#include "core/monitor.h"

#include <errno.h>

#include "core/socket.h"
#include "link/endpoint.h"
#include "wire/socket_type.h"

static int frame_write(struct zu_socket *out, const void *data, size_t size, bool more)
{
    struct zu_part part = {.data = data, .size = size, .more = more};
    return zu_socket_send(out, &part, ZU_DONTWAIT);
}

/* uint16 event and uint32 value, packed; our end's name, or what was dialled. */
static int write_v1(struct zu_socket *out, enum zu_event event, const uint64_t *values, unsigned count,
                    const struct zu_names *names)
{
    (void)count;
    uint16_t number = (uint16_t)event;
    uint32_t value = (uint32_t)values[0];
    uint8_t head[sizeof number + sizeof value];
    memcpy(head, &number, sizeof number);
    memcpy(head + sizeof number, &value, sizeof value);
    const char *name = names->bound ? names->local : names->remote;
    int err = frame_write(out, head, sizeof head, true);
    return err ? err : frame_write(out, name, strlen(name), false);
}

static int write_v2(struct zu_socket *out, enum zu_event event, const uint64_t *values, unsigned count,
                    const struct zu_names *names)
{
    uint64_t head[] = {event, count};
    int err = 0;
    for (unsigned i = 0; i < 2 && !err; i++)
        err = frame_write(out, &head[i], sizeof head[i], true);
    for (unsigned i = 0; i < count && !err; i++)
        err = frame_write(out, &values[i], sizeof values[i], true);
    if (!err)
        err = frame_write(out, names->local, strlen(names->local), true);
    return err ? err : frame_write(out, names->remote, strlen(names->remote), false);
}

static const struct zu_monitor_format formats[] = {
    {.version = 1, .events_max = 0xffff, .write = write_v1},
    {.version = 2, .events_max = UINT64_MAX, .write = write_v2},
};

/* As libzmq has them; of these, zu_socket_new refuses what is not built. */
static const unsigned types[] = {ZU_SOCKET_PAIR, ZU_SOCKET_PUB, ZU_SOCKET_PUSH};

static const struct zu_monitor_format *format_find(int version)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (formats[i].version == version)
            return &formats[i];
    }
    return NULL;
}

static bool has_type(int type)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (types[i] == (unsigned)type)
            return true;
    }
    return false;
}

/* Under the lock. What failed in mid-event is taken back. */
static void put(struct zu_monitor *monitor, enum zu_event event, const uint64_t *values, unsigned count,
                const struct zu_names *names)
{
    if (monitor->format->write(monitor->out, event, values, count, names) == 0)
        return;
    struct zu_pattern *pattern = &monitor->out->pattern;
    if (pattern->ops->take_back)
        pattern->ops->take_back(pattern);
    else
        zu_balance_take_back(&pattern->out);
    atomic_fetch_add_explicit(&monitor->dropped, 1, memory_order_relaxed);
}

static bool is_wanted(struct zu_monitor *monitor, enum zu_event event)
{
    return monitor->out && zu_watch_wants(&monitor->watch, event);
}

static void monitor_raise(struct zu_watch *watch, enum zu_event event, const uint64_t *values, unsigned count,
                          const struct zu_names *names)
{
    struct zu_monitor *monitor = zu_container_of(watch, struct zu_monitor, watch);
    pthread_mutex_lock(&monitor->lock);
    if (is_wanted(monitor, event))
        put(monitor, event, values, count, names);
    pthread_mutex_unlock(&monitor->lock);
}

void zu_monitor_init(struct zu_monitor *monitor)
{
    atomic_init(&monitor->watch.events, 0);
    atomic_init(&monitor->dropped, 0);
    monitor->watch.raise = monitor_raise;
    pthread_mutex_init(&monitor->lock, NULL);
    monitor->out = NULL;
}

void zu_monitor_fini(struct zu_monitor *monitor)
{
    zu_monitor_stop(monitor);
    pthread_mutex_destroy(&monitor->lock);
}

static int out_new(struct zu_context *context, const char *endpoint, int type, struct zu_socket **ret_out)
{
    struct zu_socket *out;
    int err = zu_socket_new(context, (unsigned)type, &out);
    if (err)
        return err;
    out->options.linger_ms = 0;
    out->deaf = true;
    err = zu_socket_bind(out, endpoint);
    if (err)
        zu_socket_close(out);
    else
        *ret_out = out;
    return err;
}

int zu_monitor_start(struct zu_monitor *monitor, struct zu_context *context, const char *endpoint, uint64_t events,
                     int version, int type)
{
    const struct zu_monitor_format *format = format_find(version);
    if (!format || events > format->events_max)
        return -EINVAL;
    struct zu_endpoint parts;
    int err = zu_endpoint_split(endpoint, &parts);
    if (!err && (parts.scheme_size != 6 || memcmp(parts.scheme, "inproc", 6) != 0))
        err = -EPROTONOSUPPORT;
    if (!err && !has_type(type))
        err = -EINVAL;
    if (err)
        return err;
    zu_monitor_stop(monitor);
    struct zu_socket *out;
    err = out_new(context, endpoint, type, &out);
    if (err)
        return err;
    pthread_mutex_lock(&monitor->lock);
    monitor->out = out;
    monitor->format = format;
    atomic_store_explicit(&monitor->watch.events, events, memory_order_relaxed);
    pthread_mutex_unlock(&monitor->lock);
    return 0;
}

void zu_monitor_stop(struct zu_monitor *monitor)
{
    static const struct zu_names nowhere = {.local = "", .remote = ""};
    pthread_mutex_lock(&monitor->lock);
    if (is_wanted(monitor, ZU_EVENT_MONITOR_STOPPED))
        put(monitor, ZU_EVENT_MONITOR_STOPPED, &(uint64_t){0}, 1, &nowhere);
    struct zu_socket *out = monitor->out;
    monitor->out = NULL;
    atomic_store_explicit(&monitor->watch.events, 0, memory_order_relaxed);
    pthread_mutex_unlock(&monitor->lock);
    if (out)
        zu_socket_close(out);
}

void zu_monitor_tend(struct zu_monitor *monitor)
{
    pthread_mutex_lock(&monitor->lock);
    if (monitor->out)
        zu_socket_check(monitor->out);
    pthread_mutex_unlock(&monitor->lock);
}

static void stats_of(struct zu_socket *socket, struct zu_peer *peer)
{
    struct zu_pipe_counts none = {0};
    uint64_t values[] = {
        (peer->out_open ? zu_pipe_count(peer->out) : none).held,
        (peer->in_open ? zu_pipe_count(peer->in) : none).held,
    };
    struct zu_names *names = zu_peer_names_take(peer);
    struct zu_names planned = zu_socket_endpoint_names(socket, peer->endpoint);
    monitor_raise(&socket->monitor.watch, ZU_EVENT_PIPES_STATS, values, 2, names ? names : &planned);
    zu_peer_names_give(peer, names);
}

int zu_monitor_stats(struct zu_socket *socket)
{
    if (!zu_watch_wants(&socket->monitor.watch, ZU_EVENT_PIPES_STATS))
        return -EINVAL;
    if (zu_list_is_empty(&socket->peers))
        return -EAGAIN;
    zu_list_each(link, after, &socket->peers)
        stats_of(socket, zu_container_of(link, struct zu_peer, link));
    return 0;
}
