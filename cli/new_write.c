/* SPDX-License-Identifier: Apache-2.0
 *
 * loci new: files and words of a template, and the folder that is made of them. See new.h for the rules.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "cli/new.h"
#include "core/tensor/file.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LARGEST_FILE ((size_t)1 << 20)
#define DEEPEST 8 /* words within words */

/* ---- lists ------------------------------------------------------------------------------------------------------- */

/* Takes path over. (1): an item of this name gets another path. */
static loci_status put(struct new_list *l, const char *name, char *path, loci_error *err)
{
    struct new_item *more;
    char *copy;

    for (size_t i = 0; i < l->n; i++)
        if (!strcmp(l->at[i].name, name)) {
            loci_free(l->at[i].path);
            l->at[i].path = path;
            return path ? LOCI_OK : loci_fail(err, LOCI_E_NOMEM, "out of memory");
        }
    copy = loci_strdup(name);
    more = path && copy ? loci_realloc(l->at, (l->n + 1) * sizeof *more) : NULL;
    if (!more) {
        loci_free(copy);
        loci_free(path);
        return loci_fail(err, LOCI_E_NOMEM, "out of memory");
    }
    l->at = more;
    l->at[l->n++] = (struct new_item){copy, path};
    return LOCI_OK;
}

static void forget(struct new_list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        loci_free(l->at[i].name);
        loci_free(l->at[i].path);
    }
    loci_free(l->at);
    *l = (struct new_list){0};
}

void new_forget(struct new_plan *p)
{
    forget(&p->words);
    forget(&p->files);
}

loci_status new_word(struct new_plan *p, const char *word, const char *text, loci_error *err)
{
    return put(&p->words, word, loci_strdup(text), err);
}

const char *new_meaning(const struct new_plan *p, const char *word)
{
    for (size_t i = 0; i < p->words.n; i++)
        if (!strcmp(p->words.at[i].name, word))
            return p->words.at[i].path;
    return NULL;
}

/* ---- words ------------------------------------------------------------------------------------------------------- */

/* The length of "@WORD@" at s, and the word; 0: there is none. */
static size_t word_at(const char *s, char *word, size_t size)
{
    size_t n = 1;

    if (*s != '@')
        return 0;
    while (s[n] >= 'A' && s[n] <= 'Z' && n < size)
        n++;
    if (n == 1 || s[n] != '@')
        return 0;
    memcpy(word, s + 1, n - 1);
    word[n - 1] = '\0';
    return n + 1;
}

static void expand(loci_text *t, const struct new_plan *p, const char *text, int depth)
{
    char word[32];

    while (*text) {
        const size_t n = word_at(text, word, sizeof word);
        const char *meaning = n && depth < DEEPEST ? new_meaning(p, word) : NULL;

        if (meaning)
            expand(t, p, meaning, depth + 1);
        else
            loci_text_bytes(t, text, n ? n : 1);
        text += n ? n : 1;
    }
}

loci_status new_expand(char **out, const struct new_plan *p, const char *text, loci_error *err)
{
    loci_text t = {0};

    loci_text_add(&t, "%s", "");
    expand(&t, p, text, 0);
    if (t.failed) {
        loci_text_free(&t);
        return loci_fail(err, LOCI_E_NOMEM, "out of memory");
    }
    *out = t.at;
    return LOCI_OK;
}

/* ---- layers ------------------------------------------------------------------------------------------------------ */

static loci_status take_file(struct new_plan *p, const char *folder, const char *name, loci_error *err)
{
    loci_status status = LOCI_OK;
    char *path = loci_format("%s/%s", folder, name), *text = NULL;
    char word[32];
    size_t n;

    if (!path)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory");
    if (word_at(name, word, sizeof word) != strlen(name)) {
        status = put(&p->files, name, path, err);
        path = NULL;
        goto out;
    }
    LOCI_TRY(loci_file_read(&text, &n, path, LARGEST_FILE, err));
    while (n && text[n - 1] == '\n')
        text[--n] = '\0';
    status = new_word(p, word, text, err);
out:
    loci_free(path);
    loci_free(text);
    return status;
}

static loci_status take_folder(struct new_plan *p, const char *templates, const char *name, loci_error *err)
{
    loci_status status = LOCI_OK;
    char *folder = loci_format("%s/%s", templates, name);
    DIR *d = folder ? opendir(folder) : NULL;
    struct dirent *e;

    if (!folder)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory");
    if (!d)
        status = loci_fail(err, LOCI_E_IO, "%s: %s; the templates are not whole: install loci again", folder,
                           strerror(errno));
    while (status == LOCI_OK && (e = readdir(d)))
        if (*e->d_name != '.')
            status = take_file(p, folder, e->d_name, err);
    if (d)
        closedir(d);
    loci_free(folder);
    return status;
}

loci_status new_collect(struct new_plan *p, const char *templates, const char *name, loci_error *err)
{
    loci_status status = LOCI_OK;
    char *path = loci_format("%s/%s/@LAYERS@", templates, name), *text = NULL, *rest, *layer;

    if (!path)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory");
    LOCI_TRY(loci_file_read(&text, NULL, path, LARGEST_FILE, err));
    for (layer = strtok_r(text, " \n", &rest); layer; layer = strtok_r(NULL, " \n", &rest))
        LOCI_TRY(take_folder(p, templates, layer, err));
    status = take_folder(p, templates, name, err);
out:
    loci_free(path);
    loci_free(text);
    return status;
}

/* ---- the folder -------------------------------------------------------------------------------------------------- */

static loci_status write_one(const struct new_plan *p, const struct new_item *file, const char *folder, loci_error *err)
{
    loci_status status = LOCI_OK;
    char *text = NULL, *out = NULL, *name = NULL, *path = NULL;
    struct stat s;

    LOCI_TRY(loci_file_read(&text, NULL, file->path, LARGEST_FILE, err));
    LOCI_TRY(new_expand(&out, p, text, err));
    LOCI_TRY(new_expand(&name, p, file->name, err));
    path = loci_format("%s/%s", folder, name);
    LOCI_TRY(path ? LOCI_OK : loci_fail(err, LOCI_E_NOMEM, "out of memory"));
    if (lstat(path, &s) == 0)
        LOCI_TRY(loci_fail(err, LOCI_E_ARG, "%s would be two files of the folder: give NAME another last word", name));
    LOCI_TRY(loci_file_write(path, out, strlen(out), err));
    if (stat(file->path, &s) == 0 && s.st_mode & S_IXUSR && chmod(path, 0755) != 0)
        status = loci_fail(err, LOCI_E_IO, "%s: %s", path, strerror(errno));
out:
    loci_free(text);
    loci_free(out);
    loci_free(name);
    loci_free(path);
    return status;
}

static loci_status taken(const char *folder, loci_error *err)
{
    return loci_fail(err, LOCI_E_IO, "%s is there already: remove it, or choose another place with --dir", folder);
}

/* The place of the folder that is written first: beside the other, so that a rename is all that is left. */
static char *beside(const char *folder)
{
    const char *slash = strrchr(folder, '/');
    const int n = slash ? (int)(slash - folder) + 1 : 0;

    return loci_format("%.*s.%s.XXXXXX", n, folder, folder + n);
}

loci_status new_write(const struct new_plan *p, const char *folder, loci_error *err)
{
    loci_status status = LOCI_OK;
    char *work = beside(folder);
    const mode_t mask = umask(0);
    struct stat s;

    umask(mask);
    if (!work)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory");
    if (lstat(folder, &s) == 0) {
        loci_free(work);
        return taken(folder, err);
    }
    if (!mkdtemp(work)) {
        status = loci_fail(err, LOCI_E_IO, "%s: no folder can be made there: %s", folder, strerror(errno));
        loci_free(work);
        return status;
    }
    for (size_t i = 0; i < p->files.n; i++)
        LOCI_TRY(write_one(p, &p->files.at[i], work, err));
    if (chmod(work, 0777 & ~mask) != 0)
        LOCI_TRY(loci_fail(err, LOCI_E_IO, "%s: %s", work, strerror(errno)));
    /* A folder with something in it, or a file, that came up meanwhile makes this fail. */
    if (rename(work, folder) != 0)
        status = errno == EEXIST || errno == ENOTEMPTY || errno == ENOTDIR
                     ? taken(folder, err)
                     : loci_fail(err, LOCI_E_IO, "%s: %s", folder, strerror(errno));
out:
    if (status != LOCI_OK)
        loci_folder_remove(work, NULL);
    loci_free(work);
    return status;
}
