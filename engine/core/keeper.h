/* SPDX-License-Identifier: MIT */
/*
 * The keeper of a context whose sockets are driven by their users: one thread, made when first needed, asleep unless there
 * is something for it. It hands over a batch whose sender stays away, and it drives what closed sockets have left until
 * that is sent or has lingered long enough.
 */
#ifndef ZU_CORE_KEEPER_H
#define ZU_CORE_KEEPER_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "mem/chunk.h"

struct zu_drive;

/* The longest that a batch waits for a sender that stays away: one look finds it, the next one sends it. */
#define ZU_KEEPER_LOOK_NS 1000000

struct zu_keeper {
    pthread_mutex_t lock;    /* guards the lists; the chunk pool's watch lock may be taken inside */
    struct zu_link drives;   /* struct zu_drive.kept: with users */
    struct zu_link orphans;  /* the same, without */
    bool stopping;           /* the thread is to end */
    pthread_mutex_t start_lock; /* guards the making of the thread; nothing is taken inside */
    _Atomic bool running;    /* the thread is there; written under start_lock, relaxed: tells only whether to take it */
    pthread_t thread;        /* while running */
    _Atomic int wake_fd;     /* eventfd; -1 until the thread is there. release, acquire */
    _Atomic bool awake;      /* seq_cst: it will look at the drives once more; a post into a box comes before a look at it */
    struct zu_chunk_watcher watcher; /* the pool's: tells any thread that a trim is due */
    _Atomic bool fat;        /* a trim is due */
};

void zu_keeper_init(struct zu_keeper *keeper);
/* Once, before the first socket: the pool's free chunks are given back from now on. */
void zu_keeper_watch(struct zu_keeper *keeper);
/* No drive may be left. */
void zu_keeper_fini(struct zu_keeper *keeper);

/* Any thread. */
void zu_keeper_add(struct zu_keeper *keeper, struct zu_drive *drive);
/* The drive is about to be freed by its user. */
void zu_keeper_remove(struct zu_keeper *keeper, struct zu_drive *drive);
/* The drive's user has gone. */
void zu_keeper_adopt(struct zu_keeper *keeper, struct zu_drive *drive);
/* Notes wait on a drive's shard that nobody is stepping. */
void zu_keeper_rouse(struct zu_keeper *keeper);
/* For who waits for orphans to come to their end: whether the thread is there, and makes it if it can. */
bool zu_keeper_is_there(struct zu_keeper *keeper);
/* Does for them what the thread cannot. */
void zu_keeper_stand_in(struct zu_keeper *keeper);

#endif
