/* SPDX-License-Identifier: MIT */
/* Slots that drivers for real sockets share: plain system calls, whichever thread makes them. */
#ifndef ZU_IO_REAL_H
#define ZU_IO_REAL_H

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

#include "base/clock.h"
#include "io/driver.h"

static inline ssize_t zu_real_send_now(struct zu_driver *driver, int fd, const struct msghdr *message, uint64_t patience_ns)
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

static inline void zu_real_shutdown(struct zu_driver *driver, int fd)
{
    (void)driver;
    shutdown(fd, SHUT_RDWR);
}

static inline uint64_t zu_real_now_ns(struct zu_driver *driver)
{
    (void)driver;
    return zu_clock_ns();
}

#endif
