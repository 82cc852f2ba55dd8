/* SPDX-License-Identifier: MIT */
/* A peer that is a plain socket of the test: says what it likes, octet by octet. */
#ifndef ZU_TESTS_RAWPEER_H
#define ZU_TESTS_RAWPEER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "kit.h"

#define RAW_ZEROS_16 "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
/* Version 3.1, mechanism NULL. */
#define RAW_GREETING "\xff\0\0\0\0\0\0\0\x01\x7f\x03\x01NULL" RAW_ZEROS_16 RAW_ZEROS_16 RAW_ZEROS_16
#define RAW_GREETING_SIZE (sizeof RAW_GREETING - 1)
_Static_assert(RAW_GREETING_SIZE == 64, "a greeting has 64 octets");

#define RAW_READY_PUSH "\x04\x1a\x05READY\x0bSocket-Type\0\0\0\x04PUSH"
#define RAW_READY_PULL "\x04\x1a\x05READY\x0bSocket-Type\0\0\0\x04PULL"
#define RAW_READY_SIZE (sizeof RAW_READY_PUSH - 1)

KIT_UNUSED static int raw_connect(const char *endpoint)
{
    unsigned port;
    cr_assert_eq(sscanf(endpoint, "tcp://127.0.0.1:%u", &port), 1);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0, "%s", strerror(errno));
    return fd;
}

/* Listens on a free port of 127.0.0.1 and says which. */
KIT_UNUSED static int raw_listen(char *endpoint)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(listen(fd, 64), 0);
    getsockname(fd, (struct sockaddr *)&address, &size);
    snprintf(endpoint, KIT_ENDPOINT_SIZE, "tcp://127.0.0.1:%u", ntohs(address.sin_port));
    return fd;
}

/* Readable in time. Inline, the sockets of this thread are moved meanwhile. */
KIT_UNUSED static bool raw_wait(int fd, int timeout_ms)
{
    struct pollfd item = {.fd = fd, .events = POLLIN};
    if (!kit_is_inline())
        return poll(&item, 1, timeout_ms) == 1;
    uint64_t until_ms = kit_now_ms() + (uint64_t)timeout_ms;
    do
        kit_poke();
    while (poll(&item, 1, timeout_ms > 0) != 1 && kit_now_ms() < until_ms);
    return item.revents != 0;
}

KIT_UNUSED static int raw_accept(int listener)
{
    cr_assert(raw_wait(listener, KIT_WAIT_MS), "nobody connects");
    return accept4(listener, NULL, NULL, SOCK_CLOEXEC);
}

/* What is said is heard at once, inline too: not together with what is said next. */
KIT_UNUSED static void raw_say(int fd, const void *data, size_t size)
{
    for (size_t sent = 0; sent < size;) {
        ssize_t step = send(fd, (const char *)data + sent, size - sent, MSG_NOSIGNAL);
        if (step < 0)
            return; /* the other side has had enough */
        sent += (size_t)step;
    }
    kit_poke();
}

KIT_UNUSED static void raw_hear(int fd, void *data, size_t size)
{
    for (size_t got = 0; got < size;) {
        cr_assert(raw_wait(fd, KIT_WAIT_MS), "%zu of %zu octets", got, size);
        ssize_t step = read(fd, (char *)data + got, size - got);
        cr_assert_gt(step, 0, "the connection has ended");
        got += (size_t)step;
    }
}

/* Exchanges greetings and READY as a peer of the type that the macro names. */
KIT_UNUSED static void raw_shake(int fd, const char *ready)
{
    uint8_t heard[64];
    raw_say(fd, RAW_GREETING, RAW_GREETING_SIZE);
    raw_say(fd, ready, RAW_READY_SIZE);
    raw_hear(fd, heard, sizeof heard);
    raw_hear(fd, heard, 2);
    cr_assert_eq(heard[0], 4, "a short command");
    uint8_t body[256];
    raw_hear(fd, body, heard[1]);
    cr_assert_eq(memcmp(body, "\5READY", 6), 0);
}

/* True when the other side has ended the connection; what it says before is skipped. */
KIT_UNUSED static bool raw_ended(int fd, int timeout_ms)
{
    char skipped[4096];
    for (uint64_t until_ms = kit_now_ms() + (uint64_t)timeout_ms; kit_now_ms() < until_ms;)
        if (raw_wait(fd, timeout_ms) && recv(fd, skipped, sizeof skipped, 0) <= 0)
            return true;
    return false;
}

#endif
