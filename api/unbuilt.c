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

/* For functions that fail with NULL. */
static void *unbuilt_null(void)
{
    errno = ENOTSUP;
    return NULL;
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

int zmq_ppoll(zmq_pollitem_t *items, int nitems, long timeout_ms, const sigset_t *sigmask)
{
    return unbuilt();
}

void *zmq_poller_new(void)
{
    return unbuilt_null();
}

int zmq_poller_destroy(void **poller)
{
    return unbuilt();
}

int zmq_poller_size(void *poller)
{
    return unbuilt();
}

int zmq_poller_add(void *poller, void *socket, void *user_data, short events)
{
    return unbuilt();
}

int zmq_poller_modify(void *poller, void *socket, short events)
{
    return unbuilt();
}

int zmq_poller_remove(void *poller, void *socket)
{
    return unbuilt();
}

int zmq_poller_add_fd(void *poller, zmq_fd_t fd, void *user_data, short events)
{
    return unbuilt();
}

int zmq_poller_modify_fd(void *poller, zmq_fd_t fd, short events)
{
    return unbuilt();
}

int zmq_poller_remove_fd(void *poller, zmq_fd_t fd)
{
    return unbuilt();
}

int zmq_poller_wait(void *poller, zmq_poller_event_t *event, long timeout_ms)
{
    return unbuilt();
}

int zmq_poller_wait_all(void *poller, zmq_poller_event_t *events, int n_events, long timeout_ms)
{
    return unbuilt();
}

int zmq_poller_fd(void *poller, zmq_fd_t *fd)
{
    return unbuilt();
}
