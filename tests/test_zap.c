/* SPDX-License-Identifier: MIT */
/* Who is let in, by the word of a ZAP handler: every status, every fault in a reply, every rule of when it is asked. */
#include "core/context.h"
#include "core/socket.h"
#include "core/zap.h"
#include "gate.h"
#include "mem/alloc.h"
#include "rawpeer.h"

/* One property, "X-Zap": "yes". */
#define METADATA "\5X-Zap\0\0\0\3yes"
enum { METADATA_SIZE = sizeof METADATA - 1 };

static struct gate_reply yes(void)
{
    return gate_reply("200", "Joe", METADATA, METADATA_SIZE);
}

/* With a domain NULL is asked about, too. */
static struct gate *gate_asking(unsigned mechanism)
{
    struct gate *gate = gate_new(mechanism);
    gate_set_text(gate->server.socket, ZMQ_ZAP_DOMAIN, "home");
    return gate;
}

Test(zap, errors_have_the_numbers_of_zmq_h)
{
    cr_assert_eq(ZU_ZAP_UNSPECIFIED, ZMQ_PROTOCOL_ERROR_ZAP_UNSPECIFIED);
    cr_assert_eq(ZU_ZAP_MALFORMED_REPLY, ZMQ_PROTOCOL_ERROR_ZAP_MALFORMED_REPLY);
    cr_assert_eq(ZU_ZAP_BAD_REQUEST_ID, ZMQ_PROTOCOL_ERROR_ZAP_BAD_REQUEST_ID);
    cr_assert_eq(ZU_ZAP_BAD_VERSION, ZMQ_PROTOCOL_ERROR_ZAP_BAD_VERSION);
    cr_assert_eq(ZU_ZAP_INVALID_STATUS_CODE, ZMQ_PROTOCOL_ERROR_ZAP_INVALID_STATUS_CODE);
    cr_assert_eq(ZU_ZAP_INVALID_METADATA, ZMQ_PROTOCOL_ERROR_ZAP_INVALID_METADATA);
}

/* --- statuses --- */

static void frame_is(const struct gate *gate, unsigned n, const void *data, size_t size)
{
    const struct gate_frame *frame = &gate->handler.frames[n];
    cr_assert_eq(frame->size, size, "frame %u of %s: %zu octets", n, gate_mechanisms[gate->mechanism], frame->size);
    cr_assert_eq(memcmp(frame->data, data, size), 0, "frame %u", n);
}

static void request_is_right(const struct gate *gate)
{
    uint8_t key[32];
    const char *const texts[] = {"", "1.0", "1", "home", "127.0.0.1", "me", gate_mechanisms[gate->mechanism]};
    for (unsigned i = 0; i < 7; i++)
        frame_is(gate, i, texts[i], strlen(texts[i]));
    static const unsigned counts[] = {7, 9, 8};
    cr_assert_eq(gate->handler.frame_count, counts[gate->mechanism]);
    if (gate->mechanism == GATE_PLAIN) {
        frame_is(gate, 7, "user", 4);
        frame_is(gate, 8, "pass", 4);
    } else if (gate->mechanism == GATE_CURVE) {
        frame_is(gate, 7, zmq_z85_decode(key, gate->client_keys[0]), 32);
    }
}

Test(zap, yes_names_the_peer)
{
    for (unsigned i = 0; i < 2 * GATE_MECHANISMS; i++) {
        struct gate *gate = gate_asking(i / 2);
        gate_set_text(gate->server.socket, ZMQ_ROUTING_ID, "me");
        gate_handle(gate, i % 2, yes());
        gate_open(gate);
        kit_send_text(gate->client.socket, "hello", 0);
        zmq_msg_t msg;
        zmq_msg_init(&msg);
        GATE_UNTIL(gate, gate_recv(gate, &msg));
        cr_assert_str_eq(zmq_msg_gets(&msg, "User-Id"), "Joe");
        cr_assert_str_eq(zmq_msg_gets(&msg, "X-Zap"), "yes");
        cr_assert_str_eq(zmq_msg_gets(&msg, "Socket-Type"), "PUSH");
        cr_assert_str_eq(zmq_msg_gets(&msg, "Peer-Address"), "127.0.0.1");
        zmq_msg_close(&msg);
        cr_assert_eq(gate->handler.asked, 1);
        request_is_right(gate);
        gate_end(gate);
    }
}

Test(zap, no_reaches_both_ends)
{
    for (unsigned i = 0; i < 2 * GATE_MECHANISMS; i++) {
        struct gate *gate = gate_asking(i / 2);
        gate_handle(gate, false, gate_reply(i % 2 ? "400" : "500", "", NULL, 0));
        gate_open(gate);
        gate_is_denied(gate, i % 2 ? 400 : 500);
        cr_assert_eq(gate->handler.asked, 1);
        cr_assert_str_eq(gate->client.events[1].where, gate->text);
        gate_end(gate);
    }
}

Test(zap, not_now_is_silent_and_asked_again)
{
    for (unsigned mechanism = 0; mechanism < GATE_MECHANISMS; mechanism++) {
        struct gate *gate = gate_asking(mechanism);
        gate_handle(gate, true, gate_reply("300", "", NULL, 0));
        gate_open(gate);
        gate_fails(gate, ZMQ_EVENT_HANDSHAKE_FAILED_AUTH, 300);
        cr_assert_eq(gate_told(&gate->client, ZMQ_EVENT_HANDSHAKE_FAILED_AUTH, NULL), 0);
        gate->handler.reply = yes();
        gate_passes(gate, "Joe");
        gate_end(gate);
    }
}

/* --- replies that are none --- */

static const struct fault {
    unsigned error;     /* ZMQ_PROTOCOL_ERROR_ZAP_ */
    unsigned frame;     /* is replaced */
    const char *text;   /* by that */
    unsigned count;     /* frames, if not seven */
} faults[] = {
    {ZMQ_PROTOCOL_ERROR_ZAP_MALFORMED_REPLY, 5, "", 6},
    {ZMQ_PROTOCOL_ERROR_ZAP_MALFORMED_REPLY, 7, "more", 8},
    {ZMQ_PROTOCOL_ERROR_ZAP_MALFORMED_REPLY, 0, "", 1},
    {ZMQ_PROTOCOL_ERROR_ZAP_MALFORMED_REPLY, 3, "600", 6}, /* the number of frames goes first */
    {ZMQ_PROTOCOL_ERROR_ZAP_UNSPECIFIED, 0, "x", 0},
    {ZMQ_PROTOCOL_ERROR_ZAP_BAD_VERSION, 1, "1.1", 0},
    {ZMQ_PROTOCOL_ERROR_ZAP_BAD_VERSION, 1, "", 0},
    {ZMQ_PROTOCOL_ERROR_ZAP_BAD_REQUEST_ID, 2, "2", 0},
    {ZMQ_PROTOCOL_ERROR_ZAP_BAD_REQUEST_ID, 2, "11", 0},
    {ZMQ_PROTOCOL_ERROR_ZAP_INVALID_STATUS_CODE, 3, "600", 0},
    {ZMQ_PROTOCOL_ERROR_ZAP_INVALID_STATUS_CODE, 3, "100", 0},
    {ZMQ_PROTOCOL_ERROR_ZAP_INVALID_STATUS_CODE, 3, "201", 0},
    {ZMQ_PROTOCOL_ERROR_ZAP_INVALID_STATUS_CODE, 3, "210", 0},
    {ZMQ_PROTOCOL_ERROR_ZAP_INVALID_STATUS_CODE, 3, "2000", 0},
    {ZMQ_PROTOCOL_ERROR_ZAP_INVALID_STATUS_CODE, 3, "20", 0},
    {ZMQ_PROTOCOL_ERROR_ZAP_INVALID_STATUS_CODE, 3, "", 0},
    {ZMQ_PROTOCOL_ERROR_ZAP_INVALID_METADATA, 6, "\5abc", 0},
    {ZMQ_PROTOCOL_ERROR_ZAP_INVALID_METADATA, 6, "x", 0},
};

Test(zap, a_fault_in_the_reply_has_its_number)
{
    for (unsigned i = 0; i < sizeof faults / sizeof *faults; i++) {
        const struct fault *fault = &faults[i];
        struct gate *gate = gate_asking(i % GATE_MECHANISMS);
        struct gate_reply reply = yes();
        gate_frame_set(&reply.frames[fault->frame], fault->text, strlen(fault->text));
        reply.count = fault->count ? fault->count : 7;
        gate_handle(gate, true, reply);
        gate_open(gate);
        gate_fails(gate, ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL, fault->error);
        gate_end(gate);
    }
}

/* More than can be kept. */
Test(zap, metadata_has_an_end)
{
    enum { SIZE = 70000 };
    struct gate *gate = gate_asking(GATE_PLAIN);
    struct gate_reply reply = yes();
    gate_handle(gate, false, (struct gate_reply){0});
    gate_open(gate);
    char *metadata = calloc(1, SIZE);
    memcpy(metadata, "\1x", 2);
    uint32_t size = htonl(SIZE - 6);
    memcpy(metadata + 2, &size, sizeof size);
    struct gate_frame who;
    KIT_UNTIL((kit_poke(), gate_request_take(&gate->handler, &who, ZMQ_DONTWAIT)));
    for (unsigned i = 1; i < 6; i++)
        KIT_OK(zmq_send(gate->handler.socket, reply.frames[i].data, reply.frames[i].size, ZMQ_SNDMORE));
    KIT_OK(zmq_send(gate->handler.socket, metadata, SIZE, 0));
    GATE_UNTIL(gate, gate_told(&gate->server, ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL, NULL));
    cr_assert(gate_was_told(&gate->server, ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL,
                            ZMQ_PROTOCOL_ERROR_ZAP_INVALID_METADATA));
    free(metadata);
    gate_end(gate);
}

/* --- who is asked when --- */

enum outcome { PASSES, IS_ASKED, FAILS };

/* By mechanism; then enforcement, a domain, a handler, one bit each. libzmq aborts where PLAIN enforces without a domain. */
static const enum outcome outcomes[GATE_MECHANISMS][8] = {
    {PASSES, PASSES, PASSES, IS_ASKED, PASSES, PASSES, FAILS, IS_ASKED},
    {FAILS, IS_ASKED, FAILS, IS_ASKED, FAILS, FAILS, FAILS, IS_ASKED},
    {PASSES, IS_ASKED, PASSES, IS_ASKED, PASSES, PASSES, FAILS, IS_ASKED},
};

Test(zap, is_asked_by_the_rules)
{
    for (unsigned i = 0; i < 8 * GATE_MECHANISMS; i++) {
        enum outcome outcome = outcomes[i / 8][i % 8];
        struct gate *gate = i & 2 ? gate_asking(i / 8) : gate_new(i / 8);
        kit_set(gate->server.socket, ZMQ_ZAP_ENFORCE_DOMAIN, i >> 2 & 1);
        if (i & 1)
            gate_handle(gate, false, yes());
        gate_open(gate);
        if (outcome == FAILS)
            gate_fails(gate, ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL, EFAULT);
        else
            gate_passes(gate, outcome == IS_ASKED ? "Joe" : NULL);
        cr_assert_eq(gate->handler.asked, outcome == IS_ASKED, "case %u", i);
        gate_end(gate);
    }
}

/* With NULL the connecting side may ask as well: about the server. */
Test(zap, a_client_may_refuse_its_server)
{
    struct gate *gate = gate_new(GATE_NULL);
    gate_set_text(gate->client.socket, ZMQ_ZAP_DOMAIN, "away");
    gate_handle(gate, false, gate_reply("400", "", NULL, 0));
    gate_open(gate);
    GATE_UNTIL(gate, gate_told(&gate->client, ZMQ_EVENT_CONNECT_RETRIED, NULL) > 1);
    GATE_UNTIL(gate, gate_told(&gate->server, ZMQ_EVENT_HANDSHAKE_FAILED_AUTH, NULL));
    cr_assert(gate_was_told(&gate->client, ZMQ_EVENT_HANDSHAKE_FAILED_AUTH, 400));
    cr_assert(gate_was_told(&gate->server, ZMQ_EVENT_HANDSHAKE_FAILED_AUTH, 400));
    gate->handler.reply = yes();
    gate_passes(gate, NULL); /* it is the server that is called Joe */
    gate_end(gate);
}

Test(zap, both_may_ask)
{
    struct gate *gate = gate_asking(GATE_NULL);
    gate_set_text(gate->client.socket, ZMQ_ZAP_DOMAIN, "away");
    gate_handle(gate, true, yes());
    gate_open(gate);
    gate_passes(gate, "Joe");
    cr_assert_eq(gate->handler.asked, 2);
    gate_end(gate);
}

/* Only who can answer is a handler. */
Test(zap, a_socket_of_another_type_is_no_handler)
{
    struct gate *gate = gate_new(GATE_PLAIN);
    void *pull = kit_socket(gate->context, ZMQ_PULL);
    KIT_OK(zmq_bind(pull, "inproc://zeromq.zap.01"));
    gate_open(gate);
    gate_fails(gate, ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL, EFAULT);
    KIT_OK(zmq_close(pull));
    gate_handle(gate, false, yes());
    gate_passes(gate, "Joe");
    gate_end(gate);
}

/* --- handlers that come and go --- */

static void await_request(struct gate *gate, struct gate_frame *ret_who)
{
    KIT_UNTIL((kit_poke(), gate_request_take(&gate->handler, ret_who, ZMQ_DONTWAIT)));
}

Test(zap, a_mute_handler_is_waited_for_as_long_as_a_handshake_may_take)
{
    for (unsigned mechanism = 0; mechanism < GATE_MECHANISMS; mechanism++) {
        struct gate *gate = gate_asking(mechanism);
        kit_set(gate->server.socket, ZMQ_HANDSHAKE_IVL, 50);
        gate_handle(gate, true, (struct gate_reply){0});
        gate_open(gate);
        gate_fails(gate, ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL, ETIMEDOUT);
        cr_assert_geq(gate->handler.asked, 2);
        gate->handler.reply = yes();
        gate_passes(gate, "Joe");
        gate_end(gate);
    }
}

Test(zap, a_handler_that_closes_has_said_no)
{
    struct gate *gate = gate_asking(GATE_CURVE);
    struct gate_frame who;
    kit_set(gate->server.socket, ZMQ_HANDSHAKE_IVL, 0);
    kit_set(gate->server.socket, ZMQ_ZAP_ENFORCE_DOMAIN, 1);
    gate_handle(gate, false, (struct gate_reply){0});
    gate_open(gate);
    await_request(gate, &who);
    KIT_OK(zmq_close(gate->handler.socket));
    gate->handler.socket = NULL;
    gate_fails(gate, ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL, EFAULT);
    gate_handle(gate, false, yes());
    gate_passes(gate, "Joe");
    gate_end(gate);
}

Test(zap, a_handler_that_unbinds_still_answers)
{
    struct gate *gate = gate_asking(GATE_PLAIN);
    struct gate_frame who;
    gate_handle(gate, true, yes());
    gate_open(gate);
    await_request(gate, &who);
    KIT_OK(zmq_unbind(gate->handler.socket, "inproc://zeromq.zap.01"));
    gate_reply_send(&gate->handler, &who);
    gate_passes(gate, "Joe");
    gate_end(gate);
}

/* Without a mechanism, that is a question. */
static int greet(const char *endpoint)
{
    int fd = raw_connect(endpoint);
    raw_say(fd, RAW_GREETING, RAW_GREETING_SIZE);
    return fd;
}

/* What is said about one that has left is said to nobody, and not taken for the next one's answer. */
Test(zap, who_leaves_is_judged_in_vain)
{
    struct gate *gate = gate_asking(GATE_NULL);
    gate_handle(gate, false, gate_reply("400", "", NULL, 0));
    gate_bind(gate);
    for (int i = 0; i < 3; i++) {
        struct gate_frame who;
        int fd = greet(gate->text);
        uint8_t heard[RAW_GREETING_SIZE];
        raw_hear(fd, heard, sizeof heard);
        await_request(gate, &who);
        close(fd);
        KIT_UNTIL((kit_poke(), gate_listen_to(&gate->server),
                   gate_told(&gate->server, ZMQ_EVENT_DISCONNECTED, NULL) == (unsigned)i + 1));
        gate_reply_send(&gate->handler, &who);
    }
    gate->handler.reply = yes();
    KIT_OK(zmq_connect(gate->client.socket, gate->text));
    gate_passes(gate, "Joe");
    cr_assert_eq(gate->handler.asked, 4);
    gate_end(gate);
}

/* Connects, asks by its greeting, and has gone before the answer. */
static void ask_and_leave(const char *endpoint)
{
    int fd = greet(endpoint);
    shutdown(fd, SHUT_WR);
    cr_assert(raw_ended(fd, KIT_WAIT_MS));
    close(fd);
}

/* Strangers that come and go fill no handler's memory: the 1025th question is not put. What it reads makes room again. */
Test(zap, an_idle_handler_is_asked_so_much_and_no_more)
{
    for (unsigned closes = 0; closes < 2; closes++) {
        struct gate *gate = gate_asking(GATE_NULL);
        struct gate_frame who;
        gate_handle(gate, !closes, yes());
        gate_bind(gate);
        for (unsigned i = 0; i < ZU_INPROC_REACHED_MAX; i++) {
            ask_and_leave(gate->text);
            gate_listen_to(&gate->server);
            cr_assert_eq(gate_told(&gate->server, ZMQ_EVENT_HANDSHAKE_FAILED_AUTH, NULL), 0, "at %u", i);
            gate->server.count = 0;
        }
        ask_and_leave(gate->text);
        KIT_UNTIL((kit_poke(), gate_listen_to(&gate->server),
                   gate_was_told(&gate->server, ZMQ_EVENT_HANDSHAKE_FAILED_AUTH, 300)));
        if (closes) {
            KIT_OK(zmq_close(gate->handler.socket));
            gate_handle(gate, true, yes());
        } else {
            while (gate_request_take(&gate->handler, &who, ZMQ_DONTWAIT))
                ;
            cr_assert_eq(gate->handler.asked, ZU_INPROC_REACHED_MAX);
        }
        KIT_OK(zmq_connect(gate->client.socket, gate->text));
        gate_passes(gate, "Joe");
        gate_end(gate);
    }
}

/* An answer ends a question: as many as come are served, one after the other. */
Test(zap, a_handler_that_answers_is_asked_for_ever)
{
    struct gate *gate = gate_asking(GATE_NULL);
    gate_handle(gate, false, gate_reply("400", "", NULL, 0));
    gate_bind(gate);
    for (unsigned i = 0; i <= ZU_INPROC_REACHED_MAX; i++) {
        struct gate_frame who;
        int fd = greet(gate->text);
        await_request(gate, &who);
        gate_reply_send(&gate->handler, &who);
        close(fd);
    }
    gate->handler.reply = yes();
    KIT_OK(zmq_connect(gate->client.socket, gate->text));
    gate_passes(gate, "Joe");
    gate_end(gate);
}

/* The sockets close, and the context ends, while it thinks. */
Test(zap, nobody_waits_for_a_handler_to_close)
{
    for (unsigned i = 0; i < 2; i++) {
        struct gate *gate = gate_asking(GATE_CURVE);
        struct gate_frame who;
        gate_handle(gate, i, (struct gate_reply){0});
        gate_open(gate);
        kit_send_text(gate->client.socket, "never", 0);
        await_request(gate, &who);
        gate_end(gate);
    }
}

/* How many count among ZU_INPROC_REACHED_MAX. */
static unsigned questions(const struct gate *gate)
{
    const struct zu_socket *server = gate->server.socket;
    return atomic_load_explicit(&server->context->inproc.reached, memory_order_relaxed);
}

/* Inline, where this thread is the shard: whatever allocation fails, and all behind it, nobody is let in for that. */
Test(zap, without_memory_a_peer_comes_again)
{
    for (unsigned n = 1; kit_is_inline() && n < 60; n++) {
        struct gate *gate = gate_asking(n % GATE_MECHANISMS);
        char got[16];
        gate_handle(gate, n % 2, yes());
        gate_open(gate);
        for (int i = 0; i < 20; i++) {
            zu_alloc_fail_from = n;
            kit_get(gate->server.socket, ZMQ_EVENTS);
            zu_alloc_fail_from = 0;
            kit_get(gate->client.socket, ZMQ_EVENTS);
            gate_handler_turn(&gate->handler);
        }
        cr_assert(gate->handler.asked || !gate_told(&gate->server, ZMQ_EVENT_HANDSHAKE_SUCCEEDED, NULL));
        GATE_UNTIL(gate, (zmq_send(gate->client.socket, "x", 1, ZMQ_DONTWAIT),
                          zmq_recv(gate->server.socket, got, sizeof got, ZMQ_DONTWAIT) == 1));
        GATE_UNTIL(gate, questions(gate) == 0);
        gate_end(gate);
    }
}

/* --- a thread of its own --- */

static int handle_until_closed(void *arg)
{
    struct gate_handler *handler = arg;
    struct gate_frame who;
    while (gate_request_take(handler, &who, 0))
        gate_reply_send(handler, &who);
    return zmq_close(handler->socket);
}

Test(zap, a_handler_may_live_on_another_thread)
{
    for (unsigned i = 0; i < 2 * GATE_MECHANISMS; i++) {
        struct gate *gate = gate_asking(i / 2);
        struct gate_handler *handler = malloc(sizeof *handler);
        gate_handle(gate, i % 2, yes());
        *handler = gate->handler;
        gate->handler.socket = NULL;
        kit_set(handler->socket, ZMQ_RCVTIMEO, -1);
        kit_sockets.count--; /* the other thread's from here on */
        struct kit_thread thread;
        kit_thread_start(&thread, handle_until_closed, handler);
        gate_open(gate);
        gate_passes(gate, "Joe");
        KIT_OK(zmq_ctx_shutdown(gate->context));
        kit_thread_join(&thread);
        free(handler);
        gate_end(gate);
    }
}

/* --- what goes over the wire --- */

/* The words of a refusal are read, though much lies unread at the other side when it closes. */
Test(zap, an_error_is_not_cut_off)
{
    enum { JUNK = 60000 };
    static const char error[] = "\4\12\5ERROR\3" "400";
    struct gate *gate = gate_asking(GATE_NULL);
    gate_handle(gate, false, (struct gate_reply){0});
    gate_bind(gate);
    int fd = raw_connect(gate->text);
    uint8_t heard[RAW_GREETING_SIZE];
    raw_say(fd, RAW_GREETING, RAW_GREETING_SIZE);
    raw_hear(fd, heard, sizeof heard);
    struct gate_frame who;
    await_request(gate, &who);
    char *junk = calloc(1, JUNK);
    raw_say(fd, RAW_READY_PUSH, RAW_READY_SIZE);
    raw_say(fd, junk, JUNK);
    gate->handler.reply = gate_reply("400", "", NULL, 0);
    gate_reply_send(&gate->handler, &who);
    raw_hear(fd, heard, sizeof error - 1);
    cr_assert_eq(memcmp(heard, error, sizeof error - 1), 0);
    cr_assert(raw_ended(fd, KIT_WAIT_MS));
    close(fd);
    free(junk);
    gate_end(gate);
}

/* What a hasty peer says before it is let in is not lost. */
Test(zap, what_comes_too_early_is_kept)
{
    static const size_t sizes[] = {1, 250, 5000, 60000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct gate *gate = gate_asking(GATE_NULL);
        gate_handle(gate, false, (struct gate_reply){0});
        gate_bind(gate);
        int fd = raw_connect(gate->text);
        uint8_t heard[RAW_GREETING_SIZE], head[9] = {2};
        raw_say(fd, RAW_GREETING, RAW_GREETING_SIZE);
        raw_hear(fd, heard, sizeof heard);
        struct gate_frame who;
        await_request(gate, &who);
        uint64_t size = sizes[i];
        for (unsigned n = 0; n < 8; n++)
            head[8 - n] = (uint8_t)(size >> 8 * n);
        char *body = malloc(size), *got = malloc(size);
        kit_fill(body, size, (uint32_t)i);
        raw_say(fd, RAW_READY_PUSH, RAW_READY_SIZE);
        raw_say(fd, head, sizeof head);
        raw_say(fd, body, size);
        gate->handler.reply = yes();
        gate_reply_send(&gate->handler, &who);
        GATE_UNTIL(gate, zmq_recv(gate->server.socket, got, size, ZMQ_DONTWAIT) == (int)size);
        cr_assert(kit_is_filled(got, size, (uint32_t)i));
        close(fd);
        free(body);
        free(got);
        gate_end(gate);
    }
}

/* What is kept while it waits counts together with what it said before. */
Test(zap, what_comes_too_early_has_an_end)
{
    enum { MAX = 1024 };
    for (unsigned more = 0; more < 2; more++) {
        struct gate *gate = gate_asking(GATE_NULL);
        struct gate_frame who;
        uint8_t said[MAX + 1] = RAW_GREETING RAW_READY_PUSH "\2\0\0\0\0\0\0", got[MAX];
        size_t head_end = RAW_GREETING_SIZE + RAW_READY_SIZE + 9, size = MAX + more - head_end;
        said[head_end - 2] = (uint8_t)(size >> 8);
        said[head_end - 1] = (uint8_t)size;
        kit_set(gate->server.socket, ZURING_MAX_HANDSHAKE_BYTES, MAX);
        gate_handle(gate, false, (struct gate_reply){0});
        gate_bind(gate);
        int fd = raw_connect(gate->text);
        raw_say(fd, said, RAW_GREETING_SIZE);
        await_request(gate, &who);
        raw_say(fd, said + RAW_GREETING_SIZE, MAX + more - RAW_GREETING_SIZE);
        if (more) {
            GATE_UNTIL(gate, gate_was_told(&gate->server, ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL, E2BIG));
        } else {
            gate->handler.reply = yes();
            gate_reply_send(&gate->handler, &who);
            GATE_UNTIL(gate, zmq_recv(gate->server.socket, got, sizeof got, ZMQ_DONTWAIT) == (int)size);
        }
        close(fd);
        gate_end(gate);
    }
}

/* Whoever cannot show who he is stays outside; also a peer by another mechanism. */
Test(zap, there_is_no_way_around)
{
    static const char old[] = "\xff\0\0\0\0\0\0\0\x01\x7f\x01\x08\0\0";
    for (unsigned mechanism = 0; mechanism < GATE_MECHANISMS; mechanism++) {
        struct gate *gate = gate_asking(mechanism);
        gate_handle(gate, false, yes());
        gate_bind(gate);
        int fd = raw_connect(gate->text);
        raw_say(fd, old, sizeof old - 1);
        cr_assert(raw_ended(fd, KIT_WAIT_MS));
        close(fd);
        fd = raw_connect(gate->text);
        raw_say(fd, "\1\0\3\0hi", 6);
        cr_assert(raw_ended(fd, KIT_WAIT_MS));
        close(fd);
        if (mechanism != GATE_NULL) {
            fd = raw_connect(gate->text);
            raw_say(fd, RAW_GREETING, RAW_GREETING_SIZE);
            cr_assert(raw_ended(fd, KIT_WAIT_MS));
            close(fd);
        }
        cr_assert_eq(gate->handler.asked, 0);
        gate_end(gate);
    }
}
