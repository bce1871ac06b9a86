/* SPDX-License-Identifier: Apache-2.0
 *
 * core/device/ops_dot: inner products of rows. A row is one task's, whatever its length; the order of its sum is the
 * kernel's (kern.h, 3).
 */
#include "core/device/ops.h"

typedef struct dot_job {
    const loci_kern *k;
    loci_walk w; /* rows; operands: out, a, b */
    int64_t n, a_step, b_step;
    char *out;
    const char *a, *b;
    double alpha, beta;
} dot_job;

static void dot_task(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const dot_job *j = arg;
    loci_step s;

    (void)worker;
    loci_walk_seek(&j->w, &s, begin);
    for (int64_t i = begin; i < end; i++) {
        const double sum = j->k->dot(j->a + s.at[1], j->a_step, j->b + s.at[2], j->b_step, j->n);

        j->k->map1(LOCI_MAP_COPY, j->out + s.at[0],
                   j->k->size == sizeof(float) ? (const void *)&(const float){(float)sum} : (const void *)&sum, 1, 1,
                   j->alpha, j->beta);
        loci_walk_next(&j->w, &s);
    }
}

loci_status loci_op_dot(const loci_exec *x, const loci_tensor *out, const loci_tensor *a, const loci_tensor *b,
                        double alpha, double beta, loci_error *err)
{
    dot_job j = {.alpha = alpha, .beta = beta};
    loci_status status;
    int rank;

    if (!(j.k = loci_ops_kern(x, "dot", out, err)))
        return LOCI_E_ARG;
    LOCI_TRY(loci_ops_check("dot", "out", out, out->dtype, 1, true, err));
    LOCI_TRY(loci_ops_check("dot", "a", a, out->dtype, 2, false, err));
    LOCI_TRY(loci_ops_check_like("dot", "b", b, a, false, err));
    rank = out->ndim;
    if (a->ndim != rank + 1)
        return loci_fail(err, LOCI_E_ARG, "dot: a has %d axes and out %d; out must have all but the last", a->ndim, rank);
    for (int i = 0; i < rank; i++)
        if (a->shape[i] != out->shape[i])
            return loci_fail(err, LOCI_E_ARG, "dot: axis %d is %lld in a, %lld in out; they must agree", i,
                             (long long)a->shape[i], (long long)out->shape[i]);
    loci_walk_init(&j.w, rank, out->shape);
    loci_walk_add(&j.w, out->strides, j.k->size);
    loci_walk_add(&j.w, a->strides, j.k->size);
    loci_walk_add(&j.w, b->strides, j.k->size);
    loci_walk_merge(&j.w, 0);
    j.n = a->shape[rank];
    j.a_step = a->strides[rank] != 0;
    j.b_step = b->strides[rank] != 0;
    j.out = loci_ptr(out);
    j.a = loci_ptr(a);
    j.b = loci_ptr(b);
    status = loci_ops_for(x, j.w.count, LOCI_OPS_GRAIN / (j.n + 1), dot_task, &j);
out:
    return status;
}
