/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/ops_loss: softmax cross-entropy, a block per row, and the sum of squares, a block per piece.
 */
#include "number.h"

#define THREADS 256
#define WARPS (THREADS / 32)
#define PIECE 16384 /* elements of a piece of sumsq */
#define PIECES 1024 /* of one launch */

/* Fold v over the block, warp by warp and then the warps in order; every thread gets the result. */
template <typename R, int MAX> GPU_FN R block_fold(R v, R *room)
{
    v = MAX ? warp_max(v) : warp_sum(v);
    __syncthreads(); /* whoever still reads the last result */
    if (threadIdx.x % 32 == 0)
        room[threadIdx.x / 32] = v;
    __syncthreads();
    v = room[0];
    for (int w = 1; w < WARPS; w++)
        v = MAX ? (room[w] > v ? room[w] : v) : v + room[w];
    return v;
}

/* ---- xent ------------------------------------------------------------------------------------------------------- */

struct xent_args {
    int64_t n, rows, row, d_row, loss_step;
    double scale;
    const void *logits;
    void *d, *loss;
    const int32_t *target;
};

/* d may be the storage of the logits: the logit of the target is kept before it is written. */
template <typename R> __global__ void xent_kernel(xent_args a)
{
    GPU_SHARED(shared);
    R *const room = (R *)shared;

    for (int64_t i = blockIdx.x; i < a.rows; i += gridDim.x) {
        const R *x = (const R *)a.logits + i * a.row;
        R *d = a.d ? (R *)a.d + i * a.d_row : NULL, *loss = (R *)a.loss + i * a.loss_step;
        const int64_t target = a.target[i];
        R top = -(R)INFINITY, sum = 0, at_target, factor;

        if (target < 0) {
            for (int64_t c = threadIdx.x; d && c < a.n; c += THREADS)
                d[c] = 0;
            if (threadIdx.x == 0)
                *loss = 0;
            continue;
        }
        for (int64_t c = threadIdx.x; c < a.n; c += THREADS)
            top = x[c] > top ? x[c] : top;
        top = block_fold<R, 1>(top, room);
        at_target = x[target];
        for (int64_t c = threadIdx.x; c < a.n; c += THREADS)
            sum += exp_of(x[c] - top);
        sum = block_fold<R, 0>(sum, room);
        factor = (R)(a.scale / (double)sum);
        for (int64_t c = threadIdx.x; d && c < a.n; c += THREADS)
            d[c] = exp_of(x[c] - top) * factor - (c == target ? (R)a.scale : 0);
        if (threadIdx.x == 0)
            *loss = (R)(log((double)sum) + ((double)top - (double)at_target));
    }
}

loci_status cuda_op_xent(const loci_exec *x, const loci_tensor *loss, const loci_tensor *dlogits,
                         const loci_tensor *logits, const loci_tensor *target, double scale, loci_error *err)
{
    const int bits = loci_ops_bits("xent", logits, err);
    const int32_t *list;
    xent_args a;

    if (!bits)
        return LOCI_E_ARG;
    CUDA_TRY(loci_ops_check("xent", "logits", logits, logits->dtype, 2, 1, err));
    CUDA_TRY(loci_ops_check("xent", "loss", loss, logits->dtype, 1, 1, err));
    if (logits->ndim != 2 || loss->ndim != 1 || loss->shape[0] != logits->shape[0])
        return cuda_refuse(err, LOCI_E_ARG, "xent: logits must be [N,V] and loss [N]");
    CUDA_TRY(loci_ops_check_i32("xent", "target", target, 1, logits->shape, err));
    if (dlogits)
        CUDA_TRY(loci_ops_check_like("xent", "dlogits", dlogits, logits, 1, err));
    a.rows = logits->shape[0];
    a.n = logits->shape[1];
    list = (const int32_t *)loci_ptr(target);
    for (int64_t i = 0; i < a.rows; i++) {
        const int32_t one = list[a.rows > 1 ? i * target->strides[0] : 0];

        if (one < -1 || one >= a.n)
            return cuda_refuse(err, LOCI_E_ARG, "xent: target[%lld] is %d; logits have %lld columns", (long long)i, one,
                               (long long)a.n);
    }
    if (a.rows == 0)
        return LOCI_OK;
    CUDA_TRY(cuda_list_i32(x, "xent", target, &a.target, err));
    a.row = logits->strides[0];
    a.d_row = dlogits ? dlogits->strides[0] : 0;
    a.loss_step = loss->strides[0];
    a.scale = scale;
    a.logits = loci_ptr(logits);
    a.d = dlogits ? loci_ptr(dlogits) : NULL;
    a.loss = loci_ptr(loss);
    return launched("xent",
                    gpu_launch(bits == 32 ? xent_kernel<float> : xent_kernel<double>, blocks_for(a.rows, 1), THREADS,
                               WARPS * sizeof(double), x->stream, a),
                    err);
}

/* ---- sumsq ------------------------------------------------------------------------------------------------------ */

struct sumsq_args {
    const void *a;
    int64_t n;
    double *part;
};

template <typename R> __global__ void sumsq_kernel(sumsq_args s)
{
    GPU_SHARED(shared);
    const int64_t first = (int64_t)blockIdx.x * PIECE, last = first + PIECE < s.n ? first + PIECE : s.n;
    double sum = 0;

    for (int64_t i = first + threadIdx.x; i < last; i += THREADS) {
        const double x = (double)((const R *)s.a)[i];

        sum += x * x;
    }
    sum = block_fold<double, 0>(sum, (double *)shared);
    if (threadIdx.x == 0)
        s.part[blockIdx.x] = sum;
}

/* The sums of pieces come down and are added in order: *out is the host's. */
loci_status cuda_op_sumsq(const loci_exec *x, const loci_tensor *a, double *out, loci_error *err)
{
    const int bits = loci_ops_bits("sumsq", a, err);
    int64_t n;

    if (!bits)
        return LOCI_E_ARG;
    CUDA_TRY(loci_ops_check("sumsq", "a", a, a->dtype, 1, 1, err));
    if (!loci_ops_contiguous(a))
        return cuda_refuse(err, LOCI_E_ARG, "sumsq: a must be contiguous");
    n = loci_ops_elements(a);
    *out = 0;
    for (int64_t at = 0; at < n; at += (int64_t)PIECES * PIECE) {
        const int64_t here = n - at < (int64_t)PIECES * PIECE ? n - at : (int64_t)PIECES * PIECE;
        const unsigned pieces = (unsigned)((here + PIECE - 1) / PIECE);
        const sumsq_args s = {(const char *)loci_ptr(a) + at * (bits / 8), here, (double *)cuda_device(x)->room};
        double part[PIECES];

        CUDA_TRY(launched("sumsq",
                          gpu_launch(bits == 32 ? sumsq_kernel<float> : sumsq_kernel<double>, pieces, THREADS,
                                     WARPS * sizeof(double), x->stream, s),
                          err));
        CUDA_TRY(cuda_done("sumsq", rt_down(x->stream, part, s.part, pieces * sizeof *part), err));
        for (unsigned i = 0; i < pieces; i++)
            *out += part[i];
    }
    return LOCI_OK;
}
