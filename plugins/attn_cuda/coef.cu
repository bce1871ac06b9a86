/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/coef: the scalar tables of a chunk, loci_coef of loci/scan.h. A block has an item (row, head,
 * channel), a thread a source: thread j the token j, two threads more W_0 and S_0. Sources do not meet, but in the
 * gradients of the gates, which are sums over sources: those are added up time by time, warps in order.
 *
 *     s_t = eta_t s_{t-1} + [t is token j] theta_j        p_t = (1 - alpha_t) p_{t-1} + s_t
 *     backward, with l the cotangents:
 *     lp_t = d p_t + (1 - alpha_{t+1}) lp_{t+1}           ls_t = lp_t + eta_{t+1} ls_{t+1}   (at t = n: lp_n + d s_n)
 *     d alpha_t -= lp_t p_{t-1}     d eta_t += ls_t s_{t-1}     d theta_j += ls of source j at its own time
 */
#include "number.h"
#include "scan.h"

enum { BETA, F, M, G, N };

struct item {
    int64_t b, h, w;
};

GPU_FN item item_of(const coef_job &j, int64_t i)
{
    const item at = {i / (j.H * j.w), i / j.w % j.H, i % j.w};

    return at;
}

template <typename R> GPU_FN R *table_of(const scan_view &v, const item &i)
{
    return (R *)v.at + i.b * v.s[0] + i.h * v.s[1] + i.w * v.s[2];
}

/* Gate k of time t, counted from 1; theta with the loss scale. */
template <typename R> GPU_FN R gate_of(const coef_job &j, const item &i, int k, int64_t t)
{
    const scan_view &g = j.gate[k];
    const R none = k == 2 ? 1 : 0;

    return (k == 2 ? (R)j.c : 1) *
           (g.at ? ((const R *)g.at)[i.b * g.s[0] + (t - 1) * g.s[1] + i.h * g.s[2] + i.w * g.s[3]] : none);
}

/* Sources: 0 .. n - 1 the tokens, n W_0, n + 1 S_0. p and s of a source at time t are element p[t * step]. */
template <typename R> struct source {
    R *p, *s; /* s NULL: 0 throughout */
    int64_t step;
};

template <typename R> GPU_FN source<R> source_of(const coef_job &j, const scan_view *table, const item &i, int64_t k)
{
    source<R> to = {table_of<R>(table[G], i) + k, table_of<R>(table[N], i) + k, j.n};

    if (k >= j.n) {
        to.p = table_of<R>(table[k == j.n ? BETA : F], i);
        to.s = k == j.n ? NULL : table_of<R>(table[M], i);
        to.step = 1;
    }
    return to;
}

template <typename R> __global__ void coef_kernel(coef_job j)
{
    for (int64_t at = blockIdx.x; at < j.B * j.H * j.w; at += gridDim.x) {
        const item i = item_of(j, at);

        for (int64_t k = threadIdx.x; k < j.n + 2; k += blockDim.x) {
            const source<R> to = source_of<R>(j, j.table, i, k);
            R p = k == j.n ? 1 : 0, s = k == j.n + 1 ? 1 : 0;

            to.p[0] = p;
            if (to.s)
                to.s[0] = s;
            for (int64_t t = 1; t <= j.n; t++) {
                s = gate_of<R>(j, i, 1, t) * s;
                if (t == k + 1)
                    s = gate_of<R>(j, i, 2, t);
                p = (1 - gate_of<R>(j, i, 0, t)) * p + s;
                if (k < j.n && t <= k)
                    p = 0;
                to.p[t * to.step] = p;
                if (to.s)
                    to.s[t * to.step] = s;
            }
        }
    }
}

/* The thread's source goes back through time; a block holds all n + 2 sources. */
template <typename R> __global__ void coef_back_kernel(coef_job j)
{
    GPU_SHARED(shared);
    R *const sums = (R *)shared; /* [warps][2] */
    const int64_t k = threadIdx.x;
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;

    for (int64_t at = blockIdx.x; at < j.B * j.H * j.w; at += gridDim.x) {
        const item i = item_of(j, at);
        const int there = k < j.n + 2;
        const source<R> x = source_of<R>(j, j.table, i, there ? k : 0);
        const R *dp = table_of<R>(j.dtable[k < j.n ? G : k == j.n ? BETA : F], i) + (k < j.n ? k : 0);
        const R *ds = k < j.n ? table_of<R>(j.dtable[N], i) + k : table_of<R>(j.dtable[M], i);
        R lp = 0, ls = 0;

        for (int64_t t = j.n; t >= 1; t--) {
            const int live = there && (k >= j.n || t > k); /* a token's source begins after it */
            R dalpha = 0, deta = 0;

            if (live) {
                const R keep = t < j.n ? 1 - gate_of<R>(j, i, 0, t + 1) : 0;
                const R mom = t < j.n ? gate_of<R>(j, i, 1, t + 1) : 1;

                if (t == j.n)
                    ls = k == j.n ? 0 : *ds;
                lp = dp[t * x.step] + keep * lp;
                ls = lp + mom * ls;
                dalpha = -lp * x.p[(t - 1) * x.step];
                deta = x.s ? ls * x.s[(t - 1) * x.step] : 0;
                if (t == k + 1 && k < j.n && j.dgate[2].at) {
                    const scan_view &g = j.dgate[2];

                    ((R *)g.at)[i.b * g.s[0] + (t - 1) * g.s[1] + i.h * g.s[2] + i.w * g.s[3]] += (R)j.c * ls;
                }
            }
            dalpha = warp_sum(dalpha);
            deta = warp_sum(deta);
            if (lane == 0) {
                sums[warp * 2] = dalpha;
                sums[warp * 2 + 1] = deta;
            }
            __syncthreads();
            if (threadIdx.x < 2 && j.dgate[threadIdx.x].at) {
                const scan_view &g = j.dgate[threadIdx.x];
                R sum = 0;

                for (int w = 0; w < (int)blockDim.x / 32; w++)
                    sum += sums[w * 2 + threadIdx.x];
                ((R *)g.at)[i.b * g.s[0] + (t - 1) * g.s[1] + i.h * g.s[2] + i.w * g.s[3]] += sum;
            }
            __syncthreads();
        }
    }
}

int cuda_coef(void *stream, const coef_job *j, int back)
{
    const unsigned threads = (unsigned)((j->n + 2 + 31) / 32 * 32);
    const unsigned blocks = blocks_for(j->B * j->H * j->w, 1);

    if (back)
        return gpu_launch(j->bits == 32 ? coef_back_kernel<float> : coef_back_kernel<double>, blocks, threads,
                          threads / 32 * 2 * sizeof(double), stream, *j);
    return gpu_launch(j->bits == 32 ? coef_kernel<float> : coef_kernel<double>, blocks, threads, 0, stream, *j);
}
