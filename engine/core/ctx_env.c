/* SPDX-License-Identifier: MIT */
/*
 * The environment, for programs that nobody will change: a row per variable. A value that cannot be understood changes
 * nothing and is told on stderr, with what would have been understood; a program that was asked to be fast and silently
 * is not would be worse.
 */
#include "core/ctx_option.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct variable {
    const char *name;   /* in the environment */
    const char *wanted; /* what it may be, for people */
    int (*set)(struct zu_ctx_options *options, int number, const char *text); /* 0, or it was not understood */
    int number;         /* of the option, for those that set one */
};

static int set_drive(struct zu_ctx_options *options, int number, const char *text)
{
    bool is_inline = strcmp(text, "inline") == 0;
    if (!is_inline && strcmp(text, "background") != 0)
        return -1;
    int drive = is_inline ? ZU_DRIVE_INLINE : ZU_DRIVE_BACKGROUND;
    return zu_ctx_option_set(options, number, &drive, sizeof drive);
}

static int number_of(const char *text, int *ret_number)
{
    char *end;
    long number = strtol(text, &end, 10);
    if (*end || end == text || number < INT_MIN || number > INT_MAX)
        return -1;
    *ret_number = (int)number;
    return 0;
}

static int set_number(struct zu_ctx_options *options, int number, const char *text)
{
    int value;
    return number_of(text, &value) ? -1 : zu_ctx_option_set(options, number, &value, sizeof value);
}

static int set_text(struct zu_ctx_options *options, int number, const char *text)
{
    return zu_ctx_option_set(options, number, text, strlen(text));
}

static int set_shards(struct zu_ctx_options *options, int number, const char *text)
{
    (void)number;
    int count;
    if (number_of(text, &count) || count < 1 || count > 1024)
        return -1;
    options->shards = count;
    return 0;
}

static const struct variable variables[] = {
    {"ZURING_DRIVE", "background or inline", set_drive, ZU_CTX_OPT_DRIVE},
    {"ZURING_SPIN_US", "microseconds, up to 1000000, or -1: where it pays", set_number, ZU_CTX_OPT_SPIN_US},
    {"ZURING_FLUSH_BYTES", "a number of bytes from 1 on", set_number, ZU_CTX_OPT_FLUSH_BYTES},
    {"ZURING_FLUSH_US", "microseconds, up to 1000000", set_number, ZU_CTX_OPT_FLUSH_US},
    {"ZURING_CPUS", "numbers of processors, as in 2,3", set_text, ZU_CTX_OPT_CPUS},
    {"ZURING_SHARDS", "a number of threads from 1 to 1024", set_shards, 0},
};

void zu_ctx_options_from_environment(struct zu_ctx_options *options)
{
    static _Atomic bool told[sizeof variables / sizeof *variables];
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        const struct variable *variable = &variables[i];
        const char *text = secure_getenv(variable->name);
        if (!text || variable->set(options, variable->number, text) == 0)
            continue;
        if (!atomic_exchange_explicit(&told[i], true, memory_order_relaxed))
            fprintf(stderr, "zuring: %s=%s is left out of account: it should be %s\n", variable->name, text,
                    variable->wanted);
    }
}
