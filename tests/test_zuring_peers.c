/* SPDX-License-Identifier: MIT */
/* zuring_peers: at rest, accepted = handed + dropped + queued for every peer. */
#include <errno.h>
#include <zuring.h>

#include "kit.h"

static struct zuring_peer_counts only_peer(void *socket)
{
    struct zuring_peer_counts counts[2];
    size_t count = 2;
    KIT_OK(zuring_peers(socket, counts, &count));
    cr_assert_eq(count, 1u);
    return counts[0];
}

static void sum_holds(const struct zuring_peer_counts *counts)
{
    cr_assert_eq(counts->sent_accepted, counts->sent_handed + counts->sent_dropped + counts->sent_queued);
    cr_assert_eq(counts->received, counts->taken + counts->received_queued);
}

Test(zuring_peers, sums_hold_on_every_transport)
{
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        struct kit_pair pair = kit_pair(kit_transports[t], ZMQ_PUSH, ZMQ_PULL);
        struct zuring_peer_counts before = only_peer(pair.from);
        for (int i = 0; i < 100; i++)
            kit_send_text(pair.from, "a", 0);
        for (int i = 0; i < 60; i++)
            kit_recv_text(pair.to, "a");
        KIT_UNTIL(kit_get(pair.to, ZMQ_EVENTS) && only_peer(pair.to).received_queued == 40);
        struct zuring_peer_counts to = only_peer(pair.to), from = only_peer(pair.from);
        cr_assert_eq(from.sent_accepted - before.sent_accepted, 100u);
        sum_holds(&from);
        sum_holds(&to);
        kit_pair_end(&pair);
    }
}

Test(zuring_peers, queued_without_a_connection_and_bad_arguments)
{
    void *context = zmq_ctx_new();
    void *push = zmq_socket(context, ZMQ_PUSH);
    int linger = 0;
    KIT_OK(zmq_setsockopt(push, ZMQ_LINGER, &linger, sizeof linger));
    size_t count = 0;
    KIT_OK(zuring_peers(push, NULL, &count));
    cr_assert_eq(count, 0u);
    KIT_OK(zmq_connect(push, "tcp://127.0.0.1:1"));
    for (int i = 0; i < 7; i++)
        kit_send_text(push, "a", 0);
    struct zuring_peer_counts counts = only_peer(push);
    cr_assert_eq(counts.sent_accepted, 7u);
    cr_assert_eq(counts.sent_queued, 7u);
    cr_assert_eq(zuring_peers(push, NULL, NULL), -1);
    cr_assert_eq(errno, EFAULT);
    cr_assert_eq(zuring_peers(NULL, NULL, &count), -1);
    cr_assert_eq(errno, ENOTSOCK);
    zmq_close(push);
    zmq_ctx_term(context);
}
