/* SPDX-License-Identifier: MIT */
/*
 * What travels in a simulated world: messages that follow from their sender and number, so that whoever reads one knows
 * each octet of it. A letter may open with an empty part; the first part that is not says who wrote it.
 */
#ifndef ZU_TESTS_SIM_LETTER_H
#define ZU_TESTS_SIM_LETTER_H

#include "sim_ledger.h"

enum { TOPIC_SIZE = 8, PARTS_MAX = 6, KEPT_MAX = 6, NOISE_SIZE = 4 * 1024 * 1024, NOISE_ROOM = 3 * 1024 * 1024 + 4096 };

struct letter_head {
    uint8_t topic[TOPIC_SIZE]; /* what a subscriber sees of it */
    uint32_t actor;   /* its sender */
    uint32_t message; /* its number */
    uint64_t check;   /* of both, and the seed */
};

struct letter {
    uint64_t key;           /* of sender, number and seed */
    unsigned parts;         /* how many */
    unsigned head;          /* the part that begins with a letter_head */
    size_t sizes[PARTS_MAX]; /* of the parts */
};

/* A message that the application holds on to, perhaps a slice of a receive buffer. */
struct kept {
    struct zu_msg msg;    /* it */
    struct letter letter; /* whose part it is */
    unsigned part;        /* which */
    bool is_used;         /* there is one */
};

static uint8_t noise[NOISE_SIZE];       /* what letters consist of; the same for all seeds */
static uint8_t scratch[NOISE_ROOM];     /* a part that begins with a head */
static struct kept kept[KEPT_MAX];      /* messages in the application's hands */
static _Atomic unsigned foreign_frees;  /* calls of free callbacks */
static unsigned foreign_made;           /* messages that will call one */

static inline struct letter letter_of(unsigned actor, uint32_t message)
{
    struct chance chance = {.state = (world.seed * 1000003 + actor) * UINT64_C(0x9e3779b97f4a7c15) + message * 2 + 1};
    chance.state |= 1;
    chance_next(&chance);
    struct letter letter = {.key = chance_next(&chance), .parts = 1};
    if (chance_below(&chance, 10) < 3)
        letter.parts += (unsigned)chance_below(&chance, PARTS_MAX);
    letter.head = letter.parts > 1 && chance_below(&chance, 4) == 0;
    for (unsigned i = letter.head; i < letter.parts; i++) {
        static const size_t shares[] = {0, 0, 0, 64, 64, 8, 8, 4, 1, 1};
        size_t share = shares[chance_below(&chance, 10)];
        letter.sizes[i] = chance_below(&chance, share ? world.plan.size_max / share + 1 : 300);
        if (i == letter.head)
            letter.sizes[i] += sizeof(struct letter_head);
    }
    return letter;
}

/* The octets of a part that has no head. */
static inline const uint8_t *part_noise(const struct letter *letter, unsigned part)
{
    return noise + (letter->key * (part + 1) >> 8) % (NOISE_SIZE - NOISE_ROOM);
}

/* Its topic is of two letters, so that a few prefixes match many. */
static inline struct letter_head letter_head(const struct letter *letter, unsigned actor, uint32_t message)
{
    struct letter_head head = {.actor = actor, .message = message, .check = letter->key};
    for (unsigned i = 0; i < TOPIC_SIZE; i++)
        head.topic[i] = 'a' + (letter->key >> (20 + i) & 1);
    return head;
}

static inline const void *part_data(const struct letter *letter, unsigned part, unsigned actor, uint32_t message)
{
    if (part != letter->head)
        return part_noise(letter, part);
    struct letter_head head = letter_head(letter, actor, message);
    memcpy(scratch, &head, sizeof head);
    memcpy(scratch + sizeof head, part_noise(letter, part) + sizeof head, letter->sizes[part] - sizeof head);
    return scratch;
}

static inline void part_check(const struct letter *letter, unsigned part, const uint8_t *data, size_t size)
{
    size_t from = part == letter->head ? sizeof(struct letter_head) : 0;
    CHECK(part < letter->parts, "a part too many: %u", part);
    CHECK(size == letter->sizes[part], "part %u has %zu octets, not %zu", part, size, letter->sizes[part]);
    CHECK(size == from || memcmp(data + from, part_noise(letter, part) + from, size - from) == 0, "part %u is damaged",
          part);
}

/* --- sending --- */

/* In one of the forms that applications use. */
static inline int msg_make(struct zu_msg *msg, const void *data, size_t size, bool is_constant)
{
    int err = 0;
    if (is_constant && below(4) == 0) {
        zu_msg_init_constant(msg, data, size);
    } else if (below(2)) {
        void *copy = malloc(size ? size : 1);
        memcpy(copy, data, size);
        err = zu_msg_init_foreign(msg, copy, size, counted_free, &foreign_frees);
        foreign_made += !err;
        if (err)
            free(copy);
    } else {
        err = zu_msg_init_size(msg, size);
        if (!err && size)
            memcpy(zu_msg_data(msg), data, size);
    }
    if (!err && below(4) == 0) {
        struct zu_msg other;
        zu_msg_init(&other);
        zu_msg_copy(&other, msg);
        zu_msg_move(msg, &other);
        zu_msg_close(&other);
    }
    return err;
}

static inline int part_send(struct actor *actor, const struct letter *letter)
{
    unsigned part = actor->next_part;
    const void *data = part_data(letter, part, (unsigned)(actor - world.actors), actor->next_message);
    struct zu_part out = {.data = data, .size = letter->sizes[part], .more = part + 1 < letter->parts};
    struct zu_msg msg;
    if (memory_strikes(1))
        zu_alloc_fail_from = 1 + (unsigned)below(3);
    int err = 0;
    if (below(2)) {
        err = msg_make(&msg, data, out.size, part != letter->head);
        out.msg = &msg;
    }
    if (!err) {
        err = zu_socket_send(actor->socket, &out, ZU_DONTWAIT);
        if (out.msg)
            zu_msg_close(&msg);
    }
    zu_alloc_fail_from = 0;
    return err;
}

/* The message ended nowhere: right only when the peer that had its first parts is gone. */
static inline void swallowed_check(const struct actor *actor, const struct letter *letter)
{
    CHECK(letter->parts > 1, "a message was accepted by nobody");
    zu_list_each(link, after, &actor->socket->peers)
    {
        struct zu_peer *peer = zu_container_of(link, struct zu_peer, link);
        CHECK(!peer->out_open || log_of(peer) != actor->inside, "a message was lost on its way into a pipe");
    }
    ledger.swallowed++;
    trace("message %u of actor %u is swallowed", actor->next_message, (unsigned)(actor - world.actors));
}

/* To all who want it: perhaps nobody. */
static inline bool publishes(const struct actor *actor)
{
    return actor->socket->pattern.ops->is_subscribed_to;
}

/* The next part of the actor's current message. False when it is not possible now. */
static inline bool letter_send(struct actor *actor)
{
    struct letter letter = letter_of((unsigned)(actor - world.actors), actor->next_message);
    int err = part_send(actor, &letter);
    if (err == -EAGAIN) {
        CHECK(actor->next_part == 0, "refused in the middle of a message");
        if (publishes(actor))
            ledger_has_full(actor->socket);
        else
            ledger_is_full(actor->socket);
    }
    CHECK(!err || err == -EAGAIN || err == -ZU_ETERM || (err == -ENOMEM && world.plan.no_memory), "send: %d", err);
    if (!err) {
        world.bytes += letter.sizes[actor->next_part];
        if (actor->next_part == 0)
            actor->inside = log_of(actor->socket->pattern.out.inside);
        if (++actor->next_part == letter.parts) {
            if (!ledger_sent(actor, actor->next_message) && !publishes(actor))
                swallowed_check(actor, &letter);
            actor->next_part = 0;
            actor->next_message++;
        }
    }
    ledger_sample();
    return !err;
}

/* --- receiving --- */

static inline void kept_drop(struct kept *old)
{
    if (!old->is_used)
        return;
    part_check(&old->letter, old->part, zu_msg_data(&old->msg), zu_msg_size(&old->msg));
    zu_msg_close(&old->msg);
    old->is_used = false;
}

static inline void kept_put(struct zu_msg *msg, const struct letter *letter, unsigned part)
{
    struct kept *place = &kept[below(KEPT_MAX)];
    kept_drop(place);
    *place = (struct kept){.msg = *msg, .letter = *letter, .part = part, .is_used = true};
}

/* Reads who wrote it, as soon as that is known. */
static inline void head_read(struct actor *actor, const uint8_t *data, size_t size)
{
    if (actor->in_known || size == 0)
        return;
    struct letter_head head;
    CHECK(size >= sizeof head, "%zu octets are no head", size);
    memcpy(&head, data, sizeof head);
    struct letter letter = letter_of(head.actor, head.message);
    struct letter_head right = letter_head(&letter, head.actor, head.message);
    CHECK(memcmp(&head, &right, sizeof head) == 0 && letter.head == actor->in_part, "no head of a letter");
    actor->in_actor = head.actor;
    actor->in_message = head.message;
    actor->in_known = true;
}

/* Looks at a frame in place, or takes it as a message. False: not now. */
static inline bool frame_take(struct actor *actor, struct zu_view *view)
{
    struct letter letter = {0};
    head_read(actor, view->data, view->size);
    if (actor->in_known) {
        letter = letter_of(actor->in_actor, actor->in_message);
        part_check(&letter, actor->in_part, view->data, view->size);
        CHECK(!(view->flags & ZU_FRAME_MORE) == (actor->in_part + 1 == letter.parts), "a message torn at part %u",
              actor->in_part);
    } else {
        CHECK(view->size == 0 && actor->in_part == 0 && (view->flags & ZU_FRAME_MORE), "an empty message");
    }
    if (below(2)) {
        zu_pipe_pop(view->pipe, view);
        return true;
    }
    struct zu_msg msg;
    struct zu_origin *origin = view->pipe->r_chunk->origin;
    if (memory_strikes(1))
        zu_alloc_fail_from = 1;
    int err = zu_pipe_take_msg(view->pipe, view, &msg);
    zu_alloc_fail_from = 0;
    CHECK(!err || (err == -ENOMEM && world.plan.no_memory), "take: %d", err);
    if (err)
        return false;
    CHECK(msg.origin == origin, "a message of another connection");
    if (actor->in_known)
        kept_put(&msg, &letter, actor->in_part);
    else
        zu_msg_close(&msg);
    return true;
}

/* The next part that has come for the actor. False when there is none. */
static inline bool letter_take(struct actor *actor)
{
    struct zu_view view;
    int err = zu_socket_peek(actor->socket, &view, ZU_DONTWAIT);
    ledger_sample();
    if (err == -EAGAIN) {
        CHECK(actor->in_part == 0, "the rest of a message is missing");
        ledger_is_empty(actor->socket);
    }
    CHECK(!err || err == -EAGAIN || err == -ZU_ETERM, "peek: %d", err);
    if (err)
        return false;
    int fd = zu_origin_fd(view.pipe->r_chunk->origin);
    CHECK(actor->in_part == 0 || fd == actor->in_fd, "a message of two connections, %d and %d", fd, actor->in_fd);
    actor->in_fd = fd;
    unsigned flags = view.flags;
    if (!frame_take(actor, &view))
        return false;
    zu_socket_taken(actor->socket, flags);
    actor->in_part++;
    if (!(flags & ZU_FRAME_MORE)) {
        ledger_taken((unsigned)(actor - world.actors), fd, actor->in_actor, actor->in_message);
        actor->in_part = 0;
        actor->in_known = false;
    }
    ledger_sample();
    return true;
}

static inline void letters_end(void)
{
    for (int i = 0; i < KEPT_MAX; i++)
        kept_drop(&kept[i]);
}

static inline void letters_check(void)
{
    CHECK(foreign_frees == foreign_made, "%u free callbacks for %u messages", foreign_frees, foreign_made);
}

#endif
