/* SPDX-License-Identifier: MIT */
#ifndef BENCH_LIBRARY_H
#define BENCH_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

/* How a program names the place where its role 0 binds. */
struct transport {
    const char *name;   /* as on the command line */
    const char *format; /* of the endpoint; the %d is the process id of the program */
    bool threaded;      /* both ends must live in one process */
};

/* Which library the loader found, as strings that outlive the role that asked. */
struct library {
    char path[4096];  /* its file */
    char version[32]; /* zmq_version */
};

/* NULL when there is no transport of that name. */
const struct transport *transport_find(const char *name);

/* Before the fork: the endpoint to bind. After the run: what binding left behind. */
void endpoint_format(const struct transport *transport, char *endpoint, size_t capacity);
void endpoint_unlink(const char *endpoint);

/* For the roles, crew_fail on failure: the context of this process, shared by roles that are threads; a description of
 * the library; bind, and replace the endpoint by the one that was bound. */
void *library_context(void);
void library_describe(struct library *library);
void library_bind(void *socket, char *endpoint, size_t capacity);

#endif
