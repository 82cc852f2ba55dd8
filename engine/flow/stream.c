/* SPDX-License-Identifier: MIT */
/*
 * STREAM: a message is a name and what came, or goes, as bytes of a plain connection. Peers have the names that we make for
 * them, dialled ones at once, so that something can be sent before the connection stands.
 * Unlike a ROUTER it drops nothing silently but a lone frame and, as libzmq does, the frame behind that: nobody of that
 * name is -EHOSTUNREACH, a full pipe -EAGAIN.
 */
#include "flow/router.h"

#include <errno.h>

static int init(struct zu_pattern *pattern)
{
    int err = zu_router_new(pattern);
    if (err)
        return err;
    struct zu_router *router = pattern->own;
    router->names_at_once = true;
    return 0;
}

static int send_address(struct zu_pattern *pattern, struct zu_part *part)
{
    struct zu_router *router = pattern->own;
    const void *id = part->msg ? zu_msg_data(part->msg) : part->data;
    size_t size = part->msg ? zu_msg_size(part->msg) : part->size;
    pattern->out.interrupted = false;
    if (!part->more) {
        zu_part_drop(part);
        router->out = NULL;
        router->sending = true;
        pattern->out.unroutable++;
        return 0;
    }
    struct zu_named *to = zu_router_find(router, id, size);
    if (!to)
        return -EHOSTUNREACH;
    if (!zu_router_admits(pattern, to->peer, part->waits ? pattern->out.patience_ns : 0, true))
        return -EAGAIN;
    zu_part_drop(part);
    router->out = router->last = to;
    router->sending = true;
    return 0;
}

static int send(struct zu_pattern *pattern, struct zu_part *part)
{
    const struct zu_router *router = pattern->own;
    return router->sending ? zu_router_send_raw(pattern, part) : send_address(pattern, part);
}

static const void *peer_name(const struct zu_peer *peer, size_t *ret_size)
{
    const struct zu_named *named = peer->role;
    *ret_size = named->entry.size;
    return named->entry.key;
}

/* Whom a message will be for is not known before it is sent. */
static unsigned poll(struct zu_pattern *pattern)
{
    return zu_pattern_poll_in(pattern) | ZU_POLL_OUT;
}

const struct zu_pattern_ops zu_pattern_stream = {
    .type = 11,
    .name = "STREAM",
    .can = ZU_POLL_IN | ZU_POLL_OUT,
    .init = init,
    .fini = zu_router_free,
    .attach = zu_router_attach,
    .met = zu_router_met,
    .detach_in = zu_router_detach_in,
    .detach_out = zu_router_detach_out,
    .readable = zu_router_readable,
    .writable = zu_pattern_ignore,
    .send = send,
    .rest = zu_router_rest,
    .peek = zu_router_peek,
    .taken = zu_router_taken,
    .poll = poll,
    .peer_state = zu_router_peer_state,
    .peer_name = peer_name,
};
