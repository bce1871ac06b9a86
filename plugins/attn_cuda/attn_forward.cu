/* SPDX-License-Identifier: Apache-2.0
 *
 * Attention forward: online softmax over tiles of keys, O(T) memory (Dao 2023, FlashAttention-2, algorithm 1).
 *
 * A block owns ROWS queries of one head and walks over the keys that they may see, COLS at a time:
 *
 *     wait K_j | barrier A | load V_j | s = Q K_j' | mask, add | wait V_j | barrier B | load K_j+1 | o = c o + p V_j
 *
 *  (1) Barrier A: K_j is there for all, and all are past the product with V_j-1, so V may be loaded.
 *  (2) Barrier B: V_j is there for all, and all are past the product with K_j, so K may be loaded.
 *  (3) m starts at -inf; as long as it stays there exponents are taken from 0, so a row that sees nothing gives l = 0.
 *  (4) The sink is one more score, without a value, added at the end.
 *  (5) The tile of most keys starts first: queries are taken from the last to the first.
 *  (6) Where not everybody sees a tile of V it is cleaned (attn_load.h (3)).
 *  (7) Tiles that no block list names are stepped over: all threads ask the same of the map.
 */
#include "attn_launch.h"

template <class E> struct forward_room {
    static const size_t elems = (size_t)(E::ROWS + 2 * E::COLS) * E::STRIDE;
    static const size_t bytes = elems * sizeof(typename E::elem) + (size_t)(E::ROOM + E::COLS) * 4;
};

template <class E>
GPU_FN void write_rows(const attn_args &a, int b, int h, int i0, typename E::sums &o, float *m, float *l,
                       unsigned poison)
{
    const int len = query_len(a, b);

    GPU_UNROLL
    for (int r = 0; r < E::NR; r++) {
        float sum = E::row_sum(l[r]), top = m[r], factor = 1, lse;
        int i = i0 + E::row(r);

        if (a.sink.data && i < len) {
            float sink = a.sink.data[h * a.sink.h] * LOG2_E;

            top = fmaxf(top, sink);
            factor = m[r] == -INFINITY ? 0 : gpu_exp2(m[r] - top);
            sum = sum * factor + (sink == -INFINITY ? 0 : gpu_exp2(sink - top));
        } else if (a.sink.data) {
            top = a.sink.data[h * a.sink.h] * LOG2_E;
            sum = top == -INFINITY ? 0 : 1;
        }
        lse = sum == 0 ? -INFINITY : (top == -INFINITY ? 0 : top) * LN_2 + logf(sum);
        factor = sum == 0 ? 0 : factor / sum;
        if (i >= a.T)
            continue;
        if (poison >> r & 1)
            factor = NAN;
        GPU_UNROLL
        for (int x = 0; x < E::NO; x++)
            if (E::out(x) < a.e)
                ((typename E::elem *)a.o.data)[query_at(a.o, b, i, h) + E::out(x)] =
                    E::num::put(sum == 0 ? 0 : o.at(r, x) * factor);
        if (a.lse.data && E::col(0) == 0)
            *stat_at(a.lse, b, h, i) = lse;
    }
}

template <class E, bool GENERAL> TILE_KERNEL attn_forward(attn_args a)
{
    typedef typename E::elem elem;
    GPU_SHARED(bytes);
    elem *q = (elem *)bytes, *k = q + E::ROWS * E::STRIDE, *v = k + E::COLS * E::STRIDE;
    float *room = (float *)(v + E::COLS * E::STRIDE);
    int *marks = (int *)(room + E::ROOM);
    const int heads = a.B * a.H, tiles = (a.T + E::ROWS - 1) / E::ROWS;
    const int tile = tiles - 1 - (int)blockIdx.x / heads, b = (int)blockIdx.x % heads / a.H; /* (5) */
    const int h = (int)blockIdx.x % a.H, i0 = tile * E::ROWS, i1 = smaller(i0 + E::ROWS, a.T);
    source from_q = {&a.q, b, h, i0, query_len(a, b), a.d, false};
    source from_k = {&a.k, b, h / (a.H / a.Hk), 0, key_len(a, b), a.d, true};
    source from_v = {&a.v, b, h / (a.H / a.Hv), 0, key_len(a, b), a.e, true};
    typename E::scores s;
    typename E::sums o = {};
    float m[E::NR], l[E::NR];
    unsigned poison = 0;
    int from, to;

    keys_of(a, b, i0, i1, &from, &to);
    from = from / E::COLS * E::COLS;
    if (i0 >= query_len(a, b))
        to = 0;
    for (int r = 0; r < E::NR; r++) {
        m[r] = -INFINITY;
        l[r] = 0;
    }
    for (int n = (int)threadIdx.x; n < E::COLS; n += TILE_THREADS)
        marks[n] = 0;
    from = next_tile<GENERAL>(a, h, i0, i1, from, to, E::COLS);
    from_k.first = from;
    if (from < to) {
        loader<E, E::ROWS>::load(a, from_q, q);
        loader<E, E::COLS>::load(a, from_k, k);
    }
    gpu_copy_commit();
    for (int j0 = from, next; j0 < to; j0 = next) {
        const bool full = !GENERAL && all_visible(a, b, i0, i1, j0, j0 + E::COLS);

        gpu_copy_wait<0>();
        __syncthreads(); /* A */
        from_v.first = j0;
        loader<E, E::COLS>::load(a, from_v, v);
        gpu_copy_commit();
        E::product(s, q, k);
        gpu_copy_wait<0>();
        if (!full)
            loader<E, E::COLS>::clean(v, marks, j0 + 1);
        __syncthreads(); /* B */
        next = next_tile<GENERAL>(a, h, i0, i1, j0 + E::COLS, to, E::COLS);
        from_k.first = next;
        if (next < to)
            loader<E, E::COLS>::load(a, from_k, k);
        gpu_copy_commit();
        GPU_UNROLL
        for (int r = 0; r < E::NR; r++) {
            const int i = i0 + E::row(r);
            float top = m[r], base, c;
            float z[E::NC];

            GPU_UNROLL
            for (int n = 0; n < E::NC; n++) {
                const int j = j0 + E::col(n);
                float x = s.at(r, n) * a.scale;

                z[n] = 1;
                if (full)
                    s.at(r, n) = x * LOG2_E;
                else {
                    pair p = pair_of<GENERAL>(a, b, h, i, j, x);

                    s.at(r, n) = p.s2;
                    z[n] = p.z;
                    if (p.s2 != -INFINITY && marks[E::col(n)] == j0 + 1)
                        poison |= 1u << r;
                }
                top = fmaxf(top, s.at(r, n));
            }
            top = E::row_max(top);
            base = top == -INFINITY ? 0 : top; /* (3) */
            c = gpu_exp2(m[r] - base);
            m[r] = top;
            l[r] *= c;
            GPU_UNROLL
            for (int n = 0; n < E::NC; n++) {
                float p = gpu_exp2(s.at(r, n) - base);

                l[r] += p;
                s.at(r, n) = GENERAL ? p * z[n] : p;
            }
            GPU_UNROLL
            for (int x = 0; x < E::NO; x++)
                o.at(r, x) *= c;
        }
        E::add(o, s, v, room);
    }
    write_rows<E>(a, b, h, i0, o, m, l, E::row_any(poison));
}

template <class E, bool GENERAL> static int launch(const attn_args *a, void *stream)
{
    int64_t blocks = (int64_t)a->B * a->H * ((a->T + E::ROWS - 1) / E::ROWS);

    return gpu_launch(attn_forward<E, GENERAL>, dim3((unsigned)blocks), dim3(TILE_THREADS), forward_room<E>::bytes,
                      stream, *a);
}

template <class E> struct forward_of {
    static int run(const attn_args *a, void *stream)
    {
        return attn_general(a) ? launch<E, true>(a, stream) : launch<E, false>(a, stream);
    }
};

extern "C" int attn_cuda_forward(const attn_args *a, void *stream)
{
    if (!a->B || !a->H || !a->T)
        return 0;
    switch (a->type) {
    case ATTN_F32:
        return attn_width(a) <= 32    ? forward_of<tile_fma<32, 4, 32>>::run(a, stream)
               : attn_width(a) <= 64  ? forward_of<tile_fma<64, 4, 32>>::run(a, stream)
               : attn_width(a) <= 128 ? forward_of<tile_fma<128, 4, 32>>::run(a, stream)
                                      : forward_of<tile_fma<256, 2, 16>>::run(a, stream);
    case ATTN_BF16:
        return attn_width(a) <= 32    ? forward_of<tile_mma<ATTN_BF16, 32, 1, 64>>::run(a, stream)
               : attn_width(a) <= 64  ? forward_of<tile_mma<ATTN_BF16, 64, 2, 64>>::run(a, stream)
               : attn_width(a) <= 128 ? forward_of<tile_mma<ATTN_BF16, 128, 1, 64>>::run(a, stream)
                                      : forward_of<tile_mma<ATTN_BF16, 256, 1, 32>>::run(a, stream);
    default:
        return attn_width(a) <= 32    ? forward_of<tile_mma<ATTN_FP16, 32, 1, 64>>::run(a, stream)
               : attn_width(a) <= 64  ? forward_of<tile_mma<ATTN_FP16, 64, 2, 64>>::run(a, stream)
               : attn_width(a) <= 128 ? forward_of<tile_mma<ATTN_FP16, 128, 1, 64>>::run(a, stream)
                                      : forward_of<tile_mma<ATTN_FP16, 256, 1, 32>>::run(a, stream);
    }
}

extern "C" int attn_cuda_stage(void *to, const void *from, size_t bytes, void *stream)
{
    return gpu_up(to, from, bytes, stream);
}
