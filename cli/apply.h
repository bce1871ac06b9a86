/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of `loci apply` share: the request, and the run it becomes.
 */
#ifndef LOCI_CLI_APPLY_H
#define LOCI_CLI_APPLY_H

#include "cli/component.h"

#define APPLY_SYMBOLS 16

struct apply {
    /* the request */
    const char *in, *out, *desc_text, *pieces_text, *seed_text;
    bool grad, layer;
    int32_t op; /* LOCI_OP_*; MIX: not said */
    int64_t pos;
    /* the run */
    struct component c;
    enum loci_trial_form form;
    loci_tensors *file;
    loci_trial_size size;
    loci_attn_desc desc;
    loci_mask mask;
    loci_view *views; /* [cli_n_optionals] of what the file has of them */
    struct apply_axis {
        char name[8];
        int64_t n;
        const char *by; /* the tensor that said so */
    } symbols[APPLY_SYMBOLS];
    uint32_t n_symbols;
    loci_trial *t;
    loci_cutting cut;
    int32_t *pieces;
    uint32_t n_pieces;
    json_t *read, *written, *warnings;
};

/* apply_size.c: sizes and element type from the tensors of the file; model.dim into the config. */
loci_status apply_size(struct apply *a, loci_error *err);
/* Its parts, for apply_attention.c: a symbol's number; the axes of a tensor, of one that must be there; "`v` is [2, 7] and
 * must be [B S]" and why; the type of the first of these tensors. */
int64_t apply_symbol(const struct apply *a, const char *name, int64_t otherwise);
loci_status apply_bind(struct apply *a, const loci_named *t, const char *axes, loci_error *err);
loci_status apply_wanted(struct apply *a, const char *name, const char *axes, loci_error *err);
loci_status apply_misshaped(const struct apply *a, const loci_named *t, const char *axes, const char *why,
                            loci_error *err);
loci_status apply_dtype(struct apply *a, const char *const *names, loci_error *err);
loci_status apply_attention(struct apply *a, loci_error *err);
/* apply_desc.c: --desc into desc and mask; --pieces. */
loci_status apply_desc(struct apply *a, loci_error *err);
loci_status apply_pieces(struct apply *a, loci_error *err);
/* What --desc may name: [{name, type, default, range}]; attention: all, otherwise those of a mask. */
json_t *apply_desc_json(bool attention);
/* apply_read.c: every tensor of the file into its port; nothing may be missing or left over. */
loci_status apply_read(struct apply *a, loci_error *err);
/* apply_write.c: the results into the file. */
loci_status apply_write(struct apply *a, loci_error *err);
/* Does the op hand this port over? */
bool apply_uses(const struct apply *a, const loci_port *p);
/* "[2, 3]" */
void apply_shape(loci_text *t, int32_t ndim, const int64_t *shape);
/* {name, dtype, shape} at the end of a list. */
void apply_note(json_t *list, const char *name, loci_dtype dtype, int32_t ndim, const int64_t *shape);

#endif
