/* SPDX-License-Identifier: MIT */
/* Host names, looked up where a slow answer keeps nobody waiting but who asked. */
#ifndef ZU_LINK_RESOLVE_H
#define ZU_LINK_RESOLVE_H

#include "base/mailbox.h"
#include "link/inet.h"

/* So many look-ups run at a time in the process; more wait for one of them. */
enum { ZU_RESOLVE_THREADS_MAX = 8 };

struct zu_lookup;

/* `inet` is set when `err` is 0. */
typedef void zu_lookup_done(void *data, int err, const struct zu_inet *inet);

/*
 * Looks up "[source;]host:port" as zu_inet_resolve does. `done` is called once, by the owner of `box` as it runs its notes,
 * unless the look-up is cancelled before. -ENOMEM; -EAGAIN without a thread.
 */
int zu_lookup_start(const char *text, bool ipv6, struct zu_mailbox *box, zu_lookup_done *done, void *data,
                    struct zu_lookup **ret_lookup);
/* The owner of the box, before `done`, which then never comes. Waits for nothing; the box may go once its notes have run. */
void zu_lookup_cancel(struct zu_lookup *lookup);

/* Around fork. In the child, before it unlocks: it begins with no look-ups and no threads. */
void zu_resolve_lock(void);
void zu_resolve_unlock(void);
void zu_resolve_forked(void);

/* For tests: who answers (any of the threads; may block), how long a thread stays without work, how many there are. */
extern int (*zu_resolve_function)(const char *text, bool ipv6, struct zu_inet *ret_inet);
extern unsigned zu_resolve_idle_ms;
unsigned zu_resolve_threads(void);

#endif
