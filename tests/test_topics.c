/* SPDX-License-Identifier: MIT */
/* The index of subscriptions: against a plain list at random, want of memory, hostile sets, and what it weighs. */
#include "flow/topics.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mem/alloc.h"
#include "sanitized.h"

extern int mallctl(const char *name, void *old, size_t *old_size, void *new, size_t new_size) __attribute__((weak));

enum { CROWD = 9, PAIRS = 4000, PREFIX_MAX = 80 };

static struct zu_topics topics;
static struct zu_topic_subscriber crowd[CROWD];

/* What the index should say: one row for each subscriber and prefix. */
static struct pair {
    unsigned who;             /* index in crowd */
    unsigned count;           /* so often */
    size_t size;              /* of the prefix */
    uint8_t data[PREFIX_MAX]; /* the prefix */
} pairs[PAIRS];
static unsigned pair_count;
static unsigned goes_seen; /* calls of on_gone for one departure */

static void begin(void)
{
    zu_topics_init(&topics);
    for (unsigned i = 0; i < CROWD; i++)
        zu_topics_subscriber_init(&crowd[i]);
    pair_count = 0;
}

static void end(void)
{
    for (unsigned i = 0; i < CROWD; i++)
        zu_topics_remove_all(&topics, &crowd[i], NULL, NULL);
    cr_assert_eq(zu_topics_count(&topics), 0u);
    cr_assert_eq(zu_topics_bytes(&topics), 0u);
}

static struct pair *pair_find(unsigned who, const void *data, size_t size)
{
    for (unsigned i = 0; i < pair_count; i++)
        if (pairs[i].who == who && pairs[i].size == size && !memcmp(pairs[i].data, data, size))
            return &pairs[i];
    return NULL;
}

static unsigned pair_holders(const void *data, size_t size)
{
    unsigned holders = 0;
    for (unsigned who = 0; who < CROWD; who++)
        holders += pair_find(who, data, size) != NULL;
    return holders;
}

static void model_add(unsigned who, const void *data, size_t size)
{
    struct pair *pair = pair_find(who, data, size);
    unsigned touched = 99, want = pair ? 0 : pair_holders(data, size) ? ZU_TOPIC_OWN : ZU_TOPIC_OWN | ZU_TOPIC_ALL;
    if (!pair && pair_count == PAIRS)
        return;
    cr_assert_eq(zu_topics_add(&topics, data, size, &crowd[who], &touched), 0);
    cr_assert_eq(touched, want);
    if (!pair) {
        pair = &pairs[pair_count++];
        *pair = (struct pair){.who = who, .size = size};
        memcpy(pair->data, data, size);
    }
    pair->count++;
}

static void model_remove(unsigned who, const void *data, size_t size)
{
    struct pair *pair = pair_find(who, data, size);
    unsigned touched = 99;
    int err = zu_topics_remove(&topics, data, size, &crowd[who], &touched);
    if (!pair) {
        cr_assert_eq(err, -ENOENT);
        cr_assert_eq(touched, 99u);
        return;
    }
    cr_assert_eq(err, 0);
    unsigned want = pair->count > 1 ? 0 : pair_holders(data, size) > 1 ? ZU_TOPIC_OWN : ZU_TOPIC_OWN | ZU_TOPIC_ALL;
    cr_assert_eq(touched, want);
    if (--pair->count == 0)
        *pair = pairs[--pair_count];
}

static void model_remove_some(unsigned at)
{
    struct pair pair = pairs[at];
    model_remove(pair.who, pair.data, pair.size);
}

static void on_gone(void *context, const void *data, size_t size, bool last_of_all, uint32_t count)
{
    unsigned who = *(unsigned *)context;
    struct pair *pair = pair_find(who, data, size);
    cr_assert_not_null(pair);
    cr_assert_eq(pair->count, count);
    cr_assert_eq(pair_holders(data, size) == 1, last_of_all);
    *pair = pairs[--pair_count];
    goes_seen++;
}

static void model_depart(unsigned who)
{
    unsigned own = crowd[who].own_count;
    goes_seen = 0;
    zu_topics_remove_all(&topics, &crowd[who], on_gone, &who);
    cr_assert_eq(goes_seen, own);
    for (unsigned i = 0; i < pair_count; i++)
        cr_assert_neq(pairs[i].who, who);
}

static unsigned matched_set(void)
{
    unsigned set = 0;
    zu_list_each(link, after, &topics.matched)
    {
        unsigned bit = 1u << (zu_topics_matched(link) - crowd);
        cr_assert_not(set & bit, "nobody is found twice");
        set |= bit;
    }
    return set;
}

static unsigned match(const void *data, size_t size)
{
    zu_topics_match(&topics, data, size);
    unsigned set = matched_set();
    for (unsigned who = 0; who < CROWD; who++)
        cr_assert_eq(zu_topics_is_matched(&topics, &crowd[who]), (set >> who & 1) != 0);
    cr_assert_eq(zu_topics_matches(&topics, data, size), set != 0);
    return set;
}

static void model_match(const void *data, size_t size)
{
    unsigned want = 0;
    for (unsigned i = 0; i < pair_count; i++)
        if (pairs[i].size <= size && !memcmp(pairs[i].data, data, pairs[i].size))
            want |= 1u << pairs[i].who;
    cr_assert_eq(match(data, size), want);
}

/* The lists of the subscribers, and the counters. */
static void model_compare(void)
{
    unsigned distinct = 0, listed = 0;
    for (unsigned i = 0; i < pair_count; i++) {
        bool is_first = true;
        for (unsigned who = 0; who < pairs[i].who; who++)
            is_first = is_first && !pair_find(who, pairs[i].data, pairs[i].size);
        distinct += is_first;
    }
    cr_assert_eq(zu_topics_count(&topics), distinct);
    for (unsigned who = 0; who < CROWD; who++) {
        size_t bytes = 0;
        for (uint32_t at = 0; at < crowd[who].own_count; at++, listed++) {
            size_t size;
            uint32_t count;
            const void *data = zu_topics_own(&crowd[who], at, &size, &count);
            struct pair *pair = pair_find(who, data, size);
            cr_assert_not_null(pair);
            cr_assert_eq(pair->count, count);
            bytes += size;
        }
        cr_assert_eq(crowd[who].own_bytes, bytes);
    }
    cr_assert_eq(listed, pair_count);
    cr_assert_eq(zu_topics_bytes(&topics) == 0, pair_count == 0);
}

/* Few letters, so that prefixes overlap; now and then a long run of one, so that they do so to a great depth. */
static size_t random_text(unsigned *seed, uint8_t *ret_text, unsigned letters)
{
    size_t size = (size_t)rand_r(seed) % (rand_r(seed) % 4 ? 8 : PREFIX_MAX);
    bool is_run = rand_r(seed) % 4 == 0;
    for (size_t i = 0; i < size; i++)
        ret_text[i] = (uint8_t)(is_run ? 0 : (unsigned)rand_r(seed) % letters);
    return size;
}

static void random_round(unsigned *seed, unsigned letters, unsigned steps)
{
    begin();
    for (unsigned step = 0; step < steps; step++) {
        uint8_t text[PREFIX_MAX];
        size_t size = random_text(seed, text, letters);
        unsigned who = (unsigned)rand_r(seed) % CROWD, dice = (unsigned)rand_r(seed) % 16;
        /* Tides: more is added, then more is removed. */
        unsigned adds = step / 500 % 2 ? 2 : 6;
        if (dice < 6)
            model_match(text, size);
        else if (dice < 6 + adds)
            model_add(who, text, size);
        else if (dice < 14 && pair_count > 0)
            model_remove_some(step % pair_count);
        else
            model_remove(who, text, size);
        if (rand_r(seed) % 400 == 0)
            model_depart(who);
        if (step % 100 == 0)
            model_compare();
    }
    for (unsigned who = 0; who < CROWD; who++)
        model_depart(who);
    model_compare();
    end();
}

Test(topics, agrees_with_a_plain_list)
{
    unsigned seed = (unsigned)time(NULL);
    fprintf(stderr, "topics seed %u\n", seed);
    random_round(&seed, 1, 3000);
    random_round(&seed, 2, 6000);
    random_round(&seed, 4, 6000);
    random_round(&seed, 256, 3000);
}

Test(topics, want_of_memory_changes_nothing)
{
    unsigned seed = (unsigned)time(NULL);
    fprintf(stderr, "topics seed %u\n", seed);
    begin();
    unsigned refused = 0;
    for (unsigned step = 0; step < 2000; step++) {
        uint8_t text[PREFIX_MAX];
        size_t size = random_text(&seed, text, 3);
        unsigned who = (unsigned)rand_r(&seed) % CROWD, touched = 99;
        for (unsigned from = 1;; from++) {
            bool was_empty = zu_topics_bytes(&topics) == 0;
            zu_alloc_fail_from = from;
            int err = zu_topics_add(&topics, text, size, &crowd[who], &touched);
            bool has_failed = zu_alloc_fail_from == 1;
            zu_alloc_fail_from = 0;
            if (!err) {
                cr_assert_eq(zu_topics_remove(&topics, text, size, &crowd[who], &touched), 0);
                break;
            }
            cr_assert_eq(err, -ENOMEM);
            cr_assert(has_failed);
            cr_assert_eq(touched, 99u);
            cr_assert(!was_empty || zu_topics_bytes(&topics) == 0);
            refused++;
            model_match(text, size);
        }
        if (step % 50 == 0)
            model_compare();
        if (pair_count < 500) {
            model_add(who, text, size);
        } else {
            /* What is removed needs no memory. */
            zu_alloc_fail_from = 1;
            model_depart(who);
            zu_alloc_fail_from = 0;
        }
    }
    cr_assert_gt(refused, 100u);
    zu_alloc_fail_from = 1;
    end();
    zu_alloc_fail_from = 0;
}

Test(topics, everybody_and_nobody)
{
    unsigned touched;
    begin();
    cr_assert_eq(match("", 0), 0u);
    cr_assert_eq(match("a", 1), 0u);
    for (unsigned who = 0; who < CROWD; who++) {
        model_add(who, "", 0);
        cr_assert_eq(match("a", 1), (2u << who) - 1);
        cr_assert_eq(match(NULL, 0), (2u << who) - 1);
    }
    model_depart(3);
    cr_assert_eq(match("a", 1), 0x1f7u);
    model_remove(0, "", 0);
    model_add(0, "ab", 2);
    cr_assert_eq(match("a", 1), 0x1f6u);
    cr_assert_eq(match("ab", 2), 0x1f7u);
    cr_assert_eq(zu_topics_remove(&topics, "", 0, &crowd[3], &touched), -ENOENT);
    cr_assert_eq(zu_topics_remove(&topics, "a", 1, &crowd[0], &touched), -ENOENT);
    cr_assert_eq(zu_topics_remove(&topics, "abc", 3, &crowd[0], &touched), -ENOENT);
    cr_assert_eq(zu_topics_remove(&topics, "ab\0", 3, &crowd[0], &touched), -ENOENT);
    end();
}

Test(topics, a_match_outlasts_changes_but_not_a_departure)
{
    begin();
    model_add(0, "a", 1);
    model_add(1, "a", 1);
    model_add(2, "", 0);
    cr_assert_eq(match("a", 1), 7u);
    model_remove(0, "a", 1);
    model_add(3, "a", 1);
    cr_assert_eq(matched_set(), 7u);
    model_depart(1);
    cr_assert_eq(matched_set(), 5u);
    cr_assert_not(zu_topics_is_matched(&topics, &crowd[1]));
    model_depart(0);
    model_add(0, "b", 1);
    cr_assert_eq(matched_set(), 4u);
    cr_assert_eq(match("a", 1), 12u);
    end();
}

/* A prefix of a million letters, and a ladder below it: more than the stack below would bear as calls. */
enum { LADDER = 3000, LONG = 1000000, SMALL_STACK = 64 * 1024 };

static void *climb(void *text)
{
    unsigned touched;
    for (uint32_t size = 0; size < LADDER; size++)
        cr_assert_eq(zu_topics_add(&topics, text, size, &crowd[size % CROWD], &touched), 0);
    cr_assert_eq(zu_topics_add(&topics, text, LONG, &crowd[0], &touched), 0);
    cr_assert_eq(match(text, LONG), (1u << CROWD) - 1);
    cr_assert_eq(match(text, 1), 3u);
    for (uint32_t size = 1; size < LADDER; size += 2)
        cr_assert_eq(zu_topics_remove(&topics, text, size, &crowd[size % CROWD], &touched), 0);
    cr_assert_eq(zu_topics_count(&topics), LADDER / 2 + 1);
    cr_assert_eq(match(text, 1), 1u);
    end();
    return text;
}

Test(topics, depth_needs_no_stack)
{
    begin();
    char *text = malloc(LONG);
    memset(text, 'x', LONG);
    pthread_attr_t attributes;
    pthread_t thread;
    void *done = NULL;
    cr_assert_eq(pthread_attr_init(&attributes), 0);
    cr_assert_eq(pthread_attr_setstacksize(&attributes, SMALL_STACK), 0);
    cr_assert_eq(pthread_create(&thread, &attributes, climb, text), 0);
    cr_assert_eq(pthread_join(thread, &done), 0);
    cr_assert_eq(done, text);
    pthread_attr_destroy(&attributes);
    free(text);
}

Test(topics, every_letter_at_every_end)
{
    begin();
    uint8_t text[20] = {0};
    unsigned touched;
    for (unsigned size = 1; size <= sizeof text; size++)
        for (unsigned letter = 0; letter < 256; letter++) {
            text[size - 1] = (uint8_t)letter;
            cr_assert_eq(zu_topics_add(&topics, text, size, &crowd[letter % CROWD], &touched), 0);
            cr_assert_eq(match(text, size) >> letter % CROWD & 1, 1u);
            text[size - 1] = 0;
        }
    cr_assert_eq(zu_topics_count(&topics), 256 * sizeof text);
    text[0] = 254;
    cr_assert_eq(match(text, sizeof text), 1u << 254 % CROWD);
    end();
}

/* A peer that comes and goes with ever new prefixes leaves neither room nor stems behind. */
Test(topics, what_is_gone_leaves_no_trace)
{
    unsigned touched, stems = 0;
    begin();
    model_add(0, "stays here", 10);
    size_t bytes = zu_topics_bytes(&topics);
    for (uint64_t n = 0; n < 10000; n++)
        cr_assert_eq(zu_topics_add(&topics, &n, sizeof n, &crowd[1], &touched), 0);
    for (uint64_t n = 0; n < 10000; n++)
        cr_assert_eq(zu_topics_remove(&topics, &n, sizeof n, &crowd[1], &touched), 0);
    cr_assert_leq(zu_topics_bytes(&topics), bytes + 64);
    for (uint64_t n = 0; n < 10000; n++) {
        cr_assert_eq(zu_topics_add(&topics, &n, sizeof n, &crowd[1], &touched), 0);
        cr_assert_eq(zu_topics_remove(&topics, &n, sizeof n, &crowd[1], &touched), 0);
    }
    for (uint32_t i = 0; i < topics.slot_count; i++)
        stems += (unsigned)__builtin_popcount(topics.stems[i]);
    cr_assert_leq(stems, topics.slot_count);
    cr_assert_eq(match("stays here", 10), 1u);
    end();
}

/* What this thread has from the heap, with the allocator's slack. */
static size_t heap_in_use(void)
{
    uint64_t given = 0, taken = 0;
    size_t size = sizeof given;
    if (!zu_alloc_is_jemalloc() || !mallctl) {
        struct mallinfo2 info = mallinfo2();
        return info.uordblks + info.hblkhd;
    }
    cr_assert_eq(mallctl("thread.allocated", &given, &size, NULL, 0), 0);
    cr_assert_eq(mallctl("thread.deallocated", &taken, &size, NULL, 0), 0);
    return given - taken;
}

/* A sanitizer's heap weighs something else. */
enum { SHARE = SANITIZED ? 8 : 1, MILLION = 1000000 / SHARE, SIZE_MAX_OF_A_TOPIC = 32 };

static size_t sensor_text(unsigned n, char *ret_text)
{
    return (size_t)snprintf(ret_text, SIZE_MAX_OF_A_TOPIC, "sensor.%07u.temp", n);
}

static size_t scattered_text(unsigned n, char *ret_text)
{
    unsigned seed = n * 2654435761u + 1;
    memcpy(ret_text, &n, sizeof n);
    for (unsigned i = sizeof n; i < 20; i++)
        ret_text[i] = (char)(rand_r(&seed) >> 5);
    return 20;
}

static void weigh(size_t (*text_of)(unsigned n, char *ret_text), unsigned prefixes, unsigned subscribers)
{
    char text[SIZE_MAX_OF_A_TOPIC];
    unsigned touched;
    begin();
    size_t heap_before = heap_in_use(), size = 0;
    for (unsigned who = 0; who < subscribers; who++)
        for (unsigned n = 0; n < prefixes; n++) {
            size = text_of(n, text);
            cr_assert_eq(zu_topics_add(&topics, text, size, &crowd[who], &touched), 0);
        }
    cr_assert_eq(zu_topics_count(&topics), prefixes);
    double subscriptions = (double)prefixes * subscribers, texts = (double)(prefixes * size);
    double heap = ((double)(heap_in_use() - heap_before) - texts) / subscriptions;
    double counted = ((double)zu_topics_bytes(&topics) - texts) / subscriptions;
    fprintf(stderr,
            "topics: %u prefixes of %zu bytes at each of %u: each %.1f bytes more on the heap, %.1f asked for\n",
            prefixes, size, subscribers, heap, counted);
    cr_assert_leq(counted, 100);
    cr_assert_leq(heap, 100);
    end();
    cr_assert_lt(heap_in_use(), heap_before + 4096);
}

Test(topics, a_million_weigh_at_most_100_bytes_each)
{
    weigh(scattered_text, MILLION, 1);
    weigh(sensor_text, MILLION, 1);
    weigh(sensor_text, 10000, 8);
    /* Just grown: at its loosest. */
    weigh(sensor_text, 3 * (1 << 18) / SHARE + 1, 1);
}
