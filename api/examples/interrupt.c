/* SPDX-License-Identifier: MIT */
/*
 * Leaves cleanly when it is asked to, by Ctrl-C (SIGINT) or kill (SIGTERM): what was begun is finished, what was sent goes
 * out, sockets are closed, and no descriptor is left open.
 *
 * Run:     interrupt [ENDPOINT=ipc:///tmp/interrupt.ipc]
 *          then, if you like, hello_client with that endpoint; then Ctrl-C
 * Expect:  "SIGINT: 10 requests answered, 0 descriptors left open", and status 0.
 *
 * A signal ends a call that waits with EINTR. One that comes just before the call does not: so the handler writes to a
 * pipe, whose other end zmq_poll watches (s_catch_signals, s_await in zhelpers.h).
 */
#include "zhelpers.h"

#include <dirent.h>

/* How many descriptors this process has, with the one that looks. */
static int descriptors(void)
{
    int count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (folder && readdir(folder))
        count++;
    if (folder)
        closedir(folder);
    return count;
}

int main(int argc, char **argv)
{
    long answered = 0;
    int signal_fd = s_catch_signals(), before = descriptors();
    void *context = zmq_ctx_new();
    void *responder = zmq_socket(context, ZMQ_REP);
    s_check(responder != NULL, "zmq_socket");
    s_bind(responder, s_arg(argc, argv, 1, "ipc:///tmp/interrupt.ipc"));
    puts("waiting for requests, or for a signal");
    fflush(stdout);
    while (s_await(responder, signal_fd)) {
        free(s_recv(responder));
        answered += s_send(responder, "World") >= 0;
    }
    zmq_close(responder);
    zmq_ctx_term(context);
    printf("%s: %ld requests answered, %d descriptors left open\n", s_interrupted == SIGINT ? "SIGINT" : "SIGTERM",
           answered, descriptors() - before);
    return 0;
}
