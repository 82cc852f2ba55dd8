/* SPDX-License-Identifier: MIT */
/* Both ends of a CURVE connection, from the greeting to the codecs, over no wire at all. */
#ifndef ZU_TESTS_CURVE_PAIR_H
#define ZU_TESTS_CURVE_PAIR_H

#include <sodium.h>
#include <stdlib.h>

#include "link/codec.h"
#include "wire/curve_box.h"

struct curve_ends {
    unsigned client_type, server_type; /* of sockets */
    uint64_t frame_max;                /* the server's; UINT64_MAX is off */
    uint64_t nonce;                    /* of the client's next message; 0: as it comes */
};

/* abort: also under a fuzzer. */
static inline void curve_require(bool condition)
{
    if (!condition)
        abort();
}

/* Moves what one has to say to the other; whether that is done. */
static inline bool curve_handshake_pass(struct zu_handshake *from, struct zu_handshake *to)
{
    const uint8_t *bytes;
    size_t used, size = zu_handshake_output(from, &bytes);
    int got = zu_handshake_feed(to, bytes, size, &used);
    curve_require(got >= 0 && used == size);
    zu_handshake_sent(from, size);
    return got == 1;
}

static inline void curve_handshakes(struct zu_handshake *client, struct zu_handshake *server,
                                    const struct curve_ends *ends)
{
    static struct zu_secrets secrets[2];
    curve_require(sodium_init() >= 0);
    crypto_box_keypair(secrets[0].public_key, secrets[0].secret_key);
    crypto_box_keypair(secrets[0].server_key, secrets[1].secret_key);
    zu_curve_own_key(&secrets[1]);
    struct zu_handshake_config config = {
        .socket_type = ends->client_type,
        .mechanism = &zu_curve_client_mechanism,
        .message_size_max = -1,
        .secrets = &secrets[0],
    };
    zu_handshake_init(client, &config);
    config.socket_type = ends->server_type;
    config.mechanism = &zu_curve_server_mechanism;
    config.secrets = &secrets[1];
    zu_handshake_init(server, &config);
    bool client_done = false, server_done = false;
    for (int i = 0; i < 20 && !(client_done && server_done); i++) {
        server_done = curve_handshake_pass(client, server) || server_done;
        client_done = curve_handshake_pass(server, client) || client_done;
    }
    curve_require(client_done && server_done);
}

static inline struct zu_codec *curve_codec(struct zu_handshake *hs, uint64_t frame_max)
{
    struct zu_codec_case which = {
        .version = zu_handshake_version(hs),
        .socket_type = hs->config.socket_type,
        .epoch = 1,
        .frame_max = frame_max,
        .handshake = hs,
    };
    int err;
    struct zu_codec *codec = zu_codec_new(&which, &err);
    curve_require(codec && codec->ops == &zu_codec_curve);
    return codec;
}

static inline void curve_pair(struct zu_codec **ret_client, struct zu_codec **ret_server, const struct curve_ends *ends)
{
    struct zu_handshake client, server;
    curve_handshakes(&client, &server, ends);
    if (ends->nonce)
        ((struct zu_curve_state *)client.mechanism.state)->session.out_nonce = ends->nonce;
    *ret_client = curve_codec(&client, UINT64_MAX);
    *ret_server = curve_codec(&server, ends->frame_max);
    zu_handshake_fini(&client);
    zu_handshake_fini(&server);
}

#endif
