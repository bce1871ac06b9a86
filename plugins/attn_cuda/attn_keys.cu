/* SPDX-License-Identifier: Apache-2.0
 *
 * Attention backward, the sums over queries: dk and dv.
 *
 * A block owns ROWS keys of one key head and walks over the queries of that head's group that may see them, COLS at a
 * time. Everything is transposed, rows are keys, so that weights go from one product to the next in registers:
 *
 *     load Q_i, d_o_i, lse, shift | wait | barrier A | s = K Q_i', dp = V d_o_i' | p, dx | dv += p d_o_i, dk += dx Q_i
 * | barrier B
 *
 *  (1) Barrier A: the tiles are there for all. Barrier B: all are past them, so the next may be loaded.
 *  (2) Q and d_o are right sides of products with weights: they are cleaned where not everybody sees a tile.
 *  (3) WANT: 1 dk, 2 dv, 3 both. The registers of both suffice up to D = 128; at 256 each has a launch of its own.
 * Where keys and values have different numbers of heads, too: then `want` says which.
 */
#include "attn_back.h"

template <class E> struct keys_room {
    static const size_t bytes = (size_t)(2 * E::ROWS + 2 * E::COLS) * E::STRIDE * sizeof(typename E::elem) +
                                (size_t)(E::ROOM + 3 * E::COLS) * 4;
};

template <class E, bool GENERAL, int WANT> TILE_KERNEL attn_dkdv(attn_args a, int want, int heads)
{
    typedef typename E::elem elem;
    GPU_SHARED(bytes);
    elem *k = (elem *)bytes, *v = k + E::ROWS * E::STRIDE, *q = v + E::ROWS * E::STRIDE, *d_o = q + E::COLS * E::STRIDE;
    float *room = (float *)(d_o + E::COLS * E::STRIDE), *lse2 = room + E::ROOM, *shift = lse2 + E::COLS;
    int *marks = (int *)(shift + E::COLS);
    const int tile = (int)blockIdx.x / (a.B * heads), b = (int)blockIdx.x / heads % a.B, head = (int)blockIdx.x % heads;
    const int j0 = tile * E::ROWS, j1 = smaller(j0 + E::ROWS, a.S), group = a.H / heads;
    typename E::sums dk = {}, dv = {};
    unsigned poison = 0;
    int from, to, stamp = 0;

    for (int n = (int)threadIdx.x; n < E::COLS; n += TILE_THREADS)
        marks[n] = 0;
    queries_of(a, b, j0, j1, &from, &to);
    from = from / E::COLS * E::COLS;
    if (j0 >= key_len(a, b))
        to = 0;
    for (int h = head * group; h < (head + 1) * group; h++) {
        const source from_k = {&a.k, b, h / (a.H / a.Hk), j0, key_len(a, b), a.d, true};
        const source from_v = {&a.v, b, h / (a.H / a.Hv), j0, key_len(a, b), a.e, true};
        source from_q = {&a.q, b, h, 0, query_len(a, b), a.d, false};
        source from_d_o = {&a.d_o, b, h, 0, query_len(a, b), a.e, false};

        if (from < to) {
            loader<E, E::ROWS>::load(a, from_k, k);
            loader<E, E::ROWS>::load(a, from_v, v);
        }
        for (int i0 = from; i0 < to; i0 += E::COLS) {
            const bool full = !GENERAL && all_visible(a, b, i0, i0 + E::COLS, j0, j0 + E::ROWS);
            typename E::scores s, dp;

            if (GENERAL && !any_listed(a, h, i0, i0 + E::COLS, j0, j1))
                continue;
            stamp++;
            from_q.first = from_d_o.first = i0;
            loader<E, E::COLS>::load(a, from_q, q);
            loader<E, E::COLS>::load(a, from_d_o, d_o);
            gpu_copy_commit();
            for (int n = (int)threadIdx.x; n < E::COLS; n += TILE_THREADS) {
                const bool in = i0 + n < a.T;

                lse2[n] = in ? *stat_at(a.lse, b, h, i0 + n) * LOG2_E : -INFINITY;
                shift[n] = in ? a.shift[((int64_t)b * a.H + h) * a.T + i0 + n] : 0;
            }
            gpu_copy_wait<0>();
            if (!full) {
                loader<E, E::COLS>::clean(q, marks, stamp);
                loader<E, E::COLS>::clean(d_o, marks, stamp);
            }
            __syncthreads(); /* A */
            E::product(s, k, q);
            if ((WANT & 1) && (want & 1))
                E::product(dp, v, d_o);
            GPU_UNROLL
            for (int r = 0; r < E::NR; r++)
                GPU_UNROLL
            for (int n = 0; n < E::NC; n++) {
                const int c = E::col(n), i = i0 + c, j = j0 + E::row(r);
                const pair p = pair_of<GENERAL>(a, b, h, i, j, s.at(r, n) * a.scale);
                const bool on = p.s2 != -INFINITY && lse2[c] != -INFINITY;
                const float w = on ? gpu_exp2(p.s2 - lse2[c]) : 0;

                if (on && !full && marks[c] == stamp)
                    poison |= 1u << r;
                if ((WANT & 1) && (want & 1))
                    dp.at(r, n) = on ? w * (p.z * dp.at(r, n) + shift[c]) * p.cap : 0;
                s.at(r, n) = w * p.z;
            }
            if ((WANT & 2) && (want & 2))
                E::add(dv, s, d_o, room);
            if ((WANT & 1) && (want & 1))
                E::add(dk, dp, q, room);
            __syncthreads(); /* B */
        }
    }
    poison = E::row_any(poison);
    if ((WANT & 1) && (want & 1))
        add_rows<E>(a.dk, b, head, j0, a.S, a.d, dk, a.scale, poison);
    if ((WANT & 2) && (want & 2))
        add_rows<E>(a.dv, b, head, j0, a.S, a.e, dv, 1, poison);
}

/* ---- launches ---- */

template <class E, int WANT> static int launch(const attn_args *a, int want, int heads, void *stream)
{
    const dim3 grid((unsigned)((int64_t)a->B * heads * ((a->S + E::ROWS - 1) / E::ROWS)));

    return attn_general(a) ? gpu_launch(attn_dkdv<E, true, WANT>, grid, dim3(TILE_THREADS), keys_room<E>::bytes, stream,
                                        *a, want, heads)
                           : gpu_launch(attn_dkdv<E, false, WANT>, grid, dim3(TILE_THREADS), keys_room<E>::bytes,
                                        stream, *a, want, heads);
}

template <class E> static int run_dkdv(const attn_args *a, void *stream)
{
    const int want = (a->dk.data ? 1 : 0) | (a->dv.data ? 2 : 0);
    int e = 0;

    if constexpr (E::D <= 128) {
        if (a->Hk == a->Hv)
            return launch<E, 3>(a, want, a->Hk, stream);
        if (want & 1)
            e = launch<E, 3>(a, 1, a->Hk, stream);
        return !e && (want & 2) ? launch<E, 3>(a, 2, a->Hv, stream) : e;
    } else {
        if (want & 1)
            e = launch<E, 1>(a, 1, a->Hk, stream);
        return !e && (want & 2) ? launch<E, 2>(a, 2, a->Hv, stream) : e;
    }
}

int attn_back_keys(const attn_args *a, void *stream)
{
    return BACK_TYPES(run_dkdv, a, stream);
}
