/* SPDX-License-Identifier: MIT */
/*
 * Writing and telling apart what subscribers say. A frame that is no subscription is no error: publishers of some types
 * pass it on as a message. Writing fails only for want of memory.
 */
#include "flow/subscription.h"

#include "flow/pipe_drain.h"

static const char subscribe_head[] = "\x09SUBSCRIBE", cancel_head[] = "\x06" "CANCEL", mark_head[] = "\x05" "EPOCH";

enum { SUBSCRIBE_SIZE = sizeof subscribe_head - 1, CANCEL_SIZE = sizeof cancel_head - 1, MARK_SIZE = sizeof mark_head - 1 };

int zu_subscription_write(struct zu_pipe *pipe, bool on, const void *prefix, size_t size)
{
    return on ? zu_pipe_write_record(pipe, subscribe_head, SUBSCRIBE_SIZE, prefix, size)
              : zu_pipe_write_record(pipe, cancel_head, CANCEL_SIZE, prefix, size);
}

static bool begins_with(const struct zu_view *view, const char *head, size_t size)
{
    return view->size >= size && memcmp(view->data, head, size) == 0;
}

bool zu_subscription_of_record(const struct zu_view *view, struct zu_subscription *ret_subscription)
{
    bool on = begins_with(view, subscribe_head, SUBSCRIBE_SIZE);
    if (!on && !begins_with(view, cancel_head, CANCEL_SIZE))
        return false;
    size_t head = on ? SUBSCRIBE_SIZE : CANCEL_SIZE;
    *ret_subscription = (struct zu_subscription){.prefix = view->data + head, .size = view->size - head, .on = on};
    return true;
}

bool zu_subscription_of_frame(const void *data, size_t size, struct zu_subscription *ret_subscription)
{
    const uint8_t *octets = data;
    if (size == 0 || octets[0] > 1)
        return false;
    *ret_subscription = (struct zu_subscription){.prefix = octets + 1, .size = size - 1, .on = octets[0]};
    return true;
}

int zu_subscription_mark(struct zu_pipe *pipe, uint32_t epoch)
{
    return zu_pipe_write_record(pipe, mark_head, MARK_SIZE, &epoch, sizeof epoch);
}

bool zu_subscription_skip(struct zu_pipe *pipe, uint32_t epoch)
{
    uint8_t mark[MARK_SIZE + sizeof epoch];
    memcpy(mark, mark_head, MARK_SIZE);
    memcpy(mark + MARK_SIZE, &epoch, sizeof epoch);
    return zu_pipe_skip_to(pipe, mark, sizeof mark);
}
