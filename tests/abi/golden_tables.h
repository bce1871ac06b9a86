/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/abi/golden_tables.h: loci.ops/1 and loci.scan/1 as a golden plugin is given them. Every function says what it
 * heard, reads the struct it was handed, and computes nothing.
 */
#ifndef LOCI_TESTS_ABI_GOLDEN_TABLES_H
#define LOCI_TESTS_ABI_GOLDEN_TABLES_H

#include "witness.h"

#include <loci/ops.h>
#include <loci/scan.h>

static loci_host host;

/* A number that was not given before: of any width, or a pointer that nobody follows. */
static uintptr_t serial = 16;
#define FILL(type, p, member) PUT(&host, type, p, member, (__typeof__(((type *)0)->member))++serial)
/* A struct as read in the order of its members. */
#define GOT_3(type, p, a, b, c) (GOT(&host, type, p, a), GOT(&host, type, p, b), GOT(&host, type, p, c))

/* ---- loci.ops/1 ---- */

static loci_status ops_gemm(const loci_exec *x, const loci_gemm *g, loci_error *err)
{
    HEARD(&host, loci_ops, gemm, x, g, err);
    GOT_3(loci_gemm, g, struct_size, flags, alpha);
    GOT_3(loci_gemm, g, beta, a, b);
    GOT(&host, loci_gemm, g, c);
    return LOCI_OK;
}

static loci_status ops_fill(const loci_exec *x, const loci_tensor *out, double value, loci_error *err)
{
    HEARD(&host, loci_ops, fill, x, out, value, err);
    return LOCI_OK;
}

static loci_status ops_map1(const loci_exec *x, int32_t f, const loci_tensor *out, const loci_tensor *a, double alpha,
                            double beta, loci_error *err)
{
    HEARD(&host, loci_ops, map1, x, f, out, a, alpha, beta, err);
    return LOCI_OK;
}

static loci_status ops_map2(const loci_exec *x, int32_t f, const loci_tensor *out, const loci_tensor *a,
                            const loci_tensor *b, double alpha, double beta, loci_error *err)
{
    HEARD(&host, loci_ops, map2, x, f, out, a, b, alpha, beta, err);
    return LOCI_OK;
}

static loci_status ops_sum_rows(const loci_exec *x, const loci_tensor *out, const loci_tensor *a, double beta,
                                loci_error *err)
{
    HEARD(&host, loci_ops, sum_rows, x, out, a, beta, err);
    return LOCI_OK;
}

static loci_status ops_norm(const loci_exec *x, int32_t kind, const loci_tensor *y, const loci_tensor *in,
                            const loci_tensor *gain, const loci_tensor *stat, double eps, loci_error *err)
{
    HEARD(&host, loci_ops, norm, x, kind, y, in, gain, stat, eps, err);
    return LOCI_OK;
}

static loci_status ops_norm_back(const loci_exec *x, int32_t kind, const loci_tensor *dx, const loci_tensor *dgain,
                                 const loci_tensor *in, const loci_tensor *gain, const loci_tensor *stat,
                                 const loci_tensor *dy, loci_error *err)
{
    HEARD(&host, loci_ops, norm_back, x, kind, dx, dgain, in, gain, stat, dy, err);
    return LOCI_OK;
}

static loci_status ops_conv(const loci_exec *x, const loci_batch *batch, const loci_tensor *y, const loci_tensor *in,
                            const loci_tensor *w, const loci_tensor *tail_in, const loci_tensor *tail_out,
                            loci_error *err)
{
    HEARD(&host, loci_ops, conv, x, batch, y, in, w, tail_in, tail_out, err);
    return LOCI_OK;
}

static loci_status ops_conv_back(const loci_exec *x, const loci_batch *batch, const loci_tensor *dx,
                                 const loci_tensor *dw, const loci_tensor *tail_grad, const loci_tensor *in,
                                 const loci_tensor *w, const loci_tensor *tail_in, const loci_tensor *dy,
                                 loci_error *err)
{
    HEARD(&host, loci_ops, conv_back, x, batch, dx, dw, tail_grad, in, w, tail_in, dy, err);
    return LOCI_OK;
}

static loci_status ops_take(const loci_exec *x, const loci_tensor *out, const loci_tensor *a, const loci_tensor *rows,
                            double beta, loci_error *err)
{
    HEARD(&host, loci_ops, take, x, out, a, rows, beta, err);
    return LOCI_OK;
}

static loci_status ops_put(const loci_exec *x, const loci_tensor *out, const loci_tensor *a, const loci_tensor *rows,
                           loci_error *err)
{
    HEARD(&host, loci_ops, put, x, out, a, rows, err);
    return LOCI_OK;
}

static loci_status ops_rope(const loci_exec *x, const loci_tensor *y, const loci_tensor *in, const loci_tensor *pos,
                            int64_t rot, double base, double dir, loci_error *err)
{
    HEARD(&host, loci_ops, rope, x, y, in, pos, rot, base, dir, err);
    return LOCI_OK;
}

static loci_status ops_xent(const loci_exec *x, const loci_tensor *loss, const loci_tensor *dlogits,
                            const loci_tensor *logits, const loci_tensor *target, double scale, loci_error *err)
{
    HEARD(&host, loci_ops, xent, x, loss, dlogits, logits, target, scale, err);
    return LOCI_OK;
}

static loci_status ops_sumsq(const loci_exec *x, const loci_tensor *a, double *out, loci_error *err)
{
    HEARD(&host, loci_ops, sumsq, x, a, out, err);
    return LOCI_OK;
}

static loci_status ops_adamw(const loci_exec *x, const loci_tensor *p, const loci_tensor *g, const loci_tensor *m,
                             const loci_tensor *v, const loci_adamw *a, loci_error *err)
{
    HEARD(&host, loci_ops, adamw, x, p, g, m, v, a, err);
    GOT_3(loci_adamw, a, struct_size, reserved0, lr);
    GOT_3(loci_adamw, a, beta1, beta2, eps);
    GOT_3(loci_adamw, a, decay, c1, c2);
    GOT(&host, loci_adamw, a, scale);
    return LOCI_OK;
}

static loci_status ops_dot(const loci_exec *x, const loci_tensor *out, const loci_tensor *a, const loci_tensor *b,
                           double alpha, double beta, loci_error *err)
{
    HEARD(&host, loci_ops, dot, x, out, a, b, alpha, beta, err);
    return LOCI_OK;
}

/* ---- loci.scan/1 ---- */

static void give_need(loci_need *need)
{
    FILL(loci_need, need, scratch);
    FILL(loci_need, need, saved);
    FILL(loci_need, need, host);
}

static loci_status scan_plan(const loci_scan_io *io, const loci_shape *shape, loci_need *need, loci_error *err)
{
    HEARD(&host, loci_scan, plan, io, shape, need, err);
    GOT_3(loci_scan_io, io, struct_size, scan, op);
    GOT_3(loci_scan_io, io, mode, chunk, read_order);
    GOT_3(loci_scan_io, io, error, reserved0, scale);
    GOT_3(loci_scan_io, io, loss_scale, batch, q);
    GOT_3(loci_scan_io, io, k, v, g);
    GOT_3(loci_scan_io, io, u, w, alpha);
    GOT_3(loci_scan_io, io, eta, theta, y);
    GOT_3(loci_scan_io, io, state_in, state_out, state_grad);
    GOT_3(loci_scan_io, io, dy, dq, dk);
    GOT_3(loci_scan_io, io, dv, dg, du);
    GOT_3(loci_scan_io, io, dw, dalpha, deta);
    GOT(&host, loci_scan_io, io, dtheta);
    give_need(need);
    return LOCI_OK;
}

static loci_status scan_forward(const loci_exec *x, const loci_scan_io *io, loci_error *err)
{
    HEARD(&host, loci_scan, forward, x, io, err);
    return LOCI_OK;
}

static loci_status scan_backward(const loci_exec *x, const loci_scan_io *io, loci_error *err)
{
    HEARD(&host, loci_scan, backward, x, io, err);
    return LOCI_OK;
}

static loci_status scan_coef(const loci_exec *x, const loci_coef *c, loci_error *err)
{
    HEARD(&host, loci_scan, coef, x, c, err);
    GOT_3(loci_coef, c, struct_size, reserved0, loss_scale);
    GOT_3(loci_coef, c, alpha, eta, theta);
    GOT_3(loci_coef, c, beta, f, m);
    GOT_3(loci_coef, c, G, N, dbeta);
    GOT_3(loci_coef, c, df, dm, dG);
    GOT_3(loci_coef, c, dN, dalpha, deta);
    GOT(&host, loci_coef, c, dtheta);
    return LOCI_OK;
}

static loci_status scan_coef_back(const loci_exec *x, const loci_coef *c, loci_error *err)
{
    HEARD(&host, loci_scan, coef_back, x, c, err);
    return LOCI_OK;
}

static loci_ops ops;
static loci_scan scan;

static void fill_services(void)
{
    PUT(&host, loci_ops, &ops, struct_size, sizeof ops);
    FILL(loci_ops, &ops, reserved0);
    PUT(&host, loci_ops, &ops, gemm, ops_gemm);
    PUT(&host, loci_ops, &ops, fill, ops_fill);
    PUT(&host, loci_ops, &ops, map1, ops_map1);
    PUT(&host, loci_ops, &ops, map2, ops_map2);
    PUT(&host, loci_ops, &ops, sum_rows, ops_sum_rows);
    PUT(&host, loci_ops, &ops, norm, ops_norm);
    PUT(&host, loci_ops, &ops, norm_back, ops_norm_back);
    PUT(&host, loci_ops, &ops, conv, ops_conv);
    PUT(&host, loci_ops, &ops, conv_back, ops_conv_back);
    PUT(&host, loci_ops, &ops, take, ops_take);
    PUT(&host, loci_ops, &ops, put, ops_put);
    PUT(&host, loci_ops, &ops, rope, ops_rope);
    PUT(&host, loci_ops, &ops, xent, ops_xent);
    PUT(&host, loci_ops, &ops, sumsq, ops_sumsq);
    PUT(&host, loci_ops, &ops, adamw, ops_adamw);
    PUT(&host, loci_ops, &ops, dot, ops_dot);
    PUT(&host, loci_scan, &scan, struct_size, sizeof scan);
    FILL(loci_scan, &scan, reserved0);
    PUT(&host, loci_scan, &scan, plan, scan_plan);
    PUT(&host, loci_scan, &scan, forward, scan_forward);
    PUT(&host, loci_scan, &scan, backward, scan_backward);
    PUT(&host, loci_scan, &scan, coef, scan_coef);
    PUT(&host, loci_scan, &scan, coef_back, scan_coef_back);
}

#endif
