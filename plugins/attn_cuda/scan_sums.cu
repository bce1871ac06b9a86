/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/scan_sums: the last sums of a backward, in order: over the shares that the strips of an item left,
 * into the gradients of its tokens; and for a g of shape [H], over the parts of items and strips.
 */
#include "scan_back.h"

/* Items and heads begin ... begin + n, a window of tokens. */
template <typename R> __global__ void share_kernel(scan_job j, int64_t begin, int64_t n, int from)
{
    const int one = scan_shared(&j);
    const int64_t strip = (int64_t)j.window * one;

    for (int64_t k = thread_number(); k < n * strip; k += thread_count()) {
        const int64_t number = k / strip, t = from + k % strip / one;
        const scan_item item = j.items[(begin + number) / j.H];
        const R *const share = (const R *)j.share + number * j.strips * strip + k % strip;
        R *to = NULL, sum;

        if (t < item.n)
            to = gradient_at<R>(j, item, (begin + number) % j.H, item.first + t, (int)(k % strip % one));
        if (!to)
            continue;
        sum = *to;
        for (int i = 0; i < j.strips; i++)
            sum += share[i * strip];
        *to = sum;
    }
}

template <typename R> __global__ void head_kernel(scan_job j)
{
    for (int64_t h = thread_number(); h < j.H; h += thread_count()) {
        double sum = 0;

        for (int64_t i = 0; i < j.n_items; i++)
            for (int k = 0; k < j.strips; k++)
                sum += ((const double *)j.part)[(i * j.H + h) * j.strips + k];
        ((R *)j.dg.at)[h * j.dg.s[2]] += (R)sum;
    }
}

int cuda_scan_shares(void *stream, const scan_job *j, int64_t begin, int64_t n, int from)
{
    const dim3 grid = blocks_for(n * j->window * scan_shared(j), 256);

    return j->bits == 32 ? gpu_launch(share_kernel<float>, grid, 256, 0, stream, *j, begin, n, from)
                         : gpu_launch(share_kernel<double>, grid, 256, 0, stream, *j, begin, n, from);
}

int cuda_scan_heads(void *stream, const scan_job *j)
{
    const dim3 grid = blocks_for(j->H, 256);

    return j->bits == 32 ? gpu_launch(head_kernel<float>, grid, 256, 0, stream, *j)
                         : gpu_launch(head_kernel<double>, grid, 256, 0, stream, *j);
}
