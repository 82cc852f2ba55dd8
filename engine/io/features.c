/* SPDX-License-Identifier: MIT */
/*
 * Each feature is a row with a trial, which uses the feature as zuring would, on a ring of its own that is thrown away.
 * What works in one row (its `flags`) is how the rings of the rows below are set up.
 * A trial that fails for whatever reason (an old kernel, a seccomp filter, want of descriptors) leaves its feature off;
 * when not even a plain ring can be had, everything is off and `error` says why. No trial waits longer than TRIAL_MS.
 * An answer that want of descriptors or memory has spoilt is not kept.
 */
#include "io/features.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/futex.h"
#include "io/uring_compat.h"
#include "mem/alloc.h"

enum {
    TRIAL_MS = 50,
    ENTRIES = 8,
    PAGE = 4096,
    BUFFERS = 4, /* more than receives with bytes: the kernel wants a free one to say that the stream has ended */
    BUFFER_SIZE = 1024,
    GROUP = 1,
};

struct trial {
    struct io_uring ring;              /* fresh */
    unsigned flags;                    /* it was set up with */
    int fd[2];                         /* a connected pair of stream sockets */
    struct io_uring_buf_ring *buffers; /* a page for a ring of buffers */
    uint8_t *memory;                   /* a page behind it for the buffers */
};

struct row {
    const char *name;              /* for printing */
    bool (*works)(struct trial *); /* NULL: off */
    unsigned flags;                /* set-up flags that are part of it */
    bool over_tcp;                 /* wants a TCP pair */
};

/* Leaves a failure's reason in errno, where row_works looks: liburing only returns it. Not all below 0 is one. */
static int told(int result)
{
    if (result < 0 && result > -PAGE)
        errno = -result;
    return result;
}

/* Submits, and takes one completion. */
static int completion_take(struct io_uring *ring, struct io_uring_cqe *ret_completion)
{
    struct __kernel_timespec limit = {.tv_nsec = TRIAL_MS * (long long)ZU_NS_PER_MS};
    struct io_uring_cqe *ready = NULL;
    int err;
    do
        err = told(io_uring_submit_and_wait_timeout(ring, &ready, 1, &limit, NULL));
    while (err == -EINTR);
    if (err < 0 || io_uring_peek_cqe(ring, &ready) < 0)
        return err < 0 ? err : -ETIME;
    *ret_completion = *ready;
    io_uring_cqe_seen(ring, ready);
    return 0;
}

/* A completion with this result and, of the flags asked about, exactly these. */
static bool completes(struct io_uring *ring, int result, unsigned asked, unsigned flags)
{
    struct io_uring_cqe completion;
    return completion_take(ring, &completion) == 0 && told(completion.res) == result &&
           (completion.flags & asked) == flags;
}

static bool peer_sends(struct trial *trial, const char *text)
{
    size_t size = strlen(text);
    return send(trial->fd[1], text, size, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)size;
}

static bool buffers_register(struct trial *trial, unsigned count, uint16_t flags)
{
    struct io_uring_buf_reg reg = {
        .ring_addr = (uint64_t)(uintptr_t)trial->buffers, .ring_entries = BUFFERS, .bgid = GROUP};
    zu_buf_reg_flags_set(&reg, flags);
    if (told(io_uring_register_buf_ring(&trial->ring, &reg, 0)) < 0)
        return false;
    io_uring_buf_ring_init(trial->buffers);
    for (unsigned i = 0; i < count; i++)
        io_uring_buf_ring_add(trial->buffers, trial->memory + i * BUFFER_SIZE, BUFFER_SIZE, (unsigned short)i,
                              io_uring_buf_ring_mask(BUFFERS), (int)i);
    io_uring_buf_ring_advance(trial->buffers, (int)count);
    return true;
}

static struct io_uring_sqe *recv_selected(struct trial *trial)
{
    struct io_uring_sqe *entry = io_uring_get_sqe(&trial->ring);
    io_uring_prep_recv(entry, trial->fd[0], NULL, 0, 0);
    entry->flags |= IOSQE_BUFFER_SELECT;
    entry->buf_group = GROUP;
    return entry;
}

/* The receive waits before the bytes come, so that its completion takes the deferred way. */
static bool defer_taskrun_works(struct trial *trial)
{
    struct io_uring_sqe *entry = io_uring_get_sqe(&trial->ring);
    io_uring_prep_recv(entry, trial->fd[0], trial->memory, BUFFER_SIZE, 0);
    return io_uring_submit(&trial->ring) == 1 && peer_sends(trial, "defer") && completes(&trial->ring, 5, 0, 0) &&
           memcmp(trial->memory, "defer", 5) == 0;
}

static bool buffer_rings_work(struct trial *trial)
{
    if (!buffers_register(trial, 1, 0))
        return false;
    recv_selected(trial);
    return peer_sends(trial, "ring") && completes(&trial->ring, 4, IORING_CQE_F_BUFFER, IORING_CQE_F_BUFFER) &&
           memcmp(trial->memory, "ring", 4) == 0;
}

static bool multishot_recv_works(struct trial *trial)
{
    const unsigned asked = IORING_CQE_F_BUFFER | IORING_CQE_F_MORE;
    if (!buffers_register(trial, BUFFERS, 0))
        return false;
    recv_selected(trial)->ioprio |= IORING_RECV_MULTISHOT;
    if (!peer_sends(trial, "many") || !completes(&trial->ring, 4, asked, asked) || !peer_sends(trial, "shots") ||
        !completes(&trial->ring, 5, asked, asked))
        return false;
    shutdown(trial->fd[1], SHUT_WR);
    return completes(&trial->ring, 0, IORING_CQE_F_MORE, 0) && memcmp(trial->memory, "many", 4) == 0 &&
           memcmp(trial->memory + BUFFER_SIZE, "shots", 5) == 0;
}

/* Loopback copies, and must say so: that is the report which tells when not to use it. */
static bool send_zc_works(struct trial *trial)
{
    struct io_uring_sqe *entry = io_uring_get_sqe(&trial->ring);
    io_uring_prep_send_zc(entry, trial->fd[0], trial->memory, PAGE, MSG_NOSIGNAL, IORING_SEND_ZC_REPORT_USAGE);
    return completes(&trial->ring, PAGE, IORING_CQE_F_MORE, IORING_CQE_F_MORE) &&
           completes(&trial->ring, (int)IORING_NOTIF_USAGE_ZC_COPIED, IORING_CQE_F_NOTIF, IORING_CQE_F_NOTIF);
}

static bool msg_ring_works(struct trial *trial)
{
    enum { MARK = 42 };
    struct io_uring target;
    struct io_uring_params params = {.flags = trial->flags};
    if (told(io_uring_queue_init_params(ENTRIES, &target, &params)) < 0)
        return false;
    struct io_uring_sqe *entry = io_uring_get_sqe(&trial->ring);
    io_uring_prep_msg_ring(entry, target.ring_fd, MARK, 0, 0);
    bool works = completes(&trial->ring, 0, 0, 0) && completes(&target, MARK, 0, 0);
    io_uring_queue_exit(&target);
    return works;
}

static bool direct_descriptors_work(struct trial *trial)
{
    if (told(io_uring_register_files_sparse(&trial->ring, 2)) < 0 ||
        told(io_uring_register_files_update(&trial->ring, 1, &trial->fd[0], 1)) != 1)
        return false;
    struct io_uring_sqe *entry = io_uring_get_sqe(&trial->ring);
    io_uring_prep_recv(entry, 1, trial->memory, BUFFER_SIZE, 0);
    entry->flags |= IOSQE_FIXED_FILE;
    return peer_sends(trial, "direct") && completes(&trial->ring, 6, 0, 0) && memcmp(trial->memory, "direct", 6) == 0;
}

static bool incremental_buffers_work(struct trial *trial)
{
    const unsigned asked = IORING_CQE_F_BUFFER | IORING_CQE_F_BUF_MORE;
    if (!buffers_register(trial, 1, ZU_PBUF_RING_INC))
        return false;
    recv_selected(trial);
    if (!peer_sends(trial, "bit ") || !completes(&trial->ring, 4, asked, asked))
        return false;
    recv_selected(trial);
    return peer_sends(trial, "by bit") && completes(&trial->ring, 6, asked, asked) &&
           memcmp(trial->memory, "bit by bit", 10) == 0;
}

static const struct row rows[ZU_IO_FEATURES] = {
    [ZU_IO_DEFER_TASKRUN] = {.name = "defer-taskrun",
                             .works = defer_taskrun_works,
                             .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN},
    [ZU_IO_BUFFER_RINGS] = {.name = "buffer-rings", .works = buffer_rings_work},
    [ZU_IO_MULTISHOT_RECV] = {.name = "multishot-recv", .works = multishot_recv_works},
    [ZU_IO_SEND_ZC] = {.name = "send-zc", .works = send_zc_works, .over_tcp = true},
    [ZU_IO_MSG_RING] = {.name = "msg-ring", .works = msg_ring_works},
    [ZU_IO_DIRECT_DESCRIPTORS] = {.name = "direct-descriptors", .works = direct_descriptors_work},
    [ZU_IO_INCREMENTAL_BUFFERS] = {.name = "incremental-buffers", .works = incremental_buffers_work},
    /* Some 6.13 and 6.14 kernels now and then give the buffers of a bundle in the wrong order: no trial sees it. */
    [ZU_IO_RECV_BUNDLES] = {.name = "recv-bundles", .works = NULL},
};

/* Never blocks: a filter on the loopback interface must not hold the process up. */
static int tcp_connect(int listener, int dialer)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    struct sockaddr *at = (struct sockaddr *)&address;
    if (bind(listener, at, size) < 0 || listen(listener, 1) < 0 || getsockname(listener, at, &size) < 0 ||
        (connect(dialer, at, size) < 0 && errno != EINPROGRESS))
        return -1;
    struct pollfd ready = {.fd = listener, .events = POLLIN};
    return poll(&ready, 1, TRIAL_MS) == 1 ? accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK) : -1;
}

static bool tcp_pair(int fd[2])
{
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int dialer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int acceptor = listener >= 0 && dialer >= 0 ? tcp_connect(listener, dialer) : -1;
    if (listener >= 0)
        close(listener);
    if (acceptor < 0 && dialer >= 0)
        close(dialer);
    if (acceptor < 0)
        return false;
    fd[0] = dialer;
    fd[1] = acceptor;
    return true;
}

static bool pair_make(const struct row *row, int fd[2])
{
    return row->over_tcp ? tcp_pair(fd) : socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd) == 0;
}

static bool is_passing(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOMEM;
}

/* One round of trials. */
struct search {
    struct zu_io_features found; /* the answer */
    bool spoilt;                 /* a passing reason has failed a trial */
};

static bool row_works(const struct row *row, unsigned flags, struct search *search)
{
    struct trial trial = {.flags = flags | row->flags};
    struct io_uring_params params = {.flags = trial.flags};
    errno = 0;
    if (!row->works)
        return false;
    bool works = false, paired = pair_make(row, trial.fd);
    trial.buffers = paired ? zu_pages_alloc(2 * PAGE) : NULL;
    if (paired && !trial.buffers)
        errno = ENOMEM;
    if (trial.buffers && told(io_uring_queue_init_params(ENTRIES, &trial.ring, &params)) == 0) {
        trial.memory = (uint8_t *)trial.buffers + PAGE;
        works = row->works(&trial);
        io_uring_queue_exit(&trial.ring);
    }
    search->spoilt |= !works && is_passing(errno);
    if (trial.buffers)
        zu_pages_free(trial.buffers, 2 * PAGE);
    if (paired) {
        close(trial.fd[0]);
        close(trial.fd[1]);
    }
    return works;
}

static void *find(void *arg)
{
    struct search *search = arg;
    struct io_uring ring;
    int err = io_uring_queue_init(ENTRIES, &ring, 0);
    search->found.error = err;
    search->spoilt = is_passing(-err);
    if (err)
        return NULL;
    io_uring_queue_exit(&ring);
    unsigned flags = 0;
    for (unsigned i = 0; i < ZU_IO_FEATURES; i++) {
        search->found.has[i] = row_works(&rows[i], flags, search);
        if (search->found.has[i])
            flags |= rows[i].flags;
    }
    return NULL;
}

/*
 * On a thread of its own: the kernel takes a ring apart later, and the work that this leaves to the thread that used it
 * would interrupt the application's own waits with EINTR.
 */
static void find_aside(struct search *search)
{
    pthread_t thread;
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    if (pthread_create(&thread, NULL, find, search) == 0)
        pthread_join(thread, NULL);
    else
        find(search);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static struct zu_io_features answer;
static atomic_bool answer_shown; /* release behind its writing; acquire before its reading */
static atomic_bool refused;      /* relaxed: says no more than itself */

/*
 * One search at a time: the process of the thread that is at it, or 0. No mutex, for in the child of a fork in the
 * midst of it nobody would unlock that; this the child takes for what it is. acquire when it is taken, release when it
 * is given back: the rings of one search may lie where those of another did.
 */
static _Atomic uint32_t searcher;

static void search_begin(void)
{
    uint32_t self = (uint32_t)getpid();
    for (;;) {
        uint32_t other = atomic_load_explicit(&searcher, memory_order_relaxed);
        if (other == self)
            zu_futex_wait(&searcher, self, ZU_NEVER);
        else if (atomic_compare_exchange_strong_explicit(&searcher, &other, self, memory_order_acquire,
                                                         memory_order_relaxed))
            return;
    }
}

static void search_end(void)
{
    atomic_store_explicit(&searcher, 0, memory_order_release);
    zu_futex_wake(&searcher);
}

/* Between these two. The answer, or this thread's copy of one that is not to be kept. */
static const struct zu_io_features *search_once(void)
{
    static _Thread_local struct zu_io_features passing;
    if (atomic_load_explicit(&answer_shown, memory_order_acquire))
        return &answer;
    struct search search = {0};
    find_aside(&search);
    zu_io_refused(search.found.error);
    if (search.spoilt) {
        passing = search.found;
        return &passing;
    }
    answer = search.found;
    atomic_store_explicit(&answer_shown, true, memory_order_release);
    return &answer;
}

const struct zu_io_features *zu_io_features(void)
{
    if (atomic_load_explicit(&answer_shown, memory_order_acquire))
        return &answer;
    search_begin();
    const struct zu_io_features *found = search_once();
    search_end();
    return found;
}

void zu_io_refused(int error)
{
    if (error == -EPERM || error == -ENOSYS)
        atomic_store_explicit(&refused, true, memory_order_relaxed);
}

bool zu_io_is_refused(void)
{
    return atomic_load_explicit(&refused, memory_order_relaxed);
}

const char *zu_io_feature_name(enum zu_io_feature feature)
{
    return rows[feature].name;
}
