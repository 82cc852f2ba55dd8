/* SPDX-License-Identifier: MIT */
/*
 * Sends large blocks without copying them, and learns when each may be used again (zmq_msg_init_data).
 *
 * Run:     zero_copy [MESSAGES=100] [SIZE=1048576] [ENDPOINT=tcp://127.0.0.1:5566]
 * Expect:  all blocks arrive unharmed and each one's callback runs exactly once; between threads, by inproc, the receiver
 *          sees the very memory of the sender.
 *
 * The callback runs on whatever thread is the last to need the block, a thread of the library as well: it must not use
 * sockets, and what it touches must be made for threads.
 */
#include "zhelpers.h"

#include <stdatomic.h>

static atomic_long blocks_made, blocks_freed, freed_wrongly;

/* `hint` says how many octets there must be: a callback that runs twice, or for something else, is found out. */
static void block_free(void *data, void *hint)
{
    size_t size = (size_t)hint;
    unsigned char *octets = data;
    if (octets[0] != 0x5a || octets[size - 1] != 0x5a)
        atomic_fetch_add(&freed_wrongly, 1);
    octets[0] = 0;
    free(octets);
    atomic_fetch_add(&blocks_freed, 1);
}

/* Sends one block; its address, for whoever wants to compare. */
static void *block_send(void *socket, size_t size)
{
    void *block = malloc(size);
    s_check(block != NULL, "malloc");
    memset(block, 0x5a, size);
    atomic_fetch_add(&blocks_made, 1);
    zmq_msg_t message;
    s_check(zmq_msg_init_data(&message, block, size, block_free, (void *)size) == 0, "zmq_msg_init_data");
    int rc;
    while (s_again(rc = zmq_msg_send(&message, socket, 0)))
        ;
    if (rc < 0)
        zmq_msg_close(&message); /* it was not taken: closing it gives the block back */
    return block;
}

/* Whether it arrived as it was sent; sets *ret_data to where it lies. */
static bool block_recv(void *socket, size_t size, void **ret_data)
{
    zmq_msg_t message;
    zmq_msg_init(&message);
    int rc;
    while (s_again(rc = zmq_msg_recv(&message, socket, 0)))
        ;
    bool fine = rc == (int)size;
    const unsigned char *octets = zmq_msg_data(&message);
    for (size_t i = 0; fine && i < size; i++)
        fine = octets[i] == 0x5a;
    *ret_data = zmq_msg_data(&message);
    zmq_msg_close(&message);
    return fine;
}

struct receiver {
    void *socket;  /* its own from the start of its thread on */
    long messages; /* to come */
    size_t size;   /* of each */
    long unharmed; /* read when it has ended */
};

static void *receiver_main(void *arg)
{
    struct receiver *receiver = arg;
    void *data;
    for (long n = 0; n < receiver->messages; n++)
        receiver->unharmed += block_recv(receiver->socket, receiver->size, &data);
    return NULL;
}

static void over_the_wire(void *context, const char *endpoint, long messages, size_t size)
{
    struct receiver receiver = {zmq_socket(context, ZMQ_PULL), messages, size, 0};
    void *sender = zmq_socket(context, ZMQ_PUSH);
    pthread_t thread;
    s_check(receiver.socket && sender, "zmq_socket");
    s_bind(sender, endpoint);
    s_connect(receiver.socket, endpoint);
    errno = pthread_create(&thread, NULL, receiver_main, &receiver);
    s_check(errno == 0, "pthread_create");
    for (long n = 0; n < messages; n++)
        block_send(sender, size);
    pthread_join(thread, NULL);
    printf("%s: %ld of %ld blocks arrived unharmed\n", endpoint, receiver.unharmed, messages);
    zmq_close(sender);
    zmq_close(receiver.socket);
}

static void between_sockets(void *context, long messages, size_t size)
{
    void *receiver = zmq_socket(context, ZMQ_PULL), *sender = zmq_socket(context, ZMQ_PUSH);
    long unharmed = 0, same = 0;
    s_check(receiver && sender, "zmq_socket");
    s_bind(receiver, "inproc://blocks");
    s_connect(sender, "inproc://blocks");
    for (long n = 0; n < messages; n++) {
        void *sent = block_send(sender, size), *received;
        unharmed += block_recv(receiver, size, &received);
        same += received == sent;
    }
    printf("inproc: %ld of %ld blocks arrived unharmed, %ld at the sender's own address\n", unharmed, messages, same);
    zmq_close(sender);
    zmq_close(receiver);
}

int main(int argc, char **argv)
{
    long messages = s_number(argc, argv, 1, 100);
    size_t size = (size_t)s_number(argc, argv, 2, 1048576);
    void *context = zmq_ctx_new();
    over_the_wire(context, s_arg(argc, argv, 3, "tcp://127.0.0.1:5566"), messages, size);
    between_sockets(context, messages, size);
    zmq_ctx_term(context);
    printf("%ld blocks made, %ld freed, %ld of them wrongly\n", atomic_load(&blocks_made), atomic_load(&blocks_freed),
           atomic_load(&freed_wrongly));
    return 0;
}
