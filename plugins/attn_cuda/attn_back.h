/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/attn_back.h: what the kernels of a backward share. The weights are computed again from lse:
 *
 *   p = exp2(s2 - lse2)     ds = p (z <d_o, v> + shift)     dx = ds cap'(x)     shift = d_lse - <d_o, o>
 *   dq = scale sum_j dx k       dk = scale sum_i dx q       dv = sum_i p z d_o
 *
 * Every sum is made by one block in one order, so the bits of a gradient are the same in every run.
 */
#ifndef ATTN_CUDA_ATTN_BACK_H
#define ATTN_CUDA_ATTN_BACK_H

#include "attn_launch.h"

/* The engines of a backward hold two tiles of rows and two of columns: rows or columns are fewer than in a forward. */
template <int TYPE, int D> struct back_engine;
template <int D> struct back_engine<ATTN_F32, D> {
    typedef tile_fma<D, D <= 64 ? 4 : D <= 128 ? 2 : 1, D <= 128 ? 32 : 16> type;
};
template <int D> struct back_engine<ATTN_BF16, D> {
    typedef tile_mma<ATTN_BF16, D, 1, D <= 64 ? 64 : D <= 128 ? 32 : 16> type;
};
template <int D> struct back_engine<ATTN_FP16, D> {
    typedef tile_mma<ATTN_FP16, D, 1, D <= 64 ? 64 : D <= 128 ? 32 : 16> type;
};

/* to[..] += scale x, the rows of a tile from first on, before `end`. */
template <class E>
GPU_FN void add_rows(const attn_rows &to, int b, int h, int first, int end, int width, typename E::sums &x, float scale,
                     unsigned poison)
{
    typedef typename E::elem elem;

    GPU_UNROLL
    for (int r = 0; r < E::NR; r++) {
        const int t = first + E::row(r);
        elem *at = (elem *)to.data + query_at(to, b, t, h);
        const float factor = poison >> r & 1 ? NAN : scale;

        GPU_UNROLL
        for (int n = 0; n < E::NO; n++)
            if (t < end && E::out(n) < width)
                at[E::out(n)] = E::num::put(E::num::get(at[E::out(n)]) + x.at(r, n) * factor);
    }
}

/* Calls run<back_engine<type, D>::type>(...) for the type and width of the call. */
#define BACK_WIDTHS(TYPE, run, ...) \
    (attn_width(a) <= 32    ? run<back_engine<TYPE, 32>::type>(__VA_ARGS__) \
     : attn_width(a) <= 64  ? run<back_engine<TYPE, 64>::type>(__VA_ARGS__) \
     : attn_width(a) <= 128 ? run<back_engine<TYPE, 128>::type>(__VA_ARGS__) \
                            : run<back_engine<TYPE, 256>::type>(__VA_ARGS__))
#define BACK_TYPES(run, ...) \
    (a->type == ATTN_F32    ? BACK_WIDTHS(ATTN_F32, run, __VA_ARGS__) \
     : a->type == ATTN_BF16 ? BACK_WIDTHS(ATTN_BF16, run, __VA_ARGS__) \
                            : BACK_WIDTHS(ATTN_FP16, run, __VA_ARGS__))

/* attn_queries.cu: dq and slope_part; dbias; dtable. attn_keys.cu: dk, dv. attn_sums.cu: shift; dslopes, dsink, dtable.
 */
int attn_back_queries(const attn_args *a, void *stream);
int attn_back_bias(const attn_args *a, void *stream);
int attn_back_table(const attn_args *a, void *stream);
int attn_back_keys(const attn_args *a, void *stream);
int attn_back_shift(const attn_args *a, void *stream);
int attn_back_heads(const attn_args *a, void *stream);

#endif
