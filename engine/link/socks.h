/* SPDX-License-Identifier: MIT */
/* What a client says to a SOCKS5 proxy (RFC 1928, with RFC 1929), without I/O: bytes in, bytes out, in turns. */
#ifndef ZU_LINK_SOCKS_H
#define ZU_LINK_SOCKS_H

#include <stddef.h>
#include <stdint.h>

enum {
    ZU_SOCKS_NAME_MAX = 255,                        /* of a user, a password, a host */
    ZU_SOCKS_OUT_MAX = 3 + 2 * ZU_SOCKS_NAME_MAX,   /* the login is the longest that we say */
    ZU_SOCKS_IN_MAX = 4 + 1 + ZU_SOCKS_NAME_MAX + 2, /* the last reply, with a name in it, is the longest that we hear */
};

/* Who may pass; both sizes 0 where nobody asks. */
struct zu_socks_login {
    const uint8_t *user;     /* octets */
    size_t user_size;        /* at most ZU_SOCKS_NAME_MAX; 0: no authentication */
    const uint8_t *password; /* octets */
    size_t password_size;    /* at most ZU_SOCKS_NAME_MAX */
};

struct zu_socks_step;

/* Whoever moves the bytes. It holds no references; the login must outlive it. */
struct zu_socks {
    const struct zu_socks_step *step; /* what is being said and heard */
    struct zu_socks_login login;      /* who we are */
    uint8_t out[ZU_SOCKS_OUT_MAX];    /* to be sent */
    size_t out_size;                  /* bytes of it */
    size_t out_sent;                  /* bytes of those that are gone */
    uint8_t in[ZU_SOCKS_IN_MAX];      /* heard in this step */
    size_t in_size;                   /* bytes of it */
    size_t in_want;                   /* how many make the reply, as far as it is known */
    uint8_t request[4 + 1 + ZU_SOCKS_NAME_MAX + 2]; /* where we want to go, encoded */
    size_t request_size;              /* bytes of it */
};

/*
 * `destination` is "host:port", perhaps with a source before ';', which a proxy has no use for. Addresses go as such and
 * names as names. -EINVAL: no host, no port, or a name that is too long.
 */
int zu_socks_init(struct zu_socks *socks, const char *destination, const struct zu_socks_login *login);
/* What is to be sent now; 0: nothing, listen. */
size_t zu_socks_output(const struct zu_socks *socks, const uint8_t **ret_data);
void zu_socks_sent(struct zu_socks *socks, size_t size);
/* Where to put what comes, and how much at most: what follows behind the last reply is the peer's. */
size_t zu_socks_room(struct zu_socks *socks, uint8_t **ret_data);
/*
 * `size` bytes have come. 0: go on; 1: the way is free; -EPROTO: that is no SOCKS5 proxy; -EACCES: it does not know us, or
 * forbids it; or the errno that comes nearest to why it cannot reach the destination.
 */
int zu_socks_received(struct zu_socks *socks, size_t size);

#endif
