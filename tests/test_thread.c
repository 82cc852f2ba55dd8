/* SPDX-License-Identifier: MIT */
#include "zmq.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

/* What a thread sees of itself. Read after zmq_threadclose(), which orders it. */
struct sight {
    pthread_t id;
    char name[16];
    sigset_t blocked;
};

static void look(void *arg)
{
    struct sight *sight = arg;
    sight->id = pthread_self();
    pthread_getname_np(pthread_self(), sight->name, sizeof sight->name);
    pthread_sigmask(SIG_SETMASK, NULL, &sight->blocked);
}

Test(thread, runs_the_function_elsewhere_under_its_name)
{
    struct sight sight = {.name = ""};
    void *thread = zmq_threadstart(look, &sight);
    cr_assert_not_null(thread);
    zmq_threadclose(thread);
    cr_assert_str_eq(sight.name, "ZMQapp");
    cr_assert_not(pthread_equal(sight.id, pthread_self()));
}

Test(thread, blocks_all_signals_there_and_none_here)
{
    struct sight sight = {.name = ""};
    sigset_t before;
    sigset_t after;
    sigemptyset(&before);
    sigaddset(&before, SIGUSR2);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    void *thread = zmq_threadstart(look, &sight);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    zmq_threadclose(thread);
    for (int signal = 1; signal <= SIGRTMAX; signal++) {
        cr_assert_eq(sigismember(&after, signal), sigismember(&before, signal), "signal %d here", signal);
        /* Two cannot be blocked, and libc keeps those between SIGSYS and SIGRTMIN for itself. */
        if (signal != SIGKILL && signal != SIGSTOP && (signal <= SIGSYS || signal >= SIGRTMIN))
            cr_assert_eq(sigismember(&sight.blocked, signal), 1, "signal %d there", signal);
    }
}

static void set_flag(void *arg)
{
    *(int *)arg = 1;
}

Test(thread, close_waits_for_every_thread)
{
    enum { THREADS = 8 };
    int flags[THREADS] = {0};
    void *threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        cr_assert_not_null(threads[i] = zmq_threadstart(set_flag, &flags[i]));
    for (int i = 0; i < THREADS; i++) {
        zmq_threadclose(threads[i]);
        cr_assert_eq(flags[i], 1);
    }
}

Test(thread, refuses_null)
{
    errno = 0;
    cr_assert_null(zmq_threadstart(NULL, NULL));
    cr_assert_eq(errno, EFAULT);
    zmq_threadclose(NULL);
}
