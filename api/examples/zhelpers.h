/* SPDX-License-Identifier: MIT */
/*
 * What the examples share, on top of zmq.h alone, so that they build against any libzmq of 4.3: strings as frames, a dump
 * of a message, the clock, random numbers, signals, peers to wait for, and arguments with defaults. Whatever must not
 * fail goes through s_check, which says what failed and ends the program; what ends when the program is asked to stop
 * returns -1 or NULL, as in zmq.h.
 */
#ifndef ZHELPERS_H
#define ZHELPERS_H

#include <ctype.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "zmq.h"

/* A whole number from 0 to n - 1. */
#define randof(n) ((int)(random() % (n)))

/* ---- Arguments: by position, each with a default ---- */

static inline const char *s_arg(int argc, char **argv, int position, const char *otherwise)
{
    return argc > position ? argv[position] : otherwise;
}

static inline long s_number(int argc, char **argv, int position, long otherwise)
{
    return argc > position ? atol(argv[position]) : otherwise;
}

/* ---- What must not fail ---- */

static inline void s_check(bool fine, const char *what)
{
    if (!fine && zmq_errno() == ETERM)
        exit(EXIT_SUCCESS); /* asked to stop while it began */
    if (!fine) {
        fprintf(stderr, "%s: %s\n", what, zmq_strerror(zmq_errno()));
        exit(EXIT_FAILURE);
    }
}

static inline void s_bind(void *socket, const char *endpoint)
{
    s_check(zmq_bind(socket, endpoint) == 0, endpoint);
}

static inline void s_connect(void *socket, const char *endpoint)
{
    s_check(zmq_connect(socket, endpoint) == 0, endpoint);
}

/* Binds, or connects if the endpoint begins with '>': for programs that can be either end of a connection. */
static inline void s_attach(void *socket, const char *endpoint)
{
    if (*endpoint == '>')
        s_connect(socket, endpoint + 1);
    else
        s_bind(socket, endpoint);
}

static inline void s_set(void *socket, int option, int value)
{
    s_check(zmq_setsockopt(socket, option, &value, sizeof value) == 0, "zmq_setsockopt");
}

static inline void s_subscribe(void *socket, const char *prefix)
{
    s_check(zmq_setsockopt(socket, ZMQ_SUBSCRIBE, prefix, strlen(prefix)) == 0, "ZMQ_SUBSCRIBE");
}

/* ---- Signals that are none of ours ---- */

/* The signal that asked the program to stop, see s_catch_signals; 0 while none has. */
static volatile sig_atomic_t s_interrupted __attribute__((unused)) = 0;

/* Whether a call is to be made again: a signal ended it, though nobody asks us to stop; a debugger's, or SIGCONT. */
static inline bool s_again(int rc)
{
    return rc < 0 && zmq_errno() == EINTR && !s_interrupted;
}

static inline int s_poll(zmq_pollitem_t *items, int count, long timeout_ms)
{
    int rc;
    while (s_again(rc = zmq_poll(items, count, timeout_ms)))
        ;
    return rc;
}

/* zmq_proxy, until the context is shut down. */
static inline void s_proxy(void *frontend, void *backend)
{
    while (s_again(zmq_proxy(frontend, backend, NULL)))
        ;
}

/* ---- Strings: on the wire without a NUL, in the program with one ---- */

static inline int s_send_flags(void *socket, const char *text, int flags)
{
    int rc;
    while (s_again(rc = zmq_send(socket, text, strlen(text), flags)))
        ;
    return rc;
}

static inline int s_send(void *socket, const char *text)
{
    return s_send_flags(socket, text, 0);
}

static inline int s_sendmore(void *socket, const char *text)
{
    return s_send_flags(socket, text, ZMQ_SNDMORE);
}

/* As printf, up to 255 characters. */
__attribute__((format(printf, 2, 3))) static inline int s_sendf(void *socket, const char *format, ...)
{
    char text[256];
    va_list values;
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    return s_send(socket, text);
}

/* The next frame as a string that the caller frees; NULL if there is none: the reason is in errno. */
static inline char *s_recv_flags(void *socket, int flags)
{
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    char *text = NULL;
    int rc;
    while (s_again(rc = zmq_msg_recv(&frame, socket, flags)))
        ;
    if (rc >= 0 && (text = malloc(zmq_msg_size(&frame) + 1)) != NULL) {
        memcpy(text, zmq_msg_data(&frame), zmq_msg_size(&frame));
        text[zmq_msg_size(&frame)] = '\0';
    }
    zmq_msg_close(&frame);
    return text;
}

static inline char *s_recv(void *socket)
{
    return s_recv_flags(socket, 0);
}

/* Whether the frame that was just received is followed by another one of its message. */
static inline bool s_more(void *socket)
{
    int more = 0;
    size_t size = sizeof more;
    zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size);
    return more;
}

/* Receives a message and prints a line for each frame: its size, then text if it is text, else octets. */
static inline void s_dump(void *socket)
{
    puts("----------------------------------------");
    do {
        zmq_msg_t frame;
        zmq_msg_init(&frame);
        if (zmq_msg_recv(&frame, socket, 0) < 0)
            return;
        const unsigned char *data = zmq_msg_data(&frame);
        size_t size = zmq_msg_size(&frame), shown = size < 70 ? size : 70;
        bool is_text = true;
        for (size_t i = 0; i < shown; i++)
            is_text &= isprint(data[i]) != 0;
        printf("[%03zu] ", size);
        for (size_t i = 0; i < shown; i++)
            printf(is_text ? "%c" : "%02X", data[i]);
        puts(shown < size ? "..." : "");
        zmq_msg_close(&frame);
    } while (s_more(socket));
}

/* ---- Time ---- */

/* Milliseconds of a clock that only goes forward. */
static inline int64_t s_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Stands in for work that takes time; nothing here sleeps to wait for somebody. */
static inline void s_sleep(int ms)
{
    struct timespec left = {ms / 1000, ms % 1000 * 1000000L};
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
}

/* ---- Being asked to stop: SIGINT, SIGTERM ---- */

static int s_signal_pipe[2] __attribute__((unused)) = {-1, -1};

static inline void s_signal_handler(int number)
{
    int errno_before = errno;
    s_interrupted = number;
    (void)!write(s_signal_pipe[1], "", 1);
    errno = errno_before;
}

/*
 * From now on these signals set s_interrupted and make the returned descriptor readable. Give it to zmq_poll beside the
 * sockets: a flag alone, looked at before a blocking call, misses the signal that comes in between. Either signal, when it
 * comes again, ends the program at once.
 */
static inline int s_catch_signals(void)
{
    s_check(pipe(s_signal_pipe) == 0, "pipe");
    struct sigaction action = {.sa_handler = s_signal_handler, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    return s_signal_pipe[0];
}

/* Waits for a message or a signal; true if there is a message. Without a descriptor for signals, -1, it is as s_recv. */
static inline bool s_await(void *socket, int signal_fd)
{
    zmq_pollitem_t items[] = {{.socket = socket, .events = ZMQ_POLLIN}, {.fd = signal_fd, .events = ZMQ_POLLIN}};
    while (!s_interrupted) {
        if (s_poll(items, signal_fd < 0 ? 1 : 2, -1) < 0)
            return false;
        if (items[0].revents & ZMQ_POLLIN)
            return true;
    }
    return false;
}

static inline void *s_shutdown_main(void *context)
{
    sigset_t stop;
    int number;
    sigemptyset(&stop);
    sigaddset(&stop, SIGINT);
    sigaddset(&stop, SIGTERM);
    sigwait(&stop, &number);
    zmq_ctx_shutdown(context);
    pthread_sigmask(SIG_UNBLOCK, &stop, NULL);
    for (;;)
        pause();
    return NULL;
}

/*
 * The other way, for programs that stay in one blocking call, such as zmq_proxy, or have several threads: a thread takes
 * the signal and shuts the context down, and every call on its sockets ends with ETERM. Call it before the first socket.
 * What was sent may still wait for a peer that never comes: a second signal ends the program at once, that with it.
 */
static inline void s_shutdown_on_signals(void *context)
{
    sigset_t stop;
    pthread_t thread;
    sigemptyset(&stop);
    sigaddset(&stop, SIGINT);
    sigaddset(&stop, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &stop, NULL);
    errno = pthread_create(&thread, NULL, s_shutdown_main, context);
    s_check(errno == 0, "pthread_create");
    pthread_detach(thread);
}

/* ---- Peers: waiting until they are there, instead of hoping that a second will do ---- */

/* Begins to watch who comes; call it before bind or connect, and s_await_peers after it. */
static inline void *s_watch_peers(void *context, void *socket)
{
    char endpoint[64];
    snprintf(endpoint, sizeof endpoint, "inproc://peers-of-%p", socket);
    s_check(zmq_socket_monitor(socket, endpoint, ZMQ_EVENT_HANDSHAKE_SUCCEEDED) == 0, "zmq_socket_monitor");
    void *monitor = zmq_socket(context, ZMQ_PAIR);
    s_check(monitor != NULL, "zmq_socket");
    s_connect(monitor, endpoint);
    return monitor;
}

/* Waits until `count` peers have come, and ends the watch. The socket is polled too, for a library that works inside the
 * calls on it. Returns -1 when the context is shut down. */
static inline int s_await_peers(void *monitor, void *socket, int count)
{
    zmq_pollitem_t items[] = {{.socket = monitor, .events = ZMQ_POLLIN}, {.socket = socket}};
    int rc = 0;
    while (count > 0 && rc >= 0) {
        rc = s_poll(items, 2, -1);
        if (rc <= 0)
            continue;
        free(s_recv(monitor)); /* the event: there is only one kind */
        free(s_recv(monitor)); /* the endpoint */
        count--;
    }
    zmq_socket_monitor(socket, NULL, 0);
    zmq_close(monitor);
    return rc < 0 ? -1 : 0;
}

/* Waits until `count` subscriptions that begin with `prefix` have come to an XPUB. Returns -1 as above, or for a signal. */
static inline int s_await_subscribers(void *xpub, int signal_fd, const char *prefix, long count)
{
    while (count > 0) {
        char *request = s_await(xpub, signal_fd) ? s_recv(xpub) : NULL;
        if (!request)
            return -1;
        count += request[0] == 1 && strncmp(request + 1, prefix, strlen(prefix)) == 0 ? -1 : 0;
        free(request);
    }
    return 0;
}

#endif
