/* SPDX-License-Identifier: Apache-2.0
 *
 * The tables of a profile: each function does what the device's does, and its time goes to a kind.
 */
#include "core/bench/profile.h"

static loci_status ops_gemm(const loci_exec *x, const loci_gemm *g, loci_error *e)
{
    const int was = loci_profile_enter(x, LOCI_PROFILE_PRODUCTS);

    return loci_profile_leave(was, loci_profile_of(x)->ops->gemm(x, g, e));
}

static loci_status ops_fill(const loci_exec *x, const loci_tensor *a, double v, loci_error *e)
{
    const int was = loci_profile_enter(x, LOCI_PROFILE_ZEROING);

    return loci_profile_leave(was, loci_profile_of(x)->ops->fill(x, a, v, e));
}

static loci_status ops_map1(const loci_exec *x, int32_t f, const loci_tensor *y, const loci_tensor *a, double s,
                            double b, loci_error *e)
{
    const int was = loci_profile_enter(x, LOCI_PROFILE_ELEMENTWISE);

    return loci_profile_leave(was, loci_profile_of(x)->ops->map1(x, f, y, a, s, b, e));
}

static loci_status ops_map2(const loci_exec *x, int32_t f, const loci_tensor *y, const loci_tensor *a,
                            const loci_tensor *b, double s, double t, loci_error *e)
{
    const int was = loci_profile_enter(x, LOCI_PROFILE_ELEMENTWISE);

    return loci_profile_leave(was, loci_profile_of(x)->ops->map2(x, f, y, a, b, s, t, e));
}

static loci_status ops_sum_rows(const loci_exec *x, const loci_tensor *y, const loci_tensor *a, double b,
                                loci_error *e)
{
    const int was = loci_profile_enter(x, LOCI_PROFILE_ELEMENTWISE);

    return loci_profile_leave(was, loci_profile_of(x)->ops->sum_rows(x, y, a, b, e));
}

static loci_status ops_norm(const loci_exec *x, int32_t k, const loci_tensor *y, const loci_tensor *a,
                            const loci_tensor *g, const loci_tensor *s, double eps, loci_error *e)
{
    const int was = loci_profile_enter(x, LOCI_PROFILE_NORM);

    return loci_profile_leave(was, loci_profile_of(x)->ops->norm(x, k, y, a, g, s, eps, e));
}

static loci_status ops_norm_back(const loci_exec *x, int32_t k, const loci_tensor *a, const loci_tensor *b,
                                 const loci_tensor *c, const loci_tensor *d, const loci_tensor *f,
                                 const loci_tensor *g, loci_error *e)
{
    const int was = loci_profile_enter(x, LOCI_PROFILE_NORM);

    return loci_profile_leave(was, loci_profile_of(x)->ops->norm_back(x, k, a, b, c, d, f, g, e));
}

static loci_status ops_conv(const loci_exec *x, const loci_batch *b, const loci_tensor *y, const loci_tensor *a,
                            const loci_tensor *w, const loci_tensor *i, const loci_tensor *o, loci_error *e)
{
    const int was = loci_profile_enter(x, LOCI_PROFILE_CONVOLUTION);

    return loci_profile_leave(was, loci_profile_of(x)->ops->conv(x, b, y, a, w, i, o, e));
}

static loci_status ops_conv_back(const loci_exec *x, const loci_batch *b, const loci_tensor *a, const loci_tensor *w,
                                 const loci_tensor *g, const loci_tensor *c, const loci_tensor *d,
                                 const loci_tensor *i, const loci_tensor *y, loci_error *e)
{
    const int was = loci_profile_enter(x, LOCI_PROFILE_CONVOLUTION);

    return loci_profile_leave(was, loci_profile_of(x)->ops->conv_back(x, b, a, w, g, c, d, i, y, e));
}

static loci_status ops_take(const loci_exec *x, const loci_tensor *y, const loci_tensor *a, const loci_tensor *r,
                            double b, loci_error *e)
{
    const int was = loci_profile_enter(x, LOCI_PROFILE_GATHERING);

    return loci_profile_leave(was, loci_profile_of(x)->ops->take(x, y, a, r, b, e));
}

static loci_status ops_put(const loci_exec *x, const loci_tensor *y, const loci_tensor *a, const loci_tensor *r,
                           loci_error *e)
{
    const int was = loci_profile_enter(x, LOCI_PROFILE_GATHERING);

    return loci_profile_leave(was, loci_profile_of(x)->ops->put(x, y, a, r, e));
}

static loci_status ops_rope(const loci_exec *x, const loci_tensor *y, const loci_tensor *a, const loci_tensor *p,
                            int64_t r, double b, double d, loci_error *e)
{
    const int was = loci_profile_enter(x, LOCI_PROFILE_ROTARY);

    return loci_profile_leave(was, loci_profile_of(x)->ops->rope(x, y, a, p, r, b, d, e));
}

static loci_status ops_xent(const loci_exec *x, const loci_tensor *l, const loci_tensor *d, const loci_tensor *a,
                            const loci_tensor *t, double s, loci_error *e)
{
    const int was = loci_profile_enter(x, LOCI_PROFILE_LOSS);

    return loci_profile_leave(was, loci_profile_of(x)->ops->xent(x, l, d, a, t, s, e));
}

static loci_status ops_sumsq(const loci_exec *x, const loci_tensor *a, double *y, loci_error *e)
{
    const int was = loci_profile_enter(x, LOCI_PROFILE_OPTIMIZER);

    return loci_profile_leave(was, loci_profile_of(x)->ops->sumsq(x, a, y, e));
}

static loci_status ops_adamw(const loci_exec *x, const loci_tensor *p, const loci_tensor *g, const loci_tensor *m,
                             const loci_tensor *v, const loci_adamw *s, loci_error *e)
{
    const int was = loci_profile_enter(x, LOCI_PROFILE_OPTIMIZER);

    return loci_profile_leave(was, loci_profile_of(x)->ops->adamw(x, p, g, m, v, s, e));
}

static loci_status ops_dot(const loci_exec *x, const loci_tensor *y, const loci_tensor *a, const loci_tensor *b,
                           double s, double t, loci_error *e)
{
    const int was = loci_profile_enter(x, LOCI_PROFILE_ELEMENTWISE);

    return loci_profile_leave(was, loci_profile_of(x)->ops->dot(x, y, a, b, s, t, e));
}

static loci_status fused_add_norm(const loci_exec *x, const loci_tensor *u, const loci_tensor *y,
                                  const loci_tensor *s, const loci_tensor *a, const loci_tensor *b,
                                  const loci_tensor *g, double eps, loci_error *e)
{
    const int was = loci_profile_enter(x, LOCI_PROFILE_NORM);

    return loci_profile_leave(was, loci_profile_of(x)->fused->add_norm(x, u, y, s, a, b, g, eps, e));
}

static loci_status fused_swiglu_back(const loci_exec *x, const loci_tensor *y, const loci_tensor *a,
                                     const loci_tensor *b, const loci_tensor *g, const loci_tensor *u,
                                     const loci_tensor *d, loci_error *e)
{
    const int was = loci_profile_enter(x, LOCI_PROFILE_ELEMENTWISE);

    return loci_profile_leave(was, loci_profile_of(x)->fused->swiglu_back(x, y, a, b, g, u, d, e));
}

static loci_status fused_gelu_back(const loci_exec *x, const loci_tensor *y, const loci_tensor *a,
                                   const loci_tensor *g, const loci_tensor *d, loci_error *e)
{
    const int was = loci_profile_enter(x, LOCI_PROFILE_ELEMENTWISE);

    return loci_profile_leave(was, loci_profile_of(x)->fused->gelu_back(x, y, a, g, d, e));
}

static loci_status scan_forward(const loci_exec *x, const loci_scan_io *io, loci_error *e)
{
    const int was = loci_profile_enter(x, LOCI_PROFILE_RECURRENCE);

    return loci_profile_leave(was, loci_profile_of(x)->scan->forward(x, io, e));
}

static loci_status scan_backward(const loci_exec *x, const loci_scan_io *io, loci_error *e)
{
    const int was = loci_profile_enter(x, LOCI_PROFILE_RECURRENCE);

    return loci_profile_leave(was, loci_profile_of(x)->scan->backward(x, io, e));
}

static loci_status scan_coef(const loci_exec *x, const loci_coef *c, loci_error *e)
{
    const int was = loci_profile_enter(x, LOCI_PROFILE_RECURRENCE);

    return loci_profile_leave(was, loci_profile_of(x)->scan->coef(x, c, e));
}

static loci_status scan_coef_back(const loci_exec *x, const loci_coef *c, loci_error *e)
{
    const int was = loci_profile_enter(x, LOCI_PROFILE_RECURRENCE);

    return loci_profile_leave(was, loci_profile_of(x)->scan->coef_back(x, c, e));
}

const loci_ops loci_profile_ops = {
    .struct_size = sizeof(loci_ops),
    .gemm = ops_gemm,
    .fill = ops_fill,
    .map1 = ops_map1,
    .map2 = ops_map2,
    .sum_rows = ops_sum_rows,
    .norm = ops_norm,
    .norm_back = ops_norm_back,
    .conv = ops_conv,
    .conv_back = ops_conv_back,
    .take = ops_take,
    .put = ops_put,
    .rope = ops_rope,
    .xent = ops_xent,
    .sumsq = ops_sumsq,
    .adamw = ops_adamw,
    .dot = ops_dot,
};
const loci_fused loci_profile_fused = {fused_add_norm, fused_swiglu_back, fused_gelu_back};
const loci_scan loci_profile_scan = {
    .struct_size = sizeof(loci_scan),
    .forward = scan_forward,
    .backward = scan_backward,
    .coef = scan_coef,
    .coef_back = scan_coef_back,
};
