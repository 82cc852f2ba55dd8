/* SPDX-License-Identifier: MIT */
#ifndef ZU_LINK_INET_H
#define ZU_LINK_INET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

/* Enough for what zu_inet_format writes: scheme, an IPv6 address with zone in brackets, port and NUL. */
#define ZU_INET_TEXT_MAX 96

union zu_inet_address {
    struct sockaddr any;    /* for the family, and for system calls */
    struct sockaddr_in v4;  /* AF_INET */
    struct sockaddr_in6 v6; /* AF_INET6, also IPv4-mapped */
};

struct zu_inet {
    union zu_inet_address address; /* to bind or to connect to */
    socklen_t size;                /* bytes of address in use */
    union zu_inet_address source;  /* to bind to before connecting: the part before ';' */
    socklen_t source_size;         /* bytes of source in use, 0 if no source was given */
};

/*
 * All take what follows "tcp://". With ipv6 (option ZMQ_IPV6) every result is AF_INET6 and IPv4 becomes IPv4-mapped;
 * without it IPv6 literals are refused.
 */

/*
 * For bind: `*`, an IPv4 or IPv6 literal, a NIC name or a host name, then ':' and a port, where `0` and `*` mean any.
 * May block in getaddrinfo, but only for a host name. -EINVAL (port or zone), -ENODEV (host), -ENOMEM.
 */
int zu_inet_bind_resolve(const char *text, bool ipv6, struct zu_inet *ret_inet);

/* For zmq_connect: the characters and the port. 0 or -EINVAL; says nothing about whether the host exists. */
int zu_inet_connect_check(const char *text);

/*
 * For connect: "[source;]host:port", to be called before each attempt. May block in getaddrinfo, but only for a host
 * name of the destination. -EINVAL (destination, ports, zones), -ENODEV (host of the source), -ENOMEM.
 */
int zu_inet_resolve(const char *text, bool ipv6, struct zu_inet *ret_inet);

/* The same without ever blocking: -EAGAIN if only zu_inet_resolve, on a thread that may wait, can tell. */
int zu_inet_resolve_numeric(const char *text, bool ipv6, struct zu_inet *ret_inet);

/*
 * A literal without a port, perhaps in brackets and with "%zone"; no names. -EINVAL otherwise. The port is 0.
 */
int zu_inet_literal(const char *host, bool ipv6, union zu_inet_address *ret_address);

/*
 * "tcp://0.0.0.0:44499" or "tcp://[::]:40253", as LAST_ENDPOINT and the monitor show it.
 * -EAFNOSUPPORT if not an internet address, -ENOBUFS if size is too small (ZU_INET_TEXT_MAX never is).
 */
int zu_inet_format(const struct sockaddr *address, char *ret_text, size_t size);

/* The bare host, "127.0.0.1" or "fe80::1%eth0", as Peer-Address and ZAP show it. Errors as above. */
int zu_inet_format_host(const struct sockaddr *address, char *ret_text, size_t size);

#endif
