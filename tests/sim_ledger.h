/* SPDX-License-Identifier: MIT */
/*
 * Double-entry accounts of a simulated world. For each peer: which messages its socket has put into `out`, how many of
 * them went to the kernel, what was fed to `in` and taken from it. For each end of a connection: which stretch of that
 * went over it. Read from the engine's own structures after every step, and compared with what the applications know:
 * the n-th message taken from a connection must be the n-th that was handed to it, and that alone excludes duplicates,
 * gaps and disorder.
 */
#ifndef ZU_TESTS_SIM_LEDGER_H
#define ZU_TESTS_SIM_LEDGER_H

#include "link/origin.h"
#include "sim_world.h"

enum { LOGS_MAX = 4096, ENDS_MAX = 8192, FD_FIRST = 1 << 20 };

struct peer_log {
    struct zu_peer *peer;  /* whose; NULL when another has come to its address */
    unsigned actor;        /* whose peer it is */
    unsigned port;         /* that it was connected to; 0 when it is not lasting */
    bool is_lasting;       /* its pipes outlive connections: a dial's, without IMMEDIATE */
    uint32_t *messages;    /* numbers of those that `out` has accepted, in order */
    uint64_t accepted;     /* how many */
    uint64_t room;         /* in messages */
    uint64_t handed;       /* of these, to the kernel */
    uint64_t allowed;      /* `out` may hold as many, 0: any number; above the limit only when that was lowered */
    uint64_t fed;          /* messages put into `in` */
    uint64_t taken;        /* of these, by the application */
    int last_fd;           /* of its last connection; 0: none yet */
    int linger_ms;         /* its socket's when it was hung up */
    uint64_t hung_up_ns;   /* when; 0: it was not */
    unsigned reads;        /* no end before this one has anything to be taken */
};

struct end_log {
    struct peer_log *log; /* of the peer it serves; NULL: it never was ready */
    unsigned side;        /* 0 when it connected */
    int far_fd;           /* the other end's */
    uint64_t first;       /* messages of the peer handed over before it */
    uint64_t handed;      /* messages handed to it */
    uint64_t fed;         /* messages that came out of it, into `in` */
    uint64_t taken;       /* of these, by the application */
    uint64_t bytes_in;    /* that its connection has looked at */
    bool hears_records;   /* what it is fed may be none of the other end's messages */
    size_t record;        /* its row in the simulation's list */
    bool is_closing;      /* by its own shard */
    int err;              /* why */
};

static struct ledger {
    struct peer_log logs[LOGS_MAX]; /* every peer that ever was */
    unsigned log_count;             /* how many */
    struct end_log ends[ENDS_MAX];  /* by descriptor */
    size_t record_count;            /* rows of the simulation's list that are known */
    uint64_t swallowed;             /* messages whose peer went in their midst */
} ledger;

/* A test's whose readers may pass over messages: whether one wants one. Those of publishers are no reader's. */
static bool (*ledger_wants)(unsigned actor, unsigned from, uint32_t message);

/* --- who is who --- */

static inline struct end_log *end_of(int fd)
{
    CHECK(fd >= FD_FIRST && fd < FD_FIRST + ENDS_MAX, "descriptor %d", fd);
    return &ledger.ends[fd - FD_FIRST];
}

static inline unsigned actor_of(const struct zu_socket *socket)
{
    for (unsigned i = world.actor_count; i-- > 0;) {
        if (world.actors[i].socket == socket)
            return i;
    }
    fail(__LINE__, "a peer of no socket");
}

static inline struct peer_log *log_new(struct zu_peer *peer, const struct zu_socket *socket, unsigned port)
{
    for (unsigned i = 0; i < ledger.log_count; i++) {
        if (ledger.logs[i].peer == peer)
            ledger.logs[i].peer = NULL;
    }
    CHECK(ledger.log_count < LOGS_MAX, "too many peers");
    struct peer_log *log = &ledger.logs[ledger.log_count++];
    *log = (struct peer_log){.peer = peer, .actor = actor_of(socket), .port = port, .is_lasting = port};
    log->allowed = atomic_load(&peer->out->hwm);
    return log;
}

static inline struct peer_log *log_of(const struct zu_peer *peer)
{
    for (unsigned i = ledger.log_count; i-- > 0;) {
        if (ledger.logs[i].peer == peer)
            return &ledger.logs[i];
    }
    return NULL;
}

/* The connections that the network has made since. */
static inline void records_read(void)
{
    struct zu_sim_connection row;
    for (; zu_sim_connection_get(world.sim, ledger.record_count, &row); ledger.record_count++) {
        for (unsigned side = 0; side < 2; side++) {
            struct end_log *end = end_of(row.fd[side]);
            end->side = side;
            end->far_fd = row.fd[!side];
            end->record = ledger.record_count;
        }
    }
}

/* A connection that has got its peer: a new one, or the lasting one of its dial. */
static inline struct end_log *end_find(const struct zu_conn *conn)
{
    struct end_log *end = end_of(conn->fd);
    if (end->log)
        return end;
    records_read();
    bool is_lasting = conn->peer->far != conn && !conn->home.settings->immediate;
    end->log = is_lasting ? log_of(conn->peer) : log_new(conn->peer, conn->home.socket, 0);
    CHECK(end->log != NULL, "a dial's peer that nobody knew");
    CHECK(end->log->actor == actor_of(conn->home.socket), "a peer changed its socket");
    end->hears_records = conn->home.settings->is_subscribed_to;
    end->first = end->log->handed;
    end->log->last_fd = conn->fd;
    trace("connection %d-%d of actor %u is ready", conn->fd, end->far_fd, end->log->actor);
    return end;
}

/* --- reading the engine --- */

static inline void conn_sample(struct zu_conn *conn)
{
    if (!conn->peer)
        return;
    struct end_log *end = end_find(conn);
    struct peer_log *log = end->log;
    struct zu_pipe_counts out = zu_pipe_count(conn->peer->out), in = zu_pipe_count(conn->peer->in);
    CHECK(out.consumed >= log->handed && out.consumed <= log->accepted, "handed over %llu after %llu of %llu",
          (unsigned long long)out.consumed, (unsigned long long)log->handed, (unsigned long long)log->accepted);
    end->handed += out.consumed - log->handed;
    log->handed = out.consumed;
    end->fed += in.accepted - log->fed;
    log->fed = in.accepted;
    end->bytes_in = conn->bytes_in;
    if (conn->closing && !end->is_closing)
        trace("connection %d closes: %d", conn->fd, conn->err);
    end->is_closing = conn->closing;
    end->err = conn->err;
    CHECK(conn->err != -EPROTO && conn->err != -EMSGSIZE && conn->err != -EPROTONOSUPPORT, "torn octets: %d", conn->err);
    const struct end_log *far = end_of(end->far_fd);
    CHECK(far->log || !end->fed, "messages came from nobody");
    CHECK(!far->log || end->hears_records || end->fed <= far->handed, "%llu messages came out, %llu went in", (unsigned long long)end->fed,
          (unsigned long long)far->handed);
}

static inline void out_sample(struct peer_log *log, struct zu_peer *peer)
{
    struct zu_pipe_counts out = zu_pipe_count(peer->out);
    CHECK(out.accepted == log->accepted, "%llu messages in the pipe, %llu were sent", (unsigned long long)out.accepted,
          (unsigned long long)log->accepted);
    CHECK(out.consumed == log->handed, "messages left without a connection");
    CHECK(out.accepted == out.consumed + out.dropped + out.held, "accounts of `out`");
    uint64_t hwm = atomic_load(&peer->out->hwm), queued = out.accepted - out.consumed;
    CHECK(!log->allowed || !hwm || queued <= (log->allowed > hwm ? log->allowed : hwm), "%llu messages held, %llu before, limit %llu",
          (unsigned long long)queued, (unsigned long long)log->allowed, (unsigned long long)hwm);
    queued += peer->out->w_inside; /* admitted with its first part */
    log->allowed = !hwm ? 0 : queued > hwm ? queued : hwm;
}

/* The oldest of its connections of which there is something to take. */
static inline struct end_log *end_in_turn(struct peer_log *log)
{
    for (; log->reads < ENDS_MAX; log->reads++) {
        struct end_log *end = &ledger.ends[log->reads];
        if (end->log == log && end->taken < end->fed)
            return end;
    }
    fail(__LINE__, "a message taken that never came");
}

/* The reader passed over messages: it must not have wanted them. */
static inline void skip_check(struct peer_log *log, uint64_t consumed, bool may_refuse)
{
    while (log->taken < consumed) {
        struct end_log *end = end_in_turn(log);
        const struct end_log *far = end_of(end->far_fd);
        uint32_t message = far->log->messages[far->first + end->taken];
        CHECK(may_refuse || !ledger_wants(log->actor, far->log->actor, message), "message %u of actor %u was passed over", message,
              far->log->actor);
        end->taken++;
        log->taken++;
    }
}

/* Of those that a reader has read to their end, it passed over the last ones; or it had no memory for the peer. */
static inline void rest_check(unsigned actor)
{
    for (unsigned i = 0; i < ledger.log_count; i++) {
        struct peer_log *log = &ledger.logs[i];
        bool is_open = false;
        if (log->actor != actor || log->taken == log->fed)
            continue;
        zu_list_each(link, after, &world.actors[actor].socket->peers)
        {
            const struct zu_peer *peer = zu_container_of(link, struct zu_peer, link);
            is_open |= peer == log->peer && peer->in_open;
        }
        if (!is_open)
            skip_check(log, log->fed, world.plan.no_memory);
    }
}

static inline void in_sample(struct peer_log *log, struct zu_peer *peer)
{
    struct zu_pipe_counts in = zu_pipe_count(peer->in);
    if (ledger_wants)
        skip_check(log, in.consumed, false);
    CHECK(in.consumed == log->taken, "%llu messages are read, %llu were taken", (unsigned long long)in.consumed,
          (unsigned long long)log->taken);
    CHECK(in.accepted == log->fed, "messages came without a connection");
    CHECK(in.accepted == in.consumed + in.held && !in.dropped, "accounts of `in`");
}

/* After every step of anybody. */
static inline void ledger_sample(void)
{
    for (unsigned i = 0; i < world.shard_count; i++) {
        zu_list_each(link, after, &world.shards[i]->residents)
            conn_sample(zu_container_of(link, struct zu_conn, resident));
    }
    for (unsigned i = 0; i < world.slot_count; i++) {
        struct actor *actor = &world.actors[world.slots[i].actor];
        if (!actor->is_open)
            continue;
        zu_list_each(link, after, &actor->socket->peers)
        {
            struct zu_peer *peer = zu_container_of(link, struct zu_peer, link);
            struct peer_log *log = log_of(peer);
            CHECK(log != NULL, "a peer that nobody has made");
            if (peer->out_open)
                out_sample(log, peer);
            if (peer->in_open && !actor->socket->pattern.ops->is_subscribed_to)
                in_sample(log, peer);
        }
    }
}

/* --- what the applications do --- */

/* A message is sent: into which pipes? None: its first parts died with their peer, or nobody wants it. */
static inline bool ledger_sent(struct actor *actor, uint32_t message)
{
    bool was_sent = false;
    zu_list_each(link, after, &actor->socket->peers)
    {
        struct zu_peer *peer = zu_container_of(link, struct zu_peer, link);
        struct peer_log *log = log_of(peer);
        if (!peer->out_open || zu_pipe_count(peer->out).accepted == log->accepted)
            continue;
        if (log->accepted == log->room) {
            log->room = log->room ? 2 * log->room : 16;
            log->messages = realloc(log->messages, log->room * sizeof *log->messages);
        }
        log->messages[log->accepted++] = message;
        was_sent = true;
    }
    return was_sent;
}

/* A whole message was taken that came by a connection. */
static inline void ledger_taken(unsigned by, int fd, unsigned actor, uint32_t message)
{
    struct end_log *end = end_of(fd);
    CHECK(end->log && end->log->actor == by, "a message by a connection of another socket");
    const struct end_log *far = end_of(end->far_fd);
    CHECK(end->taken < end->fed && end->taken < far->handed, "a message that was never sent on %d", fd);
    const struct peer_log *from = far->log;
    uint32_t expected = from->messages[far->first + end->taken];
    CHECK(from->actor == actor && expected == message, "message %u of actor %u on %d, not %u of %u", message, actor, fd,
          expected, from->actor);
    end->taken++;
    end->log->taken++;
    world.digest = (world.digest ^ message ^ (uint64_t)actor << 32) * UINT64_C(0x100000001b3) + zu_sim_now_ns(world.sim);
}

static inline bool out_is_full(const struct zu_peer *peer)
{
    uint64_t hwm = atomic_load(&peer->out->hwm);
    return hwm && zu_pipe_count(peer->out).held >= hwm;
}

/* Nothing more can be sent: every pipe must be full. */
static inline void ledger_is_full(struct zu_socket *socket)
{
    zu_list_each(link, after, &socket->peers)
    {
        const struct zu_peer *peer = zu_container_of(link, struct zu_peer, link);
        CHECK(!peer->out_open || out_is_full(peer), "refused with %llu messages of %llu in the pipe",
              (unsigned long long)zu_pipe_count(peer->out).held, (unsigned long long)atomic_load(&peer->out->hwm));
    }
}

/* Nothing can be sent to all: some pipe must be full. */
static inline void ledger_has_full(struct zu_socket *socket)
{
    bool has_full = false;
    zu_list_each(link, after, &socket->peers)
    {
        const struct zu_peer *peer = zu_container_of(link, struct zu_peer, link);
        has_full |= peer->out_open && out_is_full(peer);
    }
    CHECK(has_full, "refused, and no pipe is full");
}

/* Nothing more can be read: every pipe must be empty. */
static inline void ledger_is_empty(struct zu_socket *socket)
{
    zu_list_each(link, after, &socket->peers)
    {
        struct zu_peer *peer = zu_container_of(link, struct zu_peer, link);
        if (peer->in_open)
            CHECK(zu_pipe_count(peer->in).held == 0 || zu_pipe_feed_hides(peer->in),
                  "nothing to read, %llu messages in the pipe",
                  (unsigned long long)zu_pipe_count(peer->in).held);
    }
}

/* The socket is about to say that nothing more will be sent to a peer, if it came by the port, or any when that is 0. */
static inline void ledger_hang_up(const struct zu_peer *peer, unsigned port, int linger_ms)
{
    struct peer_log *log = log_of(peer);
    if ((port && log->port != port) || log->hung_up_ns || !peer->out_open)
        return;
    log->linger_ms = linger_ms;
    log->hung_up_ns = zu_sim_now_ns(world.sim);
}

/* --- at the end --- */

/* What went into one end of a connection and did not come out at the other must have been lost in between. */
static inline void end_check(const struct end_log *end)
{
    struct zu_sim_connection row;
    const struct end_log *far = end_of(end->far_fd);
    if (!far->log || !zu_sim_connection_get(world.sim, end->record, &row))
        return;
    bool is_whole = end->bytes_in == row.sent[!end->side] && !(end->is_closing && end->err == -ENOMEM);
    /* An end that has hung up reads on, only to throw away: unread octets would reset what it still sends. */
    bool is_deaf = end->log && end->log->hung_up_ns;
    CHECK(is_deaf || !is_whole || end->hears_records || end->fed == far->handed, "%llu messages went into %d, %llu came out, no octet is missing",
          (unsigned long long)far->handed, row.fd[end->side], (unsigned long long)end->fed);
}

/* What a socket has sent and nobody handed over must have been given up for a reason. */
static inline void log_check(const struct peer_log *log)
{
    if (log->handed == log->accepted)
        return;
    const struct end_log *end = log->last_fd ? end_of(log->last_fd) : NULL;
    bool is_clean = end && end->is_closing && end->err == 0;
    CHECK(!is_clean, "connection %d ended well with %llu messages left", log->last_fd,
          (unsigned long long)(log->accepted - log->handed));
    bool must_last = log->is_lasting && world.plan.reconnect_ms > 0 && !world.plan.no_memory;
    if (!must_last)
        return;
    CHECK(log->hung_up_ns && log->linger_ms >= 0, "%llu messages dropped that were to linger for ever",
          (unsigned long long)(log->accepted - log->handed));
    uint64_t until_ns = log->hung_up_ns + (uint64_t)log->linger_ms * ZU_NS_PER_MS;
    CHECK(zu_sim_now_ns(world.sim) >= until_ns, "messages dropped before their time");
}

static inline void ledger_end(void)
{
    for (int i = 0; i < ENDS_MAX; i++) {
        if (ledger.ends[i].log)
            end_check(&ledger.ends[i]);
    }
    for (unsigned i = 0; i < ledger.log_count; i++) {
        log_check(&ledger.logs[i]);
        free(ledger.logs[i].messages);
        ledger.logs[i].messages = NULL;
        ledger.logs[i].peer = NULL; /* what nobody else knows is lost, and a leak checker is to see it */
    }
}

#endif
