/* SPDX-License-Identifier: Apache-2.0
 *
 * The pieces of memory of a pass, shared by its planning (pass.c) and its calls (step.c, layer.c, ffn.c, head.c).
 */
#ifndef LOCI_CORE_MODEL_PASS_H
#define LOCI_CORE_MODEL_PASS_H

#include "core/model/model.h"
#include "core/model/node_impl.h"
#include "core/model/tools.h"
#include <string.h>

struct layer_pieces {
    void *stat1, *compose, *u, *stat2, *up, *gate;
};
struct top_pieces {
    void *x, *stat, *dn, *logits;
};
struct scratch_pieces {
    void *y, *dx, *dn, *n, *f1, *f2, *loss;
};

static inline int64_t tokens_of(const loci_pass *p)
{
    return p->session.rows * p->width;
}

/* How many tokens' logits exist at once: all of them where a forward may be asked for logits. */
int64_t loci_head_rows(const loci_pass *p);
void loci_carve_layer(struct layer_pieces *b, const loci_pass *p, uint64_t compose_saved, loci_cursor *c);
void loci_carve_top(struct top_pieces *b, const loci_pass *p, loci_cursor *c);
void loci_carve_scratch(struct scratch_pieces *b, const loci_pass *p, loci_cursor *c);

/* Pieces and state blocks of one layer. */
struct walk {
    struct layer_pieces piece;
    void *x;
    char *in, *out;
};
void loci_walk_to(struct walk *w, const loci_pass *p, int layer);
void loci_top_of(struct top_pieces *t, const loci_pass *p);
/* An exec whose scratch is the components'; saved as given. */
void loci_layer_exec(loci_exec *x, const loci_pass *p, void *saved, uint64_t saved_bytes);

/* step.c: the forward of what the last loci_pass_forward was given. */
loci_status loci_pass_again(loci_pass *p, double scale, double *loss, int64_t *count, double *token_loss,
                            loci_error *err);

/* layer.c: a layer from its x to that of the next one, whose norm is left in s->n. NULL: the same once more for the
 * backward, which asks for no result. */
struct next_norm {
    void *x, *stat;
    const loci_weight *gain;
};
loci_status loci_layer_forward(const loci_pass *p, int i, const struct scratch_pieces *s, const struct next_norm *next,
                               loci_error *err);
/* d(output) in s->dx becomes d(x). */
loci_status loci_layer_back(const loci_pass *p, int i, const struct scratch_pieces *s, loci_error *err);

/* ffn.c: y = ffn(n) of s->n = rms(u); NULL: only what the backward reads; and the adjoint, added to s->dx. */
loci_status loci_ffn_forward(const loci_exec *x, const loci_pass *p, const struct loci_layer *l,
                             const struct layer_pieces *b, const struct scratch_pieces *s, void *y, loci_error *err);
loci_status loci_ffn_back(const loci_exec *x, const loci_pass *p, const struct loci_layer *l,
                          const struct layer_pieces *b, const struct scratch_pieces *s, loci_error *err);

/* head.c: logits of the normalised s->n; with targets the losses, and with SAVE the head's gradient and top->dn. */
loci_status loci_head_forward(loci_pass *p, const loci_exec *x, const struct top_pieces *t,
                              const struct scratch_pieces *s, double scale, loci_error *err);
/* answers.c: the answers for tokens at .. at + n - 1, of which these are the logits. */
loci_status loci_head_answers(const loci_pass *p, const loci_exec *x, const void *logits, int64_t at, int64_t n,
                              loci_error *err);
/* The losses that loci_head_forward left, added up in order. */
loci_status loci_head_losses(const loci_pass *p, const loci_exec *x, const void *row_loss, double *loss, int64_t *count,
                             double *token_loss);

#endif
