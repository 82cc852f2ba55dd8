/* SPDX-License-Identifier: MIT */
#include "link/ipc_path.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define OFFSET offsetof(struct sockaddr_un, sun_path)

static char room[] = "/tmp/zuXXXXXX"; /* the current directory of each test */

static void room_enter(void)
{
    cr_assert_not_null(mkdtemp(room));
    cr_assert_eq(chdir(room), 0);
    unsetenv("TMPDIR");
    unsetenv("TEMPDIR");
    unsetenv("TMP");
}

/* Fails if a test left anything behind. */
static void room_leave(void)
{
    cr_assert_eq(chdir("/"), 0);
    cr_expect_eq(rmdir(room), 0, "not empty: %s", room);
}

TestSuite(ipc_path, .init = room_enter, .fini = room_leave);

struct parse_row {
    const char *text;
    int error;
    socklen_t size; /* of the address, without its offset */
};

Test(ipc_path, parse)
{
    char text[120];
    static const struct parse_row rows[] = {
        {"/tmp/x", 0, 7}, {"rel", 0, 4},    {"./rel", 0, 6},   {"*", 0, 2},  {"a*", 0, 3},
        {"@x", 0, 2},     {"@@", 0, 2},     {"@*", 0, 2},      {"a@", 0, 3}, {"/", 0, 2},
        {" ", 0, 2},      {"", -EINVAL, 0}, {"@", -EINVAL, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct zu_ipc_path path = {.size = 12345};
        int rc = zu_ipc_path_parse(rows[i].text, &path);
        cr_expect_eq(rc, rows[i].error, "'%s': %d", rows[i].text, rc);
        cr_expect_eq(path.size, rc ? 12345 : OFFSET + rows[i].size, "'%s': %u", rows[i].text, path.size);
        if (rc)
            continue;
        cr_expect_not(path.is_temporary);
        char formatted[ZU_IPC_TEXT_MAX];
        cr_expect_eq(zu_ipc_path_format(&path.address, path.size, formatted, sizeof(formatted)), 0);
        snprintf(text, sizeof(text), "ipc://%s", rows[i].text);
        cr_expect_str_eq(formatted, text);
    }
}

Test(ipc_path, length_limit)
{
    for (size_t size = 106; size < 110; size++) {
        for (int is_abstract = 0; is_abstract < 2; is_abstract++) {
            char text[128] = {0};
            memset(text, 'a', size);
            if (is_abstract)
                text[0] = '@';
            struct zu_ipc_path path;
            int rc = zu_ipc_path_parse(text, &path);
            cr_expect_eq(rc, size <= 107 ? 0 : -ENAMETOOLONG, "%zu: %d", size, rc);
            if (rc)
                continue;
            char formatted[ZU_IPC_TEXT_MAX];
            cr_expect_eq(zu_ipc_path_format(&path.address, path.size, formatted, sizeof(formatted)), 0);
            cr_expect_str_eq(formatted + strlen("ipc://"), text);
        }
    }
}

/* Binds and asks the kernel for the name, as a listener does. */
static void expect_bound(const struct zu_ipc_path *path, const char *expected)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(fd, (const struct sockaddr *)&path->address, path->size), 0, "%s: %s", expected, strerror(errno));
    struct sockaddr_un name;
    socklen_t size = sizeof(name);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&name, &size), 0);
    char text[ZU_IPC_TEXT_MAX];
    cr_expect_eq(zu_ipc_path_format(&name, size, text, sizeof(text)), 0);
    cr_expect_str_eq(text, expected);
    close(fd);
}

Test(ipc_path, kernel_agrees)
{
    struct zu_ipc_path path;
    char name[64];
    cr_assert_eq(zu_ipc_path_parse("here", &path), 0);
    expect_bound(&path, "ipc://here");
    unlink("here");
    snprintf(name, sizeof(name), "ipc://@zuring-%d", (int)getpid());
    cr_assert_eq(zu_ipc_path_parse(name + strlen("ipc://"), &path), 0);
    expect_bound(&path, name);
    char full[108] = {0};
    memset(full, 'f', 107);
    cr_assert_eq(zu_ipc_path_parse(full, &path), 0);
    char expected[ZU_IPC_TEXT_MAX];
    snprintf(expected, sizeof(expected), "ipc://%s", full);
    expect_bound(&path, expected);
    unlink(full);
}

Test(ipc_path, prepare_removes_what_is_in_the_way)
{
    struct zu_ipc_path path;
    close(open("name", O_CREAT | O_WRONLY, 0600));
    close(open("@name", O_CREAT | O_WRONLY, 0600));
    cr_expect_eq(zu_ipc_path_prepare("name", &path), 0);
    cr_expect_eq(access("name", F_OK), -1);
    cr_expect_eq(zu_ipc_path_prepare("@name", &path), 0);
    cr_expect_eq(access("@name", F_OK), 0, "an abstract name is no file");
    unlink("@name");
    cr_expect_eq(zu_ipc_path_prepare("@", &path), -EINVAL);

    cr_assert_eq(zu_ipc_path_prepare("name", &path), 0);
    expect_bound(&path, "ipc://name");
    cr_expect_eq(zu_ipc_path_cleanup(&path), 0);
    cr_expect_eq(access("name", F_OK), 0, "only a temporary socket is removed");
    unlink("name");
}

static void expect_temporary(const char *text, const char *parent)
{
    struct zu_ipc_path path;
    cr_assert_eq(zu_ipc_path_prepare(text, &path), 0);
    cr_expect(path.is_temporary);
    const char *name = path.address.sun_path;
    cr_expect_eq(strncmp(name, parent, strlen(parent)), 0, "%s", name);
    char rest[32];
    snprintf(rest, sizeof(rest), "%s", name + strlen(parent));
    cr_expect_eq(strlen(rest), strlen("tmpXXXXXX/socket"), "%s", name);
    cr_expect_eq(strncmp(rest, "tmp", 3), 0, "%s", name);
    cr_expect_str_eq(rest + 9, "/socket", "%s", name);

    char directory[sizeof(path.address.sun_path)];
    snprintf(directory, sizeof(directory), "%s", name);
    *strrchr(directory, '/') = '\0';
    struct stat status;
    cr_assert_eq(stat(directory, &status), 0);
    cr_expect_eq(status.st_mode & 07777, 0700);

    char expected[ZU_IPC_TEXT_MAX];
    snprintf(expected, sizeof(expected), "ipc://%s", name);
    expect_bound(&path, expected);
    cr_expect_eq(zu_ipc_path_cleanup(&path), 0);
    cr_expect_eq(access(directory, F_OK), -1);
    cr_expect_eq(zu_ipc_path_cleanup(&path), 0, "twice is harmless");
}

Test(ipc_path, wildcard)
{
    char parent[64];
    expect_temporary("*", "");
    expect_temporary("*x", "");
    mkdir("d1", 0700);
    mkdir("d2", 0700);
    mkdir("@d", 0700);
    setenv("TMP", "d1", 1);
    expect_temporary("*", "d1/");
    setenv("TEMPDIR", "d2/", 1);
    expect_temporary("*", "d2/");
    snprintf(parent, sizeof(parent), "%s/d1", room);
    setenv("TMPDIR", parent, 1);
    strcat(parent, "/");
    expect_temporary("*", parent);
    setenv("TMPDIR", "", 1);
    expect_temporary("*", "d2/");
    setenv("TMPDIR", "missing", 1);
    expect_temporary("*", "d2/");
    setenv("TMPDIR", "/etc/passwd", 1);
    expect_temporary("*", "d2/");
    setenv("TMPDIR", "@d", 1);
    expect_temporary("*", "@d/");
    rmdir("d1");
    rmdir("d2");
    rmdir("@d");
}

Test(ipc_path, wildcard_too_long)
{
    for (size_t size = 80; size < 120; size++) {
        char directory[128] = {0};
        memset(directory, 'd', size);
        cr_assert_eq(mkdir(directory, 0700), 0);
        setenv("TMPDIR", directory, 1);
        struct zu_ipc_path path = {.size = 12345};
        int rc = zu_ipc_path_prepare("*", &path);
        cr_expect_eq(rc, size + strlen("/tmpXXXXXX/socket") <= 107 ? 0 : -ENAMETOOLONG, "%zu: %d", size, rc);
        cr_expect(rc == 0 || path.size == 12345);
        if (rc == 0)
            cr_expect_eq(zu_ipc_path_cleanup(&path), -ENOENT, "the socket was never bound");
        cr_expect_eq(rmdir(directory), 0, "left behind with %zu", size);
    }
}

Test(ipc_path, format_limits)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "abc"};
    char text[ZU_IPC_TEXT_MAX] = "before";
    cr_expect_eq(zu_ipc_path_format(&address, OFFSET + 4, text, strlen("ipc://abc")), -ENOBUFS);
    cr_expect_str_eq(text, "before");
    cr_expect_eq(zu_ipc_path_format(&address, OFFSET + 4, text, strlen("ipc://abc") + 1), 0);
    cr_expect_str_eq(text, "ipc://abc");
    cr_expect_eq(zu_ipc_path_format(&address, OFFSET + 2, text, sizeof(text)), 0);
    cr_expect_str_eq(text, "ipc://ab", "the size ends the path");
    cr_expect_eq(zu_ipc_path_format(&address, OFFSET, text, sizeof(text)), 0);
    cr_expect_str_eq(text, "ipc://", "unnamed");
    cr_expect_eq(zu_ipc_path_format(&address, 1, text, sizeof(text)), -EAFNOSUPPORT);
    address.sun_family = AF_INET;
    cr_expect_eq(zu_ipc_path_format(&address, sizeof(address), text, sizeof(text)), -EAFNOSUPPORT);
    memset(address.sun_path, 'p', sizeof(address.sun_path));
    address.sun_family = AF_UNIX;
    cr_expect_eq(zu_ipc_path_format(&address, sizeof(address), text, sizeof(text)), 0);
    cr_expect_eq(strlen(text), strlen("ipc://") + sizeof(address.sun_path));
    /* Linux reports one byte more for a path without room for its NUL. */
    cr_expect_eq(zu_ipc_path_format(&address, sizeof(address) + 1, text, sizeof(text)), 0);
    cr_expect_eq(strlen(text), strlen("ipc://") + sizeof(address.sun_path));
}

Test(ipc_path, random_text)
{
    unsigned seed = (unsigned)time(NULL);
    fprintf(stderr, "ipc_path seed %u\n", seed);
    for (int round = 0; round < 20000; round++) {
        size_t size = (size_t)rand_r(&seed) % 130;
        char *text = malloc(size + 1);
        for (size_t i = 0; i < size; i++)
            text[i] = (char)(rand_r(&seed) % 4 ? rand_r(&seed) % 255 + 1 : "@*/"[rand_r(&seed) % 3]);
        text[size] = '\0';
        struct zu_ipc_path path;
        int rc = zu_ipc_path_parse(text, &path);
        cr_assert(rc == 0 || rc == -EINVAL || rc == -ENAMETOOLONG);
        char formatted[ZU_IPC_TEXT_MAX];
        if (rc == 0) {
            cr_assert_eq(zu_ipc_path_format(&path.address, path.size, formatted, sizeof(formatted)), 0);
            cr_assert_str_eq(formatted + strlen("ipc://"), text);
        }
        free(text);
    }
}
