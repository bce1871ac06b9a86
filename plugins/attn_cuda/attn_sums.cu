/* SPDX-License-Identifier: Apache-2.0
 *
 * Attention backward, what is a sum over one axis: shift of each query before the tiles; dslopes, dsink and dtable of
 * each head after them. And the order of all launches of a backward.
 *
 * A sum over a head is made by one block: each thread takes every 128th number, then halves are added to halves. The
 * order depends on the sizes only.
 */
#include "attn_back.h"

#define WARPS (TILE_THREADS / 32)

/* shift = d_lse - <d_o, o>: a warp for each row. */
template <class N> TILE_KERNEL attn_shift(attn_args a)
{
    typedef typename N::elem elem;
    const int64_t rows = (int64_t)a.B * a.H * a.T, n = (int64_t)blockIdx.x * WARPS + warp_of();
    const int b = (int)(n / a.T / a.H), h = (int)(n / a.T % a.H), i = (int)(n % a.T);
    float sum = 0;

    if (n < rows) {
        const elem *o = (const elem *)a.o.data + query_at(a.o, b, i, h);
        const elem *d_o = (const elem *)a.d_o.data + query_at(a.d_o, b, i, h);

        for (int x = lane_of(); x < a.e; x += 32)
            sum += N::get(o[x]) * N::get(d_o[x]);
    }
    for (int step = 16; step; step /= 2)
        sum += __shfl_xor_sync(GPU_ALL, sum, step);
    if (n < rows && lane_of() == 0)
        a.shift[n] = (a.d_lse.data ? *stat_at(a.d_lse, b, h, i) : 0) - sum;
}

enum { SLOPES, SINK, TABLE };

/* Number n of what is summed for a head (and a bucket). */
template <int WHAT> GPU_FN float part_of(const attn_args &a, int h, int bucket, int64_t n)
{
    if (WHAT == TABLE) {
        const int64_t tiles = a.table_tiles, b = n / tiles;

        return a.table_part[((b * a.H + h) * tiles + n % tiles) * a.buckets + bucket];
    }
    const int b = (int)(n / a.T), i = (int)(n % a.T);
    const int64_t at = ((int64_t)b * a.H + h) * a.T + i;

    if (WHAT == SLOPES)
        return a.slope_part[at];
    const float lse = *stat_at(a.lse, b, h, i);

    return lse == -INFINITY ? 0 : expf(a.sink.data[h * a.sink.h] - lse) * a.shift[at];
}

template <int WHAT> TILE_KERNEL attn_sum(attn_args a, int64_t count)
{
    GPU_SHARED(bytes);
    float *part = (float *)bytes;
    const int h = (int)blockIdx.x % a.H, bucket = (int)blockIdx.x / a.H, at = (int)threadIdx.x;
    float sum = 0;

    for (int64_t n = at; n < count; n += TILE_THREADS)
        sum += part_of<WHAT>(a, h, bucket, n);
    part[at] = sum;
    for (int half = TILE_THREADS / 2; half; half /= 2) {
        __syncthreads();
        if (at < half)
            part[at] += part[at + half];
    }
    if (at == 0) {
        const attn_heads &to = WHAT == SLOPES ? a.dslopes : WHAT == SINK ? a.dsink : a.dtable;

        to.data[bucket * to.n + h * to.h] += part[0];
    }
}

template <int WHAT> static int run_sum(const attn_args *a, int buckets, int64_t count, void *stream)
{
    return gpu_launch(attn_sum<WHAT>, dim3((unsigned)(buckets * a->H)), dim3(TILE_THREADS), TILE_THREADS * 4, stream,
                      *a, count);
}

int attn_back_heads(const attn_args *a, void *stream)
{
    const int64_t queries = (int64_t)a->B * a->T;
    int e = 0;

    if (a->dslopes.data)
        e = run_sum<SLOPES>(a, 1, queries, stream);
    if (!e && a->dsink.data)
        e = run_sum<SINK>(a, 1, queries, stream);
    if (!e && a->dtable.data)
        e = run_sum<TABLE>(a, a->buckets, (int64_t)a->B * a->table_tiles, stream);
    return e;
}

int attn_back_shift(const attn_args *a, void *stream)
{
    const dim3 grid((unsigned)(((int64_t)a->B * a->H * a->T + WARPS - 1) / WARPS)), block(TILE_THREADS);

    return a->type == ATTN_F32    ? gpu_launch(attn_shift<number<ATTN_F32>>, grid, block, 0, stream, *a)
           : a->type == ATTN_BF16 ? gpu_launch(attn_shift<number<ATTN_BF16>>, grid, block, 0, stream, *a)
                                  : gpu_launch(attn_shift<number<ATTN_FP16>>, grid, block, 0, stream, *a);
}

extern "C" int attn_cuda_backward(const attn_args *a, void *stream)
{
    int e;

    if (!a->B || !a->H || !a->T)
        return 0;
    e = attn_back_shift(a, stream);
    if (!e && a->S && (a->dq.data || a->dslopes.data))
        e = attn_back_queries(a, stream);
    if (!e && a->S && (a->dk.data || a->dv.data))
        e = attn_back_keys(a, stream);
    if (!e && a->S && a->dbias.data)
        e = attn_back_bias(a, stream);
    if (!e && a->S && a->dtable.data)
        e = attn_back_table(a, stream);
    return e ? e : attn_back_heads(a, stream);
}
