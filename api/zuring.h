/* SPDX-License-Identifier: MIT */
/*
 * What zuring has and libzmq does not: choosing who drives a shard, spin budgets, counters. It only adds to zmq.h,
 * works on the same handles and follows its conventions for errors and threads. Programs that stay with zmq.h never
 * need it; the drop-in libzmq.so.5 does not export it.
 */
#ifndef ZURING_H
#define ZURING_H

#include "zmq.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ZURING_EXPORT __attribute__((visibility("default")))

#define ZURING_VERSION "0.1.0"

/* zuring's own version at run time, "major.minor.patch"; zmq_version() gives that of the API. Static; any thread. */
ZURING_EXPORT const char *zuring_version(void);

#undef ZURING_EXPORT

#ifdef __cplusplus
}
#endif

#endif
