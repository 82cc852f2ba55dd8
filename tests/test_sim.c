/* SPDX-License-Identifier: MIT */
/* The simulated network: TCP's manners without faults, each fault alone, then all of them from a seed. */
#include "io/sim.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>

#include "base/clock.h"
#include "io/shard.h"

enum { PORT = 7 };

/* An operation and what came of it. */
struct probe {
    struct zu_op op;    /* the operation */
    struct iovec piece; /* its memory */
    int calls;          /* of done */
    int result;         /* of the last call */
    unsigned flags;     /* of the last call */
    size_t bytes;       /* received in all */
    uint8_t seen[4096]; /* the first of them */
};

static struct zu_sim *sim;
static struct zu_driver *driver;

static void probe_done(struct zu_op *op, int result, unsigned flags, struct zu_chunk *chunk)
{
    struct probe *probe = zu_container_of(op, struct probe, op);
    probe->calls++;
    probe->result = result;
    probe->flags = flags;
    cr_assert_eq(op->busy, (flags & ZU_OP_MORE) != 0);
    if (!chunk)
        return;
    cr_assert_gt(result, 0);
    if (probe->bytes + (size_t)result <= sizeof probe->seen)
        memcpy(probe->seen + probe->bytes, chunk->data + ZU_RECEIVE_HEADROOM, (size_t)result);
    probe->bytes += (size_t)result;
    zu_chunk_unref(chunk);
}

static struct probe probe_new(void *memory, size_t size)
{
    return (struct probe){.op.done = probe_done, .piece = {memory, size}};
}

static void begin(const struct zu_sim_faults *faults)
{
    cr_assert_eq(zu_sim_new(1, faults, &sim), 0);
    cr_assert_eq(zu_sim_driver_new(sim, &driver), 0);
}

static void finish(void)
{
    driver->ops->free(driver);
    zu_sim_free(sim);
}

/* Until nothing moves any more. */
static void settle(void)
{
    do
        driver->ops->wait(driver, ZU_NEVER);
    while (zu_sim_advance(sim));
}

static void probe_start(struct probe *probe, void (*how)(struct zu_driver *driver, struct zu_op *op, int fd), int fd)
{
    int calls = probe->calls;
    probe->op.message.msg_iov = &probe->piece;
    probe->op.message.msg_iovlen = 1;
    how(driver, &probe->op, fd);
    cr_assert(probe->op.busy);
    cr_assert_eq(probe->calls, calls, "completed from the start");
}

static void probe_connect(struct probe *probe, int fd, unsigned port)
{
    struct sockaddr_storage address;
    socklen_t size;
    zu_sim_address(port, &address, &size);
    driver->ops->connect(driver, &probe->op, fd, (const struct sockaddr *)&address, size);
}

/* Two connected descriptors. */
static void pair_make(int *ret_dialer, int *ret_acceptor)
{
    struct probe accept = probe_new(NULL, 0), connect = probe_new(NULL, 0);
    int listener = zu_sim_listen(sim, PORT);
    int dialer = zu_sim_socket(sim);
    cr_assert(listener >= 1 << 20 && dialer > listener);
    probe_start(&accept, driver->ops->accept_stream, listener);
    probe_connect(&connect, dialer, PORT);
    settle();
    cr_assert_eq(connect.result, 0);
    cr_assert_eq(connect.calls, 1);
    cr_assert_eq(accept.calls, 1);
    cr_assert_eq(accept.flags, ZU_OP_MORE);
    *ret_acceptor = accept.result;
    *ret_dialer = dialer;
    driver->ops->cancel(driver, &accept.op);
    settle();
    cr_assert_eq(accept.result, -ECANCELED);
    driver->ops->close(driver, listener);
}

static void send_text(int fd, const char *text)
{
    struct probe send = probe_new((void *)(uintptr_t)text, strlen(text));
    probe_start(&send, driver->ops->send, fd);
    settle();
    cr_assert_eq(send.result, (int)strlen(text));
}

Test(sim, bytes_cross_in_order_and_are_counted)
{
    static uint8_t sent[100 * 1024], received[sizeof sent];
    int dialer, acceptor;
    begin(NULL);
    pair_make(&dialer, &acceptor);
    for (size_t i = 0; i < sizeof sent; i++)
        sent[i] = (uint8_t)(i * 7 + i / 251);
    uint64_t before_ns = zu_sim_now_ns(sim);
    size_t out = 0, in = 0;
    while (in < sizeof sent) {
        struct probe send = probe_new(sent + out, sizeof sent - out);
        struct probe receive = probe_new(received + in, sizeof received - in);
        if (out < sizeof sent)
            probe_start(&send, driver->ops->send, dialer);
        probe_start(&receive, driver->ops->recv_into, acceptor);
        settle();
        cr_assert(receive.result > 0 && send.result <= 64 * 1024);
        out += (size_t)send.result;
        in += (size_t)receive.result;
    }
    cr_assert_arr_eq(sent, received, sizeof sent);
    cr_assert_gt(zu_sim_now_ns(sim), before_ns);
    struct zu_sim_connection counts;
    cr_assert(zu_sim_connection_get(sim, 0, &counts));
    cr_assert_not(zu_sim_connection_get(sim, 1, &counts));
    cr_assert_eq(counts.sent[0], sizeof sent);
    cr_assert_eq(counts.received[1], sizeof sent);
    cr_assert_eq(counts.sent[1], 0);
    cr_assert_eq(counts.fd[1], acceptor);
    finish();
}

Test(sim, stream_gives_chunks_then_the_end)
{
    int dialer, acceptor;
    begin(NULL);
    pair_make(&dialer, &acceptor);
    struct probe stream = probe_new(NULL, 0);
    probe_start(&stream, driver->ops->recv_stream, acceptor);
    send_text(dialer, "one");
    send_text(dialer, "two");
    cr_assert_eq(stream.flags, ZU_OP_MORE);
    driver->ops->close(driver, dialer);
    settle();
    cr_assert_eq(stream.bytes, 6);
    cr_assert_arr_eq(stream.seen, "onetwo", 6);
    cr_assert_eq(stream.result, 0);
    cr_assert_eq(stream.flags, 0);
    cr_assert_not(stream.op.busy);
    finish();
}

Test(sim, close_with_unread_bytes_resets)
{
    int dialer, acceptor;
    begin(NULL);
    pair_make(&dialer, &acceptor);
    send_text(acceptor, "readable");
    send_text(dialer, "unread");
    driver->ops->close(driver, acceptor);
    char text[8];
    struct probe receive = probe_new(text, sizeof text);
    probe_start(&receive, driver->ops->recv_into, dialer);
    settle();
    cr_assert_eq(receive.result, 8);
    probe_start(&receive, driver->ops->recv_into, dialer);
    settle();
    cr_assert_eq(receive.result, -ECONNRESET);
    finish();
}

Test(sim, send_to_a_closed_end_is_answered_by_a_reset)
{
    int dialer, acceptor;
    begin(NULL);
    pair_make(&dialer, &acceptor);
    driver->ops->close(driver, acceptor);
    char byte;
    struct probe receive = probe_new(&byte, 1), send = probe_new("x", 1);
    probe_start(&receive, driver->ops->recv_into, dialer);
    settle();
    cr_assert_eq(receive.result, 0);
    send_text(dialer, "x");
    driver->ops->wait(driver, zu_sim_now_ns(sim) + ZU_NS_PER_S);
    zu_sim_advance(sim);
    probe_start(&receive, driver->ops->recv_into, dialer);
    probe_start(&send, driver->ops->send, dialer);
    settle();
    cr_assert_eq(receive.result, -ECONNRESET);
    cr_assert(send.result == -EPIPE || send.result == -ECONNRESET);
    finish();
}

Test(sim, shutdown_ends_both_directions)
{
    int dialer, acceptor;
    begin(NULL);
    pair_make(&dialer, &acceptor);
    struct probe mine = probe_new(NULL, 0), theirs = probe_new(NULL, 0), send = probe_new("x", 1);
    probe_start(&mine, driver->ops->recv_stream, dialer);
    probe_start(&theirs, driver->ops->recv_stream, acceptor);
    send_text(dialer, "last");
    driver->ops->shutdown(driver, dialer);
    settle();
    cr_assert_eq(mine.result, 0);
    cr_assert_eq(theirs.bytes, 4);
    cr_assert_eq(theirs.result, 0);
    probe_start(&send, driver->ops->send, dialer);
    settle();
    cr_assert_eq(send.result, -EPIPE);
    finish();
}

Test(sim, a_full_connection_makes_the_sender_wait)
{
    static char many[256 * 1024];
    const struct zu_sim_faults small = {.buffer_size = 1000};
    int dialer, acceptor;
    begin(&small);
    pair_make(&dialer, &acceptor);
    struct probe send = probe_new(many, sizeof many);
    probe_start(&send, driver->ops->send, dialer);
    settle();
    cr_assert_eq(send.result, 1000);
    probe_start(&send, driver->ops->send, dialer);
    settle();
    cr_assert(send.op.busy);
    struct probe receive = probe_new(many, 10);
    probe_start(&receive, driver->ops->recv_into, acceptor);
    settle();
    cr_assert_eq(send.result, 10);
    probe_start(&send, driver->ops->send, dialer);
    settle();
    driver->ops->cancel(driver, &send.op);
    settle();
    cr_assert_eq(send.result, -ECANCELED);
    finish();
}

Test(sim, cancel_ends_a_stream_and_its_bytes_stay)
{
    int dialer, acceptor;
    begin(NULL);
    pair_make(&dialer, &acceptor);
    struct probe stream = probe_new(NULL, 0);
    probe_start(&stream, driver->ops->recv_stream, acceptor);
    settle();
    cr_assert_eq(stream.calls, 0);
    driver->ops->cancel(driver, &stream.op);
    driver->ops->cancel(driver, &stream.op);
    settle();
    cr_assert_eq(stream.calls, 1);
    cr_assert_eq(stream.result, -ECANCELED);
    driver->ops->cancel(driver, &stream.op);
    send_text(dialer, "kept");
    probe_start(&stream, driver->ops->recv_stream, acceptor);
    settle();
    cr_assert_eq(stream.bytes, 4);
    finish();
}

Test(sim, connect_fails_without_listener_and_for_strangers)
{
    begin(NULL);
    struct probe connect = probe_new(NULL, 0);
    struct sockaddr_storage internet = {.ss_family = AF_INET};
    int fd = zu_sim_socket(sim);
    probe_connect(&connect, fd, PORT);
    settle();
    cr_assert_eq(connect.result, -ECONNREFUSED);
    driver->ops->connect(driver, &connect.op, fd, (struct sockaddr *)&internet, sizeof internet);
    settle();
    cr_assert_eq(connect.result, -EAFNOSUPPORT);
    int listener = zu_sim_listen(sim, PORT);
    cr_assert_eq(zu_sim_listen(sim, PORT), -EADDRINUSE);
    struct probe accept = probe_new(NULL, 0);
    probe_start(&accept, driver->ops->accept_stream, listener);
    driver->ops->shutdown(driver, listener);
    settle();
    cr_assert_eq(accept.result, -EINVAL);
    driver->ops->close(driver, listener);
    cr_assert_gt(zu_sim_listen(sim, PORT), listener, "a number was used twice");
    probe_connect(&connect, fd, PORT);
    driver->ops->cancel(driver, &connect.op);
    settle();
    cr_assert_eq(connect.result, -ECANCELED);
    finish();
}

Test(sim, who_was_not_accepted_is_reset)
{
    begin(NULL);
    struct probe connect = probe_new(NULL, 0), stream = probe_new(NULL, 0);
    int listener = zu_sim_listen(sim, PORT), fd = zu_sim_socket(sim);
    probe_connect(&connect, fd, PORT);
    settle();
    cr_assert_eq(connect.result, 0);
    probe_start(&stream, driver->ops->recv_stream, fd);
    driver->ops->close(driver, listener);
    settle();
    cr_assert_eq(stream.result, -ECONNRESET);
    finish();
}

struct door_row {
    struct zu_sim_faults faults; /* in force */
    int connect;                 /* its result */
    int accept;                  /* its result; 0 for none */
    uint64_t passes_ns;          /* at least so much time */
};

static const struct door_row door_rows[] = {
    {{.connect_refusals = 1000}, -ECONNREFUSED, 0, 1},
    {{.connect_timeouts = 1000}, -ETIMEDOUT, 0, 100 * ZU_NS_PER_S},
    {{.accept_failures = 1000}, 0, -EMFILE, 1},
    {{.no_memory = 1000}, -ENOMEM, -ENOMEM, 0},
};

Test(sim, faults_at_the_door)
{
    for (size_t i = 0; i < sizeof door_rows / sizeof *door_rows; i++) {
        const struct door_row *row = &door_rows[i];
        begin(&row->faults);
        uint64_t before_ns = zu_sim_now_ns(sim);
        struct probe connect = probe_new(NULL, 0), accept = probe_new(NULL, 0);
        int listener = zu_sim_listen(sim, PORT), fd = zu_sim_socket(sim);
        probe_start(&accept, driver->ops->accept_stream, listener);
        probe_connect(&connect, fd, PORT);
        settle();
        cr_assert_eq(connect.result, row->connect, "row %zu: %d", i, connect.result);
        cr_assert_eq(accept.result, row->accept, "row %zu: %d", i, accept.result);
        cr_assert_eq(accept.op.busy, row->accept == 0);
        cr_assert_geq(zu_sim_now_ns(sim), before_ns + row->passes_ns);
        if (row->accept) {
            zu_sim_faults_set(sim, NULL);
            probe_start(&accept, driver->ops->accept_stream, listener);
            settle();
            cr_assert_eq(accept.result > 0, row->connect == 0, "the connection waited");
        }
        finish();
    }
}

struct stream_row {
    struct zu_sim_faults faults; /* in force */
    int result;                  /* of the first completion */
    unsigned flags;              /* of it */
};

static const struct stream_row stream_rows[] = {
    {{0}, 4, ZU_OP_MORE},          {{.no_buffers = 1000}, -ENOBUFS, 0}, {{.no_memory = 1000}, -ENOMEM, 0},
    {{.stream_ends = 1000}, 4, 0}, {{.resets = 1000}, -ECONNRESET, 0},
};

Test(sim, faults_of_a_stream)
{
    for (size_t i = 0; i < sizeof stream_rows / sizeof *stream_rows; i++) {
        const struct stream_row *row = &stream_rows[i];
        int dialer, acceptor;
        begin(NULL);
        pair_make(&dialer, &acceptor);
        struct probe stream = probe_new(NULL, 0), send = probe_new("four", 4);
        probe_start(&send, driver->ops->send, dialer);
        zu_sim_faults_set(sim, &row->faults);
        probe_start(&stream, driver->ops->recv_stream, acceptor);
        settle();
        cr_assert_eq(stream.result, row->result, "row %zu: %d", i, stream.result);
        cr_assert_eq(stream.flags, row->flags, "row %zu", i);
        if (row->result == -ENOBUFS) {
            zu_sim_faults_set(sim, NULL);
            probe_start(&stream, driver->ops->recv_stream, acceptor);
            settle();
            cr_assert_eq(stream.bytes, 4, "nothing was lost");
        }
        finish();
    }
}

struct ticker {
    struct zu_timer timer;  /* set once */
    struct zu_shard *shard; /* posts here when fired */
    struct zu_note note;    /* the post */
    uint64_t fired_ns;      /* when */
    bool noted;             /* the note ran */
};

static void ticker_fired(struct zu_timer *timer)
{
    struct ticker *ticker = zu_container_of(timer, struct ticker, timer);
    ticker->fired_ns = zu_sim_now_ns(sim);
    zu_mailbox_post(&ticker->shard->box, &ticker->note);
}

static void ticker_noted(struct zu_note *note)
{
    zu_container_of(note, struct ticker, note)->noted = true;
}

Test(sim, turns_move_time_to_timers_and_deliver_notes)
{
    static struct zu_shard shards[2];
    struct zu_shard *const both[] = {&shards[0], &shards[1]};
    cr_assert_eq(zu_sim_new(1, NULL, &sim), 0);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(zu_sim_driver_new(sim, &driver), 0);
        cr_assert_eq(zu_shard_init(&shards[i], driver), 0);
    }
    struct ticker ticker = {.timer.fired = ticker_fired, .shard = &shards[0], .note.run = ticker_noted};
    uint64_t before_ns = zu_sim_now_ns(sim);
    cr_assert_eq(zu_shard_timer(&shards[1], &ticker.timer, 3 * ZU_NS_PER_S), 0);
    unsigned turns = 0;
    while (zu_sim_turn(sim, both, 2))
        cr_assert_lt(++turns, 20);
    cr_assert_eq(ticker.fired_ns, before_ns + 3 * ZU_NS_PER_S);
    cr_assert_eq(zu_sim_now_ns(sim), ticker.fired_ns);
    cr_assert(ticker.noted);
    zu_shard_fini(&shards[0]);
    zu_shard_fini(&shards[1]);
    zu_sim_free(sim);
}

Test(sim, wake_makes_a_driver_due)
{
    begin(NULL);
    driver->ops->wait(driver, zu_sim_now_ns(sim) + ZU_NS_PER_S);
    driver->ops->wake(driver);
    uint64_t before_ns = zu_sim_now_ns(sim);
    cr_assert(zu_sim_advance(sim));
    cr_assert_eq(zu_sim_now_ns(sim), before_ns);
    driver->ops->wait(driver, before_ns + ZU_NS_PER_S);
    cr_assert(zu_sim_advance(sim));
    cr_assert_eq(zu_sim_now_ns(sim), before_ns + ZU_NS_PER_S);
    driver->ops->wait(driver, ZU_NEVER);
    cr_assert_not(zu_sim_advance(sim));
    finish();
}

Test(sim, time_stands_after_a_completion)
{
    begin(NULL);
    struct probe stream = probe_new(NULL, 0);
    probe_start(&stream, driver->ops->recv_stream, zu_sim_socket(sim));
    uint64_t before_ns = zu_sim_now_ns(sim);
    driver->ops->wait(driver, before_ns + ZU_NS_PER_S);
    cr_assert_eq(stream.result, -ENOTCONN);
    cr_assert(zu_sim_advance(sim));
    cr_assert_eq(zu_sim_now_ns(sim), before_ns, "the callback may have set a timer");
    driver->ops->wait(driver, ZU_NEVER);
    cr_assert_not(zu_sim_advance(sim));
    finish();
}

/* The storm: many connections with every fault, each end sending a pattern and reading the other's. */
enum { ENDS = 40, GOAL = 60 * 1000 };

struct end {
    struct zu_driver *driver;            /* its driver */
    struct zu_op receive, send, connect; /* its operations */
    struct iovec pieces[2];              /* of send */
    int fd;                              /* -1 when not open */
    size_t sent, received;               /* bytes of the pattern */
    bool refused, failed, ended;         /* how it went */
};

struct storm {
    struct end ends[ENDS];        /* the first half dials */
    struct zu_driver *drivers[2]; /* dialers', acceptors' */
    struct zu_op accept;          /* of the listener */
    int listener;                 /* descriptor */
    unsigned accepted;            /* ends in use of the second half */
    uint64_t trace;               /* a hash of everything that happened */
    uint8_t pattern[GOAL];        /* what everybody sends */
};

static struct storm storm;

static void trace(uint64_t value)
{
    storm.trace = (storm.trace ^ value) * UINT64_C(0x100000001b3);
}

static void end_send(struct end *end)
{
    if (end->sent == GOAL || end->failed)
        return;
    size_t first = (GOAL - end->sent) / 2;
    end->pieces[0] = (struct iovec){storm.pattern + end->sent, first};
    end->pieces[1] = (struct iovec){storm.pattern + end->sent + first, GOAL - end->sent - first};
    end->send.message.msg_iov = end->pieces;
    end->send.message.msg_iovlen = 2;
    end->driver->ops->send(end->driver, &end->send, end->fd);
}

static void end_sent(struct zu_op *op, int result, unsigned flags, struct zu_chunk *chunk)
{
    struct end *end = zu_container_of(op, struct end, send);
    cr_assert(!flags && !chunk);
    trace((uint64_t)result);
    if (result >= 0)
        end->sent += (size_t)result;
    else if (result != -ENOMEM)
        end->failed = true;
    end_send(end);
}

static void end_received(struct zu_op *op, int result, unsigned flags, struct zu_chunk *chunk)
{
    struct end *end = zu_container_of(op, struct end, receive);
    trace((uint64_t)result + flags);
    cr_assert_eq(chunk != NULL, result > 0);
    if (chunk) {
        cr_assert_leq(end->received + (size_t)result, GOAL);
        cr_assert_arr_eq(chunk->data + ZU_RECEIVE_HEADROOM, storm.pattern + end->received, (size_t)result);
        end->received += (size_t)result;
        zu_chunk_unref(chunk);
    } else {
        cr_assert_not(flags & ZU_OP_MORE);
        end->ended = result == 0;
        end->failed |= result < 0 && result != -ENOBUFS && result != -ENOMEM;
    }
    if (!(flags & ZU_OP_MORE) && !end->ended && !end->failed)
        end->driver->ops->recv_stream(end->driver, &end->receive, end->fd);
}

static void end_run(struct end *end, int fd)
{
    end->fd = fd;
    end->receive.done = end_received;
    end->send.done = end_sent;
    end->driver->ops->recv_stream(end->driver, &end->receive, fd);
    end_send(end);
}

static void end_connected(struct zu_op *op, int result, unsigned flags, struct zu_chunk *chunk)
{
    struct end *end = zu_container_of(op, struct end, connect);
    cr_assert(!flags && !chunk);
    trace((uint64_t)result);
    end->refused = result < 0;
    if (!result)
        end_run(end, end->fd);
}

static void storm_accepted(struct zu_op *op, int result, unsigned flags, struct zu_chunk *chunk)
{
    cr_assert_null(chunk);
    trace((uint64_t)result);
    if (result >= 0)
        end_run(&storm.ends[ENDS / 2 + storm.accepted++], result);
    else
        cr_assert(result == -EMFILE || result == -ENOMEM);
    if (!(flags & ZU_OP_MORE))
        storm.drivers[1]->ops->accept_stream(storm.drivers[1], op, storm.listener);
}

static void storm_begin(uint64_t seed, const struct zu_sim_faults *faults)
{
    memset(&storm, 0, sizeof storm);
    for (size_t i = 0; i < GOAL; i++)
        storm.pattern[i] = (uint8_t)(i * 31 + i / 255);
    cr_assert_eq(zu_sim_new(seed, faults, &sim), 0);
    cr_assert_eq(zu_sim_driver_new(sim, &storm.drivers[0]), 0);
    cr_assert_eq(zu_sim_driver_new(sim, &storm.drivers[1]), 0);
    storm.listener = zu_sim_listen(sim, PORT);
    storm.accept.done = storm_accepted;
    storm.drivers[1]->ops->accept_stream(storm.drivers[1], &storm.accept, storm.listener);
    struct sockaddr_storage address;
    socklen_t size;
    zu_sim_address(PORT, &address, &size);
    for (int i = 0; i < ENDS; i++) {
        struct end *end = &storm.ends[i];
        end->driver = storm.drivers[i >= ENDS / 2];
        if (i >= ENDS / 2)
            continue;
        end->fd = zu_sim_socket(sim);
        end->connect.done = end_connected;
        end->driver->ops->connect(end->driver, &end->connect, end->fd, (struct sockaddr *)&address, size);
    }
}

static void storm_run(void)
{
    do {
        for (int i = 0; i < 2; i++)
            storm.drivers[i]->ops->wait(storm.drivers[i], ZU_NEVER);
    } while (zu_sim_advance(sim));
}

static unsigned storm_check(void)
{
    struct zu_sim_connection counts;
    unsigned whole = 0;
    for (size_t i = 0; zu_sim_connection_get(sim, i, &counts); i++) {
        for (int side = 0; side < 2; side++)
            cr_assert_leq(counts.received[!side], counts.sent[side]);
        whole += counts.received[0] == GOAL && counts.received[1] == GOAL;
    }
    unsigned dialed = 0;
    for (int i = 0; i < ENDS; i++) {
        struct end *end = &storm.ends[i];
        if (end->failed)
            cr_assert_not(end->receive.busy || end->send.busy, "a reset ends everything");
        else if (i < ENDS / 2 && !end->refused)
            dialed++;
    }
    cr_assert(whole <= ENDS / 2 && dialed <= ENDS / 2);
    return whole;
}

static void storm_finish(void)
{
    for (int i = 0; i < 2; i++)
        storm.drivers[i]->ops->free(storm.drivers[i]);
    zu_sim_free(sim);
}

static uint64_t storm_whole(uint64_t seed, const struct zu_sim_faults *faults, unsigned *ret_whole)
{
    storm_begin(seed, faults);
    storm_run();
    *ret_whole = storm_check();
    trace(zu_sim_now_ns(sim));
    storm_finish();
    return storm.trace;
}

Test(sim, storm_without_resets_loses_nothing)
{
    const struct zu_sim_faults faults = {.short_sends = 300,
                                         .short_receives = 300,
                                         .delays = 200,
                                         .no_buffers = 100,
                                         .no_memory = 50,
                                         .stream_ends = 100,
                                         .accept_failures = 200,
                                         .buffer_size = 5000};
    uint64_t seed = (uint64_t)time(NULL);
    fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
    unsigned whole, refused = 0;
    storm_whole(seed, &faults, &whole);
    for (int i = 0; i < ENDS / 2; i++)
        refused += storm.ends[i].refused;
    cr_assert_eq(whole + refused, ENDS / 2);
    cr_assert_gt(whole, 0);
}

Test(sim, storm_is_the_same_from_the_same_seed)
{
    const struct zu_sim_faults faults = {.short_sends = 100,
                                         .short_receives = 100,
                                         .delays = 100,
                                         .resets = 3,
                                         .no_buffers = 50,
                                         .no_memory = 20,
                                         .stream_ends = 100,
                                         .connect_refusals = 100,
                                         .connect_timeouts = 50,
                                         .accept_failures = 100,
                                         .buffer_size = 4000};
    uint64_t seed = (uint64_t)time(NULL);
    fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
    unsigned whole, again, other;
    uint64_t first = storm_whole(seed, &faults, &whole);
    cr_assert_eq(storm_whole(seed, &faults, &again), first);
    cr_assert_eq(whole, again);
    cr_assert_neq(storm_whole(seed + 1, &faults, &other), first);
    for (uint64_t i = 2; i < 30; i++)
        storm_whole(seed + i, &faults, &other);
}
