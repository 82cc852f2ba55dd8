/* SPDX-License-Identifier: MIT */
/* What inproc has of its own: a sender that has left before its bind came. Sizes go every way through a pipe. */
#include "kit.h"

static const size_t sizes[] = {0, 1, 100, 5000, 30000, 100000};
enum { SIZES = sizeof sizes / sizeof *sizes };

static _Atomic unsigned frees; /* calls of count_free */

static void count_free(void *data, void *hint)
{
    (void)hint;
    free(data);
    frees++;
}

static void foreign_send(void *socket, size_t size, uint32_t seed)
{
    zmq_msg_t msg;
    void *data = malloc(size ? size : 1);
    kit_fill(data, size, seed);
    KIT_OK(zmq_msg_init_data(&msg, data, size, count_free, NULL));
    KIT_OK(zmq_msg_send(&msg, socket, 0));
}

static void foreign_recv(void *socket, size_t size, uint32_t seed)
{
    zmq_msg_t msg;
    zmq_msg_init(&msg);
    cr_assert_eq(zmq_msg_recv(&msg, socket, 0), (int)size, "message %u: %s", seed, zmq_strerror(errno));
    cr_assert(kit_is_filled(zmq_msg_data(&msg), size, seed));
    zmq_msg_close(&msg);
}

static void *sender(void *context, int type, int linger_ms)
{
    void *socket = kit_socket(context, type);
    kit_set(socket, ZMQ_LINGER, linger_ms);
    KIT_OK(zmq_connect(socket, "inproc://later"));
    return socket;
}

/* As in libzmq, LINGER has no say in it. */
Test(inproc, what_was_sent_before_the_bind_outlives_the_sender)
{
    static const int lingers_ms[] = {-1, 0, 1000};
    for (int i = 0; i < 6; i++) {
        bool disconnects = i % 2;
        void *context = zmq_ctx_new();
        void *from = sender(context, ZMQ_PUSH, lingers_ms[i / 2]);
        for (uint32_t n = 0; n < SIZES; n++)
            foreign_send(from, sizes[n], n);
        kit_send_text(from, "half", ZMQ_SNDMORE);
        if (disconnects)
            KIT_OK(zmq_disconnect(from, "inproc://later"));
        else
            KIT_OK(zmq_close(from));
        void *to = kit_socket(context, ZMQ_PULL);
        KIT_OK(zmq_bind(to, "inproc://later"));
        for (uint32_t n = 0; n < SIZES; n++)
            foreign_recv(to, sizes[n], n);
        KIT_FAILS(EAGAIN, zmq_recv(to, NULL, 0, ZMQ_DONTWAIT));
        cr_assert_eq(frees, SIZES * (unsigned)(i + 1));
        if (disconnects) {
            kit_send_text(from, "the other half, of nothing", 0);
            KIT_FAILS(EAGAIN, zmq_send(from, "x", 1, ZMQ_DONTWAIT));
            KIT_OK(zmq_connect(from, "inproc://later"));
            kit_send_text(from, "again", 0);
            kit_recv_text(to, "again");
            KIT_OK(zmq_close(from));
        }
        KIT_OK(zmq_close(to));
        KIT_OK(zmq_ctx_term(context));
    }
}

/* Each of several has its turn; those still there are met as ever. */
Test(inproc, leavers_and_stayers_are_all_met)
{
    void *context = zmq_ctx_new(), *stayers[3];
    for (int i = 0; i < 3; i++) {
        void *leaver = sender(context, ZMQ_PUSH, 0);
        kit_send_text(leaver, "left", 0);
        KIT_OK(zmq_close(leaver));
        KIT_OK(zmq_close(sender(context, ZMQ_PUSH, 0))); /* with nothing to leave */
        stayers[i] = sender(context, ZMQ_PUSH, 0);
        kit_send_text(stayers[i], "here", 0);
    }
    void *to = kit_socket(context, ZMQ_PULL);
    KIT_OK(zmq_bind(to, "inproc://later"));
    for (int i = 0; i < 3; i++) {
        kit_recv_text(to, "left");
        kit_recv_text(to, "here");
    }
    for (int i = 0; i < 3; i++) {
        kit_send_text(stayers[i], "still", 0);
        kit_recv_text(to, "still");
        KIT_OK(zmq_close(stayers[i]));
    }
    KIT_OK(zmq_close(to));
    void *second = kit_socket(context, ZMQ_PULL);
    KIT_UNTIL(zmq_bind(second, "inproc://later") == 0);
    KIT_FAILS(EAGAIN, zmq_recv(second, NULL, 0, ZMQ_DONTWAIT)); /* the first bind has had it all */
    KIT_OK(zmq_close(second));
    KIT_OK(zmq_ctx_term(context));
}

/* Its place is free at once for the next; what is said to it meanwhile goes nowhere. */
Test(inproc, a_pair_that_left)
{
    void *context = zmq_ctx_new(), *to = kit_socket(context, ZMQ_PAIR);
    void *leaver = sender(context, ZMQ_PAIR, -1);
    kit_send_text(leaver, "left", 0);
    KIT_OK(zmq_disconnect(leaver, "inproc://later"));
    KIT_FAILS(EAGAIN, zmq_recv(leaver, NULL, 0, ZMQ_DONTWAIT));
    KIT_OK(zmq_bind(to, "inproc://later"));
    kit_recv_text(to, "left");
    KIT_FAILS(EAGAIN, zmq_send(to, "x", 1, ZMQ_DONTWAIT));
    KIT_OK(zmq_connect(leaver, "inproc://later"));
    kit_send_text(leaver, "hello", 0);
    kit_recv_text(to, "hello");
    kit_send_text(to, "answer", 0);
    kit_recv_text(leaver, "answer");
    KIT_OK(zmq_close(leaver));
    KIT_OK(zmq_close(to));
    KIT_OK(zmq_ctx_term(context));
}

Test(inproc, without_a_bind_it_goes_with_the_context)
{
    for (int linger_ms = -1; linger_ms <= 0; linger_ms++) {
        void *context = zmq_ctx_new();
        frees = 0;
        for (int i = 0; i < 2; i++) {
            void *from = sender(context, i ? ZMQ_PAIR : ZMQ_PUSH, linger_ms);
            for (uint32_t n = 0; n < SIZES; n++)
                foreign_send(from, sizes[n], n);
            KIT_OK(zmq_close(from));
        }
        uint64_t before_ms = kit_now_ms();
        KIT_OK(zmq_ctx_term(context)); /* waits for nobody */
        cr_assert_lt(kit_now_ms() - before_ms, KIT_WAIT_MS / 2);
        cr_assert_eq(frees, 2 * SIZES, "and drops each once");
    }
}

/* Those who left hear of nothing any more, so a bind may be as short as it likes. */
Test(inproc, a_bind_that_leaves_too)
{
    for (int i = 0; i < 4; i++) {
        void *context = zmq_ctx_new(), *to = kit_socket(context, i % 2 ? ZMQ_PAIR : ZMQ_PULL);
        frees = 0;
        for (int n = 0; n < 3; n++) {
            void *from = sender(context, ZMQ_PUSH, -1);
            foreign_send(from, 100000, 1);
            KIT_OK(zmq_close(from));
        }
        KIT_OK(zmq_bind(to, "inproc://later"));
        if (i / 2)
            foreign_recv(to, 100000, 1);
        KIT_OK(zmq_close(to));
        KIT_OK(zmq_ctx_term(context));
        cr_assert_eq(frees, 3);
    }
}

static int binds(void *to)
{
    for (int i = 0; i < 300; i++) {
        if (zmq_bind(to, "inproc://later") < 0 || zmq_unbind(to, "inproc://later") < 0)
            return -1;
        while (zmq_recv(to, NULL, 0, ZMQ_DONTWAIT) >= 0)
            ;
    }
    return 0;
}

/* Sockets wait, change their limits and leave, while the name is bound and unbound. */
Test(inproc, leaving_and_binding_at_once)
{
    void *context = zmq_ctx_new(), *to = kit_socket(context, ZMQ_PULL);
    struct kit_thread thread = {.call = binds, .arg = to};
    frees = 0;
    cr_assert_eq(pthread_create(&thread.id, NULL, kit_thread_main, &thread), 0);
    for (int i = 0; i < 300; i++) {
        void *from = sender(context, i % 3 ? ZMQ_PUSH : ZMQ_PAIR, 0);
        foreign_send(from, 30000, 1);
        kit_set(from, ZMQ_SNDHWM, 1 + i % 5);
        if (i % 2)
            KIT_OK(zmq_disconnect(from, "inproc://later"));
        KIT_OK(zmq_close(from));
    }
    cr_assert_eq(kit_thread_join(&thread), 0);
    KIT_OK(zmq_close(to));
    KIT_OK(zmq_ctx_term(context));
    cr_assert_eq(frees, 300);
}

static void set_plain_server(void *socket)
{
    kit_set(socket, ZMQ_PLAIN_SERVER, 1);
}

static void set_plain_client(void *socket)
{
    KIT_OK(zmq_setsockopt(socket, ZMQ_PLAIN_USERNAME, "name", 4));
    KIT_OK(zmq_setsockopt(socket, ZMQ_PLAIN_PASSWORD, "word", 4));
}

static void set_curve_server(void *socket)
{
    kit_set(socket, ZMQ_CURVE_SERVER, 1);
}

static void set_curve_client(void *socket)
{
    static const char key[] = "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6";
    KIT_OK(zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, key, sizeof key));
}

static void set_nothing(void *socket)
{
    (void)socket;
}

static void set_domain(void *socket)
{
    kit_set(socket, ZMQ_ZAP_ENFORCE_DOMAIN, 1);
    KIT_OK(zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, "global", 6));
}

static void set_proxy(void *socket)
{
    KIT_OK(zmq_setsockopt(socket, ZMQ_SOCKS_PROXY, "127.0.0.1:9", 11));
}

/* Between two sockets of a process there is nothing to secure, and no proxy. */
Test(inproc, what_is_about_the_network_does_not_concern_it)
{
    static void (*const settings[])(void *) = {set_nothing,      set_plain_server, set_plain_client, set_curve_server,
                                               set_curve_client, set_domain,       set_proxy};
    void *context = zmq_ctx_new();
    for (int i = 0; i < 49; i++) {
        void *to = kit_socket(context, ZMQ_PULL), *from = kit_socket(context, ZMQ_PUSH);
        char text[KIT_ENDPOINT_SIZE];
        settings[i / 7](to);
        settings[i % 7](from);
        kit_bind(to, "inproc", text);
        KIT_OK(zmq_connect(from, text));
        kit_send_text(from, "plain", 0);
        kit_recv_text(to, "plain");
        KIT_OK(zmq_close(to));
        KIT_OK(zmq_close(from));
    }
    KIT_OK(zmq_ctx_term(context));
}
