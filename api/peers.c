/* SPDX-License-Identifier: MIT */
/* Counters of a socket's peers, for zuring.h. Only bad arguments and want of memory fail it; nothing is changed. */
#include "api.h"
#include "mem/alloc.h"
#include "zuring.h"

static struct zuring_peer_counts shown(const struct zu_peer_counts *counts)
{
    return (struct zuring_peer_counts){
        .sent_accepted = counts->out.accepted,
        .sent_handed = counts->out.consumed,
        .sent_dropped = counts->out.dropped,
        .sent_queued = counts->out.held,
        .received = counts->in.accepted,
        .taken = counts->in.consumed,
        .received_queued = counts->in.held,
    };
}

int zuring_peers(void *handle, struct zuring_peer_counts *counts, size_t *count)
{
    struct zu_socket *socket = api_socket(handle);
    if (!socket)
        return -1;
    if (!count || (!counts && *count))
        return api_result(-EFAULT);
    int err = zu_socket_enter(socket);
    if (err)
        return api_result(err);
    size_t room = *count;
    struct zu_peer_counts *own = room ? zu_alloc(room * sizeof *own) : NULL;
    if (room && !own)
        return api_result(-ENOMEM);
    *count = zu_socket_count(socket, own, room);
    for (size_t i = 0; i < room && i < *count; i++)
        counts[i] = shown(&own[i]);
    if (own)
        zu_free(own, room * sizeof *own);
    return 0;
}

int zuring_unroutable(void *handle, uint64_t *count)
{
    struct zu_socket *socket = api_socket(handle);
    if (!socket)
        return -1;
    if (!count)
        return api_result(-EFAULT);
    int err = zu_socket_enter(socket);
    if (err)
        return api_result(err);
    *count = socket->pattern.out.unroutable;
    return 0;
}
