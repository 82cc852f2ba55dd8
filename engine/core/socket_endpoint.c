/* SPDX-License-Identifier: MIT */
/*
 * Endpoints: a text becomes a listener, a dial or an inproc name, and an entry by which unbind and disconnect find it
 * again. Binding happens in the caller, so its errors come back at once; dialling only checks the text.
 * Fails with the errno that zmq_bind and zmq_connect document, and then leaves nothing behind.
 */
#include "core/socket.h"

#include "base/error.h"
#include "link/endpoint.h"
#include "mem/alloc.h"

/* The only place that names the stream transports. */
static const struct zu_transport *const transports[] = {&zu_transport_tcp, &zu_transport_ipc};
const struct zu_transport *zu_transport_extra;

/* The using thread. Exactly one of the three is set. */
struct zu_endpoint_entry {
    struct zu_link link;               /* the socket's list */
    void *id;                          /* what its peers carry as `endpoint`; never used again for another */
    struct zu_listen *listen;          /* a bound stream endpoint */
    struct zu_dial *dial;              /* a connected one */
    struct zu_inproc_bind *inproc;     /* a bound inproc name; a connected one has none of the three */
    size_t text_size;                  /* with NUL */
    char text[];                       /* as unbind and disconnect must name it */
};

static bool scheme_is(const struct zu_endpoint *endpoint, const char *scheme)
{
    return strlen(scheme) == endpoint->scheme_size && memcmp(endpoint->scheme, scheme, endpoint->scheme_size) == 0;
}

static const struct zu_transport *transport_find(const struct zu_endpoint *endpoint)
{
    for (size_t i = 0; i < sizeof transports / sizeof *transports; i++) {
        if (scheme_is(endpoint, transports[i]->scheme))
            return transports[i];
    }
    return zu_transport_extra && scheme_is(endpoint, zu_transport_extra->scheme) ? zu_transport_extra : NULL;
}

/* Those of PUB, SUB, XPUB and XSUB. */
enum { MULTICAST_TYPES = 1 << 1 | 1 << 2 | 1 << 9 | 1 << 10 };

/* Of libzmq's transports that are not built, those that would not serve every type. */
static const struct {
    const char *scheme;
    unsigned types; /* bits: those of ours that it would serve */
} foreign[] = {{"udp", 0}, {"pgm", MULTICAST_TYPES}, {"epgm", MULTICAST_TYPES}, {"norm", MULTICAST_TYPES}};

static int missing_error(const struct zu_socket *socket, const struct zu_endpoint *endpoint)
{
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        if (scheme_is(endpoint, foreign[i].scheme) && !(foreign[i].types >> socket->pattern.ops->type & 1))
            return -ZU_ENOCOMPATPROTO;
    }
    return -EPROTONOSUPPORT;
}

/* A number, not the entry's address: a peer may come, or be left, when the entry has gone. */
static struct zu_endpoint_entry *entry_new(struct zu_socket *socket, const char *text)
{
    size_t size = strlen(text) + 1;
    struct zu_endpoint_entry *entry = zu_alloc_zero(sizeof *entry + size);
    if (!entry)
        return NULL;
    entry->id = (void *)++socket->endpoint_ids;
    entry->text_size = size;
    memcpy(entry->text, text, size);
    return entry;
}

static void entry_free(struct zu_endpoint_entry *entry)
{
    zu_free(entry, sizeof *entry + entry->text_size);
}

/* Nothing can be disconnected any more; the peer, if there is one, says itself that it has gone. */
static void on_over(void *data, void *id)
{
    struct zu_socket *socket = data;
    zu_list_each(link, after, &socket->endpoints)
    {
        struct zu_endpoint_entry *entry = zu_container_of(link, struct zu_endpoint_entry, link);
        if (entry->id != id)
            continue;
        zu_list_remove(&entry->link);
        zu_dial_stop(entry->dial, 0, false);
        entry_free(entry);
    }
}

/* The snapshot and marks that an endpoint takes along; zu_settings_unref it afterwards. */
static int home_make(struct zu_socket *socket, void *endpoint, struct zu_home *ret_home)
{
    struct zu_settings *settings = zu_socket_settings(socket);
    if (!settings)
        return -ENOMEM;
    /* Raw peers show nothing by which they could be let in, and ROUTER_RAW may have come behind zuring_admit_keys. */
    if (settings->raw && (socket->admission.keys || socket->admission.judge.judge)) {
        zu_settings_unref(settings);
        return -ENOTSUP;
    }
    *ret_home = (struct zu_home){
        .socket = socket,
        .events = zu_socket_peer_events(),
        .box = &socket->box,
        .settings = settings,
        .endpoint = endpoint,
        .over = on_over,
        .watch = &socket->monitor.watch,
    };
    return 0;
}

static void entry_add(struct zu_socket *socket, struct zu_endpoint_entry *entry)
{
    zu_list_append(&socket->endpoints, &entry->link);
    zu_option_bytes_set(&socket->options.last_endpoint, entry->text, strlen(entry->text));
}

static int bind_inproc(struct zu_socket *socket, const char *text, const char *name)
{
    struct zu_endpoint_entry *entry = entry_new(socket, text);
    struct zu_home home;
    /* Its peers outlive the name: they have no endpoint that could part with them. */
    int err = entry ? home_make(socket, NULL, &home) : -ENOMEM;
    if (!err) {
        err = zu_inproc_bind(&socket->context->inproc, name, &home, &entry->inproc);
        zu_settings_unref(home.settings);
    }
    if (err) {
        if (entry)
            entry_free(entry);
        return err;
    }
    entry_add(socket, entry);
    return 0;
}

/* Where an endpoint is to live, and where a listener's connections may. */
struct place {
    struct zu_shard *shard; /* the endpoint's */
    struct zu_shard **all;  /* its connections' */
    unsigned count;         /* how many those are */
};

static int place_find(struct zu_socket *socket, struct place *ret_place)
{
    socket->answers = ZU_SEND_ANSWERS;
    struct zu_context *context = socket->context;
    if (context->is_inline) {
        struct zu_drive *drive;
        int err = zu_socket_drive(socket, &drive);
        if (!err)
            *ret_place = (struct place){&drive->shard, &drive->shards, 1};
        return err;
    }
    struct zu_shard *shard = zu_context_shard(context, socket->options.affinity);
    if (!shard)
        return -ZU_EMTHREAD;
    *ret_place = (struct place){shard, context->shards, context->shard_count};
    return 0;
}

/* Inline: what was just begun moves on at once, as it would with a shard in the background. */
static void stir(struct zu_socket *socket)
{
    struct zu_drive *drive = zu_socket_has_drive(socket);
    if (drive)
        zu_drive_step(drive);
}

static int bind_stream(struct zu_socket *socket, const struct zu_transport *transport, const char *address)
{
    struct place place;
    int err = place_find(socket, &place);
    if (err)
        return err;
    struct zu_shard *shard = place.shard;
    struct zu_home home;
    err = home_make(socket, NULL, &home);
    if (err)
        return err;
    struct zu_listening listening;
    err = transport->listen(address, home.settings, &listening);
    if (err)
        zu_watch_raise(home.watch, ZU_EVENT_BIND_FAILED, (uint64_t)-err,
                       &(struct zu_names){.local = address, .remote = "", .bound = true});
    struct zu_endpoint_entry *entry = err ? NULL : entry_new(socket, listening.text);
    if (entry) {
        home.endpoint = entry->id;
        entry->listen = zu_listen_new(shard, place.all, place.count, &home, transport, &listening);
        if (!entry->listen) {
            entry_free(entry);
            entry = NULL;
        }
    } else if (!err) {
        shard->driver->ops->close(shard->driver, listening.fd);
        if (transport->unlisten)
            transport->unlisten(&listening);
    }
    zu_settings_unref(home.settings);
    if (!entry)
        return err ? err : -ENOMEM;
    entry_add(socket, entry);
    zu_watch_raise(home.watch, ZU_EVENT_LISTENING, (uint64_t)listening.fd,
                   &(struct zu_names){.local = entry->text, .remote = "", .bound = true});
    zu_listen_start(entry->listen);
    return 0;
}

int zu_socket_bind(struct zu_socket *socket, const char *text)
{
    struct zu_endpoint endpoint;
    int err = zu_endpoint_split(text, &endpoint);
    if (err)
        return err;
    if (scheme_is(&endpoint, "inproc"))
        return bind_inproc(socket, text, endpoint.rest);
    const struct zu_transport *transport = transport_find(&endpoint);
    err = transport ? bind_stream(socket, transport, endpoint.rest) : missing_error(socket, &endpoint);
    stir(socket);
    return err;
}

/* CONNECT_ROUTING_ID is for this connect. -EADDRINUSE where libzmq would abort: another peer is called that. */
static int name_check(struct zu_socket *socket)
{
    const struct zu_bytes *name = &socket->options.connect_routing_id;
    const struct zu_pattern_ops *ops = socket->pattern.ops;
    if (!name->size || !ops->peer_state)
        return 0;
    if (name->size > ZU_ROUTING_ID_MAX)
        return -EINVAL;
    return ops->peer_state(&socket->pattern, name->data, name->size) == -EHOSTUNREACH ? 0 : -EADDRINUSE;
}

/* Without memory the peer goes by its own name. */
static void name_take(struct zu_socket *socket, struct zu_peer *peer)
{
    struct zu_bytes *name = &socket->options.connect_routing_id;
    if (!name->size || !socket->pattern.ops->peer_state)
        return;
    peer->own_id = zu_peer_id_new(name->data, name->size);
    zu_option_bytes_set(name, NULL, 0);
}

/* Without memory the old one stays. */
static void name_tell(struct zu_socket *socket, const struct zu_peer *peer)
{
    const struct zu_pattern_ops *ops = socket->pattern.ops;
    if (!ops->peer_name || !peer->role)
        return;
    size_t size;
    const void *name = ops->peer_name(peer, &size);
    zu_option_bytes_set(&socket->options.routing_id, name, size);
}

static int connect_inproc(struct zu_socket *socket, const struct zu_home *home, const char *name)
{
    struct zu_peer *peer;
    int err = zu_inproc_connect(&socket->context->inproc, name, home, &peer);
    if (err)
        return err;
    name_take(socket, peer);
    return zu_socket_attach(socket, peer) == -ENOMEM ? -ENOMEM : 0;
}

static int connect_stream(struct zu_socket *socket, const struct zu_transport *transport, const char *address,
                          const struct zu_home *home, struct zu_endpoint_entry *entry)
{
    struct place place;
    int err = transport->check(address);
    if (!err)
        err = place_find(socket, &place);
    if (err)
        return err;
    struct zu_peer *peer = NULL;
    if (!home->settings->immediate) {
        peer = zu_settings_peer_new(home->settings);
        if (!peer)
            return -ENOMEM;
        peer->endpoint = home->endpoint;
        zu_peer_set_near(peer, home->socket, home->events, home->box);
        name_take(socket, peer);
    }
    entry->dial = zu_dial_new(place.shard, home, transport, address, peer);
    if (!entry->dial) {
        if (peer)
            zu_peer_abandon(peer);
        return -ENOMEM;
    }
    if (peer && zu_socket_attach(socket, peer) == -ENOMEM) {
        zu_dial_stop(entry->dial, 0, false); /* behind the note that it has been hung up: it never begins */
        entry->dial = NULL;
        return -ENOMEM;
    }
    if (peer)
        name_tell(socket, peer);
    zu_dial_start(entry->dial);
    return 0;
}

static bool has_text(const struct zu_socket *socket, const char *text)
{
    zu_list_each(link, after, &socket->endpoints)
    {
        if (strcmp(zu_container_of(link, struct zu_endpoint_entry, link)->text, text) == 0)
            return true;
    }
    return false;
}

int zu_socket_connect(struct zu_socket *socket, const char *text)
{
    struct zu_endpoint endpoint;
    int err = zu_endpoint_split(text, &endpoint);
    if (err)
        return err;
    bool is_inproc = scheme_is(&endpoint, "inproc");
    const struct zu_transport *transport = is_inproc ? NULL : transport_find(&endpoint);
    if (!is_inproc && !transport)
        return missing_error(socket, &endpoint);
    if (!is_inproc && socket->pattern.ops->connects_once && has_text(socket, text))
        return 0;
    err = name_check(socket);
    if (err)
        return err;
    struct zu_endpoint_entry *entry = entry_new(socket, text);
    struct zu_home home;
    err = entry ? home_make(socket, entry->id, &home) : -ENOMEM;
    if (!err) {
        err = is_inproc ? connect_inproc(socket, &home, endpoint.rest)
                        : connect_stream(socket, transport, endpoint.rest, &home, entry);
        zu_settings_unref(home.settings);
    }
    if (err) {
        if (entry)
            entry_free(entry);
        return err;
    }
    entry_add(socket, entry);
    stir(socket);
    return 0;
}

static void entry_end(struct zu_socket *socket, struct zu_endpoint_entry *entry, bool is_close)
{
    zu_list_remove(&entry->link);
    if (entry->inproc) {
        zu_inproc_unbind(entry->inproc);
    } else {
        if (entry->listen)
            zu_listen_stop(entry->listen);
        zu_socket_part_from(socket, entry->id);
        if (entry->dial)
            zu_dial_stop(entry->dial, socket->options.linger_ms, !is_close);
    }
    entry_free(entry);
}

static const struct zu_endpoint_entry *entry_find(const struct zu_socket *socket, const void *id)
{
    zu_list_each(link, after, &socket->endpoints)
    {
        const struct zu_endpoint_entry *entry = zu_container_of(link, struct zu_endpoint_entry, link);
        if (entry->id == id)
            return entry;
    }
    return NULL;
}

bool zu_socket_has_endpoint(const struct zu_socket *socket, const void *id)
{
    return entry_find(socket, id) != NULL;
}

struct zu_names zu_socket_endpoint_names(const struct zu_socket *socket, const void *id)
{
    const struct zu_endpoint_entry *entry = entry_find(socket, id);
    bool bound = entry && entry->listen;
    return (struct zu_names){
        .local = bound ? entry->text : "",
        .remote = entry && !bound ? entry->text : "",
        .bound = bound,
    };
}

/* All that were bound or connected under this text, as libzmq does. */
static int forget(struct zu_socket *socket, const char *text)
{
    int err = -ENOENT;
    zu_list_each(link, after, &socket->endpoints)
    {
        struct zu_endpoint_entry *entry = zu_container_of(link, struct zu_endpoint_entry, link);
        if (strcmp(entry->text, text) == 0) {
            entry_end(socket, entry, false);
            err = 0;
        }
    }
    return err;
}

int zu_socket_forget(struct zu_socket *socket, const char *text)
{
    struct zu_endpoint endpoint;
    int err = zu_endpoint_split(text, &endpoint);
    if (err)
        return err;
    bool is_inproc = scheme_is(&endpoint, "inproc");
    const struct zu_transport *transport = is_inproc ? NULL : transport_find(&endpoint);
    if (!is_inproc && !transport)
        return missing_error(socket, &endpoint);
    err = forget(socket, text);
    for (int is_local = 0; err && is_local < 2 && transport && transport->plain; is_local++) {
        char plain[ZU_TRANSPORT_TEXT_MAX];
        if (transport->plain(endpoint.rest, socket->options.ipv6, is_local, plain, sizeof plain) == 0)
            err = forget(socket, plain);
    }
    stir(socket);
    return err;
}

void zu_socket_forget_all(struct zu_socket *socket)
{
    zu_list_each(link, after, &socket->endpoints)
    {
        struct zu_endpoint_entry *entry = zu_container_of(link, struct zu_endpoint_entry, link);
        if (entry->inproc) {
            zu_inproc_unbind(entry->inproc);
            entry->inproc = NULL;
        }
    }
    zu_mailbox_close(&socket->box);
    zu_list_each(link, after, &socket->endpoints)
        entry_end(socket, zu_container_of(link, struct zu_endpoint_entry, link), true);
}
