/* SPDX-License-Identifier: MIT */
/*
 * A row per option, found by number; most store one int after a check against the row's minimum, the odd ones bring
 * functions of their own. Everything wrong with number, size or value is -EINVAL and changes nothing.
 */
#include "core/ctx_option.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int int_read(const void *value, size_t size, int *ret_number)
{
    if (size != sizeof(int) || !value)
        return -EINVAL;
    memcpy(ret_number, value, sizeof(int));
    return 0;
}

static int int_write(int number, void *value, size_t *size)
{
    if (*size != sizeof(int) || !value)
        return -EINVAL;
    memcpy(value, &number, sizeof(int));
    return 0;
}

static int socket_limit_get(const struct zu_ctx_options *options, void *value, size_t *size)
{
    (void)options;
    return int_write(ZU_SOCKET_LIMIT, value, size);
}

static int msg_t_size_get(const struct zu_ctx_options *options, void *value, size_t *size)
{
    (void)options;
    return int_write(ZU_MSG_T_SIZE, value, size);
}

/* Stock takes any number and ignores what no cpu_set_t holds; refusing it tells the caller. */
static int cpu_read(const void *value, size_t size, int *ret_cpu)
{
    int cpu;
    if (int_read(value, size, &cpu) || cpu < 0 || cpu >= CPU_SETSIZE)
        return -EINVAL;
    *ret_cpu = cpu;
    return 0;
}

static int cpu_add(struct zu_ctx_options *options, const void *value, size_t size)
{
    int cpu, error = cpu_read(value, size, &cpu);
    if (error)
        return error;
    CPU_SET(cpu, &options->thread_cpus);
    return 0;
}

static int cpu_remove(struct zu_ctx_options *options, const void *value, size_t size)
{
    int cpu, error = cpu_read(value, size, &cpu);
    if (error)
        return error;
    if (!CPU_ISSET(cpu, &options->thread_cpus))
        return -EINVAL;
    CPU_CLR(cpu, &options->thread_cpus);
    return 0;
}

/* The plain form of the API can only hand over an int, so four bytes are always a number, never a name. */
static int name_prefix_set(struct zu_ctx_options *options, const void *value, size_t size)
{
    int number;
    if (int_read(value, size, &number) == 0) {
        snprintf(options->thread_name_prefix, sizeof(options->thread_name_prefix), "%d", number);
        return 0;
    }
    if (!value || size == 0 || size > ZU_THREAD_NAME_PREFIX_MAX)
        return -EINVAL;
    memcpy(options->thread_name_prefix, value, size);
    options->thread_name_prefix[size] = '\0';
    return 0;
}

static int name_prefix_get(const struct zu_ctx_options *options, void *value, size_t *size)
{
    if (int_write(atoi(options->thread_name_prefix), value, size) == 0)
        return 0;
    size_t length = strlen(options->thread_name_prefix);
    if (!value || *size < length)
        return -EINVAL;
    memcpy(value, options->thread_name_prefix, length);
    memset((char *)value + length, 0, *size - length);
    *size = length;
    return 0;
}

/* "2,3": CPU 2 for the first shard, 3 for the second, 2 again for the third. Empty: any. */
static int cpus_set(struct zu_ctx_options *options, const void *value, size_t size)
{
    short cpus[ZU_SHARD_CPUS_MAX];
    int count = 0;
    char text[ZU_SHARD_CPUS_MAX * 5], *rest, *word;
    if (!value || size >= sizeof text)
        return -EINVAL;
    memcpy(text, value, size);
    text[size] = '\0';
    for (word = strtok_r(text, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
        char *end;
        long cpu = strtol(word, &end, 10);
        if (*end || end == word || cpu < 0 || cpu >= CPU_SETSIZE || count == ZU_SHARD_CPUS_MAX)
            return -EINVAL;
        cpus[count++] = (short)cpu;
    }
    memcpy(options->shard_cpus, cpus, (size_t)count * sizeof *cpus);
    options->shard_cpu_count = count;
    return 0;
}

#define STORED(field)                                                                                                  \
    .settable = true, .gettable = true, .stored = true, .offset = offsetof(struct zu_ctx_options, field)

static const struct zu_ctx_option_row rows[ZU_CTX_OPT_END] = {
    [ZU_CTX_OPT_IO_THREADS] = {"IO_THREADS", STORED(io_threads), .fallback = 1},
    [ZU_CTX_OPT_MAX_SOCKETS] = {"MAX_SOCKETS", STORED(max_sockets), .min = 1, .fallback = 1023},
    [ZU_CTX_OPT_THREAD_PRIORITY] = {"THREAD_PRIORITY", STORED(thread_priority), .fallback = -1,
                                    .get = socket_limit_get},
    [ZU_CTX_OPT_THREAD_SCHED_POLICY] = {"THREAD_SCHED_POLICY", STORED(thread_sched_policy), .fallback = -1},
    [ZU_CTX_OPT_MAX_MSGSZ] = {"MAX_MSGSZ", STORED(msg_size_max), .fallback = INT_MAX},
    [ZU_CTX_OPT_MSG_T_SIZE] = {"MSG_T_SIZE", .gettable = true, .get = msg_t_size_get},
    [ZU_CTX_OPT_THREAD_AFFINITY_CPU_ADD] = {"THREAD_AFFINITY_CPU_ADD", .settable = true, .set = cpu_add},
    [ZU_CTX_OPT_THREAD_AFFINITY_CPU_REMOVE] = {"THREAD_AFFINITY_CPU_REMOVE", .settable = true, .set = cpu_remove},
    [ZU_CTX_OPT_THREAD_NAME_PREFIX] = {"THREAD_NAME_PREFIX", .settable = true, .gettable = true, .set = name_prefix_set,
                                       .get = name_prefix_get},
    [ZU_CTX_OPT_ZERO_COPY_RECV] = {"ZERO_COPY_RECV", STORED(zero_copy_recv), .truth = true, .fallback = 1},
    [ZU_CTX_OPT_IPV6] = {"IPV6", STORED(ipv6), .truth = true},
    [ZU_CTX_OPT_BLOCKY] = {"BLOCKY", STORED(blocky), .truth = true, .fallback = 1},
};

/* zuring's own, from ZU_CTX_OPT_OWN on. */
static const struct zu_ctx_option_row own_rows[ZU_CTX_OPT_OWN_END - ZU_CTX_OPT_OWN] = {
    [ZU_CTX_OPT_DRIVE - ZU_CTX_OPT_OWN] = {"DRIVE", STORED(drive), .max = ZU_DRIVE_INLINE},
    [ZU_CTX_OPT_SPIN_US - ZU_CTX_OPT_OWN] = {"SPIN_US", STORED(spin_us), .min = -1, .max = 1000000, .fallback = -1},
    [ZU_CTX_OPT_FLUSH_BYTES - ZU_CTX_OPT_OWN] = {"FLUSH_BYTES", STORED(flush_bytes), .min = 1, .fallback = 131072},
    [ZU_CTX_OPT_FLUSH_US - ZU_CTX_OPT_OWN] = {"FLUSH_US", STORED(flush_us), .max = 1000000, .fallback = 20},
    [ZU_CTX_OPT_CPUS - ZU_CTX_OPT_OWN] = {"CPUS", .settable = true, .set = cpus_set},
};

const struct zu_ctx_option_row *zu_ctx_option_row(int number)
{
    if (number >= ZU_CTX_OPT_OWN && number < ZU_CTX_OPT_OWN_END)
        return &own_rows[number - ZU_CTX_OPT_OWN];
    if (number < 0 || number >= ZU_CTX_OPT_END || !rows[number].name)
        return NULL;
    return &rows[number];
}

static void fallbacks_store(struct zu_ctx_options *options, const struct zu_ctx_option_row *row, size_t count)
{
    for (const struct zu_ctx_option_row *end = row + count; row < end; row++) {
        if (row->stored)
            memcpy((char *)options + row->offset, &row->fallback, sizeof(int));
    }
}

void zu_ctx_options_init(struct zu_ctx_options *options)
{
    memset(options, 0, sizeof(*options));
    fallbacks_store(options, rows, sizeof rows / sizeof *rows);
    fallbacks_store(options, own_rows, sizeof own_rows / sizeof *own_rows);
}

int zu_ctx_option_set(struct zu_ctx_options *options, int number, const void *value, size_t size)
{
    const struct zu_ctx_option_row *row = zu_ctx_option_row(number);
    if (!row || !row->settable)
        return -EINVAL;
    if (row->set)
        return row->set(options, value, size);
    int wanted;
    if (int_read(value, size, &wanted) || wanted < row->min || (row->max && wanted > row->max))
        return -EINVAL;
    if (row->truth)
        wanted = wanted != 0;
    memcpy((char *)options + row->offset, &wanted, sizeof(int));
    return 0;
}

int zu_ctx_option_get(const struct zu_ctx_options *options, int number, void *value, size_t *size)
{
    const struct zu_ctx_option_row *row = zu_ctx_option_row(number);
    if (!row || !row->gettable)
        return -EINVAL;
    if (row->get)
        return row->get(options, value, size);
    int stored;
    memcpy(&stored, (const char *)options + row->offset, sizeof(int));
    return int_write(stored, value, size);
}
