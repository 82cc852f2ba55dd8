/* SPDX-License-Identifier: MIT */
#include "link/sockopt.h"

/*
 * Happy path: walk the table, skip the rows that are not for this moment or family or whose value says "leave alone",
 * and hand the others to setsockopt.
 *
 * How it fails: the first refusal (a privilege that is missing, a NIC that does not exist) is returned and ends the
 * walk. Half-set options do no harm, since the caller closes the socket.
 */

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <string.h>

enum {
    AT_OPEN = 1 << 0,
    AT_CONNECTION = 1 << 1,

    ON_UNIX = 1 << 0,
    ON_V4 = 1 << 1,
    ON_V6 = 1 << 2,
    ON_TCP = ON_V4 | ON_V6,
    ON_ALL = ON_UNIX | ON_TCP,
};

struct row {
    unsigned moments;  /* AT_ bits: when to set it */
    unsigned families; /* ON_ bits: where to set it */
    int level;         /* for setsockopt */
    int name;          /* for setsockopt */
    size_t offset;     /* of the value in struct zu_sockopt */
    size_t gate;       /* offset of a second value that must not be leave_alone either; else the same as offset */
    int leave_alone;   /* the value that means: do not call setsockopt */
    int tolerated;     /* an errno that is no failure, or 0 */
};

#define FIELD(field) .offset = offsetof(struct zu_sockopt, field), .gate = offsetof(struct zu_sockopt, field)
#define FIELD_GATED(field, by) .offset = offsetof(struct zu_sockopt, field), .gate = offsetof(struct zu_sockopt, by)

/* An accepted socket inherits buffers and busy polling from its listener, but not the priority. */
static const struct row rows[] = {
    {AT_OPEN, ON_ALL, SOL_SOCKET, SO_SNDBUF, FIELD(sndbuf), .leave_alone = -1},
    {AT_OPEN, ON_ALL, SOL_SOCKET, SO_RCVBUF, FIELD(rcvbuf), .leave_alone = -1},
    {AT_OPEN, ON_TCP, SOL_SOCKET, SO_BUSY_POLL, FIELD(busy_poll), .leave_alone = 0},
    {AT_OPEN | AT_CONNECTION, ON_TCP, IPPROTO_IP, IP_TOS, FIELD(tos), .leave_alone = 0},
    /* IP_TOS cuts a value over 255 and this one refuses it; libzmq binds all the same. */
    {AT_OPEN | AT_CONNECTION, ON_V6, IPPROTO_IPV6, IPV6_TCLASS, FIELD(tos), .leave_alone = 0, .tolerated = EINVAL},
    /* After TOS, which sets a priority of its own. */
    {AT_OPEN | AT_CONNECTION, ON_TCP, SOL_SOCKET, SO_PRIORITY, FIELD(priority), .leave_alone = 0},
    {AT_CONNECTION, ON_TCP, SOL_SOCKET, SO_KEEPALIVE, FIELD(keepalive), .leave_alone = -1},
    {AT_CONNECTION, ON_TCP, IPPROTO_TCP, TCP_KEEPCNT, FIELD_GATED(keepalive_cnt, keepalive), .leave_alone = -1},
    {AT_CONNECTION, ON_TCP, IPPROTO_TCP, TCP_KEEPIDLE, FIELD_GATED(keepalive_idle, keepalive), .leave_alone = -1},
    {AT_CONNECTION, ON_TCP, IPPROTO_TCP, TCP_KEEPINTVL, FIELD_GATED(keepalive_intvl, keepalive), .leave_alone = -1},
    {AT_CONNECTION, ON_TCP, IPPROTO_TCP, TCP_USER_TIMEOUT, FIELD(maxrt_ms), .leave_alone = 0},
};

static unsigned family_bit(int family)
{
    return family == AF_UNIX ? ON_UNIX : family == AF_INET ? ON_V4 : family == AF_INET6 ? ON_V6 : 0;
}

static int option_set(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int field_read(const struct zu_sockopt *options, size_t offset)
{
    int value;
    memcpy(&value, (const char *)options + offset, sizeof(value));
    return value;
}

static int rows_apply(int fd, int family, unsigned moment, const struct zu_sockopt *options)
{
    unsigned bit = family_bit(family);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *row = &rows[i];
        if (!(row->moments & moment) || !(row->families & bit))
            continue;
        int value = field_read(options, row->offset);
        if (value == row->leave_alone || field_read(options, row->gate) == row->leave_alone)
            continue;
        int error = option_set(fd, row->level, row->name, value);
        if (error && error != -row->tolerated)
            return error;
    }
    return 0;
}

static int device_set(int fd, const char *device)
{
    size_t size = strlen(device);
    /* The kernel would cut a longer name, and might find another NIC by it. */
    if (size >= IFNAMSIZ)
        return -ENODEV;
    return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)size) < 0 ? -errno : 0;
}

void zu_sockopt_init(struct zu_sockopt *ret_options)
{
    *ret_options = (struct zu_sockopt){
        .sndbuf = -1,
        .rcvbuf = -1,
        .keepalive = -1,
        .keepalive_cnt = -1,
        .keepalive_idle = -1,
        .keepalive_intvl = -1,
    };
}

int zu_sockopt_open(int fd, int family, const struct zu_sockopt *options)
{
    int error = 0;
    if (family == AF_INET6)
        error = option_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    if (!error && family != AF_UNIX && options->bind_to_device && options->bind_to_device[0])
        error = device_set(fd, options->bind_to_device);
    return error ? error : rows_apply(fd, family, AT_OPEN, options);
}

int zu_sockopt_connection(int fd, int family, const struct zu_sockopt *options)
{
    int error = 0;
    if (family != AF_UNIX)
        error = option_set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    return error ? error : rows_apply(fd, family, AT_CONNECTION, options);
}

int zu_sockopt_reuse(int fd)
{
    return option_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
}

int zu_sockopt_adopt(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}
