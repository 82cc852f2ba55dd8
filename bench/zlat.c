/* SPDX-License-Identifier: MIT */
/* Measures the latency of whichever libzmq.so.5 the loader finds and prints one JSON line. Written to zmq.h alone. A
 * wrong option gives status 2, a run that failed status 1, a library that does not have the socket type yet status 77;
 * none of them prints a line on stdout. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "lat.h"
#include "library.h"

#define EXIT_MISSING 77
#define ROUTE_MAX 256

/* A socket as an end of a latency run. */
struct zlat_end {
    struct lat_end end;    /* must be first */
    void *socket;          /* the socket */
    char route[ROUTE_MAX]; /* ROUTER: peer of the last message received */
    int route_length;      /* bytes of it */
};

static void part_send(void *socket, const void *data, size_t length, int flags)
{
    int rc = zmq_send(socket, data, length, flags);

    if (rc != (int)length)
        crew_fail("zmq_send: %s", rc < 0 ? zmq_strerror(errno) : "cut short");
}

static int part_recv(void *socket, void *data, size_t length)
{
    int rc = zmq_recv(socket, data, length, 0);

    if (rc < 0)
        crew_fail("zmq_recv: %s", zmq_strerror(errno));
    return rc;
}

static void plain_send(struct lat_end *end, const char *message)
{
    part_send(((struct zlat_end *)end)->socket, message, end->size, 0);
}

static void plain_recv(struct lat_end *end, char *message)
{
    int length = part_recv(((struct zlat_end *)end)->socket, message, end->size);

    if (length != (int)end->size)
        crew_fail("a message of %d bytes", length);
}

static void routed_send(struct lat_end *end, const char *message)
{
    struct zlat_end *zlat = (struct zlat_end *)end;

    part_send(zlat->socket, zlat->route, (size_t)zlat->route_length, ZMQ_SNDMORE);
    part_send(zlat->socket, message, end->size, 0);
}

static void routed_recv(struct lat_end *end, char *message)
{
    struct zlat_end *zlat = (struct zlat_end *)end;

    zlat->route_length = part_recv(zlat->socket, zlat->route, sizeof(zlat->route));
    plain_recv(end, message);
}

static const struct lat_path plain = {plain_send, plain_recv};
static const struct lat_path routed = {routed_send, routed_recv};

/* Socket types that can run a case. */
struct zlat_pair {
    const char *name, *case_name;      /* as on the command line */
    int types[2];                      /* of the hub (pings, or receives) and the spoke */
    const char *type_names[2];         /* the same for messages */
    const struct lat_path *spoke_path; /* how the spoke's messages move; the hub's are plain */
};

static const struct zlat_pair pairs[] = {
    {"pair", "pingpong", {ZMQ_PAIR, ZMQ_PAIR}, {"PAIR", "PAIR"}, &plain},
    {"reqrep", "pingpong", {ZMQ_REQ, ZMQ_REP}, {"REQ", "REP"}, &plain},
    {"dealerrouter", "pingpong", {ZMQ_DEALER, ZMQ_ROUTER}, {"DEALER", "ROUTER"}, &routed},
    {"pushpull", "open", {ZMQ_PULL, ZMQ_PUSH}, {"PULL", "PUSH"}, &plain},
    {"pair", "open", {ZMQ_PAIR, ZMQ_PAIR}, {"PAIR", "PAIR"}, &plain},
};

struct zlat_stage {
    struct lat_stage lat;         /* must be first: its crew is what the roles are given */
    const struct zlat_pair *pair; /* sockets of the run */
    struct library library;       /* the one measured, from the hub */
    char endpoint[256];           /* where the hub is bound; written before the first meeting */
    int hwm;                      /* ZMQ_RCVHWM, from the hub */
    _Atomic bool missing;         /* the library has no such socket type */
};

static const struct zlat_pair *pair_find(const struct lat_options *options)
{
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        if (strcmp(pairs[i].name, options->pair) == 0 && strcmp(pairs[i].case_name, options->case_name) == 0)
            return &pairs[i];
    }
    return NULL;
}

static void *socket_open(struct zlat_stage *stage, unsigned index)
{
    const int *hwm = &stage->lat.options->hwm;
    void *socket = zmq_socket(library_context(), stage->pair->types[index]);

    if (socket == NULL) {
        atomic_store(&stage->missing, errno == EINVAL);
        crew_fail("this library has no %s socket: %s", stage->pair->type_names[index], zmq_strerror(errno));
    }
    if (*hwm >= 0 && (zmq_setsockopt(socket, ZMQ_SNDHWM, hwm, sizeof(*hwm)) < 0 ||
                      zmq_setsockopt(socket, ZMQ_RCVHWM, hwm, sizeof(*hwm)) < 0))
        crew_fail("zmq_setsockopt of a high-water mark: %s", zmq_strerror(errno));
    return socket;
}

static void zlat_role(struct crew *crew, unsigned index)
{
    struct zlat_stage *stage = (struct zlat_stage *)crew;
    size_t length = sizeof(stage->hwm);
    struct zlat_end end = {
        .end = {.path = index == 0 ? &plain : stage->pair->spoke_path, .size = stage->lat.options->size},
    };

    lat_place(&stage->lat, index);
    end.socket = socket_open(stage, index);
    if (index == 0) {
        library_describe(&stage->library);
        if (zmq_getsockopt(end.socket, ZMQ_RCVHWM, &stage->hwm, &length) < 0)
            crew_fail("zmq_getsockopt ZMQ_RCVHWM: %s", zmq_strerror(errno));
        library_bind(end.socket, stage->endpoint, sizeof(stage->endpoint));
    }
    crew_meet(crew);
    if (index != 0 && zmq_connect(end.socket, stage->endpoint) < 0)
        crew_fail("zmq_connect %s: %s", stage->endpoint, zmq_strerror(errno));
    lat_role(&stage->lat, index, &end.end);
    zmq_close(end.socket);
    if (index == 0 || !crew->threaded)
        zmq_ctx_term(library_context());
}

int main(int argc, char **argv)
{
    struct lat_options options;

    if (lat_options_parse(argc, argv, &options) < 0)
        return 2;
    const struct transport *transport = transport_find(options.transport);
    const struct zlat_pair *pair = pair_find(&options);
    if (transport == NULL || pair == NULL) {
        fprintf(stderr, "no such transport, or pair for %s: %s, %s\n", options.case_name, options.transport,
                options.pair);
        return 2;
    }
    struct zlat_stage *stage = (struct zlat_stage *)lat_stage_new(sizeof(*stage), &options, transport->threaded);
    if (stage == NULL) {
        fprintf(stderr, "bench: no memory\n");
        return 1;
    }
    stage->pair = pair;
    endpoint_format(transport, stage->endpoint, sizeof(stage->endpoint));
    int rc = lat_run(&stage->lat, zlat_role);
    endpoint_unlink(stage->endpoint);
    int status = rc == 0 ? 0 : atomic_load(&stage->missing) ? EXIT_MISSING : 1;
    if (rc == 0) {
        struct lat_subject subject = {stage->library.version, stage->library.path, NULL, stage->hwm};
        lat_print(&stage->lat, &subject);
    }
    lat_stage_free(&stage->lat);
    return status;
}
