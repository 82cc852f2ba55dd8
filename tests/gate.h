/* SPDX-License-Identifier: MIT */
/* A PULL that lets in only whom somebody vouches for, a PUSH that wants in, what is told of both, and a handler of ZAP. */
#ifndef ZU_TESTS_GATE_H
#define ZU_TESTS_GATE_H

#include "kit.h"
#include "zuring.h"

static const char *const gate_mechanisms[] = {"NULL", "PLAIN", "CURVE"};
enum { GATE_NULL, GATE_PLAIN, GATE_CURVE, GATE_MECHANISMS };
enum { GATE_EVENTS = 64, GATE_FRAMES = 12, GATE_FRAME_SIZE = 300 };

struct gate_event {
    unsigned number; /* ZMQ_EVENT_ */
    unsigned value;  /* what it tells */
    char where[KIT_ENDPOINT_SIZE];
};

/* A socket and what its monitor has told. */
struct gate_end {
    void *socket;
    void *monitor;                        /* the reader */
    struct gate_event events[GATE_EVENTS]; /* oldest first */
    unsigned count;                       /* of them; more are counted and not kept */
};

struct gate_frame {
    size_t size;
    char data[GATE_FRAME_SIZE];
};

/* What a handler says, all seven or as many as there are. */
struct gate_reply {
    unsigned count;                         /* 0: nothing at all */
    struct gate_frame frames[GATE_FRAMES];  /* from the empty one on */
};

struct gate_handler {
    void *socket;                           /* NULL: there is none */
    bool is_router;                         /* else a REP */
    unsigned asked;                         /* requests so far */
    unsigned frame_count;                   /* of the last one */
    struct gate_frame frames[GATE_FRAMES];  /* it, from the empty one on; a REP sees it without */
    struct gate_reply reply;                /* to each */
};

struct gate {
    void *context;
    unsigned mechanism;
    struct gate_end server, client;
    struct gate_handler handler;
    char text[KIT_ENDPOINT_SIZE];     /* where the server is */
    char server_keys[2][41];          /* public, secret */
    char client_keys[2][41];
};

KIT_UNUSED static void gate_watch(struct gate *gate, struct gate_end *end, int type)
{
    static unsigned names;
    char text[64];
    snprintf(text, sizeof text, "inproc://gate-%u", __atomic_add_fetch(&names, 1, __ATOMIC_RELAXED));
    end->socket = kit_socket(gate->context, type);
    end->monitor = kit_socket(gate->context, ZMQ_PAIR);
    KIT_OK(zmq_socket_monitor(end->socket, text, ZMQ_EVENT_ALL));
    KIT_OK(zmq_connect(end->monitor, text));
}

KIT_UNUSED static void gate_set_text(void *socket, int option, const char *text)
{
    KIT_OK(zmq_setsockopt(socket, option, text, strlen(text)));
}

KIT_UNUSED static void gate_be_client(struct gate *gate, void *socket)
{
    if (gate->mechanism == GATE_PLAIN) {
        gate_set_text(socket, ZMQ_PLAIN_USERNAME, "user");
        gate_set_text(socket, ZMQ_PLAIN_PASSWORD, "pass");
    } else if (gate->mechanism == GATE_CURVE) {
        gate_set_text(socket, ZMQ_CURVE_SERVERKEY, gate->server_keys[0]);
        gate_set_text(socket, ZMQ_CURVE_PUBLICKEY, gate->client_keys[0]);
        gate_set_text(socket, ZMQ_CURVE_SECRETKEY, gate->client_keys[1]);
    }
}

static int gate_threads = 1; /* of the next context */

/* Neither bound nor connected yet. */
KIT_UNUSED static struct gate *gate_new(unsigned mechanism)
{
    struct gate *gate = calloc(1, sizeof *gate);
    gate->context = zmq_ctx_new();
    KIT_OK(zmq_ctx_set(gate->context, ZMQ_IO_THREADS, gate_threads));
    gate->mechanism = mechanism;
    gate_watch(gate, &gate->server, ZMQ_PULL);
    gate_watch(gate, &gate->client, ZMQ_PUSH);
    KIT_OK(zmq_curve_keypair(gate->server_keys[0], gate->server_keys[1]));
    KIT_OK(zmq_curve_keypair(gate->client_keys[0], gate->client_keys[1]));
    if (mechanism == GATE_PLAIN)
        kit_set(gate->server.socket, ZMQ_PLAIN_SERVER, 1);
    if (mechanism == GATE_CURVE) {
        kit_set(gate->server.socket, ZMQ_CURVE_SERVER, 1);
        gate_set_text(gate->server.socket, ZMQ_CURVE_SECRETKEY, gate->server_keys[1]);
    }
    gate_be_client(gate, gate->client.socket);
    kit_set(gate->client.socket, ZMQ_RECONNECT_IVL, 10);
    return gate;
}

KIT_UNUSED static void gate_bind(struct gate *gate)
{
    kit_bind(gate->server.socket, "tcp", gate->text);
}

KIT_UNUSED static void gate_open(struct gate *gate)
{
    gate_bind(gate);
    KIT_OK(zmq_connect(gate->client.socket, gate->text));
}

/* --- the handler --- */

KIT_UNUSED static void gate_frame_set(struct gate_frame *frame, const void *data, size_t size)
{
    frame->size = size;
    if (size)
        memcpy(frame->data, data, size);
}

KIT_UNUSED static struct gate_reply gate_reply(const char *status, const char *user_id, const void *metadata, size_t size)
{
    const char *const texts[] = {"", "1.0", "1", status, "as I say", user_id};
    struct gate_reply reply = {.count = 7};
    for (unsigned i = 0; i < 6; i++)
        gate_frame_set(&reply.frames[i], texts[i], strlen(texts[i]));
    gate_frame_set(&reply.frames[6], metadata, size);
    return reply;
}

KIT_UNUSED static void gate_handle(struct gate *gate, bool is_router, struct gate_reply reply)
{
    gate->handler = (struct gate_handler){.is_router = is_router, .reply = reply};
    gate->handler.socket = kit_socket(gate->context, is_router ? ZMQ_ROUTER : ZMQ_REP);
    KIT_OK(zmq_bind(gate->handler.socket, "inproc://zeromq.zap.01"));
}

/* The next frame; false: there is none now. */
static bool gate_frame_recv(void *socket, struct gate_frame *frame, int flags)
{
    int size = zmq_recv(socket, frame->data, sizeof frame->data, flags);
    if (size >= 0)
        frame->size = (size_t)size;
    return size >= 0;
}

KIT_UNUSED static void gate_reply_send(struct gate_handler *handler, const struct gate_frame *who)
{
    const struct gate_reply *reply = &handler->reply;
    unsigned first = handler->is_router ? 0 : 1;
    if (!reply->count)
        return;
    if (handler->is_router)
        KIT_OK(zmq_send(handler->socket, who->data, who->size, ZMQ_SNDMORE));
    for (unsigned i = first; i < reply->count; i++)
        KIT_OK(zmq_send(handler->socket, reply->frames[i].data, reply->frames[i].size,
                        i + 1 < reply->count ? ZMQ_SNDMORE : 0));
}

/* Takes a request; `who` asked. False: none is there. */
KIT_UNUSED static bool gate_request_take(struct gate_handler *handler, struct gate_frame *ret_who, int flags)
{
    struct gate_frame *frames = handler->frames;
    unsigned at = 0;
    if (handler->is_router ? !gate_frame_recv(handler->socket, ret_who, flags)
                           : !gate_frame_recv(handler->socket, &frames[1], flags))
        return false;
    frames[0].size = 0;
    at = handler->is_router ? 0 : 2;
    for (; kit_get(handler->socket, ZMQ_RCVMORE) && at < GATE_FRAMES; at++)
        cr_assert(gate_frame_recv(handler->socket, &frames[at], 0));
    handler->frame_count = at;
    handler->asked++;
    return true;
}

KIT_UNUSED static void gate_handler_turn(struct gate_handler *handler)
{
    struct gate_frame who;
    if (handler->socket && gate_request_take(handler, &who, ZMQ_DONTWAIT))
        gate_reply_send(handler, &who);
}

/* --- what happens --- */

KIT_UNUSED static void gate_listen_to(struct gate_end *end)
{
    char head[6], where[KIT_ENDPOINT_SIZE];
    while (zmq_recv(end->monitor, head, sizeof head, ZMQ_DONTWAIT) == sizeof head) {
        uint16_t number;
        uint32_t value;
        int size = zmq_recv(end->monitor, where, sizeof where - 1, 0);
        cr_assert_geq(size, 0);
        memcpy(&number, head, sizeof number);
        memcpy(&value, head + 2, sizeof value);
        if (end->count < GATE_EVENTS) {
            struct gate_event *event = &end->events[end->count];
            *event = (struct gate_event){.number = number, .value = value};
            memcpy(event->where, where, (size_t)size);
        }
        end->count++;
    }
}

/* Everybody of this thread gets on a little. */
KIT_UNUSED static void gate_turn(struct gate *gate)
{
    kit_poke();
    gate_handler_turn(&gate->handler);
    gate_listen_to(&gate->server);
    gate_listen_to(&gate->client);
}

#define GATE_UNTIL(gate, condition) KIT_UNTIL((gate_turn(gate), (condition)))

/* How often it was told; in *ret_value what, the first time. */
KIT_UNUSED static unsigned gate_told(const struct gate_end *end, unsigned number, unsigned *ret_value)
{
    unsigned times = 0;
    for (unsigned i = end->count < GATE_EVENTS ? end->count : GATE_EVENTS; i-- > 0;) {
        if (end->events[i].number != number)
            continue;
        times++;
        if (ret_value)
            *ret_value = end->events[i].value;
    }
    return times;
}

KIT_UNUSED static bool gate_was_told(const struct gate_end *end, unsigned number, unsigned value)
{
    unsigned got = 0;
    return gate_told(end, number, &got) && got == value;
}

/* The first message of the client has come through. */
KIT_UNUSED static bool gate_recv(struct gate *gate, zmq_msg_t *msg)
{
    return zmq_msg_recv(msg, gate->server.socket, ZMQ_DONTWAIT) >= 0;
}

/* What the client sends now arrives, with this User-Id; NULL for none. */
KIT_UNUSED static void gate_passes(struct gate *gate, const char *user_id)
{
    zmq_msg_t msg;
    zmq_msg_init(&msg);
    kit_send_text(gate->client.socket, "let me in", 0);
    GATE_UNTIL(gate, gate_recv(gate, &msg));
    const char *got = zmq_msg_gets(&msg, "User-Id");
    cr_assert_eq(zmq_msg_size(&msg), 9);
    if (user_id)
        cr_assert(got && strcmp(got, user_id) == 0, "%s instead of %s", got ? got : "nobody", user_id);
    else
        cr_assert_null(got);
    cr_assert_str_eq(zmq_msg_gets(&msg, "Peer-Address"), "127.0.0.1");
    zmq_msg_close(&msg);
}

KIT_UNUSED static unsigned gate_peers(void *socket)
{
    size_t count = 0;
    KIT_OK(zuring_peers(socket, NULL, &count));
    return (unsigned)count;
}

/* Both ends are told that the server's answer was no, and the client does not come again. */
KIT_UNUSED static void gate_is_denied(struct gate *gate, unsigned status)
{
    GATE_UNTIL(gate, gate_told(&gate->server, ZMQ_EVENT_HANDSHAKE_FAILED_AUTH, NULL) &&
                         gate_told(&gate->client, ZMQ_EVENT_HANDSHAKE_FAILED_AUTH, NULL));
    GATE_UNTIL(gate, gate_peers(gate->client.socket) == 0);
    cr_assert(gate_was_told(&gate->server, ZMQ_EVENT_HANDSHAKE_FAILED_AUTH, status));
    cr_assert(gate_was_told(&gate->client, ZMQ_EVENT_HANDSHAKE_FAILED_AUTH, status));
    cr_assert_eq(gate_told(&gate->client, ZMQ_EVENT_CONNECT_RETRIED, NULL), 0);
    cr_assert_eq(gate_told(&gate->server, ZMQ_EVENT_HANDSHAKE_SUCCEEDED, NULL), 0);
}

/* The server is told why it let nobody in, and the client tries again. */
KIT_UNUSED static void gate_fails(struct gate *gate, unsigned number, unsigned value)
{
    GATE_UNTIL(gate, gate_told(&gate->server, number, NULL) > 1);
    GATE_UNTIL(gate, gate_told(&gate->client, ZMQ_EVENT_CONNECT_RETRIED, NULL));
    cr_assert(gate_was_told(&gate->server, number, value), "%#x", gate->server.events[1].value);
    cr_assert_eq(gate_told(&gate->server, ZMQ_EVENT_HANDSHAKE_SUCCEEDED, NULL), 0);
}

KIT_UNUSED static void gate_end(struct gate *gate)
{
    void *const sockets[] = {gate->client.socket, gate->server.socket, gate->handler.socket, gate->client.monitor,
                             gate->server.monitor};
    for (size_t i = 0; i < sizeof sockets / sizeof *sockets; i++)
        if (sockets[i])
            KIT_OK(zmq_close(sockets[i]));
    KIT_OK(zmq_ctx_term(gate->context));
    free(gate);
}

#endif
