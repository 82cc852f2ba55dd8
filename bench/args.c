/* SPDX-License-Identifier: MIT */
/* Reads a command line by a table of its options. Anything that is no option, no number or out of range is reported on
 * stderr and fails the parse: a benchmark that guesses measures something else than was asked for. */
#include "args.h"

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define FIELDS_MAX 32

void args_store_size(void *target, double number)
{
    *(size_t *)target = (size_t)number;
}

void args_store_count(void *target, double number)
{
    *(uint64_t *)target = (uint64_t)number;
}

void args_store_real(void *target, double number)
{
    *(double *)target = number;
}

void args_store_int(void *target, double number)
{
    *(int *)target = (int)number;
}

void args_store_unsigned(void *target, double number)
{
    *(unsigned *)target = (unsigned)number;
}

void args_store_flag(void *target, double number)
{
    *(bool *)target = number != 0;
}

static int field_store(const struct args_field *field, const char *text, void *base)
{
    void *target = (char *)base + field->offset;
    char *end;

    if (field->store == NULL) {
        *(const char **)target = text;
        return 0;
    }
    double number = text == NULL ? 1 : strtod(text, &end);
    if (text != NULL && (*text == '\0' || *end != '\0' || !(number >= field->min && number <= field->max))) {
        fprintf(stderr, "--%s %s: not a number from %.10g to %.10g\n", field->name, text, field->min, field->max);
        return -EINVAL;
    }
    field->store(target, number);
    return 0;
}

int args_parse(int argc, char **argv, const struct args_field *fields, size_t count, void *target)
{
    struct option rows[FIELDS_MAX + 1] = {0};
    int row = 0, rc;

    for (size_t i = 0; i < count && i < FIELDS_MAX; i++) {
        bool is_flag = fields[i].store == args_store_flag;
        rows[i] = (struct option){fields[i].name, is_flag ? no_argument : required_argument, NULL, 0};
    }
    while ((rc = getopt_long(argc, argv, "", rows, &row)) == 0) {
        if (field_store(&fields[row], optarg, target) < 0)
            return -EINVAL;
    }
    if (optind == argc && rc == -1)
        return 0;
    fprintf(stderr, "options:");
    for (size_t i = 0; i < count; i++)
        fprintf(stderr, " --%s%s", fields[i].name, fields[i].store == args_store_flag ? "" : " VALUE");
    fprintf(stderr, "\n");
    return -EINVAL;
}
