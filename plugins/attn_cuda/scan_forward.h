/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/scan_forward.h: L, W and M forward: a block per item and strip of rows, which meets no other. See
 * scan.h for items and scan_tile.h for how tokens come. scan_forward_*.cu compile it, each for one recurrence: all of
 * them in one file would be a minute of one processor for every kind of card.
 */
#ifndef LOCI_ATTN_CUDA_SCAN_FORWARD_H
#define LOCI_ATTN_CUDA_SCAN_FORWARD_H

#include "scan_step.h"

#define WARPS 4
#define MOST_TOK 16
#define BUDGET ((size_t)48 << 10)

template <typename R, int LANES>
GPU_FN void put_y(const R y[ROWS], const scan_job &j, const place &p, int64_t i)
{
    for (int r = 0; r < ROWS; r++)
        if (p.lane == 0 && row_of(p, r) < j.e)
            view_at<R>(j.y, p.item.run.row, p.item.run.begin + i, p.h)[row_of(p, r) * j.y.s[3]] = (R)j.scale * y[r];
}

template <typename R, int KIND, int LANES>
GPU_FN void token(states<R> &s, const R *rec, const record &m, const scan_job &j, const place &p, int64_t i)
{
    const int first = KIND == READ || j.before;
    R q[COLS], y[ROWS];

    if (j.read) {
        take<R, LANES>(q, rec + m.at[VQ], p);
        if (first)
            dots<R, LANES>(y, s.s[0], q);
    }
    step<R, KIND, LANES>(s, rec, m, j, p, i);
    if (j.read && !first)
        dots<R, LANES>(y, s.s[0], q);
    if (j.read)
        put_y<R, LANES>(y, j, p, i);
}

/* The states at the start of the item. */
template <typename R, int LANES> GPU_FN void begin(states<R> &s, const scan_job &j, const place &p)
{
    GPU_UNROLL /* by constants only: an index would put states into memory */
    for (int i = 0; i < 3; i++)
        if (i < j.n_state && j.pieces)
            get_state<R, LANES>(s.s[i], j, kept(j, j.checkpoint, sizeof(R), p.item.slot, p.h, j.n_ck, i), p);
        else if (i < j.n_state)
            get_state<R, LANES>(s.s[i], j, j.in[i], p);
}

/* A segment begins: its states are kept. The first one's are state_in. */
template <typename R, int LANES>
GPU_FN void keep(const states<R> &s, const scan_job &j, const place &p, int64_t i)
{
    if (!j.save || j.pieces || i == 0 || i % j.seg)
        return;
    GPU_UNROLL
    for (int n = 0; n < 3; n++)
        if (n < j.n_ck)
            put_state<R, LANES>(s.s[n], j, kept(j, j.checkpoint, sizeof(R), p.item.slot + i / j.seg, p.h, j.n_ck, n),
                                p);
}

template <typename R, int KIND, int LANES> __global__ void forward_kernel(scan_job j, record m)
{
    GPU_SHARED(shared);
    feed<R> f = {(R *)shared, 1};
    place p = place_in<LANES>(j, blockIdx.x);
    states<R> s = {};

    p.strip = (int64_t)blockIdx.y * m.rows;
    begin<R, LANES>(s, j, p);
    stage_next(f, j, m, p, p.item.first, less(p.item.n, m.tok), ALL);
    for (int at = 0; at < p.item.n; at += m.tok) {
        const int n = less(p.item.n - at, m.tok), then = less(p.item.n - at - n, m.tok);
        const int64_t first = p.item.first + at;
        const R *const tile = arrive(f, j, m, n);

        stage_next(f, j, m, p, first + n, then, ALL);
        for (int i = 0; i < n; i++) {
            if constexpr (KIND != READ)
                keep<R, LANES>(s, j, p, first + i);
            token<R, KIND, LANES>(s, tile + (int64_t)i * m.size, m, j, p, first + i);
        }
    }
    GPU_UNROLL
    for (int i = 0; i < 3; i++)
        if (i < j.n_state && !j.pieces)
            put_state<R, LANES>(s.s[i], j, j.out[i], p);
}

template <typename R, int KIND, int LANES> struct forward_of {
    static int run(void *stream, const scan_job &j)
    {
        const int rows = 32 / LANES * ROWS, warps = j.e < WARPS * rows ? (int)((j.e + rows - 1) / rows) : WARPS;
        const record m = record_of(j, brings(j), warps, 0, MOST_TOK, BUDGET);
        const dim3 grid((unsigned)(j.n_items * j.H), (unsigned)((j.e + m.rows - 1) / m.rows));

        return gpu_launch(forward_kernel<R, KIND, LANES>, grid, (unsigned)warps * 32,
                          (size_t)(2 * m.tok * m.size) * sizeof(R), stream, j, m);
    }
};

#endif
