/* SPDX-License-Identifier: MIT */
#include "link/resolve.h"

/*
 * Happy path: a look-up is queued, a thread of the process takes it, asks, and posts it as a note to the box of who wanted
 * to know. Threads come as they are needed, up to a limit, and go when they have had nothing to do for a while.
 *
 * A look-up belongs to the queue, then to its thread, then to the box; who cancels it leaves it to whichever of the three
 * has it, so nobody ever waits for a name server. Answers are posted under the lock: who has cancelled, or has run the
 * note, may let the box go.
 *
 * How it fails: without memory, or without a first thread, at once; all else is the answer's error.
 */

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/list.h"
#include "base/thread.h"
#include "mem/alloc.h"

enum lookup_state { QUEUED, RUNNING, ANSWERED, CANCELLED };

struct zu_lookup {
    /* Set when made. */
    struct zu_mailbox *box; /* of who asks */
    zu_lookup_done *done;   /* what he does with it */
    void *data;             /* for done */
    bool ipv6;              /* see zu_inet_resolve */
    size_t size;            /* of this, with the text */

    /* Under the lock. */
    struct zu_link link;     /* the queue's */
    enum lookup_state state; /* whose it is; CANCELLED: freed by the thread or the note */

    /* The thread's until it posts the note, then the box owner's. */
    struct zu_note note;  /* the answer */
    int err;              /* of it */
    struct zu_inet inet;  /* without one */

    char text[]; /* set when made: what to look up */
};

static struct {
    pthread_mutex_t lock;  /* guards all of it, and the states of the look-ups */
    pthread_cond_t queued; /* there is one in the queue */
    struct zu_link queue;  /* struct zu_lookup.link, oldest first */
    unsigned waiting;      /* in the queue */
    unsigned threads;      /* that run */
    unsigned idle;         /* of them, waiting for `queued` */
    bool pinned;           /* the library stays where it is */
} resolver = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .queued = PTHREAD_COND_INITIALIZER,
    .queue = {&resolver.queue, &resolver.queue},
};

/* A kernel without IPv6 could do nothing with an answer of that family. */
static int look_up(const char *text, bool ipv6, struct zu_inet *ret_inet)
{
    int fd = ipv6 ? socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
    if (ipv6 && fd < 0 && errno == EAFNOSUPPORT)
        ipv6 = false;
    if (fd >= 0)
        close(fd);
    return zu_inet_resolve(text, ipv6, ret_inet);
}

int (*zu_resolve_function)(const char *text, bool ipv6, struct zu_inet *ret_inet) = look_up;
unsigned zu_resolve_idle_ms = 1000;

static void lookup_free(struct zu_lookup *lookup)
{
    zu_free(lookup, lookup->size);
}

/* Under the lock, which it gives up meanwhile. */
static void lookup_run(struct zu_lookup *lookup)
{
    lookup->state = RUNNING;
    pthread_mutex_unlock(&resolver.lock);
    lookup->err = zu_resolve_function(lookup->text, lookup->ipv6, &lookup->inet);
    pthread_mutex_lock(&resolver.lock);
    if (lookup->state == CANCELLED) {
        lookup_free(lookup);
        return;
    }
    lookup->state = ANSWERED;
    zu_mailbox_post(lookup->box, &lookup->note);
}

/* Under the lock. False: nothing has come for so long that the thread is not needed. */
static bool wait_for_work(void)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    uint64_t ns = (uint64_t)until.tv_nsec + zu_resolve_idle_ms * UINT64_C(1000000);
    until.tv_sec += (time_t)(ns / 1000000000);
    until.tv_nsec = (long)(ns % 1000000000);
    int err = 0;
    resolver.idle++;
    while (zu_list_is_empty(&resolver.queue) && err != ETIMEDOUT)
        err = pthread_cond_timedwait(&resolver.queued, &resolver.lock, &until);
    resolver.idle--;
    return !zu_list_is_empty(&resolver.queue);
}

static void *thread_main(void *argument)
{
    (void)argument;
    pthread_setname_np(pthread_self(), "ZMQbg/DNS");
    pthread_mutex_lock(&resolver.lock);
    do {
        while (!zu_list_is_empty(&resolver.queue)) {
            struct zu_link *first = resolver.queue.next;
            zu_list_remove(first);
            resolver.waiting--;
            lookup_run(zu_container_of(first, struct zu_lookup, link));
        }
    } while (wait_for_work());
    resolver.threads--;
    pthread_mutex_unlock(&resolver.lock);
    return NULL;
}

/* Nobody waits for these threads, so their code must not be unloaded under them. */
static void library_pin(void)
{
    Dl_info info;
    if (!resolver.pinned && dladdr((void *)&resolver, &info) && info.dli_fname)
        resolver.pinned = dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE) != NULL;
}

/* Under the lock. With one that runs already, a new one that cannot be had is done without. */
static int thread_add(void)
{
    if (resolver.waiting < resolver.idle || resolver.threads == ZU_RESOLVE_THREADS_MAX)
        return 0;
    library_pin();
    pthread_t thread;
    int err = zu_thread_start(&thread, thread_main, NULL);
    if (err)
        return resolver.threads ? 0 : err;
    pthread_detach(thread);
    resolver.threads++;
    return 0;
}

static void run_answer(struct zu_note *note)
{
    struct zu_lookup *lookup = zu_container_of(note, struct zu_lookup, note);
    pthread_mutex_lock(&resolver.lock);
    bool is_wanted = lookup->state == ANSWERED;
    pthread_mutex_unlock(&resolver.lock);
    if (is_wanted)
        lookup->done(lookup->data, lookup->err, &lookup->inet);
    lookup_free(lookup);
}

int zu_lookup_start(const char *text, bool ipv6, struct zu_mailbox *box, zu_lookup_done *done, void *data,
                    struct zu_lookup **ret_lookup)
{
    size_t text_size = strlen(text) + 1;
    struct zu_lookup *lookup = zu_alloc_zero(sizeof *lookup + text_size);
    if (!lookup)
        return -ENOMEM;
    lookup->box = box;
    lookup->done = done;
    lookup->data = data;
    lookup->ipv6 = ipv6;
    lookup->size = sizeof *lookup + text_size;
    lookup->note.run = run_answer;
    memcpy(lookup->text, text, text_size);
    pthread_mutex_lock(&resolver.lock);
    int err = thread_add();
    if (!err) {
        zu_list_append(&resolver.queue, &lookup->link);
        resolver.waiting++;
        pthread_cond_signal(&resolver.queued);
    }
    pthread_mutex_unlock(&resolver.lock);
    if (err) {
        lookup_free(lookup);
        return err;
    }
    *ret_lookup = lookup;
    return 0;
}

void zu_lookup_cancel(struct zu_lookup *lookup)
{
    pthread_mutex_lock(&resolver.lock);
    bool is_queued = lookup->state == QUEUED;
    lookup->state = CANCELLED;
    if (is_queued) {
        zu_list_remove(&lookup->link);
        resolver.waiting--;
    }
    pthread_mutex_unlock(&resolver.lock);
    if (is_queued)
        lookup_free(lookup);
}

void zu_resolve_lock(void)
{
    pthread_mutex_lock(&resolver.lock);
}

void zu_resolve_unlock(void)
{
    pthread_mutex_unlock(&resolver.lock);
}

void zu_resolve_forked(void)
{
    zu_list_init(&resolver.queue);
    resolver.waiting = resolver.threads = resolver.idle = 0;
    pthread_cond_init(&resolver.queued, NULL);
}

unsigned zu_resolve_threads(void)
{
    pthread_mutex_lock(&resolver.lock);
    unsigned threads = resolver.threads;
    pthread_mutex_unlock(&resolver.lock);
    return threads;
}
