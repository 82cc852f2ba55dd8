/* SPDX-License-Identifier: MIT */
/*
 * A place where publishers and subscribers meet without knowing one another: XSUB and XPUB, both bound.
 *
 * Run:     forwarder [PUBLISHERS=tcp://127.0.0.1:5557] [SUBSCRIBERS=tcp://127.0.0.1:5558]
 *          then e.g. weather_client tcp://localhost:5558 10001 0, and weather_server 1000000 1 '>tcp://localhost:5557'
 * Expect:  nothing, until Ctrl-C. Messages go down, subscriptions up: a publisher sends only what somebody wants.
 */
#include "zhelpers.h"

int main(int argc, char **argv)
{
    void *context = zmq_ctx_new();
    s_shutdown_on_signals(context);
    void *frontend = zmq_socket(context, ZMQ_XSUB);
    void *backend = zmq_socket(context, ZMQ_XPUB);
    s_check(frontend && backend, "zmq_socket");
    s_set(backend, ZMQ_XPUB_VERBOSE, 1); /* each subscription goes up, so that publishers can count their listeners */
    s_bind(frontend, s_arg(argc, argv, 1, "tcp://127.0.0.1:5557"));
    s_bind(backend, s_arg(argc, argv, 2, "tcp://127.0.0.1:5558"));
    s_proxy(frontend, backend);
    puts("the forwarder closes");
    zmq_close(frontend);
    zmq_close(backend);
    zmq_ctx_term(context);
    return 0;
}
