/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target for what publishers hear: the first octet chooses the type and its options, the rest is what two
 * subscribers send by wire, in portions. Afterwards all of it must be gone again.
 */
#include <stdlib.h>

#include "flow/pipe_feed.h"
#include "flow/publisher.h"
#include "fuzz.h"
#include "peers.h"

enum { PEERS = 2, LARGE_MAX = 1 << 20 };

static int keep_subscriptions(void *context, const uint8_t *body, size_t size)
{
    (void)context;
    return size > 0 && (body[0] == 9 || body[0] == 6);
}

static const struct zu_feed_limits limits = {
    .frame_max = LARGE_MAX, .open_max = LARGE_MAX, .record_max = LARGE_MAX, .command = keep_subscriptions};

/* False: its connection has ended. */
static bool feed(struct zu_peer *peer, const uint8_t *data, size_t size)
{
    struct zu_feed_want want = {0};
    int err = zu_pipe_feed_bytes(peer->in, data, size, &limits, &want);
    zu_mailbox_run(&near_box);
    return err == 0 && want.size == 0;
}

static void options_set(uint8_t bits)
{
    pattern_options = (struct zu_pattern_options){
        .xpub_verbose = bits & 1,
        .xpub_verbose_unsub = bits >> 1 & 1,
        .xpub_manual = bits >> 2 & 1,
        .xpub_manual_last_value = bits >> 3 & 1,
        .only_first_subscribe = bits >> 4 & 1,
        .invert_matching = bits >> 5 & 1,
        .xpub_nodrop = bits >> 6 & 1,
    };
}

/* The application hears all, decides when it may, and sends the same back. */
static void application(void)
{
    struct zu_view view;
    while (pattern.ops->peek(&pattern, &view) == 0) {
        struct zu_part part = {.data = view.data, .size = view.size, .more = view.flags & ZU_FRAME_MORE};
        pattern.ops->send(&pattern, &part);
        uint8_t prefix[4] = {0};
        size_t size = view.size > 4 ? 4 : view.size;
        memcpy(prefix, view.data, size);
        zu_pattern_taken(&pattern, view.flags);
        pattern.ops->subscribe(&pattern, prefix, size, prefix[0]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    options_set(data[0]);
    peers_begin(data[0] & 0x80 ? &zu_pattern_pub : &zu_pattern_xpub);
    struct zu_peer *peers[PEERS];
    bool is_fed[PEERS];
    for (int i = 0; i < PEERS; i++) {
        peers[i] = peer_make(i ? 0 : 3, 0);
        is_fed[i] = pattern.ops->attach(&pattern, peers[i]) == 0;
        REQUIRE(is_fed[i]);
    }
    for (size_t at = 1; at < size;) {
        int which = data[at] & 1;
        size_t step = 1 + (data[at] >> 1);
        at++;
        step = step < size - at ? step : size - at;
        if (is_fed[which])
            is_fed[which] = feed(peers[which], data + at, step);
        at += step;
        application();
    }
    for (int i = 0; i < PEERS; i++)
        peer_end(peers[i]);
    REQUIRE(zu_publisher_topics(&pattern) == 0);
    zu_pattern_fini(&pattern);
    return 0;
}
