/* SPDX-License-Identifier: MIT */
/* Messages: checks, and the step from zmq_msg_t to the engine's message. Errors come back by errno. */
#include "api.h"
#include "core/message.h"

_Static_assert(sizeof(zmq_msg_t) == sizeof(struct zu_msg), "zmq_msg_t holds the engine's message");

int zmq_msg_init(zmq_msg_t *msg)
{
    if (zu_unlikely(!msg))
        return api_result(-EFAULT);
    zu_msg_init(api_msg(msg));
    return 0;
}

int zmq_msg_init_size(zmq_msg_t *msg, size_t size)
{
    return api_result(msg ? zu_msg_init_size(api_msg(msg), size) : -EFAULT);
}

int zmq_msg_init_buffer(zmq_msg_t *msg, const void *data, size_t size)
{
    if (!msg || (!data && size))
        return api_result(-EFAULT);
    int err = zu_msg_init_size(api_msg(msg), size);
    if (!err && size)
        memcpy(zu_msg_data(api_msg(msg)), data, size);
    return api_result(err);
}

int zmq_msg_init_data(zmq_msg_t *msg, void *data, size_t size, zmq_free_fn *ffn, void *hint)
{
    if (!msg)
        return api_result(-EFAULT);
    if (!data && size)
        return api_result(-EINVAL);
    if (ffn)
        return api_result(zu_msg_init_foreign(api_msg(msg), data, size, ffn, hint));
    zu_msg_init_constant(api_msg(msg), data, size);
    return 0;
}

int zmq_msg_close(zmq_msg_t *handle)
{
    struct zu_msg *msg = api_msg_open(handle);
    if (zu_unlikely(!msg))
        return -1;
    zu_msg_close(msg);
    return 0;
}

int zmq_msg_move(zmq_msg_t *to, zmq_msg_t *from)
{
    if (!api_msg_open(to) || !api_msg_open(from))
        return -1;
    zu_msg_move(api_msg(to), api_msg(from));
    return 0;
}

int zmq_msg_copy(zmq_msg_t *to, zmq_msg_t *from)
{
    if (!api_msg_open(to) || !api_msg_open(from))
        return -1;
    zu_msg_copy(api_msg(to), api_msg(from));
    return 0;
}

void *zmq_msg_data(zmq_msg_t *handle)
{
    struct zu_msg *msg = api_msg_open(handle);
    return zu_likely(msg != NULL) ? zu_msg_data(msg) : NULL;
}

size_t zmq_msg_size(const zmq_msg_t *handle)
{
    const struct zu_msg *msg = api_msg_open(handle);
    return zu_likely(msg != NULL) ? zu_msg_size(msg) : 0;
}

int zmq_msg_more(const zmq_msg_t *handle)
{
    const struct zu_msg *msg = api_msg_open(handle);
    return msg && msg->flags & ZU_MSG_MORE ? 1 : 0;
}

int zmq_msg_get(const zmq_msg_t *handle, int property)
{
    const struct zu_msg *msg = api_msg_open(handle);
    if (!msg)
        return -1;
    switch (property) {
    case ZMQ_MORE:
        return zmq_msg_more(handle);
    case ZMQ_SRCFD: {
        int fd = zu_message_fd(msg);
        return fd < 0 ? api_result(-EINVAL) : fd;
    }
    case ZMQ_SHARED:
        return zu_msg_is_shared(msg);
    default:
        return api_result(-EINVAL);
    }
}

int zmq_msg_set(zmq_msg_t *msg, int property, int value)
{
    (void)msg;
    (void)property;
    (void)value;
    return api_result(-EINVAL);
}

const char *zmq_msg_gets(const zmq_msg_t *handle, const char *property)
{
    const struct zu_msg *msg = api_msg_open(handle);
    if (!msg)
        return NULL;
    const char *value = property ? zu_message_property(msg, property) : NULL;
    if (!value)
        errno = EINVAL;
    return value;
}

int zmq_msg_set_routing_id(zmq_msg_t *handle, uint32_t routing_id)
{
    struct zu_msg *msg = api_msg_open(handle);
    if (!msg)
        return -1;
    if (!routing_id)
        return api_result(-EINVAL);
    msg->routing_id = routing_id;
    return 0;
}

uint32_t zmq_msg_routing_id(zmq_msg_t *handle)
{
    const struct zu_msg *msg = api_msg_open(handle);
    return msg ? msg->routing_id : 0;
}

int zmq_msg_set_group(zmq_msg_t *handle, const char *group)
{
    struct zu_msg *msg = api_msg_open(handle);
    if (!msg)
        return -1;
    if (!group)
        return api_result(-EFAULT);
    size_t size = strnlen(group, ZMQ_GROUP_MAX_LENGTH + 1);
    return api_result(size > ZMQ_GROUP_MAX_LENGTH ? -EINVAL : zu_msg_set_group(msg, group, size));
}

const char *zmq_msg_group(zmq_msg_t *handle)
{
    const struct zu_msg *msg = api_msg_open(handle);
    return msg ? zu_msg_group(msg) : NULL;
}
