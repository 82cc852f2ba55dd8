/* SPDX-License-Identifier: MIT */
/*
 * The part of libzmq's API that it calls draft and may change. Included by zmq.h if ZMQ_BUILD_DRAFT_API is defined; its
 * conventions hold. The library exports these functions in any case, but what is not built yet fails with ENOTSUP:
 * ask zmq_has("draft").
 */
#ifndef ZMQ_EXPORT
#error "include zmq.h, with ZMQ_BUILD_DRAFT_API defined"
#endif
#ifndef ZMQ_DRAFT_H
#define ZMQ_DRAFT_H

/* For sigset_t, which <signal.h> hides from strict C. */
#include <sys/select.h>

/* Socket types. All but DGRAM may be used by several threads at once, have no ZMQ_FD and carry single frames only. */
#define ZMQ_SERVER 12  /* RFC 41: peers by the uint32 routing id of a message */
#define ZMQ_CLIENT 13  /* RFC 41: its peer */
#define ZMQ_RADIO 14   /* RFC 48: to every DISH in the message's group */
#define ZMQ_DISH 15    /* RFC 48: the groups it joined */
#define ZMQ_GATHER 16  /* RFC 49: receives fairly from all */
#define ZMQ_SCATTER 17 /* RFC 49: sends to peers in turn */
#define ZMQ_DGRAM 18   /* raw UDP: [address:port][payload] */
#define ZMQ_PEER 19    /* RFC 51: SERVER that can also connect */
#define ZMQ_CHANNEL 20 /* RFC 52: thread-safe PAIR */

/* Socket options; the notes read as in zmq.h. */
#define ZMQ_ZAP_ENFORCE_DOMAIN 93        /* sg int 0: 1 follows RFC 27 strictly: no domain, no ZAP */
#define ZMQ_LOOPBACK_FASTPATH 94         /* sg int 0: Windows only */
#define ZMQ_METADATA 95                  /* s str "X-name:value": a further property in the handshake (RFC 37) */
#define ZMQ_MULTICAST_LOOP 96            /* sg int 1: own multicast comes back (udp) */
#define ZMQ_ROUTER_NOTIFY 97             /* sg int 0: ZMQ_NOTIFY_* bits: [id][empty] when a peer comes or goes */
#define ZMQ_XPUB_MANUAL_LAST_VALUE 98    /* s int 0: 1 is ZMQ_XPUB_MANUAL, and the next send goes to the newest only */
#define ZMQ_SOCKS_USERNAME 99            /* sg str "": SOCKS5 login */
#define ZMQ_SOCKS_PASSWORD 100           /* sg str "" */
#define ZMQ_IN_BATCH_SIZE 101            /* sg int octets 8192: receive buffer */
#define ZMQ_OUT_BATCH_SIZE 102           /* sg int octets 8192: send batch */
#define ZMQ_WSS_KEY_PEM 103              /* s str: only if zmq_has("WSS"), as the next four */
#define ZMQ_WSS_CERT_PEM 104             /* s str */
#define ZMQ_WSS_TRUST_PEM 105            /* s str */
#define ZMQ_WSS_HOSTNAME 106             /* s str */
#define ZMQ_WSS_TRUST_SYSTEM 107         /* s int 0: 1 trusts the system's authorities */
#define ZMQ_ONLY_FIRST_SUBSCRIBE 108     /* s int 0: 1 lets only the first frame be a subscription (PUB, XPUB, XSUB) */
#define ZMQ_RECONNECT_STOP 109           /* sg int 0: ZMQ_RECONNECT_STOP_* bits: when not to try again */
#define ZMQ_HELLO_MSG 110                /* s bytes: first message on each new connection */
#define ZMQ_DISCONNECT_MSG 111           /* s bytes: received when an accepted peer goes */
#define ZMQ_PRIORITY 112                 /* sg int 0: SO_PRIORITY */
#define ZMQ_BUSY_POLL 113                /* s int 0: SO_BUSY_POLL */
#define ZMQ_HICCUP_MSG 114               /* s bytes: received when a connection we made drops */
#define ZMQ_XSUB_VERBOSE_UNSUBSCRIBE 115 /* s int 0: 1 forwards duplicate unsubscriptions */
#define ZMQ_TOPICS_COUNT 116             /* g int: distinct prefixes (PUB, XPUB, SUB, XSUB) */
#define ZMQ_NORM_MODE 117                /* sg int ZMQ_NORM_CC: only if zmq_has("norm"), as the rest */
#define ZMQ_NORM_UNICAST_NACK 118        /* sg int 0 */
#define ZMQ_NORM_BUFFER_SIZE 119         /* sg int KiB 2048 */
#define ZMQ_NORM_SEGMENT_SIZE 120        /* sg int octets 1400 */
#define ZMQ_NORM_BLOCK_SIZE 121          /* sg int 16 */
#define ZMQ_NORM_NUM_PARITY 122          /* sg int 4 */
#define ZMQ_NORM_NUM_AUTOPARITY 123      /* sg int 0 */
#define ZMQ_NORM_PUSH 124                /* sg int 0 */

#define ZMQ_NORM_FIXED 0
#define ZMQ_NORM_CC 1
#define ZMQ_NORM_CCL 2
#define ZMQ_NORM_CCE 3
#define ZMQ_NORM_CCE_ECNONLY 4

#define ZMQ_RECONNECT_STOP_CONN_REFUSED 0x1     /* the connect was refused */
#define ZMQ_RECONNECT_STOP_HANDSHAKE_FAILED 0x2 /* it ended before the handshake did */
#define ZMQ_RECONNECT_STOP_AFTER_DISCONNECT 0x4 /* it had been up (4.3.4 had 3 here: the other two) */

#define ZMQ_NOTIFY_CONNECT 1
#define ZMQ_NOTIFY_DISCONNECT 2

/* Context option. */
#define ZMQ_ZERO_COPY_RECV 10 /* sg int 1: received messages may refer to the receive buffer */

/* Keys of zmq_msg_gets(). */
#define ZMQ_MSG_PROPERTY_ROUTING_ID "Routing-Id" /* absent in practice: ask for "Identity" */
#define ZMQ_MSG_PROPERTY_SOCKET_TYPE "Socket-Type"
#define ZMQ_MSG_PROPERTY_USER_ID "User-Id"
#define ZMQ_MSG_PROPERTY_PEER_ADDRESS "Peer-Address"

/* zmq_ctx_set() and _get() for options of any type; *optvallen is the room before, the octets used after.
 * Errors: EFAULT, EINVAL (also a wrong size). */
ZMQ_EXPORT int zmq_ctx_set_ext(void *context, int option, const void *optval, size_t optvallen);
ZMQ_EXPORT int zmq_ctx_get_ext(void *context, int option, void *optval, size_t *optvallen);

/* A DISH joins or leaves a group of at most ZMQ_GROUP_MAX_LENGTH octets (RFC 48).
 * Errors: EINVAL (joined already, not joined, too long), ENOTSUP (not a DISH), ETERM, ENOTSOCK. */
ZMQ_EXPORT int zmq_join(void *socket, const char *group);
ZMQ_EXPORT int zmq_leave(void *socket, const char *group);

/* zmq_connect() for PEER; returns the routing id of the peer-to-be, or 0 (RFC 51).
 * Errors: those of zmq_connect(), ENOTSUP (not a PEER), EFAULT (ZMQ_IMMEDIATE is set). */
ZMQ_EXPORT uint32_t zmq_connect_peer(void *socket, const char *endpoint);

/* SERVER and PEER: drops one peer. Errors: EHOSTUNREACH (unknown), ENOTSUP (other types), ETERM, ENOTSOCK. */
ZMQ_EXPORT int zmq_disconnect_peer(void *socket, uint32_t routing_id);

/* ROUTER and REP: ZMQ_POLLOUT if that peer has room, else 0.
 * Errors: EHOSTUNREACH (unknown), ENOTSUP (other types), ETERM, ENOTSOCK. */
ZMQ_EXPORT int zmq_socket_get_peer_state(void *socket, const void *routing_id, size_t routing_id_size);

/* The peer a SERVER or PEER message goes to (set; Errors: EINVAL for id 0, EFAULT) or came from (get; 0 if none). */
ZMQ_EXPORT int zmq_msg_set_routing_id(zmq_msg_t *msg, uint32_t routing_id);
ZMQ_EXPORT uint32_t zmq_msg_routing_id(zmq_msg_t *msg);

/* The group of a RADIO or DISH message; the returned text lives as long as the message. Errors: EINVAL (longer than
 * ZMQ_GROUP_MAX_LENGTH), ENOMEM, EFAULT. */
ZMQ_EXPORT int zmq_msg_set_group(zmq_msg_t *msg, const char *group);
ZMQ_EXPORT const char *zmq_msg_group(zmq_msg_t *msg);

/* zmq_msg_init_size() and a copy of `buf`. Errors: EFAULT, ENOMEM. */
ZMQ_EXPORT int zmq_msg_init_buffer(zmq_msg_t *msg, const void *buf, size_t size);

/* zmq_poll() with `sigmask` (NULL: none) as the signal mask while it sleeps, set and reset atomically. Descriptors of any
 * number. No thread-safe sockets. Errors: those of zmq_poll(). */
ZMQ_EXPORT int zmq_ppoll(zmq_pollitem_t *items, int nitems, long timeout_ms, const sigset_t *sigmask);

/* ---- Poller: a lasting set of sockets and descriptors. One thread at a time, the same as its sockets ---- */

/* A wait costs by what is ready and what was used since the last one, not by how much is in the set. */

#define ZMQ_HAVE_POLLER

typedef struct zmq_poller_event_t {
    void *socket;    /* the socket, NULL for a descriptor */
    zmq_fd_t fd;     /* the descriptor; -1 in unused events */
    void *user_data; /* as given when it was added */
    short events;    /* what holds: ZMQ_POLL* */
} zmq_poller_event_t;

/* An empty poller, or NULL: ENOMEM, EMFILE. Destroying frees it and sets *poller to NULL: EFAULT. */
ZMQ_EXPORT void *zmq_poller_new(void);
ZMQ_EXPORT int zmq_poller_destroy(void **poller);

/* Number of sockets and descriptors in it. Errors: EFAULT. */
ZMQ_EXPORT int zmq_poller_size(void *poller);

/* Adds a socket, changes its wanted events (ZMQ_POLL* bits, 0 rests), removes it. A socket may be in several pollers; one
 * that is closed leaves them. Errors: EFAULT, ENOTSOCK, EINVAL (in it already, not in it, other bits), ENOMEM, EMFILE. */
ZMQ_EXPORT int zmq_poller_add(void *poller, void *socket, void *user_data, short events);
ZMQ_EXPORT int zmq_poller_modify(void *poller, void *socket, short events);
ZMQ_EXPORT int zmq_poller_remove(void *poller, void *socket);

/* The same for descriptors. Remove one before its number is used again.
 * Errors: EFAULT, EBADF (none is open by that number), EINVAL (also the ZMQ_FD of a socket in it), ENOMEM, EMFILE. */
ZMQ_EXPORT int zmq_poller_add_fd(void *poller, zmq_fd_t fd, void *user_data, short events);
ZMQ_EXPORT int zmq_poller_modify_fd(void *poller, zmq_fd_t fd, short events);
ZMQ_EXPORT int zmq_poller_remove_fd(void *poller, zmq_fd_t fd);

/* Waits at most timeout_ms (-1 for ever, 0 only looks) for one event: 0, or -1 with *event cleared, its fd -1.
 * Level-triggered; what is ready has its turn. Errors: EAGAIN (timeout), EFAULT (also waiting for ever on nothing), ETERM,
 * EINTR. */
ZMQ_EXPORT int zmq_poller_wait(void *poller, zmq_poller_event_t *event, long timeout_ms);

/* The same for up to n_events, returning their number, never 0; the rest of the array is cleared. It stays as it was when
 * the wait fails. Errors: as above, EINVAL (n_events < 0). */
ZMQ_EXPORT int zmq_poller_wait_all(void *poller, zmq_poller_event_t *events, int n_events, long timeout_ms);

/* Stores a descriptor that is readable when a thread-safe socket in the poller may have events.
 * Errors: EINVAL (no such socket in it), EFAULT. */
ZMQ_EXPORT int zmq_poller_fd(void *poller, zmq_fd_t *fd);

/* ---- Monitoring, version 2 ---- */

#define ZMQ_EVENT_PIPES_STATS 0x10000 /* two values: messages queued out, in; only on request, one event per peer */

#define ZMQ_CURRENT_EVENT_VERSION 1
#define ZMQ_CURRENT_EVENT_VERSION_DRAFT 2

#define ZMQ_EVENT_ALL_V1 ZMQ_EVENT_ALL
#define ZMQ_EVENT_ALL_V2 (ZMQ_EVENT_ALL_V1 | ZMQ_EVENT_PIPES_STATS)

/* zmq_socket_monitor() through a socket of `type` PAIR, PUB or PUSH, as far as it is built. Version 1 writes its frames; version 2 writes
 * uint64 event, uint64 count, that many uint64 values, local and remote endpoint, a frame each.
 * Errors: those of zmq_socket_monitor(), EINVAL (version or type). */
ZMQ_EXPORT int zmq_socket_monitor_versioned(void *socket, const char *endpoint, uint64_t events, int event_version,
                                            int type);

/* Emits ZMQ_EVENT_PIPES_STATS for every peer, with what its queues hold now; a peer that is not connected yet has the
 * endpoint that was given to zmq_connect(). Errors: EINVAL (not monitored), EAGAIN (no peers), ETERM, ENOTSOCK. */
ZMQ_EXPORT int zmq_socket_monitor_pipes_stats(void *socket);

#endif
