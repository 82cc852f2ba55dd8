/* SPDX-License-Identifier: MIT */
/* What a bind or connect takes along of its socket's options: a snapshot, immutable but for the count. */
#ifndef ZU_LINK_SETTINGS_H
#define ZU_LINK_SETTINGS_H

#include <net/if.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "flow/peer.h"
#include "link/accept_filter.h"
#include "link/sockopt.h"
#include "link/socks.h"
#include "link/watch.h"
#include "wire/mechanism.h"

#define ZU_ROUTING_ID_MAX 255

/* RECONNECT_STOP bits. */
enum { ZU_STOP_REFUSED = 1, ZU_STOP_HANDSHAKE_FAILED = 2, ZU_STOP_DISCONNECTED = 4 };

/* How to get out, where a proxy stands in the way. */
struct zu_proxy {
    struct zu_socks_login login; /* points into `bytes` */
    size_t size;                 /* of this, with the bytes */
    const char *address;         /* its "host:port"; in `bytes` */
    char bytes[];                /* address with its NUL, user, password */
};

/* ROUTER_NOTIFY bits. */
enum { ZU_NOTIFY_CONNECT = 1, ZU_NOTIFY_DISCONNECT = 2 };

struct zu_guard;

struct zu_settings {
    _Atomic unsigned refs;                    /* endpoint, its connections; acq_rel drop */
    unsigned socket_type;                     /* ours, for the handshake */
    bool is_subscribed_to;                    /* subscriptions that peers send are records for the socket */
    bool starts_over;                         /* a peer's new connection begins at the socket's mark: flow/subscription.h */
    const struct zu_mechanism_ops *mechanism; /* the only one that is accepted */
    struct zu_secrets secrets;                /* the mechanism's; wiped with this */
    bool waits;                               /* peers come in by verdict alone */
    struct zu_guard *guard;                   /* who gives it; owned; NULL: nobody, and who waits is refused */
    uint8_t routing_id[ZU_ROUTING_ID_MAX];    /* told to peers */
    size_t routing_id_size;                   /* octets of it */
    uint8_t *properties;                      /* application metadata, encoded; owned */
    size_t properties_size;                   /* octets of it */
    uint64_t out_hwm;                         /* messages, 0: no limit */
    uint64_t in_hwm;                          /* messages, 0: no limit */
    int64_t frame_max;                        /* MAXMSGSIZE; negative: none */
    int reconnect_ms;                         /* base of the retry interval; <= 0: none */
    int reconnect_max_ms;                     /* cap of its doubling; 0: random spread instead */
    int reconnect_stop;                       /* ZU_STOP_ bits */
    int connect_timeout_ms;                   /* 0: the kernel's */
    int handshake_ms;                         /* deadline; 0: none */
    int heartbeat_ms;                         /* PING period; 0: off */
    int heartbeat_ttl_ms;                     /* told to the peer */
    int heartbeat_timeout_ms;                 /* silence after a PING; negative: as heartbeat_ms */
    int backlog;                              /* of a listener */
    int use_fd;                               /* a listening descriptor to adopt; -1: none */
    bool raw;                                 /* no ZMTP: bytes as they come */
    bool conflates_out;                       /* CONFLATE, where the type sends */
    bool conflates_in;                        /* the same where it receives */
    bool immediate;                           /* no pipe before the connection is ready */
    bool ipv6;                                /* dual stack */
    struct zu_proxy *proxy;                   /* for transports that take one; owned; NULL: none */
    bool expects_replies;                     /* REQ: a message that has not the shape of one ends its connection */
    uint8_t notify;                           /* ZU_NOTIFY_ bits: an empty message from a peer that comes, or goes */
    struct zu_bytes hello;                    /* the first message of each connection, to the peer; empty: none */
    struct zu_bytes disconnect;               /* as if from an accepted peer that is lost; empty: none */
    struct zu_bytes hiccup;                   /* as if from a dialled one; empty: none */
    struct zu_sockopt sockopt;                /* for the kernel; points into `device` */
    char device[IFNAMSIZ + 1];                /* SO_BINDTODEVICE */
    struct zu_accept_filter tcp_accept;       /* who may connect by tcp */
    struct zu_ipc_filter ipc_accept;          /* who may connect by ipc */
};

/* NULL without memory. Give it back with the settings that it goes into. */
struct zu_proxy *zu_proxy_new(const char *address, const struct zu_socks_login *login);

/* Zeroed but for one reference and libzmq's kernel options; NULL without memory. */
struct zu_settings *zu_settings_new(void);
/* A peer with pipes of these limits. NULL without memory. */
struct zu_peer *zu_settings_peer_new(const struct zu_settings *settings);
struct zu_settings *zu_settings_ref(struct zu_settings *settings);
void zu_settings_unref(struct zu_settings *settings);
/* A copy for a field that is empty. -ENOMEM. */
int zu_settings_copy_bytes(struct zu_bytes *to, const struct zu_bytes *from);

/* The socket for which an endpoint works; copied into it. */
struct zu_home {
    void *socket;                        /* handed to its events */
    const struct zu_peer_events *events; /* what it does with its peers' notes */
    struct zu_mailbox *box;              /* where it hears; a reference for each copy */
    struct zu_settings *settings;        /* a reference for each copy */
    void *endpoint;                      /* the socket's own mark, given to the peers that come by it */
    void (*over)(void *socket, void *endpoint); /* the socket's thread: a dial has given up by itself, for good */
    struct zu_watch *watch;              /* who is told what happens; lives as long as `box` */
};

struct zu_home zu_home_copy(const struct zu_home *home);
void zu_home_fini(struct zu_home *home);

#endif
