/* SPDX-License-Identifier: MIT */
/*
 * The functions that libzmq exports and zuring has not built yet, so that every program links. Each fails with ENOTSUP
 * whatever its arguments. A function leaves this file when it is written; the file goes with the last one.
 */
#define ZMQ_BUILD_DRAFT_API
#include "zmq.h"

/* Arguments are not looked at; that they are unused is the point. */
#pragma GCC diagnostic ignored "-Wunused-parameter"

static int unbuilt(void)
{
    errno = ENOTSUP;
    return -1;
}

int zmq_join(void *socket, const char *group)
{
    return unbuilt();
}

int zmq_leave(void *socket, const char *group)
{
    return unbuilt();
}

uint32_t zmq_connect_peer(void *socket, const char *endpoint)
{
    unbuilt();
    return 0;
}

int zmq_disconnect_peer(void *socket, uint32_t routing_id)
{
    return unbuilt();
}

int zmq_socket_get_peer_state(void *socket, const void *routing_id, size_t routing_id_size)
{
    return unbuilt();
}
