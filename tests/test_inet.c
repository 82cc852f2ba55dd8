/* SPDX-License-Identifier: MIT */
#include "link/inet.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/*
 * The resolver and the list of NICs are played by this file, so that no test depends on the machine or waits for a name
 * server: the program's definitions take precedence over libc's. NIC "nic0" has both families, "nic4" only IPv4, "bare"
 * no address; host "four.test" is IPv4, "nomem.test" exhausts memory, others do not exist. Zones use the real "lo".
 */

static int lookups;

int getaddrinfo(const char *restrict node, const char *restrict service, const struct addrinfo *restrict hints,
                struct addrinfo **restrict ret_list)
{
    cr_assert_null(service);
    lookups++;
    if (!strcmp(node, "nomem.test"))
        return EAI_MEMORY;
    if (strcmp(node, "four.test"))
        return EAI_NONAME;
    struct addrinfo *list = calloc(1, sizeof(*list));
    union zu_inet_address *address = calloc(1, sizeof(*address));
    address->any.sa_family = (sa_family_t)hints->ai_family;
    if (hints->ai_family == AF_INET6) {
        cr_assert(hints->ai_flags & AI_V4MAPPED);
        inet_pton(AF_INET6, "::ffff:10.9.8.7", &address->v6.sin6_addr);
    } else {
        inet_pton(AF_INET, "10.9.8.7", &address->v4.sin_addr);
    }
    list->ai_addr = &address->any;
    *ret_list = list;
    return 0;
}

void freeaddrinfo(struct addrinfo *list)
{
    free(list->ai_addr);
    free(list);
}

int getifaddrs(struct ifaddrs **ret_list)
{
    static struct sockaddr_in v4 = {.sin_family = AF_INET};
    static struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    static struct sockaddr other = {.sa_family = AF_PACKET};
    static struct ifaddrs nics[] = {
        {.ifa_name = "bare"},
        {.ifa_name = "nic0", .ifa_addr = &other},
        {.ifa_name = "nic0", .ifa_addr = (struct sockaddr *)&v4},
        {.ifa_name = "nic0", .ifa_addr = (struct sockaddr *)&v6},
        {.ifa_name = "nic4", .ifa_addr = (struct sockaddr *)&v4},
    };
    inet_pton(AF_INET, "10.1.2.3", &v4.sin_addr);
    inet_pton(AF_INET6, "fd00::7", &v6.sin6_addr);
    size_t count = sizeof(nics) / sizeof(nics[0]);
    for (size_t i = 0; i + 1 < count; i++)
        nics[i].ifa_next = &nics[i + 1];
    *ret_list = nics;
    return 0;
}

void freeifaddrs(struct ifaddrs *list)
{
    (void)list;
}

struct row {
    const char *text;
    const char *without_ipv6; /* formatted result, or NULL for an error */
    int without_error;
    const char *with_ipv6;
    int with_error;
};

#define SAME_ERROR(error) NULL, (error), NULL, (error)

static const struct row bind_rows[] = {
    {"*:*", "tcp://0.0.0.0:0", 0, "tcp://[::]:0", 0},
    {"*:0", "tcp://0.0.0.0:0", 0, "tcp://[::]:0", 0},
    {"*:5555", "tcp://0.0.0.0:5555", 0, "tcp://[::]:5555", 0},
    {"[*]:1", "tcp://0.0.0.0:1", 0, "tcp://[::]:1", 0},
    {"*%lo:1", "tcp://0.0.0.0:1", 0, "tcp://[::]:1", 0},
    {"127.0.0.1:80", "tcp://127.0.0.1:80", 0, "tcp://[::ffff:127.0.0.1]:80", 0},
    {"[127.0.0.1]:80", "tcp://127.0.0.1:80", 0, "tcp://[::ffff:127.0.0.1]:80", 0},
    {"127.0.0.1%lo:80", "tcp://127.0.0.1:80", 0, "tcp://[::ffff:127.0.0.1]:80", 0},
    {"127.1:80", "tcp://127.0.0.1:80", 0, "tcp://[::ffff:127.0.0.1]:80", 0},
    {"0x7f.1:80", "tcp://127.0.0.1:80", 0, "tcp://[::ffff:127.0.0.1]:80", 0},
    {"2130706433:80", "tcp://127.0.0.1:80", 0, "tcp://[::ffff:127.0.0.1]:80", 0},
    {"0:80", "tcp://0.0.0.0:80", 0, "tcp://[::ffff:0.0.0.0]:80", 0},
    {"[::1]:80", NULL, -ENODEV, "tcp://[::1]:80", 0},
    {"::1:80", NULL, -ENODEV, "tcp://[::1]:80", 0},
    {"[::]:80", NULL, -ENODEV, "tcp://[::]:80", 0},
    {"[::1%lo]:80", NULL, -ENODEV, "tcp://[::1]:80", 0},
    {"[fe80::1%lo]:80", NULL, -ENODEV, "tcp://[fe80::1%lo]:80", 0},
    {"[fe80::1%1]:80", NULL, -ENODEV, "tcp://[fe80::1%lo]:80", 0},
    {"[fe80::1%1x]:80", NULL, -ENODEV, "tcp://[fe80::1%lo]:80", 0},
    {"[::ffff:127.0.0.1]:80", "tcp://127.0.0.1:80", 0, "tcp://[::ffff:127.0.0.1]:80", 0},
    {"nic0:80", "tcp://10.1.2.3:80", 0, "tcp://[fd00::7]:80", 0},
    {"[nic0]:80", "tcp://10.1.2.3:80", 0, "tcp://[fd00::7]:80", 0},
    {"nic4:80", "tcp://10.1.2.3:80", 0, NULL, -ENODEV},
    {"bare:80", SAME_ERROR(-ENODEV)},
    {"four.test:80", "tcp://10.9.8.7:80", 0, "tcp://[::ffff:10.9.8.7]:80", 0},
    {"none.test:80", SAME_ERROR(-ENODEV)},
    {"nomem.test:80", SAME_ERROR(-ENOMEM)},
    {"127.0.0.1:-1", "tcp://127.0.0.1:65535", 0, "tcp://[::ffff:127.0.0.1]:65535", 0},
    {"127.0.0.1:99999", "tcp://127.0.0.1:34463", 0, "tcp://[::ffff:127.0.0.1]:34463", 0},
    {"127.0.0.1:80a", "tcp://127.0.0.1:80", 0, "tcp://[::ffff:127.0.0.1]:80", 0},
    {"127.0.0.1: 80", "tcp://127.0.0.1:80", 0, "tcp://[::ffff:127.0.0.1]:80", 0},
    {"127.0.0.1:80 ", "tcp://127.0.0.1:80", 0, "tcp://[::ffff:127.0.0.1]:80", 0},
    {"127.0.0.1:+80", "tcp://127.0.0.1:80", 0, "tcp://[::ffff:127.0.0.1]:80", 0},
    {"127.0.0.1:9999999999999999999999", "tcp://127.0.0.1:65535", 0, "tcp://[::ffff:127.0.0.1]:65535", 0},
    {"127.0.0.1:0;127.0.0.1:80", "tcp://127.0.0.1:80", 0, "tcp://[::ffff:127.0.0.1]:80", 0},
    {"*:*;*:80", "tcp://0.0.0.0:80", 0, "tcp://[::]:80", 0},
    {"", SAME_ERROR(-EINVAL)},
    {"*", SAME_ERROR(-EINVAL)},
    {"127.0.0.1", SAME_ERROR(-EINVAL)},
    {"127.0.0.1:", SAME_ERROR(-EINVAL)},
    {"127.0.0.1:a", SAME_ERROR(-EINVAL)},
    {"127.0.0.1:00", SAME_ERROR(-EINVAL)},
    {"127.0.0.1:* ", SAME_ERROR(-EINVAL)},
    {"127.0.0.1:65536", SAME_ERROR(-EINVAL)},
    {"127.0.0.1:4294967296", SAME_ERROR(-EINVAL)},
    {"127.0.0.1:80;", SAME_ERROR(-EINVAL)},
    {"10.0.0.1;127.0.0.1:80", SAME_ERROR(-EINVAL)},
    {"[::1%]:80", SAME_ERROR(-EINVAL)},
    {"[::1%0]:80", SAME_ERROR(-EINVAL)},
    {"[::1%none]:80", SAME_ERROR(-EINVAL)},
    {"%:80", SAME_ERROR(-EINVAL)},
    {"%lo:80", SAME_ERROR(-ENODEV)},
    {":80", SAME_ERROR(-ENODEV)},
    {"[]:80", SAME_ERROR(-ENODEV)},
    {"[::1:80", SAME_ERROR(-ENODEV)},
    {"::1]:80", SAME_ERROR(-ENODEV)},
    {"[::1]%lo:80", SAME_ERROR(-ENODEV)},
    {"127.0.0.1 :80", SAME_ERROR(-ENODEV)},
    {"256.1.1.1:80", SAME_ERROR(-ENODEV)},
    {"four.test:*;*:80", SAME_ERROR(-ENODEV)},
    {"127.0.0.1:0;127.0.0.1:1;127.0.0.1:80", SAME_ERROR(-ENODEV)},
};

static const struct row connect_rows[] = {
    {"127.0.0.1:80", "tcp://127.0.0.1:80", 0, "tcp://[::ffff:127.0.0.1]:80", 0},
    {"127.0.0.1:0", "tcp://127.0.0.1:0", 0, "tcp://[::ffff:127.0.0.1]:0", 0},
    {"127.0.0.1:80a", "tcp://127.0.0.1:80", 0, "tcp://[::ffff:127.0.0.1]:80", 0},
    {"[::1]:80", NULL, -EINVAL, "tcp://[::1]:80", 0},
    {"[fe80::1%lo]:80", NULL, -EINVAL, "tcp://[fe80::1%lo]:80", 0},
    {"four.test:80", "tcp://10.9.8.7:80", 0, "tcp://[::ffff:10.9.8.7]:80", 0},
    {"four.test%lo:80", "tcp://10.9.8.7:80", 0, "tcp://[::ffff:10.9.8.7]:80", 0},
    {"nic4:0;four.test:80", "tcp://10.9.8.7:80", 0, NULL, -ENODEV},
    {"none.test:80", SAME_ERROR(-EINVAL)},
    {"nomem.test:80", SAME_ERROR(-ENOMEM)},
    {"nic0:80", SAME_ERROR(-EINVAL)},
    {"*:80", SAME_ERROR(-EINVAL)},
    {"127.0.0.1:*", SAME_ERROR(-EINVAL)},
    {"127.0.0.1", SAME_ERROR(-EINVAL)},
    {"127.0.0.1:00", SAME_ERROR(-EINVAL)},
    {":80", SAME_ERROR(-EINVAL)},
    {"four.test:1;127.0.0.1:80", SAME_ERROR(-ENODEV)},
    {"127.0.0.1:0;127.0.0.1:1;127.0.0.1:80", SAME_ERROR(-ENODEV)}, /* the last ';' counts: the source is wrong */
    {"127.0.0.1;127.0.0.1:80", SAME_ERROR(-EINVAL)},
    {"127.0.0.1:1;", SAME_ERROR(-EINVAL)},
};

typedef int (*resolve_fn)(const char *text, bool ipv6, struct zu_inet *ret_inet);

static void expect_one(resolve_fn resolve, const char *text, bool ipv6, const char *expected, int expected_error)
{
    struct zu_inet inet;
    memset(&inet, 0xee, sizeof(inet));
    struct zu_inet before = inet;
    int rc = resolve(text, ipv6, &inet);
    cr_expect_eq(rc, expected_error, "'%s' ipv6=%d: %d", text, ipv6, rc);
    if (rc) {
        cr_expect_eq(memcmp(&inet, &before, sizeof(inet)), 0, "'%s' ipv6=%d: touched", text, ipv6);
        return;
    }
    char formatted[ZU_INET_TEXT_MAX];
    cr_assert_eq(zu_inet_format(&inet.address.any, formatted, sizeof(formatted)), 0);
    cr_expect_str_eq(formatted, expected, "'%s' ipv6=%d: %s", text, ipv6, formatted);
    cr_expect_eq(inet.address.any.sa_family, ipv6 ? AF_INET6 : AF_INET);
    cr_expect_eq(inet.size, ipv6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
    cr_expect_eq(inet.source_size, strchr(text, ';') ? inet.size : 0, "%s", text);
}

static void expect_rows(resolve_fn resolve, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        expect_one(resolve, rows[i].text, false, rows[i].without_ipv6, rows[i].without_error);
        expect_one(resolve, rows[i].text, true, rows[i].with_ipv6, rows[i].with_error);
    }
}

Test(inet, bind_resolve)
{
    expect_rows(zu_inet_bind_resolve, bind_rows, sizeof(bind_rows) / sizeof(bind_rows[0]));
}

Test(inet, connect_resolve)
{
    expect_rows(zu_inet_resolve, connect_rows, sizeof(connect_rows) / sizeof(connect_rows[0]));
}

Test(inet, numeric_never_looks_up)
{
    for (size_t i = 0; i < sizeof(connect_rows) / sizeof(connect_rows[0]); i++) {
        const struct row *row = &connect_rows[i];
        struct zu_inet inet;
        lookups = 0;
        int full = zu_inet_resolve(row->text, false, &inet);
        int expected = lookups ? -EAGAIN : full;
        lookups = 0;
        int numeric = zu_inet_resolve_numeric(row->text, false, &inet);
        cr_expect_eq(numeric, expected, "%s: %d", row->text, numeric);
        cr_expect_eq(lookups, 0, "%s", row->text);
    }
}

Test(inet, literals_and_nics_bind_without_lookup)
{
    static const char *const texts[] = {"*:*", "127.0.0.1:1", "[::1]:1", "nic0:1", ":1", "[::zz]:1"};
    struct zu_inet inet;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        zu_inet_bind_resolve(texts[i], true, &inet);
    cr_expect_eq(lookups, 0);
    zu_inet_bind_resolve("four.test:1", true, &inet);
    cr_expect_eq(lookups, 1);
}

Test(inet, source)
{
    static const struct row rows[] = {
        {"nic0:7;127.0.0.1:80", "tcp://10.1.2.3:7", 0, "tcp://[fd00::7]:7", 0},
        {"[*]:0;127.0.0.1:80", "tcp://0.0.0.0:0", 0, "tcp://[::]:0", 0},
        {"127.0.0.1:*;127.0.0.1:80", "tcp://127.0.0.1:0", 0, "tcp://[::ffff:127.0.0.1]:0", 0},
    };
    for (size_t i = 0; i < 2 * sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *row = &rows[i / 2];
        bool ipv6 = i % 2;
        struct zu_inet inet;
        char text[ZU_INET_TEXT_MAX];
        cr_assert_eq(zu_inet_resolve(row->text, ipv6, &inet), 0, "%s", row->text);
        cr_assert_eq(zu_inet_format(&inet.source.any, text, sizeof(text)), 0);
        cr_expect_str_eq(text, ipv6 ? row->with_ipv6 : row->without_ipv6, "%s: %s", row->text, text);
    }
}

Test(inet, connect_check)
{
    static const char *const good[] = {"127.0.0.1:41234",
                                       "localhost:1",
                                       "127.0.0.1:0",
                                       ":41234",
                                       "127.0.0.1:80a",
                                       "127.0.0.1:99999",
                                       "[::1]:1",
                                       "::1:1",
                                       "[::1:1",
                                       "[]:1",
                                       "lo:0",
                                       "a:0;b:1",
                                       "nope;b:1",
                                       "a:0;",
                                       "a:0;b:1;c:2",
                                       "a_b:1",
                                       "zz:1",
                                       "[fe80::1%eth0]:1",
                                       "a*:1",
                                       "[*]:1",
                                       "a::1",
                                       "a:1]",
                                       "a:;b:1",
                                       "a:00",
                                       "x;*:1",
                                       "a:1;b",
                                       "a:1%",
                                       "[*]:0;b:1"};
    static const char *const bad[] = {"",      "localhost:*", "*:1",   "127.0.0.1:", "127.0.0.1", ":",          "a:b",
                                      "a:-1",  "*:0;b:1",     ";b:1",  "a b:1",      "_ab:1",     "-ab:1",      ".ab:1",
                                      "%lo:1", "a/b:1",       "a:1/b", "a:*b",       "a:b*",      "a;b",        "a@b:1",
                                      "a,b:1", "a:1:",        "a:%1",  "a:[1",       "a:\t1",     "\xc3\xa9:1", "x;y:*",
                                      "*a:1",  ";",           "a:.",   "a:_",        "a:1 ",      "a:1\xff"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        cr_expect_eq(zu_inet_connect_check(good[i]), 0, "%s", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_expect_eq(zu_inet_connect_check(bad[i]), -EINVAL, "%s", bad[i]);
}

Test(inet, format_limits)
{
    union zu_inet_address address;
    char text[ZU_INET_TEXT_MAX];
    cr_assert_eq(zu_inet_literal("127.0.0.1", false, &address), 0);
    strcpy(text, "before");
    cr_expect_eq(zu_inet_format(&address.any, text, strlen("tcp://127.0.0.1:0")), -ENOBUFS);
    cr_expect_eq(zu_inet_format_host(&address.any, text, strlen("127.0.0.1")), -ENOBUFS);
    cr_expect_str_eq(text, "before");
    cr_expect_eq(zu_inet_format(&address.any, text, strlen("tcp://127.0.0.1:0") + 1), 0);
    cr_expect_str_eq(text, "tcp://127.0.0.1:0");
    cr_expect_eq(zu_inet_format_host(&address.any, text, strlen("127.0.0.1") + 1), 0);
    cr_expect_str_eq(text, "127.0.0.1");
    address.any.sa_family = AF_UNIX;
    cr_expect_eq(zu_inet_format(&address.any, text, sizeof(text)), -EAFNOSUPPORT);

    /* The longest there is, unless a NIC has a name of more than ten letters. */
    cr_assert_eq(zu_inet_literal("fe80:1111:2222:3333:4444:5555:6666:7777%4294967295", true, &address), 0);
    address.v6.sin6_port = 0xffff;
    cr_expect_eq(zu_inet_format(&address.any, text, sizeof(text)), 0);
    cr_expect_str_eq(text, "tcp://[fe80:1111:2222:3333:4444:5555:6666:7777%4294967295]:65535", "%s", text);
}

Test(inet, literal)
{
    union zu_inet_address address;
    char text[ZU_INET_TEXT_MAX];
    cr_assert_eq(zu_inet_literal("[fe80::1%lo]", true, &address), 0);
    cr_expect_eq(address.v6.sin6_scope_id, if_nametoindex("lo"));
    cr_expect_eq(zu_inet_format_host(&address.any, text, sizeof(text)), 0);
    cr_expect_str_eq(text, "fe80::1%lo");
    static const char *const bad[] = {"",          "*", "nic0", "four.test", "1.2.3.4:1",
                                      "1.2.3.4 x", "[", "[]",   "::1%none",  "/"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_expect_eq(zu_inet_literal(bad[i], true, &address), -EINVAL, "%s", bad[i]);
    cr_expect_eq(zu_inet_literal("::1", false, &address), -EINVAL);
    cr_expect_eq(lookups, 0);
}

Test(inet, long_host)
{
    size_t size = 70000;
    char *text = malloc(size + 3);
    memset(text, 'a', size);
    strcpy(text + size, ":1");
    struct zu_inet inet;
    cr_expect_eq(zu_inet_bind_resolve(text, false, &inet), -ENODEV);
    cr_expect_eq(zu_inet_resolve(text, false, &inet), -EINVAL);
    cr_expect_eq(zu_inet_connect_check(text), 0);
    for (size_t cut = NI_MAXHOST - 2; cut < NI_MAXHOST + 2; cut++)
        cr_expect_eq(zu_inet_resolve(text + size - cut, false, &inet), -EINVAL);
    cr_expect_eq(lookups, 2, "only what fits is looked up");
    free(text);
}

Test(inet, random_text)
{
    static const char *const pieces[] = {"*", ":", ";", "[", "]",   "%",    "lo",   "nic0", "four.test", "127.0.0.1",
                                         "-", "0", "1", "9", "::1", "fe80", "\xff", " ",    ".",         "99999"};
    unsigned seed = (unsigned)time(NULL);
    fprintf(stderr, "inet seed %u\n", seed);
    for (int round = 0; round < 50000; round++) {
        char long_text[128] = "";
        for (int count = rand_r(&seed) % 9; count > 0; count--)
            strcat(long_text, pieces[(size_t)rand_r(&seed) % (sizeof(pieces) / sizeof(pieces[0]))]);
        /* On the heap, for the address sanitizer to see every step beyond the end. */
        char *text = strdup(long_text);
        bool ipv6 = rand_r(&seed) % 2;
        struct zu_inet inet;
        char formatted[ZU_INET_TEXT_MAX];
        static const resolve_fn resolvers[] = {zu_inet_bind_resolve, zu_inet_resolve, zu_inet_resolve_numeric};
        for (size_t i = 0; i < sizeof(resolvers) / sizeof(resolvers[0]); i++) {
            int rc = resolvers[i](text, ipv6, &inet);
            cr_assert(rc == 0 || rc == -EINVAL || rc == -ENODEV || (rc == -EAGAIN && i == 2), "'%s': %d", text, rc);
            if (rc == 0)
                cr_assert_eq(zu_inet_format(&inet.address.any, formatted, sizeof(formatted)), 0, "'%s'", text);
        }
        /* What was formatted from a bind is what a bind takes back. */
        if (zu_inet_bind_resolve(text, ipv6, &inet) == 0) {
            struct zu_inet again;
            cr_assert_eq(zu_inet_format(&inet.address.any, formatted, sizeof(formatted)), 0);
            cr_assert_eq(zu_inet_bind_resolve(formatted + strlen("tcp://"), ipv6, &again), 0, "'%s'", formatted);
            char formatted_again[ZU_INET_TEXT_MAX];
            cr_assert_eq(zu_inet_format(&again.address.any, formatted_again, sizeof(formatted_again)), 0);
            cr_assert_str_eq(formatted_again, formatted);
        }
        zu_inet_connect_check(text);
        free(text);
    }
}
