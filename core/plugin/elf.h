/* SPDX-License-Identifier: Apache-2.0
 *
 * core/plugin: what an ELF file says about itself, read from an open descriptor. Nothing is mapped, nothing is run.
 */
#ifndef LOCI_CORE_PLUGIN_ELF_H
#define LOCI_CORE_PLUGIN_ELF_H

#include "core/base/base.h"

#define LOCI_ELF_NEEDED 64
#define LOCI_ELF_ENTRIES 8
#define LOCI_ENTRY_PREFIX "loci_plugin_v"

typedef struct loci_elf {
    char *strings; /* the dynamic string table: the names below point into it            */
    char *note;    /* text of the note whose owner is `loci`, or NULL                    */
    uint32_t n_needed, n_entries;
    const char *needed[LOCI_ELF_NEEDED];   /* DT_NEEDED, in file order                   */
    const char *entries[LOCI_ELF_ENTRIES]; /* exported names that begin loci_plugin_v    */
    const char *others[LOCI_ELF_ENTRIES];  /* exported names that do not, the first ones */
    uint32_t n_others;                     /* how many there are                         */
    const char *runpath;                   /* DT_RUNPATH or DT_RPATH, or NULL            */
    char build_id[129];                    /* hex of the GNU build-id note, or ""        */
    bool has_symbols;                      /* the symbol table could be counted and read */
    bool static_tls, textrel;
    uint32_t san; /* bits of loci_plugin.san, by the run-time the code refers to         */
} loci_elf;

/* `path` is for messages and for finding the object beside a libtool .la. On failure *out holds what was read so far;
 * free it in either case. */
loci_status loci_elf_read(loci_elf *out, int fd, const char *path, loci_error *err);
void loci_elf_free(loci_elf *e);

/* Shared by elf.c and dynamic.c: a file whose every read is checked against its size. */
typedef struct loci_elf_file {
    int fd;
    uint64_t size;
    const char *path;
} loci_elf_file;
loci_status loci_elf_at(const loci_elf_file *f, void *to, uint64_t offset, uint64_t bytes, const char *what,
                        loci_error *err);
/* Fill strings, needed, entries, runpath, static_tls, textrel, san. phdr: the n program headers. */
loci_status loci_elf_dynamic(loci_elf *out, const loci_elf_file *f, const void *phdr, uint32_t n, loci_error *err);

#endif
