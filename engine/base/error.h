/* SPDX-License-Identifier: MIT */
/* ZeroMQ's own error numbers, beside errno's: the same values as in api/zmq.h, which lies above the engine. */
#ifndef ZU_BASE_ERROR_H
#define ZU_BASE_ERROR_H

#include <errno.h>

#define ZU_ERROR_BASE 156384712
#define ZU_EFSM (ZU_ERROR_BASE + 51)
#define ZU_ENOCOMPATPROTO (ZU_ERROR_BASE + 52)
#define ZU_ETERM (ZU_ERROR_BASE + 53)
#define ZU_EMTHREAD (ZU_ERROR_BASE + 54)

#endif
