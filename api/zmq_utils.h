/* SPDX-License-Identifier: MIT */
/* Kept so that old programs compile: all of it moved to zmq.h. */
#ifndef __ZMQ_UTILS_H_INCLUDED__
#define __ZMQ_UTILS_H_INCLUDED__

#include "zmq.h"

#endif
