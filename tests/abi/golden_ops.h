/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/abi/golden_ops.h: every function of loci.ops/1 once, on tensors so small that the answers are known: the
 * numbers in the comments are r[0], r[1] ... Included by golden_mixer.c.
 */
#ifndef LOCI_TESTS_ABI_GOLDEN_OPS_H
#define LOCI_TESTS_ABI_GOLDEN_OPS_H

#include "golden_parts.h"

#include <loci/ops.h>

#define GOLDEN_OPS 18

static const loci_ops *golden_ops_of(const loci_host *h, loci_device device)
{
    const loci_ops *ops = ASK(h, loci_host, h, get_ext, h, device, LOCI_EXT_OPS);

    CAME(h, loci_host, get_ext, ops);
    GOT(h, loci_ops, ops, struct_size);
    GOT(h, loci_ops, ops, reserved0);
    GOT(h, loci_ops, ops, gemm);
    GOT(h, loci_ops, ops, fill);
    GOT(h, loci_ops, ops, map1);
    GOT(h, loci_ops, ops, map2);
    GOT(h, loci_ops, ops, sum_rows);
    GOT(h, loci_ops, ops, norm);
    GOT(h, loci_ops, ops, norm_back);
    GOT(h, loci_ops, ops, conv);
    GOT(h, loci_ops, ops, conv_back);
    GOT(h, loci_ops, ops, take);
    GOT(h, loci_ops, ops, put);
    GOT(h, loci_ops, ops, rope);
    GOT(h, loci_ops, ops, xent);
    GOT(h, loci_ops, ops, sumsq);
    GOT(h, loci_ops, ops, adamw);
    GOT(h, loci_ops, ops, dot);
    return ops;
}

static loci_status golden_ask_products(const loci_host *h, const loci_exec *x, const loci_ops *ops, double **at,
                                       double *r, loci_error *err)
{
    const int64_t row[] = {1, 2, 0, 0}, column[] = {2, 1, 0, 0}, one[] = {1, 1, 0, 0}, only[] = {1, 0, 0, 0},
                  pair[] = {2, 0, 0, 0};
    golden_view a, b, c, d, two;
    loci_gemm g;
    loci_status status;

    PUT(h, loci_gemm, &g, struct_size, sizeof g);
    PUT(h, loci_gemm, &g, flags, 0);
    PUT(h, loci_gemm, &g, alpha, 2.0);
    PUT(h, loci_gemm, &g, beta, 0.5);
    PUT(h, loci_gemm, &g, a, golden_make(&a, at, row, 1, 1));
    PUT(h, loci_gemm, &g, b, golden_make(&b, at, column, 3, 1));
    PUT(h, loci_gemm, &g, c, golden_make(&c, at, one, 10, 0));
    status = ASK(h, loci_ops, ops, gemm, x, &g, err); /* 2 (1 3 + 2 4) + 10 / 2 = 27 */
    r[0] = golden_first(&c.t);
    if (status == LOCI_OK)
        status = ASK(h, loci_ops, ops, fill, x, &c.t, 7.0, err); /* 7 */
    r[1] = golden_first(&c.t);
    if (status == LOCI_OK)
        status = ASK(h, loci_ops, ops, map1, x, LOCI_MAP_COPY, &b.t, &b.t, 2.0, 0.0, err); /* 6, 8 */
    r[2] = golden_first(&b.t);
    golden_make(&d, at, row, 1, 1);
    if (status == LOCI_OK)
        status = ASK(h, loci_ops, ops, map2, x, LOCI_MAP_MUL, &d.t, &a.t, &d.t, 3.0, 0.25, err); /* 3 1 1 + 1 / 4 */
    r[3] = golden_first(&d.t);
    golden_make(&two, at, only, 0, 0);
    if (status == LOCI_OK)
        status = ASK(h, loci_ops, ops, sum_rows, x, &two.t, &b.t, 0.0, err); /* 6 + 8 = 14 */
    r[4] = golden_first(&two.t);
    if (status == LOCI_OK)
        status = ASK(h, loci_ops, ops, dot, x, &two.t, &a.t, &a.t, 4.0, 0.5, err); /* 4 (1 + 4) + 14 / 2 = 27 */
    r[5] = golden_first(&two.t);
    golden_make(&d, at, pair, 3, 1);
    if (status == LOCI_OK)
        status = ASK(h, loci_ops, ops, sumsq, x, &d.t, &r[6], err); /* 9 + 16 = 25 */
    return status;
}

/* L2 of (3, 4) with gain 10: r = 1/5, y = (6, 8); a cotangent of (4, -3) is orthogonal to x: dx = g dy r = 8, -6. */
static loci_status golden_ask_norm(const loci_host *h, const loci_exec *x, const loci_ops *ops, double **at, double *r,
                                   loci_error *err)
{
    const int64_t row[] = {1, 2, 0, 0}, wide[] = {2, 0, 0, 0}, only[] = {1, 0, 0, 0};
    golden_view in, out, gain, stat, dx, dgain, dy;
    loci_status status;

    golden_make(&in, at, row, 3, 1);
    golden_make(&out, at, row, 0, 0);
    golden_make(&gain, at, wide, 10, 0);
    golden_make(&stat, at, only, 0, 0);
    golden_make(&dx, at, row, 0, 0);
    golden_make(&dgain, at, wide, 0, 0);
    golden_make(&dy, at, row, 4, -7);
    status = ASK(h, loci_ops, ops, norm, x, LOCI_NORM_L2, &out.t, &in.t, &gain.t, &stat.t, 0x1p-60, err);
    r[7] = golden_first(&out.t);
    if (status == LOCI_OK)
        status =
            ASK(h, loci_ops, ops, norm_back, x, LOCI_NORM_L2, &dx.t, &dgain.t, &in.t, &gain.t, &stat.t, &dy.t, err);
    r[8] = golden_first(&dx.t);
    return status;
}

/* One token x = 5 of a document's second piece, taps (2, 3), tail 7: y = 2 5 + 3 7 = 31; dx = 2 dy. */
static loci_status golden_ask_conv(const loci_host *h, const loci_exec *x, const loci_ops *ops, double **at, double *r,
                                   loci_error *err)
{
    const int64_t token[] = {1, 1, 1, 0}, taps[] = {1, 2, 0, 0};
    const loci_run run = {0, 0, 1, 0, 1, 7};
    const loci_batch batch = {sizeof batch, 1, &run, NULL};
    golden_view in, out, w, tail, next, dx, dw, dtail, dy;
    loci_status status;

    golden_make(&in, at, token, 5, 0);
    golden_make(&out, at, token, 0, 0);
    golden_make(&w, at, taps, 2, 1);
    golden_make(&tail, at, token, 7, 0);
    golden_make(&next, at, token, 0, 0);
    golden_make(&dx, at, token, 0, 0);
    golden_make(&dw, at, taps, 0, 0);
    golden_make(&dtail, at, token, 0, 0);
    golden_make(&dy, at, token, 1, 0);
    status = ASK(h, loci_ops, ops, conv, x, &batch, &out.t, &in.t, &w.t, &tail.t, &next.t, err);
    r[9] = golden_first(&out.t);
    if (status == LOCI_OK)
        status = ASK(h, loci_ops, ops, conv_back, x, &batch, &dx.t, &dw.t, &dtail.t, &in.t, &w.t, &tail.t, &dy.t, err);
    r[10] = golden_first(&dx.t) + 10 * golden_first(&dw.t) + 100 * golden_first(&dtail.t); /* 2 + 50 + 300 */
    return status;
}

static loci_status golden_ask_rows(const loci_host *h, const loci_exec *x, const loci_ops *ops, double **at, double *r,
                                   loci_error *err)
{
    const int64_t table[] = {3, 2, 0, 0}, row[] = {1, 2, 0, 0}, one[] = {1, 0, 0, 0}, token[] = {1, 1, 1, 2},
                  when[] = {1, 1, 0, 0};
    int32_t which = 2, position = 0, target = 1;
    golden_view a, out, rows, in, turned, pos, loss, dlogits, logits, goal;
    loci_status status;

    golden_make(&a, at, table, 1, 1);
    golden_make(&out, at, row, 4, 0);
    golden_make_i32(&rows, &which, one);
    status = ASK(h, loci_ops, ops, take, x, &out.t, &a.t, &rows.t, 0.5, err); /* 5 + 4 / 2 = 7 */
    r[11] = golden_first(&out.t);
    if (status == LOCI_OK)
        status = ASK(h, loci_ops, ops, put, x, &a.t, &out.t, &rows.t, err); /* 5 + 7 = 12 */
    r[12] = ((const double *)a.t.data)[4];
    golden_make(&in, at, token, 3, 1);
    golden_make(&turned, at, token, 0, 0);
    golden_make_i32(&pos, &position, when);
    if (status == LOCI_OK) /* at position 0 nothing turns: 3 */
        status = ASK(h, loci_ops, ops, rope, x, &turned.t, &in.t, &pos.t, (int64_t)2, 10000.0, 1.0, err);
    r[13] = golden_first(&turned.t);
    golden_make(&logits, at, row, 0, 0);
    golden_make(&dlogits, at, row, 0, 0);
    golden_make(&loss, at, one, 0, 0);
    golden_make_i32(&goal, &target, one);
    if (status == LOCI_OK) /* log 2, and 8 / 2 = 4 */
        status = ASK(h, loci_ops, ops, xent, x, &loss.t, &dlogits.t, &logits.t, &goal.t, 8.0, err);
    r[14] = golden_first(&loss.t);
    r[15] = golden_first(&dlogits.t);
    return status;
}

/* Without decay and eps p moves by lr (m / c1) / sqrt(v / c2): g' = 4 2 = 8, m = 4, v = 16: p = 3 - 0.5 4 / 4 = 2.5. */
static loci_status golden_ask_adamw(const loci_host *h, const loci_exec *x, const loci_ops *ops, double **at, double *r,
                                    loci_error *err)
{
    const int64_t one[] = {1, 0, 0, 0};
    golden_view p, g, m, v;
    loci_adamw a;
    loci_status status;

    PUT(h, loci_adamw, &a, struct_size, sizeof a);
    PUT(h, loci_adamw, &a, reserved0, 0);
    PUT(h, loci_adamw, &a, lr, 0.5);
    PUT(h, loci_adamw, &a, beta1, 0.5 + 0x1p-40);
    PUT(h, loci_adamw, &a, beta2, 0.75);
    PUT(h, loci_adamw, &a, eps, 0x1p-50);
    PUT(h, loci_adamw, &a, decay, 0x1p-51);
    PUT(h, loci_adamw, &a, c1, 1.0);
    PUT(h, loci_adamw, &a, c2, 1 + 0x1p-40);
    PUT(h, loci_adamw, &a, scale, 2.0);
    golden_make(&p, at, one, 3, 0);
    golden_make(&g, at, one, 4, 0);
    golden_make(&m, at, one, 0, 0);
    golden_make(&v, at, one, 0, 0);
    status = ASK(h, loci_ops, ops, adamw, x, &p.t, &g.t, &m.t, &v.t, &a, err);
    r[16] = golden_first(&p.t);
    r[17] = golden_first(&v.t); /* 64 / 4 = 16 */
    return status;
}

/* r [GOLDEN_OPS]; at most 1 KiB of scratch. */
static loci_status golden_ask_ops(const loci_host *h, const loci_exec *x, double *r, loci_error *err)
{
    const loci_ops *ops = golden_ops_of(h, x->device);
    double *at = x->scratch;
    uint32_t workers = ASK(h, loci_host, h, workers, h);
    loci_status status;

    CAME(h, loci_host, workers, workers);
    status = golden_ask_products(h, x, ops, &at, r, err);
    if (status == LOCI_OK)
        status = golden_ask_norm(h, x, ops, &at, r, err);
    if (status == LOCI_OK)
        status = golden_ask_conv(h, x, ops, &at, r, err);
    if (status == LOCI_OK)
        status = golden_ask_rows(h, x, ops, &at, r, err);
    if (status == LOCI_OK)
        status = golden_ask_adamw(h, x, ops, &at, r, err);
    return status;
}

#endif
