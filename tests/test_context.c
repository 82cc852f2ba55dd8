/* SPDX-License-Identifier: MIT */
#include "kit.h"

#include <signal.h>
#include <sys/epoll.h>

Test(context, refuses_what_is_none)
{
    uint64_t zeros[64] = {0};
    KIT_FAILS(EFAULT, zmq_ctx_term(NULL));
    KIT_FAILS(EFAULT, zmq_ctx_shutdown(NULL));
    KIT_FAILS(EFAULT, zmq_ctx_set(NULL, ZMQ_IO_THREADS, 1));
    KIT_FAILS(EFAULT, zmq_ctx_get(NULL, ZMQ_IO_THREADS));
    KIT_FAILS(EFAULT, zmq_ctx_term(zeros));
    KIT_FAILS(EFAULT, zmq_ctx_shutdown(zeros));
    KIT_FAILS(EFAULT, zmq_ctx_set(zeros, ZMQ_IO_THREADS, 1));
    KIT_FAILS(EFAULT, zmq_ctx_get(zeros, ZMQ_IO_THREADS));
    errno = 0;
    cr_assert_null(zmq_socket(NULL, ZMQ_PULL));
    cr_assert_eq(errno, EFAULT);
    errno = 0;
    cr_assert_null(zmq_socket(zeros, ZMQ_PULL));
    cr_assert_eq(errno, EFAULT);
    errno = 0;
    cr_assert_null(zmq_init(-1));
    cr_assert_eq(errno, EINVAL);
}

Test(context, options_have_libzmqs_defaults_and_limits)
{
    static const struct {
        int option, initial, good, bad;
    } rows[] = {
        {ZMQ_IO_THREADS, 1, 3, -1},       {ZMQ_MAX_SOCKETS, 1023, 7, 0},
        {ZMQ_IPV6, 0, 1, INT32_MIN},      {ZMQ_BLOCKY, 1, 0, INT32_MIN},
        {ZMQ_MAX_MSGSZ, INT32_MAX, 5, -1}, {ZMQ_MSG_T_SIZE, 64, 64, 1},
        {ZMQ_SOCKET_LIMIT, 65535, 65535, INT32_MIN},
    };
    void *context = zmq_ctx_new();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cr_assert_eq(zmq_ctx_get(context, rows[i].option), rows[i].initial, "option %d", rows[i].option);
        if (rows[i].good != rows[i].initial)
            KIT_OK(zmq_ctx_set(context, rows[i].option, rows[i].good));
        if (rows[i].bad != INT32_MIN)
            KIT_FAILS(EINVAL, zmq_ctx_set(context, rows[i].option, rows[i].bad));
        cr_assert_eq(zmq_ctx_get(context, rows[i].option), rows[i].good, "option %d", rows[i].option);
    }
    KIT_FAILS(EINVAL, zmq_ctx_get(context, 12345));
    KIT_FAILS(EINVAL, zmq_ctx_set(context, 12345, 1));
    int value;
    size_t small = 1;
    KIT_FAILS(EINVAL, zmq_ctx_get_ext(context, ZMQ_IO_THREADS, &value, &small));
    KIT_FAILS(EINVAL, zmq_ctx_set_ext(context, ZMQ_IO_THREADS, NULL, sizeof value));
    KIT_OK(zmq_ctx_term(context));
}

Test(context, starts_no_thread_before_the_first_socket)
{
    int before = kit_fds();
    void *context = zmq_ctx_new();
    cr_assert_eq(kit_fds(), before);
    KIT_OK(zmq_ctx_term(context));
    context = zmq_init(0);
    cr_assert_eq(zmq_ctx_get(context, ZMQ_IO_THREADS), 0);
    KIT_OK(zmq_term(context));
}

Test(context, gives_everything_back)
{
    KIT_OK(zmq_ctx_term(zmq_ctx_new()));
    int before = 0;
    for (int i = 0; i < 20; i++) {
        void *context = zmq_ctx_new();
        KIT_OK(zmq_ctx_set(context, ZMQ_IO_THREADS, 1 + i % 3));
        void *to = kit_socket(context, ZMQ_PULL), *from = kit_socket(context, ZMQ_PUSH);
        char text[KIT_ENDPOINT_SIZE];
        kit_bind(to, kit_transports[i % KIT_TRANSPORTS], text);
        KIT_OK(zmq_connect(from, text));
        kit_send_text(from, "hello", 0);
        kit_recv_text(to, "hello");
        KIT_OK(zmq_close(from));
        KIT_OK(zmq_close(to));
        KIT_OK(zmq_ctx_destroy(context));
        if (i == 0)
            before = kit_fds();
    }
    cr_assert_eq(kit_fds(), before);
}

Test(context, max_sockets)
{
    void *context = zmq_ctx_new();
    KIT_OK(zmq_ctx_set(context, ZMQ_MAX_SOCKETS, 2));
    void *first = kit_socket(context, ZMQ_PULL), *second = kit_socket(context, ZMQ_PUSH);
    errno = 0;
    cr_assert_null(zmq_socket(context, ZMQ_PULL));
    cr_assert_eq(errno, EMFILE);
    KIT_OK(zmq_close(first));
    KIT_UNTIL((first = zmq_socket(context, ZMQ_PULL)) != NULL);
    KIT_OK(zmq_close(first));
    KIT_OK(zmq_close(second));
    KIT_OK(zmq_ctx_term(context));
}

/* Inline needs none of them. */
Test(context, without_io_threads_only_inproc_works)
{
    void *context = zmq_ctx_new();
    KIT_OK(zmq_ctx_set(context, ZMQ_IO_THREADS, 0));
    void *to = kit_socket(context, ZMQ_PULL), *from = kit_socket(context, ZMQ_PUSH);
    if (!kit_is_inline()) {
        KIT_FAILS(EMTHREAD, zmq_bind(to, "tcp://127.0.0.1:*"));
        KIT_FAILS(EMTHREAD, zmq_bind(to, "ipc://*"));
        KIT_FAILS(EMTHREAD, zmq_connect(from, "tcp://127.0.0.1:5555"));
        KIT_FAILS(EMTHREAD, zmq_connect(from, "ipc://@zuring-nobody"));
    }
    for (int t = kit_is_inline() ? 0 : KIT_TRANSPORTS - 1; t < KIT_TRANSPORTS; t++) {
        char text[KIT_ENDPOINT_SIZE];
        KIT_OK(zmq_connect(from, kit_bind(to, kit_transports[t], text)));
        kit_send_text(from, "hello", 0);
        kit_recv_text(to, "hello");
        KIT_OK(zmq_disconnect(from, text));
    }
    KIT_OK(zmq_close(from));
    KIT_OK(zmq_close(to));
    KIT_OK(zmq_ctx_term(context));
}

Test(context, after_shutdown_everything_but_close_says_eterm)
{
    struct kit_pair pair = kit_pair("tcp", ZMQ_PUSH, ZMQ_PULL);
    char byte;
    int value = 0;
    size_t size = sizeof value;
    zmq_msg_t msg;
    zmq_msg_init(&msg);
    KIT_OK(zmq_ctx_shutdown(pair.context));
    KIT_OK(zmq_ctx_shutdown(pair.context));
    KIT_FAILS(ETERM, zmq_send(pair.from, "x", 1, 0));
    KIT_FAILS(ETERM, zmq_send(pair.from, "x", 1, ZMQ_DONTWAIT));
    KIT_FAILS(ETERM, zmq_msg_send(&msg, pair.from, 0));
    KIT_FAILS(ETERM, zmq_recv(pair.to, &byte, 1, ZMQ_DONTWAIT));
    KIT_FAILS(ETERM, zmq_msg_recv(&msg, pair.to, 0));
    KIT_FAILS(ETERM, zmq_bind(pair.to, "inproc://late"));
    KIT_FAILS(ETERM, zmq_connect(pair.from, "inproc://late"));
    KIT_FAILS(ETERM, zmq_unbind(pair.to, pair.text));
    KIT_FAILS(ETERM, zmq_disconnect(pair.from, pair.text));
    KIT_FAILS(ETERM, zmq_setsockopt(pair.from, ZMQ_LINGER, &value, sizeof value));
    KIT_FAILS(ETERM, zmq_getsockopt(pair.from, ZMQ_EVENTS, &value, &size));
    zmq_pollitem_t item = {.socket = pair.to, .events = ZMQ_POLLIN};
    KIT_FAILS(ETERM, zmq_poll(&item, 1, -1));
    errno = 0;
    cr_assert_null(zmq_socket(pair.context, ZMQ_PULL));
    cr_assert_eq(errno, ETERM);
    kit_pair_end(&pair);
}

static int call_recv(void *socket)
{
    char byte;
    return zmq_recv(socket, &byte, 1, 0);
}

static int call_send(void *socket)
{
    return zmq_send(socket, "x", 1, 0);
}

static int call_poll(void *socket)
{
    zmq_pollitem_t item = {.socket = socket, .events = ZMQ_POLLIN};
    return zmq_poll(&item, 1, -1);
}

static int call_poll_two(void *socket)
{
    zmq_pollitem_t items[2] = {{.socket = socket, .events = ZMQ_POLLIN}, {.fd = 0}};
    return zmq_poll(items, 2, -1);
}

static int call_term(void *context)
{
    return zmq_ctx_term(context);
}

Test(context, shutdown_wakes_what_blocks)
{
    static const struct {
        int type;
        int (*call)(void *);
    } rows[] = {{ZMQ_PULL, call_recv}, {ZMQ_PUSH, call_send}, {ZMQ_PULL, call_poll}, {ZMQ_PULL, call_poll_two}};
    enum { ROWS = sizeof rows / sizeof rows[0] };
    void *context = zmq_ctx_new();
    void *sockets[ROWS];
    struct kit_thread threads[ROWS];
    for (int i = 0; i < ROWS; i++) {
        sockets[i] = kit_socket(context, rows[i].type);
        kit_thread_start(&threads[i], rows[i].call, sockets[i]);
    }
    KIT_OK(zmq_ctx_shutdown(context));
    for (int i = 0; i < ROWS; i++) {
        cr_assert_eq(kit_thread_join(&threads[i]), ETERM, "row %d", i);
        KIT_OK(zmq_close(sockets[i]));
    }
    KIT_OK(zmq_ctx_term(context));
}

Test(context, term_waits_for_the_last_close)
{
    void *context = zmq_ctx_new();
    void *open[2] = {kit_socket(context, ZMQ_PULL), kit_socket(context, ZMQ_PUSH)};
    struct kit_thread term;
    kit_thread_start(&term, call_term, context);
    for (int i = 0; i < 2; i++) {
        KIT_UNTIL(kit_thread_state(term.tid) == 'S');
        KIT_UNTIL(KIT_ERRNO(zmq_send(open[i], "x", 1, ZMQ_DONTWAIT)) == ETERM);
        KIT_OK(zmq_close(open[i]));
    }
    cr_assert_eq(kit_thread_join(&term), 0);
}

static void ignore(int number)
{
    (void)number;
}

Test(context, term_is_interrupted_and_called_again)
{
    struct sigaction action = {.sa_handler = ignore, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, NULL);
    void *context = zmq_ctx_new();
    void *socket = kit_socket(context, ZMQ_PULL);
    struct kit_thread term;
    kit_thread_start(&term, call_term, context);
    cr_assert_eq(kit_thread_interrupt(&term), EINTR);
    KIT_OK(zmq_close(socket));
    KIT_OK(zmq_ctx_term(context));
}

Test(context, blocky_decides_linger)
{
    void *context = zmq_ctx_new();
    void *socket = zmq_socket(context, ZMQ_PUSH);
    cr_assert_eq(kit_get(socket, ZMQ_LINGER), -1);
    KIT_OK(zmq_close(socket));
    KIT_OK(zmq_ctx_set(context, ZMQ_BLOCKY, 0));
    socket = zmq_socket(context, ZMQ_PUSH);
    cr_assert_eq(kit_get(socket, ZMQ_LINGER), 0);
    KIT_OK(zmq_close(socket));
    KIT_OK(zmq_ctx_term(context));
}

/* Rings that are made and taken apart must not leave work to this thread: the kernel would do it with an EINTR. */
Test(context, does_not_interrupt_the_applications_waits)
{
    int epoll = epoll_create1(0);
    struct epoll_event event;
    for (int i = 0; i < 10; i++) {
        struct kit_pair pair = kit_pair("tcp", ZMQ_PUSH, ZMQ_PULL);
        kit_send_text(pair.from, "a", 0);
        kit_recv_text(pair.to, "a");
        cr_assert_eq(epoll_wait(epoll, &event, 1, 20), 0, "%s", strerror(errno));
        kit_pair_end(&pair);
        cr_assert_eq(epoll_wait(epoll, &event, 1, 20), 0, "%s", strerror(errno));
    }
    close(epoll);
}
