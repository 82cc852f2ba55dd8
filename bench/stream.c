/* SPDX-License-Identifier: MIT */
/* Connects a socket to another one of this process, before the fork that parts them. What fails gives the errno of the
 * call that did, with nothing left open. */
#include "stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int tcp_pair(int fds[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1, result = 0;

    fds[0] = -1;
    fds[1] = socket(AF_INET, SOCK_STREAM, 0);
    if (listener >= 0 && fds[1] >= 0 && bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0 &&
        listen(listener, 1) == 0 && getsockname(listener, (struct sockaddr *)&address, &length) == 0 &&
        connect(fds[1], (struct sockaddr *)&address, sizeof(address)) == 0)
        fds[0] = accept(listener, NULL, NULL);
    if (fds[0] < 0)
        result = -errno;
    close(listener);
    if (result < 0)
        close(fds[1]);
    for (int i = 0; i < 2 && result == 0; i++)
        setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return result;
}

static int unix_pair(int fds[2])
{
    return socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0 ? -errno : 0;
}

static const struct {
    const char *name;        /* as on the command line */
    int (*pair)(int fds[2]); /* a connected stream */
} transports[] = {{"tcp", tcp_pair}, {"ipc", unix_pair}};

int stream_pair(const char *transport, int fds[2])
{
    for (size_t i = 0; i < sizeof(transports) / sizeof(transports[0]); i++) {
        if (strcmp(transports[i].name, transport) == 0)
            return transports[i].pair(fds);
    }
    return -EPROTONOSUPPORT;
}
