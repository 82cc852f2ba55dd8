/* SPDX-License-Identifier: MIT */
/*
 * hello_server as it was written for ZeroMQ 2.x: zmq_init, messages in every call, zmq_term. Not a word of it is new; it is
 * compiled with `-include zuring/zmq2.h`.
 *
 * Run:     old_server [ENDPOINT=tcp://127.0.0.1:5555] [REQUESTS=10]
 *          An ENDPOINT that begins with '>' is connected to, for old_queue.
 * Expect:  a line for each request. Its clients may be old or new.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

int main(int argc, char **argv)
{
    const char *endpoint = argc > 1 ? argv[1] : "tcp://127.0.0.1:5555";
    int requests = argc > 2 ? atoi(argv[2]) : 10, n;
    void *context = zmq_init(1);
    void *responder = zmq_socket(context, ZMQ_REP);
    uint64_t hwm = 50;
    zmq_setsockopt(responder, ZMQ_HWM, &hwm, sizeof(hwm));
    if ((*endpoint == '>' ? zmq_connect(responder, endpoint + 1) : zmq_bind(responder, endpoint)) != 0) {
        fprintf(stderr, "%s: %s\n", endpoint, zmq_strerror(zmq_errno()));
        return 1;
    }
    for (n = 0; n < requests; n++) {
        zmq_msg_t request, reply;
        zmq_msg_init(&request);
        if (zmq_recv(responder, &request, 0) != 0)
            return 1;
        printf("Received %.*s\n", (int)zmq_msg_size(&request), (char *)zmq_msg_data(&request));
        zmq_msg_close(&request);
        zmq_msg_init_size(&reply, 5);
        memcpy(zmq_msg_data(&reply), "World", 5);
        if (zmq_send(responder, &reply, 0) != 0)
            return 1;
        zmq_msg_close(&reply);
    }
    zmq_close(responder);
    zmq_term(context);
    return 0;
}
