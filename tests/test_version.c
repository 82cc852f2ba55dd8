/* SPDX-License-Identifier: MIT */
/* What the library says about itself and about errors. */
#include "kit.h"
#include "zuring.h"

Test(version, is_that_of_the_header)
{
    int major = -1, minor = -1, patch = -1;
    char text[32];
    zmq_version(&major, &minor, &patch);
    cr_assert_eq(ZMQ_MAKE_VERSION(major, minor, patch), ZMQ_VERSION);
    cr_assert_eq(major, 4, "programs look at this");
    cr_assert_eq(minor, 3);
    snprintf(text, sizeof text, "%s", zuring_version());
    cr_assert_str_eq(text, ZURING_VERSION);
}

Test(version, has_what_works)
{
    static const char *const lacking[] = {"pgm", "tipc", "norm", "gssapi", "vmci", "draft", "ws",
                                          "wss", "WS",   "WSS",  "IPC",   "ipc ",   "",     "tcp"};
    cr_assert_eq(zmq_has("ipc"), 1);
    cr_assert_eq(zmq_has("curve"), 1);
    cr_assert_eq(zmq_has(NULL), 0);
    for (size_t i = 0; i < sizeof lacking / sizeof *lacking; i++)
        cr_expect_eq(zmq_has(lacking[i]), 0, "%s", lacking[i]);
}

/* libzmq's own wording, which programs print and tests compare. */
Test(version, own_errors_have_texts)
{
    cr_assert_str_eq(zmq_strerror(EFSM), "Operation cannot be accomplished in current state");
    cr_assert_str_eq(zmq_strerror(ENOCOMPATPROTO), "The protocol is not compatible with the socket type");
    cr_assert_str_eq(zmq_strerror(ETERM), "Context was terminated");
    cr_assert_str_eq(zmq_strerror(EMTHREAD), "No thread available");
    cr_assert_str_eq(zmq_strerror(EHOSTUNREACH), "Host unreachable");
}

/* Those too that a refused ring comes with, while none was refused: here, a file may have been. */
Test(version, other_errors_are_the_systems)
{
    void *context = zmq_ctx_new();
    void *socket = kit_socket(context, ZMQ_PULL);
    for (int error = 0; error < 200; error++) {
        char text[256];
        snprintf(text, sizeof text, "%s", strerror(error));
        if (error != EHOSTUNREACH)
            cr_expect_str_eq(zmq_strerror(error), text);
    }
    cr_assert_not_null(zmq_strerror(-1));
    cr_assert_not_null(zmq_strerror(INT32_MAX));
    KIT_OK(zmq_close(socket));
    KIT_OK(zmq_ctx_term(context));
}

static void *other_thread(void *unused)
{
    (void)unused;
    errno = EDOM;
    return (void *)(intptr_t)zmq_errno();
}

Test(version, errno_is_the_calling_threads)
{
    pthread_t thread;
    void *seen;
    KIT_FAILS(ENOTSOCK, zmq_close(NULL));
    cr_assert_eq(zmq_errno(), ENOTSOCK);
    cr_assert_eq(pthread_create(&thread, NULL, other_thread, NULL), 0);
    pthread_join(thread, &seen);
    cr_assert_eq((intptr_t)seen, EDOM);
    cr_assert_eq(zmq_errno(), ENOTSOCK);
}
