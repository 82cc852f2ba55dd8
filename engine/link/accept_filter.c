/* SPDX-License-Identifier: MIT */
#include "link/accept_filter.h"

/*
 * Happy path, TCP: a rule is 16 address bytes, IPv4 as IPv4-mapped, and the number of leading bits that count; the peer
 * is brought into the same form and compared. So one comparison serves both families on both kinds of listener, and an
 * IPv4 prefix means the same whatever ZMQ_IPV6 is. (libzmq counts the bits of an IPv4 rule from the start of the mapped
 * address when IPV6 is on, so that its "10.0.0.0/8" then lets every IPv4 peer in.)
 *
 * Happy path, ipc: SO_PEERCRED gives uid, gid and pid. SO_PEERGROUPS, asked only if the rest did not decide, gives the
 * groups the peer really has; libzmq looks them up in the group database, which may block.
 *
 * How it fails: closed. Peers of another family do not match, and a kernel that does not tell refuses the peer.
 */

#include "link/inet.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAPPED_BITS 96
#define FILTER_TEXT_MAX 255

struct zu_accept_rule {
    struct in6_addr address; /* bits behind the prefix are never looked at */
    unsigned bits;           /* length of the prefix, 0 to 128 */
    uint32_t zone;           /* scope id that a link-local peer must have; 0 for any */
};

/* Room for one more item of size bytes behind *items. */
static int array_grow(void **items, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return 0;
    size_t capacity_new = *capacity ? *capacity * 2 : 4;
    void *items_new = reallocarray(*items, capacity_new, size);
    if (!items_new)
        return -ENOMEM;
    *items = items_new;
    *capacity = capacity_new;
    return 0;
}

/* A NULL copy of nothing is no failure. */
static int array_copy(const void *items, size_t count, size_t size, void **ret_items)
{
    void *copy = NULL;
    if (count) {
        copy = reallocarray(NULL, count, size);
        if (!copy)
            return -ENOMEM;
        memcpy(copy, items, count * size);
    }
    *ret_items = copy;
    return 0;
}

static int parse_bits(const char *text, long bits_max, unsigned *ret_bits)
{
    long bits = strtol(text, NULL, 10);
    bool is_zero = !strcmp(text, "0");
    if (!is_zero && (bits < 1 || bits > bits_max))
        return -EINVAL;
    *ret_bits = (unsigned)bits;
    return 0;
}

static int parse_rule(char *text, bool ipv6, struct zu_accept_rule *ret_rule)
{
    char *slash = strrchr(text, '/');
    if (slash)
        *slash = '\0';
    union zu_inet_address address;
    int error = zu_inet_literal(text, true, &address);
    if (error)
        return error;
    bool is_v4_text = !strchr(text, ':');
    if (!ipv6 && !IN6_IS_ADDR_V4MAPPED(&address.v6.sin6_addr))
        return -EINVAL;
    /* Without IPv6 a mapped literal is only another spelling of an IPv4 one. */
    unsigned bits_before = is_v4_text || !ipv6 ? MAPPED_BITS : 0;
    unsigned bits = 128 - bits_before;
    if (slash)
        error = parse_bits(slash + 1, (long)bits, &bits);
    if (error)
        return error;
    *ret_rule = (struct zu_accept_rule){
        .address = address.v6.sin6_addr,
        .bits = bits_before + bits,
        .zone = address.v6.sin6_scope_id,
    };
    return 0;
}

static bool rule_match(const struct zu_accept_rule *rule, const struct in6_addr *address, uint32_t zone)
{
    if (rule->zone && rule->zone != zone)
        return false;
    unsigned bytes = rule->bits / 8;
    unsigned rest = rule->bits % 8;
    if (memcmp(&rule->address, address, bytes))
        return false;
    unsigned mask = 0xff00u >> rest & 0xff;
    return !rest || !((rule->address.s6_addr[bytes] ^ address->s6_addr[bytes]) & mask);
}

void zu_accept_filter_clear(struct zu_accept_filter *filter)
{
    free(filter->rules);
    *filter = (struct zu_accept_filter){0};
}

int zu_accept_filter_add(struct zu_accept_filter *filter, const char *text, size_t size, bool ipv6)
{
    char copy[FILTER_TEXT_MAX + 1];
    if (!size || size > FILTER_TEXT_MAX)
        return -EINVAL;
    memcpy(copy, text, size);
    copy[size] = '\0';
    struct zu_accept_rule rule;
    int error = parse_rule(copy, ipv6, &rule);
    if (error)
        return error;
    void *rules = filter->rules;
    error = array_grow(&rules, filter->count, &filter->capacity, sizeof(rule));
    if (error)
        return error;
    filter->rules = rules;
    filter->rules[filter->count++] = rule;
    return 0;
}

int zu_accept_filter_copy(const struct zu_accept_filter *filter, struct zu_accept_filter *ret_copy)
{
    void *rules;
    int error = array_copy(filter->rules, filter->count, sizeof(*filter->rules), &rules);
    if (error)
        return error;
    *ret_copy = (struct zu_accept_filter){.rules = rules, .count = filter->count, .capacity = filter->count};
    return 0;
}

bool zu_accept_filter_match(const struct zu_accept_filter *filter, const struct sockaddr *peer)
{
    if (!filter->count)
        return true;
    struct in6_addr address = {.s6_addr = {[10] = 0xff, [11] = 0xff}};
    uint32_t zone = 0;
    if (peer->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)peer;
        memcpy(&address.s6_addr[12], &v4->sin_addr, sizeof(v4->sin_addr));
    } else if (peer->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const void *)peer;
        address = v6->sin6_addr;
        zone = v6->sin6_scope_id;
    } else {
        return false;
    }
    for (size_t i = 0; i < filter->count; i++)
        if (rule_match(&filter->rules[i], &address, zone))
            return true;
    return false;
}

static bool list_has(const struct zu_ipc_filter_list *list, uint32_t id)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->ids[i] == id)
            return true;
    return false;
}

static bool filter_is_empty(const struct zu_ipc_filter *filter)
{
    for (size_t kind = 0; kind < ZU_IPC_FILTER_KINDS; kind++)
        if (filter->lists[kind].count)
            return false;
    return true;
}

void zu_ipc_filter_clear(struct zu_ipc_filter *filter, enum zu_ipc_filter_kind kind)
{
    free(filter->lists[kind].ids);
    filter->lists[kind] = (struct zu_ipc_filter_list){0};
}

void zu_ipc_filter_clear_all(struct zu_ipc_filter *filter)
{
    for (enum zu_ipc_filter_kind kind = 0; kind < ZU_IPC_FILTER_KINDS; kind++)
        zu_ipc_filter_clear(filter, kind);
}

int zu_ipc_filter_add(struct zu_ipc_filter *filter, enum zu_ipc_filter_kind kind, uint32_t id)
{
    struct zu_ipc_filter_list *list = &filter->lists[kind];
    if (list_has(list, id))
        return 0;
    void *ids = list->ids;
    int error = array_grow(&ids, list->count, &list->capacity, sizeof(id));
    if (error)
        return error;
    list->ids = ids;
    list->ids[list->count++] = id;
    return 0;
}

int zu_ipc_filter_copy(const struct zu_ipc_filter *filter, struct zu_ipc_filter *ret_copy)
{
    struct zu_ipc_filter copy = {0};
    for (enum zu_ipc_filter_kind kind = 0; kind < ZU_IPC_FILTER_KINDS; kind++) {
        const struct zu_ipc_filter_list *list = &filter->lists[kind];
        void *ids;
        int error = array_copy(list->ids, list->count, sizeof(*list->ids), &ids);
        if (error) {
            zu_ipc_filter_clear_all(&copy);
            return error;
        }
        copy.lists[kind] = (struct zu_ipc_filter_list){.ids = ids, .count = list->count, .capacity = list->count};
    }
    *ret_copy = copy;
    return 0;
}

bool zu_ipc_filter_match(const struct zu_ipc_filter *filter, const struct zu_ipc_peer *peer)
{
    if (filter_is_empty(filter))
        return true;
    const struct zu_ipc_filter_list *gids = &filter->lists[ZU_IPC_FILTER_GID];
    if (list_has(&filter->lists[ZU_IPC_FILTER_UID], peer->uid) ||
        list_has(&filter->lists[ZU_IPC_FILTER_PID], peer->pid) || list_has(gids, peer->gid))
        return true;
    for (size_t i = 0; i < peer->group_count; i++)
        if (list_has(gids, peer->groups[i]))
            return true;
    return false;
}

/* *ret_groups is on the heap. The groups were fixed at connect, so the second call cannot need yet more room. */
static int groups_read(int fd, gid_t **ret_groups, size_t *ret_count)
{
    socklen_t size = 0;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &size) < 0 && errno != ERANGE)
        return -errno;
    gid_t *groups = malloc(size + 1);
    if (!groups)
        return -ENOMEM;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0) {
        int error = -errno;
        free(groups);
        return error;
    }
    *ret_groups = groups;
    *ret_count = size / sizeof(*groups);
    return 0;
}

int zu_ipc_filter_check(const struct zu_ipc_filter *filter, int fd)
{
    if (filter_is_empty(filter))
        return 0;
    struct ucred credentials;
    socklen_t size = sizeof(credentials);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0)
        return -errno;
    struct zu_ipc_peer peer = {
        .uid = credentials.uid,
        .gid = credentials.gid,
        .pid = (uint32_t)credentials.pid,
    };
    if (zu_ipc_filter_match(filter, &peer))
        return 0;
    if (!filter->lists[ZU_IPC_FILTER_GID].count)
        return -EACCES;
    gid_t *groups = NULL;
    int error = groups_read(fd, &groups, &peer.group_count);
    if (error)
        return error;
    peer.groups = groups;
    bool is_match = zu_ipc_filter_match(filter, &peer);
    free(groups);
    return is_match ? 0 : -EACCES;
}
