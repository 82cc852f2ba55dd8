/* SPDX-License-Identifier: MIT */
/* The latency the kernel allows: the cases of zlat over raw sockets, and between threads over two shared words, each
 * once by blocking and once by spinning. A JSON line for every variant. A variant that fails is reported on stderr and
 * left out; status 1 when none is left, 2 for a wrong option or a case that has no floor. */
#include <errno.h>
#include <linux/futex.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lat.h"
#include "stream.h"
#include "word.h"

/* Where one role puts its messages for the other: the word at a message's head stands for all of it. */
struct cell {
    _Alignas(64) _Atomic uint32_t turn; /* messages so far; waited on */
    uint64_t word;                      /* of the last one; may be read by who saw its turn, until he answers */
};

/* A raw connection as an end of a latency run. */
struct floor_end {
    struct lat_end end; /* must be first */
    int fd;             /* sockets: connected */
    struct cell *out;   /* words: written here */
    struct cell *in;    /* and read there */
    uint32_t taken;     /* words: messages received */
};

static void stream_send(struct lat_end *end, const char *message)
{
    int fd = ((struct floor_end *)end)->fd;

    for (size_t done = 0; done < end->size;) {
        ssize_t sent = send(fd, message + done, end->size - done, MSG_NOSIGNAL);
        if (sent < 0)
            crew_fail("floor: send: %s", strerror(errno));
        done += (size_t)sent;
    }
}

static void stream_recv(struct lat_end *end, char *message, int flags)
{
    int fd = ((struct floor_end *)end)->fd;

    for (size_t done = 0; done < end->size;) {
        ssize_t got = recv(fd, message + done, end->size - done, flags);
        if (got > 0)
            done += (size_t)got;
        else if (got == 0 || errno != EAGAIN)
            crew_fail("floor: recv: %s", got < 0 ? strerror(errno) : "connection closed");
    }
}

static void blocking_recv(struct lat_end *end, char *message)
{
    stream_recv(end, message, 0);
}

static void spinning_recv(struct lat_end *end, char *message)
{
    stream_recv(end, message, MSG_DONTWAIT);
}

static void cell_put(struct floor_end *end, const char *message)
{
    memcpy(&end->out->word, message, sizeof(end->out->word));
    /* Release: pairs with the acquire of the other role's wait. */
    atomic_fetch_add_explicit(&end->out->turn, 1, memory_order_release);
}

static void cell_take(struct floor_end *end, char *message)
{
    end->taken++;
    word_put(message, word_tail(end->end.size), end->in->word);
}

static void word_spin_send(struct lat_end *end, const char *message)
{
    cell_put((struct floor_end *)end, message);
}

static void word_spin_recv(struct lat_end *end, char *message)
{
    struct floor_end *floor = (struct floor_end *)end;

    /* Acquire: pairs with the release of cell_put. */
    while (atomic_load_explicit(&floor->in->turn, memory_order_acquire) == floor->taken)
        ;
    cell_take(floor, message);
}

static void word_futex_send(struct lat_end *end, const char *message)
{
    struct floor_end *floor = (struct floor_end *)end;

    cell_put(floor, message);
    syscall(SYS_futex, &floor->out->turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void word_futex_recv(struct lat_end *end, char *message)
{
    struct floor_end *floor = (struct floor_end *)end;

    /* Acquire: pairs with the release of cell_put. */
    while (atomic_load_explicit(&floor->in->turn, memory_order_acquire) == floor->taken)
        syscall(SYS_futex, &floor->in->turn, FUTEX_WAIT_PRIVATE, floor->taken, NULL, NULL, 0);
    cell_take(floor, message);
}

static const struct lat_path blocking = {stream_send, blocking_recv};
static const struct lat_path spinning = {stream_send, spinning_recv};
static const struct lat_path word_futex = {word_futex_send, word_futex_recv};
static const struct lat_path word_spin = {word_spin_send, word_spin_recv};

static const struct floor_variant {
    const char *name;            /* printed */
    const char *case_name;       /* the only case it can run; NULL: any */
    bool threaded;               /* words between threads instead of a stream between processes */
    const struct lat_path *path; /* how both ends move a message */
} variants[] = {
    {"blocking", NULL, false, &blocking},
    {"spinning", NULL, false, &spinning},
    {"blocking", "pingpong", true, &word_futex},
    {"spinning", "pingpong", true, &word_spin},
};

struct floor_stage {
    struct lat_stage lat;                /* must be first: its crew is what the roles are given */
    const struct floor_variant *variant; /* the way it is done */
    int fds[2];                          /* one for each role */
    struct cell cells[2];                /* what each role writes */
};

static void floor_role(struct crew *crew, unsigned index)
{
    struct floor_stage *stage = (struct floor_stage *)crew;
    struct floor_end end = {
        .end = {.path = stage->variant->path, .size = stage->lat.options->size},
        .fd = stage->fds[index],
        .out = &stage->cells[index],
        .in = &stage->cells[1 - index],
    };

    lat_place(&stage->lat, index);
    lat_role(&stage->lat, index, &end.end);
}

static int variant_run(const struct lat_options *options, const struct floor_variant *variant)
{
    struct floor_stage *stage = (struct floor_stage *)lat_stage_new(sizeof(*stage), options, variant->threaded);

    if (stage == NULL)
        return -ENOMEM;
    stage->variant = variant;
    int rc = variant->threaded ? 0 : stream_pair(options->transport, stage->fds);
    if (rc == 0) {
        rc = lat_run(&stage->lat, floor_role);
        for (int i = 0; i < 2 && !variant->threaded; i++)
            close(stage->fds[i]);
    }
    if (rc == 0) {
        struct lat_subject subject = {.variant = variant->name};
        lat_print(&stage->lat, &subject);
    }
    lat_stage_free(&stage->lat);
    return rc;
}

int main(int argc, char **argv)
{
    struct lat_options options;
    int tried = 0, done = 0;

    if (lat_options_parse(argc, argv, &options) < 0)
        return 2;
    options.label = "floor";
    options.pair = "stream";
    bool threaded = strcmp(options.transport, "inproc") == 0;
    for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++) {
        const struct floor_variant *variant = &variants[i];
        if (variant->threaded != threaded ||
            (variant->case_name != NULL && strcmp(variant->case_name, options.case_name) != 0))
            continue;
        tried++;
        int rc = variant_run(&options, variant);
        if (rc == 0)
            done++;
        else
            fprintf(stderr, "floor: %s failed: %s\n", variant->name, strerror(-rc));
    }
    if (tried == 0)
        fprintf(stderr, "floor: none for %s over %s\n", options.case_name, options.transport);
    return tried == 0 ? 2 : done > 0 ? 0 : 1;
}
