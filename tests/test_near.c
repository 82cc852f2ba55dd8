/* SPDX-License-Identifier: MIT */
/* Going where the woken ones run: only there, only where it is allowed, and free to leave again. */
#include "base/near.h"

#include <criterion/criterion.h>
#include <sched.h>

static cpu_set_t allowed;

/* Another processor than this thread's that it may run on; negative when there is none. */
static int other_cpu(void)
{
    cr_assert_eq(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &allowed) && cpu != sched_getcpu())
            return cpu;
    }
    return -1;
}

static void follow(int cpu)
{
    for (int i = 0; i < 3; i++)
        zu_near_woke(cpu);
    cr_assert_eq(zu_near.wakes, 3u);
    zu_near_follow();
    cr_assert_eq(zu_near.wakes, 0u);
}

static void expect_free(void)
{
    cpu_set_t now;
    cr_assert_eq(sched_getaffinity(0, sizeof now, &now), 0);
    cr_assert(CPU_EQUAL(&now, &allowed));
}

Test(near, counts_wakes_in_a_row_for_one_processor)
{
    zu_near_woke(5);
    zu_near_woke(5);
    cr_assert_eq(zu_near.wakes, 2u);
    zu_near_woke(3);
    cr_assert(zu_near.wakes == 1 && zu_near.cpu == 3);
}

/* The scheduler may take the thread away again at once: so it is enough to have been there once. */
Test(near, goes_there_and_is_free_to_leave)
{
    bool was_there = other_cpu() < 0;
    for (int i = 0; i < 1000 && !was_there; i++) {
        int cpu = other_cpu();
        follow(cpu);
        was_there = sched_getcpu() == cpu;
        expect_free();
    }
    cr_assert(was_there);
}

Test(near, stays_where_it_must)
{
    other_cpu();
    static const int strange[] = {-1, CPU_SETSIZE - 1, CPU_SETSIZE, 1 << 30};
    for (size_t i = 0; i < sizeof strange / sizeof *strange; i++) {
        zu_near_woke(strange[i]);
        if (strange[i] != CPU_SETSIZE - 1 || !CPU_ISSET(CPU_SETSIZE - 1, &allowed))
            cr_assert_not(zu_near_follow());
        expect_free();
    }
    cpu_set_t one;
    int cpu = other_cpu(), here = sched_getcpu();
    CPU_ZERO(&one);
    CPU_SET(here, &one);
    if (cpu < 0 || sched_setaffinity(0, sizeof one, &one) < 0)
        return;
    zu_near_woke(cpu);
    cr_assert_not(zu_near_follow());
    cr_assert_eq(sched_getcpu(), here);
    sched_setaffinity(0, sizeof allowed, &allowed);
}
