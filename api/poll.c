/* SPDX-License-Identifier: MIT */
/*
 * zmq_poll: looks at every item; when none is ready it sleeps and looks again. One socket alone sleeps on its own word;
 * several, descriptors, or one with a signal mask, sleep in ppoll(2) on the sockets' event descriptors, after a spin on the
 * first socket's budget. What this thread has sent goes first, by whichever socket.
 * Fails before it sleeps on bad items, and afterwards with EINTR or ETERM.
 */
#include "api.h"

#include <poll.h>
#include <string.h>

#include "base/clock.h"
#include "core/poller.h"
#include "mem/alloc.h"

enum {
    ON_STACK = ZMQ_POLLITEMS_DFLT,
    FDS_EVERY = 8, /* of so many looks in a spin, one is at plain descriptors too: it costs a call to the kernel */
};

/* The sockets' part of one look; the number of ready ones, or a negative errno. */
static int look_at_sockets(zmq_pollitem_t *items, int count)
{
    int ready = 0;
    zu_batches_look();
    for (int i = 0; i < count; i++) {
        items[i].revents = 0;
        if (!items[i].socket)
            continue;
        struct zu_socket *socket = api_socket(items[i].socket);
        if (!socket)
            return -ENOTSOCK;
        int err = zu_socket_enter(socket);
        if (err)
            return err;
        if (!(items[i].events & (ZMQ_POLLIN | ZMQ_POLLOUT)))
            continue;
        items[i].revents = (short)(zu_socket_events(socket) & (unsigned)items[i].events);
        if (!items[i].revents && zu_socket_has_drive(socket)) {
            err = zu_socket_refresh(socket);
            if (err)
                return err;
            items[i].revents = (short)(zu_socket_events(socket) & (unsigned)items[i].events);
        }
        ready += items[i].revents != 0;
    }
    return ready;
}

static int fill_fds(const zmq_pollitem_t *items, int count, struct pollfd *fds)
{
    for (int i = 0; i < count; i++) {
        fds[i] = (struct pollfd){.fd = items[i].fd, .events = (short)zu_poll_ask((unsigned)items[i].events)};
        if (!items[i].socket)
            continue;
        int fd = zu_socket_event_fd(items[i].socket);
        if (fd < 0)
            return fd;
        fds[i] = (struct pollfd){.fd = fd, .events = POLLIN};
    }
    return 0;
}

/* poll(2) until the deadline; ready descriptors are noted in their items. Their number, or a negative errno. */
static int look_at_fds(zmq_pollitem_t *items, int count, struct pollfd *fds, uint64_t until_ns, const sigset_t *mask)
{
    uint64_t now_ns = until_ns && until_ns != ZU_NEVER ? zu_clock_ns() : 0;
    uint64_t left_ns = until_ns > now_ns ? until_ns - now_ns : 0;
    struct timespec left = {.tv_sec = (time_t)(left_ns / ZU_NS_PER_S), .tv_nsec = (long)(left_ns % ZU_NS_PER_S)};
    if (ppoll(fds, (nfds_t)count, until_ns == ZU_NEVER ? NULL : &left, mask) < 0)
        return -errno;
    int ready = 0;
    for (int i = 0; i < count; i++) {
        if (!fds[i].revents)
            continue;
        if (items[i].socket) {
            int err = zu_socket_refresh(items[i].socket); /* drains the descriptor: the next poll(2) is to sleep */
            if (err)
                return err;
            continue;
        }
        items[i].revents = (short)zu_poll_told((unsigned short)fds[i].revents, (unsigned)items[i].events);
        ready += items[i].revents != 0;
    }
    return ready;
}

static void rest(zmq_pollitem_t *items, int count)
{
    for (int i = 0; i < count; i++) {
        if (items[i].socket) {
            zu_socket_rest(items[i].socket);
            zu_socket_waited(items[i].socket);
        }
    }
}

static struct zu_spinner *spinner_of(const zmq_pollitem_t *items, int count)
{
    for (int i = 0; i < count; i++) {
        if (items[i].socket)
            return &((struct zu_socket *)items[i].socket)->spinner;
    }
    return NULL;
}

static bool has_plain_fds(const zmq_pollitem_t *items, int count)
{
    for (int i = 0; i < count; i++) {
        if (!items[i].socket && items[i].fd >= 0)
            return true;
    }
    return false;
}

/*
 * Looks until something is ready, for the budget. The number of ready sockets, or a negative errno; a ready descriptor is
 * for the next poll(2) to tell. The last look is at the sockets: their event descriptors may have been drained.
 */
static int spin(zmq_pollitem_t *items, int count, struct pollfd *fds, uint64_t until_ns)
{
    struct zu_spinner *spinner = spinner_of(items, count);
    if (!spinner || !zu_spin_begin(spinner, until_ns))
        return 0;
    bool has_fds = has_plain_fds(items, count);
    int ready, fds_ready = 0;
    unsigned looks = 0;
    do {
        if (has_fds && looks++ % FDS_EVERY == 0)
            fds_ready = look_at_fds(items, count, fds, 0, NULL);
        ready = fds_ready < 0 ? fds_ready : look_at_sockets(items, count);
    } while (!ready && !fds_ready && zu_spin_on_after(spinner, (unsigned)count));
    return ready;
}

static int poll_with(zmq_pollitem_t *items, int count, struct pollfd *fds, uint64_t until_ns, const sigset_t *mask)
{
    int err = fill_fds(items, count, fds);
    if (err)
        return err;
    for (bool late = false;; late = until_ns != ZU_NEVER && zu_clock_ns() >= until_ns) {
        int ready = look_at_sockets(items, count);
        if (ready < 0)
            return ready;
        if (!ready)
            zu_batches_flush();
        bool waits = !ready && !late && until_ns != 0;
        if (waits) {
            rest(items, count);
            ready = spin(items, count, fds, until_ns);
            if (ready < 0)
                return ready;
        }
        int fds_ready = look_at_fds(items, count, fds, waits && !ready ? until_ns : 0, mask);
        if (fds_ready < 0)
            return fds_ready;
        if (ready + fds_ready || late || until_ns == 0)
            return ready + fds_ready;
    }
}

static int poll_one_socket(zmq_pollitem_t *item, uint64_t until_ns)
{
    for (bool late = false;;) {
        int ready = look_at_sockets(item, 1);
        if (!ready)
            zu_batches_flush();
        if (ready || late || until_ns == 0)
            return ready;
        int err = zu_socket_wait(item->socket, until_ns);
        if (err == -EINTR)
            return err;
        zu_socket_waited(item->socket);
        late = err == -ETIMEDOUT;
    }
}

int zmq_ppoll(zmq_pollitem_t *items, int count, long timeout_ms, const sigset_t *mask)
{
    if (count < 0)
        return api_result(-EINVAL);
    if (count && !items)
        return api_result(-EFAULT);
    for (int i = 0; i < count; i++) {
        if (items[i].socket && !api_socket(items[i].socket))
            return -1;
    }
    uint64_t until_ns = timeout_ms == 0 ? 0 : zu_deadline_ns(timeout_ms);
    if (count == 1 && items->socket && !mask) /* a futex knows no mask */
        return api_result(poll_one_socket(items, until_ns));
    struct pollfd on_stack[ON_STACK];
    size_t size = (size_t)count * sizeof *on_stack;
    struct pollfd *fds = count <= ON_STACK ? on_stack : zu_alloc(size);
    if (!fds)
        return api_result(-ENOMEM);
    int result = poll_with(items, count, fds, until_ns, mask);
    if (fds != on_stack)
        zu_free(fds, size);
    return api_result(result);
}

int zmq_poll(zmq_pollitem_t *items, int count, long timeout_ms)
{
    return zmq_ppoll(items, count, timeout_ms, NULL);
}
