/* SPDX-License-Identifier: MIT */
/* Endpoints that cannot be served, and how they are told from wrong ones. */
#include "kit.h"

/* Whoever asks for a proxy must not be seen without: only its connects by tcp are concerned. */
Test(refusals, connect_by_a_proxy)
{
    void *context = zmq_ctx_new();
    void *socket = kit_socket(context, ZMQ_PUSH), *other = kit_socket(context, ZMQ_PULL);
    char text[KIT_ENDPOINT_SIZE], local[KIT_ENDPOINT_SIZE];
    kit_bind(other, "tcp", text);
    kit_bind(other, "ipc", local);
    KIT_OK(zmq_setsockopt(socket, ZMQ_SOCKS_PROXY, "127.0.0.1:9", 11));
    KIT_FAILS(ENOTSUP, zmq_connect(socket, text));
    KIT_FAILS(EINVAL, zmq_connect(socket, "tcp://127.0.0.1"));
    KIT_FAILS(ENOENT, zmq_disconnect(socket, text));
    KIT_FAILS(EAGAIN, zmq_send(socket, "x", 1, ZMQ_DONTWAIT));
    KIT_OK(zmq_connect(socket, local));
    kit_send_text(socket, "by ipc", 0);
    kit_recv_text(other, "by ipc");
    KIT_OK(zmq_disconnect(socket, local));
    KIT_OK(zmq_bind(socket, "tcp://127.0.0.1:*"));
    KIT_OK(zmq_setsockopt(socket, ZMQ_SOCKS_PROXY, NULL, 0));
    KIT_OK(zmq_connect(socket, text));
    kit_send_text(socket, "directly", 0);
    kit_recv_text(other, "directly");
    KIT_OK(zmq_close(socket));
    KIT_OK(zmq_close(other));
    KIT_OK(zmq_ctx_term(context));
}

/* libzmq's answers, whatever stands behind the scheme. */
Test(refusals, transports)
{
    static const struct {
        const char *text;
        int error;
    } rows[] = {
        {"udp://127.0.0.1:5555", ENOCOMPATPROTO},
        {"udp://x", ENOCOMPATPROTO},
        {"pgm://127.0.0.1:5555", ENOCOMPATPROTO},
        {"epgm://lo;239.1.1.1:5", ENOCOMPATPROTO},
        {"norm://x:1", ENOCOMPATPROTO},
        {"vmci://*:*", EPROTONOSUPPORT},
        {"vsock://*:*", EPROTONOSUPPORT},
        {"wss://127.0.0.1:1", EPROTONOSUPPORT},
        {"tipc://{1,2,3}", EPROTONOSUPPORT},
        {"ws://127.0.0.1:1", EPROTONOSUPPORT},
        {"gssapi://x:1", EPROTONOSUPPORT},
        {"foo://x", EPROTONOSUPPORT},
        {"UDP://127.0.0.1:5555", EPROTONOSUPPORT},
        {"ud://127.0.0.1:5555", EPROTONOSUPPORT},
        {"udps://127.0.0.1:5555", EPROTONOSUPPORT},
        {"udp:/x", EINVAL},
        {"pgm://", EINVAL},
    };
    static const int types[] = {ZMQ_PUSH, ZMQ_PULL, ZMQ_PAIR};
    void *context = zmq_ctx_new();
    for (int type = 0; type < 3; type++) {
        void *socket = kit_socket(context, types[type]);
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            int error = rows[i].error;
            const char *text = rows[i].text;
            cr_expect_eq(KIT_ERRNO(zmq_bind(socket, text)), error, "bind %s", text);
            cr_expect_eq(KIT_ERRNO(zmq_connect(socket, text)), error, "connect %s", text);
            cr_expect_eq(KIT_ERRNO(zmq_unbind(socket, text)), error, "unbind %s", text);
            cr_expect_eq(KIT_ERRNO(zmq_disconnect(socket, text)), error, "disconnect %s", text);
        }
        KIT_OK(zmq_close(socket));
    }
    KIT_OK(zmq_ctx_term(context));
}
