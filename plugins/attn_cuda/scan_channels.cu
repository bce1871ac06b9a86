/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/scan_channels: D, h' = exp(g) h + v, y = h': a thread per run and channel. A forward with SAVE
 * keeps every h it passes, so the backward replays nothing.
 */
#include "number.h"
#include "scan.h"

#define THREADS 128

template <typename R> GPU_FN R *at(const scan_view &v, int64_t b, int64_t t, int64_t x)
{
    return (R *)v.at + b * v.s[0] + t * v.s[1] + x * v.s[3];
}

template <typename R> __global__ void channels_forward(scan_job j)
{
    for (int64_t k = thread_number(); k < j.n_runs * j.d; k += thread_count()) {
        const loci_run r = j.items[k / j.d].run;
        const int64_t x = k % j.d;
        R h = *at<R>(j.in[0], r.state, 0, x);

        for (int64_t t = r.begin; t < (int64_t)r.begin + r.len; t++) {
            h = (j.g.at ? exp_of(*at<R>(j.g, r.row, t, x)) * h : h) + *at<R>(j.v, r.row, t, x);
            *at<R>(j.y, r.row, t, x) = h;
            if (j.save)
                ((R *)j.checkpoint)[(r.row * j.T + t) * j.d + x] = h;
        }
        *at<R>(j.out[0], r.state, 0, x) = h;
    }
}

template <typename R> __global__ void channels_backward(scan_job j)
{
    for (int64_t k = thread_number(); k < j.n_runs * j.d; k += thread_count()) {
        const loci_run r = j.items[k / j.d].run;
        const int64_t x = k % j.d;
        R g = *at<R>(j.grad[0], r.state, 0, x);

        for (int64_t t = (int64_t)r.begin + r.len - 1; t >= r.begin; t--) {
            const R a = j.g.at ? exp_of(*at<R>(j.g, r.row, t, x)) : 1;
            const R before = t > r.begin ? ((const R *)j.checkpoint)[(r.row * j.T + t - 1) * j.d + x]
                                         : *at<R>(j.in[0], r.state, 0, x);

            g += *at<R>(j.dy, r.row, t, x);
            if (j.dv.at)
                *at<R>(j.dv, r.row, t, x) += g;
            if (j.dg.at)
                *at<R>(j.dg, r.row, t, x) += a * g * before;
            g *= a;
        }
        *at<R>(j.grad[0], r.state, 0, x) = g;
    }
}

int cuda_scan_channels(void *stream, const scan_job *j)
{
    const unsigned blocks = blocks_for(j->n_runs * j->d, THREADS);

    if (j->back)
        return gpu_launch(j->bits == 32 ? channels_backward<float> : channels_backward<double>, blocks, THREADS, 0,
                          stream, *j);
    return gpu_launch(j->bits == 32 ? channels_forward<float> : channels_forward<double>, blocks, THREADS, 0, stream,
                      *j);
}
