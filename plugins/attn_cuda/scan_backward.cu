/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/scan_backward: L, W and M backward: a block per item, WARPS rows of the state at a time. Segments
 * go from the last to the first; each is replayed, its rows kept per token, and then walked from its last token to its
 * first. After each token the warps' parts of what rows share are added up, between two barriers.
 */
#include "scan_row.h"

/* What rows share: each warp's part of the gradients of a token, then their sum over warps. */
enum { DQ, DK, DA, DU, DW, VECTORS };
enum { DALPHA, DETA, DTHETA, SCALARS };

template <typename R> struct shared_part {
    R *vector; /* [WARPS][VECTORS][d] */
    R *scalar; /* [WARPS][SCALARS]    */
};

template <typename R, int C>
GPU_FN void share(const shared_part<R> &s, int which, const R v[C], const scan_job &j, const place &p)
{
    R *to = s.vector + ((int64_t)(threadIdx.x / 32) * VECTORS + which) * j.d;

    for (int i = 0; i < C; i++)
        if (p.lane + 32 * i < j.d)
            to[p.lane + 32 * i] = p.there ? v[i] : 0;
}

/* Column x of the sum over warps. */
template <typename R> GPU_FN R sum_of(const shared_part<R> &s, int which, const scan_job &j, int64_t x)
{
    R sum = 0;

    for (int w = 0; w < WARPS; w++)
        sum += s.vector[((int64_t)w * VECTORS + which) * j.d + x];
    return sum;
}

template <typename R>
GPU_FN void add_vector(const shared_part<R> &s, int which, const scan_job &j, const scan_view &to, const place &p,
                       int64_t t, R by)
{
    for (int64_t x = threadIdx.x; to.at && x < j.d; x += WARPS * 32)
        view_at<R>(to, p.run.row, t, p.h)[x * to.s[3]] += by * sum_of(s, which, j, x);
}

/* The gradients of token i, from all warps, to where they belong; *head gathers that of a g of shape [H]. */
template <typename R, int KIND, int C>
GPU_FN void add_shared(const shared_part<R> &s, const scan_job &j, const place &p, const token<R, C> &x, int64_t i,
                       R *head)
{
    const int64_t t = p.run.begin + i;

    if (j.read)
        add_vector<R>(s, DQ, j, j.dq, p, t, (R)j.scale);
    if (KIND == READ)
        return;
    add_vector<R>(s, DK, j, j.dk, p, t, 1);
    if (KIND == LOCI_SCAN_W) {
        add_vector<R>(s, DU, j, j.du, p, t, 1);
        add_vector<R>(s, DW, j, j.dw, p, t, 1);
    }
    if (KIND == LOCI_SCAN_M && threadIdx.x < SCALARS) {
        const scan_view &to = threadIdx.x == DALPHA ? j.dalpha : threadIdx.x == DETA ? j.deta : j.dtheta;
        R sum = 0;

        for (int w = 0; w < WARPS; w++)
            sum += s.scalar[w * SCALARS + threadIdx.x];
        if (to.at)
            *view_at<R>(to, p.run.row, t, p.h) += threadIdx.x == DTHETA ? (R)j.c * sum : sum;
    }
    if (KIND == LOCI_SCAN_M || !j.dg.at || threadIdx.x / 32 > 0)
        return;
    R all = 0; /* d g is d a times a: the first warp's, which has a for all columns */
    for (int c = 0; c < C; c++) {
        const int64_t column = p.lane + 32 * c;
        const R one = column < j.d ? x.a[c] * sum_of(s, DA, j, column) : 0;

        if (j.g_channel && column < j.d)
            view_at<R>(j.dg, p.run.row, t, p.h)[column * j.dg.s[3]] += one;
        all += one;
    }
    if (j.g_channel)
        return;
    all = warp_sum(all);
    if (j.g_head)
        *head += all;
    else if (p.lane == 0)
        *view_at<R>(j.dg, p.run.row, t, p.h) += all;
}

/* From the gradient g of the row after token i to that before it; r and after: the row before and after the token. */
template <typename R, int KIND, int C>
GPU_FN void step_back(row<R, C> &g, const row<R, C> &r, const row<R, C> &after, const token<R, C> &x, const scan_job &j,
                      const place &p, const shared_part<R> &s, int64_t i)
{
    const int64_t t = p.run.begin + i;
    R part[C], *dv = KIND != READ && j.dv.at && p.there && p.lane == 0
                         ? view_at<R>(j.dv, p.run.row, t, p.h) + p.row * j.dv.s[3]
                         : NULL;
    const R dy = j.read && p.there ? view_at<R>(j.dy, p.run.row, t, p.h)[p.row * j.dy.s[3]] : 0;

    if (j.read) {
        for (int c = 0; c < C; c++) {
            if (KIND == READ || !j.before)
                g.s[0][c] += dy * x.q[c];
            part[c] = dy * (KIND == READ || j.before ? r : after).s[0][c];
        }
        share<R, C>(s, DQ, part, j, p);
    }
    if (KIND == LOCI_SCAN_L || KIND == LOCI_SCAN_W) {
        const R gk = dot<R, C>(g.s[0], x.k);

        if (dv)
            *dv += gk;
        for (int c = 0; c < C; c++)
            part[c] = x.v * g.s[0][c];
        share<R, C>(s, DK, part, j, p);
        for (int c = 0; c < C; c++)
            part[c] = g.s[0][c] * r.s[0][c];
        share<R, C>(s, DA, part, j, p);
    }
    if (KIND == LOCI_SCAN_L)
        for (int c = 0; c < C; c++)
            g.s[0][c] *= x.a[c];
    if (KIND == LOCI_SCAN_W) {
        const R su = dot<R, C>(r.s[0], x.u), dp = dot<R, C>(g.s[0], x.w);

        for (int c = 0; c < C; c++)
            part[c] = su * g.s[0][c];
        share<R, C>(s, DW, part, j, p);
        for (int c = 0; c < C; c++) {
            part[c] = dp * r.s[0][c];
            g.s[0][c] = x.a[c] * g.s[0][c] + dp * x.u[c];
        }
        share<R, C>(s, DU, part, j, p);
    }
    if (KIND == LOCI_SCAN_M) {
        const R(&seen)[C] = j.frozen && !x.starts ? r.s[2] : r.s[0];
        const R look = j.blind ? 0 : dot<R, C>(seen, x.k), err = j.blind ? -x.v : x.sight * look - x.v;
        const R push = x.theta * err;
        R gk, de, dalpha, deta;

        for (int c = 0; c < C; c++)
            g.s[1][c] += g.s[0][c];
        gk = dot<R, C>(g.s[1], x.k);
        de = -x.theta * gk * x.sight;
        dalpha = -dot<R, C>(g.s[0], r.s[0]) + (j.decayed ? x.theta * gk * look : 0);
        deta = dot<R, C>(g.s[1], r.s[1]);
        if (dv)
            *dv += x.theta * gk;
        if (p.lane == 0) {
            R *scalar = s.scalar + threadIdx.x / 32 * SCALARS;

            scalar[DALPHA] = p.there ? dalpha : 0;
            scalar[DETA] = p.there ? deta : 0;
            scalar[DTHETA] = p.there ? -err * gk : 0;
        }
        for (int c = 0; c < C; c++) {
            part[c] = (j.blind ? 0 : de * seen[c]) - push * g.s[1][c];
            g.s[0][c] = x.keep * g.s[0][c] + (j.frozen ? 0 : de * x.k[c]);
            g.s[1][c] *= x.eta;
            if (j.frozen)
                g.s[2][c] += de * x.k[c];
            if (j.read && j.before)
                g.s[0][c] += dy * x.q[c];
            if (x.starts) {
                g.s[0][c] += g.s[2][c];
                g.s[2][c] = 0;
            }
        }
        share<R, C>(s, DK, part, j, p);
    }
}

/* The row before token i of the segment, as replayed. */
template <typename R> GPU_FN R *replayed(const scan_job &j, int64_t i, int state)
{
    const int64_t warp = threadIdx.x / 32;

    return (R *)j.replay + ((((int64_t)blockIdx.x * (SEG + 1) + i) * j.n_ck + state) * WARPS + warp) * j.d;
}

template <typename R, int KIND, int C>
GPU_FN void segment_back(row<R, C> &g, const scan_job &j, const place &p, const shared_part<R> &s, int64_t segment,
                         R *head)
{
    const int64_t first = segment * SEG, n = p.run.len - first < SEG ? p.run.len - first : SEG;
    row<R, C> r = {}, after;
    token<R, C> x = {};

    for (int i = 0; i < j.n_ck; i++)
        if (segment == 0 || KIND == READ)
            get<R, C>(r.s[i], j, j.in[i], p.run.state, p.row, p);
        else
            take_row<R, C>(r.s[i], checkpoint<R>(j, p, segment, i), j, p);
    for (int64_t i = 0; i < n && KIND != READ; i++) {
        for (int k = 0; k < j.n_ck; k++)
            keep_row<R, C>(replayed<R>(j, i, k), r.s[k], j, p);
        load_token<R, KIND, C>(x, j, p, first + i);
        step<R, KIND, C>(r, x, j);
    }
    after = r;
    for (int64_t i = n - 1; i >= 0; i--) {
        for (int k = 0; k < j.n_ck && KIND != READ; k++)
            take_row<R, C>(r.s[k], replayed<R>(j, i, k), j, p);
        load_token<R, KIND, C>(x, j, p, first + i);
        step_back<R, KIND, C>(g, r, after, x, j, p, s, first + i);
        after = r;
        __syncthreads();
        add_shared<R, KIND, C>(s, j, p, x, first + i, head);
        __syncthreads();
    }
}

template <typename R, int KIND, int C> __global__ void backward_kernel(scan_job j)
{
    GPU_SHARED(shared);
    const shared_part<R> s = {(R *)shared, (R *)shared + (int64_t)WARPS * VECTORS * j.d};
    place p = {};
    R head = 0;

    p.run = j.items[blockIdx.x / j.H].run;
    p.slot = j.items[blockIdx.x / j.H].slot;
    p.h = blockIdx.x % j.H;
    p.lane = threadIdx.x % 32;
    for (int64_t first = 0; first < j.e; first += WARPS) {
        row<R, C> g = {};

        p.row = first + threadIdx.x / 32;
        p.there = p.row < j.e;
        for (int i = 0; i < j.n_state; i++)
            get<R, C>(g.s[i], j, j.grad[i], p.run.state, p.row, p);
        for (int64_t segment = (p.run.len + SEG - 1) / SEG - 1; segment >= 0; segment--)
            segment_back<R, KIND, C>(g, j, p, s, segment, &head);
        for (int i = 0; i < j.n_state; i++)
            put<R, C>(g.s[i], j, j.grad[i], p.run.state, p.row, p);
    }
    if (j.part && threadIdx.x == 0)
        ((R *)j.part)[blockIdx.x] = head;
}

/* dg [H] += the parts of the runs, in order. */
template <typename R> __global__ void head_kernel(scan_job j)
{
    for (int64_t h = thread_number(); h < j.H; h += thread_count())
        for (int64_t i = 0; i < j.n_runs; i++)
            ((R *)j.dg.at)[h * j.dg.s[2]] += ((const R *)j.part)[i * j.H + h];
}

template <typename R, int KIND, int C> struct backward_of {
    static int run(void *stream, const scan_job &j)
    {
        const int e = gpu_launch(backward_kernel<R, KIND, C>, (unsigned)(j.n_runs * j.H), WARPS * 32,
                                 (size_t)(WARPS * (VECTORS * j.d + SCALARS)) * sizeof(R), stream, j);

        return e || !j.part ? e : gpu_launch(head_kernel<R>, blocks_for(j.H, 256), 256, 0, stream, j);
    }
};

int cuda_scan_backward(void *stream, const scan_job *j)
{
    return scan_run<backward_of>(stream, *j);
}
