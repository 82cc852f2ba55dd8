/* SPDX-License-Identifier: MIT */
/*
 * ROUTER (RFC 28): the first frame says whom a message comes from, or goes to. Peers are known by the name they bring, the
 * one the socket gives them before (CONNECT_ROUTING_ID), or one that is made up; until a peer is met it can be neither read
 * nor addressed. A message to nobody, or to a full pipe, is dropped, or with MANDATORY refused. A peer that dies in
 * mid-message takes what it had of it; the rest goes nowhere.
 */
#include "flow/router.h"

#include <errno.h>
#include <sys/random.h>

#include "mem/alloc.h"

/* --- names --- */

int zu_router_init(struct zu_router *router)
{
    zu_map_init(&router->names);
    if (getrandom(&router->made_count, sizeof router->made_count, GRND_NONBLOCK) < 0)
        router->made_count = (uint32_t)(uintptr_t)router;
    return 0;
}

void zu_router_fini(struct zu_router *router)
{
    zu_map_fini(&router->names);
}

static struct zu_named *named_of(struct zu_map_entry *entry)
{
    return entry ? zu_container_of(entry, struct zu_named, entry) : NULL;
}

static bool is_called(const struct zu_named *named, const void *id, size_t size)
{
    return named && named->entry.size == size && memcmp(named->entry.key, id, size) == 0;
}

struct zu_named *zu_router_find(struct zu_router *router, const void *id, size_t size)
{
    struct zu_named *named = router->recent;
    if (zu_likely(is_called(named, id, size) && named->addressed))
        return named;
    named = named_of(zu_map_find(&router->names, id, size));
    if (named)
        router->recent = named;
    return named;
}

static void make_name(struct zu_router *router, struct zu_named *named)
{
    do {
        uint32_t n = router->made_count++;
        for (int i = 4; i > 0; i--, n >>= 8)
            named->made[i] = (uint8_t)n;
    } while (zu_map_find(&router->names, named->made, sizeof named->made));
}

static void call(struct zu_router *router, struct zu_named *named, const struct zu_peer_id *id)
{
    if (!id)
        make_name(router, named);
    zu_map_add(&router->names, &named->entry, id ? id->bytes : named->made, id ? id->size : sizeof named->made);
    named->known = named->addressed = true;
    router->all_full = false;
}

static void uncall(struct zu_router *router, struct zu_named *named)
{
    if (named->addressed)
        zu_map_remove(&router->names, &named->entry);
    named->addressed = false;
}

/* It loses its name to another: what it has sent is read under a new one, and then it goes. */
static void rename(struct zu_router *router, struct zu_named *named)
{
    uncall(router, named);
    make_name(router, named);
    named->entry.key = named->made;
    named->entry.size = sizeof named->made;
    named->peer->events->part(named->peer);
}

/* --- peers come and go --- */

static void free_if_over(struct zu_router *router, struct zu_peer *peer)
{
    struct zu_named *named = peer->role;
    if (peer->in_open || peer->out_open)
        return;
    if (router->recent == named)
        router->recent = NULL;
    if (router->last == named)
        router->last = NULL;
    zu_free(named, sizeof *named);
    peer->role = NULL;
}

int zu_router_attach(struct zu_pattern *pattern, struct zu_peer *peer)
{
    struct zu_router *router = pattern->own;
    if (peer->own_id && zu_map_find(&router->names, peer->own_id->bytes, peer->own_id->size))
        return -EEXIST;
    struct zu_named *named = zu_alloc_zero(sizeof *named);
    if (!named)
        return -ENOMEM;
    named->peer = peer;
    peer->role = named;
    if (peer->own_id || router->names_at_once) {
        call(router, named, peer->own_id);
        zu_fair_add(&pattern->in, peer);
    }
    zu_pattern_probe(pattern, peer);
    return 0;
}

void zu_router_met(struct zu_pattern *pattern, struct zu_peer *peer)
{
    struct zu_router *router = pattern->own;
    struct zu_named *named = peer->role;
    if (named->known || named->ignored || !peer->out_open || !peer->in_open)
        return;
    const struct zu_peer_id *id = peer->far_id;
    struct zu_named *old = id ? named_of(zu_map_find(&router->names, id->bytes, id->size)) : NULL;
    named->ignored = old && !pattern->options->router_handover;
    if (named->ignored)
        return;
    if (old)
        rename(router, old);
    call(router, named, id);
    zu_fair_add(&pattern->in, peer);
}

void zu_router_readable(struct zu_pattern *pattern, struct zu_peer *peer)
{
    struct zu_named *named = peer->role;
    if (named->known) /* else it is added when it is met */
        zu_fair_add(&pattern->in, peer);
}

void zu_router_detach_in(struct zu_pattern *pattern, struct zu_peer *peer)
{
    zu_fair_remove(&pattern->in, peer);
    if (peer->role)
        free_if_over(pattern->own, peer);
}

void zu_router_detach_out(struct zu_pattern *pattern, struct zu_peer *peer)
{
    struct zu_router *router = pattern->own;
    struct zu_named *named = peer->role;
    if (!named)
        return;
    uncall(router, named);
    if (router->out == named) {
        router->out = NULL;
        pattern->out.unroutable++;
    }
    if (peer->in_open && !named->known)
        pattern->in_ended(peer); /* nobody will read what is in there */
    else
        free_if_over(router, peer);
}

/* --- sending --- */

bool zu_router_admits(struct zu_pattern *pattern, struct zu_peer *peer, uint64_t patience_ns, bool sleeps)
{
    if (zu_likely(zu_pipe_admits(peer->out)))
        return true;
    if (zu_peer_make_room(peer, patience_ns) || (sleeps && !zu_pipe_writer_sleep(peer->out)))
        return true;
    pattern->out.interrupted |= peer->out_interrupted;
    return false;
}

int zu_router_send_on(struct zu_pattern *pattern, struct zu_part *part)
{
    struct zu_router *router = pattern->own;
    struct zu_named *to = router->out;
    bool more = part->more;
    int err = 0;
    if (zu_likely(to != NULL))
        err = zu_part_write(part, to->peer, 0);
    else
        zu_part_drop(part);
    if (err)
        return err;
    router->sending = more;
    if (!more)
        router->out = NULL;
    return 0;
}

int zu_router_send_raw(struct zu_pattern *pattern, struct zu_part *part)
{
    struct zu_router *router = pattern->own;
    struct zu_named *to = router->out;
    size_t size = part->msg ? zu_msg_size(part->msg) : part->size;
    part->more = false;
    if (!to || size)
        return zu_router_send_on(pattern, part);
    zu_part_drop(part);
    router->sending = false;
    router->out = NULL;
    to->peer->events->dismiss(to->peer);
    return 0;
}

/* The address. One that nothing follows goes nowhere, silently. */
static int send_address(struct zu_pattern *pattern, struct zu_part *part)
{
    struct zu_router *router = pattern->own;
    bool must = pattern->options->router_mandatory;
    struct zu_named *to = NULL;
    pattern->out.interrupted = false;
    if (zu_likely(part->more)) {
        to = part->msg ? zu_router_find(router, zu_msg_data(part->msg), zu_msg_size(part->msg))
                       : zu_router_find(router, part->data, part->size);
        if (!to && must)
            return -EHOSTUNREACH;
    }
    if (zu_unlikely(!to)) {
        pattern->out.unroutable++;
    } else if (!zu_router_admits(pattern, to->peer, must && part->waits ? pattern->out.patience_ns : 0, must)) {
        if (must)
            return -EAGAIN;
        to->peer->out_dropped++;
        to = NULL;
    }
    zu_part_drop(part);
    router->out = to;
    router->sending = part->more;
    if (to) {
        router->last = to;
        router->all_full = false; /* perhaps it has more room than for this one */
    }
    return 0;
}

static int send(struct zu_pattern *pattern, struct zu_part *part)
{
    const struct zu_router *router = pattern->own;
    if (!router->sending)
        return send_address(pattern, part);
    return pattern->options->router_raw ? zu_router_send_raw(pattern, part) : zu_router_send_on(pattern, part);
}

void zu_router_rest(struct zu_pattern *pattern)
{
    const struct zu_router *router = pattern->own;
    struct zu_peer *peer = router->last ? router->last->peer : NULL;
    if (peer && peer->out_open)
        zu_peer_rest(peer);
}

/* --- the rest of the row --- */

/* ROUTER's own, and STREAM's. */
struct router {
    struct zu_router names; /* first */
    bool inside;            /* the sender of the message in turn has been told */
};

int zu_router_new(struct zu_pattern *pattern)
{
    pattern->own = zu_alloc_zero(sizeof(struct router));
    return pattern->own ? zu_router_init(pattern->own) : -ENOMEM;
}

void zu_router_free(struct zu_pattern *pattern)
{
    if (!pattern->own)
        return;
    zu_router_fini(pattern->own);
    zu_free(pattern->own, sizeof(struct router));
}

int zu_router_peek(struct zu_pattern *pattern, struct zu_view *ret_view)
{
    const struct router *router = pattern->own;
    int err = zu_pattern_peek_fair(pattern, ret_view);
    if (err || router->inside)
        return err;
    const struct zu_named *from = zu_fair_peer(&pattern->in)->role;
    ret_view->data = from->entry.key;
    ret_view->size = from->entry.size;
    ret_view->flags = ZU_FRAME_MORE;
    ret_view->kind = ZU_VIEW_MADE;
    return 0;
}

void zu_router_taken(struct zu_pattern *pattern, unsigned flags)
{
    struct router *router = pattern->own;
    if (!router->inside) {
        router->names.recent = zu_fair_peer(&pattern->in)->role;
        router->inside = true;
        return;
    }
    router->inside = flags & ZU_FRAME_MORE;
    zu_fair_taken(&pattern->in, flags);
}

int zu_router_peer_state(struct zu_pattern *pattern, const void *id, size_t size)
{
    struct zu_named *named = zu_router_find(pattern->own, id, size);
    if (!named)
        return -EHOSTUNREACH;
    return zu_pipe_admits(named->peer->out) ? ZU_POLL_OUT : 0;
}

static void writable(struct zu_pattern *pattern, struct zu_peer *peer)
{
    (void)peer;
    struct zu_router *router = pattern->own;
    router->all_full = false;
}

/* Without any, the writers of all sleep, and the first with room posts: until then they need no other look. */
static bool anybody_admits(struct zu_pattern *pattern)
{
    struct zu_router *router = pattern->own;
    if (router->recent && router->recent->addressed && zu_pipe_admits(router->recent->peer->out))
        return true;
    if (router->all_full)
        return false;
    for (struct zu_map_entry *entry = zu_map_next(&router->names, NULL); entry;
         entry = zu_map_next(&router->names, entry)) {
        if (zu_router_admits(pattern, named_of(entry)->peer, 0, true)) {
            router->recent = named_of(entry); /* the next look begins there */
            return true;
        }
    }
    router->all_full = true;
    return false;
}

static unsigned poll(struct zu_pattern *pattern)
{
    const struct zu_router *router = pattern->own;
    bool out = router->sending || !pattern->options->router_mandatory || anybody_admits(pattern);
    return zu_pattern_poll_in(pattern) | (out ? ZU_POLL_OUT : 0);
}

const struct zu_pattern_ops zu_pattern_router = {
    .type = 6,
    .name = "ROUTER",
    .can = ZU_POLL_IN | ZU_POLL_OUT,
    .init = zu_router_new,
    .fini = zu_router_free,
    .attach = zu_router_attach,
    .met = zu_router_met,
    .detach_in = zu_router_detach_in,
    .detach_out = zu_router_detach_out,
    .readable = zu_router_readable,
    .writable = writable,
    .send = send,
    .rest = zu_router_rest,
    .peek = zu_router_peek,
    .taken = zu_router_taken,
    .poll = poll,
    .peer_state = zu_router_peer_state,
};
