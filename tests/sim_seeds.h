/* SPDX-License-Identifier: MIT */
/*
 * Seeds of simulated worlds, one after the other.
 *
 *      ZURING_SEED=n     runs that one alone          ZURING_TRACE=1  tells what happens in it
 *      ZURING_SEEDS=n    how many, from ZURING_FIRST on
 */
#ifndef ZU_TESTS_SIM_SEEDS_H
#define ZU_TESTS_SIM_SEEDS_H

#include <sys/wait.h>

#include "sanitized.h"
#include "sim_world.h"

/*
 * A sanitized build runs one in so many of a test's seeds: each takes several times as long. The thread sanitizer has
 * little to find anyway, since a world is one thread.
 */
enum { SEEDS_SHARE = SANITIZED_THREAD ? 25 : SANITIZED_ADDRESS ? 5 : 1 };

enum { FAILURES_MAX = 5, SEED_S = 60 };

/* The test's own: a world from its beginning to its end. */
static void seed_run(uint64_t seed);

/* In a process of its own: nothing of an earlier seed is left there, and whatever happens ends it alone. */
static inline bool seed_passes(uint64_t seed)
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        alarm(SEED_S);
        seed_run(seed);
        _exit(0);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child)
        return false;
    if (WIFSIGNALED(status))
        fprintf(stderr, "ZURING_SEED=%llu: signal %d\n", (unsigned long long)seed, WTERMSIG(status));
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static inline uint64_t number_given(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 0) : otherwise;
}

/* How many failed. The build's share of them is run, or what the environment says: `count` becomes that. */
static inline unsigned seeds_run(uint64_t *count)
{
    bool one = getenv("ZURING_SEED") != NULL;
    uint64_t first = one ? number_given("ZURING_SEED", 1) : number_given("ZURING_FIRST", 1);
    unsigned failures = 0;
    *count = one ? 1 : number_given("ZURING_SEEDS", *count / SEEDS_SHARE);
    uint64_t seed = first;
    for (; seed < first + *count && failures < FAILURES_MAX; seed++)
        failures += !seed_passes(seed);
    fprintf(stderr, "seeds %llu to %llu: %u failed\n", (unsigned long long)first, (unsigned long long)seed - 1, failures);
    return failures;
}

#endif
