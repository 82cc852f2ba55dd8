/* SPDX-License-Identifier: MIT */
/*
 * Waits for input on either side and passes whole messages across in bursts, each taken only when the destination has
 * accepted it: so back-pressure is kept, and one full side never holds up the other direction. Bytes go from pipe to pipe
 * in one copy; a large body is handed over. A direction that finds no room stops watching its input and watches for room
 * instead, which keeps the wait asleep. Where the destination's POLLOUT does not tell of room, the send itself waits.
 * It ends with -1 and the errno of the first socket call that fails (usually ETERM), or with 0 on "TERMINATE".
 */
#include "api.h"

#include <string.h>

enum { BURST_MAX = 1000, COUNTERS = 4 };

struct side {
    void *socket; /* the caller's */
    bool waiting; /* its input waits for the other side to have room */
    /* In the order of the STATISTICS reply. */
    uint64_t frames_in;  /* received from it */
    uint64_t bytes_in;   /* their octets */
    uint64_t frames_out; /* sent to it */
    uint64_t bytes_out;  /* their octets */
};

/* All of it belongs to the thread inside the call. */
struct proxy {
    struct side sides[2]; /* frontend, backend */
    void *capture;        /* gets a copy of every frame; may be NULL */
    void *control;        /* gives commands; may be NULL */
    bool one_way;         /* both sides are one socket: only the first passes on */
    bool by_message;      /* frames are taken before they are sent: bytes do not say all, or one socket does both */
    bool patient;         /* nothing passes the other way: a full kernel buffer may hold the thread up for a moment */
    int more;             /* ZMQ_SNDMORE while the message being passed has more frames */
    bool paused;          /* only control is listened to */
    bool terminated;      /* the loop ends */
};

static bool can_pass(const struct zu_socket *from, const struct zu_socket *to)
{
    return (from->pattern.ops->can & ZU_POLL_IN) && (to->pattern.ops->can & ZU_POLL_OUT);
}

/* Whether messages of this socket are more than their bytes: they go to a group, or to a peer by number. */
static bool is_addressed(const struct zu_socket *socket)
{
    return socket->type > ZMQ_STREAM;
}

/* An XPUB that drops nothing, and a STREAM, show POLLOUT even when they would wait: they are waited for in the send. */
static bool shows_room_anyway(struct zu_socket *to)
{
    return zu_socket_events(to) & ZU_POLL_OUT;
}

static int capture_message(struct proxy *proxy, zmq_msg_t *msg, int flags)
{
    zmq_msg_t copy;
    if (!proxy->capture)
        return 0;
    zmq_msg_init(&copy);
    if (zmq_msg_copy(&copy, msg) == 0 && zmq_msg_send(&copy, proxy->capture, flags) >= 0)
        return 0;
    zmq_msg_close(&copy);
    return -1;
}

static void count_frame(struct side *from, struct side *to, size_t size)
{
    from->frames_in++;
    from->bytes_in += size;
    to->frames_out++;
    to->bytes_out += size;
}

/* The value of an option of type int that is never negative, or -1 with errno set. */
static int option_get(void *socket, int option)
{
    int value = 0;
    size_t size = sizeof value;
    return zmq_getsockopt(socket, option, &value, &size) < 0 ? -1 : value;
}

/* One frame as a message, whose body is handed over. 1 done, 0 there is no room, -1 failed. */
static int pass_message(struct proxy *proxy, struct side *from, struct side *to, bool is_first)
{
    if (is_first && !proxy->one_way) { /* one way, a REP has room only once it was read from */
        int events = option_get(to->socket, ZMQ_EVENTS);
        if (events <= 0 || !(events & ZMQ_POLLOUT))
            return events < 0 ? -1 : 0;
    }
    zmq_msg_t msg;
    zmq_msg_init(&msg);
    int size = zmq_msg_recv(&msg, from->socket, 0);
    proxy->more = zmq_msg_more(&msg) ? ZMQ_SNDMORE : 0;
    if (size >= 0 && capture_message(proxy, &msg, proxy->more) == 0 &&
        zmq_msg_send(&msg, to->socket, proxy->more) >= 0) {
        count_frame(from, to, (size_t)size);
        return 1;
    }
    zmq_msg_close(&msg);
    return -1;
}

/* One frame out of its pipe into the next, in one copy; it is taken only when it was accepted. As above. */
static int pass_bytes(struct proxy *proxy, struct side *from, struct side *to, bool is_first,
                      const struct zu_view *view)
{
    proxy->more = view->flags & ZU_FRAME_MORE ? ZMQ_SNDMORE : 0;
    struct zu_part part = {.data = view->data, .size = view->size, .more = proxy->more, .waits = proxy->patient};
    int err = zu_socket_send(to->socket, &part, is_first ? ZU_DONTWAIT : 0);
    if (is_first && err == -EAGAIN && shows_room_anyway(to->socket))
        err = zu_socket_send(to->socket, &part, 0);
    if (is_first && (err == -EAGAIN || err == -EFSM))
        return 0;
    if (err)
        return api_result(err);
    if (proxy->capture && zmq_send(proxy->capture, view->data, view->size, proxy->more) < 0)
        return -1;
    count_frame(from, to, view->size);
    zu_pipe_pop(view->pipe, view);
    zu_socket_taken(from->socket, view->flags);
    return 1;
}

/* 1 done, 0 there is none now, or no room for it; -1 failed. */
static int pass_frame(struct proxy *proxy, struct side *from, struct side *to, bool is_first)
{
    struct zu_view view;
    int err = zu_socket_peek(from->socket, &view, is_first ? ZU_DONTWAIT : 0);
    if (is_first && (err == -EAGAIN || err == -EFSM))
        return 0;
    if (err)
        return api_result(err);
    int passed = proxy->by_message || view.size > ZU_PIPE_COPY_MAX ? pass_message(proxy, from, to, is_first)
                                                                    : pass_bytes(proxy, from, to, is_first, &view);
    from->waiting = passed == 0;
    return passed;
}

/* Passes on what side `i` has, as far as the other has room. */
static int burst_pass(struct proxy *proxy, int i)
{
    struct side *from = &proxy->sides[i], *to = &proxy->sides[!i];
    from->waiting = false;
    for (int n = 0; n < BURST_MAX; n++) {
        int passed = pass_frame(proxy, from, to, true);
        while (passed > 0 && proxy->more)
            passed = pass_frame(proxy, from, to, false);
        if (passed <= 0)
            return passed;
    }
    return 0;
}

static int proxy_pause(struct proxy *proxy)
{
    proxy->paused = true;
    return 0;
}

static int proxy_resume(struct proxy *proxy)
{
    proxy->paused = false;
    return 0;
}

static int proxy_terminate(struct proxy *proxy)
{
    proxy->terminated = true;
    return 0;
}

static int proxy_statistics(struct proxy *proxy)
{
    for (int i = 0; i < 2; i++) {
        const struct side *side = &proxy->sides[i];
        const uint64_t counters[COUNTERS] = {side->frames_in, side->bytes_in, side->frames_out, side->bytes_out};
        for (int n = 0; n < COUNTERS; n++) {
            bool last = i == 1 && n == COUNTERS - 1;
            if (zmq_send(proxy->control, &counters[n], sizeof counters[n], last ? 0 : ZMQ_SNDMORE) < 0)
                return -1;
        }
    }
    return 0;
}

struct command {
    const char *name;                /* the frame that asks for it */
    int (*run)(struct proxy *proxy); /* 0 or -1 with errno */
    bool replies;                    /* `run` has answered: a REP owes no empty reply */
};

static const struct command commands[] = {
    {"PAUSE", proxy_pause, false},
    {"RESUME", proxy_resume, false},
    {"TERMINATE", proxy_terminate, false},
    {"STATISTICS", proxy_statistics, true},
};

static const struct command *command_find(const char *name, size_t size)
{
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strlen(commands[i].name) == size && memcmp(commands[i].name, name, size) == 0)
            return &commands[i];
    return NULL;
}

/* A REP must answer before it can hear the next command. */
static int reply_empty(void *control)
{
    int type = option_get(control, ZMQ_TYPE);
    if (type < 0)
        return -1;
    return type == ZMQ_REP && zmq_send(control, NULL, 0, 0) < 0 ? -1 : 0;
}

/* Obeys one message from the control socket; a multipart or unknown one is read and ignored. */
static int control_obey(struct proxy *proxy)
{
    char name[16];
    int size = zmq_recv(proxy->control, name, sizeof name, ZMQ_DONTWAIT);
    if (size < 0)
        return errno == EAGAIN ? 0 : -1;
    const struct command *command = (size_t)size <= sizeof name ? command_find(name, (size_t)size) : NULL;
    int more;
    while ((more = option_get(proxy->control, ZMQ_RCVMORE)) > 0) {
        command = NULL;
        if (zmq_recv(proxy->control, NULL, 0, 0) < 0)
            return -1;
    }
    if (more < 0 || (command && command->run(proxy) < 0))
        return -1;
    return command && command->replies ? 0 : reply_empty(proxy->control);
}

/* What to wait for on side `i`: input to pass on, and room for input that the other side holds. */
static short events_wanted(const struct proxy *proxy, int i)
{
    if (proxy->paused || (proxy->one_way && i == 1))
        return 0;
    return (short)((proxy->sides[i].waiting ? 0 : ZMQ_POLLIN) | (proxy->sides[!i].waiting ? ZMQ_POLLOUT : 0));
}

static int proxy_run(struct proxy *proxy)
{
    while (!proxy->terminated) {
        zmq_pollitem_t items[] = {
            {.socket = proxy->sides[0].socket, .events = events_wanted(proxy, 0)},
            {.socket = proxy->sides[1].socket, .events = events_wanted(proxy, 1)},
            {.socket = proxy->control, .events = ZMQ_POLLIN},
        };
        if (zmq_poll(items, proxy->control ? 3 : 2, -1) < 0)
            return -1;
        if (items[2].revents && control_obey(proxy) < 0)
            return -1;
        for (int i = 0; i < 2 && !proxy->paused && !proxy->terminated; i++) {
            bool room = proxy->sides[i].waiting && (items[!i].revents & ZMQ_POLLOUT);
            if (((items[i].revents & ZMQ_POLLIN) || room) && burst_pass(proxy, i) < 0)
                return -1;
        }
    }
    return 0;
}

int zmq_proxy_steerable(void *frontend, void *backend, void *capture, void *control)
{
    if (!frontend || !backend) {
        errno = EFAULT;
        return -1;
    }
    if (!api_socket(frontend) || !api_socket(backend))
        return -1;
    bool one_way = frontend == backend;
    struct proxy proxy = {
        .sides = {{.socket = frontend}, {.socket = backend}},
        .capture = capture,
        .control = control,
        .one_way = one_way,
        .patient = !can_pass(frontend, backend) || !can_pass(backend, frontend),
        .by_message = one_way || is_addressed(frontend) || is_addressed(backend),
    };
    return proxy_run(&proxy);
}

int zmq_proxy(void *frontend, void *backend, void *capture)
{
    return zmq_proxy_steerable(frontend, backend, capture, NULL);
}

int zmq_device(int type, void *frontend, void *backend)
{
    (void)type;
    return zmq_proxy(frontend, backend, NULL);
}
