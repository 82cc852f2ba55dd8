/* SPDX-License-Identifier: MIT */
/* What sockets say, or hear, of themselves when peers come and go: HELLO, DISCONNECT and HICCUP messages, ROUTER_NOTIFY. */
#include "rawpeer.h"
#include "zuring.h"

static void set_text(void *socket, int option, const char *text)
{
    KIT_OK(zmq_setsockopt(socket, option, text, strlen(text)));
}

static void recv_from(void *router, const char *id, const char *text)
{
    kit_recv_text(router, id);
    cr_assert_eq(kit_get(router, ZMQ_RCVMORE), 1);
    kit_recv_text(router, text);
    cr_assert_eq(kit_get(router, ZMQ_RCVMORE), 0);
}

static struct kit_pair pair_make(void)
{
    struct kit_pair pair = {.context = zmq_ctx_new()};
    pair.from = kit_socket(pair.context, ZMQ_DEALER);
    pair.to = kit_socket(pair.context, ZMQ_ROUTER);
    set_text(pair.from, ZMQ_ROUTING_ID, "me");
    return pair;
}

static void pair_join(struct kit_pair *pair, const char *transport)
{
    kit_bind(pair->to, transport, pair->text);
    KIT_OK(zmq_connect(pair->from, pair->text));
}

Test(words, notify_tells_of_coming_and_going)
{
    for (int t = 0; t < 2; t++) {
        struct kit_pair pair = pair_make();
        kit_set(pair.to, ZMQ_ROUTER_NOTIFY, ZMQ_NOTIFY_CONNECT | ZMQ_NOTIFY_DISCONNECT);
        pair_join(&pair, kit_transports[t]);
        recv_from(pair.to, "me", "");
        kit_send_text(pair.from, "x", 0);
        recv_from(pair.to, "me", "x");
        KIT_OK(zmq_disconnect(pair.from, pair.text));
        kit_poke();
        recv_from(pair.to, "me", "");
        kit_pair_end(&pair);
    }
}

Test(words, hello_comes_first_both_ways)
{
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        struct kit_pair pair = pair_make();
        static char longer[100001];
        memset(longer, 'h', sizeof longer - 1);
        set_text(pair.to, ZMQ_HELLO_MSG, "hello from router");
        set_text(pair.from, ZMQ_HELLO_MSG, longer);
        kit_set(pair.from, ZMQ_PROBE_ROUTER, 1);
        pair_join(&pair, kit_transports[t]);
        kit_send_text(pair.from, "x", 0);
        kit_recv_text(pair.to, "me");
        cr_assert_eq(zmq_recv(pair.to, NULL, 0, 0), 100000);
        recv_from(pair.to, "me", "");
        recv_from(pair.to, "me", "x");
        kit_send_text(pair.to, "me", ZMQ_SNDMORE);
        kit_send_text(pair.to, "y", 0);
        kit_recv_text(pair.from, "hello from router");
        kit_recv_text(pair.from, "y");
        kit_pair_end(&pair);
    }
}

/* Over inproc a connect may come first. */
Test(words, hello_to_a_bind_that_comes_late)
{
    struct kit_pair pair = pair_make();
    set_text(pair.to, ZMQ_HELLO_MSG, "from router");
    set_text(pair.from, ZMQ_HELLO_MSG, "from dealer");
    KIT_OK(zmq_connect(pair.from, "inproc://late"));
    KIT_OK(zmq_bind(pair.to, "inproc://late"));
    recv_from(pair.to, "me", "from dealer");
    kit_recv_text(pair.from, "from router");
    kit_pair_end(&pair);
}

Test(words, a_router_is_told_of_a_peer_it_lost)
{
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        struct kit_pair pair = pair_make();
        set_text(pair.to, ZMQ_DISCONNECT_MSG, "lost");
        pair_join(&pair, kit_transports[t]);
        kit_send_text(pair.from, "x", 0);
        recv_from(pair.to, "me", "x");
        kit_send_text(pair.from, "half", ZMQ_SNDMORE);
        KIT_OK(zmq_close(pair.from));
        recv_from(pair.to, "me", "lost");
        pair.from = kit_socket(pair.context, ZMQ_DEALER);
        kit_pair_end(&pair);
    }
}

/* The binder's own leaving is no loss; over inproc the connecting ROUTER hears of its peer as well. */
Test(words, a_connecting_router_hears_over_inproc)
{
    void *context = zmq_ctx_new();
    void *router = kit_socket(context, ZMQ_ROUTER), *dealer = kit_socket(context, ZMQ_DEALER);
    set_text(router, ZMQ_DISCONNECT_MSG, "lost");
    set_text(router, ZMQ_CONNECT_ROUTING_ID, "it");
    KIT_OK(zmq_bind(dealer, "inproc://binder"));
    KIT_OK(zmq_connect(router, "inproc://binder"));
    KIT_OK(zmq_close(dealer));
    recv_from(router, "it", "lost");
    KIT_OK(zmq_close(router));
    KIT_OK(zmq_ctx_term(context));
}

/* Who will dial a peer of raw octets again and again, and hear HICCUP of each loss. */
struct dialler {
    void *context;                /* its socket's */
    void *dealer;                 /* it; not connected yet */
    int listener;                 /* the raw peer's */
    char text[KIT_ENDPOINT_SIZE]; /* where that is */
};

static struct dialler dialler_make(void)
{
    struct dialler dialler = {.context = zmq_ctx_new()};
    dialler.dealer = kit_socket(dialler.context, ZMQ_DEALER);
    dialler.listener = raw_listen(dialler.text);
    set_text(dialler.dealer, ZMQ_HICCUP_MSG, "hiccup");
    kit_set(dialler.dealer, ZMQ_RECONNECT_IVL, 1);
    return dialler;
}

static void dialler_end(struct dialler *dialler)
{
    close(dialler->listener);
    KIT_OK(zmq_close(dialler->dealer));
    KIT_OK(zmq_ctx_term(dialler->context));
}

#define RAW_READY_ROUTER "\x04\x1c\x05READY\x0bSocket-Type\0\0\0\x06ROUTER"

/* A dialler says HELLO on each connection anew, and hears HICCUP when one is lost; half a message that came is no message. */
Test(words, each_connection_begins_anew)
{
    struct dialler dialler = dialler_make();
    uint8_t heard[512];
    set_text(dialler.dealer, ZMQ_HELLO_MSG, "hello");
    KIT_OK(zmq_connect(dialler.dealer, dialler.text));
    kit_send_text(dialler.dealer, "x", 0);
    for (int i = 0; i < 3; i++) {
        int fd = raw_accept(dialler.listener);
        raw_say(fd, RAW_GREETING RAW_READY_ROUTER "\1\4half", RAW_GREETING_SIZE + sizeof RAW_READY_ROUTER - 1 + 6);
        raw_hear(fd, heard, 64 + 2);
        raw_hear(fd, heard, heard[65]);
        raw_hear(fd, heard, 7);
        cr_assert_eq(memcmp(heard, "\0\5hello", 7), 0, "connection %d", i);
        if (i == 0) {
            raw_hear(fd, heard, 3);
            cr_assert_eq(memcmp(heard, "\0\1x", 3), 0);
        }
        cr_assert_not(kit_readable(dialler.dealer, 10));
        close(fd);
        kit_recv_text(dialler.dealer, "hiccup");
    }
    dialler_end(&dialler);
}

/* One that was asked to leave does not count as lost. */
Test(words, nothing_is_said_of_peers_that_are_left)
{
    struct kit_pair pair = pair_make();
    set_text(pair.to, ZMQ_DISCONNECT_MSG, "lost");
    set_text(pair.from, ZMQ_HICCUP_MSG, "hiccup");
    kit_set(pair.from, ZMQ_RECONNECT_IVL, -1);
    pair_join(&pair, "tcp");
    kit_send_text(pair.from, "x", 0);
    recv_from(pair.to, "me", "x");
    KIT_OK(zmq_unbind(pair.to, pair.text));
    kit_recv_text(pair.from, "hiccup");
    cr_assert_not(kit_readable(pair.to, 30));
    kit_pair_end(&pair);
}

#define RAW_READY_NAMED "\x04\x2a\x05READY\x0bSocket-Type\0\0\0\x06ROUTER\x08Identity\0\0\0\1"

/* Also when nothing else came by that connection, and something did by the one before. */
Test(words, they_come_from_the_connection_that_they_are_about)
{
    struct dialler dialler = dialler_make();
    uint8_t heard[512];
    KIT_OK(zmq_connect(dialler.dealer, dialler.text));
    for (char name = 'a'; name <= 'b'; name++) {
        char ready[] = RAW_READY_NAMED "?" "\0\3one";
        ready[sizeof RAW_READY_NAMED - 1] = name;
        int fd = raw_accept(dialler.listener);
        raw_say(fd, RAW_GREETING, RAW_GREETING_SIZE);
        raw_say(fd, ready, name == 'a' ? sizeof ready - 1 : sizeof RAW_READY_NAMED);
        raw_hear(fd, heard, 64 + 2);
        raw_hear(fd, heard, heard[65]);
        if (name == 'a')
            kit_recv_text(dialler.dealer, "one");
        else
            cr_assert_not(kit_readable(dialler.dealer, 10));
        close(fd);
        zmq_msg_t msg;
        KIT_OK(zmq_msg_init(&msg));
        cr_assert_eq(zmq_msg_recv(&msg, dialler.dealer, 0), 6);
        const char *from = zmq_msg_gets(&msg, "Identity");
        cr_assert(from && from[0] == name, "%s", from);
        KIT_OK(zmq_msg_close(&msg));
    }
    dialler_end(&dialler);
}

/* Who does not read finds out when it sends. Returns the next connection. `fd` -1: there is none yet. */
static int lose(void *dealer, int fd, int listener)
{
    uint8_t heard[512];
    if (fd >= 0)
        close(fd);
    while (!raw_wait(listener, 1))
        (void)zmq_send(dealer, "x", 1, ZMQ_DONTWAIT);
    fd = raw_accept(listener);
    raw_say(fd, RAW_GREETING RAW_READY_ROUTER, RAW_GREETING_SIZE + sizeof RAW_READY_ROUTER - 1);
    raw_hear(fd, heard, 64 + 2);
    raw_hear(fd, heard, heard[65]);
    (void)zmq_send(dealer, "x", 1, ZMQ_DONTWAIT);
    raw_hear(fd, heard, 1); /* it is ready */
    return fd;
}

static uint64_t only_received(void *socket)
{
    struct zuring_peer_counts counts;
    size_t count = 1;
    KIT_OK(zuring_peers(socket, &counts, &count));
    return counts.received_queued;
}

/* A reader who stays away finds as many as its limit allows, however many connections were lost; and one beyond it. */
Test(words, what_is_said_of_losses_does_not_pile_up)
{
    struct dialler dialler = dialler_make();
    void *dealer = dialler.dealer;
    int listener = dialler.listener;
    kit_set(dealer, ZMQ_RCVHWM, 2);
    KIT_OK(zmq_connect(dealer, dialler.text));
    int fd = lose(dealer, -1, listener);
    for (int i = 0; i < 10; i++)
        fd = lose(dealer, fd, listener);
    for (int i = 0; i < 2; i++)
        kit_recv_text(dealer, "hiccup");
    cr_assert_not(kit_readable(dealer, 10));
    raw_say(fd, "\0\1a\0\1b\0\1c", 9);
    KIT_UNTIL((kit_poke(), only_received(dealer) >= 3));
    for (int i = 0; i < 4; i++)
        fd = lose(dealer, fd, listener);
    static const char *const expected[] = {"a", "b", "c", "hiccup"};
    for (int i = 0; i < 4; i++)
        kit_recv_text(dealer, expected[i]);
    cr_assert_not(kit_readable(dealer, 10));
    close(fd);
    kit_recv_text(dealer, "hiccup");
    dialler_end(&dialler);
}
