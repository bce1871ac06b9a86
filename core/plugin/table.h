/* SPDX-License-Identifier: Apache-2.0
 *
 * core/plugin: the registry's table, shared by table.c (who wins) and registry.c (what happens to the winner).
 */
#ifndef LOCI_CORE_PLUGIN_TABLE_H
#define LOCI_CORE_PLUGIN_TABLE_H

#include "core/plugin/note.h"
#include "core/plugin/registry.h"

#include <sys/stat.h>

/* One plugin file, or one built-in (path "built-in"). */
typedef struct loci_plugin_file {
    char *path;
    dev_t dev;
    ino_t ino;
    int64_t rank; /* place in the path order; files of one folder share it, files named one by one are negative */
    loci_note note;
    char build_id[129];
    char *broken;              /* or NULL             */
    const loci_plugin *plugin; /* NULL until loaded   */
} loci_plugin_file;

/* One class of one file; or one file of which no class is known. */
typedef struct loci_record {
    loci_entry e; /* first, and what loci_registry_entry gives out */
    loci_plugin_file *file;
    char *twice;   /* the message when its folder holds it twice, or NULL */
    bool reported; /* what it shadows was said                            */
} loci_record;

struct loci_registry {
    int ownership;
    loci_plugin_file **files;
    uint32_t n_files;
    loci_record *records;
    uint32_t n_records;
    int64_t next_rank, next_named;
    loci_text folders; /* searched so far, for messages */
};

/* Make the records anew from the files: sorted, shadows and duplicates marked. On failure the old ones stand. */
loci_status loci_table_build(loci_registry *r, loci_error *err);
void loci_table_free(loci_registry *r);
/* After a file was loaded or failed to: bring its records up to date without moving any. */
void loci_table_refresh(loci_registry *r, const loci_plugin_file *f);
/* The winner, or NULL. */
loci_record *loci_table_find(const loci_registry *r, const char *kind, const char *id);
/* The sentence on a class that nobody has. */
loci_status loci_table_unknown(const loci_registry *r, const char *kind, const char *id, loci_error *err);

#endif
