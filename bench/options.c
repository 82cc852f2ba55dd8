/* SPDX-License-Identifier: MIT */
/* The options of the throughput programs as a table; args.c reads them and reports what makes no sense. */
#include "options.h"

#include "args.h"
#include "crew.h"
#include "word.h"

#define AT(member) offsetof(struct bench_options, member)

static const struct args_field fields[] = {
    {"case", NULL, AT(case_name), 0, 0},
    {"transport", NULL, AT(transport), 0, 0},
    {"api", NULL, AT(api), 0, 0},
    {"label", NULL, AT(label), 0, 0},
    {"size", args_store_size, AT(size), WORD_SIZE_MIN, 1 << 30},
    {"count", args_store_count, AT(count), 0, 1e12},
    {"seconds", args_store_real, AT(seconds), 0.01, 60},
    {"hwm", args_store_int, AT(hwm), -1, 1e9},
    {"peers", args_store_unsigned, AT(peers), 1, CREW_MAX - 1},
    {"sockets", args_store_unsigned, AT(sockets), 1, 10000},
    {"prefixes", args_store_unsigned, AT(prefixes), 0, 1000000},
    {"curve", args_store_flag, AT(curve), 0, 0},
    {"stalled", args_store_flag, AT(stalled), 0, 0},
    {"timeout", args_store_unsigned, AT(timeout_s), 1, 3600},
};

int options_parse(int argc, char **argv, struct bench_options *ret_options)
{
    struct bench_options options = {
        .case_name = "throughput",
        .transport = "tcp",
        .api = "buf",
        .label = "libzmq",
        .size = 64,
        .seconds = 1.0,
        .hwm = -1,
        .peers = 1,
        .sockets = 1,
        .timeout_s = 60,
    };
    int rc = args_parse(argc, argv, fields, sizeof(fields) / sizeof(fields[0]), &options);

    if (rc == 0)
        *ret_options = options;
    return rc;
}
