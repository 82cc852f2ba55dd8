/* SPDX-License-Identifier: MIT */
/* Two handshakes back to back, in memory, with somebody who judges. */
#ifndef ZU_TESTS_SHAKE_H
#define ZU_TESTS_SHAKE_H

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "wire/handshake.h"
#include "wire/socket_type.h"

struct shake_side {
    struct zu_handshake hs;            /* its machine */
    struct zu_handshake_config config; /* what that was made with */
    int rc;                            /* what the last feed said */
    unsigned asked;                    /* how often it waited for a verdict */
    struct zu_verdict verdict;         /* what it is told then */
    void (*look)(struct shake_side *side, const struct zu_credentials *credentials); /* may be NULL */
    size_t said;                                                                     /* octets that it has sent */
};

static inline void shake_init(struct shake_side *side, const struct zu_handshake_config *config)
{
    *side = (struct shake_side){.config = *config, .verdict.status = 200};
    zu_handshake_init(&side->hs, &side->config);
}

static inline void shake_feed(struct shake_side *side, const uint8_t *in, size_t size, size_t *ret_used)
{
    struct zu_credentials credentials;
    side->rc = zu_handshake_feed(&side->hs, in, size, ret_used);
    while (side->rc == 0 && zu_handshake_waits(&side->hs, &credentials)) {
        side->asked++;
        if (side->look)
            side->look(side, &credentials);
        zu_handshake_judge(&side->hs, &side->verdict);
        size_t more;
        side->rc = zu_handshake_feed(&side->hs, in + *ret_used, size - *ret_used, &more);
        *ret_used += more;
    }
}

/* Moves at most `piece` octets; what a machine says even after failing arrives. */
static inline bool shake_move(struct shake_side *from, struct shake_side *to, size_t piece)
{
    const uint8_t *out;
    size_t used, size = zu_handshake_output(&from->hs, &out);
    if (size > piece)
        size = piece;
    if (size == 0 || to->rc != 0)
        return false;
    shake_feed(to, out, size, &used);
    if (to->rc == 0)
        cr_assert_eq(used, size);
    zu_handshake_sent(&from->hs, used);
    from->said += used;
    return used != 0;
}

/* Until nothing moves. */
static inline void shake_run(struct shake_side *a, struct shake_side *b, size_t a_piece, size_t b_piece)
{
    bool moved = true;
    while (moved) {
        moved = shake_move(a, b, a_piece);
        moved |= shake_move(b, a, b_piece);
    }
}

static inline void shake_fini(struct shake_side *a, struct shake_side *b)
{
    zu_handshake_fini(&a->hs);
    zu_handshake_fini(&b->hs);
}

/* Two clients, then two servers: neither ever has to say what it waits for, or what it gets is not for it. */
static inline void shake_mirrored(const struct zu_handshake_config *client, const struct zu_handshake_config *server)
{
    struct shake_side a, b;
    shake_init(&a, client);
    shake_init(&b, client);
    shake_run(&a, &b, 1000, 1000);
    cr_assert_eq(b.rc, -EPROTO);
    cr_assert_eq(b.hs.failure.protocol_error, (unsigned)ZU_PROTOCOL_ERROR_UNEXPECTED_COMMAND);
    shake_fini(&a, &b);
    shake_init(&a, server);
    shake_init(&b, server);
    shake_run(&a, &b, 1000, 1000);
    cr_assert_eq(a.rc, 0);
    cr_assert_eq(b.rc, 0);
    cr_assert_eq(a.asked + b.asked, 0u);
    cr_assert_eq(a.said, 64u, "the greeting alone");
    shake_fini(&a, &b);
}

#endif
