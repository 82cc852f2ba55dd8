/* SPDX-License-Identifier: MIT */
#ifndef ZU_LINK_IPC_PATH_H
#define ZU_LINK_IPC_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

/* Enough for what zu_ipc_path_format writes: "ipc://", sun_path and NUL. */
#define ZU_IPC_TEXT_MAX 128

struct zu_ipc_path {
    struct sockaddr_un address; /* a file, or an abstract name behind a NUL */
    socklen_t size;             /* bytes of address in use */
    bool is_temporary;          /* the file lies in a directory that was made for it */
};

/*
 * All take what follows "ipc://".
 * For connect, and for bind with a descriptor that listens already: a path, or "@name" for an abstract name.
 * -EINVAL (empty, or only "@"), -ENAMETOOLONG (over 107 bytes).
 */
int zu_ipc_path_parse(const char *text, struct zu_ipc_path *ret_path);

/*
 * For bind: as above, and takes away a file that is in the way. A text that begins with `*` instead makes a directory
 * for this user alone in the first of $TMPDIR, $TEMPDIR and $TMP that is a directory, else in the current one.
 * Also fails as mkdtemp(3) does. Pair with zu_ipc_path_cleanup.
 */
int zu_ipc_path_prepare(const char *text, struct zu_ipc_path *ret_path);

/*
 * Removes a temporary socket and its directory; other files stay, as in libzmq. 0, or the first error of unlink and
 * rmdir. A second call does nothing.
 */
int zu_ipc_path_cleanup(struct zu_ipc_path *path);

/*
 * "ipc:///dir/name" or "ipc://@name" from what getsockname or getpeername gave; "ipc://" for an unnamed socket.
 * -EAFNOSUPPORT if not AF_UNIX, -ENOBUFS if the text does not fit (it fits into ZU_IPC_TEXT_MAX).
 */
int zu_ipc_path_format(const struct sockaddr_un *address, socklen_t address_size, char *ret_text, size_t size);

#endif
