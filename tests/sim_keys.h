/* SPDX-License-Identifier: MIT */
/* CURVE for simulated peers: keys and nonces come from the seed, as all else does. */
#ifndef ZU_TESTS_SIM_KEYS_H
#define ZU_TESTS_SIM_KEYS_H

#include <sodium.h>

#include "sim_world.h"

static inline const char *chance_name(void)
{
    return "chance";
}

static inline uint32_t chance_random(void)
{
    return (uint32_t)chance_next(&world.chance);
}

static inline void chance_buf(void *buf, size_t size)
{
    for (uint8_t *at = buf; size > 0; size--)
        *at++ = (uint8_t)(chance_next(&world.chance) >> 32);
}

/* A server, or a client of any such server. */
static inline void keys_set(struct zu_socket *socket, bool is_server)
{
    static struct randombytes_implementation chance = {
        .implementation_name = chance_name, .random = chance_random, .buf = chance_buf};
    static uint8_t server_key[crypto_box_PUBLICKEYBYTES], secret_key[crypto_box_SECRETKEYBYTES], key[sizeof server_key];
    randombytes_set_implementation(&chance);
    CHECK(sodium_init() >= 0, "libsodium does not start");
    crypto_box_seed_keypair(server_key, secret_key, (const uint8_t *)"a seed of so many octets, thirty-2");
    memcpy(key, server_key, sizeof key);
    if (is_server) {
        static const int on = 1;
        CHECK(zu_socket_set(socket, ZU_OPT_CURVE_SERVER, &on, sizeof on) == 0, "server");
    } else {
        crypto_box_keypair(key, secret_key);
        CHECK(zu_socket_set(socket, ZU_OPT_CURVE_SERVERKEY, server_key, sizeof server_key) == 0, "server's key");
    }
    CHECK(zu_socket_set(socket, ZU_OPT_CURVE_PUBLICKEY, key, sizeof key) == 0, "public key");
    CHECK(zu_socket_set(socket, ZU_OPT_CURVE_SECRETKEY, secret_key, sizeof secret_key) == 0, "secret key");
}

#endif
