/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/ops: the table of loci.ops/1, walks and checks. See ops.h.
 */
#include "ops.h"

#include <stdio.h>
#include <string.h>

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

/* ---- checks ----------------------------------------------------------------------------------------------------- */

static int same_type(loci_dtype a, loci_dtype b)
{
    return a.code == b.code && a.bits == b.bits && a.lanes == b.lanes;
}

int cuda_bits(const char *op, const loci_tensor *t, loci_error *err)
{
    if (!t)
        cuda_refuse(err, LOCI_E_ARG, "%s: an operand is missing", op);
    else if (t->dtype.code == LOCI_FLOAT && t->dtype.lanes == 1 && (t->dtype.bits == 32 || t->dtype.bits == 64))
        return t->dtype.bits;
    else
        cuda_refuse(err, LOCI_E_ARG, "%s: type of code %d and %d bits; use f32 or f64", op, t->dtype.code,
                    t->dtype.bits);
    return 0;
}

int64_t cuda_elements(const loci_tensor *t)
{
    int64_t n = 1;

    for (int i = 0; i < t->ndim; i++)
        n *= t->shape[i];
    return n;
}

int cuda_contiguous(const loci_tensor *t)
{
    int64_t want = 1;

    for (int i = t->ndim - 1; i >= 0; i--) {
        if (t->shape[i] != 1 && t->strides[i] != want)
            return 0;
        want *= t->shape[i];
    }
    return 1;
}

loci_status cuda_ops_check(const char *op, const char *name, const loci_tensor *t, loci_dtype type, int least, int out,
                           loci_error *err)
{
    if (!t)
        return cuda_refuse(err, LOCI_E_ARG, "%s: %s is missing", op, name);
    if (t->ndim < least || t->ndim > CUDA_AXES)
        return cuda_refuse(err, LOCI_E_ARG, "%s: %s has %d dimensions; give %d to %d", op, name, t->ndim, least,
                           CUDA_AXES);
    if (!same_type(t->dtype, type))
        return cuda_refuse(err, LOCI_E_ARG, "%s: %s has type code %d of %d bits, the others code %d of %d bits", op,
                           name, t->dtype.code, t->dtype.bits, type.code, type.bits);
    if (cuda_elements(t) == 0)
        return LOCI_OK;
    for (int i = 0; i < t->ndim; i++) {
        const int64_t stride = t->strides[i];

        if (t->shape[i] < 2)
            continue;
        if (stride < 0 || (out && stride == 0) || (i == t->ndim - 1 && stride > 1))
            return cuda_refuse(err, LOCI_E_ARG, "%s: axis %d of %s has stride %lld; it must be %s", op, i, name,
                               (long long)stride,
                               i < t->ndim - 1 ? "above 0, or 0 in an input"
                               : out           ? "1"
                                               : "1, or 0 in an input");
    }
    if (!t->data)
        return cuda_refuse(err, LOCI_E_ARG, "%s: %s has no data", op, name);
    return LOCI_OK;
}

static const char *shape_text(char *to, size_t size, const loci_tensor *t)
{
    size_t len = 0;

    to[len++] = '[';
    for (int i = 0; i < t->ndim && len + 24 < size; i++)
        len += (size_t)snprintf(to + len, size - len, "%s%lld", i ? "," : "", (long long)t->shape[i]);
    snprintf(to + len, size - len, "]");
    return to;
}

loci_status cuda_ops_check_like(const char *op, const char *name, const loci_tensor *t, const loci_tensor *like,
                                int out, loci_error *err)
{
    loci_status status = cuda_ops_check(op, name, t, like->dtype, 1, out, err);

    if (status != LOCI_OK)
        return status;
    if (t->ndim != like->ndim || memcmp(t->shape, like->shape, (size_t)t->ndim * sizeof *t->shape) != 0) {
        char has[160], want[160];

        return cuda_refuse(err, LOCI_E_ARG, "%s: %s has shape %s; it must be %s", op, name,
                           shape_text(has, sizeof has, t), shape_text(want, sizeof want, like));
    }
    return LOCI_OK;
}

loci_status cuda_ops_check_i32(const char *op, const char *name, const loci_tensor *t, int ndim, const int64_t *shape,
                               loci_error *err)
{
    const loci_tensor like = {
        .ndim = ndim, .dtype = {LOCI_INT, 32, 1}, .shape = (int64_t *)(uintptr_t)shape, .strides = NULL};

    return cuda_ops_check_like(op, name, t, &like, 0, err);
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
