/* SPDX-License-Identifier: MIT */
#include "wire/metadata.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BYTES(literal) (const uint8_t *)(literal), sizeof(literal) - 1

Test(metadata, a_block_is_copied_and_searched)
{
    uint8_t wire[256];
    size_t size = zu_property_encode(wire, "Socket-Type", "REQ", 3);
    size += zu_property_encode(wire + size, "Identity", NULL, 0);
    size += zu_property_encode(wire + size, "X-a", "one", 3);
    cr_assert_eq(size, zu_property_size(11, 3) + zu_property_size(8, 0) + zu_property_size(3, 3));
    cr_assert_eq(memcmp(wire, "\x0bSocket-Type\0\0\0\x03REQ\x08Identity\0\0\0\0\x03X-a\0\0\0\x03one", size), 0);

    struct zu_metadata metadata;
    cr_assert_eq(zu_metadata_init(&metadata, wire, size), 0);
    memset(wire, 0xee, sizeof(wire));
    size_t value_size = 99;
    cr_assert_str_eq((const char *)zu_metadata_get(&metadata, "Socket-Type", &value_size), "REQ");
    cr_assert_eq(value_size, 3u);
    cr_assert_str_eq((const char *)zu_metadata_get(&metadata, "Identity", &value_size), "");
    cr_assert_eq(value_size, 0u);
    cr_assert_str_eq((const char *)zu_metadata_get(&metadata, "X-a", NULL), "one");
    cr_assert_null(zu_metadata_get(&metadata, "socket-type", &value_size), "case counts");
    cr_assert_null(zu_metadata_get(&metadata, "X-", NULL));
    cr_assert_null(zu_metadata_get(&metadata, "", NULL));
    zu_metadata_fini(&metadata);
    cr_assert_null(zu_metadata_get(&metadata, "Socket-Type", NULL));
    zu_metadata_fini(&metadata);
}

Test(metadata, an_empty_block_holds_nothing)
{
    struct zu_metadata metadata;
    cr_assert_eq(zu_metadata_init(&metadata, NULL, 0), 0);
    cr_assert_null(metadata.block);
    cr_assert_null(zu_metadata_get(&metadata, "a", NULL));
    zu_metadata_fini(&metadata);
}

Test(metadata, malformed_blocks_are_refused_and_leave_the_struct_alone)
{
    static const struct {
        const uint8_t *bytes;
        size_t size;
    } bad[] = {
        {BYTES("\x01")},
        {BYTES("\x01"
               "a")},
        {BYTES("\x01"
               "a\0\0\0")},
        {BYTES("\x01"
               "a\0\0\0\x01")},
        {BYTES("\x01"
               "a\0\0\0\x09"
               "a")},
        {BYTES("\x01"
               "a\xff\xff\xff\xff"
               "a")},
        {BYTES("\x01"
               "a\x80\0\0\0")},
        {BYTES("\0\0\0\0\0")},
        {BYTES("\x01"
               "a\0\0\0\0\x01")},
        {BYTES("\x01"
               "a\0\0\0\x01"
               "bc")},
        {BYTES("\xff"
               "a\0\0\0\0")},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        /* On the heap, so that the sanitizer sees a read past the end. */
        uint8_t *exact = malloc(bad[i].size);
        memcpy(exact, bad[i].bytes, bad[i].size);
        struct zu_metadata metadata = {.size = 77};
        cr_assert_eq(zu_metadata_init(&metadata, exact, bad[i].size), -EPROTO, "row %zu", i);
        cr_assert_eq(metadata.size, 77u);
        free(exact);
    }
}

Test(metadata, size_is_bounded)
{
    uint8_t *wire = malloc(ZU_METADATA_SIZE_MAX + 1);
    size_t value_max = ZU_METADATA_SIZE_MAX - zu_property_size(1, 0);
    uint8_t *value = calloc(1, value_max + 1);
    struct zu_metadata metadata;
    cr_assert_eq(zu_property_encode(wire, "a", value, value_max), (size_t)ZU_METADATA_SIZE_MAX);
    cr_assert_eq(zu_metadata_init(&metadata, wire, ZU_METADATA_SIZE_MAX), 0);
    zu_metadata_fini(&metadata);
    cr_assert_eq(zu_property_encode(wire, "a", value, value_max + 1), (size_t)ZU_METADATA_SIZE_MAX + 1);
    cr_assert_eq(zu_metadata_init(&metadata, wire, ZU_METADATA_SIZE_MAX + 1), -EMSGSIZE);
    free(value);
    free(wire);
}

Test(metadata, the_first_of_two_wins_and_put_comes_first)
{
    uint8_t wire[64];
    size_t size = zu_property_encode(wire, "User-Id", "root", 4);
    size += zu_property_encode(wire + size, "User-Id", "second", 6);
    struct zu_metadata metadata;
    cr_assert_eq(zu_metadata_init(&metadata, wire, size), 0);
    cr_assert_str_eq((const char *)zu_metadata_get(&metadata, "User-Id", NULL), "root");
    cr_assert_eq(zu_metadata_put(&metadata, "User-Id", "nobody", 6), 0);
    cr_assert_eq(zu_metadata_put(&metadata, "Peer-Address", "127.0.0.1", 9), 0);
    cr_assert_str_eq((const char *)zu_metadata_get(&metadata, "User-Id", NULL), "nobody");
    cr_assert_str_eq((const char *)zu_metadata_get(&metadata, "Peer-Address", NULL), "127.0.0.1");
    cr_assert_eq(zu_metadata_put(&metadata, "", "x", 1), -EINVAL);
    cr_assert_eq(zu_metadata_put(&metadata, "x", NULL, ZU_METADATA_SIZE_MAX + 1), -EMSGSIZE);
    zu_metadata_fini(&metadata);

    cr_assert_eq(zu_metadata_init(&metadata, NULL, 0), 0);
    cr_assert_eq(zu_metadata_put(&metadata, "a", NULL, 0), 0);
    cr_assert_str_eq((const char *)zu_metadata_get(&metadata, "a", NULL), "");
    zu_metadata_fini(&metadata);
}

Test(metadata, what_is_joined_comes_behind)
{
    struct zu_metadata front, behind, empty = {0};
    cr_assert_eq(zu_metadata_init(&front, BYTES("\x01"
                                                "a\0\0\0\x01"
                                                "1")),
                 0);
    cr_assert_eq(zu_metadata_init(&behind, BYTES("\x01"
                                                 "a\0\0\0\x01"
                                                 "2\x01"
                                                 "b\0\0\0\x01"
                                                 "3")),
                 0);
    cr_assert_eq(zu_metadata_join(&front, &behind), 0);
    cr_assert_null(behind.block);
    cr_assert_str_eq((const char *)zu_metadata_get(&front, "a", NULL), "1");
    cr_assert_str_eq((const char *)zu_metadata_get(&front, "b", NULL), "3");
    cr_assert_eq(zu_metadata_join(&front, &empty), 0);
    cr_assert_eq(zu_metadata_join(&empty, &front), 0);
    cr_assert_null(front.block);
    cr_assert_str_eq((const char *)zu_metadata_get(&empty, "b", NULL), "3");
    zu_metadata_fini(&empty);
}

Test(metadata, what_is_dropped_is_gone_wherever_it_was)
{
    static const char *const names[] = {"a", "bb", "c"};
    struct zu_metadata metadata;
    for (int drop = 0; drop < 3; drop++) {
        cr_assert_eq(zu_metadata_init(&metadata, BYTES("\x01"
                                                       "a\0\0\0\x01"
                                                       "1\x02"
                                                       "bb\0\0\0\0\x01"
                                                       "c\0\0\0\x01"
                                                       "3"
                                                       "\x01"
                                                       "a\0\0\0\x01"
                                                       "4\x02"
                                                       "bb\0\0\0\x01"
                                                       "5\x01"
                                                       "c\0\0\0\0")),
                     0);
        zu_metadata_drop(&metadata, names[drop]);
        for (int i = 0; i < 3; i++)
            cr_assert_eq(zu_metadata_get(&metadata, names[i], NULL) == NULL, i == drop);
        zu_metadata_drop(&metadata, names[(drop + 1) % 3]);
        zu_metadata_drop(&metadata, "nothing");
        cr_assert_not_null(zu_metadata_get(&metadata, names[(drop + 2) % 3], NULL));
        zu_metadata_drop(&metadata, names[(drop + 2) % 3]);
        cr_assert_eq(metadata.size, 0u);
        zu_metadata_fini(&metadata);
    }
}
