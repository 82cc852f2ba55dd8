/* SPDX-License-Identifier: MIT */
/*
 * Publishers and subscribers over the simulated network: PUB and XPUB, SUB and XSUB, whoever binds, while connections break
 * and come back and subscriptions change. What is written into a pipe is compared with what the index says, what is taken
 * with what was written (sim_ledger.h), and what XPUB's user hears with what subscribers want. In the end the network calms
 * down: each link then knows the whole set of its subscriber, and what is published arrives.
 */
#include <criterion/criterion.h>

#include "flow/publisher.h"
#include "io/sim_net.h"
#include "sim_slots.h"

enum {
    PUB = 1,
    SUB = 2,
    XPUB = 9,
    XSUB = 10,
    TREE_END = 16,    /* prefixes 1 to 15: the strings of up to three letters a and b, as a heap */
    PREFIXES = 64,    /* the others match nothing; each is subscribed to once */
    PREFIX_MAX = 3,
    PEERS_MAX = 64,
};

/* What a life of a socket knows of subscriptions. */
static struct {
    uint32_t counts[PREFIXES]; /* a subscriber's: how often */
    uint64_t said;             /* a publisher's: what somebody has, by what it was told */
    bool was_peeked;           /* a subscriber has seen the message whose turn it is */
} known[ACTORS_MAX];

/* All that subscribers in a slot ever had: publishers that connect to them keep what their predecessors wanted. */
static uint64_t ever[SLOTS_MAX];
static uint64_t heard[ENDS_MAX]; /* by a publisher's end: what the other one has, by what it was told */
static bool is_verbose;         /* publishers tell all they hear */
static bool is_manual;          /* an XPUB's user decides; it gives what was asked for */
static bool is_nodrop;          /* publishers wait for all */
static bool repeats;            /* subscribers subscribe to what they have */
static unsigned fresh;          /* the next prefix to be subscribed to once */

/* --- prefixes --- */

static bool is_publisher(unsigned type)
{
    return type == PUB || type == XPUB;
}

static size_t prefix_make(unsigned number, uint8_t prefix[PREFIX_MAX])
{
    size_t size = 0;
    if (number >= TREE_END) {
        prefix[0] = '!';
        prefix[1] = (uint8_t)number;
        return 2;
    }
    for (unsigned top = 8; top; top /= 2) {
        if (number >= 2 * top)
            prefix[size++] = 'a' + !!(number & top);
    }
    return size;
}

static unsigned prefix_number(const uint8_t *prefix, size_t size)
{
    unsigned number = 1;
    if (size && prefix[0] == '!') {
        CHECK(size == 2 && prefix[1] >= TREE_END && prefix[1] < PREFIXES, "a prefix that nobody has");
        return prefix[1];
    }
    CHECK(size <= PREFIX_MAX, "a prefix that nobody has");
    for (size_t i = 0; i < size; i++) {
        CHECK(prefix[i] == 'a' || prefix[i] == 'b', "a prefix that nobody has");
        number = 2 * number + (prefix[i] == 'b');
    }
    return number;
}

static bool matches(uint64_t set, const void *first, size_t size)
{
    for (unsigned i = 1; i < TREE_END; i++) {
        uint8_t prefix[PREFIX_MAX];
        size_t prefix_size = prefix_make(i, prefix);
        if ((set >> i & 1) && prefix_size <= size && memcmp(prefix, first, prefix_size) == 0)
            return true;
    }
    return false;
}

static uint64_t set_of(unsigned actor)
{
    uint64_t set = 0;
    for (unsigned i = 0; i < PREFIXES; i++)
        set |= (uint64_t)(known[actor].counts[i] != 0) << i;
    return set;
}

static bool letter_matches(uint64_t set, unsigned actor, uint32_t message)
{
    struct letter letter = letter_of(actor, message);
    struct letter_head head = letter_head(&letter, actor, message);
    return matches(set, head.topic, letter.head ? 0 : sizeof head.topic);
}

static bool is_wanted(unsigned actor, unsigned from, uint32_t message)
{
    return letter_matches(set_of(actor), from, message);
}

/* --- what a publisher knows --- */

static uint64_t index_of(const struct zu_peer *peer)
{
    const struct zu_subscriber *subscriber = peer->role;
    uint64_t set = 0;
    for (uint32_t i = 0; subscriber && i < subscriber->topics.own_count; i++) {
        size_t size;
        uint32_t count;
        const uint8_t *prefix = zu_topics_own(&subscriber->topics, i, &size, &count);
        set |= UINT64_C(1) << prefix_number(prefix, size);
    }
    return set;
}

/* One request that an XPUB's user is told. Each subscription comes once, and once for each connection where all is told. */
static void request_check(unsigned actor, const struct zu_view *view)
{
    CHECK(view->size && view->data[0] <= 1 && !(view->flags & ZU_FRAME_MORE), "no request");
    uint64_t bit = UINT64_C(1) << prefix_number(view->data + 1, view->size - 1);
    bool on = view->data[0];
    trace("actor %u hears %d %.*s by %d", actor, on, (int)view->size - 1, view->data + 1,
          view->origin ? zu_origin_fd(view->origin) : 0);
    if (world.plan.no_memory) /* what finds no memory is told again, or not at all */
        return;
    if (!is_verbose && !is_manual) {
        CHECK(!(known[actor].said & bit) == on, "told %d, for the second time", on);
        known[actor].said ^= bit;
    } else if (view->origin) {
        uint64_t *set = &heard[zu_origin_fd(view->origin) - FD_FIRST];
        CHECK(!(*set & bit) == on || (on && repeats), "told %d by one connection, for the second time", on);
        *set = on ? *set | bit : *set & ~bit;
    }
}

static void hear(struct slot *slot)
{
    struct actor *actor = &world.actors[slot->actor];
    struct zu_view view;
    zu_socket_check(actor->socket);
    while (slot->type == XPUB && zu_socket_peek(actor->socket, &view, ZU_DONTWAIT) == 0) {
        unsigned flags = view.flags;
        uint8_t on = view.data[0], prefix[PREFIX_MAX];
        size_t size = view.size - 1;
        request_check(slot->actor, &view);
        memcpy(prefix, view.data + 1, size);
        zu_socket_taken(actor->socket, flags);
        if (is_manual)
            CHECK(zu_socket_set(actor->socket, on ? ZU_OPT_SUBSCRIBE : ZU_OPT_UNSUBSCRIBE, prefix, size) == 0, "grant");
    }
    zu_list_each(link, after, &actor->socket->peers)
    {
        struct zu_peer *peer = zu_container_of(link, struct zu_peer, link);
        const struct peer_log *log = log_of(peer);
        if (slot->type != XPUB || (!is_verbose && !is_manual) || !peer->out_open || !log || log->is_lasting || world.plan.no_memory)
            continue;
        CHECK(!log->last_fd || index_of(peer) == heard[log->last_fd - FD_FIRST], "told %llx, but gives %llx",
              (unsigned long long)heard[log->last_fd - FD_FIRST], (unsigned long long)index_of(peer));
    }
    ledger_sample();
}

/* --- publishing --- */

struct expectation {
    struct zu_peer *peer; /* who */
    uint64_t accepted;    /* messages in its pipe, ever */
    bool wants;           /* the next one, by the index */
    bool may_lose;        /* it */
};

/* A whole message at once: each peer gets it that wants it, unless it has no room. */
static bool publish(struct slot *slot)
{
    struct actor *actor = &world.actors[slot->actor];
    struct expectation all[PEERS_MAX];
    unsigned count = 0;
    bool has_full = false;
    hear(slot);
    zu_list_each(link, after, &actor->socket->peers)
    {
        struct zu_peer *peer = zu_container_of(link, struct zu_peer, link);
        const struct zu_subscriber *subscriber = peer->role;
        if (!peer->out_open || !subscriber)
            continue;
        struct expectation *one = &all[count++];
        *one = (struct expectation){
            .peer = peer,
            .accepted = zu_pipe_count(peer->out).accepted,
            .wants = letter_matches(index_of(peer), slot->actor, actor->next_message),
            .may_lose = subscriber->fan.full || out_is_full(peer) || world.plan.no_memory,
        };
        has_full |= one->wants && out_is_full(peer);
    }
    do {
        if (!letter_send(actor)) {
            CHECK(actor->next_part || world.plan.no_memory || (is_nodrop && has_full), "refused without reason");
            return false;
        }
    } while (actor->next_part);
    for (unsigned i = 0; i < count; i++) {
        uint64_t got = zu_pipe_count(all[i].peer->out).accepted - all[i].accepted;
        CHECK(got <= all[i].wants, "message %u of actor %u for one who does not want it", actor->next_message - 1,
              slot->actor);
        CHECK(got == all[i].wants || (all[i].may_lose && (!is_nodrop || world.plan.no_memory)), "message %u of actor %u is lost",
              actor->next_message - 1, slot->actor);
    }
    return true;
}

static void write_some(struct slot *slot, uint64_t times)
{
    struct actor *actor = &world.actors[slot->actor];
    bool in_parts = actor->next_part || below(4) == 0;
    while (times-- && world.bytes < world.plan.bytes_max && (in_parts ? letter_send(actor) : publish(slot)))
        ;
}

/* --- subscribing --- */

static void subscribe(struct slot *slot, unsigned number, bool on)
{
    struct zu_socket *socket = world.actors[slot->actor].socket;
    uint32_t *count = &known[slot->actor].counts[number];
    uint8_t frame[1 + PREFIX_MAX] = {on};
    size_t size = prefix_make(number, frame + 1);
    struct zu_part part = {.data = frame, .size = size + 1};
    if (memory_strikes(4))
        zu_alloc_fail_from = 1 + (unsigned)below(3);
    int err = slot->type == XSUB ? zu_socket_send(socket, &part, ZU_DONTWAIT)
                                 : zu_socket_set(socket, on ? ZU_OPT_SUBSCRIBE : ZU_OPT_UNSUBSCRIBE, frame + 1, size);
    zu_alloc_fail_from = 0;
    trace("actor %u wants %d %.*s: %d", slot->actor, on, (int)size, frame + 1, err);
    CHECK(!err || (err == -ENOMEM && world.plan.no_memory), "subscribe: %d", err);
    ever[slot - world.slots] |= (uint64_t)on << number; /* it may have been told to some before memory went out */
    if (!err && (on || *count))
        *count += on ? 1 : -1u;
    ledger_sample();
}

static void change_mind(struct slot *slot)
{
    unsigned number = 1 + (unsigned)below(TREE_END - 1);
    uint32_t count = known[slot->actor].counts[number];
    subscribe(slot, number, repeats ? below(2) : !count);
}

static void actor_dress(struct slot *slot)
{
    struct zu_socket *socket = world.actors[slot->actor].socket;
    known[slot->actor].said = 0;
    if (is_publisher(slot->type)) {
        set(socket, ZU_OPT_XPUB_NODROP, is_nodrop);
        if (slot->type == XPUB) {
            set(socket, ZU_OPT_XPUB_VERBOSER, is_verbose);
            set(socket, ZU_OPT_XPUB_MANUAL, is_manual);
        }
        return;
    }
    for (uint64_t times = below(4); times > 0; times--)
        change_mind(slot);
}

/* --- reading --- */

/* What is shown first of a message must be wanted; an XSUB, which does not look, may get what it once wanted. */
static void first_check(struct slot *slot)
{
    struct actor *actor = &world.actors[slot->actor];
    struct zu_view view;
    if (actor->in_part || known[slot->actor].was_peeked)
        return;
    int err = zu_socket_peek(actor->socket, &view, ZU_DONTWAIT);
    ledger_sample();
    rest_check(slot->actor);
    if (err)
        return;
    uint64_t set = slot->type == SUB ? set_of(slot->actor) : ever[slot - world.slots];
    CHECK(matches(set, view.data, view.size), "a message that nobody wants");
    known[slot->actor].was_peeked = true;
}

static void read_some(struct slot *slot, uint64_t parts)
{
    struct actor *actor = &world.actors[slot->actor];
    while (parts--) {
        first_check(slot);
        if (!letter_take(actor))
            return;
        known[slot->actor].was_peeked = false;
    }
}

/* --- a world --- */

static bool may_meet(const struct slot *from, const struct slot *to)
{
    return is_publisher(from->type) != is_publisher(to->type);
}

/* 0: publishers bind; 1: subscribers bind; 2: all bind, and of each two one connects. */
static void world_populate(void)
{
    unsigned topology = world.plan.topology;
    for (uint64_t i = 1 + below(2); i > 0; i--)
        slot_add(ONE_OF(PUB, XPUB, XPUB), topology != 1);
    for (uint64_t i = 1 + below(3); i > 0; i--)
        slot_add(ONE_OF(SUB, SUB, XSUB), topology != 0);
    for (unsigned i = 0; i < world.slot_count; i++) {
        for (unsigned j = 0; j < i; j++) {
            bool up = topology == 0 || (topology == 2 && below(2));
            slot_target(&world.slots[up ? i : j], &world.slots[up ? j : i]);
        }
    }
    for (unsigned i = 0; i < world.slot_count; i++)
        actor_open(&world.slots[i]);
}

static void act(void)
{
    if (strikes(world.plan.upheavals)) {
        upheaval();
        return;
    }
    struct slot *slot = any_slot();
    if (is_publisher(slot->type) && below(4))
        write_some(slot, below(3) ? below(20) : below(300));
    else if (is_publisher(slot->type))
        hear(slot);
    else if (below(4) == 0)
        change_mind(slot);
    else
        read_some(slot, below(100) < world.plan.eagerness ? UINT64_MAX : below(10));
}

static void wind_up(void)
{
    for (unsigned i = 0; i < world.slot_count; i++) {
        struct slot *slot = &world.slots[i];
        struct actor *actor = &world.actors[slot->actor];
        if (!actor->is_open)
            continue;
        zu_socket_check(actor->socket);
        ledger_sample();
        while (actor->next_part && letter_send(actor))
            ;
        if (is_publisher(slot->type))
            hear(slot);
        else
            read_some(slot, UINT64_MAX);
    }
}

/* --- the end --- */

/* A publisher's peer whose connection both ends know, and know to be open. */
struct pairing {
    struct zu_peer *peer;      /* the publisher's */
    struct end_log *end;       /* the publisher's */
    struct end_log *far;       /* the subscriber's */
    unsigned subscriber;       /* whose */
};

static bool is_live(int fd)
{
    return end_of(fd)->log && !end_of(fd)->is_closing && zu_sim_find(world.sim, fd);
}

static unsigned pairings_find(struct slot *slot, struct pairing all[PEERS_MAX])
{
    unsigned count = 0;
    zu_list_each(link, after, &world.actors[slot->actor].socket->peers)
    {
        struct zu_peer *peer = zu_container_of(link, struct zu_peer, link);
        const struct peer_log *log = log_of(peer);
        if (!peer->out_open || !peer->role || !log || !log->last_fd || !is_live(log->last_fd))
            continue;
        struct end_log *end = end_of(log->last_fd), *far = end_of(end->far_fd);
        if (is_live(end->far_fd) && far->log->last_fd == end->far_fd)
            all[count++] = (struct pairing){.peer = peer, .end = end, .far = far, .subscriber = far->log->actor};
    }
    return count;
}

/* Whether all who are to meet have, and publishers know what they should of the prefix. */
static bool all_know(unsigned number, bool on)
{
    for (unsigned i = 0; i < world.slot_count; i++) {
        struct pairing all[PEERS_MAX];
        unsigned count = is_publisher(world.slots[i].type) ? pairings_find(&world.slots[i], all) : 0;
        for (unsigned j = 0; j < world.slot_count; j++) {
            unsigned met = 0;
            for (unsigned k = 0; k < count; k++)
                met += all[k].subscriber == world.slots[j].actor && (index_of(all[k].peer) >> number & 1) == on;
            if (met == 0 && is_publisher(world.slots[i].type) && may_meet(&world.slots[i], &world.slots[j]))
                return false;
        }
    }
    return true;
}

static bool is_acknowledged(void)
{
    return all_know(fresh, true);
}

static bool is_cancelled(void)
{
    return all_know(fresh, false);
}

/* All that was written by one end has been read at the other. */
static bool is_through(void)
{
    for (unsigned i = 0; i < world.slot_count; i++) {
        struct pairing all[PEERS_MAX];
        unsigned count = is_publisher(world.slots[i].type) ? pairings_find(&world.slots[i], all) : 0;
        for (unsigned k = 0; k < count; k++) {
            if (zu_pipe_count(all[k].peer->out).held || all[k].far->taken < all[k].end->handed)
                return false;
        }
    }
    return is_delivered();
}

/* What publishers know of those whose connections began with them is what those want; others may have left something. */
static void sets_check(void)
{
    for (unsigned i = 0; i < world.slot_count; i++) {
        struct pairing all[PEERS_MAX];
        unsigned count = is_publisher(world.slots[i].type) ? pairings_find(&world.slots[i], all) : 0;
        for (unsigned k = 0; k < count; k++) {
            uint64_t wanted = set_of(all[k].subscriber), index = index_of(all[k].peer);
            if (all[k].end->log->is_lasting)
                index &= wanted;
            CHECK(index == wanted, "actor %u wants %llx and is given %llx", all[k].subscriber,
                  (unsigned long long)wanted, (unsigned long long)index);
        }
    }
}

static void for_all(bool publishers, void (*does)(struct slot *slot))
{
    for (unsigned i = 0; i < world.slot_count; i++) {
        if (is_publisher(world.slots[i].type) == publishers)
            does(&world.slots[i]);
    }
}

static void lift_limit(struct slot *slot)
{
    set(world.actors[slot->actor].socket, ZU_OPT_SNDHWM, 0);
}

static void subscribe_fresh(struct slot *slot)
{
    subscribe(slot, fresh, true);
}

static void cancel_fresh(struct slot *slot)
{
    subscribe(slot, fresh, false);
}

static void cancel_all(struct slot *slot)
{
    for (unsigned i = 1; i < TREE_END; i++) {
        while (known[slot->actor].counts[i])
            subscribe(slot, i, false);
    }
    subscribe(slot, fresh, false);
}

/* Limits count here no more: those of connections that come are older than lift_limit. */
static bool have_room(void)
{
    for (unsigned i = 0; i < world.slot_count; i++) {
        zu_list_each(link, after, &world.actors[world.slots[i].actor].socket->peers)
        {
            const struct zu_peer *peer = zu_container_of(link, struct zu_peer, link);
            const struct zu_subscriber *subscriber = is_publisher(world.slots[i].type) ? peer->role : NULL;
            if (subscriber && peer->out_open && (subscriber->fan.full || out_is_full(peer)))
                return false;
        }
    }
    return true;
}

static void publish_some(struct slot *slot)
{
    for (uint64_t times = 1 + below(40); times > 0; times--) {
        if (!have_room())
            await(have_room, "room");
        CHECK(publish(slot), "refused though there is room");
    }
}

static void close_one(struct slot *slot)
{
    actor_close(slot, is_publisher(slot->type) ? linger_any() : 0);
    if (below(2))
        some_time();
}

static void end_gently(void)
{
    world.is_calm = true;
    zu_sim_faults_set(world.sim, NULL);
    await(is_delivered, "all to be delivered");
    for_all(true, lift_limit);
    world.plan.bytes_max += world.bytes;
    for (int rounds = 0; rounds < 2; rounds++, fresh++) {
        for_all(false, subscribe_fresh);
        await(is_acknowledged, "the subscription to be known");
        if (!world.plan.no_memory)
            sets_check();
        for_all(true, publish_some);
        await(is_through, "what was published");
        for_all(false, rounds ? cancel_all : cancel_fresh);
        await(is_cancelled, "the cancellation to be known");
        if (!world.plan.no_memory)
            sets_check();
    }
    for_all(true, publish_some);
    await(is_through, "what was published");
    for_all(true, close_one);
    await(nobody_lingers, "those who linger");
    await(nobody_is_connected, "the last messages");
    readers_check();
    for_all(false, close_one);
}

static void plan_adapt(struct plan *plan)
{
    plan->topology = (unsigned)below(3);
    plan->reconnect_ms = plan->reconnect_ms < 0 ? 10 : plan->reconnect_ms;
    plan->abrupt = below(5) == 0;
    is_verbose = below(2);
    is_manual = below(4) == 0;
    is_nodrop = below(2);
    repeats = below(4) == 0;
    fresh = TREE_END;
    if (plan->size_max > 100000)
        plan->size_max = 100000;
    ledger_wants = is_wanted;
}

TestSuite(pubsub_sim, .init = begin, .timeout = 900);

/* --- moments that seeds meet too rarely --- */

/* An XPUB that nobody has bound yet, and a SUB that dials again. */
static void stage_pubsub(struct zu_socket **ret_xpub, struct zu_socket **ret_sub)
{
    static const int reconnect_ms = 10;
    world_begin(1);
    memory_begin();
    world_make();
    *ret_xpub = stage_socket(XPUB);
    *ret_sub = stage_socket(SUB);
    CHECK(zu_socket_set(*ret_sub, ZU_OPT_RECONNECT_IVL, &reconnect_ms, sizeof reconnect_ms) == 0, "reconnect_ms");
    CHECK(zu_socket_set(*ret_sub, ZU_OPT_SUBSCRIBE, "", 0) == 0, "subscribe");
}

/* Both come to hear of each other. */
static bool is_subscribed(struct zu_socket *xpub, struct zu_socket *sub)
{
    for (int i = 0; i < 5; i++) {
        stage_settle();
        zu_socket_check(xpub);
        zu_socket_check(sub);
    }
    return zu_socket_events(xpub) & ZU_POLL_IN;
}

/* A connect that says that all is well must connect. */
Test(pubsub_sim, without_memory_a_connect_fails_or_holds)
{
    bool held = false;
    for (unsigned from = 1; !held; from++) {
        cr_assert_lt(from, 100);
        struct zu_socket *xpub, *sub;
        stage_pubsub(&xpub, &sub);
        zu_alloc_fail_from = from;
        int err = zu_socket_connect(sub, stage_text);
        held = zu_alloc_fail_from != 0; /* it needed fewer */
        zu_alloc_fail_from = 0;
        cr_assert(!err || err == -ENOMEM, "%d", err);
        cr_assert_eq(zu_socket_bind(xpub, stage_text), 0);
        cr_assert_eq(is_subscribed(xpub, sub), !err, "at %u: %d", from, err);
        zu_socket_close(xpub);
        zu_socket_close(sub);
        stage_end();
    }
}

/* With IMMEDIATE each connection has a peer of its own: one that finds no memory must not be the last. */
Test(pubsub_sim, without_memory_for_a_peer_a_dial_tries_again)
{
    static const int immediate = 1;
    struct zu_socket *xpub, *sub;
    stage_pubsub(&xpub, &sub);
    cr_assert_eq(zu_socket_set(sub, ZU_OPT_IMMEDIATE, &immediate, sizeof immediate), 0);
    cr_assert_eq(zu_socket_bind(xpub, stage_text), 0);
    cr_assert_eq(zu_socket_connect(sub, stage_text), 0);
    stage_settle();
    zu_alloc_fail_from = 1;
    zu_socket_check(sub);
    zu_alloc_fail_from = 0;
    cr_assert(zu_list_is_empty(&sub->peers), "it had memory");
    cr_assert(is_subscribed(xpub, sub), "it has given up");
    zu_socket_close(xpub);
    zu_socket_close(sub);
    stage_end();
}

Test(pubsub_sim, subscribers_get_what_they_want_under_all_faults)
{
    uint64_t count = 1000;
    unsigned failures = seeds_run(&count);
    sum_print();
    cr_assert_eq(failures, 0);
    if (count >= 100)
        cr_assert(sum->messages > 20 * count && sum->lost > count && sum->broken > count);
}
