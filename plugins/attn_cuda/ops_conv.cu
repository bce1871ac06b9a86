/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/ops_conv: depthwise causal convolution over runs, and its adjoint.
 *
 * Seen from a run of `len` tokens, the inputs form one line of K - 1 + len rows, the tail first:
 *
 *     time   -(K-1) ... -1 | 0 ... len-1          tail[j] is time j - (K-1)
 *     the new tail is the last K - 1 rows of that line: tail_out[j] is time len - (K-1) + j
 *
 *   y_t = sum_l w_l x_{t-l}          dx_s += sum_l w_l dy_{s+l} + d(tail_out) of time s, for s >= 0 and s < 0 alike
 *
 *  (1) A thread has a token and a channel in forward and dx, a channel of a run in the tails.
 *  (2) Tails are written by a kernel of their own, after everyone has read them, each thread in the order in which
 *      nothing is read after it is overwritten: tail_out may be tail_in.
 *  (3) dw: a block has a tap and 32 channels, 8 threads each, which take every 8th token of the runs; the 8 sums are
 *      added in order.
 */
#include "number.h"

#define THREADS 256
#define COLS 32
#define DEEP 8

struct conv_args {
    const loci_run *runs; /* on the card */
    int64_t n_runs, longest, K, N;
    int64_t x_row, x_tok, y_row, y_tok, dy_row, dy_tok; /* y: what is written per token: y, dx */
    int64_t tail_state, tail_tok, grad_state, grad_tok, w_row, dw_row;
    const void *x, *dy, *w, *tail;
    void *y, *dw, *grad; /* grad: tail_out, tail_grad */
};

/* The input of time t of a run: of x, of the tail, or 0. */
template <typename R> GPU_FN R conv_input(const conv_args &a, const loci_run &r, int64_t t, int64_t c)
{
    if (t >= 0)
        return ((const R *)a.x)[r.row * a.x_row + (r.begin + t) * a.x_tok + c];
    if (r.pos == 0 || !a.tail)
        return 0;
    return ((const R *)a.tail)[r.state * a.tail_state + (t + a.K - 1) * a.tail_tok + c];
}

template <typename R> GPU_FN R conv_dy(const conv_args &a, const loci_run &r, int64_t t, int64_t c)
{
    return ((const R *)a.dy)[r.row * a.dy_row + (r.begin + t) * a.dy_tok + c];
}

template <typename R> GPU_FN R conv_w(const conv_args &a, int64_t c, int64_t l)
{
    return ((const R *)a.w)[c * a.w_row + l];
}

template <typename R> __global__ void conv_kernel(conv_args a)
{
    for (int64_t i = blockIdx.y; i < a.n_runs; i += gridDim.y) {
        const loci_run r = a.runs[i];

        for (int64_t k = thread_number(); k < r.len * a.N; k += thread_count()) {
            const int64_t t = k / a.N, c = k % a.N;
            R sum = 0;

            for (int64_t l = 0; l < a.K; l++)
                sum += conv_w<R>(a, c, l) * conv_input<R>(a, r, t - l, c);
            ((R *)a.y)[r.row * a.y_row + (r.begin + t) * a.y_tok + c] = sum;
        }
    }
}

template <typename R> __global__ void tail_kernel(conv_args a)
{
    for (int64_t k = thread_number(); k < a.n_runs * a.N; k += thread_count()) {
        const loci_run r = a.runs[k / a.N];
        const int64_t c = k % a.N;

        for (int64_t j = 0; j < a.K - 1; j++)
            ((R *)a.grad)[r.state * a.grad_state + j * a.grad_tok + c] = conv_input<R>(a, r, r.len - (a.K - 1) + j, c);
    }
}

template <typename R> __global__ void conv_dx_kernel(conv_args a)
{
    for (int64_t i = blockIdx.y; i < a.n_runs; i += gridDim.y) {
        const loci_run r = a.runs[i];
        const int64_t kept = r.len - (a.K - 1);

        for (int64_t k = thread_number(); k < r.len * a.N; k += thread_count()) {
            const int64_t t = k / a.N, c = k % a.N;
            R sum = 0;

            for (int64_t l = 0; l < a.K && t + l < r.len; l++)
                sum += conv_w<R>(a, c, l) * conv_dy<R>(a, r, t + l, c);
            if (a.grad && t >= kept)
                sum += ((const R *)a.grad)[r.state * a.grad_state + (t - kept) * a.grad_tok + c];
            ((R *)a.y)[r.row * a.y_row + (r.begin + t) * a.y_tok + c] += sum;
        }
    }
}

/* d(tail_in): row j is time j - (K-1); newest first, since row j takes d(tail_out) from row j - len. */
template <typename R> __global__ void tail_back_kernel(conv_args a)
{
    for (int64_t k = thread_number(); k < a.n_runs * a.N; k += thread_count()) {
        const loci_run r = a.runs[k / a.N];
        const int64_t c = k % a.N;
        R *rows = (R *)a.grad + r.state * a.grad_state + c;

        for (int64_t j = a.K - 2; j >= 0; j--) {
            R sum = r.pos != 0 && j >= r.len ? rows[(j - r.len) * a.grad_tok] : 0;

            for (int64_t l = a.K - 1 - j; l < a.K && r.pos != 0; l++) {
                const int64_t t = j - (a.K - 1) + l;

                if (t < r.len)
                    sum += conv_w<R>(a, c, l) * conv_dy<R>(a, r, t, c);
            }
            rows[j * a.grad_tok] = sum;
        }
    }
}

/* A block per tap and COLS channels. */
template <typename R> __global__ void conv_dw_kernel(conv_args a)
{
    GPU_SHARED(shared);
    R *const sums = (R *)shared;
    const int lane = threadIdx.x % COLS, deep = threadIdx.x / COLS;
    const int64_t c = blockIdx.x / a.K * COLS + lane, l = blockIdx.x % a.K;
    R sum = 0;

    for (int64_t i = 0; c < a.N && i < a.n_runs; i++) {
        const loci_run r = a.runs[i];

        for (int64_t t = deep; t < r.len; t += DEEP)
            sum += conv_dy<R>(a, r, t, c) * conv_input<R>(a, r, t - l, c);
    }
    sums[deep * COLS + lane] = sum;
    __syncthreads();
    if (deep == 0 && c < a.N) {
        for (int k = 1; k < DEEP; k++)
            sum += sums[k * COLS + lane];
        ((R *)a.dw)[c * a.dw_row + l] += sum;
    }
}

/* ---- checks ----------------------------------------------------------------------------------------------------- */

static loci_status check_tail(const char *op, const char *name, const loci_tensor *tail, const conv_args *a,
                              const loci_batch *batch, loci_dtype type, int out, loci_error *err)
{
    CUDA_TRY(loci_ops_check(op, name, tail, type, 3, out, err));
    if (tail->ndim != 3 || tail->shape[1] != a->K - 1 || tail->shape[2] != a->N || (a->N > 1 && tail->strides[2] != 1))
        return cuda_refuse(err, LOCI_E_ARG, "%s: %s must be [states,%lld,%lld], the last axis contiguous", op, name,
                           (long long)(a->K - 1), (long long)a->N);
    for (int64_t i = 0; i < a->n_runs; i++)
        if (batch->runs[i].state < 0 || batch->runs[i].state >= tail->shape[0])
            return cuda_refuse(err, LOCI_E_ARG, "%s: run %lld has state row %d; %s has %lld rows", op, (long long)i,
                               batch->runs[i].state, name, (long long)tail->shape[0]);
    return LOCI_OK;
}

static loci_status conv_init(conv_args *a, const char *op, const loci_batch *batch, const loci_tensor *x,
                             const loci_tensor *w, const loci_tensor *tail, loci_error *err)
{
    *a = conv_args();
    if (!batch)
        return cuda_refuse(err, LOCI_E_ARG, "%s: batch is missing", op);
    CUDA_TRY(loci_ops_check(op, "x", x, x->dtype, 3, 1, err));
    CUDA_TRY(loci_ops_check(op, "w", w, x->dtype, 2, 1, err));
    if (x->ndim != 3 || w->ndim != 2 || w->shape[0] != x->shape[2] || w->shape[1] < 1)
        return cuda_refuse(err, LOCI_E_ARG, "%s: x must be [B,T,N] and w [N,K] with K of at least 1", op);
    a->n_runs = batch->n_runs;
    a->N = w->shape[0];
    a->K = w->shape[1];
    for (int64_t i = 0; i < a->n_runs; i++) {
        const loci_run *r = &batch->runs[i];

        if (r->row < 0 || r->row >= x->shape[0] || r->begin < 0 || r->len < 0 ||
            (int64_t)r->begin + r->len > x->shape[1])
            return cuda_refuse(err, LOCI_E_ARG, "%s: run %lld covers tokens %d to %lld of row %d; x is [%lld,%lld,...]",
                               op, (long long)i, r->begin, (long long)r->begin + r->len, r->row, (long long)x->shape[0],
                               (long long)x->shape[1]);
        if (!tail && a->K > 1 && r->pos != 0)
            return cuda_refuse(err, LOCI_E_ARG, "%s: run %lld goes on at pos %lld, but there is no tail_in", op,
                               (long long)i, (long long)r->pos);
        a->longest = r->len > a->longest ? r->len : a->longest;
    }
    if (tail && a->K > 1) {
        CUDA_TRY(check_tail(op, "tail_in", tail, a, batch, x->dtype, 0, err));
        a->tail = loci_ptr(tail);
        a->tail_state = tail->strides[0];
        a->tail_tok = tail->strides[1];
    }
    a->x = loci_ptr(x);
    a->x_row = x->strides[0];
    a->x_tok = x->strides[1];
    a->w = loci_ptr(w);
    a->w_row = w->strides[0];
    return LOCI_OK;
}

static void set_grad(conv_args *a, const loci_tensor *tail)
{
    a->grad = loci_ptr(tail);
    a->grad_state = tail->strides[0];
    a->grad_tok = tail->strides[1];
}

static void set_y(conv_args *a, const loci_tensor *y)
{
    a->y = loci_ptr(y);
    a->y_row = y->strides[0];
    a->y_tok = y->strides[1];
}

/* A thread per token and channel of the longest run, and a row of blocks per run. */
static dim3 token_grid(const conv_args &a)
{
    return dim3(blocks_for(a.longest * a.N, THREADS), (unsigned)(a.n_runs < 65535 ? a.n_runs : 65535));
}

static loci_status list_runs(conv_args *a, const loci_exec *x, const char *op, const loci_batch *batch, loci_error *err)
{
    const void *runs = NULL;

    CUDA_TRY(cuda_list(x, op, batch->runs, (uint64_t)a->n_runs * sizeof(loci_run), &runs, err));
    a->runs = (const loci_run *)runs;
    return LOCI_OK;
}

loci_status cuda_op_conv(const loci_exec *x, const loci_batch *batch, const loci_tensor *y, const loci_tensor *in,
                         const loci_tensor *w, const loci_tensor *tail_in, const loci_tensor *tail_out, loci_error *err)
{
    const int bits = loci_ops_bits("conv", in, err);
    conv_args a;

    if (!bits)
        return LOCI_E_ARG;
    CUDA_TRY(conv_init(&a, "conv", batch, in, w, tail_in, err));
    CUDA_TRY(loci_ops_check_like("conv", "y", y, in, 1, err));
    if (tail_out && a.K > 1) {
        CUDA_TRY(check_tail("conv", "tail_out", tail_out, &a, batch, in->dtype, 1, err));
        set_grad(&a, tail_out);
    }
    set_y(&a, y);
    if (a.n_runs * a.N == 0)
        return LOCI_OK;
    CUDA_TRY(list_runs(&a, x, "conv", batch, err));
    if (a.longest)
        CUDA_TRY(launched(
            "conv",
            gpu_launch(bits == 32 ? conv_kernel<float> : conv_kernel<double>, token_grid(a), THREADS, 0, x->stream, a),
            err));
    if (a.grad)
        CUDA_TRY(launched("conv",
                          gpu_launch(bits == 32 ? tail_kernel<float> : tail_kernel<double>,
                                     blocks_for(a.n_runs * a.N, THREADS), THREADS, 0, x->stream, a),
                          err));
    return LOCI_OK;
}

loci_status cuda_op_conv_back(const loci_exec *x, const loci_batch *batch, const loci_tensor *dx, const loci_tensor *dw,
                              const loci_tensor *tail_grad, const loci_tensor *in, const loci_tensor *w,
                              const loci_tensor *tail_in, const loci_tensor *dy, loci_error *err)
{
    const int bits = loci_ops_bits("conv_back", in, err);
    conv_args a;

    if (!bits)
        return LOCI_E_ARG;
    CUDA_TRY(conv_init(&a, "conv_back", batch, in, w, tail_in, err));
    CUDA_TRY(loci_ops_check_like("conv_back", "dy", dy, in, 0, err));
    if (dy->shape[2] > 1 && dy->strides[2] != 1)
        return cuda_refuse(err, LOCI_E_ARG, "conv_back: the last axis of dy must have stride 1");
    if (dx)
        CUDA_TRY(loci_ops_check_like("conv_back", "dx", dx, in, 1, err));
    if (dw)
        CUDA_TRY(loci_ops_check_like("conv_back", "dw", dw, w, 1, err));
    if (tail_grad && a.K > 1) {
        CUDA_TRY(check_tail("conv_back", "tail_grad", tail_grad, &a, batch, in->dtype, 1, err));
        set_grad(&a, tail_grad);
    }
    if (a.n_runs * a.N == 0)
        return LOCI_OK;
    a.dy = loci_ptr(dy);
    a.dy_row = dy->strides[0];
    a.dy_tok = dy->strides[1];
    CUDA_TRY(list_runs(&a, x, "conv_back", batch, err));
    if (dx && a.longest) {
        set_y(&a, dx);
        CUDA_TRY(launched("conv_back",
                          gpu_launch(bits == 32 ? conv_dx_kernel<float> : conv_dx_kernel<double>, token_grid(a),
                                     THREADS, 0, x->stream, a),
                          err));
    }
    if (dw && a.longest) {
        const int64_t blocks = (a.N + COLS - 1) / COLS * a.K;

        if (blocks > INT32_MAX)
            return cuda_refuse(err, LOCI_E_UNSUPPORTED, "conv_back: %lld taps of %lld channels are too many for a grid",
                               (long long)a.K, (long long)a.N);
        a.dw = loci_ptr(dw);
        a.dw_row = dw->strides[0];
        CUDA_TRY(launched("conv_back",
                          gpu_launch(bits == 32 ? conv_dw_kernel<float> : conv_dw_kernel<double>, (unsigned)blocks,
                                     COLS * DEEP, COLS * DEEP * sizeof(double), x->stream, a),
                          err));
    }
    if (a.grad)
        CUDA_TRY(launched("conv_back",
                          gpu_launch(bits == 32 ? tail_back_kernel<float> : tail_back_kernel<double>,
                                     blocks_for(a.n_runs * a.N, THREADS), THREADS, 0, x->stream, a),
                          err));
    return LOCI_OK;
}
