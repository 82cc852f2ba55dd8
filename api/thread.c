/* SPDX-License-Identifier: MIT */
/*
 * Plain threads for programs that want no thread library of their own. Signals are blocked before the thread exists, so
 * none can slip in, and the caller's mask is put back. Starting fails with EFAULT, ENOMEM or what pthread_create()
 * says; a thread that closes itself cannot be joined, and its handle is left alone.
 */
#define _GNU_SOURCE
#include "zmq.h"

#include <stdlib.h>

#include "base/thread.h"
#include "core/batches.h"

struct thread {
    pthread_t id;        /* to join it; written by the starter */
    zmq_thread_fn *func; /* what it runs; constant */
    void *arg;           /* with what; constant */
};

static void *thread_main(void *arg)
{
    struct thread *self = arg;
    pthread_setname_np(pthread_self(), "ZMQapp");
    self->func(self->arg);
    return NULL;
}

void *zmq_threadstart(zmq_thread_fn *func, void *arg)
{
    if (!func) {
        errno = EFAULT;
        return NULL;
    }
    struct thread *self = malloc(sizeof *self);
    if (!self)
        return NULL;
    self->func = func;
    self->arg = arg;
    int err = zu_thread_start(&self->id, thread_main, self);
    if (err) {
        free(self);
        errno = -err;
        return NULL;
    }
    return self;
}

void zmq_threadclose(void *thread)
{
    struct thread *self = thread;
    zu_batches_flush();
    if (self && pthread_join(self->id, NULL) == 0)
        free(self);
}
