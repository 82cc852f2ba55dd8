/* SPDX-License-Identifier: MIT */
/* What makes a stream transport: how its descriptors come about. Everything after that is the same for all. */
#ifndef ZU_LINK_TRANSPORT_H
#define ZU_LINK_TRANSPORT_H

#include <sys/socket.h>

#include "link/inet.h"
#include "link/settings.h"

/* Longest LAST_ENDPOINT text of a stream transport, with its NUL. */
#define ZU_TRANSPORT_TEXT_MAX 160

/* What a listening descriptor leaves behind in the file system; the transport's to fill and to clear. */
struct zu_listening {
    int fd;                           /* non-blocking */
    char text[ZU_TRANSPORT_TEXT_MAX]; /* the endpoint as resolved */
    void *residue;                    /* NULL, or what unlisten removes */
};

struct zu_target {
    int fd;                          /* fresh, non-blocking */
    struct sockaddr_storage address; /* where to */
    socklen_t size;                  /* bytes of address */
};

/* `address` is what follows "scheme://". Negative errnos as zmq_bind and zmq_connect document them. */
struct zu_transport {
    const char *scheme;
    /* zmq_connect's thread: is the text well-formed? Nothing is looked up. */
    int (*check)(const char *address);
    /* zmq_bind's thread: a socket that listens. */
    int (*listen)(const char *address, const struct zu_settings *settings, struct zu_listening *ret_listening);
    /* Any thread, after the descriptor is closed. Negative: something stays. NULL when there is never a residue. */
    int (*unlisten)(struct zu_listening *listening);
    /* The shard: a socket to connect, anew for each attempt. -EAGAIN: a name must be looked up, and given to dial_found. */
    int (*dial)(const char *address, const struct zu_settings *settings, struct zu_target *ret_target);
    /* The same with what was found. NULL when dial never asks for it. */
    int (*dial_found)(const struct zu_inet *found, const struct zu_settings *settings, struct zu_target *ret_target);
    /* The shard: may what has been connected be used? Negative: close it and try again. NULL: always. */
    int (*connected)(int fd);
    /* The shard: may this peer stay? Applies the options of a connection. Negative: close it. */
    int (*accepted)(int fd, const struct zu_settings *settings);
    /*
     * zmq_unbind's thread: the whole endpoint with names looked up, as a connect would take it, or with `is_local` a bind.
     * NULL when there are none.
     */
    int (*plain)(const char *address, bool ipv6, bool is_local, char *text, size_t size);
    /* Peer-Address, into `text`; an empty string when there is none. NULL when there never is. */
    void (*peer_text)(int fd, char *text, size_t size);
    /* One end of a connection, as an endpoint; `text` stays as it is when it has no name. NULL when it never has. */
    void (*name)(int fd, bool remote, char *text, size_t size);
    /* The kernel says EINPROGRESS to a connect by it. */
    bool delays;
    /* A connect by it goes through SOCKS_PROXY, if that is set. */
    bool takes_proxy;
};

extern const struct zu_transport zu_transport_tcp;
extern const struct zu_transport zu_transport_ipc;

#endif
