/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target for CURVE handshakes: the first octet selects whose next command is fuzzed and how. `body`: the whole
 * command is the fuzzer's, and cannot be authentic. `plain`: what is in its boxes is, sealed with the right keys.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wire/curve_box.h"
#include "wire/socket_type.h"

#include "curve_kit.h"
#include "fuzz_mechanism.h"

static struct curve_pair server_lasting, server_transient, client_lasting, client_transient;
static struct zu_secrets secrets;

static void keys_make(void)
{
    REQUIRE(sodium_init() >= 0);
    server_lasting = curve_pair();
    server_transient = curve_pair();
    client_lasting = curve_pair();
    client_transient = curve_pair();
}

/* Ours is a server or a client; the fuzzer has the other's keys. */
static void ours_init(struct zu_mechanism *mechanism, bool is_server, bool waits)
{
    static struct zu_handshake_config config;
    const struct curve_pair *own = is_server ? &server_lasting : &client_lasting;
    memcpy(secrets.public_key, own->public_key, 32);
    memcpy(secrets.secret_key, own->secret_key, 32);
    memcpy(secrets.server_key, server_lasting.public_key, 32);
    config = (struct zu_handshake_config){
        .socket_type = ZU_SOCKET_DEALER,
        .mechanism = is_server ? &zu_curve_server_mechanism : &zu_curve_client_mechanism,
        .secrets = &secrets,
        .waits = waits,
    };
    REQUIRE(zu_mechanism_init(mechanism, &config) == 0);
}

static ssize_t ours_says(struct zu_mechanism *mechanism, uint8_t out[512])
{
    size_t max = mechanism->ops->produce_max(mechanism);
    REQUIRE(max > 0 && max <= 512);
    ssize_t size = mechanism->ops->produce(mechanism, out);
    REQUIRE(size > 0 && (size_t)size <= max);
    return size;
}

static void server_body(const uint8_t *data, size_t size)
{
    struct zu_mechanism ours;
    ours_init(&ours, true, false);
    if (hear(&ours, data, size) == 0)
        REQUIRE(size == HELLO_SIZE);
    zu_mechanism_fini(&ours);
}

static void client_body(const uint8_t *data, size_t size)
{
    struct zu_mechanism ours;
    uint8_t out[512];
    ours_init(&ours, false, false);
    ours_says(&ours, out);
    REQUIRE(hear(&ours, data, size) < 0);
    zu_mechanism_fini(&ours);
}

/* Version, padding, key and count of the fuzzer, and its own 64 octets signed rightly. */
static void hello_plain(const uint8_t *data, size_t size)
{
    uint8_t text[2 + 8 + 64 + 1] = {1}, hello[HELLO_SIZE];
    struct zu_mechanism ours;
    memcpy(text, data, size < sizeof text ? size : sizeof text);
    uint64_t count;
    memcpy(&count, text + 2, sizeof count);
    curve_hello(hello, &client_transient, server_lasting.public_key, count, text + 10);
    memcpy(hello + 6, text, 2);
    ours_init(&ours, true, false);
    if (hear(&ours, hello, sizeof hello - (text[74] & 1)) == 0) {
        static const uint8_t zeros[64];
        REQUIRE(text[0] == 1 && text[1] == 0 && count != 0 && memcmp(text + 10, zeros, 64) == 0);
        ours_says(&ours, (uint8_t[512]){0});
    }
    zu_mechanism_fini(&ours);
}

/* Ours has said WELCOME: its cookie and transient key. */
static void server_until_welcome(struct zu_mechanism *ours, bool waits, uint8_t plain[128])
{
    static const uint8_t zeros[64];
    uint8_t hello[HELLO_SIZE], welcome[512];
    ours_init(ours, true, waits);
    curve_hello(hello, &client_transient, server_lasting.public_key, 1, zeros);
    REQUIRE(hear(ours, hello, sizeof hello) == 0);
    REQUIRE(ours_says(ours, welcome) == WELCOME_SIZE);
    REQUIRE(curve_unbox(plain, welcome + 24, 144, "WELCOME-", welcome + 8, server_lasting.public_key,
                        client_transient.secret_key) == 0);
}

static void server_end(struct zu_mechanism *ours)
{
    struct zu_credentials credentials;
    if (ours->status == ZU_MECHANISM_WAITING) {
        ours->ops->credentials(ours, &credentials);
        REQUIRE(credentials.count == 1 && memcmp(credentials.items[0].data, client_lasting.public_key, 32) == 0);
        REQUIRE(ours->ops->judged(ours, 200) == 0);
    }
    if (ours->status == ZU_MECHANISM_HANDSHAKING)
        ours_says(ours, (uint8_t[512]){0});
    zu_mechanism_fini(ours);
}

/* An INITIATE of a good client with properties of the fuzzer. */
static void initiate_properties(const uint8_t *data, size_t size)
{
    static uint8_t plain[VOUCHED_SIZE + 4096], initiate[INITIATE_SIZE + 4096];
    struct zu_mechanism ours;
    uint8_t shown[128];
    if (size > 4096)
        return;
    server_until_welcome(&ours, size & 1, shown);
    curve_vouched(plain, &client_lasting, client_transient.public_key, server_lasting.public_key, shown);
    memcpy(plain + VOUCHED_SIZE, data, size);
    curve_initiate(initiate, shown + 32, 2, plain, VOUCHED_SIZE + size, &client_transient, shown);
    hear(&ours, initiate, INITIATE_SIZE + size);
    server_end(&ours);
}

/* One in which everything sealed is the fuzzer's: shorter than a vouch, or with one that is none. */
static void initiate_plain(const uint8_t *data, size_t size)
{
    static uint8_t initiate[INITIATE_SIZE + 4096];
    struct zu_mechanism ours;
    uint8_t shown[128];
    if (size > 4096)
        return;
    server_until_welcome(&ours, false, shown);
    curve_initiate(initiate, shown + 32, 2, data, size, &client_transient, shown);
    REQUIRE(hear(&ours, initiate, INITIATE_SIZE - VOUCHED_SIZE + size) < 0);
    server_end(&ours);
}

/* One whose body is the fuzzer's, laid over a good one. */
static void initiate_body(const uint8_t *data, size_t size)
{
    uint8_t plain[VOUCHED_SIZE], initiate[INITIATE_SIZE], good[INITIATE_SIZE], shown[128];
    struct zu_mechanism ours;
    server_until_welcome(&ours, false, shown);
    curve_vouched(plain, &client_lasting, client_transient.public_key, server_lasting.public_key, shown);
    curve_initiate(good, shown + 32, 2, plain, sizeof plain, &client_transient, shown);
    memcpy(initiate, good, sizeof good);
    for (size_t i = 0; i + 1 < size; i += 2)
        initiate[9 + data[i] % (INITIATE_SIZE - 9)] ^= data[i + 1];
    bool same = memcmp(initiate, good, sizeof good) == 0;
    REQUIRE((hear(&ours, initiate, sizeof initiate) == 0) == same);
    server_end(&ours);
}

/* Ours has said HELLO: its transient key. */
static void client_until_hello(struct zu_mechanism *ours, uint8_t transient[32])
{
    uint8_t hello[512];
    ours_init(ours, false, false);
    REQUIRE(ours_says(ours, hello) == HELLO_SIZE);
    memcpy(transient, hello + 80, 32);
}

/* A WELCOME whose sealed key and cookie are the fuzzer's. */
static void welcome_plain(const uint8_t *data, size_t size)
{
    struct zu_mechanism ours;
    uint8_t transient[32], plain[128] = {0}, welcome[WELCOME_SIZE];
    client_until_hello(&ours, transient);
    memcpy(plain, data, size < sizeof plain ? size : sizeof plain);
    curve_welcome(welcome, plain, &server_lasting, transient);
    if (hear(&ours, welcome, sizeof welcome) == 0)
        ours_says(&ours, (uint8_t[512]){0});
    zu_mechanism_fini(&ours);
}

static void client_until_initiate(struct zu_mechanism *ours, uint8_t transient[32])
{
    uint8_t plain[128], welcome[WELCOME_SIZE];
    client_until_hello(ours, transient);
    randombytes_buf(plain, sizeof plain);
    memcpy(plain, server_transient.public_key, 32);
    curve_welcome(welcome, plain, &server_lasting, transient);
    REQUIRE(hear(ours, welcome, sizeof welcome) == 0);
    ours_says(ours, (uint8_t[512]){0});
}

/* A READY with properties of the fuzzer. */
static void ready_plain(const uint8_t *data, size_t size)
{
    static uint8_t ready[READY_SIZE + 4096];
    struct zu_mechanism ours;
    uint8_t transient[32];
    if (size > 4096)
        return;
    client_until_initiate(&ours, transient);
    curve_ready(ready, 1, data, size, &server_transient, transient);
    if (hear(&ours, ready, READY_SIZE + size) == 0)
        REQUIRE(ours.status == ZU_MECHANISM_READY);
    zu_mechanism_fini(&ours);
}

/* READY or ERROR, or anything, whose body is the fuzzer's. */
static void ready_body(const uint8_t *data, size_t size)
{
    struct zu_mechanism ours;
    uint8_t transient[32];
    client_until_initiate(&ours, transient);
    REQUIRE(hear(&ours, data, size) < 0);
    zu_mechanism_fini(&ours);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const machines[])(const uint8_t *, size_t) = {
        server_body,   client_body,   hello_plain, initiate_properties, initiate_plain,
        initiate_body, welcome_plain, ready_plain, ready_body,
    };
    static bool made;
    if (!made)
        keys_make();
    made = true;
    if (size > 0)
        machines[data[0] % (sizeof machines / sizeof *machines)](data + 1, size - 1);
    return 0;
}
