/* SPDX-License-Identifier: MIT */
/* Monitoring: handles are checked, core/monitor.c does the work. */
#include "api.h"
#include "zuring.h"

int zmq_socket_monitor(void *handle, const char *endpoint, int events)
{
    return zmq_socket_monitor_versioned(handle, endpoint, (uint64_t)events, 1, ZMQ_PAIR);
}

int zmq_socket_monitor_versioned(void *handle, const char *endpoint, uint64_t events, int event_version, int type)
{
    struct zu_socket *socket = api_socket(handle);
    if (!socket)
        return -1;
    int err = zu_socket_enter(socket);
    if (err)
        return api_result(err);
    if (endpoint)
        return api_result(zu_monitor_start(&socket->monitor, socket->context, endpoint, events, event_version, type));
    zu_monitor_stop(&socket->monitor);
    return 0;
}

int zmq_socket_monitor_pipes_stats(void *handle)
{
    struct zu_socket *socket = api_socket(handle);
    if (!socket)
        return -1;
    int err = zu_socket_enter(socket);
    return api_result(err ? err : zu_monitor_stats(socket));
}

int zuring_monitor_dropped(void *handle, uint64_t *count)
{
    struct zu_socket *socket = api_socket(handle);
    if (!socket)
        return -1;
    if (!count)
        return api_result(-EFAULT);
    *count = atomic_load_explicit(&socket->monitor.dropped, memory_order_relaxed);
    return 0;
}
