/* SPDX-License-Identifier: MIT */
/*
 * The program `zuring`: looks the command up in a table and hands over the rest of the line. A command that is none is
 * named, with those that there are.
 */
#include "command.h"

#include <stdio.h>
#include <string.h>

#include "zuring.h"

static const struct command {
    const char *name;
    const char *what; /* in a line */
    int (*run)(int argc, char **argv);
} commands[] = {
    {"keygen", "makes a CURVE key pair", keygen},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static void usage(FILE *out)
{
    fputs("usage: zuring COMMAND [ARGUMENT...]\n\n", out);
    for (int i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].what);
    fputs("\nzuring COMMAND --help tells more of one; zuring --version says which zuring this is.\n", out);
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    for (int i = 0; i < COMMANDS; i++) {
        if (strcmp(name, commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        usage(stdout);
        return COMMAND_DONE;
    }
    if (strcmp(name, "--version") == 0) {
        printf("zuring %s\n", zuring_version());
        return COMMAND_DONE;
    }
    if (*name)
        fprintf(stderr, "zuring: there is no command %s\n\n", name);
    usage(stderr);
    return COMMAND_MISUSED;
}
