/* SPDX-License-Identifier: MIT */
/* What the program `zuring` can do: a function for each of its commands. */
#ifndef ZU_TOOLS_COMMAND_H
#define ZU_TOOLS_COMMAND_H

/* Exit statuses, of every command. */
enum { COMMAND_DONE = 0, COMMAND_FAILED = 1, COMMAND_MISUSED = 2 };

/* argv[0] is the command's own name. Returns an exit status; what went wrong stands on stderr. */
int keygen(int argc, char **argv);

#endif
