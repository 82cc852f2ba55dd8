/* SPDX-License-Identifier: MIT */
/* Who lets peers in, as a socket was told: a set of keys, the program's own judge, ZAP. Behind link/guard.h. */
#ifndef ZU_CORE_GUARD_H
#define ZU_CORE_GUARD_H

#include "core/keys.h"
#include "core/zap.h"

/* What a judge gets to know. Valid during its call. */
struct zu_visitor {
    const struct zu_credentials *credentials; /* what the peer has shown */
    const char *domain;                       /* ZAP_DOMAIN; "" when there is none */
    const char *address;                      /* the peer's; "" when it has none */
    char *user_id;                            /* room for ZU_USER_ID_MAX and a NUL, "": what the peer is to be called */
};

/* The program's own judge. */
struct zu_judge {
    /* A shard's thread. 200, 300, 400 or 500; anything else counts as 500. NULL: there is none. */
    int (*judge)(const struct zu_judge *judge, const struct zu_visitor *visitor);
    void (*call)(void); /* what the API made it from */
    void *data;
};

/* What a socket's owner has set, beside its options. */
struct zu_admission {
    struct zu_keys *keys;  /* whom it lets in; a reference; NULL: no matter who */
    struct zu_judge judge; /* and by whose word */
};

struct zu_options;

/* Are peers of sockets with these options let in by verdict alone? */
bool zu_guard_waits(const struct zu_options *options, const struct zu_admission *admission);
/* A snapshot of both; NULL without memory. The registry outlives it. */
struct zu_guard *zu_guard_new(const struct zu_options *options, const struct zu_admission *admission,
                              struct zu_inproc *inproc);

#endif
