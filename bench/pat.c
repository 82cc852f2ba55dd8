/* SPDX-License-Identifier: MIT */
/* What the roles of the pattern benchmarks share: sockets, endpoints, checked messages. Every failure ends the run. */
#include "pat.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <zmq.h>

void *pat_socket(const struct pat *pat, int type)
{
    void *socket = zmq_socket(library_context(), type);

    if (socket == NULL)
        crew_fail("zmq_socket: %s", zmq_strerror(errno));
    if (pat->options->hwm >= 0) {
        pat_set(socket, ZMQ_SNDHWM, pat->options->hwm);
        pat_set(socket, ZMQ_RCVHWM, pat->options->hwm);
    }
    return socket;
}

void pat_set(void *socket, int option, int value)
{
    if (zmq_setsockopt(socket, option, &value, sizeof(value)) < 0)
        crew_fail("zmq_setsockopt %d: %s", option, zmq_strerror(errno));
}

void pat_bind(struct pat *pat, void *socket, unsigned which)
{
    size_t length = sizeof(pat->hwm);

    library_describe(&pat->library);
    if (zmq_getsockopt(socket, ZMQ_RCVHWM, &pat->hwm, &length) < 0)
        crew_fail("zmq_getsockopt ZMQ_RCVHWM: %s", zmq_strerror(errno));
    library_bind(socket, pat->endpoint[which], sizeof(pat->endpoint[which]));
}

void pat_connect(const struct pat *pat, void *socket, unsigned which)
{
    if (zmq_connect(socket, pat->endpoint[which]) < 0)
        crew_fail("zmq_connect %s: %s", pat->endpoint[which], zmq_strerror(errno));
}

void pat_close(void *const *sockets, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        zmq_close(sockets[i]);
    zmq_ctx_term(library_context());
}

void pat_topic(char *out, unsigned topic)
{
    char text[16];

    snprintf(text, sizeof(text), "t%06u/", topic % 1000000);
    memcpy(out, text, PAT_TOPIC_SIZE);
}

void pat_part_send(void *socket, const void *data, size_t size, int flags)
{
    if (zmq_send(socket, data, size, flags) != (int)size)
        crew_fail("zmq_send: %s", zmq_strerror(errno));
}

int pat_part_recv(void *socket, void *data, size_t size)
{
    int rc = zmq_recv(socket, data, size, 0);

    if (rc < 0 && errno != EAGAIN)
        crew_fail("zmq_recv: %s", zmq_strerror(errno));
    return rc;
}

void pat_send(const struct pat *pat, void *socket, char *buffer, unsigned topic, uint64_t word)
{
    size_t size = pat->options->size;

    if (pat->options->prefixes != 0)
        pat_topic(buffer, topic);
    word_put(buffer + PAT_TOPIC_SIZE, size - PAT_TOPIC_SIZE - sizeof(word), word);
    pat_part_send(socket, buffer, size, 0);
}

bool pat_recv(const struct pat *pat, void *socket, char *buffer, uint64_t *ret_word)
{
    size_t size = pat->options->size;
    int rc = pat_part_recv(socket, buffer, size);

    if (rc < 0)
        return false;
    if (rc != (int)size || !word_get(buffer + PAT_TOPIC_SIZE, size - PAT_TOPIC_SIZE - sizeof(uint64_t), ret_word))
        crew_fail("a message of %d bytes, or a torn one", rc);
    return true;
}

uint64_t pat_share(const struct pat *pat)
{
    return pat->options->count / (pat->crew.roles - 1);
}
