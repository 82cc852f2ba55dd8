/* SPDX-License-Identifier: MIT */
/* What io_uring can do here. Every test is a process of its own, so each one asks for the first time. */
#include "io/features.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "refuse.h"

static unsigned descriptors_count(void)
{
    unsigned count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

Test(features, trials_are_quick_and_leave_nothing_open)
{
    unsigned before = descriptors_count();
    uint64_t begin_ns = zu_clock_ns();
    const struct zu_io_features *features = zu_io_features();
    uint64_t took_ns = zu_clock_ns() - begin_ns;
    cr_assert_eq(descriptors_count(), before);
    fprintf(stderr, "%llu us, error %d:", (unsigned long long)took_ns / 1000, features->error);
    for (unsigned i = 0; i < ZU_IO_FEATURES; i++)
        fprintf(stderr, " %s%s", features->has[i] ? "" : "no-", zu_io_feature_name(i));
    fputc('\n', stderr);
    cr_assert_lt(took_ns, ZU_NS_PER_S, "some trial ran into its limit");
    cr_assert_eq(zu_io_features(), features);
    cr_assert(features->error || !zu_io_is_refused());
    cr_assert_not(features->has[ZU_IO_RECV_BUNDLES]);
}

struct version_row {
    unsigned major, minor;      /* of the kernel that has had it since */
    enum zu_io_feature feature; /* it */
};

static const struct version_row version_rows[] = {
    {6, 1, ZU_IO_DEFER_TASKRUN},
    {5, 19, ZU_IO_BUFFER_RINGS},
    {6, 0, ZU_IO_MULTISHOT_RECV},
    {6, 2, ZU_IO_SEND_ZC},
    {5, 18, ZU_IO_MSG_RING},
    {5, 19, ZU_IO_DIRECT_DESCRIPTORS},
    {6, 12, ZU_IO_INCREMENTAL_BUFFERS},
};

Test(features, are_those_of_the_kernel_version)
{
    struct utsname name;
    unsigned major = 0, minor = 0;
    uname(&name);
    cr_assert_eq(sscanf(name.release, "%u.%u", &major, &minor), 2);
    const struct zu_io_features *features = zu_io_features();
    if (features->error)
        cr_skip_test("io_uring is refused here: %d", features->error);
    for (size_t i = 0; i < sizeof version_rows / sizeof *version_rows; i++) {
        const struct version_row *row = &version_rows[i];
        bool expected = major > row->major || (major == row->major && minor >= row->minor);
        cr_expect_eq(features->has[row->feature], expected, "%s on %s", zu_io_feature_name(row->feature), name.release);
    }
}

static bool is_refused_with(int error)
{
    const struct zu_io_features *features = zu_io_features();
    bool any = false;
    for (unsigned i = 0; i < ZU_IO_FEATURES; i++)
        any |= features->has[i];
    return features->error == -error && !any && zu_io_is_refused();
}

Test(features, refusal_is_told)
{
    static const int errors[] = {EPERM, ENOSYS};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        pid_t child = fork();
        if (child == 0)
            _exit(!refuse_call(SYS_io_uring_setup, (unsigned)errors[i]) ? 2 : is_refused_with(errors[i]) ? 0 : 1);
        int status;
        cr_assert_eq(waitpid(child, &status, 0), child);
        cr_assert(WIFEXITED(status));
        cr_assert_eq(WEXITSTATUS(status), 0, "for %s", strerror(errors[i]));
    }
}

static void *ask(void *answer)
{
    *(struct zu_io_features *)answer = *zu_io_features();
    return NULL;
}

static bool is_same(const struct zu_io_features *one, const struct zu_io_features *other)
{
    return one->error == other->error && memcmp(one->has, other->has, sizeof one->has) == 0;
}

Test(features, threads_get_one_answer)
{
    pthread_t threads[4];
    struct zu_io_features answers[4];
    for (int i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, ask, &answers[i]), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        cr_assert(is_same(&answers[i], zu_io_features()));
    }
    cr_assert_eq(zu_io_features(), zu_io_features(), "the answer stands");
}

static void limit_to(rlim_t count)
{
    struct rlimit limit = {.rlim_cur = count, .rlim_max = 1024};
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* However far a trial gets with few descriptors, what it missed is tried again. */
Test(features, want_of_descriptors_passes)
{
    int lowest = dup(0);
    close(lowest);
    struct zu_io_features poor[8];
    for (int more = 0; more < 8; more++) {
        limit_to((rlim_t)(lowest + more));
        poor[more] = *zu_io_features();
        if (!poor[more].error && poor[more].has[ZU_IO_MSG_RING])
            cr_assert_geq(more, 4, "a pair and two rings in fewer descriptors");
    }
    limit_to(1024);
    const struct zu_io_features *rich = zu_io_features();
    cr_assert_neq(rich->error, -EMFILE, "there are enough again");
    if (rich->error)
        cr_skip_test("io_uring is refused here: %d", rich->error);
    cr_assert_eq(poor[0].error, -EMFILE);
    cr_assert(!is_same(&poor[1], rich));
    cr_assert(is_same(&poor[7], rich));
    cr_assert_not(zu_io_is_refused());
    limit_to((rlim_t)lowest);
    cr_assert_eq(zu_io_features(), rich, "it stands now");
    limit_to(1024);
}

/* A sanitizer's own locks would not bear it. */
#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__ && !__has_feature(address_sanitizer) &&              \
    !__has_feature(thread_sanitizer)
/* A fork may meet another thread in the middle of its search; the child must not wait for that one. */
Test(features, a_fork_in_the_midst_is_no_harm)
{
    for (int i = 0; i < 30; i++) {
        pid_t child = fork(); /* each asks for the first time */
        if (child == 0) {
            pthread_t thread;
            struct zu_io_features theirs;
            alarm(30);
            if (pthread_create(&thread, NULL, ask, &theirs) != 0)
                _exit(2);
            for (uint64_t until_ns = zu_clock_ns() + (uint64_t)i * 50000; zu_clock_ns() < until_ns;)
                ;
            pid_t grandchild = fork();
            if (grandchild == 0) {
                alarm(20);
                _exit(zu_io_features()->error == 0 || zu_io_features()->error == -EPERM ? 0 : 1);
            }
            int status = -1;
            waitpid(grandchild, &status, 0);
            pthread_join(thread, NULL);
            _exit(status == 0 && is_same(&theirs, zu_io_features()) ? 0 : 1);
        }
        int status;
        cr_assert_eq(waitpid(child, &status, 0), child);
        cr_assert_eq(status, 0, "round %d", i);
    }
}
#endif
