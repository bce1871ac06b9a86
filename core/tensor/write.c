/* SPDX-License-Identifier: Apache-2.0
 *
 * core/tensor: files that appear whole or not at all.
 *
 *     open folder -> create ".NAME.PID-N.tmp" in it -> write ... -> fsync -> close -> rename to NAME -> fsync folder
 *
 *  (1) Until the rename the target is untouched; after it the target is the new file. A crash in between leaves at most
 * a temporary file, never a part of one under the real name. (2) Everything is relative to the folder that was opened
 * first: renaming a parent meanwhile does no harm. (3) The temporary file is created exclusively and is the only thing
 * this code ever deletes. (4) A device, a pipe or a folder is not replaced: as root, renaming over /dev/null would
 * break the machine. (5) The free space is asked first where the size is known, so that a full disk is a message and
 * not a loss of time; the answer is only a hint, and running out later ends in the same state.
 *
 * Source: the practice of SQLite and of git; fsync(2) on why the folder is synced too.
 */
#include "core/tensor/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

struct loci_writer {
    int folder, fd;
    char *path, *name; /* name: behind the last slash, in path */
    char temp[96];     /* "" while there is none */
};

static loci_status fail_errno(const loci_writer *w, loci_error *err, const char *what)
{
    int e = errno;
    if (e == ENOSPC || e == EDQUOT)
        return loci_fail(err, LOCI_E_IO, "%s: %s: the disk is full; nothing was changed, free some space", w->path,
                         what);
    return loci_fail(err, LOCI_E_IO, "%s: %s: %s", w->path, what, strerror(e));
}

static loci_status open_folder(loci_writer *w, loci_error *err)
{
    char *slash = strrchr(w->path, '/');
    w->name = slash ? slash + 1 : w->path;
    if (!*w->name || strcmp(w->name, ".") == 0 || strcmp(w->name, "..") == 0)
        return loci_fail(err, LOCI_E_ARG, "%s: not the name of a file", w->path);
    if (!slash) {
        w->folder = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    } else if (slash == w->path) {
        w->folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    } else {
        *slash = '\0';
        w->folder = open(w->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        *slash = '/';
    }
    return w->folder < 0 ? fail_errno(w, err, "its folder cannot be opened") : LOCI_OK;
}

static loci_status check_target(const loci_writer *w, uint64_t bytes, loci_error *err)
{
    struct stat st;
    struct statvfs fs;
    if (fstatat(w->folder, w->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
        return loci_fail(err, LOCI_E_IO, "%s: exists and is not a regular file", w->path); /* (4) */
    if (bytes > 0 && fstatvfs(w->folder, &fs) == 0 && fs.f_blocks > 0) {
        uint64_t room;
        if (loci_mul(&room, fs.f_bavail, fs.f_frsize) && room < bytes) /* (5) */
            return loci_fail(err, LOCI_E_IO, "%s: the disk is full: %llu bytes are wanted, %llu are free", w->path,
                             (unsigned long long)bytes, (unsigned long long)room);
    }
    return LOCI_OK;
}

static loci_status create_temp(loci_writer *w, loci_error *err)
{
    static atomic_uint count;
    for (int tries = 0; tries < 100; tries++) {
        (void)snprintf(w->temp, sizeof w->temp, ".%.48s.%ld-%u.tmp", w->name, (long)getpid(),
                       atomic_fetch_add(&count, 1));
        w->fd = openat(w->folder, w->temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666); /* (3) */
        if (w->fd >= 0)
            return LOCI_OK;
        if (errno != EEXIST && errno != EINTR)
            break;
    }
    w->temp[0] = '\0';
    return fail_errno(w, err, "a temporary file cannot be created beside it");
}

loci_status loci_writer_begin(loci_writer **out, const char *path, uint64_t bytes, loci_error *err)
{
    loci_status status;
    loci_writer *w = loci_alloc(sizeof *w);
    *out = NULL;
    if (!w)
        return loci_fail(err, LOCI_E_NOMEM, "%s: no memory to write it", path);
    w->folder = w->fd = -1;
    if (!(w->path = loci_strdup(path))) {
        status = loci_fail(err, LOCI_E_NOMEM, "%s: no memory to write it", path);
        goto out;
    }
    LOCI_TRY(open_folder(w, err));
    LOCI_TRY(check_target(w, bytes, err));
    LOCI_TRY(create_temp(w, err));
    *out = w;
    w = NULL;
out:
    loci_writer_drop(w);
    return status;
}

loci_status loci_writer_put(loci_writer *w, const void *bytes, size_t n, loci_error *err)
{
    const char *at = bytes;
    while (n > 0) {
        ssize_t did = write(w->fd, at, n < (size_t)1 << 30 ? n : (size_t)1 << 30);
        if (did < 0 && errno == EINTR)
            continue;
        if (did < 0)
            return fail_errno(w, err, "write");
        at += did;
        n -= (size_t)did;
    }
    return LOCI_OK;
}

loci_status loci_writer_commit(loci_writer *w, loci_error *err)
{
    loci_status status = LOCI_OK;
    int closed;
    if (fsync(w->fd) != 0) {
        status = fail_errno(w, err, "fsync");
        goto out;
    }
    closed = close(w->fd);
    w->fd = -1;
    if (closed != 0) {
        status = fail_errno(w, err, "close");
        goto out;
    }
    if (renameat(w->folder, w->temp, w->folder, w->name) != 0) {
        status = fail_errno(w, err, "rename");
        goto out;
    }
    w->temp[0] = '\0';
    if (fsync(w->folder) != 0 && errno != EINVAL) /* EINVAL: this file system has nothing to sync */
        status = fail_errno(w, err, "fsync of its folder");
out:
    loci_writer_drop(w);
    return status;
}

void loci_writer_drop(loci_writer *w)
{
    if (!w)
        return;
    if (w->fd >= 0)
        close(w->fd);
    if (w->temp[0])
        (void)unlinkat(w->folder, w->temp, 0);
    if (w->folder >= 0)
        close(w->folder);
    loci_free(w->path);
    loci_free(w);
}

loci_status loci_file_write(const char *path, const void *bytes, size_t n, loci_error *err)
{
    loci_writer *w = NULL;
    loci_status status;
    LOCI_TRY(loci_writer_begin(&w, path, n, err));
    LOCI_TRY(loci_writer_put(w, bytes, n, err));
    status = loci_writer_commit(w, err);
    w = NULL;
out:
    loci_writer_drop(w);
    return status;
}
