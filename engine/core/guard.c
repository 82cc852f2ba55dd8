/* SPDX-License-Identifier: MIT */
/*
 * First the keys, then the program's judge, then ZAP: each may say no, and the last one is asked only when the others have
 * not. When ZAP is asked, and what it means that nobody answers there, is libzmq's: a row for each mechanism. Made with a
 * bind or connect, and immutable: shards ask it at the same time.
 * Nobody to ask, where somebody must be asked, is -EFAULT; libzmq aborts on PLAIN with enforcement and without a domain.
 */
#include "core/guard.h"

#include <errno.h>
#include <string.h>

#include "core/option.h"
#include "mem/alloc.h"

struct guard {
    struct zu_guard base;         /* what connections see */
    struct zu_inproc *inproc;     /* where ZAP's handler would be; the context's */
    struct zu_admission own;      /* asked before that; a reference to the keys */
    unsigned mechanism;           /* enum zu_security */
    bool enforces;                /* ZAP_ENFORCE_DOMAIN */
    struct zu_bytes domain;       /* ZAP_DOMAIN, with a NUL; owned */
    struct zu_bytes routing_id;   /* our own; owned */
};

/* By enum zu_security. */
static const struct {
    bool always_asks; /* also without a domain, unless the socket enforces domains */
    bool must_ask;    /* without an answer nobody comes in */
} rules[] = {
    [ZU_SECURITY_NULL] = {false, false},
    [ZU_SECURITY_PLAIN] = {true, true},
    [ZU_SECURITY_CURVE] = {true, false},
};

bool zu_guard_waits(const struct zu_options *options, const struct zu_admission *admission)
{
    if (options->mechanism != ZU_SECURITY_NULL)
        return options->as_server;
    return options->zap_domain.size || admission->keys || admission->judge.judge;
}

static void answer(struct zu_ask *ask, int error, unsigned status, const char *user_id)
{
    uint8_t property[ZU_USER_PROPERTY_MAX];
    struct zu_verdict verdict = {.error = error, .status = status, .properties = property};
    if (!error && status == ZU_VERDICT_IN)
        verdict.properties_size = zu_zap_user_property(user_id, property);
    ask->answered(ask, &verdict);
}

/* Whoever shows no key is on no list. */
static bool is_listed(const struct guard *guard, const struct zu_credentials *shown)
{
    bool has_key = guard->mechanism == ZU_SECURITY_CURVE && shown->count && shown->items[0].size == ZU_CURVE_KEY_SIZE;
    return has_key && zu_keys_have(guard->own.keys, shown->items[0].data);
}

static unsigned judge(const struct guard *guard, const struct zu_ask *ask, char *user_id)
{
    const struct zu_visitor visitor = {
        .credentials = ask->credentials,
        .domain = guard->domain.size ? (const char *)guard->domain.data : "",
        .address = ask->address,
        .user_id = user_id,
    };
    int status = guard->own.judge.judge(&guard->own.judge, &visitor);
    user_id[ZU_USER_ID_MAX] = 0;
    bool is_known = status == ZU_VERDICT_IN || status == ZU_VERDICT_LATER || status == ZU_VERDICT_DENIED;
    return is_known ? (unsigned)status : ZU_VERDICT_FAULT;
}

/* 0: the handler will answer; -ECONNREFUSED: nobody need be asked; -EUSERS: not now; else why nobody could be. */
static int ask_handler(const struct guard *guard, struct zu_ask *ask, const char *user_id)
{
    bool has_domain = guard->domain.size, is_judged = guard->own.judge.judge;
    bool asks = has_domain || (rules[guard->mechanism].always_asks && !guard->enforces);
    const struct zu_zap_terms terms = {guard->inproc, &guard->domain, &guard->routing_id, user_id};
    int err = asks ? zu_zap_ask(&terms, ask) : -ECONNREFUSED;
    if (err == -ECONNREFUSED && ((asks && guard->enforces) || (rules[guard->mechanism].must_ask && !is_judged)))
        err = -EFAULT;
    return err;
}

static void guard_ask(struct zu_guard *base, struct zu_ask *ask)
{
    const struct guard *guard = zu_container_of(base, struct guard, base);
    char user_id[ZU_USER_ID_MAX + 1] = "";
    unsigned status = ZU_VERDICT_IN;
    if (guard->own.keys && !is_listed(guard, ask->credentials))
        status = ZU_VERDICT_DENIED;
    if (status == ZU_VERDICT_IN && guard->own.judge.judge)
        status = judge(guard, ask, user_id);
    int err = status == ZU_VERDICT_IN ? ask_handler(guard, ask, user_id) : -ECONNREFUSED;
    if (err == -EUSERS)
        answer(ask, 0, ZU_VERDICT_LATER, user_id);
    else if (err)
        answer(ask, err == -ECONNREFUSED ? 0 : err, status, user_id);
}

static void guard_withdraw(struct zu_guard *base, struct zu_ask *ask)
{
    (void)base;
    zu_zap_withdraw(ask);
}

static void guard_free(struct zu_guard *base)
{
    struct guard *guard = zu_container_of(base, struct guard, base);
    zu_keys_unref(guard->own.keys);
    zu_option_bytes_set(&guard->domain, NULL, 0);
    zu_option_bytes_set(&guard->routing_id, NULL, 0);
    zu_free(guard, sizeof *guard);
}

static const struct zu_guard_ops ops = {.ask = guard_ask, .withdraw = guard_withdraw, .free = guard_free};

struct zu_guard *zu_guard_new(const struct zu_options *options, const struct zu_admission *admission,
                              struct zu_inproc *inproc)
{
    struct guard *guard = zu_alloc_zero(sizeof *guard);
    if (!guard)
        return NULL;
    const struct zu_bytes *domain = &options->zap_domain, *id = &options->routing_id;
    guard->base.ops = &ops;
    guard->inproc = inproc;
    guard->mechanism = (unsigned)options->mechanism;
    guard->enforces = options->zap_enforce_domain;
    guard->own = *admission;
    if (guard->own.keys)
        zu_keys_ref(guard->own.keys);
    if (zu_option_bytes_set(&guard->domain, domain->data, domain->size) < 0 ||
        zu_option_bytes_set(&guard->routing_id, id->data, id->size) < 0) {
        guard_free(&guard->base);
        return NULL;
    }
    return &guard->base;
}
