/* SPDX-License-Identifier: MIT */
#include "rawpeer.h"

#include <dirent.h>
#include <sodium.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>

/*
 * A crowd of strangers, in a process of its own, against a server that has an honest client. What the crowd is to do is
 * said to it in a letter.
 */
enum {
    CROWD = SANITIZED ? 500 : 10000,
    FAN_IN = SANITIZED ? 500 : 5000,
    CYCLES = SANITIZED ? 2000 : 100000,
    TRIPS = SANITIZED ? 200 : 2000,
    ROUNDS = SANITIZED ? 1 : 5,
    /* The aim is 2, and a quiet machine shows less; where others run, it is they who make the hundredth that is slowest. */
    TIMES = 4,
    ENOUGH_US = 1000, /* and with less it is the scheduler: whether two threads share a processor makes ten times */
    STAY = 100, /* strangers that come and go */
    SPARE_FDS = 200,
    SPARE_KIB = 8 * 1024,
};

enum order { ORDER_COME = 'c', ORDER_GO = 'g', ORDER_STORM = 's', ORDER_CYCLES = 'y', ORDER_FAN_IN = 'f' };

struct words {
    const char *bytes;
    size_t size;
};

#define SAYS(bytes) {bytes, sizeof(bytes) - 1}
#define RAW_GREETING_HALF "\xff\0\0\0\0\0\0\0\x01\x7f"
#define RAW_READY_REQ "\x04\x19\5READY\x0bSocket-Type\0\0\0\3REQ"

/* The last of them are ended for what they say; after the others more is waited for. */
enum { WORDS = 6, WORDS_PATIENT = 4 };
static const struct words words_null[WORDS] = {
    SAYS(""),
    SAYS(RAW_GREETING_HALF),
    SAYS(RAW_GREETING),
    SAYS(RAW_GREETING "\x04\x1a\5READY\x0bSocket"),
    SAYS("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    SAYS(RAW_GREETING "\x04\7\6STEADY"),
};

/* --- what strangers say to a CURVE server; what makes it compute in earnest is the HELLO --- */

#define CURVE_GREETING "\xff\0\0\0\0\0\0\0\x01\x7f\x03\x01" "CURVE\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" RAW_ZEROS_16 RAW_ZEROS_16
enum { HELLO_SIZE = 200 };

static char hello_good[RAW_GREETING_SIZE + 2 + HELLO_SIZE] = CURVE_GREETING "\x04\xc8\5HELLO\x01";
static char hello_bad[sizeof hello_good]; /* its box does not open */
static const struct words words_curve[WORDS] = {
    SAYS(""),
    SAYS(RAW_GREETING_HALF),
    SAYS(CURVE_GREETING),
    {hello_good, sizeof hello_good},
    {hello_bad, sizeof hello_bad},
    SAYS(CURVE_GREETING "\x04\x06\5READY"),
};

static char public_text[41], secret_text[41]; /* the server's */

/* One HELLO will do for all: a server keeps nothing by which it would know it again. */
static void hello_make(void)
{
    static const uint8_t zeros[64];
    uint8_t own[32], secret[32], server[32], nonce[24] = "CurveZMQHELLO---";
    uint8_t *body = (uint8_t *)hello_good + RAW_GREETING_SIZE + 2;
    cr_assert_geq(sodium_init(), 0);
    KIT_OK(zmq_curve_keypair(public_text, secret_text));
    cr_assert_not_null(zmq_z85_decode(server, public_text));
    crypto_box_keypair(own, secret);
    nonce[23] = body[119] = 1;
    memcpy(body + 80, own, sizeof own);
    cr_assert_eq(crypto_box_easy(body + 120, zeros, sizeof zeros, nonce, server, secret), 0);
    memcpy(hello_bad, hello_good, sizeof hello_bad);
    hello_bad[sizeof hello_bad - 1] ^= 1;
}

/* --- the crowd: nothing of Criterion's there --- */

static int crowd = CROWD; /* fewer where there are no descriptors for so many */
static int fds[CROWD];
static const struct words *words = words_null;

static int stranger_new(unsigned port, unsigned number)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in own = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + number % 8); /* ports enough */
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    struct linger gone = {.l_onoff = 1}; /* leaves no TIME_WAIT */
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &gone, sizeof gone);
    if (fd < 0 || bind(fd, (struct sockaddr *)&own, sizeof own) < 0 ||
        connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        _exit(4);
    return fd;
}

static void stranger_say(int fd, const struct words *said)
{
    if (said->size)
        (void)!send(fd, said->bytes, said->size, MSG_NOSIGNAL);
}

static void stranger_hear(int fd, size_t size)
{
    char skipped[256];
    while (size > 0) {
        ssize_t step = recv(fd, skipped, size < sizeof skipped ? size : sizeof skipped, 0);
        if (step <= 0)
            _exit(5);
        size -= (size_t)step;
    }
}

static unsigned come(unsigned port, unsigned number, const struct words *said, unsigned ways, int count)
{
    for (int i = 0; i < count; i++) {
        fds[i] = stranger_new(port, number);
        stranger_say(fds[i], &said[number++ % ways]);
    }
    return number;
}

/* The last few stay for a while, so that what they say is heard. */
static unsigned come_and_go(unsigned port, unsigned number)
{
    int *fd = &fds[number % STAY];
    if (*fd > 0)
        close(*fd);
    *fd = stranger_new(port, number);
    stranger_say(*fd, &words[number % WORDS]);
    return number + 1;
}

static void all_go(int count)
{
    for (int i = 0; i < count; i++) {
        if (fds[i] > 0)
            close(fds[i]);
        fds[i] = 0;
    }
}

/* All of them first, then each must be answered. */
static void fan_in(unsigned port)
{
    static const struct words said = SAYS(RAW_GREETING RAW_READY_REQ);
    int count = crowd < FAN_IN ? crowd : FAN_IN;
    come(port, 0, &said, 1, count);
    for (int i = 0; i < count; i++)
        stranger_hear(fds[i], RAW_GREETING_SIZE + 2 + 6);
    all_go(count);
}

static void crowd_live(int in, int out, unsigned port)
{
    unsigned number = 0;
    for (char order; read(in, &order, 1) == 1;) {
        struct pollfd item = {.fd = in, .events = POLLIN};
        if (order == ORDER_COME)
            number = come(port, number, words, WORDS_PATIENT, crowd);
        if (order == ORDER_FAN_IN)
            fan_in(port);
        for (int i = 0; order == ORDER_CYCLES && i < CYCLES; i++)
            number = come_and_go(port, number);
        while (order == ORDER_STORM && poll(&item, 1, 0) == 0)
            number = come_and_go(port, number);
        if (order == ORDER_STORM)
            (void)!read(in, &order, 1);
        if (order != ORDER_COME)
            all_go(crowd);
        (void)!write(out, &number, sizeof number);
    }
    _exit(0);
}

/* --- the scene --- */

struct scene {
    int alone;                   /* the lock on being so */
    int to_crowd, from_crowd;    /* orders, and how many have come so far */
    pid_t crowd;                 /* its process */
    unsigned number;             /* what it said last */
    void *context;               /* of both sockets */
    void *server;                /* a bound REP, in a thread */
    void *client;                /* a connected REQ, ours */
    struct kit_thread thread;    /* the server's */
    char text[KIT_ENDPOINT_SIZE]; /* where */
};

static int serve(void *socket)
{
    char got[64];
    for (int size = 1; size > 0;) {
        size = zmq_recv(socket, got, sizeof got, 0);
        if (size < 0 && errno == EAGAIN) {
            size = 1;
            continue;
        }
        if (size < 0 || zmq_send(socket, got, (size_t)size, 0) < 0)
            return -1;
    }
    return 0;
}

/* Before there is any other thread. */
static void crowd_start(struct scene *scene, int *ret_port_to)
{
    struct rlimit limit;
    int to[2], from[2], ports[2];
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    cr_assert_gt(limit.rlim_cur, 2 * SPARE_FDS);
    if (limit.rlim_cur < CROWD + SPARE_FDS)
        crowd = (int)limit.rlim_cur - SPARE_FDS;
    cr_assert(pipe(to) == 0 && pipe(from) == 0 && pipe(ports) == 0);
    scene->crowd = fork();
    if (scene->crowd == 0) {
        unsigned port;
        alarm(100);
        close(to[1]);
        close(from[0]);
        close(ports[1]);
        setpriority(PRIO_PROCESS, 0, 19); /* it would have its own processor */
        if (read(ports[0], &port, sizeof port) == sizeof port)
            crowd_live(to[0], from[1], port);
        _exit(1);
    }
    close(to[0]);
    close(from[1]);
    close(ports[0]);
    scene->to_crowd = to[1];
    scene->from_crowd = from[0];
    *ret_port_to = ports[1];
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

/* Of the honest client's round trips, the one that 99 of 100 are faster than, in microseconds. */
static double p99_us(struct scene *scene)
{
    static double trips_us[TRIPS];
    for (int i = 0; i < TRIPS; i++) {
        uint64_t from_ns = now_ns();
        kit_send_text(scene->client, "are you there?", 0);
        kit_recv_text(scene->client, "are you there?");
        trips_us[i] = (double)(now_ns() - from_ns) / 1000;
    }
    qsort(trips_us, TRIPS, sizeof *trips_us, by_value);
    return trips_us[TRIPS - 1 - TRIPS / 100];
}

static void curve_set(void *socket, bool is_server)
{
    char public_own[41], secret_own[41];
    KIT_OK(zmq_curve_keypair(public_own, secret_own));
    kit_set(socket, ZMQ_CURVE_SERVER, is_server);
    if (!is_server)
        KIT_OK(zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, public_text, 41));
    KIT_OK(zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, is_server ? public_text : public_own, 41));
    KIT_OK(zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, is_server ? secret_text : secret_own, 41));
}

static void scene_start(struct scene *scene)
{
    unsigned port;
    int port_to;
    /* One at a time, also of the programs that meson runs beside this: each measures, and takes all descriptors. */
    scene->alone = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    cr_assert_eq(flock(scene->alone, LOCK_EX), 0);
    crowd_start(scene, &port_to);
    scene->context = zmq_ctx_new();
    scene->server = kit_socket(scene->context, ZMQ_REP);
    scene->client = kit_socket(scene->context, ZMQ_REQ);
    kit_set(scene->server, ZMQ_BACKLOG, 4096);
    if (words == words_curve)
        curve_set(scene->server, true), curve_set(scene->client, false);
    kit_bind(scene->server, "tcp", scene->text);
    cr_assert_eq(sscanf(scene->text, "tcp://127.0.0.1:%u", &port), 1);
    cr_assert_eq(write(port_to, &port, sizeof port), (ssize_t)sizeof port);
    close(port_to);
    KIT_OK(zmq_connect(scene->client, scene->text));
    kit_thread_start(&scene->thread, serve, scene->server);
    p99_us(scene);
}

static void order(struct scene *scene, enum order what)
{
    char letter = (char)what;
    cr_assert_eq(write(scene->to_crowd, &letter, 1), 1);
}

static void order_done(struct scene *scene)
{
    struct pollfd item = {.fd = scene->from_crowd, .events = POLLIN};
    cr_assert_eq(poll(&item, 1, 60000), 1);
    cr_assert_eq(read(scene->from_crowd, &scene->number, sizeof scene->number), (ssize_t)sizeof scene->number);
}

static void scene_end(struct scene *scene)
{
    int status;
    KIT_OK(zmq_send(scene->client, "", 0, 0));
    KIT_OK(zmq_recv(scene->client, NULL, 0, 0));
    cr_assert_eq(kit_thread_join(&scene->thread), 0);
    close(scene->to_crowd);
    cr_assert_eq(waitpid(scene->crowd, &status, 0), scene->crowd);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the crowd's status is %x", (unsigned)status);
    close(scene->from_crowd);
    close(scene->alone);
    KIT_OK(zmq_close(scene->client));
    KIT_OK(zmq_close(scene->server));
    KIT_OK(zmq_ctx_term(scene->context));
}

/* Connections that are open in this process: what else it has descriptors for, it may make when it likes. */
static int connections(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = 0;
    for (struct dirent *entry; (entry = readdir(folder));) {
        char target[8] = "";
        count += readlinkat(dirfd(folder), entry->d_name, target, 7) == 7 && strcmp(target, "socket:") == 0;
    }
    closedir(folder);
    return count;
}

static double median(double *values)
{
    qsort(values, ROUNDS, sizeof *values, by_value);
    return values[ROUNDS / 2];
}

static void order_wait(struct scene *scene, enum order what)
{
    order(scene, what);
    order_done(scene);
}

/* What is in use: the heap first gives back what it keeps for a while. */
static long used_kib(void)
{
    extern int mallctl(const char *name, void *old, size_t *old_size, void *fresh, size_t size) __attribute__((weak));
    if (mallctl)
        mallctl("arena.4096.purge", NULL, NULL, NULL, 0);
    return kit_rss_kib();
}

/* Somebody new gets in while strangers come and go. */
static void newcomer_check(struct scene *scene)
{
    void *newcomer = kit_socket(scene->context, ZMQ_REQ);
    if (words == words_curve)
        curve_set(newcomer, false);
    KIT_OK(zmq_connect(newcomer, scene->text));
    kit_send_text(newcomer, "hello", 0);
    kit_recv_text(newcomer, "hello");
    KIT_OK(zmq_close(newcomer));
}

struct round {
    double alone_us, held_us, storm_us; /* p99 */
    long full_kib;                      /* with the crowd there */
};

static struct round round_run(struct scene *scene, int quiet)
{
    struct round round = {.alone_us = p99_us(scene)};
    order_wait(scene, ORDER_COME);
    KIT_UNTIL(connections() >= quiet + crowd);
    round.held_us = p99_us(scene);
    round.full_kib = kit_rss_kib();
    order_wait(scene, ORDER_GO);
    KIT_UNTIL(connections() <= quiet);
    unsigned before = scene->number;
    order(scene, ORDER_STORM);
    round.storm_us = p99_us(scene);
    newcomer_check(scene);
    order(scene, ORDER_STORM);
    order_done(scene);
    KIT_UNTIL(connections() <= quiet);
    fprintf(stderr, "p99, us: alone %.0f, %d strangers there %.0f, %u coming and going %.0f\n", round.alone_us, crowd,
            round.held_us, scene->number - before, round.storm_us);
    return round;
}

static void strangers_and_friends(void)
{
    struct scene scene = {0};
    double held[ROUNDS], storm[ROUNDS], held_us[ROUNDS], storm_us[ROUNDS];
    long full_kib = 0;
    scene_start(&scene);
    int quiet = connections();
    long quiet_kib = used_kib();
    for (int i = 0; i < ROUNDS; i++) {
        struct round round = round_run(&scene, quiet);
        held[i] = round.held_us / round.alone_us;
        storm[i] = round.storm_us / round.alone_us;
        held_us[i] = round.held_us;
        storm_us[i] = round.storm_us;
        full_kib = round.full_kib;
    }
    long after_kib = used_kib();
    double held_times = median(held), storm_times = median(storm);
    fprintf(stderr, "medians: %.2f times, %.2f times; %ld KiB, then %ld, then %ld\n", held_times, storm_times, quiet_kib,
            full_kib, after_kib);
    if (!SANITIZED) {
        cr_assert(held_times <= TIMES || median(held_us) <= ENOUGH_US);
        /* Inline it is the server's own thread that accepts the storm; beside other programs its slices count. */
        cr_assert(kit_is_inline() || storm_times <= TIMES || median(storm_us) <= ENOUGH_US);
        cr_assert_leq(after_kib, quiet_kib + SPARE_KIB, "%ld KiB, then %ld", quiet_kib, after_kib);
    }
    scene_end(&scene);
}

/* CVE-2020-15166: connections that never shook hands kept those that had from being served. */
Test(flood, cve_2020_15166_strangers_do_not_hold_up_those_who_are_in, .timeout = 100)
{
    strangers_and_friends();
}

/* The same where each of them costs the server a key exchange. */
Test(flood, nor_do_they_with_curve, .timeout = 100)
{
    if (!zmq_has("curve"))
        return;
    hello_make();
    words = words_curve;
    strangers_and_friends();
}

/* Neither descriptors nor memory grow by those who come and go. */
Test(flood, coming_and_going_leaves_nothing_behind, .timeout = 100)
{
    struct scene scene = {0};
    scene_start(&scene);
    int quiet = connections();
    long quiet_kib = used_kib();
    order_wait(&scene, ORDER_CYCLES);
    KIT_UNTIL(connections() <= quiet);
    long after_kib = used_kib();
    fprintf(stderr, "%d came and went: %ld KiB, then %ld\n", CYCLES, quiet_kib, after_kib);
    if (!SANITIZED)
        cr_assert_leq(after_kib, quiet_kib + SPARE_KIB / 4, "%ld KiB, then %ld", quiet_kib, after_kib);
    scene_end(&scene);
}

/* By default no limit is in the way of many who come in earnest, at once. */
Test(flood, a_fan_in_is_no_flood, .timeout = 100)
{
    struct scene scene = {0};
    scene_start(&scene);
    int quiet = connections();
    order_wait(&scene, ORDER_FAN_IN);
    KIT_UNTIL(connections() <= quiet);
    p99_us(&scene);
    scene_end(&scene);
}
