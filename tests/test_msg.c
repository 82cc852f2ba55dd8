/* SPDX-License-Identifier: MIT */
/* Messages of every kind: made, moved, copied, closed; each body dropped once. */
#include "mem/msg.h"

#include <criterion/criterion.h>

#include "flow.h"

static _Atomic unsigned frees;
static unsigned origins_freed;

static void origin_free(struct zu_origin *origin)
{
    (void)origin;
    origins_freed++;
}

Test(msg, a_size_up_to_33_lies_inside)
{
    for (size_t size = 0; size <= 40; size++) {
        struct zu_msg msg;
        cr_assert_eq(zu_msg_init_size(&msg, size), 0);
        cr_assert(zu_msg_is_valid(&msg));
        cr_assert_eq(zu_msg_size(&msg), size);
        uint8_t *data = zu_msg_data(&msg);
        bool inside = data >= (uint8_t *)&msg && data + size <= (uint8_t *)(&msg + 1);
        cr_assert_eq(inside, size <= ZU_MSG_INLINE_MAX);
        payload_fill(data, 3, size);
        struct zu_msg other;
        zu_msg_init(&other);
        zu_msg_move(&other, &msg);
        cr_assert_eq(zu_msg_size(&msg), 0u);
        cr_assert_eq(zu_msg_size(&other), size);
        cr_assert(payload_is(zu_msg_data(&other), 3, size));
        zu_msg_close(&other);
        cr_assert_not(zu_msg_is_valid(&other));
        zu_msg_close(&msg);
    }
}

Test(msg, memory_that_is_no_message_is_told)
{
    for (int fill = 0; fill < 256; fill += 17) {
        struct zu_msg msg;
        memset(&msg, fill, sizeof msg);
        cr_assert_eq(zu_msg_is_valid(&msg), msg.kind >= ZU_MSG_INLINE && msg.kind <= ZU_MSG_SLICE);
    }
}

Test(msg, foreign_memory_is_freed_by_the_last_of_the_copies)
{
    struct zu_msg msgs[4];
    cr_assert_eq(foreign_msg(&msgs[0], 9, 5000, &frees), 0);
    cr_assert_not(zu_msg_is_shared(&msgs[0]));
    for (int i = 1; i < 4; i++) {
        zu_msg_init_size(&msgs[i], 100);
        zu_msg_copy(&msgs[i], &msgs[i - 1]);
        cr_assert_eq(zu_msg_data(&msgs[i]), zu_msg_data(&msgs[0]));
        cr_assert(zu_msg_is_shared(&msgs[i]));
        cr_assert(zu_msg_is_shared(&msgs[i - 1]));
    }
    zu_msg_copy(&msgs[2], &msgs[2]);
    zu_msg_move(&msgs[2], &msgs[2]);
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(frees, 0u);
        cr_assert(payload_is(zu_msg_data(&msgs[i]), 9, 5000));
        zu_msg_close(&msgs[i]);
    }
    cr_assert_eq(frees, 1u);
}

Test(msg, the_old_body_of_a_target_is_dropped)
{
    struct zu_msg from, to;
    foreign_msg(&from, 1, 50, &frees);
    foreign_msg(&to, 2, 50, &frees);
    zu_msg_copy(&to, &from);
    cr_assert_eq(frees, 1u);
    zu_msg_close(&to);
    foreign_msg(&to, 3, 50, &frees);
    zu_msg_move(&to, &from);
    cr_assert_eq(frees, 2u);
    cr_assert(payload_is(zu_msg_data(&to), 1, 50));
    zu_msg_close(&to);
    zu_msg_close(&from);
    cr_assert_eq(frees, 3u);
}

Test(msg, a_copy_of_a_small_body_is_its_own)
{
    struct zu_msg from, to;
    zu_msg_init_size(&from, 10);
    payload_fill(zu_msg_data(&from), 1, 10);
    from.flags = ZU_MSG_MORE;
    zu_msg_init(&to);
    zu_msg_copy(&to, &from);
    memset(zu_msg_data(&from), 0, 10);
    cr_assert(payload_is(zu_msg_data(&to), 1, 10));
    cr_assert_eq(to.flags, ZU_MSG_MORE);
    cr_assert_not(zu_msg_is_shared(&from));
    zu_msg_close(&from);
    zu_msg_close(&to);
}

Test(msg, a_constant_is_only_pointed_at)
{
    static const char text[] = "constant";
    struct zu_msg msg, copy;
    zu_msg_init_constant(&msg, text, sizeof text);
    cr_assert_eq(zu_msg_data(&msg), (void *)(uintptr_t)text);
    cr_assert(zu_msg_is_shared(&msg));
    zu_msg_init(&copy);
    zu_msg_copy(&copy, &msg);
    zu_msg_close(&msg);
    cr_assert_eq(zu_msg_data(&copy), (void *)(uintptr_t)text);
    zu_msg_close(&copy);
}

Test(msg, a_slice_keeps_its_chunk)
{
    struct zu_chunk *chunk = zu_chunk_new(0);
    uint64_t free_before = zu_chunk_pool_bytes();
    payload_fill(chunk->data, 4, 100);
    struct zu_msg msg, copy;
    zu_msg_init_slice(&msg, chunk, chunk->data, 100);
    zu_chunk_unref(chunk);
    zu_msg_init(&copy);
    zu_msg_copy(&copy, &msg);
    zu_msg_close(&msg);
    cr_assert(payload_is(zu_msg_data(&copy), 4, 100));
    cr_assert_eq(zu_chunk_pool_bytes(), free_before);
    zu_msg_close(&copy);
    cr_assert_eq(zu_chunk_pool_bytes(), free_before + 512);
}

Test(msg, an_origin_is_held_by_each_copy)
{
    struct zu_origin origin = {.refs = 1, .free = origin_free};
    struct zu_msg msg, copy;
    zu_msg_init_size(&msg, 5);
    msg.origin = zu_origin_ref(&origin);
    zu_origin_unref(&origin);
    zu_msg_init(&copy);
    zu_msg_copy(&copy, &msg);
    zu_msg_close(&msg);
    cr_assert_eq(origins_freed, 0u);
    zu_msg_init(&msg);
    zu_msg_move(&msg, &copy);
    zu_msg_close(&copy);
    cr_assert_eq(origins_freed, 0u);
    zu_msg_close(&msg);
    cr_assert_eq(origins_freed, 1u);
}

Test(msg, without_memory_nothing_is_made_and_the_data_stays_the_callers)
{
    struct zu_msg msg;
    char data[8];
    zu_alloc_fail_from = 1;
    cr_assert_eq(zu_msg_init_size(&msg, 100000), -ENOMEM);
    cr_assert_eq(zu_msg_init_foreign(&msg, data, sizeof data, counted_free, &frees), -ENOMEM);
    cr_assert_eq(zu_msg_init_size(&msg, ZU_MSG_INLINE_MAX), 0);
    zu_alloc_fail_from = 0;
    cr_assert_eq(frees, 0u);
    zu_msg_close(&msg);
}

Test(msg, a_group_goes_along_and_ends_with_the_last_that_has_it)
{
    struct zu_msg msg, copy;
    zu_msg_init_size(&msg, 5);
    cr_assert_str_eq(zu_msg_group(&msg), "");
    cr_assert_eq(zu_msg_set_group(&msg, "weather today", 7), 0);
    cr_assert_str_eq(zu_msg_group(&msg), "weather");
    struct zu_buf *text = msg.group;
    zu_msg_init(&copy);
    zu_msg_copy(&copy, &msg);
    cr_assert_eq(atomic_load(&text->refs), 2u);
    cr_assert_eq(zu_msg_set_group(&msg, zu_msg_group(&msg), 4), 0, "from its own text");
    cr_assert_str_eq(zu_msg_group(&msg), "weat");
    cr_assert_str_eq(zu_msg_group(&copy), "weather");
    cr_assert_eq(atomic_load(&text->refs), 1u);
    zu_buf_ref(text);
    zu_msg_move(&msg, &copy);
    cr_assert_str_eq(zu_msg_group(&copy), "");
    cr_assert_str_eq(zu_msg_group(&msg), "weather");
    cr_assert_eq(atomic_load(&text->refs), 2u);
    zu_msg_close(&msg);
    cr_assert_eq(atomic_load(&text->refs), 1u);
    zu_buf_unref(text);
    cr_assert_eq(zu_msg_set_group(&copy, "a", 1), 0);
    cr_assert_eq(zu_msg_set_group(&copy, "", 0), 0);
    cr_assert_null(copy.group);
    zu_msg_close(&copy);
}

Test(msg, without_memory_the_old_group_stays)
{
    static char large[3000];
    struct zu_msg msg;
    zu_msg_init(&msg);
    cr_assert_eq(zu_msg_set_group(&msg, "old", 3), 0);
    zu_alloc_fail_from = 1;
    cr_assert_eq(zu_msg_set_group(&msg, large, sizeof large), -ENOMEM);
    zu_alloc_fail_from = 0;
    cr_assert_str_eq(zu_msg_group(&msg), "old");
    zu_msg_close(&msg);
}
