/* SPDX-License-Identifier: MIT */
#include "zmq.h"

#include <criterion/criterion.h>
#include <limits.h>
#include <pthread.h>

/* The values that each operation returns, alone and under several threads at once. */

Test(counter, starts_at_zero_and_returns_the_old_value)
{
    void *counter = zmq_atomic_counter_new();
    cr_assert_not_null(counter);
    cr_assert_eq(zmq_atomic_counter_value(counter), 0);
    cr_assert_eq(zmq_atomic_counter_inc(counter), 0);
    cr_assert_eq(zmq_atomic_counter_inc(counter), 1);
    cr_assert_eq(zmq_atomic_counter_inc(counter), 2);
    cr_assert_eq(zmq_atomic_counter_value(counter), 3);
    zmq_atomic_counter_destroy(&counter);
    cr_assert_null(counter);
}

Test(counter, dec_tells_the_last_owner)
{
    void *counter = zmq_atomic_counter_new();
    zmq_atomic_counter_set(counter, 2);
    cr_assert_eq(zmq_atomic_counter_dec(counter), 1);
    cr_assert_eq(zmq_atomic_counter_dec(counter), 0);
    cr_assert_eq(zmq_atomic_counter_dec(counter), 1);
    cr_assert_eq(zmq_atomic_counter_value(counter), -1);
    zmq_atomic_counter_destroy(&counter);
}

Test(counter, wraps_at_the_ends_of_int)
{
    void *counter = zmq_atomic_counter_new();
    zmq_atomic_counter_set(counter, INT_MAX);
    cr_assert_eq(zmq_atomic_counter_inc(counter), INT_MAX);
    cr_assert_eq(zmq_atomic_counter_value(counter), INT_MIN);
    cr_assert_eq(zmq_atomic_counter_dec(counter), 1);
    cr_assert_eq(zmq_atomic_counter_value(counter), INT_MAX);
    zmq_atomic_counter_destroy(&counter);
}

Test(counter, refuses_null)
{
    void *none = NULL;
    errno = 0;
    cr_assert_eq(zmq_atomic_counter_inc(NULL), 0);
    cr_assert_eq(errno, EFAULT);
    cr_assert_eq(zmq_atomic_counter_dec(NULL), 0);
    cr_assert_eq(zmq_atomic_counter_value(NULL), 0);
    zmq_atomic_counter_set(NULL, 1);
    zmq_atomic_counter_destroy(NULL);
    zmq_atomic_counter_destroy(&none);
}

enum { THREADS = 4, ROUNDS = 50000 };

/* Counts up, then down again; returns how often it was told to be the last owner. */
static void *churn(void *counter)
{
    intptr_t last = 0;
    for (int i = 0; i < ROUNDS; i++)
        zmq_atomic_counter_inc(counter);
    for (int i = 0; i < ROUNDS; i++)
        last += !zmq_atomic_counter_dec(counter);
    return (void *)last;
}

Test(counter, loses_nothing_between_threads, .timeout = 60)
{
    void *counter = zmq_atomic_counter_new();
    pthread_t threads[THREADS];
    intptr_t last_owners = 0;
    /* One more than the threads take away: none of them may see zero. */
    zmq_atomic_counter_set(counter, 1);
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, churn, counter), 0);
    for (int i = 0; i < THREADS; i++) {
        void *last = NULL;
        pthread_join(threads[i], &last);
        last_owners += (intptr_t)last;
    }
    cr_assert_eq(last_owners, 0);
    cr_assert_eq(zmq_atomic_counter_value(counter), 1);
    cr_assert_eq(zmq_atomic_counter_dec(counter), 0);
    zmq_atomic_counter_destroy(&counter);
}
