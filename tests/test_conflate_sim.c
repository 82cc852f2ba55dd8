/* SPDX-License-Identifier: MIT */
/*
 * CONFLATE over the simulated network: writers number their messages, one reader hears the newest. What comes is whole, by
 * each connection in order and never twice; a conflating socket holds one message and no more. When the network has calmed
 * down, the last message of each writer arrives, and is the last.
 */
#include <criterion/criterion.h>

#include "link/origin.h"
#include "sim_seeds.h"

enum {
    PUB = 1,
    SUB = 2,
    DEALER = 5,
    WRITERS_MAX = 3,
    MESSAGES_MAX = 4000,
    FD_FIRST = 1 << 20,
    FDS = 4096,
    NOISE_SIZE = 1 << 17,
};

struct head {
    uint32_t writer;
    uint32_t number;
};

static struct writer {
    struct zu_socket *socket;
    uint32_t sent;
    uint32_t last;           /* that was read, plus one */
    bool came[MESSAGES_MAX]; /* they were read */
} writers[WRITERS_MAX];
static unsigned writer_count;
static struct zu_socket *reader;
static uint32_t last[FDS]; /* number of the last message that was read of a connection, plus one */
static bool reader_conflates, writers_conflate, is_dialled;
static uint64_t moved;
static uint8_t noise[NOISE_SIZE];

static const uint8_t *noise_of(const struct head *head, size_t *ret_size)
{
    static const size_t limits[] = {1, 20, 300, 9000, 100000};
    struct chance chance = {.state = (world.seed << 24 ^ (uint64_t)head->writer << 16 ^ head->number) * UINT64_C(0x9e3779b97f4a7c15) | 1};
    chance_next(&chance);
    *ret_size = chance_below(&chance, limits[chance_below(&chance, 5)]);
    return noise + chance_below(&chance, NOISE_SIZE - *ret_size);
}

/* Besides the one that its reader, a connection perhaps, has in hand. */
static void holds_one(const struct zu_socket *socket, bool conflates)
{
    zu_list_each(link, after, &socket->peers)
    {
        struct zu_peer *peer = zu_container_of(link, struct zu_peer, link);
        CHECK(!conflates || !peer->out_open || zu_pipe_count(peer->out).held <= 2, "more than the newest to send");
        CHECK(!conflates || !peer->in_open || zu_pipe_count(peer->in).held <= 1, "more than the newest to read");
    }
}

static void write_one(struct writer *writer)
{
    static uint8_t message[sizeof(struct head) + NOISE_SIZE];
    struct head head = {.writer = (uint32_t)(writer - writers), .number = writer->sent};
    if (writer->sent == MESSAGES_MAX)
        return;
    size_t size;
    const uint8_t *bytes = noise_of(&head, &size);
    memcpy(message, &head, sizeof head);
    memcpy(message + sizeof head, bytes, size);
    struct zu_part part = {.data = message, .size = sizeof head + size};
    int err = zu_socket_send(writer->socket, &part, ZU_DONTWAIT);
    CHECK(!err || err == -EAGAIN, "send: %d", err);
    writer->sent += !err;
    moved += !err;
    holds_one(writer->socket, writers_conflate);
}

static bool read_one(void)
{
    struct zu_view view;
    struct head head;
    int err = zu_socket_peek(reader, &view, ZU_DONTWAIT);
    CHECK(!err || err == -EAGAIN, "peek: %d", err);
    holds_one(reader, reader_conflates);
    if (err)
        return false;
    CHECK(view.size >= sizeof head && !(view.flags & ZU_FRAME_MORE), "no message");
    memcpy(&head, view.data, sizeof head);
    CHECK(head.writer < writer_count && head.number < writers[head.writer].sent, "nobody wrote that");
    size_t size;
    const uint8_t *bytes = noise_of(&head, &size);
    CHECK(view.size == sizeof head + size && memcmp(view.data + sizeof head, bytes, size) == 0, "a message is damaged");
    struct writer *writer = &writers[head.writer];
    int fd = zu_origin_fd(view.pipe->r_chunk->origin);
    CHECK(fd >= FD_FIRST && fd < FD_FIRST + FDS, "descriptor %d", fd);
    CHECK(!writer->came[head.number], "message %u of %u comes twice", head.number, head.writer);
    CHECK(head.number >= last[fd - FD_FIRST], "message %u of %u behind %u", head.number, head.writer, last[fd - FD_FIRST] - 1);
    writer->came[head.number] = true;
    last[fd - FD_FIRST] = head.number + 1;
    writer->last = head.number + 1;
    zu_pipe_pop(view.pipe, &view);
    zu_socket_taken(reader, 0);
    moved++;
    return true;
}

static void act(void)
{
    struct writer *writer = &writers[below(writer_count)];
    for (uint64_t times = 1 + below(20); times > 0; times--)
        write_one(writer);
    for (uint64_t times = below(4); times > 0; times--)
        read_one();
}

static struct zu_socket *open_socket(unsigned type, bool conflates)
{
    struct zu_socket *socket;
    CHECK(zu_socket_new(world.contexts[below(world.context_count)], type, &socket) == 0, "no socket");
    const struct {
        int option, value;
    } options[] = {
        {ZU_OPT_CONFLATE, conflates},
        {ZU_OPT_SNDHWM, ONE_OF(2, 10, 1000)},
        {ZU_OPT_RCVHWM, ONE_OF(2, 10, 1000)},
        {ZU_OPT_RECONNECT_IVL, ONE_OF(1, 10)},
        {ZU_OPT_LINGER, 0},
    };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        CHECK(zu_socket_set(socket, options[i].option, &options[i].value, sizeof(int)) == 0, "option");
    if (type == SUB)
        CHECK(zu_socket_set(socket, ZU_OPT_SUBSCRIBE, "", 0) == 0, "subscribe");
    shards_find();
    return socket;
}

static void open_all(void)
{
    static const unsigned types[][2] = {{PUSH, PULL}, {DEALER, DEALER}, {PUB, SUB}};
    const unsigned *pair = types[below(3)];
    char text[PORT_TEXT_SIZE];
    reader_conflates = below(3);
    writers_conflate = !reader_conflates || below(2);
    is_dialled = below(2);
    writer_count = 1 + (unsigned)below(WRITERS_MAX);
    reader = open_socket(pair[1], reader_conflates);
    port_text(PORT_FIRST, text);
    if (is_dialled)
        CHECK(zu_socket_bind(reader, text) == 0, "bind");
    for (unsigned i = 0; i < writer_count; i++) {
        writers[i].socket = open_socket(pair[0], writers_conflate);
        port_text(PORT_FIRST + (is_dialled ? 0 : 1 + i), text);
        CHECK((is_dialled ? zu_socket_connect(writers[i].socket, text) : zu_socket_bind(writers[i].socket, text)) == 0, "join");
        CHECK(is_dialled || zu_socket_connect(reader, text) == 0, "connect");
    }
}

static void plan(void)
{
    static const size_t buffers[] = {0, 700, 4096, 20000, 300000};
    world.plan.faults = (struct zu_sim_faults){
        .short_sends = (unsigned)below(300),
        .short_receives = (unsigned)below(300),
        .delays = (unsigned)below(300),
        .no_buffers = (unsigned)below(60),
        .no_memory = (unsigned)below(40),
        .stream_ends = (unsigned)below(300),
        .resets = below(3) ? 1 + (unsigned)below(30) : 0,
        .connect_refusals = (unsigned)below(200),
        .accept_failures = (unsigned)below(100),
        .buffer_size = buffers[below(5)],
    };
}

static bool all_heard(void)
{
    for (unsigned i = 0; i < writer_count; i++) {
        if (!writers[i].sent || writers[i].last != writers[i].sent)
            return false;
    }
    return true;
}

/* Until all is quiet; the newest may have been on its way when a connection broke, so each writes once more. */
static void end_all(void)
{
    zu_sim_faults_set(world.sim, NULL);
    for (unsigned rounds = 0, writes = 0; !all_heard() || !writes; rounds++) {
        CHECK(rounds < 200000, "no end in sight");
        uint64_t before = moved;
        for (unsigned i = 0; i < writer_count; i++)
            zu_socket_check(writers[i].socket);
        zu_socket_check(reader);
        bool moves = zu_sim_turn(world.sim, world.shards, world.shard_count);
        if (below(4) == 0) {
            while (read_one())
                ;
        }
        if (moves || moved != before)
            continue;
        while (read_one())
            ;
        if ((all_heard() && writes) || moved != before || zu_mailbox_has_notes(&reader->box))
            continue;
        CHECK(writes++ == 0, "nothing moves, and the newest has not come");
        for (unsigned i = 0; i < writer_count; i++)
            write_one(&writers[i]);
    }
    stage_settle();
    CHECK(!read_one(), "something behind the newest");
}

static void seed_run(uint64_t seed)
{
    world_begin(seed);
    memory_begin();
    plan();
    world_make();
    open_all();
    acts_run(50 + below(150), act);
    end_all();
    for (unsigned i = 0; i < writer_count; i++)
        zu_socket_close(writers[i].socket);
    zu_socket_close(reader);
    stage_end();
}

Test(conflate_sim, the_newest_comes_under_all_faults, .timeout = 600)
{
    noise_fill(noise, sizeof noise);
    uint64_t count = 1000;
    cr_assert_eq(seeds_run(&count), 0);
}
