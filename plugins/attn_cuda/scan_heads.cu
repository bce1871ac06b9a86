/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/scan_heads: the gradient of a g of shape [H]: dg [H] += the parts of the items, in order.
 */
#include "number.h"
#include "scan.h"

template <typename R> __global__ void head_kernel(scan_job j)
{
    for (int64_t h = thread_number(); h < j.H; h += thread_count()) {
        double sum = 0;

        for (int64_t i = 0; i < j.n_items; i++)
            sum += ((const double *)j.part)[i * j.H + h];
        ((R *)j.dg.at)[h * j.dg.s[2]] += (R)sum;
    }
}

int cuda_scan_heads(void *stream, const scan_job *j)
{
    const dim3 grid = blocks_for(j->H, 256);

    return j->bits == 32 ? gpu_launch(head_kernel<float>, grid, 256, 0, stream, *j)
                         : gpu_launch(head_kernel<double>, grid, 256, 0, stream, *j);
}

const char *cuda_scan_error(int e)
{
    return gpu_error(e);
}
