/* SPDX-License-Identifier: MIT */
/* What libsodium allows: two processes, one sealing messages as CURVE does, the other opening such messages, at the same
 * time, each by one call of crypto_box a message. No socket, no queue: they share nothing but the clock. Prints a JSON
 * line; a wrong option or a case other than throughput gives status 2, a run that failed 1. */
#include <endian.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

#define LEAD_SIZE 33       /* name, nonce, authenticator, flags */
#define TEXT_AT 32         /* flags and payload are sealed */
#define AUTHENTICATOR_AT 16
#define CACHED_BYTES 65536 /* sealed messages to be opened lie in the cache, as if they had just come */

struct curve_stage {
    struct crew crew;                    /* must be first: crew_run hands it to the roles */
    const struct bench_options *options; /* of the run */
};

/* One role's. */
struct curve_lane {
    unsigned char key[crypto_box_BEFORENMBYTES];
    unsigned char nonce[crypto_box_NONCEBYTES];
    unsigned char *sealed; /* a ring of messages */
    unsigned char *opened; /* one payload with its flags */
    uint64_t ring;         /* messages in it; a power of two */
    size_t size;           /* of one */
};

static void nonce_set(struct curve_lane *lane, uint64_t number)
{
    uint64_t wire = htobe64(number);

    memcpy(lane->nonce + 16, &wire, sizeof(wire));
}

static unsigned char *message_at(const struct curve_lane *lane, uint64_t number)
{
    return lane->sealed + (number & (lane->ring - 1)) * lane->size;
}

static void message_seal(struct curve_lane *lane, uint64_t number)
{
    unsigned char *message = message_at(lane, number);

    nonce_set(lane, number);
    crypto_box_detached_afternm(message + TEXT_AT, message + AUTHENTICATOR_AT, message + TEXT_AT, lane->size - TEXT_AT,
                                lane->nonce, lane->key);
}

/* Beside the sealed message, which thus can be opened again. */
static void message_open(struct curve_lane *lane, uint64_t number)
{
    const unsigned char *message = message_at(lane, number);

    nonce_set(lane, number & (lane->ring - 1));
    if (crypto_box_open_detached_afternm(lane->opened, message + TEXT_AT, message + AUTHENTICATOR_AT,
                                         lane->size - TEXT_AT, lane->nonce, lane->key) != 0)
        crew_fail("floor: message %llu does not open", (unsigned long long)number);
}

static void lane_make(struct curve_lane *lane, size_t size)
{
    *lane = (struct curve_lane){.size = size + LEAD_SIZE, .nonce = "CurveZMQMESSAGEC", .ring = 1};
    if (sodium_init() < 0)
        crew_fail("floor: libsodium does not start");
    memset(lane->key, 7, sizeof(lane->key));
    while (2 * lane->ring * lane->size <= CACHED_BYTES)
        lane->ring *= 2;
    lane->sealed = calloc(lane->ring, lane->size);
    lane->opened = calloc(1, lane->size);
    if (lane->sealed == NULL || lane->opened == NULL)
        crew_fail("floor: no memory");
    for (uint64_t number = 0; number < lane->ring; number++)
        message_seal(lane, number);
}

static void curve_role(struct crew *crew, unsigned index)
{
    const struct bench_options *options = ((struct curve_stage *)crew)->options;
    struct crew_slot *slot = &crew->slots[index];
    struct curve_lane lane;

    lane_make(&lane, options->size);
    crew_start(crew, index);
    slot->first_ns = clock_ns();
    for (uint64_t number = 0; number < options->count; number++)
        (index == 0 ? message_open : message_seal)(&lane, number);
    slot->last_ns = clock_ns();
    crew_finish(crew, index);
    free(lane.sealed);
    free(lane.opened);
}

static int curve_run(const struct bench_options *options, struct bench_result *ret_result, const void *argument)
{
    struct curve_stage *stage = (struct curve_stage *)crew_new(sizeof(*stage), 2, false);

    (void)argument;
    if (stage == NULL)
        return -1;
    stage->options = options;
    int rc = crew_run(&stage->crew, curve_role, options->timeout_s);
    if (rc == 0) {
        *ret_result = (struct bench_result){
            .variant = "libsodium",
            .messages = options->count,
            .seconds = crew_elapsed_s(&stage->crew),
            .cpu_s = crew_cpu_s(&stage->crew),
        };
    }
    crew_free(&stage->crew);
    return rc;
}

int main(int argc, char **argv)
{
    struct bench_options options;

    if (options_parse(argc, argv, &options) < 0)
        return 2;
    if (strcmp(options.case_name, "throughput") != 0) {
        fprintf(stderr, "floor: libsodium alone has no %s\n", options.case_name);
        return 2;
    }
    options.label = "floor";
    return report_run(&options, curve_run, NULL) == 0 ? 0 : 1;
}
