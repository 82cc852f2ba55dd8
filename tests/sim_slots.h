/* SPDX-License-Identifier: MIT */
/*
 * What the applications of a simulated world do to their sockets: open, bind, connect, change their minds, close; and how
 * time passes. A test adds its types and the functions declared first.
 */
#ifndef ZU_TESTS_SIM_SLOTS_H
#define ZU_TESTS_SIM_SLOTS_H

#include <sys/mman.h>

#include "io/sim_net.h"
#include "sim_codec.h"
#include "sim_letter.h"
#include "sim_old.h"
#include "sim_seeds.h"

enum { TURNS_MAX = 400000, PATIENCE_S = 2000, ABRUPT_LINGER_MS = 300 };

/* The test's own: options of a new socket, before its first endpoint; whether two slots may meet. */
static void actor_dress(struct slot *slot);
static bool may_meet(const struct slot *from, const struct slot *to);
/* Everybody hears what was said, reads what there is, and finishes what he has begun to write. */
static void wind_up(void);
/* A seed's course: the plan made fit for these types, the slots, one act of somebody, and an end without loss. */
static void plan_adapt(struct plan *plan);
static void world_populate(void);
static void act(void);
static void end_gently(void);

/* What the seeds came to, in memory that their processes share: a storm that never blew proves nothing. */
struct sum {
    uint64_t digest;      /* of the last seed */
    uint64_t messages;    /* taken */
    uint64_t lost;        /* sent and not taken */
    uint64_t connections; /* that got ready, at either end */
    uint64_t broken;      /* of these, by an error */
    uint64_t swallowed;   /* messages whose peer went in their midst */
    uint64_t turns;       /* of all shards */
    uint64_t turns_max;   /* of one seed */
};

static struct sum *sum;

/* --- what a seed is about --- */

static inline unsigned maybe(unsigned per_mille_max)
{
    return below(2) ? 0 : (unsigned)below(per_mille_max + 1);
}

static inline void plan_faults(struct zu_sim_faults *faults)
{
    static const size_t buffers[] = {0, 0, 700, 4096, 20000, 300000};
    *faults = (struct zu_sim_faults){
        .short_sends = maybe(500),
        .short_receives = maybe(500),
        .delays = maybe(300),
        .resets = maybe(below(4) ? 15 : 150),
        .no_buffers = maybe(100),
        .no_memory = maybe(50),
        .stream_ends = maybe(500),
        .connect_refusals = maybe(300),
        .connect_timeouts = maybe(100),
        .accept_failures = maybe(200),
        .buffer_size = buffers[below(6)],
    };
}

static inline void plan_make(struct plan *plan)
{
    static const size_t sizes[] = {200, 200, 5000, 40000, 100000, 100000};
    plan_faults(&plan->faults);
    plan->no_memory = below(6) ? 0 : 1 + (unsigned)below(40);
    plan->abrupt = plan->no_memory || below(3) == 0;
    plan->topology = (unsigned)below(4);
    plan->acts = 40 + (unsigned)below(160);
    plan->eagerness = (unsigned)below(101);
    plan->upheavals = below(3) ? (unsigned)below(60) : (unsigned)below(300);
    plan->size_max = below(50) ? sizes[below(6)] : 3 * 1024 * 1024;
    plan->bytes_max = plan->size_max > 100000 ? 16 * 1024 * 1024 : 1024 * 1024;
    if (plan->faults.buffer_size && plan->faults.buffer_size < 20000) {
        plan->bytes_max = 100 * plan->faults.buffer_size;
        plan->size_max = plan->size_max > plan->bytes_max / 4 ? plan->bytes_max / 4 : plan->size_max;
    }
    plan->hwm_max = ONE_OF(2, 4, 12, 100, 2000);
    plan->reconnect_ms = below(12) ? ONE_OF(1, 5, 100) : -1;
    plan->reconnect_max_ms = ONE_OF(0, 0, 50, 1000);
    plan->heartbeat_ms = below(4) ? 0 : ONE_OF(20, 100);
    plan->handshake_ms = ONE_OF(0, 60, 30000);
    plan->connect_timeout_ms = ONE_OF(0, 20, 500);
    plan->immediate = below(6) == 0;
    /* Two minutes of a hanging connect are long when others tick each millisecond. */
    if (plan->faults.connect_timeouts && (plan->heartbeat_ms || plan->reconnect_ms < 100))
        plan->connect_timeout_ms = 500;
    plan->coded = below(4) == 0;
    zu_codec_extra = plan->coded ? &sim_codec : NULL;
    if (plan->coded && below(2)) {
        zu_codec_extra = sim_old(below(2) ? ZU_WIRE_1_0 : ZU_WIRE_2_0);
        plan->heartbeat_ms = 0; /* these know of none */
    }
    /* Seldom: a handshake is a millisecond of work. A PAIR that refuses does so before a client knows it has met it. */
    plan->curve = below(6) == 0 && !plan->coded && plan->topology < 2;
}

/* --- what applications do to their sockets --- */

static inline void set(struct zu_socket *socket, int option, int value)
{
    CHECK(zu_socket_set(socket, option, &value, sizeof value) == 0, "option %d refused", option);
    trace("option %d of actor %u is %d", option, actor_of(socket), value);
}

static inline int linger_any(void)
{
    return world.plan.abrupt ? (int)below(ABRUPT_LINGER_MS) : ONE_OF(-1, -1, 0, 20, 1000);
}

static inline int hwm_any(void)
{
    return (int)below((uint64_t)world.plan.hwm_max);
}

static inline void slot_bind(struct slot *slot)
{
    struct actor *actor = &world.actors[slot->actor];
    if (!slot->port || slot->bound)
        return;
    char text[PORT_TEXT_SIZE];
    port_text(slot->port, text);
    if (memory_strikes(4))
        zu_alloc_fail_from = 1 + (unsigned)below(8);
    int err = zu_socket_bind(actor->socket, text);
    zu_alloc_fail_from = 0;
    CHECK(!err || err == -EADDRINUSE || (err == -ENOMEM && world.plan.no_memory), "bind: %d", err);
    slot->bound = !err;
    if (slot->bound)
        trace("actor %u binds %s", slot->actor, text);
}

/* A dial that gives up for good takes its endpoint along. */
static inline bool is_connected(const struct slot *slot, unsigned target)
{
    const struct zu_socket *socket = world.actors[slot->actor].socket;
    return slot->ids[target] && zu_socket_has_endpoint(socket, (void *)slot->ids[target]);
}

static inline void slot_connect(struct slot *slot, unsigned target)
{
    struct actor *actor = &world.actors[slot->actor];
    if (is_connected(slot, target))
        return;
    char text[PORT_TEXT_SIZE];
    port_text(slot->targets[target], text);
    if (memory_strikes(4))
        zu_alloc_fail_from = 1 + (unsigned)below(16);
    int err = zu_socket_connect(actor->socket, text);
    zu_alloc_fail_from = 0;
    CHECK(!err || (err == -ENOMEM && world.plan.no_memory), "connect: %d", err);
    if (err)
        return;
    slot->ids[target] = actor->socket->endpoint_ids;
    if (!world.plan.immediate)
        log_new(zu_container_of(actor->socket->peers.prev, struct zu_peer, link), actor->socket, slot->targets[target]);
    trace("actor %u connects to %s", slot->actor, text);
}

/* Unbinds, or disconnects: all at the port. */
static inline void slot_forget(struct slot *slot, unsigned port)
{
    struct actor *actor = &world.actors[slot->actor];
    char text[PORT_TEXT_SIZE];
    port_text(port, text);
    zu_list_each(link, after, &actor->socket->peers)
        ledger_hang_up(zu_container_of(link, struct zu_peer, link), port, actor->linger_ms);
    zu_alloc_fail_from = !publishes(actor); /* whatever ends something must need no memory, unless to tell of it */
    CHECK(zu_socket_forget(actor->socket, text) == 0, "no such endpoint: %s", text);
    zu_alloc_fail_from = 0;
    trace("actor %u leaves %s", slot->actor, text);
    if (port == slot->port)
        slot->bound = false;
    for (unsigned i = 0; i < slot->target_count; i++) {
        if (port == slot->targets[i])
            slot->ids[i] = 0;
    }
}

static inline void actor_open(struct slot *slot)
{
    CHECK(world.actor_count < ACTORS_MAX, "too many actors");
    slot->actor = world.actor_count++;
    struct actor *actor = &world.actors[slot->actor];
    const struct plan *plan = &world.plan;
    actor->context = (unsigned)below(world.context_count);
    CHECK(zu_socket_new(world.contexts[actor->context], slot->type, &actor->socket) == 0, "no socket");
    actor->is_open = true;
    actor->linger_ms = linger_any();
    shards_find();
    trace("actor %u opens, type %u, linger %d", slot->actor, slot->type, actor->linger_ms);
    set(actor->socket, ZU_OPT_LINGER, actor->linger_ms);
    set(actor->socket, ZU_OPT_SNDHWM, hwm_any());
    set(actor->socket, ZU_OPT_RCVHWM, hwm_any());
    set(actor->socket, ZU_OPT_RECONNECT_IVL, plan->reconnect_ms);
    set(actor->socket, ZU_OPT_RECONNECT_IVL_MAX, plan->reconnect_max_ms);
    set(actor->socket, ZU_OPT_HANDSHAKE_IVL, plan->handshake_ms);
    set(actor->socket, ZU_OPT_CONNECT_TIMEOUT, plan->connect_timeout_ms);
    set(actor->socket, ZU_OPT_HEARTBEAT_IVL, plan->heartbeat_ms);
    set(actor->socket, ZU_OPT_IMMEDIATE, plan->immediate);
    actor_dress(slot);
    slot_bind(slot);
    for (unsigned i = 0; i < slot->target_count; i++)
        slot_connect(slot, i);
}

static inline void actor_close(struct slot *slot, int linger_ms)
{
    struct actor *actor = &world.actors[slot->actor];
    trace("actor %u closes, linger %d", slot->actor, linger_ms);
    set(actor->socket, ZU_OPT_LINGER, linger_ms);
    zu_list_each(link, after, &actor->socket->peers)
        ledger_hang_up(zu_container_of(link, struct zu_peer, link), 0, linger_ms);
    zu_alloc_fail_from = 1;
    zu_socket_close(actor->socket);
    zu_alloc_fail_from = 0;
    actor->is_open = false;
    slot->bound = false;
    memset(slot->ids, 0, sizeof slot->ids);
    ledger_sample();
}

/* --- the world's slots --- */

static inline void slot_add(unsigned type, bool binds)
{
    struct slot *slot = &world.slots[world.slot_count];
    *slot = (struct slot){.type = type, .port = binds ? PORT_FIRST + world.slot_count : 0};
    world.slot_count++;
}

static inline void slot_target(struct slot *slot, const struct slot *at)
{
    if (at->port && may_meet(slot, at) && slot->target_count < LINKS_MAX && at != slot)
        slot->targets[slot->target_count++] = at->port;
}

/* --- time --- */

static inline void shard_step(struct zu_shard *shard)
{
    if (memory_strikes(1))
        zu_alloc_fail_from = 1 + (unsigned)below(4);
    zu_shard_step(shard, ZU_NEVER);
    zu_alloc_fail_from = 0;
    ledger_sample();
}

/* A step of each shard, and time moves when none has more to do. False: nothing will happen by itself any more. */
static inline bool turn(void)
{
    CHECK(++world.turns < TURNS_MAX, "no end in sight");
    bool noted = false;
    unsigned first = (unsigned)below(world.shard_count);
    for (unsigned i = 0; i < world.shard_count; i++)
        shard_step(world.shards[(first + i) % world.shard_count]);
    for (unsigned i = 0; i < world.shard_count; i++)
        noted |= zu_mailbox_has_notes(&world.shards[i]->box);
    return noted || zu_sim_advance(world.sim);
}

static inline void some_time(void)
{
    if (below(3) == 0) {
        shard_step(world.shards[below(world.shard_count)]);
        return;
    }
    for (uint64_t turns = below(4) ? below(5) : below(60); turns > 0; turns--)
        turn();
}

/* --- acts --- */

static inline struct slot *any_slot(void)
{
    return &world.slots[below(world.slot_count)];
}

/* Whatever is not bound or connected comes to be so, if it can. */
static inline void mend(void)
{
    for (unsigned i = 0; i < world.slot_count; i++) {
        if (!world.actors[world.slots[i].actor].is_open)
            continue;
        slot_bind(&world.slots[i]);
        for (unsigned j = 0; j < world.slots[i].target_count; j++)
            slot_connect(&world.slots[i], j);
    }
}

static inline void upheaval(void)
{
    struct slot *slot = any_slot();
    struct zu_socket *socket = world.actors[slot->actor].socket;
    unsigned target = slot->target_count ? (unsigned)below(slot->target_count) : 0;
    switch (below(6)) {
    case 0:
        if (slot->bound)
            slot_forget(slot, slot->port);
        break;
    case 1:
        if (slot->target_count && is_connected(slot, target))
            slot_forget(slot, slot->targets[target]);
        break;
    case 2:
        if (world.actor_count < ACTORS_MAX) {
            actor_close(slot, linger_any());
            actor_open(slot);
        }
        break;
    case 3:
        set(socket, ZU_OPT_SNDHWM, hwm_any());
        set(socket, ZU_OPT_RCVHWM, hwm_any());
        break;
    default:
        mend();
    }
    ledger_sample();
}

/* --- ends --- */

static inline bool nobody_lingers(void)
{
    return lingering() == 0;
}

static inline void await(bool (*is_done)(void), const char *what)
{
    uint64_t until_ns = zu_sim_now_ns(world.sim) + PATIENCE_S * ZU_NS_PER_S;
    for (bool moves = true;; moves = turn()) {
        mend();
        wind_up();
        if (is_done())
            return;
        CHECK(moves, "stuck, waiting for %s", what);
        CHECK(zu_sim_now_ns(world.sim) < until_ns, "waited in vain for %s", what);
    }
}

/* Dials that were disconnected and have something to send. */
static inline bool a_dial_lingers(void)
{
    unsigned load = 0;
    records_read();
    for (unsigned i = 0; i < world.shard_count; i++) {
        load += atomic_load(&world.shards[i]->load);
        zu_list_each(link, after, &world.shards[i]->residents)
            load -= end_of(zu_container_of(link, struct zu_conn, resident)->fd)->side;
    }
    for (unsigned i = 0; i < world.slot_count; i++) {
        load -= world.slots[i].bound;
        for (unsigned j = 0; j < world.slots[i].target_count; j++)
            load -= is_connected(&world.slots[i], j);
    }
    return load != 0;
}

/* Without an interval nobody tries again where the first attempt has failed. */
static inline bool is_forlorn(const struct zu_peer *peer)
{
    const struct zu_dial *dial = log_of(peer)->is_lasting ? peer->far : NULL;
    return dial && world.plan.reconnect_ms <= 0 && dial->retry.place && !dial->conn && !dial->connect.busy;
}

static inline bool is_delivered(void)
{
    if (a_dial_lingers())
        return false;
    for (unsigned i = 0; i < world.slot_count; i++) {
        struct actor *actor = &world.actors[world.slots[i].actor];
        if (!actor->is_open)
            continue;
        if (actor->next_part || (world.slots[i].port && !world.slots[i].bound))
            return false;
        zu_list_each(link, after, &actor->socket->peers)
        {
            struct zu_peer *peer = zu_container_of(link, struct zu_peer, link);
            if ((peer->out_open && !is_forlorn(peer) && zu_pipe_count(peer->out).held) || (peer->in_open && zu_pipe_count(peer->in).held))
                return false;
        }
    }
    return true;
}

static inline bool nobody_is_connected(void)
{
    for (unsigned i = 0; i < world.shard_count; i++) {
        zu_list_each(link, after, &world.shards[i]->residents)
        {
            if (zu_container_of(link, struct zu_conn, resident)->ready)
                return false;
        }
    }
    return true;
}

/* What was read by those who never closed must be all that came to them. */
static inline void readers_check(void)
{
    for (unsigned i = 0; i < ledger.log_count; i++) {
        const struct peer_log *log = &ledger.logs[i];
        if (world.actors[log->actor].is_open)
            CHECK(log->fed == log->taken, "%llu messages came, %llu were read", (unsigned long long)log->fed,
                  (unsigned long long)log->taken);
    }
}

static inline void end_abruptly(void)
{
    bool told = below(3) == 0;
    for (unsigned i = 0; told && i < world.context_count; i++)
        zu_context_shutdown(world.contexts[i]);
    for (unsigned i = (unsigned)below(world.slot_count), n = 0; n < world.slot_count; n++) {
        struct slot *slot = &world.slots[(i + n) % world.slot_count];
        if (told) {
            CHECK(!letter_take(&world.actors[slot->actor]), "a message of a context that is over");
        }
        actor_close(slot, linger_any());
        some_time();
    }
    world.is_calm = true;
}

/* --- a seed --- */

static inline void world_end(void)
{
    uint64_t until_ns = zu_sim_now_ns(world.sim) + 200 * ZU_NS_PER_S;
    while (!nobody_lingers()) {
        CHECK(turn() || nobody_lingers(), "sockets that never go");
        CHECK(zu_sim_now_ns(world.sim) < until_ns, "sockets that go too late");
    }
    for (unsigned i = 0; i < world.shard_count; i++)
        shard_step(world.shards[i]); /* a thread would run what is posted before it stops */
    ledger_end();
    for (unsigned i = 0; i < world.shard_count; i++) {
        struct zu_shard *shard = world.shards[i];
        CHECK(zu_list_is_empty(&shard->residents), "a connection of no socket");
        CHECK(atomic_load(&shard->load) == 0, "a load of %u", atomic_load(&shard->load));
        CHECK(shard->timers.count == (shard->trim.place != 0), "%zu timers left", shard->timers.count);
    }
    for (unsigned i = 0; i < world.context_count; i++)
        CHECK(zu_context_term(world.contexts[i]) == 0, "term");
    for (size_t i = 0; i < world.sim->count; i++)
        CHECK(!world.sim->sockets[i], "descriptor %d is open", (int)i + FD_FIRST);
    zu_sim_free(world.sim);
    world.sim = NULL;
    for (unsigned i = 0; i < world.actor_count; i++)
        world.actors[i].socket = NULL;
}

static inline void sum_add(void)
{
    sum->digest = world.digest;
    sum->turns += world.turns;
    sum->turns_max = world.turns > sum->turns_max ? world.turns : sum->turns_max;
    for (unsigned i = 0; i < ledger.log_count; i++) {
        sum->messages += ledger.logs[i].taken;
        sum->lost += ledger.logs[i].accepted;
        sum->lost -= ledger.logs[i].taken;
    }
    for (int i = 0; i < ENDS_MAX; i++) {
        sum->connections += ledger.ends[i].log != NULL;
        sum->broken += ledger.ends[i].log && ledger.ends[i].err < 0;
    }
    sum->swallowed += ledger.swallowed;
}

static inline void sum_print(void)
{
    fprintf(stderr,
            "%llu messages taken, %llu lost, %llu swallowed, %llu ends of connections, %llu broken, %llu turns, %llu at most\n",
            (unsigned long long)sum->messages, (unsigned long long)sum->lost, (unsigned long long)sum->swallowed,
            (unsigned long long)sum->connections, (unsigned long long)sum->broken, (unsigned long long)sum->turns,
            (unsigned long long)sum->turns_max);
}

static void seed_run(uint64_t seed)
{
    world_begin(seed);
    memory_begin();
    plan_make(&world.plan);
    plan_adapt(&world.plan);
    world_make();
    world_populate();
    for (unsigned i = 0; i < world.plan.acts; i++) {
        some_time();
        act();
    }
    if (world.plan.abrupt)
        end_abruptly();
    else
        end_gently();
    world_end();
    letters_end();
    memory_check();
    letters_check();
    sum_add();
}

static inline void begin(void)
{
    noise_fill(noise, sizeof noise);
    sum = mmap(NULL, sizeof *sum, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

#endif
