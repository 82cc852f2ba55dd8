/* SPDX-License-Identifier: MIT */
#include "wire/socket_type.h"

#include <errno.h>
#include <string.h>

/*
 * Every answer is a look into one table, indexed by the type's number. Numbers from outside the table get "no": NULL,
 * false, -ENOENT. STREAM and DGRAM speak no ZMTP and so accept no peer by name.
 */

struct socket_type_row {
    const char *name;    /* on the wire */
    uint32_t peers;      /* a bit for each type that may be at the other end */
    bool sends_identity; /* announces its routing id, even an empty one */
};

#define BIT(name) (UINT32_C(1) << ZU_SOCKET_##name)

static const struct socket_type_row socket_type_rows[ZU_SOCKET_TYPE_COUNT] = {
    [ZU_SOCKET_PAIR] = {"PAIR", BIT(PAIR), false},
    [ZU_SOCKET_PUB] = {"PUB", BIT(SUB) | BIT(XSUB), false},
    [ZU_SOCKET_SUB] = {"SUB", BIT(PUB) | BIT(XPUB), false},
    [ZU_SOCKET_REQ] = {"REQ", BIT(REP) | BIT(ROUTER), true},
    [ZU_SOCKET_REP] = {"REP", BIT(REQ) | BIT(DEALER), false},
    [ZU_SOCKET_DEALER] = {"DEALER", BIT(REP) | BIT(DEALER) | BIT(ROUTER), true},
    [ZU_SOCKET_ROUTER] = {"ROUTER", BIT(REQ) | BIT(DEALER) | BIT(ROUTER), true},
    [ZU_SOCKET_PULL] = {"PULL", BIT(PUSH), false},
    [ZU_SOCKET_PUSH] = {"PUSH", BIT(PULL), false},
    [ZU_SOCKET_XPUB] = {"XPUB", BIT(SUB) | BIT(XSUB), false},
    [ZU_SOCKET_XSUB] = {"XSUB", BIT(PUB) | BIT(XPUB), false},
    [ZU_SOCKET_STREAM] = {"STREAM", 0, false},
    [ZU_SOCKET_SERVER] = {"SERVER", BIT(CLIENT), false},
    [ZU_SOCKET_CLIENT] = {"CLIENT", BIT(SERVER), false},
    [ZU_SOCKET_RADIO] = {"RADIO", BIT(DISH), false},
    [ZU_SOCKET_DISH] = {"DISH", BIT(RADIO), false},
    [ZU_SOCKET_GATHER] = {"GATHER", BIT(SCATTER), false},
    [ZU_SOCKET_SCATTER] = {"SCATTER", BIT(GATHER), false},
    [ZU_SOCKET_DGRAM] = {"DGRAM", 0, false},
    [ZU_SOCKET_PEER] = {"PEER", BIT(PEER), false},
    [ZU_SOCKET_CHANNEL] = {"CHANNEL", BIT(CHANNEL), false},
};

const char *zu_socket_type_name(unsigned type)
{
    return type < ZU_SOCKET_TYPE_COUNT ? socket_type_rows[type].name : NULL;
}

int zu_socket_type_find(const void *name, size_t size)
{
    for (int type = 0; type < ZU_SOCKET_TYPE_COUNT; type++)
        if (strlen(socket_type_rows[type].name) == size && memcmp(socket_type_rows[type].name, name, size) == 0)
            return type;
    return -ENOENT;
}

bool zu_socket_type_accepts(unsigned own, unsigned peer)
{
    return own < ZU_SOCKET_TYPE_COUNT && peer < ZU_SOCKET_TYPE_COUNT && socket_type_rows[own].peers >> peer & 1;
}

bool zu_socket_type_sends_identity(unsigned type)
{
    return type < ZU_SOCKET_TYPE_COUNT && socket_type_rows[type].sends_identity;
}
