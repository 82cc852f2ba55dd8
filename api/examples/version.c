/* SPDX-License-Identifier: MIT */
/*
 * Which ZeroMQ this is: the one that the program was compiled for, and the one that it runs on.
 *
 * Run:     version
 * Expect:  one line. The two may differ: a library can be replaced below a program that exists.
 */
#include "zhelpers.h"

int main(void)
{
    int major, minor, patch;
    zmq_version(&major, &minor, &patch);
    printf("compiled for ZeroMQ %d.%d.%d, running on %d.%d.%d\n", ZMQ_VERSION_MAJOR, ZMQ_VERSION_MINOR,
           ZMQ_VERSION_PATCH, major, minor, patch);
    return 0;
}
