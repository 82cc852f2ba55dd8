/* SPDX-License-Identifier: MIT */
#include "kit.h"

#include <sys/eventfd.h>
#include <sys/wait.h>

/* The child's life, in its own process: exits with 0, or with the line that failed. */
#define CHILD_CHECK(holds)                                                                                             \
    do {                                                                                                               \
        if (!(holds))                                                                                                  \
            _exit(__LINE__ & 127);                                                                                     \
    } while (0)

static int run_child(void (*life)(struct kit_pair *), struct kit_pair *pair)
{
    pid_t child = fork();
    if (child == 0) {
        alarm(60);
        life(pair);
        _exit(0);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status), "signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}

static void use_and_end(struct kit_pair *pair)
{
    uint8_t large[10000] = {0};
    CHILD_CHECK(zmq_send(pair->from, "from the child", 14, 0) == 14);
    CHILD_CHECK(zmq_send(pair->from, large, sizeof large, ZMQ_SNDMORE) == sizeof large);
    CHILD_CHECK(zmq_send(pair->from, large, sizeof large, 0) == sizeof large);
    CHILD_CHECK(zmq_close(pair->from) == 0);
    CHILD_CHECK(zmq_close(pair->from) == -1 && errno == ENOTSOCK);
    CHILD_CHECK(zmq_close(pair->to) == 0);
    CHILD_CHECK(zmq_ctx_term(pair->context) == 0);
}

static void just_leave(struct kit_pair *pair)
{
    (void)pair;
}

static void term_only(struct kit_pair *pair)
{
    CHILD_CHECK(zmq_ctx_term(pair->context) == 0);
}

static void talk(void *context)
{
    void *to = zmq_socket(context, ZMQ_PULL), *from = zmq_socket(context, ZMQ_PUSH);
    char text[256], got[8] = "";
    size_t size = sizeof text;
    CHILD_CHECK(to && from);
    CHILD_CHECK(zmq_bind(to, "tcp://127.0.0.1:*") == 0);
    CHILD_CHECK(zmq_getsockopt(to, ZMQ_LAST_ENDPOINT, text, &size) == 0);
    CHILD_CHECK(zmq_connect(from, text) == 0);
    CHILD_CHECK(zmq_send(from, "child", 5, 0) == 5);
    CHILD_CHECK(zmq_recv(to, got, sizeof got, 0) == 5 && memcmp(got, "child", 5) == 0);
    CHILD_CHECK(zmq_close(to) == 0 && zmq_close(from) == 0);
    CHILD_CHECK(zmq_ctx_term(context) == 0);
}

static void start_afresh(struct kit_pair *pair)
{
    (void)pair;
    void *context = zmq_ctx_new();
    CHILD_CHECK(context);
    talk(context);
}

static void parent_is_unharmed(struct kit_pair *pair)
{
    for (int i = 0; i < 1000; i++) {
        kit_send_text(pair->from, "from the parent", 0);
        kit_recv_text(pair->to, "from the parent");
    }
    cr_assert(!kit_readable(pair->to, 0), "the child's messages are ignored");
}

static void fork_with(void (*life)(struct kit_pair *))
{
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        struct kit_pair pair = kit_pair(kit_transports[t], ZMQ_PUSH, ZMQ_PULL);
        kit_send_text(pair.from, "before", 0);
        kit_recv_text(pair.to, "before");
        cr_assert_eq(run_child(life, &pair), 0, "%s", kit_transports[t]);
        parent_is_unharmed(&pair);
        kit_pair_end(&pair);
    }
}

Test(fork, the_child_sends_in_vain_and_ends_well)
{
    fork_with(use_and_end);
}

Test(fork, the_child_just_leaves)
{
    fork_with(just_leave);
}

Test(fork, the_child_terminates_with_sockets_open)
{
    fork_with(term_only);
}

static void send_many_and_end(struct kit_pair *pair)
{
    for (int i = 0; i < 5000; i++)
        CHILD_CHECK(zmq_send(pair->from, "from the child", 14, 0) == 14);
    use_and_end(pair);
}

/* What the parent has not handed over yet is the parent's to hand over, once. */
Test(fork, the_child_leaves_the_parents_batch_alone)
{
    enum { BATCH = 500 };
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        struct kit_pair pair = kit_pair(kit_transports[t], ZMQ_PUSH, ZMQ_PULL);
        kit_send_text(pair.from, "before", 0);
        kit_recv_text(pair.to, "before");
        for (int i = 0; i < BATCH; i++)
            cr_assert_eq(zmq_send(pair.from, &i, sizeof i, 0), (int)sizeof i);
        cr_assert_eq(run_child(send_many_and_end, &pair), 0, "%s", kit_transports[t]);
        for (int i = 0, got; i < BATCH; i++) {
            cr_assert_eq(zmq_recv(pair.to, &got, sizeof got, 0), (int)sizeof got);
            cr_assert_eq(got, i);
        }
        parent_is_unharmed(&pair);
        kit_pair_end(&pair);
    }
}

/* Sanitizers have locks of their own, which a fork may leave locked: no threads in a child for them. */
Test(fork, the_child_starts_afresh)
{
    if (!SANITIZED)
        fork_with(start_afresh);
}

/* What the parent's pollers wait on, shared by a fork. */
static struct {
    void *poller;  /* holds the pair's receiver and the descriptor */
    int fd;        /* an eventfd */
} shared;

static void change_the_poller(struct kit_pair *pair)
{
    zmq_poller_event_t event;
    eventfd_t count;
    CHILD_CHECK(zmq_poller_wait(shared.poller, &event, 0) == -1 && errno == ETERM);
    CHILD_CHECK(zmq_poller_remove(shared.poller, pair->to) == 0);
    CHILD_CHECK(eventfd_write(shared.fd, 1) == 0);
    CHILD_CHECK(zmq_poller_wait(shared.poller, &event, KIT_WAIT_MS) == 0 && event.fd == shared.fd);
    CHILD_CHECK(eventfd_read(shared.fd, &count) == 0);
    CHILD_CHECK(zmq_poller_remove_fd(shared.poller, shared.fd) == 0);
    CHILD_CHECK(zmq_poller_destroy(&shared.poller) == 0);
    use_and_end(pair);
}

Test(fork, the_child_leaves_the_parents_poller_alone)
{
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        struct kit_pair pair = kit_pair(kit_transports[t], ZMQ_PUSH, ZMQ_PULL);
        zmq_poller_event_t event;
        eventfd_t count;
        shared.poller = zmq_poller_new();
        shared.fd = eventfd(0, EFD_NONBLOCK);
        KIT_OK(zmq_poller_add(shared.poller, pair.to, NULL, ZMQ_POLLIN));
        KIT_OK(zmq_poller_add_fd(shared.poller, shared.fd, NULL, ZMQ_POLLIN));
        kit_send_text(pair.from, "before", 0);
        kit_recv_text(pair.to, "before");
        KIT_FAILS(EAGAIN, zmq_poller_wait(shared.poller, &event, 0));
        cr_assert_eq(run_child(change_the_poller, &pair), 0, "%s", kit_transports[t]);
        for (int i = 0; i < 20; i++) {
            eventfd_write(shared.fd, 1);
            KIT_OK(zmq_poller_wait(shared.poller, &event, KIT_WAIT_MS));
            cr_assert_eq(event.fd, shared.fd);
            eventfd_read(shared.fd, &count);
            kit_send_text(pair.from, "a", 0);
            KIT_OK(zmq_poller_wait(shared.poller, &event, KIT_WAIT_MS));
            cr_assert_eq(event.socket, pair.to);
            kit_recv_text(pair.to, "a");
        }
        KIT_OK(zmq_poller_destroy(&shared.poller));
        close(shared.fd);
        parent_is_unharmed(&pair);
        kit_pair_end(&pair);
    }
}

static void *keep_busy(void *arg)
{
    struct kit_pair *pair = arg;
    static const uint8_t data[1000];
    while (zmq_send(pair->from, data, sizeof data, 0) >= 0)
        continue;
    return NULL;
}

static void *keep_reading(void *arg)
{
    struct kit_pair *pair = arg;
    char data[1000];
    while (zmq_recv(pair->to, data, sizeof data, 0) >= 0)
        continue;
    return NULL;
}

/* Whatever lock some other thread holds in that moment. */
Test(fork, in_the_middle_of_traffic)
{
    if (SANITIZED)
        return;
    struct kit_pair pair = kit_pair("tcp", ZMQ_PUSH, ZMQ_PULL);
    pthread_t threads[2];
    pthread_create(&threads[0], NULL, keep_busy, &pair);
    pthread_create(&threads[1], NULL, keep_reading, &pair);
    for (int i = 0; i < 100; i++)
        cr_assert_eq(run_child(start_afresh, &pair), 0, "fork %d", i);
    zmq_ctx_shutdown(pair.context);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    kit_pair_end(&pair);
}
