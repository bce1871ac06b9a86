/* SPDX-License-Identifier: Apache-2.0
 *
 * loci check: what its files share.
 */
#ifndef LOCI_CLI_CHECK_H
#define LOCI_CLI_CHECK_H

#include "cli/cli.h"
#include "core/check/check.h"

/* The tests of the document of --json as JUnit's XML: a suite per component. */
loci_status cli_check_junit(const char *path, const char *plugin, const json_t *tests, loci_error *err);

#endif
