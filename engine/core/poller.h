/* SPDX-License-Identifier: MIT */
/*
 * A lasting set of sockets and descriptors to wait on, which costs by what is ready, not by what is in it. epoll(7) holds
 * the descriptors, and each socket's event descriptor. Looked at is only what is active:
 *
 *   - what was ready at the last look: it may be still, and no descriptor would say so again;
 *   - what epoll has reported since;
 *   - sockets that the program has used since: a call of its own may have run the notes that the descriptor told of.
 *
 * To hear of the last, the poller leaves a socket that it takes off that list in the state ZU_SOCKET_WATCHED, which makes
 * the socket's next call stop and look (zu_socket_check); a socket in use pays nothing.
 */
#ifndef ZU_CORE_POLLER_H
#define ZU_CORE_POLLER_H

#include <poll.h>
#include <sys/epoll.h>

#include "core/socket.h"

#define ZU_POLLER_TAG 0x7a75706fu

enum { ZU_POLL_ERR = 4, ZU_POLL_PRI = 8, ZU_POLL_ALL = 15 };

/* One socket or descriptor in one poller. */
struct zu_polled {
    struct zu_poller *poller; /* whose */
    struct zu_socket *socket; /* NULL: a descriptor */
    int fd;                   /* that, or the socket's event descriptor */
    void *user_data;          /* the program's */
    unsigned events;          /* wanted: ZU_POLL_ bits; 0: it rests, neither active nor in epoll */
    bool held;                /* by epoll, which takes no regular file: such stay active */
    bool active;              /* to be looked at */
    unsigned reported;        /* descriptor: what epoll said in wait `turn` */
    uint64_t turn;            /* the wait in which epoll last reported it */
    struct zu_link link;      /* in the poller's watches */
    struct zu_link of_socket; /* in the socket's watches */
    struct zu_link queue;     /* in active, or in restless, or alone */
};

/* Used by one thread at a time, the same as its sockets. */
struct zu_poller {
    uint32_t tag;              /* ZU_POLLER_TAG while alive */
    int epoll;                 /* the held watches */
    pid_t pid;                 /* the process that made `epoll`, which a child of a fork would share; 0: it must be made anew */
    unsigned count;            /* watches */
    unsigned enabled;          /* of them that do not rest */
    struct zu_link watches;    /* all */
    struct zu_link active;     /* those to look at, the longest unseen first */
    unsigned active_count;     /* how many */
    struct zu_link restless;   /* sockets found not ready since this thread last slept: they may have something to hand over */
    struct zu_polled **by_fd;   /* descriptors by number */
    size_t fd_room;            /* how many `by_fd` can hold */
    struct epoll_event *slots; /* a slot for each: what epoll reported, later what a wait found */
    unsigned slot_room;        /* how many there are */
    struct zu_spinner spinner; /* as the most patient of its sockets */
    uint64_t turn;             /* waits so far */
    uint64_t looks;            /* at sockets and descriptors, so far; for tests of what a wait costs */
};

/* -ENOMEM, -EMFILE. */
int zu_poller_new(struct zu_poller **ret_poller);
void zu_poller_free(struct zu_poller *poller);
/* The socket, or with NULL the descriptor. NULL when it is not in this poller. */
struct zu_polled *zu_poller_find(struct zu_poller *poller, struct zu_socket *socket, int fd);
/* What is not in it yet. -EINVAL: a socket's own event descriptor besides the socket; -EBADF, -ENOMEM, -EMFILE. */
int zu_poller_add(struct zu_poller *poller, struct zu_socket *socket, int fd, void *user_data, unsigned events);
int zu_poller_modify(struct zu_polled *polled, unsigned events);
void zu_poller_remove(struct zu_polled *polled);
/*
 * Waits until something is ready: how many, at most `room`, their watches and ZU_POLL_ bits in the first slots. until_ns 0
 * only looks. -EAGAIN when the time is over, -EFAULT for a wait without end on nothing, -EINTR, -ZU_ETERM, -EMFILE.
 */
int zu_poller_wait(struct zu_poller *poller, unsigned room, uint64_t until_ns);

/* --- for the socket --- */

/* It is used: its watches are active from now on. */
void zu_poller_touch(struct zu_socket *socket);
/* It is closed: it leaves its pollers. */
void zu_poller_forget(struct zu_socket *socket);

/* --- for all that look at descriptors --- */

/* What poll(2) is asked for, and what its answer means. */
ZU_INLINE unsigned zu_poll_ask(unsigned events)
{
    return (events & ZU_POLL_IN ? POLLIN : 0u) | (events & ZU_POLL_OUT ? POLLOUT : 0u) |
           (events & ZU_POLL_PRI ? POLLPRI : 0u);
}

ZU_INLINE unsigned zu_poll_told(unsigned ready, unsigned wanted)
{
    unsigned events = (ready & POLLIN ? ZU_POLL_IN : 0u) | (ready & POLLOUT ? ZU_POLL_OUT : 0u) |
                      (ready & POLLPRI ? ZU_POLL_PRI : 0u);
    bool failed = ready & ~(unsigned)(POLLIN | POLLOUT | POLLPRI);
    return (events & wanted) | (failed ? ZU_POLL_ERR : 0u);
}

#endif
