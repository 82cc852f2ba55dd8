/* SPDX-License-Identifier: MIT */
/* Inside the simulation: sockets, the bytes between them, chance. sim.c puts the driver seam on top. */
#ifndef ZU_IO_SIM_NET_H
#define ZU_IO_SIM_NET_H

#include <sys/uio.h>

#include "base/list.h"
#include "io/sim.h"

enum {
    ZU_SIM_FD_FIRST = 1 << 20, /* above every real descriptor */
    ZU_SIM_SEGMENTS = 32,
};

struct zu_sim_segment {
    uint64_t due_ns; /* arrives */
    size_t size;     /* bytes */
};

/* What travels to one socket: bytes, then perhaps an end. A ring of bytes and a ring of the segments they came in. */
struct zu_sim_flow {
    uint8_t *bytes;                                  /* NULL before the connection */
    size_t size;                                     /* room */
    size_t head;                                     /* index of the first unread byte */
    size_t count;                                    /* bytes unread, arrived or not */
    struct zu_sim_segment segments[ZU_SIM_SEGMENTS]; /* when full, the last one grows */
    unsigned first;                                  /* index of the oldest segment */
    unsigned in_use;                                 /* segments */
    uint64_t latest_ns;                              /* nothing may arrive before this: no overtaking */
    uint64_t end_ns;                                 /* the peer's end arrives, or ZU_NEVER */
    uint64_t reset_ns;                               /* a reset arrives, or ZU_NEVER */
    bool reset_drops;                                /* the reset makes unread bytes unreadable */
    bool deaf;                                       /* shut down by the receiver: bytes are answered with a reset */
};

struct zu_sim_socket;
struct zu_sim_kind;
struct zu_sim_driver;

/* An operation in progress. */
struct zu_sim_pending {
    struct zu_op *op;               /* NULL when none; op->slot points here */
    struct zu_sim_driver *driver;   /* whose wait completes it */
    const struct zu_sim_kind *kind; /* what it does */
    uint64_t not_before_ns;         /* completes now at the earliest */
    int fate;                       /* a negative errno settled at the start; 0 leaves it to the network */
};

/* At most one operation per direction, and one connect or accept. */
enum { ZU_SIM_RECEIVE, ZU_SIM_SEND, ZU_SIM_DOOR, ZU_SIM_DIRECTIONS };

enum zu_sim_state { ZU_SIM_FRESH, ZU_SIM_LISTENING, ZU_SIM_CONNECTED };

struct zu_sim_socket {
    int fd;                                           /* its number */
    enum zu_sim_state state;                          /* fresh also while connecting and after a listener's shutdown */
    unsigned port;                                    /* listened on, or being connected to */
    bool ended;                                       /* shut down: sends fail */
    struct zu_sim_pending pending[ZU_SIM_DIRECTIONS]; /* operations */
    struct zu_sim_flow in;                            /* towards this socket */
    struct zu_sim_socket *peer;                       /* NULL before the connection and after the peer's close */
    struct zu_sim_record *record;                     /* the connection's; NULL before it */
    unsigned side;                                    /* index in the record */
    struct zu_link backlog;                           /* listening: the head; accepted soon: the link */
};

/* Outlives the connection. */
struct zu_sim_record {
    struct zu_sim_connection counts; /* as shown to tests */
    struct zu_sim_record *next;      /* the connection made after this */
};

struct zu_sim {
    uint64_t now_ns;                    /* virtual */
    uint64_t random;                    /* the generator's state */
    struct zu_sim_faults faults;        /* in force */
    struct zu_sim_socket **sockets;     /* by descriptor; NULL once closed */
    size_t count;                       /* descriptors given out */
    size_t room;                        /* entries of sockets */
    struct zu_sim_record *records;      /* oldest first */
    struct zu_sim_record **records_end; /* where the next goes */
    struct zu_link drivers;             /* struct zu_sim_driver.link */
};

/* 0 to n - 1. */
uint64_t zu_sim_below(struct zu_sim *sim, uint64_t n);
/* Whether a fault of this rate strikes. */
bool zu_sim_strikes(struct zu_sim *sim, unsigned rate);
/* The moment when something done now shows, with perhaps a delay. */
uint64_t zu_sim_soon_ns(struct zu_sim *sim, uint64_t after_ns);

/* NULL when it is not open. */
struct zu_sim_socket *zu_sim_find(const struct zu_sim *sim, int fd);
/* Connects: the other end waits in the backlog of the port's listener. -ECONNREFUSED, -ENOMEM. */
int zu_sim_connect(struct zu_sim *sim, struct zu_sim_socket *dialer);
/* When a receive (a send, an accept) can complete, as far as known; in the past for "now". */
uint64_t zu_sim_receive_due_ns(const struct zu_sim_socket *socket);
uint64_t zu_sim_send_due_ns(const struct zu_sim_socket *socket);
uint64_t zu_sim_accept_due_ns(const struct zu_sim_socket *socket);
/* Bytes that a receive could give now, 0 at the end, or a negative errno. */
int zu_sim_receivable(const struct zu_sim *sim, const struct zu_sim_socket *socket);
/* Takes `size` receivable bytes. */
void zu_sim_take(struct zu_sim_socket *socket, uint8_t *out, size_t size);
/* The bytes taken from the pieces, or a negative errno. */
int zu_sim_put(struct zu_sim *sim, struct zu_sim_socket *socket, const struct iovec *pieces, size_t count);
/* Takes the oldest from a backlog that is not empty. */
struct zu_sim_socket *zu_sim_accept(struct zu_sim_socket *listener);
/* Both ends see a reset, not at the same time; what is on its way is lost. */
void zu_sim_break(struct zu_sim *sim, struct zu_sim_socket *socket);
void zu_sim_shutdown(struct zu_sim *sim, struct zu_sim_socket *socket);
void zu_sim_close(struct zu_sim *sim, struct zu_sim_socket *socket);

#endif
