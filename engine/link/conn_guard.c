/* SPDX-License-Identifier: MIT */
/*
 * Being let in: a handshake that waits for a verdict has the guard asked, and goes on when that answers, at once or later;
 * what arrives meanwhile is held, and received no more when it is much. HANDSHAKE_IVL bounds the wait, and a connection
 * that ends withdraws its question. Nobody to ask is a verdict like any other: no.
 * Refused, it first says so: the ERROR goes out, what still comes is thrown away so that it does not turn the close into a
 * reset, and the peer ends the connection when it has read it, or the clock does.
 */
#include "link/conn.h"

#include <errno.h>

enum {
    HELD_MIN = 512,
    HELD_ENOUGH = 4096,  /* whoever is not let in yet has no reason to say more than its handshake */
    HELD_MAX = 512 * 1024, /* on its way when that was found */
    LAST_WORDS_MS = 1000, /* for the peer to read them */
};

static void answered(struct zu_ask *ask, const struct zu_verdict *verdict)
{
    struct zu_conn *conn = zu_container_of(ask, struct zu_conn, ask);
    conn->asking = false;
    conn->denied = verdict->error || verdict->status != ZU_VERDICT_IN;
    zu_handshake_judge(conn->handshake, verdict);
    if (!conn->asking_now)
        zu_conn_judged(conn);
}

static void ask(struct zu_conn *conn, const struct zu_credentials *credentials)
{
    char address[ZU_TRANSPORT_TEXT_MAX] = "";
    struct zu_guard *guard = conn->home.settings->guard;
    if (conn->transport->peer_text)
        conn->transport->peer_text(conn->fd, address, sizeof address);
    conn->ask = (struct zu_ask){
        .shard = conn->shard,
        .credentials = credentials,
        .address = address,
        .answered = answered,
    };
    conn->asking = conn->asking_now = true;
    if (conn->transport->peer_text && !address[0]) /* reset already: nobody is judged without an address */
        answered(&conn->ask, &(struct zu_verdict){.error = -ENOTCONN});
    else if (guard)
        guard->ops->ask(guard, &conn->ask);
    else
        answered(&conn->ask, &(struct zu_verdict){.error = -EFAULT});
    conn->asking_now = false;
}

int zu_conn_shake(struct zu_conn *conn, const uint8_t *bytes, size_t size, size_t *ret_used)
{
    struct zu_credentials credentials;
    size_t used = 0, step;
    int done;
    for (;;) {
        done = zu_handshake_feed(conn->handshake, bytes + used, size - used, &step);
        used += step;
        if (done != 0 || !zu_handshake_waits(conn->handshake, &credentials))
            break;
        ask(conn, &credentials);
        if (conn->asking)
            break;
    }
    *ret_used = used;
    return done;
}

void zu_conn_held_free(struct zu_buf *held, size_t size)
{
    if (!held)
        return;
    explicit_bzero(held->data, size);
    zu_buf_unref(held);
}

int zu_conn_hold(struct zu_conn *conn, const uint8_t *bytes, size_t size)
{
    size_t room = conn->held ? conn->held->size : 0, need = conn->held_size + size;
    size_t octets_max = conn->home.settings->handshake_octets_max;
    if (need > HELD_MAX)
        return -ENOBUFS;
    if (octets_max && conn->handshake->taken + need > octets_max)
        return -E2BIG;
    if (need > room) {
        size_t wanted = need < HELD_MIN ? HELD_MIN : need < HELD_ENOUGH ? 2 * need : need;
        struct zu_buf *grown = zu_buf_new(wanted);
        if (!grown)
            return -ENOMEM;
        if (conn->held)
            memcpy(grown->data, conn->held->data, conn->held_size);
        zu_conn_held_free(conn->held, conn->held_size);
        conn->held = grown;
    }
    memcpy((uint8_t *)conn->held->data + conn->held_size, bytes, size);
    conn->held_size = need;
    conn->bytes_in -= size; /* it will arrive once more */
    return 0;
}

bool zu_conn_holds_enough(const struct zu_conn *conn)
{
    return conn->held_size >= HELD_ENOUGH;
}

int zu_conn_refuse(struct zu_conn *conn, int err)
{
    const uint8_t *words;
    if (!conn->denied)
        return err;
    if (err == -EPROTO) /* not the peer's fault: another attempt may find another verdict */
        err = -EACCES;
    if (conn->handshake->failure.auth_status < ZU_VERDICT_DENIED || !zu_handshake_output(conn->handshake, &words))
        return err;
    conn->refusal = err;
    zu_conn_tell_failure(conn, err);
    zu_conn_timer(conn, &conn->linger_timer, LAST_WORDS_MS * ZU_NS_PER_MS);
    zu_conn_send(conn);
    return 0;
}

void zu_conn_withdraw(struct zu_conn *conn)
{
    if (!conn->asking)
        return;
    conn->asking = false;
    if (conn->home.settings->guard)
        conn->home.settings->guard->ops->withdraw(conn->home.settings->guard, &conn->ask);
}
