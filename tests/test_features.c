/* SPDX-License-Identifier: MIT */
/* What io_uring can do here. Every test is a process of its own, so each one asks for the first time. */
#include "io/features.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

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

/* From now on io_uring_setup returns `error` in this process. */
static bool refuse(unsigned error)
{
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof program / sizeof *program, program};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) == 0;
}

static bool is_refused_with(int error)
{
    const struct zu_io_features *features = zu_io_features();
    bool any = false;
    for (unsigned i = 0; i < ZU_IO_FEATURES; i++)
        any |= features->has[i];
    return features->error == -error && !any;
}

Test(features, refusal_is_told)
{
    static const int errors[] = {EPERM, ENOSYS};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        pid_t child = fork();
        if (child == 0)
            _exit(!refuse((unsigned)errors[i]) ? 2 : is_refused_with(errors[i]) ? 0 : 1);
        int status;
        cr_assert_eq(waitpid(child, &status, 0), child);
        cr_assert(WIFEXITED(status));
        cr_assert_eq(WEXITSTATUS(status), 0, "for %s", strerror(errors[i]));
    }
}

static void *ask(void *argument)
{
    (void)argument;
    return (void *)(uintptr_t)zu_io_features();
}

Test(features, threads_get_one_answer)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, ask, NULL), 0);
    for (int i = 0; i < 4; i++) {
        void *answer;
        pthread_join(threads[i], &answer);
        cr_assert_eq(answer, (const void *)zu_io_features());
    }
}
