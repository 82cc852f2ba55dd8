/* SPDX-License-Identifier: MIT */
/*
 * ipc://: Unix stream sockets. Binding takes a path over from whoever had it, as libzmq does; only a wildcard's directory
 * is removed again. Fails with the kernel's reason.
 */
#include "link/transport.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "link/ipc_path.h"
#include "mem/alloc.h"

static int check(const char *address)
{
    struct zu_ipc_path path;
    return zu_ipc_path_parse(address, &path);
}

static int socket_open(const struct zu_settings *settings)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int err = zu_sockopt_open(fd, AF_UNIX, &settings->sockopt);
    if (!err)
        return fd;
    close(fd);
    return err;
}

static int listen_name(int fd, struct zu_listening *ret_listening)
{
    struct sockaddr_un bound;
    socklen_t size = sizeof bound;
    if (getsockname(fd, (struct sockaddr *)&bound, &size) < 0)
        return -errno;
    return zu_ipc_path_format(&bound, size, ret_listening->text, sizeof ret_listening->text);
}

static int listen_at(const struct zu_ipc_path *path, const struct zu_settings *settings, struct zu_listening *ret_listening)
{
    int fd = socket_open(settings);
    if (fd < 0)
        return fd;
    int err = 0;
    if (bind(fd, (const struct sockaddr *)&path->address, path->size) < 0 || listen(fd, settings->backlog) < 0)
        err = -errno;
    if (!err)
        err = listen_name(fd, ret_listening);
    if (err) {
        close(fd);
        return err;
    }
    ret_listening->fd = fd;
    return 0;
}

static int ipc_listen(const char *address, const struct zu_settings *settings, struct zu_listening *ret_listening)
{
    ret_listening->residue = NULL;
    if (settings->use_fd >= 0) {
        ret_listening->fd = settings->use_fd;
        int err = zu_sockopt_adopt(settings->use_fd);
        return err ? err : listen_name(settings->use_fd, ret_listening);
    }
    struct zu_ipc_path *path = zu_alloc_zero(sizeof *path);
    if (!path)
        return -ENOMEM;
    int err = zu_ipc_path_prepare(address, path);
    if (!err) {
        err = listen_at(path, settings, ret_listening);
        if (err)
            zu_ipc_path_cleanup(path);
    }
    if (err) {
        zu_free(path, sizeof *path);
        return err;
    }
    ret_listening->residue = path;
    return 0;
}

static int unlisten(struct zu_listening *listening)
{
    struct zu_ipc_path *path = listening->residue;
    if (!path)
        return 0;
    int err = zu_ipc_path_cleanup(path);
    zu_free(path, sizeof *path);
    listening->residue = NULL;
    return err;
}

static int dial(const char *address, const struct zu_settings *settings, struct zu_target *ret_target)
{
    struct zu_ipc_path path;
    int err = zu_ipc_path_parse(address, &path);
    if (err)
        return err;
    int fd = socket_open(settings);
    if (fd < 0)
        return fd;
    ret_target->fd = fd;
    memcpy(&ret_target->address, &path.address, path.size);
    ret_target->size = path.size;
    return 0;
}

static int accepted(int fd, const struct zu_settings *settings)
{
    return zu_ipc_filter_check(&settings->ipc_accept, fd);
}

static void peer_text(int fd, char *text, size_t size)
{
    struct ucred who;
    socklen_t who_size = sizeof who;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &who_size) < 0)
        text[0] = 0;
    else
        snprintf(text, size, "localhost:%u:%u:%d", who.uid, who.gid, (int)who.pid);
}

static void name(int fd, bool remote, char *text, size_t size)
{
    struct sockaddr_un end;
    socklen_t end_size = sizeof end;
    if ((remote ? getpeername : getsockname)(fd, (struct sockaddr *)&end, &end_size) == 0)
        zu_ipc_path_format(&end, end_size, text, size);
}

const struct zu_transport zu_transport_ipc = {
    .scheme = "ipc",
    .check = check,
    .listen = ipc_listen,
    .unlisten = unlisten,
    .dial = dial,
    .accepted = accepted,
    .peer_text = peer_text,
    .name = name,
};
