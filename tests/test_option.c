/* SPDX-License-Identifier: MIT */
/*
 * What libzmq's options take and answer, written down once more and independently of the engine's table: each line of
 * `ints` and `texts` was compared with the reference or with the stock library (tests/option_compare.py does it live).
 */
#include "core/option.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "mem/alloc.h"
#include "wire/metadata.h"
#include "wire/socket_type.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define ON(type) (1u << ZU_SOCKET_##type)
#define ALL ((1u << ZU_SOCKET_TYPE_COUNT) - 1)
#define PUBLISHERS (ON(PUB) | ON(XPUB))
#define ROUTERS (ON(ROUTER) | ON(REP))

enum { S = 1, G = 2, GS = 3 };

struct int_line {
    int number;     /* of the option */
    int access;     /* S, G or GS */
    int start;      /* value in a new socket */
    int min;        /* least value taken */
    int max;        /* greatest value taken */
    unsigned types; /* that know it */
};

static const struct int_line ints[] = {
    {0x7a20, GS, 0, 0, INT_MAX, ALL},
    {0x7a21, GS, 0, 0, INT_MAX, ALL},
    {0x7a22, GS, 131072, 1024, INT_MAX, ALL},
    {8, GS, 100, 1, INT_MAX, ALL},
    {9, GS, 10000, 0, INT_MAX, ALL},
    {11, GS, -1, -1, INT_MAX, ALL},
    {12, GS, -1, -1, INT_MAX, ALL},
    {17, GS, -1, -1, INT_MAX, ALL},
    {18, GS, 100, -1, INT_MAX, ALL},
    {19, GS, 100, 0, INT_MAX, ALL},
    {21, GS, 0, 0, INT_MAX, ALL},
    {23, GS, 1000, 0, INT_MAX, ALL},
    {24, GS, 1000, 0, INT_MAX, ALL},
    {25, GS, 1, 1, INT_MAX, ALL},
    {27, GS, -1, -1, INT_MAX, ALL},
    {28, GS, -1, -1, INT_MAX, ALL},
    {31, GS, 1, 0, 1, ALL},
    {33, S, 0, 0, INT_MAX, ROUTERS},
    {34, GS, -1, -1, 1, ALL},
    {35, GS, -1, -1, INT_MAX, ALL},
    {36, GS, -1, -1, INT_MAX, ALL},
    {37, GS, -1, -1, INT_MAX, ALL},
    {39, GS, 0, 0, 1, ALL},
    {40, S, 0, 0, INT_MAX, PUBLISHERS},
    {41, S, 0, 0, INT_MAX, ROUTERS},
    {42, GS, 0, 0, 1, ALL},
    {43, G, 0, 0, 0, ALL},
    {44, GS, 0, 0, 1, ALL},
    {47, GS, 0, 0, 1, ALL},
    {51, S, 0, 0, INT_MAX, ROUTERS | ON(REQ) | ON(DEALER)},
    {52, S, 0, 0, INT_MAX, ON(REQ)},
    {53, S, 0, 0, INT_MAX, ON(REQ)},
    {54, GS, 0, 0, 1, ALL},
    {56, S, 0, 0, INT_MAX, ROUTERS},
    {57, GS, 0, 0, INT_MAX, ALL},
    {66, GS, 30000, 0, INT_MAX, ALL},
    {69, S, 0, 0, INT_MAX, PUBLISHERS | ON(RADIO)},
    {71, S, 0, 0, INT_MAX, PUBLISHERS},
    {73, S, 1, 0, 1, ON(STREAM)},
    {74, GS, 0, INT_MIN, INT_MAX, ALL},
    {75, GS, 0, 0, INT_MAX, ALL},
    {76, GS, 0, -99, 6553599, ALL},
    {77, GS, -1, 0, INT_MAX, ALL},
    {78, S, 0, 0, INT_MAX, PUBLISHERS},
    {79, GS, 0, 0, INT_MAX, ALL},
    {80, GS, 0, 0, INT_MAX, ALL},
    {84, GS, 1500, 1, INT_MAX, ALL},
    {89, GS, -1, -1, INT_MAX, ALL},
    {93, GS, 0, INT_MIN, INT_MAX, ALL},
    {94, GS, 0, INT_MIN, INT_MAX, ALL},
    {96, GS, 1, INT_MIN, INT_MAX, ALL},
    {97, GS, 0, 0, 3, ROUTERS},
    {98, S, 0, 0, INT_MAX, PUBLISHERS},
    {101, GS, 8192, 1, INT_MAX, ALL},
    {102, GS, 8192, 1, INT_MAX, ALL},
    {108, S, 0, 0, INT_MAX, PUBLISHERS | ON(XSUB)},
    {109, GS, 0, INT_MIN, INT_MAX, ALL},
    {112, GS, 0, 0, INT_MAX, ALL},
    {113, S, 0, INT_MIN, INT_MAX, ALL},
    {115, S, 0, INT_MIN, INT_MAX, ON(XSUB)},
};

/* Options whose get does not show what was set: not 0 reads as 1, or it is rounded. */
static const int reads_otherwise[] = {74, 76, 93, 94, 96};

struct text_line {
    int number;     /* of the option */
    int access;     /* S or GS */
    size_t min;     /* least size taken */
    size_t max;     /* greatest size taken, 0: none */
    bool clears;    /* NULL with size 0 is taken */
    bool nul;       /* read back with a NUL */
    unsigned types; /* that know it */
};

static const struct text_line texts[] = {
    {5, GS, 1, 255, false, false, ALL},
    {45, GS, 1, 255, true, true, ALL},
    {46, GS, 1, 255, true, true, ALL},
    {55, GS, 1, 255, false, true, ALL},
    {61, S, 1, 0, false, false, ROUTERS | ON(STREAM)},
    {68, GS, 1, 0, true, true, ALL},
    {72, S, 0, 0, true, false, PUBLISHERS},
    {92, GS, 1, 16, true, true, ALL},
    {99, GS, 1, 255, true, true, ALL},
    {100, GS, 1, 255, true, true, ALL},
    {110, S, 0, 0, true, false, ALL},
    {111, S, 0, 0, true, false, ALL},
    {114, S, 0, 0, true, false, ALL},
};

/* Those with tests of their own: counted so that no row of the engine goes without a test. */
static const int others[] = {4, 6, 7, 13, 14, 15, 16, 22, 32, 38, 48, 49, 50, 58, 59, 60, 81, 95, 116};

static struct zu_options options;

static void start(unsigned type)
{
    struct zu_ctx_options ctx;
    zu_ctx_options_init(&ctx);
    zu_options_init(&options, type, &ctx);
}

static int set_int(unsigned type, int number, int value)
{
    return zu_option_set(&options, type, number, &value, sizeof(value));
}

static int set_text(unsigned type, int number, const char *text)
{
    return zu_option_set(&options, type, number, text, strlen(text));
}

static int get(unsigned type, int number, void *value, size_t *size)
{
    return zu_option_get(&options, type, number, value, size, NULL, NULL);
}

static int get_int(unsigned type, int number)
{
    int value = INT_MIN + 1;
    size_t size = sizeof(value);
    int error = get(type, number, &value, &size);
    cr_assert_eq(error, 0, "get %d: %d", number, error);
    cr_assert_eq(size, sizeof(value), "size of %d", number);
    return value;
}

static unsigned first_type(unsigned types)
{
    return (unsigned)__builtin_ctz(types);
}

static bool holds(const int *numbers, size_t count, int number)
{
    for (size_t i = 0; i < count; i++) {
        if (numbers[i] == number)
            return true;
    }
    return false;
}

Test(option, rows_all_tested)
{
    size_t rows = 0;
    for (int number = -1; number < 0x8000; number++) {
        const struct zu_option_row *row = zu_option_row(number);
        bool known = holds(others, COUNT(others), number);
        for (size_t i = 0; i < COUNT(ints); i++)
            known |= ints[i].number == number;
        for (size_t i = 0; i < COUNT(texts); i++)
            known |= texts[i].number == number;
        cr_assert_eq(row != NULL, known, "option %d", number);
        rows += row != NULL;
    }
    cr_assert_eq(rows, COUNT(ints) + COUNT(texts) + COUNT(others));
    cr_assert_null(zu_option_row(INT_MIN));
    cr_assert_null(zu_option_row(INT_MAX));
}

Test(option, unknown_numbers)
{
    static const int unknown[] = {-1, 0,  3,  10, 20, 26, 29, 30,  62,  63,  64,  65,  67,    70,      82,
                                  83, 85, 86, 87, 88, 90, 91, 103, 107, 117, 124, 125, 10000, INT_MIN, INT_MAX};
    for (size_t i = 0; i < COUNT(unknown); i++) {
        for (unsigned type = 0; type < ZU_SOCKET_TYPE_COUNT; type++) {
            char value[64] = {0};
            size_t size = 4;
            start(type);
            cr_assert_eq(set_int(type, unknown[i], 0), -EINVAL, "set %d", unknown[i]);
            cr_assert_eq(get(type, unknown[i], value, &size), -EINVAL, "get %d", unknown[i]);
            cr_assert_eq(zu_option_effect(unknown[i]), ZU_OPTION_EFFECT_NONE);
        }
    }
}

Test(option, int_defaults_and_ranges)
{
    for (size_t i = 0; i < COUNT(ints); i++) {
        const struct int_line *line = &ints[i];
        unsigned type = first_type(line->types);
        start(type);
        if (line->access & G)
            cr_assert_eq(get_int(type, line->number), line->start, "default of %d", line->number);
        if (!(line->access & S))
            continue;
        cr_assert_eq(set_int(type, line->number, line->min), 0, "least of %d", line->number);
        if (line->access == GS && !holds(reads_otherwise, COUNT(reads_otherwise), line->number))
            cr_assert_eq(get_int(type, line->number), line->min, "least of %d", line->number);
        cr_assert_eq(set_int(type, line->number, line->max), 0, "greatest of %d", line->number);
        if (line->access == GS && !holds(reads_otherwise, COUNT(reads_otherwise), line->number))
            cr_assert_eq(get_int(type, line->number), line->max, "greatest of %d", line->number);
        struct zu_options before = options;
        if (line->min > INT_MIN)
            cr_assert_eq(set_int(type, line->number, line->min - 1), -EINVAL, "below %d", line->number);
        if (line->max < INT_MAX)
            cr_assert_eq(set_int(type, line->number, line->max + 1), -EINVAL, "above %d", line->number);
        cr_assert_eq(memcmp(&before, &options, sizeof(options)), 0, "%d changed by a failed set", line->number);
        zu_options_fini(&options);
    }
}

Test(option, int_access_and_types)
{
    for (size_t i = 0; i < COUNT(ints); i++) {
        const struct int_line *line = &ints[i];
        for (unsigned type = 0; type < ZU_SOCKET_TYPE_COUNT; type++) {
            bool here = line->types >> type & 1;
            int value;
            size_t size = sizeof(value);
            start(type);
            cr_assert_eq(set_int(type, line->number, line->max), here && line->access & S ? 0 : -EINVAL,
                         "set %d on type %u", line->number, type);
            cr_assert_eq(get(type, line->number, &value, &size), here && line->access & G ? 0 : -EINVAL,
                         "get %d on type %u", line->number, type);
        }
    }
}

Test(option, int_sizes)
{
    for (size_t i = 0; i < COUNT(ints); i++) {
        const struct int_line *line = &ints[i];
        unsigned type = first_type(line->types);
        start(type);
        for (size_t size = 0; size <= 16; size++) {
            int value[4] = {line->max, -1, -1, -1};
            size_t length = size;
            if (size == sizeof(int))
                continue;
            cr_assert_eq(zu_option_set(&options, type, line->number, value, size), -EINVAL, "set %d with %zu bytes",
                         line->number, size);
            cr_assert_eq(get(type, line->number, value, &length), -EINVAL, "get %d with %zu bytes", line->number, size);
            cr_assert_eq(length, size, "%d: size changed by a failed get", line->number);
            cr_assert_eq(value[0], line->max, "%d: buffer changed by a failed get", line->number);
        }
        cr_assert_eq(zu_option_set(&options, type, line->number, NULL, 0), -EINVAL, "set %d to NULL", line->number);
        cr_assert_eq(zu_option_set(&options, type, line->number, NULL, 4), -EINVAL, "set %d to NULL, 4", line->number);
    }
}

Test(option, int_truth)
{
    static const int truths[] = {74, 93, 94, 96};
    start(ZU_SOCKET_PAIR);
    for (size_t i = 0; i < COUNT(truths); i++) {
        for (int value = -2; value <= 2; value++) {
            cr_assert_eq(set_int(ZU_SOCKET_PAIR, truths[i], value), 0);
            cr_assert_eq(get_int(ZU_SOCKET_PAIR, truths[i]), value != 0, "%d set to %d", truths[i], value);
        }
    }
    start(ZU_SOCKET_ROUTER);
    cr_assert_eq(set_int(ZU_SOCKET_ROUTER, ZU_OPT_ROUTER_MANDATORY, 7), 0);
    cr_assert_eq(options.pattern.router_mandatory, 1);
}

Test(option, heartbeat_ttl_rounding)
{
    static const int pairs[][2] = {{-99, 0}, {-1, 0}, {0, 0}, {99, 0}, {100, 100}, {150, 100}, {6553599, 6553500}};
    start(ZU_SOCKET_PUSH);
    for (size_t i = 0; i < COUNT(pairs); i++) {
        cr_assert_eq(set_int(ZU_SOCKET_PUSH, ZU_OPT_HEARTBEAT_TTL, pairs[i][0]), 0);
        cr_assert_eq(get_int(ZU_SOCKET_PUSH, ZU_OPT_HEARTBEAT_TTL), pairs[i][1], "after %d", pairs[i][0]);
    }
}

Test(option, wide_ints)
{
    static const struct {
        int number;
        int64_t start;
    } wide[] = {{ZU_OPT_AFFINITY, 0}, {ZU_OPT_MAXMSGSIZE, -1}};
    static const int64_t values[] = {INT64_MIN, -1, 0, 1, 1ll << 40, INT64_MAX};
    start(ZU_SOCKET_PUSH);
    for (size_t i = 0; i < COUNT(wide); i++) {
        for (size_t size = 0; size <= 16; size++) {
            int64_t value[2] = {77, 77};
            size_t length = size;
            int expected = size == 8 ? 0 : -EINVAL;
            cr_assert_eq(get(ZU_SOCKET_PUSH, wide[i].number, value, &length), expected);
            cr_assert_eq(value[0], size == 8 ? wide[i].start : 77);
            cr_assert_eq(length, size);
            value[0] = wide[i].start;
            cr_assert_eq(zu_option_set(&options, ZU_SOCKET_PUSH, wide[i].number, value, size), expected);
        }
        for (size_t j = 0; j < COUNT(values); j++) {
            int64_t value = 0;
            size_t size = sizeof(value);
            cr_assert_eq(zu_option_set(&options, ZU_SOCKET_PUSH, wide[i].number, &values[j], sizeof(values[j])), 0);
            cr_assert_eq(get(ZU_SOCKET_PUSH, wide[i].number, &value, &size), 0);
            cr_assert_eq(value, values[j]);
        }
    }
}

static void check_text_reads(unsigned type, const struct text_line *line, const char *expected, size_t length)
{
    size_t told = length + line->nul;
    for (size_t room = told > 2 ? told - 2 : 0; room < told + 3; room++) {
        char value[512];
        size_t size = room;
        memset(value, 'y', sizeof(value));
        int error = get(type, line->number, value, &size);
        cr_assert_eq(error, room < told ? -EINVAL : 0, "get %d of %zu into %zu", line->number, told, room);
        cr_assert_eq(size, error ? room : told);
        if (error) {
            cr_assert_eq(value[0], 'y');
            continue;
        }
        cr_assert_eq(memcmp(value, expected, length), 0);
        for (size_t i = length; i < room; i++)
            cr_assert_eq(value[i], 0, "%d: rest not zeroed", line->number);
        cr_assert_eq(value[room], 'y', "%d: written beyond the buffer", line->number);
    }
}

Test(option, texts)
{
    static char text[3000];
    memset(text, 'x', sizeof(text));
    text[0] = '\0'; /* bytes, not C strings */
    for (size_t i = 0; i < COUNT(texts); i++) {
        const struct text_line *line = &texts[i];
        unsigned type = first_type(line->types);
        size_t max = line->max ? line->max : sizeof(text);
        start(type);
        if (line->access == GS)
            check_text_reads(type, line, "", 0);
        cr_assert_eq(zu_option_set(&options, type, line->number, text, line->min), 0, "%d least", line->number);
        cr_assert_eq(zu_option_set(&options, type, line->number, text, max), 0, "%d greatest", line->number);
        if (line->max)
            cr_assert_eq(zu_option_set(&options, type, line->number, text, max + 1), -EINVAL, "%d", line->number);
        if (line->min)
            cr_assert_eq(zu_option_set(&options, type, line->number, text, 0), -EINVAL, "%d empty", line->number);
        if (line->access == GS && line->max)
            check_text_reads(type, line, text, max);
        cr_assert_eq(zu_option_set(&options, type, line->number, text, 4), 0, "%d four", line->number);
        cr_assert_eq(zu_option_set(&options, type, line->number, NULL, 0), line->clears ? 0 : -EINVAL, "%d NULL",
                     line->number);
        bool plain = line->number == ZU_OPT_PLAIN_USERNAME || line->number == ZU_OPT_PLAIN_PASSWORD;
        if (line->access == GS)
            check_text_reads(type, line, text, line->clears && !plain ? 0 : 4);
        cr_assert_eq(zu_option_set(&options, type, line->number, NULL, 1), -EINVAL, "%d NULL, 1", line->number);
        zu_options_fini(&options);
    }
}

Test(option, text_types)
{
    for (size_t i = 0; i < COUNT(texts); i++) {
        const struct text_line *line = &texts[i];
        for (unsigned type = 0; type < ZU_SOCKET_TYPE_COUNT; type++) {
            bool here = line->types >> type & 1;
            char value[64];
            size_t size = sizeof(value);
            start(type);
            cr_assert_eq(set_text(type, line->number, "name"), here ? 0 : -EINVAL, "%d on %u", line->number, type);
            cr_assert_eq(get(type, line->number, value, &size), here && line->access == GS ? 0 : -EINVAL, "%d on %u",
                         line->number, type);
            zu_options_fini(&options);
        }
    }
}

Test(option, last_endpoint)
{
    static const struct text_line line = {.number = ZU_OPT_LAST_ENDPOINT, .nul = true};
    start(ZU_SOCKET_PULL);
    check_text_reads(ZU_SOCKET_PULL, &line, "", 0);
    cr_assert_eq(set_text(ZU_SOCKET_PULL, ZU_OPT_LAST_ENDPOINT, "tcp://*:1"), -EINVAL);
    cr_assert_eq(zu_option_bytes_set(&options.last_endpoint, "ipc:///tmp/a", 12), 0);
    cr_assert_str_eq((char *)options.last_endpoint.data, "ipc:///tmp/a");
    check_text_reads(ZU_SOCKET_PULL, &line, "ipc:///tmp/a", 12);
    zu_options_fini(&options);
}

static const char key_text[] = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID";
static const uint8_t key_bytes[32] = {0xbb, 0x88, 0x47, 0x1d, 0x65, 0xe2, 0x65, 0x9b, 0x30, 0xc5, 0x5a,
                                      0x53, 0x21, 0xce, 0xbb, 0x5a, 0xab, 0x2b, 0x70, 0xa3, 0x98, 0x64,
                                      0x5c, 0x26, 0xdc, 0xa2, 0xb2, 0xfc, 0xb4, 0x3f, 0xc5, 0x18};

Test(option, curve_keys)
{
    for (int number = ZU_OPT_CURVE_PUBLICKEY; number <= ZU_OPT_CURVE_SERVERKEY; number++) {
        start(ZU_SOCKET_PUSH);
        for (size_t size = 0; size < 64; size++) {
            char value[64] = {0};
            size_t length = size;
            memcpy(value, key_text, 40);
            bool right = size == 32 || size == 40 || size == 41;
            cr_assert_eq(zu_option_set(&options, ZU_SOCKET_PUSH, number, value, size), right ? 0 : -EINVAL, "%zu",
                         size);
            right = size == 32 || size == 41;
            cr_assert_eq(get(ZU_SOCKET_PUSH, number, value, &length), right ? 0 : -EINVAL, "%zu", size);
        }
        char text[64] = {0};
        uint8_t bytes[32];
        size_t size = 41;
        cr_assert_eq(zu_option_set(&options, ZU_SOCKET_PUSH, number, key_text, 41), 0);
        cr_assert_eq(get(ZU_SOCKET_PUSH, number, text, &size), 0);
        cr_assert_str_eq(text, key_text);
        size = sizeof(bytes);
        cr_assert_eq(get(ZU_SOCKET_PUSH, number, bytes, &size), 0);
        cr_assert_eq(memcmp(bytes, key_bytes, sizeof(bytes)), 0);
        cr_assert_eq(zu_option_set(&options, ZU_SOCKET_PUSH, number, key_bytes, 32), 0);
        size = 41;
        cr_assert_eq(get(ZU_SOCKET_PUSH, number, text, &size), 0);
        cr_assert_str_eq(text, key_text);
    }
}

Test(option, curve_keys_bad)
{
    static const char *const bad[] = {
        "~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~", "                                        ",
        "########################################", /* each group is above 2^32 - 1 */
        "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{h~D", "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hIDx",
    };
    start(ZU_SOCKET_PUSH);
    struct zu_options before = options;
    for (size_t i = 0; i < COUNT(bad); i++)
        cr_assert_eq(set_text(ZU_SOCKET_PUSH, ZU_OPT_CURVE_SECRETKEY, bad[i]), -EINVAL, "%s", bad[i]);
    char embedded[40];
    memcpy(embedded, key_text, 40);
    embedded[39] = '\0';
    cr_assert_eq(zu_option_set(&options, ZU_SOCKET_PUSH, ZU_OPT_CURVE_SECRETKEY, embedded, 40), -EINVAL);
    cr_assert_eq(memcmp(&before, &options, sizeof(options)), 0);
}

static void check_security(const char *when, int mechanism, int plain_server, int curve_server)
{
    cr_assert_eq(get_int(ZU_SOCKET_PUSH, ZU_OPT_MECHANISM), mechanism, "%s: mechanism", when);
    cr_assert_eq(get_int(ZU_SOCKET_PUSH, ZU_OPT_PLAIN_SERVER), plain_server, "%s: PLAIN server", when);
    cr_assert_eq(get_int(ZU_SOCKET_PUSH, ZU_OPT_CURVE_SERVER), curve_server, "%s: CURVE server", when);
}

Test(option, mechanism_is_what_was_set_last)
{
    start(ZU_SOCKET_PUSH);
    check_security("new", ZU_SECURITY_NULL, 0, 0);
    set_int(ZU_SOCKET_PUSH, ZU_OPT_PLAIN_SERVER, 1);
    check_security("PLAIN server", ZU_SECURITY_PLAIN, 1, 0);
    set_int(ZU_SOCKET_PUSH, ZU_OPT_CURVE_SERVER, 1);
    check_security("CURVE server", ZU_SECURITY_CURVE, 0, 1);
    set_text(ZU_SOCKET_PUSH, ZU_OPT_CURVE_SECRETKEY, key_text);
    check_security("own key keeps the role", ZU_SECURITY_CURVE, 0, 1);
    set_text(ZU_SOCKET_PUSH, ZU_OPT_CURVE_SERVERKEY, key_text);
    check_security("server's key makes a client", ZU_SECURITY_CURVE, 0, 0);
    set_int(ZU_SOCKET_PUSH, ZU_OPT_PLAIN_SERVER, 0);
    check_security("any server switched off", ZU_SECURITY_NULL, 0, 0);
    set_int(ZU_SOCKET_PUSH, ZU_OPT_PLAIN_SERVER, 1);
    set_text(ZU_SOCKET_PUSH, ZU_OPT_PLAIN_USERNAME, "user");
    check_security("user name makes a client", ZU_SECURITY_PLAIN, 0, 0);
    cr_assert_eq(zu_option_set(&options, ZU_SOCKET_PUSH, ZU_OPT_PLAIN_USERNAME, NULL, 0), 0);
    check_security("no user name", ZU_SECURITY_NULL, 0, 0);
    set_text(ZU_SOCKET_PUSH, ZU_OPT_PLAIN_PASSWORD, "secret");
    check_security("password alone", ZU_SECURITY_PLAIN, 0, 0);
    cr_assert_eq(set_text(ZU_SOCKET_PUSH, ZU_OPT_CURVE_SERVERKEY, "short"), -EINVAL);
    check_security("failed set", ZU_SECURITY_PLAIN, 0, 0);
    zu_options_fini(&options);
}

Test(option, ipv4only_is_the_inverse)
{
    start(ZU_SOCKET_PUSH);
    cr_assert_eq(set_int(ZU_SOCKET_PUSH, ZU_OPT_IPV4ONLY, 0), 0);
    cr_assert_eq(get_int(ZU_SOCKET_PUSH, ZU_OPT_IPV6), 1);
    cr_assert_eq(set_int(ZU_SOCKET_PUSH, ZU_OPT_IPV6, 0), 0);
    cr_assert_eq(get_int(ZU_SOCKET_PUSH, ZU_OPT_IPV4ONLY), 1);
}

Test(option, inherited_from_context)
{
    for (unsigned type = 0; type < ZU_SOCKET_TYPE_COUNT; type++) {
        struct zu_ctx_options ctx;
        bool quiet = type == ZU_SOCKET_SUB || type == ZU_SOCKET_XSUB || type == ZU_SOCKET_DISH;
        zu_ctx_options_init(&ctx);
        zu_options_init(&options, type, &ctx);
        cr_assert_eq(options.linger_ms, quiet ? 0 : -1, "type %u", type);
        cr_assert_eq(options.ipv6, 0);
        ctx.blocky = 0;
        ctx.ipv6 = 1;
        zu_options_init(&options, type, &ctx);
        cr_assert_eq(options.linger_ms, 0);
        cr_assert_eq(options.ipv6, 1);
    }
}

Test(option, type_and_thread_safe)
{
    for (unsigned type = 0; type < ZU_SOCKET_TYPE_COUNT; type++) {
        bool safe = type >= ZU_SOCKET_SERVER && type != ZU_SOCKET_DGRAM;
        struct {
            int value;
            char rest[4];
        } wide = {.rest = {1, 1, 1, 1}};
        size_t size = sizeof(wide);
        start(type);
        cr_assert_eq(get_int(type, ZU_OPT_TYPE), (int)type);
        cr_assert_eq(get(type, ZU_OPT_TYPE, &wide, &size), -EINVAL);
        cr_assert_eq(get(type, ZU_OPT_THREAD_SAFE, &wide, &size), 0);
        cr_assert_eq(size, sizeof(int));
        cr_assert_eq(wide.value, safe, "type %u", type);
        cr_assert_eq(memcmp(wide.rest, "\0\0\0\0", 4), 0);
        size = 3;
        cr_assert_eq(get(type, ZU_OPT_THREAD_SAFE, &wide, &size), -EINVAL);
        cr_assert_eq(set_int(type, ZU_OPT_TYPE, 1), -EINVAL);
        cr_assert_eq(set_int(type, ZU_OPT_THREAD_SAFE, 1), -EINVAL);
    }
}

static int live_answer(void *socket, int number, int64_t *ret_value)
{
    int *calls = socket;
    ++*calls;
    if (number == ZU_OPT_FD)
        return -EMFILE;
    *ret_value = 1000 + number;
    return 0;
}

Test(option, live_rows_ask_the_socket)
{
    static const struct zu_option_live live = {live_answer};
    static const int numbers[] = {ZU_OPT_RCVMORE, ZU_OPT_EVENTS, ZU_OPT_TOPICS_COUNT};
    start(ZU_SOCKET_SUB);
    int calls = 0;
    for (size_t i = 0; i < COUNT(numbers); i++) {
        int value[3] = {7, 7, 7};
        size_t size = 8;
        cr_assert_eq(zu_option_get(&options, ZU_SOCKET_SUB, numbers[i], value, &size, &live, &calls), 0);
        cr_assert_eq(value[0], 1000 + numbers[i]);
        cr_assert_eq(value[1], 0);
        cr_assert_eq(value[2], 7);
        cr_assert_eq(size, sizeof(int));
        size = 3;
        cr_assert_eq(zu_option_get(&options, ZU_SOCKET_SUB, numbers[i], value, &size, &live, &calls), -EINVAL);
        size = 4;
        cr_assert_eq(get(ZU_SOCKET_SUB, numbers[i], value, &size), -EINVAL, "without a socket");
        cr_assert_eq(set_int(ZU_SOCKET_SUB, numbers[i], 0), -EINVAL);
    }
    cr_assert_eq(calls, COUNT(numbers), "the socket is not asked when the size is wrong");
    int value = 7;
    size_t size = sizeof(value);
    cr_assert_eq(zu_option_get(&options, ZU_SOCKET_SUB, ZU_OPT_FD, &value, &size, &live, &calls), -EMFILE);
    cr_assert_eq(value, 7);
    cr_assert_eq(zu_option_get(&options, ZU_SOCKET_CLIENT, ZU_OPT_FD, &value, &size, &live, &calls), -EINVAL);
    cr_assert_eq(zu_option_get(&options, ZU_SOCKET_PUSH, ZU_OPT_TOPICS_COUNT, &value, &size, &live, &calls), -EINVAL);
    cr_assert_eq(calls, COUNT(numbers) + 1);
}

Test(option, subscriptions)
{
    for (int number = ZU_OPT_SUBSCRIBE; number <= ZU_OPT_UNSUBSCRIBE; number++) {
        char value[8];
        size_t size = sizeof(value);
        start(ZU_SOCKET_SUB);
        cr_assert_eq(zu_option_effect(number), ZU_OPTION_EFFECT_SUBSCRIPTION);
        cr_assert_eq(zu_option_set(&options, ZU_SOCKET_SUB, number, NULL, 0), 0);
        cr_assert_eq(zu_option_set(&options, ZU_SOCKET_SUB, number, NULL, 1), -EINVAL);
        cr_assert_eq(set_text(ZU_SOCKET_SUB, number, "topic"), 0);
        cr_assert_eq(get(ZU_SOCKET_SUB, number, value, &size), -EINVAL);
        start(ZU_SOCKET_XSUB);
        cr_assert_eq(set_text(ZU_SOCKET_XSUB, number, "topic"), -EINVAL);
        for (unsigned type = 0; type < ZU_SOCKET_TYPE_COUNT; type++) {
            start(type);
            cr_assert_eq(set_text(type, number, "topic"), type == ZU_SOCKET_SUB ? 0 : -EINVAL);
            int manual = set_int(type, ZU_OPT_XPUB_MANUAL, 1);
            cr_assert_eq(set_text(type, number, "topic"), type == ZU_SOCKET_SUB ? 0 : manual);
        }
    }
}

Test(option, xpub_switches_that_go_together)
{
    start(ZU_SOCKET_XPUB);
    cr_assert_eq(set_int(ZU_SOCKET_XPUB, ZU_OPT_XPUB_VERBOSER, 1), 0);
    cr_assert(options.pattern.xpub_verbose && options.pattern.xpub_verbose_unsub);
    cr_assert_eq(set_int(ZU_SOCKET_XPUB, ZU_OPT_XPUB_VERBOSE, 1), 0);
    cr_assert(options.pattern.xpub_verbose && !options.pattern.xpub_verbose_unsub);
    cr_assert_eq(set_int(ZU_SOCKET_XPUB, ZU_OPT_XPUB_VERBOSER, 0), 0);
    cr_assert(!options.pattern.xpub_verbose && !options.pattern.xpub_verbose_unsub);
    cr_assert_eq(set_int(ZU_SOCKET_XPUB, ZU_OPT_XPUB_MANUAL_LAST_VALUE, 1), 0);
    cr_assert(options.pattern.xpub_manual && options.pattern.xpub_manual_last_value);
}

Test(option, effects)
{
    cr_assert_eq(zu_option_effect(ZU_OPT_LINGER), ZU_OPTION_EFFECT_LINGER);
    cr_assert_eq(zu_option_effect(ZU_OPT_SNDHWM), ZU_OPTION_EFFECT_HWM);
    cr_assert_eq(zu_option_effect(ZU_OPT_RCVHWM), ZU_OPTION_EFFECT_HWM);
    cr_assert_eq(zu_option_effect(ZU_OPT_SNDBUF), ZU_OPTION_EFFECT_NONE);
    static const int patterns[] = {ZU_OPT_ROUTER_HANDOVER, ZU_OPT_ROUTER_MANDATORY, ZU_OPT_PROBE_ROUTER,
                                   ZU_OPT_XPUB_VERBOSE,    ZU_OPT_XPUB_VERBOSER,    ZU_OPT_REQ_CORRELATE,
                                   ZU_OPT_REQ_RELAXED,     ZU_OPT_XPUB_NODROP,      ZU_OPT_XPUB_WELCOME_MSG};
    for (size_t i = 0; i < COUNT(patterns); i++)
        cr_assert_eq(zu_option_effect(patterns[i]), ZU_OPTION_EFFECT_PATTERN, "%d", patterns[i]);
}

Test(option, accept_filters)
{
    unsigned type = ZU_SOCKET_PULL;
    start(type);
    cr_assert_eq(set_text(type, ZU_OPT_TCP_ACCEPT_FILTER, "127.0.0.1/8"), 0);
    cr_assert_eq(set_text(type, ZU_OPT_TCP_ACCEPT_FILTER, "10.0.0.1"), 0);
    cr_assert_eq(options.tcp_accept.count, 2);
    cr_assert_eq(set_text(type, ZU_OPT_TCP_ACCEPT_FILTER, ""), -EINVAL);
    cr_assert_eq(set_text(type, ZU_OPT_TCP_ACCEPT_FILTER, "localhost"), -EINVAL);
    cr_assert_eq(set_text(type, ZU_OPT_TCP_ACCEPT_FILTER, "::1"), -EINVAL);
    cr_assert_eq(set_int(type, ZU_OPT_IPV6, 1), 0);
    cr_assert_eq(set_text(type, ZU_OPT_TCP_ACCEPT_FILTER, "::1"), 0);
    cr_assert_eq(options.tcp_accept.count, 3);
    cr_assert_eq(zu_option_set(&options, type, ZU_OPT_TCP_ACCEPT_FILTER, NULL, 0), 0);
    cr_assert_eq(options.tcp_accept.count, 0);
    static const struct {
        int number;
        enum zu_ipc_filter_kind kind;
    } ipc[] = {{ZU_OPT_IPC_FILTER_PID, ZU_IPC_FILTER_PID},
               {ZU_OPT_IPC_FILTER_UID, ZU_IPC_FILTER_UID},
               {ZU_OPT_IPC_FILTER_GID, ZU_IPC_FILTER_GID}};
    for (size_t i = 0; i < COUNT(ipc); i++) {
        const struct zu_ipc_filter_list *list = &options.ipc_accept.lists[ipc[i].kind];
        char value[8] = {0};
        size_t size = 4;
        cr_assert_eq(set_int(type, ipc[i].number, -2), 0);
        cr_assert_eq(set_int(type, ipc[i].number, 5), 0);
        cr_assert_eq(list->count, 2);
        cr_assert_eq(list->ids[1], 5);
        cr_assert_eq(zu_option_set(&options, type, ipc[i].number, value, 8), -EINVAL);
        cr_assert_eq(zu_option_set(&options, type, ipc[i].number, value, 0), -EINVAL);
        cr_assert_eq(get(type, ipc[i].number, value, &size), -EINVAL);
        cr_assert_eq(list->count, 2);
        cr_assert_eq(zu_option_set(&options, type, ipc[i].number, NULL, 0), 0);
        cr_assert_eq(list->count, 0);
    }
    zu_options_fini(&options);
}

Test(option, metadata)
{
    unsigned type = ZU_SOCKET_PUSH;
    static char long_name[300];
    start(type);
    static const char *const bad[] = {"",       ":",       "X",      "X-",  "name:value", "x-name:value",
                                      "X-name", "X-name:", ":value", "X-:a" /* four bytes */};
    for (size_t i = 0; i < COUNT(bad); i++)
        cr_assert_eq(set_text(type, ZU_OPT_METADATA, bad[i]), -EINVAL, "%s", bad[i]);
    cr_assert_eq(zu_option_set(&options, type, ZU_OPT_METADATA, NULL, 0), -EINVAL);
    cr_assert_eq(zu_option_set(&options, type, ZU_OPT_METADATA, "X-a\0b:c", 7), -EINVAL);
    memset(long_name, 'n', sizeof(long_name));
    memcpy(long_name, "X-", 2);
    memcpy(long_name + 256, ":value", 7);
    cr_assert_eq(set_text(type, ZU_OPT_METADATA, long_name), -EINVAL);
    cr_assert_eq(options.metadata.size, 0);
    cr_assert_eq(set_text(type, ZU_OPT_METADATA, "X-name:va:lue"), 0);
    cr_assert_eq(set_text(type, ZU_OPT_METADATA, long_name + 1), -EINVAL, "no X- any more");
    memcpy(long_name + 1, "X-", 2);
    cr_assert_eq(set_text(type, ZU_OPT_METADATA, long_name + 1), 0);
    const uint8_t *at = options.metadata.data, *end = at + options.metadata.size;
    struct zu_property property;
    cr_assert_eq(zu_property_next(&at, end, &property), 1);
    cr_assert(property.name_size == 6 && memcmp(property.name, "X-name", 6) == 0);
    cr_assert(property.value_size == 6 && memcmp(property.value, "va:lue", 6) == 0);
    cr_assert_eq(zu_property_next(&at, end, &property), 1);
    cr_assert_eq(property.name_size, 255);
    cr_assert_eq(zu_property_next(&at, end, &property), 0);
    zu_options_fini(&options);
}

Test(option, metadata_is_bounded)
{
    static char text[4096] = "X-name:";
    memset(text + 7, 'v', sizeof(text) - 7);
    start(ZU_SOCKET_PUSH);
    int error = 0, count = 0;
    for (; count < 100 && !error; count++)
        error = zu_option_set(&options, ZU_SOCKET_PUSH, ZU_OPT_METADATA, text, sizeof(text));
    cr_assert_eq(error, -EINVAL);
    cr_assert_leq(options.metadata.size, ZU_METADATA_SIZE_MAX);
    cr_assert_gt(count, 10);
    zu_options_fini(&options);
}

/* Something in every field that is not a plain number. */
static void fill(unsigned type)
{
    start(type);
    for (size_t i = 0; i < COUNT(texts); i++) {
        if (texts[i].types >> type & 1)
            cr_assert_eq(set_text(type, texts[i].number, "some bytes"), 0, "%d", texts[i].number);
    }
    cr_assert_eq(set_text(type, ZU_OPT_METADATA, "X-name:value"), 0);
    cr_assert_eq(set_text(type, ZU_OPT_TCP_ACCEPT_FILTER, "127.0.0.1/8"), 0);
    cr_assert_eq(set_int(type, ZU_OPT_IPC_FILTER_UID, 5), 0);
    cr_assert_eq(set_text(type, ZU_OPT_CURVE_SECRETKEY, key_text), 0);
    cr_assert_eq(set_int(type, ZU_OPT_SNDHWM, 77), 0);
    cr_assert_eq(zu_option_bytes_set(&options.last_endpoint, "inproc://a", 10), 0);
}

Test(option, copy_is_its_own)
{
    for (unsigned type = 0; type < ZU_SOCKET_TYPE_COUNT; type++) {
        struct zu_options copy;
        fill(type);
        cr_assert_eq(zu_options_copy(&copy, &options), 0);
        cr_assert_neq(copy.routing_id.data, options.routing_id.data);
        cr_assert_neq(copy.metadata.data, options.metadata.data);
        zu_options_fini(&options);
        zu_options_fini(&options); /* does no harm */
        cr_assert_str_eq((char *)copy.routing_id.data, "some bytes");
        cr_assert_str_eq((char *)copy.last_endpoint.data, "inproc://a");
        cr_assert_eq(copy.metadata.size, zu_property_size(6, 5));
        cr_assert_eq(copy.tcp_accept.count, 1);
        cr_assert_eq(copy.ipc_accept.lists[ZU_IPC_FILTER_UID].ids[0], 5);
        cr_assert_eq(memcmp(copy.curve_secret_key, key_bytes, 32), 0);
        cr_assert_eq(copy.send_hwm, 77);
        cr_assert_eq(copy.mechanism, ZU_SECURITY_CURVE);
        zu_options_fini(&copy);
    }
}

Test(option, no_memory)
{
    struct zu_options copy;
    fill(ZU_SOCKET_ROUTER);
    unsigned failures = 0;
    int error;
    do {
        zu_alloc_fail_from = ++failures;
        error = zu_options_copy(&copy, &options);
        zu_alloc_fail_from = 0;
        cr_assert(error == 0 || error == -ENOMEM);
    } while (error && failures < 100);
    cr_assert_eq(error, 0);
    cr_assert_gt(failures, 10, "one for each field that owns bytes");
    zu_options_fini(&copy);
    zu_alloc_fail_from = 1;
    int text_error = set_text(ZU_SOCKET_ROUTER, ZU_OPT_ROUTING_ID, "other");
    int metadata_error = set_text(ZU_SOCKET_ROUTER, ZU_OPT_METADATA, "X-other:value");
    int plain_error = set_text(ZU_SOCKET_ROUTER, ZU_OPT_PLAIN_USERNAME, "other");
    zu_alloc_fail_from = 0;
    cr_assert_eq(text_error, -ENOMEM);
    cr_assert_eq(metadata_error, -ENOMEM);
    cr_assert_eq(plain_error, -ENOMEM);
    cr_assert_str_eq((char *)options.routing_id.data, "some bytes");
    cr_assert_str_eq((char *)options.plain_username.data, "some bytes");
    cr_assert_eq(options.mechanism, ZU_SECURITY_CURVE);
    cr_assert_eq(options.metadata.size, zu_property_size(6, 5));
    zu_options_fini(&options);
}

Test(option, own_bytes_may_be_set_again)
{
    start(ZU_SOCKET_DEALER);
    cr_assert_eq(set_text(ZU_SOCKET_DEALER, ZU_OPT_ROUTING_ID, "abcdef"), 0);
    cr_assert_eq(zu_option_bytes_set(&options.routing_id, options.routing_id.data + 2, 3), 0);
    cr_assert_str_eq((char *)options.routing_id.data, "cde");
    zu_options_fini(&options);
}
