/* SPDX-License-Identifier: MIT */
/*
 * How a sink counts who has done what: task_sink, kill_sink. A text is "start TASKS", from the ventilator, or "done NAME";
 * the two come by different connections, so a result may be the first. Names beyond the room are counted together.
 */
#ifndef TALLY_H
#define TALLY_H

#include "zhelpers.h"

enum { TALLY_NAMES = 32, TALLY_NAME_SIZE = 32 };

struct tally {
    int64_t start; /* when the first text came */
    long tasks;    /* how many there will be; -1 until it is known */
    long done;     /* how many there were */
    int count;     /* of the names that follow */
    struct {
        char name[TALLY_NAME_SIZE];
        long done;
    } by[TALLY_NAMES];
};

static inline void tally_add(struct tally *tally, const char *text)
{
    if (!tally->start) {
        *tally = (struct tally){.start = s_clock(), .tasks = -1};
    }
    if (sscanf(text, "start %ld", &tally->tasks) == 1)
        return;
    char name[TALLY_NAME_SIZE] = "?";
    sscanf(text, "done %31s", name);
    int i = 0;
    while (i < tally->count && strcmp(tally->by[i].name, name) != 0 && i < TALLY_NAMES - 1)
        i++;
    if (i == tally->count) {
        strcpy(tally->by[i].name, name);
        tally->count++;
    }
    tally->by[i].done++;
    tally->done++;
}

static inline bool tally_is_whole(const struct tally *tally)
{
    return tally->start && tally->done == tally->tasks;
}

static inline void tally_print(const struct tally *tally)
{
    printf("%ld results in %ld ms\n", tally->done, (long)(s_clock() - tally->start));
    for (int i = 0; i < tally->count; i++)
        printf("  %s: %ld\n", tally->by[i].name, tally->by[i].done);
    fflush(stdout);
}

#endif
