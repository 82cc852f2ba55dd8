/* SPDX-License-Identifier: MIT */
/* Who is let in without a handler: sets of keys, callbacks, and the order of all who are asked. */
#include "gate.h"
#include "mem/alloc.h"
#include "rawpeer.h"

struct judge {
    int answer;             /* what it says */
    const char *user_id;    /* and how it calls the peer; NULL: not at all */
    _Atomic unsigned asked; /* how often it was */
    char seen[256];         /* what it saw the last time */
};

static int judge(const struct zuring_visitor *visitor, void *data)
{
    struct judge *judge = data;
    size_t at = (size_t)snprintf(judge->seen, sizeof judge->seen, "%s,%s,%s", visitor->mechanism, visitor->domain,
                                 visitor->address);
    for (unsigned i = 0; i < visitor->credential_count; i++) {
        char text[128];
        if (visitor->credential_sizes[i] == 32)
            zmq_z85_encode(text, visitor->credentials[i], 32);
        else
            snprintf(text, sizeof text, "%.*s", (int)visitor->credential_sizes[i], (const char *)visitor->credentials[i]);
        at += (size_t)snprintf(judge->seen + at, sizeof judge->seen - at, ",%s", text);
    }
    if (judge->user_id)
        strcpy(visitor->user_id, judge->user_id);
    judge->asked++;
    return judge->answer;
}

/* --- the set --- */

Test(admit, a_set_holds_keys_in_either_form)
{
    char text[41], secret[41];
    uint8_t octets[32];
    void *keys = zuring_keys_new();
    cr_assert_not_null(keys);
    KIT_OK(zmq_curve_keypair(text, secret));
    zmq_z85_decode(octets, text);
    cr_assert_eq(zuring_keys_has(keys, octets, 32), 0);
    KIT_OK(zuring_keys_add(keys, text, 40));
    KIT_OK(zuring_keys_add(keys, octets, 32));
    cr_assert_eq(zuring_keys_has(keys, octets, 32), 1);
    cr_assert_eq(zuring_keys_has(keys, text, 41), 1);
    cr_assert_eq(zuring_keys_has(keys, secret, 40), 0);
    octets[31] ^= 1;
    cr_assert_eq(zuring_keys_has(keys, octets, 32), 0);
    KIT_FAILS(ENOENT, zuring_keys_remove(keys, octets, 32));
    KIT_OK(zuring_keys_remove(keys, text, 41));
    cr_assert_eq(zuring_keys_has(keys, text, 40), 0);
    KIT_FAILS(ENOENT, zuring_keys_remove(keys, text, 40));
    KIT_OK(zuring_keys_destroy(&keys));
    cr_assert_null(keys);
}

Test(admit, what_is_no_set_or_no_key_is_refused)
{
    static char no_set[256];
    char key[42] = "0123456789012345678901234567890123456789", bad[42];
    void *keys = zuring_keys_new(), *none = NULL, *other = no_set, *context = zmq_ctx_new();
    void *socket = kit_socket(context, ZMQ_PULL);
    KIT_FAILS(EFAULT, zuring_keys_add(NULL, key, 40));
    KIT_FAILS(EFAULT, zuring_keys_remove(no_set, key, 40));
    KIT_FAILS(EFAULT, zuring_keys_has(keys, NULL, 32));
    KIT_FAILS(EFAULT, zuring_keys_destroy(NULL));
    KIT_FAILS(EFAULT, zuring_keys_destroy(&none));
    KIT_FAILS(EFAULT, zuring_keys_destroy(&other));
    for (size_t size = 0; size < 45; size++)
        if (size != 32 && size != 40 && size != 41)
            KIT_FAILS(EINVAL, zuring_keys_add(keys, "0123456789012345678901234567890123456789\0\0\0\0", size));
    KIT_OK(zuring_keys_add(keys, key, 41));
    for (unsigned i = 0; i < 40; i++) {
        memcpy(bad, key, sizeof bad);
        bad[i] = i % 2 ? '\'' : 0;
        KIT_FAILS(EINVAL, zuring_keys_add(keys, bad, 40));
    }
    KIT_FAILS(EFAULT, zuring_admit_keys(socket, no_set));
    KIT_FAILS(ENOTSOCK, zuring_admit_keys(NULL, keys));
    KIT_FAILS(ENOTSOCK, zuring_admit_by(NULL, NULL, NULL));
    KIT_OK(zuring_admit_keys(socket, keys));
    KIT_OK(zuring_admit_keys(socket, keys));
    KIT_OK(zuring_admit_keys(socket, NULL));
    void *stream = kit_socket(context, ZMQ_STREAM), *raw = kit_socket(context, ZMQ_ROUTER);
    kit_set(raw, ZMQ_ROUTER_RAW, 1);
    KIT_FAILS(ENOTSUP, zuring_admit_keys(stream, keys));
    KIT_FAILS(ENOTSUP, zuring_admit_keys(raw, keys));
    KIT_OK(zuring_admit_keys(stream, NULL));
    KIT_OK(zuring_admit_by(raw, NULL, NULL));
    kit_set(raw, ZMQ_ROUTER_RAW, 0);
    KIT_OK(zuring_admit_keys(raw, keys));
    kit_set(raw, ZMQ_ROUTER_RAW, 1);
    KIT_FAILS(ENOTSUP, zmq_bind(raw, "tcp://127.0.0.1:*"));
    KIT_FAILS(ENOTSUP, zmq_connect(raw, "tcp://127.0.0.1:1"));
    KIT_OK(zmq_close(stream));
    KIT_OK(zmq_close(raw));
    KIT_OK(zmq_ctx_shutdown(context));
    KIT_FAILS(ETERM, zuring_admit_keys(socket, keys));
    KIT_FAILS(ETERM, zuring_admit_by(socket, NULL, NULL));
    KIT_OK(zuring_keys_destroy(&keys));
    KIT_OK(zmq_close(socket));
    KIT_OK(zmq_ctx_term(context));
}

Test(admit, without_memory_nothing_changes)
{
    struct judge own = {.answer = 400};
    struct gate *gate = gate_new(GATE_PLAIN);
    void *keys = zuring_keys_new();
    uint8_t key[32] = {1};
    zu_alloc_fail_from = 1;
    cr_assert_null(zuring_keys_new());
    cr_assert_eq(errno, ENOMEM);
    KIT_FAILS(ENOMEM, zuring_keys_add(keys, key, 32));
    zu_alloc_fail_from = 0;
    cr_assert_eq(zuring_keys_has(keys, key, 32), 0);
    KIT_OK(zuring_keys_destroy(&keys));
    gate_set_text(gate->server.socket, ZMQ_ZAP_DOMAIN, "home");
    gate_set_text(gate->server.socket, ZMQ_ROUTING_ID, "me");
    KIT_OK(zuring_admit_by(gate->server.socket, judge, &own));
    unsigned failed = 0;
    int err;
    do {
        zu_alloc_fail_from = ++failed;
        err = KIT_ERRNO(zmq_bind(gate->server.socket, "tcp://127.0.0.1:*"));
        zu_alloc_fail_from = 0;
        cr_assert(err == 0 || err == ENOMEM, "%s", zmq_strerror(err));
    } while (err);
    cr_assert_gt(failed, 4);
    gate_end(gate);
}

/* Many keys, and changes by several threads. */
enum { CHANGES = 2000 };

static int change(void *keys)
{
    uint8_t key[32] = {0};
    for (unsigned i = 0; i < CHANGES; i++) {
        memcpy(key, &i, sizeof i);
        if (zuring_keys_add(keys, key, 32) < 0 || zuring_keys_has(keys, key, 32) < 0)
            return -1;
        key[31] = 1;
        if (zuring_keys_has(keys, key, 32) != 0)
            return -1;
        key[31] = 0;
    }
    return 0;
}

Test(admit, a_set_may_be_changed_by_several_threads)
{
    struct kit_thread threads[3];
    uint8_t key[32] = {0};
    void *keys = zuring_keys_new();
    for (int i = 0; i < 3; i++)
        kit_thread_start(&threads[i], change, keys);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(kit_thread_join(&threads[i]), 0);
    for (unsigned i = 0; i < CHANGES; i++) {
        memcpy(key, &i, sizeof i);
        cr_assert_eq(zuring_keys_has(keys, key, 32), 1);
        KIT_OK(zuring_keys_remove(keys, key, 32));
        cr_assert_eq(zuring_keys_has(keys, key, 32), 0);
    }
    KIT_OK(zuring_keys_destroy(&keys));
}

/* --- sockets that use it --- */

Test(admit, a_key_in_the_set_comes_in)
{
    struct gate *gate = gate_new(GATE_CURVE);
    void *keys = zuring_keys_new();
    KIT_OK(zuring_keys_add(keys, gate->client_keys[0], 40));
    KIT_OK(zuring_admit_keys(gate->server.socket, keys));
    KIT_OK(zuring_keys_destroy(&keys)); /* the socket has it */
    gate_open(gate);
    gate_passes(gate, NULL);
    gate_end(gate);
}

Test(admit, another_key_does_not)
{
    struct gate *gate = gate_new(GATE_CURVE);
    void *keys = zuring_keys_new();
    KIT_OK(zuring_keys_add(keys, gate->server_keys[0], 40));
    KIT_OK(zuring_admit_keys(gate->server.socket, keys));
    gate_open(gate);
    gate_is_denied(gate, 400);
    KIT_OK(zuring_keys_destroy(&keys));
    gate_end(gate);
}

/* A change acts on the next handshakes: who is in stays, and who was refused may come anew. */
Test(admit, the_set_is_live)
{
    struct gate *gate = gate_new(GATE_CURVE);
    void *keys = zuring_keys_new();
    KIT_OK(zuring_admit_keys(gate->server.socket, keys));
    gate_bind(gate);
    KIT_OK(zuring_keys_add(keys, gate->client_keys[0], 40));
    KIT_OK(zmq_connect(gate->client.socket, gate->text));
    gate_passes(gate, NULL);
    KIT_OK(zuring_keys_remove(keys, gate->client_keys[0], 40));
    gate_passes(gate, NULL);
    KIT_OK(zmq_disconnect(gate->client.socket, gate->text));
    KIT_OK(zmq_connect(gate->client.socket, gate->text));
    GATE_UNTIL(gate, gate_told(&gate->server, ZMQ_EVENT_HANDSHAKE_FAILED_AUTH, NULL));
    GATE_UNTIL(gate, gate_peers(gate->client.socket) == 0);
    KIT_OK(zuring_keys_add(keys, gate->client_keys[0], 40));
    KIT_OK(zmq_connect(gate->client.socket, gate->text));
    gate_passes(gate, NULL);
    KIT_OK(zuring_keys_destroy(&keys));
    gate_end(gate);
}

/* Who shows no key is not in the set, whatever else he shows. */
Test(admit, a_set_is_for_curve)
{
    for (unsigned mechanism = GATE_NULL; mechanism < GATE_CURVE; mechanism++) {
        struct gate *gate = gate_new(mechanism);
        void *keys = zuring_keys_new();
        gate_handle(gate, false, gate_reply("200", "Joe", NULL, 0));
        KIT_OK(zuring_admit_keys(gate->server.socket, keys));
        KIT_OK(zuring_keys_destroy(&keys));
        gate_open(gate);
        gate_is_denied(gate, 400);
        cr_assert_eq(gate->handler.asked, 0);
        gate_end(gate);
    }
}

/* --- the callback --- */

Test(admit, the_callback_sees_who_comes)
{
    for (unsigned mechanism = 0; mechanism < GATE_MECHANISMS; mechanism++) {
        struct judge own = {.answer = 200, .user_id = "Ann"};
        struct gate *gate = gate_new(mechanism);
        char seen[256];
        KIT_OK(zuring_admit_by(gate->server.socket, judge, &own));
        gate_open(gate);
        gate_passes(gate, "Ann");
        const char *shown[] = {"", ",user,pass", ","};
        snprintf(seen, sizeof seen, "%s,,127.0.0.1%s%s", gate_mechanisms[mechanism], shown[mechanism],
                 mechanism == GATE_CURVE ? gate->client_keys[0] : "");
        cr_assert_str_eq(own.seen, seen);
        cr_assert_eq(own.asked, 1);
        gate_end(gate);
    }
}

Test(admit, the_callback_says_no)
{
    static const int answers[][2] = {{400, 400}, {500, 500}, {0, 500}, {-1, 500}, {201, 500}, {401, 500}};
    for (unsigned i = 0; i < sizeof answers / sizeof *answers; i++) {
        struct judge own = {.answer = answers[i][0]};
        struct gate *gate = gate_new(i % GATE_MECHANISMS);
        gate_handle(gate, false, gate_reply("200", "Joe", NULL, 0));
        KIT_OK(zuring_admit_by(gate->server.socket, judge, &own));
        gate_open(gate);
        gate_is_denied(gate, (unsigned)answers[i][1]);
        cr_assert_eq(own.asked, 1);
        cr_assert_eq(gate->handler.asked, 0);
        gate_end(gate);
    }
}

Test(admit, the_callback_says_not_now)
{
    struct judge own = {.answer = 300};
    struct gate *gate = gate_new(GATE_PLAIN);
    KIT_OK(zuring_admit_by(gate->server.socket, judge, &own));
    gate_open(gate);
    gate_fails(gate, ZMQ_EVENT_HANDSHAKE_FAILED_AUTH, 300);
    cr_assert_eq(gate_told(&gate->client, ZMQ_EVENT_HANDSHAKE_FAILED_AUTH, NULL), 0);
    cr_assert_geq(own.asked, 2);
    gate_end(gate);
}

/* --- in their order --- */

Test(admit, keys_then_callback_then_handler)
{
    static const struct {
        const char *user_id; /* the handler's */
        const char *got;     /* what the peer is called */
    } cases[] = {{"Joe", "Joe"}, {"", "Ann"}};
    for (unsigned i = 0; i < 2; i++) {
        struct judge own = {.answer = 200, .user_id = "Ann"};
        struct gate *gate = gate_new(GATE_CURVE);
        void *keys = zuring_keys_new();
        KIT_OK(zuring_keys_add(keys, gate->client_keys[0], 40));
        KIT_OK(zuring_admit_keys(gate->server.socket, keys));
        KIT_OK(zuring_admit_by(gate->server.socket, judge, &own));
        gate_handle(gate, true, gate_reply("200", cases[i].user_id, "\1x\0\0\0\1y", 7));
        gate_open(gate);
        gate_passes(gate, cases[i].got);
        cr_assert_eq(own.asked, 1);
        cr_assert_eq(gate->handler.asked, 1);
        KIT_OK(zuring_keys_destroy(&keys));
        gate_end(gate);
    }
}

Test(admit, who_is_not_in_the_set_is_nobodys_business)
{
    struct judge own = {.answer = 200};
    struct gate *gate = gate_new(GATE_CURVE);
    void *keys = zuring_keys_new();
    KIT_OK(zuring_admit_keys(gate->server.socket, keys));
    KIT_OK(zuring_admit_by(gate->server.socket, judge, &own));
    gate_handle(gate, true, gate_reply("200", "", NULL, 0));
    gate_open(gate);
    gate_is_denied(gate, 400);
    cr_assert_eq(own.asked, 0);
    cr_assert_eq(gate->handler.asked, 0);
    KIT_OK(zuring_keys_destroy(&keys));
    gate_end(gate);
}

Test(admit, the_handler_has_the_last_word)
{
    struct judge own = {.answer = 200};
    struct gate *gate = gate_new(GATE_PLAIN);
    KIT_OK(zuring_admit_by(gate->server.socket, judge, &own));
    gate_handle(gate, false, gate_reply("400", "", NULL, 0));
    gate_open(gate);
    gate_is_denied(gate, 400);
    cr_assert_eq(own.asked, 1);
    gate_end(gate);
}

/* The callback may judge by PLAIN without any handler; enforcement of domains asks for one all the same. */
Test(admit, enforcement_is_not_talked_out_of)
{
    for (int domain = 0; domain < 2; domain++) {
        struct judge own = {.answer = 200};
        struct gate *gate = gate_new(GATE_PLAIN);
        kit_set(gate->server.socket, ZMQ_ZAP_ENFORCE_DOMAIN, 1);
        if (domain)
            gate_set_text(gate->server.socket, ZMQ_ZAP_DOMAIN, "home");
        KIT_OK(zuring_admit_by(gate->server.socket, judge, &own));
        gate_open(gate);
        if (domain)
            gate_fails(gate, ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL, EFAULT);
        else
            gate_passes(gate, NULL);
        gate_end(gate);
    }
}

/* As an option would: what is bound already goes on as it was. */
Test(admit, acts_on_the_binds_to_come)
{
    struct judge own = {.answer = 400};
    struct gate *gate = gate_new(GATE_NULL);
    gate_bind(gate);
    KIT_OK(zuring_admit_by(gate->server.socket, judge, &own));
    KIT_OK(zmq_connect(gate->client.socket, gate->text));
    gate_passes(gate, NULL);
    cr_assert_eq(own.asked, 0);
    gate_end(gate);
}

/* Peers that cannot be asked do not come in by that. */
Test(admit, an_old_peer_shows_nothing)
{
    static const char old[] = "\xff\0\0\0\0\0\0\0\x01\x7f\x01\x08\0\0";
    struct judge own = {.answer = 200};
    struct gate *gate = gate_new(GATE_NULL);
    KIT_OK(zuring_admit_by(gate->server.socket, judge, &own));
    gate_bind(gate);
    int fd = raw_connect(gate->text);
    raw_say(fd, old, sizeof old - 1);
    cr_assert(raw_ended(fd, KIT_WAIT_MS));
    close(fd);
    cr_assert_eq(own.asked, 0);
    gate_end(gate);
}
