/* SPDX-License-Identifier: MIT */
#include "flow/map.h"

#include <criterion/criterion.h>

#include "base/attr.h"
#include "mem/alloc.h"

struct item {
    struct zu_map_entry entry;
    uint8_t key[24];
    size_t size;
    bool is_in;
};

enum { ITEMS = 3000 };
static struct item items[ITEMS];

/* Keys of 0 to 23 octets that differ in few places. */
static void items_make(void)
{
    for (uint32_t i = 0; i < ITEMS; i++) {
        struct item *item = &items[i];
        item->size = i ? 2 + i % 22 : 0;
        item->key[0] = (uint8_t)i;
        item->key[1] = (uint8_t)(i >> 8);
        item->is_in = false;
    }
}

static void expect_holds(const struct zu_map *map, size_t count)
{
    cr_assert_eq(map->count, count);
    for (int i = 0; i < ITEMS; i++) {
        struct zu_map_entry *found = zu_map_find(map, items[i].key, items[i].size);
        cr_assert_eq(found, items[i].is_in ? &items[i].entry : NULL, "item %d", i);
    }
    size_t walked = 0;
    for (struct zu_map_entry *entry = zu_map_next(map, NULL); entry; entry = zu_map_next(map, entry)) {
        cr_assert(zu_container_of(entry, struct item, entry)->is_in);
        walked++;
    }
    cr_assert_eq(walked, count);
}

static void put(struct zu_map *map, struct item *item)
{
    zu_map_add(map, &item->entry, item->key, item->size);
    item->is_in = true;
}

static void drop(struct zu_map *map, struct item *item)
{
    zu_map_remove(map, &item->entry);
    item->is_in = false;
}

Test(map, finds_what_is_in_it_and_nothing_else)
{
    struct zu_map map;
    zu_map_init(&map);
    items_make();
    expect_holds(&map, 0);
    for (int i = 0; i < ITEMS; i++)
        put(&map, &items[i]);
    expect_holds(&map, ITEMS);
    cr_assert_geq(map.mask + 1, (size_t)ITEMS);
    for (int i = 0; i < ITEMS; i += 3)
        drop(&map, &items[i]);
    expect_holds(&map, ITEMS - ITEMS / 3);
    for (int i = 0; i < ITEMS; i += 3)
        put(&map, &items[i]);
    expect_holds(&map, ITEMS);
    for (int i = ITEMS - 1; i >= 0; i--)
        drop(&map, &items[i]);
    expect_holds(&map, 0);
    zu_map_fini(&map);
}

Test(map, goes_on_without_memory)
{
    struct zu_map map;
    zu_map_init(&map);
    items_make();
    zu_alloc_fail_from = 1;
    for (int i = 0; i < 200; i++)
        put(&map, &items[i]);
    zu_alloc_fail_from = 0;
    cr_assert_eq(map.mask + 1, (size_t)ZU_MAP_SMALL);
    expect_holds(&map, 200);
    put(&map, &items[200]);
    cr_assert_gt(map.mask + 1, (size_t)ZU_MAP_SMALL);
    expect_holds(&map, 201);
    zu_map_fini(&map);
}

/* Keys that differ by one bit spread over the buckets, whatever the secret is. */
Test(map, chains_stay_short)
{
    struct zu_map map;
    zu_map_init(&map);
    items_make();
    for (int i = 0; i < ITEMS; i++)
        put(&map, &items[i]);
    size_t longest = 0;
    for (size_t i = 0; i <= map.mask; i++) {
        size_t length = 0;
        for (struct zu_map_entry *entry = map.buckets[i]; entry; entry = entry->next)
            length++;
        longest = length > longest ? length : longest;
    }
    cr_assert_leq(longest, 16u);
    zu_map_fini(&map);
}
