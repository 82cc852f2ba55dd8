/* SPDX-License-Identifier: MIT */
/* STREAM and ROUTER_RAW, as a program sees them; the other side is a plain socket. */
#include "rawpeer.h"

/* A bound socket, one plain connection to it, and what that is called. */
struct plain {
    void *context;
    void *socket;
    int fd;
    uint8_t id[255];
    size_t id_size;
    char text[KIT_ENDPOINT_SIZE];
};

static size_t recv_id(void *socket, uint8_t id[255])
{
    int size = zmq_recv(socket, id, 255, 0);
    cr_assert_gt(size, 0, "%s", zmq_strerror(errno));
    cr_assert_eq(kit_get(socket, ZMQ_RCVMORE), 1);
    return (size_t)size;
}

static void recv_from(struct plain *plain, const char *text)
{
    uint8_t id[255];
    cr_assert_eq(recv_id(plain->socket, id), plain->id_size);
    cr_assert_arr_eq(id, plain->id, plain->id_size);
    kit_recv_text(plain->socket, text);
    cr_assert_eq(kit_get(plain->socket, ZMQ_RCVMORE), 0);
}

static void send_to(struct plain *plain, const char *text)
{
    KIT_OK(zmq_send(plain->socket, plain->id, plain->id_size, ZMQ_SNDMORE));
    kit_send_text(plain->socket, text, 0);
}

static void *socket_make(void *context, int type)
{
    void *socket = kit_socket(context, type);
    if (type == ZMQ_ROUTER)
        kit_set(socket, ZMQ_ROUTER_RAW, 1);
    return socket;
}

static struct plain plain_make(int type)
{
    struct plain plain = {.context = zmq_ctx_new()};
    plain.socket = socket_make(plain.context, type);
    kit_bind(plain.socket, "tcp", plain.text);
    plain.fd = raw_connect(plain.text);
    plain.id_size = recv_id(plain.socket, plain.id);
    cr_assert_eq(plain.id_size, 5u);
    cr_assert_eq(plain.id[0], 0);
    kit_recv_text(plain.socket, "");
    return plain;
}

static void plain_end(struct plain *plain)
{
    if (plain->fd >= 0)
        close(plain->fd);
    KIT_OK(zmq_close(plain->socket));
    KIT_OK(zmq_ctx_term(plain->context));
}

/* Not only the first message of a connection, which is none of the peer's. */
Test(stream, messages_say_where_they_come_from)
{
    struct plain plain = plain_make(ZMQ_STREAM);
    raw_say(plain.fd, "x", 1);
    uint8_t id[255];
    recv_id(plain.socket, id);
    zmq_msg_t msg;
    KIT_OK(zmq_msg_init(&msg));
    cr_assert_eq(zmq_msg_recv(&msg, plain.socket, 0), 1);
    const char *address = zmq_msg_gets(&msg, "Peer-Address");
    cr_assert(address);
    cr_assert_str_eq(address, "127.0.0.1");
    KIT_OK(zmq_msg_close(&msg));
    plain_end(&plain);
}

static void hear(int fd, const char *text)
{
    char got[256];
    raw_hear(fd, got, strlen(text));
    cr_assert_arr_eq(got, text, strlen(text));
}

static const int types[] = {ZMQ_STREAM, ZMQ_ROUTER};

Test(stream, bytes_both_ways_and_word_of_coming_and_going)
{
    for (int t = 0; t < 2; t++) {
        struct plain plain = plain_make(types[t]);
        raw_say(plain.fd, "hello", 5);
        recv_from(&plain, "hello");
        send_to(&plain, "one ");
        send_to(&plain, "two");
        hear(plain.fd, "one two");
        close(plain.fd);
        plain.fd = -1;
        recv_from(&plain, "");
        plain_end(&plain);
    }
}

Test(stream, an_empty_message_ends_the_connection)
{
    for (int t = 0; t < 2; t++) {
        struct plain plain = plain_make(types[t]);
        send_to(&plain, "");
        cr_assert(raw_ended(plain.fd, KIT_WAIT_MS));
        kit_set(plain.socket, ZMQ_RCVTIMEO, 50);
        char got[8];
        KIT_FAILS(EAGAIN, zmq_recv(plain.socket, got, sizeof got, 0)); /* we know */
        if (types[t] == ZMQ_STREAM)
            KIT_FAILS(EHOSTUNREACH, zmq_send(plain.socket, plain.id, plain.id_size, ZMQ_SNDMORE));
        plain_end(&plain);
    }
}

/* The last words are a page that a visitor reads slowly: more than the kernel holds. */
Test(stream, what_was_sent_before_the_end_arrives)
{
    enum { PIECE = 100000, PIECES = 120 };
    static const char piece[PIECE];
    static char got[PIECE];
    for (int linger_ms = -1; linger_ms <= 0; linger_ms++) {
        struct plain plain = plain_make(ZMQ_STREAM);
        kit_set(plain.socket, ZMQ_LINGER, linger_ms);
        for (int n = 0; n < PIECES; n++) {
            KIT_OK(zmq_send(plain.socket, plain.id, plain.id_size, ZMQ_SNDMORE));
            KIT_OK(zmq_send(plain.socket, piece, PIECE, 0));
        }
        send_to(&plain, "");
        KIT_FAILS(EHOSTUNREACH, zmq_send(plain.socket, plain.id, plain.id_size, ZMQ_SNDMORE));
        size_t all = 0;
        for (ssize_t size; (size = recv(plain.fd, got, sizeof got, 0)) > 0; all += (size_t)size)
            ;
        cr_assert_eq(all, (size_t)PIECE * PIECES, "%zu octets with LINGER %d", all, linger_ms);
        plain_end(&plain);
    }
}

Test(stream, whom_it_does_not_know_and_what_is_alone)
{
    struct plain plain = plain_make(ZMQ_STREAM);
    KIT_FAILS(EHOSTUNREACH, zmq_send(plain.socket, "nobody", 6, ZMQ_SNDMORE));
    /* What is alone is taken for a name, with a body to come, whatever that says: as libzmq 4.3.4 does it. */
    kit_send_text(plain.socket, "alone", 0);
    kit_send_text(plain.socket, "unheard", 0);
    KIT_OK(zmq_send(plain.socket, plain.id, plain.id_size, 0));
    KIT_OK(zmq_send(plain.socket, plain.id, plain.id_size, ZMQ_SNDMORE));
    send_to(&plain, "heard");
    hear(plain.fd, "heard");
    /* MORE means nothing behind the name. */
    KIT_OK(zmq_send(plain.socket, plain.id, plain.id_size, ZMQ_SNDMORE));
    kit_send_text(plain.socket, "more", ZMQ_SNDMORE);
    send_to(&plain, "again");
    hear(plain.fd, "moreagain");
    plain_end(&plain);
}

Test(stream, without_notify)
{
    void *context = zmq_ctx_new();
    void *socket = kit_socket(context, ZMQ_STREAM);
    char text[KIT_ENDPOINT_SIZE];
    kit_set(socket, ZMQ_STREAM_NOTIFY, 0);
    kit_bind(socket, "tcp", text);
    for (int i = 0; i < 3; i++) {
        int fd = raw_connect(text);
        raw_say(fd, "x", 1);
        uint8_t id[255];
        recv_id(socket, id);
        kit_recv_text(socket, "x");
        close(fd);
    }
    KIT_OK(zmq_close(socket));
    KIT_OK(zmq_ctx_term(context));
}

/* The name is there at once, stays through connections, and what is sent early waits. */
Test(stream, dialled)
{
    struct plain plain = {.context = zmq_ctx_new()};
    int listener = raw_listen(plain.text);
    plain.socket = kit_socket(plain.context, ZMQ_STREAM);
    kit_set(plain.socket, ZMQ_RECONNECT_IVL, 1);
    KIT_OK(zmq_connect(plain.socket, plain.text));
    plain.id_size = sizeof plain.id;
    KIT_OK(zmq_getsockopt(plain.socket, ZMQ_ROUTING_ID, plain.id, &plain.id_size));
    cr_assert_eq(plain.id_size, 5u);
    send_to(&plain, "early");
    for (int i = 0; i < 3; i++) {
        plain.fd = raw_accept(listener);
        if (i == 0)
            hear(plain.fd, "early");
        recv_from(&plain, "");
        raw_say(plain.fd, "hi", 2);
        recv_from(&plain, "hi");
        close(plain.fd);
        recv_from(&plain, "");
    }
    plain.fd = raw_accept(listener);
    recv_from(&plain, "");
    send_to(&plain, ""); /* this time it is over */
    cr_assert(raw_ended(plain.fd, KIT_WAIT_MS));
    close(plain.fd);
    plain.fd = -1;
    cr_assert_not(raw_wait(listener, 50), "it dials again");
    close(listener);
    plain_end(&plain);
}

Test(stream, connect_routing_id)
{
    struct plain plain = {.context = zmq_ctx_new(), .id = "myid", .id_size = 4};
    int listener = raw_listen(plain.text);
    plain.socket = kit_socket(plain.context, ZMQ_STREAM);
    KIT_OK(zmq_setsockopt(plain.socket, ZMQ_CONNECT_ROUTING_ID, "myid", 4));
    KIT_OK(zmq_connect(plain.socket, plain.text));
    plain.fd = raw_accept(listener);
    recv_from(&plain, "");
    send_to(&plain, "by name");
    hear(plain.fd, "by name");
    close(listener);
    plain_end(&plain);
}

/* A full pipe refuses; nothing is lost or torn. Each message says where in the stream it belongs. */
Test(stream, full)
{
    enum { SIZE = 10000 };
    struct plain plain = plain_make(ZMQ_STREAM);
    kit_set(plain.socket, ZMQ_SNDHWM, 10);
    static uint8_t page[SIZE], got[SIZE];
    uint32_t sent = 0;
    for (;; sent++) {
        int err = KIT_ERRNO(zmq_send(plain.socket, plain.id, plain.id_size, ZMQ_SNDMORE | ZMQ_DONTWAIT));
        if (err == EAGAIN && sent > 100)
            break;
        if (err == EAGAIN) {
            zmq_poll(NULL, 0, 1);
            sent--;
            continue;
        }
        cr_assert_eq(err, 0);
        kit_fill(page, SIZE, sent);
        KIT_OK(zmq_send(plain.socket, page, SIZE, 0));
    }
    for (uint32_t i = 0; i < sent; i++) {
        raw_hear(plain.fd, got, SIZE);
        cr_assert(kit_is_filled(got, SIZE, i), "message %u of %u", i, sent);
    }
    send_to(&plain, "end");
    hear(plain.fd, "end");
    plain_end(&plain);
}

/* More than a receive buffer, in whatever pieces it comes. */
Test(stream, much_comes_in_order)
{
    enum { SIZE = 1 << 20 };
    struct plain plain = plain_make(ZMQ_STREAM);
    int64_t limit = 10; /* of messages, which these are not */
    KIT_OK(zmq_setsockopt(plain.socket, ZMQ_MAXMSGSIZE, &limit, sizeof limit));
    uint8_t *data = malloc(SIZE), *got = malloc(SIZE);
    kit_fill(data, SIZE, 1);
    size_t said = 0, heard = 0;
    while (heard < SIZE) {
        while (said < SIZE && said - heard < 200000) {
            size_t step = 1 + (said * 7919) % 50000;
            step = step < SIZE - said ? step : SIZE - said;
            raw_say(plain.fd, data + said, step);
            said += step;
        }
        uint8_t id[255];
        recv_id(plain.socket, id);
        int size = zmq_recv(plain.socket, got + heard, SIZE - heard, 0);
        cr_assert_gt(size, 0);
        heard += (size_t)size;
    }
    cr_assert_eq(heard, said);
    cr_assert_arr_eq(got, data, SIZE);
    free(data);
    free(got);
    plain_end(&plain);
}

/* Two STREAM sockets, which is ZMTP on neither side; a ZMTP peer's greeting is bytes like any others. */
Test(stream, to_each_other_and_to_zmtp)
{
    struct plain plain = plain_make(ZMQ_STREAM);
    void *other = kit_socket(plain.context, ZMQ_STREAM), *dealer = kit_socket(plain.context, ZMQ_DEALER);
    uint8_t id[255], far[255];
    size_t size = sizeof id;
    KIT_OK(zmq_connect(other, plain.text));
    KIT_OK(zmq_getsockopt(other, ZMQ_ROUTING_ID, id, &size));
    KIT_OK(zmq_send(other, id, size, ZMQ_SNDMORE));
    kit_send_text(other, "well", 0);
    recv_id(plain.socket, far);
    kit_recv_text(plain.socket, "");
    recv_id(plain.socket, far);
    kit_recv_text(plain.socket, "well");
    KIT_OK(zmq_connect(dealer, plain.text));
    recv_id(plain.socket, far);
    kit_recv_text(plain.socket, "");
    recv_id(plain.socket, far);
    cr_assert_geq(zmq_recv(plain.socket, far, sizeof far, 0), 1);
    cr_assert_eq(far[0], 0xff);
    KIT_OK(zmq_close(other));
    KIT_OK(zmq_close(dealer));
    plain_end(&plain);
}
