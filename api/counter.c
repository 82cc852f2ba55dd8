/* SPDX-License-Identifier: MIT */
/*
 * An atomic counter on the heap, made for reference counts: whoever gets 0 from dec is the last owner. It wraps at the
 * ends of int. Making one fails with ENOMEM; the others set EFAULT for a NULL counter and do nothing.
 */
#include "zmq.h"

#include <stdatomic.h>
#include <stdlib.h>

/* The counter behind a handle, or NULL with errno set. */
static atomic_int *counter_of(void *handle)
{
    if (!handle)
        errno = EFAULT;
    return handle;
}

void *zmq_atomic_counter_new(void)
{
    atomic_int *counter = malloc(sizeof *counter);
    if (counter)
        atomic_init(counter, 0);
    return counter;
}

void zmq_atomic_counter_set(void *handle, int value)
{
    atomic_int *counter = counter_of(handle);
    /* release: pairs with the acquire of value, inc and dec in other threads. */
    if (counter)
        atomic_store_explicit(counter, value, memory_order_release);
}

int zmq_atomic_counter_inc(void *handle)
{
    atomic_int *counter = counter_of(handle);
    /* acq_rel: pairs with the other operations, as programs may hand data over by any of them. */
    return counter ? atomic_fetch_add_explicit(counter, 1, memory_order_acq_rel) : 0;
}

int zmq_atomic_counter_dec(void *handle)
{
    atomic_int *counter = counter_of(handle);
    /* acq_rel: pairs with the dec of the other owners, whose last use must come before the last owner's clean-up. */
    return counter ? atomic_fetch_sub_explicit(counter, 1, memory_order_acq_rel) != 1 : 0;
}

int zmq_atomic_counter_value(void *handle)
{
    atomic_int *counter = counter_of(handle);
    /* acquire: pairs with the release in set, inc and dec. */
    return counter ? atomic_load_explicit(counter, memory_order_acquire) : 0;
}

void zmq_atomic_counter_destroy(void **handle)
{
    if (!handle)
        return;
    free(*handle);
    *handle = NULL;
}
