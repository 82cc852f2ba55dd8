/* SPDX-License-Identifier: MIT */
/* What messages can tell of the connection they came by: behind zmq_msg_gets and ZMQ_SRCFD. */
#ifndef ZU_LINK_ORIGIN_H
#define ZU_LINK_ORIGIN_H

#include "mem/origin.h"
#include "wire/metadata.h"

struct zu_conn;

/* Immutable once messages carry it. */
struct zu_conn_origin {
    struct zu_origin origin;     /* the count */
    struct zu_metadata metadata; /* the peer's properties, ours in front */
    int fd;                      /* the descriptor while it was open */
};

/* From a handshake that is done. NULL without memory. */
struct zu_origin *zu_conn_origin_new(struct zu_conn *conn);
/* The peer's routing id; NULL and 0 when it has none. */
const uint8_t *zu_conn_origin_id(const struct zu_origin *origin, size_t *ret_size);
/* A property as a C string, or NULL. */
const char *zu_origin_get(const struct zu_origin *origin, const char *name);
int zu_origin_fd(const struct zu_origin *origin);

#endif
