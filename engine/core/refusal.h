/* SPDX-License-Identifier: MIT */
/* Whether io_uring was refused to this process, for the API's error texts. */
#ifndef ZU_CORE_REFUSAL_H
#define ZU_CORE_REFUSAL_H

#include "base/attr.h"
#include "io/features.h"

/* Any thread. By EPERM or ENOSYS, for some ring that was asked for. */
ZU_INLINE bool zu_ring_was_refused(void)
{
    return zu_io_is_refused();
}

#endif
