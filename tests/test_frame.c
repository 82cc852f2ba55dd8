/* SPDX-License-Identifier: MIT */
#include "wire/frame.h"

#include <criterion/criterion.h>

#define UNTOUCHED 0x77

static const uint64_t sizes[] = {
    0, 1, 2, 127, 128, 254, 255, 256, 65535, 65536, UINT32_MAX, 1ull << 32, (1ull << 63) - 1};
#define SIZE_COUNT (sizeof(sizes) / sizeof(sizes[0]))

Test(frame, round_trip_of_every_flag_and_edge_size)
{
    for (size_t i = 0; i < SIZE_COUNT; i++) {
        for (unsigned flags = 0; flags < 8; flags++) {
            uint8_t bytes[ZU_FRAME_HEAD_MAX + 1];
            memset(bytes, UNTOUCHED, sizeof(bytes));
            size_t written = zu_frame_encode(bytes, flags, sizes[i]);
            cr_assert_eq(written, sizes[i] <= 255 ? 2u : 9u);
            cr_assert_eq(bytes[written], UNTOUCHED);
            cr_assert_eq(!!(bytes[0] & ZU_FRAME_LONG), sizes[i] > 255);
            struct zu_frame_head head;
            cr_assert_eq(zu_frame_decode(bytes, written, &head), 1);
            cr_assert_eq(head.size, sizes[i]);
            cr_assert_eq(head.head_size, written);
            cr_assert_eq(head.flags & ~ZU_FRAME_LONG, flags & ~(unsigned)ZU_FRAME_LONG);
        }
    }
}

Test(frame, a_part_of_a_header_asks_for_more_and_leaves_the_output_alone)
{
    for (size_t i = 0; i < SIZE_COUNT; i++) {
        uint8_t bytes[ZU_FRAME_HEAD_MAX];
        size_t written = zu_frame_encode(bytes, ZU_FRAME_MORE, sizes[i]);
        for (size_t available = 0; available < written; available++) {
            struct zu_frame_head head, before;
            memset(&head, UNTOUCHED, sizeof(head));
            before = head;
            cr_assert_eq(zu_frame_decode(bytes, available, &head), 0);
            cr_assert_eq(memcmp(&head, &before, sizeof(head)), 0);
        }
    }
}

Test(frame, exact_octets)
{
    uint8_t bytes[ZU_FRAME_HEAD_MAX];
    cr_assert_eq(zu_frame_encode(bytes, ZU_FRAME_COMMAND, 0x29), 2u);
    cr_assert_eq(memcmp(bytes, "\x04\x29", 2), 0);
    cr_assert_eq(zu_frame_encode(bytes, ZU_FRAME_MORE, 0x0102030405060708), 9u);
    cr_assert_eq(memcmp(bytes, "\x03\x01\x02\x03\x04\x05\x06\x07\x08", 9), 0);
}

Test(frame, a_long_size_may_be_small)
{
    struct zu_frame_head head;
    cr_assert_eq(zu_frame_decode((const uint8_t *)"\x02\0\0\0\0\0\0\0\x03", 9, &head), 1);
    cr_assert_eq(head.size, 3u);
    cr_assert_eq(head.head_size, 9u);
}

Test(frame, sizes_from_2_to_the_63_are_refused)
{
    struct zu_frame_head head = {.size = UNTOUCHED};
    cr_assert_eq(zu_frame_decode((const uint8_t *)"\x02\x80\0\0\0\0\0\0\0", 9, &head), -EPROTO);
    cr_assert_eq(zu_frame_decode((const uint8_t *)"\x02\xff\xff\xff\xff\xff\xff\xff\xff", 9, &head), -EPROTO);
    cr_assert_eq(head.size, (uint64_t)UNTOUCHED);
}

Test(frame, reserved_bits_are_ignored)
{
    struct zu_frame_head head;
    cr_assert_eq(zu_frame_decode((const uint8_t *)"\xf9\x05", 2, &head), 1);
    cr_assert_eq(head.flags, ZU_FRAME_MORE);
    cr_assert_eq(head.size, 5u);
}
