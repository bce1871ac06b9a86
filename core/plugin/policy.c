/* SPDX-License-Identifier: Apache-2.0
 *
 * core/plugin: the path policy.
 *
 * A file is trusted when nobody but root and the user of this process could have put it there: not by writing to it,
 * and not by exchanging it, which takes a writable folder on the way to it.
 *
 *  (1) Open first, then fstat what is open: the answer cannot change between the look and the use of the look.
 *  (2) Links are followed and the target judged, since packages are full of links; but the folder that holds the link
 *      is judged as well, for who may write there may turn the link.
 *  (3) Going up stops at the first folder that root owns. A folder above with the sticky bit (/tmp) passes although all
 *      may write there: what others own cannot be renamed away. The plugin's own folder gets no such pardon.
 *  (4) Paths are absolute. The working directory is never part of a search.
 *
 * The model is sudo's secure_path.c.
 */
#include "core/plugin/policy.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

loci_status loci_policy_open(int *fd, struct stat *st, const char *path, loci_error *err)
{
    char cwd[PATH_MAX];
    *fd = -1;
    memset(st, 0, sizeof *st);
    if (path[0] != '/')
        return loci_fail(err, LOCI_E_PLUGIN, "%s: a plugin is named by an absolute path: write %s/%s", path,
                         getcwd(cwd, sizeof cwd) ? cwd : "", path);
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (*fd < 0)
        return loci_fail(err, LOCI_E_PLUGIN, "%s: cannot be opened: %s%s", path, strerror(errno),
                         errno == EACCES ? ": make it and the folders above it readable" : "");
    if (fstat(*fd, st))
        loci_fail(err, LOCI_E_PLUGIN, "%s: cannot be examined: %s", path, strerror(errno));
    else if (S_ISDIR(st->st_mode))
        loci_fail(err, LOCI_E_PLUGIN, "%s: is a folder, not a plugin: name a file, or search it with --plugin-path",
                  path);
    else if (!S_ISREG(st->st_mode))
        loci_fail(err, LOCI_E_PLUGIN, "%s: is a device, pipe or socket, a plugin is a regular file", path);
    else
        return LOCI_OK;
    close(*fd);
    *fd = -1;
    return LOCI_E_PLUGIN;
}

bool loci_policy_same(const struct stat *st, const char *path)
{
    struct stat now;
    return !stat(path, &now) && now.st_dev == st->st_dev && now.st_ino == st->st_ino && now.st_size == st->st_size &&
           now.st_mtim.tv_sec == st->st_mtim.tv_sec && now.st_mtim.tv_nsec == st->st_mtim.tv_nsec;
}

static loci_status judge(const char *path, const struct stat *st, const char *what, const char *plugin, loci_error *err)
{
    const uid_t me = geteuid();
    const bool folder = S_ISDIR(st->st_mode) && strcmp(path, plugin), all = (st->st_mode & S_IWOTH) != 0;
    if (st->st_uid && st->st_uid != me)
        return loci_fail(err, LOCI_E_PLUGIN,
                         "%s: %s%s%s belongs to user %u, it must be root's or user %u's: change its owner, or set "
                         "plugins.ownership = off",
                         plugin, what, folder ? " " : "", folder ? path : "", (unsigned)st->st_uid, (unsigned)me);
    if (st->st_mode & (S_IWGRP | S_IWOTH))
        return loci_fail(err, LOCI_E_PLUGIN,
                         "%s: %s%s%s can be changed by %s (mode %04o): chmod go-w it, or set plugins.ownership = off",
                         plugin, what, folder ? " " : "", folder ? path : "", all ? "everyone" : "its group",
                         (unsigned)st->st_mode & 07777);
    return LOCI_OK;
}

/* `folder` is writable text; it is cut shorter on the way up, (3). */
static loci_status judge_folders(char *folder, const char *plugin, loci_error *err)
{
    const char *what = "its folder";
    for (bool own = true;; own = false) {
        struct stat st;
        char *slash;
        if (stat(folder, &st))
            return loci_fail(err, LOCI_E_PLUGIN, "%s: the folder %s cannot be examined: %s", plugin, folder,
                             strerror(errno));
        if (own || !(st.st_mode & S_ISVTX)) {
            loci_status status = judge(folder, &st, what, plugin, err);
            if (status != LOCI_OK)
                return status;
        }
        if (!st.st_uid || !strcmp(folder, "/"))
            return LOCI_OK;
        slash = strrchr(folder, '/');
        slash[slash == folder] = 0;
        what = "the folder";
    }
}

loci_status loci_policy_owners(const struct stat *st, const char *path, loci_error *err)
{
    char real[PATH_MAX], named[PATH_MAX];
    size_t n = (size_t)(strrchr(path, '/') - path);
    loci_status status = judge(path, st, "it", path, err);
    if (status != LOCI_OK)
        return status;
    if (n >= sizeof named || !realpath(path, real))
        return loci_fail(err, LOCI_E_PLUGIN, "%s: cannot be resolved: %s", path,
                         strerror(n >= sizeof named ? ENAMETOOLONG : errno));
    memcpy(named, path, n + 1);
    named[n + (n == 0)] = 0;
    strrchr(real, '/')[strrchr(real, '/') == real] = 0;
    status = judge_folders(real, path, err);
    if (status != LOCI_OK)
        return status;
    /* (2): where the name stands, when that is another place. */
    if (!realpath(named, real))
        return loci_fail(err, LOCI_E_PLUGIN, "%s: cannot be resolved: %s", path, strerror(errno));
    return judge_folders(real, path, err);
}
