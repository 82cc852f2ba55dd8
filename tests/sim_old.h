/* SPDX-License-Identifier: MIT */
/*
 * Peers of earlier ZMTP, once their handshake is done: both ends of every connection take the other for one. So subscriptions
 * are messages, and with 1.0 frames have other heads.
 */
#ifndef ZU_TESTS_SIM_OLD_H
#define ZU_TESTS_SIM_OLD_H

#include "link/codec.h"

static inline bool sim_old_applies(const struct zu_codec_case *which)
{
    (void)which;
    return true;
}

static inline int sim_old_init_1_0(struct zu_codec *codec, const struct zu_codec_case *which)
{
    codec->version = ZU_WIRE_1_0;
    return zu_codec_v1.init(codec, which);
}

static inline int sim_old_init_2_0(struct zu_codec *codec, const struct zu_codec_case *which)
{
    (void)which;
    codec->version = ZU_WIRE_2_0;
    return 0;
}

/* The row for a version; NULL for the newest. */
static inline const struct zu_codec_ops *sim_old(enum zu_wire_version version)
{
    static struct zu_codec_ops ops;
    ops = version == ZU_WIRE_1_0 ? zu_codec_v1 : zu_codec_zmtp;
    ops.init = version == ZU_WIRE_1_0 ? sim_old_init_1_0 : sim_old_init_2_0;
    ops.applies = sim_old_applies;
    return version < ZU_WIRE_3_0 ? &ops : NULL;
}

#endif
