/* SPDX-License-Identifier: Apache-2.0
 *
 * core/tensor: reading whole files, folders, and fingerprints.
 *
 *  (1) A file is read until its end, not until the size it had at first: /proc says 0, a log grows.
 *  (2) Removing walks by folder handles and never through a link: what a link points to is not ours.
 */
#include "core/tensor/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum { DEPTH_MAX = 64, PIECE = 1 << 16 };

/* ---- files ----------------------------------------------------------------------------------------------------- */

static loci_status open_regular(int *fd, uint64_t *size, const char *path, loci_error *err)
{
    struct stat st;
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (*fd < 0 || fstat(*fd, &st) != 0)
        return loci_fail(err, LOCI_E_IO, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return loci_fail(err, LOCI_E_IO, "%s: not a regular file", path);
    *size = (uint64_t)st.st_size;
    return LOCI_OK;
}

static ssize_t read_some(int fd, void *to, size_t n)
{
    ssize_t got;
    do
        got = read(fd, to, n);
    while (got < 0 && errno == EINTR);
    return got;
}

loci_status loci_file_read(char **out, size_t *n, const char *path, size_t most, loci_error *err)
{
    char *text = NULL;
    size_t len = 0, cap;
    uint64_t size = 0;
    int fd = -1;
    loci_status status;

    *out = NULL;
    LOCI_TRY(open_regular(&fd, &size, path, err));
    cap = size < most ? (size_t)size : most;
    text = loci_alloc(cap + 2); /* one to see that there is more, one for the NUL */
    while (text && size <= most) {
        ssize_t got = read_some(fd, text + len, cap + 1 - len);
        if (got < 0) {
            status = loci_fail(err, LOCI_E_IO, "%s: %s", path, strerror(errno));
            goto out;
        }
        if (got == 0)
            break;
        len += (size_t)got;
        if (len > cap && cap < most) { /* (1) */
            char *more;
            cap = cap < most / 2 ? 2 * cap + PIECE : most;
            cap = cap < most ? cap : most;
            more = loci_realloc(text, cap + 2);
            if (!more)
                loci_free(text);
            text = more;
        } else if (len > cap) {
            size = len;
        }
    }
    if (!text) {
        status = loci_fail(err, LOCI_E_NOMEM, "%s: no memory for %zu bytes", path, cap);
        goto out;
    }
    if (size > most) {
        status = loci_fail(err, LOCI_E_IO, "%s: longer than the limit of %zu bytes", path, most);
        goto out;
    }
    text[len] = '\0';
    *out = text;
    text = NULL;
    if (n)
        *n = len;
out:
    loci_free(text);
    if (fd >= 0)
        close(fd);
    return status;
}

loci_status loci_file_hash(uint64_t *out, const char *path, loci_error *err)
{
    XXH64_state_t state;
    char *piece = loci_alloc(PIECE);
    ssize_t got;
    uint64_t size;
    int fd = -1;
    loci_status status;

    if (!piece)
        return loci_fail(err, LOCI_E_NOMEM, "%s: no memory to hash it", path);
    LOCI_TRY(open_regular(&fd, &size, path, err));
    (void)XXH64_reset(&state, 0);
    while ((got = read_some(fd, piece, PIECE)) > 0)
        (void)XXH64_update(&state, piece, (size_t)got);
    if (got < 0)
        status = loci_fail(err, LOCI_E_IO, "%s: %s", path, strerror(errno));
    else
        *out = XXH64_digest(&state);
out:
    loci_free(piece);
    if (fd >= 0)
        close(fd);
    return status;
}

uint64_t loci_hash(const void *bytes, size_t n, uint64_t seed)
{
    return XXH64(bytes, n, seed);
}

/* ---- folders --------------------------------------------------------------------------------------------------- */

loci_status loci_folder_make(const char *path, loci_error *err)
{
    struct stat st;
    char *part = loci_strdup(path);
    loci_status status = LOCI_OK;
    if (!part)
        return loci_fail(err, LOCI_E_NOMEM, "%s: no memory to make it", path);
    for (char *at = part; status == LOCI_OK && *at;) {
        char kept;
        int failed;
        at += strspn(at, "/");
        at += strcspn(at, "/");
        kept = *at;
        *at = '\0';
        failed = mkdir(part, 0777) != 0 ? errno : 0;
        if (failed && failed != EEXIST && (stat(part, &st) != 0 || !S_ISDIR(st.st_mode)))
            status = loci_fail(err, LOCI_E_IO, "%s: folder %s cannot be made: %s", path, part, strerror(failed));
        *at = kept;
    }
    if (status == LOCI_OK && (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)))
        status = loci_fail(err, LOCI_E_IO, "%s: exists and is not a folder", path);
    loci_free(part);
    return status;
}

loci_status loci_folder_sync(const char *path, loci_error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    loci_status status = LOCI_OK;
    if (fd < 0 || (fsync(fd) != 0 && errno != EINVAL))
        status = loci_fail(err, LOCI_E_IO, "%s: fsync: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return status;
}

/* Empty the folder behind fd, which is closed. 0, or errno. */
static int empty_folder(int fd, int depth)
{
    DIR *dir = fdopendir(fd);
    struct dirent *e;
    int failed = 0;
    if (!dir) {
        failed = errno;
        close(fd);
        return failed;
    }
    while (!failed && (errno = 0, e = readdir(dir))) {
        int inner;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || unlinkat(dirfd(dir), e->d_name, 0) == 0)
            continue;
        if (errno != EISDIR && errno != EPERM) {
            failed = errno;
            break;
        }
        inner = openat(dirfd(dir), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC); /* (2) */
        failed = inner < 0 ? errno : depth == DEPTH_MAX ? ELOOP : 0;
        if (failed && inner >= 0)
            close(inner);
        if (!failed)
            failed = empty_folder(inner, depth + 1);
        if (!failed && unlinkat(dirfd(dir), e->d_name, AT_REMOVEDIR) != 0)
            failed = errno;
    }
    if (!failed)
        failed = errno;
    closedir(dir);
    return failed;
}

loci_status loci_folder_remove(const char *path, loci_error *err)
{
    char *bare = loci_strdup(path);
    size_t n;
    int fd, failed;
    if (!bare)
        return loci_fail(err, LOCI_E_NOMEM, "%s: no memory to remove it", path);
    for (n = strlen(bare); n > 1 && bare[n - 1] == '/';) /* "link/" would follow the link */
        bare[--n] = '\0';
    fd = open(bare, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    failed = fd < 0 ? errno : empty_folder(fd, 1);
    if (!failed && rmdir(bare) != 0)
        failed = errno;
    loci_free(bare);
    if (!failed || failed == ENOENT)
        return LOCI_OK;
    return loci_fail(err, LOCI_E_IO, "%s: cannot be removed: %s", path, strerror(failed));
}
