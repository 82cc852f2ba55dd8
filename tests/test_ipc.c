/* SPDX-License-Identifier: MIT */
/* ipc:// as a program sees it: names, what they leave in the file system, and who may connect. */
#include <sys/stat.h>
#include <sys/un.h>

#include "rawpeer.h"

static bool exists(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0;
}

static void expect_passes(void *from, void *to, const char *text)
{
    kit_send_text(from, text, 0);
    kit_recv_text(to, text);
}

/* The last binder has the name; the file stays behind. */
Test(ipc, a_path)
{
    void *context = zmq_ctx_new();
    char text[KIT_ENDPOINT_SIZE];
    snprintf(text, sizeof text, "ipc:///tmp/zuring-ipc-%d.sock", (int)getpid());
    void *first = kit_socket(context, ZMQ_PULL), *second = kit_socket(context, ZMQ_PULL);
    void *from = kit_socket(context, ZMQ_PUSH);
    KIT_OK(zmq_bind(first, text));
    KIT_OK(zmq_bind(second, text));
    KIT_OK(zmq_connect(from, text));
    expect_passes(from, second, "to the second one");
    KIT_OK(zmq_close(first));
    KIT_OK(zmq_close(second));
    KIT_OK(zmq_close(from));
    KIT_OK(zmq_ctx_term(context));
    cr_assert(exists(text + 6));
    unlink(text + 6);
}

Test(ipc, abstract_names)
{
    void *context = zmq_ctx_new();
    char text[KIT_ENDPOINT_SIZE];
    snprintf(text, sizeof text, "ipc://@zuring-ipc-%d", (int)getpid());
    void *to = kit_socket(context, ZMQ_PULL), *from = kit_socket(context, ZMQ_PUSH);
    KIT_OK(zmq_bind(to, text));
    char last[KIT_ENDPOINT_SIZE];
    size_t size = sizeof last;
    KIT_OK(zmq_getsockopt(to, ZMQ_LAST_ENDPOINT, last, &size));
    cr_assert_str_eq(last, text);
    KIT_OK(zmq_connect(from, text));
    expect_passes(from, to, "by no file");
    cr_assert(!exists(text + 6));
    KIT_OK(zmq_unbind(to, text));
    KIT_OK(zmq_close(to));
    KIT_OK(zmq_close(from));
    KIT_OK(zmq_ctx_term(context));
}

/* A new folder of our own, where the environment says, which goes with the socket. */
Test(ipc, wildcards)
{
    char folder[] = "/tmp/zuring-ipc-XXXXXX";
    cr_assert_not_null(mkdtemp(folder));
    setenv("TMPDIR", folder, 1);
    void *context = zmq_ctx_new();
    void *to = kit_socket(context, ZMQ_PULL), *from = kit_socket(context, ZMQ_PUSH);
    char text[KIT_ENDPOINT_SIZE];
    kit_bind(to, "ipc", text);
    cr_assert_eq(strncmp(text + 6, folder, strlen(folder)), 0, "%s", text);
    KIT_OK(zmq_connect(from, text));
    expect_passes(from, to, "by a new name");
    KIT_OK(zmq_close(from));
    KIT_OK(zmq_close(to));
    KIT_OK(zmq_ctx_term(context));
    cr_assert(!exists(text + 6));
    cr_assert_eq(rmdir(folder), 0, "it is not empty");
}

static int raw_connect_ipc(const char *text)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    cr_assert_lt(strlen(text + 6), sizeof address.sun_path);
    strcpy(address.sun_path, text + 6);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

Test(ipc, filters)
{
    static const int options[] = {ZMQ_IPC_FILTER_UID, ZMQ_IPC_FILTER_GID, ZMQ_IPC_FILTER_PID};
    const int own[] = {(int)getuid(), (int)getgid(), (int)getpid()};
    void *context = zmq_ctx_new();
    for (int i = 0; i < 3; i++) {
        void *to = kit_socket(context, ZMQ_PULL), *from = kit_socket(context, ZMQ_PUSH);
        char text[KIT_ENDPOINT_SIZE];
        kit_set(to, options[i], own[i] + 100000);
        kit_bind(to, "ipc", text);
        int fd = raw_connect_ipc(text);
        cr_expect(raw_ended(fd, KIT_WAIT_MS), "option %d", options[i]);
        close(fd);
        kit_set(to, options[i], own[i]); /* for the next bind */
        kit_bind(to, "ipc", text);
        KIT_OK(zmq_connect(from, text));
        expect_passes(from, to, "one of us");
        KIT_OK(zmq_close(from));
        KIT_OK(zmq_close(to));
    }
    KIT_OK(zmq_ctx_term(context));
}

Test(ipc, a_given_listener)
{
    void *context = zmq_ctx_new();
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "/tmp/zuring-given-%d.sock", (int)getpid());
    cr_assert_eq(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(listen(listener, 5), 0);
    void *to = kit_socket(context, ZMQ_PULL), *from = kit_socket(context, ZMQ_PUSH);
    char text[KIT_ENDPOINT_SIZE], last[KIT_ENDPOINT_SIZE];
    size_t size = sizeof last;
    snprintf(text, sizeof text, "ipc://%s", address.sun_path);
    kit_set(to, ZMQ_USE_FD, listener);
    KIT_OK(zmq_bind(to, text));
    KIT_OK(zmq_getsockopt(to, ZMQ_LAST_ENDPOINT, last, &size));
    cr_assert_str_eq(last, text);
    KIT_OK(zmq_connect(from, text));
    expect_passes(from, to, "by a given listener");
    KIT_OK(zmq_close(from));
    KIT_OK(zmq_close(to));
    KIT_OK(zmq_ctx_term(context));
    cr_assert(exists(address.sun_path), "it was not ours to remove");
    unlink(address.sun_path);
}
