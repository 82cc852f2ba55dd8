/* SPDX-License-Identifier: MIT */
/*
 * hello_client as it was written for ZeroMQ 2.x; compiled with `-include zuring/zmq2.h`.
 *
 * Run:     old_client [ENDPOINT=tcp://localhost:5555] [REQUESTS=10]
 * Expect:  a line for each answer. It polls, in microseconds, and then takes the answer with ZMQ_NOBLOCK; it asks for
 *          ZMQ_RCVMORE in 64 bits: that is how it was.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

int main(int argc, char **argv)
{
    const char *endpoint = argc > 1 ? argv[1] : "tcp://localhost:5555";
    int requests = argc > 2 ? atoi(argv[2]) : 10, n;
    void *context = zmq_init(1);
    void *requester = zmq_socket(context, ZMQ_REQ);
    if (zmq_connect(requester, endpoint) != 0)
        return 1;
    for (n = 1; n <= requests; n++) {
        zmq_msg_t request, reply;
        zmq_pollitem_t item = {requester, 0, ZMQ_POLLIN, 0};
        int64_t more = -1;
        size_t more_size = sizeof(more);
        zmq_msg_init_size(&request, 5);
        memcpy(zmq_msg_data(&request), "Hello", 5);
        if (zmq_send(requester, &request, 0) != 0)
            return 1;
        zmq_msg_close(&request);
        if (zmq_poll(&item, 1, 20 * 1000000) != 1)
            return 1;
        zmq_msg_init(&reply);
        if (zmq_recv(requester, &reply, ZMQ_NOBLOCK) != 0)
            return 1;
        if (zmq_getsockopt(requester, ZMQ_RCVMORE, &more, &more_size) != 0 || more != 0)
            return 1;
        printf("Hello %d: %.*s\n", n, (int)zmq_msg_size(&reply), (char *)zmq_msg_data(&reply));
        zmq_msg_close(&reply);
    }
    zmq_close(requester);
    zmq_term(context);
    return 0;
}
