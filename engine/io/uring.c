/* SPDX-License-Identifier: MIT */
/*
 * The io_uring driver. Operations become submission entries; wait submits them all with one system call, which also
 * waits; completions are first copied out of the ring, then run, so a callback may start operations freely and nothing
 * recurses. Received bytes land in chunks that the kernel picks from a ring of provided buffers; each one that comes
 * back filled leaves its slot to a fresh chunk at once, so buffers never wait for the application. A stream is served best
 * by few of them, which stay in the cache, a crowd by many. The modest have their own, few enough that a turn is not much
 * longer for whatever it costs to hear them out, however many they are: one or two, when turns are long.
 * A start never fails: when no entry can be had the operation completes with -ENOMEM on the next wait. Without memory
 * for a fresh chunk the slot stays empty until the next wait; with all slots empty receives complete with -ENOBUFS.
 * Where the kernel lacks multishot receive, recv_stream completes without ZU_OP_MORE each time; callers start it again.
 */
#include "io/uring.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/features.h"
#include "io/real.h"
#include "io/uring_compat.h"
#include "mem/alloc.h"

enum {
    SQ_ENTRIES = 256,
    CQ_ENTRIES = 4096,
    SLOTS = 64,    /* provided buffers for a crowd */
    SLOTS_FEW = 4, /* for streams. Measured: bench/README.md */
    SLOTS_MODEST = 8,
    CALM = 4096,           /* receives that all found a buffer, after which one less will do */
    TURN_LONG_NS = 200000, /* others wait for it */
    BATCH = 128, /* completions copied out at a time */
    SEND_MAX = 1 << 30, /* of one piece: an entry's length has 32 bits, a result 31 */
};

/* By zu_op.modest: the number of a group of provided buffers. */
enum { BUFFERS_COMMON, BUFFERS_MODEST, BUFFERS };

static const struct {
    unsigned least, most; /* slots that are to be filled */
} slots_range[BUFFERS] = {[BUFFERS_COMMON] = {SLOTS_FEW, SLOTS}, [BUFFERS_MODEST] = {1, SLOTS_MODEST}};

/* A group of provided buffers, and those who wait for one. The shard's thread. */
struct buffers {
    struct io_uring_buf_ring *ring; /* shared with the kernel; only the shard adds */
    struct zu_chunk *slots[SLOTS];  /* the chunk in each slot; NULL in those that are not filled */
    unsigned filled;                /* of them */
    unsigned wanted;                /* from the least up: doubled when the kernel finds none, one less for each that comes back full */
    unsigned calm;                  /* receives since it changed */
    bool missed;                    /* the kernel found none in this turn */
    unsigned group;                 /* which one it is */
    struct zu_op *starved;          /* chain through op->slot, oldest first: found no buffer while others had them */
    struct zu_op *starved_last;     /* its end, while there is one */
    unsigned again;                 /* receives that may look for a buffer again at once, before the next wait */
};

struct uring {
    struct zu_driver driver;  /* the seam */
    struct io_uring ring;     /* all of this: the shard's thread, once started */
    struct buffers buffers[BUFFERS];
    struct zu_op *stillborn;  /* chain through op->slot: got no entry, completed with -ENOMEM by the next wait */
    struct zu_op *uncancelled; /* chain through op->slot: their cancels got no entry, asked again by the next wait */
    bool multishot;           /* receives may be */
    int wake_fd;              /* eventfd; written by any thread, never read: a multishot poll counts its edges */
    bool wake_armed;          /* the poll is in the ring */
};

#define uring_of(driver) zu_container_of(driver, struct uring, driver)

/* The user_data of completions that nobody waits for. */
static char nobody;
static char waker;

static struct io_uring_sqe *entry_get(struct uring *uring)
{
    struct io_uring_sqe *entry = io_uring_get_sqe(&uring->ring);
    if (zu_unlikely(!entry)) {
        io_uring_submit(&uring->ring);
        entry = io_uring_get_sqe(&uring->ring);
    }
    return entry;
}

static struct io_uring_sqe *op_start(struct uring *uring, struct zu_op *op)
{
    struct io_uring_sqe *entry = entry_get(uring);
    op->busy = true;
    op->cancelled = false;
    if (zu_unlikely(!entry)) {
        op->cancelled = true; /* over soon anyway */
        op->slot = uring->stillborn;
        uring->stillborn = op;
    }
    return entry;
}

static void recv_stream(struct zu_driver *driver, struct zu_op *op, int fd)
{
    struct uring *uring = uring_of(driver);
    struct io_uring_sqe *entry = op_start(uring, op);
    if (!entry)
        return;
    io_uring_prep_recv(entry, fd, NULL, 0, 0);
    entry->ioprio = uring->multishot && !op->once ? IORING_RECV_MULTISHOT : 0;
    entry->flags |= IOSQE_BUFFER_SELECT;
    entry->buf_group = op->modest;
    io_uring_sqe_set_data(entry, op);
}

static void recv_into(struct zu_driver *driver, struct zu_op *op, int fd)
{
    struct io_uring_sqe *entry = op_start(uring_of(driver), op);
    if (!entry)
        return;
    io_uring_prep_recvmsg(entry, fd, &op->message, 0);
    io_uring_sqe_set_data(entry, op);
}

static void send_pieces(struct zu_driver *driver, struct zu_op *op, int fd)
{
    struct io_uring_sqe *entry = op_start(uring_of(driver), op);
    if (!entry)
        return;
    if (op->message.msg_iovlen == 1 && op->message.msg_iov[0].iov_len <= SEND_MAX)
        io_uring_prep_send(entry, fd, op->message.msg_iov[0].iov_base, op->message.msg_iov[0].iov_len, MSG_NOSIGNAL);
    else
        io_uring_prep_sendmsg(entry, fd, &op->message, MSG_NOSIGNAL);
    io_uring_sqe_set_data(entry, op);
}

static void accept_stream(struct zu_driver *driver, struct zu_op *op, int fd)
{
    struct io_uring_sqe *entry = op_start(uring_of(driver), op);
    if (!entry)
        return;
    /* One a turn: what comes of a backlog of hundreds keeps everybody else waiting. */
    io_uring_prep_accept(entry, fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    io_uring_sqe_set_data(entry, op);
}

static void connect_to(struct zu_driver *driver, struct zu_op *op, int fd, const struct sockaddr *address,
                       socklen_t size)
{
    struct io_uring_sqe *entry = op_start(uring_of(driver), op);
    if (!entry)
        return;
    io_uring_prep_connect(entry, fd, address, size);
    io_uring_sqe_set_data(entry, op);
}

static void cancel(struct zu_driver *driver, struct zu_op *op)
{
    if (!op->busy || op->cancelled)
        return;
    struct uring *uring = uring_of(driver);
    op->cancelled = true;
    if (op->starved) /* its turn comes soon */
        return;
    struct io_uring_sqe *entry = entry_get(uring);
    if (zu_unlikely(!entry)) {
        op->slot = uring->uncancelled;
        uring->uncancelled = op;
        return;
    }
    io_uring_prep_cancel(entry, op, 0);
    io_uring_sqe_set_data(entry, &nobody);
}

static ZU_COLD void cancels_retry(struct uring *uring)
{
    struct zu_op *op = uring->uncancelled;
    uring->uncancelled = NULL;
    while (op) {
        struct zu_op *next = op->slot;
        op->cancelled = false;
        cancel(&uring->driver, op);
        op = next;
    }
}

/* The op is over without its cancel, if it is there. */
static ZU_COLD void cancel_forget(struct uring *uring, struct zu_op *op)
{
    struct zu_op *before = NULL;
    for (struct zu_op *at = uring->uncancelled; at && at != op; at = at->slot)
        before = at;
    if (before && before->slot == op)
        before->slot = op->slot;
    else if (uring->uncancelled == op)
        uring->uncancelled = op->slot;
}

static ZU_COLD void stillborn_complete(struct uring *uring)
{
    struct zu_op *op = uring->stillborn;
    uring->stillborn = NULL;
    while (op) {
        struct zu_op *next = op->slot;
        op->busy = false;
        op->done(op, -ENOMEM, 0, NULL);
        op = next;
    }
}

/*
 * There are few buffers, and perhaps a thousand connections that have something: as many as there are buffers ask again at
 * a time. All at once, most would only find out again that there is none.
 */
static ZU_COLD void starve(struct buffers *buffers, struct zu_op *op)
{
    op->busy = op->starved = true;
    op->slot = NULL;
    if (buffers->starved)
        buffers->starved_last->slot = op;
    else
        buffers->starved = op;
    buffers->starved_last = op;
}

static ZU_COLD void starved_wake(struct buffers *buffers)
{
    for (unsigned i = 0; i < buffers->filled && buffers->starved; i++) {
        struct zu_op *op = buffers->starved;
        buffers->starved = op->slot;
        op->busy = op->starved = false;
        op->done(op, op->cancelled ? -ECANCELED : -EAGAIN, 0, NULL);
    }
}

static void close_fd(struct zu_driver *driver, int fd)
{
    (void)driver;
    close(fd);
}

static void slot_fill(struct buffers *buffers, unsigned slot)
{
    struct zu_chunk *chunk = zu_chunk_new(ZU_CHUNK_RUNG_RECEIVE);
    if (zu_unlikely(!chunk))
        return;
    buffers->slots[slot] = chunk;
    buffers->filled++;
    io_uring_buf_ring_add(buffers->ring, chunk->data + ZU_RECEIVE_HEADROOM, ZU_RECEIVE_SIZE, (unsigned short)slot,
                          io_uring_buf_ring_mask(SLOTS), 0);
    io_uring_buf_ring_advance(buffers->ring, 1);
}

static ZU_COLD void slots_refill(struct buffers *buffers)
{
    for (unsigned i = 0; i < SLOTS && buffers->filled < buffers->wanted; i++) {
        if (!buffers->slots[i])
            slot_fill(buffers, i);
    }
}

static struct zu_chunk *slot_take(struct buffers *buffers, const struct io_uring_cqe *cqe)
{
    unsigned slot = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
    struct zu_chunk *chunk = buffers->slots[slot];
    buffers->slots[slot] = NULL;
    buffers->filled--;
    if (buffers->wanted > slots_range[buffers->group].least &&
        (cqe->res == ZU_RECEIVE_SIZE || ++buffers->calm >= CALM)) {
        buffers->wanted--;
        buffers->calm = 0;
    }
    if (buffers->filled < buffers->wanted)
        slot_fill(buffers, slot);
    if (zu_likely(cqe->res > 0))
        return chunk;
    zu_chunk_unref(chunk);
    return NULL;
}

static void complete(struct uring *uring, const struct io_uring_cqe *cqe)
{
    void *data = io_uring_cqe_get_data(cqe);
    if (data == &nobody)
        return;
    if (data == &waker) {
        uring->wake_armed = cqe->flags & IORING_CQE_F_MORE;
        return;
    }
    struct zu_op *op = data;
    struct buffers *buffers = &uring->buffers[op->modest];
    struct zu_chunk *chunk = NULL;
    if (cqe->flags & IORING_CQE_F_BUFFER)
        chunk = slot_take(buffers, cqe);
    bool more = cqe->flags & IORING_CQE_F_MORE;
    op->busy = more;
    if (zu_unlikely(uring->uncancelled) && !more)
        cancel_forget(uring, op);
    /* The kernel was faster than our refilling: there are buffers again, so this is no shortage. */
    bool is_again = cqe->res == -ENOBUFS && buffers->filled;
    if (zu_unlikely(is_again))
        buffers->missed = true;
    if (zu_unlikely(is_again) && !op->cancelled && !more && buffers->again-- == 0) {
        buffers->again = 0;
        starve(buffers, op);
        return;
    }
    op->done(op, is_again ? -EAGAIN : cqe->res, more ? ZU_OP_MORE : 0, chunk);
}

static void wake_arm(struct uring *uring)
{
    struct io_uring_sqe *entry = entry_get(uring);
    if (!entry)
        return;
    io_uring_prep_poll_multishot(entry, uring->wake_fd, POLLIN);
    io_uring_sqe_set_data(entry, &waker);
    uring->wake_armed = true;
}

static int submit_and_wait(struct uring *uring, uint64_t until_ns)
{
    struct io_uring *ring = &uring->ring;
    if (until_ns == 0)
        return io_uring_submit_and_get_events(ring);
    if (until_ns == ZU_NEVER)
        return io_uring_submit_and_wait(ring, 1);
    uint64_t now = zu_clock_ns();
    uint64_t left = until_ns > now ? until_ns - now : 0;
    struct __kernel_timespec wait = {.tv_sec = (long long)(left / ZU_NS_PER_S), .tv_nsec = (long long)(left % ZU_NS_PER_S)};
    struct io_uring_cqe *first;
    return io_uring_submit_and_wait_timeout(ring, &first, 1, &wait, NULL);
}

static void completions_run(struct uring *uring)
{
    unsigned count;
    do {
        struct io_uring_cqe *ready[BATCH];
        struct io_uring_cqe taken[BATCH];
        count = io_uring_peek_batch_cqe(&uring->ring, ready, BATCH);
        for (unsigned i = 0; i < count; i++)
            taken[i] = *ready[i];
        io_uring_cq_advance(&uring->ring, count);
        for (unsigned i = 0; i < count; i++)
            complete(uring, &taken[i]);
    } while (count == BATCH);
}

/* While several of the modest are heard in a turn, its length is looked at. */
static void completions_run_timed(struct uring *uring)
{
    struct buffers *modest = &uring->buffers[BUFFERS_MODEST];
    if (zu_likely(modest->wanted == slots_range[BUFFERS_MODEST].least)) {
        completions_run(uring);
        return;
    }
    uint64_t from_ns = zu_clock_ns();
    completions_run(uring);
    if (zu_clock_ns() - from_ns > TURN_LONG_NS) {
        modest->wanted = slots_range[BUFFERS_MODEST].least;
        modest->missed = false;
    }
}

/* Whoever found no entry is not to sleep over it: least of all the waker. */
static bool is_refused(const struct uring *uring)
{
    return uring->stillborn || uring->uncancelled || uring->buffers[BUFFERS_COMMON].starved ||
           uring->buffers[BUFFERS_MODEST].starved || !uring->wake_armed;
}

/* A crowd that speaks at the same time: it is served in fewer turns when each finds a buffer. */
static ZU_COLD void slots_widen(struct buffers *buffers)
{
    unsigned most = slots_range[buffers->group].most;
    buffers->wanted = buffers->wanted * 2 < most ? buffers->wanted * 2 : most;
    buffers->calm = 0;
    buffers->missed = false;
}

static void buffers_serve(struct buffers *buffers)
{
    if (zu_unlikely(buffers->missed))
        slots_widen(buffers);
    if (zu_unlikely(buffers->filled < buffers->wanted))
        slots_refill(buffers);
    buffers->again = buffers->filled;
    if (zu_unlikely(buffers->starved)) {
        starved_wake(buffers);
        buffers->again = 0; /* those behind them first */
    }
}

static int wait_for(struct zu_driver *driver, uint64_t until_ns)
{
    struct uring *uring = uring_of(driver);
    if (zu_unlikely(!uring->wake_armed))
        wake_arm(uring);
    if (zu_unlikely(uring->uncancelled))
        cancels_retry(uring);
    for (struct buffers *buffers = uring->buffers; buffers < uring->buffers + BUFFERS; buffers++)
        buffers_serve(buffers);
    int err = submit_and_wait(uring, zu_unlikely(is_refused(uring)) ? 0 : until_ns);
    if (zu_unlikely(uring->stillborn))
        stillborn_complete(uring);
    completions_run_timed(uring);
    return err == -EINTR ? err : 0;
}

/* The kernel flags what it has put off until the next enter. */
static bool ready(struct zu_driver *driver)
{
    struct uring *uring = uring_of(driver);
    struct io_uring *ring = &uring->ring;
    return io_uring_cq_ready(ring) || IO_URING_READ_ONCE(*ring->sq.kflags) & IORING_SQ_TASKRUN ||
           io_uring_sq_ready(ring) || is_refused(uring);
}

static void wake(struct zu_driver *driver)
{
    uint64_t one = 1;
    ssize_t done = write(uring_of(driver)->wake_fd, &one, sizeof one);
    (void)done; /* fails only at 2^64 - 1 unread wakes, when the poll has long fired */
}

/* A wish: without such devices, or on an older kernel, the ring waits for interrupts. */
static void napi_ask(struct uring *uring)
{
    struct zu_napi napi = {.busy_poll_us = uring->driver.busy_poll_us, .prefer = 1};
    if (napi.busy_poll_us)
        syscall(SYS_io_uring_register, uring->ring.ring_fd, ZU_REGISTER_NAPI, &napi, 1);
}

static int start(struct zu_driver *driver)
{
    struct uring *uring = uring_of(driver);
    int err = io_uring_enable_rings(&uring->ring);
    if (err < 0)
        return err;
    napi_ask(uring);
    /*
     * Saves a descriptor look-up per call; older kernels do without. A ring that is not SINGLE_ISSUER would, when
     * another thread frees it, take back that thread's registration in place of its own.
     */
    if (uring->ring.flags & IORING_SETUP_SINGLE_ISSUER)
        io_uring_register_ring_fd(&uring->ring);
    return 0;
}

static void buffers_fini(struct buffers *buffers)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        if (buffers->slots[i])
            zu_chunk_unref(buffers->slots[i]);
    }
    if (buffers->ring)
        zu_pages_free(buffers->ring, SLOTS * sizeof(struct io_uring_buf));
}

static void uring_free(struct zu_driver *driver)
{
    struct uring *uring = uring_of(driver);
    io_uring_queue_exit(&uring->ring);
    for (struct buffers *buffers = uring->buffers; buffers < uring->buffers + BUFFERS; buffers++)
        buffers_fini(buffers);
    if (uring->wake_fd >= 0)
        close(uring->wake_fd);
    zu_free(uring, sizeof *uring);
}

static const struct zu_driver_ops uring_ops = {
    .name = "io_uring",
    .start = start,
    .free = uring_free,
    .recv_stream = recv_stream,
    .recv_into = recv_into,
    .send = send_pieces,
    .send_now = zu_real_send_now,
    .accept_stream = accept_stream,
    .connect = connect_to,
    .cancel = cancel,
    .shutdown = zu_real_shutdown,
    .close = close_fd,
    .wait = wait_for,
    .ready = ready,
    .wake = wake,
    .now_ns = zu_real_now_ns,
};

static int buffers_init(struct uring *uring, unsigned group)
{
    struct buffers *buffers = &uring->buffers[group];
    buffers->ring = zu_pages_alloc(SLOTS * sizeof(struct io_uring_buf));
    if (!buffers->ring)
        return -ENOMEM;
    struct io_uring_buf_reg reg = {
        .ring_addr = (uint64_t)(uintptr_t)buffers->ring, .ring_entries = SLOTS, .bgid = (uint16_t)group};
    int err = io_uring_register_buf_ring(&uring->ring, &reg, 0);
    if (err < 0)
        return err == -EINVAL ? -ENOSYS : err; /* before 5.19 there are none: as good as refused */
    io_uring_buf_ring_init(buffers->ring);
    buffers->group = group;
    buffers->wanted = slots_range[group].least;
    slots_refill(buffers);
    return buffers->filled < buffers->wanted ? -ENOMEM : 0;
}

int zu_uring_new(struct zu_driver **ret_driver)
{
    struct uring *uring = zu_alloc_zero(sizeof *uring);
    if (!uring)
        return -ENOMEM;
    const struct zu_io_features *features = zu_io_features();
    uring->driver.ops = &uring_ops;
    uring->multishot = features->has[ZU_IO_MULTISHOT_RECV];
    struct io_uring_params params = {
        .flags = IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE |
                 (features->has[ZU_IO_DEFER_TASKRUN]
                      ? IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG
                      : IORING_SETUP_COOP_TASKRUN),
        .cq_entries = CQ_ENTRIES,
    };
    int err = io_uring_queue_init_params(SQ_ENTRIES, &uring->ring, &params);
    if (err < 0) {
        zu_io_refused(err);
        zu_free(uring, sizeof *uring);
        return err;
    }
    uring->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    err = uring->wake_fd < 0 ? -errno : 0;
    for (unsigned group = 0; group < BUFFERS && !err; group++)
        err = buffers_init(uring, group);
    if (err) {
        uring_free(&uring->driver);
        return err;
    }
    *ret_driver = &uring->driver;
    return 0;
}
