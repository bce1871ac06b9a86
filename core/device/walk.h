/* SPDX-License-Identifier: Apache-2.0
 *
 * core/device/walk: several tensors of one shape, visited row by row.
 *
 *  (1) A walk has up to 5 dimensions and 6 operands; operand k moves stride[k][i] bytes along dimension i, 0 where it
 *      broadcasts. Dimension n_dims - 1 is the innermost.
 *  (2) Merging joins neighbouring dimensions wherever every operand allows it, so contiguous tensors have one.
 *  (3) A step is a place in the walk: the item's number, its index, and the offset of every operand.
 */
#ifndef LOCI_CORE_DEVICE_WALK_H
#define LOCI_CORE_DEVICE_WALK_H

#include "core/base/base.h"

#define LOCI_WALK_DIMS 5
#define LOCI_WALK_OPERANDS 6

typedef struct loci_walk {
    int n_dims, n_operands;
    int64_t count; /* items: the product of shape */
    int64_t shape[LOCI_WALK_DIMS];
    int64_t stride[LOCI_WALK_OPERANDS][LOCI_WALK_DIMS];
} loci_walk;

typedef struct loci_step {
    int64_t index[LOCI_WALK_DIMS];
    int64_t at[LOCI_WALK_OPERANDS];
} loci_step;

/* A walk over the first n_dims axes of `shape`, no operands yet. */
void loci_walk_init(loci_walk *w, int n_dims, const int64_t *shape);
/* Add an operand; strides in elements of `size` bytes, one per dimension, NULL: does not move. */
void loci_walk_add(loci_walk *w, const int64_t *strides, int64_t size);
/* (2). The innermost `keep` dimensions stay as they are. */
void loci_walk_merge(loci_walk *w, int keep);
/* Take the innermost dimension out and return its size (1 when there is none); its strides stay readable. */
int64_t loci_walk_pop(loci_walk *w);

void loci_walk_seek(const loci_walk *w, loci_step *s, int64_t item);
static inline void loci_walk_next(const loci_walk *w, loci_step *s)
{
    for (int i = w->n_dims - 1; i >= 0; i--) {
        for (int k = 0; k < w->n_operands; k++)
            s->at[k] += w->stride[k][i];
        if (++s->index[i] < w->shape[i])
            return;
        for (int k = 0; k < w->n_operands; k++)
            s->at[k] -= w->stride[k][i] * w->shape[i];
        s->index[i] = 0;
    }
}

#endif
