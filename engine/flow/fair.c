/* SPDX-License-Identifier: MIT */
/*
 * The peer whose turn it is gives one whole message, then the turn moves on. An empty pipe leaves the circle, asleep, and
 * comes back at its end when something was published. Whole messages only are published, so the turn never waits in
 * mid-message. A pipe at its end is reported and leaves for good.
 */
#include "flow/fair.h"

void zu_fair_init(struct zu_fair *fair)
{
    zu_list_init(&fair->readable);
    fair->turn = &fair->readable;
}

void zu_fair_add(struct zu_fair *fair, struct zu_peer *peer)
{
    if (!zu_list_is_empty(&peer->in_link))
        return;
    zu_list_append(&fair->readable, &peer->in_link);
    if (fair->turn == &fair->readable)
        fair->turn = &peer->in_link;
}

void zu_fair_remove(struct zu_fair *fair, struct zu_peer *peer)
{
    if (zu_list_is_empty(&peer->in_link))
        return;
    if (fair->turn == &peer->in_link) {
        struct zu_link *next = peer->in_link.next;
        fair->turn = next == &fair->readable ? next->next : next;
    }
    zu_list_remove(&peer->in_link);
    if (zu_list_is_empty(&fair->readable))
        fair->turn = &fair->readable;
}

void zu_fair_skip(struct zu_fair *fair, struct zu_view *view)
{
    for (;;) {
        unsigned flags = view->flags;
        zu_pipe_pop(view->pipe, view);
        if (!(flags & ZU_FRAME_MORE) || zu_pipe_peek(view->pipe, view) < 0)
            break;
    }
    zu_fair_taken(fair, 0);
}
