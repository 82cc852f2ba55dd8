/* SPDX-License-Identifier: MIT */
/*
 * zuring keygen FILE: a fresh CURVE key pair into FILE, which its owner alone may read, and the public key alone into
 * FILE.pub; both are certificates (ZPL) that pyzmq and czmq load. Only when both are on the disk is the public key shown.
 * Whatever fails, the files that were there are left as they are and none of the new ones stays behind: existing names
 * are refused by the kernel (O_EXCL), also when they are links that lead nowhere.
 */
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "zmq.h"

enum { KEY_TEXT_SIZE = 41, CERTIFICATE_SIZE = 512 };

/* Wiped as soon as the secret is on the disk. */
struct pair {
    char public_key[KEY_TEXT_SIZE]; /* Z85, as below */
    char secret_key[KEY_TEXT_SIZE];
    char text[CERTIFICATE_SIZE]; /* the certificate that is being written */
};

struct file {
    char path[PATH_MAX]; /* where */
    int fd;              /* open for writing; -1: we have not made it */
};

static const char usage[] =
    "usage: zuring keygen [-q] FILE\n"
    "\n"
    "Makes a CURVE key pair: both keys into FILE, which nobody else may read, and the public one into FILE.pub, for those\n"
    "who are to talk to you. Neither is ever overwritten. Shows the public key (Z85), unless -q. In Python,\n"
    "zmq.auth.load_certificate(FILE) gives (public, secret).\n"
    "\n"
    "  -q, --quiet  shows nothing\n"
    "  -h, --help   this\n";

static int complain(const char *what, const char *path)
{
    fprintf(stderr, "zuring keygen: %s %s: %s\n", what, path, strerror(errno));
    return -1;
}

static int file_make(struct file *file, mode_t mode)
{
    file->fd = open(file->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (file->fd >= 0)
        return 0;
    if (errno != EEXIST)
        return complain("cannot make", file->path);
    fprintf(stderr, "zuring keygen: %s is there already, and is not overwritten\n", file->path);
    return -1;
}

static int file_write(struct file *file, const char *text)
{
    for (size_t left = strlen(text); left > 0;) {
        ssize_t step = write(file->fd, text, left);
        if (step < 0 && errno == EINTR)
            continue;
        if (step < 0)
            return complain("cannot write", file->path);
        text += step;
        left -= (size_t)step;
    }
    return fsync(file->fd) < 0 ? complain("cannot write", file->path) : 0;
}

static void file_drop(struct file *file)
{
    if (file->fd < 0)
        return;
    unlink(file->path);
    close(file->fd);
    file->fd = -1;
}

static int file_close(struct file *file)
{
    int fd = file->fd;
    file->fd = -1;
    if (close(fd) == 0)
        return 0;
    complain("cannot write", file->path);
    unlink(file->path);
    return -1;
}

/* Their names are on the disk too. Where a file system does not do that for folders, it is no fault. */
static void folder_sync(const char *path)
{
    char copy[PATH_MAX];
    snprintf(copy, sizeof copy, "%s", path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)fsync(fd);
    close(fd);
}

static int secret_write(struct file *file, struct pair *pair)
{
    snprintf(pair->text, sizeof pair->text,
             "# CURVE key pair, made by zuring keygen. SECRET: it stays where it is; give away the .pub beside it.\n"
             "metadata\ncurve\n    public-key = \"%s\"\n    secret-key = \"%s\"\n",
             pair->public_key, pair->secret_key);
    return file_write(file, pair->text);
}

static int public_write(struct file *file, struct pair *pair)
{
    snprintf(pair->text, sizeof pair->text,
             "# CURVE public key, made by zuring keygen.\nmetadata\ncurve\n    public-key = \"%s\"\n", pair->public_key);
    return file_write(file, pair->text);
}

static int pair_keep(struct pair *pair, const char *path)
{
    struct file secret = {.fd = -1}, public = {.fd = -1};
    int size = snprintf(secret.path, sizeof secret.path, "%s", path);
    int public_size = snprintf(public.path, sizeof public.path, "%s.pub", path);
    if (size <= 0 || public_size >= (int)sizeof public.path) {
        errno = size <= 0 ? ENOENT : ENAMETOOLONG;
        return complain("cannot make", path);
    }
    bool made = file_make(&secret, 0600) == 0 && file_make(&public, 0644) == 0 && secret_write(&secret, pair) == 0 &&
                public_write(&public, pair) == 0;
    if (made && file_close(&secret) == 0 && file_close(&public) == 0) {
        folder_sync(path);
        return 0;
    }
    if (made) /* the last of it failed */
        unlink(secret.path);
    file_drop(&secret);
    file_drop(&public);
    return -1;
}

static int make(const char *path, bool quiet)
{
    struct pair pair;
    if (zmq_curve_keypair(pair.public_key, pair.secret_key) < 0) {
        fprintf(stderr, "zuring keygen: no keys: %s\n", zmq_strerror(errno));
        return COMMAND_FAILED;
    }
    int err = pair_keep(&pair, path);
    explicit_bzero(pair.secret_key, sizeof pair.secret_key);
    explicit_bzero(pair.text, sizeof pair.text);
    if (err)
        return COMMAND_FAILED;
    if (!quiet && (puts(pair.public_key) < 0 || fflush(stdout) < 0)) {
        fprintf(stderr, "zuring keygen: the keys are in %s, but cannot be shown: %s\n", path, strerror(errno));
        return COMMAND_FAILED;
    }
    return COMMAND_DONE;
}

int keygen(int argc, char **argv)
{
    static const struct option names[] = {{"quiet", no_argument, NULL, 'q'}, {"help", no_argument, NULL, 'h'}, {0}};
    bool quiet = false;
    for (int name; (name = getopt_long(argc, argv, "qh", names, NULL)) != -1;) {
        if (name == 'h') {
            fputs(usage, stdout);
            return COMMAND_DONE;
        }
        if (name != 'q') {
            fputs(usage, stderr);
            return COMMAND_MISUSED;
        }
        quiet = true;
    }
    if (argc - optind != 1) {
        fputs(usage, stderr);
        return COMMAND_MISUSED;
    }
    return make(argv[optind], quiet);
}
