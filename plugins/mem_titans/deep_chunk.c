/* SPDX-License-Identifier: Apache-2.0
 *
 * A segment forward, deep.h (1), layer by layer. With o = 1, reading after the write, or 0, before it, token i reads at
 * time i + o.
 */
#include "deep.h"

static int64_t widest(const loci_module *m)
{
    int64_t most = 0;

    for (int l = 0; l <= m->L; l++)
        most = m->width[l] > most ? m->width[l] : most;
    return most;
}

void errors_cut(const deep *d, loci_cursor *c, room *w, int64_t n)
{
    const loci_module *m = d->m;

    for (int l = 1; l <= m->L; l++) {
        w->B[l] = mat_cut(d, c, n, m->width[l]);
        if (l < m->L) {
            w->Z[l] = mat_cut(d, c, n, m->width[l]);
            w->h[l] = mat_cut(d, c, n, m->width[l]);
            w->A[l] = mat_cut(d, c, n, m->width[l]);
        }
    }
}

uint64_t room_cut(const deep *d, room *w, int64_t n, const loci_cursor *errors)
{
    const loci_module *m = d->m;
    const int write = d->op != LOCI_OP_READ, read = d->op != LOCI_OP_WRITE, back = d->back;
    loci_cursor at = d->work, *c = &at, elsewhere = errors ? *errors : at;

    *w = (room){0};
    if (write)
        errors_cut(d, errors ? &elsewhere : c, w, n);
    for (int l = 1; l <= m->L; l++) {
        if (read && l < m->L) {
            w->zx[l] = mat_cut(d, c, n, m->width[l]);
            w->x[l] = mat_cut(d, c, n, m->width[l]);
        }
        if (!write)
            continue;
        if (read) {
            w->xh[l] = mat_cut(d, c, n, n);
            w->R[l] = mat_cut(d, c, n, n);
        }
        if (back) {
            w->dB[l] = mat_cut(d, c, n, m->width[l]);
            w->dh[l - 1] = mat_cut(d, c, n, m->width[l - 1]);
            if (l < m->L)
                w->dZ[l] = mat_cut(d, c, n, m->width[l]);
        }
    }
    w->wide = mat_cut(d, c, n, widest(m));
    if (back) {
        w->other = mat_cut(d, c, n, widest(m));
        w->D = mat_cut(d, c, n, widest(m));
        w->dx = mat_cut(d, c, n, widest(m));
    }
    if (write)
        tables_cut(d, c, w, n, back);
    if (write && back) {
        w->nn = mat_cut(d, c, n, n);
        w->mm = mat_cut(d, c, n, n);
        w->sums = mat_cut(d, c, widest(m), 1);
        w->one = mat_cut(d, c, 1, 1);
    }
    return at.at;
}

void chunk_errors(deep *d, const room *w, const mat *C, tokens *t)
{
    const loci_module *m = d->m;
    const int L = m->L;

    for (int l = 1; l <= L; l++) {
        mat_times(d, LOCI_GEMM_TB, 1, l > 1 ? w->h[l - 1] : t->k, C[l], 0, l < L ? w->Z[l] : w->B[L]);
        if (l < L)
            mat_map(d, m->f, w->h[l], w->Z[l], 1, 0);
    }
    mat_map(d, LOCI_MAP_COPY, w->B[L], t->v, -1, 1);
    if (m->residual)
        mat_map(d, LOCI_MAP_COPY, w->B[L], t->k, 1, 1);
    for (int l = L - 1; l >= 1; l--) {
        mat_times(d, 0, 1, w->B[l + 1], C[l + 1], 0, w->A[l]);
        mat_map2(d, m->f_back, w->B[l], w->Z[l], w->A[l], 1, 0);
    }
}

/* diag(weight) h */
static mat weighted(deep *d, const room *w, mat weight, mat h)
{
    const mat tmp = mat_as(d, w->wide, h.rows, h.cols);

    mat_map2(d, LOCI_MAP_MUL, tmp, h, weight, 1, 0);
    return tmp;
}

/* z = diag(s) x W', or added to z; the narrower of x and z is scaled */
static void state_read(deep *d, const room *w, mat s, mat x, mat W, int add, mat z)
{
    if (x.cols < z.cols) {
        mat_times(d, LOCI_GEMM_TB, 1, weighted(d, w, s, x), W, add, z);
    } else {
        const mat tmp = mat_as(d, w->wide, z.rows, z.cols);

        mat_times(d, LOCI_GEMM_TB, 1, x, W, 0, tmp);
        mat_map2(d, LOCI_MAP_MUL, z, tmp, s, 1, add);
    }
}

/* z = diag(beta) x W' + diag(f) x S' - R b */
static void layer_read(deep *d, const room *w, const memory *at, int l, mat x, mat z, int64_t n)
{
    const int64_t o = d->m->read_order == LOCI_SCAN_AFTER_WRITE;

    state_read(d, w, table_at(d, w->beta, l, o, n, 1), x, at->W[l], 0, z);
    if (d->m->momentum)
        state_read(d, w, table_at(d, w->f, l, o, n, 1), x, at->S[l], 1, z);
    mat_times(d, LOCI_GEMM_LOWER, -1, w->R[l], w->B[l], 1, z);
}

void chunk_read(deep *d, const room *w, const memory *at, tokens *t)
{
    const loci_module *m = d->m;
    const int64_t n = t->n, o = m->read_order == LOCI_SCAN_AFTER_WRITE;
    const int L = m->L;

    for (int l = 1; l <= L; l++) {
        const mat x = l > 1 ? w->x[l - 1] : t->q, h = l > 1 ? w->h[l - 1] : t->k;

        mat_times(d, LOCI_GEMM_TB, 1, x, h, 0, w->xh[l]);
        mat_map2(d, LOCI_MAP_MUL, w->R[l], w->xh[l], table_at(d, w->G, l, o * n, n, n), 1, 0);
        if (l < L || t->y.at)
            layer_read(d, w, at, l, x, l < L ? w->zx[l] : t->y, n);
        if (l < L)
            mat_map(d, m->f, w->x[l], w->zx[l], 1, 0);
    }
    if (m->residual && t->y.at)
        mat_map(d, LOCI_MAP_COPY, t->y, t->q, 1, 1);
}

/* to = s from - b' diag(weight) h; to may be from */
static void write_one(deep *d, const room *w, mat to, mat from, mat s, int l, mat weight, mat h)
{
    const mat wh = weighted(d, w, weight, h);

    if (to.at == from.at) {
        mat_times_onto(d, LOCI_GEMM_TA, -1, w->B[l], wh, s, to);
    } else {
        mat_scale(d, to, from, s);
        mat_times(d, LOCI_GEMM_TA, -1, w->B[l], wh, 1, to);
    }
}

void chunk_write(deep *d, const room *w, const memory *at, const memory *to, tokens *t)
{
    const int64_t n = t->n;

    for (int l = 1; l <= d->m->L; l++) {
        const mat h = l > 1 ? w->h[l - 1] : t->k;

        write_one(d, w, to->W[l], at->W[l], table_at(d, w->beta, l, n, 1, 1), l, table_at(d, w->G, l, n * n, n, 1), h);
        if (d->m->momentum) {
            mat_map2(d, LOCI_MAP_MUL, to->W[l], at->S[l], table_at(d, w->f, l, n, 1, 1), 1, 1);
            write_one(d, w, to->S[l], at->S[l], table_at(d, w->mo, l, n, 1, 1), l, table_at(d, w->N, l, n * n, n, 1),
                      h);
        }
    }
}

void plain_read(deep *d, const room *w, const memory *at, tokens *t)
{
    const loci_module *m = d->m;

    for (int l = 1; l <= m->L; l++) {
        const mat z = l < m->L ? w->zx[l] : t->y;

        if (z.at)
            mat_times(d, LOCI_GEMM_TB, 1, l > 1 ? w->x[l - 1] : t->q, at->W[l], 0, z);
        if (l < m->L)
            mat_map(d, m->f, w->x[l], w->zx[l], 1, 0);
    }
    if (m->residual && t->y.at)
        mat_map(d, LOCI_MAP_COPY, t->y, t->q, 1, 1);
}
