/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/scan_row.h: one row of the state of L, W and M and what a token does to it; scan_forward.cu and
 * scan_backward.cu walk over tokens with it. The formulas are those of loci/scan.h; see
 * scan.h for who computes what. For a row r of the state and its columns x:
 *
 *   L   S' = a S + v k                                   y = S' q
 *   W   S' = a S + p w + v k,  p = S u                   y = S' q
 *   M   Z' = eta Z - theta e k,  e = sight A k - v       M' = (1 - alpha) M + Z'      y = M' q, or M q before the write
 *       A is M, or C in the frozen form; sight is 1, 1 - alpha (DECAYED) or 0 (NONE)
 *
 * A lane has columns lane, lane + 32, ...: C of them. q arrives with `scale` in it, theta with the loss scale.
 */
#ifndef LOCI_ATTN_CUDA_SCAN_ROW_H
#define LOCI_ATTN_CUDA_SCAN_ROW_H

#include "number.h"
#include "scan.h"

#define SEG SCAN_SEG
#define WARPS SCAN_WARPS
#define READ 5 /* beside LOCI_SCAN_L, W and M: an M that is only read */

template <typename R> GPU_FN R *view_at(const scan_view &v, int64_t b, int64_t t, int64_t h)
{
    return (R *)v.at + b * v.s[0] + t * v.s[1] + h * v.s[2];
}

/* Where this warp stands; there: the row is one of the state's. */
struct place {
    loci_run run;
    int64_t slot, h, row;
    int lane, there;
};

/* This lane's columns of a vector, times `by`; 0 past d or where there is none. */
template <typename R, int C>
GPU_FN void get(R to[C], const scan_job &j, const scan_view &v, int64_t b, int64_t t, const place &p, R by = 1)
{
    const R *from = view_at<R>(v, b, t, p.h);

    for (int i = 0; i < C; i++)
        to[i] = v.at && p.there && p.lane + 32 * i < j.d ? by * from[(p.lane + 32 * i) * v.s[3]] : 0;
}

template <typename R, int C>
GPU_FN void put(const R from[C], const scan_job &j, const scan_view &v, int64_t b, int64_t t, const place &p)
{
    R *to = view_at<R>(v, b, t, p.h);

    for (int i = 0; i < C; i++)
        if (v.at && p.there && p.lane + 32 * i < j.d)
            to[(p.lane + 32 * i) * v.s[3]] = from[i];
}

/* The same of one row of room that kernels lay out themselves, d elements. */
template <typename R, int C> GPU_FN void keep_row(R *to, const R from[C], const scan_job &j, const place &p)
{
    for (int i = 0; i < C; i++)
        if (p.there && p.lane + 32 * i < j.d)
            to[p.lane + 32 * i] = from[i];
}

template <typename R, int C> GPU_FN void take_row(R to[C], const R *from, const scan_job &j, const place &p)
{
    for (int i = 0; i < C; i++)
        to[i] = p.there && p.lane + 32 * i < j.d ? from[p.lane + 32 * i] : 0;
}

template <typename R, int C> GPU_FN R dot(const R a[C], const R b[C])
{
    R sum = 0;

    for (int i = 0; i < C; i++)
        sum += a[i] * b[i];
    return warp_sum(sum);
}

/* What a token brings: the same for every row, but for v. */
template <typename R, int C> struct token {
    R q[C], k[C], a[C], u[C], w[C];
    R v, keep, eta, theta, sight;
    int starts; /* a chunk of the frozen form */
};

template <typename R> GPU_FN R gate(const scan_view &v, const place &p, int64_t t, R none)
{
    return v.at ? *view_at<R>(v, p.run.row, t, p.h) : none;
}

template <typename R, int KIND, int C>
GPU_FN void load_token(token<R, C> &x, const scan_job &j, const place &p, int64_t i)
{
    const int64_t b = p.run.row, t = p.run.begin + i;

    if (j.read)
        get<R, C>(x.q, j, j.q, b, t, p, (R)j.scale);
    if (KIND == READ)
        return;
    get<R, C>(x.k, j, j.k, b, t, p);
    x.v = p.there ? view_at<R>(j.v, b, t, p.h)[p.row * j.v.s[3]] : 0;
    if (KIND == LOCI_SCAN_M) {
        const R alpha = gate<R>(j.alpha, p, t, 0);

        x.keep = 1 - alpha;
        x.eta = gate<R>(j.eta, p, t, 0);
        x.theta = (R)j.c * gate<R>(j.theta, p, t, 1);
        x.sight = j.blind ? 0 : j.decayed ? 1 - alpha : 1;
        x.starts = j.frozen && (p.run.pos + i) % j.chunk == 0;
        return;
    }
    if (j.g_channel)
        get<R, C>(x.a, j, j.g, b, t, p);
    for (int c = 0; c < C; c++)
        x.a[c] = exp_of(j.g_channel ? x.a[c] : j.g_head ? ((const R *)j.g.at)[p.h * j.g.s[2]] : gate<R>(j.g, p, t, 0));
    if (KIND == LOCI_SCAN_W) {
        get<R, C>(x.u, j, j.u, b, t, p);
        get<R, C>(x.w, j, j.w, b, t, p);
    }
}

/* One row of the states: S of L and W; M, Z and C of M. */
template <typename R, int C> struct row {
    R s[3][C];
};

/* e of M; a memory that is not seen is not looked at. */
template <typename R, int C> GPU_FN R error_of(const row<R, C> &r, const token<R, C> &x, const scan_job &j)
{
    return j.blind ? -x.v : x.sight * dot<R, C>(j.frozen ? r.s[2] : r.s[0], x.k) - x.v;
}

/* The row after the token. */
template <typename R, int KIND, int C> GPU_FN void step(row<R, C> &r, const token<R, C> &x, const scan_job &j)
{
    if (KIND == LOCI_SCAN_L)
        for (int i = 0; i < C; i++)
            r.s[0][i] = x.a[i] * r.s[0][i] + x.v * x.k[i];
    if (KIND == LOCI_SCAN_W) {
        const R p = dot<R, C>(r.s[0], x.u);

        for (int i = 0; i < C; i++)
            r.s[0][i] = x.a[i] * r.s[0][i] + p * x.w[i] + x.v * x.k[i];
    }
    if (KIND == LOCI_SCAN_M) {
        R push;

        if (x.starts)
            for (int i = 0; i < C; i++)
                r.s[2][i] = r.s[0][i];
        push = x.theta * error_of<R, C>(r, x, j);
        for (int i = 0; i < C; i++) {
            r.s[1][i] = (j.eta.at ? x.eta * r.s[1][i] : 0) - push * x.k[i];
            r.s[0][i] = x.keep * r.s[0][i] + r.s[1][i];
        }
    }
}

template <typename R> GPU_FN R *checkpoint(const scan_job &j, const place &p, int64_t segment, int state)
{
    return (R *)j.checkpoint + ((((p.slot + segment - 1) * j.H + p.h) * j.n_ck + state) * j.e + p.row) * j.d;
}

/* ---- launches: RUN<type, recurrence, columns of a lane>::run ---------------------------------------------------- */

template <template <typename, int, int> class RUN, typename R, int KIND>
static int scan_width(void *stream, const scan_job &j)
{
    if (j.d <= 32)
        return RUN<R, KIND, 1>::run(stream, j);
    if (j.d <= 64)
        return RUN<R, KIND, 2>::run(stream, j);
    return j.d <= 128 ? RUN<R, KIND, 4>::run(stream, j) : RUN<R, KIND, 8>::run(stream, j);
}

template <template <typename, int, int> class RUN, typename R> static int scan_kind(void *stream, const scan_job &j)
{
    if (j.scan == LOCI_SCAN_L)
        return scan_width<RUN, R, LOCI_SCAN_L>(stream, j);
    if (j.scan == LOCI_SCAN_W)
        return scan_width<RUN, R, LOCI_SCAN_W>(stream, j);
    return j.write ? scan_width<RUN, R, LOCI_SCAN_M>(stream, j) : scan_width<RUN, R, READ>(stream, j);
}

template <template <typename, int, int> class RUN> static int scan_run(void *stream, const scan_job &j)
{
    return j.bits == 32 ? scan_kind<RUN, float>(stream, j) : scan_kind<RUN, double>(stream, j);
}

#endif
