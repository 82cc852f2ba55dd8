/* SPDX-License-Identifier: MIT */
#include "rawpeer.h"

struct rude {
    const char *what;
    const char *bytes; /* said at once */
    size_t size;
};

#define SAYS(bytes) bytes, sizeof(bytes) - 1
#define AFTER_GREETING(bytes) RAW_GREETING bytes
#define GREETING_OF(mechanism_20) "\xff\0\0\0\0\0\0\0\x01\x7f\x03\x01" mechanism_20 RAW_ZEROS_16 RAW_ZEROS_16

static const struct rude rudes[] = {
    {"HTTP", SAYS("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")},
    {"TLS", SAYS("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")},
    {"zeros", SAYS("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")},
    {"0xff only", SAYS("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
                       "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
                       "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")},
    {"unknown mechanism", SAYS(GREETING_OF("HUSH" RAW_ZEROS_16))},
    {"wrong mechanism", SAYS(GREETING_OF("CURVE\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"))},
    {"a peer that does not fit", SAYS(AFTER_GREETING("\x04\x1a\x05READY\x0bSocket-Type\0\0\0\x04PULL"))},
    {"a type that is none", SAYS(AFTER_GREETING("\x04\x1a\x05READY\x0bSocket-Type\0\0\0\x04JUNK"))},
    {"not READY", SAYS(AFTER_GREETING("\x04\x06\x05STEADY"))},
    {"a name longer than its command", SAYS(AFTER_GREETING("\x04\x06\xffREADY"))},
    {"an empty command", SAYS(AFTER_GREETING("\x04\x00"))},
    {"ERROR", SAYS(AFTER_GREETING("\x04\x0a\x05" "ERROR\x03" "400"))},
    {"a property that overruns", SAYS(AFTER_GREETING("\x04\x1a\x05READY\x0bSocket-Type\x7f\xff\xff\xffPUSH"))},
    {"a handshake command of 2^63 octets", SAYS(AFTER_GREETING("\x06\x7f\xff\xff\xff\xff\xff\xff\xff\x05READY"))},
    {"a frame of 2^64 - 1 octets", SAYS(AFTER_GREETING(RAW_READY_PUSH "\x02\xff\xff\xff\xff\xff\xff\xff\xffrest"))},
    {"a command of 2^40 octets", SAYS(AFTER_GREETING(RAW_READY_PUSH "\x06\0\0\1\0\0\0\0\0\4PING"))},
    {"a short PING", SAYS(AFTER_GREETING(RAW_READY_PUSH "\x04\x06\x04PING\x01"))},
    {"an empty command in traffic", SAYS(AFTER_GREETING(RAW_READY_PUSH "\x04\x00"))},
    {"more than MAXMSGSIZE", SAYS(AFTER_GREETING(RAW_READY_PUSH "\x02\0\0\0\0\0\x10\0\1and so on"))},
};
enum { RUDES = sizeof rudes / sizeof rudes[0] };

struct scene {
    void *context; /* of the victim and its friend */
    void *victim;  /* a bound PULL with a MAXMSGSIZE */
    void *friend;  /* connected, well-behaved */
    char text[KIT_ENDPOINT_SIZE];
};

/* Without HANDSHAKE_IVL the rude are ended for what they say. */
static struct scene scene_make(int handshake_ms)
{
    struct scene scene = {.context = zmq_ctx_new()};
    int64_t size_max = 1 << 20;
    scene.victim = kit_socket(scene.context, ZMQ_PULL);
    scene.friend = kit_socket(scene.context, ZMQ_PUSH);
    KIT_OK(zmq_setsockopt(scene.victim, ZMQ_MAXMSGSIZE, &size_max, sizeof size_max));
    kit_set(scene.victim, ZMQ_HANDSHAKE_IVL, handshake_ms);
    kit_bind(scene.victim, "tcp", scene.text);
    KIT_OK(zmq_connect(scene.friend, scene.text));
    return scene;
}

/* The friend still gets through; what strangers have sent is skipped. */
static void friend_check(struct scene *scene)
{
    static uint32_t number;
    char text[32], got[32];
    snprintf(text, sizeof text, "friend %u", ++number);
    kit_send_text(scene->friend, text, 0);
    do {
        memset(got, 0, sizeof got);
        cr_assert_geq(zmq_recv(scene->victim, got, sizeof got - 1, 0), 0, "%s", zmq_strerror(errno));
    } while (strcmp(got, text) != 0);
}

static void scene_end(struct scene *scene)
{
    KIT_OK(zmq_close(scene->friend));
    KIT_OK(zmq_close(scene->victim));
    KIT_OK(zmq_ctx_term(scene->context));
}

Test(hostile, each_rude_peer_is_shown_the_door)
{
    struct scene scene = scene_make(0);
    for (int i = 0; i < RUDES; i++) {
        int fd = raw_connect(scene.text);
        raw_say(fd, rudes[i].bytes, rudes[i].size);
        cr_assert(raw_ended(fd, KIT_WAIT_MS), "%s", rudes[i].what);
        close(fd);
        friend_check(&scene);
    }
    scene_end(&scene);
}

/* The same, in pieces of one octet. */
Test(hostile, however_slowly_they_speak)
{
    struct scene scene = scene_make(0);
    for (int i = 0; i < RUDES; i++) {
        int fd = raw_connect(scene.text), yes = 1;
        setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &yes, sizeof yes);
        for (size_t n = 0; n < rudes[i].size; n++)
            raw_say(fd, rudes[i].bytes + n, 1);
        cr_assert(raw_ended(fd, KIT_WAIT_MS), "%s", rudes[i].what);
        close(fd);
    }
    friend_check(&scene);
    scene_end(&scene);
}

/* Whoever says nothing is gone after HANDSHAKE_IVL. */
Test(hostile, silence_is_not_waited_out)
{
    struct scene scene = scene_make(300);
    int fds[20];
    for (int i = 0; i < 20; i++) {
        fds[i] = raw_connect(scene.text);
        raw_say(fds[i], RAW_GREETING, (size_t)i * 3);
    }
    friend_check(&scene);
    for (int i = 0; i < 20; i++) {
        cr_assert(raw_ended(fds[i], KIT_WAIT_MS), "after %d octets", i * 3);
        close(fds[i]);
    }
    friend_check(&scene);
    scene_end(&scene);
}

/* A connection cut anywhere, also in mid-message: no half message appears. */
Test(hostile, cut_anywhere)
{
    static const char stream[] = RAW_GREETING RAW_READY_PUSH "\x01\x05" "first" "\x00\x06" "second";
    struct scene scene = scene_make(0);
    for (size_t size = 0; size < sizeof stream - 1; size++) {
        int fd = raw_connect(scene.text);
        raw_say(fd, stream, size);
        shutdown(fd, SHUT_WR);
        cr_assert(raw_ended(fd, KIT_WAIT_MS), "after %zu octets", size);
        close(fd);
    }
    int zero = 0;
    kit_set(scene.victim, ZMQ_RCVTIMEO, zero);
    char got[32];
    cr_assert_eq(zmq_recv(scene.victim, got, sizeof got, 0), -1);
    kit_set(scene.victim, ZMQ_RCVTIMEO, KIT_WAIT_MS);
    friend_check(&scene);
    scene_end(&scene);
}

/* A good stream with octets changed at random. */
Test(hostile, mutations)
{
    static const char good[] = RAW_GREETING RAW_READY_PUSH "\x01\x05" "first" "\x00\x06" "second"
                               "\x04\x0b\x04PING\0\1" "abcd" "\x02\0\0\0\0\0\0\1\0";
    struct scene scene = scene_make(0);
    uint32_t seed = kit_seed(), random = seed;
    for (int i = 0; i < 400; i++) {
        char stream[sizeof good - 1 + 256];
        memset(stream, 'x', sizeof stream);
        memcpy(stream, good, sizeof good - 1);
        for (uint32_t n = 1 + kit_random(&random) % 4; n > 0; n--)
            stream[kit_random(&random) % sizeof stream] ^= (char)(1 << kit_random(&random) % 8);
        int fd = raw_connect(scene.text);
        raw_say(fd, stream, sizeof stream);
        shutdown(fd, SHUT_WR);
        cr_assert(raw_ended(fd, KIT_WAIT_MS), "seed %u, stream %d", seed, i);
        close(fd);
        if (i % 20 == 0)
            friend_check(&scene);
    }
    friend_check(&scene);
    scene_end(&scene);
}

/* The connecting side meets a rude server: it ends the connection, and other endpoints go on. */
Test(hostile, rude_servers)
{
    struct scene scene = scene_make(0);
    char text[KIT_ENDPOINT_SIZE];
    int listener = raw_listen(text);
    for (int i = 0; i < RUDES - 1; i++) { /* the last one is within the limits of a socket without MAXMSGSIZE */
        void *socket = kit_socket(scene.context, ZMQ_PULL);
        kit_set(socket, ZMQ_HANDSHAKE_IVL, 0);
        KIT_OK(zmq_connect(socket, text));
        int fd = raw_accept(listener);
        raw_say(fd, rudes[i].bytes, rudes[i].size);
        cr_assert(raw_ended(fd, KIT_WAIT_MS), "%s", rudes[i].what);
        close(fd);
        KIT_OK(zmq_close(socket));
        friend_check(&scene);
    }
    close(listener);
    scene_end(&scene);
}

/* 255 octets are the most that a name may have; who has more goes without. */
Test(hostile, a_long_identity)
{
    static char ready[9 + 33 + 13 + 3000] = "\x06\0\0\0\0\0\0\0\0\x05READY\x0bSocket-Type\0\0\0\x04PUSH\x08Identity";
    size_t at = 9 + 6 + 16 + 4 + 9;
    uint32_t id_size = htonl(3000), size = htonl((uint32_t)(at - 9 + 4 + 3000));
    memcpy(ready + 5, &size, sizeof size);
    memcpy(ready + at, &id_size, sizeof id_size);
    memset(ready + at + 4, 'i', 3000);
    struct scene scene = scene_make(0);
    int fd = raw_connect(scene.text);
    raw_say(fd, RAW_GREETING, RAW_GREETING_SIZE);
    raw_say(fd, ready, at + 4 + 3000);
    raw_say(fd, "\0\x05hello", 7);
    kit_recv_text(scene.victim, "hello");
    close(fd);
    friend_check(&scene);
    scene_end(&scene);
}

/* A frame that says it is huge gets memory as it arrives, not as it says. */
Test(hostile, declared_size_is_not_believed)
{
    void *context = zmq_ctx_new();
    char text[KIT_ENDPOINT_SIZE], page[4096] = {0};
    void *victim = kit_socket(context, ZMQ_PULL);
    kit_bind(victim, "tcp", text);
    int fds[50];
    for (int i = 0; i < 50; i++) {
        fds[i] = raw_connect(text);
        raw_shake(fds[i], RAW_READY_PUSH);
        raw_say(fds[i], "\x02\0\0\0\xff\0\0\0\0", 9); /* 2^40 octets or so */
        raw_say(fds[i], page, sizeof page);
    }
    void *friend = kit_socket(context, ZMQ_PUSH);
    KIT_OK(zmq_connect(friend, text));
    kit_send_text(friend, "still here", 0);
    kit_recv_text(victim, "still here");
    for (int i = 0; i < 50; i++)
        close(fds[i]);
    KIT_OK(zmq_close(friend));
    KIT_OK(zmq_close(victim));
    KIT_OK(zmq_ctx_term(context));
}
