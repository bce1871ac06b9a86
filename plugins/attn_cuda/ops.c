/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/ops: the table of loci.ops/1 and walks. See ops.h.
 */
#include "ops.h"

/* ---- walks ------------------------------------------------------------------------------------------------------ */

void cuda_walk_init(cuda_walk *w, int n_axes, const int64_t *shape)
{
    *w = (cuda_walk){.n_axes = n_axes, .count = 1};
    for (int i = 0; i < n_axes; i++) {
        w->shape[i] = shape[i];
        w->count *= shape[i];
    }
}

void cuda_walk_add(cuda_walk *w, const int64_t *strides)
{
    for (int i = 0; i < w->n_axes && strides; i++)
        w->stride[w->n_operands][i] = strides[i];
    w->n_operands++;
}

void cuda_walk_merge(cuda_walk *w)
{
    int to = 0;

    for (int i = 0; i < w->n_axes; i++) { /* axes of one entry first: their strides say nothing */
        if (w->shape[i] == 1)
            continue;
        w->shape[to] = w->shape[i];
        for (int k = 0; k < w->n_operands; k++)
            w->stride[k][to] = w->stride[k][i];
        to++;
    }
    w->n_axes = to;
    to = 0;
    for (int i = 1; i < w->n_axes; i++) {
        int join = 1;

        for (int k = 0; k < w->n_operands; k++)
            join = join && w->stride[k][to] == w->stride[k][i] * w->shape[i];
        if (!join)
            to++;
        w->shape[to] = join ? w->shape[to] * w->shape[i] : w->shape[i];
        for (int k = 0; k < w->n_operands; k++)
            w->stride[k][to] = w->stride[k][i];
    }
    if (w->n_axes)
        w->n_axes = to + 1;
}

/* ---- lists ------------------------------------------------------------------------------------------------------ */

loci_status cuda_list_i32(const loci_exec *x, const char *op, const loci_tensor *t, const int32_t **device,
                          loci_error *err)
{
    const int64_t rows = t->ndim == 2 ? t->shape[0] : 1, n = t->shape[t->ndim - 1];
    const int64_t row = t->ndim == 2 ? t->strides[0] : 0, step = n > 1 ? t->strides[t->ndim - 1] : 1;
    const int32_t *from = (const int32_t *)loci_ptr(t);
    void *pinned, *there;
    loci_status status = cuda_stage(x, op, (uint64_t)(rows * n) * sizeof *from, &pinned, &there, err);

    if (status != LOCI_OK)
        return status;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < n; i++)
            ((int32_t *)pinned)[r * n + i] = from[r * row + i * step];
    *device = there;
    return cuda_send(x, op, pinned, (uint64_t)(rows * n) * sizeof *from, err);
}

/* ---- the table -------------------------------------------------------------------------------------------------- */

const loci_ops loci_cuda_ops = {
    .struct_size = sizeof(loci_ops),
    .gemm = cuda_op_gemm,
    .fill = cuda_op_fill,
    .map1 = cuda_op_map1,
    .map2 = cuda_op_map2,
    .sum_rows = cuda_op_sum_rows,
    .norm = cuda_op_norm,
    .norm_back = cuda_op_norm_back,
    .conv = cuda_op_conv,
    .conv_back = cuda_op_conv_back,
    .take = cuda_op_take,
    .put = cuda_op_put,
    .rope = cuda_op_rope,
    .xent = cuda_op_xent,
    .sumsq = cuda_op_sumsq,
    .adamw = cuda_op_adamw,
    .dot = cuda_op_dot,
};
