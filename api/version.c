/* SPDX-License-Identifier: MIT */
/*
 * What the library is and what its numbers mean. Fixed texts and capabilities are rows of tables; any other error
 * number is left to the system, and so are those of a refused ring while none was refused. Nothing here can fail; an
 * unknown capability is one that we do not have.
 */
#include "zmq.h"
#include "zuring.h"

#include <string.h>

#include "core/refusal.h"

#define IO_URING_HINT \
    " (zuring: io_uring is refused here; allow io_uring_setup in the seccomp profile or kernel.io_uring_disabled)"

static const struct {
    int errnum;       /* what zmq_strerror() is asked */
    const char *text; /* what it answers */
} error_texts[] = {
    {EFSM, "Operation cannot be accomplished in current state"},
    {ENOCOMPATPROTO, "The protocol is not compatible with the socket type"},
    {ETERM, "Context was terminated"},
    {EMTHREAD, "No thread available"},
    {EHOSTUNREACH, "Host unreachable"},
};

/* What they mean once a ring was refused with one of them. */
static const struct {
    int errnum;       /* what zmq_strerror() is asked */
    const char *text; /* what it answers */
} refusal_texts[] = {
    {EPERM, "Operation not permitted" IO_URING_HINT},
    {ENOSYS, "Function not implemented" IO_URING_HINT},
};

/* What zmq_has() knows to be built, by libzmq's names; everything else is not. */
static const char *const capabilities[] = {"ipc", "curve"};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

void zmq_version(int *major, int *minor, int *patch)
{
    *major = ZMQ_VERSION_MAJOR;
    *minor = ZMQ_VERSION_MINOR;
    *patch = ZMQ_VERSION_PATCH;
}

const char *zuring_version(void)
{
    return ZURING_VERSION;
}

int zmq_errno(void)
{
    return errno;
}

const char *zmq_strerror(int errnum)
{
    for (size_t i = 0; i < COUNT(error_texts); i++)
        if (error_texts[i].errnum == errnum)
            return error_texts[i].text;
    for (size_t i = 0; i < COUNT(refusal_texts); i++)
        if (refusal_texts[i].errnum == errnum && zu_ring_was_refused())
            return refusal_texts[i].text;
    return strerror(errnum);
}

int zmq_has(const char *capability)
{
    for (size_t i = 0; capability && i < COUNT(capabilities); i++)
        if (strcmp(capabilities[i], capability) == 0)
            return 1;
    return 0;
}
