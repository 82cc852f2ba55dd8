/* SPDX-License-Identifier: MIT */
/*
 * Writing and telling apart what subscribers say. A frame that is no subscription is no error: publishers of some types
 * pass it on as a message. Writing fails only for want of memory.
 */
#include "flow/subscription.h"

#include <assert.h>
#include <errno.h>

#include "flow/pipe_drain.h"
#include "flow/record.h"

int zu_subscription_write(struct zu_pipe *pipe, bool on, const void *prefix, size_t size)
{
    return on ? zu_pipe_write_record(pipe, ZU_RECORD_SUBSCRIBE, ZU_RECORD_SUBSCRIBE_SIZE, prefix, size)
              : zu_pipe_write_record(pipe, ZU_RECORD_CANCEL, ZU_RECORD_CANCEL_SIZE, prefix, size);
}

int zu_telling_init(struct zu_telling *telling, const struct zu_subscription *subscription)
{
    bool on = subscription->on;
    size_t head_size = on ? ZU_RECORD_SUBSCRIBE_SIZE : ZU_RECORD_CANCEL_SIZE;
    telling->subscription = *subscription;
    telling->size = head_size + subscription->size;
    telling->body = NULL;
    if (telling->size <= ZU_PIPE_COPY_MAX)
        return 0;
    telling->body = zu_pipe_record_new(on ? ZU_RECORD_SUBSCRIBE : ZU_RECORD_CANCEL, head_size, subscription->prefix,
                                       subscription->size);
    return telling->body ? 0 : -ENOMEM;
}

void zu_telling_fini(struct zu_telling *telling)
{
    if (telling->body)
        zu_buf_unref(telling->body);
}

void zu_telling_write(const struct zu_telling *telling, struct zu_pipe *pipe)
{
    const struct zu_subscription *subscription = &telling->subscription;
    int err = telling->body ? zu_pipe_write_record_buf(pipe, telling->body, telling->size)
                            : zu_subscription_write(pipe, subscription->on, subscription->prefix, subscription->size);
    assert(!err);
    (void)err;
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
