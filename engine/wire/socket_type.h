/* SPDX-License-Identifier: MIT */
/* What the wire needs to know of the 21 socket types, in one table. */
#ifndef ZU_WIRE_SOCKET_TYPE_H
#define ZU_WIRE_SOCKET_TYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

/* The numbers of ZMQ_PAIR and its kin in api/zmq.h; ZMTP 2.0 sends them too. */
enum zu_socket_type {
    ZU_SOCKET_PAIR,
    ZU_SOCKET_PUB,
    ZU_SOCKET_SUB,
    ZU_SOCKET_REQ,
    ZU_SOCKET_REP,
    ZU_SOCKET_DEALER,
    ZU_SOCKET_ROUTER,
    ZU_SOCKET_PULL,
    ZU_SOCKET_PUSH,
    ZU_SOCKET_XPUB,
    ZU_SOCKET_XSUB,
    ZU_SOCKET_STREAM,
    ZU_SOCKET_SERVER,
    ZU_SOCKET_CLIENT,
    ZU_SOCKET_RADIO,
    ZU_SOCKET_DISH,
    ZU_SOCKET_GATHER,
    ZU_SOCKET_SCATTER,
    ZU_SOCKET_DGRAM,
    ZU_SOCKET_PEER,
    ZU_SOCKET_CHANNEL,
    ZU_SOCKET_TYPE_COUNT,
    ZU_SOCKET_TYPE_UNKNOWN = 255, /* a peer that did not say, or said a number that is none of ours */
};

/* The name in a Socket-Type property; NULL for a number that is no type. */
const char *zu_socket_type_name(unsigned type);
/* The number for a name (not terminated, case counts), or -ENOENT. */
int zu_socket_type_find(const void *name, size_t size);
/* May a socket of type `own` talk to one of type `peer`? False when either is no type. */
bool zu_socket_type_accepts(unsigned own, unsigned peer);
/* Does this type send an Identity property? */
bool zu_socket_type_sends_identity(unsigned type);

#endif
