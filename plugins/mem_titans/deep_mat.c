/* SPDX-License-Identifier: Apache-2.0
 *
 * Matrices of a band and the device's services on them.
 */
#include "deep.h"

mat mat_cut(const deep *d, loci_cursor *c, int64_t rows, int64_t cols)
{
    const int64_t n = rows * cols, H = d->H;

    return (mat){loci_cut(c, (uint64_t)(d->R * H * n * d->size)), rows, cols, H * n, n, cols};
}

mat mat_as(const deep *d, mat a, int64_t rows, int64_t cols)
{
    const int64_t n = rows * cols;

    return (mat){a.at, rows, cols, d->H * n, n, cols};
}

mat mat_tokens(const deep *d, const loci_tensor *t, int64_t row, int64_t from, int64_t n)
{
    if (!t)
        return (mat){0};
    return (mat){(char *)loci_ptr(t) + (row * t->strides[0] + from * t->strides[1] + d->head * t->strides[2]) * d->size,
                 n,
                 t->shape[3],
                 t->strides[0],
                 t->strides[2],
                 t->strides[1]};
}

mat mat_state(const deep *d, const loci_tensor *t, int64_t state)
{
    return (mat){(char *)loci_ptr(t) + (state * t->strides[0] + d->head * t->strides[1]) * d->size,
                 t->shape[2],
                 t->shape[3],
                 t->strides[0],
                 t->strides[1],
                 t->strides[2]};
}

/* As a tensor of rows x cols, which its one row or one column may stand for. */
static loci_tensor *tensor(const deep *d, loci_view *v, mat a, int64_t rows, int64_t cols)
{
    const int64_t strides[4] = {a.run, a.head, a.rows == 1 && rows > 1 ? 0 : a.row, a.cols == 1 && cols > 1 ? 0 : 1};

    loci_view_set(v, a.at, d->x->device, d->type, 4, (const int64_t[]){d->R, d->H, rows, cols});
    for (int i = 0; i < 4; i++)
        v->strides[i] = strides[i];
    return &v->t;
}

void mat_times(deep *d, uint32_t flags, double alpha, mat a, mat b, double beta, mat c)
{
    loci_view va, vb, vc;
    const loci_gemm g = {sizeof g,
                         flags,
                         alpha,
                         beta,
                         tensor(d, &va, a, a.rows, a.cols),
                         tensor(d, &vb, b, b.rows, b.cols),
                         tensor(d, &vc, c, c.rows, c.cols)};

    if (d->status == LOCI_OK)
        d->status = d->m->ops->gemm(d->x, &g, d->err);
}

/* Where a thread walks a head its tables are host memory of one head, so that their numbers can stand in a call. */
static double number(const deep *d, mat s)
{
    return d->type.bits == 32 ? (double)*(const float *)(const void *)s.at : *(const double *)(const void *)s.at;
}

void mat_times_onto(deep *d, uint32_t flags, double alpha, mat a, mat b, mat s, mat c)
{
    if (!d->m->resident)
        mat_map2(d, LOCI_MAP_MUL, c, c, s, 1, 0);
    mat_times(d, flags, alpha, a, b, d->m->resident ? number(d, s) : 1, c);
}

void mat_scale(deep *d, mat out, mat a, mat s)
{
    if (d->m->resident)
        mat_map(d, LOCI_MAP_COPY, out, a, number(d, s), 0);
    else
        mat_map2(d, LOCI_MAP_MUL, out, a, s, 1, 0);
}

void mat_blend(deep *d, mat out, mat a, mat s, mat r)
{
    if (d->m->resident) {
        mat_map(d, LOCI_MAP_COPY, out, a, number(d, s), number(d, r));
    } else {
        mat_map2(d, LOCI_MAP_MUL, out, out, r, 1, 0);
        mat_map2(d, LOCI_MAP_MUL, out, a, s, 1, 1);
    }
}

void mat_map(deep *d, int32_t f, mat out, mat a, double alpha, double beta)
{
    loci_view vo, va;

    if (d->status == LOCI_OK && out.at)
        d->status = d->m->ops->map1(d->x, f, tensor(d, &vo, out, out.rows, out.cols),
                                    tensor(d, &va, a, out.rows, out.cols), alpha, beta, d->err);
}

void mat_map2(deep *d, int32_t f, mat out, mat a, mat b, double alpha, double beta)
{
    loci_view vo, va, vb;

    if (d->status == LOCI_OK)
        d->status =
            d->m->ops->map2(d->x, f, tensor(d, &vo, out, out.rows, out.cols), tensor(d, &va, a, out.rows, out.cols),
                            tensor(d, &vb, b, out.rows, out.cols), alpha, beta, d->err);
}

void mat_dot(deep *d, mat out, mat a, mat b, double alpha, double beta)
{
    loci_view vo, va, vb;

    loci_view_set(&vo, out.at, d->x->device, d->type, 3, (const int64_t[]){d->R, d->H, out.rows});
    vo.strides[0] = out.run;
    vo.strides[1] = out.head;
    if (d->status == LOCI_OK)
        d->status = d->m->ops->dot(d->x, &vo.t, tensor(d, &va, a, a.rows, a.cols), tensor(d, &vb, b, a.rows, a.cols),
                                   alpha, beta, d->err);
}

void mat_fill(deep *d, mat out, double value)
{
    loci_view vo;

    if (d->status == LOCI_OK)
        d->status = d->m->ops->fill(d->x, tensor(d, &vo, out, out.rows, out.cols), value, d->err);
}
