/* SPDX-License-Identifier: Apache-2.0
 *
 * core/device/ops_loss: cross-entropy, the sum of squares, and the AdamW step.
 */
#include "core/device/ops.h"

#define ROUND 256 /* pieces whose sums wait on the stack */

/* ---- xent ------------------------------------------------------------------------------------------------------- */

typedef struct xent_job {
    const loci_kern *k;
    int64_t n, row, d_row, loss_step, target_step; /* bytes, but for n and target_step */
    const char *logits;
    char *d, *loss;
    const int32_t *target;
    double scale;
} xent_job;

static void xent_task(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const xent_job *j = arg;

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        int32_t target = j->target[i * j->target_step];
        char *d = j->d ? j->d + i * j->d_row : NULL;
        double loss = 0;
        if (target >= 0)
            loss = j->k->xent(d, j->logits + i * j->row, j->n, target, j->scale);
        else if (d)
            j->k->fill(d, j->n, 0);
        j->k->fill(j->loss + i * j->loss_step, 1, loss);
    }
}

loci_status loci_op_xent(const loci_exec *x, const loci_tensor *loss, const loci_tensor *dlogits,
                         const loci_tensor *logits, const loci_tensor *target, double scale, loci_error *err)
{
    xent_job j = {.scale = scale};
    loci_status status;

    if (!(j.k = loci_ops_kern(x, "xent", logits, err)))
        return LOCI_E_ARG;
    LOCI_TRY(loci_ops_check("xent", "logits", logits, logits->dtype, 2, true, err));
    LOCI_TRY(loci_ops_check("xent", "loss", loss, logits->dtype, 1, true, err));
    if (logits->ndim != 2 || loss->ndim != 1 || loss->shape[0] != logits->shape[0])
        return loci_fail(err, LOCI_E_ARG, "xent: logits must be [N,V] and loss [N]");
    LOCI_TRY(loci_ops_check_i32("xent", "target", target, 1, logits->shape, err));
    if (dlogits)
        LOCI_TRY(loci_ops_check_like("xent", "dlogits", dlogits, logits, true, err));
    j.n = logits->shape[1];
    j.row = logits->strides[0] * j.k->size;
    j.logits = loci_ptr(logits);
    j.d_row = dlogits ? dlogits->strides[0] * j.k->size : 0;
    j.d = dlogits ? loci_ptr(dlogits) : NULL;
    j.loss_step = loss->strides[0] * j.k->size;
    j.loss = loci_ptr(loss);
    j.target = loci_ptr(target);
    j.target_step = target->strides[0];
    for (int64_t i = 0; i < logits->shape[0]; i++)
        if (j.target[i * j.target_step] < -1 || j.target[i * j.target_step] >= j.n)
            return loci_fail(err, LOCI_E_ARG, "xent: target[%lld] is %d; logits have %lld columns", (long long)i,
                             j.target[i * j.target_step], (long long)j.n);
    status = loci_ops_for(x, logits->shape[0], LOCI_OPS_GRAIN / 4 / (j.n + 1), xent_task, &j);
out:
    return status;
}

/* ---- sumsq ------------------------------------------------------------------------------------------------------ */

typedef struct sumsq_job {
    const loci_kern *k;
    const char *a;
    int64_t n;
    double *part;
} sumsq_job;

static void sumsq_task(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const sumsq_job *j = arg;

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        int64_t at = i * LOCI_OPS_GRAIN, n = j->n - at < LOCI_OPS_GRAIN ? j->n - at : LOCI_OPS_GRAIN;
        j->part[i] = j->k->sumsq(j->a + at * j->k->size, n);
    }
}

loci_status loci_op_sumsq(const loci_exec *x, const loci_tensor *a, double *out, loci_error *err)
{
    double part[ROUND];
    sumsq_job j = {.part = part};
    int64_t n;
    loci_status status;

    if (!(j.k = loci_ops_kern(x, "sumsq", a, err)))
        return LOCI_E_ARG;
    LOCI_TRY(loci_ops_check("sumsq", "a", a, a->dtype, 1, true, err));
    if (!loci_ops_contiguous(a))
        return loci_fail(err, LOCI_E_ARG, "sumsq: a must be contiguous");
    n = loci_ops_elements(a);
    *out = 0;
    for (int64_t at = 0; at < n; at += ROUND * LOCI_OPS_GRAIN) {
        int64_t pieces;
        j.a = (const char *)loci_ptr(a) + at * j.k->size;
        j.n = n - at < ROUND * LOCI_OPS_GRAIN ? n - at : ROUND * LOCI_OPS_GRAIN;
        pieces = (j.n + LOCI_OPS_GRAIN - 1) / LOCI_OPS_GRAIN;
        LOCI_TRY(loci_ops_for(x, pieces, 1, sumsq_task, &j));
        for (int64_t i = 0; i < pieces; i++)
            *out += part[i];
    }
out:
    return status;
}

/* ---- adamw ------------------------------------------------------------------------------------------------------ */

typedef struct adamw_job {
    const loci_kern *k;
    char *p, *m, *v;
    const char *g;
    const loci_adamw *step;
} adamw_job;

static void adamw_task(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const adamw_job *j = arg;
    int64_t at = begin * j->k->size;

    (void)worker;
    j->k->adamw(j->p + at, j->g + at, j->m + at, j->v + at, end - begin, j->step);
}

loci_status loci_op_adamw(const loci_exec *x, const loci_tensor *p, const loci_tensor *g, const loci_tensor *m,
                          const loci_tensor *v, const loci_adamw *step, loci_error *err)
{
    const loci_tensor *all[4] = {p, g, m, v};
    static const char *const names[4] = {"p", "g", "m", "v"};
    adamw_job j = {.step = step};
    loci_status status;

    if (!(j.k = loci_ops_kern(x, "adamw", p, err)))
        return LOCI_E_ARG;
    for (int i = 0; i < 4; i++) {
        LOCI_TRY(loci_ops_check("adamw", names[i], all[i], p->dtype, 1, true, err));
        if (!loci_ops_contiguous(all[i]) || loci_ops_elements(all[i]) != loci_ops_elements(p))
            return loci_fail(err, LOCI_E_ARG, "adamw: %s must be contiguous and of p's size", names[i]);
    }
    if (!step || !(step->c1 > 0) || !(step->c2 > 0))
        return loci_fail(err, LOCI_E_ARG, "adamw: c1 and c2 must be above 0; they are 1 - beta^t with t from 1");
    j.p = loci_ptr(p);
    j.g = loci_ptr(g);
    j.m = loci_ptr(m);
    j.v = loci_ptr(v);
    status = loci_ops_for(x, loci_ops_elements(p), LOCI_OPS_GRAIN, adamw_task, &j);
out:
    return status;
}
