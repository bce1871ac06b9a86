/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/number: the functions of one number that kernels of loci.ops/1 apply, for float and double, and the
 * place of an item in a walk.
 *
 * As on the CPU (core/device/kern_math.tmpl): the sigmoid uses e^-|x| only, so nothing overflows, and 1 + tanh(u) =
 * 2 sigmoid(2u) turns the tanh of GELU into it. exp, log and sqrt are the compiler's accurate ones.
 */
#ifndef LOCI_ATTN_CUDA_NUMBER_H
#define LOCI_ATTN_CUDA_NUMBER_H

#include "ops.h"
#include "gpu.h"

#include <math.h>
#include <string.h>

GPU_FN float exp_of(float x)
{
    return expf(x);
}
GPU_FN double exp_of(double x)
{
    return exp(x);
}
GPU_FN float log1p_of(float x)
{
    return log1pf(x);
}
GPU_FN double log1p_of(double x)
{
    return log1p(x);
}
GPU_FN float sqrt_of(float x)
{
    return sqrtf(x);
}
GPU_FN double sqrt_of(double x)
{
    return sqrt(x);
}
GPU_FN float abs_of(float x)
{
    return fabsf(x);
}
GPU_FN double abs_of(double x)
{
    return fabs(x);
}

template <typename R> GPU_FN R sigmoid_of(R x)
{
    const R e = exp_of(-abs_of(x)), s = 1 / (1 + e);

    return x >= 0 ? s : e * s;
}

/* s (1 - s), as e / (1 + e)^2 so that nothing cancels. */
template <typename R> GPU_FN R sigmoid_back(R x)
{
    const R e = exp_of(-abs_of(x)), s = 1 / (1 + e);

    return e * s * s;
}

template <typename R> GPU_FN R softplus_of(R x)
{
    return (x > 0 ? x : 0) + log1p_of(exp_of(-abs_of(x)));
}

template <typename R> struct gelu {
    static constexpr R A = (R)1.5957691216057308; /* 2 sqrt(2 / pi) */
    static constexpr R B = (R)0.044715;
};

/* Beyond |x| = 30 what follows is constant, and x^2 must not overflow into 0 times infinity. */
template <typename R> GPU_FN R clip(R x)
{
    return x > 30 ? 30 : x < -30 ? -30 : x;
}

template <typename R> GPU_FN R gelu_of(R x)
{
    return x * sigmoid_of(gelu<R>::A * (x + gelu<R>::B * (x * x * x)));
}

template <typename R> GPU_FN R gelu_back(R x)
{
    const R c = clip(x), s = sigmoid_of(gelu<R>::A * (c + gelu<R>::B * (c * c * c)));

    return s + c * s * (1 - s) * gelu<R>::A * (1 + 3 * gelu<R>::B * (c * c));
}

template <typename R> GPU_FN R gelu_back2(R x)
{
    const R c = clip(x), u = gelu<R>::A * (c + gelu<R>::B * (c * c * c));
    const R du = gelu<R>::A * (1 + 3 * gelu<R>::B * (c * c));

    return sigmoid_back(u) * (2 * du + c * ((1 - 2 * sigmoid_of(u)) * (du * du) + 6 * gelu<R>::A * gelu<R>::B * c));
}

template <typename R> GPU_FN R silu_back(R x)
{
    const R s = sigmoid_of(x);

    return s * (1 + x * (1 - s));
}

template <typename R> GPU_FN R silu_back2(R x)
{
    return sigmoid_back(x) * (2 + x * (1 - 2 * sigmoid_of(x)));
}

/* ---- places ----------------------------------------------------------------------------------------------------- */

/* The number of this thread, of 1-d blocks in a 1-d grid, and how many there are. */
GPU_FN int64_t thread_number(void)
{
    return (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
}
GPU_FN int64_t thread_count(void)
{
    return (int64_t)gridDim.x * blockDim.x;
}

GPU_FN float lane_xor(float v, int with)
{
    return __shfl_xor_sync(GPU_ALL, v, with);
}
GPU_FN double lane_xor(double v, int with)
{
    uint32_t word[2];

    memcpy(word, &v, sizeof v);
    word[0] = __shfl_xor_sync(GPU_ALL, word[0], with);
    word[1] = __shfl_xor_sync(GPU_ALL, word[1], with);
    memcpy(&v, word, sizeof v);
    return v;
}

/* The sum of v over a warp, in halves, in every lane. */
template <typename R> GPU_FN R warp_sum(R v)
{
    for (int away = 16; away; away /= 2)
        v += lane_xor(v, away);
    return v;
}

template <typename R> GPU_FN R warp_max(R v)
{
    for (int away = 16; away; away /= 2) {
        const R other = lane_xor(v, away);

        v = other > v ? other : v;
    }
    return v;
}

/* Offsets of item i for the first N operands. */
template <int N> GPU_FN void walk_at(const cuda_walk &w, int64_t i, int64_t *at)
{
    for (int k = 0; k < N; k++)
        at[k] = 0;
    for (int a = w.n_axes - 1; a >= 0; a--) {
        const int64_t index = a ? i % w.shape[a] : i;

        i = a ? i / w.shape[a] : 0;
        for (int k = 0; k < N; k++)
            at[k] += index * w.stride[k][a];
    }
}

/* What a launch left, as an error of `op`. */
static inline loci_status launched(const char *op, int e, loci_error *err)
{
    return cuda_done(op, rt_error(e), err);
}

/* Blocks of `threads` for n items, each thread taking the next thread_count() further. */
static inline unsigned blocks_for(int64_t n, int threads)
{
    const int64_t blocks = (n + threads - 1) / threads;

    return (unsigned)(blocks < 1 << 16 ? blocks : 1 << 16);
}

#endif
