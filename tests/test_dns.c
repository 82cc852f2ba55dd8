/* SPDX-License-Identifier: MIT */
/* Endpoints with names, and a name server of the test's own: it may be slow, wrong, or asked too often. */
#include <semaphore.h>

#include "link/resolve.h"
#include "rawpeer.h"

static _Atomic unsigned questions; /* so far */
static _Atomic unsigned failures;  /* answers to come that say no */
static sem_t answers;              /* one is taken for each question about "slow" */

/* Every name is 127.0.0.1. */
static int server(const char *text, bool ipv6, struct zu_inet *ret_inet)
{
    questions++;
    if (strncmp(text, "slow", 4) == 0)
        sem_wait(&answers);
    if (failures > 0) {
        failures--;
        return -EINVAL;
    }
    char number[64];
    snprintf(number, sizeof number, "127.0.0.1%s", strrchr(text, ':'));
    return zu_inet_resolve(number, ipv6, ret_inet);
}

static void setup(void)
{
    zu_resolve_function = server;
    zu_resolve_idle_ms = 20;
    sem_init(&answers, 0, 0);
}

TestSuite(dns, .init = setup, .timeout = 60);

/* "tcp://name:port" for the port of an endpoint. */
static const char *named(const char *name, const char *endpoint, char *text)
{
    snprintf(text, KIT_ENDPOINT_SIZE, "tcp://%s%s", name, strrchr(endpoint, ':'));
    return text;
}

static void threads_go(void)
{
    KIT_UNTIL(zu_resolve_threads() == 0);
}

Test(dns, is_asked_at_each_attempt)
{
    void *context = zmq_ctx_new();
    void *from = kit_socket(context, ZMQ_PUSH), *to = kit_socket(context, ZMQ_PULL);
    char text[KIT_ENDPOINT_SIZE], name[KIT_ENDPOINT_SIZE];
    kit_bind(to, "tcp", text);
    failures = 3;
    kit_set(from, ZMQ_RECONNECT_IVL, 5);
    KIT_OK(zmq_connect(from, named("server", text, name)));
    kit_send_text(from, "found", 0);
    kit_recv_text(to, "found");
    cr_assert_eq(questions, 4);
    KIT_OK(zmq_unbind(to, text));
    KIT_UNTIL((kit_poke(), questions > 5));
    KIT_OK(zmq_disconnect(from, name));
    KIT_OK(zmq_close(from));
    KIT_OK(zmq_close(to));
    KIT_OK(zmq_ctx_term(context));
    threads_go();
}

Test(dns, is_not_asked_about_numbers)
{
    void *context = zmq_ctx_new();
    void *from = kit_socket(context, ZMQ_PUSH), *to = kit_socket(context, ZMQ_PULL);
    char text[KIT_ENDPOINT_SIZE], source[KIT_ENDPOINT_SIZE];
    kit_bind(to, "tcp", text);
    snprintf(source, sizeof source, "tcp://lo:0;127.0.0.1%s", strrchr(text, ':'));
    KIT_OK(zmq_connect(from, text));
    KIT_OK(zmq_connect(from, source));
    for (int i = 0; i < 10; i++) {
        kit_send_text(from, "x", 0);
        kit_recv_text(to, "x");
    }
    cr_assert_eq(questions, 0);
    cr_assert_eq(zu_resolve_threads(), 0);
    KIT_OK(zmq_close(from));
    KIT_OK(zmq_close(to));
    KIT_OK(zmq_ctx_term(context));
}

/* Neither other connections, nor close, nor term wait for it; and what comes too late does no harm. */
Test(dns, slow_ones_hold_up_nobody)
{
    for (int how = 0; how < 3; how++) {
        void *context = zmq_ctx_new();
        void *from = kit_socket(context, ZMQ_PUSH), *to = kit_socket(context, ZMQ_PULL);
        void *stuck = kit_socket(context, ZMQ_PUSH);
        char text[KIT_ENDPOINT_SIZE], slow[KIT_ENDPOINT_SIZE], quick[KIT_ENDPOINT_SIZE];
        kit_bind(to, "tcp", text);
        unsigned before = questions;
        KIT_OK(zmq_connect(stuck, named("slow", text, slow)));
        KIT_UNTIL((kit_poke(), questions == before + 1));
        KIT_OK(zmq_connect(from, named("quick", text, quick)));
        kit_send_text(stuck, "late", 0);
        for (int i = 0; i < 10; i++) {
            kit_send_text(from, "x", 0);
            kit_recv_text(to, "x");
        }
        if (how == 0) {
            sem_post(&answers);
            kit_recv_text(to, "late");
        } else if (how == 1) {
            KIT_OK(zmq_disconnect(stuck, slow));
        }
        KIT_OK(zmq_close(stuck));
        KIT_OK(zmq_close(from));
        KIT_OK(zmq_close(to));
        KIT_OK(zmq_ctx_term(context));
        if (how > 0)
            sem_post(&answers);
        threads_go();
    }
}

/* What is queued waits for the name as for anything else, and no longer than LINGER says. */
Test(dns, lingers_for_a_name)
{
    void *context = zmq_ctx_new();
    void *from = kit_socket(context, ZMQ_PUSH), *to = kit_socket(context, ZMQ_PULL);
    char text[KIT_ENDPOINT_SIZE], slow[KIT_ENDPOINT_SIZE];
    kit_bind(to, "tcp", text);
    KIT_OK(zmq_connect(from, named("slow", text, slow)));
    kit_send_text(from, "last words", 0);
    kit_set(from, ZMQ_LINGER, -1);
    KIT_OK(zmq_close(from));
    sem_post(&answers);
    kit_recv_text(to, "last words");
    from = kit_socket(context, ZMQ_PUSH);
    KIT_OK(zmq_connect(from, slow));
    kit_send_text(from, "never heard", 0);
    kit_set(from, ZMQ_LINGER, 50);
    KIT_OK(zmq_close(from));
    KIT_OK(zmq_close(to));
    KIT_OK(zmq_ctx_term(context));
    sem_post(&answers);
    threads_go();
}
