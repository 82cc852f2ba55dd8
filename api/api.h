/* SPDX-License-Identifier: MIT */
/* What the API's sources share: handles are checked here, and only here does a negative errno become errno. */
#ifndef ZU_API_H
#define ZU_API_H

#include <errno.h>

#define ZMQ_BUILD_DRAFT_API /* declares the draft part, which the drop-in exports too */

#include "core/socket.h"
#include "zmq.h"

/* Sets errno from a negative one and returns the API's -1; anything else is returned as it is. */
ZU_INLINE int api_result(int result)
{
    if (zu_likely(result >= 0))
        return result;
    errno = -result;
    return -1;
}

/* NULL, with errno EFAULT, for what is no living context. */
ZU_INLINE struct zu_context *api_context(void *handle)
{
    struct zu_context *context = handle;
    if (zu_likely(context && context->tag == ZU_CONTEXT_TAG))
        return context;
    errno = EFAULT;
    return NULL;
}

/* NULL, with errno ENOTSOCK, for what is no open socket. */
ZU_INLINE struct zu_socket *api_socket(void *handle)
{
    struct zu_socket *socket = handle;
    if (zu_likely(socket && socket->tag == ZU_SOCKET_TAG))
        return socket;
    errno = ENOTSOCK;
    return NULL;
}

/* The memory of a message that need not be one yet. */
ZU_INLINE struct zu_msg *api_msg(const zmq_msg_t *msg)
{
    return (struct zu_msg *)(uintptr_t)msg;
}

/* NULL, with errno EFAULT, for what is no open message. */
ZU_INLINE struct zu_msg *api_msg_open(const zmq_msg_t *handle)
{
    struct zu_msg *msg = api_msg(handle);
    if (zu_likely(msg && zu_msg_is_valid(msg)))
        return msg;
    errno = EFAULT;
    return NULL;
}

#endif
