/* SPDX-License-Identifier: MIT */
#include "link/ipc_path.h"

/*
 * Happy path: the text becomes sun_path as it stands; '@' in front becomes the NUL of the abstract name space, whose
 * names end where the size says. A wildcard is mkdtemp's directory plus "/socket", and is all that cleanup removes:
 * the directory is found again by cutting the path, so nothing else need be remembered.
 *
 * How it fails: lengths are checked before anything is made, so no directory is left behind by a refusal. A file that
 * cannot be removed is left to bind(2), which says EADDRINUSE. A relative wildcard is lost if the process changes its
 * directory before cleanup.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SOCKET_NAME "/socket"

static const size_t path_offset = offsetof(struct sockaddr_un, sun_path);
static const size_t path_size_max = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;

static void path_set(struct zu_ipc_path *path, const char *text, size_t size, bool is_abstract)
{
    memset(path, 0, sizeof(*path));
    path->address.sun_family = AF_UNIX;
    memcpy(path->address.sun_path, text, size);
    if (is_abstract)
        path->address.sun_path[0] = '\0';
    path->size = (socklen_t)(path_offset + size + !is_abstract);
}

int zu_ipc_path_parse(const char *text, struct zu_ipc_path *ret_path)
{
    size_t size = strlen(text);
    if (!size || !strcmp(text, "@"))
        return -EINVAL;
    if (size > path_size_max)
        return -ENAMETOOLONG;
    path_set(ret_path, text, size, text[0] == '@');
    return 0;
}

/* Ends in '/', unless it is the current directory: "". */
static int temporary_parent(char *ret_parent, size_t size)
{
    static const char *const names[] = {"TMPDIR", "TEMPDIR", "TMP"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *value = getenv(names[i]);
        struct stat status;
        if (!value || stat(value, &status) < 0 || !S_ISDIR(status.st_mode))
            continue;
        const char *slash = value[strlen(value) - 1] == '/' ? "" : "/";
        return (size_t)snprintf(ret_parent, size, "%s%s", value, slash) < size ? 0 : -ENAMETOOLONG;
    }
    ret_parent[0] = '\0';
    return 0;
}

static int temporary_make(struct zu_ipc_path *ret_path)
{
    char parent[sizeof(ret_path->address.sun_path)];
    char path[sizeof(parent) + 32];
    int error = temporary_parent(parent, sizeof(parent));
    if (error)
        return error;
    size_t directory_size = (size_t)snprintf(path, sizeof(path), "%stmpXXXXXX", parent);
    if (directory_size + strlen(SOCKET_NAME) > path_size_max)
        return -ENAMETOOLONG;
    if (!mkdtemp(path))
        return -errno;
    memcpy(path + directory_size, SOCKET_NAME, sizeof(SOCKET_NAME));
    path_set(ret_path, path, strlen(path), false);
    ret_path->is_temporary = true;
    return 0;
}

int zu_ipc_path_prepare(const char *text, struct zu_ipc_path *ret_path)
{
    if (text[0] == '*')
        return temporary_make(ret_path);
    int error = zu_ipc_path_parse(text, ret_path);
    if (!error && ret_path->address.sun_path[0])
        unlink(ret_path->address.sun_path);
    return error;
}

int zu_ipc_path_cleanup(struct zu_ipc_path *path)
{
    if (!path->is_temporary)
        return 0;
    path->is_temporary = false;
    int error = unlink(path->address.sun_path) < 0 ? -errno : 0;
    char directory[sizeof(path->address.sun_path)];
    memcpy(directory, path->address.sun_path, sizeof(directory));
    *strrchr(directory, '/') = '\0';
    if (rmdir(directory) < 0 && !error)
        error = -errno;
    return error;
}

int zu_ipc_path_format(const struct sockaddr_un *address, socklen_t address_size, char *ret_text, size_t size)
{
    if (address_size < path_offset || address->sun_family != AF_UNIX)
        return -EAFNOSUPPORT;
    size_t path_size = address_size - path_offset;
    if (path_size > path_size_max + 1)
        path_size = path_size_max + 1;
    const char *path = address->sun_path;
    const char *at = "";
    if (path_size > 1 && !path[0]) {
        at = "@";
        path++;
        path_size--;
    }
    char text[ZU_IPC_TEXT_MAX];
    size_t length = (size_t)snprintf(text, sizeof(text), "ipc://%s%.*s", at, (int)path_size, path);
    if (length >= size)
        return -ENOBUFS;
    memcpy(ret_text, text, length + 1);
    return 0;
}
