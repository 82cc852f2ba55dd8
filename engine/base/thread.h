/* SPDX-License-Identifier: MIT */
/* Threads of the library. Signals are the application's: a new thread starts with all of them blocked. */
#ifndef ZU_BASE_THREAD_H
#define ZU_BASE_THREAD_H

#include <pthread.h>
#include <signal.h>

/* 0, or a negative errno: -EAGAIN. */
static inline int zu_thread_start(pthread_t *ret_thread, void *(*run)(void *), void *argument)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old); /* inherited */
    int err = -pthread_create(ret_thread, NULL, run, argument);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return err;
}

#endif
