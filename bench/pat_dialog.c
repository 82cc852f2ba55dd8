/* SPDX-License-Identifier: MIT */
/*
 * Requests and what stands between. "dealer": DEALERs with many requests under way, a ROUTER that answers each. "reqrep":
 * many REQ clients, one REP. "proxy": PUSH to PULL through zmq_proxy in a process of its own. Every message is checked.
 */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#include <zmq.h>

#include "pat.h"

enum { ROUTE_MAX = 256, WARM_STEP_US = 1000 };

static char buffer[PAT_SIZE_MAX];

static void check(uint64_t word, uint64_t due)
{
    if (word != due)
        crew_fail("message %#llx where %#llx was due", (unsigned long long)word, (unsigned long long)due);
}

/* All that spokes will send, warm-up included. */
static uint64_t total(const struct pat *pat, uint64_t warm_each)
{
    return (pat_share(pat) + warm_each) * (pat->crew.roles - 1);
}

static void dealer_hub(struct pat *pat, unsigned index)
{
    void *socket = pat_socket(pat, ZMQ_ROUTER);
    char route[ROUTE_MAX];
    uint64_t word, left = total(pat, 1), warm = pat->crew.roles - 1;

    pat_set(socket, ZMQ_ROUTER_MANDATORY, 1); /* it waits where it would drop */
    pat_bind(pat, socket, 0);
    crew_meet(&pat->crew);
    for (; left > 0; left--) {
        int length = pat_part_recv(socket, route, sizeof(route));
        pat_recv(pat, socket, buffer, &word);
        pat_part_send(socket, route, (size_t)length, ZMQ_SNDMORE);
        pat_part_send(socket, buffer, pat->options->size, 0);
        if (warm > 0 && --warm == 0)
            crew_start(&pat->crew, index);
    }
    crew_finish(&pat->crew, index);
    pat_close(&socket, 1);
}

static void dealer_spoke(struct pat *pat, unsigned index)
{
    struct crew_slot *slot = &pat->crew.slots[index];
    uint64_t share = pat_share(pat), sent = 0, word;
    char answer[PAT_SIZE_MAX < 65536 ? PAT_SIZE_MAX : 65536];

    crew_meet(&pat->crew);
    uint64_t window = (uint64_t)pat->hwm / 10 * 9; /* just below what either library queues for a peer */
    void *socket = pat_socket(pat, ZMQ_DEALER);
    pat_connect(pat, socket, 0);
    pat_send(pat, socket, buffer, 0, WORD_WARM);
    pat_recv(pat, socket, answer, &word);
    crew_start(&pat->crew, index);
    for (uint64_t got = 0; got < share; got++) {
        while (sent < share && sent - got < window)
            pat_send(pat, socket, buffer, 0, sent++);
        pat_recv(pat, socket, answer, &word);
        check(word, got);
        if (got == 0)
            slot->first_ns = clock_ns();
    }
    slot->last_ns = clock_ns();
    crew_finish(&pat->crew, index);
    pat_close(&socket, 1);
}

static void reqrep_hub(struct pat *pat, unsigned index)
{
    void *socket = pat_socket(pat, ZMQ_REP);
    uint64_t word, clients = (uint64_t)(pat->crew.roles - 1) * pat->options->sockets, warm = clients;
    uint64_t left = (pat_share(pat) / pat->options->sockets + 1) * clients;

    pat_bind(pat, socket, 0);
    crew_meet(&pat->crew);
    for (; left > 0; left--) {
        pat_recv(pat, socket, buffer, &word);
        pat_send(pat, socket, buffer, 0, word);
        if (warm > 0 && --warm == 0)
            crew_start(&pat->crew, index);
    }
    crew_finish(&pat->crew, index);
    pat_close(&socket, 1);
}

static void round_trips(struct pat *pat, void **sockets, uint64_t word)
{
    uint64_t answer;

    for (unsigned i = 0; i < pat->options->sockets; i++)
        pat_send(pat, sockets[i], buffer, 0, word);
    for (unsigned i = 0; i < pat->options->sockets; i++) {
        pat_recv(pat, sockets[i], buffer, &answer);
        check(answer, word);
    }
}

static void reqrep_spoke(struct pat *pat, unsigned index)
{
    struct crew_slot *slot = &pat->crew.slots[index];
    void **sockets = calloc(pat->options->sockets, sizeof(*sockets));

    if (sockets == NULL)
        crew_fail("no memory for %u sockets", pat->options->sockets);
    crew_meet(&pat->crew);
    for (unsigned i = 0; i < pat->options->sockets; i++) {
        sockets[i] = pat_socket(pat, ZMQ_REQ);
        pat_connect(pat, sockets[i], 0);
    }
    round_trips(pat, sockets, WORD_WARM);
    crew_start(&pat->crew, index);
    slot->first_ns = clock_ns();
    for (uint64_t round = 0; round < pat_share(pat) / pat->options->sockets; round++)
        round_trips(pat, sockets, round);
    slot->last_ns = clock_ns();
    crew_finish(&pat->crew, index);
    pat_close(sockets, pat->options->sockets);
}

/* --- proxy --- */

static void *proxy_run(void *argument)
{
    void **ends = argument;

    zmq_proxy(ends[0], ends[1], NULL); /* ends with the context */
    zmq_close(ends[0]);
    zmq_close(ends[1]);
    return NULL;
}

static void proxy_hub(struct pat *pat, unsigned index)
{
    void *ends[2] = {pat_socket(pat, ZMQ_PULL), pat_socket(pat, ZMQ_PUSH)};
    pthread_t thread;

    pat_bind(pat, ends[0], 0);
    pat_bind(pat, ends[1], 1);
    crew_meet(&pat->crew);
    if (pthread_create(&thread, NULL, proxy_run, ends) != 0)
        crew_fail("no thread for the proxy");
    crew_start(&pat->crew, index);
    crew_finish(&pat->crew, index);
    zmq_ctx_shutdown(library_context());
    pthread_join(thread, NULL);
    zmq_ctx_term(library_context());
}

static void proxy_send(struct pat *pat, unsigned index)
{
    void *socket = pat_socket(pat, ZMQ_PUSH);

    pat_connect(pat, socket, 0);
    while (atomic_load(&pat->ready) == 0) {
        pat_send(pat, socket, buffer, 0, WORD_WARM);
        usleep(WARM_STEP_US);
    }
    crew_start(&pat->crew, index);
    for (uint64_t sequence = 0; sequence < pat->options->count; sequence++)
        pat_send(pat, socket, buffer, 0, sequence);
    crew_finish(&pat->crew, index);
    pat_close(&socket, 1);
}

static void proxy_recv(struct pat *pat, unsigned index)
{
    struct crew_slot *slot = &pat->crew.slots[index];
    void *socket = pat_socket(pat, ZMQ_PULL);
    uint64_t word;

    pat_connect(pat, socket, 1);
    pat_recv(pat, socket, buffer, &word);
    atomic_store(&pat->ready, 1);
    crew_start(&pat->crew, index);
    for (uint64_t due = 0; due < pat->options->count;) {
        pat_recv(pat, socket, buffer, &word);
        if (word == WORD_WARM)
            continue;
        check(word, due++);
        if (due == 1)
            slot->first_ns = clock_ns();
    }
    slot->last_ns = clock_ns();
    crew_finish(&pat->crew, index);
    pat_close(&socket, 1);
}

static void proxy_spoke(struct pat *pat, unsigned index)
{
    crew_meet(&pat->crew);
    (index == 1 ? proxy_send : proxy_recv)(pat, index);
}

static uint64_t shares(const struct pat *pat)
{
    return pat_share(pat) * (pat->crew.roles - 1);
}

static uint64_t counted(const struct pat *pat)
{
    return pat->options->count;
}

const struct pat_case pat_dialog_cases[] = {
    {.name = "dealer", .hub = dealer_hub, .spoke = dealer_spoke, .messages = shares},
    {.name = "reqrep", .hub = reqrep_hub, .spoke = reqrep_spoke, .messages = shares},
    {.name = "proxy", .hub = proxy_hub, .spoke = proxy_spoke, .spokes = 2, .messages = counted},
    {.name = NULL},
};
