/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target for what a program writes as an endpoint, or a filter: the first octet chooses the reader, the rest is
 * the text. What a reader takes must be within its bounds, and what we write ourselves must be readable again.
 */
#include "link/endpoint.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "link/accept_filter.h"
#include "link/inet.h"
#include "link/ipc_path.h"

#include "fuzz.h"

static void fuzz_split(const char *text)
{
    struct zu_endpoint endpoint;
    if (zu_endpoint_split(text, &endpoint) < 0)
        return;
    REQUIRE(endpoint.scheme == text && endpoint.scheme_size > 0 && endpoint.rest_size > 0);
    REQUIRE(endpoint.rest == text + endpoint.scheme_size + 3 && strlen(endpoint.rest) == endpoint.rest_size);
    REQUIRE(memcmp(text + endpoint.scheme_size, "://", 3) == 0);
}

static void fuzz_inet(const char *text)
{
    (void)zu_inet_connect_check(text);
    for (int ipv6 = 0; ipv6 < 2; ipv6++) {
        struct zu_inet inet;
        if (zu_inet_resolve_numeric(text, ipv6, &inet) < 0)
            continue;
        REQUIRE(inet.size > 0 && inet.size <= sizeof inet.address && inet.source_size <= sizeof inet.source);
        char again[ZU_INET_TEXT_MAX];
        REQUIRE(zu_inet_format(&inet.address.any, again, sizeof again) == 0);
        struct zu_inet same;
        int err = zu_inet_resolve_numeric(again + strlen("tcp://"), ipv6, &same);
        REQUIRE(err == 0 && same.size == inet.size && memcmp(&same.address, &inet.address, inet.size) == 0);
    }
}

static void fuzz_literal(const char *text)
{
    for (int ipv6 = 0; ipv6 < 2; ipv6++) {
        union zu_inet_address address;
        char host[ZU_INET_TEXT_MAX];
        if (zu_inet_literal(text, ipv6, &address) == 0)
            REQUIRE(zu_inet_format_host(&address.any, host, sizeof host) == 0);
    }
}

static void fuzz_ipc(const char *text)
{
    struct zu_ipc_path path, same;
    char again[ZU_IPC_TEXT_MAX];
    if (zu_ipc_path_parse(text, &path) < 0)
        return;
    REQUIRE(path.size <= sizeof path.address && !path.is_temporary);
    REQUIRE(zu_ipc_path_format(&path.address, path.size, again, sizeof again) == 0);
    REQUIRE(zu_ipc_path_parse(again + strlen("ipc://"), &same) == 0);
    REQUIRE(same.size == path.size && memcmp(&same.address, &path.address, path.size) == 0);
}

static void fuzz_filter(const char *text)
{
    struct zu_accept_filter filter = {0};
    struct sockaddr_in6 peer = {.sin6_family = AF_INET6};
    struct sockaddr_in old = {.sin_family = AF_INET};
    int err = zu_accept_filter_add(&filter, text, strlen(text), text[0] != '1');
    REQUIRE(filter.count == (err == 0));
    (void)zu_accept_filter_match(&filter, (struct sockaddr *)&peer);
    (void)zu_accept_filter_match(&filter, (struct sockaddr *)&old);
    zu_accept_filter_clear(&filter);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const readers[])(const char *) = {fuzz_split, fuzz_inet, fuzz_literal, fuzz_ipc, fuzz_filter};
    if (size == 0)
        return 0;
    /* Memory of its own: what reads past the end is caught. */
    char *text = malloc(size);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = 0;
    readers[data[0] % (sizeof readers / sizeof *readers)](text);
    free(text);
    return 0;
}
