/* SPDX-License-Identifier: MIT */
/*
 * The option tables as lines of text, for manpages.py: name, number, what may be done with it, kind, the socket types that
 * know it as bits (0: all), the least and greatest value or size, the value at first. Needs no socket, so nothing can fail.
 */
#include <stdio.h>

#include "core/ctx_option.h"
#include "core/option.h"

static const char *const kinds[] = {"int", "int64_t", "uint64_t", "bytes", "text", "key", "int", "bytes"};

static void socket_option(int number)
{
    const struct zu_option_row *row = zu_option_row(number);
    if (row)
        printf("socket %s %d %s%s %s %u %d %d %d\n", row->name, number, row->access & ZU_OPTION_SET ? "s" : "",
               row->access & ZU_OPTION_GET ? "g" : "", kinds[row->kind], (unsigned)row->types, row->min, row->max, row->fallback);
}

static void context_option(int number)
{
    const struct zu_ctx_option_row *row = zu_ctx_option_row(number);
    if (row)
        printf("context %s %d %s%s %s 0 %d %d %d\n", row->name, number, row->settable ? "s" : "", row->gettable ? "g" : "",
               row->stored ? "int" : "own", row->min, row->max, row->fallback);
}

int main(void)
{
    for (int number = 0; number < 0x8000; number++) {
        socket_option(number);
        context_option(number);
    }
    return 0;
}
