/* SPDX-License-Identifier: MIT */
/*
 * The ZeroMQ C API, compatible in source and binary with libzmq 4.3 (SONAME libzmq.so.5). Usable from C and C++.
 * What zuring has beyond it is in zuring.h; libzmq's draft part is in zmq_draft.h, included with ZMQ_BUILD_DRAFT_API.
 *
 * Conventions
 * - A failing call returns -1 or NULL and sets errno in the calling thread; success leaves errno alone. "Errors:" lists
 *   what a function adds to the rules below. "RFC n" is rfc.zeromq.org/spec/n; without one, libzmq sets the behaviour.
 * - Handles are checked on entry: a context that is NULL or gone is EFAULT, a socket ENOTSOCK, timers EFAULT. Nothing
 *   in the library aborts the process, neither misuse nor what a peer sends.
 * - Threads: a context may be used from any thread. A socket belongs to one thread at a time; handing it over needs a
 *   full memory barrier (a mutex, a thread start). A message, timers or stopwatch is used by one thread at a time.
 * - Strings passed in are copied before the call returns; buffers stay the caller's unless the text says otherwise.
 * - After fork(), the child may only close and terminate what it inherited; what it sends is ignored.
 */
#ifndef __ZMQ_H_INCLUDED__
#define __ZMQ_H_INCLUDED__

/* The release of libzmq whose API this is; zmq_version() says the same at run time. */
#define ZMQ_VERSION_MAJOR 4
#define ZMQ_VERSION_MINOR 3
#define ZMQ_VERSION_PATCH 6

#define ZMQ_MAKE_VERSION(major, minor, patch) ((major) * 10000 + (minor) * 100 + (patch))
#define ZMQ_VERSION ZMQ_MAKE_VERSION(ZMQ_VERSION_MAJOR, ZMQ_VERSION_MINOR, ZMQ_VERSION_PATCH)

/* Old programs rely on these four coming with zmq.h. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ZMQ_EXPORT __attribute__((visibility("default")))

#define ZMQ_DEFINED_STDINT 1

/* ---- Errors ---- */

/* Own codes start far above the system's. The offsets 1..18 stand in for POSIX names that some systems lack; Linux
 * has them all, so they never occur here. */
#define ZMQ_HAUSNUMERO 156384712

#define EFSM (ZMQ_HAUSNUMERO + 51)           /* not allowed in the socket's present state (REQ, REP) */
#define ENOCOMPATPROTO (ZMQ_HAUSNUMERO + 52) /* transport cannot serve this socket type */
#define ETERM (ZMQ_HAUSNUMERO + 53)          /* the context was shut down or terminated */
#define EMTHREAD (ZMQ_HAUSNUMERO + 54)       /* no I/O thread: the context has ZMQ_IO_THREADS 0 */

/* errno of the calling thread: for callers whose own errno is another variable. */
ZMQ_EXPORT int zmq_errno(void);

/* Text for a system or own code; never NULL. A text of the system may be overwritten by this thread's next call. EPERM
 * and ENOSYS carry a hint once a kernel or container has refused io_uring to this process with one of them. */
ZMQ_EXPORT const char *zmq_strerror(int errnum);

/* Stores the three numbers of the library at run time; none of the pointers may be NULL. */
ZMQ_EXPORT void zmq_version(int *major, int *minor, int *patch);

/* ---- Context ---- */

/* Options: s set, g get. Set the thread options before the first zmq_socket(), which starts the threads. */
#define ZMQ_IO_THREADS 1                 /* sg, 1: number of shard threads, >= 0; 0 leaves only inproc */
#define ZMQ_MAX_SOCKETS 2                /* sg, 1023: open sockets at once, >= 1; closing ones still count */
#define ZMQ_SOCKET_LIMIT 3               /* g, 65535: the largest ZMQ_MAX_SOCKETS */
#define ZMQ_THREAD_PRIORITY 3            /* s, -1: 1..99 under SCHED_FIFO and SCHED_RR; else > 0 means nice -20 */
#define ZMQ_THREAD_SCHED_POLICY 4        /* sg, -1: SCHED_*; -1 keeps the creator's */
#define ZMQ_MAX_MSGSZ 5                  /* sg, INT_MAX: stored, not enforced; see ZMQ_MAXMSGSIZE */
#define ZMQ_MSG_T_SIZE 6                 /* g: sizeof (zmq_msg_t) */
#define ZMQ_THREAD_AFFINITY_CPU_ADD 7    /* s: let the threads run on this CPU */
#define ZMQ_THREAD_AFFINITY_CPU_REMOVE 8 /* s: take back one that was added */
#define ZMQ_THREAD_NAME_PREFIX 9         /* sg: number put before the thread names; text through zmq_ctx_set_ext() */

#define ZMQ_IO_THREADS_DFLT 1
#define ZMQ_MAX_SOCKETS_DFLT 1023
#define ZMQ_THREAD_PRIORITY_DFLT -1
#define ZMQ_THREAD_SCHED_POLICY_DFLT -1

/* A new context, or NULL: ENOMEM, EMFILE. Starts no thread. The caller ends it with zmq_ctx_term(). */
ZMQ_EXPORT void *zmq_ctx_new(void);

/* Does what zmq_ctx_shutdown() does, waits until every socket is closed and its linger time over, and frees the
 * context. Call zmq_close() on every socket, from its own thread, or this waits for ever.
 * Errors: EFAULT; EINTR (a signal came: call again). */
ZMQ_EXPORT int zmq_ctx_term(void *context);

/* Makes every call on the context's sockets, running or to come, fail with ETERM, except zmq_close(), and refuses new
 * sockets. Returns at once; may be repeated; zmq_ctx_term() must still follow. Errors: EFAULT. */
ZMQ_EXPORT int zmq_ctx_shutdown(void *context);

/* Sets an integer option: 0, or -1. ZMQ_IPV6 (0) and ZMQ_BLOCKY (1; 0: new sockets get ZMQ_LINGER 0) are context
 * options too, and concern sockets made later. Errors: EFAULT; EINVAL (unknown, not settable, out of range). */
ZMQ_EXPORT int zmq_ctx_set(void *context, int option, int optval);

/* The value of an integer option; -1 is also the value of an unset scheduling policy. Errors: EFAULT, EINVAL. */
ZMQ_EXPORT int zmq_ctx_get(void *context, int option);

/* Deprecated. zmq_ctx_new() with ZMQ_IO_THREADS set. Errors: EINVAL (io_threads < 0), ENOMEM, EMFILE. */
ZMQ_EXPORT void *zmq_init(int io_threads);

/* Deprecated, both: other names of zmq_ctx_term(). */
ZMQ_EXPORT int zmq_term(void *context);
ZMQ_EXPORT int zmq_ctx_destroy(void *context);

/* ---- Messages ---- */

/* One frame. Opaque and movable only by zmq_msg_move(): small content lies inside the structure. Every message must be
 * initialised once before use and closed once after. A call on one that is not (or was closed) is EFAULT. */
typedef struct zmq_msg_t {
    unsigned char _[64] __attribute__((aligned(sizeof(void *)))); /* private */
} zmq_msg_t;

/* Frees the data of a message made by zmq_msg_init_data(). Runs exactly once, on any thread, the library's included. */
typedef void(zmq_free_fn)(void *data, void *hint);

/* Properties of zmq_msg_get(). */
#define ZMQ_MORE 1   /* 1 if a further frame of the same multipart message follows */
#define ZMQ_SRCFD 2  /* deprecated: descriptor of the connection it came by, EINVAL if none */
#define ZMQ_SHARED 3 /* 1 if the content is constant or shared with another message: do not write to it */

/* Makes an empty message. Never fails; returns 0. Errors: EFAULT (NULL). */
ZMQ_EXPORT int zmq_msg_init(zmq_msg_t *msg);

/* Makes a message of `size` octets with undefined content, inline up to 33. Errors: EFAULT, ENOMEM (msg unusable). */
ZMQ_EXPORT int zmq_msg_init_size(zmq_msg_t *msg, size_t size);

/* Makes a message of the caller's memory without copying. On success the memory is the library's until free_fn(data,
 * hint) has run; with free_fn NULL it is constant: never freed, and must outlive every message and pending send.
 * `data` may be NULL only when size is 0. On failure the memory stays the caller's. Errors: EFAULT, EINVAL, ENOMEM. */
ZMQ_EXPORT int zmq_msg_init_data(zmq_msg_t *msg, void *data, size_t size, zmq_free_fn *free_fn, void *hint);

/* Sends one frame as zmq_send() does; returns its size, at most INT_MAX. Success leaves msg empty (closing it is then
 * harmless but not needed); failure leaves it as it was. Metadata and the MORE flag of a received message are dropped.
 * Errors: those of zmq_send(), and EFAULT. */
ZMQ_EXPORT int zmq_msg_send(zmq_msg_t *msg, void *socket, int flags);

/* Receives one frame into an initialised message, whose old content is released first; returns its size, at most
 * INT_MAX. Frames of one message arrive all or none. EAGAIN, EINTR and the first ETERM have released it too, and leave
 * msg empty; other failures leave it as it was. Errors: those of zmq_recv(), and EFAULT. */
ZMQ_EXPORT int zmq_msg_recv(zmq_msg_t *msg, void *socket, int flags);

/* Releases the content. Errors: EFAULT (also when closed already). */
ZMQ_EXPORT int zmq_msg_close(zmq_msg_t *msg);

/* Moves content, metadata and flags from src to dest. dest's old content is released; src ends up empty but valid.
 * Errors: EFAULT. */
ZMQ_EXPORT int zmq_msg_move(zmq_msg_t *dest, zmq_msg_t *src);

/* Makes dest a second reference to src's content (small content is copied); dest's old content is released. After that
 * neither may be written to. The two may go to different threads. Errors: EFAULT, ENOMEM. */
ZMQ_EXPORT int zmq_msg_copy(zmq_msg_t *dest, zmq_msg_t *src);

/* The content: valid until the message is next moved, sent, received into or closed. */
ZMQ_EXPORT void *zmq_msg_data(zmq_msg_t *msg);

/* Number of octets of content. */
ZMQ_EXPORT size_t zmq_msg_size(const zmq_msg_t *msg);

/* 1 if this received frame is followed by another one of its message, else 0. */
ZMQ_EXPORT int zmq_msg_more(const zmq_msg_t *msg);

/* An integer property (ZMQ_MORE, ZMQ_SRCFD, ZMQ_SHARED). Errors: EINVAL (unknown, or there is none), EFAULT. */
ZMQ_EXPORT int zmq_msg_get(const zmq_msg_t *msg, int property);

/* No property can be set. Errors: EINVAL, always. */
ZMQ_EXPORT int zmq_msg_set(zmq_msg_t *msg, int property, int optval);

/* Metadata of the connection a message came by, as text that lives as long as the message: "Socket-Type", "Identity"
 * (RFC 37), "Peer-Address" (numeric address; ipc: "localhost:uid:gid:pid"), "User-Id" and the keys a ZAP handler gave
 * (RFC 27), and the peer's own "X-..." ones. Keys are case-sensitive; inproc has none.
 * Errors: EINVAL (absent), EFAULT. */
ZMQ_EXPORT const char *zmq_msg_gets(const zmq_msg_t *msg, const char *property);

/* ---- Socket types ---- */

#define ZMQ_PAIR 0    /* RFC 31: one peer, both ways */
#define ZMQ_PUB 1     /* RFC 29: to every peer with a matching subscription; drops for a peer whose queue is full */
#define ZMQ_SUB 2     /* RFC 29: what its ZMQ_SUBSCRIBE prefixes match */
#define ZMQ_REQ 3     /* RFC 28: send and receive in turn, peers in turn */
#define ZMQ_REP 4     /* RFC 28: receive and reply in turn, to whoever asked */
#define ZMQ_DEALER 5  /* RFC 28: sends to peers in turn, receives fairly from all */
#define ZMQ_ROUTER 6  /* RFC 28: first frame is the peer's routing id; unroutable messages are dropped */
#define ZMQ_PULL 7    /* RFC 30: receives fairly from all */
#define ZMQ_PUSH 8    /* RFC 30: sends to peers in turn, blocks when none has room */
#define ZMQ_XPUB 9    /* RFC 29: PUB that also receives the subscriptions */
#define ZMQ_XSUB 10   /* RFC 29: SUB that subscribes by sending 0x01 (0x00: unsubscribes) and the prefix */
#define ZMQ_STREAM 11 /* raw TCP: [connection id][octets] each way */

#define ZMQ_XREQ ZMQ_DEALER
#define ZMQ_XREP ZMQ_ROUTER

/* ---- Socket options ----
 *
 * After each: s set, g get; type, unit and default. "str" is text, "bytes" any octets. Most take effect on endpoints
 * bound or connected later; those marked * at once.
 */
#define ZMQ_AFFINITY 4               /* sg uint64 0: bitmap of the I/O threads for new connections, 0 all */
#define ZMQ_ROUTING_ID 5             /* sg 1..255 bytes: own id announced to ROUTER; STREAM: get id of last connect */
#define ZMQ_SUBSCRIBE 6              /* s* bytes: add a prefix (SUB; XPUB in manual mode) */
#define ZMQ_UNSUBSCRIBE 7            /* s* bytes: remove it once; an unknown one is no error */
#define ZMQ_RATE 8                   /* sg int kbit/s 100: multicast rate */
#define ZMQ_RECOVERY_IVL 9           /* sg int ms 10000: multicast recovery window */
#define ZMQ_SNDBUF 11                /* sg int octets -1: SO_SNDBUF, -1 leaves the system's */
#define ZMQ_RCVBUF 12                /* sg int octets -1: SO_RCVBUF, -1 leaves the system's */
#define ZMQ_RCVMORE 13               /* g int: last received frame has a successor */
#define ZMQ_FD 14                    /* g int: descriptor, readable on a change; then read ZMQ_EVENTS until idle */
#define ZMQ_EVENTS 15                /* g int: ZMQ_POLLIN | ZMQ_POLLOUT as of now */
#define ZMQ_TYPE 16                  /* g int: socket type */
#define ZMQ_LINGER 17                /* sg* int ms -1 (SUB, XSUB 0): keep unsent messages after close; -1 for ever */
#define ZMQ_RECONNECT_IVL 18         /* sg int ms 100: base of the retry delay; -1 and 0 never retry */
#define ZMQ_BACKLOG 19               /* sg int 100: listen(2) queue */
#define ZMQ_RECONNECT_IVL_MAX 21     /* sg int ms 0: cap of the doubling delay; 0 keeps it random in [IVL, 2 IVL) */
#define ZMQ_MAXMSGSIZE 22            /* sg int64 octets -1: a larger inbound frame ends its connection; -1 none */
#define ZMQ_SNDHWM 23                /* sg* int messages 1000: outbound queue per peer; 0 unlimited */
#define ZMQ_RCVHWM 24                /* sg* int messages 1000: inbound queue per peer; 0 unlimited */
#define ZMQ_MULTICAST_HOPS 25        /* sg int 1: multicast TTL */
#define ZMQ_RCVTIMEO 27              /* sg* int ms -1: longest blocking receive, then EAGAIN; -1 for ever */
#define ZMQ_SNDTIMEO 28              /* sg* int ms -1: longest blocking send, then EAGAIN; -1 for ever */
#define ZMQ_LAST_ENDPOINT 32         /* g str "": last endpoint bound (resolved) or connected (as given) */
#define ZMQ_ROUTER_MANDATORY 33      /* s* int 0: 1 unroutable is EHOSTUNREACH, full EAGAIN, instead of a drop */
#define ZMQ_TCP_KEEPALIVE 34         /* sg int -1: SO_KEEPALIVE; -1 leaves the system's, as for the next three */
#define ZMQ_TCP_KEEPALIVE_CNT 35     /* sg int -1: TCP_KEEPCNT */
#define ZMQ_TCP_KEEPALIVE_IDLE 36    /* sg int s -1: TCP_KEEPIDLE */
#define ZMQ_TCP_KEEPALIVE_INTVL 37   /* sg int s -1: TCP_KEEPINTVL */
#define ZMQ_IMMEDIATE 39             /* sg int 0: 1 queues only to connections that are up */
#define ZMQ_XPUB_VERBOSE 40          /* s* int 0: 1 passes duplicate subscriptions up */
#define ZMQ_ROUTER_RAW 41            /* s int 0: deprecated; 1 speaks raw TCP, see ZMQ_STREAM */
#define ZMQ_IPV6 42                  /* sg int 0: 1 allows IPv6 beside IPv4 */
#define ZMQ_MECHANISM 43             /* g int: ZMQ_NULL, ZMQ_PLAIN, ZMQ_CURVE or ZMQ_GSSAPI */
#define ZMQ_PLAIN_SERVER 44          /* sg int 0: 1 asks clients for name and password (RFC 24) */
#define ZMQ_PLAIN_USERNAME 45        /* sg str: 1..255 octets, makes a PLAIN client; NULL, 0 goes back to NULL */
#define ZMQ_PLAIN_PASSWORD 46        /* sg str: likewise */
#define ZMQ_CURVE_SERVER 47          /* sg int 0: 1 makes a CURVE server (RFC 25, 26) */
#define ZMQ_CURVE_PUBLICKEY 48       /* sg 32 bytes or 40 characters Z85: own public key; get with size 32 or 41 */
#define ZMQ_CURVE_SECRETKEY 49       /* sg likewise: own secret key */
#define ZMQ_CURVE_SERVERKEY 50       /* sg likewise: the server's public key, makes a CURVE client */
#define ZMQ_PROBE_ROUTER 51          /* s* int 0: 1 sends an empty message on each new connection */
#define ZMQ_REQ_CORRELATE 52         /* s* int 0: 1 puts an id before requests and matches replies by it (REQ) */
#define ZMQ_REQ_RELAXED 53           /* s* int 0: 1 lets a new request replace the unanswered one (REQ) */
#define ZMQ_CONFLATE 54              /* sg int 0: 1 keeps only the newest message; no multipart */
#define ZMQ_ZAP_DOMAIN 55            /* sg str 1..255: domain told to the ZAP handler; turns ZAP on for NULL (RFC 27) */
#define ZMQ_ROUTER_HANDOVER 56       /* s* int 0: 1 lets a new peer take over a routing id in use */
#define ZMQ_TOS 57                   /* sg int 0: IP_TOS, IPV6_TCLASS */
#define ZMQ_CONNECT_ROUTING_ID 61    /* s bytes: routing id for the peer of the next connect (ROUTER, REP, STREAM) */
#define ZMQ_GSSAPI_SERVER 62         /* sg int 0: RFC 38, only if zmq_has("gssapi"), like all GSSAPI options */
#define ZMQ_GSSAPI_PRINCIPAL 63      /* sg str: own principal */
#define ZMQ_GSSAPI_SERVICE_PRINCIPAL 64 /* sg str: the server's principal */
#define ZMQ_GSSAPI_PLAINTEXT 65      /* sg int 0: 1 authenticates without encryption */
#define ZMQ_HANDSHAKE_IVL 66         /* sg int ms 30000: limit of the whole handshake; 0 none */
#define ZMQ_SOCKS_PROXY 68           /* sg str "": host:port of a SOCKS5 proxy for tcp connects */
#define ZMQ_XPUB_NODROP 69           /* s* int 0: 1 blocks or EAGAIN instead of dropping for a full peer */
#define ZMQ_BLOCKY 70                /* context option, see zmq_ctx_set() */
#define ZMQ_XPUB_MANUAL 71           /* s* int 0: 1 leaves it to the program to apply subscriptions */
#define ZMQ_XPUB_WELCOME_MSG 72      /* s bytes: first message to every new subscriber */
#define ZMQ_STREAM_NOTIFY 73         /* s int 1: empty message on connect and disconnect (STREAM) */
#define ZMQ_INVERT_MATCHING 74       /* sg* int 0: 1 passes what no prefix matches (PUB, XPUB, SUB) */
#define ZMQ_HEARTBEAT_IVL 75         /* sg int ms 0: period of PING (RFC 37); 0 off */
#define ZMQ_HEARTBEAT_TTL 76         /* sg int ms 0: silence after which the peer may drop us; in steps of 100 */
#define ZMQ_HEARTBEAT_TIMEOUT 77     /* sg int ms -1: silence after PING that drops the peer; -1 as the period */
#define ZMQ_XPUB_VERBOSER 78         /* s* int 0: 1 passes duplicate unsubscriptions up too */
#define ZMQ_CONNECT_TIMEOUT 79       /* sg int ms 0: limit of a tcp connect; 0 the system's */
#define ZMQ_TCP_MAXRT 80             /* sg int ms 0: TCP_USER_TIMEOUT */
#define ZMQ_THREAD_SAFE 81           /* g int: 1 if the type may be used by several threads (draft types) */
#define ZMQ_MULTICAST_MAXTPDU 84     /* sg int octets 1500: multicast packet size */
#define ZMQ_VMCI_BUFFER_SIZE 85      /* sg uint64: only if zmq_has("vmci"), as the next three */
#define ZMQ_VMCI_BUFFER_MIN_SIZE 86  /* sg uint64 */
#define ZMQ_VMCI_BUFFER_MAX_SIZE 87  /* sg uint64 */
#define ZMQ_VMCI_CONNECT_TIMEOUT 88  /* sg int ms -1 */
#define ZMQ_USE_FD 89                /* sg int -1: adopt this listening descriptor at the next bind (tcp, ipc) */
#define ZMQ_GSSAPI_PRINCIPAL_NAMETYPE 90 /* sg int 0: ZMQ_GSSAPI_NT_* */
#define ZMQ_GSSAPI_SERVICE_PRINCIPAL_NAMETYPE 91 /* sg int 0: ZMQ_GSSAPI_NT_* */
#define ZMQ_BINDTODEVICE 92          /* sg str "": SO_BINDTODEVICE (tcp, udp) */

/* Deprecated options and old names. */
#define ZMQ_IPV4ONLY 31          /* sg int 1: the opposite of ZMQ_IPV6 */
#define ZMQ_TCP_ACCEPT_FILTER 38 /* s str: let in only addr[/bits]; adds up; NULL, 0 clears */
#define ZMQ_IPC_FILTER_PID 58    /* s pid_t: let in only such ipc peers; adds up; NULL, 0 clears */
#define ZMQ_IPC_FILTER_UID 59    /* s uid_t: likewise */
#define ZMQ_IPC_FILTER_GID 60    /* s gid_t: likewise, supplementary groups included */
#define ZMQ_IDENTITY ZMQ_ROUTING_ID
#define ZMQ_CONNECT_RID ZMQ_CONNECT_ROUTING_ID
#define ZMQ_DELAY_ATTACH_ON_CONNECT ZMQ_IMMEDIATE
#define ZMQ_FAIL_UNROUTABLE ZMQ_ROUTER_MANDATORY
#define ZMQ_ROUTER_BEHAVIOR ZMQ_ROUTER_MANDATORY

/* Flags of send and receive. */
#define ZMQ_DONTWAIT 1 /* EAGAIN instead of waiting */
#define ZMQ_SNDMORE 2  /* more frames of this message follow */
#define ZMQ_NOBLOCK ZMQ_DONTWAIT

/* Values of ZMQ_MECHANISM. */
#define ZMQ_NULL 0
#define ZMQ_PLAIN 1
#define ZMQ_CURVE 2
#define ZMQ_GSSAPI 3

/* Longest RADIO-DISH group (RFC 48). */
#define ZMQ_GROUP_MAX_LENGTH 255

#define ZMQ_GSSAPI_NT_HOSTBASED 0
#define ZMQ_GSSAPI_NT_USER_NAME 1
#define ZMQ_GSSAPI_NT_KRB5_PRINCIPAL 2

/* ---- Sockets ---- */

/* A new socket of a ZMQ_* type with the options' defaults; NULL on error. The caller closes it.
 * Errors: EINVAL (type), EFAULT, EMFILE (ZMQ_MAX_SOCKETS), ETERM, ENOMEM; and, since the first socket starts the I/O
 * threads, what the kernel answers when it refuses io_uring: ENOSYS, EPERM. */
ZMQ_EXPORT void *zmq_socket(void *context, int type);

/* Gives the socket up, at once, also after ETERM. Unread messages are discarded; unsent ones go on for ZMQ_LINGER in
 * the background. Listening descriptors close soon after, not before the return. Errors: ENOTSOCK. */
ZMQ_EXPORT int zmq_close(void *socket);

/* Sets an option from `optvallen` octets at `optval`. Errors: EINVAL (unknown, not settable, wrong size or value, not
 * for this socket type), ETERM, ENOTSOCK, EINTR. */
ZMQ_EXPORT int zmq_setsockopt(void *socket, int option, const void *optval, size_t optvallen);

/* Reads an option into `optval`; *optvallen is the room before and the octets used after, with the NUL of text.
 * Integers need exactly their own size. Reading ZMQ_EVENTS also does pending work. Errors: EINVAL (also too little
 * room), ETERM, ENOTSOCK, EINTR. */
ZMQ_EXPORT int zmq_getsockopt(void *socket, int option, void *optval, size_t *optvallen);

/* Accepts peers at an endpoint "transport://address"; several binds are allowed. tcp: "*", numeric address or
 * interface, and a port, "*" for any. ipc: a path (an existing one is replaced), "@name" abstract, "*" a temporary one.
 * inproc: any name, unique in the context. What was chosen is in ZMQ_LAST_ENDPOINT.
 * Errors: EINVAL (endpoint), EPROTONOSUPPORT, ENOCOMPATPROTO, EADDRINUSE, EADDRNOTAVAIL, ENODEV (no such interface),
 * ENAMETOOLONG (ipc path), ETERM, ENOTSOCK, EMTHREAD; or what socket(2), bind(2), listen(2) say. */
ZMQ_EXPORT int zmq_bind(void *socket, const char *endpoint);

/* Starts to connect, and reconnects by itself; returns before the peer answers, or exists. A tcp host name is resolved
 * at each try, so a wrong one is no error here; "source;destination" fixes the own address. Except on inproc, DEALER,
 * SUB, PUB and REQ silently ignore an endpoint they are connected to. What is sent to an inproc name before its bind is
 * kept for that, whatever ZMQ_LINGER says, until the context ends.
 * Errors: EINVAL, EPROTONOSUPPORT, ENOCOMPATPROTO, ETERM, ENOTSOCK, EMTHREAD, ENAMETOOLONG. */
ZMQ_EXPORT int zmq_connect(void *socket, const char *endpoint);

/* Ends a bind, by the text in ZMQ_LAST_ENDPOINT, and the connections accepted there; what they had queued can still be
 * read. inproc connections stay. Errors: ENOENT (not bound), EINVAL, EPROTONOSUPPORT, ETERM, ENOTSOCK. */
ZMQ_EXPORT int zmq_unbind(void *socket, const char *endpoint);

/* Ends a connect, by the text given there. Queued output goes on for ZMQ_LINGER, queued input can still be read.
 * Errors: ENOENT (not connected), EINVAL, EPROTONOSUPPORT, ETERM, ENOTSOCK. */
ZMQ_EXPORT int zmq_disconnect(void *socket, const char *endpoint);

/* Queues one frame, copied from `buf` (NULL only with len 0); returns len, at most INT_MAX. With ZMQ_SNDMORE it is a
 * part, and the message leaves as a whole with its last one. Waits for room if the type does, at most ZMQ_SNDTIMEO.
 * A call that may wait (no ZMQ_DONTWAIT, ZMQ_SNDTIMEO -1 or at least 100 ms) may also hand a gathered batch to the kernel.
 * A full kernel buffer then holds it up before the HWM is reached: 1 ms in vain, or up to 10 ms while that takes more.
 * Errors: EAGAIN (would wait, or waited that long), ENOTSUP (type cannot send), EFSM, EINVAL (ZMQ_SNDMORE on a
 * single-part type), EHOSTUNREACH (no such peer), ETERM, ENOTSOCK, EFAULT (NULL), EINTR, ENOMEM. */
ZMQ_EXPORT int zmq_send(void *socket, const void *buf, size_t len, int flags);

/* zmq_send() without the copy: `buf` is constant and must stay for the rest of the program. */
ZMQ_EXPORT int zmq_send_const(void *socket, const void *buf, size_t len, int flags);

/* Receives one frame, copying at most `len` octets (buf NULL only with len 0) and losing the rest; returns the whole
 * size, at most INT_MAX. Ask ZMQ_RCVMORE whether another part follows. Waits at most ZMQ_RCVTIMEO.
 * Errors: EAGAIN (would wait, or waited that long), ENOTSUP (type cannot receive), EFSM, ETERM, ENOTSOCK, EFAULT
 * (NULL), EINTR. */
ZMQ_EXPORT int zmq_recv(void *socket, void *buf, size_t len, int flags);

/* ---- Monitoring ---- */

/* Events of zmq_socket_monitor(), each with the meaning of its value. tcp, ipc and ws only. */
#define ZMQ_EVENT_CONNECTED 0x0001                  /* descriptor */
#define ZMQ_EVENT_CONNECT_DELAYED 0x0002            /* errno, EINPROGRESS */
#define ZMQ_EVENT_CONNECT_RETRIED 0x0004            /* delay before the next try, ms */
#define ZMQ_EVENT_LISTENING 0x0008                  /* descriptor */
#define ZMQ_EVENT_BIND_FAILED 0x0010                /* errno */
#define ZMQ_EVENT_ACCEPTED 0x0020                   /* descriptor */
#define ZMQ_EVENT_ACCEPT_FAILED 0x0040              /* errno; also a peer that a filter kept out */
#define ZMQ_EVENT_CLOSED 0x0080                     /* descriptor of a listener or failed connect */
#define ZMQ_EVENT_CLOSE_FAILED 0x0100               /* errno */
#define ZMQ_EVENT_DISCONNECTED 0x0200               /* descriptor */
#define ZMQ_EVENT_MONITOR_STOPPED 0x0400            /* 0; no event follows */
#define ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL 0x0800 /* errno */
#define ZMQ_EVENT_HANDSHAKE_SUCCEEDED 0x1000        /* 0 */
#define ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL 0x2000  /* ZMQ_PROTOCOL_ERROR_* */
#define ZMQ_EVENT_HANDSHAKE_FAILED_AUTH 0x4000      /* ZAP status 300, 400 or 500 (RFC 27) */
#define ZMQ_EVENT_ALL 0xFFFF

/* What a peer (ZMTP: RFC 37; WS: RFC 45) or the ZAP handler (RFC 27) did wrong. */
#define ZMQ_PROTOCOL_ERROR_ZMTP_UNSPECIFIED 0x10000000
#define ZMQ_PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND 0x10000001
#define ZMQ_PROTOCOL_ERROR_ZMTP_INVALID_SEQUENCE 0x10000002
#define ZMQ_PROTOCOL_ERROR_ZMTP_KEY_EXCHANGE 0x10000003
#define ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_UNSPECIFIED 0x10000011
#define ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_MESSAGE 0x10000012
#define ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_HELLO 0x10000013
#define ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_INITIATE 0x10000014
#define ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_ERROR 0x10000015
#define ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_READY 0x10000016
#define ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_WELCOME 0x10000017
#define ZMQ_PROTOCOL_ERROR_ZMTP_INVALID_METADATA 0x10000018
#define ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC 0x11000001      /* often a wrong key in the configuration */
#define ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH 0x11000002 /* the two ends chose different mechanisms */
#define ZMQ_PROTOCOL_ERROR_ZAP_UNSPECIFIED 0x20000000
#define ZMQ_PROTOCOL_ERROR_ZAP_MALFORMED_REPLY 0x20000001
#define ZMQ_PROTOCOL_ERROR_ZAP_BAD_REQUEST_ID 0x20000002
#define ZMQ_PROTOCOL_ERROR_ZAP_BAD_VERSION 0x20000003
#define ZMQ_PROTOCOL_ERROR_ZAP_INVALID_STATUS_CODE 0x20000004
#define ZMQ_PROTOCOL_ERROR_ZAP_INVALID_METADATA 0x20000005
#define ZMQ_PROTOCOL_ERROR_WS_UNSPECIFIED 0x30000000

/* Reports the chosen events to a PAIR that the library binds at an inproc endpoint; connect a PAIR to read. Each is two
 * frames: uint16 event and uint32 value, in native order, packed; then the endpoint without NUL: ours where we bound,
 * else the one that was given to zmq_connect(). A NULL endpoint stops; a second call replaces the first.
 * Nothing waits for the reader: an event that does not fit (the limit is 1000 and the reader's ZMQ_RCVHWM) or that nobody
 * is there to read is dropped. The PAIR counts as one of the context's sockets. After zmq_close() what lingers is still
 * reported; ZMQ_EVENT_MONITOR_STOPPED comes when all is over.
 * Errors: EPROTONOSUPPORT (not inproc), EINVAL (events beyond 16 bits), EADDRINUSE, EMFILE, ETERM, ENOTSOCK. */
ZMQ_EXPORT int zmq_socket_monitor(void *socket, const char *endpoint, int events);

/* ---- Polling ---- */

typedef int zmq_fd_t;

#define ZMQ_POLLIN 1  /* a message, or octets, can be read without waiting */
#define ZMQ_POLLOUT 2 /* one can be sent without waiting */
#define ZMQ_POLLERR 4 /* descriptors only: an error */
#define ZMQ_POLLPRI 8 /* descriptors only: urgent data */

typedef struct zmq_pollitem_t {
    void *socket;  /* a socket, or NULL to look at fd */
    zmq_fd_t fd;   /* any pollable descriptor; ignored if socket is set */
    short events;  /* wanted: ZMQ_POLL* */
    short revents; /* out: what holds */
} zmq_pollitem_t;

#define ZMQ_POLLITEMS_DFLT 16

/* Waits until an item has a wanted event, at most timeout_ms (-1 for ever, 0 only looks); returns the number of items
 * with revents, 0 on timeout. Level-triggered. No items: sleeps. Sockets belong to the calling thread.
 * Errors: EINVAL (nitems < 0), EFAULT (items NULL), ENOTSOCK, ETERM, EINTR, ENOMEM. */
ZMQ_EXPORT int zmq_poll(zmq_pollitem_t *items, int nitems, long timeout_ms);

/* ---- Proxies ---- */

/* Passes whole messages between two sockets, both ways, in the calling thread until one fails; always returns -1. Takes
 * a message only when the other side has room, so back-pressure is kept. Copies every frame to `capture` unless NULL.
 * frontend == backend passes one way. Errors: EFAULT (NULL socket); mostly ETERM; else that of the failing socket. */
ZMQ_EXPORT int zmq_proxy(void *frontend, void *backend, void *capture);

/* zmq_proxy() that obeys single-frame commands from `control` (NULL: none): "PAUSE", "RESUME", "TERMINATE" (returns 0)
 * and "STATISTICS", answered by 8 frames of uint64: frames and octets received from, frames and octets sent to the
 * frontend; the same for the backend. A REP control gets an empty reply to all but the last. Others are ignored. */
ZMQ_EXPORT int zmq_proxy_steerable(void *frontend, void *backend, void *capture, void *control);

/* ---- Capabilities ---- */

#define ZMQ_HAS_CAPABILITIES 1

/* 1 if this build has it, else 0: "ipc" "pgm" "tipc" "norm" "curve" "gssapi" "vmci" "draft" "WS" "WSS" "vsock". tcp and
 * inproc are always there and have no name. */
ZMQ_EXPORT int zmq_has(const char *capability);

/* ---- Deprecated ---- */

#define ZMQ_STREAMER 1
#define ZMQ_FORWARDER 2
#define ZMQ_QUEUE 3

struct iovec;

/* zmq_proxy() without capture; the type is ignored. */
ZMQ_EXPORT int zmq_device(int type, void *frontend, void *backend);

/* zmq_msg_send() and zmq_msg_recv() with the arguments in another order. */
ZMQ_EXPORT int zmq_sendmsg(void *socket, zmq_msg_t *msg, int flags);
ZMQ_EXPORT int zmq_recvmsg(void *socket, zmq_msg_t *msg, int flags);

/* Sends `count` buffers, copied, as frames; with ZMQ_SNDMORE all but the last carry MORE. Returns the size of the last.
 * Errors: those of zmq_send(), EINVAL (NULL or none). */
ZMQ_EXPORT int zmq_sendiov(void *socket, struct iovec *iov, size_t count, int flags);

/* Receives the parts of one message, at most *count, each into memory from malloc that the caller frees; *count becomes
 * their number, which it returns. Errors: those of zmq_recv(), EINVAL (NULL or none), ENOMEM. */
ZMQ_EXPORT int zmq_recviov(void *socket, struct iovec *iov, size_t *count, int flags);

/* ---- Encryption keys ---- */

/* Writes `size` octets as Z85 text (RFC 32): size * 5 / 4 characters and a NUL; returns dest, or NULL.
 * Errors: EINVAL (size not a multiple of 4), EFAULT (NULL). Any thread. */
ZMQ_EXPORT char *zmq_z85_encode(char *dest, const uint8_t *data, size_t size);

/* Decodes Z85 text (RFC 32) to 4/5 of its length; returns dest, or NULL with dest untouched. Errors: EINVAL (empty,
 * length not a multiple of 5, strange character, group beyond 32 bits), EFAULT (NULL). Any thread. */
ZMQ_EXPORT uint8_t *zmq_z85_decode(uint8_t *dest, const char *string);

/* Makes a Curve25519 key pair as two strings: 40 characters Z85 and a NUL, so 41 octets each (RFC 26). Returns 0 or -1.
 * Errors: EFAULT (NULL), ENOTSUP (no CURVE, or no source of randomness). Any thread. */
ZMQ_EXPORT int zmq_curve_keypair(char *z85_public_key, char *z85_secret_key);

/* The public key, 41 octets, that belongs to a secret one. Errors: EINVAL (not 40 characters Z85), EFAULT, ENOTSUP. */
ZMQ_EXPORT int zmq_curve_public(char *z85_public_key, const char *z85_secret_key);

/* ---- Atomic counters: any number of threads, no locks ---- */

/* A counter at 0, or NULL: ENOMEM. On a NULL counter the next four do nothing, return 0 and set EFAULT. */
ZMQ_EXPORT void *zmq_atomic_counter_new(void);

ZMQ_EXPORT void zmq_atomic_counter_set(void *counter, int value);

/* Adds one; returns the value before. */
ZMQ_EXPORT int zmq_atomic_counter_inc(void *counter);

/* Takes one away; returns 1 while the result is not zero, 0 when it is: the last owner. */
ZMQ_EXPORT int zmq_atomic_counter_dec(void *counter);

ZMQ_EXPORT int zmq_atomic_counter_value(void *counter);

/* Frees *counter and sets it to NULL; NULL either way is ignored. */
ZMQ_EXPORT void zmq_atomic_counter_destroy(void **counter);

/* ---- Timers: repeating, for a program's own loop around zmq_poll(). One thread at a time ---- */

#define ZMQ_HAVE_TIMERS

typedef void(zmq_timer_fn)(int timer_id, void *arg);

/* An empty set of timers, or NULL: ENOMEM. */
ZMQ_EXPORT void *zmq_timers_new(void);

/* Frees the set and sets *timers to NULL. Errors: EFAULT, EBUSY (called by a handler: nothing is freed). */
ZMQ_EXPORT int zmq_timers_destroy(void **timers);

/* Calls handler(id, arg) every interval_ms from now on; returns the id, from 1, never used again in this set.
 * Errors: EFAULT (timers, or handler NULL), ENOMEM, EOVERFLOW (out of ids). */
ZMQ_EXPORT int zmq_timers_add(void *timers, size_t interval_ms, zmq_timer_fn handler, void *arg);

/* Removes a timer. Errors: EFAULT, EINVAL (unknown, or removed before). */
ZMQ_EXPORT int zmq_timers_cancel(void *timers, int timer_id);

/* Changes the interval and starts it afresh from now. Errors: EFAULT, EINVAL. */
ZMQ_EXPORT int zmq_timers_set_interval(void *timers, int timer_id, size_t interval_ms);

/* Starts the interval afresh from now. Errors: EFAULT, EINVAL. */
ZMQ_EXPORT int zmq_timers_reset(void *timers, int timer_id);

/* Milliseconds until the next timer is due, rounded up, so that waiting that long is enough; 0 if one is due, -1 if
 * there is none (errno untouched): what zmq_poll() takes. Errors: EFAULT. */
ZMQ_EXPORT long zmq_timers_timeout(void *timers);

/* Runs the handlers of all timers due now, the earliest first, each at most once, and restarts their intervals from
 * now. A handler may add, cancel, reset and change any timer, its own too. Returns 0. Errors: EFAULT. */
ZMQ_EXPORT int zmq_timers_execute(void *timers);

/* ---- Small helpers ---- */

/* A stopwatch running from now, or NULL: ENOMEM. */
ZMQ_EXPORT void *zmq_stopwatch_start(void);

/* Microseconds since the start. */
ZMQ_EXPORT unsigned long zmq_stopwatch_intermediate(void *watch);

/* Microseconds since the start; frees the stopwatch. */
ZMQ_EXPORT unsigned long zmq_stopwatch_stop(void *watch);

/* Sleeps for whole seconds, less if a signal handler runs. */
ZMQ_EXPORT void zmq_sleep(int seconds);

typedef void(zmq_thread_fn)(void *);

/* Runs func(arg) in a new thread named "ZMQapp" with all signals blocked. Returns a handle for zmq_threadclose(), or
 * NULL: EFAULT (func NULL), ENOMEM, EAGAIN (no thread to be had). */
ZMQ_EXPORT void *zmq_threadstart(zmq_thread_fn *func, void *arg);

/* Waits until the thread has returned and frees the handle, once. NULL is ignored. */
ZMQ_EXPORT void zmq_threadclose(void *thread);

#ifdef ZMQ_BUILD_DRAFT_API
#include "zmq_draft.h"
#endif

#undef ZMQ_EXPORT

#ifdef __cplusplus
}
#endif

#endif
