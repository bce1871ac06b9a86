/* SPDX-License-Identifier: Apache-2.0
 *
 * core/plugin: the text of a plugin's ELF note, which says what the file holds before any of it runs.
 *
 *     abi=1.draft.2
 *     class=memory/titans          one line per class
 *
 * Lines are key=value; a key that is not known is skipped, so that later hosts may add some. The same spelling rules
 * for kinds and ids hold for the classes themselves (verify.c).
 */
#ifndef LOCI_CORE_PLUGIN_NOTE_H
#define LOCI_CORE_PLUGIN_NOTE_H

#include "core/base/base.h"

#define LOCI_MAX_CLASSES 256
#define LOCI_MAX_ID 128

typedef struct loci_note {
    char *text; /* a private copy; ids point into it */
    char abi[48];
    uint32_t n;
    struct {
        const char *kind, *id; /* kind is the static short name */
    } * classes;
} loci_note;

/* Classes are parsed even when the ABI is refused, so that a table can say which file holds what. Free in either case.
 */
loci_status loci_note_parse(loci_note *out, const char *text, const char *path, loci_error *err);
void loci_note_free(loci_note *n);
bool loci_note_has(const loci_note *n, const char *kind, const char *id);

/* [a-z0-9_-]+, or several of it joined by dots: reverse DNS. */
bool loci_id_ok(const char *id);
/* Every kind, separated by ", ". */
#define LOCI_KINDS "attention, compose, device, memory, mixer"

#endif
