/* SPDX-License-Identifier: MIT */
/*
 * The seam to the kernel: operations are started, completions come back, another thread can wake the wait. One ops table,
 * several drivers: io_uring for real, a simulated network for tests; an epoll one can be added without touching a caller.
 * All slots but wake, send_now, now_ns and the shard's making run on the driver's thread.
 */
#ifndef ZU_IO_DRIVER_H
#define ZU_IO_DRIVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/attr.h"
#include "mem/chunk.h"

struct zu_driver;
struct zu_op;

/* Flags of a completion. */
enum { ZU_OP_MORE = 1 /* the operation goes on: more completions follow */ };

/*
 * `result` is a byte count, a descriptor, or a negative errno. `chunk` is set by recv_stream alone: the bytes lie at
 * ZU_RECEIVE_HEADROOM, and one reference is the callee's. Without ZU_OP_MORE the op is over and may be started again.
 */
typedef void zu_op_done(struct zu_op *op, int result, unsigned flags, struct zu_chunk *chunk);

/* One operation, embedded in its owner, who keeps it and everything it points at in place until it is over. */
struct zu_op {
    zu_op_done *done;      /* called from wait, never from a start */
    bool busy;             /* started and not over: the driver's to change */
    bool cancelled;        /* cancel was asked: the driver's */
    bool starved;          /* it waits for its turn to have a buffer: the driver's */
    bool once;             /* recv_stream: one chunk will do, set by the caller; a driver may ignore it */
    bool modest;           /* the same: few of its like are to be heard at a time, and none in place of another */
    struct msghdr message; /* send and recv_into: pieces, set by the caller */
    void *slot;            /* the driver's own */
};

struct zu_driver_ops {
    const char *name;
    bool simulated; /* a test steps its shard: no thread is started */
    bool roams;     /* "the driver's thread" is whoever holds the shard at the time, not one thread for ever */
    /* On the thread that will use the driver, once, before anything else. 0 or a negative errno. */
    int (*start)(struct zu_driver *driver);
    void (*free)(struct zu_driver *driver);

    /* Receives again and again into fresh chunks, until cancelled or failed. 0 bytes: the peer has ended. */
    void (*recv_stream)(struct zu_driver *driver, struct zu_op *op, int fd);
    /* Receives once into op->message's pieces; may be short. */
    void (*recv_into)(struct zu_driver *driver, struct zu_op *op, int fd);
    /* Sends op->message's pieces; may be short, and then says how much was taken. */
    void (*send)(struct zu_driver *driver, struct zu_op *op, int fd);
    /*
     * Any thread, while no send is busy on `fd`: sends what is taken, waiting at most `patience_ns`, below a second, for
     * room when nothing is. Bytes, or a negative errno; -EINTR: a signal ended the wait.
     */
    ssize_t (*send_now)(struct zu_driver *driver, int fd, const struct msghdr *message, uint64_t patience_ns);
    /* Each result is a new non-blocking, close-on-exec descriptor. */
    void (*accept_stream)(struct zu_driver *driver, struct zu_op *op, int fd);
    /* `address` need not outlive the call's completion. */
    void (*connect)(struct zu_driver *driver, struct zu_op *op, int fd, const struct sockaddr *address, socklen_t size);
    /* Asks an op that is busy to be over soon; it completes all the same, perhaps with -ECANCELED. */
    void (*cancel)(struct zu_driver *driver, struct zu_op *op);

    void (*shutdown)(struct zu_driver *driver, int fd);
    /* No op may be busy on it. */
    void (*close)(struct zu_driver *driver, int fd);

    /*
     * Submits what was started, waits for a completion, a wake or the moment `until_ns`, and runs all completions. 0, or
     * -EINTR when a signal ended the wait.
     */
    int (*wait)(struct zu_driver *driver, uint64_t until_ns);
    /* Whether a wait would find a completion, as far as can be told without sleeping or much ado: for who spins. */
    bool (*ready)(struct zu_driver *driver);
    /* Any thread, also when the driver is not waiting: the next wait returns at once. */
    void (*wake)(struct zu_driver *driver);
    /* Any thread. */
    uint64_t (*now_ns)(struct zu_driver *driver);
    /*
     * A descriptor that is readable while a wait would find something to do, and from the moment last given to alarm
     * (ZU_NEVER: none) on. Negative errno; NULL in a driver that does not roam. The driver's own: it closes it.
     */
    int (*pollable)(struct zu_driver *driver);
    void (*alarm)(struct zu_driver *driver, uint64_t at_ns);
};

struct zu_driver {
    const struct zu_driver_ops *ops; /* set when made */
    uint32_t busy_poll_us; /* set before start: how long a wait may look into network devices itself; 0: leaves it */
};

#endif
