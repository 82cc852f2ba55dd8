/* SPDX-License-Identifier: MIT */
/* zuring_peers: at rest, accepted = handed + dropped + queued for every peer; and what no peer counts. */
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

static uint64_t unroutable(void *socket)
{
    uint64_t count;
    KIT_OK(zuring_unroutable(socket, &count));
    return count;
}

/* Each row a message that is accepted, and who counts it. */
Test(zuring_peers, what_goes_to_nobody_is_counted)
{
    void *context = zmq_ctx_new();
    void *router = kit_socket(context, ZMQ_ROUTER), *dealer = kit_socket(context, ZMQ_DEALER);
    kit_set(router, ZMQ_SNDHWM, 1);
    kit_set(dealer, ZMQ_RCVHWM, 1);
    KIT_OK(zmq_setsockopt(dealer, ZMQ_ROUTING_ID, "me", 2));
    KIT_OK(zmq_bind(router, "inproc://routes"));
    KIT_OK(zmq_connect(dealer, "inproc://routes"));
    static const char *const to[] = {"you", "me", "you", "me", "me", "you"};
    for (int i = 0; i < 6; i++) {
        kit_send_text(router, to[i], ZMQ_SNDMORE);
        kit_send_text(router, "a", ZMQ_SNDMORE);
        kit_send_text(router, "b", 0);
    }
    kit_send_text(router, "me", 0);
    struct zuring_peer_counts counts = only_peer(router);
    cr_assert_eq(counts.sent_accepted, 3u);
    cr_assert_eq(counts.sent_dropped, 1u);
    sum_holds(&counts);
    cr_assert_eq(unroutable(router), 4u);
    kit_set(router, ZMQ_ROUTER_MANDATORY, 1);
    KIT_FAILS(EHOSTUNREACH, zmq_send(router, "you", 3, ZMQ_SNDMORE));
    for (int i = 0; i < 4; i++)
        kit_recv_text(dealer, i % 2 ? "b" : "a");
    kit_send_text(router, "me", ZMQ_SNDMORE);
    cr_assert_eq(unroutable(router), 4u);
    KIT_OK(zmq_close(dealer));
    cr_assert_eq(unroutable(router), 5u, "cut short");
    kit_send_text(router, "a", 0);
    cr_assert_eq(unroutable(router), 5u);
    KIT_FAILS(EFAULT, zuring_unroutable(router, NULL));
    KIT_FAILS(ENOTSOCK, zuring_unroutable(NULL, NULL));
    KIT_OK(zmq_close(router));
    KIT_OK(zmq_ctx_term(context));
}

/* A reply whose asker has gone, and a message of a DEALER that was begun for one. */
Test(zuring_peers, what_was_for_one_that_has_gone_is_counted)
{
    void *context = zmq_ctx_new();
    void *rep = kit_socket(context, ZMQ_REP), *req = kit_socket(context, ZMQ_REQ);
    KIT_OK(zmq_bind(rep, "inproc://asked"));
    KIT_OK(zmq_connect(req, "inproc://asked"));
    kit_send_text(req, "?", 0);
    kit_recv_text(rep, "?");
    KIT_OK(zmq_close(req));
    kit_send_text(rep, "!", ZMQ_SNDMORE);
    kit_send_text(rep, "!", 0);
    cr_assert_eq(unroutable(rep), 1u);
    void *dealer = kit_socket(context, ZMQ_DEALER), *other = kit_socket(context, ZMQ_DEALER);
    KIT_OK(zmq_bind(other, "inproc://other"));
    KIT_OK(zmq_connect(dealer, "inproc://other"));
    kit_send_text(dealer, "half", ZMQ_SNDMORE);
    KIT_OK(zmq_close(other));
    kit_send_text(dealer, "swallowed", 0);
    cr_assert_eq(unroutable(dealer), 1u);
    KIT_OK(zmq_close(dealer));
    KIT_OK(zmq_close(rep));
    KIT_OK(zmq_ctx_term(context));
}
