/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target for engine/link/socks.c: a proxy's side of a dialogue. Who asks, and how much comes at a time, is told
 * by the first octets.
 */
#include <stdlib.h>
#include <string.h>

#include "link/socks.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct zu_socks_login login = {data, data[0] & 1 ? size % 256 : 0, data, size % 200};
    struct zu_socks socks;
    REQUIRE(zu_socks_init(&socks, data[0] & 2 ? "name:1" : "1.2.3.4:5", &login) == 0);
    size_t piece = 1 + data[1] % 16, at = 2;
    for (int rc = 0; rc == 0 && at < size;) {
        const uint8_t *out;
        size_t out_size = zu_socks_output(&socks, &out);
        REQUIRE(out_size <= ZU_SOCKS_OUT_MAX);
        zu_socks_sent(&socks, out_size);
        uint8_t *room;
        size_t step = zu_socks_room(&socks, &room), left = size - at;
        REQUIRE(step > 0 && room >= socks.in && room + step <= socks.in + sizeof socks.in);
        step = step < piece ? step : piece;
        step = step < left ? step : left;
        memcpy(room, data + at, step);
        rc = zu_socks_received(&socks, step);
        at += step;
    }
    return 0;
}
