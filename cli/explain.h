/* SPDX-License-Identifier: Apache-2.0
 *
 * The two halves of `loci explain`: explain.c makes the document, explain_text.c prints it for a person.
 */
#ifndef LOCI_CLI_EXPLAIN_H
#define LOCI_CLI_EXPLAIN_H

#include "cli/cli.h"

void explain_print(const json_t *doc);

#endif
