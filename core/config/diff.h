/* SPDX-License-Identifier: Apache-2.0
 *
 * Configs as text: what differs between two dumps, and what of one a checkpoint may hold.
 */
#ifndef LOCI_CORE_CONFIG_DIFF_H
#define LOCI_CORE_CONFIG_DIFF_H

#include "core/base/base.h"

/* Calls fn for every key whose value differs between two texts made by loci_conf_dump (NULL: not there), in the order of
 * a, then of what only b has. */
typedef void (*loci_conf_diff_fn)(void *arg, const char *section, const char *key, const char *a, const char *b);
loci_status loci_conf_diff(const char *a, const char *b, loci_conf_diff_fn fn, void *arg, loci_error *err);

/* A config as a checkpoint may hold it: sections that say where programs lie ([plugins], [plugin.ID]) and arms are left
 * out; an include is LOCI_E_CHECKPOINT. Applied when a checkpoint is written and
 * again when one is read, since it may come from elsewhere. */
loci_status loci_conf_without_paths(loci_text *out, const char *text, loci_error *err);

#endif
