/* SPDX-License-Identifier: Apache-2.0
 *
 * core/plugin: whose file may be run. Loading a plugin is running a program, so the rules are those for programs.
 */
#ifndef LOCI_CORE_PLUGIN_POLICY_H
#define LOCI_CORE_PLUGIN_POLICY_H

#include "core/base/base.h"

#include <sys/stat.h>

/* Open a file for reading without ever blocking on it, and examine what was opened. *fd is -1 on failure. */
loci_status loci_policy_open(int *fd, struct stat *st, const char *path, loci_error *err);
/* Owner and permissions of the open file, of the folder it is named in, and of the folders above where it really lies,
 * up to one that root owns. A sentence on the first that is too open; it says which word lifts the check. */
loci_status loci_policy_owners(const struct stat *st, const char *path, loci_error *err);
/* Is `path` still the file that was examined? */
bool loci_policy_same(const struct stat *st, const char *path);

#endif
