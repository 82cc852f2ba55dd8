/* SPDX-License-Identifier: MIT */
/*
 * Speaks HTTP to a browser: a STREAM socket passes raw octets, each piece with the name of its connection before it.
 *
 * Run:     http_server [ENDPOINT=tcp://127.0.0.1:8080] [REQUESTS=0: until Ctrl-C]
 *          then open http://localhost:8080/ or: curl http://localhost:8080/some/page
 * Expect:  a page that says what was asked for and the how many-th request it was.
 *
 * TCP knows no messages: a request may come in pieces, and is kept until its empty line has come. An empty piece says that
 * somebody has come, or gone. An empty piece to a connection ends it, after all that was sent before.
 */
#include "zhelpers.h"

enum { VISITORS_MAX = 64, NAME_SIZE = 255, REQUEST_SIZE = 4096, PAGE_SIZE = 1024 };

struct visitor {
    unsigned char name[NAME_SIZE]; /* of the connection */
    size_t name_size;              /* 0: nobody */
    char request[REQUEST_SIZE];    /* as much as has come, with a NUL */
    size_t size;                   /* of that */
};

static struct visitor visitors[VISITORS_MAX];

static struct visitor *visitor_find(const void *name, size_t size)
{
    for (int i = 0; i < VISITORS_MAX; i++) {
        if (visitors[i].name_size == size && memcmp(visitors[i].name, name, size) == 0)
            return &visitors[i];
    }
    return NULL;
}

static void say(void *server, const struct visitor *visitor, const char *data, size_t size)
{
    if (zmq_send(server, visitor->name, visitor->name_size, ZMQ_SNDMORE) >= 0)
        zmq_send(server, data, size, 0);
}

/* Ends the connection. */
static void part(void *server, struct visitor *visitor)
{
    if (visitor->name_size)
        say(server, visitor, "", 0);
    visitor->name_size = 0;
}

/* One of whom nothing has been heard yet takes the place of the one who came longest ago. */
static struct visitor *visitor_add(void *server, const void *name, size_t size)
{
    static unsigned next;
    struct visitor *visitor = &visitors[next++ % VISITORS_MAX];
    part(server, visitor);
    memcpy(visitor->name, name, size);
    visitor->name_size = size;
    visitor->size = 0;
    return visitor;
}

/* Answers a whole request and ends the connection. */
static void answer(void *server, struct visitor *visitor, long number)
{
    char method[16] = "", path[64] = "", body[256], page[PAGE_SIZE];
    bool understood = sscanf(visitor->request, "%15s %63s", method, path) == 2 && strcmp(method, "GET") == 0;
    for (char *at = path; *at; at++)
        *at = strchr("<>&\"", *at) ? '_' : *at; /* what a visitor says is no HTML of ours */
    int size =
        snprintf(body, sizeof body, "Hello from ZeroMQ!\r\nYou asked for %s, and are number %ld.\r\n", path, number);
    size = snprintf(page, sizeof page, "HTTP/1.0 %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s",
                    understood ? "200 OK" : "501 Not Implemented", size, body);
    say(server, visitor, page, (size_t)size);
    part(server, visitor);
}

/* One piece; true if it made a request whole. */
static bool hear(void *server, long number)
{
    unsigned char name[NAME_SIZE];
    char piece[REQUEST_SIZE];
    int name_size = zmq_recv(server, name, sizeof name, 0), size = zmq_recv(server, piece, sizeof piece, 0);
    if (name_size <= 0 || size < 0)
        return false;
    struct visitor *visitor = visitor_find(name, (size_t)name_size);
    if (size == 0) { /* come, or gone */
        if (visitor)
            visitor->name_size = 0;
        return false;
    }
    if (!visitor)
        visitor = visitor_add(server, name, (size_t)name_size);
    if ((size_t)size >= REQUEST_SIZE - visitor->size) { /* no room, also for one that zmq_recv has cut */
        part(server, visitor);
        return false;
    }
    memcpy(visitor->request + visitor->size, piece, (size_t)size);
    visitor->size += (size_t)size;
    visitor->request[visitor->size] = '\0';
    if (!strstr(visitor->request, "\r\n\r\n"))
        return false;
    answer(server, visitor, number);
    return true;
}

int main(int argc, char **argv)
{
    const char *endpoint = s_arg(argc, argv, 1, "tcp://127.0.0.1:8080");
    long requests = s_number(argc, argv, 2, 0), answered = 0;
    int signal_fd = s_catch_signals();
    void *context = zmq_ctx_new();
    void *server = zmq_socket(context, ZMQ_STREAM);
    s_check(server != NULL, "zmq_socket");
    s_bind(server, endpoint);
    while ((!requests || answered < requests) && s_await(server, signal_fd))
        answered += hear(server, answered + 1);
    printf("%ld requests answered\n", answered);
    zmq_close(server);
    zmq_ctx_term(context);
    return 0;
}
