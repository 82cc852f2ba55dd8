/* SPDX-License-Identifier: MIT */
/*
 * A hash table of prefixes, beside the sorted list of their lengths. A match walks the message once, eight bytes at a
 * time, and looks up its beginning for each length that is in use: at most one look for each byte, mostly one for each
 * message. Nothing is nested, so nothing recurses, whatever is subscribed to. Prefixes of eight bytes or less are compared
 * in the table itself: theirs are elsewhere, and in a large set not in the cache.
 * Where many lengths are in use, most looks are spared by the stems: for each prefix a bit of a hash of its first 8, 16,
 * ... 64, 128 and 256 bytes is set. A message whose bit is not set there has no prefix as long, and the match ends.
 * Removing leaves stems set, which costs looks but is not wrong; they are made anew now and then. They end at 256 bytes so
 * that a peer with long prefixes cannot make that dear.
 * A prefix lists its subscribers by address, so that one is found by halving; each says where the prefix stands in the
 * subscriber's own list, so that both leave each other without a search through either.
 * It fails for want of memory alone, before anything has changed. Shrinking may fail unseen: the larger memory stays.
 */
#include "flow/topics.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "mem/alloc.h"

enum { STEM_STEP = 8, STEM_FINE = 64, STEM_LAST = 256, SLOTS_MIN = 16, SLOT_TAG = 15 };

/* That one subscriber has one prefix. */
struct subscription {
    struct zu_topic_subscriber *subscriber;
    uint32_t count; /* so often */
    uint32_t own;   /* where the prefix is in the subscriber's list */
};

/* Subscriptions beyond one. */
struct crowd {
    struct subscription *list; /* by address of the subscriber */
    uint32_t capacity;         /* for so many is room */
};

struct zu_topic {
    union {
        struct subscription one; /* when `count` is 1 */
        struct crowd crowd;      /* when it is more */
    };
    uint32_t count; /* its subscribers */
    uint32_t size;  /* of the prefix */
    uint8_t data[];
};

struct zu_topic_length {
    uint32_t size;  /* of prefixes */
    uint32_t count; /* so many have it; 0 only while one is being added */
};

__extension__ typedef unsigned __int128 wide;

static inline uint64_t mix(uint64_t a, uint64_t b)
{
    wide product = (wide)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* The eight bytes at `at`, with zeros for what is beyond the end. */
static inline uint64_t word_at(const uint8_t *data, size_t size, size_t at)
{
    uint64_t word = 0;
    if (zu_likely(size - at >= sizeof word))
        memcpy(&word, data + at, sizeof word);
    else if (size > at)
        memcpy(&word, data + at, size - at);
    return le64toh(word);
}

static inline uint64_t hash_word(const struct zu_topics *topics, uint64_t state, uint64_t word)
{
    return mix(state ^ word, topics->word_key);
}

/* Its first `size` bytes, with zeros for the others. */
static inline uint64_t word_within(uint64_t word, size_t size)
{
    return size == sizeof word ? word : word & (((uint64_t)1 << size * 8) - 1);
}

/* Of a prefix that ends within `word`. */
static inline uint32_t hash_end(const struct zu_topics *topics, uint64_t state, uint64_t word, size_t size)
{
    return (uint32_t)mix(state ^ word_within(word, size % sizeof word), topics->tail_key + size);
}

static uint32_t hash_of(const struct zu_topics *topics, const uint8_t *data, size_t size)
{
    uint64_t state = topics->seed;
    size_t at = 0;
    for (; size - at >= 8; at += 8)
        state = hash_word(topics, state, word_at(data, size, at));
    return hash_end(topics, state, word_at(data, size, at), size);
}

static inline bool is_stem(size_t at)
{
    return at <= STEM_FINE || ((at & (at - 1)) == 0 && at <= STEM_LAST);
}

static inline bool stem_is_set(const struct zu_topics *topics, uint64_t state)
{
    return topics->stems[state >> 3 & (topics->slot_count - 1)] >> (state & 7) & 1;
}

static void stems_set(struct zu_topics *topics, const struct zu_topic *topic)
{
    uint64_t state = topics->seed;
    for (size_t at = STEM_STEP; at <= topic->size && at <= STEM_LAST; at += STEM_STEP) {
        state = hash_word(topics, state, word_at(topic->data, topic->size, at - STEM_STEP));
        if (is_stem(at))
            topics->stems[state >> 3 & (topics->slot_count - 1)] |= (uint8_t)(1u << (state & 7));
    }
}

static inline struct zu_topic *slot_topic(const struct zu_topic_slot *slot)
{
    return (struct zu_topic *)(slot->topic & ~(uintptr_t)SLOT_TAG);
}

/* The slot of the prefix, or `slot_count`. `word`: the first of the bytes; a prefix no longer than that is not fetched. */
ZU_INLINE uint32_t table_find(const struct zu_topics *topics, uint32_t hash, uint64_t word, const uint8_t *data,
                              size_t size)
{
    uint32_t mask = topics->slot_count - 1;
    bool is_short = size <= sizeof word;
    uint64_t key = is_short ? word_within(word, size) : hash;
    for (uint32_t at = hash & mask; topics->slots[at].topic != 0; at = (at + 1) & mask) {
        const struct zu_topic_slot *slot = &topics->slots[at];
        if (slot->key != key || (slot->topic & SLOT_TAG) != (is_short ? size : 0))
            continue;
        if (is_short || (slot_topic(slot)->size == size && memcmp(slot_topic(slot)->data, data, size) == 0))
            return at;
    }
    return topics->slot_count;
}

static struct zu_topic *topic_find(const struct zu_topics *topics, const uint8_t *data, size_t size)
{
    if (size == 0)
        return topics->empty;
    if (topics->used == 0)
        return NULL;
    uint32_t at = table_find(topics, hash_of(topics, data, size), word_at(data, size, 0), data, size);
    return at == topics->slot_count ? NULL : slot_topic(&topics->slots[at]);
}

static void table_put(struct zu_topics *topics, struct zu_topic *topic, uint32_t hash)
{
    uint32_t mask = topics->slot_count - 1, at = hash & mask;
    while (topics->slots[at].topic != 0)
        at = (at + 1) & mask;
    bool is_short = topic->size <= sizeof(uint64_t);
    assert(((uintptr_t)topic & SLOT_TAG) == 0);
    topics->slots[at].topic = (uintptr_t)topic | (is_short ? topic->size : 0);
    topics->slots[at].key = is_short ? word_at(topic->data, topic->size, 0) : hash;
    stems_set(topics, topic);
}

/* Of what lies there. */
static uint32_t slot_hash(const struct zu_topics *topics, const struct zu_topic_slot *slot)
{
    uint64_t word = htole64(slot->key);
    size_t size = slot->topic & SLOT_TAG;
    return size ? hash_of(topics, (const uint8_t *)&word, size) : (uint32_t)slot->key;
}

static size_t table_bytes(uint32_t slot_count)
{
    return slot_count * (sizeof(struct zu_topic_slot) + sizeof(uint8_t));
}

/* `slot_count` 0 frees it. */
static int table_resize(struct zu_topics *topics, uint32_t slot_count)
{
    struct zu_topics old = *topics;
    struct zu_topic_slot *slots = slot_count ? zu_alloc_zero(table_bytes(slot_count)) : NULL;
    if (slot_count && !slots)
        return -ENOMEM;
    topics->slots = slots;
    topics->stems = slot_count ? (uint8_t *)(slots + slot_count) : NULL;
    topics->slot_count = slot_count;
    topics->stale = 0;
    for (uint32_t at = 0; at < old.slot_count; at++)
        if (old.slots[at].topic != 0)
            table_put(topics, slot_topic(&old.slots[at]), slot_hash(topics, &old.slots[at]));
    topics->bytes += table_bytes(slot_count) - table_bytes(old.slot_count);
    zu_free(old.slots, table_bytes(old.slot_count));
    return 0;
}

/* Room for one more: at most three quarters are used. */
static int table_reserve(struct zu_topics *topics)
{
    if ((uint64_t)topics->used * 4 < (uint64_t)topics->slot_count * 3)
        return 0;
    if (topics->slot_count > UINT32_MAX / 4)
        return -ENOMEM;
    return table_resize(topics, topics->slot_count ? topics->slot_count * 2 : SLOTS_MIN);
}

static void table_trim(struct zu_topics *topics)
{
    if (topics->used == 0 && topics->slot_count != 0)
        table_resize(topics, 0);
    else if (topics->used < topics->slot_count / 8 && topics->slot_count > SLOTS_MIN)
        table_resize(topics, topics->slot_count / 2);
    if (topics->stale <= topics->slot_count / 2)
        return;
    memset(topics->stems, 0, topics->slot_count);
    topics->stale = 0;
    for (uint32_t at = 0; at < topics->slot_count; at++)
        if (topics->slots[at].topic != 0)
            stems_set(topics, slot_topic(&topics->slots[at]));
}

/* Those behind the gap that would no longer be found move up into it. */
static void table_take(struct zu_topics *topics, uint32_t gap)
{
    uint32_t mask = topics->slot_count - 1;
    for (uint32_t at = (gap + 1) & mask; topics->slots[at].topic != 0; at = (at + 1) & mask) {
        if (((at - slot_hash(topics, &topics->slots[at])) & mask) < ((at - gap) & mask))
            continue;
        topics->slots[gap] = topics->slots[at];
        gap = at;
    }
    topics->slots[gap] = (struct zu_topic_slot){0};
    topics->used--;
    topics->stale++;
}

/*
 * Room for `count` items: doubles, halves where three quarters would lie idle, frees at 0. Fails only when it must grow.
 * `memory` is the array, as a pointer to anything.
 */
static int array_fit(struct zu_topics *topics, void **memory, uint32_t *capacity, uint64_t count, size_t item)
{
    uint64_t wanted = *capacity;
    if (count > wanted)
        wanted = wanted ? wanted * 2 : 2;
    else if (count <= wanted / 4)
        wanted = count ? wanted / 2 : 0;
    if (wanted == *capacity)
        return 0;
    if (wanted > UINT32_MAX)
        return -ENOMEM;
    void *moved = NULL;
    if (wanted == 0)
        zu_free(*memory, *capacity * item);
    else if (!(moved = zu_realloc(*memory, *capacity * item, wanted * item)))
        return count > *capacity ? -ENOMEM : 0;
    topics->bytes += (wanted - *capacity) * item;
    *memory = moved;
    *capacity = (uint32_t)wanted;
    return 0;
}

static int own_fit(struct zu_topics *topics, struct zu_topic_subscriber *subscriber, uint64_t count)
{
    void *memory = subscriber->own;
    int err = array_fit(topics, &memory, &subscriber->own_capacity, count, sizeof *subscriber->own);
    subscriber->own = memory;
    return err;
}

static int lengths_fit(struct zu_topics *topics, uint64_t count)
{
    void *memory = topics->lengths;
    int err = array_fit(topics, &memory, &topics->length_capacity, count, sizeof *topics->lengths);
    topics->lengths = memory;
    return err;
}

/* Where the length is or belongs. */
static uint32_t length_find(const struct zu_topics *topics, uint32_t size)
{
    uint32_t low = 0, high = topics->length_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (topics->lengths[middle].size < size)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* There is room for another. */
static void length_count_up(struct zu_topics *topics, uint32_t size)
{
    uint32_t at = length_find(topics, size);
    if (at == topics->length_count || topics->lengths[at].size != size) {
        memmove(topics->lengths + at + 1, topics->lengths + at, (topics->length_count - at) * sizeof *topics->lengths);
        topics->lengths[at] = (struct zu_topic_length){.size = size};
        topics->length_count++;
    }
    topics->lengths[at].count++;
}

static void length_count_down(struct zu_topics *topics, uint32_t size)
{
    uint32_t at = length_find(topics, size);
    if (--topics->lengths[at].count > 0)
        return;
    topics->length_count--;
    memmove(topics->lengths + at, topics->lengths + at + 1, (topics->length_count - at) * sizeof *topics->lengths);
    lengths_fit(topics, topics->length_count);
}

static inline struct subscription *topic_subscriptions(const struct zu_topic *topic)
{
    return topic->count > 1 ? topic->crowd.list : (struct subscription *)&topic->one;
}

/* Where the subscriber is or belongs. */
static uint32_t subscriber_place(const struct zu_topic *topic, const struct zu_topic_subscriber *subscriber)
{
    const struct subscription *list = topic_subscriptions(topic);
    uint32_t low = 0, high = topic->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if ((uintptr_t)list[middle].subscriber < (uintptr_t)subscriber)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct subscription *subscription_find(struct zu_topic *topic, const struct zu_topic_subscriber *subscriber)
{
    uint32_t at = subscriber_place(topic, subscriber);
    struct subscription *list = topic_subscriptions(topic);
    return at < topic->count && list[at].subscriber == subscriber ? &list[at] : NULL;
}

static int crowd_fit(struct zu_topics *topics, struct crowd *crowd, uint64_t count)
{
    void *memory = crowd->list;
    int err = array_fit(topics, &memory, &crowd->capacity, count, sizeof *crowd->list);
    crowd->list = memory;
    return err;
}

/* The subscriber does not have it yet, and has room for it in its own list. */
static int topic_join(struct zu_topics *topics, struct zu_topic *topic, struct zu_topic_subscriber *subscriber)
{
    struct subscription fresh = {.subscriber = subscriber, .count = 1, .own = subscriber->own_count};
    uint32_t at = subscriber_place(topic, subscriber);
    if (topic->count == 0) {
        topic->one = fresh;
    } else {
        struct crowd crowd = topic->count > 1 ? topic->crowd : (struct crowd){0};
        if (crowd_fit(topics, &crowd, (uint64_t)topic->count + 1))
            return -ENOMEM;
        if (topic->count == 1)
            crowd.list[0] = topic->one;
        memmove(crowd.list + at + 1, crowd.list + at, (topic->count - at) * sizeof *crowd.list);
        crowd.list[at] = fresh;
        topic->crowd = crowd;
    }
    topic->count++;
    subscriber->own[subscriber->own_count++] = topic;
    subscriber->own_bytes += topic->size;
    return 0;
}

static void topic_free(struct zu_topics *topics, struct zu_topic *topic)
{
    size_t bytes = offsetof(struct zu_topic, data) + topic->size;
    topics->bytes -= bytes;
    zu_free(topic, bytes);
}

/* The subscription leaves the prefix; a prefix that nobody has leaves the index. */
static void topic_leave(struct zu_topics *topics, struct zu_topic *topic, struct subscription *subscription)
{
    if (--topic->count == 0) {
        if (topic->size == 0) {
            topics->empty = NULL;
        } else {
            uint32_t hash = hash_of(topics, topic->data, topic->size);
            uint64_t word = word_at(topic->data, topic->size, 0);
            table_take(topics, table_find(topics, hash, word, topic->data, topic->size));
            length_count_down(topics, topic->size);
        }
        topic_free(topics, topic);
        table_trim(topics);
        return;
    }
    struct crowd crowd = topic->crowd;
    uint32_t at = (uint32_t)(subscription - crowd.list);
    memmove(crowd.list + at, crowd.list + at + 1, (topic->count - at) * sizeof *crowd.list);
    if (topic->count > 1) {
        crowd_fit(topics, &topic->crowd, topic->count);
        return;
    }
    topic->one = crowd.list[0];
    crowd_fit(topics, &crowd, 0);
}

/* A prefix that nobody has had. */
static int topic_enter(struct zu_topics *topics, const uint8_t *data, size_t size,
                       struct zu_topic_subscriber *subscriber)
{
    if (size > UINT32_MAX)
        return -ENOMEM;
    if (size > 0 && (table_reserve(topics) || lengths_fit(topics, (uint64_t)topics->length_count + 1)))
        return -ENOMEM;
    size_t bytes = offsetof(struct zu_topic, data) + size;
    struct zu_topic *topic = zu_alloc(bytes);
    if (!topic)
        return -ENOMEM;
    topics->bytes += bytes;
    topic->count = 0;
    topic->size = (uint32_t)size;
    if (size > 0) {
        memcpy(topic->data, data, size);
        table_put(topics, topic, hash_of(topics, data, size));
        topics->used++;
        length_count_up(topics, topic->size);
    } else {
        topics->empty = topic;
    }
    topic_join(topics, topic, subscriber);
    return 0;
}

void zu_topics_init(struct zu_topics *topics)
{
    uint64_t keys[3];
    *topics = (struct zu_topics){.round = 1};
    zu_list_init(&topics->matched);
    if (getrandom(keys, sizeof keys, GRND_NONBLOCK) != (ssize_t)sizeof keys)
        for (unsigned i = 0; i < 3; i++)
            keys[i] = mix(zu_clock_ns() + i, (uintptr_t)topics ^ 0x9e3779b97f4a7c15);
    topics->seed = keys[0];
    topics->word_key = keys[1] | 1;
    topics->tail_key = keys[2];
}

void zu_topics_subscriber_init(struct zu_topic_subscriber *subscriber)
{
    *subscriber = (struct zu_topic_subscriber){0};
    zu_list_init(&subscriber->matched);
}

int zu_topics_add(struct zu_topics *topics, const void *data, size_t size, struct zu_topic_subscriber *subscriber,
                  unsigned *ret_touched)
{
    struct zu_topic *topic = topic_find(topics, data, size);
    struct subscription *subscription = topic ? subscription_find(topic, subscriber) : NULL;
    if (subscription) {
        if (subscription->count == UINT32_MAX)
            return -ENOMEM;
        subscription->count++;
        *ret_touched = 0;
        return 0;
    }
    int err = own_fit(topics, subscriber, (uint64_t)subscriber->own_count + 1);
    if (!err)
        err = topic ? topic_join(topics, topic, subscriber) : topic_enter(topics, data, size, subscriber);
    if (err) {
        own_fit(topics, subscriber, subscriber->own_count);
        lengths_fit(topics, topics->length_count);
        table_trim(topics);
        return err;
    }
    topics->settled = false;
    *ret_touched = topic ? ZU_TOPIC_OWN : ZU_TOPIC_OWN | ZU_TOPIC_ALL;
    return 0;
}

int zu_topics_remove(struct zu_topics *topics, const void *data, size_t size, struct zu_topic_subscriber *subscriber,
                     unsigned *ret_touched)
{
    struct zu_topic *topic = topic_find(topics, data, size);
    struct subscription *subscription = topic ? subscription_find(topic, subscriber) : NULL;
    if (!subscription)
        return -ENOENT;
    *ret_touched = 0;
    if (--subscription->count > 0)
        return 0;
    *ret_touched = topic->count > 1 ? ZU_TOPIC_OWN : ZU_TOPIC_OWN | ZU_TOPIC_ALL;
    topics->settled = false;
    struct zu_topic *last = subscriber->own[--subscriber->own_count];
    subscriber->own[subscription->own] = last;
    subscription_find(last, subscriber)->own = subscription->own;
    subscriber->own_bytes -= size;
    own_fit(topics, subscriber, subscriber->own_count);
    topic_leave(topics, topic, subscription);
    return 0;
}

void zu_topics_remove_all(struct zu_topics *topics, struct zu_topic_subscriber *subscriber, zu_topics_gone_fn *gone,
                          void *context)
{
    for (uint32_t at = 0; at < subscriber->own_count; at++) {
        struct zu_topic *topic = subscriber->own[at];
        struct subscription *subscription = subscription_find(topic, subscriber);
        if (gone)
            gone(context, topic->data, topic->size, topic->count == 1, subscription->count);
        topic_leave(topics, topic, subscription);
    }
    subscriber->own_count = 0;
    subscriber->own_bytes = 0;
    own_fit(topics, subscriber, 0);
    if (zu_topics_is_matched(topics, subscriber))
        zu_list_remove(&subscriber->matched);
    subscriber->round = 0;
    topics->settled = false;
}

static void topic_collect(struct zu_topics *topics, const struct zu_topic *topic)
{
    const struct subscription *list = topic_subscriptions(topic);
    for (uint32_t i = 0; i < topic->count; i++) {
        struct zu_topic_subscriber *subscriber = list[i].subscriber;
        if (zu_topics_is_matched(topics, subscriber))
            continue;
        subscriber->round = topics->round;
        zu_list_append(&topics->matched, &subscriber->matched);
    }
}

/* On a message, from one beginning that is a prefix to the next; the empty one is the caller's to look at. */
struct walk {
    const uint8_t *data;
    size_t size;     /* of the message */
    uint64_t state;  /* of the hash of the words before `at` */
    uint64_t word;   /* at `at` */
    size_t at;       /* multiple of 8 */
    uint64_t first;  /* at 0 */
    uint32_t length; /* the next to look at, in zu_topics.lengths */
};

ZU_INLINE struct walk walk_begin(const struct zu_topics *topics, const void *data, size_t size)
{
    uint64_t word = word_at(data, size, 0);
    return (struct walk){.data = data, .size = size, .state = topics->seed, .word = word, .first = word};
}

ZU_INLINE const struct zu_topic *walk_on(const struct zu_topics *topics, struct walk *walk)
{
    while (walk->length < topics->length_count && topics->lengths[walk->length].size <= walk->size) {
        size_t size = topics->lengths[walk->length++].size;
        while (walk->at + STEM_STEP <= size) {
            walk->state = hash_word(topics, walk->state, walk->word);
            walk->at += STEM_STEP;
            if (is_stem(walk->at) && !stem_is_set(topics, walk->state))
                return NULL;
            walk->word = word_at(walk->data, walk->size, walk->at);
        }
        uint32_t hash = hash_end(topics, walk->state, walk->word, size);
        uint32_t slot = table_find(topics, hash, walk->first, walk->data, size);
        if (slot != topics->slot_count)
            return slot_topic(&topics->slots[slot]);
    }
    return NULL;
}

void zu_topics_match(struct zu_topics *topics, const void *data, size_t size)
{
    if (topics->settled)
        return;
    topics->round++;
    zu_list_init(&topics->matched);
    if (topics->empty)
        topic_collect(topics, topics->empty);
    topics->settled = topics->used == 0;
    if (topics->settled)
        return;
    struct walk walk = walk_begin(topics, data, size);
    const struct zu_topic *topic;
    while ((topic = walk_on(topics, &walk)))
        topic_collect(topics, topic);
}

bool zu_topics_matches(const struct zu_topics *topics, const void *data, size_t size)
{
    if (topics->empty || topics->used == 0)
        return topics->empty != NULL;
    struct walk walk = walk_begin(topics, data, size);
    return walk_on(topics, &walk) != NULL;
}

const void *zu_topics_own(const struct zu_topic_subscriber *subscriber, uint32_t at, size_t *ret_size,
                          uint32_t *ret_count)
{
    struct zu_topic *topic = subscriber->own[at];
    *ret_size = topic->size;
    *ret_count = subscription_find(topic, subscriber)->count;
    return topic->data;
}
