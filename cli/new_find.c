/* SPDX-License-Identifier: Apache-2.0
 *
 * loci new: where templates are, and which of them is meant.
 *
 * A program in its build tree uses the source tree's, which the mark that `make` leaves there names. An installed one
 * looks beside itself first, at ../share/loci/templates, so that a tree that was moved uses its own.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "cli/new.h"
#include "core/tensor/file.h"
#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MARK "plugins/.all/.loci-build-tree"
#define SHORTEST "-c-abi" /* what every name of a template has at least behind its kind */

static bool is_folder(const char *path)
{
    struct stat s;

    return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

/* The folder of this program; libtool keeps the real one in .libs. */
static bool program_folder(char *out, size_t size)
{
    ssize_t n = readlink("/proc/self/exe", out, size - 1);
    char *slash;

    if (n <= 0)
        return false;
    out[n] = '\0';
    slash = strrchr(out, '/');
    if (!slash || slash == out)
        return false;
    *slash = '\0';
    slash = strrchr(out, '/');
    if (slash && slash != out && !strcmp(slash, "/.libs"))
        *slash = '\0';
    return true;
}

/* What the mark of a build tree says, without the end of its line. */
static char *source_tree(const char *folder)
{
    char *mark = loci_format("%s/" MARK, folder), *text = NULL, *out = NULL, *whole;

    if (mark && access(mark, R_OK) == 0 && loci_file_read(&text, NULL, mark, PATH_MAX, NULL) == LOCI_OK) {
        text[strcspn(text, "\n")] = '\0';
        whole = realpath(text, NULL);
        out = whole ? loci_strdup(whole) : NULL;
        free(whole);
    }
    loci_free(mark);
    loci_free(text);
    return out;
}

loci_status new_find(char **templates, char **source, const char *asked, loci_error *err)
{
    char folder[PATH_MAX];
    const bool known = program_folder(folder, sizeof folder);

    *source = known ? source_tree(folder) : NULL;
    if (asked)
        *templates = loci_strdup(asked);
    else if (*source)
        *templates = loci_format("%s/share/templates", *source);
    else {
        *templates = known ? loci_format("%s/../share/" PACKAGE "/templates", folder) : NULL;
        if (!*templates || !is_folder(*templates)) {
            loci_free(*templates);
            *templates = loci_strdup(LOCI_TEMPLATE_DIR);
        }
    }
    if (!*templates)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory");
    if (!is_folder(*templates))
        return loci_fail(err, LOCI_E_IO, "%s: there is no folder of templates; install loci whole, or give --templates",
                         *templates);
    return LOCI_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* "memory-c-abi, memory-c-rule": the templates of a kind, or with kind NULL, of all. */
static char *listing(const char *templates, const char *kind)
{
    const size_t prefix = kind ? strlen(kind) : 0;
    DIR *d = opendir(templates);
    char *names[64];
    loci_text t = {0};
    struct dirent *e;
    size_t n = 0;

    while (d && n < sizeof names / sizeof *names && (e = readdir(d))) {
        const char *dash = strchr(e->d_name, '-');
        if (*e->d_name == '.' || !dash || strlen(dash) < strlen(SHORTEST))
            continue;
        if (kind && (strncmp(e->d_name, kind, prefix) != 0 || e->d_name[prefix] != '-'))
            continue;
        if ((names[n] = loci_strdup(e->d_name)))
            n++;
    }
    if (d)
        closedir(d);
    qsort(names, n, sizeof *names, by_name);
    for (size_t i = 0; i < n; i++) {
        loci_text_add(&t, "%s%s", i ? ", " : "", names[i]);
        loci_free(names[i]);
    }
    return t.at; /* NULL: none */
}

loci_status new_choose(char **out, const char *templates, const char *kind, const char *lang, const char *form,
                       loci_error *err)
{
    static const char *const forms[] = {"rule", "abi"};
    loci_status status;
    char *known;

    for (int i = 0; i < 2; i++) {
        char *path;
        if (form && strcmp(form, forms[i]) != 0)
            continue;
        *out = loci_format("%s-%s-%s", kind, lang, forms[i]);
        path = *out ? loci_format("%s/%s", templates, *out) : NULL;
        if (!path)
            return loci_fail(err, LOCI_E_NOMEM, "out of memory");
        if (!strchr(kind, '/') && !strchr(lang, '/') && is_folder(path)) {
            loci_free(path);
            return LOCI_OK;
        }
        loci_free(path);
        loci_free(*out);
        *out = NULL;
    }
    known = listing(templates, kind);
    if (known)
        status = loci_fail(err, LOCI_E_ARG, "there is no %s in the language %s%s%s; there are %s (KIND-LANG-FORM)",
                           kind, lang, form ? " and the form " : "", form ? form : "", known);
    else {
        known = listing(templates, NULL);
        status = loci_fail(err, LOCI_E_ARG, "there is no template for the kind %s; there are %s (KIND-LANG-FORM)", kind,
                           known ? known : "none at all");
    }
    loci_free(known);
    return status;
}
