/* SPDX-License-Identifier: Apache-2.0
 *
 * The adjoint of a segment, in three steps; what its tokens read is computed again first. g is the gradient of W_l,
 * and p that of S_l, after the segment and then before it; D that of a layer's z of the read.
 *
 *   (1) What the states after it leave: with G, N the last rows of the tables, b, h of layer l,
 *         dbeta += <g, W>   df += <g, S>   dm += <p, S>        (times n)
 *         dG -= rows of (b g) . h    dh -= diag(G) b g    db -= diag(G) h g'     and so with N and p
 *         p = f g + m p              g = beta g
 *   (2) What the reads leave, l = L .. 1, R = G o (x h'):
 *         dG -= (D b') o (x h')     db -= R' D     T = G o (D b')    dh -= T' x
 *         dx = diag(beta) D W + diag(f) D S - T h      dbeta += rows of (D W) . x    df += rows of (D S) . x
 *         g += D' diag(beta) x      p += D' diag(f) x      D of layer l - 1 = dx o s'(zx)
 *   (3) Through the gradient at C, the second order, with dC gathering:
 *         l = 1 .. L-1:  da = db o s'(z)   dz = db o a o s''(z)   db_{l+1} += da C_{l+1}'   dC_{l+1} += b_{l+1}' da
 *         dv -= db_L     dz_L = db_L
 *         l = L .. 1:    dC_l += dz' h_{l-1}   dh_{l-1} += dz C_l   dz_{l-1} += dh_{l-1} o s'(z_{l-1})    dk += dh_0
 */
#include "deep.h"

#define LONG_ROW 1024

/* <a, b> of whole matrices, added to `to` [1,1]; where rows are adjacent, by few and long ones. */
static void whole_dot(deep *d, const room *w, mat to, mat a, mat b)
{
    while (a.row == a.cols && b.row == b.cols && a.rows % 2 == 0 && 2 * a.cols <= LONG_ROW) {
        a.rows = b.rows = a.rows / 2;
        a.row = b.row = a.cols = b.cols = 2 * a.cols;
    }
    mat_dot(d, mat_as(d, w->sums, a.rows, 1), a, b, 1, 0);
    mat_dot(d, to, mat_as(d, w->sums, 1, a.rows), w->one, 1, 1);
}

/* dg -= rows of (b g) . h, dh -= diag(weight) b g, db -= diag(weight) h g' */
static void state_back(deep *d, const room *w, int l, mat g, mat weight, mat dweight, mat h)
{
    const mat bg = mat_as(d, w->wide, h.rows, g.cols), hg = mat_as(d, w->wide, h.rows, g.rows);

    mat_times(d, 0, 1, w->B[l], g, 0, bg);
    mat_dot(d, dweight, bg, h, -1, 1);
    mat_map2(d, LOCI_MAP_MUL, w->dh[l - 1], bg, weight, -1, 1);
    mat_times(d, LOCI_GEMM_TB, 1, h, g, 0, hg);
    mat_map2(d, LOCI_MAP_MUL, w->dB[l], hg, weight, -1, 1);
}

static void write_back(deep *d, const room *w, const memory *at, const memory *grad, tokens *t)
{
    const int64_t n = t->n;

    for (int l = 1; l <= d->m->L; l++) {
        const mat h = l > 1 ? w->h[l - 1] : t->k, g = grad->W[l], p = grad->S[l];

        whole_dot(d, w, table_at(d, w->dbeta, l, n, 1, 1), g, at->W[l]);
        state_back(d, w, l, g, table_at(d, w->G, l, n * n, n, 1), table_at(d, w->dG, l, n * n, n, 1), h);
        if (d->m->momentum) {
            whole_dot(d, w, table_at(d, w->df, l, n, 1, 1), g, at->S[l]);
            whole_dot(d, w, table_at(d, w->dmo, l, 0, 1, 1), p, at->S[l]);
            state_back(d, w, l, p, table_at(d, w->N, l, n * n, n, 1), table_at(d, w->dN, l, 0, n, 1), h);
            mat_blend(d, p, g, table_at(d, w->f, l, n, 1, 1), table_at(d, w->mo, l, n, 1, 1));
        }
        if (!t->dy.at) /* else the read does it on its way */
            mat_scale(d, g, g, table_at(d, w->beta, l, n, 1, 1));
    }
}

/* y_i = s_i (x_i S') for a state S: dx (+)= diag(s) D S, ds += rows of (D S) . x; returns diag(s) x */
static mat product_back(deep *d, const room *w, mat D, mat S, mat x, mat s, mat ds, mat dx, int add)
{
    const mat DS = mat_as(d, w->wide, x.rows, x.cols), sx = DS;

    mat_times(d, 0, 1, D, S, 0, DS);
    mat_dot(d, ds, DS, x, 1, 1);
    mat_map2(d, LOCI_MAP_MUL, dx, DS, s, 1, add);
    mat_map2(d, LOCI_MAP_MUL, sx, x, s, 1, 0);
    return sx;
}

static void read_back(deep *d, const room *w, const memory *at, const memory *grad, tokens *t)
{
    const loci_module *m = d->m;
    const int64_t n = t->n, o = m->read_order == LOCI_SCAN_AFTER_WRITE;
    mat D = t->dy;

    for (int l = m->L; l >= 1; l--) {
        const mat x = l > 1 ? w->x[l - 1] : t->q, h = l > 1 ? w->h[l - 1] : t->k, G = table_at(d, w->G, l, o * n, n, n);
        const mat dx = mat_as(d, w->dx, n, m->width[l - 1]);
        mat sx;

        mat_times(d, LOCI_GEMM_TB, 1, D, w->B[l], 0, w->nn);
        mat_map2(d, LOCI_MAP_MUL, table_at(d, w->dG, l, o * n, n, n), w->nn, w->xh[l], -1, 1);
        mat_map2(d, LOCI_MAP_MUL, w->mm, w->nn, G, 1, 0);
        mat_times(d, LOCI_GEMM_TA | LOCI_GEMM_LOWER, -1, w->R[l], D, 1, w->dB[l]);
        mat_times(d, LOCI_GEMM_TA | LOCI_GEMM_LOWER, -1, w->mm, x, 1, w->dh[l - 1]);
        sx = product_back(d, w, D, at->W[l], x, table_at(d, w->beta, l, o, n, 1), table_at(d, w->dbeta, l, o, n, 1), dx,
                          0);
        mat_times_onto(d, LOCI_GEMM_TA, 1, D, sx, table_at(d, w->beta, l, n, 1, 1), grad->W[l]); /* (1)'s last line */
        if (m->momentum) {
            sx = product_back(d, w, D, at->S[l], x, table_at(d, w->f, l, o, n, 1), table_at(d, w->df, l, o, n, 1), dx,
                              1);
            mat_times(d, LOCI_GEMM_TA, 1, D, sx, 1, grad->S[l]);
        }
        mat_times(d, LOCI_GEMM_LOWER, -1, w->mm, h, 1, dx);
        if (l > 1) {
            D = mat_as(d, w->D, n, m->width[l - 1]);
            mat_map2(d, m->f_back, D, w->zx[l - 1], dx, 1, 0);
        } else {
            mat_map(d, LOCI_MAP_COPY, t->dq, dx, 1, 1);
        }
    }
    if (m->residual)
        mat_map(d, LOCI_MAP_COPY, t->dq, t->dy, 1, 1);
}

static void errors_back(deep *d, const room *w, const mat *C, const mat *dC, tokens *t)
{
    const loci_module *m = d->m;
    const int L = m->L;

    for (int l = 1; l < L; l++) {
        const mat da = mat_as(d, w->wide, t->n, m->width[l]), ba = mat_as(d, w->other, t->n, m->width[l]);

        mat_map2(d, m->f_back, da, w->Z[l], w->dB[l], 1, 0);
        mat_map2(d, LOCI_MAP_MUL, ba, w->dB[l], w->A[l], 1, 0);
        mat_map2(d, m->f_back2, w->dZ[l], w->Z[l], ba, 1, 0);
        mat_times(d, LOCI_GEMM_TB, 1, da, C[l + 1], 1, w->dB[l + 1]);
        mat_times(d, LOCI_GEMM_TA, 1, w->B[l + 1], da, 1, dC[l + 1]);
    }
    mat_map(d, LOCI_MAP_COPY, t->dv, w->dB[L], -1, 1);
    if (m->residual)
        mat_map(d, LOCI_MAP_COPY, t->dk, w->dB[L], 1, 1);
    for (int l = L; l >= 1; l--) {
        const mat dz = l < L ? w->dZ[l] : w->dB[L];

        mat_times(d, LOCI_GEMM_TA, 1, dz, l > 1 ? w->h[l - 1] : t->k, 1, dC[l]);
        mat_times(d, 0, 1, dz, C[l], 1, w->dh[l - 1]);
        if (l > 1)
            mat_map2(d, m->f_back, w->dZ[l - 1], w->Z[l - 1], w->dh[l - 1], 1, 1);
    }
    mat_map(d, LOCI_MAP_COPY, t->dk, w->dh[0], 1, 1);
}

void chunk_back(deep *d, const room *w, const memory *at, const mat *C, const memory *grad, tokens *t)
{
    const loci_module *m = d->m;
    const int64_t n = t->n;

    tables_forward(d, w, &t->g, n);
    for (int l = 1; l <= m->L; l++) {
        mat_fill(d, w->dB[l], 0);
        mat_fill(d, w->dh[l - 1], 0);
        if (l > 1 && !m->per_layer)
            continue;
        mat_fill(d, table_at(d, w->dbeta, l, 0, n + 1, 1), 0);
        mat_fill(d, table_at(d, w->df, l, 0, n + 1, 1), 0);
        mat_fill(d, table_at(d, w->dmo, l, 0, 1, 1), 0);
        mat_fill(d, table_at(d, w->dG, l, 0, n + 1, n), 0);
        mat_fill(d, table_at(d, w->dN, l, 0, n, 1), 0);
    }
    mat_fill(d, w->one, 1);
    write_back(d, w, at, grad, t);
    if (t->dy.at) {
        chunk_read(d, w, at, t);
        read_back(d, w, at, grad, t);
    }
    errors_back(d, w, C, grad->C, t);
    tables_back(d, w, &t->g, n);
}

void plain_read_back(deep *d, const room *w, const memory *at, const memory *grad, tokens *t)
{
    const loci_module *m = d->m;
    mat D = t->dy;

    plain_read(d, w, at, t);
    for (int l = m->L; l >= 1; l--) {
        const mat x = l > 1 ? w->x[l - 1] : t->q, dx = mat_as(d, w->dx, t->n, m->width[l - 1]);

        mat_times(d, LOCI_GEMM_TA, 1, D, x, 1, grad->W[l]);
        mat_times(d, 0, 1, D, at->W[l], 0, dx);
        if (l > 1) {
            D = mat_as(d, w->D, t->n, m->width[l - 1]);
            mat_map2(d, m->f_back, D, w->zx[l - 1], dx, 1, 0);
        } else {
            mat_map(d, LOCI_MAP_COPY, t->dq, dx, 1, 1);
        }
    }
    if (m->residual)
        mat_map(d, LOCI_MAP_COPY, t->dq, t->dy, 1, 1);
}
