/* SPDX-License-Identifier: MIT */
#ifndef ZU_LINK_ACCEPT_FILTER_H
#define ZU_LINK_ACCEPT_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

struct zu_accept_rule;

/* Networks that may connect over TCP (option TCP_ACCEPT_FILTER). Empty lets everybody in. Starts as zero bytes. */
struct zu_accept_filter {
    struct zu_accept_rule *rules; /* count of them, on the heap */
    size_t count;                 /* rules in use */
    size_t capacity;              /* rules there is room for */
};

/* Back to empty; also the end, since nothing else is held. */
void zu_accept_filter_clear(struct zu_accept_filter *filter);

/*
 * One more network: a literal address, perhaps "/bits"; the text need not be terminated. "/0" takes in the whole
 * family. IPv6 literals need ipv6 (option ZMQ_IPV6). -EINVAL, -ENOMEM.
 */
int zu_accept_filter_add(struct zu_accept_filter *filter, const char *text, size_t size, bool ipv6);

/* A snapshot for a listener. -ENOMEM. */
int zu_accept_filter_copy(const struct zu_accept_filter *filter, struct zu_accept_filter *ret_copy);

/* May this peer connect? IPv4 rules also hold for IPv4-mapped peers. */
bool zu_accept_filter_match(const struct zu_accept_filter *filter, const struct sockaddr *peer);

enum zu_ipc_filter_kind {
    ZU_IPC_FILTER_UID,
    ZU_IPC_FILTER_GID,
    ZU_IPC_FILTER_PID,
    ZU_IPC_FILTER_KINDS,
};

struct zu_ipc_filter_list {
    uint32_t *ids;   /* count of them, on the heap */
    size_t count;    /* ids in use */
    size_t capacity; /* ids there is room for */
};

/* Processes that may connect over ipc (options IPC_FILTER_*). Empty lets everybody in. Starts as zero bytes. */
struct zu_ipc_filter {
    struct zu_ipc_filter_list lists[ZU_IPC_FILTER_KINDS]; /* a match in any of them suffices */
};

/* What a filter needs to know of a peer. */
struct zu_ipc_peer {
    uint32_t uid;        /* of the process when it connected */
    uint32_t gid;        /* primary group */
    uint32_t pid;        /* 0 if outside our pid namespace */
    const gid_t *groups; /* supplementary groups */
    size_t group_count;  /* number of groups */
};

/* Empties the list of one kind (the option set to NULL, 0). */
void zu_ipc_filter_clear(struct zu_ipc_filter *filter, enum zu_ipc_filter_kind kind);

/* Back to empty; also the end. */
void zu_ipc_filter_clear_all(struct zu_ipc_filter *filter);

/* One more id; one that is there already counts once. -ENOMEM. */
int zu_ipc_filter_add(struct zu_ipc_filter *filter, enum zu_ipc_filter_kind kind, uint32_t id);

/* A snapshot for a listener. -ENOMEM. */
int zu_ipc_filter_copy(const struct zu_ipc_filter *filter, struct zu_ipc_filter *ret_copy);

bool zu_ipc_filter_match(const struct zu_ipc_filter *filter, const struct zu_ipc_peer *peer);

/* The same for a connected socket: 0 if the peer may connect, -EACCES if not, or why the kernel did not tell. */
int zu_ipc_filter_check(const struct zu_ipc_filter *filter, int fd);

#endif
