/* SPDX-License-Identifier: MIT */
/* A process is stopped and goes on, by a shell's job control or a debugger: no handler ran, so no call says EINTR. */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "kit.h"

enum { STOPS = 10 };

static int waits_in_recv(void *socket)
{
    char octet;
    return zmq_recv(socket, &octet, 1, 0);
}

static int waits_in_poll(void *socket)
{
    zmq_pollitem_t item = {.socket = socket, .events = ZMQ_POLLIN};
    return zmq_poll(&item, 1, KIT_WAIT_MS);
}

static int waits_in_poll_of_two(void *socket)
{
    zmq_pollitem_t items[] = {{.socket = socket, .events = ZMQ_POLLIN}, {.fd = 0, .events = ZMQ_POLLERR}};
    return zmq_poll(items, 2, KIT_WAIT_MS);
}

/* The child: 0 once there is a message, else the error. */
static int child_main(const char *endpoint, int (*wait)(void *socket))
{
    void *context = zmq_ctx_new();
    void *socket = zmq_socket(context, ZMQ_PULL);
    int timeout_ms = KIT_WAIT_MS;
    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &timeout_ms, sizeof timeout_ms);
    if (zmq_connect(socket, endpoint) != 0)
        return errno;
    return wait(socket) == 1 ? 0 : errno;
}

static bool sleeps(pid_t pid)
{
    char name[64], text[256] = "";
    snprintf(name, sizeof name, "/proc/%d/stat", (int)pid);
    int fd = open(name, O_RDONLY);
    cr_assert_geq(fd, 0);
    cr_assert_gt(read(fd, text, sizeof text - 1), 0);
    close(fd);
    return strstr(text, ") S ") != NULL;
}

static void stop_and_go(int (*wait)(void *socket))
{
    char endpoint[KIT_ENDPOINT_SIZE];
    snprintf(endpoint, sizeof endpoint, "ipc:///tmp/zuring-stopped-%d.sock", (int)getpid());
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0)
        _exit(child_main(endpoint, wait));
    void *context = zmq_ctx_new();
    void *socket = kit_socket(context, ZMQ_PUSH);
    KIT_OK(zmq_bind(socket, endpoint));
    int status;
    for (int i = 0; i < STOPS; i++) {
        KIT_UNTIL(sleeps(pid));
        KIT_OK(kill(pid, SIGSTOP));
        cr_assert_eq(waitpid(pid, &status, WUNTRACED), pid);
        cr_assert(WIFSTOPPED(status), "it has ended: %d", WEXITSTATUS(status));
        KIT_OK(kill(pid, SIGCONT));
        cr_assert_eq(waitpid(pid, &status, WCONTINUED), pid);
    }
    KIT_OK(zmq_send(socket, "", 1, 0));
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s", strerror(WEXITSTATUS(status)));
    KIT_OK(zmq_close(socket));
    KIT_OK(zmq_ctx_term(context));
}

Test(stopped, in_recv, .timeout = 60)
{
    stop_and_go(waits_in_recv);
}

Test(stopped, in_poll, .timeout = 60)
{
    stop_and_go(waits_in_poll);
}

Test(stopped, in_poll_of_two, .timeout = 60)
{
    stop_and_go(waits_in_poll_of_two);
}
