/* SPDX-License-Identifier: MIT */
/* Look-ups behind a name server of the test's own, which answers when it is told to. */
#include "link/resolve.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static sem_t questions;         /* one for each that has been asked */
static sem_t answers;           /* "slow:1" is answered when it is told to */
static _Atomic unsigned asking; /* at this moment */

static int server(const char *text, bool ipv6, struct zu_inet *ret_inet)
{
    asking++;
    sem_post(&questions);
    if (strncmp(text, "slow", 4) == 0)
        sem_wait(&answers);
    asking--;
    if (strncmp(text, "none", 4) == 0)
        return -EINVAL;
    ret_inet->address.any.sa_family = ipv6 ? AF_INET6 : AF_INET;
    ret_inet->size = (socklen_t)strlen(text);
    return 0;
}

static void setup(void)
{
    sem_init(&questions, 0, 0);
    sem_init(&answers, 0, 0);
    zu_resolve_function = server;
    zu_resolve_idle_ms = 20;
}

/* Who asks: a box, and a semaphore to sleep on until it has notes. */
struct asker {
    struct zu_mailbox box;
    sem_t woken;
};

static void asker_wake(struct zu_mailbox *box)
{
    sem_post(&zu_container_of(box, struct asker, box)->woken);
}

static void asker_init(struct asker *asker)
{
    zu_mailbox_init(&asker->box, asker_wake, NULL);
    sem_init(&asker->woken, 0, 0);
}

static void asker_run(struct asker *asker)
{
    sem_wait(&asker->woken);
    zu_mailbox_run(&asker->box);
}

struct answer {
    unsigned count;
    int err;
    struct zu_inet inet;
};

static void keep(void *data, int err, const struct zu_inet *inet)
{
    struct answer *answer = data;
    answer->count++;
    answer->err = err;
    if (!err)
        answer->inet = *inet;
}

static struct zu_lookup *ask(struct asker *asker, const char *text, bool ipv6, struct answer *answer)
{
    struct zu_lookup *lookup;
    cr_assert_eq(zu_lookup_start(text, ipv6, &asker->box, keep, answer, &lookup), 0);
    return lookup;
}

static void threads_go(void)
{
    while (zu_resolve_threads())
        sched_yield();
}

Test(resolve, answers_come_to_the_box, .init = setup, .timeout = 20)
{
    struct asker asker;
    asker_init(&asker);
    for (int ipv6 = 0; ipv6 < 2; ipv6++) {
        struct answer answer = {0};
        ask(&asker, "name:17", ipv6, &answer);
        cr_assert_eq(answer.count, 0, "not before the box is run");
        asker_run(&asker);
        cr_assert(answer.count == 1 && answer.err == 0);
        cr_assert_eq(answer.inet.address.any.sa_family, ipv6 ? AF_INET6 : AF_INET);
        cr_assert_eq(answer.inet.size, 7);
    }
    struct answer answer = {0};
    ask(&asker, "none:17", false, &answer);
    asker_run(&asker);
    cr_assert(answer.count == 1 && answer.err == -EINVAL);
    threads_go();
}

Test(resolve, a_slow_one_holds_up_nobody, .init = setup, .timeout = 20)
{
    struct asker asker;
    asker_init(&asker);
    struct answer slow[ZU_RESOLVE_THREADS_MAX - 1] = {0}, quick = {0};
    for (int i = 0; i < ZU_RESOLVE_THREADS_MAX - 1; i++)
        ask(&asker, "slow:1", false, &slow[i]);
    for (int i = 0; i < 10; i++) {
        ask(&asker, "quick:1", false, &quick);
        asker_run(&asker);
        cr_assert_eq(quick.count, (unsigned)i + 1);
    }
    for (int i = 0; i < ZU_RESOLVE_THREADS_MAX - 1; i++)
        sem_post(&answers);
    threads_go();
    zu_mailbox_run(&asker.box);
    for (int i = 0; i < ZU_RESOLVE_THREADS_MAX - 1; i++)
        cr_assert_eq(slow[i].count, 1);
}

Test(resolve, no_more_at_a_time_than_threads, .init = setup, .timeout = 20)
{
    enum { MANY = 3 * ZU_RESOLVE_THREADS_MAX };
    struct asker asker;
    asker_init(&asker);
    struct answer slow[MANY] = {0};
    struct zu_lookup *last = NULL;
    for (int i = 0; i < MANY; i++)
        last = ask(&asker, "slow:1", false, &slow[i]);
    for (int i = 0; i < ZU_RESOLVE_THREADS_MAX; i++)
        sem_wait(&questions);
    cr_assert_eq(zu_resolve_threads(), ZU_RESOLVE_THREADS_MAX);
    cr_assert_eq(sem_trywait(&questions), -1);
    zu_lookup_cancel(last); /* it waits in the queue */
    for (int i = 0; i < MANY - 1; i++)
        sem_post(&answers);
    threads_go();
    zu_mailbox_run(&asker.box);
    for (int i = 0; i < MANY; i++)
        cr_assert_eq(slow[i].count, i < MANY - 1, "%d", i);
    cr_assert_eq(asking, 0);
}

/* The box may go at once, whether the question is being asked or the answer lies in the box. */
Test(resolve, who_cancels_waits_for_nobody, .init = setup, .timeout = 20)
{
    struct asker *asker = malloc(sizeof *asker);
    struct answer answer = {0};
    asker_init(asker);
    struct zu_lookup *lookup = ask(asker, "slow:1", false, &answer);
    sem_wait(&questions);
    zu_lookup_cancel(lookup);
    free(asker);
    sem_post(&answers);
    threads_go();
    asker = malloc(sizeof *asker);
    asker_init(asker);
    lookup = ask(asker, "quick:1", false, &answer);
    sem_wait(&asker->woken);
    zu_lookup_cancel(lookup);
    zu_mailbox_run(&asker->box);
    free(asker);
    threads_go();
    cr_assert_eq(answer.count, 0);
}

Test(resolve, many_ask_and_cancel_at_random, .init = setup, .timeout = 60)
{
    struct asker asker;
    asker_init(&asker);
    struct answer answers_got[200] = {0};
    unsigned random = 12345, cancelled = 0;
    for (int i = 0; i < 200; i++) {
        struct zu_lookup *lookup = ask(&asker, "quick:1", false, &answers_got[i]);
        random = random * 1103515245 + 12345;
        for (unsigned n = random >> 16 & 7; n > 0; n--)
            sched_yield();
        if (random >> 20 & 1) {
            zu_lookup_cancel(lookup);
            cancelled++;
        }
        zu_mailbox_run(&asker.box);
    }
    threads_go();
    zu_mailbox_run(&asker.box);
    unsigned count = 0;
    for (int i = 0; i < 200; i++)
        count += answers_got[i].count;
    cr_assert_eq(count, 200 - cancelled);
}

/* The child has none of the threads, and can look up all the same. */
Test(resolve, after_a_fork, .init = setup, .timeout = 20)
{
    struct asker asker;
    asker_init(&asker);
    struct answer slow = {0}, answer = {0};
    ask(&asker, "slow:1", false, &slow);
    sem_wait(&questions);
    zu_resolve_lock();
    pid_t child = fork();
    if (child == 0) {
        zu_resolve_forked();
        zu_resolve_unlock();
        if (zu_resolve_threads() != 0)
            _exit(1);
        struct zu_lookup *lookup;
        if (zu_lookup_start("quick:1", false, &asker.box, keep, &answer, &lookup) < 0)
            _exit(2);
        asker_run(&asker);
        _exit(answer.count == 1 && slow.count == 0 ? 0 : 3);
    }
    zu_resolve_unlock();
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%x", (unsigned)status);
    sem_post(&answers);
    asker_run(&asker);
    cr_assert_eq(slow.count, 1);
    threads_go();
}

/* The real one, for what needs no name server. */
Test(resolve, numbers, .timeout = 20)
{
    struct asker asker;
    asker_init(&asker);
    struct answer answer = {0};
    ask(&asker, "127.0.0.2:17", false, &answer);
    asker_run(&asker);
    cr_assert(answer.count == 1 && answer.err == 0);
    cr_assert_eq(answer.inet.address.v4.sin_port, htons(17));
    ask(&asker, "localhost:17", true, &answer);
    asker_run(&asker);
    cr_assert(answer.count == 2 && answer.err == 0);
}
