/* SPDX-License-Identifier: MIT */
/*
 * Each question has a pair of pipes of its own to the handler, made for it and given up with the answer: requests all have
 * the same number, so nothing else tells whose a reply is. The shard is the near end; it is told by notes like a socket.
 * A handler that has closed is a refusal; one that never answers is the connection's to give up. What was withdrawn lies
 * with the handler until that reads it, and counts: strangers that come and go fill no memory. What a reply has wrong is a
 * verdict too, and so is want of memory.
 */
#include "core/zap.h"

#include <errno.h>
#include <string.h>

#include "mem/alloc.h"
#include "mem/msg.h"
#include "wire/metadata.h"
#include "wire/socket_type.h"

#define ENDPOINT "zeromq.zap.01"
#define VERSION "1.0"
#define REQUEST_ID "1"
#define USER_ID "User-Id"

enum { HANDLERS = 1u << ZU_SOCKET_REP | 1u << ZU_SOCKET_ROUTER | 1u << ZU_SOCKET_SERVER };

/* One question; the shard's. */
struct question {
    struct zu_ask *ask;                /* whose */
    struct zu_peer *peer;              /* the near end */
    char user_id[ZU_USER_ID_MAX + 1];  /* unless the handler says otherwise */
};

/* A reply as it is read. */
struct reply {
    unsigned frames;      /* so far */
    unsigned error;       /* enum zu_zap_error: the first that was found; 0 for none */
    unsigned status;      /* 200 and so on */
    const char *user_id;  /* if the reply has none; NULL when it had */
    uint8_t *properties;  /* on the heap, ZU_METADATA_SIZE_MAX; made when there is something to say */
    size_t size;          /* octets of them */
    bool no_memory;       /* for that */
};

size_t zu_zap_user_property(const char *user_id, uint8_t *out)
{
    return user_id[0] ? zu_property_encode(out, USER_ID, user_id, strlen(user_id)) : 0;
}

static bool is_text(const struct zu_view *view, const char *text)
{
    return view->size == strlen(text) && (!view->size || memcmp(view->data, text, view->size) == 0);
}

/* --- reading a reply --- */

/* False: there is no room for so much. */
static bool reserve(struct reply *reply, size_t size)
{
    if (size > ZU_METADATA_SIZE_MAX - reply->size)
        return false;
    if (!reply->properties)
        reply->properties = zu_alloc(ZU_METADATA_SIZE_MAX);
    reply->no_memory |= !reply->properties;
    return reply->properties != NULL;
}

static unsigned read_status(struct reply *reply, const struct zu_view *view)
{
    const uint8_t *text = view->data;
    if (view->size != 3 || text[0] < '2' || text[0] > '5' || text[1] != '0' || text[2] != '0')
        return ZU_ZAP_INVALID_STATUS_CODE;
    reply->status = (unsigned)(text[0] - '0') * 100;
    return 0;
}

static unsigned read_user_id(struct reply *reply, const struct zu_view *view)
{
    if (!view->size)
        return 0;
    if (!reserve(reply, zu_property_size(strlen(USER_ID), view->size)))
        return ZU_ZAP_MALFORMED_REPLY;
    reply->size = zu_property_encode(reply->properties, USER_ID, view->data, view->size);
    reply->user_id = NULL;
    return 0;
}

static unsigned read_metadata(struct reply *reply, const struct zu_view *view)
{
    struct zu_property property;
    const uint8_t *at = view->data, *end = at + view->size;
    int more = 1;
    while (view->size && (more = zu_property_next(&at, end, &property)) > 0)
        ;
    if (more < 0)
        return ZU_ZAP_INVALID_METADATA;
    size_t own = reply->user_id && reply->user_id[0] ? zu_property_size(strlen(USER_ID), strlen(reply->user_id)) : 0;
    if (!view->size && !own)
        return 0;
    if (!reserve(reply, own + view->size))
        return ZU_ZAP_INVALID_METADATA;
    if (own)
        reply->size += zu_zap_user_property(reply->user_id, reply->properties + reply->size);
    if (view->size)
        memcpy(reply->properties + reply->size, view->data, view->size);
    reply->size += view->size;
    return 0;
}

static unsigned read_delimiter(struct reply *reply, const struct zu_view *view)
{
    (void)reply;
    return view->size ? ZU_ZAP_UNSPECIFIED : 0;
}

static unsigned read_version(struct reply *reply, const struct zu_view *view)
{
    (void)reply;
    return is_text(view, VERSION) ? 0 : ZU_ZAP_BAD_VERSION;
}

static unsigned read_request_id(struct reply *reply, const struct zu_view *view)
{
    (void)reply;
    return is_text(view, REQUEST_ID) ? 0 : ZU_ZAP_BAD_REQUEST_ID;
}

/* For people. */
static unsigned read_text(struct reply *reply, const struct zu_view *view)
{
    (void)reply, (void)view;
    return 0;
}

/* In their order; each says what is wrong with its frame, or 0. */
static unsigned (*const readers[])(struct reply *reply, const struct zu_view *view) = {
    read_delimiter, read_version, read_request_id, read_status, read_text, read_user_id, read_metadata,
};

enum { REPLY_FRAMES = sizeof readers / sizeof *readers };

/* True: one has come, whole as messages are. */
static bool reply_read(struct zu_pipe *in, struct reply *reply)
{
    struct zu_view view;
    do {
        if (zu_pipe_peek(in, &view))
            return false;
        if (!reply->error && reply->frames < REPLY_FRAMES)
            reply->error = readers[reply->frames](reply, &view);
        reply->frames++;
        zu_pipe_pop(in, &view);
    } while (view.flags & ZU_FRAME_MORE);
    if (reply->frames != REPLY_FRAMES)
        reply->error = ZU_ZAP_MALFORMED_REPLY;
    return true;
}

/* --- the question's life --- */

static void leave(struct zu_peer *peer)
{
    peer->socket = NULL;
    zu_pipe_end(peer->out);
    if (!peer->hung_up)
        peer->ops->hang_up(peer, 0);
    zu_pipe_leave(peer->in);
    peer->ops->release(peer);
}

static void end(struct question *question, const struct zu_verdict *verdict)
{
    struct zu_ask *ask = question->ask;
    leave(question->peer);
    zu_free(question, sizeof *question);
    ask->pending = NULL;
    ask->answered(ask, verdict);
}

static void read_and_end(struct question *question)
{
    struct reply reply = {.user_id = question->user_id};
    if (!reply_read(question->peer->in, &reply)) {
        if (question->peer->hung_up)
            end(question, &(struct zu_verdict){.error = -EFAULT});
        return;
    }
    struct zu_verdict verdict = {.status = reply.status, .properties = reply.properties, .properties_size = reply.size};
    if (reply.no_memory)
        verdict = (struct zu_verdict){.error = -ENOMEM};
    else if (reply.error)
        verdict = (struct zu_verdict){.error = -EPROTO, .protocol_error = reply.error};
    end(question, &verdict);
    if (reply.properties)
        zu_free(reply.properties, ZU_METADATA_SIZE_MAX);
}

static void on_readable(struct zu_peer *peer)
{
    if (peer->socket)
        read_and_end(peer->socket);
}

static void on_gone(struct zu_peer *peer)
{
    if (!peer->socket)
        return;
    peer->hung_up = true;
    read_and_end(peer->socket);
}

static void on_nothing(struct zu_peer *peer)
{
    (void)peer;
}

static const struct zu_peer_events events = {
    .attached = on_nothing,
    .met = on_nothing,
    .readable = on_readable,
    .writable = on_nothing,
    .gone = on_gone,
};

/* Zeros: no limit in either direction, no name. */
static struct zu_settings near_settings;

static void credential_free(void *data, void *hint)
{
    size_t size = (uintptr_t)hint;
    explicit_bzero(data, size);
    zu_free(data, size);
}

/* By reference whatever its size: nothing of it is in the pipe, and its own memory is wiped when the handler is through. */
static int credential_write(struct zu_pipe *out, const void *data, size_t size, bool more)
{
    if (size == 0)
        return zu_pipe_write(out, data, size, more);
    void *copy = zu_alloc(size);
    struct zu_msg msg;
    if (!copy)
        return -ENOMEM;
    memcpy(copy, data, size);
    int err = zu_msg_init_foreign(&msg, copy, size, credential_free, (void *)(uintptr_t)size);
    if (err) {
        credential_free(copy, (void *)(uintptr_t)size);
        return err;
    }
    err = zu_pipe_write_msg(out, &msg, more);
    if (err)
        zu_msg_close(&msg);
    return err;
}

static int write_request(struct zu_pipe *out, const struct zu_zap_terms *terms, const struct zu_ask *ask)
{
    const struct zu_credentials *shown = ask->credentials;
    const struct {
        const void *data;
        size_t size;
    } frames[] = {
        {"", 0},
        {VERSION, strlen(VERSION)},
        {REQUEST_ID, strlen(REQUEST_ID)},
        {terms->domain->data, terms->domain->size},
        {ask->address, strlen(ask->address)},
        {terms->socket->data, terms->socket->size},
        {shown->mechanism, strlen(shown->mechanism)},
    };
    const size_t count = sizeof frames / sizeof *frames;
    int err = 0;
    for (size_t i = 0; i < count && !err; i++)
        err = zu_pipe_write(out, frames[i].data, frames[i].size, i + 1 < count || shown->count);
    for (unsigned i = 0; i < shown->count && !err; i++)
        err = credential_write(out, shown->items[i].data, shown->items[i].size, i + 1 < shown->count);
    return err;
}

int zu_zap_ask(const struct zu_zap_terms *terms, struct zu_ask *ask)
{
    struct question *question = zu_alloc_zero(sizeof *question);
    if (!question)
        return -ENOMEM;
    struct zu_home home = {.socket = question, .events = &events, .box = &ask->shard->box, .settings = &near_settings};
    int err = zu_inproc_reach(terms->inproc, ENDPOINT, HANDLERS, &home, &question->peer);
    if (!err) {
        err = write_request(question->peer->out, terms, ask);
        if (err)
            leave(question->peer);
    }
    if (err) {
        zu_free(question, sizeof *question);
        return err;
    }
    question->ask = ask;
    strcpy(question->user_id, terms->user_id);
    ask->pending = question;
    read_and_end(question); /* mostly it finds nothing, and is called when there is something */
    return 0;
}

void zu_zap_withdraw(struct zu_ask *ask)
{
    struct question *question = ask->pending;
    if (!question)
        return;
    ask->pending = NULL;
    leave(question->peer);
    zu_free(question, sizeof *question);
}
