/* SPDX-License-Identifier: Apache-2.0
 *
 * The pieces of memory of a pass, shared by its planning (pass.c) and its calls (step.c).
 */
#ifndef LOCI_CORE_MODEL_PASS_H
#define LOCI_CORE_MODEL_PASS_H

#include "core/model/model.h"
#include "core/model/node_impl.h"
#include "core/model/tools.h"
#include <string.h>

struct layer_pieces {
    void *x, *n1, *stat1, *compose, *u, *n2, *stat2, *up, *gate, *act;
};
struct top_pieces {
    void *x, *n, *stat, *logits;
};
struct scratch_pieces {
    void *y, *dx, *dn, *f1, *f2, *f3, *loss;
};

static inline int64_t tokens_of(const loci_pass *p)
{
    return p->session.rows * p->width;
}

void loci_carve_layer(struct layer_pieces *b, const loci_pass *p, uint64_t compose_saved, loci_cursor *c);
void loci_carve_top(struct top_pieces *b, const loci_pass *p, loci_cursor *c);
void loci_carve_scratch(struct scratch_pieces *b, const loci_pass *p, loci_cursor *c);

#endif
