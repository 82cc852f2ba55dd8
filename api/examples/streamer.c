/* SPDX-License-Identifier: MIT */
/*
 * A place where those who give work and those who do it meet: PULL and PUSH, both bound.
 *
 * Run:     streamer [GIVERS=tcp://127.0.0.1:5557] [WORKERS=tcp://127.0.0.1:5561] [COUNT=1]
 *          then ventilator 1 100 10 '>tcp://localhost:5557', task_sink, and COUNT times task_worker NAME
 *          tcp://localhost:5561
 * Expect:  nothing, until Ctrl-C. It passes nothing on before COUNT workers are there, and then to each in turn.
 */
#include "zhelpers.h"

int main(int argc, char **argv)
{
    void *context = zmq_ctx_new();
    s_shutdown_on_signals(context);
    void *frontend = zmq_socket(context, ZMQ_PULL);
    void *backend = zmq_socket(context, ZMQ_PUSH);
    s_check(frontend && backend, "zmq_socket");
    void *monitor = s_watch_peers(context, backend);
    s_bind(backend, s_arg(argc, argv, 2, "tcp://127.0.0.1:5561"));
    if (s_await_peers(monitor, backend, (int)s_number(argc, argv, 3, 1)) == 0) {
        s_bind(frontend, s_arg(argc, argv, 1, "tcp://127.0.0.1:5557"));
        s_proxy(frontend, backend);
    }
    puts("the streamer closes");
    zmq_close(frontend);
    zmq_close(backend);
    zmq_ctx_term(context);
    return 0;
}
