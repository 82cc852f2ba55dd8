/* SPDX-License-Identifier: MIT */
/* The epoll driver: for threads that drive their own connections, and where io_uring is refused. */
#ifndef ZU_IO_EPOLL_H
#define ZU_IO_EPOLL_H

#include "io/driver.h"

/*
 * -EMFILE, -ENFILE, -ENOMEM. It roams. Of each descriptor at most one reading operation (receive, accept) and one writing
 * one (send, connect) are busy at a time; a descriptor that had an operation is closed by this driver.
 */
int zu_epoll_new(struct zu_driver **ret_driver);

#endif
