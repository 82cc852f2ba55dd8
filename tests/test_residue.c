/* SPDX-License-Identifier: MIT */
/* Secrets are nowhere in the process's memory any more, once sockets and context that used them are gone. */
#include "gate.h"
#include "rawpeer.h"

enum { SECRET_SIZE = 32 };

/* What is looked for, masked: the test itself leaves no copy. */
struct secret {
    uint8_t masked[SECRET_SIZE];
};

enum { MASK = 0xa5 };

static void hide(struct secret *secret, void *plain)
{
    uint8_t *octets = plain;
    for (int i = 0; i < SECRET_SIZE; i++)
        secret->masked[i] = octets[i] ^ MASK;
    explicit_bzero(plain, SECRET_SIZE);
}

static void show(const struct secret *secret, void *ret_plain)
{
    for (int i = 0; i < SECRET_SIZE; i++)
        ((uint8_t *)ret_plain)[i] = secret->masked[i] ^ MASK;
}

/* 32 characters of Z85, so that it may be a text. */
static void make(struct secret *secret)
{
    char texts[2][41];
    KIT_OK(zmq_curve_keypair(texts[0], texts[1]));
    hide(secret, texts[0]);
}

static unsigned found_between(const struct secret *secret, const volatile uint8_t *at, const volatile uint8_t *end)
{
    unsigned found = 0;
    for (; at + SECRET_SIZE <= end; at++) {
        int same = 0;
        while (same < SECRET_SIZE && (at[same] ^ MASK) == secret->masked[same])
            same++;
        found += same == SECRET_SIZE;
    }
    return found;
}

/* How often it stands in what this process may write. */
static unsigned found(const struct secret *secret)
{
    char line[512], rights[8];
    unsigned count = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    cr_assert_not_null(maps);
    while (fgets(line, sizeof line, maps)) {
        unsigned long from, to;
        cr_assert_eq(sscanf(line, "%lx-%lx %7s", &from, &to, rights), 3);
        if (strncmp(rights, "rw", 2) == 0)
            count += found_between(secret, (const uint8_t *)from, (const uint8_t *)to);
    }
    fclose(maps);
    return count;
}

static int let_in(const struct zuring_visitor *visitor, void *data)
{
    (void)data;
    return visitor->credential_sizes[0] ? 200 : 400;
}

/* Sets a text of SECRET_SIZE. */
static void tell(void *socket, int option, const struct secret *secret)
{
    char plain[SECRET_SIZE];
    show(secret, plain);
    KIT_OK(zmq_setsockopt(socket, option, plain, SECRET_SIZE));
    explicit_bzero(plain, sizeof plain);
}

Test(residue, the_search_finds)
{
    struct secret secret;
    char *plain = malloc(SECRET_SIZE);
    make(&secret);
    show(&secret, plain);
    cr_assert_geq(found(&secret), 1);
    explicit_bzero(plain, SECRET_SIZE);
    cr_assert_eq(found(&secret), 0);
    free(plain);
}

Test(residue, plain_password)
{
    struct gate *gate = gate_new(GATE_PLAIN);
    struct secret secret;
    make(&secret);
    tell(gate->client.socket, ZMQ_PLAIN_PASSWORD, &secret);
    KIT_OK(zuring_admit_by(gate->server.socket, let_in, NULL));
    gate_open(gate);
    gate_passes(gate, NULL);
    gate_end(gate);
    cr_assert(found(&secret) == 0, "%u times", found(&secret));
}

Test(residue, password_put_to_a_handler)
{
    struct gate *gate = gate_new(GATE_PLAIN);
    struct secret secret;
    make(&secret);
    tell(gate->client.socket, ZMQ_PLAIN_PASSWORD, &secret);
    gate_set_text(gate->server.socket, ZMQ_ZAP_DOMAIN, "home");
    gate_handle(gate, true, gate_reply("200", "Joe", NULL, 0));
    gate_open(gate);
    gate_passes(gate, "Joe");
    cr_assert_geq(found(&secret), 1, "the handler has heard it");
    explicit_bzero(gate->handler.frames, sizeof gate->handler.frames);
    gate_end(gate);
    cr_assert(found(&secret) == 0, "%u times", found(&secret));
}

Test(residue, curve_keys)
{
    struct gate *gate = gate_new(GATE_CURVE);
    struct secret secrets[2];
    uint8_t key[SECRET_SIZE];
    cr_assert_not_null(zmq_z85_decode(key, gate->server_keys[1]));
    hide(&secrets[0], key);
    cr_assert_not_null(zmq_z85_decode(key, gate->client_keys[1]));
    hide(&secrets[1], key);
    gate_open(gate);
    gate_passes(gate, NULL);
    gate_end(gate);
    for (unsigned i = 0; i < 2; i++)
        cr_assert(found(&secrets[i]) == 0, "%u times", found(&secrets[i]));
}

/* What is left when the other side has taken it and hangs up: nothing is said behind it that would cover it. */
static void hear_and_hang_up(void *socket, int fd, size_t before, const char *answer, size_t size)
{
    uint8_t said[600];
    raw_say(fd, answer, size);
    raw_hear(fd, said, before);
    raw_hear(fd, said, 1);
    KIT_UNTIL((kit_poke(), recv(fd, said, sizeof said, MSG_DONTWAIT) >= SECRET_SIZE));
    explicit_bzero(said, sizeof said);
    shutdown(fd, SHUT_WR);
    cr_assert(raw_ended(fd, KIT_WAIT_MS));
    KIT_OK(zmq_close(socket));
    close(fd);
}

Test(residue, password_that_was_said_last)
{
    static const char greeting[] = "\xff\0\0\0\0\0\0\0\x01\x7f\x03\x01PLAIN\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01" RAW_ZEROS_16
                                   RAW_ZEROS_16;
    for (unsigned is_proxy = 0; is_proxy < 2; is_proxy++) {
        char text[KIT_ENDPOINT_SIZE];
        struct secret secret;
        void *context = zmq_ctx_new(), *push = kit_socket(context, ZMQ_PUSH);
        int listener = raw_listen(text);
        make(&secret);
        kit_set(push, ZMQ_RECONNECT_IVL, -1);
        if (is_proxy) {
            KIT_OK(zmq_setsockopt(push, ZMQ_SOCKS_PROXY, text + strlen("tcp://"), strlen(text + strlen("tcp://"))));
            KIT_OK(zmq_setsockopt(push, ZMQ_SOCKS_USERNAME, "anna", 4));
            tell(push, ZMQ_SOCKS_PASSWORD, &secret);
        } else {
            KIT_OK(zmq_setsockopt(push, ZMQ_PLAIN_USERNAME, "anna", 4));
            tell(push, ZMQ_PLAIN_PASSWORD, &secret);
        }
        KIT_OK(zmq_connect(push, is_proxy ? "tcp://127.0.0.1:1" : text));
        int fd = raw_accept(listener);
        if (is_proxy)
            hear_and_hang_up(push, fd, 3, "\5\2", 2);
        else
            hear_and_hang_up(push, fd, 64, greeting, sizeof greeting - 1);
        KIT_OK(zmq_ctx_term(context));
        close(listener);
        cr_assert(found(&secret) == 0, "%u times", found(&secret));
    }
}

/* A server that finds its HELLO too long reads no more of it than its head; the rest had come all the same. */
Test(residue, password_that_was_not_read)
{
    struct gate *gate = gate_new(GATE_PLAIN);
    struct secret secret;
    int64_t size_max = SECRET_SIZE;
    make(&secret);
    tell(gate->client.socket, ZMQ_PLAIN_PASSWORD, &secret);
    KIT_OK(zmq_setsockopt(gate->server.socket, ZMQ_MAXMSGSIZE, &size_max, sizeof size_max));
    gate_open(gate);
    GATE_UNTIL(gate, gate_told(&gate->server, ZMQ_EVENT_DISCONNECTED, NULL));
    gate_end(gate);
    cr_assert(found(&secret) == 0, "%u times", found(&secret));
}
