/* SPDX-License-Identifier: Apache-2.0
 *
 * core/config/reader: files, and the files they include.
 *
 *  (1) Only regular files are read; a folder or a pipe is refused before anything is read from it.
 *  (2) What a file includes is weaker than what it says itself, wherever among its first lines the include stands; of
 *      two includes the later is stronger.
 *  (3) A file that includes itself, directly or through others, is reported with the chain; depth and number of
 *      includes are limited.
 *  (4) A bad line does not keep the others from being read: all problems of all files come out in one run.
 */
#include "core/config/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The files that are open, from the innermost out. */
typedef struct frame {
    const struct frame *outer;
    const char *name;
    dev_t dev;
    ino_t ino;
} frame;

typedef struct loading {
    loci_conf *conf;
    loci__problems problems;
    uint32_t files;
} loading;

/* The folder of a file as it was named; the result is the arena's. "" for the working directory. */
static const char *folder_of(loci_conf *c, const char *name)
{
    const char *slash = strrchr(name, '/');

    return slash ? loci__conf_string(c, name, slash == name ? 1 : (size_t)(slash - name)) : "";
}

static const char *join(loci_conf *c, const char *folder, const char *name)
{
    size_t n = strlen(folder);
    char *s;
    const char *kept;

    if (name[0] == '/' || n == 0)
        return loci__conf_string(c, name, strlen(name));
    s = loci_format("%s%s%s", folder, folder[n - 1] == '/' ? "" : "/", name);
    kept = s ? loci__conf_string(c, s, strlen(s)) : NULL;
    loci_free(s);
    return kept;
}

/* What relative paths in files of `folder` are relative to. *out stays NULL when the working directory is not known. */
static loci_status absolute_folder(loci_conf *c, const char **out, const char *folder)
{
    char cwd[LOCI_CONF_PATH + 1];

    *out = NULL;
    while (folder[0] == '.' && (folder[1] == '/' || folder[1] == '\0'))
        folder += 1 + strspn(folder + 1, "/");
    if (folder[0] == '/')
        return (*out = loci__conf_string(c, folder, strlen(folder))) ? LOCI_OK : LOCI_E_NOMEM;
    if (!getcwd(cwd, sizeof cwd) || cwd[0] != '/')
        return LOCI_OK;
    if (folder[0] == '\0')
        return (*out = loci__conf_string(c, cwd, strlen(cwd))) ? LOCI_OK : LOCI_E_NOMEM;
    return (*out = join(c, cwd, folder)) ? LOCI_OK : LOCI_E_NOMEM;
}

/* The whole file; *bytes is loci_free'd by the caller. LOCI_E_IO with `why`. */
static loci_status read_all(char **bytes, size_t *n, struct stat *st, const char *name, char *why, size_t room)
{
    loci_status status = LOCI_E_IO;
    int fd = open(name, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY); /* (1): a pipe must not make us wait */
    ssize_t got;
    size_t size;

    *bytes = NULL;
    *n = 0;
    if (fd < 0 || fstat(fd, st) != 0) {
        snprintf(why, room, "%s", strerror(errno));
        goto out;
    }
    if (!S_ISREG(st->st_mode)) {
        snprintf(why, room, "%s, a config is a regular file", S_ISDIR(st->st_mode) ? "a folder" : "not a regular file");
        goto out;
    }
    if (st->st_size > (off_t)LOCI_CONF_BYTES) {
        snprintf(why, room, "%lld bytes, the limit for a config is %u", (long long)st->st_size, LOCI_CONF_BYTES);
        goto out;
    }
    size = (size_t)st->st_size;
    if (!(*bytes = loci_alloc(size + 1))) {
        status = LOCI_E_NOMEM;
        goto out;
    }
    do {
        got = read(fd, *bytes + *n, size - *n);
        if (got > 0)
            *n += (size_t)got;
    } while (*n < size && (got > 0 || (got < 0 && errno == EINTR)));
    if (got < 0)
        snprintf(why, room, "%s", strerror(errno));
    else
        status = LOCI_OK;
out:
    if (fd >= 0)
        close(fd);
    return status;
}

/* "a.ini -> b.ini -> a.ini" */
static void add_chain(loci_text *t, const frame *f, const frame *until)
{
    if (f != until)
        add_chain(t, f->outer, until);
    loci_text_add(t, "%s -> ", f->name);
}

/* Exchange the neighbours [a, b) and [b, end). */
static void reverse(loci__item *a, loci__item *end)
{
    for (; a < end && a < --end; a++) {
        loci__item t = *a;
        *a = *end;
        *end = t;
    }
}
static void exchange(loci__item *items, uint32_t a, uint32_t b, uint32_t end)
{
    reverse(items + a, items + b);
    reverse(items + b, items + end);
    reverse(items + a, items + end);
}

static loci_status load(loading *l, const frame *outer, const char *name, const char *origin, loci_error *err);

/* The text of one file, then its includes, put before it (2). */
static loci_status load_text(loading *l, const frame *f, const char *bytes, size_t n, loci_error *err)
{
    loci_status status = LOCI_OK;
    loci__text_source src = {l->conf, &l->problems, f->name, NULL, bytes, n, NULL};
    const char *folder = folder_of(l->conf, f->name), *file;
    uint32_t before = l->conf->n_items, own;

    if (!folder || absolute_folder(l->conf, &src.dir, folder) != LOCI_OK)
        return loci__nomem(err);
    LOCI_TRY(loci__lines_read(&src, err));
    own = l->conf->n_items;
    for (const loci__include *inc = src.includes; inc; inc = inc->next) {
        if (!(file = join(l->conf, folder, inc->file)))
            return loci__nomem(err);
        LOCI_TRY(load(l, f, file, inc->origin, err));
    }
    if (l->conf->n_items > own)
        exchange(l->conf->items, before, own, l->conf->n_items);
out:
    return status;
}

/* origin: the line that includes the file, NULL for the first one. */
static loci_status load(loading *l, const frame *outer, const char *name, const char *origin, loci_error *err)
{
    loci_status status;
    char *bytes = NULL, why[300] = "";
    size_t n = 0;
    int depth = 0;
    struct stat st;
    frame here = {.outer = outer, .name = name};

    for (const frame *f = outer; f; f = f->outer)
        depth++;
    if (depth > LOCI_CONF_DEPTH) {
        loci__problem(&l->problems, "%s: include = %s: includes are nested deeper than %d", origin, name,
                      LOCI_CONF_DEPTH);
        return LOCI_OK;
    }
    if (l->files > LOCI_CONF_FILES) {
        if (l->files++ == LOCI_CONF_FILES + 1) /* once is enough */
            loci__problem(&l->problems, "%s: include = %s: more than %d included files", origin, name, LOCI_CONF_FILES);
        return LOCI_OK;
    }
    l->files++;
    status = read_all(&bytes, &n, &st, name, why, sizeof why);
    if (status == LOCI_E_IO && origin) { /* (4) */
        loci__problem(&l->problems, "%s: include = %s: %s", origin, name, why);
        status = LOCI_OK;
        goto out;
    }
    if (status != LOCI_OK) {
        status = status == LOCI_E_IO ? loci_fail(err, LOCI_E_IO, "%s: %s", name, why) : loci__nomem(err);
        goto out;
    }
    here.dev = st.st_dev;
    here.ino = st.st_ino;
    for (const frame *f = outer; f; f = f->outer)
        if (f->dev == here.dev && f->ino == here.ino) {
            loci_text chain = {0};
            add_chain(&chain, outer, f);
            loci__problem(&l->problems, "%s: include goes round in a circle: %s%s", origin,
                          chain.failed ? "" : chain.at, name);
            loci_text_free(&chain);
            goto out;
        }
    LOCI_TRY(load_text(l, &here, bytes, n, err));
out:
    loci_free(bytes);
    return status;
}

/* Bind what was read and say what was wrong with it. */
static loci_status finish(loading *l, loci_status status, loci_error *err)
{
    loci_status bad = loci__problems_end(&l->problems, true, status == LOCI_OK ? err : NULL);

    if (status == LOCI_OK)
        status = bad;
    if (status == LOCI_E_NOMEM)
        return status;
    bad = loci__conf_bind(l->conf, err);
    return status == LOCI_OK ? bad : status;
}

loci_status loci_conf_file(loci_conf *c, const char *path, loci_error *err)
{
    loading l = {.conf = c};

    return finish(&l, load(&l, NULL, path, NULL, err), err);
}

loci_status loci_conf_text(loci_conf *c, const char *name, const char *text, size_t n, loci_error *err)
{
    loading l = {.conf = c};
    frame here = {.name = name, .dev = 0, .ino = 0}; /* no file has inode 0 */

    return finish(&l, load_text(&l, &here, text, n, err), err);
}
