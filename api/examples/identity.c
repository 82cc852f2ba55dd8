/* SPDX-License-Identifier: MIT */
/*
 * Names of peers: how a ROUTER tells who asked, and how it addresses one of many.
 *
 * Run:     identity [ENDPOINT=inproc://identity]
 * Expect:  a dump of two requests: before the empty frame that every REQ sends stands the name of who asked, once made up
 *          by the ROUTER (5 octets, the first one 0), once its own. Then each of three peers gets what is meant for it, in
 *          the order that the ROUTER chooses, and a name that nobody has is an error (ROUTER_MANDATORY).
 */
#include "zhelpers.h"

static void *named_open(void *context, int type, const char *name, const char *endpoint)
{
    void *socket = zmq_socket(context, type);
    s_check(socket != NULL, "zmq_socket");
    if (name)
        s_check(zmq_setsockopt(socket, ZMQ_ROUTING_ID, name, strlen(name)) == 0, "ZMQ_ROUTING_ID");
    s_connect(socket, endpoint);
    return socket;
}

static void names_show(void *context, void *router, const char *endpoint)
{
    void *anonymous = named_open(context, ZMQ_REQ, NULL, endpoint);
    s_send(anonymous, "the ROUTER made up a name for me");
    s_dump(router);
    void *named = named_open(context, ZMQ_REQ, "anna", endpoint);
    s_send(named, "I have told my name");
    s_dump(router);
    fflush(stdout);
    zmq_close(anonymous);
    zmq_close(named);
}

static void peers_address(void *context, void *router, const char *endpoint)
{
    static const char *const names[] = {"bert", "carl", "dora"};
    enum { NAMES = sizeof names / sizeof *names };
    void *peers[NAMES];
    for (int i = 0; i < NAMES; i++) {
        peers[i] = named_open(context, ZMQ_DEALER, names[i], endpoint);
        s_send(peers[i], "here I am"); /* a ROUTER can address only who is connected already */
        free(s_recv(router));
        free(s_recv(router));
    }
    for (int i = NAMES - 1; i >= 0; i--) {
        s_sendmore(router, names[i]);
        s_sendf(router, "a letter for %s", names[i]);
    }
    for (int i = 0; i < NAMES; i++) {
        char *letter = s_recv(peers[i]);
        printf("%s has %s\n", names[i], letter ? letter : "nothing");
        free(letter);
    }
    if (s_sendmore(router, "emil") < 0)
        printf("emil: %s\n", zmq_strerror(zmq_errno()));
    for (int i = 0; i < NAMES; i++)
        zmq_close(peers[i]);
}

int main(int argc, char **argv)
{
    const char *endpoint = s_arg(argc, argv, 1, "inproc://identity");
    void *context = zmq_ctx_new();
    void *router = zmq_socket(context, ZMQ_ROUTER);
    s_check(router != NULL, "zmq_socket");
    s_set(router, ZMQ_ROUTER_MANDATORY, 1);
    s_bind(router, endpoint);
    names_show(context, router, endpoint);
    peers_address(context, router, endpoint);
    zmq_close(router);
    zmq_ctx_term(context);
    return 0;
}
