/* SPDX-License-Identifier: MIT */
#include "link/accept_filter.h"

#include "link/inet.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct add_row {
    const char *text;
    int without_ipv6;
    int with_ipv6;
};

static const struct add_row add_rows[] = {
    {"127.0.0.1", 0, 0},
    {"127.0.0.1/8", 0, 0},
    {"127.0.0.1/0", 0, 0},
    {"127.0.0.1/32", 0, 0},
    {"127.0.0.1/8x", 0, 0},
    {"127.0.0.1/ 8", 0, 0},
    {"127.1", 0, 0},
    {"[127.0.0.1]/8", 0, 0},
    {"::ffff:10.0.0.1", 0, 0},
    {"::ffff:10.0.0.1/32", 0, 0},
    {"::ffff:10.0.0.1/120", -EINVAL, 0},
    {"::1", -EINVAL, 0},
    {"::1/128", -EINVAL, 0},
    {"[::1]", -EINVAL, 0},
    {"[::1]/64", -EINVAL, 0},
    {"fe80::1%lo/64", -EINVAL, 0},
    {"127.0.0.1/33", -EINVAL, -EINVAL},
    {"127.0.0.1/", -EINVAL, -EINVAL},
    {"127.0.0.1/-1", -EINVAL, -EINVAL},
    {"127.0.0.1/x", -EINVAL, -EINVAL},
    {"127.0.0.1/00", -EINVAL, -EINVAL},
    {"127.0.0.1/4294967304", -EINVAL, -EINVAL},
    {"::1/129", -EINVAL, -EINVAL},
    {"localhost", -EINVAL, -EINVAL},
    {"lo", -EINVAL, -EINVAL},
    {"*", -EINVAL, -EINVAL},
    {"127.0.0.1:80", -EINVAL, -EINVAL},
    {"fe80::1%none", -EINVAL, -EINVAL},
    {"1/2/3", -EINVAL, -EINVAL},
    {"/", -EINVAL, -EINVAL},
    {"/8", -EINVAL, -EINVAL},
    {"", -EINVAL, -EINVAL},
};

Test(accept_filter, add)
{
    for (size_t i = 0; i < 2 * sizeof(add_rows) / sizeof(add_rows[0]); i++) {
        const struct add_row *row = &add_rows[i / 2];
        bool ipv6 = i % 2;
        int expected = ipv6 ? row->with_ipv6 : row->without_ipv6;
        struct zu_accept_filter filter = {0};
        int rc = zu_accept_filter_add(&filter, row->text, strlen(row->text), ipv6);
        cr_expect_eq(rc, expected, "'%s' ipv6=%d: %d", row->text, ipv6, rc);
        cr_expect_eq(filter.count, expected == 0);
        zu_accept_filter_clear(&filter);
    }
}

Test(accept_filter, text_with_a_size)
{
    struct zu_accept_filter filter = {0};
    char long_text[300];
    memset(long_text, '1', sizeof(long_text));
    cr_expect_eq(zu_accept_filter_add(&filter, "10.0.0.0/8garbage", 10, false), 0, "not terminated");
    cr_expect_eq(zu_accept_filter_add(&filter, "10.0.0.0/8", 11, false), 0, "with its NUL");
    cr_expect_eq(zu_accept_filter_add(&filter, NULL, 0, false), -EINVAL);
    cr_expect_eq(zu_accept_filter_add(&filter, long_text, 255, false), -EINVAL);
    cr_expect_eq(zu_accept_filter_add(&filter, long_text, 256, false), -EINVAL);
    cr_expect_eq(filter.count, 2);
    zu_accept_filter_clear(&filter);
    cr_expect_eq(filter.count, 0);
}

struct match_row {
    const char *rule;
    const char *peer;
    bool is_match;
};

static const struct match_row match_rows[] = {
    {"127.0.0.1", "127.0.0.1", true},
    {"127.0.0.1", "127.0.0.2", false},
    {"127.0.0.1", "::1", false},
    {"127.0.0.1%lo", "127.0.0.1", true},
    {"10.0.0.0/8", "10.255.255.255", true},
    {"10.0.0.0/8", "11.0.0.0", false},
    {"10.99.99.99/8", "10.1.2.3", true},
    {"10.0.0.0/9", "10.127.255.255", true},
    {"10.0.0.0/9", "10.128.0.0", false},
    {"10.0.0.0/31", "10.0.0.1", true},
    {"10.0.0.0/31", "10.0.0.2", false},
    {"10.0.0.0/32", "10.0.0.1", false},
    {"128.0.0.0/1", "200.0.0.1", true},
    {"128.0.0.0/1", "127.0.0.1", false},
    {"1.2.3.4/0", "250.1.1.1", true},
    {"1.2.3.4/0", "::1", false},
    {"::ffff:10.0.0.0/104", "10.1.1.1", true},
    {"::ffff:10.0.0.0/104", "11.1.1.1", false},
    {"::1", "::1", true},
    {"::1", "::2", false},
    {"::1%lo", "::1", true},
    {"fd00::/64", "fd00::ffff:ffff:ffff:ffff", true},
    {"fd00::/64", "fd00:0:0:1::", false},
    {"fd00::/65", "fd00::8000:0:0:0", false},
    {"fd00::/127", "fd00::1", true},
    {"fd00::/127", "fd00::2", false},
    {"::/0", "fd00::1", true},
    {"::/0", "10.0.0.1", true},
    {"fe80::1", "fe80::1%lo", true},
    {"fe80::1%lo", "fe80::1%lo", true},
    {"fe80::1%lo", "fe80::1%7", false},
};

static void expect_match(const struct match_row *row, bool peer_ipv6)
{
    struct zu_accept_filter filter = {0};
    cr_assert_eq(zu_accept_filter_add(&filter, row->rule, strlen(row->rule), true), 0, "%s", row->rule);
    union zu_inet_address peer;
    if (zu_inet_literal(row->peer, peer_ipv6, &peer) == 0)
        cr_expect_eq(zu_accept_filter_match(&filter, &peer.any), row->is_match, "%s %s", row->rule, row->peer);
    zu_accept_filter_clear(&filter);
}

Test(accept_filter, match)
{
    for (size_t i = 0; i < sizeof(match_rows) / sizeof(match_rows[0]); i++) {
        expect_match(&match_rows[i], true);
        expect_match(&match_rows[i], false);
    }
}

/* The notation decides what the bits count, not the option; so an IPv4 rule is as narrow on a dual-stack listener. */
Test(accept_filter, ipv4_rule_means_the_same_with_ipv6)
{
    for (int ipv6 = 0; ipv6 < 2; ipv6++) {
        struct zu_accept_filter filter = {0};
        union zu_inet_address inside, outside;
        cr_assert_eq(zu_accept_filter_add(&filter, "10.0.0.0/8", 10, ipv6), 0);
        cr_assert_eq(zu_inet_literal("10.1.1.1", ipv6, &inside), 0);
        cr_assert_eq(zu_inet_literal("11.1.1.1", ipv6, &outside), 0);
        cr_expect(zu_accept_filter_match(&filter, &inside.any));
        cr_expect_not(zu_accept_filter_match(&filter, &outside.any));
        zu_accept_filter_clear(&filter);
    }
}

Test(accept_filter, list)
{
    struct zu_accept_filter filter = {0}, copy = {0};
    union zu_inet_address peer;
    struct sockaddr other = {.sa_family = AF_UNIX};
    cr_assert_eq(zu_inet_literal("10.0.0.200", false, &peer), 0);
    cr_expect(zu_accept_filter_match(&filter, &peer.any), "empty lets everybody in");
    cr_expect(zu_accept_filter_match(&filter, &other));
    cr_expect_eq(zu_accept_filter_copy(&filter, &copy), 0);
    cr_expect(zu_accept_filter_match(&copy, &peer.any));
    for (int i = 0; i < 200; i++) {
        char text[32];
        snprintf(text, sizeof(text), "10.0.0.%d", i);
        cr_assert_eq(zu_accept_filter_add(&filter, text, strlen(text), false), 0);
    }
    cr_expect_not(zu_accept_filter_match(&filter, &peer.any));
    cr_expect_not(zu_accept_filter_match(&filter, &other));
    cr_expect_eq(zu_accept_filter_copy(&filter, &copy), 0);
    cr_expect_eq(zu_accept_filter_add(&filter, "10.0.0.200", 10, false), 0);
    cr_expect(zu_accept_filter_match(&filter, &peer.any));
    cr_expect_not(zu_accept_filter_match(&copy, &peer.any), "a snapshot");
    cr_expect_eq(zu_accept_filter_add(&copy, "10.0.0.200", 10, false), 0);
    cr_expect(zu_accept_filter_match(&copy, &peer.any));
    zu_accept_filter_clear(&filter);
    cr_expect(zu_accept_filter_match(&filter, &peer.any), "cleared");
    zu_accept_filter_clear(&copy);
}

Test(accept_filter, random_text)
{
    unsigned seed = (unsigned)time(NULL);
    fprintf(stderr, "accept_filter seed %u\n", seed);
    struct zu_accept_filter filter = {0};
    for (int round = 0; round < 50000; round++) {
        size_t size = (size_t)rand_r(&seed) % 24;
        char *text = malloc(size ? size : 1);
        for (size_t i = 0; i < size; i++)
            text[i] = "0123456789abcdef:./%[] \0\xff"[rand_r(&seed) % 25];
        int rc = zu_accept_filter_add(&filter, text, size, rand_r(&seed) % 2);
        cr_assert(rc == 0 || rc == -EINVAL);
        free(text);
        union zu_inet_address peer = {.v6 = {.sin6_family = rand_r(&seed) % 2 ? AF_INET : AF_INET6}};
        for (size_t i = 0; i < 16; i++)
            peer.v6.sin6_addr.s6_addr[i] = (uint8_t)rand_r(&seed);
        if (round % 100 == 0) {
            zu_accept_filter_match(&filter, &peer.any);
            zu_accept_filter_clear(&filter);
        }
    }
    zu_accept_filter_clear(&filter);
}

struct ipc_row {
    enum zu_ipc_filter_kind kind;
    uint32_t id;
    bool is_match;
};

Test(ipc_filter, match)
{
    static const gid_t groups[] = {30, 31};
    static const struct zu_ipc_peer peer = {.uid = 1, .gid = 2, .pid = 3, .groups = groups, .group_count = 2};
    static const struct ipc_row rows[] = {
        {ZU_IPC_FILTER_UID, 1, true},   {ZU_IPC_FILTER_GID, 2, true},   {ZU_IPC_FILTER_PID, 3, true},
        {ZU_IPC_FILTER_GID, 30, true},  {ZU_IPC_FILTER_GID, 31, true},  {ZU_IPC_FILTER_GID, 32, false},
        {ZU_IPC_FILTER_UID, 2, false},  {ZU_IPC_FILTER_GID, 1, false},  {ZU_IPC_FILTER_PID, 1, false},
        {ZU_IPC_FILTER_UID, 30, false}, {ZU_IPC_FILTER_PID, 31, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct zu_ipc_filter filter = {0};
        cr_expect(zu_ipc_filter_match(&filter, &peer), "empty lets everybody in");
        cr_assert_eq(zu_ipc_filter_add(&filter, rows[i].kind, rows[i].id), 0);
        cr_expect_eq(zu_ipc_filter_match(&filter, &peer), rows[i].is_match, "row %zu", i);
        cr_assert_eq(zu_ipc_filter_add(&filter, ZU_IPC_FILTER_PID, 999), 0);
        cr_expect_eq(zu_ipc_filter_match(&filter, &peer), rows[i].is_match, "any match suffices");
        zu_ipc_filter_clear_all(&filter);
    }
}

Test(ipc_filter, lists)
{
    struct zu_ipc_filter filter = {0}, copy;
    for (int twice = 0; twice < 2; twice++)
        for (uint32_t id = 0; id < 100; id++)
            cr_assert_eq(zu_ipc_filter_add(&filter, ZU_IPC_FILTER_UID, id), 0);
    cr_expect_eq(filter.lists[ZU_IPC_FILTER_UID].count, 100);
    cr_assert_eq(zu_ipc_filter_add(&filter, ZU_IPC_FILTER_GID, 7), 0);
    cr_assert_eq(zu_ipc_filter_copy(&filter, &copy), 0);
    zu_ipc_filter_clear(&filter, ZU_IPC_FILTER_UID);
    cr_expect_eq(filter.lists[ZU_IPC_FILTER_UID].count, 0);
    cr_expect_eq(filter.lists[ZU_IPC_FILTER_GID].count, 1);
    const struct zu_ipc_peer peer = {.uid = 99, .gid = 1};
    cr_expect(zu_ipc_filter_match(&copy, &peer));
    cr_expect_not(zu_ipc_filter_match(&filter, &peer));
    zu_ipc_filter_clear_all(&filter);
    zu_ipc_filter_clear_all(&copy);
}

static void expect_check(int fd, enum zu_ipc_filter_kind kind, uint32_t id, int expected)
{
    struct zu_ipc_filter filter = {0};
    cr_assert_eq(zu_ipc_filter_add(&filter, kind, id), 0);
    int rc = zu_ipc_filter_check(&filter, fd);
    cr_expect_eq(rc, expected, "kind %d id %u: %d", kind, id, rc);
    zu_ipc_filter_clear_all(&filter);
}

Test(ipc_filter, check_asks_the_kernel)
{
    enum { GROUP_FIRST = 40000, GROUP_COUNT = 300 };
    gid_t groups[GROUP_COUNT];
    for (gid_t i = 0; i < GROUP_COUNT; i++)
        groups[i] = GROUP_FIRST + i;
    /* Only root can; others are checked with the groups they have. */
    int count = setgroups(GROUP_COUNT, groups) == 0 ? GROUP_COUNT : getgroups(GROUP_COUNT, groups);
    int pair[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    expect_check(pair[0], ZU_IPC_FILTER_UID, getuid(), 0);
    expect_check(pair[0], ZU_IPC_FILTER_UID, getuid() + 1, -EACCES);
    expect_check(pair[0], ZU_IPC_FILTER_PID, (uint32_t)getpid(), 0);
    expect_check(pair[0], ZU_IPC_FILTER_PID, (uint32_t)getpid() + 1, -EACCES);
    expect_check(pair[0], ZU_IPC_FILTER_GID, getgid(), 0);
    expect_check(pair[0], ZU_IPC_FILTER_GID, GROUP_FIRST + GROUP_COUNT, -EACCES);
    for (int i = 0; i < count; i++)
        expect_check(pair[0], ZU_IPC_FILTER_GID, groups[i], 0);
    struct zu_ipc_filter empty = {0};
    cr_expect_eq(zu_ipc_filter_check(&empty, -1), 0, "nothing to ask");
    expect_check(-1, ZU_IPC_FILTER_UID, getuid(), -EBADF);
    close(pair[0]);
    close(pair[1]);
}
