/* SPDX-License-Identifier: MIT */
/*
 * A relay race of threads: each waits for the baton from the one before it, and passes it to the next (PAIR, inproc).
 *
 * Run:     relay [THREADS=3] [ROUNDS=10000]
 * Expect:  "3 threads, 10000 rounds, 30000 steps in 412 ms". A message between threads replaces a semaphore and a mutex,
 *          and can carry what they protect.
 */
#include "zhelpers.h"

enum { THREADS_MAX = 64 };

struct runner {
    pthread_t thread; /* in which it runs */
    void *in, *out;   /* to the one before it, to the one after it; its own from the start of its thread on */
    long rounds;      /* how often */
    long steps;       /* batons with the right number; read when it has ended */
};

static void *runner_main(void *arg)
{
    struct runner *runner = arg;
    for (long round = 0; round < runner->rounds; round++) {
        char *baton = s_recv(runner->in);
        runner->steps += baton && atol(baton) == round;
        s_send(runner->out, baton ? baton : "?");
        free(baton);
    }
    return NULL;
}

/* Two PAIR sockets, joined. They are made here and used there: the start of a thread is the barrier that asks for. */
static void pair_open(void *context, int number, void **ret_in, void **ret_out)
{
    char endpoint[32];
    snprintf(endpoint, sizeof endpoint, "inproc://step-%d", number);
    *ret_in = zmq_socket(context, ZMQ_PAIR);
    *ret_out = zmq_socket(context, ZMQ_PAIR);
    s_check(*ret_in && *ret_out, "zmq_socket");
    s_bind(*ret_in, endpoint);
    s_connect(*ret_out, endpoint);
}

int main(int argc, char **argv)
{
    static struct runner runners[THREADS_MAX];
    int count = (int)s_number(argc, argv, 1, 3);
    long rounds = s_number(argc, argv, 2, 10000), steps = 0;
    count = count < 1 ? 1 : count > THREADS_MAX ? THREADS_MAX : count;
    void *context = zmq_ctx_new();
    void *start, *finish;
    pair_open(context, 0, &runners[0].in, &start);
    for (int n = 1; n < count; n++)
        pair_open(context, n, &runners[n].in, &runners[n - 1].out);
    pair_open(context, count, &finish, &runners[count - 1].out);
    int64_t began = s_clock();
    for (int n = 0; n < count; n++) {
        runners[n].rounds = rounds;
        errno = pthread_create(&runners[n].thread, NULL, runner_main, &runners[n]);
        s_check(errno == 0, "pthread_create");
    }
    for (long round = 0; round < rounds; round++) {
        s_sendf(start, "%ld", round);
        free(s_recv(finish));
    }
    int64_t took = s_clock() - began;
    for (int n = 0; n < count; n++) {
        pthread_join(runners[n].thread, NULL);
        steps += runners[n].steps;
        zmq_close(runners[n].in);
        zmq_close(runners[n].out);
    }
    printf("%d threads, %ld rounds, %ld steps in %ld ms\n", count, rounds, steps, (long)took);
    zmq_close(start);
    zmq_close(finish);
    zmq_ctx_term(context);
    return 0;
}
