/* SPDX-License-Identifier: MIT */
/*
 * The index of subscriptions: a counted set of (subscriber, prefix). It says who wants a message, and lists what one
 * subscriber wants. One thread uses it. Without subscriptions it holds no memory, so there is no fini.
 */
#ifndef ZU_FLOW_TOPICS_H
#define ZU_FLOW_TOPICS_H

#include <stdbool.h>

#include "base/list.h"

struct zu_topic;
struct zu_topic_length;

/* What a change touched: the subscriber's count of the prefix, or everybody's, came from or went to 0. */
enum { ZU_TOPIC_OWN = 1, ZU_TOPIC_ALL = 2 };

/* Embedded in whoever subscribes; SUB and XSUB have one for themselves. */
struct zu_topic_subscriber {
    struct zu_link matched; /* in zu_topics.matched, while `round` is the index's */
    uint64_t round;         /* of the last match that found it */
    struct zu_topic **own;  /* its prefixes, each once */
    uint32_t own_count;     /* so many */
    uint32_t own_capacity;  /* for so many is room */
    size_t own_bytes;       /* of the prefixes themselves */
};

/* A place of the table. */
struct zu_topic_slot {
    uintptr_t topic; /* its address, and in the low bits its length where that is at most a word; 0: empty */
    uint64_t key;    /* that word, or else the hash */
};

/* The socket's thread. */
struct zu_topics {
    struct zu_link matched;          /* whom the last match found */
    uint64_t round;                  /* number of the last match, from 1 */
    struct zu_topic *empty;          /* the empty prefix, which is not in the table; or NULL */
    struct zu_topic_length *lengths; /* the others' lengths, ascending */
    uint32_t length_count;           /* so many */
    uint32_t length_capacity;        /* for so many is room */
    struct zu_topic_slot *slots;     /* the table: open, linear; its memory holds the next one as well */
    uint8_t *stems;                  /* bits: how prefixes begin (topics.c) */
    uint32_t slot_count;             /* power of two, or 0 */
    uint32_t used;                   /* slots in use */
    uint32_t stale;                  /* removals whose stems are still set */
    bool settled;                    /* `matched` is what `empty`, alone in the index, says */
    uint64_t seed;                   /* of the hash; secret, as the next two, so that no peer can aim at a slot */
    uint64_t word_key;               /* for eight bytes that go on */
    uint64_t tail_key;               /* for the last ones */
    size_t bytes;                    /* allocated, subscribers' lists included */
};

void zu_topics_init(struct zu_topics *topics);
/* It must leave by zu_topics_remove_all, before the index or itself goes. */
void zu_topics_subscriber_init(struct zu_topic_subscriber *subscriber);

/* 0, and in `ret_touched` whether the prefix is new for the subscriber and for all; -ENOMEM: nothing has changed. */
int zu_topics_add(struct zu_topics *topics, const void *data, size_t size, struct zu_topic_subscriber *subscriber,
                  unsigned *ret_touched);
/* 0, and in `ret_touched` whether it was the subscriber's last and the last of all; -ENOENT: it had no such prefix. */
int zu_topics_remove(struct zu_topics *topics, const void *data, size_t size, struct zu_topic_subscriber *subscriber,
                     unsigned *ret_touched);

/*
 * Called for each prefix of a subscriber that leaves: how often it had it, and whether nobody else has. It must leave the
 * index alone; the bytes are valid during the call.
 */
typedef void zu_topics_gone_fn(void *context, const void *data, size_t size, bool last_of_all, uint32_t count);
/* Takes it out of `matched` as well. `gone` may be NULL. It may subscribe anew. */
void zu_topics_remove_all(struct zu_topics *topics, struct zu_topic_subscriber *subscriber, zu_topics_gone_fn *gone,
                          void *context);

/*
 * Finds all who have a prefix of the message: they are in `matched`, each once, until the next match, whatever is added or
 * removed in between. Allocates nothing.
 */
void zu_topics_match(struct zu_topics *topics, const void *data, size_t size);
/* Whether anybody has a prefix of the message; leaves `matched` alone. */
bool zu_topics_matches(const struct zu_topics *topics, const void *data, size_t size);

/* Whether the last match found it: for who sends to all others. */
ZU_INLINE bool zu_topics_is_matched(const struct zu_topics *topics, const struct zu_topic_subscriber *subscriber)
{
    return subscriber->round == topics->round;
}

/* The subscriber whose link in `matched` this is: for zu_list_each(link, after, &topics->matched). */
ZU_INLINE struct zu_topic_subscriber *zu_topics_matched(struct zu_link *link)
{
    return zu_container_of(link, struct zu_topic_subscriber, matched);
}

/*
 * The subscriber's prefix number `at`, below own_count; valid until the index changes. A change may alter the order:
 * adding appends, removing moves the last one into the gap.
 */
const void *zu_topics_own(const struct zu_topic_subscriber *subscriber, uint32_t at, size_t *ret_size,
                          uint32_t *ret_count);

/* Distinct prefixes, over all subscribers. */
ZU_INLINE size_t zu_topics_count(const struct zu_topics *topics)
{
    return (size_t)topics->used + (topics->empty != NULL);
}

ZU_INLINE size_t zu_topics_bytes(const struct zu_topics *topics)
{
    return topics->bytes;
}

/* An estimate of what one subscriber makes the index hold, for a bound on that. */
ZU_INLINE size_t zu_topics_own_bytes(const struct zu_topic_subscriber *subscriber)
{
    return subscriber->own_bytes + (size_t)subscriber->own_count * 100;
}

#endif
