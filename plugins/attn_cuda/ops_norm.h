/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/ops_norm: the arguments of a norm's kernels, which ops_norm.cu fills and ops_sum.cu reads too.
 */
#ifndef LOCI_ATTN_CUDA_OPS_NORM_H
#define LOCI_ATTN_CUDA_OPS_NORM_H

#include "number.h"

enum { NORM_OUT, NORM_X, NORM_GAIN, NORM_STAT, NORM_DY };

struct norm_args {
    cuda_walk w; /* rows; operands as numbered above */
    int32_t kind;
    int64_t n;
    double eps;
    void *out, *stat;
    const void *x, *gain, *dy;
};

/* dgain += the sum over rows of dy x r. a: of norm_back, its walk not merged. */
loci_status cuda_norm_dgain(const loci_exec *x, int bits, const norm_args *a, const loci_tensor *dgain,
                            loci_error *err);

#endif
