/* SPDX-License-Identifier: MIT */
#ifndef ZU_LINK_SOCKOPT_H
#define ZU_LINK_SOCKOPT_H

#include <sys/socket.h>

/* A snapshot of a socket's options for the kernel, taken at bind or connect. Starts as zu_sockopt_init leaves it. */
struct zu_sockopt {
    int sndbuf;                 /* SO_SNDBUF in bytes; -1 leaves the kernel's */
    int rcvbuf;                 /* SO_RCVBUF in bytes; -1 leaves the kernel's */
    int tos;                    /* IP_TOS and IPV6_TCLASS; 0 leaves the kernel's */
    int priority;               /* SO_PRIORITY; 0 leaves the kernel's */
    int keepalive;              /* SO_KEEPALIVE; -1 leaves the kernel's, and makes the next three count for nothing */
    int keepalive_cnt;          /* TCP_KEEPCNT; -1 leaves the kernel's */
    int keepalive_idle;         /* TCP_KEEPIDLE in seconds; -1 leaves the kernel's */
    int keepalive_intvl;        /* TCP_KEEPINTVL in seconds; -1 leaves the kernel's */
    int maxrt_ms;               /* TCP_USER_TIMEOUT; 0 leaves the kernel's */
    int busy_poll;              /* SO_BUSY_POLL in microseconds; 0 leaves the kernel's */
    const char *bind_to_device; /* NIC name for SO_BINDTODEVICE; NULL or "" for none; belongs to the caller */
};

/* libzmq's defaults: the kernel's. */
void zu_sockopt_init(struct zu_sockopt *ret_options);

/*
 * Each takes the family the socket was opened with; AF_UNIX gets the buffer sizes alone. 0, or the negative errno of
 * the first option the kernel refused, which leaves the rest unset: close the socket.
 */

/* On a fresh socket, before bind or connect. Makes AF_INET6 dual-stack. */
int zu_sockopt_open(int fd, int family, const struct zu_sockopt *options);

/* On a connection: accepted, or about to be connected. TCP_NODELAY always. */
int zu_sockopt_connection(int fd, int family, const struct zu_sockopt *options);

/* SO_REUSEADDR: before bind, for a TCP listener and for a connection with a source address. */
int zu_sockopt_reuse(int fd);

/* For a listener that the application made: accepting must never block, whoever does it. */
int zu_sockopt_adopt(int fd);

#endif
