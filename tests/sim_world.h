/* SPDX-License-Identifier: MIT */
/*
 * Whole peers over the simulated network, in one thread: contexts whose shards the test steps, sockets that bind and
 * connect to "sim://<port>", virtual time. One world per process; everything in it follows from its seed. What breaks a
 * rule ends the process with a line that names the seed.
 */
#ifndef ZU_TESTS_SIM_WORLD_H
#define ZU_TESTS_SIM_WORLD_H

#include <stdarg.h>
#include <unistd.h>

#include "base/error.h"
#include "core/socket.h"
#include "flow.h"
#include "io/sim.h"

enum {
    CONTEXTS_MAX = 2,
    SHARDS_MAX = 2 * CONTEXTS_MAX,
    SLOTS_MAX = 5,
    LINKS_MAX = 3,
    ACTORS_MAX = 64,
    PORT_FIRST = 1000,
    PORT_TEXT_SIZE = 32,
};

enum { PAIR = 0, PULL = 7, PUSH = 8 };

/* What a seed is about. */
struct plan {
    struct zu_sim_faults faults; /* of the network, until the end is near */
    unsigned no_memory;          /* of 1000 steps of a shard: an allocation in it fails, and all after that */
    bool abrupt;                 /* the end comes amid traffic, with short lingers: no rule against loss holds */
    unsigned topology;           /* who binds: see world_populate */
    unsigned acts;               /* what the applications do, before the end */
    unsigned eagerness;          /* of 100 acts of reading: read all there is */
    unsigned upheavals;          /* of 1000 acts: something is bound, connected, closed, or its opposite */
    size_t size_max;             /* of a part */
    size_t bytes_max;            /* of all messages */
    int hwm_max;                 /* limits are below this, or 0 for none */
    int reconnect_ms;            /* -1: a lost connection is not dialled again */
    int reconnect_max_ms;        /* see the option */
    int heartbeat_ms;            /* 0: none */
    int handshake_ms;            /* 0: no deadline */
    int connect_timeout_ms;      /* 0: none */
    bool immediate;              /* no pipe before there is a connection */
    bool coded;                  /* all connections have a codec */
    bool curve;                  /* who binds is a server of CURVE, who connects a client; where the test minds it */
};

/* One life of a socket. */
struct actor {
    struct zu_socket *socket;  /* stays as it was when closed: a name for what lingers */
    unsigned context;          /* whose */
    bool is_open;              /* not closed yet */
    int linger_ms;             /* at its close, or before that for disconnects */
    uint64_t closed_ns;        /* virtual time of close */
    uint32_t next_message;     /* number of the next message it begins */
    unsigned next_part;        /* of the message under way; 0: none is */
    const void *inside;        /* log of the peer that got the first part */
    uint32_t in_message;       /* incoming: its number, once known */
    unsigned in_actor;         /* incoming: its sender */
    unsigned in_part;          /* incoming: parts so far */
    bool in_known;             /* the two above are known */
    int in_fd;                 /* incoming: connection */
};

/* What an actor is to do; another takes over when it closes. */
struct slot {
    unsigned type;                /* of the socket */
    unsigned actor;               /* who does it now */
    unsigned port;                /* to bind; 0: none */
    bool bound;                   /* it is */
    unsigned targets[LINKS_MAX];  /* ports to connect to */
    uint64_t ids[LINKS_MAX];      /* of the endpoints that are; 0: none */
    unsigned target_count;        /* how many */
};

static struct world {
    uint64_t seed;                             /* all follows from it */
    struct chance chance;                      /* of the applications and the order of steps */
    struct plan plan;                          /* what it is about */
    struct zu_sim *sim;                        /* the network */
    struct zu_context *contexts[CONTEXTS_MAX]; /* one or two "processes" */
    unsigned context_count;                    /* how many */
    struct zu_shard *shards[SHARDS_MAX];       /* of all contexts */
    unsigned shard_count;                      /* how many */
    struct actor actors[ACTORS_MAX];           /* all that ever were */
    unsigned actor_count;                      /* how many */
    struct slot slots[SLOTS_MAX];              /* what there is to do */
    unsigned slot_count;                       /* how many */
    size_t bytes;                              /* sent so far */
    uint64_t turns;                            /* steps of all shards */
    uint64_t digest;                           /* of all that was received, and when */
    bool is_calm;                              /* memory does not fail any more */
    bool traced;                               /* ZURING_TRACE: tells what happens */
} world;

/* --- chance and failure --- */

static inline uint64_t below(uint64_t n)
{
    return chance_below(&world.chance, n);
}

static inline bool strikes(unsigned per_mille)
{
    return per_mille && below(1000) < per_mille;
}

static inline bool memory_strikes(unsigned times)
{
    return !world.is_calm && strikes(world.plan.no_memory * times);
}

static inline int one_of(const int *values, size_t count)
{
    return values[below(count)];
}
#define ONE_OF(...) one_of((const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

static inline uint64_t now_us(void)
{
    return world.sim ? zu_sim_now_ns(world.sim) / 1000 : 0;
}

__attribute__((format(printf, 1, 2))) static inline void trace(const char *format, ...)
{
    if (!world.traced)
        return;
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%10llu us  ", (unsigned long long)now_us());
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}

__attribute__((format(printf, 2, 3))) static _Noreturn void fail(int line, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fprintf(stderr, "ZURING_SEED=%llu at %llu us, turn %llu: %s (%d)\n", (unsigned long long)world.seed,
            (unsigned long long)now_us(), (unsigned long long)world.turns, text, line);
    fflush(stderr);
    _exit(1);
}
#define CHECK(condition, ...)                                                                                          \
    do {                                                                                                               \
        if (zu_unlikely(!(condition)))                                                                                 \
            fail(__LINE__, __VA_ARGS__);                                                                               \
    } while (0)

/* --- the transport --- */

static inline int sim_check(const char *address)
{
    return atoi(address) >= PORT_FIRST ? 0 : -EINVAL;
}

static inline int sim_listen(const char *address, const struct zu_settings *settings, struct zu_listening *ret_listening)
{
    (void)settings;
    int fd = zu_sim_listen(world.sim, (unsigned)atoi(address));
    if (fd < 0)
        return fd;
    *ret_listening = (struct zu_listening){.fd = fd};
    snprintf(ret_listening->text, sizeof ret_listening->text, "sim://%s", address);
    return 0;
}

static inline int sim_dial(const char *address, const struct zu_settings *settings, struct zu_target *ret_target)
{
    (void)settings;
    ret_target->fd = zu_sim_socket(world.sim);
    zu_sim_address((unsigned)atoi(address), &ret_target->address, &ret_target->size);
    return ret_target->fd < 0 ? ret_target->fd : 0;
}

static inline void sim_peer_text(int fd, char *text, size_t size)
{
    snprintf(text, size, "%d", fd);
}

static const struct zu_transport sim_transport = {
    .scheme = "sim", .check = sim_check, .listen = sim_listen, .dial = sim_dial, .peer_text = sim_peer_text};

static inline void port_text(unsigned port, char text[PORT_TEXT_SIZE])
{
    snprintf(text, PORT_TEXT_SIZE, "sim://%u", port);
}

/* --- contexts and shards --- */

static inline int sim_driver_new(struct zu_driver **ret_driver)
{
    return zu_sim_driver_new(world.sim, ret_driver);
}

static inline void world_begin(uint64_t seed)
{
    world.seed = seed;
    world.traced = getenv("ZURING_TRACE") != NULL;
    world.chance.state = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15) | 1;
    chance_next(&world.chance);
    zu_transport_extra = &sim_transport;
    zu_context_driver_new = sim_driver_new;
}

/* The network and the contexts, from the plan. */
static inline void world_make(void)
{
    CHECK(zu_sim_new(chance_next(&world.chance), &world.plan.faults, &world.sim) == 0, "no memory for the network");
    world.context_count = 1 + (unsigned)below(CONTEXTS_MAX);
    for (unsigned i = 0; i < world.context_count; i++) {
        world.contexts[i] = zu_context_new();
        CHECK(world.contexts[i] != NULL, "no memory for a context");
        world.contexts[i]->options.io_threads = 1 + (int)below(2);
    }
}

/* A context's shards come with its first socket. */
static inline void shards_find(void)
{
    world.shard_count = 0;
    for (unsigned c = 0; c < world.context_count; c++) {
        for (unsigned i = 0; i < world.contexts[c]->shard_count; i++)
            world.shards[world.shard_count++] = world.contexts[c]->shards[i];
    }
}

/* Sockets that are closed and still have something to send. */
static inline unsigned lingering(void)
{
    unsigned count = 0;
    for (unsigned c = 0; c < world.context_count; c++)
        count += world.contexts[c]->socket_count;
    for (unsigned i = 0; i < world.slot_count; i++)
        count -= world.actors[world.slots[i].actor].is_open;
    return count;
}

/* A test's acts, and after each of them some turns. */
static inline void acts_run(uint64_t count, void (*act)(void))
{
    for (; count > 0; count--) {
        act();
        for (uint64_t turns = below(20); turns > 0; turns--)
            zu_sim_turn(world.sim, world.shards, world.shard_count);
    }
}

/* What bodies consist of: the same for all seeds. The size is a multiple of 8. */
static inline void noise_fill(uint8_t *noise, size_t size)
{
    struct chance chance = {.state = 88172645463325252};
    for (size_t i = 0; i < size; i += sizeof(uint64_t)) {
        uint64_t word = chance_next(&chance);
        memcpy(noise + i, &word, sizeof word);
    }
}

/* --- memory --- */

/*
 * zuring's heap looks for these by weak references and then takes all its memory from them; so every block is counted,
 * in each build. Under a sanitizer the memory is the sanitizer's all the same.
 */
static long blocks_live;

__attribute__((visibility("default"))) void *mallocx(size_t size, int flags);
__attribute__((visibility("default"))) void *rallocx(void *memory, size_t size, int flags);
__attribute__((visibility("default"))) void dallocx(void *memory, int flags);

void *mallocx(size_t size, int flags)
{
    enum { ZERO = 0x40, LINE = 6 };
    void *memory = flags & ZERO   ? calloc(1, size)
                   : flags & LINE ? aligned_alloc(ZU_CACHE_LINE, (size + ZU_CACHE_LINE - 1) & -(size_t)ZU_CACHE_LINE)
                                  : malloc(size);
    blocks_live += memory != NULL;
    return memory;
}

void *rallocx(void *memory, size_t size, int flags)
{
    (void)flags;
    return realloc(memory, size);
}

void dallocx(void *memory, int flags)
{
    (void)flags;
    blocks_live--;
    free(memory);
}

/* Takes what a pool has free, block by block, and says how many there were. They stay taken, where leaks are not sought. */
static inline long pooled_chunks(unsigned rung)
{
    static struct zu_chunk *all;
    struct zu_chunk *chunk;
    long count = 0;
    zu_alloc_fail_from = 1;
    for (; (chunk = zu_chunk_new(rung)); count++, all = chunk)
        chunk->next = all;
    zu_alloc_fail_from = 0;
    return count;
}

static inline long pooled_bufs(size_t size)
{
    static struct zu_buf *all;
    struct zu_buf *buf;
    long count = 0;
    zu_alloc_fail_from = 1;
    for (; (buf = zu_buf_new(size - sizeof *buf)); count++, all = buf)
        buf->hint = all;
    zu_alloc_fail_from = 0;
    return count;
}

/* Before anything is counted: the thread's cache of buffers stays for good. */
static inline void memory_begin(void)
{
    zu_buf_unref(zu_buf_new(1));
    blocks_live = 1; /* that one, which the cache now holds */
}

/* The sanitizer's, where there is one: it says who took what is lost. */
extern int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

/* Everything that was ever taken must lie in the pools. */
static inline void memory_check(void)
{
    if (zu_origin_cache.origin)
        zu_origin_drop_many(zu_origin_cache.origin, zu_origin_cache.count);
    zu_origin_cache = (struct zu_origin_cache){0};
    CHECK(!__lsan_do_recoverable_leak_check || !__lsan_do_recoverable_leak_check(), "see above");
    uint64_t lost = zu_chunk_bytes() - zu_chunk_pool_bytes();
    CHECK(lost == 0, "%llu bytes of chunks are lost", (unsigned long long)lost);
    long pooled = 0;
    for (unsigned rung = 0; rung < ZU_CHUNK_RUNG_TOP; rung++)
        pooled += pooled_chunks(rung);
    for (size_t size = 128; size <= 4 * 1024 * 1024; size += size / 8) /* some of every class */
        pooled += pooled_bufs(size);
    CHECK(blocks_live == pooled, "%ld blocks are lost", blocks_live - pooled);
}

/* --- a stage: two sockets, without actors, for tests of one moment --- */

static const char stage_text[] = "sim://1000";

static inline struct zu_socket *stage_socket(unsigned type)
{
    static const int hwm = 2, linger = 0, handshake_ms = 0, reconnect_ms = -1;
    struct zu_socket *socket;
    CHECK(zu_socket_new(world.contexts[0], type, &socket) == 0, "no socket");
    CHECK(zu_socket_set(socket, ZU_OPT_SNDHWM, &hwm, sizeof hwm) == 0, "hwm");
    CHECK(zu_socket_set(socket, ZU_OPT_RCVHWM, &hwm, sizeof hwm) == 0, "hwm");
    CHECK(zu_socket_set(socket, ZU_OPT_LINGER, &linger, sizeof linger) == 0, "linger");
    CHECK(zu_socket_set(socket, ZU_OPT_HANDSHAKE_IVL, &handshake_ms, sizeof handshake_ms) == 0, "handshake_ms");
    CHECK(zu_socket_set(socket, ZU_OPT_RECONNECT_IVL, &reconnect_ms, sizeof reconnect_ms) == 0, "reconnect_ms");
    shards_find();
    return socket;
}

/* Until nothing happens by itself any more. */
static inline void stage_settle(void)
{
    while (zu_sim_turn(world.sim, world.shards, world.shard_count))
        ;
}

/* A PUSH and a PULL. */
static inline void stage_begin(struct zu_socket **ret_push, struct zu_socket **ret_pull)
{
    world_begin(1);
    memory_begin();
    world.plan.faults.buffer_size = 700;
    world_make();
    *ret_push = stage_socket(PUSH);
    *ret_pull = stage_socket(PULL);
}

/* The PUSH binds, the PULL connects to it. */
static inline void stage_join(struct zu_socket *push, struct zu_socket *pull)
{
    CHECK(zu_socket_bind(push, stage_text) == 0, "bind");
    CHECK(zu_socket_connect(pull, stage_text) == 0, "connect");
    stage_settle();
}

/* Its writer sleeps then, and nothing lies in its mailbox. */
static inline void stage_fill(struct zu_socket *push)
{
    static const uint8_t body[300];
    struct zu_part part = {.data = body, .size = sizeof body};
    for (int quiet = 0; quiet < 2; quiet++) {
        while (zu_socket_send(push, &part, ZU_DONTWAIT) == 0)
            quiet = 0;
        stage_settle();
    }
    CHECK(!zu_mailbox_has_notes(&push->box), "a note after all is quiet");
}

static inline void stage_empty(struct zu_socket *pull)
{
    for (struct zu_view view; zu_socket_peek(pull, &view, ZU_DONTWAIT) == 0;) {
        zu_pipe_pop(view.pipe, &view);
        zu_socket_taken(pull, view.flags);
        stage_settle();
    }
}

static inline void stage_end(void)
{
    stage_settle();
    for (unsigned i = 0; i < world.shard_count; i++)
        CHECK(zu_list_is_empty(&world.shards[i]->residents), "a connection of no socket");
    for (unsigned i = 0; i < world.context_count; i++) {
        CHECK(world.contexts[i]->socket_count == 0, "a socket that never goes");
        CHECK(zu_context_term(world.contexts[i]) == 0, "term");
    }
    zu_sim_free(world.sim);
    memory_check();
}

#endif
