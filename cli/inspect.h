/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of `loci inspect` share: each part makes a JSON document and prints it as text.
 */
#ifndef LOCI_CLI_INSPECT_H
#define LOCI_CLI_INSPECT_H

#include "cli/cli.h"
#include "core/tensor/figures.h"

/* inspect.c */
bool inspect_is_file(const char *path);

/* inspect_file.c: a file of tensors: {path, tensors: [...], elements, bytes, not_finite}. norms: with those of each
 * stream and head, for a file of states. */
loci_status inspect_file(json_t **out, const char *path, bool norms, loci_error *err);
void inspect_print_file(const json_t *file, const char *title);
json_t *inspect_tensor_json(const loci_named *t, const loci_figures *f);
json_t *inspect_shape_json(const loci_named *t);
const char *inspect_shape(char *room, size_t n, const json_t *shape); /* "4x32x32"; "one value" */
json_t *inspect_array(const double *values, size_t n);

/* inspect_tensor.c: the tensor of that name in the first of the files that has it; of several, those that exist. */
loci_status inspect_tensor(const char *tensor, const char *const *paths, size_t n, bool values, bool as_json,
                           loci_error *err);

/* inspect_diff.c: two files, checkpoints or runs; LOCI_E_CHECKPOINT when they differ. */
loci_status inspect_diff(const char *left, const char *right, bool as_json, loci_error *err);

/* inspect_run.c: the log of a run folder, and the facts of a checkpoint. */
loci_status inspect_log(json_t **out, const char *folder, loci_error *err);
void inspect_print_log(const json_t *log);
loci_status inspect_facts(json_t **out, const char *folder, loci_error *err);
void inspect_print_facts(const json_t *facts);

/* inspect_gates.c: a checkpoint's gates and memories over one batch of its validation text, or of `text`. */
loci_status inspect_gates(json_t **out, const char *folder, const char *text, const struct options *o, loci_error *err);
void inspect_print_gates(const json_t *gates);

#endif
