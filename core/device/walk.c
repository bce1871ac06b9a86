/* SPDX-License-Identifier: Apache-2.0
 *
 * core/device/walk: see walk.h.
 */
#include "core/device/walk.h"

#include <assert.h>
#include <string.h>

void loci_walk_init(loci_walk *w, int n_dims, const int64_t *shape)
{
    assert(n_dims <= LOCI_WALK_DIMS);
    memset(w, 0, sizeof *w);
    w->n_dims = n_dims;
    w->count = 1;
    for (int i = 0; i < n_dims; i++) {
        w->shape[i] = shape[i];
        w->count *= shape[i];
    }
}

void loci_walk_add(loci_walk *w, const int64_t *strides, int64_t size)
{
    assert(w->n_operands < LOCI_WALK_OPERANDS);
    for (int i = 0; strides && i < w->n_dims; i++)
        w->stride[w->n_operands][i] = strides[i] * size;
    w->n_operands++;
}

static bool mergeable(const loci_walk *w, int i)
{
    if (w->shape[i] == 1 || w->shape[i + 1] == 1)
        return true;
    for (int k = 0; k < w->n_operands; k++)
        if (w->stride[k][i] != w->stride[k][i + 1] * w->shape[i + 1])
            return false;
    return true;
}

void loci_walk_merge(loci_walk *w, int keep)
{
    for (int i = w->n_dims - 2 - keep; i >= 0; i--) {
        if (!mergeable(w, i))
            continue;
        for (int k = 0; k < w->n_operands; k++)
            if (w->shape[i + 1] == 1)
                w->stride[k][i + 1] = w->stride[k][i];
        w->shape[i + 1] *= w->shape[i];
        w->n_dims--;
        for (int j = i; j < w->n_dims; j++) {
            w->shape[j] = w->shape[j + 1];
            for (int k = 0; k < w->n_operands; k++)
                w->stride[k][j] = w->stride[k][j + 1];
        }
    }
}

int64_t loci_walk_pop(loci_walk *w)
{
    int64_t n;

    if (w->n_dims == 0)
        return 1;
    n = w->shape[--w->n_dims];
    w->count = 1;
    for (int i = 0; i < w->n_dims; i++)
        w->count *= w->shape[i];
    return n;
}

void loci_walk_seek(const loci_walk *w, loci_step *s, int64_t item)
{
    memset(s, 0, sizeof *s);
    for (int i = w->n_dims - 1; i >= 0; i--) {
        s->index[i] = item % w->shape[i];
        item /= w->shape[i];
        for (int k = 0; k < w->n_operands; k++)
            s->at[k] += s->index[i] * w->stride[k][i];
    }
}
