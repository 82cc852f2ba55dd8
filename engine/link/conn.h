/* SPDX-License-Identifier: MIT */
/*
 * A connection: a descriptor on a shard, first in its handshake, then moving bytes between the kernel and a peer's two
 * pipes. It does not know whether it was dialled or accepted; its owner does.
 */
#ifndef ZU_LINK_CONN_H
#define ZU_LINK_CONN_H

#include <sys/uio.h>

#include "flow/pipe_feed.h"
#include "io/shard.h"
#include "link/codec.h"
#include "link/guard.h"
#include "link/settings.h"
#include "link/transport.h"
#include "wire/handshake.h"

struct zu_conn;

/* The dial or listener that a connection belongs to. All on the shard's thread. */
struct zu_conn_owner {
    /* The handshake is done. Gives the peer whose pipes to serve, its far side set; NULL ends the connection. */
    struct zu_peer *(*ready)(struct zu_conn *conn);
    /*
     * The connection has ended: its descriptor is closed and no operation is under way. `err` is 0 after all that the
     * socket wanted to send has been handed over, else why. The owner settles the peer, then calls zu_conn_free.
     */
    void (*closed)(struct zu_conn *conn, int err);
    /* The endpoint as it was given to connect; NULL in the table of who accepts. */
    const char *(*dialled)(const struct zu_conn *conn);
};

/* The pipe's bytes, a piece of the handshake, a codec's batch. */
enum zu_tx_way { ZU_TX_PLAIN, ZU_TX_HANDSHAKE, ZU_TX_CODED };

enum { ZU_CONN_PIECES = 64, ZU_CONN_FEW = 4, ZU_CONN_CONTROL_MAX = 64 };

/* The shard's thread, all of it. */
struct zu_conn {
    struct zu_shard *shard;            /* where it lives */
    struct zu_home home;               /* for whom */
    const struct zu_conn_owner *owner; /* who made it */
    void *owner_data;                  /* the dial or listener */
    const struct zu_transport *transport; /* for what the peer is called */
    struct zu_link resident;           /* among the shard's connections */
    struct zu_link sibling;            /* among its owner's */
    struct zu_peer *peer;              /* once ready */
    struct zu_pipe *in;                /* what is received goes there: the peer's, or `stage` */
    struct zu_pipe *stage;             /* the peer's conflates: all that came lies here first, with nobody beside us; or NULL */
    struct zu_origin *origin;          /* of what it receives; one reference, once ready */
    struct zu_names *names;            /* for monitors; the peer's own once ready */
    int fd;                            /* the descriptor */
    int err;                           /* why it is closing */
    struct zu_note settle;             /* to ourselves: closing, and no operation is under way any more */
    bool settling;                     /* it is posted */
    bool closing;                      /* no new operations; closed() comes when the old ones are over */
    bool owes;                         /* in its handshake, sending, or ending: zu_shard_owe */
    bool leaving;                      /* the socket hung up: send the rest, receive nothing */

    struct zu_handshake *handshake;    /* until its last octet has gone out */
    struct zu_codec *codec;            /* once ready, where the pipes' bytes are not the wire's; else NULL */
    bool ready;                        /* the handshake has succeeded */
    bool handshake_timed_out;          /* by our timer */
    int refusal;                       /* its last words, an ERROR, are on their way: why it ends behind them; else 0 */
    struct zu_ask ask;                 /* whether the peer may come in */
    bool asking;                       /* the answer is awaited: what arrives is held */
    bool asking_now;                   /* within the guard's `ask`: who called it goes on himself */
    bool denied;                       /* it has come, and was not yes */
    struct zu_buf *held;               /* what has arrived meanwhile; NULL: nothing */
    size_t held_size;                  /* octets of it */
    struct zu_timer handshake_timer;   /* HANDSHAKE_IVL */
    struct zu_timer linger_timer;      /* after hanging up, or last words */

    struct zu_op rx;                   /* receiving, by stream or into `large` */
    bool rx_streams;                   /* the last receive filled its buffer */
    bool rx_direct;                    /* rx receives into `large` */
    bool rx_paused;                    /* `in` is full: wait for room */
    struct zu_timer rx_pace;           /* paused because the reader lags: how long we wait for it */
    struct zu_pause rx_show;           /* messages wait to be shown until the buffers that come are not full any more */
    struct zu_timer rx_retry;          /* after a want of memory */
    struct zu_buf *large;              /* a frame that is received into memory of its own */
    uint64_t large_size;               /* its payload; 0 when there is none */
    uint64_t large_have;               /* bytes of it that have arrived */
    struct iovec rx_pieces[2];         /* rest of `large`, and the pipe's tail */
    struct zu_feed_limits limits;      /* what the peer may do */
    uint8_t reply_at;                  /* expecting replies: where in one we are */

    struct zu_op tx;                   /* sending */
    struct zu_timer tx_stream;         /* the sender streams and flushes itself: look again, for what it left */
    uint64_t tx_handed;                /* messages that had been handed over when we last did or looked */
    uint64_t tx_seen;                  /* messages that had been written when we last looked */
    struct zu_buf *tx_room;            /* while it sends: its pieces, or a piece and octets of the handshake; NULL */
    struct iovec tx_few[ZU_CONN_FEW];  /* its pieces where there was no memory for more */
    uint8_t tx_way;                    /* enum zu_tx_way: what it sends */
    size_t tx_control;                 /* bytes of `control` at the front of it */
    size_t tx_bytes;                   /* bytes of the pipe behind them */
    uint8_t control[ZU_CONN_CONTROL_MAX]; /* our PING or PONG, whole frames */
    size_t control_size;               /* bytes waiting in it */
    bool ping_waits;                   /* a PING is among them */

    struct zu_timer heartbeat_timer;   /* next PING */
    struct zu_timer silence_timer;     /* the peer must be heard before, after our PING */
    struct zu_timer ttl_timer;         /* the peer's own promise, from its PING */

    uint64_t told_in;                  /* of bytes_in: what went into the dialogue that the shard was told of */
    uint64_t told_out;                 /* the same of zu_outlet_sent */
    uint64_t bytes_in;                 /* received, counter */
    uint64_t bytes_out;                /* handed to the kernel, counter */
};

/*
 * Takes over the descriptor and begins the handshake. NULL without memory, with the descriptor closed.
 * `home` is copied.
 */
struct zu_conn *zu_conn_new(struct zu_shard *shard, const struct zu_home *home, const struct zu_transport *transport,
                            int fd, const struct zu_conn_owner *owner, void *owner_data);
void zu_conn_free(struct zu_conn *conn);

/* For owners: a peer made for a connection that is ready, offered to the socket. NULL: no memory, or a closed socket. */
struct zu_peer *zu_conn_offer_peer(const struct zu_home *home, void *far, const struct zu_far_events *events,
                                   struct zu_mailbox *shard_box);

/* Ends it: closed(err) comes later, never from within. Safe when it is closing already. */
void zu_conn_close(struct zu_conn *conn, int err);
/* Ends it when `out` is drained, or after `linger_ms` (negative: never give up; ZU_LINGER_NO_MEMORY: at once). */
void zu_conn_leave(struct zu_conn *conn, int linger_ms);

/* Notes of the peer's pipes, passed on by the owner. */
void zu_conn_out_readable(struct zu_conn *conn);
void zu_conn_in_writable(struct zu_conn *conn);

/* --- between the connection's sources --- */

/* conn_send.c: sends the handshake's, the control frames' and the pipe's bytes, if nothing is being sent. */
void zu_conn_send(struct zu_conn *conn);
/* The same by the clock, while the application hands over its stream itself: only what it has left lying since the last look. */
void zu_conn_stream_look(struct zu_conn *conn);
void zu_conn_room_drop(struct zu_conn *conn);
void zu_conn_sent(struct zu_op *op, int result, unsigned flags, struct zu_chunk *chunk);
/* conn_recv.c: receives, if nothing is being received and there is room. */
void zu_conn_recv(struct zu_conn *conn);
void zu_conn_received(struct zu_op *op, int result, unsigned flags, struct zu_chunk *chunk);
/* conn_recv.c: the verdict has come: goes on with that, and with what was held. */
void zu_conn_judged(struct zu_conn *conn);
/* conn_guard.c: feeds the handshake, and asks when that waits: as zu_handshake_feed; what it used not is held or traffic. */
int zu_conn_shake(struct zu_conn *conn, const uint8_t *bytes, size_t size, size_t *ret_used);
/* Keeps a copy for later. -ENOMEM; -ENOBUFS: that is too much. */
int zu_conn_hold(struct zu_conn *conn, const uint8_t *bytes, size_t size);
/* Overwrites what was held and lets it go; NULL: nothing was. */
void zu_conn_held_free(struct zu_buf *held, size_t size);
/* Enough is held: nothing more is to be received. */
bool zu_conn_holds_enough(const struct zu_conn *conn);
/* The handshake has failed. 0: its ERROR goes out first, and the connection ends behind it; else `err`, to end now. */
int zu_conn_refuse(struct zu_conn *conn, int err);
/* It ends: the answer is not wanted any more. */
void zu_conn_withdraw(struct zu_conn *conn);
/* conn.c: events about why the handshake failed. */
void zu_conn_tell_failure(struct zu_conn *conn, int err);
/* conn_recv.c: the codec says what its peer cannot. */
int zu_conn_codec_begin(struct zu_conn *conn);
/* conn.c: after whatever begins or ends a handshake or a send. */
void zu_conn_owe(struct zu_conn *conn);
/* conn.c: the handshake has ended well. False: the connection is closing. */
bool zu_conn_become_ready(struct zu_conn *conn);
/* conn.c: nothing of the handshake is left to send. */
void zu_conn_handshake_drop(struct zu_conn *conn);
/* conn.c: sets a timer without which the connection might never end; without memory for it, that ends now. */
void zu_conn_timer(struct zu_conn *conn, struct zu_timer *timer, uint64_t delay_ns);
/* conn.c: an operation is over; when none is left on a closing connection, it is closed. */
void zu_conn_settle(struct zu_conn *conn);
/* heartbeat.c */
void zu_heartbeat_init(struct zu_conn *conn);
void zu_heartbeat_start(struct zu_conn *conn);
void zu_heartbeat_stop(struct zu_conn *conn);
void zu_heartbeat_heard(struct zu_conn *conn);
/* All that lay in `control` has gone out. */
void zu_heartbeat_sent(struct zu_conn *conn);
int zu_heartbeat_command(struct zu_conn *conn, const uint8_t *body, size_t size);

#endif
