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
}

static void polls_lack(void *poller, void *socket)
{
    zmq_poller_event_t event;
    zmq_fd_t fd;
    IS_UNBUILT(NULL, zmq_poller_new());
    IS_UNBUILT(-1, zmq_poller_destroy(poller ? &poller : NULL));
    IS_UNBUILT(-1, zmq_poller_size(poller));
    IS_UNBUILT(-1, zmq_poller_add(poller, socket, NULL, ZMQ_POLLIN));
    IS_UNBUILT(-1, zmq_poller_modify(poller, socket, ZMQ_POLLIN));
    IS_UNBUILT(-1, zmq_poller_remove(poller, socket));
    IS_UNBUILT(-1, zmq_poller_add_fd(poller, 0, NULL, ZMQ_POLLIN));
    IS_UNBUILT(-1, zmq_poller_modify_fd(poller, 0, ZMQ_POLLIN));
    IS_UNBUILT(-1, zmq_poller_remove_fd(poller, 0));
    IS_UNBUILT(-1, zmq_poller_wait(poller, &event, 0));
    IS_UNBUILT(-1, zmq_poller_wait_all(poller, &event, 1, 0));
    IS_UNBUILT(-1, zmq_poller_fd(poller, &fd));
    IS_UNBUILT(-1, zmq_ppoll(NULL, 0, 0, NULL));
}

Test(unbuilt, says_so_whatever_it_is_given)
{
    int no_poller = 0;
    void *context = zmq_ctx_new();
    void *socket = kit_socket(context, ZMQ_PAIR);
    sockets_lack(socket);
    sockets_lack(NULL);
    polls_lack(&no_poller, socket);
    polls_lack(NULL, NULL);
    KIT_OK(zmq_close(socket));
    KIT_OK(zmq_ctx_term(context));
}
