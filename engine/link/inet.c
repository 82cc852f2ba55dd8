/* SPDX-License-Identifier: MIT */
#include "link/inet.h"

/*
 * Happy path: cut off the port behind the last ':', the brackets and the zone; then take the host for `*`, a literal, a
 * NIC name or a host name, in this order, as far as the side (bind, source, destination) allows each. Only the last of
 * these can block, so everything else is done first and a caller that may not wait stops before it.
 *
 * How it fails: a missing or zero port and an unknown zone are -EINVAL. A host that is nothing at all is -ENODEV where
 * something local was asked for, -EINVAL for a destination; a connecting socket sees that one as a failed attempt and
 * tries again. Whatever is wrong with the text, nothing is written to the result.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS "0123456789"
#define ALNUM DIGITS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define SPACES " \t\n\v\f\r"

/* What one side of an address may be, and how it fails. */
struct side {
    bool is_local;    /* `*` and NIC names are allowed */
    int host_error;   /* for a host that is nothing */
    int lookup_error; /* instead of asking getaddrinfo; 0 to ask */
};

static const struct side side_bind = {.is_local = true, .host_error = -ENODEV, .lookup_error = 0};
static const struct side side_source = {.is_local = true, .host_error = -ENODEV, .lookup_error = -ENODEV};
static const struct side side_dest = {.is_local = false, .host_error = -EINVAL, .lookup_error = 0};
static const struct side side_dest_numeric = {.is_local = false, .host_error = -EINVAL, .lookup_error = -EAGAIN};

/* A host cut out of the text. */
struct host {
    char name[NI_MAXHOST]; /* without brackets and zone, terminated */
    uint32_t zone;         /* scope id, 0 if none was named */
};

static socklen_t address_size(const union zu_inet_address *address)
{
    return address->any.sa_family == AF_INET6 ? sizeof(address->v6) : sizeof(address->v4);
}

static void address_set_v4(union zu_inet_address *address, struct in_addr v4, bool ipv6)
{
    memset(address, 0, sizeof(*address));
    if (!ipv6) {
        address->v4.sin_family = AF_INET;
        address->v4.sin_addr = v4;
        return;
    }
    address->v6.sin6_family = AF_INET6;
    address->v6.sin6_addr.s6_addr[10] = 0xff;
    address->v6.sin6_addr.s6_addr[11] = 0xff;
    memcpy(&address->v6.sin6_addr.s6_addr[12], &v4, sizeof(v4));
}

static void address_set_any(union zu_inet_address *address, bool ipv6)
{
    memset(address, 0, sizeof(*address));
    address->any.sa_family = ipv6 ? AF_INET6 : AF_INET;
}

/* Only these have zones; elsewhere the kernel ignores the scope id, but it would show in the formatted address. */
static void address_set_zone(union zu_inet_address *address, uint32_t zone)
{
    if (address->any.sa_family != AF_INET6 || !zone)
        return;
    const struct in6_addr *v6 = &address->v6.sin6_addr;
    if (IN6_IS_ADDR_LINKLOCAL(v6) || IN6_IS_ADDR_MC_LINKLOCAL(v6) || IN6_IS_ADDR_MC_NODELOCAL(v6))
        address->v6.sin6_scope_id = zone;
}

static int parse_zone(const char *text, uint32_t *ret_zone)
{
    uint32_t zone = if_nametoindex(text);
    if (!zone)
        zone = (uint32_t)strtoul(text, NULL, 10);
    if (!zone)
        return -EINVAL;
    *ret_zone = zone;
    return 0;
}

static int parse_host(const char *text, size_t size, int host_error, struct host *ret_host)
{
    if (size >= 2 && text[0] == '[' && text[size - 1] == ']') {
        text++;
        size -= 2;
    }
    if (size >= sizeof(ret_host->name))
        return host_error;
    memcpy(ret_host->name, text, size);
    ret_host->name[size] = '\0';
    ret_host->zone = 0;
    char *zone = strrchr(ret_host->name, '%');
    if (!zone)
        return 0;
    *zone = '\0';
    return parse_zone(zone + 1, &ret_host->zone);
}

/*
 * As lax as libzmq: what follows the digits is ignored and the number is taken modulo 65536; only 0 must be spelt "0".
 * The text goes on behind size with ';' or NUL, where strtol stops by itself.
 */
static int parse_port(const char *text, size_t size, bool is_local, in_port_t *ret_port)
{
    bool is_zero = size == 1 && (text[0] == '0' || (is_local && text[0] == '*'));
    uint16_t port = (uint16_t)strtol(text, NULL, 10);
    if (!port && !is_zero)
        return -EINVAL;
    *ret_port = htons(port);
    return 0;
}

static bool host_literal(const struct host *host, bool ipv6, union zu_inet_address *ret_address)
{
    struct in_addr v4;
    struct in6_addr v6;
    /* inet_aton takes the short and hexadecimal forms that getaddrinfo takes, but also anything after a space. */
    if (!strpbrk(host->name, SPACES) && inet_aton(host->name, &v4)) {
        address_set_v4(ret_address, v4, ipv6);
        return true;
    }
    if (inet_pton(AF_INET6, host->name, &v6) != 1)
        return false;
    if (!ipv6 && !IN6_IS_ADDR_V4MAPPED(&v6))
        return false;
    if (!ipv6) {
        memcpy(&v4, &v6.s6_addr[12], sizeof(v4));
        address_set_v4(ret_address, v4, false);
        return true;
    }
    address_set_any(ret_address, true);
    ret_address->v6.sin6_addr = v6;
    return true;
}

/* A list that cannot be had counts as "no such NIC": the name may still be a host. */
static bool host_nic(const struct host *host, bool ipv6, union zu_inet_address *ret_address)
{
    struct ifaddrs *list;
    if (getifaddrs(&list) < 0)
        return false;
    bool is_found = false;
    for (const struct ifaddrs *nic = list; nic && !is_found; nic = nic->ifa_next) {
        if (!nic->ifa_addr || nic->ifa_addr->sa_family != (ipv6 ? AF_INET6 : AF_INET) ||
            strcmp(nic->ifa_name, host->name))
            continue;
        memset(ret_address, 0, sizeof(*ret_address));
        memcpy(ret_address, nic->ifa_addr, ipv6 ? sizeof(ret_address->v6) : sizeof(ret_address->v4));
        is_found = true;
    }
    freeifaddrs(list);
    return is_found;
}

static int host_lookup(const struct host *host, bool ipv6, const struct side *side, union zu_inet_address *ret_address)
{
    const struct addrinfo hints = {
        .ai_family = ipv6 ? AF_INET6 : AF_INET,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = ipv6 ? AI_V4MAPPED : 0,
    };
    struct addrinfo *list;
    int error = getaddrinfo(host->name, NULL, &hints, &list);
    if (error)
        return error == EAI_MEMORY ? -ENOMEM : side->host_error;
    memset(ret_address, 0, sizeof(*ret_address));
    memcpy(ret_address, list->ai_addr, ipv6 ? sizeof(ret_address->v6) : sizeof(ret_address->v4));
    freeaddrinfo(list);
    return 0;
}

static int host_resolve(const struct host *host, bool ipv6, const struct side *side, union zu_inet_address *ret_address)
{
    if (side->is_local && !strcmp(host->name, "*")) {
        address_set_any(ret_address, ipv6);
        return 0;
    }
    if (host_literal(host, ipv6, ret_address))
        return 0;
    /* No name is empty or holds a ':', so nobody need wait for the answer. */
    if (!host->name[0] || strchr(host->name, ':'))
        return side->host_error;
    if (side->is_local && host_nic(host, ipv6, ret_address))
        return 0;
    if (side->lookup_error)
        return side->lookup_error;
    return host_lookup(host, ipv6, side, ret_address);
}

static int side_resolve(const char *text, size_t size, bool ipv6, const struct side *side,
                        union zu_inet_address *ret_address)
{
    const char *colon = memrchr(text, ':', size);
    if (!colon)
        return -EINVAL;
    in_port_t port;
    int error = parse_port(colon + 1, (size_t)(text + size - colon - 1), side->is_local, &port);
    if (error)
        return error;
    struct host host;
    error = parse_host(text, (size_t)(colon - text), side->host_error, &host);
    if (error)
        return error;
    error = host_resolve(&host, ipv6, side, ret_address);
    if (error)
        return error;
    address_set_zone(ret_address, host.zone);
    if (ret_address->any.sa_family == AF_INET6)
        ret_address->v6.sin6_port = port;
    else
        ret_address->v4.sin_port = port;
    return 0;
}

static int inet_resolve(const char *text, bool ipv6, const struct side *side, struct zu_inet *ret_inet)
{
    struct zu_inet inet = {0};
    const char *semicolon = strrchr(text, ';');
    const char *dest = semicolon ? semicolon + 1 : text;
    int error;
    if (semicolon) {
        error = side_resolve(text, (size_t)(semicolon - text), ipv6, &side_source, &inet.source);
        if (error)
            return error;
        inet.source_size = address_size(&inet.source);
    }
    error = side_resolve(dest, strlen(dest), ipv6, side, &inet.address);
    if (error)
        return error;
    inet.size = address_size(&inet.address);
    *ret_inet = inet;
    return 0;
}

int zu_inet_bind_resolve(const char *text, bool ipv6, struct zu_inet *ret_inet)
{
    return inet_resolve(text, ipv6, &side_bind, ret_inet);
}

int zu_inet_connect_check(const char *text)
{
    if (!text[0] || !strchr(ALNUM "[:", text[0]))
        return -EINVAL;
    if (text[strspn(text, ALNUM ".-:%;[]_*")])
        return -EINVAL;
    const char *colon = strrchr(text, ':');
    if (!colon || !colon[1] || !strchr(DIGITS, colon[1]))
        return -EINVAL;
    return 0;
}

int zu_inet_resolve(const char *text, bool ipv6, struct zu_inet *ret_inet)
{
    return inet_resolve(text, ipv6, &side_dest, ret_inet);
}

int zu_inet_resolve_numeric(const char *text, bool ipv6, struct zu_inet *ret_inet)
{
    return inet_resolve(text, ipv6, &side_dest_numeric, ret_inet);
}

int zu_inet_literal(const char *text, bool ipv6, union zu_inet_address *ret_address)
{
    struct host host;
    int error = parse_host(text, strlen(text), -EINVAL, &host);
    if (error)
        return error;
    union zu_inet_address address;
    if (!host_literal(&host, ipv6, &address))
        return -EINVAL;
    address_set_zone(&address, host.zone);
    *ret_address = address;
    return 0;
}

int zu_inet_format_host(const struct sockaddr *address, char *ret_text, size_t size)
{
    if (address->sa_family != AF_INET && address->sa_family != AF_INET6)
        return -EAFNOSUPPORT;
    char host[ZU_INET_TEXT_MAX];
    socklen_t address_size = address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    /* Numeric only, so this neither blocks nor reads a database; it knows which addresses want their zone shown. */
    if (getnameinfo(address, address_size, host, sizeof(host), NULL, 0, NI_NUMERICHOST))
        return -ENOBUFS;
    size_t host_size = strlen(host) + 1;
    if (host_size > size)
        return -ENOBUFS;
    memcpy(ret_text, host, host_size);
    return 0;
}

int zu_inet_format(const struct sockaddr *address, char *ret_text, size_t size)
{
    char host[ZU_INET_TEXT_MAX];
    int error = zu_inet_format_host(address, host, sizeof(host));
    if (error)
        return error;
    bool is_v6 = address->sa_family == AF_INET6;
    in_port_t port = is_v6 ? ((const struct sockaddr_in6 *)(const void *)address)->sin6_port
                           : ((const struct sockaddr_in *)(const void *)address)->sin_port;
    char text[ZU_INET_TEXT_MAX + 16];
    int length = snprintf(text, sizeof(text), is_v6 ? "tcp://[%s]:%u" : "tcp://%s:%u", host, ntohs(port));
    if ((size_t)length >= size)
        return -ENOBUFS;
    memcpy(ret_text, text, (size_t)length + 1);
    return 0;
}
