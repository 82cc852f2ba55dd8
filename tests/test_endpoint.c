/* SPDX-License-Identifier: MIT */
#include "link/endpoint.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct split_row {
    const char *text;
    const char *scheme; /* NULL if -EINVAL is expected */
    const char *rest;
};

static const struct split_row split_rows[] = {
    {"tcp://127.0.0.1:5555", "tcp", "127.0.0.1:5555"},
    {"inproc://a", "inproc", "a"},
    {"inproc://a://b", "inproc", "a://b"},
    {"ipc:///tmp/x", "ipc", "/tmp/x"},
    {"ipc:////", "ipc", "//"},
    {"tcp:://a:1", "tcp:", "a:1"},
    {"tcp::://a:1", "tcp::", "a:1"},
    {" tcp://x", " tcp", "x"},
    {"a:/://b", "a:/", "b"},
    {"inproc:// ", "inproc", " "},
    {NULL, NULL, NULL},
    {"", NULL, NULL},
    {"://", NULL, NULL},
    {"tcp", NULL, NULL},
    {"tcp:", NULL, NULL},
    {"tcp:/", NULL, NULL},
    {"tcp:/a", NULL, NULL},
    {"tcp://", NULL, NULL},
    {"://a", NULL, NULL},
    {":///a://b", NULL, NULL},
};

Test(endpoint, split)
{
    for (size_t i = 0; i < sizeof(split_rows) / sizeof(split_rows[0]); i++) {
        const struct split_row *row = &split_rows[i];
        struct zu_endpoint endpoint = {.scheme = "untouched"};
        int rc = zu_endpoint_split(row->text, &endpoint);
        if (!row->scheme) {
            cr_expect_eq(rc, -EINVAL, "%s: %d", row->text, rc);
            cr_expect_str_eq(endpoint.scheme, "untouched");
            continue;
        }
        cr_expect_eq(rc, 0, "%s: %d", row->text, rc);
        cr_expect_eq(endpoint.scheme_size, strlen(row->scheme), "%s", row->text);
        cr_expect_arr_eq(endpoint.scheme, row->scheme, strlen(row->scheme), "%s", row->text);
        cr_expect_str_eq(endpoint.rest, row->rest, "%s", row->text);
        cr_expect_eq(endpoint.rest_size, strlen(row->rest), "%s", row->text);
    }
}

Test(endpoint, size_limit)
{
    size_t size = ZU_ENDPOINT_SIZE_MAX;
    char *text = malloc(size + 2);
    memset(text, 'a', size + 1);
    memcpy(text, "ipc://", 6);
    text[size + 1] = '\0';
    struct zu_endpoint endpoint;
    cr_expect_eq(zu_endpoint_split(text, &endpoint), -EINVAL);
    text[size] = '\0';
    cr_expect_eq(zu_endpoint_split(text, &endpoint), 0);
    cr_expect_eq(endpoint.rest_size, size - 6);
    free(text);
}

Test(endpoint, random_text)
{
    unsigned seed = (unsigned)time(NULL);
    fprintf(stderr, "endpoint seed %u\n", seed);
    for (int round = 0; round < 20000; round++) {
        size_t size = (size_t)(rand_r(&seed) % 16);
        /* Exactly as long as the text, for the address sanitizer to see every step beyond it. */
        char *text = malloc(size + 1);
        for (size_t i = 0; i < size; i++)
            text[i] = "a:/"[rand_r(&seed) % 3];
        text[size] = '\0';
        struct zu_endpoint endpoint;
        int rc = zu_endpoint_split(text, &endpoint);
        cr_assert(rc == 0 || rc == -EINVAL);
        if (rc == 0)
            cr_assert(endpoint.scheme == text && endpoint.scheme_size && endpoint.rest_size &&
                          endpoint.scheme_size + 3 + endpoint.rest_size == size,
                      "%s", text);
        free(text);
    }
}
