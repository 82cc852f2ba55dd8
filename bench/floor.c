/* SPDX-License-Identifier: MIT */
/* What the kernel allows: runs every raw-socket variant that suits the case, two processes with one thread each, and
 * prints a JSON line for each. A variant this kernel does not support is reported on stderr and left out; status 1 when
 * none is left, 2 for a wrong option or a case that has no floor. */
#include "floor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "report.h"
#include "stream.h"

#define KIB 1024
#define UNLIMITED SIZE_MAX

static const struct floor_variant variants[] = {
    {"batch64k", "throughput", 0, 32 * KIB, 64 * KIB, 0, false, batch_receive, batch_send},
    {"batch64k-buf1m", "throughput", 0, 32 * KIB, 64 * KIB, 1024 * KIB, false, batch_receive, batch_send},
    {"uring64k", "throughput", 0, 32 * KIB, 64 * KIB, 0, false, uring_receive, uring_send},
    {"direct", "throughput", 16 * KIB, UNLIMITED, 0, 0, false, direct_receive, direct_send},
    {"direct-buf256k", "throughput", 16 * KIB, UNLIMITED, 0, 256 * KIB, false, direct_receive, direct_send},
    {"blocking", "pingpong", 0, UNLIMITED, 0, 0, true, ping_run, echo_run},
};

/* The crew of a run, with the connected pair made before the fork. */
struct floor_stage {
    struct crew crew;                    /* must be first: crew_run hands it to the roles */
    const struct bench_options *options; /* of the run */
    const struct floor_variant *variant; /* the way it is done */
    int fds[2];                          /* one for each role */
};

static void buffers_set(const int fds[2], int bytes)
{
    for (int i = 0; i < 2 && bytes > 0; i++) {
        setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
        setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
    }
}

static void floor_role(struct crew *crew, unsigned index)
{
    struct floor_stage *stage = (struct floor_stage *)crew;
    struct floor_lane lane = {
        .fd = stage->fds[index],
        .size = stage->options->size,
        .count = stage->options->count,
        .batch = stage->variant->batch,
        .slot = &crew->slots[index],
        .ret_latency_us = crew->latency_us,
    };

    crew_start(crew, index);
    (index == 0 ? stage->variant->receive : stage->variant->send)(&lane);
    crew_finish(crew, index);
}

static int floor_run(const struct bench_options *options, struct bench_result *ret_result, const void *argument)
{
    struct floor_stage *stage = (struct floor_stage *)crew_new(sizeof(*stage), 2, false);

    if (stage == NULL)
        return -ENOMEM;
    stage->options = options;
    stage->variant = argument;
    int rc = stream_pair(options->transport, stage->fds);
    if (rc == 0) {
        buffers_set(stage->fds, stage->variant->socket_buffer);
        rc = crew_run(&stage->crew, floor_role, options->timeout_s);
        close(stage->fds[0]);
        close(stage->fds[1]);
    }
    if (rc == 0) {
        *ret_result = (struct bench_result){
            .variant = stage->variant->name,
            .messages = options->count * (stage->variant->has_latency ? 2 : 1),
            .seconds = crew_elapsed_s(&stage->crew),
            .cpu_s = crew_cpu_s(&stage->crew),
            .has_latency = stage->variant->has_latency,
        };
        memcpy(ret_result->latency_us, stage->crew.latency_us, sizeof(ret_result->latency_us));
    }
    crew_free(&stage->crew);
    return rc;
}

int main(int argc, char **argv)
{
    struct bench_options options;
    int tried = 0, done = 0;

    if (options_parse(argc, argv, &options) < 0)
        return 2;
    options.label = "floor";
    for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++) {
        const struct floor_variant *variant = &variants[i];
        if (strcmp(variant->case_name, options.case_name) != 0 || options.size < variant->size_min ||
            options.size > variant->size_max)
            continue;
        tried++;
        int rc = report_run(&options, floor_run, variant);
        if (rc == 0)
            done++;
        else
            fprintf(stderr, "floor: %s failed: %s\n", variant->name, strerror(-rc));
    }
    if (tried == 0)
        fprintf(stderr, "floor: none for %s of this size\n", options.case_name);
    return tried == 0 ? 2 : done > 0 ? 0 : 1;
}
