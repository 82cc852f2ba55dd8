/* SPDX-License-Identifier: MIT */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One run, as asked for on the command line. Strings are argv's or literals; which values they may have is known to the
 * tables they are looked up in. */
struct bench_options {
    const char *case_name; /* one of the program's */
    const char *transport; /* tcp, ipc, inproc */
    const char *api;       /* buf or msg: zmq_send or zmq_msg_send, on both sides */
    const char *label;     /* printed as "library" */
    size_t size;           /* bytes of a message */
    uint64_t count;        /* messages (round trips for pingpong); 0: calibrate for seconds */
    double seconds;        /* wanted duration when count is 0 */
    int hwm;               /* both sides; -1: the library's default */
    unsigned peers;        /* sockets on the many side of fanin and fanout */
    unsigned sockets;      /* of each role that is not the hub, in crowds */
    unsigned prefixes;     /* of each subscriber; 0: everything */
    bool curve;            /* connections are encrypted; zbench only */
    bool stalled;          /* one of the subscribers does not read */
    unsigned timeout_s;    /* a run that lasts longer has failed */
};

/* Fills options from the command line. -EINVAL, with a line on stderr, when it makes no sense. */
int options_parse(int argc, char **argv, struct bench_options *ret_options);

#endif
