/* SPDX-License-Identifier: Apache-2.0
 *
 * core/plugin: from files to classes.
 *
 *  (1) Scanning opens each *.so of the search path, reads its ELF note and runs nothing. It yields a table
 *      kind/id -> file. File names mean nothing.
 *  (2) A file is loaded when a class of it is asked for: path policy, ELF, note, dlopen, entry, classes, in the order
 *      of docs/design/plugins.md. Each refusal is a sentence that names the file, what was needed, what was found and
 *      the remedy.
 *  (3) Built-in plugins (the cpu device) go through the same checks of magic, sizes and classes.
 *  (4) Nothing is ever unloaded.
 *  (5) Earlier path elements win, also when their file is broken: a named class never falls back to another file. What
 *      they shadow is reported. Twice in one folder is an error of whoever asks for that class, and names both files.
 *  (6) A registry belongs to one thread at a time. A message of a file that failed once is kept and given again.
 */
#ifndef LOCI_CORE_PLUGIN_REGISTRY_H
#define LOCI_CORE_PLUGIN_REGISTRY_H

#include "core/base/base.h"

typedef struct loci_registry loci_registry;

/* What scanning knows of a class, and loading adds. */
typedef struct loci_entry {
    const char *kind;       /* "memory", "attention", "mixer", "compose", "device" */
    const char *id;         /* "titans"                                            */
    const char *path;       /* absolute; "built-in"                                */
    const char *build_id;   /* hex, or ""                                          */
    const char *shadowed_by; /* path of the winner, or NULL                         */
    const char *broken;      /* why the file cannot be used, or NULL; then kind and id may be ""; first seen by a
                                scan, or by the load that failed */
    const loci_class *cls;   /* NULL until loaded                                   */
    const loci_plugin *plugin;
} loci_entry;

/* ownership: how the policy on owners and permissions of files and folders acts. */
#define LOCI_OWNERSHIP_OFF 0
#define LOCI_OWNERSHIP_WARN 1
#define LOCI_OWNERSHIP_CHECK 2

loci_status loci_registry_new(loci_registry **out, int ownership, loci_error *err);
void loci_registry_free(loci_registry *r); /* loaded objects stay */
/* A colon-separated list of folders, strongest first; call once per source, strongest source first. Each element must be
 * absolute; "" is skipped. A folder that does not exist is an error when `must_exist`. */
loci_status loci_registry_path(loci_registry *r, const char *folders, bool must_exist, loci_error *err);
/* A plugin compiled in. It takes the next place in the path order. */
loci_status loci_registry_builtin(loci_registry *r, const loci_plugin *p, loci_error *err);

/* The class, loading its file if need be. `wanted_by` names the config line that asks ("etc/mac.ini:4: memory.backend")
 * or is NULL; an unknown id lists the nearest and the searched folders. kind as in loci_entry. */
loci_status loci_registry_find(loci_registry *r, const loci_class **out, const char *kind, const char *id,
                               const char *wanted_by, loci_error *err);
/* Load one file given by path and every class of it. Files named so come before every folder, in the order of the
 * calls; name them before the first find. */
loci_status loci_registry_load_file(loci_registry *r, const char *path, loci_error *err);

/* All entries, sorted by kind, id, path order; stable until the next path, builtin or load_file. find and candidates
 * fill cls, plugin and broken in place. */
uint32_t loci_registry_n(const loci_registry *r);
const loci_entry *loci_registry_entry(const loci_registry *r, uint32_t i);

/* Where to look. The order of the parts: --plugin-path, then the environment, then [plugins] path, then the default.
 * env: LOCI_PLUGIN_PATH, or NULL; ignored, with a warning, in a privileged process (secure_getenv).
 * default: a colon list, loci_free'd by the caller, NULL only when memory fails: the folder plugins/.all beside the
 * program (or beside the .libs that holds it) if that folder contains the file .loci-build-tree, then LOCI_PLUGIN_DIR of
 * configure. */
const char *loci_plugin_env_path(void);
char *loci_plugin_default_path(void);

/* "loci.memory/1" <-> "memory"; NULL when unknown. */
const char *loci_kind_short(const char *kind);
const char *loci_kind_long(const char *kind);

/* One candidate of a selection, for the line on who won and why. */
typedef struct loci_candidate {
    const loci_class *cls; /* NULL: it could not be loaded */
    const char *id;
    int32_t score;
    char reason[512];
} loci_candidate;
/* Every class of the kind, asked whether it fits; best score first, ties by id. config_of gives the class's config and
 * may fail. *out is loci_free'd by the caller. Fails only when memory does. */
typedef loci_status (*loci_config_of_fn)(void *arg, const loci_class *cls, loci_config *out, loci_error *err);
loci_status loci_registry_candidates(loci_registry *r, loci_candidate **out, uint32_t *n, const char *kind,
                                     const loci_host *host, const loci_shape *shape, loci_config_of_fn config_of,
                                     void *arg, loci_error *err);

#endif
