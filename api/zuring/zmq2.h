/* SPDX-License-Identifier: MIT */
/*
 * For programs written against ZeroMQ 2.x: the old calls, below zmq.h of today. A program that nobody will change is
 * compiled with `-include zuring/zmq2.h`; one that is being changed includes this instead of zmq.h, and may use old calls
 * beside new ones, since the number of arguments tells them apart:
 *
 *   zmq_send(socket, &msg, flags)          as in 2.x: 0, or -1     zmq_send(socket, buf, len, flags)    as in zmq.h
 *   zmq_recv(socket, &msg, flags)          as in 2.x: 0, or -1     zmq_recv(socket, buf, len, flags)    as in zmq.h
 *   zmq_poll(items, count, MICROSECONDS)   as in 2.x               zmq_ppoll, zmq_poller_*: milliseconds
 *   zmq_setsockopt, zmq_getsockopt         the options of 2.x in its types, and all of today's in today's
 *
 * zmq_init, zmq_term, zmq_device, ZMQ_NOBLOCK, ZMQ_XREQ and ZMQ_XREP are in zmq.h still. Options of 2.x that were 64 bits
 * wide and are 32 now are taken in either width; a value that does not fit is EINVAL:
 *
 *   ZMQ_HWM          sets ZMQ_SNDHWM and ZMQ_RCVHWM; reads the former
 *   ZMQ_RECOVERY_IVL seconds if 64 bits wide, else milliseconds as today; ZMQ_RECOVERY_IVL_MSEC: milliseconds
 *   ZMQ_RATE, ZMQ_SNDBUF (0 was "the system's", today -1), ZMQ_RCVBUF (the same), ZMQ_RCVMORE
 *   ZMQ_SWAP         is gone: 0, its default, is taken; anything else is EINVAL
 *   ZMQ_MCAST_LOOP   is gone: 1, its default, is taken; anything else is EINVAL
 *
 * What is as today, not as in 2.x: the default of the high-water mark, 1000 and not 0 (none); an identity is known to
 * ROUTER only, and does not make a subscriber durable. Taking the address of a function gives today's.
 */
#ifndef ZURING_ZMQ2_H
#define ZURING_ZMQ2_H

/* Old programs are compiled as -std=c89 -pedantic, too, where macros that take "..." would be complained about. */
#pragma GCC system_header

#include <limits.h>
#include <string.h>

#include "../zmq.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ZMQ_HWM 1
#define ZMQ_SWAP 3
#define ZMQ_MCAST_LOOP 10
#define ZMQ_RECOVERY_IVL_MSEC 20

/* Names that were old in 2.x already. */
#define ZMQ_UPSTREAM ZMQ_PULL
#define ZMQ_DOWNSTREAM ZMQ_PUSH

/* What a millisecond is in the timeout of zmq_poll: programs that were to build on 2.x and on 3.x multiply by it. */
#define ZMQ_POLL_MSEC 1000

#define ZMQ2_INLINE static __inline__ __attribute__((unused))

ZMQ2_INLINE int zmq2_send(void *socket, zmq_msg_t *msg, int flags)
{
    return zmq_msg_send(msg, socket, flags) < 0 ? -1 : 0;
}

ZMQ2_INLINE int zmq2_recv(void *socket, zmq_msg_t *msg, int flags)
{
    return zmq_msg_recv(msg, socket, flags) < 0 ? -1 : 0;
}

/* Part of a millisecond is a whole one: a program that waits must not look all the time instead. */
ZMQ2_INLINE int zmq2_poll(zmq_pollitem_t *items, int nitems, long timeout_us)
{
    return zmq_poll(items, nitems, timeout_us < 0 ? -1 : timeout_us / 1000 + (timeout_us % 1000 != 0));
}

/* An option whose type or meaning has changed: a row each. */
struct zmq2_option {
    int option; /* in 2.x */
    int today;  /* the one that it has become; 0: none */
    int second; /* another one that is set with it; 0: none */
    int factor; /* of today's unit in that of 2.x */
    int only;   /* without one of today: the value that it has and may be given */
    int unset;  /* today's value for 0 */
};

ZMQ2_INLINE const struct zmq2_option *zmq2_option_find(int option)
{
    static const struct zmq2_option options[] = {
        {ZMQ_HWM, ZMQ_SNDHWM, ZMQ_RCVHWM, 1, 0, 0},
        {ZMQ_SWAP, 0, 0, 1, 0, 0},
        {ZMQ_RATE, ZMQ_RATE, 0, 1, 0, 0},
        {ZMQ_RECOVERY_IVL, ZMQ_RECOVERY_IVL, 0, 1000, 0, 0},
        {ZMQ_MCAST_LOOP, 0, 0, 1, 1, 0},
        {ZMQ_SNDBUF, ZMQ_SNDBUF, 0, 1, 0, -1},
        {ZMQ_RCVBUF, ZMQ_RCVBUF, 0, 1, 0, -1},
        {ZMQ_RCVMORE, ZMQ_RCVMORE, 0, 1, 0, 0},
        {ZMQ_RECOVERY_IVL_MSEC, ZMQ_RECOVERY_IVL, 0, 1, 0, 0},
    };
    size_t i;
    for (i = 0; i < sizeof options / sizeof *options; i++) {
        if (options[i].option == option)
            return &options[i];
    }
    return NULL;
}

ZMQ2_INLINE int zmq2_fail(int error)
{
    errno = error;
    return -1;
}

/* Whether the call is today's business: an option that has not changed, or today's type for one that still exists. */
ZMQ2_INLINE int zmq2_is_todays(const struct zmq2_option *option, size_t size)
{
    return !option || (size != sizeof(int64_t) && option->today == option->option);
}

ZMQ2_INLINE int zmq2_setsockopt(void *socket, int number, const void *value, size_t size)
{
    const struct zmq2_option *option = zmq2_option_find(number);
    int64_t wide = 0;
    int narrow = 0;
    if (zmq2_is_todays(option, size))
        return zmq_setsockopt(socket, number, value, size);
    if (!value || (size != sizeof wide && size != sizeof narrow))
        return zmq2_fail(EINVAL);
    if (size == sizeof wide)
        memcpy(&wide, value, size);
    else {
        memcpy(&narrow, value, size);
        wide = narrow;
    }
    if (!option->today)
        return wide == option->only ? 0 : zmq2_fail(EINVAL);
    if (wide < 0 || wide > INT_MAX / option->factor)
        return zmq2_fail(EINVAL);
    narrow = wide ? (int)wide * option->factor : option->unset;
    if (zmq_setsockopt(socket, option->today, &narrow, sizeof narrow) < 0)
        return -1;
    return option->second ? zmq_setsockopt(socket, option->second, &narrow, sizeof narrow) : 0;
}

ZMQ2_INLINE int zmq2_getsockopt(void *socket, int number, void *value, size_t *size)
{
    const struct zmq2_option *option = zmq2_option_find(number);
    size_t room = size ? *size : 0, narrow_size = sizeof(int);
    int64_t wide;
    int narrow;
    if (!size || zmq2_is_todays(option, room))
        return zmq_getsockopt(socket, number, value, size);
    if (!value || (room != sizeof wide && room != sizeof narrow))
        return zmq2_fail(EINVAL);
    narrow = option->only;
    if (option->today && zmq_getsockopt(socket, option->today, &narrow, &narrow_size) < 0)
        return -1;
    narrow = option->today && narrow == option->unset ? 0 : narrow / option->factor;
    wide = narrow;
    if (room == sizeof wide)
        memcpy(value, &wide, sizeof wide);
    else
        memcpy(value, &narrow, sizeof narrow);
    return 0;
}

#ifdef __cplusplus
}
#endif

/* A name inside its own macro is the function: so today's calls reach it, and so do old ones through the above. */
#define ZMQ2_FOURTH(socket, second, third, fourth, which, ...) which
#define zmq_send(...) ZMQ2_FOURTH(__VA_ARGS__, zmq_send, zmq2_send, 0, 0)(__VA_ARGS__)
#define zmq_recv(...) ZMQ2_FOURTH(__VA_ARGS__, zmq_recv, zmq2_recv, 0, 0)(__VA_ARGS__)
#define zmq_poll(items, nitems, timeout_us) zmq2_poll(items, nitems, timeout_us)
#define zmq_setsockopt(socket, option, value, size) zmq2_setsockopt(socket, option, value, size)
#define zmq_getsockopt(socket, option, value, size) zmq2_getsockopt(socket, option, value, size)

#endif
