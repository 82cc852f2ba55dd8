/* SPDX-License-Identifier: MIT */
#ifndef BENCH_ARGS_H
#define BENCH_ARGS_H

#include <stddef.h>

typedef void args_store(void *target, double number);

/* An option of a program and the field of the program's struct that it fills. */
struct args_field {
    const char *name;  /* option without its dashes */
    args_store *store; /* writes the field's type; NULL: the field is the text itself */
    size_t offset;     /* of the field in the struct */
    double min, max;   /* accepted range, numbers only */
};

/* For fields of size_t, uint64_t, double, int, unsigned. args_store_flag: a bool that takes no value. */
args_store args_store_size, args_store_count, args_store_real, args_store_int, args_store_unsigned, args_store_flag;

/* Fills the struct at target from the command line. -EINVAL, with a line on stderr, when it makes no sense. */
int args_parse(int argc, char **argv, const struct args_field *fields, size_t count, void *target);

#endif
