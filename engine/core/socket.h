/* SPDX-License-Identifier: MIT */
/*
 * A socket: its pattern, options, endpoints and peers. One thread at a time uses it, as in libzmq; shards and other
 * sockets reach it through its mailbox. It never lives on a shard: what lingers after close are its connections. In inline
 * drive that thread steps the shard of the socket's connections besides.
 */
#ifndef ZU_CORE_SOCKET_H
#define ZU_CORE_SOCKET_H

#include "base/clock.h"
#include "core/context.h"
#include "core/guard.h"
#include "core/monitor.h"
#include "core/option.h"
#include "flow/pattern.h"
#include "link/dial.h"
#include "link/listen.h"

#define ZU_SOCKET_TAG 0x7a75736bu

/* Why the fast path must stop and look. */
enum zu_socket_state {
    ZU_SOCKET_LIVE,
    ZU_SOCKET_WATCHED, /* live; a poller wants to know of its next use */
    ZU_SOCKET_STOPPED, /* -ETERM */
    ZU_SOCKET_FORKED,  /* the parent's */
};

/* What a send must mind besides the pattern. */
enum { ZU_SEND_DRIVES = 1 /* inline: batches are ours to flush */, ZU_SEND_ANSWERS = 2 /* the thread has waited since */ };

struct zu_socket {
    uint32_t tag;                  /* ZU_SOCKET_TAG from zmq_socket to zmq_close */
    _Atomic unsigned state;        /* enum zu_socket_state; relaxed: set by a note on the using thread, or by atfork */
    struct zu_pattern pattern;     /* who gets and gives messages */
    bool rcvmore;                  /* the last part received has more behind it */
    bool deaf;                     /* its user never receives: who has gone is not waited for to be read */
    uint8_t ways;                  /* ZU_SEND_ bits */
    uint8_t answers;               /* ZU_SEND_ANSWERS once there is an endpoint by a stream: inproc wakes nobody else anyway */
    struct zu_spinner spinner;     /* the using thread: before it sleeps */

    struct zu_mailbox box ZU_ALIGNED_LINE; /* any thread posts; its count keeps the socket's memory */
    _Atomic uint32_t asleep;       /* futex: the using thread sleeps. seq_cst exchange by both, against post */
    _Atomic int ran_on;            /* processor of the using thread when it last looked into the box; relaxed, a hint */
    _Atomic int event_fd;          /* ZMQ_FD, -1 until asked for. seq_cst: set, then look at the box; post, then load */
    _Atomic(struct zu_drive *) drive; /* inline, from the first endpoint on; seq_cst as event_fd. In place of the two above */

    /* The using thread. */
    struct zu_monitor monitor;     /* whom events are told; a lock of its own */
    struct zu_options options;     /* as set */
    struct zu_admission admission; /* who lets peers in, beside ZAP */
    struct zu_context *context;    /* its context, which outlives it */
    unsigned type;                 /* ZMQ_PUSH and so on */
    struct zu_link peers;          /* struct zu_peer.link */
    struct zu_link endpoints;      /* struct zu_endpoint_entry.link */
    struct zu_link watches;        /* struct zu_polled.of_socket: the pollers it is in */
    uintptr_t endpoint_ids;        /* given out so far */
    struct zu_note stop;           /* from the context: everything fails with -ETERM from now on */
    struct zu_link link;           /* under the context's lock: among its open sockets */
};

/* --- socket.c --- */

/* -EINVAL for an unknown type; else as zu_context_enter; -ENOMEM. */
int zu_socket_new(struct zu_context *context, unsigned type, struct zu_socket **ret_socket);
/* Hands what is left to send to the shards, under LINGER. The socket is not the caller's any more. */
void zu_socket_close(struct zu_socket *socket);
/* Any thread, under the context's lock: wakes the socket's user with -ETERM. */
void zu_socket_stop(struct zu_socket *socket);
/* atfork, in the child. */
void zu_socket_forked(struct zu_socket *socket);
/* 0, or why no call but close is possible now: -ZU_ETERM. Runs what others have posted. */
int zu_socket_check(struct zu_socket *socket);
/* What endpoints hand to the peers they make. */
const struct zu_peer_events *zu_socket_peer_events(void);
/* New limits go to the pipes that exist. */
void zu_socket_apply_hwm(struct zu_socket *socket);
/* A peer made by this thread; what shards and other sockets make comes by note. */
void zu_socket_attach(struct zu_socket *socket, struct zu_peer *peer);
/* The messages of one peer: to it, and from it. Zero where that half has ended. */
struct zu_peer_counts {
    struct zu_pipe_counts out;
    struct zu_pipe_counts in;
};
/* Fills as many as there is room for; returns how many peers there are. */
size_t zu_socket_count(struct zu_socket *socket, struct zu_peer_counts *ret_counts, size_t room);
/* The peers that came by an endpoint: nothing more is sent to them; what they sent can still be read. */
void zu_socket_part_from(struct zu_socket *socket, const void *id);

ZU_INLINE int zu_socket_enter(struct zu_socket *socket)
{
    if (zu_likely(atomic_load_explicit(&socket->box.head, memory_order_relaxed) == NULL &&
                  atomic_load_explicit(&socket->state, memory_order_relaxed) == ZU_SOCKET_LIVE))
        return 0;
    return zu_socket_check(socket);
}

/* The using thread: inline drive, once there is something to drive; else NULL. */
ZU_INLINE struct zu_drive *zu_socket_has_drive(struct zu_socket *socket)
{
    return atomic_load_explicit(&socket->drive, memory_order_relaxed); /* written by this thread alone */
}

/* --- socket_io.c --- */

enum { ZU_DONTWAIT = 1, ZU_SNDMORE = 2 };

int zu_socket_send_slowly(struct zu_socket *socket, struct zu_part *part, int flags, int err);
int zu_socket_send_mindful(struct zu_socket *socket, struct zu_part *part, int flags);
int zu_socket_peek_slowly(struct zu_socket *socket, struct zu_view *ret_view, int flags, int err);

/* To the pattern, or the slow way. */
ZU_INLINE int zu_socket_hand_in(struct zu_socket *socket, struct zu_part *part, int flags)
{
    int err = zu_socket_enter(socket);
    if (zu_likely(!err))
        err = socket->pattern.ops->send(&socket->pattern, part);
    return zu_likely(!err) ? 0 : zu_socket_send_slowly(socket, part, flags, err);
}

/* 0; -EAGAIN, -EINTR, -ENOTSUP, -ENOMEM, -ZU_ETERM. On failure the part is untouched. */
ZU_INLINE int zu_socket_send(struct zu_socket *socket, struct zu_part *part, int flags)
{
    struct zu_drive *drive = NULL;
    if (zu_unlikely(socket->ways)) {
        drive = zu_socket_has_drive(socket);
        /* Another thread's drive is not looked into: that one may just be handing over its batch. */
        if (socket->ways != ZU_SEND_DRIVES || drive->batches != zu_batches_here || !drive->messages)
            return zu_socket_send_mindful(socket, part, flags);
    }
    int err = zu_socket_hand_in(socket, part, flags);
    if (zu_unlikely(drive) && !err)
        zu_drive_sent_more(drive, part->size);
    return err;
}

/* Views the next frame in, which the caller takes from its pipe and then calls zu_socket_taken. Errors as above. */
ZU_INLINE int zu_socket_peek(struct zu_socket *socket, struct zu_view *ret_view, int flags)
{
    zu_batches_look();
    int err = zu_socket_enter(socket);
    if (zu_likely(!err))
        err = socket->pattern.ops->peek(&socket->pattern, ret_view);
    return zu_likely(!err) ? 0 : zu_socket_peek_slowly(socket, ret_view, flags, err);
}

ZU_INLINE void zu_socket_taken(struct zu_socket *socket, unsigned flags)
{
    socket->rcvmore = flags & ZU_FRAME_MORE;
    zu_pattern_taken(&socket->pattern, flags);
}
/* ZU_POLL_ bits of what is possible now. */
unsigned zu_socket_events(struct zu_socket *socket);
/*
 * The same, or a negative errno, after a look at the box in any case. A poster writes the event descriptor behind its
 * note, perhaps when the note has run: without this, it would stay readable with nothing to say.
 */
int zu_socket_check_events(struct zu_socket *socket);
/* The thread is about to sleep: what lies in a stream's pipe goes now. */
ZU_INLINE void zu_socket_rest(struct zu_socket *socket)
{
    if (socket->pattern.ops->rest)
        socket->pattern.ops->rest(&socket->pattern);
    else
        zu_balance_rest(&socket->pattern.out);
}

/* The thread has waited for messages: its next send is an answer, which does not wait for company. */
ZU_INLINE void zu_socket_waited(struct zu_socket *socket)
{
    socket->ways |= socket->answers;
}
/* Hands over the thread's batches, rests, then sleeps until something was posted: 0, -EINTR, -ETIMEDOUT. */
int zu_socket_wait(struct zu_socket *socket, uint64_t until_ns);
/* Inline: moves what can be moved without sleeping. Then as zu_socket_check. */
int zu_socket_refresh(struct zu_socket *socket);
/* A descriptor that is readable while something is posted; negative errno. */
int zu_socket_event_fd(struct zu_socket *socket);
/* Inline: the drive, made when it is not there yet. -ENOMEM, -EMFILE. */
int zu_socket_drive(struct zu_socket *socket, struct zu_drive **ret_drive);

/* --- socket_endpoint.c --- */

int zu_socket_bind(struct zu_socket *socket, const char *text);
int zu_socket_connect(struct zu_socket *socket, const char *text);
/* zmq_unbind and zmq_disconnect alike. -ENOENT. */
int zu_socket_forget(struct zu_socket *socket, const char *text);
void zu_socket_forget_all(struct zu_socket *socket);
/* Whether the endpoint that a peer came by has been neither unbound nor disconnected. */
bool zu_socket_has_endpoint(const struct zu_socket *socket, const void *id);

/* What a peer that came by it is called before there is a connection; valid until it is unbound or disconnected. */
struct zu_names zu_socket_endpoint_names(const struct zu_socket *socket, const void *id);

/* A transport beside the built-in ones, for tests; NULL for none. */
extern const struct zu_transport *zu_transport_extra;

/* --- socket_option.c --- */

int zu_socket_set(struct zu_socket *socket, int number, const void *value, size_t size);
int zu_socket_get(struct zu_socket *socket, int number, void *value, size_t *size);
/* NULL without memory. */
struct zu_settings *zu_socket_settings(const struct zu_socket *socket);

#endif
