/* SPDX-License-Identifier: MIT */
/*
 * Inline drive: the connections of one socket live on a shard of their own, and the thread that uses the socket steps it
 * inside the library's calls; no other thread takes part. Whoever holds the lock is the shard's thread: the user, or the
 * context's keeper, which finishes what a user that stays away, or has closed the socket, left behind (core/keeper.h).
 *
 * When what was sent goes out. A send out of quiet goes at once, and so do the next few: a burst is not made to wait. From
 * then on it is a stream, whose messages gather until there are enough of them, the first has waited long enough, or the
 * thread is about to wait for something.
 */
#ifndef ZU_CORE_DRIVE_H
#define ZU_CORE_DRIVE_H

#include <pthread.h>

#include "core/batches.h"
#include "flow/balance.h"
#include "io/shard.h"

struct zu_keeper;

/* From the context's options. */
struct zu_drive_limits {
    uint64_t spin_ns;   /* how long a wait looks again and again before it sleeps */
    uint64_t flush_ns;  /* how long a stream's first message may wait for company */
    size_t flush_bytes; /* how many bytes make a batch */
};

struct zu_drive {
    /* Whoever holds the lock. */
    pthread_mutex_t lock;     /* its holder is the shard's thread */
    struct zu_shard shard;    /* the socket's connections */
    struct zu_shard *shards;  /* &shard: what listeners deal their connections to */
    bool watched;             /* its user has asked for the descriptor, and may sleep on it outside */

    /* The thread that has claimed it, which every other user must do first. */
    struct zu_drive_limits limits; /* as when it was made */
    struct zu_batches *batches; /* whose it is; NULL: no batch has begun since it was made, or was claimed without one */
    struct zu_link batched;   /* among its drives, under its lock */
    uint64_t sent_ns;         /* when the last send was looked at, or had gone out */
    size_t bytes;             /* of the batch */
    unsigned messages;        /* of the batch; 0: all that was sent is out, or in the kernel's hands */
    unsigned look_at;         /* when `messages` reaches this, look at the clock */
    unsigned stride;          /* so many messages from one look to the next: more while they come fast */
    bool attends;             /* he is about to run his notes: they need not show on the descriptor */
    unsigned at_once;         /* so many sends go out at once before it is a stream */

    /* The same thread writes, the keeper reads. */
    _Atomic uint64_t touched_ns; /* when the batch began, or its user last left something owing; relaxed, only for its age */

    /* The keeper's lock. */
    struct zu_link kept;      /* among the keeper's */
    bool orphaned;            /* the socket is closed: the keeper is the only one left */

    struct zu_keeper *keeper; /* the context's */
    _Atomic unsigned refs;    /* what lives on the shard, and the socket's memory, whose posters wake the shard; acq_rel */
};

/* 0, or a negative errno: -ENOMEM, -EMFILE. `user_box` is the socket's, which has a reference. */
int zu_drive_new(struct zu_keeper *keeper, const struct zu_drive_limits *limits, struct zu_mailbox *user_box,
                 struct zu_drive **ret_drive);
/* The socket is closed. What is left to send is finished, by this thread if that is done at once, else by the keeper. */
void zu_drive_release(struct zu_drive *drive);
/* Nothing lives on it any more; or any thread: the socket's memory goes. Frees it with the second of them. */
void zu_drive_unref(struct zu_drive *drive);

/* --- the using thread --- */

/* Moves what can be moved without sleeping. */
void zu_drive_step(struct zu_drive *drive);
/* The same for who is about to run his notes. */
void zu_drive_refresh(struct zu_drive *drive);
/* Sleeps until the user's box has notes: 0, -EINTR, -ETIMEDOUT. What was sent goes out first. */
int zu_drive_wait(struct zu_drive *drive, uint64_t until_ns);
/* A send will follow: true when it is to go out at once. */
bool zu_drive_sends_at_once(struct zu_drive *drive);
/* A part was accepted: it is out already, is to go out now, or gathers with others. */
void zu_drive_sent(struct zu_drive *drive, const struct zu_part *part);
/* The batch has begun, has enough bytes, or it is time to look at the clock. */
void zu_drive_consider(struct zu_drive *drive);
/* One more of a batch that has begun. */
ZU_INLINE void zu_drive_sent_more(struct zu_drive *drive, size_t size)
{
    drive->bytes += size;
    if (zu_unlikely(++drive->messages >= drive->look_at || drive->bytes >= drive->limits.flush_bytes))
        zu_drive_consider(drive);
}
/* A descriptor that is readable while a step would find something to do. Negative errno. */
int zu_drive_fd(struct zu_drive *drive);

/* --- the keeper --- */

/* Steps it unless its user is just doing so. True: nothing lives on it any more, and it is the keeper's alone. */
bool zu_drive_keep(struct zu_drive *drive);
/* As zu_drive_fd, without its step; -EAGAIN while its user is in a call, who rouses the keeper on leaving;
 * -EBUSY while it is readable for the user's sake. */
int zu_drive_kept_fd(struct zu_drive *drive);

#endif
