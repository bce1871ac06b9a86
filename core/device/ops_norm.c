/* SPDX-License-Identifier: Apache-2.0
 *
 * core/device/ops_norm: norm and norm_back. One walk over the rows: y or dx, x, gain, stat, dy. A gain that all rows share
 * gets its gradient while a row is at hand for dx.
 */
#include "core/device/ops.h"

enum { OUT, X, GAIN, STAT, DY };

typedef struct norm_job {
    const loci_kern *k;
    loci_walk w;
    int32_t kind;
    int64_t n;
    double eps;
    char *out, *stat;
    const char *x, *gain, *dy;
} norm_job;

static loci_status check_gain(const char *op, const char *name, const loci_tensor *gain, const loci_tensor *x,
                              loci_error *err)
{
    int64_t n = x->shape[x->ndim - 1];
    loci_status status = loci_ops_check(op, name, gain, x->dtype, 1, true, err);

    if (status != LOCI_OK)
        return status;
    if (gain->shape[gain->ndim - 1] == n &&
        (gain->ndim == 1 || (gain->ndim == 2 && x->ndim > 1 && gain->shape[0] == x->shape[x->ndim - 2])))
        return LOCI_OK;
    return loci_fail(err, LOCI_E_ARG, "%s: %s must be [%lld], or [%lld,%lld]", op, name, (long long)n,
                     (long long)(x->ndim > 1 ? x->shape[x->ndim - 2] : 1), (long long)n);
}

/* Everything the two functions check alike, and the walk. y: out of norm, dx of norm_back; dy NULL in norm. */
static loci_status norm_init(norm_job *j, const char *op, int32_t kind, const loci_tensor *y, const loci_tensor *x,
                             const loci_tensor *gain, const loci_tensor *stat, const loci_tensor *dy, loci_error *err)
{
    int64_t strides[LOCI_WALK_DIMS] = {0}, rows = 1;
    int lead;
    loci_status status;

    if (kind != LOCI_NORM_RMS && kind != LOCI_NORM_L2)
        return loci_fail(err, LOCI_E_ARG, "%s: kind %d is unknown; use LOCI_NORM_RMS or LOCI_NORM_L2", op, kind);
    LOCI_TRY(loci_ops_check(op, dy ? "dx" : "y", y, y->dtype, 1, true, err));
    LOCI_TRY(loci_ops_check_like(op, "x", x, y, false, err));
    if (dy)
        LOCI_TRY(loci_ops_check_like(op, "dy", dy, y, false, err));
    if (gain)
        LOCI_TRY(check_gain(op, "gain", gain, x, err));
    lead = y->ndim - 1;
    j->n = y->shape[lead];
    if (j->n > 1 && (x->strides[lead] != 1 || (dy && dy->strides[lead] != 1)))
        return loci_fail(err, LOCI_E_ARG, "%s: the last axis of x and dy must have stride 1", op);
    for (int i = 0; i < lead; i++)
        rows *= y->shape[i];
    if (stat &&
        (!loci_ops_same_type(stat->dtype, y->dtype) || loci_ops_elements(stat) != rows || !loci_ops_contiguous(stat)))
        return loci_fail(err, LOCI_E_ARG, "%s: stat must be contiguous, of x's type, with %lld elements", op,
                         (long long)rows);
    j->kind = kind;
    j->out = loci_ptr(y);
    j->x = loci_ptr(x);
    j->gain = gain ? loci_ptr(gain) : NULL;
    j->stat = stat ? loci_ptr(stat) : NULL;
    j->dy = dy ? loci_ptr(dy) : NULL;
    loci_walk_init(&j->w, lead, y->shape);
    loci_walk_add(&j->w, y->strides, j->k->size);
    loci_walk_add(&j->w, x->strides, j->k->size);
    if (gain && gain->ndim == 2)
        strides[lead - 1] = gain->strides[0];
    loci_walk_add(&j->w, strides, j->k->size);
    for (int64_t i = lead - 1, step = 1; i >= 0; i--) {
        strides[i] = step;
        step *= y->shape[i];
    }
    loci_walk_add(&j->w, stat ? strides : NULL, j->k->size);
    loci_walk_add(&j->w, dy ? dy->strides : NULL, j->k->size);
out:
    return status;
}

static void norm_task(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const norm_job *j = arg;
    loci_step s;

    (void)worker;
    loci_walk_seek(&j->w, &s, begin);
    for (int64_t i = begin; i < end; i++) {
        char *stat = j->stat ? j->stat + s.at[STAT] : NULL;
        const char *gain = j->gain ? j->gain + s.at[GAIN] : NULL;
        if (j->dy)
            j->k->norm_dx(j->kind, j->out + s.at[OUT], j->x + s.at[X], gain, j->dy + s.at[DY], stat, j->n);
        else
            j->k->norm(j->kind, j->out + s.at[OUT], j->x + s.at[X], gain, stat, j->n, j->eps);
        loci_walk_next(&j->w, &s);
    }
}

static loci_status norm_rows(const loci_exec *x, norm_job *j)
{
    norm_job merged = *j;

    if (j->n == 0)
        return LOCI_OK;
    loci_walk_merge(&merged.w, 0);
    return loci_ops_for(x, j->w.count, LOCI_OPS_GRAIN / (j->n + 1), norm_task, &merged);
}

static void dgain_add(void *arg, void *acc, int64_t row, int64_t row_end, int64_t begin, int64_t n)
{
    const norm_job *j = arg;
    int64_t at = begin * j->k->size;
    loci_step s;

    loci_walk_seek(&j->w, &s, row);
    for (; row < row_end; row++) {
        j->k->norm_dgain(acc, j->x + s.at[X] + at, j->dy + s.at[DY] + at, j->stat + s.at[STAT], n);
        loci_walk_next(&j->w, &s);
    }
}

/* dx and what it adds to dgain, row by row. */
static void both_add(void *arg, void *acc, int64_t row, int64_t row_end, int64_t begin, int64_t n)
{
    const norm_job *j = arg;
    loci_step s;

    (void)begin;
    loci_walk_seek(&j->w, &s, row);
    for (; row < row_end; row++) {
        const char *x = j->x + s.at[X], *dy = j->dy + s.at[DY], *stat = j->stat + s.at[STAT];
        j->k->norm_dx(j->kind, j->out + s.at[OUT], x, j->gain ? j->gain + s.at[GAIN] : NULL, dy, stat, n);
        j->k->norm_dgain(acc, x, dy, stat, n);
        loci_walk_next(&j->w, &s);
    }
}

/* A gain per head sums over the other axes, head by head. */
static loci_status dgain_rows(const loci_exec *x, const norm_job *from, const loci_tensor *dgain)
{
    norm_job j = *from;
    int64_t heads = 1, step[LOCI_WALK_OPERANDS] = {0};
    loci_status status = LOCI_OK;

    if (dgain->ndim == 2) {
        heads = loci_walk_pop(&j.w);
        for (int k = 0; k < j.w.n_operands; k++)
            step[k] = j.w.stride[k][j.w.n_dims];
    }
    loci_walk_merge(&j.w, 0);
    for (int64_t h = 0; h < heads && status == LOCI_OK; h++) {
        char *out = (char *)loci_ptr(dgain) + (dgain->ndim == 2 ? h * dgain->strides[0] * j.k->size : 0);
        status = loci_ops_columns(x, j.k, j.w.count, j.n, dgain_add, &j, out, 1);
        j.x += step[X];
        j.dy += step[DY];
        j.stat += step[STAT];
    }
    return status;
}

loci_status loci_op_norm(const loci_exec *x, int32_t kind, const loci_tensor *y, const loci_tensor *in,
                         const loci_tensor *gain, const loci_tensor *stat, double eps, loci_error *err)
{
    norm_job j = {.eps = eps};
    loci_status status;

    if (!(j.k = loci_ops_kern(x, "norm", y, err)))
        return LOCI_E_ARG;
    LOCI_TRY(norm_init(&j, "norm", kind, y, in, gain, stat, NULL, err));
    status = norm_rows(x, &j);
out:
    return status;
}

loci_status loci_op_norm_back(const loci_exec *x, int32_t kind, const loci_tensor *dx, const loci_tensor *dgain,
                              const loci_tensor *in, const loci_tensor *gain, const loci_tensor *stat,
                              const loci_tensor *dy, loci_error *err)
{
    norm_job j = {.eps = 0};
    loci_status status;

    if (!(j.k = loci_ops_kern(x, "norm_back", dx, err)))
        return LOCI_E_ARG;
    if (!dy || !stat)
        return loci_fail(err, LOCI_E_ARG, "norm_back: %s is missing", dy ? "stat" : "dy");
    LOCI_TRY(norm_init(&j, "norm_back", kind, dx, in, gain, stat, dy, err));
    if (dgain)
        LOCI_TRY(check_gain("norm_back", "dgain", dgain, dx, err));
    if (dgain && dgain->ndim == 1 && j.n <= LOCI_OPS_WHOLE) {
        loci_walk_merge(&j.w, 0);
        return loci_ops_whole_rows(x, j.k, j.w.count, j.n, both_add, &j, loci_ptr(dgain), 1);
    }
    LOCI_TRY(norm_rows(x, &j));
    if (dgain)
        status = dgain_rows(x, &j, dgain);
out:
    return status;
}
