/* SPDX-License-Identifier: Apache-2.0
 *
 * core/device/ops_fused: the CPU's loci_fused. Everything is contiguous, so a job is pointers and a count.
 */
#include "core/device/fused.h"
#include "core/device/ops.h"

#define MOST 6 /* operands */

typedef struct fused_job {
    const loci_kern *k;
    char *at[MOST];
    const char *gain;
    char *stat;
    int64_t n; /* of a row */
    double eps;
} fused_job;

/* Is every operand that is there contiguous and of the shape of the first? */
static loci_status operands(fused_job *j, const loci_exec *x, const char *op, int n, const loci_tensor *const *t,
                            const char *const *names, loci_error *err)
{
    loci_status status;

    if (!(j->k = loci_ops_kern(x, op, t[0], err)))
        return LOCI_E_ARG;
    for (int i = 0; i < n; i++) {
        LOCI_TRY(loci_ops_check_like(op, names[i], t[i], t[0], true, err));
        if (!loci_ops_contiguous(t[i]))
            return loci_fail(err, LOCI_E_ARG, "%s: %s must be contiguous", op, names[i]);
        j->at[i] = loci_ptr(t[i]);
    }
out:
    return status;
}

/* ---- add_norm --------------------------------------------------------------------------------------------------- */

static void add_norm_task(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const fused_job *j = arg;
    const int64_t row = j->n * j->k->size;

    (void)worker;
    for (int64_t i = begin; i < end; i++)
        j->k->add_norm(j->at[0] + i * row, j->at[1] + i * row, j->at[2] + i * row, j->at[3] + i * row, j->gain,
                       j->stat ? j->stat + i * j->k->size : NULL, j->n, j->eps);
}

static loci_status add_norm(const loci_exec *x, const loci_tensor *u, const loci_tensor *y, const loci_tensor *stat,
                            const loci_tensor *a, const loci_tensor *b, const loci_tensor *gain, double eps,
                            loci_error *err)
{
    static const char *const names[] = {"u", "y", "a", "b"};
    fused_job j = {.eps = eps};
    int64_t rows;
    loci_status status;

    LOCI_TRY(operands(&j, x, "add_norm", 4, (const loci_tensor *[]){u, y, a, b}, names, err));
    j.n = u->shape[u->ndim - 1];
    rows = j.n ? loci_ops_elements(u) / j.n : 0;
    LOCI_TRY(loci_ops_check("add_norm", "gain", gain, u->dtype, 1, true, err));
    if (gain->ndim != 1 || gain->shape[0] != j.n)
        return loci_fail(err, LOCI_E_ARG, "add_norm: gain must be [%lld]", (long long)j.n);
    if (stat && (!loci_ops_same_type(stat->dtype, u->dtype) || loci_ops_elements(stat) != rows ||
                 !loci_ops_contiguous(stat)))
        return loci_fail(err, LOCI_E_ARG, "add_norm: stat must be contiguous, of u's type, with %lld elements",
                         (long long)rows);
    j.gain = loci_ptr(gain);
    j.stat = stat ? loci_ptr(stat) : NULL;
    status = loci_ops_for(x, rows, LOCI_OPS_GRAIN / 2 / (j.n + 1), add_norm_task, &j);
out:
    return status;
}

/* ---- activations ------------------------------------------------------------------------------------------------ */

#define PIECE (LOCI_OPS_GRAIN / 4) /* elements: these functions cost more than a copy */

static void swiglu_task(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const fused_job *j = arg;
    const int64_t at = begin * j->k->size;

    (void)worker;
    j->k->swiglu_back(j->at[0] + at, j->at[1] + at, j->at[2] + at, j->at[3] + at, j->at[4] + at, j->at[5] + at,
                      end - begin);
}

static loci_status swiglu_back(const loci_exec *x, const loci_tensor *y, const loci_tensor *dg, const loci_tensor *du,
                               const loci_tensor *g, const loci_tensor *u, const loci_tensor *dy, loci_error *err)
{
    static const char *const names[] = {"y", "dg", "du", "g", "u", "dy"};
    fused_job j = {0};
    loci_status status;

    LOCI_TRY(operands(&j, x, "swiglu_back", 6, (const loci_tensor *[]){y, dg, du, g, u, dy}, names, err));
    status = loci_ops_for(x, loci_ops_elements(y), PIECE, swiglu_task, &j);
out:
    return status;
}

static void gelu_task(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const fused_job *j = arg;
    const int64_t at = begin * j->k->size;

    (void)worker;
    j->k->gelu_back(j->at[0] + at, j->at[1] + at, j->at[2] + at, j->at[3] + at, end - begin);
}

static loci_status gelu_back(const loci_exec *x, const loci_tensor *y, const loci_tensor *dg, const loci_tensor *g,
                             const loci_tensor *dy, loci_error *err)
{
    static const char *const names[] = {"y", "dg", "g", "dy"};
    fused_job j = {0};
    loci_status status;

    LOCI_TRY(operands(&j, x, "gelu_back", 4, (const loci_tensor *[]){y, dg, g, dy}, names, err));
    status = loci_ops_for(x, loci_ops_elements(y), PIECE, gelu_task, &j);
out:
    return status;
}

const loci_fused loci_cpu_fused = {add_norm, swiglu_back, gelu_back};
