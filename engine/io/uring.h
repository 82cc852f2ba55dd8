/* SPDX-License-Identifier: MIT */
/* The io_uring driver. */
#ifndef ZU_IO_URING_H
#define ZU_IO_URING_H

#include "io/driver.h"

/* Makes a ring, disabled until start. -EPERM or -ENOSYS when io_uring is refused here, -ENOMEM, -EMFILE. */
int zu_uring_new(struct zu_driver **ret_driver);

#endif
