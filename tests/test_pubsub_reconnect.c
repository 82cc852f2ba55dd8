/* SPDX-License-Identifier: MIT */
/* Subscriptions and the connections they travel by: none is lost with one, none comes twice with the next. */
#include "rawpeer.h"

enum { TOPICS = 100000 };

static void subscribe(void *socket, int option, const char *prefix)
{
    KIT_OK(zmq_setsockopt(socket, option, prefix, strlen(prefix)));
}

static void *verbose_publisher(void *context)
{
    void *xpub = kit_socket(context, ZMQ_XPUB);
    kit_set(xpub, ZMQ_XPUB_VERBOSE, 1);
    return xpub;
}

static int topics_of(void *socket)
{
    kit_poke();
    return kit_get(socket, ZMQ_EVENTS) >= 0 ? kit_get(socket, ZMQ_TOPICS_COUNT) : -1;
}

/* A subscriber of this thread, which learns of a new connection in its calls only, as in libzmq. */
static void *idle_subscriber;

static void poke(void)
{
    kit_poke();
    if (idle_subscriber)
        kit_get(idle_subscriber, ZMQ_EVENTS);
}

/* The number in the next request, which must be a subscription of "t<number>". */
static int recv_number(void *xpub)
{
    char got[64];
    uint64_t until_ms = 0;
    int size;
    do {
        poke();
        size = zmq_recv(xpub, got, sizeof got - 1, ZMQ_DONTWAIT);
        if (size < 0)
            zmq_poll(NULL, 0, 1);
    } while (size < 0 && kit_before(&until_ms));
    cr_assert(size > 2 && got[0] == 1 && got[1] == 't');
    got[size] = 0;
    return atoi(got + 2);
}

static void recv_all_once(void *xpub, int count)
{
    char *seen = calloc(1, (size_t)count);
    for (int i = 0; i < count; i++) {
        int number = recv_number(xpub);
        cr_assert(number >= 0 && number < count && !seen[number], "topic %d", number);
        seen[number] = 1;
    }
    free(seen);
    char got[8];
    KIT_FAILS(EAGAIN, zmq_recv(xpub, got, sizeof got, ZMQ_DONTWAIT));
    cr_assert_eq(topics_of(xpub), count);
}

/* What a publisher says to somebody who waits for that in a thread of his own. */
static int wait_for_end(void *sub)
{
    char got[64];
    int size = zmq_recv(sub, got, sizeof got, 0);
    errno = EPROTO;
    return size == 3 && memcmp(got, "t99", 3) == 0 ? 0 : -1;
}

Test(pubsub_reconnect, all_topics_survive_a_restart_of_the_publisher)
{
    void *context = zmq_ctx_new(), *sub = zmq_socket(context, ZMQ_SUB);
    char endpoint[KIT_ENDPOINT_SIZE], topic[16];
    kit_set(sub, ZMQ_RECONNECT_IVL, 5);
    kit_set(sub, ZMQ_LINGER, 0);
    void *xpub = verbose_publisher(context);
    kit_bind(xpub, "tcp", endpoint);
    KIT_OK(zmq_connect(sub, endpoint));
    for (int i = 0; i < TOPICS; i++) {
        snprintf(topic, sizeof topic, "t%d", i);
        subscribe(sub, ZMQ_SUBSCRIBE, topic);
    }
    struct kit_thread thread;
    kit_thread_start(&thread, wait_for_end, sub);
    for (int restart = 0; restart < 3; restart++) {
        recv_all_once(xpub, TOPICS);
        if (restart == 2)
            break;
        KIT_OK(zmq_close(xpub));
        xpub = verbose_publisher(context);
        kit_rebind(xpub, endpoint);
    }
    kit_send_text(xpub, "t99", 0);
    kit_poke();
    cr_assert_eq(kit_thread_join(&thread), 0);
    KIT_OK(zmq_close(xpub));
    KIT_OK(zmq_close(sub));
    KIT_OK(zmq_ctx_term(context));
}

Test(pubsub_reconnect, changes_without_a_publisher_are_told_to_the_next_one)
{
    const char *transports[] = {"tcp", "ipc"};
    for (int t = 0; t < 2; t++) {
        void *context = zmq_ctx_new(), *sub = kit_socket(context, ZMQ_SUB);
        char endpoint[KIT_ENDPOINT_SIZE];
        kit_free_endpoint(context, transports[t], endpoint);
        kit_set(sub, ZMQ_RECONNECT_IVL, 5);
        KIT_OK(zmq_connect(sub, endpoint));
        idle_subscriber = sub;
        subscribe(sub, ZMQ_SUBSCRIBE, "t0");
        subscribe(sub, ZMQ_SUBSCRIBE, "t1");
        for (int round = 0; round < 4; round++) {
            void *xpub = verbose_publisher(context);
            kit_rebind(xpub, endpoint);
            int number = recv_number(xpub);
            cr_assert_eq(number + recv_number(xpub), 1);
            cr_assert_eq(topics_of(xpub), 2);
            kit_send_text(xpub, "t1 and more", 0);
            kit_poke();
            kit_recv_text(sub, "t1 and more");
            KIT_OK(zmq_close(xpub));
            for (int i = 0; i < 2000; i++) {
                subscribe(sub, ZMQ_SUBSCRIBE, "t2");
                subscribe(sub, ZMQ_UNSUBSCRIBE, "t2");
            }
            subscribe(sub, ZMQ_UNSUBSCRIBE, "t0");
            subscribe(sub, ZMQ_SUBSCRIBE, "t0");
        }
        KIT_OK(zmq_close(sub));
        KIT_OK(zmq_ctx_term(context));
    }
}

/* Several connections come and go before the subscriber's thread looks: the last one is told the set, once. */
Test(pubsub_reconnect, connections_lost_in_quick_succession_cost_nothing)
{
    static const char ready[] = "\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03PUB";
    static const char set[] = "\x04\x0c\x09SUBSCRIBEt0\x04\x0c\x09SUBSCRIBEt1";
    char endpoint[KIT_ENDPOINT_SIZE];
    int listener = raw_listen(endpoint), fd = -1;
    void *context = zmq_ctx_new(), *sub = kit_socket(context, ZMQ_XSUB);
    kit_set(sub, ZMQ_RECONNECT_IVL, 1);
    KIT_OK(zmq_connect(sub, endpoint));
    KIT_OK(zmq_send(sub, "\1t0", 3, 0));
    KIT_OK(zmq_send(sub, "\1t1", 3, 0));
    KIT_OK(zmq_send(sub, "user", 4, 0));
    for (int i = 0; i < 5; i++) {
        uint8_t heard[64 + 2 + 27];
        if (fd >= 0)
            close(fd);
        fd = raw_accept(listener);
        raw_say(fd, RAW_GREETING, RAW_GREETING_SIZE);
        raw_say(fd, ready, sizeof ready - 1);
        raw_hear(fd, heard, 64 + 2 + 26);
    }
    KIT_UNTIL((kit_get(sub, ZMQ_EVENTS), raw_wait(fd, 0)));
    KIT_OK(zmq_send(sub, "\0t0", 3, 0));
    KIT_OK(zmq_send(sub, "more", 4, 0));
    char heard[sizeof set - 1 + 11 + 6];
    raw_hear(fd, heard, sizeof heard);
    cr_assert_eq(memcmp(heard, set, sizeof set - 1), 0);
    cr_assert_eq(memcmp(heard + sizeof set - 1, "\x04\x09\x06" "CANCELt0\0\4more", 17), 0);
    close(fd);
    close(listener);
    KIT_OK(zmq_close(sub));
    KIT_OK(zmq_ctx_term(context));
}
