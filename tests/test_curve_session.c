/* SPDX-License-Identifier: MIT */
/* Against libsodium's own boxes, which know nothing of how a session saves work. */
#include "wire/curve.h"

#include <criterion/criterion.h>
#include <sodium.h>
#include <stdlib.h>

enum { SIZE_MAX_HERE = 70000, WHOLE_MAX = SIZE_MAX_HERE + ZU_CURVE_MESSAGE_LEAD };

static const size_t sizes[] = {0, 1, 30, 31, 32, 63, 64, 95, 222, 223, 224, 255, 256, 478, 479, 480, 1000, 8191, 65536, SIZE_MAX_HERE};
enum { SIZE_COUNT = sizeof sizes / sizeof sizes[0] };

static uint8_t key[32], plain[SIZE_MAX_HERE], message[WHOLE_MAX], sealed[WHOLE_MAX];

static void begin(void)
{
    cr_assert_geq(sodium_init(), 0);
    randombytes_buf(key, sizeof key);
    randombytes_buf(plain, sizeof plain);
}

static struct zu_curve_session session_make(bool is_server)
{
    struct zu_curve_session session = {.out_nonce = 3, .in_nonce = 2, .is_server = is_server};
    memcpy(session.key, key, sizeof key);
    return session;
}

static void nonce_make(uint8_t nonce[24], bool of_server, uint64_t number)
{
    number = htobe64(number);
    memcpy(nonce, of_server ? "CurveZMQMESSAGES" : "CurveZMQMESSAGEC", 16);
    memcpy(nonce + 16, &number, 8);
}

/* As RFC 26 has it: name, nonce, box of the flags and the payload. */
static void box_make(uint8_t *out, bool of_server, uint64_t number, unsigned flags, size_t size)
{
    uint8_t nonce[24];
    nonce_make(nonce, of_server, number);
    memcpy(out, "\7MESSAGE", 8);
    memcpy(out + 8, nonce + 16, 8);
    out[32] = (uint8_t)flags;
    memcpy(out + 33, plain, size);
    crypto_box_easy_afternm(out + 16, out + 32, size + 1, nonce, key);
}

Test(curve_session, seals_what_libsodium_would)
{
    static const struct {
        unsigned frame, wire;
    } flags[] = {{0, 0}, {ZU_FRAME_MORE, 1}, {ZU_FRAME_COMMAND, 2}, {ZU_FRAME_LONG, 0}};
    begin();
    for (int is_server = 0; is_server < 2; is_server++) {
        struct zu_curve_session session = session_make(is_server);
        for (uint64_t i = 0; i < SIZE_COUNT; i++) {
            size_t size = sizes[i];
            cr_assert_eq(zu_curve_seal(&session, flags[i % 4].frame, message, plain, size), 0);
            box_make(sealed, is_server, 3 + 2 * i, flags[i % 4].wire, size);
            cr_assert_arr_eq(message, sealed, size + ZU_CURVE_MESSAGE_LEAD, "%zu octets", size);
            uint8_t *in_place = message + ZU_CURVE_MESSAGE_LEAD;
            memcpy(in_place, plain, size);
            cr_assert_eq(zu_curve_seal(&session, flags[i % 4].frame, message, in_place, size), 0);
            box_make(sealed, is_server, 4 + 2 * i, flags[i % 4].wire, size);
            cr_assert_arr_eq(message, sealed, size + ZU_CURVE_MESSAGE_LEAD, "%zu octets in place", size);
        }
    }
}

Test(curve_session, opens_what_libsodium_sealed)
{
    begin();
    for (int is_server = 0; is_server < 2; is_server++) {
        struct zu_curve_session session = session_make(is_server);
        for (uint64_t i = 0; i < SIZE_COUNT; i++) {
            unsigned flags = 99;
            enum zu_protocol_error detail;
            box_make(sealed, !is_server, 7 * i + 3, i % 2 ? 1 : 2, sizes[i]);
            cr_assert_eq(zu_curve_open(&session, sealed, sizes[i] + ZU_CURVE_MESSAGE_LEAD, &flags, &detail), 0);
            cr_assert_eq(flags, i % 2 ? ZU_FRAME_MORE : ZU_FRAME_COMMAND);
            cr_assert_arr_eq(sealed + ZU_CURVE_MESSAGE_LEAD, plain, sizes[i]);
        }
    }
}

static void refused(struct zu_curve_session *session, uint8_t *body, size_t size, enum zu_protocol_error why)
{
    enum zu_protocol_error detail = 0;
    unsigned flags = 99;
    uint64_t nonce = session->in_nonce;
    cr_assert_eq(zu_curve_open(session, body, size, &flags, &detail), -EPROTO);
    cr_assert_eq(detail, why, "%#x instead of %#x", detail, why);
    cr_assert_eq(flags, 99u);
    cr_assert_eq(session->in_nonce, nonce, "a forged nonce would shut out true ones");
}

Test(curve_session, refuses_every_bit_that_is_changed)
{
    begin();
    struct zu_curve_session session = session_make(true);
    size_t size = 40, whole = size + ZU_CURVE_MESSAGE_LEAD;
    for (size_t bit = 0; bit < 8 * whole; bit++) {
        box_make(sealed, false, UINT64_MAX / 2, 0, size);
        sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
        refused(&session, sealed, whole, bit < 64 ? ZU_PROTOCOL_ERROR_UNEXPECTED_COMMAND : ZU_PROTOCOL_ERROR_CRYPTOGRAPHIC);
    }
    for (size_t short_size = 0; short_size < whole; short_size++) {
        box_make(sealed, false, 3, 0, size);
        refused(&session, sealed, short_size,
                short_size < ZU_CURVE_MESSAGE_LEAD ? ZU_PROTOCOL_ERROR_MALFORMED_MESSAGE : ZU_PROTOCOL_ERROR_CRYPTOGRAPHIC);
    }
}

Test(curve_session, refuses_flags_that_nobody_knows)
{
    begin();
    for (unsigned flags = 4; flags < 256; flags++) {
        struct zu_curve_session session = session_make(true);
        enum zu_protocol_error detail = 0;
        unsigned got;
        box_make(sealed, false, 3, flags, 9);
        cr_assert_eq(zu_curve_open(&session, sealed, 9 + ZU_CURVE_MESSAGE_LEAD, &got, &detail), -EPROTO);
        cr_assert_eq(detail, ZU_PROTOCOL_ERROR_MALFORMED_MESSAGE);
    }
}

/* CVE-2014-7203. */
Test(curve_session, refuses_what_came_before)
{
    begin();
    struct zu_curve_session session = session_make(false);
    static const uint64_t good[] = {3, 4, 10, UINT64_MAX};
    enum zu_protocol_error detail;
    unsigned flags;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        box_make(sealed, true, good[i], 0, 9);
        cr_assert_eq(zu_curve_open(&session, sealed, 9 + ZU_CURVE_MESSAGE_LEAD, &flags, &detail), 0);
        for (size_t old = 0; old <= i; old++) {
            box_make(sealed, true, good[old], 0, 9);
            refused(&session, sealed, 9 + ZU_CURVE_MESSAGE_LEAD, ZU_PROTOCOL_ERROR_INVALID_SEQUENCE);
        }
    }
    box_make(sealed, true, 0, 0, 9);
    refused(&session, sealed, 9 + ZU_CURVE_MESSAGE_LEAD, ZU_PROTOCOL_ERROR_INVALID_SEQUENCE);
}

/* One's own messages, sent back. */
Test(curve_session, refuses_a_mirror)
{
    begin();
    struct zu_curve_session session = session_make(false);
    cr_assert_eq(zu_curve_seal(&session, 0, message, plain, 9), 0);
    refused(&session, message, 9 + ZU_CURVE_MESSAGE_LEAD, ZU_PROTOCOL_ERROR_CRYPTOGRAPHIC);
}

Test(curve_session, ends_with_its_nonces)
{
    begin();
    struct zu_curve_session session = session_make(false);
    session.out_nonce = UINT64_MAX - 1;
    cr_assert_eq(zu_curve_seal(&session, 0, message, plain, 9), 0);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(zu_curve_seal(&session, 0, message, plain, 9), -EPROTO);
}
