/* SPDX-License-Identifier: MIT */
/* Connects through a SOCKS5 proxy: a small one of the test's own, in a thread, which may be slow, rude or particular. */
#include "rawpeer.h"

enum { PROXY_TRIES = 8 };

/* One connect through it. */
struct visit {
    const char *method;   /* what it answers to the offer; NULL: nothing, and it hangs up */
    const char *login;    /* to user and password; NULL: not asked for */
    const char *reply;    /* to the request: four octets and an address; NULL: it hangs up */
    size_t reply_size;    /* octets of it */
};

struct proxy {
    int listener;                  /* where it is */
    char text[KIT_ENDPOINT_SIZE];  /* as an endpoint */
    char target[KIT_ENDPOINT_SIZE]; /* where all its ways lead */
    const struct visit *visits;    /* one after another; the last one again */
    int visit_count;               /* how many */
    bool slow;                     /* octet by octet */
    char heard[1024];              /* offer, login and request of the last visit, in hex */
    _Atomic int visited;           /* visits so far */
    _Atomic bool done;             /* no more */
    pthread_t thread;              /* its own */
};

static bool proxy_hear(struct proxy *proxy, int fd, size_t size, uint8_t *data)
{
    for (size_t got = 0; got < size;) {
        struct pollfd item = {.fd = fd, .events = POLLIN};
        while (!proxy->done && poll(&item, 1, 10) == 0)
            ;
        ssize_t step = proxy->done ? -1 : read(fd, data + got, size - got);
        if (step <= 0)
            return false;
        got += (size_t)step;
    }
    for (size_t i = 0; i < size; i++)
        sprintf(proxy->heard + strlen(proxy->heard), "%02x", data[i]);
    strcat(proxy->heard, " ");
    return true;
}

static bool proxy_say(struct proxy *proxy, int fd, const char *data, size_t size)
{
    for (size_t i = 0; data && i < size; i++) {
        if (send(fd, data + i, 1, MSG_NOSIGNAL) != 1)
            return false;
        if (proxy->slow)
            zmq_poll(NULL, 0, 1);
    }
    return data;
}

static bool proxy_ask(struct proxy *proxy, int fd, const struct visit *visit)
{
    uint8_t data[600];
    if (!proxy_hear(proxy, fd, 3, data) || !proxy_say(proxy, fd, visit->method, 2))
        return false;
    if (visit->login) {
        if (!proxy_hear(proxy, fd, 2, data) || !proxy_hear(proxy, fd, data[1] + 1u, data) ||
            !proxy_hear(proxy, fd, data[strlen("anna")], data) || !proxy_say(proxy, fd, visit->login, 2))
            return false;
    }
    if (!proxy_hear(proxy, fd, 5, data))
        return false;
    size_t left = data[3] == 1 ? 3 : data[3] == 4 ? 15 : data[4];
    return proxy_hear(proxy, fd, left + 2, data) && proxy_say(proxy, fd, visit->reply, visit->reply_size);
}

static bool pass_on(int from, int to)
{
    char data[4096];
    ssize_t size = recv(from, data, sizeof data, 0);
    return size > 0 && send(to, data, (size_t)size, MSG_NOSIGNAL) == size;
}

static void proxy_lead(struct proxy *proxy, int near)
{
    int far = raw_connect(proxy->target);
    bool alive = true;
    while (alive && !proxy->done) {
        struct pollfd fds[2] = {{.fd = near, .events = POLLIN}, {.fd = far, .events = POLLIN}};
        if (poll(fds, 2, 10) > 0)
            alive = (!fds[0].revents || pass_on(near, far)) && (!fds[1].revents || pass_on(far, near));
    }
    close(far);
}

static void *proxy_run(void *arg)
{
    struct proxy *proxy = arg;
    while (!proxy->done) {
        struct pollfd item = {.fd = proxy->listener, .events = POLLIN};
        if (poll(&item, 1, 10) <= 0)
            continue;
        int fd = accept4(proxy->listener, NULL, NULL, SOCK_CLOEXEC), number = proxy->visited;
        const struct visit *visit = &proxy->visits[number < proxy->visit_count ? number : proxy->visit_count - 1];
        proxy->heard[0] = 0;
        if (proxy_ask(proxy, fd, visit) && visit->reply_size > 2 && visit->reply[1] == 0) {
            proxy->visited++;
            proxy_lead(proxy, fd);
        } else {
            proxy->visited++;
        }
        close(fd);
    }
    return NULL;
}

static void proxy_start(struct proxy *proxy, const struct visit *visits, int count, bool slow)
{
    *proxy = (struct proxy){.visits = visits, .visit_count = count, .slow = slow};
    proxy->listener = raw_listen(proxy->text);
}

static void proxy_stop(struct proxy *proxy)
{
    proxy->done = true;
    pthread_join(proxy->thread, NULL);
    close(proxy->listener);
}

#define WELCOME "\5\0\0\1\x7f\0\0\1\0\1"
#define REPLY(text) (text), sizeof(text) - 1

static const struct visit welcome = {"\5\0", NULL, REPLY(WELCOME)};

struct scene {
    void *context;  /* both sockets' */
    void *from;     /* connects, by the proxy */
    void *to;       /* bound, where the proxy leads */
    struct proxy proxy;
};

static void scene_set(struct scene *scene, const struct visit *visits, int count, bool slow)
{
    scene->context = zmq_ctx_new();
    scene->from = kit_socket(scene->context, ZMQ_PUSH);
    scene->to = kit_socket(scene->context, ZMQ_PULL);
    proxy_start(&scene->proxy, visits, count, slow);
    kit_bind(scene->to, "tcp", scene->proxy.target);
    pthread_create(&scene->proxy.thread, NULL, proxy_run, &scene->proxy);
    const char *address = scene->proxy.text + strlen("tcp://");
    KIT_OK(zmq_setsockopt(scene->from, ZMQ_SOCKS_PROXY, address, strlen(address)));
    kit_set(scene->from, ZMQ_RECONNECT_IVL, 5);
}

static void scene_end(struct scene *scene)
{
    KIT_OK(zmq_close(scene->from));
    KIT_OK(zmq_close(scene->to));
    KIT_OK(zmq_ctx_term(scene->context));
    proxy_stop(&scene->proxy);
}

/* Names are the proxy's to look up. */
Test(by_proxy, asks_for_the_destination)
{
    static const struct {
        const char *text, *heard;
    } rows[] = {
        {"tcp://no.such.host:258", "050100 050100030c 6e6f2e737563682e686f73740102 "},
        {"tcp://1.2.3.4:5", "050100 0501000101 0203040005 "},
        {"tcp://[::1]:5", "050100 0501000400 0000000000000000000000000000010005 "},
        {"tcp://127.0.0.9:0;x:5", "050100 0501000301 780005 "},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (int slow = 0; slow < 2; slow++) {
            struct scene scene;
            scene_set(&scene, &welcome, 1, slow);
            KIT_OK(zmq_connect(scene.from, rows[i].text));
            kit_send_text(scene.from, "hello", 0);
            kit_recv_text(scene.to, "hello");
            cr_assert_eq(scene.proxy.visited, 1);
            cr_expect_str_eq(scene.proxy.heard, rows[i].heard, "%s: %s", rows[i].text, scene.proxy.heard);
            KIT_OK(zmq_disconnect(scene.from, rows[i].text));
            scene_end(&scene);
        }
    }
}

Test(by_proxy, logs_in)
{
    static const struct visit visit = {"\5\2", "\1\0", REPLY("\5\0\0\3\4name\0\1")};
    for (int slow = 0; slow < 2; slow++) {
        struct scene scene;
        scene_set(&scene, &visit, 1, slow);
        KIT_OK(zmq_setsockopt(scene.from, ZMQ_SOCKS_USERNAME, "anna", 4));
        KIT_OK(zmq_setsockopt(scene.from, ZMQ_SOCKS_PASSWORD, "secret", 6));
        KIT_OK(zmq_connect(scene.from, "tcp://x:5"));
        kit_send_text(scene.from, "hello", 0);
        kit_recv_text(scene.to, "hello");
        cr_assert_eq(scene.proxy.visited, 1);
        cr_expect_str_eq(scene.proxy.heard, "050102 0104 616e6e6106 736563726574 0501000301 780005 ");
        scene_end(&scene);
    }
}

/* Whatever the proxy does wrong, or cannot do, is an attempt that has failed. */
Test(by_proxy, tries_again)
{
    static const struct visit visits[PROXY_TRIES] = {
        {NULL, NULL, NULL, 0},
        {"\5\xff", NULL, NULL, 0},
        {"HT", NULL, NULL, 0},
        {"\5\0", NULL, NULL, 0},
        {"\5\0", NULL, REPLY("\5\5\0\1\0\0\0\0\0\0")},
        {"\5\0", NULL, REPLY("\5\0")},
        {"\5\0", NULL, REPLY("\4\5\0\1\0\0\0\0\0\0")},
        {"\5\0", NULL, REPLY(WELCOME)},
    };
    struct scene scene;
    scene_set(&scene, visits, PROXY_TRIES, false);
    KIT_OK(zmq_connect(scene.from, "tcp://x:5"));
    kit_send_text(scene.from, "at last", 0);
    KIT_UNTIL((kit_poke(), scene.proxy.visited == PROXY_TRIES));
    kit_recv_text(scene.to, "at last");
    scene_end(&scene);
}

/* RECONNECT_STOP hears of the destination's refusal as of one met directly. */
Test(by_proxy, stops_when_refused)
{
    static const struct visit visit = {"\5\0", NULL, REPLY("\5\5\0\1\0\0\0\0\0\0")};
    struct scene scene;
    scene_set(&scene, &visit, 1, false);
    kit_set(scene.from, ZMQ_RECONNECT_STOP, ZMQ_RECONNECT_STOP_CONN_REFUSED);
    KIT_OK(zmq_connect(scene.from, "tcp://x:5"));
    KIT_UNTIL(KIT_ERRNO(zmq_send(scene.from, "x", 1, ZMQ_DONTWAIT)) == EAGAIN);
    KIT_FAILS(ENOENT, zmq_disconnect(scene.from, "tcp://x:5"));
    cr_assert_eq(scene.proxy.visited, 1);
    scene_end(&scene);
}

/* A proxy that says nothing is left after CONNECT_TIMEOUT, or HANDSHAKE_IVL without; or with the socket. */
Test(by_proxy, a_mute_one)
{
    static const int options[] = {ZMQ_CONNECT_TIMEOUT, ZMQ_HANDSHAKE_IVL};
    for (int i = 0; i < 2; i++) {
        void *context = zmq_ctx_new();
        void *socket = kit_socket(context, ZMQ_PUSH);
        char text[KIT_ENDPOINT_SIZE];
        int listener = raw_listen(text);
        kit_set(socket, options[i], 30);
        kit_set(socket, ZMQ_RECONNECT_IVL, 5);
        KIT_OK(zmq_setsockopt(socket, ZMQ_SOCKS_PROXY, text + 6, strlen(text + 6)));
        KIT_OK(zmq_connect(socket, "tcp://x:5"));
        for (int n = 0; n < 3; n++) {
            int fd = raw_accept(listener);
            cr_assert(raw_ended(fd, KIT_WAIT_MS));
            close(fd);
        }
        close(listener);
        KIT_OK(zmq_close(socket));
        KIT_OK(zmq_ctx_term(context));
    }
}

Test(by_proxy, only_tcp_and_only_connects)
{
    void *context = zmq_ctx_new();
    void *socket = kit_socket(context, ZMQ_PUSH), *other = kit_socket(context, ZMQ_PULL);
    char text[KIT_ENDPOINT_SIZE], local[KIT_ENDPOINT_SIZE];
    kit_bind(other, "tcp", text);
    kit_bind(other, "ipc", local);
    KIT_OK(zmq_setsockopt(socket, ZMQ_SOCKS_PROXY, "127.0.0.1:9", 11));
    KIT_FAILS(EINVAL, zmq_connect(socket, "tcp://127.0.0.1"));
    KIT_OK(zmq_connect(socket, local));
    kit_send_text(socket, "by ipc", 0);
    kit_recv_text(other, "by ipc");
    KIT_OK(zmq_disconnect(socket, local));
    KIT_OK(zmq_bind(socket, "tcp://127.0.0.1:*"));
    kit_set(socket, ZMQ_IMMEDIATE, 1);
    KIT_OK(zmq_connect(socket, text)); /* must not be seen without its proxy */
    zmq_poll(NULL, 0, 50);
    KIT_FAILS(EAGAIN, zmq_send(socket, "x", 1, ZMQ_DONTWAIT));
    KIT_OK(zmq_disconnect(socket, text));
    KIT_OK(zmq_setsockopt(socket, ZMQ_SOCKS_PROXY, NULL, 0));
    KIT_OK(zmq_connect(socket, text));
    if (kit_is_inline()) /* nobody would accept while the other one waits */
        KIT_UNTIL((kit_poke(), kit_get(socket, ZMQ_EVENTS) & ZMQ_POLLOUT));
    kit_send_text(socket, "directly", 0);
    kit_recv_text(other, "directly");
    KIT_OK(zmq_close(socket));
    KIT_OK(zmq_close(other));
    KIT_OK(zmq_ctx_term(context));
}
