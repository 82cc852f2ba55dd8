/* SPDX-License-Identifier: MIT */
/* The ways in which a context can be driven, for tests that go through all of them. */
#ifndef ZU_TESTS_DRIVES_H
#define ZU_TESTS_DRIVES_H

#include "core/ctx_option.h"
#include "core/option_number.h"
#include "kit.h"

struct drive_way {
    const char *name; /* for the reader */
    int drive;        /* enum zu_drive_mode */
    int spin_us;      /* the budget */
};

static const struct drive_way drive_ways[] = {
    {"background", ZU_DRIVE_BACKGROUND, 0},
    {"background+spin", ZU_DRIVE_BACKGROUND, 50},
    {"inline", ZU_DRIVE_INLINE, 0},
    {"inline+spin", ZU_DRIVE_INLINE, 50},
};
enum { DRIVE_WAYS = sizeof drive_ways / sizeof *drive_ways };

KIT_UNUSED static void *drive_context(const struct drive_way *way)
{
    void *context = zmq_ctx_new();
    KIT_OK(zmq_ctx_set(context, ZU_CTX_OPT_DRIVE, way->drive));
    KIT_OK(zmq_ctx_set(context, ZU_CTX_OPT_SPIN_US, way->spin_us));
    return context;
}

#endif
