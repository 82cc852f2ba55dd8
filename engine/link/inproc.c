/* SPDX-License-Identifier: MIT */
/*
 * A connect makes two pipes and two peers, each the other's far side; the binder hears of its own by a note. The limit of
 * a pipe is the sum of what both sockets set for that direction, and none when either set none. A peer that hangs up tells
 * the other one; pipes outlast either until both have let go. One that hangs up before its bind came leaves behind what
 * it sent, as libzmq does whatever LINGER says: the bind gets it, or nobody, when the context ends.
 * Binding fails on a name that is taken; connecting only for want of memory; reaching also where nobody is there, or too
 * many have not been let go.
 */
#include "link/inproc.h"

#include <errno.h>
#include <pthread.h>

#include "mem/alloc.h"

/* Guards all registries and the moment when two peers meet: rare and short. */
static pthread_mutex_t meeting = PTHREAD_MUTEX_INITIALIZER;

/* Under the lock. */
struct zu_inproc_bind {
    struct zu_link link; /* registry */
    struct zu_home home; /* the binder */
    size_t name_size;    /* with NUL */
    char name[];         /* what follows "inproc://" */
};

/* A connect that waits for its bind; under the lock. The other peer's `endpoint` points here meanwhile. */
struct zu_inproc_connect {
    struct zu_link link;         /* registry */
    struct zu_mailbox *box;      /* the connecting socket's; a reference. NULL when that has left */
    struct zu_peer *near;        /* the connecting socket's; likewise */
    struct zu_peer *other;       /* the binder's to be; its far is NULL meanwhile */
    size_t name_size;            /* with NUL */
    char name[];                 /* what follows "inproc://" */
};

void zu_inproc_init(struct zu_inproc *inproc)
{
    zu_list_init(&inproc->bound);
    zu_list_init(&inproc->waiting);
}

static void connect_free(struct zu_inproc_connect *connect)
{
    zu_free(connect, sizeof *connect + connect->name_size);
}

/* The other end of a connect that nobody has met: taken apart from both sides. */
static void drop_unmet(struct zu_peer *other)
{
    zu_pipe_leave(other->in);
    zu_pipe_end(other->out);
    zu_peer_unref(other);
    zu_peer_unref(other);
}

/*
 * Under the lock; the connecting socket has ended the pipe it wrote. What lies there is kept for the bind to come, with
 * nothing that would keep the socket's memory, and with a pipe in the other direction that nobody will read. Returns
 * the one that the socket reads, for the caller to end. NULL: nothing is there to keep, or no memory to keep it.
 */
static struct zu_pipe *leave_behind(struct zu_inproc_connect *connect)
{
    struct zu_peer *other = connect->other;
    struct zu_pipe *unread = zu_pipe_count(other->in).held ? zu_pipe_new(0) : NULL;
    if (!unread)
        return NULL;
    zu_pipe_leave(unread);
    struct zu_pipe *read = other->out;
    other->out = unread;
    zu_mailbox_unref(other->in->writer_box); /* a pipe that was ended wakes no writer */
    other->in->writer_box = NULL;
    connect->near = NULL;
    connect->box = NULL;
    return read;
}

/* A connect that still waits has no other end to tell: we tell ourselves. Under the lock, which is let go. */
static void hang_up_waiting(struct zu_peer *peer)
{
    struct zu_peer *other = peer->far;
    struct zu_inproc_connect *connect = other->endpoint;
    struct zu_mailbox *box = connect->box;
    struct zu_pipe *read = leave_behind(connect);
    if (!read)
        zu_list_remove(&connect->link);
    pthread_mutex_unlock(&meeting);
    if (read) {
        zu_pipe_end(read);
    } else {
        drop_unmet(other);
        connect_free(connect);
    }
    peer->far = NULL;
    zu_peer_tell_gone(peer, box);
    zu_mailbox_unref(box);
}

static void hang_up(struct zu_peer *peer, int linger_ms)
{
    (void)linger_ms; /* what was sent is with the other socket already */
    struct zu_peer *other = peer->far;
    if (!other) /* it had left before we met, and its note is on the way */
        return;
    pthread_mutex_lock(&meeting);
    if (!other->far) {
        hang_up_waiting(peer);
        return;
    }
    pthread_mutex_unlock(&meeting);
    atomic_fetch_add_explicit(&other->refs, 1, memory_order_relaxed);
    zu_peer_tell_gone(other, peer->far_box);
}

/* Behind our last note to the other socket goes our hold on its peer; on our own peer nobody's note depends. */
static void release(struct zu_peer *peer)
{
    struct zu_peer *other = peer->far;
    if (other && !zu_mailbox_post(peer->far_box, &other->left))
        zu_peer_unref(other);
    zu_peer_unref(peer);
}

static const struct zu_peer_ops peer_ops = {.hang_up = hang_up, .release = release};

void zu_inproc_fini(struct zu_inproc *inproc)
{
    zu_list_each(link, after, &inproc->waiting)
    {
        struct zu_inproc_connect *connect = zu_container_of(link, struct zu_inproc_connect, link);
        drop_unmet(connect->other);
        connect_free(connect);
    }
}

static uint64_t hwm_sum(uint64_t out, uint64_t in)
{
    return out && in ? out + in : 0;
}

static void set_share(struct zu_peer *other, uint64_t out_hwm, uint64_t in_hwm)
{
    atomic_store_explicit(&other->in_share, (int64_t)out_hwm, memory_order_relaxed);
    atomic_store_explicit(&other->out_share, (int64_t)in_hwm, memory_order_relaxed);
}

static uint64_t out_hwm_of(const struct zu_peer *peer, uint64_t own)
{
    int64_t share = atomic_load_explicit(&peer->out_share, memory_order_relaxed);
    return share < 0 ? own : hwm_sum(own, (uint64_t)share);
}

static uint64_t in_hwm_of(const struct zu_peer *peer, uint64_t own)
{
    int64_t share = atomic_load_explicit(&peer->in_share, memory_order_relaxed);
    return share < 0 ? own : hwm_sum(own, (uint64_t)share);
}

bool zu_inproc_set_hwm(struct zu_peer *peer, uint64_t out_hwm, uint64_t in_hwm)
{
    if (peer->ops != &peer_ops)
        return false;
    pthread_mutex_lock(&meeting); /* against the other socket, which may be doing the same, and against the meeting */
    if (peer->far)
        set_share(peer->far, out_hwm, in_hwm);
    if (peer->out_open)
        zu_pipe_writer_set_hwm(peer->out, out_hwm_of(peer, out_hwm));
    if (peer->in_open)
        zu_pipe_set_hwm(peer->in, in_hwm_of(peer, in_hwm));
    pthread_mutex_unlock(&meeting);
    return true;
}

static void move_in(struct zu_peer *binder, const struct zu_home *home)
{
    const struct zu_settings *bound = home->settings;
    binder->endpoint = home->endpoint;
    binder->ops = &peer_ops;
    zu_peer_set_near(binder, home->socket, home->events, home->box);
    zu_pipe_set_hwm(binder->out, out_hwm_of(binder, bound->out_hwm));
    zu_pipe_set_hwm(binder->in, in_hwm_of(binder, bound->in_hwm));
}

/* Before its socket hears of the peer. Without memory they stay unsaid: no reason to fail a bind that others wait for. */
static void first_words(struct zu_peer *peer, const struct zu_settings *settings)
{
    if (settings->hello.size)
        (void)zu_pipe_write(peer->out, settings->hello.data, settings->hello.size, false);
}

/* Both peers know each other, and the binder is told. */
static int meet(struct zu_peer *connector, struct zu_mailbox *connector_box, struct zu_peer *binder,
                const struct zu_home *home)
{
    const struct zu_bytes *last = &home->settings->disconnect;
    binder->far = connector;
    binder->far_box = zu_mailbox_ref(connector_box);
    connector->far_box = zu_mailbox_ref(home->box);
    set_share(connector, home->settings->out_hwm, home->settings->in_hwm);
    move_in(binder, home);
    first_words(binder, home->settings);
    if (!zu_mailbox_post(home->box, &binder->attached))
        return -ECONNREFUSED;
    (void)zu_peer_set_farewell(connector, last->data, last->size);
    zu_peer_tell_met(binder, home->box);
    /* Without memory it stays nameless: no reason to fail a bind that others wait for. */
    (void)zu_peer_set_far_id(connector, home->settings->routing_id, home->settings->routing_id_size);
    zu_peer_tell_met(connector, connector_box);
    return 0;
}

/* The binder, which has just come and so hears, is told of a peer and that it has gone. */
static void meet_left(struct zu_peer *binder, const struct zu_home *home)
{
    move_in(binder, home);
    zu_mailbox_post(home->box, &binder->attached);
    zu_peer_tell_met(binder, home->box);
    zu_peer_tell_gone(binder, home->box);
}

static struct zu_inproc_bind *bound_find(struct zu_inproc *inproc, const char *name)
{
    zu_list_each(link, after, &inproc->bound)
    {
        struct zu_inproc_bind *bind = zu_container_of(link, struct zu_inproc_bind, link);
        if (strcmp(bind->name, name) == 0)
            return bind;
    }
    return NULL;
}

static bool is_one_of(const struct zu_inproc_bind *bind, uint32_t types)
{
    return !types || types >> bind->home.settings->socket_type & 1;
}

static void meet_waiting(struct zu_inproc *inproc, struct zu_inproc_bind *bind)
{
    zu_list_each(link, after, &inproc->waiting)
    {
        struct zu_inproc_connect *connect = zu_container_of(link, struct zu_inproc_connect, link);
        if (strcmp(connect->name, bind->name) != 0)
            continue;
        zu_list_remove(&connect->link);
        if (connect->near) {
            meet(connect->near, connect->box, connect->other, &bind->home);
            zu_mailbox_unref(connect->box);
        } else {
            meet_left(connect->other, &bind->home);
        }
        connect_free(connect);
    }
}

int zu_inproc_bind(struct zu_inproc *inproc, const char *name, const struct zu_home *home,
                   struct zu_inproc_bind **ret_bind)
{
    size_t name_size = strlen(name) + 1;
    struct zu_inproc_bind *bind = zu_alloc(sizeof *bind + name_size);
    if (!bind)
        return -ENOMEM;
    bind->name_size = name_size;
    memcpy(bind->name, name, name_size);
    pthread_mutex_lock(&meeting);
    bool taken = bound_find(inproc, name) != NULL;
    if (!taken) {
        bind->home = zu_home_copy(home);
        zu_list_append(&inproc->bound, &bind->link);
        meet_waiting(inproc, bind);
    }
    pthread_mutex_unlock(&meeting);
    if (taken) {
        zu_free(bind, sizeof *bind + name_size);
        return -EADDRINUSE;
    }
    *ret_bind = bind;
    return 0;
}

void zu_inproc_unbind(struct zu_inproc_bind *bind)
{
    pthread_mutex_lock(&meeting);
    zu_list_remove(&bind->link);
    pthread_mutex_unlock(&meeting);
    zu_home_fini(&bind->home);
    zu_free(bind, sizeof *bind + bind->name_size);
}

static int connect_wait(struct zu_inproc *inproc, const char *name, const struct zu_home *home, struct zu_peer *near,
                        struct zu_peer *other)
{
    size_t name_size = strlen(name) + 1;
    struct zu_inproc_connect *connect = zu_alloc(sizeof *connect + name_size);
    if (!connect)
        return -ENOMEM;
    connect->box = zu_mailbox_ref(home->box);
    connect->near = near;
    connect->other = other;
    connect->name_size = name_size;
    memcpy(connect->name, name, name_size);
    other->endpoint = connect;
    zu_list_append(&inproc->waiting, &connect->link);
    return 0;
}

/* False: there are enough of them. */
static bool census_join(struct zu_inproc *inproc, struct zu_peer *peer)
{
    peer->census = &inproc->reached;
    return atomic_fetch_add_explicit(peer->census, 1, memory_order_relaxed) < ZU_INPROC_REACHED_MAX;
}

/* `types`: whom it must be; 0 for anybody, who may still be to come. */
static int connect_to(struct zu_inproc *inproc, const char *name, uint32_t types, const struct zu_home *home,
                      struct zu_peer **ret_peer)
{
    struct zu_peer *near = zu_settings_peer_new(home->settings);
    struct zu_peer *other = near ? zu_peer_new_around(near->in, near->out) : NULL;
    if (!other || zu_peer_set_far_id(other, home->settings->routing_id, home->settings->routing_id_size) < 0) {
        if (other)
            zu_free(other, sizeof *other); /* its pipes are the near one's */
        if (near)
            zu_peer_abandon(near);
        return -ENOMEM;
    }
    near->endpoint = home->endpoint;
    near->far = other;
    near->ops = &peer_ops;
    zu_peer_set_near(near, home->socket, home->events, home->box);
    set_share(other, home->settings->out_hwm, home->settings->in_hwm);
    first_words(near, home->settings);
    (void)zu_peer_set_farewell(other, home->settings->disconnect.data, home->settings->disconnect.size);
    pthread_mutex_lock(&meeting);
    struct zu_inproc_bind *bind = bound_find(inproc, name);
    int err = -ECONNREFUSED;
    if (types && !census_join(inproc, near))
        err = -EUSERS;
    else if (bind && is_one_of(bind, types))
        err = meet(near, home->box, other, &bind->home);
    else if (!types)
        err = connect_wait(inproc, name, home, near, other);
    pthread_mutex_unlock(&meeting);
    if (err) {
        zu_peer_abandon(near);
        zu_peer_unref(other);
        zu_peer_unref(other);
        return err;
    }
    *ret_peer = near;
    return 0;
}

int zu_inproc_connect(struct zu_inproc *inproc, const char *name, const struct zu_home *home, struct zu_peer **ret_peer)
{
    return connect_to(inproc, name, 0, home, ret_peer);
}

int zu_inproc_reach(struct zu_inproc *inproc, const char *name, uint32_t types, const struct zu_home *home,
                    struct zu_peer **ret_peer)
{
    /* First without making anything: mostly nobody is there. */
    pthread_mutex_lock(&meeting);
    struct zu_inproc_bind *bind = bound_find(inproc, name);
    bool is_there = bind && is_one_of(bind, types);
    pthread_mutex_unlock(&meeting);
    return is_there ? connect_to(inproc, name, types, home, ret_peer) : -ECONNREFUSED;
}

void zu_inproc_lock(void)
{
    pthread_mutex_lock(&meeting);
}

void zu_inproc_unlock(void)
{
    pthread_mutex_unlock(&meeting);
}
