/* SPDX-License-Identifier: MIT */
/* Starts one process per role (or one process with a thread per role), lets them meet at barriers and waits for them.
 * The fork comes before any library call, so no library thread is ever forked away from. A role fails by leaving with
 * a status other than 0; an alarm ends one that hangs; the parent then kills the rest, which wait at a barrier. */
#include "crew.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct crew_member {
    struct crew *crew; /* the crew it belongs to */
    crew_role *role;   /* what it does */
    unsigned index;    /* its place in the crew */
};

int64_t clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static double process_cpu_s(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

struct crew *crew_new(size_t bytes, unsigned roles, bool threaded)
{
    pthread_barrierattr_t attributes;
    struct crew *crew = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (crew == MAP_FAILED)
        return NULL;
    crew->bytes = bytes;
    crew->roles = roles;
    crew->threaded = threaded;
    pthread_barrierattr_init(&attributes);
    pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(&crew->barrier, &attributes, roles);
    pthread_barrierattr_destroy(&attributes);
    return crew;
}

void crew_free(struct crew *crew)
{
    /* No pthread_barrier_destroy: it would wait for ever for a role that was killed while it waited. */
    munmap(crew, crew->bytes);
}

void crew_meet(struct crew *crew)
{
    pthread_barrier_wait(&crew->barrier);
}

/* Threads share one account, so only the first of them keeps it. */
static bool role_keeps_account(const struct crew *crew, unsigned index)
{
    return !crew->threaded || index == 0;
}

void crew_start(struct crew *crew, unsigned index)
{
    crew_meet(crew);
    if (role_keeps_account(crew, index))
        crew->slots[index].cpu_s = -process_cpu_s();
}

void crew_finish(struct crew *crew, unsigned index)
{
    /* Meet first: a sender's library threads work on after its last send call. */
    crew_meet(crew);
    if (role_keeps_account(crew, index))
        crew->slots[index].cpu_s += process_cpu_s();
}

void crew_fail(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fputs("bench: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    _exit(1);
}

static void *member_run(void *argument)
{
    struct crew_member *member = argument;

    member->role(member->crew, member->index);
    return NULL;
}

static void members_run_threaded(struct crew *crew, crew_role *role)
{
    struct crew_member members[CREW_MAX];
    pthread_t threads[CREW_MAX];

    for (unsigned i = 1; i < crew->roles; i++) {
        members[i] = (struct crew_member){crew, role, i};
        if (pthread_create(&threads[i], NULL, member_run, &members[i]) != 0)
            crew_fail("cannot start thread %u", i);
    }
    role(crew, 0);
    for (unsigned i = 1; i < crew->roles; i++)
        pthread_join(threads[i], NULL);
}

static pid_t member_fork(struct crew *crew, crew_role *role, unsigned index, unsigned timeout_s)
{
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(timeout_s);
    if (crew->threaded)
        members_run_threaded(crew, role);
    else
        role(crew, index);
    _exit(0);
}

static void members_kill(const pid_t *pids, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (pids[i] > 0)
            kill(pids[i], SIGKILL);
    }
}

int crew_run(struct crew *crew, crew_role *role, unsigned timeout_s)
{
    unsigned processes = crew->threaded ? 1 : crew->roles;
    pid_t pids[CREW_MAX];
    int result = 0;

    for (unsigned i = 0; i < processes; i++) {
        pids[i] = member_fork(crew, role, i, timeout_s);
        if (pids[i] < 0) {
            members_kill(pids, i);
            processes = i;
            result = -EIO;
        }
    }
    for (unsigned left = processes; left > 0; left--) {
        int status = 0;
        pid_t pid = waitpid(-1, &status, 0);
        for (unsigned i = 0; i < processes; i++) {
            if (pids[i] == pid)
                pids[i] = 0;
        }
        if (status == 0 || result < 0)
            continue;
        if (WIFSIGNALED(status))
            fprintf(stderr, "bench: a role ended by signal %d%s\n", WTERMSIG(status),
                    WTERMSIG(status) == SIGALRM ? " (timed out)" : "");
        members_kill(pids, processes);
        result = -EIO;
    }
    return result;
}

int crew_child_status(pid_t pid)
{
    int status;

    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}

double crew_elapsed_s(const struct crew *crew)
{
    int64_t first_ns = INT64_MAX, last_ns = 0;

    for (unsigned i = 0; i < crew->roles; i++) {
        const struct crew_slot *slot = &crew->slots[i];
        if (slot->first_ns != 0 && slot->first_ns < first_ns)
            first_ns = slot->first_ns;
        if (slot->last_ns > last_ns)
            last_ns = slot->last_ns;
    }
    return last_ns > first_ns ? (double)(last_ns - first_ns) * 1e-9 : 1e-9;
}

double crew_cpu_s(const struct crew *crew)
{
    double sum = 0;

    for (unsigned i = 0; i < crew->roles; i++)
        sum += crew->slots[i].cpu_s;
    return sum;
}
