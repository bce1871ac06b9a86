/* SPDX-License-Identifier: Apache-2.0
 *
 * core/plugin: everything that can be known of a plugin file without running an instruction of it.
 */
#ifndef LOCI_CORE_PLUGIN_LOOK_H
#define LOCI_CORE_PLUGIN_LOOK_H

#include "core/plugin/elf.h"
#include "core/plugin/note.h"
#include "core/plugin/policy.h"

typedef struct loci_look {
    struct stat st;
    loci_elf elf;
    loci_note note;
    loci_error owners; /* what the path policy objects to; code LOCI_OK: nothing, or it is off */
} loci_look;

/* The symbol a plugin of this major exports. */
#define LOCI_ENTRY_NAME "loci_plugin_v1"

/* Steps 1 to 3 of docs/design/plugins.md. On failure *out holds what could still be read (so that a refused file's
 * classes are known); free it in either case. ownership: LOCI_OWNERSHIP_*. */
loci_status loci_look_at(loci_look *out, const char *path, int ownership, loci_error *err);
void loci_look_free(loci_look *l);

/* Bits of loci_plugin.san of this host. */
uint32_t loci_host_san(void);
const char *loci_san_name(uint32_t bits);

#endif
