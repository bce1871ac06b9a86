/* SPDX-License-Identifier: Apache-2.0
 *
 * core/device/ops_rows: take and put of rows by index, and rotary positions.
 *
 * Indices are data, but an index outside the matrix would write into strangers' memory, so they are checked.
 */
#include "core/device/ops.h"

#include <math.h>
#include <string.h>

#define PUT_STRIP 64

/* ---- take and put ----------------------------------------------------------------------------------------------- */

typedef struct rows_job {
    const loci_kern *k;
    loci_walk w; /* of one row, operands out and a, innermost dimension taken out */
    int64_t n, step, m;
    int64_t out_row, a_row; /* bytes */
    char *out;
    const char *a;
    const int32_t *rows;
    int64_t rows_step;
    double beta;
} rows_job;

static loci_status rows_init(rows_job *j, const char *op, const loci_tensor *out, const loci_tensor *a,
                             const loci_tensor *rows, const loci_tensor *picked, const loci_tensor *whole,
                             loci_error *err)
{
    loci_status status;

    LOCI_TRY(loci_ops_check(op, "out", out, out->dtype, 1, true, err));
    LOCI_TRY(loci_ops_check(op, "a", a, out->dtype, 1, false, err));
    LOCI_TRY(loci_ops_check_i32(op, "rows", rows, 1, picked->shape, err));
    if (out->ndim != a->ndim || memcmp(out->shape + 1, a->shape + 1, (size_t)(a->ndim - 1) * sizeof *a->shape) != 0)
        return loci_fail(err, LOCI_E_ARG, "%s: rows of out and a differ in shape", op);
    j->m = rows->shape[0];
    j->rows = loci_ptr(rows);
    j->rows_step = j->m > 1 ? rows->strides[0] : 1;
    for (int64_t i = 0; i < j->m; i++)
        if (j->rows[i * j->rows_step] < -1 || j->rows[i * j->rows_step] >= whole->shape[0])
            return loci_fail(err, LOCI_E_ARG, "%s: rows[%lld] is %d; the matrix has %lld rows", op, (long long)i,
                             j->rows[i * j->rows_step], (long long)whole->shape[0]);
    loci_walk_init(&j->w, out->ndim - 1, out->shape + 1);
    loci_walk_add(&j->w, out->strides + 1, j->k->size);
    loci_walk_add(&j->w, a->strides + 1, j->k->size);
    loci_walk_merge(&j->w, 0);
    j->n = 1;
    j->step = 1;
    if (j->w.n_dims > 0) {
        int last = j->w.n_dims - 1;
        if (j->w.stride[0][last] == j->k->size && (j->w.stride[1][last] == j->k->size || j->w.stride[1][last] == 0)) {
            j->step = j->w.stride[1][last] != 0;
            j->n = loci_walk_pop(&j->w);
        }
    }
    j->out = loci_ptr(out);
    j->a = loci_ptr(a);
    j->out_row = out->strides[0] * j->k->size;
    j->a_row = a->strides[0] * j->k->size;
out:
    return status;
}

static void take_task(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const rows_job *j = arg;
    loci_step s;

    (void)worker;
    loci_walk_seek(&j->w, &s, begin % j->w.count);
    for (int64_t i = begin; i < end; i++) {
        int64_t m = i / j->w.count, row = j->rows[m * j->rows_step];
        char *out = j->out + m * j->out_row + s.at[0];
        if (row >= 0)
            j->k->map1(LOCI_MAP_COPY, out, j->a + row * j->a_row + s.at[1], j->step, j->n, 1, j->beta);
        else if (j->beta == 0)
            j->k->fill(out, j->n, 0);
        else if (j->beta != 1)
            j->k->map1(LOCI_MAP_COPY, out, out, 1, j->n, j->beta, 0);
        loci_walk_next(&j->w, &s);
    }
}

loci_status loci_op_take(const loci_exec *x, const loci_tensor *out, const loci_tensor *a, const loci_tensor *rows,
                         double beta, loci_error *err)
{
    rows_job j = {.beta = beta};
    loci_status status;

    if (!(j.k = loci_ops_kern(x, "take", out, err)))
        return LOCI_E_ARG;
    LOCI_TRY(a ? rows_init(&j, "take", out, a, rows, out, a, err) : loci_fail(err, LOCI_E_ARG, "take: a is missing"));
    if (j.n > 0)
        status = loci_ops_for(x, j.m * j.w.count, LOCI_OPS_GRAIN / (j.n + 1), take_task, &j);
out:
    return status;
}

/* A strip of columns of every row, in the order of i. */
static void put_task(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const rows_job *j = arg;
    int64_t strips = (j->n + PUT_STRIP - 1) / PUT_STRIP;
    loci_step s;

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        int64_t at = i % strips * PUT_STRIP, n = j->n - at < PUT_STRIP ? j->n - at : PUT_STRIP;
        loci_walk_seek(&j->w, &s, i / strips);
        for (int64_t m = 0; m < j->m; m++) {
            int64_t row = j->rows[m * j->rows_step];
            if (row >= 0)
                j->k->map1(LOCI_MAP_COPY, j->out + row * j->out_row + s.at[0] + at * j->k->size,
                           j->a + m * j->a_row + s.at[1] + at * j->step * j->k->size, j->step, n, 1, 1);
        }
    }
}

loci_status loci_op_put(const loci_exec *x, const loci_tensor *out, const loci_tensor *a, const loci_tensor *rows,
                        loci_error *err)
{
    rows_job j = {.beta = 1};
    loci_status status;

    if (!(j.k = loci_ops_kern(x, "put", out, err)))
        return LOCI_E_ARG;
    LOCI_TRY(a ? rows_init(&j, "put", out, a, rows, a, out, err) : loci_fail(err, LOCI_E_ARG, "put: a is missing"));
    if (j.m > 0)
        status = loci_ops_for(x, j.w.count * ((j.n + PUT_STRIP - 1) / PUT_STRIP),
                              LOCI_OPS_GRAIN / (j.m * PUT_STRIP) + 1, put_task, &j);
out:
    return status;
}

/* ---- rope ------------------------------------------------------------------------------------------------------- */

typedef struct rope_job {
    const loci_kern *k;
    const loci_tensor *y, *x, *pos;
    int64_t rot, first, n; /* this pass: pairs [first, first + n) */
    double dir;
    double freq[LOCI_KERN_PAIRS];
} rope_job;

/* Token by token over all rows, which often have one position there: its angles are computed once. */
static void rope_task(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const rope_job *j = arg;
    const int64_t *ys = j->y->strides, *xs = j->x->strides;
    int64_t B = j->y->shape[0], H = j->y->shape[2], d = j->y->shape[3], size = j->k->size;
    double sine[LOCI_KERN_PAIRS], cosine[LOCI_KERN_PAIRS]; /* room for either type */
    int32_t of = -1;

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        int64_t b = i % B, t = i / B;
        char *y = (char *)loci_ptr(j->y) + (b * ys[0] + t * ys[1]) * size;
        const char *x = (const char *)loci_ptr(j->x) + (b * xs[0] + t * xs[1]) * size;
        int32_t pos = ((const int32_t *)loci_ptr(j->pos))[b * j->pos->strides[0] + t * j->pos->strides[1]];
        int64_t turned = pos < 0 ? 0 : j->rot;
        if (j->first == 0 && y != x && turned < d)
            for (int64_t h = 0; h < H; h++)
                j->k->map1(LOCI_MAP_COPY, y + (h * ys[2] + turned) * size, x + (h * xs[2] + turned) * size, 1,
                           d - turned, 1, 0);
        if (turned && pos != of)
            j->k->angles(sine, cosine, j->n, j->freq, of = pos, j->dir);
        if (turned)
            j->k->rope(y, ys[2], x, xs[2], H, j->rot, j->first, j->n, sine, cosine);
    }
}

loci_status loci_op_rope(const loci_exec *x, const loci_tensor *y, const loci_tensor *in, const loci_tensor *pos,
                         int64_t rot, double base, double dir, loci_error *err)
{
    rope_job j = {.y = y, .x = in, .pos = pos, .rot = rot, .dir = dir};
    int64_t tokens;
    loci_status status;

    if (!(j.k = loci_ops_kern(x, "rope", y, err)))
        return LOCI_E_ARG;
    LOCI_TRY(loci_ops_check("rope", "y", y, y->dtype, 4, true, err));
    LOCI_TRY(loci_ops_check_like("rope", "x", in, y, false, err));
    LOCI_TRY(loci_ops_check_i32("rope", "pos", pos, 2, y->shape, err));
    if (y->ndim != 4 || (y->shape[3] > 1 && in->strides[3] != 1))
        return loci_fail(err, LOCI_E_ARG, "rope: x and y must be [B,T,H,d] with contiguous d");
    if (rot < 0 || rot % 2 || rot > y->shape[3])
        return loci_fail(err, LOCI_E_ARG, "rope: rot is %lld; use an even number up to %lld", (long long)rot,
                         (long long)y->shape[3]);
    if (!(base > 0) || !isfinite(base) || (dir != 1 && dir != -1))
        return loci_fail(err, LOCI_E_ARG, "rope: base is %g and dir %g; use a base above 0 and a dir of 1 or -1", base,
                         dir);
    tokens = loci_ops_elements(y) ? y->shape[0] * y->shape[1] : 0;
    do {
        j.n = rot / 2 - j.first < LOCI_KERN_PAIRS ? rot / 2 - j.first : LOCI_KERN_PAIRS;
        for (int64_t i = 0; i < j.n; i++)
            j.freq[i] = pow(base, -2.0 * (double)(j.first + i) / (double)rot);
        LOCI_TRY(loci_ops_for(x, tokens, LOCI_OPS_GRAIN / (y->shape[2] * y->shape[3] + 1), rope_task, &j));
        j.first += j.n;
    } while (j.first < rot / 2);
out:
    return status;
}
