/* SPDX-License-Identifier: MIT */
/*
 * Stands between clients and workers, by zmq_proxy: what broker does by hand.
 *
 * Run:     broker_proxy [CLIENTS=tcp://127.0.0.1:5559] [WORKERS=tcp://127.0.0.1:5560]
 * Expect:  nothing, until Ctrl-C. The proxy ends when the context is shut down.
 */
#include "zhelpers.h"

int main(int argc, char **argv)
{
    void *context = zmq_ctx_new();
    s_shutdown_on_signals(context);
    void *frontend = zmq_socket(context, ZMQ_ROUTER);
    void *backend = zmq_socket(context, ZMQ_DEALER);
    s_check(frontend && backend, "zmq_socket");
    s_bind(frontend, s_arg(argc, argv, 1, "tcp://127.0.0.1:5559"));
    s_bind(backend, s_arg(argc, argv, 2, "tcp://127.0.0.1:5560"));
    s_proxy(frontend, backend);
    puts("the broker closes");
    zmq_close(frontend);
    zmq_close(backend);
    zmq_ctx_term(context);
    return 0;
}
