/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/scan_backward.h: L, W and M backward: a block per item and strip of rows, over a window of tokens
 * (scan.h (4)). Segments go from the last to the first; each is replayed, its states kept per token, and then walked
 * from its last token to its first. What rows share is added up over the rows of a warp by shuffles, over warps once
 * per tile, and over strips once per window. scan_backward_*.cu compile it, each for one recurrence.
 */
#ifndef LOCI_ATTN_CUDA_SCAN_BACKWARD_H
#define LOCI_ATTN_CUDA_SCAN_BACKWARD_H

#include "scan_back.h"

#define MOST_TOK 8
#define BUDGET ((size_t)96 << 10)

GPU_FN int64_t block_number(void)
{
    return (int64_t)blockIdx.x * gridDim.y + blockIdx.y;
}

/* ---- replayed states: quads of all threads side by side --------------------------------------------------------- */

template <typename R> GPU_FN quad<R> *kept_at(const scan_job &j, int i, int state)
{
    const int64_t quads = ROWS * COLS / quad<R>::N;

    return (quad<R> *)j.replay + ((block_number() * j.seg + i) * j.n_ck + state) * quads * blockDim.x + threadIdx.x;
}

template <typename R> GPU_FN void keep(const piece<R> &s, quad<R> *to)
{
    GPU_UNROLL
    for (int n = 0; n < ROWS * COLS / quad<R>::N; n++) {
        quad<R> x;

        GPU_UNROLL
        for (int k = 0; k < quad<R>::N; k++)
            x.x[k] = s.x[n * quad<R>::N / COLS][n * quad<R>::N % COLS + k];
        to[(int64_t)n * blockDim.x] = x;
    }
}

template <typename R> GPU_FN void recall(piece<R> &s, const quad<R> *from)
{
    GPU_UNROLL
    for (int n = 0; n < ROWS * COLS / quad<R>::N; n++) {
        const quad<R> x = from[(int64_t)n * blockDim.x];

        GPU_UNROLL
        for (int k = 0; k < quad<R>::N; k++)
            s.x[n * quad<R>::N / COLS][n * quad<R>::N % COLS + k] = x.x[k];
    }
}

/* ---- a segment -------------------------------------------------------------------------------------------------- */

/* From the states at the segment's start to those at its end. */
template <typename R, int KIND, int LANES>
GPU_FN void replay(states<R> &s, feed<R> &f, const scan_job &j, const record &m, const place &p, int64_t first, int n)
{
    const unsigned what = ALL & ~(BIT(VQ) | WITH_DY);

    stage_next(f, j, m, p, first, less(n, m.tok), what);
    for (int at = 0; at < n; at += m.tok) {
        const int here = less(n - at, m.tok), then = less(n - at - here, m.tok);
        const R *const tile = arrive(f, j, m, here);

        if (then)
            stage_next(f, j, m, p, first + at + here, then, what);
        for (int i = 0; i < here; i++) {
            GPU_UNROLL
            for (int k = 0; k < 3; k++)
                if (k < j.n_ck)
                    keep(s.s[k], kept_at<R>(j, at + i, k));
            step<R, KIND, LANES>(s, tile + (int64_t)i * m.size, m, j, p, first + at + i);
        }
    }
}

template <typename R, int KIND, int LANES>
GPU_FN void segment_back(states<R> &g, feed<R> &f, const parts<R> &w, const scan_job &j, const record &m,
                         const place &p, int64_t first, int n, double *head)
{
    states<R> r = {};
    piece<R> after;
    int at = (n - 1) / m.tok * m.tok;

    GPU_UNROLL
    for (int i = 0; i < 3; i++)
        if (i < j.n_ck)
            get_state<R, LANES>(
                r.s[i], j,
                KIND == READ || (!j.pieces && first == 0)
                    ? j.in[i]
                    : kept(j, j.checkpoint, sizeof(R), p.item.slot + (j.pieces ? 0 : first / j.seg), p.h, j.n_ck, i),
                p);
    if (KIND != READ)
        replay<R, KIND, LANES>(r, f, j, m, p, first, n);
    after = r.s[0];
    stage_next(f, j, m, p, first + at, n - at, ALL);
    for (; at >= 0; at -= m.tok) {
        const int here = less(n - at, m.tok);
        const R *const tile = arrive(f, j, m, here);

        if (at)
            stage_next(f, j, m, p, first + at - m.tok, m.tok, ALL);
        for (int i = here - 1; i >= 0; i--) {
            GPU_UNROLL
            for (int k = 0; k < 3; k++)
                if (k < j.n_ck && KIND != READ)
                    recall(r.s[k], kept_at<R>(j, at + i, k));
            step_back<R, KIND, LANES>(g, r, after, tile + (int64_t)i * m.size, m, j, p, first + at + i, w, i);
            after = r.s[0];
        }
        __syncthreads();
        add_parts(w, tile, m, j, p, first + at, here, head);
    }
}

/* Items and heads from number `begin` on, tokens `from` of each to the window's end. One block a multiprocessor is
 * enough for the compiler: left alone, it spills in READ for the sake of a second. */
template <typename R, int KIND, int LANES>
__global__ void __launch_bounds__(256, 1) backward_kernel(scan_job j, record m, int64_t begin, int from)
{
    GPU_SHARED(shared);
    feed<R> f = {(R *)shared, 1};
    place p = place_in<LANES>(j, begin + blockIdx.x);
    const int first = p.item.first + from, n = less(p.item.n - from, j.window);
    const int64_t once = (int64_t)gridDim.y * m.rows;
    parts<R> w = {(R *)shared + (int64_t)2 * m.tok * m.size, (int)blockDim.x / 32, NULL, first, 1};
    double head = 0;

    if (j.share)
        w.share = (R *)j.share + block_number() * j.window * scan_shared(&j);
    for (p.strip = (int64_t)blockIdx.y * m.rows; p.strip < j.e; p.strip += once) {
        states<R> g = {};

        w.add = !j.share || p.strip >= once;
        GPU_UNROLL
        for (int i = 0; i < 3; i++)
            if (i < j.n_state)
                get_state<R, LANES>(g.s[i], j,
                                    j.pieces ? kept(j, j.incoming, sizeof(R), p.item.slot, p.h, 1, 0) : j.grad[i], p);
        for (int at = (n + j.seg - 1) / j.seg * j.seg - j.seg; at >= 0; at -= j.seg)
            segment_back<R, KIND, LANES>(g, f, w, j, m, p, first + at, less(n - at, j.seg), &head);
        GPU_UNROLL
        for (int i = 0; i < 3; i++)
            if (i < j.n_state && !j.pieces)
                put_state<R, LANES>(g.s[i], j, j.grad[i], p);
    }
    if (j.part && threadIdx.x == 0) {
        double *const part = (double *)j.part + (begin + blockIdx.x) * gridDim.y + blockIdx.y;

        *part = from + j.window < j.longest ? *part + head : head;
    }
}

template <typename R, int KIND, int LANES> struct backward_of {
    static int window(void *stream, const scan_job &j, int64_t begin, int from)
    {
        const int warps = scan_back_warps(j.d, j.e), beside = warps * scan_shared(&j);
        const record m = record_of(j, brings(j) | (j.read ? WITH_DY : 0), warps, beside, MOST_TOK, BUDGET);
        const int64_t left = j.n_items * j.H - begin, n = left < j.turn ? left : j.turn;
        const int e = gpu_launch(backward_kernel<R, KIND, LANES>, dim3((unsigned)n, (unsigned)j.strips),
                                 (unsigned)warps * 32, (size_t)(m.tok * (2 * m.size + beside)) * sizeof(R), stream, j,
                                 m, begin, from);

        return e || !j.share ? e : cuda_scan_shares(stream, &j, begin, n, from);
    }

    static int run(void *stream, const scan_job &j)
    {
        const int windows = j.longest > j.window ? (j.longest + j.window - 1) / j.window : 1;
        int e = 0;

        for (int64_t begin = 0; begin < j.n_items * j.H && !e; begin += j.turn)
            for (int i = windows - 1; i >= 0 && !e; i--)
                e = window(stream, j, begin, i * j.window);
        return e;
    }
};

#endif
