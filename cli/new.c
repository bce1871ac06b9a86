/* SPDX-License-Identifier: Apache-2.0
 *
 * loci new: a plugin of one's own to begin with: a folder that builds, is right, and has room for another formula.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "cli/new.h"
#include "core/plugin/note.h"
#include <stdlib.h>
#include <string.h>

static const char *lang = "c", *form, *dir, *templates;

enum { KEY_LANG = 2000, KEY_FORM, KEY_DIR, KEY_TEMPLATES };

static const struct argp_option options[] = {
    {"lang", KEY_LANG, "LANG", 0, "The language: c, c++ or rust (c)", 1},
    {"form", KEY_FORM, "FORM", 0,
     "rule: a few functions for one token on loci/rule.h; abi: the whole contract in the open (rule where there is "
     "one)",
     1},
    {"dir", KEY_DIR, "FOLDER", 0, "The folder to write (the last word of NAME); it must not be there yet", 1},
    {"templates", KEY_TEMPLATES, "FOLDER", 0, "Take templates from here, not from those of loci", 1},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    (void)state;
    switch (key) {
    case KEY_LANG:
        lang = arg;
        return 0;
    case KEY_FORM:
        form = arg;
        return 0;
    case KEY_DIR:
        dir = arg;
        return 0;
    case KEY_TEMPLATES:
        templates = arg;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *kind, *prefix;
} kinds[] = {{"attention", "attn"}, {"mixer", "mix"}, {"memory", "mem"}, {"compose", "compose"}};
#define N_KINDS (sizeof kinds / sizeof *kinds)

static const char *prefix_of(const char *kind)
{
    for (size_t i = 0; i < N_KINDS; i++)
        if (!strcmp(kind, kinds[i].kind))
            return kinds[i].prefix;
    return NULL;
}

/* The last word of an id, which files are named after. */
static const char *last_word(const char *id)
{
    const char *dot = strrchr(id, '.');

    return dot ? dot + 1 : id;
}

static loci_status check_name(const char *id, loci_error *err)
{
    const char *word = last_word(id);

    if (!loci_id_ok(id))
        return loci_fail(err, LOCI_E_ARG,
                         "`%.80s` is no name of a component: a-z, 0-9, _ and -, with dots between words, at most %d "
                         "characters",
                         id, LOCI_MAX_ID - 1);
    if (word == id)
        return loci_fail(err, LOCI_E_ARG,
                         "`%s` is a name of loci's own: begin with a domain of yours, reversed, as in org.example.%s",
                         id, id);
    if (*word < 'a' || *word > 'z')
        return loci_fail(err, LOCI_E_ARG, "`%s`: its last word names files and must begin with a letter, as in %.*sm%s",
                         id, (int)(word - id), id, word);
    return LOCI_OK;
}

/* What texts call it: see (2) of new.h. */
static loci_status name_words(struct new_plan *p, const char *kind, const char *id, loci_error *err)
{
    loci_status status = LOCI_OK;
    char *stem = loci_strdup(last_word(id)), *plugin = NULL;
    char number[16];

    LOCI_TRY(stem ? LOCI_OK : loci_fail(err, LOCI_E_NOMEM, "out of memory"));
    for (char *c = stem; *c; c++)
        *c = *c == '-' ? '_' : *c;
    plugin = loci_format("%s_%s", prefix_of(kind), stem);
    LOCI_TRY(plugin ? LOCI_OK : loci_fail(err, LOCI_E_NOMEM, "out of memory"));
    LOCI_TRY(new_word(p, "ID", id, err));
    LOCI_TRY(new_word(p, "KIND", kind, err));
    LOCI_TRY(new_word(p, "STEM", stem, err));
    LOCI_TRY(new_word(p, "PLUGIN", plugin, err));
    LOCI_TRY(new_word(p, "DOT", ".", err));
    snprintf(number, sizeof number, "%d", LOCI_ABI_MAJOR);
    LOCI_TRY(new_word(p, "MAJOR", number, err));
    snprintf(number, sizeof number, "%d", LOCI_ABI_DRAFT);
    LOCI_TRY(new_word(p, "DRAFT", number, err));
out:
    loci_free(stem);
    loci_free(plugin);
    return status;
}

/* ---- what is said ------------------------------------------------------------------------------------------------ */

static int by_name(const void *a, const void *b)
{
    const struct new_item *x = a, *y = b;

    return strcmp(x->name, y->name);
}

static loci_status say_json(const struct new_plan *p, const char *folder, const char *compile, loci_error *err)
{
    json_t *files = json_array();
    char id[300];

    for (size_t i = 0; i < p->files.n; i++) {
        char *name = NULL;
        if (new_expand(&name, p, p->files.at[i].name, err) == LOCI_OK)
            json_array_append_new(files, json_string(name));
        loci_free(name);
    }
    snprintf(id, sizeof id, "%s/%s", new_meaning(p, "KIND"), new_meaning(p, "ID"));
    return cli_print_json(json_pack("{s:s, s:s, s:o, s:s, s:s+}", "id", id, "folder", folder, "files", files, "compile",
                                    compile, "plugin", new_meaning(p, "PLUGIN"), ".so"),
                          err);
}

static loci_status say(const struct new_plan *p, const char *folder, const char *compile, const char *source,
                       loci_error *err)
{
    const char *plugin = new_meaning(p, "PLUGIN");

    printf("%s: %s/%s, to begin with\n", folder, new_meaning(p, "KIND"), new_meaning(p, "ID"));
    for (size_t i = 0; i < p->files.n; i++) {
        char *name = NULL;
        loci_status status = new_expand(&name, p, p->files.at[i].name, err);
        if (status != LOCI_OK)
            return status;
        printf("  %s\n", name);
        loci_free(name);
    }
    printf("\nREADME.md says what to change where. To build and see it:\n  cd %s\n", folder);
    if (source)
        printf("  make LOCI_CFLAGS=-I%s/include      (loci runs from a build tree; once it is installed: make)\n",
               source);
    else
        printf("  make\n");
    printf("  make check\n  loci check ./%s.so\n  loci train -c try.ini --plugin-path \"$PWD\"\n", plugin);
    printf("\n%s.so without make:\n  %s\n", plugin, compile);
    return LOCI_OK;
}

/* ---- the verb ---------------------------------------------------------------------------------------------------- */

static loci_status run(const struct options *o, loci_error *err)
{
    loci_status status = LOCI_OK;
    struct new_plan p = {{NULL, 0}, {NULL, 0}};
    char *at = NULL, *source = NULL, *name = NULL, *folder = NULL, *compile = NULL;
    const char *kind, *id;

    if (o->n_words != 2)
        return loci_fail(err, LOCI_E_ARG, "give a kind and a name, as in `loci new memory org.example.mine`");
    kind = o->words[0];
    id = o->words[1];
    if (!prefix_of(kind))
        return loci_fail(err, LOCI_E_ARG, "there is no kind `%.80s` to write: attention, mixer, memory or compose",
                         kind);
    LOCI_TRY(check_name(id, err));
    LOCI_TRY(name_words(&p, kind, id, err));
    LOCI_TRY(new_find(&at, &source, templates, err));
    LOCI_TRY(new_choose(&name, at, kind, lang, form, err));
    LOCI_TRY(new_collect(&p, at, name, err));
    qsort(p.files.at, p.files.n, sizeof *p.files.at, by_name);
    LOCI_TRY(new_expand(&compile, &p, "@COMPILE@", err));
    folder = loci_strdup(dir ? dir : new_meaning(&p, "STEM"));
    LOCI_TRY(folder ? LOCI_OK : loci_fail(err, LOCI_E_NOMEM, "out of memory"));
    for (size_t n = strlen(folder); n > 1 && folder[n - 1] == '/'; n--)
        folder[n - 1] = '\0';
    LOCI_TRY(*folder ? LOCI_OK : loci_fail(err, LOCI_E_ARG, "--dir needs the name of a folder"));
    LOCI_TRY(new_write(&p, folder, err));
    status = o->json ? say_json(&p, folder, compile, err) : say(&p, folder, compile, source, err);
out:
    new_forget(&p);
    loci_free(at);
    loci_free(source);
    loci_free(name);
    loci_free(folder);
    loci_free(compile);
    return status;
}

const struct verb verb_new = {
    "new",
    "KIND NAME",
    "begin a plugin of your own: a folder that builds and is right",
    "Write a folder with a small component of a kind (attention, mixer, memory, compose), its backward, a test of its "
    "mathematics, and three ways to build it. NAME is its id: the domain of its author, reversed, and a word.\v"
    "  loci new memory org.example.mine\n"
    "  loci new memory org.example.mine --lang rust --dir /tmp/mine\n"
    "  loci new mixer org.example.blend",
    options,
    parse,
    run};
