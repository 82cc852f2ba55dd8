/* SPDX-License-Identifier: MIT */
#include "zmq.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The alphabet and the first vector are RFC 32's own; the others follow from its arithmetic. */
static const char alphabet[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

static const struct {
    const char *text;
    uint8_t data[8];
    size_t size;
} vectors[] = {
    {"HelloWorld", {0x86, 0x4f, 0xd2, 0x6f, 0xb5, 0x59, 0xf7, 0x5b}, 8},
    {"00000", {0, 0, 0, 0}, 4},
    {"00001", {0, 0, 0, 1}, 4},
    {"0000#", {0, 0, 0, 84}, 4},
    {"00010", {0, 0, 0, 85}, 4},
    {"%nSc0", {0xff, 0xff, 0xff, 0xff}, 4},
};

Test(z85, knows_the_vectors)
{
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        char text[11];
        uint8_t data[8];
        cr_assert_eq(zmq_z85_encode(text, vectors[i].data, vectors[i].size), text);
        cr_assert_str_eq(text, vectors[i].text);
        cr_assert_eq(zmq_z85_decode(data, vectors[i].text), data);
        cr_assert_arr_eq(data, vectors[i].data, vectors[i].size);
    }
}

Test(z85, encodes_nothing_as_an_empty_string)
{
    char text[2] = "x";
    cr_assert_eq(zmq_z85_encode(text, NULL, 0), text);
    cr_assert_str_eq(text, "");
}

Test(z85, returns_what_it_encoded)
{
    unsigned seed = (unsigned)time(NULL);
    cr_log_info("seed %u", seed);
    for (size_t size = 4; size <= 256; size += 4) {
        uint8_t data[256];
        uint8_t back[256];
        char text[256 * 5 / 4 + 1];
        for (size_t i = 0; i < size; i++)
            data[i] = (uint8_t)rand_r(&seed);
        memset(text, 'x', sizeof text);
        cr_assert_eq(zmq_z85_encode(text, data, size), text);
        cr_assert_eq(strlen(text), size * 5 / 4);
        cr_assert_eq(zmq_z85_decode(back, text), back);
        cr_assert_arr_eq(back, data, size);
    }
}

Test(z85, refuses_sizes_that_do_not_divide)
{
    char text[16] = "kept";
    const uint8_t data[8] = {0};
    for (size_t size = 1; size < 8; size++) {
        if (size == 4)
            continue;
        errno = 0;
        cr_assert_null(zmq_z85_encode(text, data, size));
        cr_assert_eq(errno, EINVAL);
    }
    cr_assert_str_eq(text, "kept");
}

Test(z85, refuses_text_that_is_no_z85)
{
    static const char *const bad[] = {
        "", "0", "0000", "000000", "000000000", "%nSc1", "#####", "HelloWor d", "Hello\"orld",
    };
    uint8_t data[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    const uint8_t kept[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        errno = 0;
        cr_assert_null(zmq_z85_decode(data, bad[i]), "%s", bad[i]);
        cr_assert_eq(errno, EINVAL, "%s", bad[i]);
        cr_assert_arr_eq(data, kept, sizeof data, "%s", bad[i]);
    }
}

Test(z85, accepts_exactly_the_alphabet)
{
    for (int c = 1; c < 256; c++) {
        char text[] = "00000";
        uint8_t data[4];
        text[4] = (char)c;
        const char *digit = strchr(alphabet, c);
        cr_assert_eq(zmq_z85_decode(data, text) != NULL, digit != NULL, "character %d", c);
        if (digit)
            cr_assert_eq(data[3], digit - alphabet);
    }
}

Test(z85, refuses_null)
{
    char text[6];
    uint8_t data[4] = {0};
    errno = 0;
    cr_assert_null(zmq_z85_encode(NULL, data, 4));
    cr_assert_eq(errno, EFAULT);
    cr_assert_null(zmq_z85_encode(text, NULL, 4));
    cr_assert_null(zmq_z85_decode(NULL, "00000"));
    errno = 0;
    cr_assert_null(zmq_z85_decode(data, NULL));
    cr_assert_eq(errno, EFAULT);
}
