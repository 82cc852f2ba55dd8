/* SPDX-License-Identifier: MIT */
/* libzmq's known faults, each by its number: what was done to it must not harm us. Others live with their units. */
#include "rawpeer.h"

enum { LAST_MS = 200 };

/*
 * A v2 frame whose 64-bit size, added to the place in the receive buffer, wraps: the decoder then thought that it lay in
 * the buffer, and wrote past it. With MAXMSGSIZE off, as by default.
 */
Test(cve, cve_2019_6250_a_size_that_wraps)
{
    static const char *const heads[] = {"\x02\xff\xff\xff\xff\xff\xff\xff\xff", "\x02\xff\xff\xff\xff\xff\xff\xf0\x00",
                                        "\x02\x7f\xff\xff\xff\xff\xff\xff\xff", "\x03\xff\xff\xff\xff\xff\xff\xff\xf0"};
    void *context = zmq_ctx_new();
    char text[KIT_ENDPOINT_SIZE], page[4096];
    void *victim = kit_socket(context, ZMQ_PULL), *friend = kit_socket(context, ZMQ_PUSH);
    kit_bind(victim, "tcp", text);
    KIT_OK(zmq_connect(friend, text));
    memset(page, 'A', sizeof page);
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        int fd = raw_connect(text);
        raw_shake(fd, RAW_READY_PUSH);
        raw_say(fd, heads[i], 9);
        for (int more = 0; more < 64; more++)
            raw_say(fd, page, sizeof page);
        kit_send_text(friend, "still here", 0);
        kit_recv_text(victim, "still here");
        close(fd);
    }
    KIT_OK(zmq_close(friend));
    KIT_OK(zmq_close(victim));
    KIT_OK(zmq_ctx_term(context));
}

/*
 * A peer of ZMTP 1.0 whose frames are larger than the buffer that the decoder began with: it wrote on behind its end.
 * Those that are whole arrive; sizes that cannot be end the connection, and nothing else.
 */
Test(cve, cve_2021_20235_large_frames_of_an_old_peer)
{
    enum { LARGE = 300000 };
    static const char *const heads[] = {"\xff\xff\xff\xff\xff\xff\xff\xff\xff", "\xff\x7f\xff\xff\xff\xff\xff\xff\xff",
                                        "\xff\0\0\0\0\0\0\0\0", "\0\0\0\0\0\0\0\0\0"};
    static char large[LARGE], got[LARGE];
    void *context = zmq_ctx_new();
    char text[KIT_ENDPOINT_SIZE];
    void *victim = kit_socket(context, ZMQ_PULL);
    kit_bind(victim, "tcp", text);
    kit_fill(large, sizeof large, 7);
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        int fd = raw_connect(text);
        raw_say(fd, "\x01\0", 2);                               /* no identity */
        raw_say(fd, "\xff\0\0\0\0\0\x04\x93\xe1\0", 10); /* LARGE and the flags' octet */
        raw_say(fd, large, LARGE);
        cr_assert_eq(zmq_recv(victim, got, sizeof got, 0), LARGE, "%s", zmq_strerror(errno));
        cr_assert_arr_eq(got, large, LARGE);
        raw_say(fd, heads[i], 9);
        raw_say(fd, large, LARGE);
        close(fd);
    }
    KIT_OK(zmq_close(victim));
    KIT_OK(zmq_ctx_term(context));
}

/*
 * A server that begins a message and never ends it, connection after connection: a client without authentication kept
 * each beginning for good.
 */
Test(cve, cve_2021_20234_messages_that_never_end, .timeout = 100)
{
    enum { PART = 256 * 1024, ROUNDS = SANITIZED ? 60 : 240 };
    void *context = zmq_ctx_new();
    char text[KIT_ENDPOINT_SIZE];
    static uint8_t part[PART];
    int listener = raw_listen(text);
    void *victim = kit_socket(context, ZMQ_PULL);
    kit_set(victim, ZMQ_RECONNECT_IVL, 1);
    KIT_OK(zmq_connect(victim, text));
    long before_kib = 0;
    for (int i = 0; i < ROUNDS; i++) {
        int fd = raw_accept(listener);
        raw_shake(fd, RAW_READY_PUSH);
        raw_say(fd, "\x03\0\0\0\0\0\x04\0\0", 9); /* MORE follows */
        raw_say(fd, part, PART);
        close(fd);
        if (i == ROUNDS / 4)
            before_kib = kit_rss_kib();
    }
    long limit_kib = before_kib + 8 * 1024; /* kept, they would be 45 MiB */
    if (!SANITIZED)
        cr_assert_leq(kit_rss_kib(), limit_kib, "%ld KiB, then %ld", before_kib, kit_rss_kib());
    char none;
    kit_set(victim, ZMQ_RCVTIMEO, LAST_MS);
    KIT_FAILS(EAGAIN, zmq_recv(victim, &none, 1, 0));
    close(listener);
    KIT_OK(zmq_close(victim));
    KIT_OK(zmq_ctx_term(context));
}

/*
 * Connections without a handshake were given pipes, and messages that nobody would ever read: with enough of them nothing
 * was left for those who had been let in. What they cost otherwise, test_flood.c measures.
 */
Test(cve, cve_2020_15166_strangers_get_no_messages)
{
    enum { STRANGERS = 30, MESSAGES = 300 };
    static const char *const words[] = {"", "\xff", RAW_GREETING};
    static const size_t sizes[] = {0, 1, RAW_GREETING_SIZE};
    char text[KIT_ENDPOINT_SIZE], got[8];
    int fds[STRANGERS];
    void *context = zmq_ctx_new();
    void *from = kit_socket(context, ZMQ_PUSH), *to = kit_socket(context, ZMQ_PULL);
    kit_set(from, ZMQ_SNDHWM, 10);
    kit_bind(from, "tcp", text);
    for (int i = 0; i < STRANGERS; i++) {
        fds[i] = raw_connect(text);
        raw_say(fds[i], words[i % 3], sizes[i % 3]);
        raw_hear(fds[i], got, 1); /* it is being served */
    }
    KIT_OK(zmq_connect(to, text));
    for (int i = 0; i < MESSAGES; i++) {
        kit_send_text(from, "work", 0);
        kit_recv_text(to, "work");
    }
    for (int i = 0; i < STRANGERS; i++)
        close(fds[i]);
    KIT_OK(zmq_close(to));
    KIT_OK(zmq_close(from));
    KIT_OK(zmq_ctx_term(context));
}
