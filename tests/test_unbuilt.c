/* SPDX-License-Identifier: MIT */
/* What is not built yet says so, with the failure value that its prototype has, and whatever it is given. */
#include "kit.h"

/* A call that returns `value` with errno ENOTSUP. */
#define IS_UNBUILT(value, call)                                                                                        \
    do {                                                                                                               \
        errno = 0;                                                                                                     \
        cr_expect((call) == (value), "%s", #call);                                                                     \
        cr_expect_eq(errno, ENOTSUP, "%s: %s", #call, zmq_strerror(errno));                                            \
    } while (0)

static void sockets_lack(void *socket)
{
    IS_UNBUILT(-1, zmq_join(socket, "group"));
    IS_UNBUILT(-1, zmq_leave(socket, "group"));
    IS_UNBUILT(0u, zmq_connect_peer(socket, "tcp://127.0.0.1:1"));
    IS_UNBUILT(-1, zmq_disconnect_peer(socket, 1));
    IS_UNBUILT(-1, zmq_socket_get_peer_state(socket, "id", 2));
}

Test(unbuilt, says_so_whatever_it_is_given)
{
    void *context = zmq_ctx_new();
    void *socket = kit_socket(context, ZMQ_PAIR);
    sockets_lack(socket);
    sockets_lack(NULL);
    KIT_OK(zmq_close(socket));
    KIT_OK(zmq_ctx_term(context));
}
