/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/scan_step.h: what a token does to this thread's part of the states; forward and backward walk with
 * it. The formulas are those of loci/scan.h. For a row of the state:
 *
 *   L   S' = a S + v k                                   y = S' q
 *   W   S' = a S + p w + v k,  p = S u                   y = S' q
 *   M   Z' = eta Z - theta e k,  e = sight A k - v       M' = (1 - alpha) M + Z'      y = M' q, or M q before the write
 *       A is M, or C in the frozen form; sight is 1, 1 - alpha (DECAYED) or 0 (NONE)
 *
 * theta has the loss scale in it.
 */
#ifndef LOCI_ATTN_CUDA_SCAN_STEP_H
#define LOCI_ATTN_CUDA_SCAN_STEP_H

#include "scan_tile.h"

/* S of L and W; M, Z and C of M. */
template <typename R> struct states {
    piece<R> s[3];
};

template <typename R> struct gates {
    R keep, eta, theta, sight;
    int starts; /* a chunk of the frozen form */
};

template <typename R>
GPU_FN gates<R> gates_of(const R *rec, const record &m, const scan_job &j, const place &p, int64_t i)
{
    const R alpha = j.alpha.at ? rec[m.gate] : 0;
    gates<R> g;

    g.keep = 1 - alpha;
    g.eta = j.eta.at ? rec[m.gate + 1] : 0;
    g.theta = (R)j.c * (j.theta.at ? rec[m.gate + 2] : 1);
    g.sight = j.blind ? 0 : j.decayed ? 1 - alpha : 1;
    g.starts = j.frozen && (p.item.run.pos + i) % j.chunk == 0;
    return g;
}

template <typename R, int LANES>
GPU_FN void step_linear(piece<R> &s, const R *rec, const record &m, const scan_job &j, const place &p, int low_rank)
{
    R a[COLS], k[COLS], pu[ROWS];

    take_decay<R, LANES>(a, rec, m, j, p);
    if (low_rank) {
        take<R, LANES>(k, rec + m.at[VU], p);
        dots<R, LANES>(pu, s, k);
    }
    take<R, LANES>(k, rec + m.at[VK], p);
    GPU_UNROLL
    for (int r = 0; r < ROWS; r++) {
        const R v = rec[m.v + ROWS * p.group + r];

        GPU_UNROLL
        for (int c = 0; c < COLS; c++)
            s.x[r][c] = a[c] * s.x[r][c] + v * k[c];
    }
    if (!low_rank)
        return;
    take<R, LANES>(k, rec + m.at[VW], p);
    GPU_UNROLL
    for (int r = 0; r < ROWS; r++)
        for (int c = 0; c < COLS; c++)
            s.x[r][c] += pu[r] * k[c];
}

template <typename R, int LANES>
GPU_FN void step_delta(states<R> &s, const R *rec, const record &m, const scan_job &j, const place &p, int64_t i)
{
    const gates<R> g = gates_of<R>(rec, m, j, p, i);
    R k[COLS], look[ROWS];

    if (g.starts)
        s.s[2] = s.s[0];
    take<R, LANES>(k, rec + m.at[VK], p);
    if (j.frozen)
        dots<R, LANES>(look, s.s[2], k);
    else if (!j.blind) /* a memory that is not seen is not looked at */
        dots<R, LANES>(look, s.s[0], k);
    GPU_UNROLL
    for (int r = 0; r < ROWS; r++) {
        const R v = rec[m.v + ROWS * p.group + r], push = g.theta * (j.blind ? -v : g.sight * look[r] - v);

        GPU_UNROLL
        for (int c = 0; c < COLS; c++) {
            s.s[1].x[r][c] = (j.eta.at ? g.eta * s.s[1].x[r][c] : 0) - push * k[c];
            s.s[0].x[r][c] = g.keep * s.s[0].x[r][c] + s.s[1].x[r][c];
        }
    }
}

/* The states after token i of the run, whose record is rec. */
template <typename R, int KIND, int LANES>
GPU_FN void step(states<R> &s, const R *rec, const record &m, const scan_job &j, const place &p, int64_t i)
{
    if (KIND == LOCI_SCAN_L || KIND == LOCI_SCAN_W)
        step_linear<R, LANES>(s.s[0], rec, m, j, p, KIND == LOCI_SCAN_W);
    if (KIND == LOCI_SCAN_M)
        step_delta<R, LANES>(s, rec, m, j, p, i);
}

#endif
