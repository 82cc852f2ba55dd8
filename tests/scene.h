/* SPDX-License-Identifier: MIT */
/* A socket in inline drive whose octets are watched on a plain, Unix one. */
#ifndef ZU_TESTS_SCENE_H
#define ZU_TESTS_SCENE_H

#include <sys/ioctl.h>
#include <sys/un.h>

#include "drives.h"
#include "rawpeer.h"

#define RAW_READY_PAIR "\x04\x1a\x05READY\x0bSocket-Type\0\0\0\x04PAIR"

enum { SIZE = 30, FRAME = SIZE + 2, FAR_US = 1000000 };

static const struct drive_way *const driven = &drive_ways[2];

/* A PAIR that this thread drives, and a plain socket at its other end. */
struct scene {
    void *context;
    void *socket;
    int fd;        /* the plain socket; its handshake is done */
    int listener;  /* where it was accepted */
};

/* In the abstract namespace: nothing stays behind. */
KIT_UNUSED static int listen_at(const char *endpoint)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *name = endpoint + strlen("ipc://@");
    memcpy(address.sun_path + 1, name, strlen(name));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    size_t size = offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, (socklen_t)size), 0, "%s", strerror(errno));
    cr_assert_eq(listen(fd, 4), 0);
    return fd;
}

KIT_UNUSED static const char *endpoint_new(char *text)
{
    static unsigned names;
    snprintf(text, KIT_ENDPOINT_SIZE, "ipc://@zuring-drive-%d-%u", (int)getpid(),
             __atomic_add_fetch(&names, 1, __ATOMIC_RELAXED));
    return text;
}

KIT_UNUSED static struct scene scene_new(int flush_bytes, int flush_us)
{
    struct scene scene = {.context = drive_context(driven)};
    char text[KIT_ENDPOINT_SIZE];
    KIT_OK(zmq_ctx_set(scene.context, ZU_CTX_OPT_FLUSH_BYTES, flush_bytes));
    KIT_OK(zmq_ctx_set(scene.context, ZU_CTX_OPT_FLUSH_US, flush_us));
    scene.socket = kit_socket(scene.context, ZMQ_PAIR);
    scene.listener = listen_at(endpoint_new(text));
    KIT_OK(zmq_connect(scene.socket, text));
    scene.fd = raw_accept(scene.listener);
    raw_shake(scene.fd, RAW_READY_PAIR);
    raw_say(scene.fd, "\0\1a", 3); /* when it has come the handshake is over on that side too */
    kit_recv_text(scene.socket, "a");
    return scene;
}

KIT_UNUSED static void scene_end(struct scene *scene)
{
    close(scene->fd);
    close(scene->listener);
    KIT_OK(zmq_close(scene->socket));
    KIT_OK(zmq_ctx_term(scene->context));
}

KIT_UNUSED static void say(struct scene *scene, int flags)
{
    static const char body[SIZE];
    cr_assert_eq(zmq_send(scene->socket, body, SIZE, flags), SIZE, "%s", zmq_strerror(errno));
}

/* Octets that have arrived and have not been heard. */
KIT_UNUSED static int arrived(const struct scene *scene)
{
    int octets = 0;
    ioctl(scene->fd, FIONREAD, &octets);
    return octets;
}

KIT_UNUSED static void hear(struct scene *scene, int frames)
{
    char skipped[FRAME];
    while (frames-- > 0)
        raw_hear(scene->fd, skipped, FRAME);
}

KIT_UNUSED static bool is_there(const struct scene *scene, int frames)
{
    return arrived(scene) == frames * FRAME;
}

#endif
