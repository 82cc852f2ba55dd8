/* SPDX-License-Identifier: MIT */
/*
 * There is no queue of events: a socket knows when what travels to it arrives, and each question is answered for the
 * present moment. A send puts bytes into the peer's flow with a time of arrival; a receive takes those that have
 * arrived. A close is an end behind the bytes, or a reset when bytes were left unread; who sends to a closed end learns
 * by a reset. Memory comes from malloc, so that a test which makes zu_alloc fail hits the code under test; without
 * memory a connect fails.
 */
#include "io/sim_net.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

enum {
    LATENCY_NS = 20 * 1000,
    DELAY_NS_MAX = 5 * 1000 * 1000,
    BUFFER_SIZE = 64 * 1024,
    BACKLOG_MAX = 128,
};

uint64_t zu_sim_below(struct zu_sim *sim, uint64_t n)
{
    /* splitmix64 */
    uint64_t z = sim->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (z ^ z >> 31) % n;
}

bool zu_sim_strikes(struct zu_sim *sim, unsigned rate)
{
    return rate && zu_sim_below(sim, 1000) < rate;
}

uint64_t zu_sim_soon_ns(struct zu_sim *sim, uint64_t after_ns)
{
    uint64_t late_ns = zu_sim_strikes(sim, sim->faults.delays) ? zu_sim_below(sim, DELAY_NS_MAX) : 0;
    return sim->now_ns + after_ns + late_ns;
}

static uint64_t arrival_ns(struct zu_sim *sim, struct zu_sim_flow *flow)
{
    uint64_t due_ns = zu_sim_soon_ns(sim, LATENCY_NS);
    if (due_ns > flow->latest_ns)
        flow->latest_ns = due_ns;
    return flow->latest_ns;
}

static void flow_reset(struct zu_sim *sim, struct zu_sim_flow *flow, bool drops)
{
    uint64_t due_ns = drops ? zu_sim_soon_ns(sim, LATENCY_NS) : arrival_ns(sim, flow);
    if (due_ns < flow->reset_ns)
        flow->reset_ns = due_ns;
    flow->reset_drops |= drops;
}

int zu_sim_new(uint64_t seed, const struct zu_sim_faults *faults, struct zu_sim **ret_sim)
{
    struct zu_sim *sim = calloc(1, sizeof *sim);
    if (!sim)
        return -ENOMEM;
    sim->now_ns = ZU_NS_PER_S; /* 0 means "do not wait" to drivers */
    sim->random = seed;
    sim->records_end = &sim->records;
    zu_list_init(&sim->drivers);
    zu_sim_faults_set(sim, faults);
    *ret_sim = sim;
    return 0;
}

void zu_sim_free(struct zu_sim *sim)
{
    assert(zu_list_is_empty(&sim->drivers));
    for (size_t i = 0; i < sim->count; i++) {
        if (sim->sockets[i])
            zu_sim_close(sim, sim->sockets[i]);
    }
    while (sim->records) {
        struct zu_sim_record *record = sim->records;
        sim->records = record->next;
        free(record);
    }
    free(sim->sockets);
    free(sim);
}

void zu_sim_faults_set(struct zu_sim *sim, const struct zu_sim_faults *faults)
{
    sim->faults = faults ? *faults : (struct zu_sim_faults){0};
}

uint64_t zu_sim_now_ns(const struct zu_sim *sim)
{
    return sim->now_ns;
}

bool zu_sim_connection_get(const struct zu_sim *sim, size_t index, struct zu_sim_connection *ret_connection)
{
    const struct zu_sim_record *record = sim->records;
    while (record && index--)
        record = record->next;
    if (record)
        *ret_connection = record->counts;
    return record != NULL;
}

struct zu_sim_socket *zu_sim_find(const struct zu_sim *sim, int fd)
{
    size_t index = (size_t)fd - ZU_SIM_FD_FIRST;
    return fd >= ZU_SIM_FD_FIRST && index < sim->count ? sim->sockets[index] : NULL;
}

static struct zu_sim_socket *socket_new(struct zu_sim *sim)
{
    if (sim->count == sim->room) {
        size_t room = sim->room ? 2 * sim->room : 64;
        struct zu_sim_socket **sockets = realloc(sim->sockets, room * sizeof(struct zu_sim_socket *));
        if (!sockets)
            return NULL;
        sim->sockets = sockets;
        sim->room = room;
    }
    struct zu_sim_socket *socket = calloc(1, sizeof *socket);
    if (!socket)
        return NULL;
    socket->fd = ZU_SIM_FD_FIRST + (int)sim->count;
    socket->in.end_ns = socket->in.reset_ns = ZU_NEVER;
    zu_list_init(&socket->backlog);
    sim->sockets[sim->count++] = socket;
    return socket;
}

int zu_sim_socket(struct zu_sim *sim)
{
    struct zu_sim_socket *socket = socket_new(sim);
    return socket ? socket->fd : -ENOMEM;
}

static struct zu_sim_socket *listener_find(const struct zu_sim *sim, unsigned port)
{
    for (size_t i = 0; i < sim->count; i++) {
        struct zu_sim_socket *socket = sim->sockets[i];
        if (socket && socket->state == ZU_SIM_LISTENING && socket->port == port)
            return socket;
    }
    return NULL;
}

int zu_sim_listen(struct zu_sim *sim, unsigned port)
{
    if (listener_find(sim, port))
        return -EADDRINUSE;
    struct zu_sim_socket *socket = socket_new(sim);
    if (!socket)
        return -ENOMEM;
    socket->state = ZU_SIM_LISTENING;
    socket->port = port;
    return socket->fd;
}

static size_t backlog_count(const struct zu_sim_socket *listener)
{
    size_t count = 0;
    for (const struct zu_link *link = listener->backlog.next; link != &listener->backlog; link = link->next)
        count++;
    return count;
}

static void end_join(struct zu_sim *sim, struct zu_sim_socket *socket, struct zu_sim_socket *peer,
                     struct zu_sim_record *record, uint8_t *bytes)
{
    socket->state = ZU_SIM_CONNECTED;
    socket->peer = peer;
    socket->record = record;
    socket->in.bytes = bytes;
    socket->in.size = sim->faults.buffer_size ? sim->faults.buffer_size : BUFFER_SIZE;
    record->counts.fd[socket->side] = socket->fd;
}

int zu_sim_connect(struct zu_sim *sim, struct zu_sim_socket *dialer)
{
    struct zu_sim_socket *listener = listener_find(sim, dialer->port);
    if (!listener || backlog_count(listener) >= BACKLOG_MAX)
        return -ECONNREFUSED;
    size_t size = sim->faults.buffer_size ? sim->faults.buffer_size : BUFFER_SIZE;
    struct zu_sim_record *record = calloc(1, sizeof *record);
    uint8_t *to_dialer = malloc(size);
    uint8_t *to_acceptor = malloc(size);
    struct zu_sim_socket *acceptor = record && to_dialer && to_acceptor ? socket_new(sim) : NULL;
    if (!acceptor) {
        free(record);
        free(to_dialer);
        free(to_acceptor);
        return -ENOMEM;
    }
    *sim->records_end = record;
    sim->records_end = &record->next;
    record->counts.port = dialer->port;
    acceptor->side = 1;
    end_join(sim, dialer, acceptor, record, to_dialer);
    end_join(sim, acceptor, dialer, record, to_acceptor);
    arrival_ns(sim, &acceptor->in); /* when the listener may see it; bytes come no sooner */
    zu_list_append(&listener->backlog, &acceptor->backlog);
    return 0;
}

uint64_t zu_sim_accept_due_ns(const struct zu_sim_socket *socket)
{
    if (socket->state != ZU_SIM_LISTENING)
        return 0;
    if (zu_list_is_empty(&socket->backlog))
        return ZU_NEVER;
    return zu_container_of(socket->backlog.next, struct zu_sim_socket, backlog)->in.latest_ns;
}

struct zu_sim_socket *zu_sim_accept(struct zu_sim_socket *listener)
{
    struct zu_sim_socket *socket = zu_container_of(listener->backlog.next, struct zu_sim_socket, backlog);
    zu_list_remove(&socket->backlog);
    return socket;
}

static size_t flow_arrived(const struct zu_sim_flow *flow, uint64_t now_ns)
{
    size_t size = 0;
    for (unsigned i = 0; i < flow->in_use; i++) {
        const struct zu_sim_segment *segment = &flow->segments[(flow->first + i) % ZU_SIM_SEGMENTS];
        if (segment->due_ns > now_ns)
            break;
        size += segment->size;
    }
    return size;
}

uint64_t zu_sim_receive_due_ns(const struct zu_sim_socket *socket)
{
    const struct zu_sim_flow *flow = &socket->in;
    if (socket->state != ZU_SIM_CONNECTED)
        return 0;
    uint64_t due_ns = flow->in_use ? flow->segments[flow->first].due_ns : ZU_NEVER;
    if (flow->end_ns < due_ns)
        due_ns = flow->end_ns;
    return flow->reset_ns < due_ns ? flow->reset_ns : due_ns;
}

int zu_sim_receivable(const struct zu_sim *sim, const struct zu_sim_socket *socket)
{
    if (socket->state != ZU_SIM_CONNECTED)
        return -ENOTCONN;
    const struct zu_sim_flow *flow = &socket->in;
    size_t arrived = flow_arrived(flow, sim->now_ns);
    if (flow->reset_ns <= sim->now_ns && (flow->reset_drops || !arrived))
        return -ECONNRESET;
    return (int)arrived;
}

void zu_sim_take(struct zu_sim_socket *socket, uint8_t *out, size_t size)
{
    struct zu_sim_flow *flow = &socket->in;
    for (size_t left = size; left;) {
        struct zu_sim_segment *segment = &flow->segments[flow->first];
        size_t part = segment->size < left ? segment->size : left;
        segment->size -= part;
        left -= part;
        if (!segment->size) {
            flow->first = (flow->first + 1) % ZU_SIM_SEGMENTS;
            flow->in_use--;
        }
    }
    size_t straight = flow->size - flow->head < size ? flow->size - flow->head : size;
    memcpy(out, flow->bytes + flow->head, straight);
    memcpy(out + straight, flow->bytes, size - straight);
    flow->head = (flow->head + size) % flow->size;
    flow->count -= size;
    socket->record->counts.received[socket->side] += size;
}

uint64_t zu_sim_send_due_ns(const struct zu_sim_socket *socket)
{
    const struct zu_sim_socket *peer = socket->peer;
    if (socket->ended || !peer || peer->in.deaf || peer->in.count < peer->in.size)
        return 0;
    return socket->in.reset_ns;
}

static void flow_append(struct zu_sim_flow *flow, const uint8_t *data, size_t size)
{
    size_t tail = (flow->head + flow->count) % flow->size;
    size_t straight = flow->size - tail < size ? flow->size - tail : size;
    memcpy(flow->bytes + tail, data, straight);
    memcpy(flow->bytes, data + straight, size - straight);
    flow->count += size;
}

static void flow_stamp(struct zu_sim *sim, struct zu_sim_flow *flow, size_t size)
{
    uint64_t due_ns = arrival_ns(sim, flow);
    if (flow->in_use < ZU_SIM_SEGMENTS)
        flow->segments[(flow->first + flow->in_use++) % ZU_SIM_SEGMENTS] = (struct zu_sim_segment){.size = 0};
    struct zu_sim_segment *last = &flow->segments[(flow->first + flow->in_use - 1) % ZU_SIM_SEGMENTS];
    last->due_ns = due_ns;
    last->size += size;
}

int zu_sim_put(struct zu_sim *sim, struct zu_sim_socket *socket, const struct iovec *pieces, size_t count)
{
    if (socket->ended)
        return -EPIPE;
    if (socket->state != ZU_SIM_CONNECTED)
        return -ENOTCONN;
    if (socket->in.reset_ns <= sim->now_ns)
        return zu_sim_below(sim, 2) ? -ECONNRESET : -EPIPE;
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += pieces[i].iov_len;
    struct zu_sim_flow *flow = socket->peer && !socket->peer->in.deaf ? &socket->peer->in : NULL;
    if (flow && size > flow->size - flow->count)
        size = flow->size - flow->count;
    if (size && zu_sim_strikes(sim, sim->faults.short_sends))
        size = 1 + zu_sim_below(sim, size);
    socket->record->counts.sent[socket->side] += size;
    if (!flow) {
        flow_reset(sim, &socket->in, false);
        return (int)size;
    }
    size_t left = size;
    for (size_t i = 0; left; i++) {
        size_t part = pieces[i].iov_len < left ? pieces[i].iov_len : left;
        flow_append(flow, pieces[i].iov_base, part);
        left -= part;
    }
    if (size)
        flow_stamp(sim, flow, size);
    return (int)size;
}

void zu_sim_break(struct zu_sim *sim, struct zu_sim_socket *socket)
{
    flow_reset(sim, &socket->in, true);
    if (socket->peer)
        flow_reset(sim, &socket->peer->in, true);
}

static void backlog_drop(struct zu_sim *sim, struct zu_sim_socket *listener)
{
    zu_list_each(link, after, &listener->backlog) {
        struct zu_sim_socket *socket = zu_container_of(link, struct zu_sim_socket, backlog);
        if (socket->peer)
            flow_reset(sim, &socket->peer->in, false);
        zu_list_remove(link);
        zu_sim_close(sim, socket);
    }
}

void zu_sim_shutdown(struct zu_sim *sim, struct zu_sim_socket *socket)
{
    struct zu_sim_pending *door = &socket->pending[ZU_SIM_DOOR];
    if (socket->state == ZU_SIM_LISTENING) {
        backlog_drop(sim, socket);
        socket->state = ZU_SIM_FRESH;
        door->fate = -EINVAL;
    } else if (socket->state == ZU_SIM_CONNECTED && !socket->ended) {
        socket->ended = true;
        socket->in.deaf = true;
        if (sim->now_ns < socket->in.end_ns)
            socket->in.end_ns = sim->now_ns;
        if (socket->peer && socket->peer->in.end_ns == ZU_NEVER)
            socket->peer->in.end_ns = arrival_ns(sim, &socket->peer->in);
    } else if (door->op) {
        door->fate = -ECONNRESET;
        door->not_before_ns = sim->now_ns;
    }
}

void zu_sim_close(struct zu_sim *sim, struct zu_sim_socket *socket)
{
    for (int i = 0; i < ZU_SIM_DIRECTIONS; i++)
        assert(!socket->pending[i].op);
    if (socket->state == ZU_SIM_LISTENING)
        backlog_drop(sim, socket);
    zu_list_remove(&socket->backlog);
    struct zu_sim_socket *peer = socket->peer;
    if (peer) {
        if (socket->in.count)
            flow_reset(sim, &peer->in, false);
        else if (peer->in.end_ns == ZU_NEVER)
            peer->in.end_ns = arrival_ns(sim, &peer->in);
        peer->peer = NULL;
    }
    sim->sockets[socket->fd - ZU_SIM_FD_FIRST] = NULL;
    free(socket->in.bytes);
    free(socket);
}
