/* SPDX-License-Identifier: MIT */
#ifndef BENCH_STREAM_H
#define BENCH_STREAM_H

/* A connected pair of stream sockets over "tcp" (loopback, TCP_NODELAY) or "ipc" (unix). 0 or negative errno. */
int stream_pair(const char *transport, int fds[2]);

#endif
