/* SPDX-License-Identifier: MIT */
/* Sockets: handles are checked, the core does the work. Errors come back by errno. */
#include "api.h"

void *zmq_socket(void *handle, int type)
{
    struct zu_context *context = api_context(handle);
    struct zu_socket *socket;
    if (!context)
        return NULL;
    int err = zu_socket_new(context, (unsigned)type, &socket);
    if (!err)
        return socket;
    errno = -err;
    return NULL;
}

int zmq_close(void *handle)
{
    struct zu_socket *socket = api_socket(handle);
    if (!socket)
        return -1;
    zu_socket_close(socket);
    return 0;
}

/* The socket when a call may go on; NULL with errno when not. */
static struct zu_socket *entered(void *handle)
{
    struct zu_socket *socket = api_socket(handle);
    if (!socket)
        return NULL;
    int err = zu_socket_enter(socket);
    if (!err)
        return socket;
    errno = -err;
    return NULL;
}

int zmq_setsockopt(void *handle, int option, const void *value, size_t size)
{
    struct zu_socket *socket = entered(handle);
    return socket ? api_result(zu_socket_set(socket, option, value, size)) : -1;
}

int zmq_getsockopt(void *handle, int option, void *value, size_t *size)
{
    struct zu_socket *socket = entered(handle);
    return socket ? api_result(zu_socket_get(socket, option, value, size)) : -1;
}

int zmq_socket_get_peer_state(void *handle, const void *routing_id, size_t size)
{
    struct zu_socket *socket = entered(handle);
    if (!socket)
        return -1;
    if (!socket->pattern.ops->peer_state)
        return api_result(-ENOTSUP);
    if (!routing_id && size)
        return api_result(-EFAULT);
    int err = zu_socket_refresh(socket); /* inline, who only asks should learn of what happens, too */
    return api_result(err ? err : socket->pattern.ops->peer_state(&socket->pattern, routing_id, size));
}

int zmq_bind(void *handle, const char *endpoint)
{
    struct zu_socket *socket = entered(handle);
    return socket ? api_result(zu_socket_bind(socket, endpoint)) : -1;
}

int zmq_connect(void *handle, const char *endpoint)
{
    struct zu_socket *socket = entered(handle);
    return socket ? api_result(zu_socket_connect(socket, endpoint)) : -1;
}

int zmq_unbind(void *handle, const char *endpoint)
{
    struct zu_socket *socket = entered(handle);
    return socket ? api_result(zu_socket_forget(socket, endpoint)) : -1;
}

int zmq_disconnect(void *handle, const char *endpoint)
{
    return zmq_unbind(handle, endpoint);
}
