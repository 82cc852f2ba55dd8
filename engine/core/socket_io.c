/* SPDX-License-Identifier: MIT */
/*
 * Sending and receiving: the pattern does it, or says "not now", and then the caller sleeps until something is posted and
 * tries again. The fast path is one look at the box and one call through the pattern's row.
 * Timeouts, signals and the end of the context come out as -EAGAIN, -EINTR and -ETERM; a part that was not sent is intact.
 */
#include "core/socket.h"

#include <sys/eventfd.h>

#include "base/error.h"
#include "base/futex.h"
#include "mem/msg.h"

/* True: something was posted. */
static bool spin_for_notes(struct zu_socket *socket, uint64_t until_ns)
{
    if (!zu_spin_begin(&socket->spinner, until_ns))
        return false;
    do {
        if (zu_mailbox_has_notes(&socket->box))
            return true;
    } while (zu_spin_on(&socket->spinner));
    return false;
}

int zu_socket_wait(struct zu_socket *socket, uint64_t until_ns)
{
    struct zu_drive *drive = zu_socket_has_drive(socket);
    zu_batches_flush();
    if (drive)
        return zu_drive_wait(drive, until_ns);
    zu_socket_rest(socket);
    zu_wakes_release(); /* a program's callback may wait here, in a shard's turn */
    if (spin_for_notes(socket, until_ns))
        return 0;
    /* seq_cst: "asleep" first, then a look at the box; a poster does the opposite. */
    atomic_exchange_explicit(&socket->asleep, 1, memory_order_seq_cst);
    int err = 0, saved = errno; /* that of a call which succeeds stays as it was */
    if (!zu_mailbox_has_notes(&socket->box))
        err = zu_futex_wait(&socket->asleep, 1, until_ns);
    errno = saved;
    atomic_store_explicit(&socket->asleep, 0, memory_order_relaxed);
    return err;
}

/* In a child of a fork sends are ignored. */
static int send_refused(struct zu_socket *socket, struct zu_part *part, int err)
{
    if (atomic_load_explicit(&socket->state, memory_order_relaxed) != ZU_SOCKET_FORKED)
        return err;
    if (part->msg) {
        zu_msg_close(part->msg);
        zu_msg_init(part->msg);
    }
    return 0;
}

/* Sleeps and tries again until `attempt` says anything but -EAGAIN, or the timeout is over. */
static ZU_COLD int wait_for(struct zu_socket *socket, int timeout_ms,
                            int (*attempt)(struct zu_socket *socket, void *argument), void *argument)
{
    uint64_t until_ns = zu_deadline_ns(timeout_ms);
    for (;;) {
        int err = zu_socket_wait(socket, until_ns);
        if (err == -EINTR)
            return err;
        bool late = err == -ETIMEDOUT;
        err = zu_socket_enter(socket);
        if (!err)
            err = attempt(socket, argument);
        if (err != -EAGAIN || late)
            return err;
    }
}

static int try_send(struct zu_socket *socket, void *part)
{
    int err = socket->pattern.ops->send(&socket->pattern, part);
    /* A signal may come while the send waits for the kernel, where nobody sees it otherwise. */
    return err == -EAGAIN && socket->pattern.out.interrupted ? -EINTR : err;
}

static int try_peek(struct zu_socket *socket, void *view)
{
    return socket->pattern.ops->peek(&socket->pattern, view);
}

/* Inline: perhaps it is only that nobody has looked. */
static int try_refreshed(struct zu_socket *socket, int (*attempt)(struct zu_socket *socket, void *argument),
                         void *argument)
{
    if (!zu_socket_has_drive(socket))
        return -EAGAIN;
    int err = zu_socket_refresh(socket);
    return err ? err : attempt(socket, argument);
}

/* What the fast path came out with: a socket that is no more, or a wait. */
int zu_socket_send_slowly(struct zu_socket *socket, struct zu_part *part, int flags, int err)
{
    if (atomic_load_explicit(&socket->state, memory_order_relaxed) != ZU_SOCKET_LIVE)
        return send_refused(socket, part, err);
    if (err == -EAGAIN)
        err = try_refreshed(socket, try_send, part);
    if (err != -EAGAIN || (flags & ZU_DONTWAIT) || socket->options.send_timeout_ms == 0)
        return err;
    if (socket->pattern.out.interrupted) /* it came before we sleep here, but in this call */
        return -EINTR;
    return wait_for(socket, socket->options.send_timeout_ms, try_send, part);
}

/* Its own batches to flush, or an answer to give: who waits for that is not made to wait for company. */
int zu_socket_send_mindful(struct zu_socket *socket, struct zu_part *part, int flags)
{
    struct zu_drive *drive = zu_socket_has_drive(socket);
    bool ends = !part->more;
    part->at_once = !drive || zu_drive_sends_at_once(drive);
    if (ends)
        socket->ways &= (uint8_t)~ZU_SEND_ANSWERS;
    int err = zu_socket_hand_in(socket, part, flags);
    if (!err && drive)
        zu_drive_sent(drive, part);
    return err;
}

int zu_socket_peek_slowly(struct zu_socket *socket, struct zu_view *ret_view, int flags, int err)
{
    if (err == -EAGAIN)
        err = try_refreshed(socket, try_peek, ret_view);
    if (err == -EAGAIN)
        zu_batches_flush();
    if (err != -EAGAIN || (flags & ZU_DONTWAIT) || socket->options.recv_timeout_ms == 0)
        return err;
    err = wait_for(socket, socket->options.recv_timeout_ms, try_peek, ret_view);
    zu_socket_waited(socket);
    return err;
}

unsigned zu_socket_events(struct zu_socket *socket)
{
    return socket->pattern.ops->poll(&socket->pattern);
}

int zu_socket_check_events(struct zu_socket *socket)
{
    int err = zu_socket_refresh(socket);
    if (err)
        return err;
    int events = (int)zu_socket_events(socket);
    if (!events)
        zu_batches_flush();
    return events;
}

int zu_socket_event_fd(struct zu_socket *socket)
{
    int fd = atomic_load_explicit(&socket->event_fd, memory_order_relaxed);
    if (fd >= 0)
        return fd;
    struct zu_drive *drive = NULL;
    int err = socket->context->is_inline ? zu_socket_drive(socket, &drive) : 0;
    if (err)
        return err;
    fd = drive ? zu_drive_fd(drive) : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return drive ? fd : -errno;
    /* seq_cst: a poster that did not see the descriptor had posted before this look at the box. */
    atomic_store_explicit(&socket->event_fd, fd, memory_order_seq_cst);
    if (zu_mailbox_has_notes(&socket->box))
        socket->box.wake(&socket->box);
    return fd;
}
