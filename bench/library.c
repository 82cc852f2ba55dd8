/* SPDX-License-Identifier: MIT */
/* What every program that measures a library does with it before and after the measured part. Whatever goes wrong in a
 * role ends it by crew_fail. */
#define _GNU_SOURCE
#include "library.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#include "crew.h"

static const struct transport transports[] = {
    {"tcp", "tcp://127.0.0.1:*", false},
    {"ipc", "ipc:///tmp/zbench-%d.ipc", false},
    {"inproc", "inproc://zbench-%d", true},
};

static pthread_once_t context_once = PTHREAD_ONCE_INIT;
static void *context_process;

const struct transport *transport_find(const char *name)
{
    for (size_t i = 0; i < sizeof(transports) / sizeof(transports[0]); i++) {
        if (strcmp(transports[i].name, name) == 0)
            return &transports[i];
    }
    return NULL;
}

void endpoint_format(const struct transport *transport, char *endpoint, size_t capacity)
{
    snprintf(endpoint, capacity, transport->format, getpid());
}

void endpoint_unlink(const char *endpoint)
{
    if (strncmp(endpoint, "ipc://", 6) == 0)
        unlink(endpoint + 6);
}

static void context_create(void)
{
    context_process = zmq_ctx_new();
}

void *library_context(void)
{
    pthread_once(&context_once, context_create);
    if (context_process == NULL)
        crew_fail("zmq_ctx_new: %s", zmq_strerror(errno));
    return context_process;
}

void library_describe(struct library *library)
{
    int major, minor, patch;
    Dl_info info;

    zmq_version(&major, &minor, &patch);
    snprintf(library->version, sizeof(library->version), "%d.%d.%d", major, minor, patch);
    void *symbol = dlsym(RTLD_DEFAULT, "zmq_version");
    if (symbol != NULL && dladdr(symbol, &info) != 0 && realpath(info.dli_fname, library->path) == NULL)
        library->path[0] = '\0';
}

void library_bind(void *socket, char *endpoint, size_t capacity)
{
    if (zmq_bind(socket, endpoint) < 0)
        crew_fail("zmq_bind %s: %s", endpoint, zmq_strerror(errno));
    if (zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &capacity) < 0)
        crew_fail("zmq_getsockopt ZMQ_LAST_ENDPOINT: %s", zmq_strerror(errno));
}
