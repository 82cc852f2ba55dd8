/* SPDX-License-Identifier: MIT */
/*
 * Inline drive as a program sees it. When bytes go out is watched on a plain socket behind each call, a Unix one: what
 * was sent there has arrived, while TCP holds back a burst without acknowledgements. Since the keeper may send what the
 * watched thread, preempted, has not, "not yet" needs to be seen in one attempt of several.
 */
#include "core/context.h"
#include "io/shard.h"
#include "scene.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>

enum { BURST = 16, ATTEMPTS = 30, STAY_MS = 50 };

/* Uses up what goes at once, in no time, for a sender that is slow is not made to wait. The frames are left unheard. */
static void burst(struct scene *scene)
{
    char byte;
    kit_set(scene->socket, ZMQ_RCVTIMEO, 1); /* a wait that has come to an end: all before is forgotten */
    KIT_FAILS(EAGAIN, zmq_recv(scene->socket, &byte, 1, 0));
    for (int i = 1; i <= BURST; i++) {
        say(scene, 0);
        cr_assert(is_there(scene, i), "%d went at once, %d octets arrived", i, arrived(scene));
    }
}

/* True when in one of several attempts exactly `kept` more messages than that stay behind before one sends them all. */
static bool keeps(struct scene *scene, int kept)
{
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        int sent = BURST;
        bool is_early = false;
        burst(scene);
        while (sent < BURST + kept && !is_early) {
            say(scene, 0);
            sent++;
            is_early = !is_there(scene, BURST);
        }
        if (!is_early)
            say(scene, 0);
        bool all = is_there(scene, sent + !is_early);
        hear(scene, sent + !is_early);
        if (!is_early && all)
            return true;
    }
    return false;
}

Test(drive, a_burst_goes_at_once_and_then_it_is_a_stream)
{
    struct scene scene = scene_new(1 << 30, FAR_US);
    bool gathers = false;
    for (int attempt = 0; attempt < ATTEMPTS && !gathers; attempt++) {
        burst(&scene);
        for (int i = 0; i < 3; i++)
            say(&scene, 0);
        gathers = is_there(&scene, BURST);
        hear(&scene, BURST + 3);
    }
    cr_assert(gathers);
    scene_end(&scene);
}

Test(drive, enough_bytes_make_a_batch)
{
    struct scene scene = scene_new(4 * SIZE, FAR_US);
    cr_assert(keeps(&scene, 3));
    scene_end(&scene);
    scene = scene_new(1, FAR_US);
    cr_assert(keeps(&scene, 0));
    scene_end(&scene);
}

/* The keeper's looks alone would be two or three. */
Test(drive, a_stream_is_handed_over_now_and_then_by_the_clock)
{
    struct scene scene = scene_new(1 << 30, 50);
    unsigned times = 0;
    for (int attempt = 0; attempt < ATTEMPTS && times < 8; attempt++) {
        int sent = BURST, seen = BURST * FRAME;
        burst(&scene);
        times = 0;
        for (uint64_t until_ms = kit_now_ms() + 3; kit_now_ms() < until_ms && sent < 3000; sent++) {
            say(&scene, 0);
            int octets = arrived(&scene);
            times += octets > seen + FRAME; /* one by itself went at once: the thread was away */
            seen = octets;
        }
        cr_assert_leq(seen, sent * FRAME);
        hear(&scene, sent);
    }
    cr_assert_geq(times, 8, "%u times", times);
    scene_end(&scene);
}

Test(drive, without_time_to_gather_every_message_goes_at_once)
{
    struct scene scene = scene_new(1 << 30, 0);
    for (int i = 1; i <= 5 * BURST; i++) {
        say(&scene, 0);
        cr_assert(is_there(&scene, i), "message %d", i);
    }
    scene_end(&scene);
}

Test(drive, a_message_of_parts_out_of_quiet_goes_at_once)
{
    struct scene scene = scene_new(1 << 30, FAR_US);
    bool all = true;
    for (int attempt = 0; attempt < ATTEMPTS && all; attempt++) {
        kit_readable(scene.socket, 1);
        for (int i = 1; i <= 9; i++)
            say(&scene, i % 3 ? ZMQ_SNDMORE : 0);
        all = is_there(&scene, 9);
        hear(&scene, 9);
    }
    cr_assert(all);
    scene_end(&scene);
}

static void by_recv(struct scene *scene)
{
    char byte;
    KIT_FAILS(EAGAIN, zmq_recv(scene->socket, &byte, 1, ZMQ_DONTWAIT));
}

static void by_poll(struct scene *scene)
{
    cr_assert_not(kit_readable(scene->socket, 0));
}

static void by_poll_of_two(struct scene *scene)
{
    zmq_pollitem_t items[2] = {{.socket = scene->socket, .events = ZMQ_POLLIN}, {.fd = -1}};
    cr_assert_eq(zmq_poll(items, 2, 0), 0);
}

static void by_events(struct scene *scene)
{
    cr_assert_eq(kit_get(scene->socket, ZMQ_EVENTS), ZMQ_POLLOUT);
}

Test(drive, what_has_gathered_goes_before_the_thread_waits)
{
    void (*const ways[])(struct scene *scene) = {by_recv, by_poll, by_poll_of_two, by_events};
    struct scene scene = scene_new(1 << 30, FAR_US);
    for (int i = 0; i < 4; i++) {
        burst(&scene);
        for (int k = 0; k < 5; k++)
            say(&scene, 0);
        ways[i](&scene);
        cr_assert(is_there(&scene, BURST + 5), "way %d", i);
        hear(&scene, BURST + 5);
    }
    scene_end(&scene);
}

static int compare(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* The bound is 2 ms; a machine that is busy may make it more, but not always. */
Test(drive, what_a_caller_that_stays_away_left_is_sent)
{
    enum { TRIALS = 9 };
    struct scene scene = scene_new(1 << 30, FAR_US);
    int took_ms[TRIALS];
    for (int trial = 0; trial < TRIALS; trial++) {
        if (trial % 3 == 0) /* the keeper goes to sleep; it is for the message to call it */
            poll(NULL, 0, 60);
        burst(&scene);
        uint64_t start_ms = kit_now_ms();
        say(&scene, 0);
        hear(&scene, BURST + 1);
        took_ms[trial] = (int)(kit_now_ms() - start_ms);
    }
    qsort(took_ms, TRIALS, sizeof *took_ms, compare);
    cr_assert_leq(took_ms[TRIALS / 2], SANITIZED ? 20 * STAY_MS : STAY_MS);
    scene_end(&scene);
}

/* More than the kernel takes: the rest follows while nobody calls. */
Test(drive, what_the_kernel_did_not_take_follows)
{
    enum { LARGE = 16 << 20 };
    struct scene scene = scene_new(131072, 20);
    uint8_t *large = calloc(2, LARGE);
    KIT_OK(zmq_send(scene.socket, large, LARGE, 0));
    say(&scene, 0);
    raw_hear(scene.fd, large, 9 + LARGE + FRAME);
    free(large);
    scene_end(&scene);
}

static void expect_first_message(int listener)
{
    char skipped[FRAME];
    int fd = raw_accept(listener);
    raw_shake(fd, RAW_READY_PAIR);
    raw_hear(fd, skipped, FRAME);
    close(fd);
}

Test(drive, a_first_message_arrives_though_its_sender_stays_away)
{
    struct scene scene = {.context = drive_context(driven)};
    char text[KIT_ENDPOINT_SIZE];
    scene.listener = listen_at(endpoint_new(text));
    scene.socket = kit_socket(scene.context, ZMQ_PAIR);
    KIT_OK(zmq_connect(scene.socket, text));
    say(&scene, 0);
    expect_first_message(scene.listener);
    KIT_OK(zmq_close(scene.socket));
    close(scene.listener);
    /* Nobody there at first. */
    scene.socket = kit_socket(scene.context, ZMQ_PAIR);
    kit_set(scene.socket, ZMQ_RECONNECT_IVL, 10);
    KIT_OK(zmq_connect(scene.socket, text));
    say(&scene, 0);
    poll(NULL, 0, 50);
    scene.listener = listen_at(text);
    expect_first_message(scene.listener);
    close(scene.listener);
    KIT_OK(zmq_close(scene.socket));
    KIT_OK(zmq_ctx_term(scene.context));
}

/* --- the end --- */

static void *hear_all(void *arg)
{
    const struct scene *scene = arg;
    static char skipped[65536];
    uint64_t octets = 0;
    ssize_t step;
    while ((step = recv(scene->fd, skipped, sizeof skipped, 0)) > 0)
        octets += (uint64_t)step;
    return (void *)(uintptr_t)octets;
}

Test(drive, close_delivers_what_was_sent)
{
    enum { LARGE = 400000, MESSAGES = 900 };
    static const uint8_t large[LARGE];
    for (int is_large = 0; is_large < 2; is_large++) {
        struct scene scene = scene_new(131072, 20);
        kit_set(scene.socket, ZMQ_LINGER, -1);
        uint64_t octets = 0;
        for (int i = 0; i < MESSAGES; i++) {
            bool now = is_large && i % 50 == 0;
            KIT_OK(zmq_send(scene.socket, large, now ? LARGE : SIZE, ZMQ_DONTWAIT));
            octets += now ? LARGE + 9 : FRAME;
        }
        KIT_OK(zmq_close(scene.socket));
        pthread_t reader;
        void *heard;
        pthread_create(&reader, NULL, hear_all, &scene);
        KIT_OK(zmq_ctx_term(scene.context));
        pthread_join(reader, &heard);
        cr_assert_eq((uint64_t)(uintptr_t)heard, octets);
        close(scene.fd);
        close(scene.listener);
    }
}

Test(drive, close_without_linger_leaves_the_rest)
{
    static const uint8_t large[1 << 20];
    struct scene scene = scene_new(131072, 20);
    kit_set(scene.socket, ZMQ_LINGER, 0);
    for (int i = 0; i < 30; i++)
        KIT_OK(zmq_send(scene.socket, large, sizeof large, ZMQ_DONTWAIT));
    uint64_t start_ms = kit_now_ms();
    KIT_OK(zmq_close(scene.socket));
    KIT_OK(zmq_ctx_term(scene.context));
    cr_assert_lt(kit_now_ms() - start_ms, 5000);
    cr_assert_lt((uint64_t)(uintptr_t)hear_all(&scene), 30 * sizeof large);
    close(scene.fd);
    close(scene.listener);
}

Test(drive, close_lingers_as_long_as_it_is_told)
{
    struct scene scene = {.context = drive_context(driven)};
    char text[KIT_ENDPOINT_SIZE];
    kit_free_endpoint(scene.context, "tcp", text);
    scene.socket = kit_socket(scene.context, ZMQ_PAIR);
    KIT_OK(zmq_connect(scene.socket, text));
    say(&scene, 0);
    kit_set(scene.socket, ZMQ_LINGER, 200);
    uint64_t start_ms = kit_now_ms();
    KIT_OK(zmq_close(scene.socket));
    cr_assert_lt(kit_now_ms() - start_ms, 150, "zmq_close itself does not wait");
    KIT_OK(zmq_ctx_term(scene.context));
    cr_assert_geq(kit_now_ms() - start_ms, 190);
    cr_assert_lt(kit_now_ms() - start_ms, 5000);
}

/* What is left is driven by a thread that sleeps on its descriptor; there may be none to be had. */
Test(drive, close_delivers_though_no_descriptor_is_left, .timeout = 60)
{
    static const uint8_t large[4 << 20];
    struct scene scene = scene_new(131072, 20);
    kit_set(scene.socket, ZMQ_LINGER, -1);
    KIT_OK(zmq_send(scene.socket, large, sizeof large, 0));
    int next = dup(scene.fd);
    close(next);
    struct rlimit before, none;
    getrlimit(RLIMIT_NOFILE, &before);
    none = (struct rlimit){.rlim_cur = (rlim_t)next, .rlim_max = before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
    KIT_OK(zmq_close(scene.socket));
    poll(NULL, 0, 40); /* longer than it takes that thread to go to sleep */
    pthread_t reader;
    void *heard;
    pthread_create(&reader, NULL, hear_all, &scene);
    KIT_OK(zmq_ctx_term(scene.context));
    pthread_join(reader, &heard);
    cr_assert_eq((uint64_t)(uintptr_t)heard, sizeof large + 9);
    setrlimit(RLIMIT_NOFILE, &before);
    close(scene.fd);
    close(scene.listener);
}

/* --- ZMQ_FD --- */

static bool is_readable(int epoll, int timeout_ms)
{
    struct epoll_event event;
    int count;
    do
        count = epoll_wait(epoll, &event, 1, timeout_ms);
    while (count < 0 && errno == EINTR);
    return count == 1;
}

/* Takes one message as an event loop does, and leaves the descriptor quiet. */
static void take_by(int epoll, void *socket, const char *text)
{
    uint64_t until_ms = 0;
    while (!(kit_get(socket, ZMQ_EVENTS) & ZMQ_POLLIN)) {
        cr_assert(kit_before(&until_ms), "waiting for \"%s\"", text);
        cr_assert(is_readable(epoll, KIT_WAIT_MS), "waiting for \"%s\"", text);
    }
    kit_recv_text(socket, text);
    KIT_UNTIL(!(kit_get(socket, ZMQ_EVENTS) & ZMQ_POLLIN) && !is_readable(epoll, 0));
    cr_assert_not(is_readable(epoll, 5), "it stays quiet");
}

static int send_late(void *socket)
{
    poll(NULL, 0, 20);
    return zmq_send(socket, "late", 4, 0);
}

static void fd_with(const char *transport, bool is_early)
{
    void *context = drive_context(driven);
    void *to = kit_socket(context, ZMQ_PAIR), *from = kit_socket(context, ZMQ_PAIR);
    int epoll = epoll_create1(0), fd = is_early ? kit_get(to, ZMQ_FD) : -1;
    struct epoll_event event = {.events = EPOLLIN};
    char text[KIT_ENDPOINT_SIZE];
    struct kit_thread thread;
    kit_bind(to, transport, text);
    KIT_OK(zmq_connect(from, text));
    if (!is_early)
        fd = kit_get(to, ZMQ_FD);
    cr_assert_eq(kit_get(to, ZMQ_FD), fd);
    cr_assert_eq(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), 0, "%s", strerror(errno));
    for (int i = 0; i < 5; i++) {
        kit_send_text(from, "a", 0);
        take_by(epoll, to, "a");
        kit_thread_start(&thread, send_late, from);
        take_by(epoll, to, "late");
        cr_assert_eq(kit_thread_join(&thread), 0);
        kit_send_text(to, "b", 0);
        kit_recv_text(from, "b");
    }
    KIT_OK(zmq_close(from));
    KIT_OK(zmq_close(to));
    KIT_OK(zmq_ctx_term(context));
    close(epoll);
}

Test(drive, zmq_fd_can_be_waited_on_by_epoll)
{
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        fd_with(kit_transports[t], false);
        fd_with(kit_transports[t], true);
    }
}

/* A connection that is made, or lost and made again, while the program only looks at the descriptor. */
Test(drive, zmq_fd_tells_of_a_connection)
{
    void *context = drive_context(driven);
    void *from = kit_socket(context, ZMQ_PAIR);
    int epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN};
    char text[KIT_ENDPOINT_SIZE];
    epoll_ctl(epoll, EPOLL_CTL_ADD, kit_get(from, ZMQ_FD), &event);
    kit_set(from, ZMQ_IMMEDIATE, 1);
    kit_set(from, ZMQ_RECONNECT_IVL, 5);
    kit_free_endpoint(context, "tcp", text);
    KIT_OK(zmq_connect(from, text));
    cr_assert_eq(kit_get(from, ZMQ_EVENTS), 0);
    void *other = drive_context(&drive_ways[0]), *to = kit_socket(other, ZMQ_PAIR);
    kit_rebind(to, text);
    uint64_t until_ms = 0;
    while (!(kit_get(from, ZMQ_EVENTS) & ZMQ_POLLOUT)) {
        cr_assert(kit_before(&until_ms));
        cr_assert(is_readable(epoll, KIT_WAIT_MS));
    }
    KIT_OK(zmq_close(from));
    KIT_OK(zmq_close(to));
    KIT_OK(zmq_ctx_term(context));
    KIT_OK(zmq_ctx_term(other));
    close(epoll);
}

Test(drive, zmq_poll_of_several_sockets_and_descriptors)
{
    enum { SOCKETS = 6 };
    void *context = drive_context(driven), *to[SOCKETS], *from[SOCKETS];
    zmq_pollitem_t items[SOCKETS + 1];
    char text[KIT_ENDPOINT_SIZE];
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    for (int i = 0; i < SOCKETS; i++) {
        to[i] = kit_socket(context, ZMQ_PULL);
        from[i] = kit_socket(context, ZMQ_PUSH);
        KIT_OK(zmq_connect(from[i], kit_bind(to[i], kit_transports[i % KIT_TRANSPORTS], text)));
        items[i] = (zmq_pollitem_t){.socket = to[i], .events = ZMQ_POLLIN};
    }
    items[SOCKETS] = (zmq_pollitem_t){.fd = ends[0], .events = ZMQ_POLLIN};
    for (int i = 0; i < 4 * SOCKETS; i++) {
        struct kit_thread thread;
        int which = i % SOCKETS;
        cr_assert_eq(zmq_poll(items, SOCKETS + 1, 1), 0);
        if (i < 2 * SOCKETS)
            kit_thread_start(&thread, send_late, from[which]);
        else
            kit_send_text(from[which], "late", 0);
        cr_assert_eq(zmq_poll(items, SOCKETS + 1, KIT_WAIT_MS), 1);
        for (int k = 0; k <= SOCKETS; k++)
            cr_assert_eq(items[k].revents, k == which ? ZMQ_POLLIN : 0);
        kit_recv_text(to[which], "late");
        if (i < 2 * SOCKETS)
            cr_assert_eq(kit_thread_join(&thread), 0);
    }
    cr_assert_eq(write(ends[1], "a", 1), 1);
    cr_assert_eq(zmq_poll(items, SOCKETS + 1, KIT_WAIT_MS), 1);
    cr_assert_eq(items[SOCKETS].revents, ZMQ_POLLIN);
    for (int i = 0; i < SOCKETS; i++) {
        KIT_OK(zmq_close(from[i]));
        KIT_OK(zmq_close(to[i]));
    }
    KIT_OK(zmq_ctx_term(context));
    close(ends[0]);
    close(ends[1]);
}

/* --- threads --- */

static void *talk_a_while(void *arg)
{
    void **sockets = arg; /* starting and joining a thread is the fence */
    for (int i = 0; i < 30; i++) {
        kit_send_text(sockets[0], "there", 0);
        kit_recv_text(sockets[1], "there");
        kit_send_text(sockets[1], "and back", 0);
        kit_recv_text(sockets[0], "and back");
    }
    kit_send_text(sockets[0], "left over", 0); /* for the next thread to take, when this one is no more */
    return NULL;
}

Test(drive, a_socket_goes_from_thread_to_thread)
{
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        void *context = drive_context(driven);
        void *sockets[2] = {kit_socket(context, ZMQ_PAIR), kit_socket(context, ZMQ_PAIR)};
        char text[KIT_ENDPOINT_SIZE];
        KIT_OK(zmq_connect(sockets[0], kit_bind(sockets[1], kit_transports[t], text)));
        for (int i = 0; i < 20; i++) {
            pthread_t thread;
            cr_assert_eq(pthread_create(&thread, NULL, talk_a_while, sockets), 0);
            pthread_join(thread, NULL);
            kit_recv_text(sockets[1], "left over");
        }
        KIT_OK(zmq_close(sockets[0]));
        KIT_OK(zmq_close(sockets[1]));
        KIT_OK(zmq_ctx_term(context));
    }
}

static int recv_forever(void *socket)
{
    char byte;
    return zmq_recv(socket, &byte, 1, 0);
}

/* There is a peer, and no room. */
static int send_forever(void *socket)
{
    static const uint8_t large[1 << 20];
    while (zmq_send(socket, large, sizeof large, 0) >= 0)
        ;
    return -1;
}

static int poll_forever(void *socket)
{
    zmq_pollitem_t item = {.socket = socket, .events = ZMQ_POLLIN};
    return zmq_poll(&item, 1, -1);
}

static int poll_two_forever(void *socket)
{
    zmq_pollitem_t items[2] = {{.socket = socket, .events = ZMQ_POLLIN}, {.fd = -1}};
    return zmq_poll(items, 2, -1);
}

static int (*const forevers[])(void *) = {recv_forever, send_forever, poll_forever, poll_two_forever};
enum { FOREVERS = sizeof forevers / sizeof *forevers };

static void wait_forever(struct scene *scene, struct kit_thread *thread, int which)
{
    *scene = scene_new(131072, 20);
    kit_set(scene->socket, ZMQ_RCVTIMEO, -1);
    kit_set(scene->socket, ZMQ_SNDTIMEO, -1);
    kit_set(scene->socket, ZMQ_SNDHWM, 2);
    kit_thread_start(thread, forevers[which], scene->socket);
    poll(NULL, 0, 10); /* it may have slept on something else */
}

Test(drive, the_end_of_the_context_wakes_who_waits)
{
    for (int which = 0; which < FOREVERS; which++) {
        struct scene scene;
        struct kit_thread thread;
        wait_forever(&scene, &thread, which);
        KIT_OK(zmq_ctx_shutdown(scene.context));
        int error = kit_thread_join(&thread);
        cr_assert_eq(error, ETERM, "%d: %s", which, zmq_strerror(error));
        char byte;
        KIT_FAILS(ETERM, zmq_send(scene.socket, "a", 1, 0));
        KIT_FAILS(ETERM, zmq_recv(scene.socket, &byte, 1, 0));
        scene_end(&scene);
    }
}

static int term(void *context)
{
    return zmq_ctx_term(context);
}

Test(drive, ctx_term_waits_for_the_sockets)
{
    struct scene scene;
    struct kit_thread waiting, terminating;
    wait_forever(&scene, &waiting, 0);
    kit_thread_start(&terminating, term, scene.context);
    cr_assert_eq(kit_thread_join(&waiting), ETERM);
    cr_assert_eq(kit_thread_state(terminating.tid), 'S', "it waits for zmq_close");
    KIT_OK(zmq_close(scene.socket));
    cr_assert_eq(kit_thread_join(&terminating), 0);
    close(scene.fd);
    close(scene.listener);
}

static void on_signal(int number)
{
    (void)number;
}

Test(drive, a_signal_ends_a_wait)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGUSR1, &action, NULL);
    for (int which = 0; which < FOREVERS; which++) {
        struct scene scene;
        struct kit_thread thread;
        wait_forever(&scene, &thread, which);
        /* A sender may also have been met in a rest of a millisecond, which it does not give up for that. */
        int error = kit_thread_interrupt(&thread);
        cr_assert_eq(error, EINTR, "%d: %s", which, zmq_strerror(error));
        scene_end(&scene);
    }
}

/* What a shard's thread knows of itself. */
struct inquiry {
    struct zu_note note;    /* to it */
    struct zu_shard *shard; /* whom */
    unsigned looks;         /* of its last spin */
    _Atomic bool answered;  /* release, acquire: looks is there */
};

static void inquiry_run(struct zu_note *note)
{
    struct inquiry *inquiry = zu_container_of(note, struct inquiry, note);
    inquiry->looks = inquiry->shard->spinner.turns;
    inquiry->answered = true;
}

static bool has_spun(void *context)
{
    struct inquiry inquiry = {.note.run = inquiry_run, .shard = ((struct zu_context *)context)->shards[0]};
    zu_mailbox_post(&inquiry.shard->box, &inquiry.note);
    KIT_UNTIL(inquiry.answered);
    return inquiry.looks > 0;
}

/* Batches of requests, with answers or without. */
static bool dialogue_spins(int spin_us, bool is_answered)
{
    enum { OCTETS = 1 << 22, SIZE = 64, BATCH = 500 };
    static char bytes[SIZE];
    char text[KIT_ENDPOINT_SIZE];
    void *context = drive_context(&(struct drive_way){.drive = ZU_DRIVE_BACKGROUND, .spin_us = spin_us});
    void *hub = kit_socket(context, ZMQ_PAIR), *spoke = kit_socket(context, ZMQ_PAIR);
    KIT_OK(zmq_connect(spoke, kit_bind(hub, "tcp", text)));
    for (int sent = 0; sent < OCTETS && !(is_answered && has_spun(context)); sent += BATCH * SIZE) {
        void *ends[2] = {spoke, hub};
        for (int way = 0; way < (is_answered ? 2 : 1); way++) {
            for (int i = 0; i < BATCH; i++)
                cr_assert_eq(zmq_send(ends[way], bytes, SIZE, 0), SIZE);
            for (int i = 0; i < BATCH; i++)
                cr_assert_eq(zmq_recv(ends[!way], bytes, SIZE, 0), SIZE);
        }
    }
    bool spun = has_spun(context);
    KIT_OK(zmq_close(spoke));
    KIT_OK(zmq_close(hub));
    KIT_OK(zmq_ctx_term(context));
    return spun;
}

/* Where it pays: not in a stream one way. Nowhere, if so wished. */
Test(drive, a_shard_spins_in_a_dialogue_of_batches)
{
    cr_assert(dialogue_spins(-1, true));
    cr_assert_not(dialogue_spins(-1, false));
    cr_assert_not(dialogue_spins(0, true));
}

static uint64_t process_cpu_ms(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (uint64_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000 +
           (uint64_t)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1000;
}

/* With a budget and without; with a message left behind, a connection that is not made, and a stopped sender. */
Test(drive, nothing_spins_when_idle)
{
    for (int way = 2; way < DRIVE_WAYS; way++) {
        void *context = drive_context(&drive_ways[way]), *to = kit_socket(context, ZMQ_PAIR);
        void *from = kit_socket(context, ZMQ_PAIR), *lost = kit_socket(context, ZMQ_PUSH);
        char text[KIT_ENDPOINT_SIZE];
        KIT_OK(zmq_connect(lost, kit_free_endpoint(context, "tcp", text)));
        KIT_OK(zmq_connect(from, kit_bind(to, "tcp", text)));
        kit_set(to, ZMQ_RCVTIMEO, 400);
        kit_send_text(from, "a", 0);
        kit_recv_text(to, "a");
        kit_send_text(lost, "a", 0);
        for (int i = 0; i < 100; i++)
            kit_send_text(from, "left behind", 0);
        for (int i = 0; i < 100; i++)
            kit_recv_text(to, "left behind");
        uint64_t used_ms = process_cpu_ms();
        KIT_FAILS(EAGAIN, recv_forever(to));
        used_ms = process_cpu_ms() - used_ms;
        cr_assert_lt(used_ms, 100, "%s: %d ms in 400", drive_ways[way].name, (int)used_ms);
        KIT_OK(zmq_close(from));
        KIT_OK(zmq_close(to));
        KIT_OK(zmq_close(lost));
        KIT_OK(zmq_ctx_term(context));
    }
}
