/* SPDX-License-Identifier: MIT */
#include "wire/curve.h"

#include <sodium.h>

#include "shake.h"

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
