/* SPDX-License-Identifier: MIT */
/*
 * Sending and receiving, in all the forms the API has. Bytes are copied once, between the caller's memory and the pipe;
 * messages hand their bodies over. Errors come back by errno, with nothing sent, nothing taken.
 */
#include "api.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

static int size_as_int(size_t size)
{
    return size < INT_MAX ? (int)size : INT_MAX;
}

ZU_HOT int zmq_send(void *handle, const void *data, size_t size, int flags)
{
    struct zu_socket *socket = api_socket(handle);
    if (zu_unlikely(!socket))
        return -1;
    if (zu_unlikely(!data && size))
        return api_result(-EFAULT);
    struct zu_part part = {.data = data, .size = size, .more = flags & ZMQ_SNDMORE, .waits = !(flags & ZMQ_DONTWAIT)};
    int err = zu_socket_send(socket, &part, flags);
    return zu_likely(!err) ? size_as_int(size) : api_result(err);
}

int zmq_send_const(void *handle, const void *data, size_t size, int flags)
{
    struct zu_socket *socket = api_socket(handle);
    if (!socket)
        return -1;
    if (!data && size)
        return api_result(-EFAULT);
    struct zu_msg msg;
    zu_msg_init_constant(&msg, data, size);
    struct zu_part part = {.msg = &msg, .size = size, .more = flags & ZMQ_SNDMORE, .waits = !(flags & ZMQ_DONTWAIT)};
    int err = zu_socket_send(socket, &part, flags);
    return err ? api_result(err) : size_as_int(size);
}

ZU_HOT int zmq_recv(void *handle, void *data, size_t size, int flags)
{
    struct zu_socket *socket = api_socket(handle);
    if (zu_unlikely(!socket))
        return -1;
    if (zu_unlikely(!data && size))
        return api_result(-EFAULT);
    struct zu_view view;
    int err = zu_socket_peek(socket, &view, flags);
    if (zu_unlikely(err))
        return api_result(err);
    size_t copied = view.size < size ? view.size : size;
    zu_copy(data, view.data, copied);
    unsigned more = view.flags;
    zu_pipe_pop(view.pipe, &view);
    zu_socket_taken(socket, more);
    return size_as_int(view.size);
}

ZU_HOT int zmq_msg_send(zmq_msg_t *handle, void *socket_handle, int flags)
{
    struct zu_socket *socket = api_socket(socket_handle);
    if (zu_unlikely(!socket))
        return -1;
    struct zu_msg *msg = api_msg_open(handle);
    if (zu_unlikely(!msg))
        return -1;
    size_t size = zu_msg_size(msg);
    /* What the pipe would copy goes the way of bytes; the message then ends here. */
    bool copied = zu_pipe_copies(msg);
    struct zu_part part = {
        .data = zu_msg_data(msg),
        .size = size,
        .msg = copied ? NULL : msg,
        .more = flags & ZMQ_SNDMORE,
        .waits = !(flags & ZMQ_DONTWAIT),
    };
    int err = zu_socket_send(socket, &part, flags);
    if (zu_unlikely(err))
        return api_result(err);
    if (copied) {
        zu_msg_close(msg);
        zu_msg_init(msg);
    }
    return size_as_int(size);
}

/*
 * As in libzmq, who came as far as looking for a message has given up the old one: not who cannot receive at all, or not
 * now, nor who had been told that the context ends.
 */
static ZU_COLD int msg_recv_failed(struct zu_msg *msg, struct zu_socket *socket, unsigned state, int err)
{
    if (state <= ZU_SOCKET_WATCHED && (socket->pattern.ops->can & ZU_POLL_IN) && err != -ZU_EFSM) {
        zu_msg_close(msg);
        zu_msg_init(msg);
    }
    return api_result(err);
}

ZU_HOT int zmq_msg_recv(zmq_msg_t *handle, void *socket_handle, int flags)
{
    struct zu_socket *socket = api_socket(socket_handle);
    if (zu_unlikely(!socket))
        return -1;
    struct zu_msg *msg = api_msg_open(handle);
    if (zu_unlikely(!msg))
        return -1;
    struct zu_view view;
    unsigned state = atomic_load_explicit(&socket->state, memory_order_relaxed);
    int err = zu_socket_peek(socket, &view, flags);
    if (zu_unlikely(err))
        return msg_recv_failed(msg, socket, state, err);
    unsigned more = view.flags;
    zu_msg_close(msg);
    /* In place: a message built aside and copied would stall on its own fresh stores. */
    err = zu_pipe_take_msg(view.pipe, &view, msg);
    if (zu_unlikely(err)) {
        zu_msg_init(msg);
        return api_result(err);
    }
    zu_socket_taken(socket, more);
    return size_as_int(view.size);
}

int zmq_sendmsg(void *socket, zmq_msg_t *msg, int flags)
{
    return zmq_msg_send(msg, socket, flags);
}

int zmq_recvmsg(void *socket, zmq_msg_t *msg, int flags)
{
    return zmq_msg_recv(msg, socket, flags);
}

int zmq_sendiov(void *socket, struct iovec *pieces, size_t count, int flags)
{
    if (!api_socket(socket))
        return -1;
    if (!count || !pieces)
        return api_result(-EINVAL);
    int sent = 0;
    for (size_t i = 0; i < count; i++) {
        int piece_flags = i + 1 == count ? flags & ~ZMQ_SNDMORE : flags;
        sent = zmq_send(socket, pieces[i].iov_base, pieces[i].iov_len, piece_flags);
        if (sent < 0)
            return -1;
    }
    return sent;
}

/* One part into memory that the caller frees; says whether more follow. */
static int recv_piece(struct zu_socket *socket, struct iovec *piece, int flags, bool *ret_more)
{
    struct zu_view view;
    int err = zu_socket_peek(socket, &view, flags);
    if (err)
        return err;
    void *copy = malloc(view.size ? view.size : 1);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, view.data, view.size);
    *piece = (struct iovec){.iov_base = copy, .iov_len = view.size};
    *ret_more = view.flags & ZU_FRAME_MORE;
    unsigned more = view.flags;
    zu_pipe_pop(view.pipe, &view);
    zu_socket_taken(socket, more);
    return 0;
}

int zmq_recviov(void *handle, struct iovec *pieces, size_t *count, int flags)
{
    struct zu_socket *socket = api_socket(handle);
    if (!socket)
        return -1;
    if (!count || !*count || !pieces)
        return api_result(-EINVAL);
    size_t room = *count;
    bool more = true;
    *count = 0;
    for (size_t i = 0; more && i < room; i++) {
        int err = recv_piece(socket, &pieces[i], flags, &more);
        if (err)
            return api_result(err);
        ++*count;
    }
    return size_as_int(*count);
}
