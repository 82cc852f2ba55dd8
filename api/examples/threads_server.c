/* SPDX-License-Identifier: MIT */
/*
 * hello_server with several threads: a ROUTER for the clients, a DEALER that hands out by inproc to a REP in each thread.
 *
 * Run:     threads_server [THREADS=5] [ENDPOINT=tcp://127.0.0.1:5555]
 *          then any number of hello_client
 * Expect:  at Ctrl-C, how many requests each thread has answered. No locks, no shared state: each thread has a socket of
 *          its own, and only the context is common to all.
 */
#include "zhelpers.h"

enum { THREADS_MAX = 64 };

struct worker {
    pthread_t thread; /* in which it runs */
    void *context;    /* common to all */
    long answered;    /* its own; read when it has ended */
};

static void *worker_main(void *arg)
{
    struct worker *worker = arg;
    void *responder = zmq_socket(worker->context, ZMQ_REP);
    if (!responder)
        return NULL; /* asked to stop before it began */
    zmq_connect(responder, "inproc://workers");
    for (char *request; (request = s_recv(responder)); free(request))
        worker->answered += s_send(responder, "World") >= 0;
    zmq_close(responder);
    return NULL;
}

int main(int argc, char **argv)
{
    static struct worker workers[THREADS_MAX];
    long count = s_number(argc, argv, 1, 5), total = 0;
    count = count > THREADS_MAX ? THREADS_MAX : count;
    void *context = zmq_ctx_new();
    s_shutdown_on_signals(context);
    void *clients = zmq_socket(context, ZMQ_ROUTER);
    void *backend = zmq_socket(context, ZMQ_DEALER);
    s_check(clients && backend, "zmq_socket");
    s_bind(backend, "inproc://workers");
    for (long n = 0; n < count; n++) {
        workers[n].context = context;
        errno = pthread_create(&workers[n].thread, NULL, worker_main, &workers[n]);
        s_check(errno == 0, "pthread_create");
    }
    s_bind(clients, s_arg(argc, argv, 2, "tcp://127.0.0.1:5555"));
    s_proxy(clients, backend);
    for (long n = 0; n < count; n++) {
        pthread_join(workers[n].thread, NULL);
        printf("thread %ld: %ld answered\n", n + 1, workers[n].answered);
        total += workers[n].answered;
    }
    printf("%ld requests answered\n", total);
    zmq_close(clients);
    zmq_close(backend);
    zmq_ctx_term(context);
    return 0;
}
