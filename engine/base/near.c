/* SPDX-License-Identifier: MIT */
/*
 * To move without staying: allow that processor alone, which moves the thread before the call returns, then allow again
 * what was allowed before; from then on that is the thread's own wish, also if its container is given more later. Where a
 * call is refused the thread stays where it is.
 */
#include "base/near.h"

#include <sched.h>
#include <string.h>

_Thread_local struct zu_near zu_near;

bool zu_near_follow(void)
{
    int cpu = zu_near.cpu;
    cpu_set_t allowed, there;
    zu_near.wakes = 0;
    if (cpu == sched_getcpu() || cpu < 0 || cpu >= CPU_SETSIZE || sched_getaffinity(0, sizeof allowed, &allowed) < 0 ||
        !CPU_ISSET(cpu, &allowed))
        return false;
    CPU_ZERO(&there);
    CPU_SET(cpu, &there);
    if (sched_setaffinity(0, sizeof there, &there) < 0)
        return false;
    if (sched_setaffinity(0, sizeof allowed, &allowed) < 0) {
        memset(&allowed, 0xff, sizeof allowed); /* what was allowed is no more: whatever is, then */
        sched_setaffinity(0, sizeof allowed, &allowed);
    }
    return true;
}
