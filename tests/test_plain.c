/* SPDX-License-Identifier: MIT */
#include "wire/plain.h"

#include "shake.h"
#include "wire/null.h"

#define READY_REQ "\x0bSocket-Type\0\0\0\x03REQ"
#define READY_REP "\x0bSocket-Type\0\0\0\x03REP"
#define BYTES(literal) (const uint8_t *)(literal), sizeof(literal) - 1

static const struct zu_secrets admin = {.username = {(uint8_t *)"admin", 5},
                                        .password = {(uint8_t *)"s3cr3t-w0rd", 11}};

static const struct zu_handshake_config client_config = {
    .socket_type = ZU_SOCKET_REQ,
    .routing_id = (const uint8_t *)"",
    .mechanism = &zu_plain_client_mechanism,
    .message_size_max = -1,
    .secrets = &admin,
};
static const struct zu_handshake_config server_config = {
    .socket_type = ZU_SOCKET_REP,
    .mechanism = &zu_plain_server_mechanism,
    .message_size_max = -1,
    .waits = true,
};

static bool contains(const void *memory, size_t size, const char *text)
{
    return memmem(memory, size, text, strlen(text)) != NULL;
}

static void expect_admin(struct shake_side *side, const struct zu_credentials *credentials)
{
    cr_assert_str_eq(credentials->mechanism, "PLAIN");
    cr_assert_eq(credentials->count, 2u);
    cr_assert_eq(credentials->items[0].size, 5u);
    cr_assert_eq(memcmp(credentials->items[0].data, "admin", 5), 0);
    cr_assert_eq(credentials->items[1].size, 11u);
    cr_assert_eq(memcmp(credentials->items[1].data, "s3cr3t-w0rd", 11), 0);
    cr_assert_eq(side->hs.in.size, 0u);
}

Test(plain, two_machines_in_pieces_of_every_size)
{
    for (size_t piece = 1; piece < 100; piece++) {
        struct shake_side client, server;
        shake_init(&client, &client_config);
        shake_init(&server, &server_config);
        server.look = expect_admin;
        shake_run(&client, &server, piece, 101 - piece);
        cr_assert_eq(client.rc, 1);
        cr_assert_eq(server.rc, 1);
        cr_assert_eq(server.asked, 1u);
        cr_assert_eq(client.asked, 0u);
        cr_assert_eq(zu_handshake_peer_type(&server.hs), (unsigned)ZU_SOCKET_REQ);
        cr_assert_eq(zu_handshake_peer_type(&client.hs), (unsigned)ZU_SOCKET_REP);
        shake_fini(&client, &server);
    }
}

/* What each status comes to, on both ends. */
Test(plain, verdicts)
{
    static const struct {
        unsigned status; /* the verdict's */
        int server_rc;   /* 1: in */
        unsigned told;   /* the client's auth_status */
    } rows[] = {{200, 1, 0},       {300, -EACCES, 0},   {400, -EPROTO, 400}, {500, -EPROTO, 500},
                {0, -EPROTO, 400}, {201, -EPROTO, 400}, {999, -EPROTO, 400}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct shake_side client, server;
        shake_init(&client, &client_config);
        shake_init(&server, &server_config);
        server.verdict.status = rows[i].status;
        shake_run(&client, &server, 1000, 1000);
        cr_assert_eq(server.rc, rows[i].server_rc, "%u", rows[i].status);
        cr_assert_eq(server.hs.failure.retry, rows[i].status == 300);
        cr_assert_eq(server.hs.failure.auth_status, rows[i].status == 300 ? 300 : rows[i].told);
        cr_assert_eq(client.hs.failure.auth_status, rows[i].told);
        cr_assert_eq(client.rc, rows[i].told ? -EPROTO : rows[i].status == 200 ? 1 : 0);
        shake_fini(&client, &server);
    }
}

Test(plain, nobody_to_ask)
{
    static const int errors[] = {-EFAULT, -EPROTO, -ENOMEM};
    for (size_t i = 0; i < 3; i++) {
        struct shake_side client, server;
        shake_init(&client, &client_config);
        shake_init(&server, &server_config);
        server.verdict = (struct zu_verdict){.error = errors[i], .protocol_error = 0x20000001, .status = 200};
        shake_run(&client, &server, 1000, 1000);
        cr_assert_eq(server.rc, errors[i]);
        cr_assert_eq(server.hs.failure.error, errors[i]);
        cr_assert_eq(server.hs.failure.protocol_error, 0x20000001u);
        cr_assert_eq(server.hs.failure.retry, errors[i] != -EPROTO);
        cr_assert_eq(client.rc, 0, "nothing is said");
        shake_fini(&client, &server);
    }
}

/* A server of passwords that nobody checks lets nobody in. */
Test(plain, waits_even_if_not_told_to)
{
    struct zu_handshake_config config = server_config;
    struct shake_side client, server;
    config.waits = false;
    shake_init(&client, &client_config);
    shake_init(&server, &config);
    server.verdict.status = 400;
    shake_run(&client, &server, 1000, 1000);
    cr_assert_eq(server.asked, 1u);
    cr_assert_eq(server.rc, -EPROTO);
    shake_fini(&client, &server);
}

/* While it waits nothing more is read, however much there is. */
Test(plain, input_stays_while_it_waits)
{
    static const uint8_t more[] = "\x04\x20\x08INITIATE";
    struct shake_side client, server;
    struct zu_credentials credentials;
    shake_init(&client, &client_config);
    shake_init(&server, &server_config);
    size_t used;
    bool moved = true;
    while (moved && !zu_handshake_waits(&server.hs, &credentials)) {
        const uint8_t *out;
        size_t size = zu_handshake_output(&client.hs, &out);
        cr_assert_eq(zu_handshake_feed(&server.hs, out, size, &used), 0);
        zu_handshake_sent(&client.hs, used);
        moved = used != 0 || shake_move(&server, &client, 1000);
    }
    cr_assert(zu_handshake_waits(&server.hs, &credentials));
    cr_assert_eq(zu_handshake_feed(&server.hs, more, sizeof more - 1, &used), 0);
    cr_assert_eq(used, 0u);
    zu_handshake_judge(&server.hs, &(struct zu_verdict){.status = 200});
    cr_assert_not(zu_handshake_waits(&server.hs, &credentials));
    cr_assert_eq(zu_handshake_feed(&server.hs, more, sizeof more - 1, &used), 0);
    cr_assert_eq(used, sizeof more - 1);
    shake_fini(&client, &server);
}

/* ZAP's word is first, and a peer cannot say who it is. */
Test(plain, user_id_is_not_the_peers_to_say)
{
    struct zu_handshake_config config = client_config;
    config.properties = (const uint8_t *)"\x07User-Id\0\0\0\x04root\x03X-a\0\0\0\x01"
                                         "1\x07User-Id\0\0\0\x04Root\x03X-b\0\0\0\x01"
                                         "1\x0cPeer-Address\0\0\0\x07"
                                         "6.6.6.6";
    config.properties_size = 16 + 9 + 16 + 9 + 24;
    for (int known = 0; known < 2; known++) {
        struct shake_side client, server;
        shake_init(&client, &config);
        shake_init(&server, &server_config);
        if (known) {
            server.verdict.properties = (const uint8_t *)"\x07User-Id\0\0\0\x03"
                                                         "bob\x03X-b\0\0\0\x01"
                                                         "2";
            server.verdict.properties_size = 15 + 9;
        }
        shake_run(&client, &server, 1000, 1000);
        cr_assert_eq(server.rc, 1);
        struct zu_metadata metadata;
        zu_handshake_metadata_take(&server.hs, &metadata);
        const char *user = (const char *)zu_metadata_get(&metadata, "User-Id", NULL);
        if (known)
            cr_assert_str_eq(user, "bob");
        else
            cr_assert_null(user);
        cr_assert_null(zu_metadata_get(&metadata, "Peer-Address", NULL), "the kernel knows, or nobody");
        cr_assert_str_eq((const char *)zu_metadata_get(&metadata, "X-a", NULL), "1");
        cr_assert_str_eq((const char *)zu_metadata_get(&metadata, "X-b", NULL), known ? "2" : "1");
        zu_metadata_fini(&metadata);
        shake_fini(&client, &server);
    }
}

Test(plain, a_verdict_with_broken_properties_lets_nobody_in)
{
    struct shake_side client, server;
    shake_init(&client, &client_config);
    shake_init(&server, &server_config);
    server.verdict.properties = (const uint8_t *)"\x07User";
    server.verdict.properties_size = 5;
    shake_run(&client, &server, 1000, 1000);
    cr_assert_eq(server.rc, -EPROTO);
    shake_fini(&client, &server);
}

Test(plain, mirrored_roles)
{
    shake_mirrored(&client_config, &server_config);
}

Test(plain, passwords_are_overwritten)
{
    static struct shake_side client, server;
    shake_init(&client, &client_config);
    shake_init(&server, &server_config);
    while (!server.asked) {
        shake_move(&server, &client, 100);
        shake_move(&client, &server, 7);
    }
    cr_assert_eq(server.rc, 0);
    cr_assert_not(contains(&client.hs, sizeof client.hs, "0rd"));
    cr_assert_not(contains(&server.hs, sizeof server.hs, "0rd"));
    cr_assert_not(contains(server.hs.mechanism.state, 512, "s3cr"));
    cr_assert_not(contains(server.hs.mechanism.state, 512, "admin"));
    shake_fini(&client, &server);

    /* One that is given up half-way. */
    shake_init(&client, &client_config);
    shake_init(&server, &server_config);
    while (server.hs.in.size < 20)
        shake_move(&client, &server, 1), shake_move(&server, &client, 100);
    cr_assert(contains(&client.hs, sizeof client.hs, "s3cr3t"), "nothing to see");
    shake_fini(&client, &server);
    cr_assert_not(contains(&client, sizeof client.hs, "s3cr"));
    cr_assert_not(contains(&server, sizeof server.hs, "s3cr"));
}

Test(plain, secrets_wipe)
{
    struct zu_secrets secrets = {.public_key = {1}, .secret_key = {2}};
    zu_secrets_wipe(&secrets);
    cr_assert_eq(secrets.secret_key[0], 0);
    cr_assert_eq(secrets.public_key[0], 0);
    zu_secrets_wipe(&secrets);
}

struct said {
    const struct zu_mechanism_ops *ops; /* who hears */
    unsigned stage;                     /* where */
    const char *body;                   /* what */
    size_t size;                        /* of it */
    int rc;                             /* the answer */
    unsigned protocol_error;            /* its detail */
    unsigned auth_status;               /* the same of an ERROR */
};

#define SERVER(stage, literal, ...)                                                                                    \
    {                                                                                                                  \
        &zu_plain_server_mechanism, stage, literal, sizeof(literal) - 1, __VA_ARGS__                                   \
    }
#define CLIENT(stage, literal, ...)                                                                                    \
    {                                                                                                                  \
        &zu_plain_client_mechanism, stage, literal, sizeof(literal) - 1, __VA_ARGS__                                   \
    }
#define UNEXPECTED -EPROTO, ZU_PROTOCOL_ERROR_UNEXPECTED_COMMAND, 0
#define BAD(name) -EPROTO, ZU_PROTOCOL_ERROR_##name, 0
#define GOOD 0, 0, 0

static const struct said rows[] = {
    SERVER(0, "\x05HELLO\x02me\x02pw", GOOD),
    SERVER(0, "\x05HELLO\0\0", GOOD),
    SERVER(0, "\x05HELLO", BAD(MALFORMED_HELLO)),
    SERVER(0, "\x05HELLO\0", BAD(MALFORMED_HELLO)),
    SERVER(0, "\x05HELLO\x02me", BAD(MALFORMED_HELLO)),
    SERVER(0, "\x05HELLO\x02me\x03pw", BAD(MALFORMED_HELLO)),
    SERVER(0, "\x05HELLO\x02me\x01pw", BAD(MALFORMED_HELLO)),
    SERVER(0, "\x05HELLO\xffme\x02pw", BAD(MALFORMED_HELLO)),
    SERVER(0, "\x05HELLO\x02me\xffpw", BAD(MALFORMED_HELLO)),
    SERVER(0, "\x08INITIATE" READY_REQ, UNEXPECTED),
    SERVER(0, "\x07WELCOME", UNEXPECTED),
    SERVER(0, "\x05READY" READY_REQ, UNEXPECTED),
    SERVER(0,
           "\x05"
           "ERROR\x03"
           "400",
           UNEXPECTED),
    SERVER(0,
           "\x03"
           "FOO",
           UNEXPECTED),
    SERVER(0, "", BAD(MALFORMED_UNSPECIFIED)),
    SERVER(0, "\x06HELLO", BAD(MALFORMED_UNSPECIFIED)),
    SERVER(2, "\x08INITIATE" READY_REQ, GOOD),
    SERVER(2, "\x08INITIATE", GOOD),
    SERVER(2, "\x08INITIATE\x0bSocket-Type\0\0\0\x03PUB", BAD(NONE)),
    SERVER(2, "\x08INITIATE" READY_REQ "\x01", BAD(NONE)),
    SERVER(2, "\x05HELLO\x02me\x02pw", UNEXPECTED),
    SERVER(2, "\x05READY" READY_REQ, UNEXPECTED),
    CLIENT(1, "\x07WELCOME", GOOD),
    CLIENT(1, "\x07WELCOME\0", BAD(MALFORMED_WELCOME)),
    CLIENT(1, "\x05HELLO\x02me\x02pw", UNEXPECTED),
    CLIENT(1, "\x05READY" READY_REP, UNEXPECTED),
    CLIENT(1, "", UNEXPECTED),
    CLIENT(1, "\x09WELCOME", UNEXPECTED),
    CLIENT(1,
           "\x05"
           "ERROR\x03"
           "400",
           -EPROTO, 0, 400),
    CLIENT(1,
           "\x05"
           "ERROR\x03"
           "300",
           -EPROTO, 0, 300),
    CLIENT(1,
           "\x05"
           "ERROR\x05"
           "oh no",
           -EPROTO, 0, 0),
    CLIENT(1,
           "\x05"
           "ERROR\x09"
           "oh no",
           BAD(MALFORMED_ERROR)),
    CLIENT(1,
           "\x05"
           "ERROR",
           BAD(MALFORMED_ERROR)),
    CLIENT(1,
           "^RROR\x03"
           "400",
           -EPROTO, 0, 400),
    CLIENT(1, "^RROR", BAD(MALFORMED_ERROR)),
    CLIENT(3, "\x05READY" READY_REP, GOOD),
    CLIENT(3, "\x05READY\x0bSocket-Type\0\0\0\x03PUB", BAD(INVALID_METADATA)),
    CLIENT(3, "\x05READY\x01", BAD(INVALID_METADATA)),
    CLIENT(3, "\x07WELCOME", UNEXPECTED),
    CLIENT(3,
           "\x05"
           "ERROR\x03"
           "500",
           -EPROTO, 0, 500),
};

Test(plain, what_the_peer_may_say)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct said *row = &rows[i];
        struct zu_handshake_config config = client_config;
        struct zu_mechanism mechanism;
        config.mechanism = row->ops;
        config.socket_type = row->ops == &zu_plain_server_mechanism ? ZU_SOCKET_REP : ZU_SOCKET_REQ;
        cr_assert_eq(zu_mechanism_init(&mechanism, &config), 0);
        mechanism.stage = row->stage;
        cr_assert_eq(row->ops->consume(&mechanism, (const uint8_t *)row->body, row->size), row->rc, "row %zu", i);
        cr_assert_eq(mechanism.failure.protocol_error, row->protocol_error, "row %zu", i);
        cr_assert_eq(mechanism.failure.auth_status, row->auth_status, "row %zu", i);
        if (row->rc)
            cr_assert_eq(row->ops->produce_max(&mechanism), 0u, "speaks after failing");
        zu_mechanism_fini(&mechanism);
    }
}

/* The octets of RFC 24. */
Test(plain, bodies)
{
    struct zu_mechanism mechanism;
    uint8_t out[256];
    struct zu_handshake_config config = client_config;
    cr_assert_eq(zu_mechanism_init(&mechanism, &config), 0);
    cr_assert_eq(mechanism.ops->produce(&mechanism, out), 24);
    cr_assert_eq(memcmp(out,
                        "\x05HELLO\x05"
                        "admin\x0bs3cr3t-w0rd",
                        24),
                 0);
    cr_assert_eq(mechanism.ops->produce_max(&mechanism), 0u);
    cr_assert_eq(mechanism.ops->consume(&mechanism, BYTES("\x07WELCOME")), 0);
    cr_assert_eq(mechanism.ops->produce(&mechanism, out), 9 + 19 + 13);
    cr_assert_eq(memcmp(out, "\x08INITIATE" READY_REQ "\x08Identity\0\0\0\0", 9 + 19 + 13), 0);
    zu_mechanism_fini(&mechanism);
    config = server_config;
    cr_assert_eq(zu_mechanism_init(&mechanism, &config), 0);
    cr_assert_eq(mechanism.ops->consume(&mechanism, BYTES("\x05HELLO\x02me\x02pw")), 0);
    cr_assert_eq(mechanism.ops->judged(&mechanism, 500), 0);
    cr_assert_eq(mechanism.ops->produce(&mechanism, out), 10);
    cr_assert_eq(memcmp(out,
                        "\x05"
                        "ERROR\x03"
                        "500",
                        10),
                 0);
    cr_assert_eq(mechanism.ops->produce_max(&mechanism), 0u, "once");
    zu_mechanism_fini(&mechanism);
}

/* NULL asks before anything but the greeting is said, so that two that ask do not wait for each other. */
Test(plain, null_waits_on_both_sides)
{
    static const unsigned statuses[] = {200, 300, 400, 500};
    for (size_t i = 0; i < 4; i++) {
        struct zu_handshake_config config = client_config;
        struct shake_side a, b;
        config.mechanism = &zu_null_mechanism;
        config.waits = true;
        shake_init(&a, &config);
        config.socket_type = ZU_SOCKET_REP;
        shake_init(&b, &config);
        b.verdict.status = statuses[i];
        b.verdict.properties = (const uint8_t *)"\x07User-Id\0\0\0\x02me";
        b.verdict.properties_size = 14;
        shake_run(&a, &b, 10, 10);
        cr_assert_eq(a.asked, 1u);
        cr_assert_eq(b.asked, 1u);
        cr_assert_eq(b.rc, statuses[i] == 200 ? 1 : statuses[i] == 300 ? -EACCES : -EPROTO);
        cr_assert_eq(a.rc, statuses[i] == 200 ? 1 : statuses[i] == 300 ? 0 : -EPROTO);
        cr_assert_eq(a.hs.failure.auth_status, statuses[i] >= 400 ? statuses[i] : 0);
        if (statuses[i] == 200) {
            cr_assert_str_eq((const char *)zu_metadata_get(&b.hs.mechanism.metadata, "User-Id", NULL), "me");
            cr_assert_str_eq((const char *)zu_metadata_get(&b.hs.mechanism.metadata, "Socket-Type", NULL), "REQ");
        }
        shake_fini(&a, &b);
    }
}
