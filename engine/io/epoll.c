/* SPDX-License-Identifier: MIT */
/*
 * The epoll driver. A start puts the operation on a list of those to try; wait tries them, each with one non-blocking
 * system call, and asks epoll only when none of them completed. What cannot go on waits in epoll, level triggered; an
 * event puts it back on the list, so that no callback ever runs while events point at anything it could close. Events
 * stay armed between operations, and are disarmed when one comes that nobody waits for.
 * Who spins calls ready, which receives for the descriptor that last had bytes; wait then delivers them.
 * A start never fails: without memory for it the operation completes with -ENOMEM on the next wait. Without memory for a
 * chunk a receive completes with -ENOBUFS.
 */
#include "io/epoll.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/list.h"
#include "io/real.h"
#include "mem/alloc.h"

enum {
    BUCKETS_FIRST = 4, /* most drivers have one to three descriptors */
    EVENTS = 64,       /* taken from epoll at a time */
    UNASKED_MAX = 16,  /* waits that may complete something without a look at epoll: others are to have their turn */
    HOT_LOOKS = 8,     /* every one of so many looks at the hot descriptor goes to epoll instead */
};

struct epoll;
struct half;
struct watch;

/* What an attempt gave. */
struct outcome {
    int result;             /* as for done */
    struct zu_chunk *chunk; /* as for done */
    bool more;              /* the operation goes on */
    bool again;             /* and is to be tried again without asking epoll */
};

struct kind {
    uint32_t events; /* EPOLLIN or EPOLLOUT: what it waits for */
    /* Tries once; false when it must wait. */
    bool (*attempt)(struct epoll *epoll, struct half *half, struct outcome *ret_outcome);
};

/* One direction of a descriptor. */
struct half {
    struct zu_op *op;        /* busy, or NULL */
    const struct kind *kind; /* of op */
    struct watch *watch;     /* which it is in */
    struct zu_link try;      /* in epoll->tries while it has an op to try, else alone */
};

struct watch {
    int fd;             /* the descriptor */
    uint32_t armed;     /* events asked for; in the epoll set while not 0 */
    int connected;      /* result of connect(2); -EINPROGRESS while it goes on */
    struct half in;     /* receives, accepts */
    struct half out;    /* sends, connects */
    struct watch *next; /* in the same bucket */
};

struct epoll {
    struct zu_driver driver; /* the seam */
    int fd;                  /* the epoll set; constant */
    int wake_fd;             /* eventfd in the set; constant, written by any thread */

    int timer_fd;                  /* the rest: who drives. timerfd in the set; -1 before pollable was called */
    uint64_t alarm_ns;             /* timer_fd is set to; ZU_NEVER: not set */
    bool woken;                    /* wake_fd is readable, for all we know: the next wait empties it and does not sleep */
    bool rung;                     /* the same of timer_fd */
    bool waiting;                  /* wait runs */
    unsigned unasked;              /* waits since the last look at epoll */
    unsigned looks;                /* at the hot descriptor */
    bool hot_wakes;                /* the last sleep that asked the set was ended by the hot descriptor alone */
    struct zu_link tries;          /* halves to try, struct half.try */
    struct zu_op *stillborn;       /* chain through op->slot: no memory, completed with -ENOMEM by the next wait */
    struct half *hot;              /* recv_stream that last had bytes; NULL when its descriptor was closed */
    struct half *held_by;          /* whose outcome ready holds for the next wait; NULL: none. It is among tries */
    struct outcome held;           /* that outcome */
    struct zu_chunk *spare;        /* for the next receive; NULL until needed */
    struct watch **buckets;        /* by descriptor, mask + 1 of them: `first`, or in the heap */
    unsigned mask;                 /* a power of two, less one */
    unsigned count;                /* watches */
    struct watch *first[BUCKETS_FIRST]; /* buckets while there are few */
};

#define epoll_of(seam) zu_container_of(seam, struct epoll, driver)

/* What events point at when not at a watch. */
static char waker;
static char ringer;

static int control(struct epoll *epoll, int operation, int fd, uint32_t events, void *data)
{
    struct epoll_event event = {.events = events, .data.ptr = data};
    if (epoll_ctl(epoll->fd, operation, fd, &event) == 0)
        return 0;
    return errno == ENOSPC ? -ENOMEM : -errno; /* ENOSPC is the user's limit of watches */
}

/* --- watches --- */

static struct watch **watch_place(struct epoll *epoll, int fd)
{
    struct watch **place = &epoll->buckets[(unsigned)fd & epoll->mask];
    while (*place && (*place)->fd != fd)
        place = &(*place)->next;
    return place;
}

/* Without memory the chains get longer. */
static ZU_COLD void buckets_grow(struct epoll *epoll)
{
    unsigned size = epoll->mask + 1;
    struct watch **old = epoll->buckets;
    struct watch **grown = zu_alloc_zero(2 * size * sizeof *grown);
    if (!grown)
        return;
    epoll->buckets = grown;
    epoll->mask = 2 * size - 1;
    for (unsigned i = 0; i < size; i++) {
        for (struct watch *watch = old[i], *next; watch; watch = next) {
            next = watch->next;
            watch->next = NULL;
            *watch_place(epoll, watch->fd) = watch;
        }
    }
    if (old != epoll->first)
        zu_free(old, size * sizeof *old);
}

static ZU_COLD struct watch *watch_new(struct epoll *epoll, int fd)
{
    struct watch *watch = zu_alloc_zero(sizeof *watch);
    if (!watch)
        return NULL;
    if (epoll->count++ > epoll->mask)
        buckets_grow(epoll);
    watch->fd = fd;
    watch->in.watch = watch->out.watch = watch;
    zu_list_init(&watch->in.try);
    zu_list_init(&watch->out.try);
    *watch_place(epoll, fd) = watch;
    return watch;
}

static int watch_arm(struct epoll *epoll, struct watch *watch, uint32_t events)
{
    if (zu_likely(watch->armed & events))
        return 0;
    int operation = watch->armed ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    int err = control(epoll, operation, watch->fd, watch->armed | events, watch);
    if (!err)
        watch->armed |= events;
    return err;
}

/* With nothing armed it leaves the set, or a broken connection would be an event for ever. */
static void watch_disarm(struct epoll *epoll, struct watch *watch, uint32_t events)
{
    if (!(watch->armed & events))
        return;
    watch->armed &= ~events;
    control(epoll, watch->armed ? EPOLL_CTL_MOD : EPOLL_CTL_DEL, watch->fd, watch->armed, watch);
}

static void half_list(struct epoll *epoll, struct half *half)
{
    if (zu_list_is_empty(&half->try))
        zu_list_append(&epoll->tries, &half->try);
}

static void watch_marked(struct epoll *epoll, struct watch *watch, uint32_t events)
{
    uint32_t unwanted = 0;
    if (events & (EPOLLERR | EPOLLHUP))
        events |= EPOLLIN | EPOLLOUT;
    if (watch->in.op && events & EPOLLIN)
        half_list(epoll, &watch->in);
    else
        unwanted |= events & EPOLLIN;
    if (watch->out.op && events & EPOLLOUT)
        half_list(epoll, &watch->out);
    else
        unwanted |= events & EPOLLOUT;
    watch_disarm(epoll, watch, unwanted);
}

/* --- starting --- */

static void wake(struct zu_driver *driver)
{
    uint64_t one = 1;
    ssize_t done = write(epoll_of(driver)->wake_fd, &one, sizeof one);
    (void)done; /* fails only at 2^64 - 1 wakes, when it has long been readable */
}

static bool has_work(const struct epoll *epoll)
{
    return !zu_list_is_empty(&epoll->tries) || epoll->stillborn;
}

/* The set itself tells nothing of what is to be tried: somebody may be polling it. */
static void show_work(struct epoll *epoll)
{
    if (zu_likely(epoll->timer_fd < 0) || epoll->waiting || epoll->woken || !has_work(epoll))
        return;
    epoll->woken = true;
    wake(&epoll->driver);
}

/* NULL without memory: the op is then over with the next wait. */
static struct half *op_start(struct epoll *epoll, struct zu_op *op, int fd, const struct kind *kind)
{
    struct watch *watch = *watch_place(epoll, fd);
    if (zu_unlikely(!watch))
        watch = watch_new(epoll, fd);
    op->busy = true;
    op->cancelled = false;
    if (zu_unlikely(!watch)) {
        op->cancelled = true; /* over soon anyway */
        op->slot = epoll->stillborn;
        epoll->stillborn = op;
        show_work(epoll);
        return NULL;
    }
    struct half *half = kind->events == EPOLLIN ? &watch->in : &watch->out;
    assert(!half->op);
    half->op = op;
    half->kind = kind;
    op->slot = half;
    return half;
}

static void op_start_try(struct zu_driver *driver, struct zu_op *op, int fd, const struct kind *kind)
{
    struct epoll *epoll = epoll_of(driver);
    struct half *half = op_start(epoll, op, fd, kind);
    if (zu_unlikely(!half))
        return;
    half_list(epoll, half);
    show_work(epoll);
}

/* --- the kinds of operation --- */

/* False: nothing there, and the chunk is kept for the next time. */
static bool receive(struct epoll *epoll, int fd, struct outcome *ret_outcome)
{
    if (!epoll->spare)
        epoll->spare = zu_chunk_new(ZU_CHUNK_RUNG_RECEIVE);
    struct zu_chunk *chunk = epoll->spare;
    if (zu_unlikely(!chunk)) {
        *ret_outcome = (struct outcome){.result = -ENOBUFS};
        return true;
    }
    ssize_t got = recv(fd, chunk->data + ZU_RECEIVE_HEADROOM, ZU_RECEIVE_SIZE, MSG_DONTWAIT);
    if (got > 0) {
        epoll->spare = NULL;
        *ret_outcome = (struct outcome){
            .result = (int)got, .chunk = chunk, .more = true, .again = got == ZU_RECEIVE_SIZE};
        return true;
    }
    if (got < 0 && errno == EAGAIN)
        return false;
    *ret_outcome = (struct outcome){.result = got < 0 ? -errno : 0};
    return true;
}

static bool recv_stream_try(struct epoll *epoll, struct half *half, struct outcome *ret_outcome)
{
    if (epoll->held_by == half) {
        epoll->held_by = NULL;
        *ret_outcome = epoll->held;
    } else if (!receive(epoll, half->watch->fd, ret_outcome)) {
        return false;
    }
    if (ret_outcome->chunk)
        epoll->hot = half;
    return true;
}

static bool is_done(ssize_t result, struct outcome *ret_outcome)
{
    if (result < 0 && errno == EAGAIN)
        return false;
    ret_outcome->result = result < 0 ? -errno : (int)result;
    return true;
}

static bool recv_into_try(struct epoll *epoll, struct half *half, struct outcome *ret_outcome)
{
    (void)epoll;
    return is_done(recvmsg(half->watch->fd, &half->op->message, MSG_DONTWAIT), ret_outcome);
}

static bool send_try(struct epoll *epoll, struct half *half, struct outcome *ret_outcome)
{
    (void)epoll;
    return is_done(sendmsg(half->watch->fd, &half->op->message, MSG_DONTWAIT | MSG_NOSIGNAL), ret_outcome);
}

static bool accept_try(struct epoll *epoll, struct half *half, struct outcome *ret_outcome)
{
    (void)epoll;
    int fd;
    do /* a connection that was gone before it was accepted says nothing of the next */
        fd = accept4(half->watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    while (fd < 0 && (errno == ECONNABORTED || errno == EPROTO || errno == EINTR));
    ret_outcome->more = ret_outcome->again = fd >= 0;
    return is_done(fd, ret_outcome);
}

/* Tried when connect(2) was done at once, or when epoll says that it has ended. */
static bool connect_try(struct epoll *epoll, struct half *half, struct outcome *ret_outcome)
{
    (void)epoll;
    int err = -half->watch->connected;
    socklen_t size = sizeof err;
    if (err == EINPROGRESS && getsockopt(half->watch->fd, SOL_SOCKET, SO_ERROR, &err, &size) < 0)
        err = errno;
    ret_outcome->result = -err;
    return true;
}

static const struct kind recv_stream_kind = {EPOLLIN, recv_stream_try};
static const struct kind recv_into_kind = {EPOLLIN, recv_into_try};
static const struct kind accept_kind = {EPOLLIN, accept_try};
static const struct kind send_kind = {EPOLLOUT, send_try};
static const struct kind connect_kind = {EPOLLOUT, connect_try};

static void recv_stream(struct zu_driver *driver, struct zu_op *op, int fd)
{
    op_start_try(driver, op, fd, &recv_stream_kind);
}

static void recv_into(struct zu_driver *driver, struct zu_op *op, int fd)
{
    op_start_try(driver, op, fd, &recv_into_kind);
}

static void send_pieces(struct zu_driver *driver, struct zu_op *op, int fd)
{
    op_start_try(driver, op, fd, &send_kind);
}

static void accept_stream(struct zu_driver *driver, struct zu_op *op, int fd)
{
    op_start_try(driver, op, fd, &accept_kind);
}

/* connect(2) at once, so that the address need not be kept. */
static void connect_to(struct zu_driver *driver, struct zu_op *op, int fd, const struct sockaddr *address,
                       socklen_t size)
{
    struct epoll *epoll = epoll_of(driver);
    struct half *half = op_start(epoll, op, fd, &connect_kind);
    if (zu_unlikely(!half))
        return;
    int result = connect(fd, address, size) < 0 ? -errno : 0;
    if (result == -EINPROGRESS) {
        int err = watch_arm(epoll, half->watch, EPOLLOUT);
        result = err ? err : result;
    }
    half->watch->connected = result;
    if (result == -EINPROGRESS)
        return;
    half_list(epoll, half);
    show_work(epoll);
}

static void cancel(struct zu_driver *driver, struct zu_op *op)
{
    if (!op->busy || op->cancelled)
        return;
    struct epoll *epoll = epoll_of(driver);
    op->cancelled = true;
    half_list(epoll, op->slot);
    show_work(epoll);
}

static void close_fd(struct zu_driver *driver, int fd)
{
    struct epoll *epoll = epoll_of(driver);
    struct watch **place = watch_place(epoll, fd);
    struct watch *watch = *place;
    if (watch) {
        assert(!watch->in.op && !watch->out.op);
        *place = watch->next;
        epoll->count--;
        /* Closing would not do where a fork has left the child a copy. */
        watch_disarm(epoll, watch, watch->armed);
        if (epoll->hot == &watch->in)
            epoll->hot = NULL;
        zu_free(watch, sizeof *watch);
    }
    close(fd);
}

/* --- waiting --- */

/* Whether it completed something. The callback may have closed the descriptor, and freed the half with it. */
static bool half_try(struct epoll *epoll, struct half *half)
{
    struct zu_op *op = half->op;
    struct outcome outcome = {0};
    if (zu_unlikely(op->cancelled) && epoll->held_by != half) {
        outcome.result = -ECANCELED;
    } else if (!half->kind->attempt(epoll, half, &outcome)) {
        int err = watch_arm(epoll, half->watch, half->kind->events);
        if (zu_likely(!err))
            return false;
        outcome = (struct outcome){.result = err};
    }
    bool more = outcome.more && !op->cancelled;
    op->busy = more;
    if (!more)
        half->op = NULL;
    else if (outcome.again || watch_arm(epoll, half->watch, half->kind->events) < 0)
        half_list(epoll, half); /* what could not be armed fails when it is next tried in vain */
    op->done(op, outcome.result, more ? ZU_OP_MORE : 0, outcome.chunk);
    return true;
}

static bool stillborn_complete(struct epoll *epoll)
{
    struct zu_op *op = epoll->stillborn;
    if (zu_likely(!op))
        return false;
    epoll->stillborn = NULL;
    while (op) {
        struct zu_op *next = op->slot;
        op->busy = false;
        op->done(op, -ENOMEM, 0, NULL);
        op = next;
    }
    return true;
}

/* Whether anything completed, or was put off. What is listed meanwhile has its turn with the next wait. */
static bool tries_run(struct epoll *epoll)
{
    struct zu_link now;
    bool any = false, modest_heard = false;
    zu_list_init(&now);
    zu_list_append(&epoll->tries, &now); /* takes over the list: */
    zu_list_remove(&epoll->tries);
    while (!zu_list_is_empty(&now)) {
        struct half *half = zu_container_of(now.next, struct half, try);
        bool modest = half->op->modest && !half->op->cancelled;
        zu_list_remove(&half->try);
        if (zu_unlikely(modest && modest_heard)) {
            half_list(epoll, half);
            epoll->unasked = UNASKED_MAX; /* others may have come meanwhile, and go first */
            any = true;
            continue;
        }
        bool heard = half_try(epoll, half);
        modest_heard |= modest && heard;
        any |= heard;
    }
    return any;
}

/* Empties what was readable for being woken or for the alarm. Whether there was any. */
static bool quieten(struct epoll *epoll)
{
    uint64_t count;
    bool any = epoll->woken || epoll->rung;
    if (zu_unlikely(epoll->woken)) {
        ssize_t got = read(epoll->wake_fd, &count, sizeof count);
        (void)got; /* it does not block, and may have been empty */
    }
    if (zu_unlikely(epoll->rung) && read(epoll->timer_fd, &count, sizeof count) > 0)
        epoll->alarm_ns = ZU_NEVER; /* so that the same moment can be set again */
    epoll->woken = epoll->rung = false;
    return any;
}

/*
 * Sleeps until the set has something. By ppoll(2), which the kernel itself begins again when a process goes on that was
 * stopped; epoll_wait(2) says EINTR then, though no handler ran. How many, or a negative errno.
 */
static int set_sleep(struct epoll *epoll, uint64_t until_ns)
{
    struct pollfd set = {.fd = epoll->fd, .events = POLLIN};
    struct timespec left, *limit = NULL;
    if (until_ns != ZU_NEVER) {
        uint64_t now_ns = zu_clock_ns(), left_ns = until_ns > now_ns ? until_ns - now_ns : 0;
        left = (struct timespec){.tv_sec = (time_t)(left_ns / ZU_NS_PER_S), .tv_nsec = (long)(left_ns % ZU_NS_PER_S)};
        limit = &left;
    }
    int count = ppoll(&set, 1, limit, NULL);
    return count < 0 ? -errno : count;
}

/* Whether the hot descriptor is to be looked at, and not the set: every few looks it is the others' turn. */
static bool hot_is_due(struct epoll *epoll)
{
    struct half *hot = epoll->hot;
    return hot && hot->op && hot->kind == &recv_stream_kind && ++epoll->looks % HOT_LOOKS != 0;
}

static bool hot_received(struct epoll *epoll)
{
    if (!receive(epoll, epoll->hot->watch->fd, &epoll->held))
        return false;
    epoll->held_by = epoll->hot;
    half_list(epoll, epoll->hot);
    return true;
}

/* Takes events from the set and lists what is to be tried for them. How many, or a negative errno. */
static int look(struct epoll *epoll, uint64_t until_ns)
{
    struct epoll_event events[EVENTS];
    if (until_ns) {
        int ready = set_sleep(epoll, until_ns);
        if (ready <= 0)
            return ready;
        /* What ended the last sleep, and nothing else did, will have ended this one. */
        if (epoll->hot_wakes && hot_is_due(epoll) && hot_received(epoll))
            return 1;
    }
    int count = epoll_wait(epoll->fd, events, EVENTS, 0);
    if (zu_unlikely(count < 0))
        return -errno;
    for (int i = 0; i < count; i++) {
        void *data = events[i].data.ptr;
        if (zu_unlikely(data == &waker))
            epoll->woken = true;
        else if (zu_unlikely(data == &ringer))
            epoll->rung = true;
        else
            watch_marked(epoll, data, events[i].events);
    }
    if (until_ns)
        epoll->hot_wakes = count == 1 && epoll->hot && events[0].data.ptr == epoll->hot->watch;
    return count;
}

/* Until something came of it: an event that nobody waits for is no reason to return. */
static int look_until(struct epoll *epoll, uint64_t until_ns)
{
    int count;
    bool any;
    if (until_ns && epoll->spare) { /* a sleeper keeps nothing that others could use */
        zu_chunk_unref(epoll->spare);
        epoll->spare = NULL;
    }
    epoll->unasked = 0;
    do {
        count = look(epoll, until_ns);
        any = tries_run(epoll);
        any |= quieten(epoll);
    } while (count > 0 && !any && zu_clock_ns() < until_ns);
    return count == -EINTR ? count : 0;
}

static int wait_for(struct zu_driver *driver, uint64_t until_ns)
{
    struct epoll *epoll = epoll_of(driver);
    int err = 0;
    epoll->waiting = true;
    bool called = quieten(epoll);
    bool any = stillborn_complete(epoll);
    any |= tries_run(epoll);
    if (!any || ++epoll->unasked >= UNASKED_MAX)
        err = look_until(epoll, any || called ? 0 : until_ns);
    epoll->waiting = false;
    show_work(epoll);
    return err;
}

static bool ready(struct zu_driver *driver)
{
    struct epoll *epoll = epoll_of(driver);
    if (has_work(epoll) || epoll->woken || epoll->rung)
        return true;
    if (!hot_is_due(epoll)) {
        look(epoll, 0);
        return has_work(epoll) || epoll->woken || epoll->rung;
    }
    if (!hot_received(epoll))
        return false;
    show_work(epoll);
    return true;
}

/* --- for who polls --- */

static int pollable(struct zu_driver *driver)
{
    struct epoll *epoll = epoll_of(driver);
    if (epoll->timer_fd >= 0)
        return epoll->fd;
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    int err = fd < 0 ? -errno : control(epoll, EPOLL_CTL_ADD, fd, EPOLLIN, &ringer);
    if (err) {
        if (fd >= 0)
            close(fd);
        return err;
    }
    epoll->timer_fd = fd;
    show_work(epoll);
    return epoll->fd;
}

static void alarm_at(struct zu_driver *driver, uint64_t at_ns)
{
    struct epoll *epoll = epoll_of(driver);
    if (epoll->timer_fd < 0 || at_ns == epoll->alarm_ns)
        return;
    struct itimerspec at = {0}; /* off */
    if (at_ns != ZU_NEVER) {
        at.it_value.tv_sec = (time_t)(at_ns / ZU_NS_PER_S);
        at.it_value.tv_nsec = (long)(at_ns % ZU_NS_PER_S) | !at_ns;
    }
    if (timerfd_settime(epoll->timer_fd, TFD_TIMER_ABSTIME, &at, NULL) == 0)
        epoll->alarm_ns = at_ns;
}

/* --- making --- */

static int start(struct zu_driver *driver)
{
    (void)driver;
    return 0;
}

static void epoll_free(struct zu_driver *driver)
{
    struct epoll *epoll = epoll_of(driver);
    const int fds[] = {epoll->fd, epoll->wake_fd, epoll->timer_fd};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
    for (unsigned i = 0; i <= epoll->mask; i++) {
        for (struct watch *watch = epoll->buckets[i], *next; watch; watch = next) {
            next = watch->next;
            zu_free(watch, sizeof *watch);
        }
    }
    if (epoll->buckets != epoll->first)
        zu_free(epoll->buckets, (epoll->mask + 1) * sizeof *epoll->buckets);
    if (epoll->held_by && epoll->held.chunk)
        zu_chunk_unref(epoll->held.chunk);
    if (epoll->spare)
        zu_chunk_unref(epoll->spare);
    zu_free(epoll, sizeof *epoll);
}

static const struct zu_driver_ops epoll_ops = {
    .name = "epoll",
    .roams = true,
    .start = start,
    .free = epoll_free,
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
    .pollable = pollable,
    .alarm = alarm_at,
};

int zu_epoll_new(struct zu_driver **ret_driver)
{
    struct epoll *epoll = zu_alloc_zero(sizeof *epoll);
    if (!epoll)
        return -ENOMEM;
    epoll->driver.ops = &epoll_ops;
    epoll->wake_fd = epoll->timer_fd = -1;
    epoll->alarm_ns = ZU_NEVER;
    epoll->buckets = epoll->first;
    epoll->mask = BUCKETS_FIRST - 1;
    zu_list_init(&epoll->tries);
    epoll->fd = epoll_create1(EPOLL_CLOEXEC);
    int err = epoll->fd < 0 ? -errno : 0;
    if (!err) {
        epoll->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        err = epoll->wake_fd < 0 ? -errno : control(epoll, EPOLL_CTL_ADD, epoll->wake_fd, EPOLLIN, &waker);
    }
    if (err) {
        epoll_free(&epoll->driver);
        return err;
    }
    *ret_driver = &epoll->driver;
    return 0;
}
