/* SPDX-License-Identifier: Apache-2.0
 *
 * What differs between two configs, as their dumps say it.
 */
#ifndef LOCI_CORE_CONFIG_DIFF_H
#define LOCI_CORE_CONFIG_DIFF_H

#include "core/base/base.h"

/* Calls fn for every key whose value differs between two texts made by loci_conf_dump (NULL: not there), in the order of
 * a, then of what only b has. */
typedef void (*loci_conf_diff_fn)(void *arg, const char *section, const char *key, const char *a, const char *b);
loci_status loci_conf_diff(const char *a, const char *b, loci_conf_diff_fn fn, void *arg, loci_error *err);

#endif
