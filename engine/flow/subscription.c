/* SPDX-License-Identifier: MIT */
/*
 * Writing and telling apart what subscribers say. A frame that is no subscription is no error: publishers of some types
 * pass it on as a message. Writing fails only for want of memory.
 */
#include "flow/subscription.h"

#include "flow/pipe_drain.h"
#include "flow/record.h"

int zu_subscription_write(struct zu_pipe *pipe, bool on, const void *prefix, size_t size)
{
    return on ? zu_pipe_write_record(pipe, ZU_RECORD_SUBSCRIBE, ZU_RECORD_SUBSCRIBE_SIZE, prefix, size)
              : zu_pipe_write_record(pipe, ZU_RECORD_CANCEL, ZU_RECORD_CANCEL_SIZE, prefix, size);
}

static bool begins_with(const struct zu_view *view, const char *head, size_t size)
{
    return view->size >= size && memcmp(view->data, head, size) == 0;
}

bool zu_subscription_of_record(const struct zu_view *view, struct zu_subscription *ret_subscription)
{
    bool on = begins_with(view, ZU_RECORD_SUBSCRIBE, ZU_RECORD_SUBSCRIBE_SIZE);
    if (!on && !begins_with(view, ZU_RECORD_CANCEL, ZU_RECORD_CANCEL_SIZE))
        return false;
    size_t head = on ? ZU_RECORD_SUBSCRIBE_SIZE : ZU_RECORD_CANCEL_SIZE;
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
    uint8_t marker[ZU_RECORD_MARKER_SIZE];
    zu_record_marker_encode(marker, epoch);
    return zu_pipe_write_record(pipe, marker, sizeof marker, NULL, 0);
}

bool zu_subscription_skip(struct zu_pipe *pipe, uint32_t epoch)
{
    uint8_t marker[ZU_RECORD_MARKER_SIZE];
    zu_record_marker_encode(marker, epoch);
    return zu_pipe_skip_to(pipe, marker, sizeof marker);
}
