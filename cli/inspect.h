/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of `loci inspect` share: each part makes a JSON document and prints it as text.
 */
#ifndef LOCI_CLI_INSPECT_H
#define LOCI_CLI_INSPECT_H

#include "cli/cli.h"
#include "core/tensor/figures.h"

/* inspect.c: a file of tensors: {path, tensors: [...], elements, bytes, not_finite}. norms: with those of each stream and
 * head, for a file of states. */
loci_status inspect_file(json_t **out, const char *path, bool norms, loci_error *err);
void inspect_print_file(const json_t *file, const char *title);
const char *inspect_shape(char *room, size_t n, const json_t *shape); /* "4x32x32"; "one value" */
json_t *inspect_array(const double *values, size_t n);

/* inspect_run.c: the log of a run folder, and the facts of a checkpoint. */
loci_status inspect_log(json_t **out, const char *folder, loci_error *err);
void inspect_print_log(const json_t *log);
loci_status inspect_facts(json_t **out, const char *folder, loci_error *err);
void inspect_print_facts(const json_t *facts);

/* inspect_gates.c: a checkpoint's gates and memories over one batch of its validation text, or of `text`. */
loci_status inspect_gates(json_t **out, const char *folder, const char *text, const struct options *o, loci_error *err);
void inspect_print_gates(const json_t *gates);

#endif
