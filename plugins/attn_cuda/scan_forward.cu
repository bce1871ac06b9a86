/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/scan_forward: L, W and M forward: a warp per row of the state, which meets no other.
 */
#include "scan_row.h"

template <typename R, int KIND, int C> __global__ void forward_kernel(scan_job j)
{
    place p = {};
    row<R, C> r = {};
    token<R, C> x = {};

    p.run = j.items[blockIdx.x / j.H].run;
    p.slot = j.items[blockIdx.x / j.H].slot;
    p.h = blockIdx.x % j.H;
    p.row = (int64_t)blockIdx.y * WARPS + threadIdx.x / 32;
    p.lane = threadIdx.x % 32;
    p.there = p.row < j.e;
    for (int i = 0; i < j.n_state; i++)
        get<R, C>(r.s[i], j, j.in[i], p.run.state, p.row, p);
    for (int64_t i = 0; i < p.run.len; i++) {
        R y = 0;

        if (KIND != READ && j.save && i && i % SEG == 0 && p.there)
            for (int s = 0; s < j.n_ck; s++)
                keep_row<R, C>(checkpoint<R>(j, p, i / SEG, s), r.s[s], j, p);
        load_token<R, KIND, C>(x, j, p, i);
        if (j.read && (KIND == READ || j.before))
            y = dot<R, C>(r.s[0], x.q);
        step<R, KIND, C>(r, x, j);
        if (j.read && KIND != READ && !j.before)
            y = dot<R, C>(r.s[0], x.q);
        if (j.read && p.there && p.lane == 0)
            view_at<R>(j.y, p.run.row, p.run.begin + i, p.h)[p.row * j.y.s[3]] = y;
    }
    for (int i = 0; i < j.n_state; i++)
        put<R, C>(r.s[i], j, j.out[i], p.run.state, p.row, p);
}

template <typename R, int KIND, int C> struct forward_of {
    static int run(void *stream, const scan_job &j)
    {
        const dim3 grid((unsigned)(j.n_runs * j.H), (unsigned)((j.e + WARPS - 1) / WARPS));

        return gpu_launch(forward_kernel<R, KIND, C>, grid, WARPS * 32, 0, stream, j);
    }
};

int cuda_scan_forward(void *stream, const scan_job *j)
{
    return scan_run<forward_of>(stream, *j);
}

const char *cuda_scan_error(int e)
{
    return gpu_error(e);
}
