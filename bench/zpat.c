/* SPDX-License-Identifier: MIT */
/* Measures the socket types beyond PUSH, PULL and PAIR under whichever libzmq.so.5 the loader finds, as zbench does:
 * builds the crew for the case, runs it, prints one JSON line. Written to zmq.h alone. A wrong option gives status 2, a
 * library without the socket types 77, a run that failed 1; none of them prints a line on stdout. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#include "pat.h"

#define EXIT_MISSING 77

static const struct pat_case *case_find(const char *name)
{
    const struct pat_case *const tables[] = {pat_pub_cases, pat_dialog_cases, pat_crowd_cases};

    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        for (const struct pat_case *row = tables[i]; row->name != NULL; row++) {
            if (strcmp(row->name, name) == 0)
                return row;
        }
    }
    return NULL;
}

static void role(struct crew *crew, unsigned index)
{
    struct pat *pat = (struct pat *)crew;

    (index == 0 ? pat->shape->hub : pat->shape->spoke)(pat, index);
}

static void result_fill(const struct pat *pat, struct bench_result *result)
{
    static struct library library;

    library = pat->library;
    *result = (struct bench_result){
        .version = library.version,
        .path = library.path,
        .hwm = pat->hwm,
        .messages = pat->shape->messages(pat),
        .seconds = crew_elapsed_s(&pat->crew),
        .cpu_s = crew_cpu_s(&pat->crew),
        .has_latency = pat->shape->has_latency,
        .has_memory = pat->shape->has_memory,
        .bytes_each = pat->bytes_each,
        .idle_pct = pat->idle_pct,
    };
    memcpy(result->latency_us, pat->crew.latency_us, sizeof(result->latency_us));
}

static int pat_run(const struct bench_options *options, struct bench_result *ret_result, const void *argument)
{
    const struct pat_case *shape = argument;
    unsigned spokes = shape->spokes != 0 ? shape->spokes : options->peers;
    struct pat *pat = (struct pat *)crew_new(sizeof(*pat), spokes + 1, false);

    if (pat == NULL)
        return -ENOMEM;
    pat->options = options;
    pat->shape = shape;
    pat->transport = transport_find(options->transport);
    for (int i = 0; i < 2; i++) {
        endpoint_format(pat->transport, pat->endpoint[i], sizeof(pat->endpoint[i]) - 2);
        if (i == 1 && strcmp(options->transport, "tcp") != 0)
            strcat(pat->endpoint[i], "b");
    }
    int rc = crew_run(&pat->crew, role, options->timeout_s);
    endpoint_unlink(pat->endpoint[0]);
    endpoint_unlink(pat->endpoint[1]);
    if (rc == 0)
        result_fill(pat, ret_result);
    crew_free(&pat->crew);
    return rc;
}

static bool has_types(void)
{
    static const int types[] = {ZMQ_PUB, ZMQ_SUB, ZMQ_REQ, ZMQ_REP, ZMQ_DEALER, ZMQ_ROUTER};
    void *context = zmq_ctx_new();
    bool has = true;

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        void *socket = zmq_socket(context, types[i]);
        has = has && socket != NULL;
        if (socket != NULL)
            zmq_close(socket);
    }
    zmq_ctx_term(context);
    return has;
}

int main(int argc, char **argv)
{
    struct bench_options options;

    if (options_parse(argc, argv, &options) < 0)
        return 2;
    const struct pat_case *shape = case_find(options.case_name);
    const struct transport *transport = transport_find(options.transport);
    if (shape == NULL || transport == NULL || transport->threaded || options.size < PAT_SIZE_MIN ||
        options.size > PAT_SIZE_MAX) {
        fprintf(stderr, "no such case or transport, or no such size: %s, %s, %zu\n", options.case_name,
                options.transport, options.size);
        return 2;
    }
    /* In a child: no thread of the library may be there when the roles are forked. */
    pid_t pid = fork();
    if (pid == 0)
        _exit(has_types() ? 0 : EXIT_MISSING);
    if (crew_child_status(pid) != 0) {
        fprintf(stderr, "the library lacks socket types\n");
        return EXIT_MISSING;
    }
    return report_run(&options, pat_run, shape) == 0 ? 0 : 1;
}
