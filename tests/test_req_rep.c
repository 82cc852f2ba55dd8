/* SPDX-License-Identifier: MIT */
/* REQ and REP, as a program sees them: their turns, their envelope, what they overlook. */
#include "rawpeer.h"

/* A whole message of several parts. */
static void send_parts(void *socket, const char *const *parts)
{
    for (; *parts; parts++)
        kit_send_text(socket, *parts, parts[1] ? ZMQ_SNDMORE : 0);
}
#define SEND(socket, ...) send_parts(socket, (const char *const[]){__VA_ARGS__, NULL})

static void recv_parts(void *socket, const char *const *parts)
{
    for (; *parts; parts++) {
        kit_recv_text(socket, *parts);
        cr_assert_eq(kit_get(socket, ZMQ_RCVMORE), parts[1] != NULL, "at \"%s\"", *parts);
    }
}
#define RECV(socket, ...) recv_parts(socket, (const char *const[]){__VA_ARGS__, NULL})

Test(req_rep, asks_and_answers)
{
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        struct kit_pair pair = kit_pair(kit_transports[t], ZMQ_REQ, ZMQ_REP);
        for (int round = 0; round < 20; round++) {
            KIT_FAILS(EFSM, zmq_recv(pair.from, NULL, 0, 0));
            KIT_FAILS(EFSM, zmq_send(pair.to, "x", 1, 0));
            SEND(pair.from, "question", "", "more");
            KIT_FAILS(EFSM, zmq_send(pair.from, "x", 1, 0));
            RECV(pair.to, "question", "", "more");
            KIT_FAILS(EFSM, zmq_recv(pair.to, NULL, 0, 0));
            SEND(pair.to, "", "answer");
            RECV(pair.from, "", "answer");
            SEND(pair.from, "");
            RECV(pair.to, "");
            SEND(pair.to, "");
            RECV(pair.from, "");
        }
        kit_pair_end(&pair);
    }
}

Test(req_rep, events_follow_the_turns)
{
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        struct kit_pair pair = kit_pair(kit_transports[t], ZMQ_REQ, ZMQ_REP);
        cr_assert_eq(kit_get(pair.from, ZMQ_EVENTS), ZMQ_POLLOUT);
        cr_assert_eq(kit_get(pair.to, ZMQ_EVENTS), 0);
        kit_send_text(pair.from, "q", 0);
        cr_assert_eq(kit_get(pair.from, ZMQ_EVENTS), 0);
        cr_assert(kit_readable(pair.to, KIT_WAIT_MS));
        cr_assert_eq(kit_get(pair.to, ZMQ_EVENTS), ZMQ_POLLIN);
        kit_recv_text(pair.to, "q");
        cr_assert_eq(kit_get(pair.to, ZMQ_EVENTS), ZMQ_POLLOUT);
        kit_send_text(pair.to, "a", ZMQ_SNDMORE);
        cr_assert_eq(kit_get(pair.to, ZMQ_EVENTS), ZMQ_POLLOUT);
        kit_send_text(pair.to, "b", 0);
        cr_assert_eq(kit_get(pair.to, ZMQ_EVENTS), 0);
        cr_assert(kit_readable(pair.from, KIT_WAIT_MS));
        RECV(pair.from, "a", "b");
        cr_assert_eq(kit_get(pair.from, ZMQ_EVENTS), ZMQ_POLLOUT);
        kit_pair_end(&pair);
    }
}

/* A message keeps what it had when it is not the time to receive. */
Test(req_rep, out_of_turn_a_message_is_left_alone)
{
    struct kit_pair pair = kit_pair("inproc", ZMQ_REQ, ZMQ_REP);
    zmq_msg_t msg;
    zmq_msg_init_size(&msg, 3);
    memcpy(zmq_msg_data(&msg), "old", 3);
    KIT_FAILS(EFSM, zmq_msg_recv(&msg, pair.from, 0));
    cr_assert_eq(zmq_msg_size(&msg), 3u);
    KIT_FAILS(EFSM, zmq_msg_send(&msg, pair.to, 0));
    cr_assert_eq(zmq_msg_size(&msg), 3u);
    zmq_msg_close(&msg);
    kit_pair_end(&pair);
}

Test(req_rep, the_envelope_on_the_wire)
{
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        struct kit_pair pair = kit_pair(kit_transports[t], ZMQ_REQ, ZMQ_ROUTER);
        uint8_t id[255], number[4], again[4];
        kit_send_text(pair.from, "q", 0);
        int size = zmq_recv(pair.to, id, sizeof id, 0);
        cr_assert_eq(size, 5);
        RECV(pair.to, "", "q");
        KIT_OK(zmq_send(pair.to, id, 5, ZMQ_SNDMORE));
        SEND(pair.to, "", "a");
        RECV(pair.from, "a");
        kit_set(pair.from, ZMQ_REQ_CORRELATE, 1);
        for (int round = 0; round < 2; round++) {
            memcpy(again, number, 4);
            kit_send_text(pair.from, "q", 0);
            KIT_OK(zmq_recv(pair.to, id, sizeof id, 0));
            cr_assert_eq(zmq_recv(pair.to, number, 4, 0), 4);
            RECV(pair.to, "", "q");
            KIT_OK(zmq_send(pair.to, id, 5, ZMQ_SNDMORE));
            KIT_OK(zmq_send(pair.to, number, 4, ZMQ_SNDMORE));
            SEND(pair.to, "", "a");
            RECV(pair.from, "a");
        }
        uint32_t first, second;
        memcpy(&first, again, 4);
        memcpy(&second, number, 4);
        cr_assert_eq(second, first + 1);
        kit_pair_end(&pair);
    }
}

/* inproc, where nobody checks the shape: every message that is no reply is passed over whole. */
Test(req_rep, malformed_replies_are_passed_over)
{
    struct kit_pair pair = kit_pair("inproc", ZMQ_REQ, ZMQ_ROUTER);
    uint8_t id[255], number[4];
    kit_set(pair.from, ZMQ_REQ_CORRELATE, 1);
    kit_send_text(pair.from, "q", 0);
    KIT_OK(zmq_recv(pair.to, id, sizeof id, 0));
    KIT_OK(zmq_recv(pair.to, number, 4, 0));
    RECV(pair.to, "", "q");
    static const char *const bad[][4] = {
        {"", NULL}, {"x", NULL}, {"", "no number", NULL}, {"1234", "", "wrong number", NULL}, {"12345", "", "x", NULL}};
    for (int i = 0; i < 5; i++) {
        KIT_OK(zmq_send(pair.to, id, 5, ZMQ_SNDMORE));
        send_parts(pair.to, bad[i]);
    }
    KIT_OK(zmq_send(pair.to, id, 5, ZMQ_SNDMORE));
    KIT_OK(zmq_send(pair.to, number, 4, 0));
    KIT_OK(zmq_send(pair.to, id, 5, ZMQ_SNDMORE));
    KIT_OK(zmq_send(pair.to, number, 4, ZMQ_SNDMORE));
    SEND(pair.to, "not empty", "x");
    KIT_FAILS(EAGAIN, zmq_recv(pair.from, NULL, 0, ZMQ_DONTWAIT));
    KIT_OK(zmq_send(pair.to, id, 5, ZMQ_SNDMORE));
    KIT_OK(zmq_send(pair.to, number, 4, ZMQ_SNDMORE));
    SEND(pair.to, "", "", "right");
    RECV(pair.from, "", "right");
    kit_pair_end(&pair);
}

Test(req_rep, relaxed_asks_again_and_takes_the_right_answer)
{
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        struct kit_pair pair = kit_pair(kit_transports[t], ZMQ_REQ, ZMQ_ROUTER);
        kit_set(pair.from, ZMQ_REQ_CORRELATE, 1);
        kit_set(pair.from, ZMQ_REQ_RELAXED, 1);
        uint8_t id[255], numbers[3][4];
        for (int i = 0; i < 3; i++) {
            cr_assert(kit_get(pair.from, ZMQ_EVENTS) & ZMQ_POLLOUT);
            kit_send_text(pair.from, "q", 0);
            KIT_OK(zmq_recv(pair.to, id, sizeof id, 0));
            KIT_OK(zmq_recv(pair.to, numbers[i], 4, 0));
            RECV(pair.to, "", "q");
        }
        for (int i = 0; i < 3; i++) {
            KIT_OK(zmq_send(pair.to, id, 5, ZMQ_SNDMORE));
            KIT_OK(zmq_send(pair.to, numbers[i], 4, ZMQ_SNDMORE));
            SEND(pair.to, "", i == 2 ? "last" : "late");
        }
        RECV(pair.from, "last");
        KIT_FAILS(EFSM, zmq_recv(pair.from, NULL, 0, 0));
        kit_pair_end(&pair);
    }
}

/* What came before a request is no answer to it; nor is what another peer says. */
Test(req_rep, only_the_peer_that_was_asked_answers)
{
    void *context = zmq_ctx_new();
    void *req = kit_socket(context, ZMQ_REQ);
    void *routers[2] = {kit_socket(context, ZMQ_ROUTER), kit_socket(context, ZMQ_ROUTER)};
    for (int i = 0; i < 2; i++) {
        char text[KIT_ENDPOINT_SIZE];
        kit_bind(routers[i], "inproc", text);
        KIT_OK(zmq_setsockopt(req, ZMQ_ROUTING_ID, "me", 2));
        KIT_OK(zmq_connect(req, text));
    }
    SEND(routers[0], "me", "", "early");
    kit_send_text(req, "q", 0); /* to the first */
    RECV(routers[0], "me", "", "q");
    SEND(routers[1], "me", "", "not asked");
    KIT_FAILS(EAGAIN, zmq_recv(req, NULL, 0, ZMQ_DONTWAIT));
    cr_assert_eq(kit_get(req, ZMQ_EVENTS), 0);
    SEND(routers[0], "me", "", "a");
    RECV(req, "a");
    kit_send_text(req, "q", 0); /* to the second */
    RECV(routers[1], "me", "", "q");
    SEND(routers[1], "me", "", "a");
    RECV(req, "a");
    KIT_OK(zmq_close(routers[0]));
    KIT_OK(zmq_close(routers[1]));
    KIT_OK(zmq_close(req));
    KIT_OK(zmq_ctx_term(context));
}

Test(req_rep, rep_keeps_the_way_back)
{
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        struct kit_pair pair = kit_pair(kit_transports[t], ZMQ_DEALER, ZMQ_REP);
        char id[300];
        memset(id, 'i', sizeof id - 1);
        id[200] = 0;
        kit_send_text(pair.from, "no way back", 0);
        SEND(pair.from, "none", "here");
        kit_send_text(pair.from, "", 0);
        SEND(pair.from, "hop", id, "hop", "", "q", "");
        RECV(pair.to, "q", "");
        SEND(pair.to, "a", "b");
        RECV(pair.from, "hop", id, "hop", "", "a", "b");
        SEND(pair.from, "", "q");
        SEND(pair.from, "x", "", "q2");
        RECV(pair.to, "q");
        SEND(pair.to, "a");
        RECV(pair.to, "q2");
        SEND(pair.to, "a2");
        RECV(pair.from, "", "a");
        RECV(pair.from, "x", "", "a2");
        kit_pair_end(&pair);
    }
}

Test(req_rep, a_reply_to_nobody_is_dropped)
{
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        struct kit_pair pair = kit_pair(kit_transports[t], ZMQ_REQ, ZMQ_REP);
        kit_send_text(pair.from, "q", 0);
        kit_recv_text(pair.to, "q");
        kit_send_text(pair.to, "half", ZMQ_SNDMORE);
        KIT_OK(zmq_close(pair.from));
        zmq_poll(NULL, 0, 30);
        kit_send_text(pair.to, "a", 0);
        cr_assert_eq(kit_get(pair.to, ZMQ_EVENTS), 0);
        pair.from = kit_socket(pair.context, ZMQ_REQ);
        KIT_OK(zmq_connect(pair.from, pair.text));
        kit_send_text(pair.from, "q2", 0);
        kit_recv_text(pair.to, "q2");
        kit_send_text(pair.to, "a2", 0);
        kit_recv_text(pair.from, "a2");
        kit_pair_end(&pair);
    }
}

Test(req_rep, a_full_asker_loses_its_reply)
{
    struct kit_pair pair = kit_pair("inproc", ZMQ_DEALER, ZMQ_REP);
    kit_set(pair.from, ZMQ_RCVHWM, 1);
    kit_set(pair.to, ZMQ_SNDHWM, 1);
    for (int i = 0; i < 5; i++) {
        SEND(pair.from, "", "q");
        RECV(pair.to, "q");
        SEND(pair.to, "a");
    }
    for (int i = 0; i < 2; i++)
        RECV(pair.from, "", "a");
    KIT_FAILS(EAGAIN, zmq_recv(pair.from, NULL, 0, ZMQ_DONTWAIT));
    kit_pair_end(&pair);
}

/* With nobody there a request waits, also with its envelope begun. */
Test(req_rep, nobody_to_ask)
{
    void *context = zmq_ctx_new();
    void *req = kit_socket(context, ZMQ_REQ), *rep = kit_socket(context, ZMQ_REP);
    KIT_FAILS(EAGAIN, zmq_send(req, "q", 1, ZMQ_DONTWAIT));
    KIT_FAILS(EFSM, zmq_recv(req, NULL, 0, 0));
    cr_assert_eq(kit_get(req, ZMQ_EVENTS), 0);
    char text[KIT_ENDPOINT_SIZE];
    kit_bind(rep, "tcp", text);
    KIT_OK(zmq_connect(req, text));
    kit_send_text(req, "q", 0);
    kit_recv_text(rep, "q");
    kit_send_text(rep, "a", 0);
    kit_recv_text(req, "a");
    KIT_OK(zmq_close(req));
    KIT_OK(zmq_close(rep));
    KIT_OK(zmq_ctx_term(context));
}

/* Two REPs take turns. */
Test(req_rep, requests_go_round)
{
    void *context = zmq_ctx_new();
    void *req = kit_socket(context, ZMQ_REQ), *reps[2];
    for (int i = 0; i < 2; i++) {
        char text[KIT_ENDPOINT_SIZE];
        reps[i] = kit_socket(context, ZMQ_REP);
        kit_bind(reps[i], "tcp", text);
        KIT_OK(zmq_connect(req, text));
    }
    for (int i = 0; i < 6; i++) {
        kit_send_text(req, "q", 0);
        kit_recv_text(reps[i % 2], "q");
        kit_send_text(reps[i % 2], "a", 0);
        kit_recv_text(req, "a");
    }
    for (int i = 0; i < 2; i++)
        KIT_OK(zmq_close(reps[i]));
    KIT_OK(zmq_close(req));
    KIT_OK(zmq_ctx_term(context));
}

#define RAW_READY_REQ "\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03REQ"
#define RAW_READY_REP "\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03REP"

/* What a REQ must not be sent ends the connection, for good: libzmq's session does so. */
Test(req_rep, a_reply_out_of_shape_ends_the_connection)
{
    static const struct {
        const char *bytes;
        size_t size;
        bool ends;
    } rows[] = {
        {"\0\1x", 3, true},
        {"\0\0", 2, true},
        {"\1\1x\0\1x", 6, true},
        {"\1\4" "1234\1\4" "1234", 12, true},
        {"\1\4" "1234\0\0", 8, true},
        {"\1\0\0\1x\0\1y", 8, true},
        {"\3\0\0\0\0\0\0\x80\0", 9, true},
        {"\1\0\1\0\1\4" "1234\0\1x", 13, false},
        {"\1\4" "1234\1\0\0\1x\1\0\0\0", 15, false},
        {"\4\7\4PING\0\0\1\0\4\7\4PING\0\0\0\1x", 23, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        void *context = zmq_ctx_new();
        void *req = kit_socket(context, ZMQ_REQ);
        char text[KIT_ENDPOINT_SIZE];
        kit_bind(req, "tcp", text);
        int fd = raw_connect(text);
        raw_say(fd, RAW_GREETING RAW_READY_REP, RAW_GREETING_SIZE + sizeof RAW_READY_REP - 1);
        raw_say(fd, rows[i].bytes, rows[i].size);
        cr_assert_eq(raw_ended(fd, rows[i].ends ? KIT_WAIT_MS : 50), rows[i].ends, "row %zu", i);
        close(fd);
        KIT_OK(zmq_close(req));
        KIT_OK(zmq_ctx_term(context));
    }
}

enum { THREADS = 4, ROUNDS = 2000 };

static int ask_on(void *socket)
{
    for (uint32_t i = 0; i < ROUNDS; i++) {
        uint32_t got[2] = {0};
        if (zmq_send(socket, &i, sizeof i, ZMQ_SNDMORE) < 0 || zmq_send(socket, &i, sizeof i, 0) < 0 ||
            zmq_recv(socket, &got[0], sizeof i, 0) < 0 || zmq_recv(socket, &got[1], sizeof i, 0) < 0)
            return -1;
        errno = EBADMSG;
        if (got[0] != i || got[1] != i)
            return -1;
    }
    return 0;
}

/* Threads that wait for each other's answers: each goes from the thread that gives it, as fast as it may. */
Test(req_rep, threads_ask_at_once, .timeout = 60)
{
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        void *context = zmq_ctx_new();
        void *rep = kit_socket(context, ZMQ_REP), *reqs[THREADS];
        struct kit_thread threads[THREADS];
        char text[KIT_ENDPOINT_SIZE];
        kit_bind(rep, kit_transports[t], text);
        for (int i = 0; i < THREADS; i++) {
            reqs[i] = kit_socket(context, ZMQ_REQ);
            KIT_OK(zmq_connect(reqs[i], text));
            kit_thread_start(&threads[i], ask_on, reqs[i]);
        }
        for (int n = 0; n < THREADS * ROUNDS; n++) {
            uint32_t got[2];
            KIT_OK(zmq_recv(rep, &got[0], sizeof got[0], 0));
            KIT_OK(zmq_recv(rep, &got[1], sizeof got[1], 0));
            KIT_OK(zmq_send(rep, &got[0], sizeof got[0], ZMQ_SNDMORE));
            KIT_OK(zmq_send(rep, &got[1], sizeof got[1], 0));
        }
        for (int i = 0; i < THREADS; i++)
            cr_assert_eq(kit_thread_join(&threads[i]), 0);
        for (int i = 0; i < THREADS; i++)
            KIT_OK(zmq_close(reqs[i]));
        KIT_OK(zmq_close(rep));
        KIT_OK(zmq_ctx_term(context));
    }
}
