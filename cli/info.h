/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of `loci info` share.
 */
#ifndef LOCI_CLI_INFO_H
#define LOCI_CLI_INFO_H

#include "cli/component.h"

/* Of everything one: what is opened when a call's own sizes do not matter. */
extern const loci_trial_size info_small;

/* info_ports.c: names of inputs or outputs, without weights and state. */
json_t *info_names(loci_trial *t, bool out);
/* Every port; of an attention, opened with q, k and v alone, also each other tensor that it serves. */
json_t *info_ports(loci_trial *t);
json_t *info_attention_ports(loci_context *cx, loci_trial *t, loci_dtype dtype);

/* info_text.c: the document as text. */
void info_print(const json_t *doc);

#endif
