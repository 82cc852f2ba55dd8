/* SPDX-License-Identifier: MIT */
/*
 * What zuring has and libzmq does not: choosing who drives a shard, spin budgets, counters. It only adds to zmq.h,
 * works on the same handles and follows its conventions for errors and threads. Programs that stay with zmq.h never
 * need it; the drop-in libzmq.so.5 does not export it.
 */
#ifndef ZURING_H
#define ZURING_H

#include <stddef.h>
#include <stdint.h>

#include "zmq.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ZURING_EXPORT __attribute__((visibility("default")))

#define ZURING_VERSION "0.1.0"

/* zuring's own version at run time, "major.minor.patch"; zmq_version() gives that of the API. Static; any thread. */
ZURING_EXPORT const char *zuring_version(void);

/*
 * Who moves the messages: context options, for zmq_ctx_set and zmq_ctx_get, before the context's first socket. The
 * environment sets them for programs that nobody will change; what the program sets itself counts more.
 *
 * ZURING_DRIVE (environment: ZURING_DRIVE=background or inline)
 *   BACKGROUND, the default: threads of the library move messages at any time, as in libzmq.
 *   INLINE: the thread that uses a socket moves that socket's messages itself, in its calls; no thread is woken.
 *     What moves when: zmq_send, zmq_recv, zmq_poll, ZMQ_EVENTS, bind, connect and close each do what can be done without
 *     sleeping when they need it, and a call that waits does everything until it returns. A send out of quiet goes out
 *     before the call returns, and so do the next 15; from then on it is a stream, whose messages gather and go out when
 *     they are FLUSH_BYTES, when the first of them is FLUSH_US old (seen by the thread's next calls that send there, or
 *     receive or poll anywhere), and before the thread sleeps in the library or when a receive or poll finds nothing, on
 *     whatever socket or none. Quiet is 5 microseconds without a send, or a wait.
 *     While the caller stays away: messages that it has sent go out within 2 ms, and connections that it has begun are
 *     made, by a thread of the context that sleeps otherwise ("zuring/keeper"). Nothing is received, no connection is
 *     accepted, no PING is sent or answered: a socket that is left alone for longer than its peers' heartbeats allow is
 *     dropped by them. Two sockets of one thread: a call on one moves of the other what is said above, batches that were
 *     sent, and nothing else.
 *     zmq_close and zmq_ctx_term are as in libzmq; what lingers is sent by the same thread. ZMQ_FD can be polled; ask
 *     ZMQ_EVENTS when it is readable. A socket may pass from thread to thread as in libzmq. inproc is the same in both.
 *     ZMQ_IO_THREADS, ZMQ_AFFINITY and the thread options have nothing to act on.
 *
 * ZURING_SPIN_US (ZURING_SPIN_US=50): how long a thread looks again and again before it sleeps, in microseconds, 0 to
 *   1000000. For callers that wait, and for the threads of the background. It costs a processor while it
 *   lasts, and saves the wake-up when something comes in that time. A signal that is handled in that time does not end
 *   the call with EINTR; one that comes in the sleep does.
 *   -1, the default: callers sleep at once; so do background threads, but for a dialogue that goes on in batches, when they
 *   look for 30 microseconds. At most a microsecond is spent for each 80 octets that went both ways over a connection, less
 *   where nothing comes in that time.
 * ZURING_FLUSH_BYTES, ZURING_FLUSH_US (the same): inline streams, see above; 131072 bytes from 1 on, and 20 microseconds,
 *   0 to 1000000.
 * ZURING_CPUS (ZURING_CPUS=2,3): for zmq_ctx_set_ext, a text: the processor of each background thread in turn. Cannot be
 *   asked for.
 * Environment alone: ZURING_SHARDS=2, a number of background threads in place of ZMQ_IO_THREADS.
 *
 * EINVAL: a value out of range. What the environment holds and cannot be understood is told on stderr and left alone.
 * All of it zuring's own.
 */
#define ZURING_DRIVE 0x7a00
#define ZURING_SPIN_US 0x7a01
#define ZURING_FLUSH_BYTES 0x7a02
#define ZURING_FLUSH_US 0x7a03
#define ZURING_CPUS 0x7a04

#define ZURING_DRIVE_BACKGROUND 0
#define ZURING_DRIVE_INLINE 1

/*
 * How many may come to a listener: socket options, ints, taken along by the next zmq_bind. For each endpoint by itself.
 *
 * ZURING_MAX_CONNECTIONS: connections at a time; 0, the default: as many as there are descriptors. One more takes the
 *   place of the oldest that is still in its handshake. Where there is none it is closed at once: ZMQ_EVENT_ACCEPT_FAILED
 *   with EUSERS and, in version 2 of the monitor, its address.
 * ZURING_MAX_HANDSHAKES: connections that are still in their handshake, and have not been authenticated; 0, the default:
 *   no limit. One more ends the oldest of them.
 * ZURING_MAX_HANDSHAKE_BYTES: octets that a peer may say before it is let in, 1024 and more; 131072 by default. The rest of
 *   what libzmq lets it say is bound already: ZMQ_HANDSHAKE_IVL its time, 64 KiB a command. E2BIG.
 *
 * Of several background threads (ZMQ_IO_THREADS) together there are never more than that; the oldest is then the oldest of
 * one thread's, and a newcomer is only refused if none of them has any, or if that one has just gone by itself.
 *
 * Without descriptors for more connections, a quarter of those of the accepting thread that are still in their handshake
 * goes, oldest first, so that strangers who say nothing cannot keep others out: EMFILE (or ENFILE, ENOMEM, ENOBUFS).
 *
 * Who is ended is told by ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL with that errno (EUSERS by the first two), then
 * ZMQ_EVENT_DISCONNECTED. Its own side sees the connection end, and a zmq_connect tries again after RECONNECT_IVL.
 */
#define ZURING_MAX_CONNECTIONS 0x7a20
#define ZURING_MAX_HANDSHAKES 0x7a21
#define ZURING_MAX_HANDSHAKE_BYTES 0x7a22

/*
 * What has become of the messages of one peer, each way. At a moment when nothing moves, both sums hold:
 *   sent_accepted = sent_handed + sent_dropped + sent_queued,  received = taken + received_queued.
 * While messages move, each figure is right for some moment of the call.
 */
struct zuring_peer_counts {
    uint64_t sent_accepted;   /* sends that succeeded */
    uint64_t sent_handed;     /* of these, wholly taken by the kernel, or by the receiving program (inproc) */
    uint64_t sent_dropped;    /* of these, lost: the peer went away for good, or was full where that drops */
    uint64_t sent_queued;     /* of these, still here; never more than the HWM */
    uint64_t received;        /* messages that have arrived whole */
    uint64_t taken;           /* of these, received by the program */
    uint64_t received_queued; /* of these, not yet */
};

/*
 * The socket's present peers, in the order in which they came: connections, endpoints being connected to, inproc
 * partners. *count is the room in `counts` on entry (0 with NULL asks for the number alone), and on return how many
 * peers there are, which may be more than fitted. Call it from the thread that uses the socket.
 * 0, or -1 with errno ENOTSOCK (no socket), ETERM, EFAULT (NULL count, or NULL counts with room), ENOMEM. zuring's own.
 */
ZURING_EXPORT int zuring_peers(void *socket, struct zuring_peer_counts *counts, size_t *count);

/*
 * How many messages the socket has accepted and given to nobody since it was made, so that no peer's row counts them: a
 * ROUTER's to a name that nobody has (without ROUTER_MANDATORY) or without any body, a REP's reply to one that has gone, a
 * STREAM's lone frame, and whatever was cut short when its peer went. What a PUB sends and nobody wants is no such message.
 * Call it from the thread that uses the socket.
 * 0, or -1 with errno ENOTSOCK, ETERM, EFAULT (NULL count). zuring's own.
 */
ZURING_EXPORT int zuring_unroutable(void *socket, uint64_t *count);

/*
 * How many events of the socket (zmq_socket_monitor) were wanted and given up since it was made: nobody was connected to the
 * monitor's endpoint, or the reader's and the monitor's limits (RCVHWM + 1000) were reached. Monitoring never holds
 * anything up: what does not fit is dropped, whole. Any thread.
 * 0, or -1 with errno ENOTSOCK, EFAULT (NULL count). zuring's own.
 */
ZURING_EXPORT int zuring_monitor_dropped(void *socket, uint64_t *count);

/*
 * Letting peers in without a ZAP handler and its thread. A peer by tcp or ipc whose handshake has got as far as showing who it
 * is passes up to three, in this order; the first that says no has the last word:
 *   the keys      zuring_admit_keys: its CURVE key must be in the set, else 400.
 *   the callback  zuring_admit_by: 200 lets it pass.
 *   ZAP           the handler at inproc://zeromq.zap.01, when and as libzmq asks it. With a callback PLAIN needs no handler.
 * Whoever has keys or a callback asks them of every peer, whatever the mechanism: a peer by NULL or PLAIN shows no key, so a
 * set of keys lets nobody in but by CURVE. With NULL both sides ask, the connecting one about the server it has reached; with
 * PLAIN and CURVE the server's side alone. Peers of ZMTP 1.0 and 2.0, which show nothing, are refused. inproc asks nobody, nor
 * does a socket without ZMTP (STREAM, ZMQ_ROUTER_RAW): there both calls fail with ENOTSUP, but to take back what was set,
 * and so do a bind and a connect of a socket that was made raw later.
 * Both calls act on the socket's binds and connects from then on, and on none before, as an option would.
 */

/*
 * A set of CURVE public keys, for any number of sockets. It may be changed at any time by any thread; a change is seen by the
 * next handshakes, and ends no connection that is there. Destroyed, it is out of the program's hands, and lives on, as it is,
 * for as long as sockets use it.
 * new: NULL with errno ENOMEM. destroy: takes the pointer and sets it to NULL.
 * A key is 32 octets, or its Z85 text: 40 characters, with or without a NUL (size 41).
 * add: 0, also for a key that is there. remove: ENOENT for one that is not. has: 1 or 0.
 * -1 with errno EFAULT (no such set, or NULL for a key), EINVAL (no key), ENOMEM. Not in a child of a fork. zuring's own.
 */
ZURING_EXPORT void *zuring_keys_new(void);
ZURING_EXPORT int zuring_keys_destroy(void **keys_p);
ZURING_EXPORT int zuring_keys_add(void *keys, const void *key, size_t size);
ZURING_EXPORT int zuring_keys_remove(void *keys, const void *key, size_t size);
ZURING_EXPORT int zuring_keys_has(void *keys, const void *key, size_t size);

/*
 * The socket lets in only peers whose key is in the set; NULL: no matter whose. Call it from the thread that uses the
 * socket. 0, or -1 with errno ENOTSOCK, ETERM, ENOTSUP, EFAULT (no such set). zuring's own.
 */
ZURING_EXPORT int zuring_admit_keys(void *socket, void *keys);

/* Who asks to be let in. All of it is valid during the call alone; nothing is NULL but the credentials that are not there. */
struct zuring_visitor {
    const char *mechanism;       /* "NULL", "PLAIN" or "CURVE" */
    const char *domain;          /* ZMQ_ZAP_DOMAIN; "" when it was not set */
    const char *address;         /* as the message property Peer-Address; "" when there is none */
    unsigned credential_count;   /* NULL 0; PLAIN 2: name and password; CURVE 1: the public key, 32 octets */
    const void *credentials[2];  /* octets, not ended by a NUL; NULL when there are none */
    size_t credential_sizes[2];  /* how many */
    char *user_id;               /* room for 256 octets, "": a text here becomes the message property User-Id */
};

/*
 * 200: may pass. 300: not now; the connection is closed without a word, and the peer tries again. 400 (unknown, wrong
 * password), 500 (cannot say): the peer is told, and does not try again. Anything else counts as 500. A handler of ZAP behind
 * it may give another user id.
 * It runs on a thread of the library (inline: whichever thread moves the socket's messages, the keeper among them), for
 * several peers at the same time where there are several such threads, and all of the thread's traffic waits for it: it must
 * be quick, must not sleep, and must not call anything on the socket. It may be called until zmq_ctx_term has returned.
 */
typedef int zuring_admit_fn(const struct zuring_visitor *visitor, void *data);

/*
 * The socket asks `admit`, with `data`, whether a peer may come in; NULL: nobody. Call it from the thread that uses the
 * socket. 0, or -1 with errno ENOTSOCK, ETERM, ENOTSUP. zuring's own.
 */
ZURING_EXPORT int zuring_admit_by(void *socket, zuring_admit_fn *admit, void *data);

#undef ZURING_EXPORT

#ifdef __cplusplus
}
#endif

#endif
