/* SPDX-License-Identifier: MIT */
#include "core/socket.h"
#include "kit.h"
#include "zuring.h"

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

Test(poll, wrong_arguments)
{
    zmq_pollitem_t item = {.fd = -1, .events = ZMQ_POLLIN};
    KIT_FAILS(EINVAL, zmq_poll(&item, -1, 0));
    KIT_FAILS(EFAULT, zmq_poll(NULL, 1, 0));
    cr_assert_eq(zmq_poll(NULL, 0, 0), 0);
    uint64_t start_ms = kit_now_ms();
    cr_assert_eq(zmq_poll(NULL, 0, 20), 0);
    cr_assert_geq(kit_now_ms() - start_ms, 19);
}

Test(poll, one_socket)
{
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        struct kit_pair pair = kit_pair(kit_transports[t], ZMQ_PUSH, ZMQ_PULL);
        zmq_pollitem_t in = {.socket = pair.to, .events = ZMQ_POLLIN | ZMQ_POLLOUT, .revents = 77};
        zmq_pollitem_t out = {.socket = pair.from, .events = ZMQ_POLLIN | ZMQ_POLLOUT};
        cr_assert_eq(zmq_poll(&in, 1, 10), 0);
        cr_assert_eq(in.revents, 0);
        cr_assert_eq(zmq_poll(&out, 1, KIT_WAIT_MS), 1);
        cr_assert_eq(out.revents, ZMQ_POLLOUT);
        kit_send_text(pair.from, "a", 0);
        for (int i = 0; i < 2; i++) { /* it stays ready until it is read */
            cr_assert_eq(zmq_poll(&in, 1, KIT_WAIT_MS), 1);
            cr_assert_eq(in.revents, ZMQ_POLLIN);
        }
        kit_recv_text(pair.to, "a");
        cr_assert_eq(zmq_poll(&in, 1, 0), 0);
        in.events = 0;
        kit_send_text(pair.from, "b", 0);
        cr_assert_eq(zmq_poll(&in, 1, 10), 0, "nothing was asked for");
        kit_pair_end(&pair);
    }
}

Test(poll, sockets_and_descriptors)
{
    struct kit_pair pair = kit_pair("tcp", ZMQ_PUSH, ZMQ_PULL);
    int event = eventfd(0, EFD_NONBLOCK), ends[2];
    cr_assert_eq(pipe(ends), 0);
    zmq_pollitem_t items[] = {
        {.socket = pair.to, .fd = event, .events = ZMQ_POLLIN},
        {.fd = event, .events = ZMQ_POLLIN},
        {.fd = ends[1], .events = ZMQ_POLLOUT},
        {.fd = ends[0], .events = ZMQ_POLLIN},
        {.fd = -1, .events = ZMQ_POLLIN},
    };
    cr_assert_eq(zmq_poll(items, 5, 0), 1, "the pipe takes more");
    cr_assert_eq(items[2].revents, ZMQ_POLLOUT);
    items[2].events = 0;
    cr_assert_eq(zmq_poll(items, 5, 10), 0);
    eventfd_write(event, 1);
    cr_assert_eq(zmq_poll(items, 5, KIT_WAIT_MS), 1);
    cr_assert(items[0].revents == 0 && items[1].revents == ZMQ_POLLIN, "the socket wins over its descriptor");
    eventfd_t count;
    eventfd_read(event, &count);
    kit_send_text(pair.from, "a", 0);
    cr_assert_eq(zmq_poll(items, 5, KIT_WAIT_MS), 1);
    cr_assert_eq(items[0].revents, ZMQ_POLLIN);
    eventfd_write(event, 1);
    cr_assert_eq(zmq_poll(items, 5, KIT_WAIT_MS), 2);
    close(ends[1]);
    cr_assert_eq(zmq_poll(items + 3, 2, KIT_WAIT_MS), 1);
    cr_assert_eq(items[3].revents, ZMQ_POLLERR, "hung up");
    close(ends[0]);
    close(event);
    kit_pair_end(&pair);
}

static int poll_forever(void *arg)
{
    zmq_pollitem_t *items = arg;
    return zmq_poll(items, 20, -1);
}

/* More items than fit on the stack, woken by the last. */
Test(poll, many_items)
{
    void *context = zmq_ctx_new();
    zmq_pollitem_t items[20];
    char text[KIT_ENDPOINT_SIZE];
    for (int i = 0; i < 20; i++)
        items[i] = (zmq_pollitem_t){.socket = kit_socket(context, ZMQ_PULL), .events = ZMQ_POLLIN};
    void *from = kit_socket(context, ZMQ_PUSH);
    KIT_OK(zmq_connect(from, kit_bind(items[19].socket, "tcp", text)));
    struct kit_thread thread;
    kit_thread_start(&thread, poll_forever, items);
    kit_send_text(from, "wake", 0);
    cr_assert_eq(kit_thread_join(&thread), 0);
    for (int i = 0; i < 20; i++) {
        cr_assert_eq(items[i].revents, i == 19 ? ZMQ_POLLIN : 0);
        KIT_OK(zmq_close(items[i].socket));
    }
    KIT_OK(zmq_close(from));
    KIT_OK(zmq_ctx_term(context));
}

static uint64_t thread_cpu_ns(void)
{
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
}

static void recv_spinning(void *socket)
{
    char byte;
    KIT_UNTIL_SPINNING(zmq_recv(socket, &byte, 1, ZMQ_DONTWAIT) == 1);
}

static int send_late(void *socket)
{
    poll(NULL, 0, 20);
    return zmq_send(socket, "late", 4, 0);
}

static int write_late(void *fd)
{
    poll(NULL, 0, 20);
    return (int)write(*(int *)fd, "late", 4);
}

/* The first socket's budget is used, and its pauses are kept. */
static void spin_in_vain(zmq_pollitem_t *items, bool spins)
{
    struct zu_spinner *spinner = &((struct zu_socket *)items[1].socket)->spinner;
    cr_assert_eq(zmq_poll(items, 3, 2), 0);
    cr_assert_eq(spinner->turns > 0, spins);
    spinner->turns = 0;
    spinner->off_ns = ZU_NEVER;
    cr_assert_eq(zmq_poll(items, 3, 2), 0);
    cr_assert_eq(spinner->turns, 0, "others need the processor");
    spinner->off_ns = 0;
}

Test(poll, several_items_are_spun_over_as_one)
{
    for (int spins = 0; spins < 2; spins++) {
        void *context = zmq_ctx_new();
        KIT_OK(zmq_ctx_set(context, ZURING_SPIN_US, spins * 1000000));
        void *quiet = kit_socket(context, ZMQ_PULL), *to = kit_socket(context, ZMQ_PULL);
        void *from = kit_socket(context, ZMQ_PUSH);
        char text[KIT_ENDPOINT_SIZE];
        int ends[2];
        cr_assert_eq(pipe(ends), 0);
        zmq_pollitem_t items[] = {
            {.fd = ends[0], .events = ZMQ_POLLIN},
            {.socket = quiet, .events = ZMQ_POLLIN},
            {.socket = to, .events = ZMQ_POLLIN},
        };
        KIT_OK(zmq_connect(from, kit_bind(to, "tcp", text)));
        spin_in_vain(items, spins);
        struct kit_thread thread;
        kit_thread_start(&thread, write_late, &ends[1]);
        cr_assert_eq(zmq_poll(items, 3, KIT_WAIT_MS), 1);
        cr_assert_eq(items[0].revents, ZMQ_POLLIN);
        cr_assert_eq(kit_thread_join(&thread), 0);
        char skipped[4];
        cr_assert_eq(read(ends[0], skipped, 4), 4);
        kit_thread_start(&thread, send_late, from);
        cr_assert_eq(zmq_poll(items, 3, KIT_WAIT_MS), 1);
        cr_assert_eq(items[2].revents, ZMQ_POLLIN);
        cr_assert_eq(kit_thread_join(&thread), 0);
        KIT_OK(zmq_close(quiet));
        KIT_OK(zmq_close(from));
        KIT_OK(zmq_close(to));
        KIT_OK(zmq_ctx_term(context));
        close(ends[0]);
        close(ends[1]);
    }
}

/* A wake-up that comes behind its note leaves a descriptor readable for nothing: poll must not spin over it. */
Test(poll, sleeps_between_messages)
{
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        struct kit_pair pair = kit_pair(kit_transports[t], ZMQ_PUSH, ZMQ_PULL);
        zmq_pollitem_t items[2] = {{.socket = pair.to, .events = ZMQ_POLLIN}, {.fd = -1, .events = ZMQ_POLLIN}};
        cr_assert_eq(zmq_poll(items, 2, 0), 0);
        uint64_t used_ns = 0;
        for (int i = 0; i < 300; i++) {
            kit_send_text(pair.from, "a", 0);
            recv_spinning(pair.to);
            used_ns -= thread_cpu_ns();
            cr_assert_eq(zmq_poll(items, 2, 1), 0);
            used_ns += thread_cpu_ns();
        }
        cr_assert_lt(used_ns, 90000000, "%s: 300 ms of waiting took %d ms", kit_transports[t], (int)(used_ns / 1000000));
        kit_pair_end(&pair);
    }
}

/* As an event loop does it: edge-triggered, reading ZMQ_EVENTS after each edge and after each recv. */
Test(poll, zmq_fd_through_an_edge_triggered_epoll)
{
    enum { MESSAGES = 2000 };
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        struct kit_pair pair = kit_pair(kit_transports[t], ZMQ_PUSH, ZMQ_PULL);
        int epoll = epoll_create1(0);
        struct epoll_event event = {.events = EPOLLIN | EPOLLET};
        epoll_ctl(epoll, EPOLL_CTL_ADD, kit_get(pair.to, ZMQ_FD), &event);
        int sent = 0, got = 0;
        uint32_t random = 12345;
        while (got < MESSAGES) {
            for (uint32_t burst = kit_random(&random) % 40; burst > 0 && sent < MESSAGES; burst--, sent++)
                KIT_OK(zmq_send(pair.from, &sent, sizeof sent, 0));
            while (kit_get(pair.to, ZMQ_EVENTS) & ZMQ_POLLIN) {
                int number;
                cr_assert_eq(zmq_recv(pair.to, &number, sizeof number, ZMQ_DONTWAIT), (int)sizeof number);
                cr_assert_eq(number, got++);
            }
            if (got < sent)
                cr_assert_eq(epoll_wait(epoll, &event, 1, KIT_WAIT_MS), 1, "%s: %d of %d, %s", kit_transports[t], got, sent,
                             strerror(errno));
        }
        close(epoll);
        kit_pair_end(&pair);
    }
}

/* As a loop that is level-triggered does it: after ZMQ_EVENTS says nothing, the descriptor is quiet. */
Test(poll, zmq_fd_becomes_quiet)
{
    struct kit_pair pair = kit_pair("tcp", ZMQ_PUSH, ZMQ_PULL);
    struct pollfd fd = {.fd = kit_get(pair.to, ZMQ_FD), .events = POLLIN};
    for (int i = 0; i < 3000; i++) {
        kit_send_text(pair.from, "a", 0);
        recv_spinning(pair.to);
        KIT_UNTIL_SPINNING(!(kit_get(pair.to, ZMQ_EVENTS) & ZMQ_POLLIN) && poll(&fd, 1, 0) == 0);
    }
    kit_pair_end(&pair);
}

Test(poll, writable_again_when_there_is_room)
{
    for (int t = 0; t < KIT_TRANSPORTS; t++) {
        void *context = zmq_ctx_new();
        char text[KIT_ENDPOINT_SIZE];
        void *to = kit_socket(context, ZMQ_PULL), *from = kit_socket(context, ZMQ_PUSH);
        kit_set(from, ZMQ_SNDHWM, 2);
        kit_set(to, ZMQ_RCVHWM, 2);
        KIT_OK(zmq_connect(from, kit_bind(to, kit_transports[t], text)));
        static uint8_t large[1 << 20];
        int sent = 0;
        zmq_pollitem_t out[2] = {{.socket = from, .events = ZMQ_POLLOUT}, {.fd = -1}};
        while (zmq_poll(out, 1 + sent % 2, 200) == 1) {
            KIT_OK(zmq_send(from, large, sizeof large, ZMQ_DONTWAIT));
            sent++;
        }
        KIT_FAILS(EAGAIN, zmq_send(from, large, sizeof large, ZMQ_DONTWAIT));
        for (int i = 0; i < sent; i++)
            cr_assert_eq(zmq_recv(to, large, sizeof large, 0), (int)sizeof large);
        cr_assert_eq(zmq_poll(out, 2, KIT_WAIT_MS), 1, "%s after %d", kit_transports[t], sent);
        KIT_OK(zmq_close(from));
        KIT_OK(zmq_close(to));
        KIT_OK(zmq_ctx_term(context));
    }
}

static volatile sig_atomic_t signals;

static void on_signal(int number)
{
    (void)number;
    signals = signals + 1;
}

/* Blocks SIGUSR1 in this thread; the mask that would let it through. */
static sigset_t block_signal(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigset_t blocked, open;
    sigaction(SIGUSR1, &action, NULL);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &blocked, &open);
    sigdelset(&open, SIGUSR1);
    return open;
}

/* A signal that came before the call is seen in it: that is what the mask is for. */
Test(poll, ppoll_lets_a_blocked_signal_through)
{
    sigset_t open = block_signal();
    struct kit_pair pair = kit_pair("tcp", ZMQ_PUSH, ZMQ_PULL);
    zmq_pollitem_t items[2] = {{.socket = pair.to, .events = ZMQ_POLLIN}, {.fd = -1}};
    for (int count = 1; count <= 2; count++) {
        cr_assert_eq(zmq_ppoll(items, count, 5, &open), 0);
        pthread_kill(pthread_self(), SIGUSR1);
        cr_assert_eq(zmq_ppoll(items, count, 5, NULL), 0);
        cr_assert_eq(zmq_poll(items, count, 5), 0);
        cr_assert_eq(signals, count - 1, "it stays blocked");
        KIT_FAILS(EINTR, zmq_ppoll(items, count, -1, &open));
        cr_assert_eq(signals, count);
    }
    kit_send_text(pair.from, "a", 0);
    cr_assert_eq(zmq_ppoll(items, 1, KIT_WAIT_MS, &open), 1);
    cr_assert_eq(items[0].revents, ZMQ_POLLIN);
    cr_assert_eq(zmq_ppoll(NULL, 0, 5, &open), 0);
    KIT_FAILS(EFAULT, zmq_ppoll(NULL, 1, 0, &open));
    KIT_FAILS(EINVAL, zmq_ppoll(items, -1, 0, &open));
    kit_pair_end(&pair);
}

static int ppoll_forever(void *socket)
{
    sigset_t open = block_signal();
    zmq_pollitem_t item = {.socket = socket, .events = ZMQ_POLLIN};
    return zmq_ppoll(&item, 1, -1, &open);
}

/* Blocked here too, and so in the thread from its start: there is a handler before the first signal. */
Test(poll, ppoll_is_interrupted_asleep)
{
    block_signal();
    struct kit_pair pair = kit_pair("tcp", ZMQ_PUSH, ZMQ_PULL);
    struct kit_thread thread;
    kit_thread_start(&thread, ppoll_forever, pair.to);
    cr_assert_eq(kit_thread_interrupt(&thread), EINTR);
    kit_pair_end(&pair);
}

/* pselect(2) ends at 1024; this does not. */
Test(poll, ppoll_takes_any_descriptor)
{
    int event = eventfd(1, 0), high = fcntl(event, F_DUPFD, 1030);
    if (high < 0)
        cr_skip_test("not enough descriptors");
    sigset_t open = block_signal();
    zmq_pollitem_t item = {.fd = high, .events = ZMQ_POLLIN};
    cr_assert_eq(zmq_ppoll(&item, 1, 0, &open), 1);
    close(high);
    close(event);
}
