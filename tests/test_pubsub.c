/* SPDX-License-Identifier: MIT */
/* PUB, SUB, XPUB and XSUB as a program sees them; stock libzmq's behaviour, looked at with 4.3.4, is the measure. */
#include "kit.h"

static void subscribe(void *socket, const char *prefix)
{
    KIT_OK(zmq_setsockopt(socket, ZMQ_SUBSCRIBE, prefix, strlen(prefix)));
}

static void unsubscribe(void *socket, const char *prefix)
{
    KIT_OK(zmq_setsockopt(socket, ZMQ_UNSUBSCRIBE, prefix, strlen(prefix)));
}

/* One frame: `first` octet and then text. */
static void recv_request(void *xpub, int first, const char *prefix)
{
    char got[256];
    kit_poke();
    int size = zmq_recv(xpub, got, sizeof got - 1, 0);
    cr_assert_geq(size, 1, "waiting for %d%s: %s", first, prefix, zmq_strerror(errno));
    got[size] = 0;
    cr_assert_eq(got[0], first, "%d%s instead of %d%s", got[0], got + 1, first, prefix);
    cr_assert_str_eq(got + 1, prefix);
}

static void send_request(void *xsub, int first, const char *prefix, int flags)
{
    char text[256];
    text[0] = (char)first;
    strcpy(text + 1, prefix);
    KIT_OK(zmq_send(xsub, text, 1 + strlen(prefix), flags));
}

/* All that is on its way has come: over inproc at once, else what others were told later has come back. */
static bool is_silent(void *socket)
{
    char got[8];
    return KIT_ERRNO(zmq_recv(socket, got, sizeof got, ZMQ_DONTWAIT)) == EAGAIN;
}

#define EACH_TRANSPORT(name) for (int name = 0; name < KIT_TRANSPORTS; name++)

Test(pubsub, a_subscriber_gets_what_begins_with_its_prefix)
{
    EACH_TRANSPORT(t)
    {
        struct kit_pair pair = kit_pair(kit_transports[t], ZMQ_SUB, ZMQ_XPUB);
        subscribe(pair.from, "ab");
        recv_request(pair.to, 1, "ab");
        kit_send_text(pair.to, "a", 0);
        kit_send_text(pair.to, "", 0);
        kit_send_text(pair.to, "b", 0);
        kit_send_text(pair.to, "ab", 0);
        kit_send_text(pair.to, "abc", ZMQ_SNDMORE);
        kit_send_text(pair.to, "x", 0);
        kit_send_text(pair.to, "x", ZMQ_SNDMORE);
        kit_send_text(pair.to, "abc", 0);
        kit_send_text(pair.to, "ab last", 0);
        kit_recv_text(pair.from, "ab");
        kit_recv_text(pair.from, "abc");
        cr_assert(kit_get(pair.from, ZMQ_RCVMORE));
        kit_recv_text(pair.from, "x");
        cr_assert_not(kit_get(pair.from, ZMQ_RCVMORE));
        kit_recv_text(pair.from, "ab last");
        kit_pair_end(&pair);
    }
}

Test(pubsub, a_publisher_may_connect_and_the_subscriber_bind)
{
    EACH_TRANSPORT(t)
    {
        struct kit_pair pair = kit_pair(kit_transports[t], ZMQ_PUB, ZMQ_SUB);
        subscribe(pair.to, "");
        KIT_UNTIL(({ kit_send_text(pair.from, "hello", 0); kit_readable(pair.to, 1); }));
        kit_recv_text(pair.to, "hello");
        kit_pair_end(&pair);
    }
}

Test(pubsub, nobody_hears_a_message_without_subscribers)
{
    void *context = zmq_ctx_new();
    int types[] = {ZMQ_PUB, ZMQ_XPUB, ZMQ_XSUB};
    for (int i = 0; i < 3; i++) {
        void *socket = kit_socket(context, types[i]);
        kit_send_text(socket, "x", ZMQ_SNDMORE);
        kit_send_text(socket, "x", 0);
        cr_assert_eq(kit_get(socket, ZMQ_EVENTS), ZMQ_POLLOUT);
        KIT_OK(zmq_close(socket));
    }
    void *pub = kit_socket(context, ZMQ_PUB), *sub = kit_socket(context, ZMQ_SUB);
    char got[8];
    KIT_FAILS(ENOTSUP, zmq_recv(pub, got, sizeof got, 0));
    KIT_FAILS(ENOTSUP, zmq_send(sub, "x", 1, 0));
    KIT_FAILS(EAGAIN, zmq_recv(sub, got, sizeof got, ZMQ_DONTWAIT));
    KIT_FAILS(EINVAL, zmq_setsockopt(pub, ZMQ_SUBSCRIBE, "x", 1));
    cr_assert_eq(kit_get(sub, ZMQ_EVENTS), 0);
    KIT_OK(zmq_close(pub));
    KIT_OK(zmq_close(sub));
    KIT_OK(zmq_ctx_term(context));
}

Test(pubsub, a_prefix_counts_for_its_subscriber_and_is_a_set_for_the_publisher)
{
    EACH_TRANSPORT(t)
    {
        struct kit_pair pair = kit_pair(kit_transports[t], ZMQ_SUB, ZMQ_XPUB);
        subscribe(pair.from, "A");
        subscribe(pair.from, "A");
        unsubscribe(pair.from, "A");
        unsubscribe(pair.from, "none");
        subscribe(pair.from, "B");
        recv_request(pair.to, 1, "A");
        recv_request(pair.to, 1, "B");
        cr_assert_eq(kit_get(pair.from, ZMQ_TOPICS_COUNT), 2);
        cr_assert_eq(kit_get(pair.to, ZMQ_TOPICS_COUNT), 2);
        unsubscribe(pair.from, "A");
        recv_request(pair.to, 0, "A");
        kit_send_text(pair.to, "A", 0);
        kit_send_text(pair.to, "B", 0);
        kit_recv_text(pair.from, "B");
        cr_assert_eq(kit_get(pair.from, ZMQ_TOPICS_COUNT), 1);
        cr_assert_eq(kit_get(pair.to, ZMQ_TOPICS_COUNT), 1);
        kit_pair_end(&pair);
    }
}

Test(pubsub, who_goes_leaves_cancellations_in_order)
{
    EACH_TRANSPORT(t)
    {
        struct kit_pair pair = kit_pair(kit_transports[t], ZMQ_SUB, ZMQ_XPUB);
        void *other = kit_socket(pair.context, ZMQ_SUB);
        KIT_OK(zmq_connect(other, pair.text));
        subscribe(other, "bb");
        recv_request(pair.to, 1, "bb");
        const char *in_order[] = {"m", "b", "zz", "a", "bb"};
        for (int i = 0; i < 5; i++)
            subscribe(pair.from, in_order[i]);
        for (int i = 0; i < 4; i++)
            recv_request(pair.to, 1, in_order[i]);
        KIT_OK(zmq_close(pair.from));
        recv_request(pair.to, 0, "a");
        recv_request(pair.to, 0, "b");
        recv_request(pair.to, 0, "m");
        recv_request(pair.to, 0, "zz");
        KIT_OK(zmq_close(other));
        recv_request(pair.to, 0, "bb");
        cr_assert(is_silent(pair.to));
        cr_assert_eq(kit_get(pair.to, ZMQ_TOPICS_COUNT), 0);
        KIT_OK(zmq_close(pair.to));
        KIT_OK(zmq_ctx_term(pair.context));
    }
}

Test(pubsub, frames_of_a_message_may_be_subscriptions)
{
    for (int only_first = 0; only_first < 2; only_first++) {
        EACH_TRANSPORT(t)
        {
            struct kit_pair pair = kit_pair(kit_transports[t], ZMQ_XSUB, ZMQ_XPUB);
            kit_set(pair.to, ZMQ_ONLY_FIRST_SUBSCRIBE, only_first);
            kit_set(pair.from, ZMQ_ONLY_FIRST_SUBSCRIBE, only_first);
            kit_send_text(pair.from, "user", ZMQ_SNDMORE);
            send_request(pair.from, 1, "B", ZMQ_SNDMORE);
            kit_send_text(pair.from, "z", 0);
            send_request(pair.from, 1, "C", ZMQ_SNDMORE);
            kit_send_text(pair.from, "user2", ZMQ_SNDMORE);
            send_request(pair.from, 0, "C", 0);
            kit_send_text(pair.from, "", 0);
            kit_recv_text(pair.to, "user");
            cr_assert(kit_get(pair.to, ZMQ_RCVMORE));
            recv_request(pair.to, 1, "B");
            cr_assert_eq(kit_get(pair.to, ZMQ_RCVMORE), only_first);
            kit_recv_text(pair.to, "z");
            recv_request(pair.to, 1, "C");
            cr_assert_not(kit_get(pair.to, ZMQ_RCVMORE));
            kit_recv_text(pair.to, "user2");
            cr_assert(kit_get(pair.to, ZMQ_RCVMORE));
            recv_request(pair.to, 0, "C");
            kit_recv_text(pair.to, "");
            cr_assert_eq(kit_get(pair.to, ZMQ_TOPICS_COUNT), only_first ? 0 : 1);
            kit_pair_end(&pair);
        }
    }
}

Test(pubsub, verbose_publishers_tell_of_every_request)
{
    struct kit_pair pair = kit_pair("tcp", ZMQ_SUB, ZMQ_XPUB);
    void *other = kit_socket(pair.context, ZMQ_SUB);
    KIT_OK(zmq_connect(other, pair.text));
    kit_set(pair.to, ZMQ_XPUB_VERBOSE, 1);
    subscribe(pair.from, "A");
    recv_request(pair.to, 1, "A");
    subscribe(other, "A");
    recv_request(pair.to, 1, "A");
    unsubscribe(other, "A");
    subscribe(other, "B");
    recv_request(pair.to, 1, "B");
    kit_set(pair.to, ZMQ_XPUB_VERBOSER, 1);
    subscribe(other, "A");
    recv_request(pair.to, 1, "A");
    unsubscribe(other, "A");
    recv_request(pair.to, 0, "A");
    subscribe(other, "A");
    recv_request(pair.to, 1, "A");
    KIT_OK(zmq_close(other));
    recv_request(pair.to, 0, "A");
    recv_request(pair.to, 0, "B");
    kit_pair_end(&pair);
}

Test(pubsub, repeated_cancellations_are_sent_if_asked_for)
{
    struct kit_pair pair = kit_pair("tcp", ZMQ_XSUB, ZMQ_XPUB);
    kit_set(pair.to, ZMQ_XPUB_VERBOSER, 1);
    send_request(pair.from, 1, "A", 0);
    send_request(pair.from, 1, "A", 0);
    send_request(pair.from, 0, "A", 0);
    send_request(pair.from, 0, "none", 0);
    kit_set(pair.from, ZMQ_XSUB_VERBOSE_UNSUBSCRIBE, 1);
    send_request(pair.from, 0, "A", 0);
    send_request(pair.from, 0, "none", 0);
    recv_request(pair.to, 1, "A");
    recv_request(pair.to, 1, "A");
    recv_request(pair.to, 0, "A");
    recv_request(pair.to, 0, "none");
    kit_pair_end(&pair);
}

Test(pubsub, in_manual_mode_the_application_decides)
{
    EACH_TRANSPORT(t)
    {
        struct kit_pair pair = kit_pair(kit_transports[t], ZMQ_SUB, ZMQ_XPUB);
        kit_set(pair.to, ZMQ_XPUB_MANUAL, 1);
        subscribe(pair.from, "A");
        recv_request(pair.to, 1, "A");
        kit_send_text(pair.to, "A refused", 0);
        subscribe(pair.to, "XA");
        subscribe(pair.from, "XA");
        recv_request(pair.to, 1, "XA");
        kit_send_text(pair.to, "A", 0);
        kit_send_text(pair.to, "XA", 0);
        kit_recv_text(pair.from, "XA");
        unsubscribe(pair.from, "A");
        recv_request(pair.to, 0, "A");
        kit_send_text(pair.to, "XA2", 0);
        unsubscribe(pair.to, "XA");
        kit_send_text(pair.to, "XA3", 0);
        kit_recv_text(pair.from, "XA2");
        cr_assert_not(kit_readable(pair.from, 20));
        KIT_OK(zmq_close(pair.from));
        recv_request(pair.to, 0, "XA");
        subscribe(pair.to, "nobody");
        cr_assert_eq(kit_get(pair.to, ZMQ_TOPICS_COUNT), 0);
        KIT_OK(zmq_close(pair.to));
        KIT_OK(zmq_ctx_term(pair.context));
    }
}

Test(pubsub, the_last_value_goes_to_the_last_subscriber_only)
{
    struct kit_pair pair = kit_pair("tcp", ZMQ_SUB, ZMQ_XPUB);
    void *other = kit_socket(pair.context, ZMQ_SUB);
    KIT_OK(zmq_connect(other, pair.text));
    kit_set(pair.to, ZMQ_XPUB_MANUAL_LAST_VALUE, 1);
    subscribe(pair.from, "A");
    recv_request(pair.to, 1, "A");
    subscribe(pair.to, "A");
    kit_send_text(pair.to, "A1", 0);
    kit_recv_text(pair.from, "A1");
    subscribe(other, "A");
    recv_request(pair.to, 1, "A");
    subscribe(pair.to, "A");
    kit_send_text(pair.to, "A2", ZMQ_SNDMORE);
    kit_send_text(pair.to, "A2b", 0);
    kit_send_text(pair.to, "A3", 0);
    kit_recv_text(other, "A2");
    kit_recv_text(other, "A2b");
    kit_recv_text(other, "A3");
    kit_recv_text(pair.from, "A3");
    KIT_OK(zmq_close(other));
    kit_pair_end(&pair);
}

Test(pubsub, a_welcome_is_the_first_message)
{
    EACH_TRANSPORT(t)
    {
        void *context = zmq_ctx_new();
        void *xpub = kit_socket(context, ZMQ_XPUB), *sub = kit_socket(context, ZMQ_SUB);
        char text[KIT_ENDPOINT_SIZE];
        KIT_OK(zmq_setsockopt(xpub, ZMQ_XPUB_WELCOME_MSG, "Wello", 5));
        kit_bind(xpub, kit_transports[t], text);
        subscribe(sub, "W");
        KIT_OK(zmq_connect(sub, text));
        recv_request(xpub, 1, "W");
        kit_send_text(xpub, "W2", 0);
        kit_recv_text(sub, "Wello");
        kit_recv_text(sub, "W2");
        KIT_OK(zmq_close(xpub));
        KIT_OK(zmq_close(sub));
        KIT_OK(zmq_ctx_term(context));
    }
}

Test(pubsub, inverted_matching_gives_what_does_not_match)
{
    EACH_TRANSPORT(t)
    {
        struct kit_pair pair = kit_pair(kit_transports[t], ZMQ_SUB, ZMQ_XPUB);
        kit_set(pair.from, ZMQ_INVERT_MATCHING, 1);
        kit_set(pair.to, ZMQ_INVERT_MATCHING, 1);
        subscribe(pair.from, "A");
        recv_request(pair.to, 1, "A");
        kit_send_text(pair.to, "A1", 0);
        kit_send_text(pair.to, "B1", ZMQ_SNDMORE);
        kit_send_text(pair.to, "A2", 0);
        kit_send_text(pair.to, "B2", 0);
        kit_recv_text(pair.from, "B1");
        kit_recv_text(pair.from, "A2");
        kit_recv_text(pair.from, "B2");
        kit_pair_end(&pair);
    }
}

Test(pubsub, large_bodies_are_shared_and_whole)
{
    enum { SIZE = 300000, SUBS = 3 };
    EACH_TRANSPORT(t)
    {
        void *context = zmq_ctx_new(), *xpub = kit_socket(context, ZMQ_XPUB), *subs[SUBS];
        char text[KIT_ENDPOINT_SIZE];
        kit_bind(xpub, kit_transports[t], text);
        kit_set(xpub, ZMQ_XPUB_VERBOSE, 1);
        for (int i = 0; i < SUBS; i++) {
            subs[i] = kit_socket(context, ZMQ_SUB);
            subscribe(subs[i], "");
            KIT_OK(zmq_connect(subs[i], text));
            recv_request(xpub, 1, "");
        }
        for (uint32_t n = 0; n < 3; n++) {
            static uint8_t body[SIZE];
            kit_fill(body, SIZE, n);
            if (n < 2) {
                KIT_OK(zmq_send(xpub, body, SIZE, n ? ZMQ_SNDMORE : 0));
            } else {
                zmq_msg_t msg;
                KIT_OK(zmq_msg_init_size(&msg, SIZE));
                memcpy(zmq_msg_data(&msg), body, SIZE);
                KIT_OK(zmq_msg_send(&msg, xpub, 0));
            }
            if (n == 0)
                kit_send_text(xpub, "between", 0);
        }
        for (int i = 0; i < SUBS; i++) {
            for (uint32_t n = 0; n < 3; n++) {
                zmq_msg_t msg;
                KIT_OK(zmq_msg_init(&msg));
                KIT_OK(zmq_msg_recv(&msg, subs[i], 0));
                cr_assert_eq(zmq_msg_size(&msg), SIZE);
                cr_assert(kit_is_filled(zmq_msg_data(&msg), SIZE, n));
                cr_assert_eq(zmq_msg_more(&msg), n == 1);
                KIT_OK(zmq_msg_close(&msg));
                if (n == 0)
                    kit_recv_text(subs[i], "between");
            }
            KIT_OK(zmq_close(subs[i]));
        }
        KIT_OK(zmq_close(xpub));
        KIT_OK(zmq_ctx_term(context));
    }
}

Test(pubsub, a_prefix_may_be_long)
{
    enum { SIZE = 50000 };
    EACH_TRANSPORT(t)
    {
        static char prefix[SIZE + 1], got[SIZE + 1];
        memset(prefix, 'p', SIZE);
        for (int size = 255; size <= SIZE; size = size < 260 ? size + 1 : size < 12000 ? 12280 : size + 12000) {
            struct kit_pair pair = kit_pair(kit_transports[t], ZMQ_SUB, ZMQ_XPUB);
            KIT_OK(zmq_setsockopt(pair.from, ZMQ_SUBSCRIBE, prefix, (size_t)size));
            subscribe(pair.from, "after");
            cr_assert_eq(zmq_recv(pair.to, got, sizeof got, 0), size + 1);
            cr_assert(got[0] == 1 && memcmp(got + 1, prefix, (size_t)size) == 0);
            recv_request(pair.to, 1, "after");
            kit_pair_end(&pair);
        }
    }
}

/* A slow subscriber over inproc, where limits are exact: 2 + 2 messages fit. */
Test(pubsub, a_full_subscriber_loses_whole_messages_until_it_has_read_half)
{
    void *context = zmq_ctx_new(), *xpub = kit_socket(context, ZMQ_XPUB), *sub = kit_socket(context, ZMQ_SUB);
    kit_set(xpub, ZMQ_SNDHWM, 2);
    kit_set(sub, ZMQ_RCVHWM, 2);
    KIT_OK(zmq_bind(xpub, "inproc://full"));
    KIT_OK(zmq_connect(sub, "inproc://full"));
    subscribe(sub, "");
    recv_request(xpub, 1, "");
    char text[2] = "0";
    for (int i = 0; i < 6; i++, text[0]++) {
        kit_send_text(xpub, text, ZMQ_SNDMORE);
        kit_send_text(xpub, "end", 0);
    }
    kit_recv_text(sub, "0");
    kit_recv_text(sub, "end");
    kit_send_text(xpub, "lost as well", 0);
    kit_recv_text(sub, "1");
    kit_recv_text(sub, "end");
    kit_send_text(xpub, "kept", 0);
    kit_recv_text(sub, "2");
    kit_recv_text(sub, "end");
    kit_recv_text(sub, "3");
    kit_recv_text(sub, "end");
    kit_recv_text(sub, "kept");
    cr_assert(is_silent(sub));
    KIT_OK(zmq_close(xpub));
    KIT_OK(zmq_close(sub));
    KIT_OK(zmq_ctx_term(context));
}

Test(pubsub, without_dropping_a_full_subscriber_holds_up_the_message_for_all)
{
    void *context = zmq_ctx_new(), *xpub = kit_socket(context, ZMQ_XPUB);
    void *slow = kit_socket(context, ZMQ_SUB), *fast = kit_socket(context, ZMQ_SUB);
    kit_set(xpub, ZMQ_SNDHWM, 1);
    kit_set(xpub, ZMQ_XPUB_NODROP, 1);
    kit_set(slow, ZMQ_RCVHWM, 1);
    KIT_OK(zmq_bind(xpub, "inproc://nodrop"));
    KIT_OK(zmq_connect(slow, "inproc://nodrop"));
    KIT_OK(zmq_connect(fast, "inproc://nodrop"));
    subscribe(slow, "");
    recv_request(xpub, 1, "");
    subscribe(fast, "f");
    recv_request(xpub, 1, "f");
    kit_send_text(xpub, "f1", 0);
    kit_send_text(xpub, "f2", 0);
    KIT_FAILS(EAGAIN, zmq_send(xpub, "f3", 2, ZMQ_DONTWAIT));
    kit_set(xpub, ZMQ_SNDTIMEO, 10);
    KIT_FAILS(EAGAIN, zmq_send(xpub, "f3", 2, 0));
    cr_assert(kit_get(xpub, ZMQ_EVENTS) & ZMQ_POLLOUT);
    kit_recv_text(slow, "f1");
    kit_send_text(xpub, "f4", ZMQ_SNDMORE);
    kit_send_text(xpub, "end", 0);
    kit_recv_text(slow, "f2");
    kit_recv_text(slow, "f4");
    kit_recv_text(slow, "end");
    kit_recv_text(fast, "f1");
    kit_recv_text(fast, "f2");
    kit_recv_text(fast, "f4");
    kit_recv_text(fast, "end");
    KIT_OK(zmq_close(xpub));
    KIT_OK(zmq_close(slow));
    KIT_OK(zmq_close(fast));
    KIT_OK(zmq_ctx_term(context));
}

Test(pubsub, subscriptions_do_not_count_against_limits)
{
    enum { TOPICS = 5000 };
    struct kit_pair pair = kit_pair("tcp", ZMQ_SUB, ZMQ_XPUB);
    char text[16];
    kit_set(pair.from, ZMQ_SNDHWM, 1);
    kit_set(pair.to, ZMQ_RCVHWM, 1);
    for (int i = 0; i < TOPICS; i++) {
        snprintf(text, sizeof text, "%d", i);
        subscribe(pair.from, text);
    }
    for (int i = 0; i < TOPICS; i++) {
        snprintf(text, sizeof text, "%d", i);
        recv_request(pair.to, 1, text);
    }
    kit_pair_end(&pair);
}

Test(pubsub, a_message_of_the_subscriber_says_where_it_came_from)
{
    struct kit_pair pair = kit_pair("tcp", ZMQ_XSUB, ZMQ_XPUB);
    zmq_msg_t msg;
    KIT_OK(zmq_msg_init(&msg));
    send_request(pair.from, 1, "A", 0);
    kit_send_text(pair.from, "user", 0);
    for (int i = 0; i < 2; i++) {
        KIT_OK(zmq_msg_recv(&msg, pair.to, 0));
        const char *type = zmq_msg_gets(&msg, "Socket-Type");
        cr_assert(type && strcmp(type, "XSUB") == 0);
    }
    KIT_OK(zmq_msg_close(&msg));
    kit_pair_end(&pair);
}
