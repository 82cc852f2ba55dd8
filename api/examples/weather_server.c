/* SPDX-License-Identifier: MIT */
/*
 * Publishes weather: zip code, temperature, humidity, as fast as it can, for any number of readers (PUB or XPUB, SUB).
 *
 * Run:     weather_server [UPDATES=0: until Ctrl-C] [READERS=1] [ENDPOINT...=tcp://127.0.0.1:5556 ipc:///tmp/weather.ipc]
 *          An endpoint that begins with '>' is connected to, for a forwarder that many servers share.
 * Expect:  with UPDATES, it waits until READERS have subscribed, publishes that many, tells everybody "END", and prints
 *          for each zip code that was asked for how many updates there were: just what the readers count.
 *
 * A PUB says nothing about who listens, and what it sends before they have connected is lost on them. An XPUB is a PUB
 * that can be read: from it come the subscriptions, so that it can wait for them.
 * Until Ctrl-C, nobody is waited for or counted: that is a PUB.
 */
#include "zhelpers.h"

enum { ZIPS = 100000, LOOK_EVERY = 1000 };

static long published[ZIPS]; /* by zip code */
static bool wanted[ZIPS];    /* was subscribed to */

/* Takes what has been subscribed to, without waiting for more unless `readers` are to come. 0, or -1 if interrupted. */
static int hear(void *publisher, int signal_fd, long readers)
{
    for (;;) {
        if (readers > 0 && !s_await(publisher, signal_fd))
            return -1;
        char *request = s_recv_flags(publisher, ZMQ_DONTWAIT);
        if (!request)
            return 0;
        if (request[0] == 1 && isdigit((unsigned char)request[1])) {
            wanted[atol(request + 1) % ZIPS] = true;
            readers--;
        }
        free(request);
    }
}

static void publish(void *publisher)
{
    char update[32];
    int zip = randof(ZIPS);
    int size = snprintf(update, sizeof update, "%05d %d %d", zip, randof(55) - 15, randof(50) + 40);
    zmq_send(publisher, update, (size_t)size, 0);
    published[zip]++;
}

int main(int argc, char **argv)
{
    long updates = s_number(argc, argv, 1, 0), readers = s_number(argc, argv, 2, 1), n = 0;
    int signal_fd = s_catch_signals();
    srandom((unsigned)(time(NULL) ^ getpid()));
    void *context = zmq_ctx_new();
    void *publisher = zmq_socket(context, updates ? ZMQ_XPUB : ZMQ_PUB);
    s_check(publisher != NULL, "zmq_socket");
    if (updates)
        s_set(publisher, ZMQ_XPUB_VERBOSE, 1); /* each reader is heard, also when it wants what others want */
    for (int i = 3; i < argc; i++)
        s_attach(publisher, argv[i]);
    if (argc <= 3) {
        s_bind(publisher, "tcp://127.0.0.1:5556");
        s_bind(publisher, "ipc:///tmp/weather.ipc");
    }
    int rc = updates ? hear(publisher, signal_fd, readers) : 0;
    int64_t start = s_clock();
    for (; rc == 0 && !s_interrupted && (!updates || n < updates); n++) {
        if (updates && n % LOOK_EVERY == 0)
            hear(publisher, signal_fd, 0);
        publish(publisher);
    }
    printf("%ld updates published in %ld ms\n", n, (long)(s_clock() - start));
    s_send(publisher, "END");
    for (int zip = 0; zip < ZIPS; zip++) {
        if (wanted[zip])
            printf("%05d: %ld updates\n", zip, published[zip]);
    }
    zmq_close(publisher);
    zmq_ctx_term(context);
    return 0;
}
