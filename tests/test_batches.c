/* SPDX-License-Identifier: MIT */
/*
 * One thread, several sockets that it drives: a batch on one goes out with a call on another. The keeper, who would send it
 * too, is held by its lock, so what has arrived was sent by the thread.
 */
#include "core/socket.h"
#include "mem/alloc.h"
#include "scene.h"

#include <sys/wait.h>

/* A sender that is watched, and a socket that has nothing to do with it, but its thread. */
struct two {
    struct scene scene; /* the sender */
    struct scene other; /* the other */
    int sent;           /* messages since the scene was heard */
};

static struct two two_new(int flush_us)
{
    struct two two = {.scene = scene_new(1 << 30, flush_us), .other = scene_new(1 << 30, flush_us)};
    kit_set(two.other.socket, ZMQ_RCVTIMEO, 1);
    return two;
}

static void two_end(struct two *two)
{
    scene_end(&two->scene);
    scene_end(&two->other);
}

static pthread_mutex_t *keeper_lock(const struct scene *scene)
{
    return &((struct zu_context *)scene->context)->keeper.lock;
}

static void keeper_hold(struct two *two)
{
    pthread_mutex_lock(keeper_lock(&two->scene));
    pthread_mutex_lock(keeper_lock(&two->other));
}

static void keeper_let_go(struct two *two)
{
    pthread_mutex_unlock(keeper_lock(&two->other));
    pthread_mutex_unlock(keeper_lock(&two->scene));
}

static struct zu_drive *drive_of(const struct scene *scene)
{
    return zu_socket_has_drive(scene->socket);
}

/* Sends until it is a stream whose last messages wait for company. Returns how many have gone. */
static int batch_open(struct two *two)
{
    do {
        say(&two->scene, 0);
        two->sent++;
        cr_assert_lt(two->sent, 4000, "no batch begins");
    } while (!drive_of(&two->scene)->messages);
    say(&two->scene, 0);
    two->sent++;
    cr_assert(!is_there(&two->scene, two->sent), "it waits for company");
    return two->sent;
}

static void all_heard(struct two *two)
{
    hear(&two->scene, two->sent);
    two->sent = 0;
}

/* --- what hands over --- */

static void by_recv(void *socket)
{
    char byte;
    KIT_FAILS(EAGAIN, zmq_recv(socket, &byte, 1, ZMQ_DONTWAIT));
}

static void by_recv_that_waits(void *socket)
{
    char byte;
    KIT_FAILS(EAGAIN, zmq_recv(socket, &byte, 1, 0));
}

static void by_poll(void *socket)
{
    cr_assert_not(kit_readable(socket, 0));
}

static void by_poll_that_waits(void *socket)
{
    cr_assert_not(kit_readable(socket, 1));
}

static void by_poll_of_two(void *socket)
{
    zmq_pollitem_t items[2] = {{.socket = socket, .events = ZMQ_POLLIN}, {.fd = -1}};
    cr_assert_eq(zmq_poll(items, 2, 0), 0);
    cr_assert_eq(zmq_poll(items, 2, 1), 0);
}

static void by_poll_of_nothing(void *socket)
{
    (void)socket;
    cr_assert_eq(zmq_poll(NULL, 0, 1), 0);
}

static void by_a_length_of_sleep(void *socket)
{
    (void)socket;
    zmq_sleep(0);
}

/* A thread that drives nothing is in it too. */
static void by_recv_in_the_background(void *socket)
{
    (void)socket;
    void *context = drive_context(&drive_ways[0]), *quiet = kit_socket(context, ZMQ_PULL);
    by_recv(quiet);
    KIT_OK(zmq_close(quiet));
    KIT_OK(zmq_ctx_term(context));
}

Test(batches, a_call_on_one_socket_hands_over_those_of_others)
{
    void (*const ways[])(void *) = {by_recv,        by_recv_that_waits, by_poll,
                                    by_poll_that_waits, by_poll_of_two, by_poll_of_nothing,
                                    by_a_length_of_sleep, by_recv_in_the_background};
    struct two two = two_new(FAR_US);
    for (size_t way = 0; way < sizeof ways / sizeof *ways; way++) {
        keeper_hold(&two);
        int sent = batch_open(&two);
        ways[way](two.other.socket);
        cr_assert(is_there(&two.scene, sent), "way %zu", way);
        keeper_let_go(&two);
        all_heard(&two);
    }
    two_end(&two);
}

/* Messages for the other socket that are there already: the drive has received them with the first. */
static void fill_other(struct two *two, int messages)
{
    for (int i = 0; i <= messages; i++)
        raw_say(two->other.fd, "\0\1a", 3);
    kit_recv_text(two->other.socket, "a");
}

Test(batches, a_recv_that_finds_something_leaves_a_batch_that_is_young)
{
    enum { MESSAGES = 100 };
    struct two two = two_new(FAR_US);
    fill_other(&two, MESSAGES);
    keeper_hold(&two);
    int sent = batch_open(&two);
    for (int i = 0; i < MESSAGES; i++) {
        kit_recv_text(two.other.socket, "a");
        cr_assert(!is_there(&two.scene, sent));
    }
    by_recv(two.other.socket);
    cr_assert(is_there(&two.scene, sent));
    keeper_let_go(&two);
    two_end(&two);
}

Test(batches, a_recv_that_finds_something_hands_over_what_is_old)
{
    enum { MESSAGES = 100, OLD_US = 20000 };
    struct two two = two_new(OLD_US);
    fill_other(&two, MESSAGES);
    keeper_hold(&two);
    int sent = batch_open(&two);
    for (uint64_t start_ms = kit_now_ms(); kit_now_ms() <= start_ms + OLD_US / 1000;)
        continue;
    for (int i = 0; i < 20; i++)
        kit_recv_text(two.other.socket, "a");
    cr_assert(is_there(&two.scene, sent));
    keeper_let_go(&two);
    two_end(&two);
}

static void call_again(void *data, void *other)
{
    (void)data;
    for (int i = 0; i < 40; i++)
        KIT_OK(zmq_send(other, "a", 1, 0));
    by_recv(other);
}

/* A body by reference, which is freed as soon as it is sent: while all batches are being handed over. */
Test(batches, a_free_function_may_call_again)
{
    static uint8_t body[50000];
    struct two two = two_new(FAR_US);
    keeper_hold(&two);
    batch_open(&two);
    zmq_msg_t msg;
    zmq_msg_init_data(&msg, body, sizeof body, call_again, two.other.socket);
    KIT_OK(zmq_msg_send(&msg, two.scene.socket, 0));
    cr_assert_eq(arrived(&two.other), 0);
    cr_assert_eq(zmq_poll(NULL, 0, 0), 0);
    cr_assert_eq(arrived(&two.scene), two.sent * FRAME + 9 + (int)sizeof body);
    by_recv(two.other.socket);
    cr_assert_eq(arrived(&two.other), 40 * 3);
    keeper_let_go(&two);
    two_end(&two);
}

/* --- from thread to thread --- */

static void *open_batch(void *two)
{
    batch_open(two);
    return NULL;
}

Test(batches, what_a_thread_that_ends_left_is_the_keepers)
{
    struct two two = two_new(FAR_US);
    for (int i = 0; i < 5; i++) {
        pthread_t thread;
        keeper_hold(&two);
        pthread_create(&thread, NULL, open_batch, &two);
        pthread_join(thread, NULL);
        by_recv(two.other.socket);
        cr_assert(!is_there(&two.scene, two.sent), "another thread has nothing to do with it");
        keeper_let_go(&two);
        all_heard(&two);
    }
    two_end(&two);
}

Test(batches, who_takes_over_a_socket_takes_its_batch)
{
    struct two two = two_new(FAR_US);
    pthread_t thread;
    keeper_hold(&two);
    pthread_create(&thread, NULL, open_batch, &two);
    pthread_join(thread, NULL);
    say(&two.scene, 0);
    two.sent++;
    cr_assert(!is_there(&two.scene, two.sent), "it still gathers");
    by_recv(two.other.socket);
    cr_assert(is_there(&two.scene, two.sent));
    keeper_let_go(&two);
    two_end(&two);
}

struct relay {
    struct two two;       /* the socket that goes round */
    pthread_mutex_t lock; /* guards turn */
    pthread_cond_t moved; /* turn has changed */
    int turn;             /* whose thread uses the socket: even and odd */
    int octets;           /* heard so far, by that thread */
    int open;             /* so many times it was handed over with an open batch */
};

enum { TURNS = 200, STREAM = 40, THREADS = 2 };

static int skip_arrived(const struct scene *scene)
{
    static char skipped[TURNS * STREAM * FRAME];
    int octets = arrived(scene);
    raw_hear(scene->fd, skipped, (size_t)octets);
    return octets;
}

/* Behind the hand-over it goes on with a socket of its own, whose calls hand over its batches: the other one's no more. */
static void relay_run(struct relay *relay, int me)
{
    struct scene own = scene_new(1 << 30, FAR_US);
    for (int turn = me; turn < TURNS; turn += THREADS) {
        pthread_mutex_lock(&relay->lock);
        while (relay->turn != turn)
            pthread_cond_wait(&relay->moved, &relay->lock);
        pthread_mutex_unlock(&relay->lock);
        for (int i = 0; i < STREAM; i++)
            say(&relay->two.scene, 0);
        relay->open += drive_of(&relay->two.scene)->messages > 0;
        relay->octets += skip_arrived(&relay->two.scene);
        pthread_mutex_lock(&relay->lock);
        relay->turn++;
        pthread_cond_broadcast(&relay->moved);
        pthread_mutex_unlock(&relay->lock);
        for (int i = 0; i < STREAM; i++)
            say(&own, 0);
        by_recv(own.socket);
        hear(&own, STREAM);
    }
    scene_end(&own);
}

static void *relay_other(void *relay)
{
    relay_run(relay, 1);
    return NULL;
}

Test(batches, a_socket_goes_round_with_its_batch, .timeout = 60)
{
    struct relay relay = {.two = two_new(FAR_US), .lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER};
    pthread_t thread;
    pthread_create(&thread, NULL, relay_other, &relay);
    relay_run(&relay, 0);
    pthread_join(thread, NULL);
    KIT_UNTIL((relay.octets += skip_arrived(&relay.two.scene)) == TURNS * STREAM * FRAME);
    cr_assert_gt(relay.open, TURNS / 10);
    two_end(&relay.two);
}

Test(batches, a_closed_socket_is_nobodys)
{
    struct two two = two_new(FAR_US);
    kit_set(two.scene.socket, ZMQ_LINGER, -1);
    batch_open(&two);
    KIT_OK(zmq_close(two.scene.socket));
    two.scene.socket = kit_socket(two.scene.context, ZMQ_PAIR);
    cr_assert_eq(zu_batches_here->count, 0);
    by_recv(two.other.socket);
    all_heard(&two);
    two_end(&two);
}

Test(batches, a_forked_child_hands_over_nothing)
{
    struct two two = two_new(FAR_US);
    keeper_hold(&two);
    int sent = batch_open(&two);
    int before = arrived(&two.scene), status;
    pid_t child = fork();
    if (child == 0) {
        zmq_poll(NULL, 0, 0);
        zmq_sleep(0);
        _exit(zu_batches_here ? 1 : 0);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
    cr_assert_eq(arrived(&two.scene), before);
    by_recv(two.other.socket);
    cr_assert(is_there(&two.scene, sent));
    keeper_let_go(&two);
    two_end(&two);
}

Test(batches, without_memory_a_batch_goes_by_its_own_calls)
{
    static const char body[SIZE];
    struct two two = two_new(FAR_US);
    cr_assert_null(zu_batches_here);
    keeper_hold(&two);
    do { /* the first that gathers finds no memory, nor does a chunk, if it comes to that */
        zu_alloc_fail_from = drive_of(&two.scene)->at_once ? 0 : 1;
        two.sent += zmq_send(two.scene.socket, body, SIZE, 0) == SIZE;
        zu_alloc_fail_from = 0;
    } while (!drive_of(&two.scene)->messages);
    by_recv(two.other.socket);
    cr_assert_null(zu_batches_here);
    by_recv(two.scene.socket);
    cr_assert(is_there(&two.scene, two.sent));
    int sent = batch_open(&two);
    by_recv(two.other.socket);
    cr_assert(is_there(&two.scene, sent));
    keeper_let_go(&two);
    two_end(&two);
}
