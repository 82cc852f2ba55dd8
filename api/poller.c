/* SPDX-License-Identifier: MIT */
/* Pollers: handles and events are checked, the core waits. Errors come back by errno. */
#include "api.h"

#include "core/poller.h"

_Static_assert(ZMQ_POLLIN == ZU_POLL_IN && ZMQ_POLLOUT == ZU_POLL_OUT && ZMQ_POLLERR == ZU_POLL_ERR &&
                   ZMQ_POLLPRI == ZU_POLL_PRI,
               "events pass unchanged");

static const zmq_poller_event_t no_event = {.fd = -1};

/* NULL, with errno EFAULT, for what is no living poller. */
static struct zu_poller *api_poller(void *handle)
{
    struct zu_poller *poller = handle;
    if (poller && poller->tag == ZU_POLLER_TAG)
        return poller;
    errno = EFAULT;
    return NULL;
}

/* The poller when the other arguments name something that could be in it; NULL with errno when not. */
static struct zu_poller *poller_for_socket(void *handle, void *socket)
{
    struct zu_poller *poller = api_poller(handle);
    return poller && api_socket(socket) ? poller : NULL;
}

static struct zu_poller *poller_for_fd(void *handle, zmq_fd_t fd)
{
    struct zu_poller *poller = api_poller(handle);
    if (!poller || fd >= 0)
        return poller;
    errno = EBADF;
    return NULL;
}

static int add(struct zu_poller *poller, struct zu_socket *socket, int fd, void *user_data, short events)
{
    if ((events & ~ZU_POLL_ALL) || zu_poller_find(poller, socket, fd))
        return api_result(-EINVAL);
    return api_result(zu_poller_add(poller, socket, fd, user_data, (unsigned)events));
}

static int modify(struct zu_poller *poller, struct zu_socket *socket, int fd, short events)
{
    struct zu_polled *polled = zu_poller_find(poller, socket, fd);
    if ((events & ~ZU_POLL_ALL) || !polled)
        return api_result(-EINVAL);
    return api_result(zu_poller_modify(polled, (unsigned)events));
}

static int drop(struct zu_poller *poller, struct zu_socket *socket, int fd)
{
    struct zu_polled *polled = zu_poller_find(poller, socket, fd);
    if (!polled)
        return api_result(-EINVAL);
    zu_poller_remove(polled);
    return 0;
}

void *zmq_poller_new(void)
{
    struct zu_poller *poller = NULL;
    api_result(zu_poller_new(&poller));
    return poller;
}

int zmq_poller_destroy(void **handle)
{
    struct zu_poller *poller = api_poller(handle ? *handle : NULL);
    if (!poller)
        return -1;
    zu_poller_free(poller);
    *handle = NULL;
    return 0;
}

int zmq_poller_size(void *handle)
{
    struct zu_poller *poller = api_poller(handle);
    return poller ? (int)poller->count : -1;
}

int zmq_poller_add(void *handle, void *socket, void *user_data, short events)
{
    struct zu_poller *poller = poller_for_socket(handle, socket);
    return poller ? add(poller, socket, -1, user_data, events) : -1;
}

int zmq_poller_modify(void *handle, void *socket, short events)
{
    struct zu_poller *poller = poller_for_socket(handle, socket);
    return poller ? modify(poller, socket, -1, events) : -1;
}

int zmq_poller_remove(void *handle, void *socket)
{
    struct zu_poller *poller = poller_for_socket(handle, socket);
    return poller ? drop(poller, socket, -1) : -1;
}

int zmq_poller_add_fd(void *handle, zmq_fd_t fd, void *user_data, short events)
{
    struct zu_poller *poller = poller_for_fd(handle, fd);
    return poller ? add(poller, NULL, fd, user_data, events) : -1;
}

int zmq_poller_modify_fd(void *handle, zmq_fd_t fd, short events)
{
    struct zu_poller *poller = poller_for_fd(handle, fd);
    return poller ? modify(poller, NULL, fd, events) : -1;
}

int zmq_poller_remove_fd(void *handle, zmq_fd_t fd)
{
    struct zu_poller *poller = poller_for_fd(handle, fd);
    return poller ? drop(poller, NULL, fd) : -1;
}

int zmq_poller_wait_all(void *handle, zmq_poller_event_t *events, int room, long timeout_ms)
{
    struct zu_poller *poller = api_poller(handle);
    if (!poller)
        return -1;
    if (!events)
        return api_result(-EFAULT);
    if (room < 0)
        return api_result(-EINVAL);
    int found = zu_poller_wait(poller, (unsigned)room, timeout_ms ? zu_deadline_ns(timeout_ms) : 0);
    for (int i = 0; i < found; i++) {
        const struct zu_polled *polled = poller->slots[i].data.ptr;
        events[i] = (zmq_poller_event_t){
            .socket = polled->socket,
            .fd = polled->socket ? -1 : polled->fd,
            .user_data = polled->user_data,
            .events = (short)poller->slots[i].events,
        };
    }
    for (int i = found; found > 0 && i < room; i++)
        events[i] = no_event;
    return api_result(found);
}

int zmq_poller_wait(void *handle, zmq_poller_event_t *event, long timeout_ms)
{
    int found = zmq_poller_wait_all(handle, event, 1, timeout_ms);
    if (found > 0)
        return 0;
    if (event)
        *event = no_event;
    return -1;
}

/* No socket type is thread-safe yet: none has a descriptor here that it could share. */
int zmq_poller_fd(void *handle, zmq_fd_t *fd)
{
    return api_poller(handle) ? api_result(fd ? -EINVAL : -EFAULT) : -1;
}
