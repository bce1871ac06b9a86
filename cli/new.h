/* SPDX-License-Identifier: Apache-2.0
 *
 * loci new: a folder out of templates.
 *
 *     share/templates/                     <build tree>, <prefix>/share/loci/templates, or --templates
 *       memory-c-rule/                     KIND-LANG-FORM: what can be asked for
 *         @LAYERS@                         the folders whose files it takes as well, the weakest first
 *         @STEM@.c  README.md              files to write, under these names
 *         @BUILD@                          not a file to write: what the word @BUILD@ stands for
 *       any  c  memory ...                 layers
 *
 *  (1) A file of a later layer replaces that of an earlier one, words likewise.
 *  (2) A word is capitals between two @. It is replaced in names and texts, and in what other words stand for. What is
 *      no word that is known stays as it is.
 *  (3) The folder is written beside its place under a name that begins with a dot and then renamed: it is there whole,
 *      or not at all. A place that is taken is refused.
 */
#ifndef LOCI_CLI_NEW_H
#define LOCI_CLI_NEW_H

#include "cli/cli.h"

struct new_item {
    char *name, *path; /* of a file to write: its name with words replaced, its template; of a word: word and text */
};

struct new_list {
    struct new_item *at;
    size_t n;
};

struct new_plan {
    struct new_list words, files;
};

/* Where templates lie: `asked` (--templates) if not NULL; loci_free it. *source: the source tree when the program runs
 * from a build tree, else NULL; loci_free it. */
loci_status new_find(char **templates, char **source, const char *asked, loci_error *err);
/* The template of a kind in `lang`, of `form` (NULL: rule where there is one, else abi): its name; loci_free it. */
loci_status new_choose(char **out, const char *templates, const char *kind, const char *lang, const char *form,
                       loci_error *err);

loci_status new_word(struct new_plan *p, const char *word, const char *text, loci_error *err);
const char *new_meaning(const struct new_plan *p, const char *word); /* NULL: not known */
/* Files and words of a template and its layers. */
loci_status new_collect(struct new_plan *p, const char *templates, const char *name, loci_error *err);
/* text with its words replaced, and theirs; loci_free it. */
loci_status new_expand(char **out, const struct new_plan *p, const char *text, loci_error *err);
/* (3) */
loci_status new_write(const struct new_plan *p, const char *folder, loci_error *err);
void new_forget(struct new_plan *p);

#endif
