/* SPDX-License-Identifier: MIT */
#include "wire/curve.h"

#include <pthread.h>
#include <sodium.h>

#include "curve_kit.h"
#include "shake.h"
#include "mem/alloc.h"
#include "wire/curve_box.h"
#include "wire/null.h"
#include "wire/plain.h"

static struct zu_secrets server_secrets, client_secrets;

static void keys_make(void)
{
    cr_assert_geq(sodium_init(), 0);
    crypto_box_keypair(server_secrets.public_key, server_secrets.secret_key);
    crypto_box_keypair(client_secrets.public_key, client_secrets.secret_key);
    memcpy(client_secrets.server_key, server_secrets.public_key, sizeof client_secrets.server_key);
}

TestSuite(curve_handshake, .init = keys_make);

static const struct zu_handshake_config client_config = {
    .socket_type = ZU_SOCKET_DEALER,
    .routing_id = (const uint8_t *)"alice",
    .routing_id_size = 5,
    .mechanism = &zu_curve_client_mechanism,
    .message_size_max = -1,
    .secrets = &client_secrets,
};
static const struct zu_handshake_config server_config = {
    .socket_type = ZU_SOCKET_ROUTER,
    .mechanism = &zu_curve_server_mechanism,
    .message_size_max = -1,
    .secrets = &server_secrets,
};

Test(curve_handshake, two_machines_in_pieces_of_every_size)
{
    for (size_t piece = 1; piece < 300; piece++) {
        struct shake_side client, server;
        shake_init(&client, &client_config);
        shake_init(&server, &server_config);
        shake_run(&client, &server, piece, 301 - piece);
        cr_assert_eq(client.rc, 1);
        cr_assert_eq(server.rc, 1);
        size_t size;
        cr_assert_eq(memcmp(zu_handshake_identity(&server.hs, &size), "alice", 5), 0);
        cr_assert_eq(zu_handshake_peer_type(&client.hs), (unsigned)ZU_SOCKET_ROUTER);
        struct zu_curve_session c, s, again;
        cr_assert(zu_curve_session_take(&client.hs, &c));
        cr_assert(zu_curve_session_take(&server.hs, &s));
        cr_assert_not(zu_curve_session_take(&server.hs, &again));
        cr_assert_eq(memcmp(c.key, s.key, sizeof c.key), 0);
        cr_assert(s.is_server && !c.is_server);
        cr_assert_eq(c.out_nonce, 3u);
        cr_assert_eq(s.in_nonce, 2u);
        cr_assert_eq(s.out_nonce, 2u);
        cr_assert_eq(c.in_nonce, 1u);
        shake_fini(&client, &server);
    }
}

static void expect_client(struct shake_side *side, const struct zu_credentials *credentials)
{
    (void)side;
    cr_assert_str_eq(credentials->mechanism, "CURVE");
    cr_assert_eq(credentials->count, 1u);
    cr_assert_eq(credentials->items[0].size, 32u);
    cr_assert_eq(memcmp(credentials->items[0].data, client_secrets.public_key, 32), 0);
}

Test(curve_handshake, verdicts)
{
    static const unsigned statuses[] = {200, 300, 400, 500, 7};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        struct zu_handshake_config config = server_config;
        struct shake_side client, server;
        struct zu_curve_session session;
        unsigned told = statuses[i] == 7 ? 400 : statuses[i];
        config.waits = true;
        shake_init(&client, &client_config);
        shake_init(&server, &config);
        server.verdict.status = statuses[i];
        server.verdict.properties = (const uint8_t *)"\x07User-Id\0\0\0\x02me";
        server.verdict.properties_size = 14;
        server.look = expect_client;
        shake_run(&client, &server, 50, 50);
        cr_assert_eq(server.asked, 1u);
        cr_assert_eq(server.rc, told == 200 ? 1 : told == 300 ? -EACCES : -EPROTO);
        cr_assert_eq(client.rc, told == 200 ? 1 : told == 300 ? 0 : -EPROTO);
        cr_assert_eq(client.hs.failure.auth_status, told >= 400 ? told : 0);
        cr_assert_eq(zu_curve_session_take(&server.hs, &session), told == 200);
        if (told == 200)
            cr_assert_str_eq((const char *)zu_metadata_get(&server.hs.mechanism.metadata, "User-Id", NULL), "me");
        shake_fini(&client, &server);
    }
}

/* Wrong keys on either side, and keys that are none. */
Test(curve_handshake, wrong_keys)
{
    struct zu_secrets secrets[5];
    for (int i = 0; i < 5; i++)
        secrets[i] = client_secrets;
    secrets[0].server_key[5] ^= 1;
    memset(secrets[1].server_key, 0, 32);
    secrets[2].public_key[5] ^= 1; /* not of that secret: the vouch does not open */
    memset(secrets[3].public_key, 0, 32);
    memset(&secrets[4], 0, sizeof secrets[4]);
    for (int i = 0; i < 5; i++) {
        struct zu_handshake_config config = client_config;
        struct shake_side client, server;
        config.secrets = i == 4 ? NULL : &secrets[i];
        shake_init(&client, &config);
        shake_init(&server, &server_config);
        shake_run(&client, &server, 1000, 1000);
        struct shake_side *finds = i == 1 || i == 4 ? &client : &server;
        cr_assert_eq(finds->rc, -EPROTO, "%d", i);
        cr_assert_eq(finds->hs.failure.protocol_error, (unsigned)ZU_PROTOCOL_ERROR_CRYPTOGRAPHIC, "%d", i);
        cr_assert_not(finds->hs.failure.retry);
        cr_assert_neq(server.rc, 1);
        shake_fini(&client, &server);
    }
}

Test(curve_handshake, mirrored_roles)
{
    shake_mirrored(&client_config, &server_config);
}

/* A whole handshake of two mechanisms; the body of command `which` goes through `change` on its way. */
struct shaken {
    struct zu_mechanism client, server;
    uint8_t bodies[4][1024];
    size_t sizes[4];
    int rc; /* of the one that heard that body */
};

static int body_pass(struct shaken *shaken, int which, size_t cut, size_t flip, unsigned mask)
{
    struct zu_mechanism *from = which & 1 ? &shaken->server : &shaken->client;
    struct zu_mechanism *to = which & 1 ? &shaken->client : &shaken->server;
    uint8_t *body = shaken->bodies[which];
    cr_assert_leq(from->ops->produce_max(from), sizeof shaken->bodies[which]);
    ssize_t size = from->ops->produce(from, body);
    cr_assert_gt(size, 0);
    shaken->sizes[which] = (size_t)size;
    if (flip < (size_t)size)
        body[flip] ^= (uint8_t)mask;
    return to->ops->consume(to, body, (size_t)size - (cut < (size_t)size ? cut : (size_t)size));
}

static void shaken_init(struct shaken *shaken)
{
    cr_assert_eq(zu_mechanism_init(&shaken->client, &client_config), 0);
    cr_assert_eq(zu_mechanism_init(&shaken->server, &server_config), 0);
}

static void shaken_fini(struct shaken *shaken)
{
    zu_mechanism_fini(&shaken->client);
    zu_mechanism_fini(&shaken->server);
}

static const size_t sizes[4] = {HELLO_SIZE, WELCOME_SIZE, INITIATE_SIZE + 22 + 18, READY_SIZE + 22 + 13};

/* Each octet of each command matters, except the padding of HELLO, which nobody reads. */
Test(curve_handshake, every_octet_counts, .timeout = 60)
{
    static struct shaken shaken;
    for (int which = 0; which < 4; which++) {
        for (size_t flip = 0; flip < sizes[which]; flip++) {
            if (which == 0 && flip >= 8 && flip < 80)
                continue;
            shaken_init(&shaken);
            for (int i = 0; i < which; i++)
                cr_assert_eq(body_pass(&shaken, i, 0, SIZE_MAX, 0), 0);
            cr_assert_eq(body_pass(&shaken, which, 0, flip, 1u << (flip % 7)), -EPROTO, "command %d, octet %zu", which,
                         flip);
            cr_assert_eq(shaken.sizes[which], sizes[which]);
            struct zu_mechanism *to = which & 1 ? &shaken.client : &shaken.server;
            cr_assert_eq(to->status, ZU_MECHANISM_FAILED);
            cr_assert_eq(to->ops->produce_max(to), 0u);
            cr_assert_neq(to->failure.protocol_error, 0u);
            shaken_fini(&shaken);
        }
    }
}

Test(curve_handshake, every_size_counts, .timeout = 60)
{
    static struct shaken shaken;
    static const unsigned details[] = {ZU_PROTOCOL_ERROR_MALFORMED_HELLO, ZU_PROTOCOL_ERROR_MALFORMED_WELCOME,
                                       ZU_PROTOCOL_ERROR_MALFORMED_INITIATE, ZU_PROTOCOL_ERROR_MALFORMED_READY};
    static const size_t least[] = {HELLO_SIZE, WELCOME_SIZE, INITIATE_SIZE, READY_SIZE};
    for (int which = 0; which < 4; which++) {
        for (size_t cut = 1; cut <= sizes[which]; cut++) {
            shaken_init(&shaken);
            for (int i = 0; i < which; i++)
                cr_assert_eq(body_pass(&shaken, i, 0, SIZE_MAX, 0), 0);
            cr_assert_eq(body_pass(&shaken, which, cut, SIZE_MAX, 0), -EPROTO, "command %d less %zu", which, cut);
            struct zu_mechanism *to = which & 1 ? &shaken.client : &shaken.server;
            size_t left = sizes[which] - cut;
            if (left > 9)
                cr_assert_eq(to->failure.protocol_error,
                             left < least[which] ? details[which] : (unsigned)ZU_PROTOCOL_ERROR_CRYPTOGRAPHIC);
            shaken_fini(&shaken);
        }
    }
}

/* At every stage, everything but what is due: all commands of another handshake, and strangers. */
Test(curve_handshake, every_stage_hears_one_command)
{
    static struct shaken other, shaken;
    static const char *const strangers[] = {"\4PONG", "\7MESSAGE00000000", "\3FOO", "\x09SUBSCRIBEabc"};
    shaken_init(&other);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(body_pass(&other, i, 0, SIZE_MAX, 0), 0);
    for (int stage = 0; stage < 4; stage++) {
        for (int said = 0; said < 8; said++) {
            shaken_init(&shaken);
            for (int i = 0; i < stage; i++)
                cr_assert_eq(body_pass(&shaken, i, 0, SIZE_MAX, 0), 0);
            struct zu_mechanism *to = stage & 1 ? &shaken.client : &shaken.server;
            uint8_t out[1024];
            if (to->ops->produce_max(to)) /* of a stage that it begins itself */
                to->ops->produce(to, out);
            const uint8_t *body = said < 4 ? other.bodies[said] : (const uint8_t *)strangers[said - 4];
            size_t size = said < 4 ? other.sizes[said] : strlen(strangers[said - 4]) + 1;
            int rc = to->ops->consume(to, body, size);
            cr_assert_eq(rc, said == 0 && stage == 0 ? 0 : -EPROTO, "stage %d hears %d", stage, said);
            if (said != stage)
                cr_assert_eq(to->failure.protocol_error, (unsigned)ZU_PROTOCOL_ERROR_UNEXPECTED_COMMAND);
            else if (said != 0)
                cr_assert_eq(to->failure.protocol_error, (unsigned)ZU_PROTOCOL_ERROR_CRYPTOGRAPHIC);
            shaken_fini(&shaken);
        }
    }
    shaken_fini(&other);
}

Test(curve_handshake, errors_are_for_clients)
{
    static struct shaken shaken;
    static const uint8_t error[] = "\x05"
                                   "ERROR\x03"
                                   "400";
    for (int stage = 0; stage < 4; stage++) {
        shaken_init(&shaken);
        for (int i = 0; i < stage; i++)
            cr_assert_eq(body_pass(&shaken, i, 0, SIZE_MAX, 0), 0);
        uint8_t out[1024];
        struct zu_mechanism *to = stage & 1 ? &shaken.client : &shaken.server;
        if (to->ops->produce_max(to))
            to->ops->produce(to, out);
        cr_assert_eq(to->ops->consume(to, error, sizeof error - 1), -EPROTO);
        cr_assert_eq(to->failure.auth_status, stage & 1 ? 400u : 0u);
        cr_assert_eq(to->failure.protocol_error, stage & 1 ? 0u : ZU_PROTOCOL_ERROR_UNEXPECTED_COMMAND);
        shaken_fini(&shaken);
    }
}

/* A server that this file's own client, of RFC 26 alone, brings to its INITIATE. */
struct own_client {
    struct zu_mechanism server;
    struct curve_pair lasting, transient;
    uint8_t shown[128]; /* S' and the cookie */
};

static void own_init(struct own_client *own, uint64_t count)
{
    static const uint8_t zeros[64];
    uint8_t hello[HELLO_SIZE], welcome[WELCOME_SIZE];
    own->lasting = curve_pair();
    own->transient = curve_pair();
    cr_assert_eq(zu_mechanism_init(&own->server, &server_config), 0);
    curve_hello(hello, &own->transient, server_secrets.public_key, count, zeros);
    cr_assert_eq(own->server.ops->consume(&own->server, hello, sizeof hello), 0);
    cr_assert_eq(own->server.ops->produce(&own->server, welcome), WELCOME_SIZE);
    cr_assert_eq(curve_unbox(own->shown, welcome + 24, 144, "WELCOME-", welcome + 8, server_secrets.public_key,
                             own->transient.secret_key),
                 0);
}

static int own_initiate(struct own_client *own, uint64_t count, const uint8_t *vouched_client,
                        const uint8_t *vouched_server, const char *properties, size_t size)
{
    static uint8_t plain[VOUCHED_SIZE + 70000], initiate[INITIATE_SIZE + 70000];
    curve_vouched(plain, &own->lasting, vouched_client, vouched_server, own->shown);
    if (properties)
        memcpy(plain + VOUCHED_SIZE, properties, size);
    curve_initiate(initiate, own->shown + 32, count, plain, VOUCHED_SIZE + size, &own->transient, own->shown);
    return own->server.ops->consume(&own->server, initiate, INITIATE_SIZE + size);
}

/* The vouch is for the transient key of this very handshake, and for this server: a server that a client also talks to cannot
 * pass its vouch on. */
Test(curve_handshake, vouches_of_others)
{
    struct own_client own;
    struct curve_pair other = curve_pair();
    for (int i = 0; i < 3; i++) {
        own_init(&own, 1);
        int rc = own_initiate(&own, 2, i == 1 ? other.public_key : own.transient.public_key,
                              i == 2 ? other.public_key : server_secrets.public_key, NULL, 0);
        cr_assert_eq(rc, i == 0 ? 0 : -EPROTO);
        cr_assert_eq(own.server.failure.protocol_error, i == 0 ? 0u : ZU_PROTOCOL_ERROR_KEY_EXCHANGE);
        zu_mechanism_fini(&own.server);
    }
}

/* A cookie serves the connection that it was made for. */
Test(curve_handshake, cookies_of_others)
{
    struct own_client own, other;
    own_init(&own, 1);
    own_init(&other, 1);
    memcpy(own.shown + 32, other.shown + 32, 96);
    cr_assert_eq(own_initiate(&own, 2, own.transient.public_key, server_secrets.public_key, NULL, 0), -EPROTO);
    cr_assert_eq(own.server.failure.protocol_error, (unsigned)ZU_PROTOCOL_ERROR_CRYPTOGRAPHIC);
    zu_mechanism_fini(&own.server);
    zu_mechanism_fini(&other.server);
}

/* A signature of anything but zeros. */
Test(curve_handshake, signatures)
{
    uint8_t hello[HELLO_SIZE], text[64] = {0};
    struct curve_pair transient = curve_pair();
    for (int i = 0; i < 2; i++) {
        struct zu_mechanism server;
        text[63] = (uint8_t)i;
        curve_hello(hello, &transient, server_secrets.public_key, 1, text);
        cr_assert_eq(zu_mechanism_init(&server, &server_config), 0);
        cr_assert_eq(server.ops->consume(&server, hello, sizeof hello), i ? -EPROTO : 0);
        zu_mechanism_fini(&server);
    }
}

/* A nonce that does not grow, from the first command on: what was said once cannot be said again. */
Test(curve_handshake, cve_2014_7203_counts_that_do_not_grow)
{
    static const struct {
        uint64_t hello, initiate; /* the counts */
        int rc;                   /* what the INITIATE gets */
    } rows[] = {{1, 2, 0},
                {1, 1, -EPROTO},
                {2, 1, -EPROTO},
                {1, 0, -EPROTO},
                {1, UINT64_MAX, 0},
                {UINT64_MAX, 1, -EPROTO},
                {UINT64_MAX, UINT64_MAX, -EPROTO},
                {1, 1ull << 32, 0},
                {1ull << 32, 2, -EPROTO}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct own_client own;
        own_init(&own, rows[i].hello);
        int rc = own_initiate(&own, rows[i].initiate, own.transient.public_key, server_secrets.public_key, NULL, 0);
        cr_assert_eq(rc, rows[i].rc, "row %zu", i);
        cr_assert_eq(own.server.failure.protocol_error, rc ? ZU_PROTOCOL_ERROR_INVALID_SEQUENCE : 0u);
        if (rc == 0) /* traffic goes on from there */
            cr_assert_eq(((struct zu_curve_state *)own.server.state)->session.in_nonce, rows[i].initiate);
        zu_mechanism_fini(&own.server);
    }
}

/* Metadata that is larger than what it is copied into: here it is refused before any copy. */
Test(curve_handshake, cve_2019_13132_metadata_without_end)
{
    static char properties[69000];
    static const size_t value_sizes[] = {100, 500, 5000, 60000, 65000, 66000, 68000};
    for (size_t i = 0; i < sizeof value_sizes / sizeof *value_sizes; i++) {
        struct own_client own;
        size_t size = zu_property_encode((uint8_t *)properties, "X-long", properties + 100, 0) + value_sizes[i];
        for (int shift = 0; shift < 4; shift++)
            properties[7 + shift] = (char)(value_sizes[i] >> (24 - 8 * shift));
        own_init(&own, 1);
        int rc = own_initiate(&own, 2, own.transient.public_key, server_secrets.public_key, properties, size);
        cr_assert_eq(rc, size <= ZU_METADATA_SIZE_MAX ? 0 : -EMSGSIZE, "%zu", size);
        cr_assert_eq(own.server.metadata.size, rc ? 0 : size + 1);
        zu_mechanism_fini(&own.server);
        /* And one that says that it is, within a box that is not. */
        own_init(&own, 1);
        rc = own_initiate(&own, 2, own.transient.public_key, server_secrets.public_key, properties, 50);
        cr_assert_eq(rc, -EPROTO);
        zu_mechanism_fini(&own.server);
    }
    /* A frame of that size does not even get so far: no buffer grows for what its head declares. */
    struct shake_side server;
    static const uint8_t head[] = "\xff\0\0\0\0\0\0\0\x01\x7f\x03\x01"
                                  "CURVE";
    uint8_t bytes[64 + 9] = {0};
    size_t used;
    memcpy(bytes, head, sizeof head);
    memcpy(bytes + 64, "\x06\0\0\0\0\0\x01\0\x01", 9);
    shake_init(&server, &server_config);
    cr_assert_eq(zu_handshake_feed(&server.hs, bytes, sizeof bytes, &used), -EMSGSIZE);
    cr_assert_eq(server.hs.in.capacity, 0u);
    zu_handshake_fini(&server.hs);
}

/* The octets with which a peer of each kind begins, and our answer when CURVE or PLAIN is what we want. */
static void expect_refused(const struct zu_mechanism_ops *ops, bool waits, const char *name, size_t revision, int rc)
{
    struct zu_handshake_config config = server_config;
    struct zu_handshake hs;
    uint8_t bytes[128] = "\xff\0\0\0\0\0\0\0\x01\x7f";
    size_t used, size = 64;
    config.mechanism = ops;
    config.waits = waits;
    bytes[10] = (uint8_t)revision;
    bytes[11] = 1;
    if (revision == 0 || revision == 1)
        bytes[11] = ZU_SOCKET_DEALER;
    else
        memcpy(bytes + 12, name, strlen(name));
    if (revision == SIZE_MAX) { /* before there were greetings: an empty identity */
        memcpy(bytes, "\x01\0", 2);
        size = 2;
    }
    zu_handshake_init(&hs, &config);
    cr_assert_eq(zu_handshake_feed(&hs, bytes, size, &used), rc, "%s, revision %zd", name, revision);
    cr_assert_eq(hs.failure.protocol_error, rc == -EPROTO ? ZU_PROTOCOL_ERROR_MECHANISM_MISMATCH : 0u);
    cr_assert_not(hs.failure.retry);
    zu_handshake_fini(&hs);
}

static const struct zu_mechanism_ops *const secure[] = {&zu_curve_client_mechanism, &zu_curve_server_mechanism,
                                                        &zu_plain_client_mechanism, &zu_plain_server_mechanism};

/* A peer that asks for a weaker mechanism does not get it. */
Test(curve_handshake, cve_2014_7202_mechanisms_are_not_negotiated)
{
    static const char *const names[] = {"NULL", "PLAIN",  "CURVE", "GSSAPI",     "",
                                        "CURV", "CURVEX", "curve", "PLAIN CURVE"};
    for (size_t i = 0; i < sizeof secure / sizeof *secure; i++)
        for (size_t n = 0; n < sizeof names / sizeof *names; n++)
            if (strcmp(names[n], secure[i]->name) != 0)
                expect_refused(secure[i], false, names[n], 3, -EPROTO);
    expect_refused(&zu_null_mechanism, true, "CURVE", 3, -EPROTO);
}

/* Nor one that says that it is too old to know of any. */
Test(curve_handshake, cve_2014_9721_old_versions_bypass_nothing)
{
    static const size_t revisions[] = {0, 1, SIZE_MAX};
    for (size_t r = 0; r < 3; r++) {
        for (size_t i = 0; i < sizeof secure / sizeof *secure; i++)
            expect_refused(secure[i], false, "", revisions[r], -EPROTONOSUPPORT);
        expect_refused(&zu_null_mechanism, true, "", revisions[r], -EPROTONOSUPPORT);
    }
    expect_refused(&zu_plain_server_mechanism, true, "", 2, -EPROTO);
    expect_refused(&zu_curve_server_mechanism, true, "", 2, -EPROTO);
}

static bool is_zero(const void *memory, size_t size)
{
    return sodium_is_zero(memory, size);
}

/* Nobody costs a key pair before a HELLO has opened, and our own public key is not worked out for each client. */
Test(curve_handshake, strangers_cost_no_keys)
{
    static struct shaken shaken;
    for (unsigned is_good = 0; is_good < 2; is_good++) {
        shaken_init(&shaken);
        struct zu_curve_state *client = shaken.client.state, *server = shaken.server.state;
        cr_assert(is_zero(client->secret_key, 32) && is_zero(server->secret_key, 32));
        cr_assert_eq(body_pass(&shaken, 0, 0, is_good ? SIZE_MAX : HELLO_SIZE - 1, 1), is_good ? 0 : -EPROTO);
        cr_assert_not(is_zero(client->secret_key, 32));
        cr_assert_eq(is_zero(server->secret_key, 32), !is_good);
        cr_assert_eq(is_zero(server->public_key, 32), !is_good);
        shaken_fini(&shaken);
    }
    struct zu_secrets given = {0};
    memcpy(given.secret_key, server_secrets.secret_key, 32);
    zu_curve_own_key(&given);
    cr_assert_eq(memcmp(given.public_key, server_secrets.public_key, 32), 0);
    shaken_init(&shaken);
    for (int i = 0; i < 2; i++)
        cr_assert_eq(body_pass(&shaken, i, 0, SIZE_MAX, 0), 0);
    server_secrets.public_key[0] ^= 1; /* it stands there, and is believed */
    cr_assert_eq(body_pass(&shaken, 2, 0, SIZE_MAX, 0), -EPROTO);
    cr_assert_eq(shaken.server.failure.protocol_error, (unsigned)ZU_PROTOCOL_ERROR_KEY_EXCHANGE);
    shaken_fini(&shaken);
}

/* Each secret goes as soon as it has served. */
Test(curve_handshake, secrets_are_overwritten)
{
    static struct shaken shaken;
    shaken_init(&shaken);
    struct zu_curve_state *client = shaken.client.state, *server = shaken.server.state;
    cr_assert_not(is_zero(server->cookie_key, 32));
    cr_assert_eq(body_pass(&shaken, 0, 0, SIZE_MAX, 0), 0);
    cr_assert_not(is_zero(server->hello_key, 32));
    cr_assert_eq(body_pass(&shaken, 1, 0, SIZE_MAX, 0), 0);
    cr_assert(is_zero(server->hello_key, 32) && is_zero(client->hello_key, 32));
    cr_assert_eq(body_pass(&shaken, 2, 0, SIZE_MAX, 0), 0);
    cr_assert(is_zero(server->cookie_key, 32));
    cr_assert_eq(body_pass(&shaken, 3, 0, SIZE_MAX, 0), 0);
    cr_assert(is_zero(client->secret_key, 32) && is_zero(server->secret_key, 32));
    cr_assert_not(is_zero(client->session.key, 32));
    shaken_fini(&shaken);
}

/* Without memory it ends, whichever of its allocations fails. */
Test(curve_handshake, want_of_memory)
{
    for (unsigned from = 1; from < 5; from++) {
        struct shake_side client, server;
        shake_init(&client, &client_config);
        shake_init(&server, &server_config);
        zu_alloc_fail_from = from;
        shake_run(&client, &server, 1000, 1000);
        zu_alloc_fail_from = 0;
        cr_assert_eq(client.rc == -ENOMEM || server.rc == -ENOMEM, from < 5);
        cr_assert(client.rc == -ENOMEM ? client.hs.failure.retry : server.hs.failure.retry);
        shake_fini(&client, &server);
    }
}

static void *shake_thread(void *arg)
{
    (void)arg;
    for (int i = 0; i < 20; i++) {
        struct shake_side client, server;
        shake_init(&client, &client_config);
        shake_init(&server, &server_config);
        shake_run(&client, &server, 1000, 1000);
        cr_assert_eq(client.rc, 1);
        cr_assert_eq(server.rc, 1);
        shake_fini(&client, &server);
    }
    return NULL;
}

Test(curve_handshake, threads)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, shake_thread, NULL), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}
