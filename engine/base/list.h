/* SPDX-License-Identifier: MIT */
/* An intrusive, circular, doubly linked list. The head is a link of its own; an unlinked link points at itself. */
#ifndef ZU_BASE_LIST_H
#define ZU_BASE_LIST_H

#include <stdbool.h>

#include "base/attr.h"

struct zu_link {
    struct zu_link *next; /* following link, or the head */
    struct zu_link *prev; /* preceding link, or the head */
};

static inline void zu_list_init(struct zu_link *head)
{
    head->next = head->prev = head;
}

static inline bool zu_list_is_empty(const struct zu_link *head)
{
    return head->next == head;
}

static inline void zu_list_append(struct zu_link *head, struct zu_link *link)
{
    link->prev = head->prev;
    link->next = head;
    head->prev->next = link;
    head->prev = link;
}

/* Safe on a link that stands alone; leaves it so. */
static inline void zu_list_remove(struct zu_link *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    zu_list_init(link);
}

/* Walks `head`; `link` may be removed in the body. */
#define zu_list_each(link, after, head)                                                                                \
    for (struct zu_link *link = (head)->next, *after = link->next; link != (head); link = after, after = link->next)

#endif
