/* SPDX-License-Identifier: MIT */
/* A message received by a connection names its origin, and that answers; any other message has nothing to tell. */
#include "core/message.h"

#include "link/origin.h"

const char *zu_message_property(const struct zu_msg *msg, const char *name)
{
    return msg->origin ? zu_origin_get(msg->origin, name) : NULL;
}

int zu_message_fd(const struct zu_msg *msg)
{
    return msg->origin ? zu_origin_fd(msg->origin) : -1;
}
