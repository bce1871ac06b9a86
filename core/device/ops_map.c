/* SPDX-License-Identifier: Apache-2.0
 *
 * core/device/ops_map: fill, map1, map2 and sum_rows.
 *
 * Operands become one walk; its innermost dimension is the kernel's row. Rows are cut further into pieces of
 * LOCI_OPS_GRAIN elements, so that one long row is shared too.
 */
#include "core/device/ops.h"

typedef struct map_job {
    const loci_kern *k;
    loci_walk w;              /* operands: out, a, b */
    int64_t n, piece, pieces; /* row, elements of a piece, pieces of a row */
    int64_t step[3];          /* 1 or 0 */
    char *out;
    const char *a, *b;
    int32_t f;
    double alpha, beta;
} map_job;

static void map_init(map_job *j, const loci_tensor *out, const loci_tensor *a, const loci_tensor *b)
{
    const loci_tensor *operand[3] = {out, a, b};
    int64_t size = j->k->size;
    bool rows = true;

    loci_walk_init(&j->w, out->ndim, out->shape);
    for (int i = 0; i < 3 && operand[i]; i++)
        loci_walk_add(&j->w, operand[i]->strides, size);
    loci_walk_merge(&j->w, 0);
    for (int i = 0; i < j->w.n_operands; i++) {
        int64_t stride = j->w.stride[i][j->w.n_dims - 1];
        rows = rows && (stride == size || (i > 0 && stride == 0));
        j->step[i] = stride != 0;
    }
    j->n = rows ? loci_walk_pop(&j->w) : 1;
    j->piece = j->n < LOCI_OPS_GRAIN ? j->n : LOCI_OPS_GRAIN;
    j->pieces = j->n ? (j->n + j->piece - 1) / j->piece : 0;
    j->out = loci_ptr(out);
    j->a = a ? loci_ptr(a) : NULL;
    j->b = b ? loci_ptr(b) : NULL;
}

static void map_task(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const map_job *j = arg;
    loci_step s;
    int64_t size = j->k->size, p = begin % j->pieces;

    (void)worker;
    loci_walk_seek(&j->w, &s, begin / j->pieces);
    for (int64_t i = begin; i < end; i++) {
        int64_t at = p * j->piece, n = j->n - at < j->piece ? j->n - at : j->piece;
        char *out = j->out + s.at[0] + at * size;
        if (!j->a)
            j->k->fill(out, n, j->alpha);
        else if (!j->b)
            j->k->map1(j->f, out, j->a + s.at[1] + at * size * j->step[1], j->step[1], n, j->alpha, j->beta);
        else
            j->k->map2(j->f, out, j->a + s.at[1] + at * size * j->step[1], j->step[1],
                       j->b + s.at[2] + at * size * j->step[2], j->step[2], n, j->alpha, j->beta);
        if (++p == j->pieces) {
            p = 0;
            loci_walk_next(&j->w, &s);
        }
    }
}

static loci_status map_run(const loci_exec *x, map_job *j)
{
    return loci_ops_for(x, j->w.count * j->pieces, LOCI_OPS_GRAIN / (j->piece + 1), map_task, j);
}

loci_status loci_op_fill(const loci_exec *x, const loci_tensor *out, double value, loci_error *err)
{
    map_job j = {.alpha = value};
    loci_status status;

    if (!(j.k = loci_ops_kern(x, "fill", out, err)))
        return LOCI_E_ARG;
    LOCI_TRY(loci_ops_check("fill", "out", out, out->dtype, 1, true, err));
    map_init(&j, out, NULL, NULL);
    status = map_run(x, &j);
out:
    return status;
}

loci_status loci_op_map1(const loci_exec *x, int32_t f, const loci_tensor *out, const loci_tensor *a, double alpha,
                         double beta, loci_error *err)
{
    map_job j = {.f = f, .alpha = alpha, .beta = beta};
    loci_status status;

    if (f < LOCI_MAP_COPY || f > LOCI_MAP_EXP)
        return loci_fail(err, LOCI_E_ARG, "map1: function %d is unknown; the last is %d", f, LOCI_MAP_EXP);
    if (!(j.k = loci_ops_kern(x, "map1", out, err)))
        return LOCI_E_ARG;
    LOCI_TRY(loci_ops_check("map1", "out", out, out->dtype, 1, true, err));
    LOCI_TRY(loci_ops_check_like("map1", "a", a, out, false, err));
    map_init(&j, out, a, NULL);
    status = map_run(x, &j);
out:
    return status;
}

loci_status loci_op_map2(const loci_exec *x, int32_t f, const loci_tensor *out, const loci_tensor *a,
                         const loci_tensor *b, double alpha, double beta, loci_error *err)
{
    map_job j = {.f = f, .alpha = alpha, .beta = beta};
    loci_status status;

    if (f < LOCI_MAP_ADD || f > LOCI_MAP_GELU_BACK2)
        return loci_fail(err, LOCI_E_ARG, "map2: function %d is unknown; the last is %d", f, LOCI_MAP_GELU_BACK2);
    if (!(j.k = loci_ops_kern(x, "map2", out, err)))
        return LOCI_E_ARG;
    LOCI_TRY(loci_ops_check("map2", "out", out, out->dtype, 1, true, err));
    LOCI_TRY(loci_ops_check_like("map2", "a", a, out, false, err));
    LOCI_TRY(loci_ops_check_like("map2", "b", b, out, false, err));
    map_init(&j, out, a, b);
    status = map_run(x, &j);
out:
    return status;
}

/* ---- sum_rows --------------------------------------------------------------------------------------------------- */

typedef struct sum_job {
    const loci_kern *k;
    loci_walk w;
    const char *a;
    int64_t step;
} sum_job;

static void sum_add(void *arg, void *acc, int64_t row, int64_t row_end, int64_t begin, int64_t n)
{
    const sum_job *j = arg;
    loci_step s;

    loci_walk_seek(&j->w, &s, row);
    for (; row < row_end; row++) {
        j->k->map1(LOCI_MAP_COPY, acc, j->a + s.at[0] + begin * j->step * j->k->size, j->step, n, 1, 1);
        loci_walk_next(&j->w, &s);
    }
}

loci_status loci_op_sum_rows(const loci_exec *x, const loci_tensor *out, const loci_tensor *a, double beta,
                             loci_error *err)
{
    sum_job j;
    loci_status status;

    if (!(j.k = loci_ops_kern(x, "sum_rows", out, err)))
        return LOCI_E_ARG;
    LOCI_TRY(loci_ops_check("sum_rows", "out", out, out->dtype, 1, true, err));
    LOCI_TRY(loci_ops_check("sum_rows", "a", a, out->dtype, 1, false, err));
    if (out->ndim != 1 || out->shape[0] != a->shape[a->ndim - 1])
        return loci_fail(err, LOCI_E_ARG, "sum_rows: a has rows of %lld; out must have that one axis",
                         (long long)a->shape[a->ndim - 1]);
    loci_walk_init(&j.w, a->ndim, a->shape);
    loci_walk_add(&j.w, a->strides, j.k->size);
    loci_walk_merge(&j.w, 1);
    loci_walk_pop(&j.w);
    j.a = loci_ptr(a);
    j.step = a->strides[a->ndim - 1] != 0;
    status = loci_ops_columns(x, j.k, j.w.count, out->shape[0], sum_add, &j, loci_ptr(out), beta);
out:
    return status;
}
