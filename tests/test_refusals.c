/* SPDX-License-Identifier: MIT */
/* Endpoints that cannot be served, and how they are told from wrong ones. */
#include "kit.h"

/* libzmq's answers, whatever stands behind the scheme. */
Test(refusals, transports)
{
    enum { FOR_OTHER_TYPES = -1 }; /* ENOCOMPATPROTO, but for those that it would serve if it were built */
    static const struct {
        const char *text;
        int error;
    } rows[] = {
        {"udp://127.0.0.1:5555", ENOCOMPATPROTO},
        {"udp://x", ENOCOMPATPROTO},
        {"pgm://127.0.0.1:5555", FOR_OTHER_TYPES},
        {"epgm://lo;239.1.1.1:5", FOR_OTHER_TYPES},
        {"norm://x:1", FOR_OTHER_TYPES},
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
    static const int types[] = {ZMQ_PUSH, ZMQ_PULL, ZMQ_PAIR, ZMQ_PUB, ZMQ_SUB, ZMQ_XPUB, ZMQ_XSUB, ZMQ_ROUTER};
    void *context = zmq_ctx_new();
    for (int type = 0; type < 8; type++) {
        void *socket = kit_socket(context, types[type]);
        bool is_multicast = type >= 3 && type < 7;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            int error = rows[i].error;
            if (error == FOR_OTHER_TYPES)
                error = is_multicast ? EPROTONOSUPPORT : ENOCOMPATPROTO;
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
