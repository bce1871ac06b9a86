/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/scan_pieces: what makes the pieces of a run of L independent. S after a piece is F S + U, with S the
 * state before it, F the product of its decays, and U what the piece leaves in a state of zeros. So U and F of all pieces
 * are computed at once, a pass over the pieces of a run puts the state before each piece into its place, and then all
 * pieces are walked at once. Nothing is divided by a decay. Backward it is the same from the other end, for the gradient
 * G of the state: G before a piece is F G + U, with U the gradient that the piece's own outputs leave.
 *
 * (The parallel form of a linear recurrence: Blelloch 1990; chunks of it: Yang et al. 2024, GLA, section 4.)
 */
#include "scan_tile.h"

#define WARPS 4
#define MOST_TOK 16
#define BUDGET ((size_t)48 << 10)

/* One token: S = a S + v k', or from the other end G = a (G + scale dy q'). f: the product of decays. */
template <typename R, int LANES, int BACK>
GPU_FN void add_token(piece<R> &s, R f[COLS], const R *rec, const record &m, const scan_job &j, const place &p)
{
    R a[COLS], k[COLS];

    take_decay<R, LANES>(a, rec, m, j, p);
    take<R, LANES>(k, rec + m.at[BACK ? VQ : VK], p);
    GPU_UNROLL
    for (int c = 0; c < COLS; c++)
        f[c] *= a[c];
    GPU_UNROLL
    for (int r = 0; r < ROWS; r++) {
        const R v = BACK ? (R)j.scale * rec[m.dy + ROWS * p.group + r] : rec[m.v + ROWS * p.group + r];

        GPU_UNROLL
        for (int c = 0; c < COLS; c++)
            s.x[r][c] = BACK ? a[c] * (s.x[r][c] + v * k[c]) : a[c] * s.x[r][c] + v * k[c];
    }
}

/* U into the piece's place, F beside. */
template <typename R, int LANES, int BACK> __global__ void leave_kernel(scan_job j, record m)
{
    GPU_SHARED(shared);
    feed<R> f = {(R *)shared, 1};
    place p = place_in<LANES>(j, blockIdx.x);
    piece<R> s = {};
    R factor[COLS];

    p.strip = (int64_t)blockIdx.y * m.rows;
    for (int c = 0; c < COLS; c++)
        factor[c] = 1;
    const int tiles = (p.item.n + m.tok - 1) / m.tok;
    for (int i = -1; i < tiles; i++) { /* tile i is worked on, tile i + 1 staged */
        const int at = (BACK ? tiles - 1 - i : i) * m.tok, next = BACK ? at - m.tok : at + m.tok;
        const int n = less(p.item.n - at, m.tok);
        const R *const tile = i < 0 ? NULL : arrive(f, j, m, n);

        if (i + 1 < tiles)
            stage_next(f, j, m, p, p.item.first + next, less(p.item.n - next, m.tok), ALL);
        for (int t = 0; t < n && i >= 0; t++)
            add_token<R, LANES, BACK>(s, factor, tile + (int64_t)(BACK ? n - 1 - t : t) * m.size, m, j, p);
    }
    put_state<R, LANES>(s, j, kept(j, BACK ? j.incoming : j.checkpoint, sizeof(R), p.item.slot, p.h, 1, 0), p);
    for (int c = 0; c < COLS; c++)
        if (p.strip + p.group == 0 && column<LANES>(p, c) < j.d)
            ((R *)j.factor)[(p.item.slot * j.H + p.h) * j.d + column<LANES>(p, c)] = factor[c];
}

/* A thread per element of a run's state: what is before each piece, from one end of the run to the other. */
template <typename R, int BACK> __global__ void pass_kernel(scan_job j)
{
    const int64_t one = j.e * j.d, all = j.n_runs * j.H * one;

    for (int64_t k = thread_number(); k < all; k += thread_count()) {
        const scan_item run = j.runs[k / one / j.H];
        const int64_t h = k / one % j.H, row = k % one / j.d, x = k % j.d;
        const scan_view &from = BACK ? j.grad[0] : j.in[0], &to = BACK ? j.grad[0] : j.out[0];
        R s = view_at<R>(from, run.run.state, row, h)[x * from.s[3]];

        for (int i = 0; i < run.n; i++) {
            const int64_t slot = (run.slot + (BACK ? run.n - 1 - i : i)) * j.H + h;
            R *const at = (R *)(BACK ? j.incoming : j.checkpoint) + slot * one + k % one;
            const R left = *at;

            *at = s;
            s = ((const R *)j.factor)[slot * j.d + x] * s + left;
        }
        view_at<R>(to, run.run.state, row, h)[x * to.s[3]] = s;
    }
}

template <typename R, int BACK, int LANES> static int leave(void *stream, const scan_job &j)
{
    const int rows = 32 / LANES * ROWS, warps = j.e < WARPS * rows ? (int)((j.e + rows - 1) / rows) : WARPS;
    const unsigned what = (BACK ? BIT(VQ) | WITH_DY : BIT(VK) | WITH_V) | WITH_GATES | (j.g_channel ? BIT(VA) : 0);
    const record m = record_of(j, what, warps, 0, MOST_TOK, BUDGET);
    const dim3 grid((unsigned)(j.n_items * j.H), (unsigned)((j.e + m.rows - 1) / m.rows));

    return gpu_launch(leave_kernel<R, LANES, BACK>, grid, (unsigned)warps * 32, (size_t)(2 * m.tok * m.size) * sizeof(R),
                      stream, j, m);
}

template <typename R, int BACK> static int pieces(void *stream, const scan_job &j)
{
    const int lanes = scan_lanes(j.d);
    const int e = lanes == 4    ? leave<R, BACK, 4>(stream, j)
                  : lanes == 8  ? leave<R, BACK, 8>(stream, j)
                  : lanes == 16 ? leave<R, BACK, 16>(stream, j)
                                : leave<R, BACK, 32>(stream, j);

    return e ? e
             : gpu_launch(pass_kernel<R, BACK>, blocks_for(j.n_runs * j.H * j.e * j.d, 128), 128, 0, stream, j);
}

int cuda_scan_pieces(void *stream, const scan_job *j, int back)
{
    if (j->bits == 32)
        return back ? pieces<float, 1>(stream, *j) : pieces<float, 0>(stream, *j);
    return back ? pieces<double, 1>(stream, *j) : pieces<double, 0>(stream, *j);
}
