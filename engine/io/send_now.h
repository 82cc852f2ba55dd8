/* SPDX-License-Identifier: MIT */
/* The send_now of drivers for real sockets: a plain system call, whichever thread makes it. */
#ifndef ZU_IO_SEND_NOW_H
#define ZU_IO_SEND_NOW_H

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

#include "io/driver.h"

static inline ssize_t zu_send_now(struct zu_driver *driver, int fd, const struct msghdr *message, uint64_t patience_ns)
{
    (void)driver;
    ssize_t sent = sendmsg(fd, message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN && patience_ns) {
        struct pollfd writable = {.fd = fd, .events = POLLOUT};
        struct timespec patience = {.tv_nsec = (long)patience_ns};
        int ready = ppoll(&writable, 1, &patience, NULL);
        if (ready <= 0)
            return ready < 0 && errno == EINTR ? -EINTR : -EAGAIN;
        sent = sendmsg(fd, message, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    return sent < 0 ? -errno : sent;
}

#endif
