/* SPDX-License-Identifier: MIT */
/* The list against an array that says what it should hold. */
#include "base/list.h"

#include <criterion/criterion.h>

#include "flow.h"

enum { COUNT = 24 };

struct item {
    int number;          /* which one */
    struct zu_link link; /* in the list */
};

static struct item *item_of(struct zu_link *link)
{
    return zu_container_of(link, struct item, link);
}

static void expect_order(struct zu_link *head, const int *numbers, size_t count)
{
    size_t i = 0;
    zu_list_each(link, after, head)
    {
        cr_assert_lt(i, count);
        cr_assert_eq(item_of(link)->number, numbers[i]);
        cr_assert_eq(link->next->prev, link);
        cr_assert_eq(link->prev->next, link);
        i++;
    }
    cr_assert_eq(i, count);
    cr_assert_eq(zu_list_is_empty(head), count == 0);
}

Test(list, random_appends_and_removals)
{
    struct chance chance = chance_new("list");
    struct zu_link head;
    struct item items[COUNT];
    int numbers[COUNT];
    size_t count = 0;
    zu_list_init(&head);
    for (int i = 0; i < COUNT; i++) {
        items[i].number = i;
        zu_list_init(&items[i].link);
    }
    for (int round = 0; round < 5000; round++) {
        int i = (int)chance_below(&chance, COUNT);
        if (zu_list_is_empty(&items[i].link)) {
            zu_list_append(&head, &items[i].link);
            numbers[count++] = i;
        } else {
            zu_list_remove(&items[i].link);
            size_t at = 0;
            while (numbers[at] != i)
                at++;
            memmove(numbers + at, numbers + at + 1, (--count - at) * sizeof *numbers);
        }
        expect_order(&head, numbers, count);
    }
}

Test(list, a_removed_link_stands_alone_and_may_be_removed_again)
{
    struct zu_link head, link;
    zu_list_init(&head);
    zu_list_append(&head, &link);
    zu_list_remove(&link);
    cr_assert(zu_list_is_empty(&link));
    zu_list_remove(&link);
    cr_assert(zu_list_is_empty(&link));
    cr_assert(zu_list_is_empty(&head));
}

Test(list, the_link_in_hand_may_be_removed_on_a_walk)
{
    struct zu_link head;
    struct item items[COUNT];
    zu_list_init(&head);
    for (int i = 0; i < COUNT; i++) {
        items[i].number = i;
        zu_list_append(&head, &items[i].link);
    }
    int seen = 0;
    zu_list_each(link, after, &head)
    {
        cr_assert_eq(item_of(link)->number, seen++);
        if (seen % 3)
            zu_list_remove(link);
    }
    cr_assert_eq(seen, COUNT);
    int left = 0;
    zu_list_each(link, after, &head) left++;
    cr_assert_eq(left, COUNT / 3);
}
