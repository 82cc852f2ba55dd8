/* SPDX-License-Identifier: MIT */
/* Moves messages by zmq_send/zmq_recv or by zmq_msg_t, the same calls on either library. Nothing is retried: an error,
 * a message of another size or with another tail ends the role, and with it the run. */
#include "channel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "crew.h"
#include "word.h"

static int buf_send(struct channel *channel, uint64_t word)
{
    word_put(channel->buffer, channel->tail, word);
    int rc = zmq_send(channel->socket, channel->buffer, channel->size, 0);
    if (rc == (int)channel->size)
        return 0;
    return rc < 0 ? -errno : -EBADMSG;
}

static int buf_recv(struct channel *channel, uint64_t *ret_word)
{
    int rc = zmq_recv(channel->socket, channel->buffer, channel->size, 0);

    if (rc != (int)channel->size)
        return rc < 0 ? -errno : -EBADMSG;
    return word_get(channel->buffer, channel->tail, ret_word) ? 0 : -EBADMSG;
}

static int msg_send(struct channel *channel, uint64_t word)
{
    zmq_msg_t message;

    if (zmq_msg_init_size(&message, channel->size) < 0)
        return -errno;
    /* The word goes into the message, as a program builds one in place: no copy here follows fresh stores. */
    char *body = zmq_msg_data(&message);
    memcpy(body, channel->buffer, channel->size);
    word_put(body, channel->tail, word);
    if (zmq_msg_send(&message, channel->socket, 0) == (int)channel->size)
        return 0;
    int result = -errno;
    zmq_msg_close(&message);
    return result;
}

static int msg_recv(struct channel *channel, uint64_t *ret_word)
{
    zmq_msg_t message;
    int result = -EBADMSG;

    zmq_msg_init(&message);
    int rc = zmq_msg_recv(&message, channel->socket, 0);
    if (rc < 0)
        result = -errno;
    else if (zmq_msg_size(&message) == channel->size && word_get(zmq_msg_data(&message), channel->tail, ret_word))
        result = 0;
    zmq_msg_close(&message);
    return result;
}

static const struct channel_api apis[] = {
    {"buf", buf_send, buf_recv},
    {"msg", msg_send, msg_recv},
};

const struct channel_api *channel_api_find(const char *name)
{
    for (size_t i = 0; i < sizeof(apis) / sizeof(apis[0]); i++) {
        if (strcmp(apis[i].name, name) == 0)
            return &apis[i];
    }
    return NULL;
}

void channel_open(struct channel *channel, void *context, int type, const struct channel_api *api, size_t size, int hwm)
{
    *channel = (struct channel){.context = context, .api = api, .size = size, .tail = word_tail(size)};
    channel->socket = zmq_socket(context, type);
    if (channel->socket == NULL)
        crew_fail("zmq_socket: %s", zmq_strerror(errno));
    channel->buffer = malloc(size);
    if (channel->buffer == NULL)
        crew_fail("no memory for a message of %zu bytes", size);
    memset(channel->buffer, 'z', size);
    if (hwm >= 0) {
        channel_set(channel, ZMQ_SNDHWM, hwm);
        channel_set(channel, ZMQ_RCVHWM, hwm);
    }
}

void channel_close(struct channel *channel)
{
    zmq_close(channel->socket);
    free(channel->buffer);
}

void channel_set(struct channel *channel, int option, int value)
{
    if (zmq_setsockopt(channel->socket, option, &value, sizeof(value)) < 0)
        crew_fail("zmq_setsockopt %d: %s", option, zmq_strerror(errno));
}

void channel_send(struct channel *channel, uint64_t word)
{
    int rc = channel->api->send(channel, word);

    if (rc < 0)
        crew_fail("sending message %#llx: %s", (unsigned long long)word, zmq_strerror(-rc));
}

int channel_poll(struct channel *channel, uint64_t *ret_word)
{
    int rc = channel->api->recv(channel, ret_word);

    if (rc == -EAGAIN)
        return 0;
    if (rc < 0)
        crew_fail("receiving: %s", rc == -EBADMSG ? "message of the wrong size, or torn" : zmq_strerror(-rc));
    return 1;
}

uint64_t channel_recv(struct channel *channel)
{
    uint64_t word = 0;

    if (channel_poll(channel, &word) == 0)
        crew_fail("receiving: EAGAIN without a timeout");
    return word;
}
