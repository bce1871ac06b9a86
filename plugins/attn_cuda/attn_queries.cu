/* SPDX-License-Identifier: Apache-2.0
 *
 * Attention backward, the sums over keys: dq and the parts of dslopes; dbias; the parts of dtable. One walk for all:
 *
 *     load K_j, V_j | wait | barrier A | s = Q K_j', dp = d_o V_j' | ds | use it | barrier B
 *
 * What it is used for is the kernel's MODE:
 *
 *   QUERIES   dq += ds K_j, and sum_j ds (p_k - p_q) of each query. A block owns a tile of queries of one head.
 *   BIAS      dbias += ds. A block owns a tile of queries of all rows and heads that share the bias, in order.
 *   TABLE     each thread sums its ds by bucket in shared memory; then a block's sums, in order, to table_part.
 *
 *  (1) Barrier A: the tiles are there for all. Barrier B: all are past them, so the next may be loaded.
 *  (2) K is the right side of a product with weights: where not everybody sees a tile it is cleaned (attn_load.h (3)).
 *      Who sees such a key has an lse that is not finite; dbias and dtable become NaN by it.
 */
#include "attn_back.h"

enum { QUERIES, BIAS, TABLE };

template <class E> static size_t room_bytes(const attn_args *a, int mode)
{
    return (size_t)(2 * E::ROWS + 2 * E::COLS) * E::STRIDE * sizeof(typename E::elem) +
           (size_t)(E::ROOM + E::COLS + (mode == TABLE ? a->buckets * TILE_THREADS : 0)) * 4;
}

/* The tiles and registers of one head's tile of queries. */
template <class E> struct query_tile {
    typename E::elem *q, *d_o, *k, *v;
    float *room, *hist;
    int *marks;
    int b, h, i0, i1;
    float lse2[E::NR], shift[E::NR], slope[E::NR];
    unsigned poison;
};

template <class E, bool GENERAL, int MODE> GPU_FN void walk(const attn_args &a, query_tile<E> &t, typename E::sums &dq)
{
    source from_q = {&a.q, t.b, t.h, t.i0, query_len(a, t.b), a.d, false};
    source from_d_o = {&a.d_o, t.b, t.h, t.i0, query_len(a, t.b), a.e, false};
    source from_k = {&a.k, t.b, t.h / (a.H / a.Hk), 0, key_len(a, t.b), a.d, true};
    source from_v = {&a.v, t.b, t.h / (a.H / a.Hv), 0, key_len(a, t.b), a.e, true};
    int from, to;

    keys_of(a, t.b, t.i0, t.i1, &from, &to);
    from = from / E::COLS * E::COLS;
    if (t.i0 >= query_len(a, t.b))
        to = 0;
    for (int r = 0; r < E::NR; r++) {
        int i = t.i0 + E::row(r);

        t.lse2[r] = i < a.T ? *stat_at(a.lse, t.b, t.h, i) * LOG2_E : -INFINITY;
        t.shift[r] = i < a.T ? a.shift[((int64_t)t.b * a.H + t.h) * a.T + i] : 0;
    }
    if (from < to) {
        loader<E, E::ROWS>::load(a, from_q, t.q);
        loader<E, E::ROWS>::load(a, from_d_o, t.d_o);
    }
    for (int j0 = next_tile<GENERAL>(a, t.h, t.i0, t.i1, from, to, E::COLS); j0 < to;
         j0 = next_tile<GENERAL>(a, t.h, t.i0, t.i1, j0 + E::COLS, to, E::COLS)) {
        const bool full = !GENERAL && all_visible(a, t.b, t.i0, t.i1, j0, j0 + E::COLS);
        typename E::scores s, dp;

        from_k.first = from_v.first = j0;
        loader<E, E::COLS>::load(a, from_k, t.k);
        loader<E, E::COLS>::load(a, from_v, t.v);
        gpu_copy_commit();
        gpu_copy_wait<0>();
        if (!full && MODE == QUERIES)
            loader<E, E::COLS>::clean(t.k, t.marks, j0 + 1);
        __syncthreads(); /* A */
        E::product(s, t.q, t.k);
        E::product(dp, t.d_o, t.v);
        GPU_UNROLL
        for (int r = 0; r < E::NR; r++)
            GPU_UNROLL
        for (int n = 0; n < E::NC; n++) {
            const int i = t.i0 + E::row(r), j = j0 + E::col(n);
            const pair p = pair_of<GENERAL>(a, t.b, t.h, i, j, s.at(r, n) * a.scale);
            const bool on = p.s2 != -INFINITY && t.lse2[r] != -INFINITY;
            const float ds = on ? gpu_exp2(p.s2 - t.lse2[r]) * (p.z * dp.at(r, n) + t.shift[r]) : 0;

            if (MODE == QUERIES) {
                if (on && !full && t.marks[E::col(n)] == j0 + 1)
                    t.poison |= 1u << r;
                s.at(r, n) = ds * p.cap;
                if (GENERAL)
                    t.slope[r] += ds * (float)p.rel;
            }
            if (MODE == BIAS && on) {
                float *at = (float *)a.dbias.data;

                at += t.b * a.dbias.b + t.h * a.dbias.h + i * a.dbias.i + j * a.dbias.j;
                *at += ds;
            }
            if (MODE == TABLE && on && p.bucket >= 0)
                t.hist[p.bucket * TILE_THREADS + (int)threadIdx.x] += ds;
        }
        if (MODE == QUERIES)
            E::add(dq, s, t.k, t.room);
        __syncthreads(); /* B */
    }
}

template <class E> GPU_FN query_tile<E> new_tile(const attn_args &a, unsigned char *bytes, int tile)
{
    typedef typename E::elem elem;
    query_tile<E> t;

    t.q = (elem *)bytes;
    t.d_o = t.q + E::ROWS * E::STRIDE;
    t.k = t.d_o + E::ROWS * E::STRIDE;
    t.v = t.k + E::COLS * E::STRIDE;
    t.room = (float *)(t.v + E::COLS * E::STRIDE);
    t.marks = (int *)(t.room + E::ROOM);
    t.hist = (float *)(t.marks + E::COLS);
    t.i0 = tile * E::ROWS;
    t.i1 = smaller(t.i0 + E::ROWS, a.T);
    t.poison = 0;
    for (int r = 0; r < E::NR; r++)
        t.slope[r] = 0;
    for (int n = (int)threadIdx.x; n < E::COLS; n += TILE_THREADS)
        t.marks[n] = 0;
    return t;
}

template <class E, bool GENERAL> TILE_KERNEL attn_dq(attn_args a)
{
    GPU_SHARED(bytes);
    const int heads = a.B * a.H, tiles = (a.T + E::ROWS - 1) / E::ROWS;
    query_tile<E> t = new_tile<E>(a, bytes, tiles - 1 - (int)blockIdx.x / heads);
    typename E::sums dq = {};

    t.b = (int)blockIdx.x % heads / a.H;
    t.h = (int)blockIdx.x % a.H;
    walk<E, GENERAL, QUERIES>(a, t, dq);
    t.poison = E::row_any(t.poison);
    if (a.dq.data)
        add_rows<E>(a.dq, t.b, t.h, t.i0, a.T, a.d, dq, a.scale, t.poison);
    if (GENERAL && a.slope_part)
        for (int r = 0; r < E::NR; r++) {
            float sum = E::row_sum(t.slope[r]);
            int i = t.i0 + E::row(r);

            if (i < a.T && E::col(0) == 0)
                a.slope_part[((int64_t)t.b * a.H + t.h) * a.T + i] = t.poison >> r & 1 ? NAN : sum;
        }
}

template <class E> TILE_KERNEL attn_dbias(attn_args a, int own_b, int own_h)
{
    GPU_SHARED(bytes);
    const int tiles = (a.T + E::ROWS - 1) / E::ROWS, group = (int)blockIdx.x / tiles;
    query_tile<E> t = new_tile<E>(a, bytes, (int)blockIdx.x % tiles);
    const int b0 = own_b ? group / (own_h ? a.H : 1) : 0, h0 = own_h ? group % a.H : 0;
    typename E::sums none = {};

    for (int b = b0; b < (own_b ? b0 + 1 : a.B); b++)
        for (int h = h0; h < (own_h ? h0 + 1 : a.H); h++) {
            t.b = b;
            t.h = h;
            walk<E, true, BIAS>(a, t, none);
        }
}

template <class E> TILE_KERNEL attn_dtable(attn_args a)
{
    GPU_SHARED(bytes);
    const int tiles = (a.T + E::ROWS - 1) / E::ROWS;
    query_tile<E> t = new_tile<E>(a, bytes, (int)blockIdx.x % tiles);
    typename E::sums none = {};

    t.b = (int)blockIdx.x / tiles / a.H;
    t.h = (int)blockIdx.x / tiles % a.H;
    for (int n = 0; n < a.buckets; n++)
        t.hist[n * TILE_THREADS + (int)threadIdx.x] = 0;
    walk<E, true, TABLE>(a, t, none);
    __syncthreads(); /* all sums are there */
    for (int n = (int)threadIdx.x; n < a.buckets; n += TILE_THREADS) {
        float sum = 0;

        for (int x = 0; x < TILE_THREADS; x++)
            sum += t.hist[n * TILE_THREADS + x];
        a.table_part[(int64_t)blockIdx.x * a.buckets + n] = sum;
    }
}

/* ---- launches ---- */

template <class E> static int64_t tiles_of(const attn_args *a)
{
    return (a->T + E::ROWS - 1) / E::ROWS;
}

template <class E> static int run_dq(const attn_args *a, void *stream)
{
    const dim3 grid((unsigned)(a->B * a->H * tiles_of<E>(a)));

    return attn_general(a)
               ? gpu_launch(attn_dq<E, true>, grid, dim3(TILE_THREADS), room_bytes<E>(a, QUERIES), stream, *a)
               : gpu_launch(attn_dq<E, false>, grid, dim3(TILE_THREADS), room_bytes<E>(a, QUERIES), stream, *a);
}

template <class E> static int run_dbias(const attn_args *a, void *stream)
{
    const int own_b = a->dbias.b != 0 || a->B == 1, own_h = a->dbias.h != 0 || a->H == 1;
    const dim3 grid((unsigned)(tiles_of<E>(a) * (own_b ? a->B : 1) * (own_h ? a->H : 1)));

    return gpu_launch(attn_dbias<E>, grid, dim3(TILE_THREADS), room_bytes<E>(a, BIAS), stream, *a, own_b, own_h);
}

template <class E> static int run_dtable(const attn_args *a, void *stream)
{
    return gpu_launch(attn_dtable<E>, dim3((unsigned)(a->B * a->H * tiles_of<E>(a))), dim3(TILE_THREADS),
                      room_bytes<E>(a, TABLE), stream, *a);
}

int attn_back_queries(const attn_args *a, void *stream)
{
    return BACK_TYPES(run_dq, a, stream);
}

int attn_back_bias(const attn_args *a, void *stream)
{
    return BACK_TYPES(run_dbias, a, stream);
}

int attn_back_table(const attn_args *a, void *stream)
{
    return BACK_TYPES(run_dtable, a, stream);
}

extern "C" int64_t attn_cuda_tiles(int32_t type, int64_t width, int64_t T)
{
    attn_args sizes = {}, *a = &sizes;

    a->type = type;
    a->T = (int32_t)T;
    a->d = (int32_t)width;
    return BACK_TYPES(tiles_of, a);
}
