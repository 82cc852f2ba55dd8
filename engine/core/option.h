/* SPDX-License-Identifier: MIT */
/* Options of a socket: what is stored, and a table that says how each option is checked, set and read. */
#ifndef ZU_CORE_OPTION_H
#define ZU_CORE_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "core/ctx_option.h"
#include "core/option_number.h"
#include "flow/pattern.h"
#include "link/accept_filter.h"

#define ZU_CURVE_KEY_BYTES 32

/*
 * All of it belongs to whoever may call into the socket; a copy, to whoever made it. An int holds what zmq_getsockopt
 * shows; options that only mean yes or no are 0 or 1.
 */
struct zu_options {
    /* Queues and waiting */
    int send_hwm;        /* messages per peer, 0: no limit */
    int recv_hwm;        /* messages per peer, 0: no limit */
    int send_timeout_ms; /* -1: wait for ever */
    int recv_timeout_ms; /* -1: wait for ever */
    int linger_ms;       /* for unsent messages at close and disconnect; -1: for ever */
    int conflate;        /* keep the last message only */
    int immediate;       /* queue to completed connections only */

    /* Connections */
    uint64_t affinity;                     /* shards for new connections, one bit each; 0: any */
    int64_t msg_size_max;                  /* inbound frame limit in bytes, negative: none */
    int reconnect_ms;                      /* base of the retry interval; 0 and -1: no retries */
    int reconnect_max_ms;                  /* cap of exponential growth, 0: no growth */
    int reconnect_stop;                    /* bits: refused 1, handshake failed 2, disconnected 4 */
    int connect_timeout_ms;                /* 0: the kernel's */
    int handshake_ms;                      /* deadline from accept or connect to ready, 0: none */
    int heartbeat_ms;                      /* PING period, 0: off */
    int heartbeat_ttl_ms;                  /* told to the peer; whole tenths of seconds */
    int heartbeat_timeout_ms;              /* silence after a PING; -1: as heartbeat_ms */
    int backlog;                           /* of listeners */
    int use_fd;                            /* an open listener to adopt, -1: none */
    int ipv6;                              /* dual stack */
    int send_buffer;                       /* SO_SNDBUF, -1: the kernel's */
    int recv_buffer;                       /* SO_RCVBUF, -1: the kernel's */
    int tos;                               /* IP_TOS */
    int priority;                          /* SO_PRIORITY */
    int busy_poll;                         /* SO_BUSY_POLL in microseconds */
    int tcp_keepalive;                     /* SO_KEEPALIVE, -1: the kernel's */
    int tcp_keepalive_count;               /* TCP_KEEPCNT, -1: the kernel's */
    int tcp_keepalive_idle_s;              /* TCP_KEEPIDLE, -1: the kernel's */
    int tcp_keepalive_interval_s;          /* TCP_KEEPINTVL, -1: the kernel's */
    int tcp_max_rt_ms;                     /* TCP_USER_TIMEOUT, 0: the kernel's */
    int loopback_fastpath;                 /* Windows only; kept for the caller */
    int recv_batch_size;                   /* bytes per read */
    int send_batch_size;                   /* bytes per write */
    int rate_kbit;                         /* multicast */
    int recovery_ms;                       /* multicast */
    int multicast_hops;                    /* TTL of datagrams */
    int multicast_tpdu_max;                /* bytes */
    int multicast_loop;                    /* our own datagrams come back */
    struct zu_bytes bind_to_device; /* SO_BINDTODEVICE */
    struct zu_bytes socks_proxy;    /* host:port; empty: none */
    struct zu_bytes socks_username; /* empty: no authentication */
    struct zu_bytes socks_password; /* with socks_username */
    struct zu_bytes last_endpoint;  /* of the last bind or connect; the socket stores it */
    struct zu_accept_filter tcp_accept;    /* networks that may connect */
    struct zu_ipc_filter ipc_accept;       /* processes that may connect */

    /* Identity and what goes out first */
    struct zu_bytes routing_id;         /* told to peers */
    struct zu_bytes connect_routing_id; /* for the next connect, which empties it */
    struct zu_bytes hello_msg;          /* first message of each connection */
    struct zu_bytes disconnect_msg;     /* to ourselves when an accepted peer goes */
    struct zu_bytes hiccup_msg;         /* to ourselves when a connected peer drops */
    struct zu_bytes metadata;           /* properties for the handshake, encoded */

    /* Security */
    int mechanism;                                /* enum zu_security: what was set last selects it */
    int as_server;                                /* the role in it */
    int zap_enforce_domain;                       /* RFC 27 to the letter */
    struct zu_bytes zap_domain;            /* non-empty: ZAP is asked for NULL too */
    struct zu_bytes plain_username;        /* client's */
    struct zu_bytes plain_password;        /* client's */
    uint8_t curve_public_key[ZU_CURVE_KEY_BYTES]; /* own */
    uint8_t curve_secret_key[ZU_CURVE_KEY_BYTES]; /* own */
    uint8_t curve_server_key[ZU_CURVE_KEY_BYTES]; /* client's: whom to trust */

    struct zu_pattern_options pattern; /* what acts inside the pattern */
};

enum zu_option_kind {
    ZU_OPTION_INT,
    ZU_OPTION_INT64,  /* 8 bytes exactly */
    ZU_OPTION_UINT64, /* 8 bytes exactly */
    ZU_OPTION_BYTES,  /* read back without a NUL */
    ZU_OPTION_STRING, /* read back with a NUL */
    ZU_OPTION_KEY,    /* 32 bytes or Z85 text */
    ZU_OPTION_LIVE,   /* an int that only the socket knows */
    ZU_OPTION_PASSED, /* checked here; the socket acts on the value itself */
    ZU_OPTION_KINDS
};

/* What may be done with an option: bits. */
enum { ZU_OPTION_SET = 1, ZU_OPTION_GET = 2 };

/* What a set changes at once, for the socket to act on; without any, the next bind, connect or call sees the value. */
enum zu_option_effect {
    ZU_OPTION_EFFECT_NONE,
    ZU_OPTION_EFFECT_LINGER,       /* linger_ms */
    ZU_OPTION_EFFECT_HWM,          /* send_hwm or recv_hwm: existing pipes take it over */
    ZU_OPTION_EFFECT_PATTERN,      /* a field of the pattern's */
    ZU_OPTION_EFFECT_SUBSCRIPTION, /* nothing is stored: apply the value that was set */
};

/* What the socket answers for ZU_OPTION_LIVE rows. */
struct zu_option_live {
    /* 0 or a negative errno, which zu_option_get returns. */
    int (*get)(void *socket, int number, int64_t *ret_value);
};

/* One set under way. */
struct zu_option_input {
    unsigned type;     /* of the socket */
    const void *value; /* the caller's; NULL only with size 0 */
    size_t size;       /* of the value */
};

/* One get under way. */
struct zu_option_query {
    const struct zu_option_row *row;   /* of the option asked for */
    const struct zu_options *options;  /* of the socket */
    unsigned type;                     /* of the socket */
    int number;                        /* of the option */
    const struct zu_option_live *live; /* the socket's answers, or NULL */
    void *socket;                      /* for `live` */
};

struct zu_option_row {
    const char *name;    /* without the ZMQ_ prefix; NULL: no such option */
    uint8_t kind;        /* enum zu_option_kind */
    uint8_t access;      /* ZU_OPTION_SET and ZU_OPTION_GET */
    uint8_t effect;      /* enum zu_option_effect */
    uint8_t which;       /* enum zu_security or zu_ipc_filter_kind, for setters that rows share */
    bool draft;          /* not of the stable API */
    bool truth;          /* anything but 0 is stored as 1 */
    bool clears;         /* NULL with size 0 empties it */
    bool roomy;          /* get takes a larger buffer than the int needs and zeroes the rest */
    uint32_t types;      /* bit per socket type that knows it; 0: all */
    int min;             /* least value, or size of bytes */
    int max;             /* greatest value, or size of bytes */
    int fallback;        /* value in a new socket */
    uint16_t offset;     /* of the field in struct zu_options */
    uint16_t field_size; /* of the field; 0: nothing is stored */
    /* Instead of the kind's own, for the odd ones; or NULL. */
    int (*set)(struct zu_options *options, const struct zu_option_row *row, const struct zu_option_input *in);
    int (*get)(const struct zu_option_query *query, void *value, size_t *size);
};

/* The values of a new socket of the type. */
void zu_options_init(struct zu_options *options, unsigned type, const struct zu_ctx_options *ctx);
void zu_options_fini(struct zu_options *options);
/* The socket is closed: nobody needs its keys and password any more. */
void zu_options_wipe(struct zu_options *options);

/* `dst` needs no init and must not be in use. -ENOMEM leaves nothing in it to fini. */
int zu_options_copy(struct zu_options *dst, const struct zu_options *src);

/*
 * Negative errno: -EINVAL for an unknown option, one that this type of socket or this direction does not know, a bad
 * size or a bad value; -ENOMEM. A failed call changes nothing, neither options nor *value nor *size.
 */
int zu_option_set(struct zu_options *options, unsigned type, int number, const void *value, size_t size);
int zu_option_get(const struct zu_options *options, unsigned type, int number, void *value, size_t *size,
                  const struct zu_option_live *live, void *socket);

/* enum zu_option_effect. */
unsigned zu_option_effect(int number);

/* NULL where there is no such option. */
const struct zu_option_row *zu_option_row(int number);

/* Replaces the bytes, also by none; for fields that the socket stores itself. -ENOMEM leaves the old ones. */
int zu_option_bytes_set(struct zu_bytes *bytes, const void *data, size_t size);

#endif
