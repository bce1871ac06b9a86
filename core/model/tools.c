/* SPDX-License-Identifier: Apache-2.0
 *
 * Short hands over loci.ops/1; see tools.h.
 */
#include "core/model/tools.h"
#include "core/device/fused.h"

static const loci_ops *ops_of(const loci_exec *x)
{
    return ((const loci_context *)(const void *)x->host)->ops;
}

loci_status loci_linear(const loci_exec *x, loci_dtype dtype, void *y, const void *in, const loci_weight *w, int64_t n,
                        double beta, loci_error *err)
{
    loci_view vy, vx, vw;
    int64_t out = w->value.shape[0], width = w->value.shape[1];
    loci_gemm g = {sizeof g, LOCI_GEMM_TB, 1, beta, NULL, NULL, NULL};

    g.a = loci_view4(&vx, x, dtype, in, n, width, -1, -1);
    g.b = loci_view4(&vw, x, dtype, loci_ptr(&w->value.t), out, width, -1, -1);
    g.c = loci_view4(&vy, x, dtype, y, n, out, -1, -1);
    return ops_of(x)->gemm(x, &g, err);
}

loci_status loci_linear_dx(const loci_exec *x, loci_dtype dtype, void *dx, const loci_weight *w, const void *dy, int64_t n,
                           double beta, loci_error *err)
{
    loci_view vy, vx, vw;
    int64_t out = w->value.shape[0], width = w->value.shape[1];
    loci_gemm g = {sizeof g, 0, 1, beta, NULL, NULL, NULL};

    g.a = loci_view4(&vy, x, dtype, dy, n, out, -1, -1);
    g.b = loci_view4(&vw, x, dtype, loci_ptr(&w->value.t), out, width, -1, -1);
    g.c = loci_view4(&vx, x, dtype, dx, n, width, -1, -1);
    return ops_of(x)->gemm(x, &g, err);
}

loci_status loci_linear_back(const loci_exec *x, loci_dtype dtype, void *dx, const void *in, const loci_weight *w,
                             const void *dy, int64_t n, double beta, loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_view vy, vx, vw;
    int64_t out = w->value.shape[0], width = w->value.shape[1];
    loci_gemm g = {sizeof g, LOCI_GEMM_TA, 1, 1, NULL, NULL, NULL};

    if (dx)
        LOCI_TRY(loci_linear_dx(x, dtype, dx, w, dy, n, beta, err));
    g.a = loci_view4(&vy, x, dtype, dy, n, out, -1, -1);
    g.b = loci_view4(&vx, x, dtype, in, n, width, -1, -1);
    g.c = loci_view4(&vw, x, dtype, loci_ptr(&w->grad.t), out, width, -1, -1);
    status = ops_of(x)->gemm(x, &g, err);
out:
    return status;
}

loci_status loci_map1(const loci_exec *x, loci_dtype dtype, int32_t f, void *out, const void *a, int64_t n, double alpha,
                      double beta, loci_error *err)
{
    loci_view vo, va;

    return ops_of(x)->map1(x, f, loci_view4(&vo, x, dtype, out, n, -1, -1, -1),
                           loci_view4(&va, x, dtype, a, n, -1, -1, -1), alpha, beta, err);
}

loci_status loci_map2(const loci_exec *x, loci_dtype dtype, int32_t f, void *out, const void *a, const void *b,
                      int64_t n, double alpha, double beta, loci_error *err)
{
    loci_view vo, va, vb;

    return ops_of(x)->map2(x, f, loci_view4(&vo, x, dtype, out, n, -1, -1, -1),
                           loci_view4(&va, x, dtype, a, n, -1, -1, -1), loci_view4(&vb, x, dtype, b, n, -1, -1, -1),
                           alpha, beta, err);
}

loci_status loci_rms(const loci_exec *x, loci_dtype dtype, void *y, const void *in, const loci_weight *gain, void *stat,
                     int64_t n, double eps, loci_error *err)
{
    loci_view vy, vx, vs;
    int64_t width = (int64_t)gain->elements;

    return ops_of(x)->norm(x, LOCI_NORM_RMS, loci_view4(&vy, x, dtype, y, n, width, -1, -1),
                           loci_view4(&vx, x, dtype, in, n, width, -1, -1), &gain->value.t,
                           stat ? loci_view4(&vs, x, dtype, stat, n, -1, -1, -1) : NULL, eps, err);
}

loci_status loci_rms_back(const loci_exec *x, loci_dtype dtype, void *dx, const void *in, const loci_weight *gain,
                          const void *stat, const void *dy, int64_t n, loci_error *err)
{
    loci_view vdx, vx, vs, vdy;
    int64_t width = (int64_t)gain->elements;

    return ops_of(x)->norm_back(x, LOCI_NORM_RMS, loci_view4(&vdx, x, dtype, dx, n, width, -1, -1), &gain->grad.t,
                                loci_view4(&vx, x, dtype, in, n, width, -1, -1), &gain->value.t,
                                loci_view4(&vs, x, dtype, stat, n, -1, -1, -1),
                                loci_view4(&vdy, x, dtype, dy, n, width, -1, -1), err);
}

loci_status loci_add_rms(const loci_exec *x, loci_dtype dtype, void *u, void *y, const void *a, const void *b,
                         const loci_weight *gain, void *stat, int64_t n, double eps, loci_error *err)
{
    loci_status status = LOCI_OK;
    const struct loci_fused *fused = ((const loci_context *)(const void *)x->host)->fused;
    const int64_t width = (int64_t)gain->elements;
    loci_view vu, vy, va, vb, vs;

    if (fused)
        return fused->add_norm(x, loci_view4(&vu, x, dtype, u, n, width, -1, -1),
                               loci_view4(&vy, x, dtype, y, n, width, -1, -1),
                               stat ? loci_view4(&vs, x, dtype, stat, n, -1, -1, -1) : NULL,
                               loci_view4(&va, x, dtype, a, n, width, -1, -1),
                               loci_view4(&vb, x, dtype, b, n, width, -1, -1), &gain->value.t, eps, err);
    LOCI_TRY(loci_map2(x, dtype, LOCI_MAP_ADD, u, a, b, n * width, 1, 0, err));
    status = loci_rms(x, dtype, y, u, gain, stat, n, eps, err);
out:
    return status;
}

loci_status loci_zero(const loci_exec *x, void *p, uint64_t bytes)
{
    const loci_context *cx = (const loci_context *)(const void *)x->host;

    return bytes ? cx->device_class->zero(cx->device_module, x->stream, p, bytes) : LOCI_OK;
}

bool loci_covers(const loci_batch *b, int64_t rows, int64_t seq)
{
    int64_t n = 0;

    for (uint32_t i = 0; i < b->n_runs; i++)
        n += b->runs[i].len;
    return n == rows * seq;
}
