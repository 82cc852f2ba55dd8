/* SPDX-License-Identifier: MIT */
/*
 * Bridges two networks: stands on both, reads the weather of the inner one and publishes it on the outer one, whose
 * readers cannot reach the server.
 *
 * Run:     weather_proxy [INSIDE=tcp://localhost:5556] [OUTSIDE=tcp://127.0.0.1:8100]
 *          then weather_client tcp://localhost:8100
 * Expect:  nothing, until Ctrl-C. Only what the outside has subscribed to crosses the bridge.
 */
#include "zhelpers.h"

int main(int argc, char **argv)
{
    void *context = zmq_ctx_new();
    s_shutdown_on_signals(context);
    void *inside = zmq_socket(context, ZMQ_XSUB);
    void *outside = zmq_socket(context, ZMQ_XPUB);
    s_check(inside && outside, "zmq_socket");
    s_connect(inside, s_arg(argc, argv, 1, "tcp://localhost:5556"));
    s_bind(outside, s_arg(argc, argv, 2, "tcp://127.0.0.1:8100"));
    s_proxy(inside, outside);
    puts("the bridge closes");
    zmq_close(inside);
    zmq_close(outside);
    zmq_ctx_term(context);
    return 0;
}
