/* SPDX-License-Identifier: MIT */
/* libFuzzer target for PLAIN handshakes: the first octet selects the side and how far it has come, the rest are commands. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wire/plain.h"
#include "wire/socket_type.h"

#include "fuzz_mechanism.h"

static struct zu_secrets secrets = {.username = {(uint8_t *)"me", 2}, .password = {(uint8_t *)"secret", 6}};

static void say(struct zu_mechanism *mechanism)
{
    uint8_t out[512];
    size_t max;
    while ((max = mechanism->ops->produce_max(mechanism)) != 0) {
        REQUIRE(max <= sizeof out);
        ssize_t size = mechanism->ops->produce(mechanism, out);
        REQUIRE(size > 0 && (size_t)size <= max);
    }
}

static void judge(struct zu_mechanism *mechanism, unsigned status)
{
    struct zu_credentials credentials;
    if (mechanism->status != ZU_MECHANISM_WAITING)
        return;
    mechanism->ops->credentials(mechanism, &credentials);
    REQUIRE(credentials.count == 2 && credentials.items[0].size <= 255 && credentials.items[1].size <= 255);
    REQUIRE(mechanism->ops->judged(mechanism, status) == 0);
}

static void run(const struct zu_mechanism_ops *ops, const char *first, size_t first_size, const uint8_t *data,
                size_t size)
{
    struct zu_handshake_config config = {.socket_type = ZU_SOCKET_DEALER, .mechanism = ops, .secrets = &secrets};
    struct zu_mechanism mechanism;
    REQUIRE(zu_mechanism_init(&mechanism, &config) == 0);
    say(&mechanism);
    if (first_size)
        REQUIRE(hear(&mechanism, first, first_size) == 0);
    judge(&mechanism, 200);
    say(&mechanism);
    /* Commands of a length octet each, longer ones of the rest. */
    int rc = 0;
    while (rc == 0 && size > 0 && mechanism.status == ZU_MECHANISM_HANDSHAKING) {
        size_t part = data[0] < size - 1 && data[0] != 0xff ? data[0] : size - 1;
        rc = hear(&mechanism, data + 1, part);
        data += 1 + part;
        size -= 1 + part;
        judge(&mechanism, part & 1 ? 200 : 400);
        say(&mechanism);
    }
    zu_mechanism_fini(&mechanism);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    switch (data[0] & 3) {
    case 0:
        run(&zu_plain_client_mechanism, "", 0, data + 1, size - 1);
        break;
    case 1:
        run(&zu_plain_client_mechanism, "\x07WELCOME", 8, data + 1, size - 1);
        break;
    case 2:
        run(&zu_plain_server_mechanism, "", 0, data + 1, size - 1);
        break;
    default:
        run(&zu_plain_server_mechanism, "\x05HELLO\x02me\x06secret", 16, data + 1, size - 1);
    }
    return 0;
}
