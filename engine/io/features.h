/* SPDX-License-Identifier: MIT */
/* What io_uring can do here, found by trying, for kernels promise by version what they do not always keep. */
#ifndef ZU_IO_FEATURES_H
#define ZU_IO_FEATURES_H

#include <stdbool.h>

enum zu_io_feature {
    ZU_IO_DEFER_TASKRUN,       /* DEFER_TASKRUN with SINGLE_ISSUER; 6.1 */
    ZU_IO_BUFFER_RINGS,        /* 5.19 */
    ZU_IO_MULTISHOT_RECV,      /* 6.0 */
    ZU_IO_SEND_ZC,             /* with a report of whether it copied; 6.2 */
    ZU_IO_MSG_RING,            /* 5.18 */
    ZU_IO_DIRECT_DESCRIPTORS,  /* a sparse table; 5.19 */
    ZU_IO_INCREMENTAL_BUFFERS, /* one buffer serves several receives; 6.12 */
    ZU_IO_RECV_BUNDLES,        /* never reported */
    ZU_IO_FEATURES,
};

struct zu_io_features {
    int error;                /* 0, or the negative errno with which a ring is refused: -EPERM, -ENOSYS, ... */
    bool has[ZU_IO_FEATURES]; /* by enum zu_io_feature */
};

/*
 * Any thread. The first call tries everything, which takes a few milliseconds; the answer stands for the process,
 * unless descriptors or memory were short: then for this thread until its next call, which tries again.
 */
const struct zu_io_features *zu_io_features(void);
/* Any thread. A ring was not to be had, by this negative errno; tells whether -EPERM or -ENOSYS was ever the reason. */
void zu_io_refused(int error);
bool zu_io_is_refused(void);
/* For printing. */
const char *zu_io_feature_name(enum zu_io_feature feature);

#endif
