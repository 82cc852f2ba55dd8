/* SPDX-License-Identifier: MIT */
#ifndef BENCH_CHANNEL_H
#define BENCH_CHANNEL_H

#include <stddef.h>
#include <stdint.h>

/* One socket as a role uses it: words of the configured size in, words out. */
struct channel {
    void *context;                 /* its own, or the process's for inproc */
    void *socket;                  /* the socket */
    const struct channel_api *api; /* which calls move a message */
    char *buffer;                  /* one message */
    size_t size;                   /* bytes of every message */
    size_t tail;                   /* offset of the second copy of the word */
};

/* How a message is moved. Both give 0 or negative errno; -EBADMSG: wrong size, or head and tail differ. */
struct channel_api {
    const char *name;                                         /* as on the command line */
    int (*send)(struct channel *channel, uint64_t word);      /* one message with this word */
    int (*recv)(struct channel *channel, uint64_t *ret_word); /* the next message */
};

/* NULL when there is no api of that name. */
const struct channel_api *channel_api_find(const char *name);

/* Opens a socket of this type. Failures end the process by crew_fail, as every failure in a role does. */
void channel_open(struct channel *channel, void *context, int type, const struct channel_api *api, size_t size,
                  int hwm);
void channel_close(struct channel *channel);

void channel_set(struct channel *channel, int option, int value);

/* Send or receive a word, or crew_fail; channel_poll gives 0 when the socket's receive timeout has passed. */
void channel_send(struct channel *channel, uint64_t word);
uint64_t channel_recv(struct channel *channel);
int channel_poll(struct channel *channel, uint64_t *ret_word);

#endif
