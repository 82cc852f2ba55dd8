/* SPDX-License-Identifier: MIT */
/* What tests of drivers against real sockets share: operations that note what came of them. */
#ifndef ZU_TESTS_DRIVER_H
#define ZU_TESTS_DRIVER_H

#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/driver.h"
#include "refuse.h"

enum { LIMIT_MS = 5000, KEPT = 64 };

/* An operation and what came of it. */
struct probe {
    struct zu_op op;             /* the operation */
    struct iovec pieces[2];      /* its memory */
    int calls;                   /* of done */
    int result;                  /* of the last call */
    unsigned flags;              /* of the last call */
    size_t bytes;                /* received in all */
    struct zu_chunk *kept[KEPT]; /* the chunks, by call, for who wants to keep them */
    int results[KEPT];           /* of each call */
};

static struct zu_driver *driver;
static const struct zu_driver_ops *ops;

static inline void probe_done(struct zu_op *op, int result, unsigned flags, struct zu_chunk *chunk)
{
    struct probe *probe = zu_container_of(op, struct probe, op);
    cr_assert_eq(op->busy, (flags & ZU_OP_MORE) != 0);
    cr_assert(!chunk || result > 0);
    probe->result = result;
    probe->flags = flags;
    probe->bytes += result > 0 ? (size_t)result : 0;
    cr_assert_lt(probe->calls, KEPT);
    probe->kept[probe->calls] = chunk;
    probe->results[probe->calls++] = result;
}

static inline void probe_drop(struct probe *probe)
{
    for (int i = 0; i < probe->calls; i++) {
        if (probe->kept[i])
            zu_chunk_unref(probe->kept[i]);
    }
    probe->calls = 0;
}

static inline void begin(int (*driver_new)(struct zu_driver **ret_driver))
{
    cr_assert_eq(driver_new(&driver), 0);
    ops = driver->ops;
    cr_assert_eq(ops->start(driver), 0);
}

static inline void finish(void)
{
    ops->free(driver);
}

/* And both ends of a pair. */
static inline void finish_pair(const int fd[2])
{
    finish();
    close(fd[0]);
    close(fd[1]);
}

static inline void until_calls(struct probe *probe, int calls)
{
    uint64_t limit_ns = zu_deadline_ns(LIMIT_MS);
    while (probe->calls < calls) {
        ops->wait(driver, limit_ns);
        cr_assert_lt(zu_clock_ns(), limit_ns, "%d calls, not %d", probe->calls, calls);
    }
}

static inline void probe_aim(struct probe *probe, void *first, size_t first_size, void *second, size_t second_size)
{
    memset(probe, 0, sizeof *probe);
    probe->op.done = probe_done;
    probe->pieces[0] = (struct iovec){first, first_size};
    probe->pieces[1] = (struct iovec){second, second_size};
    probe->op.message.msg_iov = probe->pieces;
    probe->op.message.msg_iovlen = second ? 2 : 1;
}

static inline void unix_pair(int fd[2])
{
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
}

static inline int tcp_bind(struct sockaddr_in *ret_address)
{
    socklen_t size = sizeof *ret_address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    *ret_address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    cr_assert_eq(bind(fd, (struct sockaddr *)ret_address, size), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)ret_address, &size), 0);
    return fd;
}

#endif
