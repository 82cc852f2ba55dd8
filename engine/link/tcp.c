/* SPDX-License-Identifier: MIT */
/*
 * tcp://: sockets are opened dual-stack when IPV6 is on, and fall back to IPv4 on a kernel without IPv6. Binding fails
 * at once with the kernel's reason; dialling fails per attempt, and the dial tries again. A port of this machine where
 * nobody listens may be given to the very socket that connects to it: it then talks to itself, which counts as refused.
 */
#include "link/transport.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "link/inet.h"

static int check(const char *address)
{
    return zu_inet_connect_check(address);
}

static int socket_open(const union zu_inet_address *address, const struct zu_settings *settings)
{
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd < 0)
        return -errno;
    int err = zu_sockopt_open(fd, address->any.sa_family, &settings->sockopt);
    if (!err)
        return fd;
    close(fd);
    return err;
}

static int listen_name(int fd, struct zu_listening *ret_listening)
{
    union zu_inet_address bound;
    socklen_t size = sizeof bound;
    if (getsockname(fd, &bound.any, &size) < 0)
        return -errno;
    return zu_inet_format(&bound.any, ret_listening->text, sizeof ret_listening->text);
}

static int listen_at(const struct zu_inet *inet, const struct zu_settings *settings, struct zu_listening *ret_listening)
{
    int fd = socket_open(&inet->address, settings);
    if (fd < 0)
        return fd;
    int err = zu_sockopt_reuse(fd);
    if (!err && (bind(fd, &inet->address.any, inet->size) < 0 || listen(fd, settings->backlog) < 0))
        err = -errno;
    if (!err)
        err = listen_name(fd, ret_listening);
    if (err) {
        close(fd);
        return err;
    }
    ret_listening->fd = fd;
    return 0;
}

static int tcp_listen(const char *address, const struct zu_settings *settings, struct zu_listening *ret_listening)
{
    ret_listening->residue = NULL;
    if (settings->use_fd >= 0) {
        ret_listening->fd = settings->use_fd;
        int err = zu_sockopt_adopt(settings->use_fd);
        return err ? err : listen_name(settings->use_fd, ret_listening);
    }
    struct zu_inet inet;
    int err = zu_inet_bind_resolve(address, settings->ipv6, &inet);
    if (err)
        return err;
    err = listen_at(&inet, settings, ret_listening);
    if (err == -EAFNOSUPPORT && settings->ipv6 && zu_inet_bind_resolve(address, false, &inet) == 0)
        err = listen_at(&inet, settings, ret_listening);
    return err;
}

static bool is_loopback(const union zu_inet_address *address)
{
    if (address->any.sa_family == AF_INET)
        return ntohl(address->v4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    const struct in6_addr *v6 = &address->v6.sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(v6) || (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == IN_LOOPBACKNET);
}

/*
 * A congestion control that paces (BBR) sets a timer per batch; within one machine there is nothing to pace, and large
 * messages are half again as fast without. Only where the other end is this machine; refused, nothing changes.
 */
static void spare_pacing(int fd, const union zu_inet_address *peer)
{
    static const char unpaced[] = "cubic";
    if (is_loopback(peer))
        setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, unpaced, sizeof unpaced - 1);
}

static int target_open(const struct zu_inet *inet, const struct zu_settings *settings, struct zu_target *ret_target)
{
    int fd = socket_open(&inet->address, settings);
    if (fd < 0)
        return fd;
    int err = zu_sockopt_connection(fd, inet->address.any.sa_family, &settings->sockopt);
    if (!err && inet->source_size) {
        err = zu_sockopt_reuse(fd);
        if (!err && bind(fd, &inet->source.any, inet->source_size) < 0)
            err = -errno;
    }
    if (err) {
        close(fd);
        return err;
    }
    spare_pacing(fd, &inet->address);
    ret_target->fd = fd;
    memcpy(&ret_target->address, &inet->address, inet->size);
    ret_target->size = inet->size;
    return 0;
}

static int dial(const char *address, const struct zu_settings *settings, struct zu_target *ret_target)
{
    struct zu_inet inet;
    int err = zu_inet_resolve_numeric(address, settings->ipv6, &inet);
    if (err)
        return err;
    err = target_open(&inet, settings, ret_target);
    if (err == -EAFNOSUPPORT && settings->ipv6 && zu_inet_resolve_numeric(address, false, &inet) == 0)
        err = target_open(&inet, settings, ret_target);
    return err;
}

static int connected(int fd)
{
    union zu_inet_address own = {0}, peer = {0};
    socklen_t own_size = sizeof own, peer_size = sizeof peer;
    if (getsockname(fd, &own.any, &own_size) < 0 || getpeername(fd, &peer.any, &peer_size) < 0)
        return -errno;
    return own_size == peer_size && memcmp(&own, &peer, own_size) == 0 ? -ECONNREFUSED : 0;
}

static int accepted(int fd, const struct zu_settings *settings)
{
    union zu_inet_address peer;
    socklen_t size = sizeof peer;
    if (getpeername(fd, &peer.any, &size) < 0)
        return -errno;
    if (!zu_accept_filter_match(&settings->tcp_accept, &peer.any))
        return -EACCES;
    spare_pacing(fd, &peer);
    return zu_sockopt_connection(fd, peer.any.sa_family, &settings->sockopt);
}

static int plain(const char *address, bool ipv6, bool is_local, char *text, size_t size)
{
    struct zu_inet inet;
    int err = is_local ? zu_inet_bind_resolve(address, ipv6, &inet) : zu_inet_resolve(address, ipv6, &inet);
    return err ? err : zu_inet_format(&inet.address.any, text, size);
}

static void peer_text(int fd, char *text, size_t size)
{
    union zu_inet_address peer;
    socklen_t peer_size = sizeof peer;
    if (getpeername(fd, &peer.any, &peer_size) < 0 || zu_inet_format_host(&peer.any, text, size) < 0)
        text[0] = 0;
}

static void name(int fd, bool remote, char *text, size_t size)
{
    union zu_inet_address end;
    socklen_t end_size = sizeof end;
    if ((remote ? getpeername : getsockname)(fd, &end.any, &end_size) == 0)
        zu_inet_format(&end.any, text, size);
}

const struct zu_transport zu_transport_tcp = {
    .scheme = "tcp",
    .check = check,
    .listen = tcp_listen,
    .dial = dial,
    .dial_found = target_open,
    .connected = connected,
    .accepted = accepted,
    .plain = plain,
    .peer_text = peer_text,
    .name = name,
    .delays = true,
    .takes_proxy = true,
};
