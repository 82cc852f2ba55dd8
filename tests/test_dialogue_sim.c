/* SPDX-License-Identifier: MIT */
/*
 * Askers and an answerer over the simulated network: DEALER or REQ against ROUTER, REP or DEALER. The answerer sends back
 * what it gets. Where the network loses no octet, every question is answered, each once and in order. Where connections
 * break, questions and answers may be lost, but what comes is whole, comes once, and within a connection in order; and
 * when the network has calmed down, whoever asks again is answered.
 */
#include <criterion/criterion.h>

#include "link/origin.h"
#include "sim_old.h"
#include "sim_seeds.h"

enum {
    REQ = 3,
    REP = 4,
    DEALER = 5,
    ROUTER = 6,
    ASKERS_MAX = 4,
    QUESTIONS_MAX = 400,
    PARTS_MAX = 4,
    FRAMES_MAX = PARTS_MAX + 3,
    NOISE_SIZE = 1 << 17,
    FD_FIRST = 1 << 20,
    FDS = 8192,
};

/* A message, frame by frame. */
struct frames {
    unsigned count;            /* how many */
    unsigned next;             /* the next to send */
    size_t sizes[FRAMES_MAX];  /* of each */
    uint8_t *data[FRAMES_MAX]; /* of each; owned */
    int fd;                    /* it came by */
};

struct head {
    uint32_t asker;    /* who asks */
    uint32_t question; /* its number */
};

struct asker {
    struct zu_socket *socket;     /* connected, or bound */
    struct frames out;            /* the question under way */
    struct frames in;             /* the answer under way */
    uint32_t asked;               /* questions so far */
    uint32_t answered;            /* answers so far */
    uint32_t last_answer;         /* number of the last one */
    bool asked_seen[QUESTIONS_MAX];    /* by the answerer */
    bool answered_seen[QUESTIONS_MAX]; /* by the asker */
};

static struct asker askers[ASKERS_MAX];
static unsigned asker_count;
static struct {
    struct zu_socket *socket; /* it */
    struct frames message;    /* coming in, then going back */
    bool going_back;          /* it has come in whole */
    uint32_t last[FDS];       /* number of the last question that came by a connection, plus one */
} answerer;
static unsigned ask_type, answer_type;
static bool is_lossless;
static uint64_t frames_moved; /* by anybody */
static uint8_t noise[NOISE_SIZE];

/* --- messages --- */

static struct chance chance_of(uint32_t asker, uint32_t question)
{
    struct chance chance = {.state = ((uint64_t)asker << 40 ^ question ^ world.seed << 20) * UINT64_C(0x9e3779b97f4a7c15) | 1};
    chance_next(&chance);
    return chance;
}

static void frame_add(struct frames *frames, const void *data, size_t size)
{
    CHECK(frames->count < FRAMES_MAX, "too many frames");
    frames->data[frames->count] = malloc(size + 1);
    if (size)
        memcpy(frames->data[frames->count], data, size);
    frames->sizes[frames->count++] = size;
}

static void frames_clear(struct frames *frames)
{
    for (unsigned i = 0; i < frames->count; i++)
        free(frames->data[i]);
    *frames = (struct frames){0};
}

/* The same for the same asker and number: a head, and up to three parts, empty ones too. */
static void question_make(struct frames *frames, uint32_t asker, uint32_t question)
{
    struct chance chance = chance_of(asker, question);
    struct head head = {asker, question};
    frame_add(frames, &head, sizeof head);
    for (uint64_t parts = chance_below(&chance, PARTS_MAX); parts > 0; parts--) {
        static const size_t limits[] = {1, 10, 300, 9000, 60000};
        size_t size = chance_below(&chance, limits[chance_below(&chance, 5)]);
        frame_add(frames, noise + chance_below(&chance, NOISE_SIZE - size), size);
    }
}

/* From its `from`-th frame on it is a question that was asked. */
static struct head question_check(const struct frames *frames, unsigned from)
{
    struct head head;
    CHECK(frames->count > from && frames->sizes[from] == sizeof head, "no head in %u frames", frames->count);
    memcpy(&head, frames->data[from], sizeof head);
    CHECK(head.asker < asker_count && head.question < askers[head.asker].asked, "never asked");
    struct frames right = {0};
    question_make(&right, head.asker, head.question);
    CHECK(frames->count - from == right.count, "%u parts, not %u", frames->count - from, right.count);
    for (unsigned i = 0; i < right.count; i++)
        CHECK(frames->sizes[from + i] == right.sizes[i] &&
                  memcmp(frames->data[from + i], right.data[i], right.sizes[i]) == 0,
              "part %u is damaged", i);
    frames_clear(&right);
    return head;
}

/* True: all of it is sent. */
static bool frames_send(struct zu_socket *socket, struct frames *frames)
{
    while (frames->next < frames->count) {
        unsigned i = frames->next;
        struct zu_part part = {.data = frames->data[i], .size = frames->sizes[i], .more = i + 1 < frames->count};
        if (below(2))
            socket->ways |= ZU_SEND_ANSWERS; /* as if it had waited */
        int err = zu_socket_send(socket, &part, ZU_DONTWAIT);
        CHECK(!err || (err == -EAGAIN && i == 0), "send of frame %u: %d", i, err);
        if (err)
            return false;
        frames->next++;
        frames_moved++;
    }
    frames_clear(frames);
    return true;
}

/* True: a whole message has come. */
static bool frames_take(struct zu_socket *socket, struct frames *frames)
{
    for (;;) {
        struct zu_view view;
        int err = zu_socket_peek(socket, &view, ZU_DONTWAIT);
        CHECK(!err || (err == -EAGAIN && !frames->count) || err == -ZU_EFSM, "peek: %d", err);
        if (err)
            return false;
        unsigned flags = view.flags;
        frame_add(frames, view.data, view.size);
        frames->fd = zu_origin_fd(view.pipe->r_chunk->origin);
        if (below(2)) {
            zu_pipe_pop(view.pipe, &view);
        } else {
            struct zu_msg msg;
            CHECK(zu_pipe_take_msg(view.pipe, &view, &msg) == 0, "take");
            CHECK(zu_msg_size(&msg) == frames->sizes[frames->count - 1], "a message of another size");
            zu_msg_close(&msg);
        }
        zu_socket_taken(socket, flags);
        frames_moved++;
        if (!(flags & ZU_FRAME_MORE))
            return true;
    }
}

/* --- who asks and who answers --- */

static void answer(void)
{
    if (!answerer.going_back && !frames_take(answerer.socket, &answerer.message))
        return;
    if (!answerer.going_back) {
        unsigned from = answer_type == ROUTER ? 1 + (ask_type == REQ) : 0;
        /* A correlated REQ has a number in front of the empty frame. */
        if (answer_type == ROUTER && ask_type == REQ && answerer.message.sizes[1])
            from++;
        struct head head = question_check(&answerer.message, from);
        uint32_t *last = &answerer.last[answerer.message.fd - FD_FIRST];
        CHECK(!askers[head.asker].asked_seen[head.question], "question %u came twice", head.question);
        CHECK(*last <= head.question, "question %u of asker %u came behind %u", head.question, head.asker, *last - 1);
        askers[head.asker].asked_seen[head.question] = true;
        *last = head.question + 1;
        if (answer_type == ROUTER) {
            uint8_t id[8];
            int size = snprintf((char *)id, sizeof id, "id%u", head.asker);
            bool was_renamed = !is_lossless && answerer.message.sizes[0] == 5 && answerer.message.data[0][0] == 0;
            CHECK(was_renamed || (answerer.message.sizes[0] == (size_t)size &&
                                  memcmp(answerer.message.data[0], id, (size_t)size) == 0),
                  "somebody else's id");
        }
    }
    answerer.going_back = !frames_send(answerer.socket, &answerer.message);
}

static void ask(struct asker *asker)
{
    if (!asker->out.count) {
        if (asker->asked == QUESTIONS_MAX || (ask_type == REQ && is_lossless && asker->answered < asker->asked))
            return;
        if (ask_type == DEALER && answer_type == REP)
            frame_add(&asker->out, NULL, 0);
        question_make(&asker->out, (uint32_t)(asker - askers), asker->asked++);
    }
    frames_send(asker->socket, &asker->out);
}

static void hear(struct asker *asker)
{
    if (!frames_take(asker->socket, &asker->in))
        return;
    struct head head = question_check(&asker->in, ask_type == DEALER && answer_type == REP);
    CHECK(head.asker == (uint32_t)(asker - askers), "another one's answer");
    CHECK(askers[head.asker].asked_seen[head.question], "answered before it was asked");
    CHECK(!asker->answered_seen[head.question], "answer %u came twice", head.question);
    uint32_t asked = asker->asked - (asker->out.count != 0); /* the last one may wait for room */
    CHECK(ask_type != REQ || head.question + 1 == asked, "answer %u to question %u", head.question, asked - 1);
    CHECK(!is_lossless || head.question == asker->answered, "answer %u, not %u", head.question, asker->answered);
    asker->answered_seen[head.question] = true;
    asker->answered++;
    asker->last_answer = head.question;
    frames_clear(&asker->in);
}

static void act(void)
{
    struct asker *asker = &askers[below(asker_count)];
    for (uint64_t times = 1 + below(8); times > 0; times--) {
        switch (below(3)) {
        case 0:
            /* With RELAXED a question in the middle of an answer would tear that. */
            if (asker->asked < QUESTIONS_MAX / 2)
                ask(asker);
            break;
        case 1:
            hear(asker);
            break;
        default:
            answer();
        }
    }
}

/* --- a seed --- */

static void plan(void)
{
    static const size_t buffers[] = {0, 700, 4096, 20000, 300000};
    is_lossless = below(2);
    struct zu_sim_faults *faults = &world.plan.faults;
    *faults = (struct zu_sim_faults){
        .short_sends = (unsigned)below(300),
        .short_receives = (unsigned)below(300),
        .delays = (unsigned)below(300),
        .no_buffers = (unsigned)below(60),
        .stream_ends = (unsigned)below(300),
        .buffer_size = buffers[below(5)],
    };
    if (below(3) == 0)
        zu_codec_extra = sim_old(below(2) ? ZU_WIRE_1_0 : ZU_WIRE_2_0);
    if (is_lossless)
        return;
    faults->resets = 1 + (unsigned)below(30);
    faults->connect_refusals = (unsigned)below(200);
    faults->accept_failures = (unsigned)below(100);
}

static struct zu_socket *open_socket(unsigned type)
{
    struct zu_socket *socket;
    CHECK(zu_socket_new(world.contexts[below(world.context_count)], type, &socket) == 0, "no socket");
    /* A ROUTER, or REP, drops where a pipe is full. */
    int hwm = is_lossless ? 0 : ONE_OF(2, 10, 1000), reconnect_ms = ONE_OF(1, 10), handshake_ms = 0, linger = 0;
    CHECK(zu_socket_set(socket, ZU_OPT_SNDHWM, &hwm, sizeof hwm) == 0, "hwm");
    hwm = ONE_OF(2, 10, 1000);
    CHECK(zu_socket_set(socket, ZU_OPT_RCVHWM, &hwm, sizeof hwm) == 0, "hwm");
    CHECK(zu_socket_set(socket, ZU_OPT_RECONNECT_IVL, &reconnect_ms, sizeof reconnect_ms) == 0, "reconnect");
    CHECK(zu_socket_set(socket, ZU_OPT_HANDSHAKE_IVL, &handshake_ms, sizeof handshake_ms) == 0, "handshake");
    CHECK(zu_socket_set(socket, ZU_OPT_LINGER, &linger, sizeof linger) == 0, "linger");
    shards_find();
    return socket;
}

static void open_all(void)
{
    static const int on = 1;
    char text[PORT_TEXT_SIZE];
    bool answerer_binds = below(2);
    asker_count = answer_type == DEALER ? 1 : 1 + (unsigned)below(ASKERS_MAX);
    answerer.socket = open_socket(answer_type);
    /* An asker that comes back may do so before its old connection is known to be lost. */
    if (answer_type != DEALER)
        CHECK(zu_socket_set(answerer.socket, ZU_OPT_ROUTER_HANDOVER, &on, sizeof on) == 0, "handover");
    port_text(PORT_FIRST, text);
    if (answerer_binds)
        CHECK(zu_socket_bind(answerer.socket, text) == 0, "bind");
    for (unsigned i = 0; i < asker_count; i++) {
        struct zu_socket *socket = askers[i].socket = open_socket(ask_type);
        char id[8];
        CHECK(zu_socket_set(socket, ZU_OPT_ROUTING_ID, id, (size_t)snprintf(id, sizeof id, "id%u", i)) == 0, "id");
        if (ask_type == REQ && !is_lossless)
            CHECK(zu_socket_set(socket, ZU_OPT_REQ_RELAXED, &on, sizeof on) == 0 &&
                      zu_socket_set(socket, ZU_OPT_REQ_CORRELATE, &on, sizeof on) == 0,
                  "relaxed");
        port_text(PORT_FIRST + (answerer_binds ? 0 : 1 + i), text);
        CHECK((answerer_binds ? zu_socket_connect(socket, text) : zu_socket_bind(socket, text)) == 0, "join");
        if (!answerer_binds)
            CHECK(zu_socket_connect(answerer.socket, text) == 0, "connect");
    }
}

static bool all_answered(void)
{
    for (unsigned i = 0; i < asker_count; i++) {
        const struct asker *asker = &askers[i];
        if (asker->out.count || (is_lossless ? asker->answered < asker->asked : asker->last_answer + 1 != asker->asked))
            return false;
    }
    return true;
}

/* Everybody does what he can until nothing moves any more; then, where answers may be lost, asks again. */
static void end_all(void)
{
    zu_sim_faults_set(world.sim, is_lossless && below(2) ? &world.plan.faults : NULL);
    for (unsigned i = 0; i < asker_count; i++) {
        if (!askers[i].asked)
            ask(&askers[i]);
    }
    for (unsigned rounds = 0; !all_answered(); rounds++) {
        CHECK(rounds < 200000, "no end in sight");
        uint64_t before = frames_moved;
        bool moves = zu_sim_turn(world.sim, world.shards, world.shard_count);
        for (unsigned i = 0; i < asker_count; i++) {
            if (askers[i].out.count)
                ask(&askers[i]);
            hear(&askers[i]);
        }
        answer();
        if (moves || before != frames_moved)
            continue;
        CHECK(!is_lossless, "nothing moves, and not all is answered");
        for (unsigned i = 0; i < asker_count; i++) {
            CHECK(!askers[i].out.count && askers[i].asked < QUESTIONS_MAX, "asker %u is never answered", i);
            if (askers[i].last_answer + 1 != askers[i].asked)
                ask(&askers[i]);
        }
    }
}

static void seed_run(uint64_t seed)
{
    static const unsigned types[][2] = {{DEALER, ROUTER}, {REQ, REP}, {DEALER, REP}, {REQ, ROUTER}, {DEALER, DEALER}};
    world_begin(seed);
    memory_begin();
    ask_type = types[seed % 5][0];
    answer_type = types[seed % 5][1];
    plan();
    world_make();
    open_all();
    acts_run(50 + below(300), act);
    end_all();
    for (unsigned i = 0; i < asker_count; i++) {
        frames_clear(&askers[i].in);
        zu_socket_close(askers[i].socket);
    }
    frames_clear(&answerer.message);
    zu_socket_close(answerer.socket);
    stage_end();
}

Test(dialogue_sim, what_is_asked_is_answered_under_all_faults, .timeout = 600)
{
    noise_fill(noise, sizeof noise);
    uint64_t count = 1000;
    cr_assert_eq(seeds_run(&count), 0);
}
