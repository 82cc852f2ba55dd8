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

#include "sim_world.h"

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__ || __has_feature(address_sanitizer) ||                 \
    __has_feature(thread_sanitizer)
enum { IS_SLOW = 1 };
#else
enum { IS_SLOW = 0 };
#endif

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

/* How many failed. So many are run, unless the environment says otherwise: then `count` becomes that. */
static inline unsigned seeds_run(uint64_t *count)
{
    bool one = getenv("ZURING_SEED") != NULL;
    uint64_t first = one ? number_given("ZURING_SEED", 1) : number_given("ZURING_FIRST", 1);
    unsigned failures = 0;
    *count = one ? 1 : number_given("ZURING_SEEDS", *count);
    uint64_t seed = first;
    for (; seed < first + *count && failures < FAILURES_MAX; seed++)
        failures += !seed_passes(seed);
    fprintf(stderr, "seeds %llu to %llu: %u failed\n", (unsigned long long)first, (unsigned long long)seed - 1, failures);
    return failures;
}

#endif
