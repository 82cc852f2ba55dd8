/* SPDX-License-Identifier: MIT */
#include "link/sockopt.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

static int stream_open(int family)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_geq(fd, 0, "family %d: %s", family, strerror(errno));
    return fd;
}

static int option_get(int fd, int level, int name)
{
    int value = -12345;
    socklen_t size = sizeof(value);
    cr_expect_eq(getsockopt(fd, level, name, &value, &size), 0, "%d/%d: %s", level, name, strerror(errno));
    return value;
}

static int apply_open(int fd, int family, const struct zu_sockopt *options)
{
    return zu_sockopt_open(fd, family, options);
}

static int apply_connection(int fd, int family, const struct zu_sockopt *options)
{
    return zu_sockopt_connection(fd, family, options);
}

typedef int (*apply_fn)(int fd, int family, const struct zu_sockopt *options);

struct row {
    const char *name;
    size_t offset;     /* of the field in struct zu_sockopt */
    int value;         /* what to set */
    int level, option; /* where it shows */
    int expected;      /* what shows when it was set */
    bool at_open, at_connection, on_unix;
};

#define FIELD(field) #field, offsetof(struct zu_sockopt, field)

static const struct row rows[] = {
    {FIELD(sndbuf), 20000, SOL_SOCKET, SO_SNDBUF, 40000, true, false, true},
    {FIELD(rcvbuf), 30000, SOL_SOCKET, SO_RCVBUF, 60000, true, false, true},
    {FIELD(tos), 0x28, IPPROTO_IP, IP_TOS, 0x28, true, true, false},
    {FIELD(priority), 5, SOL_SOCKET, SO_PRIORITY, 5, true, true, false},
    {FIELD(keepalive), 1, SOL_SOCKET, SO_KEEPALIVE, 1, false, true, false},
    {FIELD(maxrt_ms), 5000, IPPROTO_TCP, TCP_USER_TIMEOUT, 5000, false, true, false},
};

static void expect_row(const struct row *row, apply_fn apply, int family, bool is_set)
{
    if (family == AF_UNIX && row->level != SOL_SOCKET)
        return;
    int fd = stream_open(family);
    int before = option_get(fd, row->level, row->option);
    cr_assert_neq(before, row->expected, "the test could not fail");
    struct zu_sockopt options;
    zu_sockopt_init(&options);
    memcpy((char *)&options + row->offset, &row->value, sizeof(row->value));
    cr_expect_eq(apply(fd, family, &options), 0, "%s on %d", row->name, family);
    int after = option_get(fd, row->level, row->option);
    cr_expect_eq(after, is_set ? row->expected : before, "%s on %d: %d", row->name, family, after);
    close(fd);
}

Test(sockopt, each_at_its_moment)
{
    static const int families[] = {AF_INET, AF_INET6, AF_UNIX};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t f = 0; f < sizeof(families) / sizeof(families[0]); f++) {
            bool is_for_family = families[f] != AF_UNIX || rows[i].on_unix;
            expect_row(&rows[i], apply_open, families[f], rows[i].at_open && is_for_family);
            expect_row(&rows[i], apply_connection, families[f], rows[i].at_connection && is_for_family);
        }
    }
}

Test(sockopt, defaults_leave_the_kernel_alone)
{
    static const struct {
        int level, option;
    } shown[] = {
        {SOL_SOCKET, SO_SNDBUF},         {SOL_SOCKET, SO_RCVBUF},     {SOL_SOCKET, SO_PRIORITY},
        {SOL_SOCKET, SO_KEEPALIVE},      {SOL_SOCKET, SO_BUSY_POLL},  {IPPROTO_IP, IP_TOS},
        {IPPROTO_TCP, TCP_KEEPCNT},      {IPPROTO_TCP, TCP_KEEPIDLE}, {IPPROTO_TCP, TCP_KEEPINTVL},
        {IPPROTO_TCP, TCP_USER_TIMEOUT},
    };
    int untouched = stream_open(AF_INET);
    int fd = stream_open(AF_INET);
    struct zu_sockopt options;
    zu_sockopt_init(&options);
    cr_expect_eq(zu_sockopt_open(fd, AF_INET, &options), 0);
    cr_expect_eq(zu_sockopt_connection(fd, AF_INET, &options), 0);
    for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
        cr_expect_eq(option_get(fd, shown[i].level, shown[i].option),
                     option_get(untouched, shown[i].level, shown[i].option), "%d/%d", shown[i].level, shown[i].option);
    cr_expect_eq(option_get(untouched, IPPROTO_TCP, TCP_NODELAY), 0);
    cr_expect_eq(option_get(fd, IPPROTO_TCP, TCP_NODELAY), 1);
    close(fd);
    close(untouched);
}

Test(sockopt, keepalive_details_need_keepalive)
{
    for (int keepalive = -1; keepalive <= 1; keepalive++) {
        int fd = stream_open(AF_INET);
        int cnt = option_get(fd, IPPROTO_TCP, TCP_KEEPCNT);
        int idle = option_get(fd, IPPROTO_TCP, TCP_KEEPIDLE);
        int intvl = option_get(fd, IPPROTO_TCP, TCP_KEEPINTVL);
        struct zu_sockopt options;
        zu_sockopt_init(&options);
        options.keepalive = keepalive;
        options.keepalive_cnt = cnt + 1;
        options.keepalive_idle = idle + 1;
        options.keepalive_intvl = intvl + 1;
        cr_expect_eq(zu_sockopt_connection(fd, AF_INET, &options), 0);
        int more = keepalive >= 0;
        cr_expect_eq(option_get(fd, SOL_SOCKET, SO_KEEPALIVE), keepalive > 0);
        cr_expect_eq(option_get(fd, IPPROTO_TCP, TCP_KEEPCNT), cnt + more);
        cr_expect_eq(option_get(fd, IPPROTO_TCP, TCP_KEEPIDLE), idle + more);
        cr_expect_eq(option_get(fd, IPPROTO_TCP, TCP_KEEPINTVL), intvl + more);
        close(fd);
    }
}

Test(sockopt, dual_stack)
{
    int fd = stream_open(AF_INET6);
    int on = 1;
    cr_assert_eq(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)), 0);
    struct zu_sockopt options;
    zu_sockopt_init(&options);
    options.tos = 0x28;
    cr_expect_eq(zu_sockopt_open(fd, AF_INET6, &options), 0);
    cr_expect_eq(option_get(fd, IPPROTO_IPV6, IPV6_V6ONLY), 0);
    cr_expect_eq(option_get(fd, IPPROTO_IPV6, IPV6_TCLASS), 0x28);
    options.tos = 300;
    cr_expect_eq(zu_sockopt_open(fd, AF_INET6, &options), 0, "as libzmq, which binds with any TOS");
    close(fd);
}

Test(sockopt, reuse)
{
    int fd = stream_open(AF_INET);
    cr_expect_eq(option_get(fd, SOL_SOCKET, SO_REUSEADDR), 0);
    cr_expect_eq(zu_sockopt_reuse(fd), 0);
    cr_expect_eq(option_get(fd, SOL_SOCKET, SO_REUSEADDR), 1);
    close(fd);
}

Test(sockopt, bind_to_device)
{
    static const struct {
        const char *device;
        int error;
        const char *bound;
    } devices[] = {
        {NULL, 0, ""},
        {"", 0, ""},
        {"lo", 0, "lo"},
        {"zuring-none", -ENODEV, ""},
        {"lo\0", 0, "lo"},
        {"a-name-of-16-byt", -ENODEV, ""},
        {"a name that is much longer than any that a device may have", -ENODEV, ""},
    };
    for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++) {
        int fd = stream_open(AF_INET);
        struct zu_sockopt options;
        zu_sockopt_init(&options);
        options.bind_to_device = devices[i].device;
        int rc = zu_sockopt_open(fd, AF_INET, &options);
        cr_expect_eq(rc, devices[i].error, "%s: %d", devices[i].device, rc);
        char bound[32] = "";
        socklen_t size = sizeof(bound);
        cr_expect_eq(getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, bound, &size), 0);
        cr_expect_str_eq(bound, devices[i].bound);
        close(fd);
    }
    struct zu_sockopt options;
    zu_sockopt_init(&options);
    options.bind_to_device = "zuring-none";
    int fd = stream_open(AF_UNIX);
    cr_expect_eq(zu_sockopt_open(fd, AF_UNIX, &options), 0, "means nothing to ipc");
    close(fd);
}

Test(sockopt, busy_poll_needs_a_privilege)
{
    int fd = stream_open(AF_INET);
    struct zu_sockopt options;
    zu_sockopt_init(&options);
    options.busy_poll = option_get(fd, SOL_SOCKET, SO_BUSY_POLL) + 50;
    int rc = zu_sockopt_open(fd, AF_INET, &options);
    if (rc == 0)
        cr_expect_eq(option_get(fd, SOL_SOCKET, SO_BUSY_POLL), options.busy_poll);
    else
        cr_expect_eq(rc, -EPERM, "%d", rc);
    close(fd);
}

Test(sockopt, errors_come_back)
{
    struct zu_sockopt options;
    zu_sockopt_init(&options);
    cr_expect_eq(zu_sockopt_connection(-1, AF_INET, &options), -EBADF);
    cr_expect_eq(zu_sockopt_open(-1, AF_INET6, &options), -EBADF);
    cr_expect_eq(zu_sockopt_reuse(-1), -EBADF);
    options.sndbuf = 1;
    cr_expect_eq(zu_sockopt_open(-1, AF_UNIX, &options), -EBADF);
    int fd = stream_open(AF_INET);
    zu_sockopt_init(&options);
    options.keepalive = 1;
    options.keepalive_cnt = 1000000;
    cr_expect_eq(zu_sockopt_connection(fd, AF_INET, &options), -EINVAL);
    close(fd);
}
