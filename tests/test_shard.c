/* SPDX-License-Identifier: MIT */
/* A shard's loop: on a scripted driver for what it must not do, a simulated one for time, the real one for threads. */
#include "io/shard.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <string.h>
#include <time.h>

#include "io/sim.h"
#include "io/uring.h"

static const struct zu_shard_thread plainly = {.name = "zu-test", .priority = -1, .policy = -1};

/* A driver whose wait does what the test says. */
struct script {
    struct zu_driver driver;                /* the seam */
    struct zu_shard *shard;                 /* on it */
    void (*on_wait)(struct script *script); /* run by wait; NULL for nothing */
    uint64_t until_ns;                      /* of the last wait */
    uint64_t now_ns;                        /* its clock */
    unsigned wakes;                         /* calls */
    unsigned looks;                         /* calls of ready */
    bool finds;                             /* what ready says */
    int start_error;                        /* what start returns */
    bool freed;                             /* free was called */
};

#define script_of(at) zu_container_of(at, struct script, driver)

static int script_start(struct zu_driver *driver)
{
    return script_of(driver)->start_error;
}

static void script_free(struct zu_driver *driver)
{
    script_of(driver)->freed = true;
}

static int script_wait(struct zu_driver *driver, uint64_t until_ns)
{
    struct script *script = script_of(driver);
    script->until_ns = until_ns;
    if (script->on_wait)
        script->on_wait(script);
    return 0;
}

static bool script_ready(struct zu_driver *driver)
{
    script_of(driver)->looks++;
    return script_of(driver)->finds;
}

static void script_wake(struct zu_driver *driver)
{
    script_of(driver)->wakes++;
}

static uint64_t script_now_ns(struct zu_driver *driver)
{
    return script_of(driver)->now_ns;
}

static const struct zu_driver_ops script_ops = {
    .name = "scripted",
    .start = script_start,
    .free = script_free,
    .wait = script_wait,
    .ready = script_ready,
    .wake = script_wake,
    .now_ns = script_now_ns,
};

static struct zu_shard shard;
static struct script script = {.driver.ops = &script_ops, .shard = &shard, .now_ns = 1000};

/* A note that counts, and perhaps posts another one. */
struct counter {
    struct zu_note note;     /* to post */
    unsigned runs;           /* so often */
    struct zu_note *another; /* posted when run; NULL for none */
};

static void counter_run(struct zu_note *note)
{
    struct counter *counter = zu_container_of(note, struct counter, note);
    counter->runs++;
    if (counter->another)
        zu_mailbox_post(&shard.box, counter->another);
}

static struct counter one = {.note.run = counter_run}, two = {.note.run = counter_run};

static void post_both(struct script *at)
{
    zu_mailbox_post(&at->shard->box, &one.note);
    zu_mailbox_post(&at->shard->box, &two.note);
}

static void *post_both_run(void *at)
{
    post_both(at);
    return NULL;
}

static void others_post_both(struct script *at)
{
    pthread_t other;
    pthread_create(&other, NULL, post_both_run, at);
    pthread_join(other, NULL);
}

Test(shard, wakes_a_sleeper_once_and_nobody_else)
{
    cr_assert_eq(zu_shard_init(&shard, &script.driver), 0);
    post_both(&script);
    cr_assert_eq(script.wakes, 0, "it was not asleep");
    zu_shard_step(&shard, ZU_NEVER);
    cr_assert(one.runs == 1 && two.runs == 1);
    cr_assert_eq(script.until_ns, 0, "after notes it looks again");
    script.on_wait = others_post_both;
    zu_shard_step(&shard, ZU_NEVER);
    cr_assert_eq(script.until_ns, ZU_NEVER);
    cr_assert_eq(script.wakes, 1, "%u wakes", script.wakes);
    script.on_wait = NULL;
    zu_shard_step(&shard, ZU_NEVER);
    cr_assert(one.runs == 2 && two.runs == 2);
    script.on_wait = post_both;
    zu_shard_step(&shard, ZU_NEVER);
    cr_assert_eq(script.wakes, 1, "its own completions find it awake");
    script.on_wait = NULL;
    zu_shard_step(&shard, ZU_NEVER);
    cr_assert(one.runs == 3 && two.runs == 3);
    cr_assert_eq(script.wakes, 1);
    zu_shard_fini(&shard);
    cr_assert(script.freed);
}

/* For 80 octets a microsecond, and 30 of them at a time. */
Test(shard, looks_for_what_a_dialogue_has_paid)
{
    cr_assert_eq(zu_shard_init(&shard, &script.driver), 0);
    zu_shard_earn(&shard, 1 << 20);
    zu_shard_step(&shard, ZU_NEVER);
    cr_assert_eq(script.looks, 0, "by default it does not");
    shard.earns = true;
    zu_shard_earn(&shard, 2000);
    zu_shard_step(&shard, ZU_NEVER);
    cr_assert_eq(script.looks, 0, "that does not pay for a spin");
    zu_shard_earn(&shard, 1000);
    zu_shard_step(&shard, ZU_NEVER);
    cr_assert_gt(script.looks, 0);
    cr_assert_eq(script.until_ns, ZU_NEVER, "in vain: it sleeps");
    unsigned looks = script.looks;
    zu_shard_step(&shard, ZU_NEVER);
    cr_assert_eq(script.looks, looks, "it is spent");
    zu_shard_earn(&shard, 1 << 20);
    for (int i = 0; i < 6; i++)
        zu_shard_step(&shard, ZU_NEVER);
    looks = script.looks;
    zu_shard_step(&shard, ZU_NEVER);
    cr_assert_eq(script.looks, looks, "not much is kept for later");
    zu_shard_fini(&shard);
}

static bool spins_for(uint64_t octets)
{
    unsigned looks = script.looks;
    zu_shard_earn(&shard, octets);
    zu_shard_step(&shard, ZU_NEVER);
    return script.looks > looks;
}

/* Requests that are large, but come now and then, would pay for each wait. */
Test(shard, looking_in_vain_doubles_its_price)
{
    cr_assert_eq(zu_shard_init(&shard, &script.driver), 0);
    shard.earns = true;
    cr_assert(spins_for(2500));
    cr_assert_not(spins_for(2500));
    cr_assert(spins_for(2500), "twice as much");
    cr_assert_not(spins_for(7500));
    script.finds = true;
    cr_assert(spins_for(2500), "four times");
    script.finds = false;
    cr_assert(spins_for(0), "it was cheap, and is as cheap as before");
    unsigned spins = 0;
    for (int i = 0; i < 1000; i++)
        spins += spins_for(4000);
    cr_assert_gt(spins, 10, "it is tried again");
    cr_assert_lt(spins, 100);
    zu_shard_fini(&shard);
}

static void fired_posts(struct zu_timer *timer)
{
    (void)timer;
    zu_mailbox_post(&shard.box, &one.note);
}

Test(shard, does_not_sleep_over_a_note_posted_meanwhile)
{
    struct zu_timer timer = {.fired = fired_posts};
    cr_assert_eq(zu_shard_init(&shard, &script.driver), 0);
    cr_assert_eq(zu_shard_timer(&shard, &timer, 0), 0);
    zu_shard_step(&shard, ZU_NEVER);
    cr_assert_eq(script.until_ns, 0);
    cr_assert_eq(one.runs, 0);
    one.another = &two.note;
    zu_shard_step(&shard, ZU_NEVER);
    cr_assert_eq(script.until_ns, 0);
    zu_shard_step(&shard, ZU_NEVER);
    cr_assert(one.runs == 1 && two.runs == 1);
    zu_shard_step(&shard, ZU_NEVER);
    cr_assert_eq(script.until_ns, ZU_NEVER, "idle: nothing ticks");
    zu_shard_fini(&shard);
}

Test(shard, waits_until_the_earlier_of_timer_and_deadline)
{
    struct zu_timer timer = {.fired = fired_posts};
    cr_assert_eq(zu_shard_init(&shard, &script.driver), 0);
    cr_assert_eq(zu_shard_timer(&shard, &timer, 500), 0);
    zu_shard_step(&shard, ZU_NEVER);
    cr_assert_eq(script.until_ns, 1500);
    zu_shard_step(&shard, 1200);
    cr_assert_eq(script.until_ns, 1200);
    script.now_ns = 1500;
    zu_shard_step(&shard, ZU_NEVER);
    cr_assert_eq(timer.place, 0);
    zu_shard_fini(&shard);
}

/* A chore that counts. */
struct chore {
    struct zu_pause pause; /* to ask for */
    unsigned runs;         /* so often */
};

static void chore_run(struct zu_pause *pause)
{
    zu_container_of(pause, struct chore, pause)->runs++;
}

static struct chore chores[2] = {{.pause.run = chore_run}, {.pause.run = chore_run}};

static void ask_for_both(struct script *at)
{
    zu_shard_at_pause(at->shard, &chores[0].pause);
    zu_shard_at_pause(at->shard, &chores[1].pause);
}

static void ask_for_one(struct script *at)
{
    zu_shard_at_pause(at->shard, &chores[1].pause);
}

Test(shard, runs_a_chore_when_the_completions_pause)
{
    cr_assert_eq(zu_shard_init(&shard, &script.driver), 0);
    zu_list_init(&chores[0].pause.link);
    zu_list_init(&chores[1].pause.link);
    script.on_wait = ask_for_both;
    for (int i = 0; i < 3; i++) {
        zu_shard_step(&shard, ZU_NEVER);
        cr_assert_eq(script.until_ns, i ? 0 : ZU_NEVER, "it does not sleep over a chore");
        cr_assert(chores[0].runs == 0 && chores[1].runs == 0);
    }
    script.on_wait = ask_for_one;
    zu_shard_step(&shard, ZU_NEVER);
    cr_assert(chores[0].runs == 1 && chores[1].runs == 0);
    script.on_wait = NULL;
    zu_shard_step(&shard, ZU_NEVER);
    cr_assert(chores[0].runs == 1 && chores[1].runs == 1);
    cr_assert_eq(script.until_ns, 0);
    zu_shard_step(&shard, ZU_NEVER);
    cr_assert_eq(script.until_ns, ZU_NEVER);
    cr_assert(chores[0].runs == 1 && chores[1].runs == 1);
    zu_shard_fini(&shard);
}

Test(shard, a_driver_that_cannot_start_is_an_error)
{
    script.start_error = -EPERM;
    cr_assert_eq(zu_shard_init(&shard, &script.driver), 0);
    cr_assert_eq(zu_shard_start(&shard, &plainly), -EPERM);
    cr_assert_not(shard.threaded);
    zu_shard_fini(&shard);
    cr_assert(script.freed);
}

/* In virtual time: a burst leaves free chunks, and a while later they are gone, and then nothing ticks any more. */
Test(shard, gives_chunks_back_after_a_burst)
{
    enum { MANY = 100 };
    struct zu_sim *sim;
    struct zu_driver *driver;
    struct zu_chunk *chunks[MANY];
    struct zu_shard *const shards[] = {&shard};
    cr_assert_eq(zu_sim_new(1, NULL, &sim), 0);
    cr_assert_eq(zu_sim_driver_new(sim, &driver), 0);
    cr_assert_eq(zu_shard_init(&shard, driver), 0);
    cr_assert_eq(zu_shard_start(&shard, &plainly), 0);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < MANY; i++)
            chunks[i] = zu_chunk_new(ZU_CHUNK_RUNG_RECEIVE);
        for (int i = 0; i < MANY; i++)
            zu_chunk_unref(chunks[i]);
        cr_assert(zu_chunk_pool_is_fat());
        uint64_t before_ns = zu_sim_now_ns(sim);
        unsigned turns = 0;
        while (zu_sim_turn(sim, shards, 1))
            cr_assert_lt(++turns, 50);
        cr_assert_not(zu_chunk_pool_is_fat());
        uint64_t took_ns = zu_sim_now_ns(sim) - before_ns;
        cr_assert(took_ns >= 100 * ZU_NS_PER_MS && took_ns <= 2 * ZU_NS_PER_S, "%llu", (unsigned long long)took_ns);
    }
    zu_shard_fini(&shard);
    zu_sim_free(sim);
}

/* What the shard's thread says about itself. */
struct inquiry {
    struct zu_note note; /* to post */
    pthread_t thread;    /* it runs there */
    char name[16];       /* of the thread */
    sem_t done;          /* posted at the end */
};

static void inquiry_run(struct zu_note *note)
{
    struct inquiry *inquiry = zu_container_of(note, struct inquiry, note);
    inquiry->thread = pthread_self();
    pthread_getname_np(pthread_self(), inquiry->name, sizeof inquiry->name);
    sem_post(&inquiry->done);
}

static void real_begin(void)
{
    struct zu_driver *driver;
    cr_assert_eq(zu_uring_new(&driver), 0);
    cr_assert_eq(zu_shard_init(&shard, driver), 0);
    cr_assert_eq(zu_shard_start(&shard, &plainly), 0);
}

Test(shard, runs_on_a_thread_of_its_own)
{
    for (int i = 0; i < 10; i++) {
        struct inquiry inquiry = {.note.run = inquiry_run};
        sem_init(&inquiry.done, 0, 0);
        real_begin();
        cr_assert(zu_mailbox_post(&shard.box, &inquiry.note));
        sem_wait(&inquiry.done);
        cr_assert_not(pthread_equal(inquiry.thread, pthread_self()));
        cr_assert_str_eq(inquiry.name, "zu-test");
        zu_shard_fini(&shard);
        sem_destroy(&inquiry.done);
    }
}

enum { POSTERS = 4, POSTS = 3000 };

struct post {
    struct zu_note note;   /* to post */
    struct poster *poster; /* whose */
    unsigned number;       /* in order */
};

struct poster {
    struct post posts[POSTS]; /* all of them */
    pthread_t thread;         /* posts them */
    unsigned next;            /* the shard's thread: number expected */
    bool disordered;          /* the shard's thread */
    sem_t *done;              /* posted with the last */
};

static struct poster posters[POSTERS];

static void post_run(struct zu_note *note)
{
    struct post *post = zu_container_of(note, struct post, note);
    struct poster *poster = post->poster;
    poster->disordered |= post->number != poster->next++;
    if (poster->next == POSTS)
        sem_post(poster->done);
}

static void *poster_main(void *argument)
{
    struct poster *poster = argument;
    for (unsigned i = 0; i < POSTS; i++) {
        poster->posts[i] = (struct post){.note.run = post_run, .poster = poster, .number = i};
        zu_mailbox_post(&shard.box, &poster->posts[i].note);
        if (i % 16 == 0)
            sched_yield(); /* so that the shard falls asleep in between */
    }
    return NULL;
}

Test(shard, runs_the_notes_of_each_thread_in_order)
{
    sem_t done;
    sem_init(&done, 0, 0);
    real_begin();
    for (int i = 0; i < POSTERS; i++) {
        posters[i].done = &done;
        cr_assert_eq(pthread_create(&posters[i].thread, NULL, poster_main, &posters[i]), 0);
    }
    for (int i = 0; i < POSTERS; i++)
        pthread_join(posters[i].thread, NULL);
    for (int i = 0; i < POSTERS; i++)
        sem_wait(&done);
    zu_shard_fini(&shard);
    for (int i = 0; i < POSTERS; i++) {
        cr_assert_eq(posters[i].next, POSTS);
        cr_assert_not(posters[i].disordered);
    }
    sem_destroy(&done);
}

/* One note at a time, so that each must wake the sleeping shard: a lost wake hangs. */
Test(shard, no_wake_is_lost)
{
    struct inquiry inquiry = {.note.run = inquiry_run};
    sem_init(&inquiry.done, 0, 0);
    real_begin();
    for (int i = 0; i < 5000; i++) {
        zu_mailbox_post(&shard.box, &inquiry.note);
        struct timespec limit;
        clock_gettime(CLOCK_REALTIME, &limit);
        limit.tv_sec += 10;
        cr_assert_eq(sem_timedwait(&inquiry.done, &limit), 0, "after %d", i);
    }
    zu_shard_fini(&shard);
    sem_destroy(&inquiry.done);
}

struct alarms {
    struct zu_note note;       /* sets the timers */
    struct zu_timer timers[3]; /* at 6, 2 and 4 ms */
    uint64_t fired_ns[3];      /* when, since the set */
    uint64_t set_ns;           /* when */
    int order[3];              /* by time */
    int count;                 /* fired */
    sem_t done;                /* posted with the last */
};

static struct alarms alarms;

static void alarm_fired(struct zu_timer *timer)
{
    int index = (int)(timer - alarms.timers);
    alarms.fired_ns[index] = zu_shard_now_ns(&shard) - alarms.set_ns;
    alarms.order[alarms.count++] = index;
    if (alarms.count == 3)
        sem_post(&alarms.done);
}

static void alarms_set(struct zu_note *note)
{
    static const uint64_t delays_ms[] = {6, 2, 4};
    (void)note;
    alarms.set_ns = zu_shard_now_ns(&shard);
    for (int i = 0; i < 3; i++) {
        alarms.timers[i].fired = alarm_fired;
        zu_shard_timer(&shard, &alarms.timers[i], delays_ms[i] * ZU_NS_PER_MS);
    }
}

Test(shard, timers_fire_on_its_thread)
{
    sem_init(&alarms.done, 0, 0);
    alarms.note.run = alarms_set;
    real_begin();
    zu_mailbox_post(&shard.box, &alarms.note);
    sem_wait(&alarms.done);
    zu_shard_fini(&shard);
    cr_assert(alarms.order[0] == 1 && alarms.order[1] == 2 && alarms.order[2] == 0);
    cr_assert_geq(alarms.fired_ns[0], 6 * ZU_NS_PER_MS);
    cr_assert_geq(alarms.fired_ns[1], 2 * ZU_NS_PER_MS);
    cr_assert_lt(alarms.fired_ns[0], ZU_NS_PER_S);
    sem_destroy(&alarms.done);
}
