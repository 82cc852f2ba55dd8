/* SPDX-License-Identifier: MIT */
/* Kernel constants that liburing 2.3 (Debian 12) does not know yet. */
#ifndef ZU_IO_URING_COMPAT_H
#define ZU_IO_URING_COMPAT_H

#include <liburing.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifndef IORING_SEND_ZC_REPORT_USAGE
#define IORING_SEND_ZC_REPORT_USAGE (1U << 3)
#define IORING_NOTIF_USAGE_ZC_COPIED (1U << 31)
#endif
#ifndef IORING_RECVSEND_BUNDLE
#define IORING_RECVSEND_BUNDLE (1U << 4)
#endif
#ifndef IORING_SETUP_NO_SQARRAY
#define IORING_SETUP_NO_SQARRAY (1U << 16)
#endif
#ifndef IORING_CQE_F_BUF_MORE
#define IORING_CQE_F_BUF_MORE (1U << 4)
#endif

/* Busy polling of network devices by a waiting ring: since 6.9. */
#define ZU_REGISTER_NAPI 27
struct zu_napi {
    uint32_t busy_poll_us; /* how long */
    uint8_t prefer;        /* over interrupts */
    uint8_t pad[3];
    uint64_t resv;
};

/* Incremental buffers: newer headers have an enum of this, and `flags` where 2.3 has padding. */
#define ZU_PBUF_RING_INC 2

static inline void zu_buf_reg_flags_set(struct io_uring_buf_reg *reg, uint16_t flags)
{
    memcpy((char *)reg + offsetof(struct io_uring_buf_reg, bgid) + sizeof reg->bgid, &flags, sizeof flags);
}

#endif
