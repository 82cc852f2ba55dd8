/* SPDX-License-Identifier: MIT */
/*
 * The queue device between clients and servers as it was written for ZeroMQ 2.x: XREP, XREQ, zmq_device; compiled with
 * `-include zuring/zmq2.h`.
 *
 * Run:     old_queue [CLIENTS=tcp://127.0.0.1:5559] [SERVERS=tcp://127.0.0.1:5560]
 *          then old_server '>tcp://localhost:5560', and old_client tcp://localhost:5559
 * Expect:  nothing. It runs until it is killed, as devices did.
 */
#include <stdio.h>
#include <zmq.h>

int main(int argc, char **argv)
{
    void *context = zmq_init(1);
    void *frontend = zmq_socket(context, ZMQ_XREP);
    void *backend = zmq_socket(context, ZMQ_XREQ);
    if (zmq_bind(frontend, argc > 1 ? argv[1] : "tcp://127.0.0.1:5559") != 0 ||
        zmq_bind(backend, argc > 2 ? argv[2] : "tcp://127.0.0.1:5560") != 0)
        return 1;
    zmq_device(ZMQ_QUEUE, frontend, backend);
    zmq_close(frontend);
    zmq_close(backend);
    zmq_term(context);
    return 0;
}
