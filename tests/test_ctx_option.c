/* SPDX-License-Identifier: MIT */
/* What a context's options take and answer, written down independently of the engine's table. */
#include "core/ctx_option.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct line {
    int number; /* of the option */
    int start;  /* value in a new context */
    int min;    /* least value taken; the greatest is INT_MAX */
    bool truth; /* anything but 0 reads as 1 */
};

static const struct line lines[] = {
    {1, 1, 0, false},       {2, 1023, 1, false}, {4, -1, 0, false}, {5, INT_MAX, 0, false},
    {9, 0, INT_MIN, false}, {10, 1, 0, true},    {42, 0, 0, true},  {70, 1, 0, true},
};

static struct zu_ctx_options options;

static int set_int(int number, int value)
{
    return zu_ctx_option_set(&options, number, &value, sizeof(value));
}

static int get_int(int number)
{
    int value = INT_MIN + 1;
    size_t size = sizeof(value);
    cr_assert_eq(zu_ctx_option_get(&options, number, &value, &size), 0, "get %d", number);
    cr_assert_eq(size, sizeof(value));
    return value;
}

Test(ctx_option, defaults_and_ranges)
{
    zu_ctx_options_init(&options);
    for (size_t i = 0; i < COUNT(lines); i++) {
        const struct line *line = &lines[i];
        int number = line->number;
        cr_assert_eq(get_int(number), line->start, "default of %d", number);
        cr_assert_eq(set_int(number, line->min), 0, "least of %d", number);
        cr_assert_eq(get_int(number), line->min, "least of %d", number);
        cr_assert_eq(set_int(number, INT_MAX), 0, "greatest of %d", number);
        cr_assert_eq(get_int(number), line->truth ? 1 : INT_MAX, "greatest of %d", number);
        if (line->min == INT_MIN)
            continue;
        cr_assert_eq(set_int(number, line->min - 1), -EINVAL, "below %d", number);
        cr_assert_eq(set_int(number, INT_MIN), -EINVAL, "far below %d", number);
        cr_assert_eq(get_int(number), line->truth ? 1 : INT_MAX, "%d changed by a failed set", number);
    }
}

Test(ctx_option, sizes)
{
    zu_ctx_options_init(&options);
    for (int number = 0; number < 80; number++) {
        const struct zu_ctx_option_row *row = zu_ctx_option_row(number);
        if (!row || number == ZU_CTX_OPT_THREAD_NAME_PREFIX)
            continue;
        for (size_t size = 0; size <= 16; size++) {
            int value[4] = {1, 1, 1, 1};
            size_t length = size;
            if (size == sizeof(int))
                continue;
            cr_assert_eq(zu_ctx_option_set(&options, number, value, size), -EINVAL, "set %d, %zu", number, size);
            cr_assert_eq(zu_ctx_option_get(&options, number, value, &length), -EINVAL, "get %d, %zu", number, size);
            cr_assert_eq(length, size);
        }
        size_t size = sizeof(int);
        cr_assert_eq(zu_ctx_option_set(&options, number, NULL, size), -EINVAL);
        cr_assert_eq(zu_ctx_option_get(&options, number, NULL, &size), -EINVAL);
    }
}

Test(ctx_option, rows)
{
    static const int known[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 42, 70};
    for (int number = -1; number < 200; number++) {
        bool expected = false;
        for (size_t i = 0; i < COUNT(known); i++)
            expected |= known[i] == number;
        cr_assert_eq(zu_ctx_option_row(number) != NULL, expected, "option %d", number);
        int value = 1;
        size_t size = sizeof(value);
        zu_ctx_options_init(&options);
        if (!expected) {
            cr_assert_eq(set_int(number, 1), -EINVAL);
            cr_assert_eq(zu_ctx_option_get(&options, number, &value, &size), -EINVAL);
        }
    }
    cr_assert_null(zu_ctx_option_row(INT_MIN));
    cr_assert_null(zu_ctx_option_row(INT_MAX));
}

Test(ctx_option, priority_shares_its_number_with_the_socket_limit)
{
    zu_ctx_options_init(&options);
    cr_assert_eq(options.thread_priority, -1);
    cr_assert_eq(set_int(ZU_CTX_OPT_THREAD_PRIORITY, -1), -EINVAL);
    cr_assert_eq(set_int(ZU_CTX_OPT_THREAD_PRIORITY, 99), 0);
    cr_assert_eq(options.thread_priority, 99);
    cr_assert_eq(get_int(ZU_CTX_OPT_SOCKET_LIMIT), 65535);
}

Test(ctx_option, message_size_is_fixed)
{
    zu_ctx_options_init(&options);
    cr_assert_eq(get_int(ZU_CTX_OPT_MSG_T_SIZE), 64);
    cr_assert_eq(set_int(ZU_CTX_OPT_MSG_T_SIZE, 64), -EINVAL);
}

Test(ctx_option, affinity)
{
    int value;
    size_t size = sizeof(value);
    zu_ctx_options_init(&options);
    cr_assert_eq(CPU_COUNT(&options.thread_cpus), 0);
    cr_assert_eq(set_int(ZU_CTX_OPT_THREAD_AFFINITY_CPU_REMOVE, 0), -EINVAL);
    cr_assert_eq(set_int(ZU_CTX_OPT_THREAD_AFFINITY_CPU_ADD, -1), -EINVAL);
    cr_assert_eq(set_int(ZU_CTX_OPT_THREAD_AFFINITY_CPU_ADD, CPU_SETSIZE), -EINVAL);
    cr_assert_eq(set_int(ZU_CTX_OPT_THREAD_AFFINITY_CPU_ADD, CPU_SETSIZE - 1), 0);
    cr_assert_eq(set_int(ZU_CTX_OPT_THREAD_AFFINITY_CPU_ADD, 1), 0);
    cr_assert_eq(set_int(ZU_CTX_OPT_THREAD_AFFINITY_CPU_ADD, 1), 0);
    cr_assert(CPU_ISSET(1, &options.thread_cpus) && CPU_ISSET(CPU_SETSIZE - 1, &options.thread_cpus));
    cr_assert_eq(set_int(ZU_CTX_OPT_THREAD_AFFINITY_CPU_REMOVE, 1), 0);
    cr_assert_eq(set_int(ZU_CTX_OPT_THREAD_AFFINITY_CPU_REMOVE, 1), -EINVAL);
    cr_assert_eq(set_int(ZU_CTX_OPT_THREAD_AFFINITY_CPU_REMOVE, -1), -EINVAL);
    cr_assert_eq(set_int(ZU_CTX_OPT_THREAD_AFFINITY_CPU_REMOVE, CPU_SETSIZE), -EINVAL);
    cr_assert_eq(CPU_COUNT(&options.thread_cpus), 1);
    cr_assert_eq(zu_ctx_option_get(&options, ZU_CTX_OPT_THREAD_AFFINITY_CPU_ADD, &value, &size), -EINVAL);
    cr_assert_eq(zu_ctx_option_get(&options, ZU_CTX_OPT_THREAD_AFFINITY_CPU_REMOVE, &value, &size), -EINVAL);
}

Test(ctx_option, name_prefix)
{
    int number = ZU_CTX_OPT_THREAD_NAME_PREFIX;
    char value[32];
    size_t size = sizeof(value);
    zu_ctx_options_init(&options);
    cr_assert_eq(zu_ctx_option_get(&options, number, value, &size), 0);
    cr_assert_eq(size, 0);
    cr_assert_eq(set_int(number, -1234), 0);
    cr_assert_str_eq(options.thread_name_prefix, "-1234");
    cr_assert_eq(get_int(number), -1234);
    cr_assert_eq(set_int(number, INT_MIN), 0);
    cr_assert_str_eq(options.thread_name_prefix, "-2147483648");
    cr_assert_eq(zu_ctx_option_set(&options, number, "0123456789abcdefg", 17), -EINVAL);
    cr_assert_eq(zu_ctx_option_set(&options, number, "", 0), -EINVAL);
    cr_assert_eq(zu_ctx_option_set(&options, number, NULL, 0), -EINVAL);
    cr_assert_eq(zu_ctx_option_set(&options, number, NULL, 5), -EINVAL);
    cr_assert_str_eq(options.thread_name_prefix, "-2147483648");
    cr_assert_eq(zu_ctx_option_set(&options, number, "0123456789abcdef", 16), 0);
    cr_assert_str_eq(options.thread_name_prefix, "0123456789abcdef");
    size = 15;
    cr_assert_eq(zu_ctx_option_get(&options, number, value, &size), -EINVAL);
    memset(value, 'y', sizeof(value));
    size = 18;
    cr_assert_eq(zu_ctx_option_get(&options, number, value, &size), 0);
    cr_assert_eq(size, 16);
    cr_assert_eq(memcmp(value, "0123456789abcdef\0\0yy", 20), 0);
    cr_assert_eq(zu_ctx_option_set(&options, number, "a", 1), 0);
    cr_assert_str_eq(options.thread_name_prefix, "a");
    cr_assert_eq(get_int(number), 0, "no number");
}
