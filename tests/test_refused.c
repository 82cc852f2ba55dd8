/* SPDX-License-Identifier: MIT */
/* Where io_uring is refused, as in many containers: the first socket says so, in a way that tells what to do. */
#include <sys/wait.h>

#include "kit.h"
#include "refuse.h"

#define HAS_HINT(error) (strstr(zmq_strerror(error), "io_uring") != NULL)

/* 0, or the line where it came out differently: Criterion sees no assertion of a child. */
static int refused_life(int error)
{
    int fds = kit_fds();
    setenv("ZURING_DRIVE", "background", 1); /* inline does without */
    if (!refuse_call(SYS_io_uring_setup, (unsigned)error))
        return __LINE__;
    void *context = zmq_ctx_new();
    if (!context || HAS_HINT(error))
        return __LINE__;
    for (int i = 0; i < 2; i++) {
        errno = 0;
        if (zmq_socket(context, ZMQ_PULL) || errno != error)
            return __LINE__;
    }
    char plain[256];
    snprintf(plain, sizeof plain, "%s", strerror(error));
    const char *text = zmq_strerror(error);
    if (strncmp(text, plain, strlen(plain)) != 0 || !HAS_HINT(error) || HAS_HINT(EINVAL) || HAS_HINT(EMFILE))
        return __LINE__;
    if (kit_fds() != fds)
        return __LINE__;
    return zmq_ctx_term(context) == 0 ? 0 : __LINE__; /* nothing has been left that it would wait for */
}

Test(refused, the_first_socket_says_so)
{
    static const int errors[] = {EPERM, ENOSYS};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(30);
            _exit(refused_life(errors[i]));
        }
        int status;
        cr_assert_eq(waitpid(child, &status, 0), child);
        cr_assert(WIFEXITED(status), "for %s: signal %d", strerror(errors[i]), WTERMSIG(status));
        cr_assert_eq(WEXITSTATUS(status), 0, "for %s: line %d", strerror(errors[i]), WEXITSTATUS(status));
    }
}
