/* SPDX-License-Identifier: MIT */
/* The way through a proxy: part of an attempt to connect, between the descriptor and the connection. */
#ifndef ZU_LINK_DETOUR_H
#define ZU_LINK_DETOUR_H

#include "io/driver.h"
#include "link/settings.h"

struct zu_detour;

/* To `destination` through settings->proxy, which must outlive it. -ENOMEM; -EINVAL for what no proxy could be told. */
int zu_detour_new(const struct zu_settings *settings, const char *destination, struct zu_detour **ret_detour);
void zu_detour_free(struct zu_detour *detour);

/*
 * Called when `op` is over with a `result` that is no error: the connect to the proxy, then whatever the last call began.
 * -EINPROGRESS: it has begun something else on `op`. 0: the descriptor is connected to the destination. Else it has failed.
 */
int zu_detour_step(struct zu_detour *detour, struct zu_driver *driver, struct zu_op *op, int fd, int result);

#endif
