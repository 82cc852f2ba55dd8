/* SPDX-License-Identifier: MIT */
/*
 * The part of Criterion that zuring's tests use, for sanitized builds. Criterion's own runner maps its arena where the
 * thread sanitizer keeps its shadow, and takes no notice of a test that ends with a report of leaks.
 * This one forks each test in turn and looks at how it exits: a test fails by an assertion, a signal, a report of a
 * sanitizer, or by overrunning its time. It closes with Criterion's own line.
 */
#ifndef ZU_TESTS_SERIAL_CRITERION_H
#define ZU_TESTS_SERIAL_CRITERION_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a Test or TestSuite may say about itself. */
struct serial_options {
    void (*init)(void);      /* before the test */
    void (*fini)(void);      /* after it */
    int signal;              /* that must end it */
    int exit_code;           /* that it must exit with */
    bool disabled;           /* not run */
    double timeout;          /* seconds; 0: SERIAL_TIMEOUT_S */
    const char *description; /* for the reader */
};

/* One Test. */
struct serial_test {
    const char *suite;                    /* its suite */
    const char *name;                     /* its name */
    void (*run)(void);                    /* its body */
    const struct serial_options *options; /* its own */
    struct serial_test *next;             /* in order of registration */
};

/* A TestSuite's options by name; filled by constructors, read by main. */
struct serial_suite {
    const char *name;                     /* of the suite */
    const struct serial_options *options; /* for each of its tests */
    struct serial_suite *next;            /* in order of registration */
};

enum { SERIAL_TIMEOUT_S = 60 };

static struct serial_test *serial_tests;
static struct serial_suite *serial_suites;
static bool serial_failed;

static inline const struct serial_options *serial_suite_options(const char *name)
{
    static const struct serial_options none;
    for (const struct serial_suite *suite = serial_suites; suite != NULL; suite = suite->next)
        if (strcmp(suite->name, name) == 0)
            return suite->options;
    return &none;
}

static inline _Noreturn void serial_child(const struct serial_test *test, const struct serial_options *suite)
{
    double timeout = test->options->timeout > 0 ? test->options->timeout : suite->timeout;
    /* Sanitizers slow a test down several times. */
    alarm(timeout > 0 ? (unsigned)(timeout * 4) + 1 : SERIAL_TIMEOUT_S);
    void (*init)(void) = test->options->init != NULL ? test->options->init : suite->init;
    void (*fini)(void) = test->options->fini != NULL ? test->options->fini : suite->fini;
    if (init != NULL)
        init();
    test->run();
    if (fini != NULL)
        fini();
    exit(serial_failed ? 1 : 0);
}

static inline bool serial_test_passes(const struct serial_test *test)
{
    const struct serial_options *suite = serial_suite_options(test->suite);
    int status = 0;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        serial_child(test, suite);
    if (child < 0 || waitpid(child, &status, 0) != child)
        return false;
    bool passes = test->options->signal != 0 ? WIFSIGNALED(status) && WTERMSIG(status) == test->options->signal
                                             : WIFEXITED(status) && WEXITSTATUS(status) == test->options->exit_code;
    if (!passes)
        fprintf(stderr, "[FAIL] %s::%s (%s %d)\n", test->suite, test->name, WIFSIGNALED(status) ? "signal" : "exit",
                WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    return passes;
}

int main(void)
{
    unsigned tested = 0, failing = 0;
    for (const struct serial_test *test = serial_tests; test != NULL; test = test->next) {
        if (test->options->disabled || serial_suite_options(test->suite)->disabled)
            continue;
        tested++;
        if (!serial_test_passes(test))
            failing++;
    }
    fprintf(stderr, "[====] Synthesis: Tested: %u | Passing: %u | Failing: %u | Crashing: 0\n", tested,
            tested - failing, failing);
    return failing != 0;
}

#define SERIAL_REGISTER(list, entry)                                                                                   \
    __attribute__((constructor)) static void entry##_register(void)                                                    \
    {                                                                                                                  \
        __typeof__(list) *last = &(list);                                                                              \
        while (*last != NULL)                                                                                          \
            last = &(*last)->next;                                                                                     \
        *last = &(entry);                                                                                              \
    }

#define Test(suite_name, test_name, ...)                                                                               \
    static void suite_name##_##test_name##_run(void);                                                                  \
    static const struct serial_options suite_name##_##test_name##_options = {__VA_ARGS__};                             \
    static struct serial_test suite_name##_##test_name##_test = {.suite = #suite_name,                                 \
                                                                 .name = #test_name,                                   \
                                                                 .run = suite_name##_##test_name##_run,                \
                                                                 .options = &suite_name##_##test_name##_options};      \
    SERIAL_REGISTER(serial_tests, suite_name##_##test_name##_test)                                                     \
    static void suite_name##_##test_name##_run(void)

#define TestSuite(suite_name, ...)                                                                                     \
    static const struct serial_options suite_name##_suite_options = {__VA_ARGS__};                                     \
    static struct serial_suite suite_name##_suite = {.name = #suite_name, .options = &suite_name##_suite_options};     \
    SERIAL_REGISTER(serial_suites, suite_name##_suite)                                                                 \
    extern int suite_name##_suite_end

__attribute__((format(printf, 5, 6))) static inline bool serial_check(bool holds, const char *file, int line,
                                                                      const char *text, const char *format, ...)
{
    if (holds)
        return true;
    serial_failed = true;
    fprintf(stderr, "%s:%d: %s:", file, line, text);
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return false;
}

/* The leading " " makes the message optional. */
#define SERIAL_EXPECT(holds, text, ...) serial_check((holds), __FILE__, __LINE__, text, " " __VA_ARGS__)
#define SERIAL_ASSERT(holds, text, ...)                                                                                \
    do {                                                                                                               \
        if (!SERIAL_EXPECT(holds, text, __VA_ARGS__))                                                                  \
            _exit(1);                                                                                                  \
    } while (0)
#define SERIAL_COMPARE(check, a, operator, b, ...) check((a) operator(b), #a " " #operator" " #b, __VA_ARGS__)

#define cr_assert(holds, ...) SERIAL_ASSERT(holds, #holds, __VA_ARGS__)
#define cr_assert_not(holds, ...) SERIAL_ASSERT(!(holds), "!" #holds, __VA_ARGS__)
#define cr_assert_eq(a, b, ...) SERIAL_COMPARE(SERIAL_ASSERT, a, ==, b, __VA_ARGS__)
#define cr_assert_neq(a, b, ...) SERIAL_COMPARE(SERIAL_ASSERT, a, !=, b, __VA_ARGS__)
#define cr_assert_lt(a, b, ...) SERIAL_COMPARE(SERIAL_ASSERT, a, <, b, __VA_ARGS__)
#define cr_assert_leq(a, b, ...) SERIAL_COMPARE(SERIAL_ASSERT, a, <=, b, __VA_ARGS__)
#define cr_assert_gt(a, b, ...) SERIAL_COMPARE(SERIAL_ASSERT, a, >, b, __VA_ARGS__)
#define cr_assert_geq(a, b, ...) SERIAL_COMPARE(SERIAL_ASSERT, a, >=, b, __VA_ARGS__)
#define cr_assert_null(a, ...) SERIAL_COMPARE(SERIAL_ASSERT, a, ==, NULL, __VA_ARGS__)
#define cr_assert_not_null(a, ...) SERIAL_COMPARE(SERIAL_ASSERT, a, !=, NULL, __VA_ARGS__)
#define cr_assert_str_eq(a, b, ...) SERIAL_ASSERT(strcmp(a, b) == 0, #a " == " #b, __VA_ARGS__)
#define cr_assert_str_neq(a, b, ...) SERIAL_ASSERT(strcmp(a, b) != 0, #a " != " #b, __VA_ARGS__)
#define cr_assert_arr_eq(a, b, size, ...) SERIAL_ASSERT(memcmp(a, b, size) == 0, #a " == " #b, __VA_ARGS__)
#define cr_assert_arr_neq(a, b, size, ...) SERIAL_ASSERT(memcmp(a, b, size) != 0, #a " != " #b, __VA_ARGS__)
#define cr_assert_fail(...) SERIAL_ASSERT(false, "failed", __VA_ARGS__)
#define cr_fatal cr_assert_fail

#define cr_expect(holds, ...) SERIAL_EXPECT(holds, #holds, __VA_ARGS__)
#define cr_expect_not(holds, ...) SERIAL_EXPECT(!(holds), "!" #holds, __VA_ARGS__)
#define cr_expect_eq(a, b, ...) SERIAL_COMPARE(SERIAL_EXPECT, a, ==, b, __VA_ARGS__)
#define cr_expect_neq(a, b, ...) SERIAL_COMPARE(SERIAL_EXPECT, a, !=, b, __VA_ARGS__)
#define cr_expect_lt(a, b, ...) SERIAL_COMPARE(SERIAL_EXPECT, a, <, b, __VA_ARGS__)
#define cr_expect_leq(a, b, ...) SERIAL_COMPARE(SERIAL_EXPECT, a, <=, b, __VA_ARGS__)
#define cr_expect_gt(a, b, ...) SERIAL_COMPARE(SERIAL_EXPECT, a, >, b, __VA_ARGS__)
#define cr_expect_geq(a, b, ...) SERIAL_COMPARE(SERIAL_EXPECT, a, >=, b, __VA_ARGS__)
#define cr_expect_null(a, ...) SERIAL_COMPARE(SERIAL_EXPECT, a, ==, NULL, __VA_ARGS__)
#define cr_expect_not_null(a, ...) SERIAL_COMPARE(SERIAL_EXPECT, a, !=, NULL, __VA_ARGS__)
#define cr_expect_str_eq(a, b, ...) SERIAL_EXPECT(strcmp(a, b) == 0, #a " == " #b, __VA_ARGS__)
#define cr_expect_arr_eq(a, b, size, ...) SERIAL_EXPECT(memcmp(a, b, size) == 0, #a " == " #b, __VA_ARGS__)
#define cr_expect_fail(...) SERIAL_EXPECT(false, "failed", __VA_ARGS__)

#define cr_log_info(...) SERIAL_LOG(__VA_ARGS__)
#define cr_log_warn(...) SERIAL_LOG(__VA_ARGS__)
#define cr_log_error(...) SERIAL_LOG(__VA_ARGS__)
#define SERIAL_LOG(...) (fprintf(stderr, __VA_ARGS__), fputc('\n', stderr))

#define cr_skip_test(...)                                                                                              \
    do {                                                                                                               \
        SERIAL_LOG("skipped: " __VA_ARGS__);                                                                           \
        exit(0);                                                                                                       \
    } while (0)

#endif
