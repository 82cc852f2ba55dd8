/* SPDX-License-Identifier: MIT */
#define ZMQ_BUILD_DRAFT_API 1
#include "wire/socket_type.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <zmq.h>

/* Written out a second time, from the reference, in ZMQ_ numbers: both tables must agree. */
static const struct {
    int type;
    const char *name;
    int peers[3];
} expected[] = {
    {ZMQ_PAIR, "PAIR", {ZMQ_PAIR, -1, -1}},
    {ZMQ_PUB, "PUB", {ZMQ_SUB, ZMQ_XSUB, -1}},
    {ZMQ_SUB, "SUB", {ZMQ_PUB, ZMQ_XPUB, -1}},
    {ZMQ_REQ, "REQ", {ZMQ_REP, ZMQ_ROUTER, -1}},
    {ZMQ_REP, "REP", {ZMQ_REQ, ZMQ_DEALER, -1}},
    {ZMQ_DEALER, "DEALER", {ZMQ_REP, ZMQ_DEALER, ZMQ_ROUTER}},
    {ZMQ_ROUTER, "ROUTER", {ZMQ_REQ, ZMQ_DEALER, ZMQ_ROUTER}},
    {ZMQ_PULL, "PULL", {ZMQ_PUSH, -1, -1}},
    {ZMQ_PUSH, "PUSH", {ZMQ_PULL, -1, -1}},
    {ZMQ_XPUB, "XPUB", {ZMQ_SUB, ZMQ_XSUB, -1}},
    {ZMQ_XSUB, "XSUB", {ZMQ_PUB, ZMQ_XPUB, -1}},
    {ZMQ_STREAM, "STREAM", {-1, -1, -1}},
    {ZMQ_SERVER, "SERVER", {ZMQ_CLIENT, -1, -1}},
    {ZMQ_CLIENT, "CLIENT", {ZMQ_SERVER, -1, -1}},
    {ZMQ_RADIO, "RADIO", {ZMQ_DISH, -1, -1}},
    {ZMQ_DISH, "DISH", {ZMQ_RADIO, -1, -1}},
    {ZMQ_GATHER, "GATHER", {ZMQ_SCATTER, -1, -1}},
    {ZMQ_SCATTER, "SCATTER", {ZMQ_GATHER, -1, -1}},
    {ZMQ_DGRAM, "DGRAM", {-1, -1, -1}},
    {ZMQ_PEER, "PEER", {ZMQ_PEER, -1, -1}},
    {ZMQ_CHANNEL, "CHANNEL", {ZMQ_CHANNEL, -1, -1}},
};
#define EXPECTED_COUNT (sizeof(expected) / sizeof(expected[0]))

Test(socket_type, all_21_rows)
{
    cr_assert_eq(EXPECTED_COUNT, 21u);
    cr_assert_eq((unsigned)ZU_SOCKET_TYPE_COUNT, 21u);
    for (size_t i = 0; i < EXPECTED_COUNT; i++) {
        unsigned type = (unsigned)expected[i].type;
        cr_assert_str_eq(zu_socket_type_name(type), expected[i].name);
        cr_assert_eq(zu_socket_type_find(expected[i].name, strlen(expected[i].name)), expected[i].type);
        for (unsigned peer = 0; peer < 40; peer++) {
            bool legal = false;
            for (int j = 0; j < 3; j++)
                legal |= expected[i].peers[j] == (int)peer;
            cr_assert_eq(zu_socket_type_accepts(type, peer), legal, "%s and %u", expected[i].name, peer);
        }
    }
}

Test(socket_type, acceptance_is_mutual)
{
    for (unsigned a = 0; a < ZU_SOCKET_TYPE_COUNT; a++)
        for (unsigned b = 0; b < ZU_SOCKET_TYPE_COUNT; b++)
            cr_assert_eq(zu_socket_type_accepts(a, b), zu_socket_type_accepts(b, a));
}

Test(socket_type, only_three_send_their_identity)
{
    for (unsigned type = 0; type < 256; type++)
        cr_assert_eq(zu_socket_type_sends_identity(type), type == ZMQ_REQ || type == ZMQ_DEALER || type == ZMQ_ROUTER);
}

Test(socket_type, what_is_no_type)
{
    cr_assert_null(zu_socket_type_name(21));
    cr_assert_null(zu_socket_type_name(ZU_SOCKET_TYPE_UNKNOWN));
    cr_assert_eq(zu_socket_type_find("PU", 2), -ENOENT);
    cr_assert_eq(zu_socket_type_find("PUBX", 4), -ENOENT);
    cr_assert_eq(zu_socket_type_find("pub", 3), -ENOENT);
    cr_assert_eq(zu_socket_type_find("", 0), -ENOENT);
    cr_assert_eq(zu_socket_type_find("PUBLISH", 3), ZMQ_PUB, "names are not terminated");
    cr_assert_not(zu_socket_type_accepts(21, 0));
    cr_assert_not(zu_socket_type_accepts(0, 21));
    cr_assert_not(zu_socket_type_accepts(UINT32_MAX, UINT32_MAX));
}
