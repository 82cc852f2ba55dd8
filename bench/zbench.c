/* SPDX-License-Identifier: MIT */
/* Measures whichever libzmq.so.5 the loader finds: builds the crew for the case, runs it, prints one JSON line. Written
 * to zmq.h alone. A wrong option gives status 2, a run that failed status 1; neither prints a line on stdout. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "channel.h"
#include "report.h"
#include "stage.h"
#include "word.h"

/* Order within a peer was checked as it came; this finds what went missing or came twice between peers. */
static int fanout_check(const struct stage *stage, const struct bench_options *options)
{
    uint64_t count = options->count, sum = 0, got = 0;

    for (unsigned i = 1; i < stage->crew.roles; i++) {
        sum += stage->crew.slots[i].word_sum;
        got += stage->crew.slots[i].count;
    }
    if (got == count && sum == count * (count - 1) / 2)
        return 0;
    fprintf(stderr, "bench: %llu messages received of %llu, or not the ones sent\n", (unsigned long long)got,
            (unsigned long long)count);
    return -EIO;
}

static void result_fill(const struct stage *stage, struct bench_result *result)
{
    const struct crew *crew = &stage->crew;
    static struct library library;

    library = stage->library;
    *result = (struct bench_result){
        .version = library.version,
        .path = library.path,
        .hwm = stage->hwm,
        .messages = stage->options->count * stage->shape->round_messages,
        .seconds = crew_elapsed_s(crew),
        .cpu_s = crew_cpu_s(crew),
        .has_latency = stage->shape->has_latency,
        .peers = stage->shape->many ? crew->roles - 1 : 0,
    };
    memcpy(result->latency_us, crew->latency_us, sizeof(result->latency_us));
    for (unsigned i = 0; i < result->peers; i++)
        result->peer_counts[i] = crew->slots[i + 1].count;
}

static int stage_run(const struct bench_options *options, struct bench_result *ret_result, const void *argument)
{
    const struct transport *transport = argument;
    struct stage *stage = (struct stage *)crew_new(sizeof(*stage), options->peers + 1, transport->threaded);

    if (stage == NULL)
        return -ENOMEM;
    stage->options = options;
    stage->shape = stage_case_find(options->case_name);
    endpoint_format(transport, stage->endpoint, sizeof(stage->endpoint));
    int rc = crew_run(&stage->crew, stage_role, options->timeout_s);
    endpoint_unlink(stage->endpoint);
    if (rc == 0 && stage->shape->hub_sends && stage->shape->many)
        rc = fanout_check(stage, options);
    if (rc == 0)
        result_fill(stage, ret_result);
    crew_free(&stage->crew);
    return rc;
}

int main(int argc, char **argv)
{
    struct bench_options options;

    if (options_parse(argc, argv, &options) < 0)
        return 2;
    const struct stage_case *shape = stage_case_find(options.case_name);
    const struct transport *transport = transport_find(options.transport);
    if (shape == NULL || transport == NULL || channel_api_find(options.api) == NULL) {
        fprintf(stderr, "no such case, transport or api: %s, %s, %s\n", options.case_name, options.transport,
                options.api);
        return 2;
    }
    if (!shape->many && options.peers != 1) {
        fprintf(stderr, "%s has one peer\n", shape->name);
        return 2;
    }
    return report_run(&options, stage_run, transport) == 0 ? 0 : 1;
}
