/* SPDX-License-Identifier: MIT */
/*
 * Many connections. "manyin": all of them send to one PULL. "connect": a new one for each message, closed behind it.
 * "idle": what they cost the hub in memory and time when nothing happens.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include <zmq.h>

#include "pat.h"

enum { IDLE_S = 2, FDS_WANTED = 30000, SOCKETS_DEFAULT = 1023 };

static char buffer[PAT_SIZE_MAX];

static unsigned crowd(const struct pat *pat)
{
    return (pat->crew.roles - 1) * pat->options->sockets;
}

/* A context for many sockets, and descriptors for them. */
static void room_make(const struct pat *pat)
{
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max < FDS_WANTED ? limit.rlim_max : FDS_WANTED;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (pat->options->sockets > SOCKETS_DEFAULT / 2 &&
        zmq_ctx_set(library_context(), ZMQ_MAX_SOCKETS, (int)pat->options->sockets + 100) < 0)
        crew_fail("zmq_ctx_set ZMQ_MAX_SOCKETS: %s", zmq_strerror(errno));
}

static void crowd_collect(struct pat *pat, void *socket, uint64_t count)
{
    struct crew_slot *slot = &pat->crew.slots[0];
    uint64_t word;

    for (uint64_t got = 0; got < count; got++) {
        pat_recv(pat, socket, buffer, &word);
        if (got == 0)
            slot->first_ns = clock_ns();
    }
    slot->last_ns = clock_ns();
}

static void *collector_open(struct pat *pat)
{
    room_make(pat);
    void *socket = pat_socket(pat, ZMQ_PULL);
    pat_set(socket, ZMQ_BACKLOG, 4096);
    pat_bind(pat, socket, 0);
    return socket;
}

static void manyin_hub(struct pat *pat, unsigned index)
{
    void *socket = collector_open(pat);
    uint64_t each = pat_share(pat) / pat->options->sockets;

    crew_meet(&pat->crew);
    crowd_collect(pat, socket, crowd(pat));
    crew_start(&pat->crew, index);
    crowd_collect(pat, socket, each * crowd(pat));
    crew_finish(&pat->crew, index);
    pat_close(&socket, 1);
}

/* Each has sent one message: the hub knows when all of them are there. */
static void **senders_open(struct pat *pat)
{
    void **sockets = calloc(pat->options->sockets, sizeof(*sockets));

    if (sockets == NULL)
        crew_fail("no memory for %u sockets", pat->options->sockets);
    room_make(pat);
    crew_meet(&pat->crew);
    for (unsigned i = 0; i < pat->options->sockets; i++) {
        sockets[i] = pat_socket(pat, ZMQ_PUSH);
        pat_connect(pat, sockets[i], 0);
        pat_send(pat, sockets[i], buffer, 0, WORD_WARM);
    }
    return sockets;
}

static void manyin_spoke(struct pat *pat, unsigned index)
{
    void **sockets = senders_open(pat);
    uint64_t each = pat_share(pat) / pat->options->sockets;

    crew_start(&pat->crew, index);
    for (uint64_t sequence = 0; sequence < each; sequence++) {
        for (unsigned i = 0; i < pat->options->sockets; i++)
            pat_send(pat, sockets[i], buffer, 0, sequence);
    }
    crew_finish(&pat->crew, index);
    pat_close(sockets, pat->options->sockets);
}

static uint64_t manyin_messages(const struct pat *pat)
{
    return pat_share(pat) / pat->options->sockets * crowd(pat);
}

/* --- connect --- */

static void connect_hub(struct pat *pat, unsigned index)
{
    void *socket = collector_open(pat);

    crew_meet(&pat->crew);
    crew_start(&pat->crew, index);
    crowd_collect(pat, socket, pat_share(pat) * (pat->crew.roles - 1));
    crew_finish(&pat->crew, index);
    pat_close(&socket, 1);
}

static void connect_spoke(struct pat *pat, unsigned index)
{
    room_make(pat);
    crew_meet(&pat->crew);
    crew_start(&pat->crew, index);
    for (uint64_t sequence = 0; sequence < pat_share(pat); sequence++) {
        void *socket = zmq_socket(library_context(), ZMQ_PUSH);
        while (socket == NULL && errno == EMFILE) { /* closed ones count until they are gone */
            sched_yield();
            socket = zmq_socket(library_context(), ZMQ_PUSH);
        }
        if (socket == NULL)
            crew_fail("zmq_socket: %s", zmq_strerror(errno));
        pat_connect(pat, socket, 0);
        pat_send(pat, socket, buffer, 0, sequence);
        zmq_close(socket);
    }
    crew_finish(&pat->crew, index);
    zmq_ctx_term(library_context());
}

static uint64_t connect_messages(const struct pat *pat)
{
    return pat_share(pat) * (pat->crew.roles - 1);
}

/* --- idle --- */

static double resident_bytes(void)
{
    unsigned long pages = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");

    if (file == NULL || fscanf(file, "%lu %lu", &pages, &resident) != 2)
        crew_fail("cannot read /proc/self/statm");
    fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static double cpu_s(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

static void idle_hub(struct pat *pat, unsigned index)
{
    void *socket = collector_open(pat);
    double before = resident_bytes();

    crew_meet(&pat->crew);
    crowd_collect(pat, socket, crowd(pat));
    crew_start(&pat->crew, index);
    sleep(1); /* what trims itself after a burst has done so */
    double cpu_before_s = cpu_s();
    sleep(IDLE_S);
    pat->idle_pct = (cpu_s() - cpu_before_s) / IDLE_S * 100;
    pat->bytes_each = (resident_bytes() - before) / crowd(pat);
    crew_finish(&pat->crew, index);
    pat_close(&socket, 1);
}

static void idle_spoke(struct pat *pat, unsigned index)
{
    void **sockets = senders_open(pat);

    crew_start(&pat->crew, index);
    crew_finish(&pat->crew, index);
    pat_close(sockets, pat->options->sockets);
}

static uint64_t idle_messages(const struct pat *pat)
{
    return crowd(pat);
}

const struct pat_case pat_crowd_cases[] = {
    {.name = "manyin", .hub = manyin_hub, .spoke = manyin_spoke, .messages = manyin_messages},
    {.name = "connect", .hub = connect_hub, .spoke = connect_spoke, .messages = connect_messages},
    {.name = "idle", .hub = idle_hub, .spoke = idle_spoke, .messages = idle_messages, .has_memory = true},
    {.name = NULL},
};
