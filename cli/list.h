/* SPDX-License-Identifier: Apache-2.0
 *
 * loci list: what its files share.
 */
#ifndef LOCI_CLI_LIST_H
#define LOCI_CLI_LIST_H

#include "cli/cli.h"
#include "core/model/node.h"

json_t *cli_list_entry(const loci_entry *e);
loci_status cli_list_deep(const struct options *o, loci_error *err);

#endif
