/* SPDX-License-Identifier: MIT */
#include "rawpeer.h"

/* A bound PULL with these heartbeats, and a plain socket that has shaken hands with it. */
struct scene {
    void *context;
    void *socket;
    int fd;
};

static struct scene scene_make(int every_ms, int timeout_ms, int ttl_ms)
{
    struct scene scene = {.context = zmq_ctx_new()};
    char text[KIT_ENDPOINT_SIZE];
    scene.socket = kit_socket(scene.context, ZMQ_PULL);
    kit_set(scene.socket, ZMQ_HEARTBEAT_IVL, every_ms);
    if (timeout_ms >= 0)
        kit_set(scene.socket, ZMQ_HEARTBEAT_TIMEOUT, timeout_ms);
    kit_set(scene.socket, ZMQ_HEARTBEAT_TTL, ttl_ms);
    scene.fd = raw_connect(kit_bind(scene.socket, "tcp", text));
    raw_shake(scene.fd, RAW_READY_PUSH);
    return scene;
}

static void scene_end(struct scene *scene)
{
    close(scene->fd);
    KIT_OK(zmq_close(scene->socket));
    KIT_OK(zmq_ctx_term(scene->context));
}

/* Reads a PING and returns its TTL, in tenths of a second. */
static int ping_hear(int fd)
{
    uint8_t frame[9];
    raw_hear(fd, frame, sizeof frame);
    cr_assert_eq(memcmp(frame, "\x04\x07\x04PING", 7), 0);
    return frame[7] << 8 | frame[8];
}

Test(heartbeat, pings_and_drops_the_silent)
{
    struct scene scene = scene_make(20, -1, 3000);
    cr_assert_eq(ping_hear(scene.fd), 30);
    cr_assert(raw_ended(scene.fd, KIT_WAIT_MS));
    scene_end(&scene);
}

Test(heartbeat, a_pong_is_a_sign_of_life)
{
    struct scene scene = scene_make(30, 1000, 0);
    for (int i = 0; i < 10; i++) {
        cr_assert_eq(ping_hear(scene.fd), 0);
        raw_say(scene.fd, "\x04\x05\x04PONG", 7);
    }
    raw_say(scene.fd, "\0\x05" "alive", 7);
    kit_recv_text(scene.socket, "alive");
    scene_end(&scene);
}

Test(heartbeat, off_by_default)
{
    struct scene scene = scene_make(0, -1, 0);
    cr_assert(!raw_wait(scene.fd, 100));
    scene_end(&scene);
}

Test(heartbeat, answers_with_the_context)
{
    struct scene scene = scene_make(0, -1, 0);
    uint8_t frame[64];
    raw_say(scene.fd, "\x04\x0a\x04PING\0\0abc", 12);
    raw_hear(scene.fd, frame, 10);
    cr_assert_eq(memcmp(frame, "\x04\x08\x04PONGabc", 10), 0);
    raw_say(scene.fd, "\x04\x18\x04PING\0\0" "0123456789abcdefg", 26);
    raw_hear(scene.fd, frame, 7 + 16);
    cr_assert_eq(memcmp(frame, "\x04\x15\x04PONG0123456789abcdef", 23), 0, "16 octets at most");
    scene_end(&scene);
}

Test(heartbeat, the_peers_own_promise_is_held_to)
{
    struct scene scene = scene_make(0, -1, 0);
    uint64_t start_ms = kit_now_ms(); /* no later than the promise is heard */
    raw_say(scene.fd, "\x04\x07\x04PING\0\x02", 9);
    cr_assert(raw_ended(scene.fd, KIT_WAIT_MS));
    cr_assert_geq(kit_now_ms() - start_ms + 2, 200);
    scene_end(&scene);
}

Test(heartbeat, a_promise_kept)
{
    struct scene scene = scene_make(0, -1, 0);
    for (int i = 0; i < 5; i++) {
        raw_say(scene.fd, "\x04\x07\x04PING\0\x05", 9);
        cr_assert(!raw_ended(scene.fd, 100));
    }
    scene_end(&scene);
}

/* Two sockets that only ping each other keep their connection: the second message comes by the first one's. */
Test(heartbeat, keeps_a_quiet_connection)
{
    void *context = zmq_ctx_new();
    void *to = kit_socket(context, ZMQ_PULL), *from = kit_socket(context, ZMQ_PUSH);
    char text[KIT_ENDPOINT_SIZE];
    zmq_msg_t first, second;
    zmq_msg_init(&first);
    zmq_msg_init(&second);
    kit_set(to, ZMQ_HEARTBEAT_IVL, 10);
    kit_set(from, ZMQ_HEARTBEAT_IVL, 10);
    kit_set(to, ZMQ_HEARTBEAT_TIMEOUT, 2000);
    kit_set(from, ZMQ_HEARTBEAT_TIMEOUT, 2000);
    kit_set(from, ZMQ_RECONNECT_IVL, 0); /* a lost connection stays lost */
    KIT_OK(zmq_connect(from, kit_bind(to, "tcp", text)));
    kit_send_text(from, "first", 0);
    KIT_OK(zmq_msg_recv(&first, to, 0));
    cr_assert(!kit_readable(to, 300));
    kit_send_text(from, "second", 0);
    KIT_OK(zmq_msg_recv(&second, to, 0));
    cr_assert_eq(zmq_msg_get(&first, ZMQ_SRCFD), zmq_msg_get(&second, ZMQ_SRCFD));
    zmq_msg_close(&first);
    zmq_msg_close(&second);
    KIT_OK(zmq_close(from));
    KIT_OK(zmq_close(to));
    KIT_OK(zmq_ctx_term(context));
}

/* A reader that is full holds its peer back; that silence is not the peer's. */
Test(heartbeat, back_pressure_is_no_silence)
{
    static uint8_t large[100000];
    void *context = zmq_ctx_new();
    void *to = kit_socket(context, ZMQ_PULL), *from = kit_socket(context, ZMQ_PUSH);
    char text[KIT_ENDPOINT_SIZE];
    kit_set(to, ZMQ_RCVHWM, 1);
    kit_set(to, ZMQ_HEARTBEAT_IVL, 20);
    kit_set(from, ZMQ_RECONNECT_IVL, 0);
    KIT_OK(zmq_connect(from, kit_bind(to, "tcp", text)));
    for (int i = 0; i < 200; i++)
        KIT_OK(zmq_send(from, large, sizeof large, 0));
    cr_assert(!kit_readable(from, 200)); /* time for ten heartbeats; PUSH never gets anything */
    for (int i = 0; i < 200; i++)
        cr_assert_eq(zmq_recv(to, large, sizeof large, 0), (int)sizeof large);
    KIT_OK(zmq_close(from));
    KIT_OK(zmq_close(to));
    KIT_OK(zmq_ctx_term(context));
}
