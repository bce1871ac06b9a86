/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/ops_norm: norm, the dx of norm_back, and dot: a warp per row, each lane every 32nd element, partial
 * sums folded in halves. The gain's gradient is a sum over rows: ops_sum.cu.
 *
 *   y = x r gain,  r = (mean x^2 + eps)^-1/2 (RMS) or (sum x^2 + eps)^-1/2 (L2)
 *   dx += r gain dy - x (r^3 / m) sum(gain dy x),  m = n (RMS) or 1 (L2)
 */
#include "ops_norm.h"

#define THREADS 256

/* Rows begin at this thread's warp's number and go up by the number of warps. */
#define EACH_ROW(i, count) for (int64_t i = thread_number() / 32, step_ = thread_count() / 32; i < (count); i += step_)

template <typename R> __global__ void norm_kernel(norm_args a)
{
    const int lane = threadIdx.x % 32;

    EACH_ROW(i, a.w.count)
    {
        int64_t at[4];
        const R *x, *gain;
        R *y, sum = 0, r;

        walk_at<4>(a.w, i, at);
        y = (R *)a.out + at[NORM_OUT];
        x = (const R *)a.x + at[NORM_X];
        gain = (const R *)a.gain + at[NORM_GAIN];
        for (int64_t c = lane; c < a.n; c += 32)
            sum += x[c] * x[c];
        sum = warp_sum(sum);
        if (a.kind == LOCI_NORM_RMS)
            sum /= (R)a.n;
        r = 1 / sqrt_of(sum + (R)a.eps);
        if (a.stat && lane == 0)
            ((R *)a.stat)[at[NORM_STAT]] = r;
        for (int64_t c = lane; c < a.n; c += 32)
            y[c] = a.gain ? x[c] * r * gain[c] : x[c] * r;
    }
}

template <typename R> __global__ void norm_dx_kernel(norm_args a)
{
    const int lane = threadIdx.x % 32;

    EACH_ROW(i, a.w.count)
    {
        int64_t at[5];
        const R *x, *gain, *dy;
        R *dx, sum = 0, r, back;

        walk_at<5>(a.w, i, at);
        dx = (R *)a.out + at[NORM_OUT];
        x = (const R *)a.x + at[NORM_X];
        gain = (const R *)a.gain + at[NORM_GAIN];
        dy = (const R *)a.dy + at[NORM_DY];
        r = ((const R *)a.stat)[at[NORM_STAT]];
        for (int64_t c = lane; c < a.n; c += 32)
            sum += a.gain ? dy[c] * x[c] * gain[c] : dy[c] * x[c];
        back = r * r * r * warp_sum(sum);
        if (a.kind == LOCI_NORM_RMS)
            back /= (R)a.n;
        for (int64_t c = lane; c < a.n; c += 32)
            dx[c] += r * (a.gain ? gain[c] * dy[c] : dy[c]) - x[c] * back;
    }
}

/* ---- checks ----------------------------------------------------------------------------------------------------- */

static loci_status check_gain(const char *op, const char *name, const loci_tensor *gain, const loci_tensor *x,
                              loci_error *err)
{
    const int64_t n = x->shape[x->ndim - 1];

    CUDA_TRY(loci_ops_check(op, name, gain, x->dtype, 1, 1, err));
    if (gain->shape[gain->ndim - 1] == n &&
        (gain->ndim == 1 || (gain->ndim == 2 && x->ndim > 1 && gain->shape[0] == x->shape[x->ndim - 2])))
        return LOCI_OK;
    return cuda_refuse(err, LOCI_E_ARG, "%s: %s must be [%lld], or [%lld,%lld]", op, name, (long long)n,
                       (long long)(x->ndim > 1 ? x->shape[x->ndim - 2] : 1), (long long)n);
}

/* What the two functions check alike, and the walk over rows. y: out of norm, dx of norm_back; dy NULL in norm. */
static loci_status norm_init(norm_args *a, const char *op, int32_t kind, const loci_tensor *y, const loci_tensor *x,
                             const loci_tensor *gain, const loci_tensor *stat, const loci_tensor *dy, loci_error *err)
{
    int64_t strides[CUDA_AXES] = {0}, rows = 1;
    int lead;

    if (kind != LOCI_NORM_RMS && kind != LOCI_NORM_L2)
        return cuda_refuse(err, LOCI_E_ARG, "%s: kind %d is unknown; use LOCI_NORM_RMS or LOCI_NORM_L2", op, kind);
    CUDA_TRY(loci_ops_check(op, dy ? "dx" : "y", y, y->dtype, 1, 1, err));
    CUDA_TRY(loci_ops_check_like(op, "x", x, y, 0, err));
    if (dy)
        CUDA_TRY(loci_ops_check_like(op, "dy", dy, y, 0, err));
    if (gain)
        CUDA_TRY(check_gain(op, "gain", gain, x, err));
    lead = y->ndim - 1;
    a->n = y->shape[lead];
    if (a->n > 1 && (x->strides[lead] != 1 || (dy && dy->strides[lead] != 1)))
        return cuda_refuse(err, LOCI_E_ARG, "%s: the last axis of x and dy must have stride 1", op);
    for (int i = 0; i < lead; i++)
        rows *= y->shape[i];
    if (stat && (stat->dtype.code != y->dtype.code || stat->dtype.bits != y->dtype.bits ||
                 loci_ops_elements(stat) != rows || !loci_ops_contiguous(stat)))
        return cuda_refuse(err, LOCI_E_ARG, "%s: stat must be contiguous, of x's type, with %lld elements", op,
                           (long long)rows);
    a->kind = kind;
    a->out = loci_ptr(y);
    a->x = loci_ptr(x);
    a->gain = gain ? loci_ptr(gain) : NULL;
    a->stat = stat ? loci_ptr(stat) : NULL;
    a->dy = dy ? loci_ptr(dy) : NULL;
    cuda_walk_init(&a->w, lead, y->shape);
    cuda_walk_add(&a->w, y->strides);
    cuda_walk_add(&a->w, x->strides);
    if (gain && gain->ndim == 2)
        strides[lead - 1] = gain->strides[0];
    cuda_walk_add(&a->w, strides);
    for (int64_t i = lead - 1, step = 1; i >= 0; i--) {
        strides[i] = step;
        step *= y->shape[i];
    }
    cuda_walk_add(&a->w, stat ? strides : NULL);
    cuda_walk_add(&a->w, dy ? dy->strides : NULL);
    return LOCI_OK;
}

loci_status cuda_op_norm(const loci_exec *x, int32_t kind, const loci_tensor *y, const loci_tensor *in,
                         const loci_tensor *gain, const loci_tensor *stat, double eps, loci_error *err)
{
    const int bits = loci_ops_bits("norm", y, err);
    norm_args a;

    if (!bits)
        return LOCI_E_ARG;
    CUDA_TRY(norm_init(&a, "norm", kind, y, in, gain, stat, NULL, err));
    a.eps = eps;
    cuda_walk_merge(&a.w);
    if (a.w.count == 0 || a.n == 0)
        return LOCI_OK;
    return launched("norm",
                    gpu_launch(bits == 32 ? norm_kernel<float> : norm_kernel<double>,
                               blocks_for(a.w.count * 32, THREADS), THREADS, 0, x->stream, a),
                    err);
}

loci_status cuda_op_norm_back(const loci_exec *x, int32_t kind, const loci_tensor *dx, const loci_tensor *dgain,
                              const loci_tensor *in, const loci_tensor *gain, const loci_tensor *stat,
                              const loci_tensor *dy, loci_error *err)
{
    const int bits = loci_ops_bits("norm_back", dx, err);
    norm_args a, merged;

    if (!bits)
        return LOCI_E_ARG;
    if (!dy || !stat)
        return cuda_refuse(err, LOCI_E_ARG, "norm_back: %s is missing", dy ? "stat" : "dy");
    CUDA_TRY(norm_init(&a, "norm_back", kind, dx, in, gain, stat, dy, err));
    if (dgain)
        CUDA_TRY(check_gain("norm_back", "dgain", dgain, dx, err));
    if (a.w.count == 0 || a.n == 0)
        return LOCI_OK;
    merged = a;
    cuda_walk_merge(&merged.w);
    CUDA_TRY(launched("norm_back",
                      gpu_launch(bits == 32 ? norm_dx_kernel<float> : norm_dx_kernel<double>,
                                 blocks_for(a.w.count * 32, THREADS), THREADS, 0, x->stream, merged),
                      err));
    return dgain ? cuda_norm_dgain(x, bits, &a, dgain, err) : LOCI_OK;
}

/* ---- dot -------------------------------------------------------------------------------------------------------- */

struct dot_args {
    cuda_walk w; /* rows; operands: out, a, b */
    int64_t n, a_step, b_step;
    double alpha, beta;
    void *out;
    const void *a, *b;
};

template <typename R> __global__ void dot_kernel(dot_args d)
{
    const R alpha = (R)d.alpha, beta = (R)d.beta;

    EACH_ROW(i, d.w.count)
    {
        int64_t at[3];
        const R *a, *b;
        R sum = 0, *out;

        walk_at<3>(d.w, i, at);
        out = (R *)d.out + at[0];
        a = (const R *)d.a + at[1];
        b = (const R *)d.b + at[2];
        for (int64_t c = threadIdx.x % 32; c < d.n; c += 32)
            sum += a[c * d.a_step] * b[c * d.b_step];
        sum = alpha * warp_sum(sum);
        if (threadIdx.x % 32 == 0)
            *out = beta == 0 ? sum : sum + beta * *out;
    }
}

loci_status cuda_op_dot(const loci_exec *x, const loci_tensor *out, const loci_tensor *a, const loci_tensor *b,
                        double alpha, double beta, loci_error *err)
{
    const int bits = loci_ops_bits("dot", out, err);
    int rank;
    dot_args d;

    if (!bits)
        return LOCI_E_ARG;
    CUDA_TRY(loci_ops_check("dot", "out", out, out->dtype, 1, 1, err));
    CUDA_TRY(loci_ops_check("dot", "a", a, out->dtype, 2, 0, err));
    CUDA_TRY(loci_ops_check_like("dot", "b", b, a, 0, err));
    rank = out->ndim;
    if (a->ndim != rank + 1)
        return cuda_refuse(err, LOCI_E_ARG, "dot: a has %d axes and out %d; out must have all but the last", a->ndim,
                           rank);
    for (int i = 0; i < rank; i++)
        if (a->shape[i] != out->shape[i])
            return cuda_refuse(err, LOCI_E_ARG, "dot: axis %d is %lld in a, %lld in out; they must agree", i,
                               (long long)a->shape[i], (long long)out->shape[i]);
    cuda_walk_init(&d.w, rank, out->shape);
    cuda_walk_add(&d.w, out->strides);
    cuda_walk_add(&d.w, a->strides);
    cuda_walk_add(&d.w, b->strides);
    cuda_walk_merge(&d.w);
    if (d.w.count == 0)
        return LOCI_OK;
    d.n = a->shape[rank];
    d.a_step = a->strides[rank] != 0;
    d.b_step = b->strides[rank] != 0;
    d.alpha = alpha;
    d.beta = beta;
    d.out = loci_ptr(out);
    d.a = loci_ptr(a);
    d.b = loci_ptr(b);
    return launched("dot",
                    gpu_launch(bits == 32 ? dot_kernel<float> : dot_kernel<double>, blocks_for(d.w.count * 32, THREADS),
                               THREADS, 0, x->stream, d),
                    err);
}
