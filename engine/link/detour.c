/* SPDX-License-Identifier: MIT */
/*
 * Speaking and listening take turns, so one operation does: the attempt's own, which is over when it is asked to go on.
 * Each receive takes what the reply still lacks and no more; the first byte behind it is the peer's greeting.
 * A proxy that hangs up is -ECONNRESET; what else it may do wrong, link/socks.c says.
 */
#include "link/detour.h"

#include <errno.h>
#include <string.h>

#include "link/socks.h"
#include "mem/alloc.h"

struct zu_detour {
    struct zu_socks socks; /* what is said and heard */
    struct iovec piece;    /* of the operation under way */
    enum { CONNECTING, SENDING, RECEIVING } doing; /* which that is */
};

int zu_detour_new(const struct zu_settings *settings, const char *destination, struct zu_detour **ret_detour)
{
    struct zu_detour *detour = zu_alloc_zero(sizeof *detour);
    if (!detour)
        return -ENOMEM;
    int err = zu_socks_init(&detour->socks, destination, &settings->proxy->login);
    if (err) {
        zu_detour_free(detour);
        return err;
    }
    *ret_detour = detour;
    return 0;
}

void zu_detour_free(struct zu_detour *detour)
{
    if (!detour)
        return;
    explicit_bzero(detour, sizeof *detour); /* a password that was not sent */
    zu_free(detour, sizeof *detour);
}

static int take_result(struct zu_detour *detour, int result)
{
    if (detour->doing == SENDING)
        zu_socks_sent(&detour->socks, (size_t)result);
    else if (detour->doing == RECEIVING)
        return result ? zu_socks_received(&detour->socks, (size_t)result) : -ECONNRESET;
    return 0;
}

int zu_detour_step(struct zu_detour *detour, struct zu_driver *driver, struct zu_op *op, int fd, int result)
{
    int rc = take_result(detour, result);
    if (rc)
        return rc < 0 ? rc : 0;
    const uint8_t *out;
    size_t size = zu_socks_output(&detour->socks, &out);
    detour->doing = size ? SENDING : RECEIVING;
    if (size)
        detour->piece = (struct iovec){(void *)(uintptr_t)out, size};
    else
        detour->piece.iov_len = zu_socks_room(&detour->socks, (uint8_t **)&detour->piece.iov_base);
    op->message = (struct msghdr){.msg_iov = &detour->piece, .msg_iovlen = 1};
    if (size)
        driver->ops->send(driver, op, fd);
    else
        driver->ops->recv_into(driver, op, fd);
    return -EINPROGRESS;
}
