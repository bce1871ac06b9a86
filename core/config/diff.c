/* SPDX-License-Identifier: Apache-2.0
 *
 * Comparing two dumps: each is cut into (section, key, value), and looked up in the other.
 */
#include "core/config/diff.h"
#include <string.h>

struct line {
    const char *section, *key, *value;
};

struct lines {
    char *text; /* cut in place */
    struct line *at;
    size_t n;
};

static char *trim(char *s)
{
    char *end;

    s += strspn(s, " \t");
    end = s + strlen(s);
    while (end > s && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
        *--end = '\0';
    return s;
}

static loci_status cut(struct lines *l, const char *text, loci_error *err)
{
    size_t most = 1;
    char *save = NULL;
    const char *section = "";

    for (const char *p = text; *p; p++)
        most += *p == '\n';
    l->text = loci_strdup(text);
    l->at = loci_alloc(most * sizeof *l->at);
    if (!l->text || !l->at)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory while configs are compared");
    for (char *s = strtok_r(l->text, "\n", &save); s; s = strtok_r(NULL, "\n", &save)) {
        char *equals;
        s = trim(s);
        if (*s == '[' && strchr(s, ']')) {
            *strchr(s, ']') = '\0';
            section = s + 1;
        } else if (*s != '#' && *s != ';' && (equals = strchr(s, '='))) {
            *equals = '\0';
            l->at[l->n++] = (struct line){section, trim(s), trim(equals + 1)};
        }
    }
    return LOCI_OK;
}

static const char *find(const struct lines *l, const struct line *want)
{
    for (size_t i = 0; i < l->n; i++)
        if (!strcmp(l->at[i].section, want->section) && !strcmp(l->at[i].key, want->key))
            return l->at[i].value;
    return NULL;
}

loci_status loci_conf_diff(const char *a, const char *b, loci_conf_diff_fn fn, void *arg, loci_error *err)
{
    loci_status status = LOCI_OK;
    struct lines x = {0}, y = {0};

    LOCI_TRY(cut(&x, a, err));
    LOCI_TRY(cut(&y, b, err));
    for (size_t i = 0; i < x.n; i++) {
        const char *other = find(&y, &x.at[i]);
        if (!other || strcmp(other, x.at[i].value))
            fn(arg, x.at[i].section, x.at[i].key, x.at[i].value, other);
    }
    for (size_t i = 0; i < y.n; i++)
        if (!find(&x, &y.at[i]))
            fn(arg, y.at[i].section, y.at[i].key, NULL, y.at[i].value);
out:
    loci_free(x.text);
    loci_free(x.at);
    loci_free(y.text);
    loci_free(y.at);
    return status;
}

loci_status loci_conf_without_paths(loci_text *out, const char *text, loci_error *err)
{
    bool skip = false;

    for (const char *line = text; *line;) {
        size_t n = strcspn(line, "\n");
        if (*line == '[')
            skip = !strncmp(line, "[plugins]", 9) || !strncmp(line, "[plugin.", 8) || !strncmp(line, "[arm.", 5);
        if (!strncmp(line + strspn(line, " \t"), "include", 7))
            return loci_fail(err, LOCI_E_CHECKPOINT, "the config of a checkpoint may not include files");
        if (!skip)
            loci_text_add(out, "%.*s\n", (int)n, line);
        line += n + (line[n] == '\n');
    }
    return out->failed ? loci_fail(err, LOCI_E_NOMEM, "out of memory for a config") : LOCI_OK;
}
