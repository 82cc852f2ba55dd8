/* SPDX-License-Identifier: MIT */
/* One per connection epoch: made when its handshake ends, freed with its last message. Only memory can fail it. */
#include "link/origin.h"

#include <string.h>

#include "link/conn.h"
#include "mem/alloc.h"

static void origin_free(struct zu_origin *base)
{
    struct zu_conn_origin *origin = zu_container_of(base, struct zu_conn_origin, origin);
    zu_metadata_fini(&origin->metadata);
    zu_free(origin, sizeof *origin);
}

struct zu_origin *zu_conn_origin_new(struct zu_conn *conn)
{
    struct zu_conn_origin *origin = zu_alloc_zero(sizeof *origin);
    if (!origin)
        return NULL;
    atomic_init(&origin->origin.refs, 1);
    origin->origin.free = origin_free;
    origin->fd = conn->fd;
    size_t id_size;
    const uint8_t *id = zu_handshake_identity(conn->handshake, &id_size);
    zu_handshake_metadata_take(conn->handshake, &origin->metadata);
    int err = 0;
    /* Of an older peer: it still lies with the handshake. */
    if (id && !zu_metadata_get(&origin->metadata, "Identity", NULL))
        err = zu_metadata_put(&origin->metadata, "Identity", id, id_size);
    char text[160] = "";
    if (conn->transport->peer_text)
        conn->transport->peer_text(conn->fd, text, sizeof text);
    if (!err && text[0])
        err = zu_metadata_put(&origin->metadata, "Peer-Address", text, strlen(text));
    if (err) {
        origin_free(&origin->origin);
        return NULL;
    }
    return &origin->origin;
}

const uint8_t *zu_conn_origin_id(const struct zu_origin *base, size_t *ret_size)
{
    const struct zu_conn_origin *origin = zu_container_of(base, const struct zu_conn_origin, origin);
    const uint8_t *id = zu_metadata_get(&origin->metadata, "Identity", ret_size);
    if (!id || *ret_size > UINT8_MAX)
        *ret_size = 0;
    return id;
}

const char *zu_origin_get(const struct zu_origin *base, const char *name)
{
    const struct zu_conn_origin *origin = zu_container_of(base, const struct zu_conn_origin, origin);
    return (const char *)zu_metadata_get(&origin->metadata, name, NULL);
}

int zu_origin_fd(const struct zu_origin *base)
{
    return zu_container_of(base, const struct zu_conn_origin, origin)->fd;
}
