/* SPDX-License-Identifier: MIT */
#include <signal.h>

#include "kit.h"

/* Below, at and above what goes inline, what is copied into a pipe, what becomes a slice, and what goes by reference. */
static const size_t sizes[] = {0, 1, 33, 34, 512, 4095, 4096, 4097, 70000, 1000000};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

static _Atomic unsigned frees; /* calls of count_free */

/* Frees what the test has malloc'ed, so that a sanitizer sees a second call. */
static void count_free(void *data, void *hint)
{
    cr_assert_eq(hint, &frees);
    free(data);
    frees++;
}

static void foreign(zmq_msg_t *msg, size_t size, uint32_t seed)
{
    void *data = malloc(size ? size : 1);
    kit_fill(data, size, seed);
    frees = 0;
    KIT_OK(zmq_msg_init_data(msg, data, size, count_free, &frees));
    cr_assert_eq(zmq_msg_data(msg), data);
}

Test(api_msg, init_and_close)
{
    zmq_msg_t msg;
    KIT_OK(zmq_msg_init(&msg));
    cr_assert_eq(zmq_msg_size(&msg), 0);
    cr_assert_eq(zmq_msg_more(&msg), 0);
    cr_assert_not_null(zmq_msg_data(&msg));
    KIT_OK(zmq_msg_close(&msg));
    KIT_FAILS(EFAULT, zmq_msg_close(&msg));
    for (int i = 0; i < SIZES; i++) {
        KIT_OK(zmq_msg_init_size(&msg, sizes[i]));
        cr_assert_eq(zmq_msg_size(&msg), sizes[i]);
        kit_fill(zmq_msg_data(&msg), sizes[i], 1);
        cr_assert(kit_is_filled(zmq_msg_data(&msg), sizes[i], 1));
        KIT_OK(zmq_msg_close(&msg));
    }
    KIT_FAILS(ENOMEM, zmq_msg_init_size(&msg, SIZE_MAX));
}

Test(api_msg, small_ones_lie_inside)
{
    zmq_msg_t msg;
    zmq_msg_init_size(&msg, 33);
    uint8_t *data = zmq_msg_data(&msg);
    cr_assert(data >= msg._ && data + 33 <= msg._ + sizeof msg._);
    zmq_msg_close(&msg);
}

Test(api_msg, dead_ones_are_efault)
{
    zmq_msg_t dead, live;
    void *context = zmq_ctx_new();
    void *socket = kit_socket(context, ZMQ_PAIR);
    zmq_msg_init(&dead);
    zmq_msg_close(&dead);
    zmq_msg_init(&live);
    KIT_FAILS(EFAULT, zmq_msg_close(&dead));
    KIT_FAILS(EFAULT, zmq_msg_move(&live, &dead));
    KIT_FAILS(EFAULT, zmq_msg_move(&dead, &live));
    KIT_FAILS(EFAULT, zmq_msg_copy(&live, &dead));
    KIT_FAILS(EFAULT, zmq_msg_copy(&dead, &live));
    KIT_FAILS(EFAULT, zmq_msg_send(&dead, socket, ZMQ_DONTWAIT));
    KIT_FAILS(EFAULT, zmq_msg_recv(&dead, socket, ZMQ_DONTWAIT));
    KIT_OK(zmq_msg_close(&live));
    KIT_OK(zmq_close(socket));
    KIT_OK(zmq_ctx_term(context));
}

Test(api_msg, null_is_efault)
{
    zmq_msg_t msg;
    void *context = zmq_ctx_new();
    void *socket = kit_socket(context, ZMQ_PAIR);
    zmq_msg_init(&msg);
    KIT_FAILS(EFAULT, zmq_msg_init(NULL));
    KIT_FAILS(EFAULT, zmq_msg_init_size(NULL, 5));
    KIT_FAILS(EFAULT, zmq_msg_init_data(NULL, "x", 1, NULL, NULL));
    KIT_FAILS(EFAULT, zmq_msg_close(NULL));
    KIT_FAILS(EFAULT, zmq_msg_move(NULL, &msg));
    KIT_FAILS(EFAULT, zmq_msg_move(&msg, NULL));
    KIT_FAILS(EFAULT, zmq_msg_copy(NULL, &msg));
    KIT_FAILS(EFAULT, zmq_msg_copy(&msg, NULL));
    KIT_FAILS(EFAULT, zmq_msg_get(NULL, ZMQ_MORE));
    KIT_FAILS(EFAULT, zmq_msg_send(NULL, socket, ZMQ_DONTWAIT));
    KIT_FAILS(EFAULT, zmq_msg_recv(NULL, socket, ZMQ_DONTWAIT));
    KIT_FAILS(EFAULT, zmq_send(socket, NULL, 1, ZMQ_DONTWAIT));
    KIT_FAILS(EFAULT, zmq_send_const(socket, NULL, 1, ZMQ_DONTWAIT));
    KIT_FAILS(EFAULT, zmq_recv(socket, NULL, 1, ZMQ_DONTWAIT));
    KIT_FAILS(EINVAL, zmq_msg_init_data(&msg, NULL, 1, NULL, NULL));
    cr_assert_null(zmq_msg_data(NULL));
    cr_assert_eq(zmq_msg_size(NULL), 0);
    cr_assert_null(zmq_msg_gets(NULL, "Identity"));
    cr_assert_null(zmq_msg_gets(&msg, NULL));
    KIT_OK(zmq_msg_close(&msg));
    KIT_OK(zmq_close(socket));
    KIT_OK(zmq_ctx_term(context));
}

Test(api_msg, properties)
{
    zmq_msg_t msg;
    static const char constant[100] = "c";
    zmq_msg_init_size(&msg, 100);
    cr_assert_eq(zmq_msg_get(&msg, ZMQ_MORE), 0);
    KIT_FAILS(EINVAL, zmq_msg_get(&msg, ZMQ_SRCFD));
    cr_assert_eq(zmq_msg_get(&msg, ZMQ_SHARED), 0);
    KIT_FAILS(EINVAL, zmq_msg_get(&msg, 99));
    KIT_FAILS(EINVAL, zmq_msg_set(&msg, ZMQ_MORE, 1));
    errno = 0;
    cr_assert_null(zmq_msg_gets(&msg, "Socket-Type"));
    cr_assert_eq(errno, EINVAL);
    zmq_msg_close(&msg);
    KIT_OK(zmq_msg_init_data(&msg, (void *)(uintptr_t)constant, sizeof constant, NULL, NULL));
    cr_assert_eq(zmq_msg_get(&msg, ZMQ_SHARED), 1);
    zmq_msg_close(&msg);
    KIT_OK(zmq_msg_init_data(&msg, NULL, 0, NULL, NULL));
    zmq_msg_close(&msg);
}

Test(api_msg, copy_and_move)
{
    for (int i = 0; i < SIZES; i++) {
        zmq_msg_t msg, copy, moved;
        foreign(&msg, sizes[i], 7);
        zmq_msg_init_size(&copy, 50);
        KIT_OK(zmq_msg_copy(&copy, &msg));
        cr_assert_eq(zmq_msg_get(&copy, ZMQ_SHARED), zmq_msg_get(&msg, ZMQ_SHARED));
        cr_assert_eq(zmq_msg_get(&msg, ZMQ_SHARED), 1);
        zmq_msg_init(&moved);
        KIT_OK(zmq_msg_move(&moved, &msg));
        cr_assert_eq(zmq_msg_size(&msg), 0);
        cr_assert(zmq_msg_size(&moved) == sizes[i] && kit_is_filled(zmq_msg_data(&moved), sizes[i], 7));
        KIT_OK(zmq_msg_close(&moved));
        KIT_OK(zmq_msg_close(&msg));
        cr_assert_eq(frees, 0, "the copy still needs it");
        cr_assert(zmq_msg_size(&copy) == sizes[i] && kit_is_filled(zmq_msg_data(&copy), sizes[i], 7));
        KIT_OK(zmq_msg_close(&copy));
        cr_assert_eq(frees, 1);
    }
}

Test(api_msg, onto_itself)
{
    zmq_msg_t msg;
    foreign(&msg, 100, 1);
    KIT_OK(zmq_msg_copy(&msg, &msg));
    KIT_OK(zmq_msg_move(&msg, &msg));
    cr_assert_eq(zmq_msg_size(&msg), 100);
    KIT_OK(zmq_msg_close(&msg));
    cr_assert_eq(frees, 1);
}

Test(api_msg, freed_once_when_sent)
{
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        struct kit_pair pair = kit_pair(kit_transports[t], ZMQ_PUSH, ZMQ_PULL);
        for (int i = 0; i < SIZES; i++) {
            zmq_msg_t msg, got;
            foreign(&msg, sizes[i], 3);
            cr_assert_eq(zmq_msg_send(&msg, pair.from, 0), (int)sizes[i]);
            cr_assert_eq(zmq_msg_size(&msg), 0, "the caller's is empty");
            zmq_msg_init(&got);
            cr_assert_eq(zmq_msg_recv(&got, pair.to, 0), (int)sizes[i]);
            cr_assert(kit_is_filled(zmq_msg_data(&got), sizes[i], 3));
            zmq_msg_close(&got);
            zmq_msg_close(&msg);
            KIT_UNTIL(frees > 0);
            cr_assert_eq(frees, 1);
        }
        kit_pair_end(&pair);
        cr_assert_eq(frees, 1);
    }
}

/* Programs take the free function for the word that a message has left (pyzmq's MessageTracker), however small it is. */
Test(api_msg, not_freed_before_it_has_gone)
{
    void *context = zmq_ctx_new();
    for (int i = 1; i < SIZES; i++) {
        char endpoint[64];
        snprintf(endpoint, sizeof endpoint, "ipc://@zuring-api-msg-%d-%d", getpid(), i);
        void *push = kit_socket(context, ZMQ_PUSH), *pull = kit_socket(context, ZMQ_PULL);
        KIT_OK(zmq_connect(push, endpoint));
        zmq_msg_t msg;
        foreign(&msg, sizes[i], 3);
        cr_assert_eq(zmq_msg_send(&msg, push, 0), (int)sizes[i]);
        cr_assert_eq(frees, 0, "%zu bytes: nobody is there who could have it", sizes[i]);
        KIT_OK(zmq_bind(pull, endpoint));
        cr_assert_eq(zmq_msg_recv(&msg, pull, 0), (int)sizes[i]);
        cr_assert(kit_is_filled(zmq_msg_data(&msg), sizes[i], 3));
        KIT_OK(zmq_msg_close(&msg));
        KIT_UNTIL(frees > 0);
        KIT_OK(zmq_close(push));
        KIT_OK(zmq_close(pull));
    }
    KIT_OK(zmq_ctx_term(context));
}

Test(api_msg, freed_once_when_the_sending_fails)
{
    void *context = zmq_ctx_new();
    void *push = kit_socket(context, ZMQ_PUSH), *pull = kit_socket(context, ZMQ_PULL);
    for (int i = 0; i < SIZES; i++) {
        zmq_msg_t msg;
        foreign(&msg, sizes[i], 3);
        KIT_FAILS(EAGAIN, zmq_msg_send(&msg, push, ZMQ_DONTWAIT));
        KIT_FAILS(ENOTSUP, zmq_msg_send(&msg, pull, 0));
        cr_assert_eq(zmq_msg_size(&msg), sizes[i], "still the caller's");
        cr_assert_eq(frees, 0);
        KIT_OK(zmq_msg_close(&msg));
        cr_assert_eq(frees, 1);
    }
    KIT_OK(zmq_close(push));
    KIT_OK(zmq_close(pull));
    KIT_OK(zmq_ctx_term(context));
}

/* Queued for a peer that never comes, in whole or as the beginning of a message, and dropped by close. */
Test(api_msg, freed_once_when_dropped)
{
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        for (int i = 0; i < 2 * SIZES; i++) {
            void *context = zmq_ctx_new();
            char text[KIT_ENDPOINT_SIZE];
            kit_free_endpoint(context, kit_transports[t], text);
            void *from = kit_socket(context, ZMQ_PUSH);
            KIT_OK(zmq_connect(from, text));
            zmq_msg_t msg;
            foreign(&msg, sizes[i / 2], 3);
            KIT_OK(zmq_msg_send(&msg, from, i % 2 ? ZMQ_SNDMORE : 0));
            KIT_OK(zmq_close(from));
            KIT_OK(zmq_ctx_term(context));
            cr_assert_eq(frees, 1, "%s, %zu bytes, whole: %d", kit_transports[t], sizes[i / 2], i % 2 == 0);
        }
    }
}

/* Arrived, and never read. */
Test(api_msg, freed_once_when_unread)
{
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        struct kit_pair pair = kit_pair(kit_transports[t], ZMQ_PUSH, ZMQ_PULL);
        zmq_msg_t msg;
        foreign(&msg, 100000, 3);
        KIT_OK(zmq_msg_send(&msg, pair.from, 0));
        cr_assert(kit_readable(pair.to, KIT_WAIT_MS));
        kit_pair_end(&pair);
        cr_assert_eq(frees, 1);
    }
}

/* The received message is the sent one, and outlives sockets and context. */
Test(api_msg, inproc_hands_the_memory_over)
{
    struct kit_pair pair = kit_pair("inproc", ZMQ_PUSH, ZMQ_PULL);
    zmq_msg_t msg, got;
    foreign(&msg, 100000, 9);
    void *data = zmq_msg_data(&msg);
    KIT_OK(zmq_msg_send(&msg, pair.from, 0));
    zmq_msg_init(&got);
    KIT_OK(zmq_msg_recv(&got, pair.to, 0));
    cr_assert_eq(zmq_msg_data(&got), data);
    kit_pair_end(&pair);
    cr_assert(kit_is_filled(zmq_msg_data(&got), 100000, 9));
    cr_assert_eq(frees, 0);
    KIT_OK(zmq_msg_close(&got));
    cr_assert_eq(frees, 1);
}

Test(api_msg, received_ones_outlive_their_context)
{
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        struct kit_pair pair = kit_pair(kit_transports[t], ZMQ_PUSH, ZMQ_PULL);
        zmq_msg_t got[SIZES];
        for (int i = 0; i < SIZES; i++) {
            zmq_msg_t msg;
            zmq_msg_init_size(&msg, sizes[i]);
            kit_fill(zmq_msg_data(&msg), sizes[i], (uint32_t)i);
            KIT_OK(zmq_msg_send(&msg, pair.from, 0));
            zmq_msg_init(&got[i]);
            KIT_OK(zmq_msg_recv(&got[i], pair.to, 0));
        }
        kit_pair_end(&pair);
        for (int i = 0; i < SIZES; i++) {
            cr_assert(zmq_msg_size(&got[i]) == sizes[i] && kit_is_filled(zmq_msg_data(&got[i]), sizes[i], (uint32_t)i));
            KIT_OK(zmq_msg_close(&got[i]));
        }
    }
}

Test(api_msg, tells_where_it_came_from)
{
    static const char *const addresses[] = {"127.0.0.1", "localhost:"};
    for (int t = 0; t < 2; t++) {
        struct kit_pair pair = kit_pair(kit_transports[t], ZMQ_PUSH, ZMQ_PULL);
        kit_send_text(pair.from, "who am I", 0);
        zmq_msg_t msg, copy;
        zmq_msg_init(&msg);
        zmq_msg_init(&copy);
        KIT_OK(zmq_msg_recv(&msg, pair.to, 0));
        cr_assert_str_eq(zmq_msg_gets(&msg, "Socket-Type"), "PUSH");
        cr_assert_eq(strncmp(zmq_msg_gets(&msg, "Peer-Address"), addresses[t], strlen(addresses[t])), 0);
        cr_assert_null(zmq_msg_gets(&msg, "socket-type"));
        cr_assert_null(zmq_msg_gets(&msg, "X-nothing"));
        cr_assert_geq(fcntl(zmq_msg_get(&msg, ZMQ_SRCFD), F_GETFD), 0, "a descriptor that is open");
        KIT_OK(zmq_msg_copy(&copy, &msg));
        zmq_msg_close(&msg);
        kit_pair_end(&pair);
        cr_assert_str_eq(zmq_msg_gets(&copy, "Socket-Type"), "PUSH", "as long as the message lives");
        zmq_msg_close(&copy);
    }
}

Test(api_msg, application_metadata)
{
    void *context = zmq_ctx_new();
    void *to = kit_socket(context, ZMQ_PULL), *from = kit_socket(context, ZMQ_PUSH);
    char text[KIT_ENDPOINT_SIZE];
    kit_bind(to, "tcp", text);
    KIT_OK(zmq_setsockopt(from, ZMQ_METADATA, "X-colour:blue", 13));
    KIT_OK(zmq_connect(from, text));
    kit_send_text(from, "a", 0);
    zmq_msg_t msg;
    zmq_msg_init(&msg);
    KIT_OK(zmq_msg_recv(&msg, to, 0));
    cr_assert_str_eq(zmq_msg_gets(&msg, "X-colour"), "blue");
    zmq_msg_close(&msg);
    KIT_OK(zmq_close(from));
    KIT_OK(zmq_close(to));
    KIT_OK(zmq_ctx_term(context));
}

Test(api_msg, recv_releases_what_was_there)
{
    struct kit_pair pair = kit_pair("inproc", ZMQ_PUSH, ZMQ_PULL);
    zmq_msg_t msg;
    foreign(&msg, 5000, 1);
    kit_send_text(pair.from, "new", 0);
    cr_assert_eq(zmq_msg_recv(&msg, pair.to, 0), 3);
    cr_assert_eq(frees, 1);
    zmq_msg_close(&msg);
    kit_pair_end(&pair);
}

/* A receive that fails with `error`, and whether the message that was there is gone. */
static void recv_fails(int error, void *socket, int flags, bool releases)
{
    zmq_msg_t msg;
    foreign(&msg, 5000, 1);
    KIT_FAILS(error, zmq_msg_recv(&msg, socket, flags));
    cr_assert_eq(frees, releases, "errno %d", error);
    cr_assert_eq(zmq_msg_size(&msg), releases ? 0u : 5000u);
    KIT_OK(zmq_msg_close(&msg));
    cr_assert_eq(frees, 1);
}

/* As libzmq 4.3.4 does. */
Test(api_msg, a_recv_that_found_nothing_has_released_it_too)
{
    for (int type = 0; type < 2; type++) {
        void *context = zmq_ctx_new();
        void *told = kit_socket(context, type ? ZMQ_PAIR : ZMQ_PULL);
        void *untold = kit_socket(context, type ? ZMQ_PAIR : ZMQ_PULL);
        void *push = kit_socket(context, ZMQ_PUSH);
        recv_fails(EAGAIN, told, ZMQ_DONTWAIT, true);
        kit_set(told, ZMQ_RCVTIMEO, 1);
        recv_fails(EAGAIN, told, 0, true);
        kit_set(told, ZMQ_RCVTIMEO, 0);
        recv_fails(EAGAIN, told, 0, true);
        recv_fails(ENOTSUP, push, 0, false);
        recv_fails(ENOTSOCK, NULL, 0, false);
        recv_fails(ENOTSOCK, context, 0, false);
        KIT_OK(zmq_ctx_shutdown(context));
        recv_fails(ETERM, told, ZMQ_DONTWAIT, true);
        recv_fails(ETERM, told, ZMQ_DONTWAIT, false);
        recv_fails(ETERM, told, 0, false);
        recv_fails(ETERM, untold, 0, true);
        KIT_OK(zmq_close(told));
        KIT_OK(zmq_close(untold));
        KIT_OK(zmq_close(push));
        KIT_OK(zmq_ctx_term(context));
    }
}

static int recv_blocked(void *socket)
{
    zmq_msg_t msg;
    foreign(&msg, 5000, 1);
    int rc = zmq_msg_recv(&msg, socket, 0), error = errno;
    bool is_empty = zmq_msg_size(&msg) == 0 && frees == 1;
    zmq_msg_close(&msg);
    errno = is_empty ? error : EBADMSG;
    return rc;
}

static void ignore(int number)
{
    (void)number;
}

Test(api_msg, so_has_one_that_was_interrupted)
{
    struct sigaction action = {.sa_handler = ignore}, old;
    sigaction(SIGUSR1, &action, &old);
    void *context = zmq_ctx_new();
    void *pull = kit_socket(context, ZMQ_PULL);
    struct kit_thread thread;
    kit_thread_start(&thread, recv_blocked, pull);
    cr_assert_eq(kit_thread_interrupt(&thread), EINTR);
    kit_thread_start(&thread, recv_blocked, pull);
    KIT_OK(zmq_ctx_shutdown(context));
    cr_assert_eq(kit_thread_join(&thread), ETERM);
    KIT_OK(zmq_close(pull));
    KIT_OK(zmq_ctx_term(context));
    sigaction(SIGUSR1, &old, NULL);
}

Test(api_msg, from_a_buffer)
{
    for (int i = 0; i < SIZES; i++) {
        static uint8_t bytes[1000000];
        zmq_msg_t msg;
        cr_assert_leq(sizes[i], sizeof bytes);
        kit_fill(bytes, sizes[i], 5);
        KIT_OK(zmq_msg_init_buffer(&msg, bytes, sizes[i]));
        memset(bytes, 0, sizes[i]);
        cr_assert(zmq_msg_size(&msg) == sizes[i] && kit_is_filled(zmq_msg_data(&msg), sizes[i], 5));
        KIT_OK(zmq_msg_close(&msg));
    }
    zmq_msg_t msg;
    KIT_OK(zmq_msg_init_buffer(&msg, NULL, 0));
    KIT_OK(zmq_msg_close(&msg));
    KIT_FAILS(EFAULT, zmq_msg_init_buffer(&msg, NULL, 1));
    KIT_FAILS(EFAULT, zmq_msg_init_buffer(NULL, "a", 1));
    if (!SANITIZED) /* which would stop there */
        KIT_FAILS(ENOMEM, zmq_msg_init_buffer(&msg, "a", SIZE_MAX / 2));
}

Test(api_msg, routing_id)
{
    zmq_msg_t msg, copy;
    zmq_msg_init(&msg);
    zmq_msg_init(&copy);
    cr_assert_eq(zmq_msg_routing_id(&msg), 0);
    KIT_FAILS(EINVAL, zmq_msg_set_routing_id(&msg, 0));
    KIT_OK(zmq_msg_set_routing_id(&msg, UINT32_MAX));
    KIT_OK(zmq_msg_copy(&copy, &msg));
    cr_assert_eq(zmq_msg_routing_id(&msg), UINT32_MAX);
    cr_assert_eq(zmq_msg_routing_id(&copy), UINT32_MAX);
    KIT_OK(zmq_msg_set_routing_id(&msg, 7));
    KIT_OK(zmq_msg_move(&copy, &msg));
    cr_assert_eq(zmq_msg_routing_id(&copy), 7);
    cr_assert_eq(zmq_msg_routing_id(&msg), 0);
    KIT_OK(zmq_msg_close(&msg));
    KIT_OK(zmq_msg_close(&copy));
    KIT_FAILS(EFAULT, zmq_msg_set_routing_id(&msg, 1));
    errno = 0;
    cr_assert_eq(zmq_msg_routing_id(&msg), 0);
    cr_assert_eq(errno, EFAULT);
}

Test(api_msg, group)
{
    char longest[ZMQ_GROUP_MAX_LENGTH + 2];
    memset(longest, 'g', sizeof longest);
    zmq_msg_t msg, copy;
    zmq_msg_init(&msg);
    zmq_msg_init_size(&copy, 1000);
    cr_assert_str_eq(zmq_msg_group(&msg), "");
    KIT_OK(zmq_msg_set_group(&msg, "sport"));
    KIT_OK(zmq_msg_copy(&copy, &msg));
    KIT_OK(zmq_msg_set_group(&msg, "politics"));
    cr_assert_str_eq(zmq_msg_group(&copy), "sport");
    longest[ZMQ_GROUP_MAX_LENGTH + 1] = 0;
    KIT_FAILS(EINVAL, zmq_msg_set_group(&msg, longest));
    KIT_FAILS(EFAULT, zmq_msg_set_group(&msg, NULL));
    cr_assert_str_eq(zmq_msg_group(&msg), "politics", "a failed call changes nothing");
    longest[ZMQ_GROUP_MAX_LENGTH] = 0;
    KIT_OK(zmq_msg_set_group(&copy, longest));
    KIT_OK(zmq_msg_move(&msg, &copy));
    cr_assert_str_eq(zmq_msg_group(&msg), longest);
    cr_assert_str_eq(zmq_msg_group(&copy), "");
    KIT_OK(zmq_msg_close(&msg));
    KIT_OK(zmq_msg_close(&copy));
    KIT_FAILS(EFAULT, zmq_msg_set_group(&msg, "late"));
    errno = 0;
    cr_assert_null(zmq_msg_group(&msg));
    cr_assert_eq(errno, EFAULT);
}

/* A sent message leaves both behind; the leak checker sees to the rest. */
Test(api_msg, sending_drops_routing_id_and_group)
{
    struct kit_pair pair = kit_pair("inproc", ZMQ_PUSH, ZMQ_PULL);
    for (int i = 0; i < SIZES; i++) {
        zmq_msg_t msg, got;
        foreign(&msg, sizes[i], 3);
        KIT_OK(zmq_msg_set_group(&msg, "sport"));
        KIT_OK(zmq_msg_set_routing_id(&msg, 5));
        KIT_OK(zmq_msg_send(&msg, pair.from, 0));
        cr_assert_str_eq(zmq_msg_group(&msg), "");
        cr_assert_eq(zmq_msg_routing_id(&msg), 0);
        zmq_msg_init(&got);
        KIT_OK(zmq_msg_set_group(&got, "old"));
        KIT_OK(zmq_msg_recv(&got, pair.to, 0));
        cr_assert_str_eq(zmq_msg_group(&got), "");
        KIT_OK(zmq_msg_close(&got));
    }
    kit_pair_end(&pair);
}

Test(api_msg, a_forwarded_one_loses_its_more)
{
    struct kit_pair one = kit_pair("inproc", ZMQ_PUSH, ZMQ_PULL), two = kit_pair("tcp", ZMQ_PUSH, ZMQ_PULL);
    zmq_msg_t msg;
    kit_send_text(one.from, "first", ZMQ_SNDMORE);
    kit_send_text(one.from, "second", 0);
    zmq_msg_init(&msg);
    KIT_OK(zmq_msg_recv(&msg, one.to, 0));
    cr_assert_eq(zmq_msg_more(&msg), 1);
    KIT_OK(zmq_msg_send(&msg, two.from, 0));
    KIT_OK(zmq_msg_recv(&msg, two.to, 0));
    cr_assert_eq(zmq_msg_more(&msg), 0);
    cr_assert_eq(zmq_msg_size(&msg), 5);
    zmq_msg_close(&msg);
    kit_pair_end(&one);
    kit_pair_end(&two);
}
