/* SPDX-License-Identifier: MIT */
/* Reads the command line into bench_options. Anything that is no option, no number or out of range is reported on
 * stderr and fails the parse: a benchmark that guesses measures something else than was asked for. */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "crew.h"
#include "word.h"

struct field {
    const char *name;                           /* option without its dashes */
    void (*store)(void *target, double number); /* writes the field's type; NULL: the field is the text itself */
    size_t offset;                              /* of the field in bench_options */
    double min, max;                            /* accepted range, numbers only */
};

static void size_store(void *target, double number)
{
    *(size_t *)target = (size_t)number;
}

static void count_store(void *target, double number)
{
    *(uint64_t *)target = (uint64_t)number;
}

static void real_store(void *target, double number)
{
    *(double *)target = number;
}

static void int_store(void *target, double number)
{
    *(int *)target = (int)number;
}

static void unsigned_store(void *target, double number)
{
    *(unsigned *)target = (unsigned)number;
}

#define AT(member) offsetof(struct bench_options, member)

static const struct field fields[] = {
    {"case", NULL, AT(case_name), 0, 0},
    {"transport", NULL, AT(transport), 0, 0},
    {"api", NULL, AT(api), 0, 0},
    {"label", NULL, AT(label), 0, 0},
    {"size", size_store, AT(size), WORD_SIZE_MIN, 1 << 30},
    {"count", count_store, AT(count), 0, 1e12},
    {"seconds", real_store, AT(seconds), 0.01, 60},
    {"hwm", int_store, AT(hwm), -1, 1e9},
    {"peers", unsigned_store, AT(peers), 1, CREW_MAX - 1},
    {"timeout", unsigned_store, AT(timeout_s), 1, 3600},
};

#define FIELD_COUNT (sizeof(fields) / sizeof(fields[0]))

static int field_store(const struct field *field, const char *text, struct bench_options *options)
{
    void *target = (char *)options + field->offset;
    char *end;

    if (field->store == NULL) {
        *(const char **)target = text;
        return 0;
    }
    double number = strtod(text, &end);
    if (*text == '\0' || *end != '\0' || !(number >= field->min && number <= field->max)) {
        fprintf(stderr, "--%s %s: not a number from %.10g to %.10g\n", field->name, text, field->min, field->max);
        return -EINVAL;
    }
    field->store(target, number);
    return 0;
}

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
        .timeout_s = 60,
    };
    struct option rows[FIELD_COUNT + 1] = {0};
    int row = 0, rc;

    for (size_t i = 0; i < FIELD_COUNT; i++)
        rows[i] = (struct option){fields[i].name, required_argument, NULL, 0};
    while ((rc = getopt_long(argc, argv, "", rows, &row)) == 0) {
        if (field_store(&fields[row], optarg, &options) < 0)
            return -EINVAL;
    }
    if (optind != argc || rc != -1) {
        fprintf(stderr, "options, each with a value:");
        for (size_t i = 0; i < FIELD_COUNT; i++)
            fprintf(stderr, " --%s", fields[i].name);
        fprintf(stderr, "\n");
        return -EINVAL;
    }
    *ret_options = options;
    return 0;
}
