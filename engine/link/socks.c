/* SPDX-License-Identifier: MIT */
#include "link/socks.h"

/*
 * Happy path: three steps, the second of which is left out without a user name. Say which one method we offer, and hear it
 * accepted; say user and password, and hear that they will do; say where to go, and hear an address that nobody needs.
 * A step's reply is heard to its last byte and no further.
 *
 * How it fails: a reply that is none, or says no, ends it with an errno, and the machine is not used again.
 */

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "link/inet.h"

enum {
    VERSION = 5,
    LOGIN_VERSION = 1,
    METHOD_NONE = 0,
    METHOD_LOGIN = 2,
    CONNECT = 1,
    TYPE_V4 = 1,
    TYPE_NAME = 3,
    TYPE_V6 = 4,
};

struct zu_socks_step {
    void (*say)(struct zu_socks *socks);  /* fills `out` */
    /* in_want bytes are there: 0, perhaps with a greater in_want or another step; 1, or a negative errno. */
    int (*heard)(struct zu_socks *socks);
    size_t want;                          /* bytes of the reply, at first */
};

static void step_begin(struct zu_socks *socks, const struct zu_socks_step *step)
{
    socks->step = step;
    socks->in_size = 0;
    socks->in_want = step->want;
    socks->out_sent = 0;
    step->say(socks);
}

/* --- where to go --- */

static void request_say(struct zu_socks *socks)
{
    memcpy(socks->out, socks->request, socks->request_size);
    socks->out_size = socks->request_size;
}

/* RFC 1928, section 6: the reply field, from 1 on. */
static int request_error(uint8_t reply)
{
    static const int errors[] = {0,           -EIO,      -EACCES,     -ENETUNREACH, -EHOSTUNREACH, -ECONNREFUSED,
                                 -EHOSTUNREACH, -EOPNOTSUPP, -EAFNOSUPPORT};
    return reply < sizeof errors / sizeof *errors ? errors[reply] : -EPROTO;
}

/* Its length shows only once the type of its address, and a name's length, are there. */
static int request_heard(struct zu_socks *socks)
{
    enum { HEAD = 4, PORT = 2 };
    if (socks->in[0] != VERSION)
        return -EPROTO;
    int err = request_error(socks->in[1]);
    if (err)
        return err;
    size_t size;
    if (socks->in[3] == TYPE_V4)
        size = HEAD + 4 + PORT;
    else if (socks->in[3] == TYPE_V6)
        size = HEAD + 16 + PORT;
    else if (socks->in[3] == TYPE_NAME)
        size = socks->in_size > HEAD ? (size_t)HEAD + 1 + socks->in[HEAD] + PORT : HEAD + 1;
    else
        return -EPROTO;
    if (socks->in_size == size)
        return 1;
    socks->in_want = size;
    return 0;
}

static const struct zu_socks_step request_step = {request_say, request_heard, 4};

/* --- who we are --- */

static void login_say(struct zu_socks *socks)
{
    const struct zu_socks_login *login = &socks->login;
    uint8_t *at = socks->out;
    *at++ = LOGIN_VERSION;
    *at++ = (uint8_t)login->user_size;
    memcpy(at, login->user, login->user_size);
    at += login->user_size;
    *at++ = (uint8_t)login->password_size;
    if (login->password_size)
        memcpy(at, login->password, login->password_size);
    socks->out_size = (size_t)(at - socks->out) + login->password_size;
}

static int login_heard(struct zu_socks *socks)
{
    if (socks->in[0] != LOGIN_VERSION)
        return -EPROTO;
    if (socks->in[1] != 0)
        return -EACCES;
    step_begin(socks, &request_step);
    return 0;
}

static const struct zu_socks_step login_step = {login_say, login_heard, 2};

/* --- by which method --- */

static uint8_t method_of(const struct zu_socks *socks)
{
    return socks->login.user_size ? METHOD_LOGIN : METHOD_NONE;
}

static void method_say(struct zu_socks *socks)
{
    socks->out[0] = VERSION;
    socks->out[1] = 1;
    socks->out[2] = method_of(socks);
    socks->out_size = 3;
}

static int method_heard(struct zu_socks *socks)
{
    enum { METHOD_REFUSED = 0xff };
    if (socks->in[0] != VERSION)
        return -EPROTO;
    if (socks->in[1] != method_of(socks))
        return socks->in[1] == METHOD_REFUSED ? -EACCES : -EPROTO;
    step_begin(socks, method_of(socks) == METHOD_LOGIN ? &login_step : &request_step);
    return 0;
}

static const struct zu_socks_step method_step = {method_say, method_heard, 2};

/* --- the machine --- */

static void request_put(struct zu_socks *socks, uint8_t type, const void *address, size_t size)
{
    socks->request[3] = type;
    memcpy(socks->request + socks->request_size, address, size);
    socks->request_size += size;
}

/* -EINVAL, or the host's part of the request. */
static int request_put_host(struct zu_socks *socks, const char *host)
{
    union zu_inet_address address;
    if (zu_inet_literal(host, true, &address) < 0) {
        size_t size = strlen(host);
        if (!size)
            return -EINVAL;
        socks->request[socks->request_size++] = (uint8_t)size;
        request_put(socks, TYPE_NAME, host, size);
        return 0;
    }
    const uint8_t *octets = address.v6.sin6_addr.s6_addr;
    if (IN6_IS_ADDR_V4MAPPED(&address.v6.sin6_addr))
        request_put(socks, TYPE_V4, octets + 12, 4);
    else
        request_put(socks, TYPE_V6, octets, 16);
    return 0;
}

int zu_socks_init(struct zu_socks *socks, const char *destination, const struct zu_socks_login *login)
{
    const char *semicolon = strrchr(destination, ';');
    const char *host = semicolon ? semicolon + 1 : destination;
    const char *colon = strrchr(host, ':');
    char name[ZU_SOCKS_NAME_MAX + 1];
    if (!colon || (size_t)(colon - host) >= sizeof name)
        return -EINVAL;
    memcpy(name, host, (size_t)(colon - host));
    name[colon - host] = 0;
    memset(socks, 0, sizeof *socks);
    socks->login = *login;
    socks->request[0] = VERSION;
    socks->request[1] = CONNECT;
    socks->request_size = 4;
    int err = request_put_host(socks, name);
    if (err)
        return err;
    uint16_t port = (uint16_t)strtol(colon + 1, NULL, 10); /* as lax as without a proxy */
    socks->request[socks->request_size++] = (uint8_t)(port >> 8);
    socks->request[socks->request_size++] = (uint8_t)port;
    step_begin(socks, &method_step);
    return 0;
}

size_t zu_socks_output(const struct zu_socks *socks, const uint8_t **ret_data)
{
    *ret_data = socks->out + socks->out_sent;
    return socks->out_size - socks->out_sent;
}

void zu_socks_sent(struct zu_socks *socks, size_t size)
{
    socks->out_sent += size;
    if (socks->out_sent == socks->out_size) /* perhaps a password */
        explicit_bzero(socks->out, sizeof socks->out);
}

size_t zu_socks_room(struct zu_socks *socks, uint8_t **ret_data)
{
    *ret_data = socks->in + socks->in_size;
    return socks->in_want - socks->in_size;
}

int zu_socks_received(struct zu_socks *socks, size_t size)
{
    socks->in_size += size;
    return socks->in_size < socks->in_want ? 0 : socks->step->heard(socks);
}
