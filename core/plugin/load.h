/* SPDX-License-Identifier: Apache-2.0
 *
 * core/plugin: load one file, and verify what a plugin says of itself.
 */
#ifndef LOCI_CORE_PLUGIN_LOAD_H
#define LOCI_CORE_PLUGIN_LOAD_H

#include "core/plugin/look.h"

/* Steps 4 to 7 of docs/design/plugins.md on a file that was looked at (steps 1 to 3, with the same path and ownership)
 * without an objection. *out stays valid for good: nothing is unloaded. */
loci_status loci_load(const loci_plugin **out, const char *path, const loci_look *look, int ownership, loci_error *err);

/* Steps 4 to 6 alone: *out is the entry, and nothing behind it was read. */
loci_status loci_load_entry(const loci_plugin **out, const char *path, const loci_look *look, int ownership,
                            loci_error *err);

/* Step 7: magic, sizes, draft, sanitizer, every class. `note` NULL: a built-in, which has none. Reads p only. */
loci_status loci_verify(const loci_plugin *p, const loci_note *note, const char *path, loci_error *err);
/* One key of a class; `of` is "kind/id". */
loci_status loci_verify_key(const loci_key *k, const char *of, const char *path, loci_error *err);

#endif
