/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/scan_backward.h: L, W and M backward: a block per item, which takes its strips of rows one after
 * the other. Segments go from the last to the first; each is replayed, its states kept per token, and then walked from
 * its last token to its first. What rows share is added up over the rows of a warp by shuffles, over warps and into the
 * gradients once per tile. scan_backward_*.cu compile it, each for one recurrence.
 */
#ifndef LOCI_ATTN_CUDA_SCAN_BACKWARD_H
#define LOCI_ATTN_CUDA_SCAN_BACKWARD_H

#include "scan_back.h"

#define MOST_TOK 8
#define BUDGET ((size_t)96 << 10)

/* ---- replayed states: quads of all threads side by side --------------------------------------------------------- */

template <typename R> GPU_FN quad<R> *kept_at(const scan_job &j, int i, int state)
{
    const int quads = ROWS * COLS / quad<R>::N;

    return (quad<R> *)j.replay + ((((int64_t)blockIdx.x * j.seg + i) * j.n_ck + state) * quads) * blockDim.x +
           threadIdx.x;
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
GPU_FN void segment_back(states<R> &g, feed<R> &f, const parts<R> &w, const scan_job &j, const record &m, const place &p,
                         int64_t first, int n, double *head)
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
        add_vectors<R, KIND>(w, tile, m, j, p, first + at, here);
        if constexpr (KIND != READ)
            add_scalars<R, KIND>(w, m, j, p, first + at, here, head);
    }
}

/* One block a multiprocessor is enough for the compiler: left alone, it spills in READ for the sake of a second. */
template <typename R, int KIND, int LANES>
__global__ void __launch_bounds__(256, 1) backward_kernel(scan_job j, record m)
{
    GPU_SHARED(shared);
    feed<R> f = {(R *)shared, 1};
    const parts<R> w = {(R *)shared + (int64_t)2 * m.tok * m.size, (int)blockDim.x / 32};

    for (int64_t number = blockIdx.x; number < j.n_items * j.H; number += gridDim.x) {
        place p = place_in<LANES>(j, number);
        double head = 0;

        for (p.strip = 0; p.strip < j.e; p.strip += m.rows) {
            states<R> g = {};

            GPU_UNROLL
            for (int i = 0; i < 3; i++)
                if (i < j.n_state)
                    get_state<R, LANES>(
                        g.s[i], j, j.pieces ? kept(j, j.incoming, sizeof(R), p.item.slot, p.h, 1, 0) : j.grad[i], p);
            for (int64_t at = p.item.n ? (p.item.n - 1) / j.seg * j.seg : -1; at >= 0; at -= j.seg)
                segment_back<R, KIND, LANES>(g, f, w, j, m, p, p.item.first + at, less(p.item.n - (int)at, j.seg),
                                             &head);
            GPU_UNROLL
            for (int i = 0; i < 3; i++)
                if (i < j.n_state && !j.pieces)
                    put_state<R, LANES>(g.s[i], j, j.grad[i], p);
        }
        if (j.part && threadIdx.x == 0)
            ((double *)j.part)[number] = head;
    }
}

template <typename R, int KIND, int LANES> struct backward_of {
    static int run(void *stream, const scan_job &j)
    {
        const int warps = scan_back_warps(j.d, j.e);
        const int beside = part_size(j, warps);
        const record m = record_of(j, brings(j) | (j.read ? WITH_DY : 0), warps, beside, MOST_TOK, BUDGET);
        const int64_t blocks = j.n_items * j.H < SCAN_BLOCKS ? j.n_items * j.H : SCAN_BLOCKS;

        return gpu_launch(backward_kernel<R, KIND, LANES>, (unsigned)blocks, (unsigned)warps * 32,
                          (size_t)(m.tok * (2 * m.size + beside)) * sizeof(R), stream, j, m);
    }
};

#endif
