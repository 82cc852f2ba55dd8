/* SPDX-License-Identifier: MIT */
/*
 * What happens at the high-water mark, when nobody reads: some sockets wait, others drop. Counted with zuring_peers, which
 * only zuring has.
 *
 * Run:     hwm [ENDPOINT=tcp://127.0.0.1:5567] [ATTEMPTS=30000]
 * Expect:  a line for each socket type and transport:
 *          PUSH, DEALER and a ROUTER that is to mind its routes wait, here for a tenth of a second, then EAGAIN; none is
 *          lost. XPUB (PUB does the same) and ROUTER drop what does not fit, and the program does not notice: the counter
 *          does. What is not dropped arrives.
 *          By inproc exactly SNDHWM + RCVHWM fit, 5 + 7 here. By tcp there is also what the kernel and the other side
 *          hold, which depends on the machine.
 */
#include "zhelpers.h"
#include "zuring.h"

enum { SNDHWM = 5, RCVHWM = 7, BODY_SIZE = 1000, SEND_MS = 100, READ_MS = 20000 };

struct demo {
    const char *name;
    int from, to;   /* socket types */
    bool mandatory; /* ROUTER_MANDATORY */
};

static const struct demo demos[] = {
    {"PUSH", ZMQ_PUSH, ZMQ_PULL, false},
    {"DEALER", ZMQ_DEALER, ZMQ_DEALER, false},
    {"ROUTER, mandatory", ZMQ_ROUTER, ZMQ_DEALER, true},
    {"ROUTER", ZMQ_ROUTER, ZMQ_DEALER, false},
    {"XPUB", ZMQ_XPUB, ZMQ_SUB, false},
};

struct pair {
    void *from, *to;
};

/* Joined, and each knows that the other one is there. */
static struct pair pair_open(void *context, const struct demo *demo, const char *endpoint)
{
    struct pair pair = {zmq_socket(context, demo->from), zmq_socket(context, demo->to)};
    s_check(pair.from && pair.to, "zmq_socket");
    s_set(pair.from, ZMQ_SNDHWM, SNDHWM);
    s_set(pair.to, ZMQ_RCVHWM, RCVHWM);
    s_set(pair.to, ZMQ_RCVTIMEO, READ_MS);
    s_set(pair.from, ZMQ_LINGER, 0);
    if (demo->from == ZMQ_ROUTER)
        s_set(pair.from, ZMQ_ROUTER_MANDATORY, demo->mandatory);
    if (demo->to == ZMQ_SUB)
        s_subscribe(pair.to, "");
    if (demo->to == ZMQ_DEALER)
        zmq_setsockopt(pair.to, ZMQ_ROUTING_ID, "anna", 4);
    s_bind(pair.from, endpoint);
    s_connect(pair.to, endpoint);
    if (demo->to == ZMQ_DEALER)
        s_send(pair.to, "hello");
    else if (demo->to == ZMQ_PULL)
        return pair; /* its first message waits for it */
    do
        free(s_recv(pair.from)); /* the hello, or the subscription */
    while (s_more(pair.from));
    return pair;
}

static int body_send(const struct demo *demo, void *socket)
{
    static const char body[BODY_SIZE];
    if (demo->from == ZMQ_ROUTER && s_sendmore(socket, "anna") < 0)
        return -1;
    int rc;
    while (s_again(rc = zmq_send(socket, body, sizeof body, 0)))
        ;
    return rc;
}

static void demo_run(void *context, const struct demo *demo, const char *transport, const char *endpoint, long attempts)
{
    struct pair pair = pair_open(context, demo, endpoint);
    struct zuring_peer_counts counts;
    size_t peers = 1;
    long sent, got = 0;
    char body[BODY_SIZE];
    s_check(body_send(demo, pair.from) >= 0, "zmq_send"); /* this one may have to wait for the connection */
    s_set(pair.from, ZMQ_SNDTIMEO, SEND_MS);
    for (sent = 1; sent < attempts && body_send(demo, pair.from) >= 0; sent++)
        ;
    const char *end = sent < attempts && zmq_errno() == EAGAIN ? "then it waits" : "it never waits";
    s_check(zuring_peers(pair.from, &counts, &peers) == 0, "zuring_peers");
    long dropped = (long)counts.sent_dropped;
    int rc = 0;
    while (rc >= 0 || s_again(rc)) {
        rc = zmq_recv(pair.to, body, sizeof body, got < sent - dropped ? 0 : ZMQ_DONTWAIT);
        got += rc == BODY_SIZE;
    }
    printf("%s by %s: %ld sent, %ld dropped, %ld arrived; %ld were queued here; %s\n", demo->name, transport, sent,
           dropped, got, (long)counts.sent_queued, end);
    zmq_close(pair.from);
    zmq_close(pair.to);
}

int main(int argc, char **argv)
{
    const char *endpoint = s_arg(argc, argv, 1, "tcp://127.0.0.1:5567");
    long attempts = s_number(argc, argv, 2, 30000);
    for (size_t i = 0; i < sizeof demos / sizeof *demos; i++) {
        void *context = zmq_ctx_new(); /* its end frees the endpoint for the next */
        demo_run(context, &demos[i], "inproc", "inproc://hwm", attempts);
        demo_run(context, &demos[i], "tcp", endpoint, attempts);
        zmq_ctx_term(context);
    }
    return 0;
}
