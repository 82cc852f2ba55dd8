/* SPDX-License-Identifier: MIT */
/*
 * Reads the weather of one place and tells the average (SUB).
 *
 * Run:     weather_client [ENDPOINT=tcp://localhost:5556] [ZIP=10001] [UPDATES=100; 0: until the server says "END"]
 * Expect:  "10001: 100 updates, 12 degrees on average". The server sends only what begins with the zip code: the rest of
 *          its flood never leaves it.
 */
#include "zhelpers.h"

int main(int argc, char **argv)
{
    const char *endpoint = s_arg(argc, argv, 1, "tcp://localhost:5556");
    const char *zip = s_arg(argc, argv, 2, "10001");
    long updates = s_number(argc, argv, 3, 100), count = 0, sum = 0;
    void *context = zmq_ctx_new();
    s_shutdown_on_signals(context);
    void *subscriber = zmq_socket(context, ZMQ_SUB);
    s_check(subscriber != NULL, "zmq_socket");
    s_subscribe(subscriber, "END"); /* before the zip code: who has heard of that has heard of both */
    s_subscribe(subscriber, zip);
    s_connect(subscriber, endpoint);
    while (!updates || count < updates) {
        int code, degrees, humidity;
        char *update = s_recv(subscriber);
        bool is_update = update && sscanf(update, "%d %d %d", &code, &degrees, &humidity) == 3;
        free(update);
        if (!is_update)
            break;
        sum += degrees;
        count++;
    }
    printf("%s: %ld updates, %ld degrees on average\n", zip, count, count ? sum / count : 0);
    zmq_close(subscriber);
    zmq_ctx_term(context);
    return 0;
}
