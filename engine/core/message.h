/* SPDX-License-Identifier: MIT */
/* What a message can tell of where it came from: behind zmq_msg_gets and ZMQ_SRCFD. */
#ifndef ZU_CORE_MESSAGE_H
#define ZU_CORE_MESSAGE_H

#include "mem/msg.h"

/* NULL when the message has no such property. Valid as long as the message. */
const char *zu_message_property(const struct zu_msg *msg, const char *name);
/* The descriptor it came by, -1 when it came by none. */
int zu_message_fd(const struct zu_msg *msg);

#endif
