/* SPDX-License-Identifier: MIT */
/*
 * A wait lets epoll report, looks at what is active, and sleeps in epoll if that found nothing. A socket that is not ready
 * is parked; one that is goes to the list's end, so that a caller with little room gets all in turn. A descriptor is active
 * from its report to its look only: epoll is level-triggered and reports it again. One that found no room is asked again by
 * poll(2) in the next wait, for the program may have read it.
 * Changes fail for want of memory or for descriptors that are none, and leave the set as it was; a wait ends with -EINTR or
 * with the error of a socket, which stays active and so is told again.
 */
#include "core/poller.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "mem/alloc.h"

_Static_assert(POLLIN == EPOLLIN && POLLOUT == EPOLLOUT && POLLPRI == EPOLLPRI, "epoll takes and gives the bits of poll");

/* Waits for one event that may find it among the active ones, without asking the kernel, before it is asked anyway. */
enum { UNASKED_MAX = 16, SLOTS_MIN = 8, FDS_MIN = 64 };

/* --- what is active --- */

static void activate(struct zu_polled *polled)
{
    if (polled->active || !polled->events)
        return;
    zu_list_remove(&polled->queue);
    zu_list_append(&polled->poller->active, &polled->queue);
    polled->active = true;
    polled->poller->active_count++;
}

static void deactivate(struct zu_polled *polled)
{
    polled->poller->active_count -= polled->active;
    polled->active = false;
    zu_list_remove(&polled->queue);
}

void zu_poller_touch(struct zu_socket *socket)
{
    zu_list_each(link, after, &socket->watches)
    {
        activate(zu_container_of(link, struct zu_polled, of_socket));
    }
    if (atomic_load_explicit(&socket->state, memory_order_relaxed) == ZU_SOCKET_WATCHED)
        atomic_store_explicit(&socket->state, ZU_SOCKET_LIVE, memory_order_relaxed);
}

static void park(struct zu_polled *polled)
{
    deactivate(polled);
    zu_list_append(&polled->poller->restless, &polled->queue);
    atomic_store_explicit(&polled->socket->state, ZU_SOCKET_WATCHED, memory_order_relaxed);
}

/* --- the set --- */

static int enlist(struct zu_polled *polled)
{
    struct epoll_event event = {.events = polled->socket ? EPOLLIN : zu_poll_ask(polled->events), .data.ptr = polled};
    int saved = errno; /* that of a call which succeeds stays as it was */
    polled->held = epoll_ctl(polled->poller->epoll, EPOLL_CTL_ADD, polled->fd, &event) == 0;
    int err = polled->held || errno == EPERM ? 0 : errno == EEXIST ? -EINVAL : -errno;
    errno = saved;
    return err;
}

/*
 * A descriptor that the program has closed cannot be taken out, and leaves by itself only if nobody has a duplicate: a
 * child of a fork, say. Epoll might then report it when it is no more, so the next wait makes a set of its own.
 */
static void delist(struct zu_polled *polled)
{
    int saved = errno; /* as above */
    if (polled->held && epoll_ctl(polled->poller->epoll, EPOLL_CTL_DEL, polled->fd, NULL))
        polled->poller->pid = 0;
    polled->held = false;
    errno = saved;
}

/*
 * A child of a fork must not change what its parent waits on, nor may a set be asked that holds what is gone. 1: there is a
 * new one now, and all is active.
 */
static int own(struct zu_poller *poller)
{
    pid_t pid = getpid();
    if (zu_likely(pid == poller->pid))
        return 0;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        return -errno;
    close(poller->epoll);
    poller->epoll = epoll;
    poller->pid = pid;
    zu_list_each(link, after, &poller->watches)
    {
        struct zu_polled *polled = zu_container_of(link, struct zu_polled, link);
        polled->held = false;
        if (polled->events)
            enlist(polled); /* what cannot be held is looked at in every wait */
        activate(polled);
    }
    return 1;
}

int zu_poller_new(struct zu_poller **ret_poller)
{
    struct zu_poller *poller = zu_alloc_zero(sizeof *poller);
    if (!poller)
        return -ENOMEM;
    poller->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (poller->epoll < 0) {
        int err = -errno;
        zu_free(poller, sizeof *poller);
        return err;
    }
    poller->pid = getpid();
    zu_list_init(&poller->watches);
    zu_list_init(&poller->active);
    zu_list_init(&poller->restless);
    poller->tag = ZU_POLLER_TAG;
    *ret_poller = poller;
    return 0;
}

static void polled_free(struct zu_polled *polled)
{
    struct zu_poller *poller = polled->poller;
    deactivate(polled);
    zu_list_remove(&polled->of_socket);
    zu_list_remove(&polled->link);
    poller->count--;
    if (!polled->socket)
        poller->by_fd[polled->fd] = NULL;
    zu_free(polled, sizeof *polled);
}

void zu_poller_free(struct zu_poller *poller)
{
    poller->tag = 0;
    zu_list_each(link, after, &poller->watches)
    {
        polled_free(zu_container_of(link, struct zu_polled, link));
    }
    close(poller->epoll);
    zu_free(poller->by_fd, poller->fd_room * sizeof *poller->by_fd);
    zu_free(poller->slots, poller->slot_room * sizeof *poller->slots);
    zu_free(poller, sizeof *poller);
}

struct zu_polled *zu_poller_find(struct zu_poller *poller, struct zu_socket *socket, int fd)
{
    if (!socket)
        return fd >= 0 && (size_t)fd < poller->fd_room ? poller->by_fd[fd] : NULL;
    zu_list_each(link, after, &socket->watches)
    {
        struct zu_polled *polled = zu_container_of(link, struct zu_polled, of_socket);
        if (polled->poller == poller)
            return polled;
    }
    return NULL;
}

static int grow_slots(struct zu_poller *poller)
{
    if (poller->count < poller->slot_room)
        return 0;
    unsigned room = poller->slot_room ? poller->slot_room * 2 : SLOTS_MIN;
    size_t size = sizeof *poller->slots;
    struct epoll_event *slots = zu_realloc(poller->slots, poller->slot_room * size, room * size);
    if (!slots)
        return -ENOMEM;
    poller->slots = slots;
    poller->slot_room = room;
    return 0;
}

static int grow_fds(struct zu_poller *poller, size_t fd)
{
    size_t room = poller->fd_room ? poller->fd_room : FDS_MIN, size = sizeof *poller->by_fd;
    if (fd < poller->fd_room)
        return 0;
    while (room <= fd)
        room *= 2;
    struct zu_polled **by_fd = zu_realloc(poller->by_fd, poller->fd_room * size, room * size);
    if (!by_fd)
        return -ENOMEM;
    memset(by_fd + poller->fd_room, 0, (room - poller->fd_room) * size);
    poller->by_fd = by_fd;
    poller->fd_room = room;
    return 0;
}

static struct zu_polled *polled_new(struct zu_poller *poller, struct zu_socket *socket, int fd, void *user_data)
{
    struct zu_polled *polled = zu_alloc_zero(sizeof *polled);
    if (!polled)
        return NULL;
    polled->poller = poller;
    polled->socket = socket;
    polled->fd = fd;
    polled->user_data = user_data;
    zu_list_append(&poller->watches, &polled->link);
    zu_list_init(&polled->of_socket);
    zu_list_init(&polled->queue);
    poller->count++;
    if (!socket) {
        poller->by_fd[fd] = polled;
        return polled;
    }
    zu_list_append(&socket->watches, &polled->of_socket);
    if (poller->spinner.budget_ns < socket->spinner.budget_ns)
        poller->spinner.budget_ns = socket->spinner.budget_ns;
    return polled;
}

int zu_poller_add(struct zu_poller *poller, struct zu_socket *socket, int fd, void *user_data, unsigned events)
{
    int err = own(poller);
    if (err >= 0 && socket)
        err = fd = zu_socket_event_fd(socket);
    if (err >= 0)
        err = grow_slots(poller);
    if (!err && !socket)
        err = fcntl(fd, F_GETFD) < 0 ? -EBADF : grow_fds(poller, (size_t)fd);
    if (err)
        return err;
    struct zu_polled *polled = polled_new(poller, socket, fd, user_data);
    if (!polled)
        return -ENOMEM;
    err = zu_poller_modify(polled, events);
    if (err)
        polled_free(polled);
    return err;
}

int zu_poller_modify(struct zu_polled *polled, unsigned events)
{
    struct zu_poller *poller = polled->poller;
    int err = own(poller);
    if (err < 0)
        return err;
    unsigned before = polled->events;
    polled->events = events;
    err = 0;
    if (!events) {
        delist(polled);
        deactivate(polled);
    } else if (!before) {
        err = enlist(polled);
    } else if (polled->held && !polled->socket) {
        struct epoll_event event = {.events = zu_poll_ask(events), .data.ptr = polled};
        err = epoll_ctl(poller->epoll, EPOLL_CTL_MOD, polled->fd, &event) ? -errno : 0;
    }
    if (err) {
        polled->events = before;
        return err;
    }
    poller->enabled += !before && events;
    poller->enabled -= before && !events;
    activate(polled);
    return 0;
}

void zu_poller_remove(struct zu_polled *polled)
{
    struct zu_poller *poller = polled->poller;
    if (own(poller) >= 0)
        delist(polled);
    poller->enabled -= polled->events != 0;
    polled_free(polled);
}

void zu_poller_forget(struct zu_socket *socket)
{
    zu_list_each(link, after, &socket->watches)
    {
        zu_poller_remove(zu_container_of(link, struct zu_polled, of_socket));
    }
}

/* --- a wait --- */

static int timeout_ms(uint64_t until_ns)
{
    if (until_ns == 0 || until_ns == ZU_NEVER)
        return until_ns ? -1 : 0;
    uint64_t now_ns = zu_clock_ns();
    uint64_t left_ms = until_ns > now_ns ? (until_ns - now_ns + ZU_NS_PER_MS - 1) / ZU_NS_PER_MS : 0;
    return left_ms < INT_MAX ? (int)left_ms : INT_MAX;
}

/* Asks epoll, until something is there: how many reports there were, each of an active one now. */
static int gather(struct zu_poller *poller, unsigned room, uint64_t until_ns)
{
    int count = epoll_wait(poller->epoll, poller->slots, (int)room, timeout_ms(until_ns));
    if (count < 0)
        return -errno;
    for (int i = 0; i < count; i++) {
        struct zu_polled *polled = poller->slots[i].data.ptr;
        polled->reported = poller->slots[i].events;
        polled->turn = poller->turn;
        if (polled->socket)
            zu_poller_touch(polled->socket);
        else
            activate(polled);
    }
    return count;
}

/* A report must be answered by draining the descriptor, or it would come again for nothing. */
static int look_at_socket(struct zu_polled *polled)
{
    struct zu_socket *socket = polled->socket;
    bool is_reported = polled->turn == polled->poller->turn;
    int err = is_reported ? zu_socket_refresh(socket) : zu_socket_enter(socket);
    if (err)
        return err;
    unsigned ready = zu_socket_events(socket) & polled->events;
    if (ready || is_reported || !zu_socket_has_drive(socket))
        return (int)ready;
    int events = zu_socket_check_events(socket);
    return events < 0 ? events : (int)((unsigned)events & polled->events);
}

static int look_at_fd(struct zu_polled *polled)
{
    if (polled->turn == polled->poller->turn)
        return (int)zu_poll_told(polled->reported, polled->events);
    struct pollfd fd = {.fd = polled->fd, .events = (short)zu_poll_ask(polled->events)};
    if (poll(&fd, 1, 0) < 0)
        return -errno;
    return (int)zu_poll_told((unsigned short)fd.revents, polled->events);
}

/* Where one belongs after a look. */
static void settle(struct zu_polled *polled, bool is_ready)
{
    bool stays = polled->socket ? is_ready : !polled->held;
    if (stays) {
        zu_list_remove(&polled->queue);
        zu_list_append(&polled->poller->active, &polled->queue);
    } else if (polled->socket) {
        park(polled);
    } else {
        deactivate(polled);
    }
}

/* One look at each active polled, until `room` are ready: their number. */
static int scan(struct zu_poller *poller, unsigned room)
{
    int found = 0;
    zu_batches_look();
    for (unsigned left = poller->active_count; left > 0 && (unsigned)found < room; left--) {
        struct zu_polled *polled = zu_container_of(poller->active.next, struct zu_polled, queue);
        poller->looks++;
        int ready = polled->socket ? look_at_socket(polled) : look_at_fd(polled);
        if (ready < 0)
            return found ? found : ready;
        settle(polled, ready);
        if (ready)
            poller->slots[found++] = (struct epoll_event){.events = (uint32_t)ready, .data.ptr = polled};
    }
    return found;
}

/* The thread is about to sleep. */
static void rest(struct zu_poller *poller)
{
    zu_list_each(link, after, &poller->restless)
    {
        struct zu_polled *polled = zu_container_of(link, struct zu_polled, queue);
        zu_socket_rest(polled->socket);
        zu_socket_waited(polled->socket);
        zu_list_remove(link);
    }
}

/* How many reports there are in the end; none: time to look at the clock. */
static int sleep_until(struct zu_poller *poller, unsigned room, uint64_t until_ns)
{
    int renewed = own(poller);
    if (renewed)
        return renewed;
    if (until_ns == 0)
        return gather(poller, room, 0);
    rest(poller);
    for (bool spins = zu_spin_begin(&poller->spinner, until_ns); spins; spins = zu_spin_on(&poller->spinner)) {
        int reports = gather(poller, room, 0);
        if (reports)
            return reports;
    }
    return gather(poller, room, until_ns);
}

static int wait_for_nothing(uint64_t until_ns)
{
    if (until_ns == ZU_NEVER)
        return -EFAULT;
    return poll(NULL, 0, timeout_ms(until_ns)) < 0 ? -errno : -EAGAIN;
}

int zu_poller_wait(struct zu_poller *poller, unsigned room, uint64_t until_ns)
{
    if (!poller->enabled || !room)
        return wait_for_nothing(until_ns);
    if (room > poller->count)
        room = poller->count;
    bool asks_first = ++poller->turn % UNASKED_MAX == 0 || room > 1;
    int reports = asks_first ? sleep_until(poller, room, 0) : 0;
    while (reports >= 0) {
        int found = scan(poller, room);
        if (found)
            return found;
        zu_batches_flush();
        reports = sleep_until(poller, room, until_ns);
        if (reports == 0 && until_ns != ZU_NEVER && (until_ns == 0 || zu_clock_ns() >= until_ns))
            return -EAGAIN;
    }
    return reports;
}
