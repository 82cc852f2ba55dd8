/* SPDX-License-Identifier: MIT */
/* PLAIN (RFC 24): a name and a password, readable by whoever listens. */
#ifndef ZU_WIRE_PLAIN_H
#define ZU_WIRE_PLAIN_H

#include "wire/mechanism.h"

extern const struct zu_mechanism_ops zu_plain_client_mechanism;
extern const struct zu_mechanism_ops zu_plain_server_mechanism;

#endif
