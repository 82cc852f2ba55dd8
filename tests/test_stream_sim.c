/* SPDX-License-Identifier: MIT */
/*
 * STREAM, and a ROUTER with ROUTER_RAW, over the simulated network: dialers and one who is dialled exchange units, which say
 * who wrote them and of what they consist. On each connection come the word that it is there, whole units in order, and at
 * its end the word of that; nothing in between is missing. Where connections break their last unit may be cut, but none
 * comes twice. When the network has calmed down, all that is written arrives.
 */
#include <criterion/criterion.h>

#include "io/sim_net.h"
#include "link/origin.h"
#include "sim_seeds.h"

enum {
    ROUTER = 6,
    STREAM = 11,
    DIALERS_MAX = 3,
    ENDS_MAX = 4096,
    FD_FIRST = 1 << 20,
    UNITS_MAX = 4000,
    NOISE_SIZE = 1 << 17,
    NAME_MAX = 16,
};

/* A unit's first octets. */
struct head {
    uint32_t stream; /* whose: a dialer's number, or the descriptor of an accepted connection */
    uint32_t number; /* in that */
    uint32_t size;   /* of the noise behind */
};

/* What came by one connection. */
struct end {
    enum { ABSENT, PRESENT, ENDED } state; /* by the words that the socket is told */
    uint8_t *bytes;                        /* of a unit that is not whole */
    size_t size;                           /* octets there */
    uint32_t next;                         /* number of the next unit */
    bool has_units;                        /* some came */
    uint8_t name[NAME_MAX];                /* the dialled one's name of it */
    size_t name_size;                      /* octets of it; 0: not known */
    uint32_t sent;                         /* the dialled one's units to it */
};

static struct {
    struct zu_socket *socket;
    uint32_t sent;
    bool came[UNITS_MAX]; /* units that came to the dialled one */
    uint32_t last;        /* the highest of these, plus one */
    int heard;            /* by which connection it heard last */
    uint32_t echoes;      /* units that came by that */
} dialers[DIALERS_MAX];
static unsigned dialer_count;
static struct zu_socket *dialled;
static unsigned dialled_type;
static struct end ends[ENDS_MAX];
static bool is_lossless;
static uint64_t moved;
static uint8_t noise[NOISE_SIZE];

/* --- units --- */

static struct chance chance_of(uint32_t stream, uint32_t number)
{
    struct chance chance = {.state = ((uint64_t)stream << 32 ^ number ^ world.seed << 16) * UINT64_C(0x9e3779b97f4a7c15) | 1};
    chance_next(&chance);
    return chance;
}

static const uint8_t *unit_noise(uint32_t stream, uint32_t number, uint32_t *ret_size)
{
    static const size_t limits[] = {1, 20, 300, 9000, 60000};
    struct chance chance = chance_of(stream, number);
    *ret_size = (uint32_t)chance_below(&chance, limits[chance_below(&chance, 5)]);
    return noise + chance_below(&chance, NOISE_SIZE - *ret_size);
}

/* To whom the name says: 0, -EAGAIN, -EHOSTUNREACH. */
static int unit_send(struct zu_socket *socket, const void *name, size_t name_size, uint32_t stream, uint32_t number)
{
    static uint8_t unit[sizeof(struct head) + NOISE_SIZE];
    struct head head = {.stream = stream, .number = number};
    const uint8_t *bytes = unit_noise(stream, number, &head.size);
    memcpy(unit, &head, sizeof head);
    memcpy(unit + sizeof head, bytes, head.size);
    struct zu_part part = {.data = name, .size = name_size, .more = true};
    int err = zu_socket_send(socket, &part, ZU_DONTWAIT);
    if (err)
        return err;
    part = (struct zu_part){.data = unit, .size = sizeof head + head.size};
    err = zu_socket_send(socket, &part, ZU_DONTWAIT);
    CHECK(!err, "send behind the name: %d", err);
    moved++;
    return 0;
}

/* --- what comes --- */

/* One whole unit by a connection: of the dialer's stream, or of the dialled one's for this connection. */
static void unit_check(int fd, struct end *end, const struct head *head, unsigned dialer, bool is_upward)
{
    uint32_t size;
    const uint8_t *bytes = unit_noise(head->stream, head->number, &size);
    CHECK(size == head->size && memcmp(end->bytes + sizeof *head, bytes, size) == 0, "a unit is damaged");
    CHECK(!end->has_units || head->number == end->next, "unit %u behind %u on %d", head->number, end->next - 1, fd);
    end->has_units = true;
    end->next = head->number + 1;
    if (!is_upward) {
        CHECK(head->number == dialers[dialer].echoes, "unit %u, not %u, on %d", head->number, dialers[dialer].echoes, fd);
        dialers[dialer].echoes++;
        return;
    }
    CHECK(head->stream < dialer_count && head->number < dialers[head->stream].sent, "a unit that nobody wrote");
    CHECK(!dialers[head->stream].came[head->number], "unit %u of %u came twice", head->number, head->stream);
    CHECK(!is_lossless || head->number == dialers[head->stream].last, "unit %u is missing", dialers[head->stream].last);
    dialers[head->stream].came[head->number] = true;
    if (head->number >= dialers[head->stream].last)
        dialers[head->stream].last = head->number + 1;
}

static void bytes_take(int fd, struct end *end, const uint8_t *data, size_t size, unsigned dialer, bool is_upward)
{
    end->bytes = realloc(end->bytes, end->size + size);
    memcpy(end->bytes + end->size, data, size);
    end->size += size;
    for (struct head head; end->size >= sizeof head;) {
        memcpy(&head, end->bytes, sizeof head);
        CHECK(head.size < NOISE_SIZE, "a unit of %u octets", head.size);
        size_t whole = sizeof head + head.size;
        if (end->size < whole)
            break;
        unit_check(fd, end, &head, dialer, is_upward);
        memmove(end->bytes, end->bytes + whole, end->size - whole);
        end->size -= whole;
    }
}

static void begin(int fd, struct end *end, unsigned dialer, bool is_upward)
{
    end->state = PRESENT;
    if (is_upward)
        return;
    dialers[dialer].heard = fd;
    dialers[dialer].echoes = 0;
}

/* Nothing is the word of coming, then of going. A dialer that lags may hear of neither: zu_pipe_feed_mutes. */
static void frame_check(int fd, const uint8_t *data, size_t size, unsigned dialer, bool is_upward)
{
    struct end *end = &ends[fd - FD_FIRST];
    CHECK(fd >= FD_FIRST && fd < FD_FIRST + ENDS_MAX, "descriptor %d", fd);
    CHECK(end->state != ENDED, "%s by %d, which has ended", size ? "octets" : "another end", fd);
    if (end->state == ABSENT) {
        CHECK(!size || (!is_upward && !is_lossless), "octets by %d, which is unheard of", fd);
        begin(fd, end, dialer, is_upward);
    } else if (!size) {
        CHECK(!is_lossless, "%d has ended", fd);
        end->state = ENDED;
    }
    if (size)
        bytes_take(fd, end, data, size, dialer, is_upward);
}

/* A name and what came. False: nothing. */
static bool take(struct zu_socket *socket, unsigned dialer)
{
    uint8_t name[NAME_MAX];
    struct zu_view view;
    bool is_upward = socket == dialled;
    int err = zu_socket_peek(socket, &view, ZU_DONTWAIT);
    CHECK(!err || err == -EAGAIN, "peek: %d", err);
    if (err)
        return false;
    size_t name_size = view.size;
    CHECK(name_size && name_size <= NAME_MAX && (view.flags & ZU_FRAME_MORE), "a name of %zu octets", view.size);
    memcpy(name, view.data, name_size);
    zu_socket_taken(socket, view.flags);
    CHECK(zu_socket_peek(socket, &view, ZU_DONTWAIT) == 0 && !(view.flags & ZU_FRAME_MORE), "a name and nothing");
    int fd = zu_origin_fd(view.pipe->r_chunk->origin);
    frame_check(fd, view.data, view.size, dialer, is_upward);
    struct end *end = &ends[fd - FD_FIRST];
    CHECK(!end->name_size || (end->name_size == name_size && memcmp(end->name, name, name_size) == 0), "another name");
    CHECK(is_upward || (name_size == 1 && *name == 'd'), "not the name that was given");
    memcpy(end->name, name, name_size);
    end->name_size = name_size;
    unsigned flags = view.flags;
    zu_pipe_pop(view.pipe, &view);
    zu_socket_taken(socket, flags);
    moved++;
    return true;
}

/* --- acts --- */

static void write_up(unsigned dialer)
{
    if (dialers[dialer].sent == UNITS_MAX)
        return;
    int err = unit_send(dialers[dialer].socket, "d", 1, dialer, dialers[dialer].sent);
    CHECK(!err || err == -EAGAIN, "send: %d", err);
    dialers[dialer].sent += !err;
}

static void write_down(struct end *end)
{
    if (!end->name_size || end->state != PRESENT)
        return;
    int err = unit_send(dialled, end->name, end->name_size, (uint32_t)(end - ends), end->sent);
    CHECK(!err || err == -EAGAIN || (err == -EHOSTUNREACH && !is_lossless), "send: %d", err);
    end->sent += !err;
}

/* To all who have been heard, and are not known to have gone. */
static void write_down_all(void)
{
    struct zu_sim_connection row;
    for (size_t i = 0; zu_sim_connection_get(world.sim, i, &row); i++)
        write_down(&ends[row.fd[1] - FD_FIRST]);
}

static void act(void)
{
    unsigned dialer = (unsigned)below(dialer_count);
    for (uint64_t times = 1 + below(12); times > 0; times--) {
        switch (below(5)) {
        case 0:
        case 1:
            write_up(dialer);
            break;
        case 2:
            if (below(3) == 0)
                write_down_all();
            break;
        case 3:
            take(dialers[dialer].socket, dialer);
            break;
        default:
            take(dialled, 0);
        }
    }
}

/* --- a seed --- */

static void plan(void)
{
    static const size_t buffers[] = {0, 700, 4096, 20000, 300000};
    is_lossless = below(3) == 0;
    world.plan.faults = (struct zu_sim_faults){
        .short_sends = (unsigned)below(300),
        .short_receives = (unsigned)below(300),
        .delays = (unsigned)below(300),
        .no_buffers = (unsigned)below(60),
        .no_memory = (unsigned)below(40),
        .stream_ends = (unsigned)below(300),
        .resets = is_lossless ? 0 : 1 + (unsigned)below(30),
        .connect_refusals = (unsigned)below(200),
        .accept_failures = (unsigned)below(100),
        .buffer_size = buffers[below(5)],
    };
}

static struct zu_socket *open_socket(unsigned type)
{
    struct zu_socket *socket;
    CHECK(zu_socket_new(world.contexts[below(world.context_count)], type, &socket) == 0, "no socket");
    const struct {
        int option, value;
    } options[] = {
        {ZU_OPT_SNDHWM, ONE_OF(2, 10, 1000)}, {ZU_OPT_RCVHWM, ONE_OF(2, 10, 1000)}, {ZU_OPT_RECONNECT_IVL, ONE_OF(1, 10)},
        {ZU_OPT_LINGER, 0},
    };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        CHECK(zu_socket_set(socket, options[i].option, &options[i].value, sizeof options[i].value) == 0, "option");
    shards_find();
    return socket;
}

static void open_all(void)
{
    static const int on = 1;
    char text[PORT_TEXT_SIZE];
    dialled_type = below(2) ? STREAM : ROUTER;
    dialled = open_socket(dialled_type);
    if (dialled_type == ROUTER)
        CHECK(zu_socket_set(dialled, ZU_OPT_ROUTER_RAW, &on, sizeof on) == 0 &&
                  zu_socket_set(dialled, ZU_OPT_ROUTER_MANDATORY, &on, sizeof on) == 0,
              "raw");
    port_text(PORT_FIRST, text);
    CHECK(zu_socket_bind(dialled, text) == 0, "bind");
    dialer_count = 1 + (unsigned)below(DIALERS_MAX);
    for (unsigned i = 0; i < dialer_count; i++) {
        dialers[i].socket = open_socket(STREAM);
        CHECK(zu_socket_set(dialers[i].socket, ZU_OPT_CONNECT_ROUTING_ID, "d", 1) == 0, "name");
        CHECK(zu_socket_connect(dialers[i].socket, text) == 0, "connect");
    }
}

/* Every dialer's last unit has come, and what was written back by its connection. */
static bool all_came(void)
{
    struct zu_sim_connection row;
    unsigned joined = 0;
    for (unsigned i = 0; i < dialer_count; i++) {
        if (!dialers[i].sent || dialers[i].last != dialers[i].sent)
            return false;
    }
    for (size_t i = 0; zu_sim_connection_get(world.sim, i, &row); i++) {
        for (unsigned d = 0; d < dialer_count; d++)
            joined += dialers[d].heard == row.fd[0] && ends[row.fd[1] - FD_FIRST].state == PRESENT &&
                      ends[row.fd[1] - FD_FIRST].sent && dialers[d].echoes == ends[row.fd[1] - FD_FIRST].sent;
    }
    return joined == dialer_count;
}

/* What was on its way when a connection broke may be lost: then somebody writes once more. */
static void end_all(void)
{
    zu_sim_faults_set(world.sim, is_lossless && below(2) ? &world.plan.faults : NULL);
    bool wrote = false;
    for (unsigned rounds = 0; !all_came(); rounds++) {
        CHECK(rounds < 200000, "no end in sight");
        uint64_t before = moved;
        bool moves = zu_sim_turn(world.sim, world.shards, world.shard_count);
        while (take(dialled, 0))
            ;
        for (unsigned i = 0; i < dialer_count; i++) {
            while (take(dialers[i].socket, i))
                ;
        }
        if (moves || moved != before)
            continue;
        CHECK(!wrote, "nothing moves, and not all has come");
        wrote = true;
        for (unsigned i = 0; i < dialer_count; i++)
            write_up(i);
        write_down_all();
    }
}

static void seed_run(uint64_t seed)
{
    world_begin(seed);
    memory_begin();
    plan();
    world_make();
    open_all();
    acts_run(50 + below(300), act);
    end_all();
    for (unsigned i = 0; i < dialer_count; i++)
        zu_socket_close(dialers[i].socket);
    zu_socket_close(dialled);
    stage_end();
    for (unsigned i = 0; i < ENDS_MAX; i++)
        free(ends[i].bytes);
}

Test(stream_sim, octets_come_once_and_in_order_under_all_faults, .timeout = 600)
{
    noise_fill(noise, sizeof noise);
    uint64_t count = 1000;
    cr_assert_eq(seeds_run(&count), 0);
}
