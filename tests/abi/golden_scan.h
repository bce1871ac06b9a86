/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/abi/golden_scan.h: every function of loci.scan/1 once, on sizes so small that the answers are known. Included
 * by golden_memory.c.
 */
#ifndef LOCI_TESTS_ABI_GOLDEN_SCAN_H
#define LOCI_TESTS_ABI_GOLDEN_SCAN_H

#include "golden_parts.h"

#include <loci/scan.h>

/* Every member once, for plan, which reads only five of them. t: 23 tensors. */
static void golden_tell_scan(const loci_host *h, loci_scan_io *io, const loci_batch *batch, loci_tensor *t)
{
    PUT(h, loci_scan_io, io, struct_size, sizeof *io);
    PUT(h, loci_scan_io, io, scan, LOCI_SCAN_L);
    PUT(h, loci_scan_io, io, op, LOCI_OP_STEP);
    PUT(h, loci_scan_io, io, mode, LOCI_SCAN_SEQUENTIAL);
    PUT(h, loci_scan_io, io, chunk, 16);
    PUT(h, loci_scan_io, io, read_order, LOCI_SCAN_AFTER_WRITE);
    PUT(h, loci_scan_io, io, error, LOCI_SCAN_ERROR_UNDECAYED);
    PUT(h, loci_scan_io, io, reserved0, 0);
    PUT(h, loci_scan_io, io, scale, 0.5);
    PUT(h, loci_scan_io, io, loss_scale, 2.0);
    PUT(h, loci_scan_io, io, batch, batch);
    PUT(h, loci_scan_io, io, q, t++);
    PUT(h, loci_scan_io, io, k, t++);
    PUT(h, loci_scan_io, io, v, t++);
    PUT(h, loci_scan_io, io, g, t++);
    PUT(h, loci_scan_io, io, u, t++);
    PUT(h, loci_scan_io, io, w, t++);
    PUT(h, loci_scan_io, io, alpha, t++);
    PUT(h, loci_scan_io, io, eta, t++);
    PUT(h, loci_scan_io, io, theta, t++);
    PUT(h, loci_scan_io, io, y, t++);
    PUT(h, loci_scan_io, io, state_in, t++);
    PUT(h, loci_scan_io, io, state_out, t++);
    PUT(h, loci_scan_io, io, state_grad, t++);
    PUT(h, loci_scan_io, io, dy, t++);
    PUT(h, loci_scan_io, io, dq, t++);
    PUT(h, loci_scan_io, io, dk, t++);
    PUT(h, loci_scan_io, io, dv, t++);
    PUT(h, loci_scan_io, io, dg, t++);
    PUT(h, loci_scan_io, io, du, t++);
    PUT(h, loci_scan_io, io, dw, t++);
    PUT(h, loci_scan_io, io, dalpha, t++);
    PUT(h, loci_scan_io, io, deta, t++);
    PUT(h, loci_scan_io, io, dtheta, t++);
}

static const loci_scan *golden_scan_of(const loci_host *h, loci_device device)
{
    const loci_scan *scan = ASK(h, loci_host, h, get_ext, h, device, LOCI_EXT_SCAN);

    CAME(h, loci_host, get_ext, scan);
    GOT(h, loci_scan, scan, struct_size);
    GOT(h, loci_scan, scan, reserved0);
    GOT(h, loci_scan, scan, plan);
    GOT(h, loci_scan, scan, forward);
    GOT(h, loci_scan, scan, backward);
    GOT(h, loci_scan, scan, coef);
    GOT(h, loci_scan, scan, coef_back);
    return scan;
}

/* One token of one head of width 1, k = 3, v = 2, q = 5, scale 1/2: S = 6, y = 15; dq = 3, dv = 7.5 for dy = 1. */
static loci_status golden_ask_scan(const loci_host *h, const loci_exec *x, const loci_scan *scan, double *r,
                                   double **at, loci_error *err)
{
    const int64_t one[] = {1, 1, 1, 1};
    const loci_run run = {0, 0, 1, 0, 1, 7};
    const loci_batch batch = {sizeof batch, 1, &run, NULL};
    golden_view v[16];
    loci_scan_io io;
    loci_status status;

    memset(&io, 0, sizeof io);
    io.struct_size = sizeof io;
    io.scan = LOCI_SCAN_L;
    io.op = LOCI_OP_STEP;
    io.chunk = 16;
    io.scale = 0.5;
    io.loss_scale = 1;
    io.batch = &batch;
    io.q = golden_make(&v[0], at, one, 5, 0);
    io.k = golden_make(&v[1], at, one, 3, 0);
    io.v = golden_make(&v[2], at, one, 2, 0);
    io.y = golden_make(&v[3], at, one, 0, 0);
    io.state_in = golden_make(&v[4], at, one, 0, 0);
    io.state_out = golden_make(&v[5], at, one, 0, 0);
    status = ASK(h, loci_scan, scan, forward, x, &io, err);
    r[0] = golden_first(io.y);
    r[1] = golden_first(io.state_out);
    if (status != LOCI_OK)
        return status;
    io.dy = golden_make(&v[6], at, one, 1, 0);
    io.state_grad = golden_make(&v[7], at, one, 0, 0);
    io.dq = golden_make(&v[8], at, one, 0, 0);
    io.dk = golden_make(&v[9], at, one, 0, 0);
    io.dv = golden_make(&v[10], at, one, 0, 0);
    status = ASK(h, loci_scan, scan, backward, x, &io, err);
    r[2] = golden_first(io.dq);
    r[3] = golden_first(io.dv);
    return status;
}

/* The tables of one token, alpha = 1/4, eta = 1/2, theta = 3, c = 2: beta_1 = 3/4, f_1 = m_1 = 1/2, G = N = 6. A
 * cotangent of 1 of beta_1 is -1 of alpha, of f_1 is +1 of eta, of G is c of theta. */
static loci_status golden_ask_coef(const loci_host *h, const loci_exec *x, const loci_scan *scan, double *r,
                                   double **at, loci_error *err)
{
    const int64_t gates[] = {1, 1, 1, 0}, table[] = {1, 1, 2, 0}, matrix[] = {1, 1, 2, 1}, last[] = {1, 1, 1, 0};
    golden_view v[16];
    loci_coef c;
    loci_status status;

    PUT(h, loci_coef, &c, struct_size, sizeof c);
    PUT(h, loci_coef, &c, reserved0, 0);
    PUT(h, loci_coef, &c, loss_scale, 2.0);
    PUT(h, loci_coef, &c, alpha, golden_make(&v[0], at, gates, 0.25, 0));
    PUT(h, loci_coef, &c, eta, golden_make(&v[1], at, gates, 0.5, 0));
    PUT(h, loci_coef, &c, theta, golden_make(&v[2], at, gates, 3, 0));
    PUT(h, loci_coef, &c, beta, golden_make(&v[3], at, table, 0, 0));
    PUT(h, loci_coef, &c, f, golden_make(&v[4], at, table, 0, 0));
    PUT(h, loci_coef, &c, m, golden_make(&v[5], at, table, 0, 0));
    PUT(h, loci_coef, &c, G, golden_make(&v[6], at, matrix, 0, 0));
    PUT(h, loci_coef, &c, N, golden_make(&v[7], at, matrix, 0, 0));
    PUT(h, loci_coef, &c, dbeta, golden_make(&v[8], at, table, 0, 1));
    PUT(h, loci_coef, &c, df, golden_make(&v[9], at, table, 0, 1));
    PUT(h, loci_coef, &c, dm, golden_make(&v[10], at, last, 0, 0));
    PUT(h, loci_coef, &c, dG, golden_make(&v[11], at, matrix, 0, 1));
    PUT(h, loci_coef, &c, dN, golden_make(&v[12], at, last, 0, 0));
    PUT(h, loci_coef, &c, dalpha, golden_make(&v[13], at, gates, 0, 0));
    PUT(h, loci_coef, &c, deta, golden_make(&v[14], at, gates, 0, 0));
    PUT(h, loci_coef, &c, dtheta, golden_make(&v[15], at, gates, 0, 0));
    status = ASK(h, loci_scan, scan, coef, x, &c, err);
    r[0] = ((const double *)c.beta->data)[1];
    r[1] = ((const double *)c.f->data)[1];
    r[2] = ((const double *)c.G->data)[1];
    if (status == LOCI_OK)
        status = ASK(h, loci_scan, scan, coef_back, x, &c, err);
    r[3] = golden_first(c.dalpha) + 10 * golden_first(c.deta) + 100 * golden_first(c.dtheta);
    return status;
}

#endif
