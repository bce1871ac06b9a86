/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/scan_back.h: one token of L, W and M backward, and what rows share: the gradients of q, k, u, w and
 * of the gates. A warp leaves its part of a token's in shared memory; add_parts adds them up for a tile of tokens.
 */
#ifndef LOCI_ATTN_CUDA_SCAN_BACK_H
#define LOCI_ATTN_CUDA_SCAN_BACK_H

#include "scan_step.h"

/* Vectors, the last only for decays of channels; scalars, the first also of a decay that is one number. */
enum { DQ, DK, DU, DW };
enum { DALPHA, DETA, DTHETA, SCALARS };

/* What warps leave of a tile, [token][warp][scan_shared], and where the sums go: to the gradients, or to the share of
 * the block, [token][scan_shared], from token `from` of the run on; add is 0 for the first strip there. */
template <typename R> struct parts {
    R *at;
    int warps;
    R *share;
    int64_t from;
    int add;
};

template <typename R> GPU_FN R *part_of(const parts<R> &w, const scan_job &j, int token, int warp)
{
    return w.at + ((int64_t)token * w.warps + warp) * scan_shared(&j);
}

/* The sum over the rows of a warp of p, to a vector: lanes of other rows take over halves of the columns. */
template <typename R, int LANES> GPU_FN void fold(R p[COLS], R *to, const place &at)
{
    const int lane = (int)threadIdx.x % 32;
    int from = 0;

    GPU_UNROLL
    for (int away = 16, n = COLS / 2; away >= LANES; away /= 2, n /= 2) {
        const int upper = (lane & away) != 0;

        GPU_UNROLL
        for (int i = 0; i < n; i++) {
            const R mine = upper ? p[i + n] : p[i], other = upper ? p[i] : p[i + n];

            p[i] = mine + lane_xor(other, away);
        }
        from += upper ? n : 0;
    }
    GPU_UNROLL
    for (int i = 0; i < COLS * LANES / 32; i++)
        to[column<LANES>(at, from + i)] = p[i];
}

/* part[c] = the sum over this thread's rows of by[r] a[r][c]. */
template <typename R> GPU_FN void rows_by(R part[COLS], const piece<R> &a, const R by[ROWS])
{
    GPU_UNROLL
    for (int c = 0; c < COLS; c++) {
        part[c] = 0;
        GPU_UNROLL
        for (int r = 0; r < ROWS; r++)
            part[c] += by[r] * a.x[r][c];
    }
}

template <typename R> GPU_FN void add_outer(piece<R> &g, const R a[ROWS], const R b[COLS])
{
    GPU_UNROLL
    for (int r = 0; r < ROWS; r++)
        for (int c = 0; c < COLS; c++)
            g.x[r][c] += a[r] * b[c];
}

template <typename R> GPU_FN void add_piece(piece<R> &g, const piece<R> &a)
{
    GPU_UNROLL
    for (int r = 0; r < ROWS; r++)
        for (int c = 0; c < COLS; c++)
            g.x[r][c] += a.x[r][c];
}

/* This thread's part of the sum of a b over both axes. */
template <typename R> GPU_FN R inner(const piece<R> &a, const piece<R> &b)
{
    R sum = 0;

    GPU_UNROLL
    for (int r = 0; r < ROWS; r++)
        for (int c = 0; c < COLS; c++)
            sum += a.x[r][c] * b.x[r][c];
    return sum;
}

template <typename R> GPU_FN void add_dv(const R dv[ROWS], const scan_job &j, const place &p, int64_t i)
{
    for (int r = 0; r < ROWS; r++)
        if (j.dv.at && p.lane == 0 && row_of(p, r) < j.e)
            view_at<R>(j.dv, p.item.run.row, p.item.run.begin + i, p.h)[row_of(p, r) * j.dv.s[3]] += dv[r];
}

template <typename R, int KIND, int LANES>
GPU_FN void linear_back(piece<R> &g, const piece<R> &s, const R *rec, const record &m, const scan_job &j,
                        const place &p, int64_t i, R *part)
{
    R a[COLS], x[COLS], sum[COLS], gk[ROWS];
    const R *const v = rec + m.v + ROWS * p.group;

    take<R, LANES>(x, rec + m.at[VK], p);
    dots<R, LANES>(gk, g, x);
    add_dv(gk, j, p, i);
    rows_by(sum, g, v);
    fold<R, LANES>(sum, part + DK * m.wide, p);
    take_decay<R, LANES>(a, rec, m, j, p);
    if (j.g_channel) {
        GPU_UNROLL
        for (int c = 0; c < COLS; c++) {
            sum[c] = 0;
            for (int r = 0; r < ROWS; r++)
                sum[c] += g.x[r][c] * s.x[r][c];
        }
        fold<R, LANES>(sum, part + (scan_vectors(&j) - 1) * m.wide, p);
    } else if (j.dg.at) {
        const R all = warp_sum(a[0] * inner(g, s));

        if (threadIdx.x % 32 == 0)
            part[scan_vectors(&j) * m.wide] = all;
    }
    if (KIND == LOCI_SCAN_L) {
        GPU_UNROLL
        for (int r = 0; r < ROWS; r++)
            for (int c = 0; c < COLS; c++)
                g.x[r][c] *= a[c];
        return;
    }
    R su[ROWS], dp[ROWS], u[COLS];

    take<R, LANES>(u, rec + m.at[VU], p);
    take<R, LANES>(x, rec + m.at[VW], p);
    dots<R, LANES>(su, s, u);
    dots<R, LANES>(dp, g, x);
    rows_by(sum, g, su);
    fold<R, LANES>(sum, part + DW * m.wide, p);
    rows_by(sum, s, dp);
    fold<R, LANES>(sum, part + DU * m.wide, p);
    GPU_UNROLL
    for (int r = 0; r < ROWS; r++)
        for (int c = 0; c < COLS; c++)
            g.x[r][c] = a[c] * g.x[r][c] + dp[r] * u[c];
}

template <typename R, int LANES>
GPU_FN void delta_back(states<R> &g, const states<R> &s, const R *rec, const record &m, const scan_job &j,
                       const place &p, int64_t i, R *part)
{
    const gates<R> x = gates_of<R>(rec, m, j, p, i);
    const int other = j.frozen && !x.starts;
    piece<R> seen;
    R k[COLS], sum[COLS], look[ROWS] = {}, gk[ROWS], de[ROWS], dv[ROWS], less_push[ROWS], dalpha, deta, dtheta = 0;

    GPU_UNROLL /* numbers are chosen, not an address: states stay in registers */
    for (int r = 0; r < ROWS; r++)
        for (int c = 0; c < COLS; c++)
            seen.x[r][c] = other ? s.s[2].x[r][c] : s.s[0].x[r][c];
    take<R, LANES>(k, rec + m.at[VK], p);
    if (!j.blind)
        dots<R, LANES>(look, seen, k);
    add_piece(g.s[1], g.s[0]);
    dots<R, LANES>(gk, g.s[1], k);
    dalpha = -inner(g.s[0], s.s[0]);
    deta = inner(g.s[1], s.s[1]);
    GPU_UNROLL
    for (int r = 0; r < ROWS; r++) {
        const R err = (j.blind ? 0 : x.sight * look[r]) - rec[m.v + ROWS * p.group + r];

        dv[r] = x.theta * gk[r];
        de[r] = -dv[r] * x.sight;
        less_push[r] = -x.theta * err;
        if (p.lane == 0) { /* what all lanes of a row have counts once */
            dalpha += j.decayed ? dv[r] * look[r] : 0;
            dtheta -= err * gk[r];
        }
    }
    add_dv(dv, j, p, i);
    dalpha = warp_sum(dalpha);
    deta = warp_sum(deta);
    dtheta = warp_sum(dtheta);
    if (threadIdx.x % 32 == 0) {
        R *const scalar = part + scan_vectors(&j) * m.wide;

        scalar[DALPHA] = dalpha;
        scalar[DETA] = deta;
        scalar[DTHETA] = dtheta;
    }
    rows_by(sum, g.s[1], less_push);
    if (!j.blind) {
        R seen_by[COLS];

        rows_by(seen_by, seen, de);
        GPU_UNROLL
        for (int c = 0; c < COLS; c++)
            sum[c] += seen_by[c];
    }
    fold<R, LANES>(sum, part + DK * m.wide, p);
    GPU_UNROLL
    for (int r = 0; r < ROWS; r++)
        for (int c = 0; c < COLS; c++) {
            const R back = de[r] * k[c];

            g.s[0].x[r][c] = x.keep * g.s[0].x[r][c] + (j.frozen ? 0 : back);
            g.s[1].x[r][c] *= x.eta;
            if (j.frozen)
                g.s[2].x[r][c] += back;
        }
}

/* From the gradient g of the states after token i of the run to that before it. s and after: the states before the
 * token and the first of them after it. n: the token's number in its tile. */
template <typename R, int KIND, int LANES>
GPU_FN void step_back(states<R> &g, const states<R> &s, const piece<R> &after, const R *rec, const record &m,
                      const scan_job &j, const place &p, int64_t i, const parts<R> &w, int n)
{
    R *const part = part_of(w, j, n, (int)threadIdx.x / 32);
    const int first = KIND == READ || j.before;
    R q[COLS], sum[COLS], dy[ROWS];

    if (j.read) {
        take<R, LANES>(q, rec + m.at[VQ], p);
        for (int r = 0; r < ROWS; r++)
            dy[r] = (R)j.scale * rec[m.dy + ROWS * p.group + r];
        if (first)
            rows_by(sum, s.s[0], dy);
        else
            rows_by(sum, after, dy);
        fold<R, LANES>(sum, part + DQ * m.wide, p);
        if (!first)
            add_outer(g.s[0], dy, q);
    }
    if (KIND == LOCI_SCAN_L || KIND == LOCI_SCAN_W)
        linear_back<R, KIND, LANES>(g.s[0], s.s[0], rec, m, j, p, i, part);
    if (KIND == LOCI_SCAN_M)
        delta_back<R, LANES>(g, s, rec, m, j, p, i, part);
    if (j.read && first)
        add_outer(g.s[0], dy, q);
    if (KIND == LOCI_SCAN_M && j.frozen && (p.item.run.pos + i) % j.chunk == 0) { /* C was M */
        add_piece(g.s[0], g.s[2]);
        g.s[2] = piece<R>{};
    }
}

/* ---- over warps, and on to the gradients ------------------------------------------------------------------------ */

/* Of token t of the item, the gradient that is number x of scan_shared; NULL: there is none, or nobody asked. */
template <typename R> GPU_FN R *gradient_at(const scan_job &j, const scan_item &item, int64_t h, int64_t t, int x)
{
    const int wide = COLS * scan_lanes(j.d), vectors = scan_vectors(&j), which = x / wide, c = x % wide;
    const int vector = which < vectors, m = j.scan == LOCI_SCAN_M;
    const scan_view &to = vector && which == DQ            ? j.dq /* values: an address would put j into memory */
                          : vector && which == DK          ? j.dk
                          : m && c == DALPHA               ? j.dalpha
                          : m && c == DETA                 ? j.deta
                          : m                              ? j.dtheta
                          : which == vectors - j.g_channel ? j.dg
                          : which == DU                    ? j.du
                                                           : j.dw;

    if (!to.at || c >= (vector ? j.d : m ? (int)SCALARS : !j.g_channel && !j.g_head))
        return NULL;
    return view_at<R>(to, item.run.row, item.run.begin + t, h) + (vector ? c * to.s[3] : 0);
}

/* Of tokens first ... first + n of the run. *head gathers, in thread 0, the gradient of a g of shape [H]: one number
 * from all tokens, so in double. */
template <typename R>
GPU_FN void add_parts(const parts<R> &w, const R *tile, const record &m, const scan_job &j, const place &p,
                      int64_t first, int n, double *head)
{
    const int one = scan_shared(&j), scalars = one - 4;

    for (int x = (int)threadIdx.x; x < n * one; x += (int)blockDim.x) {
        const int i = x / one, at = x % one;
        R *to = gradient_at<R>(j, p.item, p.h, first + i, at), sum = 0;

        if (!to)
            continue;
        for (int k = 0; k < w.warps; k++)
            sum += part_of(w, j, i, k)[at];
        if (j.g_channel && at >= scalars - m.wide)
            sum *= tile[(int64_t)i * m.size + m.at[VA] + at - (scalars - m.wide)];
        if (at == scalars + DTHETA) /* of M */
            sum *= (R)j.c;
        if (w.share)
            to = w.share + (first + i - w.from) * one + at;
        *to = w.add ? *to + sum : sum;
    }
    for (int i = n - 1; i >= 0 && j.part && threadIdx.x == 0; i--) {
        R sum = 0;

        for (int k = 0; k < w.warps; k++)
            sum += part_of(w, j, i, k)[scalars];
        *head += sum;
    }
}

#endif
