/* SPDX-License-Identifier: MIT */
/* The NULL mechanism: no security, only an exchange of metadata. */
#ifndef ZU_WIRE_NULL_H
#define ZU_WIRE_NULL_H

#include "wire/mechanism.h"

extern const struct zu_mechanism_ops zu_null_mechanism;

#endif
